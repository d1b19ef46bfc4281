//! Errors of the store.

use sluice_core::{CodecError, DeltaError, Epoch};

/// What the store cannot do, where, and why.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The disk refused.
    #[error("{path}: {source}")]
    Io {
        /// File or folder.
        path: String,
        /// Cause.
        source: std::io::Error,
    },
    /// The manifest is damaged or of another version.
    #[error("{0}")]
    Manifest(#[from] CodecError),
    /// A file that the manifest names is not what was written.
    #[error("{path}: {problem}; restore the file from a backup, or rebuild from the log")]
    Damaged {
        /// The file.
        path: String,
        /// What is wrong.
        problem: String,
    },
    /// No such table or view.
    #[error("there is no table or view `{0}`")]
    UnknownCollection(String),
    /// A look-up asked for something that is no key.
    #[error("look-up in `{collection}`: {problem}")]
    BadKey {
        /// The collection.
        collection: String,
        /// What is wrong.
        problem: String,
    },
    /// Epochs must follow each other.
    #[error("epoch {found} came after epoch {last}; epochs follow one another without gaps")]
    EpochOrder {
        /// Last epoch applied.
        last: Epoch,
        /// The epoch that came.
        found: Epoch,
    },
    /// A row was to be removed that is not there.
    #[error("broken invariant: `{collection}` does not hold a row that is to be removed")]
    MissingRow {
        /// The collection.
        collection: String,
    },
    /// A delta does not fit its collection.
    #[error("a change of `{collection}` does not fit it: {problem}")]
    BadDelta {
        /// The collection.
        collection: String,
        /// What does not fit.
        problem: String,
    },
    /// A column changed its type.
    #[error(
        "column `{column}` of `{collection}` was {old} and is now {new}; give it a new name, or rebuild from the log"
    )]
    TypeChange {
        /// The collection.
        collection: String,
        /// The column.
        column: String,
        /// Type on disk.
        old: String,
        /// Type defined.
        new: String,
    },
    /// An Arrow kernel failed.
    #[error("store: {0}")]
    Arrow(#[from] arrow::error::ArrowError),
    /// A delta could not be built.
    #[error(transparent)]
    Delta(#[from] DeltaError),
}
