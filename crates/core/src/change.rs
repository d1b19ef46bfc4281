//! Changes of a table, as route hands them to the engine.

use arrow::array::RecordBatch;

use crate::PartitionId;

/// What a change does to its row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChangeKind {
    /// Add a row (append-only tables).
    Insert,
    /// Insert the row or replace the one stored under its key.
    Upsert,
    /// Delete the row stored under the key; other columns may be null.
    Delete,
    /// Delete all rows that no newer change stored; all columns are null.
    Truncate,
    /// Insert a row of an export where no change ever came for its key, or replace
    /// the one that an earlier export brought. It is older than every change,
    /// whatever versions these have.
    Backfill,
}

/// Order of changes within one source. A change whose version is older than
/// the stored row's is ignored. Compared field by field.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct SourceVersion {
    /// Major position: binlog position, LSN, or the log offset of the message.
    pub major: u64,
    /// Minor position inside the major one: row number within the message.
    pub minor: u64,
}

/// The changes that one epoch brings to one table, from one partition, in
/// order.
#[derive(Debug, Clone)]
pub struct TableChanges {
    /// Name of the table.
    pub table: String,
    /// The partition they came from.
    pub partition: PartitionId,
    /// One row per change, in the table's schema.
    pub rows: RecordBatch,
    /// What each row does. Always as long as `rows`.
    pub kinds: Vec<ChangeKind>,
    /// Source version of each row. Always as long as `rows`.
    pub versions: Vec<SourceVersion>,
    /// For changelog tables: the row images whose keys are to be retracted
    /// instead of the key in `rows`, where a change altered the key itself.
    /// Pairs of (row number in `rows`, row number in `before_rows`).
    pub key_changes: Vec<(usize, usize)>,
    /// Before-images that `key_changes` points into, in the table's schema
    /// (all columns nullable).
    pub before_rows: Option<RecordBatch>,
    /// For changelog tables: values that a change left as they were and did
    /// not say. Pairs of (row number in `rows`, column), in the order of rows;
    /// `rows` has null there. The stored row's value stays.
    pub unchanged: Vec<(usize, usize)>,
}
