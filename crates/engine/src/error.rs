//! Errors of a running engine.

use sluice_core::{CodecError, DeltaError, Epoch};

/// The engine cannot go on. Bad data never leads here: it becomes a row of the
/// evaluation-error collection.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// Changes name a table that the program does not have.
    #[error("changes arrived for the table `{0}`, which is not defined; check sources/*.toml")]
    UnknownTable(String),
    /// Changes do not fit the table's schema.
    #[error("changes of table `{table}` do not fit its definition: {problem}")]
    BadChanges {
        /// The table.
        table: String,
        /// What does not fit.
        problem: String,
    },
    /// Epochs must follow each other.
    #[error("epoch {found} came after epoch {last}; epochs follow one another without gaps")]
    EpochOrder {
        /// The epoch before.
        last: Epoch,
        /// The epoch that came.
        found: Epoch,
    },
    /// A checkpoint belongs to other definitions or another format.
    #[error("the checkpoint cannot be used: {0}")]
    Checkpoint(String),
    /// Stored state cannot be decoded.
    #[error("the state `{part}` cannot be read: {source}")]
    State {
        /// Name of the part.
        part: String,
        /// Why.
        source: CodecError,
    },
    /// An invariant does not hold; this is a fault of the program, not of the
    /// data.
    #[error("broken invariant in the engine: {0}")]
    Invariant(String),
    /// A query could not be executed for a reason other than its data.
    #[error("engine: {0}")]
    DataFusion(#[from] datafusion::error::DataFusionError),
    /// An Arrow kernel failed.
    #[error("engine: {0}")]
    Arrow(#[from] arrow::error::ArrowError),
    /// A delta could not be built.
    #[error(transparent)]
    Delta(#[from] DeltaError),
}
