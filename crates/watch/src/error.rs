//! What can be wrong with alarms.

use sluice_core::CodecError;

/// An alarm's file is wrong, or its state cannot be kept.
#[derive(Debug, thiserror::Error)]
pub enum WatchError {
    /// A file is wrong.
    #[error("{file}:{line}:{column}: {problem}\n  help: {help}")]
    File {
        /// The file.
        file: String,
        /// Line, from 1.
        line: usize,
        /// Column, from 1.
        column: usize,
        /// What is wrong.
        problem: String,
        /// What to do.
        help: String,
    },
    /// The file of the state cannot be read or written.
    #[error("the state of alarms: {0}")]
    State(#[from] CodecError),
    /// A secret is not where it should be.
    #[error("{0}")]
    Secret(String),
    /// A silence is wrong.
    #[error("{0}")]
    Silence(String),
}
