//! Records: what capture appends to the log.

use bytes::Bytes;

/// What a record's payload is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RecordKind {
    /// A data record: one JSON object, one CSV line, one change message.
    Data,
    /// The header line of the CSV file whose lines follow. Capture appends it
    /// before the first line of a file and again whenever it returns to a file
    /// after another one, so that the last header of a partition always
    /// belongs to the next line.
    CsvHeader,
    /// No row: the record only moves the position in its source (a change of
    /// definitions, or a time without changes).
    Position,
    /// An earlier record of the partition, which became a dead letter and is
    /// tried again; the payload is a [`crate::Retry`].
    Retry,
    /// A row of an export, for one table of the topic; the payload is a
    /// [`crate::BackfilledRow`].
    Backfill,
}

/// What the payload of a record begins with that its source could not read.
/// Then come the reason, a zero byte, and the bytes as they came.
pub const UNDECODED: &str = "\0sluice undecoded\0";

/// Reason and bytes of a record that its source could not read; `None` for all
/// others.
pub fn undecoded(payload: &[u8]) -> Option<(String, &[u8])> {
    let rest = payload.strip_prefix(UNDECODED.as_bytes())?;
    let end = rest.iter().position(|&byte| byte == 0)?;
    let reason = String::from_utf8_lossy(&rest[..end]).into_owned();
    Some((reason, &rest[end + 1..]))
}

/// The database transaction that a record belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TransactionMark {
    /// Identity of the transaction in its source (GTID, xid, LSN).
    pub id: String,
    /// True on the last record of the transaction.
    pub commit: bool,
}

/// Bytes on their way into a topic; personal fields are already masked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// What the payload is.
    pub kind: RecordKind,
    /// The payload as the source gave it.
    pub payload: Bytes,
    /// When capture read it, microseconds since 1970 UTC.
    pub capture_time_us: i64,
    /// Position in the source *after* this record, in the form that the source
    /// itself understands (for files: path, identity and byte offset). Capture
    /// resumes from the last durable one.
    pub position: Bytes,
    /// Database transaction, where the source has transactions.
    pub transaction: Option<TransactionMark>,
}

/// Records that are lines of a file which stays where it is: the log holds
/// where they lie instead of what they say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileRange {
    /// Name of the file in the folder of its source.
    pub file: String,
    /// Byte position of the first of `bytes` in the file.
    pub start: u64,
    /// What the file holds there.
    pub bytes: Bytes,
    /// The records in order, all of kind [`RecordKind::Data`]: first byte and
    /// length of each, in `bytes`.
    pub records: Vec<(u32, u32)>,
    /// When capture read it, microseconds since 1970 UTC.
    pub capture_time_us: i64,
    /// Position in the source after the last record.
    pub position: Bytes,
}

/// Records that stay in their source, which reads them again by `place`: the log
/// holds where they lie instead of what they say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceRange {
    /// Where they lie, in the form that the source itself understands.
    pub place: Bytes,
    /// The records in order, without transactions and all of one capture time.
    pub records: Vec<Record>,
}

/// A record as read back from a topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogRecord {
    /// Offset in its partition, from 0, without gaps.
    pub offset: u64,
    /// The record.
    pub record: Record,
}
