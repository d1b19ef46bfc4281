//! The warehouse at work: a row of steps, one file each.
//!
//! ```text
//! capture ──► log ──► cut ──► route ──► engine ──► store ──► checkpoint
//! (threads)           (this row runs in one thread, epoch by epoch)
//! ```

mod capture_database;
mod capture_kafka;
mod capture_postgres;
mod capture_step;
mod capture_threads;
mod checkpoint_step;
mod csv_headers;
mod cut_step;
#[cfg(test)]
mod damage;
mod door;
mod engine_step;
#[cfg(test)]
mod fault_injection;
#[cfg(test)]
mod format_fixture;
mod idle_partitions;
mod kafka_log;
mod letter_retry;
mod log_replay;
mod models_change;
mod rebuild;
mod recovery;
mod refused_sources;
mod route_step;
mod row_taker;
mod source_states;
mod store_step;
mod surroundings;
mod tables_change;
mod warehouse;
mod writing_checkpoint;

pub use capture_step::{Capture, check_secrets, collected_topics, collector, missing_secrets};
pub use checkpoint_step::{
    CheckpointMeta, Definitions, META_VERSION, read_meta, read_meta_with_log,
};
pub use cut_step::EpochContent;
#[cfg(test)]
use cut_step::read_between;
pub use engine_step::{EngineStep, engine_options};
pub use letter_retry::{LetterRetry, TriedLetters};
pub use log_replay::LogReplay;
pub use models_change::{Begun, ChangeOutcome};
pub use rebuild::RebuildProgress;
pub use recovery::{open_log, prepare_topics, recover, source_files_in_force};
pub use route_step::RouteStep;
pub use row_taker::{RowTaker, SourcesInForce};
pub use source_states::SourceStates;
pub use store_step::{Published, collection_definitions, horizons};
pub use surroundings::Surroundings;
pub use warehouse::{Progress, Warehouse};
