//! Settings of a file source.

/// Form of the files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileFormat {
    /// One JSON value a line.
    Ndjson,
    /// Comma-separated values (RFC 4180).
    Csv {
        /// The separator.
        delimiter: u8,
        /// Whether the first line names the columns.
        has_header: bool,
    },
}

/// Settings of a file source.
#[derive(Debug, Clone)]
pub struct FileSourceOptions {
    /// Name, for messages.
    pub name: String,
    /// Path of the files; `*` in the last part stands for any characters.
    pub glob: String,
    /// Form of the files.
    pub format: FileFormat,
    /// Wait for the rest of a last line without a line break; if false it
    /// counts as complete.
    pub follow: bool,
    /// Bytes that one poll returns, about.
    pub batch_bytes_max: usize,
    /// A longer line is cut to this length, with a warning, and marked so that
    /// it becomes a dead letter.
    pub line_bytes_max: usize,
    /// Say where lines lie instead of giving them out; the files must then
    /// stay as they are.
    pub own_log: bool,
    /// Whether a folder that is missing when the source is opened is a trouble
    /// that may pass, as later; if false it is an error.
    pub folder_may_be_missing: bool,
}

impl FileSourceOptions {
    /// Default limits.
    pub fn new(name: String, glob: String, format: FileFormat) -> Self {
        Self {
            name,
            glob,
            format,
            follow: true,
            batch_bytes_max: 1 << 20,
            line_bytes_max: 8 << 20,
            own_log: false,
            folder_may_be_missing: false,
        }
    }
}
