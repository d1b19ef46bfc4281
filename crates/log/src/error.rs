//! Errors of the log.

use std::io;
use std::path::Path;

use sluice_core::{CodecError, PartitionId};

/// What the log cannot do, where, and why.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The disk refused.
    #[error("{path}: {source}")]
    Io {
        /// File or folder.
        path: String,
        /// Cause.
        source: io::Error,
    },
    /// Bytes that were durable are not what was written.
    #[error("{path}: damaged at byte {offset}: {problem}; restore the file from a backup")]
    Damaged {
        /// The file.
        path: String,
        /// Where the damaged block starts.
        offset: u64,
        /// What is wrong.
        problem: String,
    },
    /// A file of another format version.
    #[error("{path}: {source}")]
    Format {
        /// The file.
        path: String,
        /// What is wrong.
        source: CodecError,
    },
    /// No such topic or partition.
    #[error("there is no partition {} of topic `{}`", .0.partition, .0.topic)]
    UnknownPartition(PartitionId),
    /// A topic's partition count may not shrink.
    #[error("topic `{topic}` has {found} partitions on disk, more than the {wanted} asked for")]
    Shrink {
        /// The topic.
        topic: String,
        /// Partitions on disk.
        found: u32,
        /// Partitions wanted.
        wanted: u32,
    },
    /// A topic name that cannot be a folder.
    #[error("`{0}` cannot name a topic: use letters, digits, `_`, `-` and `.`, at most 200")]
    BadName(String),
    /// A record above the limit.
    #[error("a record of {bytes} bytes is over the limit of {limit}")]
    RecordTooLarge {
        /// Its size.
        bytes: usize,
        /// `record_bytes_max`.
        limit: usize,
    },
    /// One append above what a block holds.
    #[error("one append is over 4 GiB; append fewer records at once")]
    AppendTooLarge,
    /// An offset that retention has removed, or that does not exist yet.
    #[error("offset {offset} is not in the log, which holds {start} to {end}")]
    OutOfRange {
        /// Offset asked for.
        offset: u64,
        /// First offset held.
        start: u64,
        /// End, exclusive.
        end: u64,
    },
    /// A file that is its own log is not what it was when it was read.
    #[error(
        "bytes {start} to {end} of the file {path}, which is its own log (`log = \"source\"`), {problem}; put it back as it was, or start with another --state folder"
    )]
    SourceChanged {
        /// The file.
        path: String,
        /// First byte of what was read.
        start: u64,
        /// End, exclusive.
        end: u64,
        /// What is wrong.
        problem: &'static str,
    },
    /// Records of a source that is its own log are not what they were.
    #[error(
        "{place}, which are their own log (`log = \"source\"`), are no longer what was read: {problem}. The topic was compacted, shortened or made anew, or the brokers are others; nothing was computed from them\n  help: bring the topic back as it was, or start with another --state folder"
    )]
    SourceRecordsChanged {
        /// Where they lie.
        place: String,
        /// What is wrong.
        problem: String,
    },
    /// Records of a source that is its own log cannot be read again.
    #[error("{0}")]
    SourceLost(Box<dyn std::error::Error + Send + Sync>),
    /// The source is gone from the project.
    #[error(
        "records of topic `{0}` lie in a source (`log = \"source\"`) that the project no longer names\n  help: put its `[topic.{0}.capture]` back, or start with another --state folder"
    )]
    SourceUnknown(String),
    /// Nobody waits any more for a source that did not answer.
    #[error("stopped while waiting for {0}; the next start begins this again")]
    Stopped(String),
    /// A write failed before, so that the file's end is unknown.
    #[error("{0}: a write failed before; start again to recover what was durable")]
    Poisoned(String),
}

pub(crate) fn io_error(path: &Path, source: io::Error) -> LogError {
    LogError::Io {
        path: path.display().to_string(),
        source,
    }
}

pub(crate) fn damaged(path: &Path, offset: u64, problem: &str) -> LogError {
    LogError::Damaged {
        path: path.display().to_string(),
        offset,
        problem: problem.to_owned(),
    }
}
