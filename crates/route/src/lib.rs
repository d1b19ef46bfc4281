//! Route: from records to typed rows, or to dead letters.
//!
//! `sources/*.toml` says which topics there are and which tables are made of
//! their records. A record that cannot be parsed, typed or placed becomes a
//! [`sluice_core::DeadLetter`] and stops nothing.

mod accept;
mod backfill;
mod cell;
mod change_message;
mod changes;
mod csv_header;
mod dedup;
mod definition;
mod definition_error;
mod definition_reader;
mod diversion;
mod diversion_masks;
mod fields;
mod fixed_time;
mod history;
mod json;
mod kafka_text;
mod last_values;
mod letters;
mod mask_text;
mod memory;
mod messages;
mod read_rows;
mod retention;
mod retry;
mod router;
mod shape;
mod skip_value;
mod slots;
mod source_text;
mod sources_change;
mod table_rows;
mod time;

pub use backfill::{Backfill, BackfillRules};
pub use definition::{
    CaptureDefinition, CaptureKind, DefinitionError, FileFormat, MySqlServer, PollCursor,
    PostgresServer, SourceFile, Sources, Tls, TransactionForm,
};
pub use definition_reader::parse_sources;
pub use diversion::{DIVERSION_RULES, Diversion, DiversionRule, RULE_COLUMNS};
pub use history::{History, HistoryError};
pub use kafka_text::{
    Assignment as KafkaAssignment, FormatText as KafkaFormat, Included as KafkaIncluded,
    KafkaText as KafkaCluster, KeyFormatText as KafkaKeyFormat,
    MissingOffsets as KafkaMissingOffsets, StartText as KafkaStart,
};
pub use retention::Retention;
pub use retry::Tried;
pub use router::{RouteError, Routed, Router, RouterCheckpoint, Starts};
pub use sources_change::SourcesChange;
