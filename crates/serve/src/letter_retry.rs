//! Dead letters that are tried again: what the HTTP API asks of the pipeline.

use std::fmt::Debug;

/// A dead letter.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct LetterPlace {
    /// Topic of its record.
    pub topic: String,
    /// Partition of its record.
    pub partition: u32,
    /// Offset of its record.
    pub offset: u64,
    /// The table that it was meant for; empty where no table could be chosen.
    pub table: String,
}

/// What was done with dead letters that should be tried again.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RetryReport {
    /// Records that are durable in the log once more, for the next epoch.
    pub records: u64,
    /// Letters that cannot be tried, and why.
    pub refused: Vec<(LetterPlace, String)>,
}

/// Gives the records of dead letters to their tables once more.
pub trait RetryLetters: Debug + Send + Sync {
    /// Returns when the records are durable. What came of them is told by
    /// `sluice_tried_letters`, one epoch later. Waits for the disk.
    ///
    /// # Errors
    /// When the log does not take them.
    fn retry(&self, letters: &[LetterPlace]) -> Result<RetryReport, String>;
}
