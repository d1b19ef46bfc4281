//! Rows of exports for tables at work: what the HTTP API asks of the pipeline.

use std::collections::BTreeSet;
use std::fmt::Debug;

/// How the rows of an export become rows of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExportPlan {
    /// Columns of the export with those of the table that take them.
    pub columns: Vec<(String, String)>,
    /// Whether the table has a primary key.
    pub has_key: bool,
}

/// Rows of an export, in order, for one table.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ExportedPart {
    /// The table.
    pub table: String,
    /// Identifies the export by what is in it.
    pub export: u64,
    /// The keys of its rows: columns of the table.
    pub columns: BTreeSet<String>,
    /// The number of each row in the export, and the row: an object of JSON.
    pub rows: Vec<(u64, String)>,
}

/// Why no row is taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NotTaken {
    /// They cannot be taken as they are.
    Refused(String),
    /// The warehouse takes none now.
    Unavailable(String),
}

/// Takes rows of exports into the log.
pub trait TakeRows: Debug + Send + Sync {
    /// Which of these columns of an export a table takes.
    ///
    /// # Errors
    /// When there is no such table, it takes no rows of exports, or it lacks a column
    /// that it needs.
    fn plan(&self, table: &str, columns: &[String]) -> Result<ExportPlan, NotTaken>;

    /// Returns when the rows are durable. They are in the table one epoch later;
    /// those that were taken before are not taken again. Gives the number of the
    /// first row that was not taken since the program started. Waits for the disk.
    ///
    /// # Errors
    /// When there is no such table, or it takes no rows of exports; when the log does
    /// not take them.
    fn take(&self, part: ExportedPart) -> Result<u64, NotTaken>;
}
