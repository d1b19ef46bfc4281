//! Serve: SQL, look-ups and live changes for people and programs, on the
//! store's snapshots.
//!
//! Every statement sees one snapshot, so that all tables and views in it belong
//! to the same epoch. Nothing can be changed through it.

mod access;
mod answer_names;
mod audit;
mod bound_query;
mod casts_apart;
mod checked_integers;
mod column_docs;
mod column_names;
mod error;
mod explain;
mod http;
mod json_rows;
mod letter_retry;
mod library_words;
mod live_feed;
mod mended_sql;
mod metrics;
mod missing_functions;
mod moments;
mod null_in_row;
mod output;
mod own_rows;
mod panels;
mod plain_views;
mod positions;
mod postgres;
mod proven_order;
mod query_engine;
mod query_limits;
mod query_text;
mod read_only;
mod row_condition;
mod session;
mod statement_times;
mod system_table;
mod tables;
mod take_rows;
mod tied_rows;
mod time_limit;
mod tls;
mod uniq_ids;
mod wrong_secrets;
mod zoned_session;

pub use access::{Access, PersonalColumns, Role, User};
pub use audit::{AuditEntry, Auditor};
pub use column_docs::ColumnMeaning;
pub use error::ServeError;
pub use explain::RunningViews;
pub use http::{
    ConnectionLimits, HasKey, HttpLimits, HttpListener, HttpState, Rules, WarehouseInfo, guarded,
    router, traced,
};
pub use letter_retry::{LetterPlace, RetryLetters, RetryReport};
pub use library_words::plain_words;
pub use live_feed::LiveFeed;
pub use metrics::{Histogram, Metric, Metrics, Sample};
pub use output::{OutputFormat, write_result};
pub use panels::{KeepPanels, PanelDefinitions, PanelError, PanelFile, Panels, SAVED_MARK};
pub use postgres::PostgresListener;
pub use query_engine::{Pinned, QueryEngine, QueryOptions, QueryResult};
pub use session::as_program;
pub use system_table::SystemTable;
pub use tables::SnapshotSource;
pub use take_rows::{ExportPlan, ExportedPart, NotTaken, TakeRows};
pub use tls::{Tls, TlsError, WarnOfTls};
pub use wrong_secrets::WrongSecrets;
