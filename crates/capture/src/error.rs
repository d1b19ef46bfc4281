//! Errors of capture.

/// A source cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum CaptureError {
    /// The path cannot be searched.
    #[error("the path `{0}` of a file source is not one; `*` may stand in the file's name only")]
    BadPath(String),
    /// The folder of the path is missing.
    #[error("the folder {0} of a file source does not exist; check `path` in sources/*.toml")]
    MissingFolder(String),
    /// The system refuses to read.
    #[error("{path}: {source}")]
    Io {
        /// File or folder.
        path: String,
        /// Cause.
        source: std::io::Error,
    },
    /// A stored position cannot be read.
    #[error("a record's position in its source cannot be read: {0}")]
    BadPosition(String),
    /// A file that is its own log holds something else.
    #[error(
        "{path}: holds other content than before (it was cut short or replaced), and is its own log (`log = \"source\"` of source `{name}`); put it back as it was, or start with another --state folder"
    )]
    Changed {
        /// The file.
        path: String,
        /// The source.
        name: String,
    },
}
