//! The store: every table and view as immutable columnar segments, with cheap
//! snapshots that never wait for the writer.
//!
//! A collection is a list of segments. A segment holds rows and, beside them, a
//! mask of those that are gone. Recent segments are in memory; a checkpoint
//! writes them as Parquet. One manifest, replaced in one step, names every
//! file that belongs to an epoch, so that recovery finds all of it or the
//! epoch before.

mod checkpoint;
mod checkpoint_parts;
mod collection;
mod error;
mod expiry;
mod manifest;
mod parquet_columns;
mod parquet_file;
mod piece;
mod row_index;
mod segment;
mod segment_cache;
mod snapshot;
mod staged;
mod store;
mod value_filter;

pub use checkpoint::{
    CheckpointJob, CheckpointRequest, Recovered, StateJob, WrittenCheckpoint, WrittenRows,
};
pub use collection::CollectionDefinition;
pub use error::StoreError;
pub use expiry::Horizon;
pub use manifest::{CheckpointFiles, checkpoint_files};
pub use piece::Piece;
pub use segment_cache::CacheCounts;
pub use snapshot::Snapshot;
pub use staged::StagedCollections;
pub use store::{Store, StoreMemory, StoreOptions};
pub use value_filter::SoughtValues;
