//! Blocks whose records lie in a source that keeps them, such as a Kafka topic.
//!
//! Body: mark 254 (u8, where the kind of a block's first record stands
//! otherwise), capture time (i64), place (bytes, which the source's reader
//! understands), bytes of all payloads (u64), XXH3-64 of the records (u64). The
//! block's header has their number.

use std::error::Error;
use std::fmt;

use bytes::Bytes;
use sluice_core::{
    CodecError, LogRecord, Reader, Record, RecordKind, SourceRange, Writer, stable_hash,
};

use crate::LogError;
use crate::block::Block;

/// First byte of the body of such a block.
pub(crate) const MARK: u8 = 254;

/// Reads records again that lie in a source.
pub trait SourceReader: fmt::Debug + Send + Sync {
    /// The records at `place`, as they were given to [`crate::Log::append_source`].
    /// Waits while the source does not answer, until `is_stopped`, which is asked
    /// all the while. Where the source holds more than `limits` there, it may
    /// leave off behind them: these are no longer the same records.
    ///
    /// # Errors
    /// When it was stopped, or the records cannot be read again.
    fn read(
        &self,
        place: &[u8],
        limits: SourceLimits,
        is_stopped: &dyn Fn() -> bool,
    ) -> Result<Vec<Record>, SourceReadError>;

    /// A place in words, as a plural: `offsets 3 to 9 of partition 0 of …`.
    fn words(&self, place: &[u8]) -> String;

    /// Nothing is being read again: what was kept for it can go.
    fn rest(&self);
}

/// How much lies at a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SourceLimits {
    /// Number of records.
    pub records: usize,
    /// Bytes of their payloads.
    pub bytes: u64,
}

/// Why records were not read again.
#[derive(Debug)]
pub enum SourceReadError {
    /// Nobody waits for them any more.
    Stopped,
    /// Trying again does not help.
    Lost(Box<dyn Error + Send + Sync>),
}

/// What a block says of records in a source.
#[derive(Debug)]
pub(crate) struct StoredSource {
    capture_time_us: i64,
    place: Bytes,
    bytes: u64,
    checksum: u64,
}

/// Bytes of the payloads of records.
pub(crate) fn payload_bytes(records: &[Record]) -> u64 {
    let lengths = records.iter().map(|record| record.payload.len() as u64);
    lengths.sum()
}

/// XXH3-64 of the hashes of all records.
fn checksum(records: &[Record]) -> u64 {
    let mut hashes = Vec::with_capacity(records.len() * 17);
    for record in records {
        hashes.push(match record.kind {
            RecordKind::Data => 0,
            RecordKind::CsvHeader => 1,
            RecordKind::Position => 2,
            RecordKind::Retry => 3,
            RecordKind::Backfill => 4,
        });
        hashes.extend_from_slice(&stable_hash(&record.payload).to_le_bytes());
        hashes.extend_from_slice(&stable_hash(&record.position).to_le_bytes());
    }
    stable_hash(&hashes)
}

/// The body of a block.
pub(crate) fn encode(range: &SourceRange) -> Vec<u8> {
    let capture_time_us = range.records.first().map_or(0, |it| it.capture_time_us);
    let mut writer = Writer::with_capacity(40 + range.place.len());
    writer.u8(MARK);
    writer.i64(capture_time_us);
    writer.bytes(&range.place);
    writer.u64(payload_bytes(&range.records));
    writer.u64(checksum(&range.records));
    writer.finish()
}

/// Reads the body of a block that was checked and begins with [`MARK`].
pub(crate) fn decode(body: &[u8]) -> Result<StoredSource, CodecError> {
    let mut reader = Reader::new(body);
    reader.u8()?;
    let stored = StoredSource {
        capture_time_us: reader.i64()?,
        place: Bytes::copy_from_slice(reader.bytes()?),
        bytes: reader.u64()?,
        checksum: reader.u64()?,
    };
    if !reader.is_at_end() {
        return Err(CodecError::Invalid("bytes after a source's place".into()));
    }
    Ok(stored)
}

impl StoredSource {
    /// Reads the records again, as those of `block`.
    pub(crate) fn read(
        &self,
        source: &dyn SourceReader,
        block: &Block,
        is_stopped: &dyn Fn() -> bool,
    ) -> Result<Vec<LogRecord>, LogError> {
        let limits = SourceLimits {
            records: block.count as usize,
            bytes: self.bytes,
        };
        let read = source.read(&self.place, limits, is_stopped);
        let mut records = read.map_err(|error| match error {
            SourceReadError::Stopped => LogError::Stopped(source.words(&self.place)),
            SourceReadError::Lost(error) => LogError::SourceLost(error),
        })?;
        let problem = if records.len() != limits.records {
            let (was, is) = (limits.records, records.len());
            let is_more = if is > was { "or more " } else { "" };
            Some(format!(
                "{was} records were read there, and {is} {is_more}are there now"
            ))
        } else if checksum(&records) != self.checksum {
            Some("their content is another one".to_owned())
        } else {
            None
        };
        if let Some(problem) = problem {
            return Err(LogError::SourceRecordsChanged {
                place: source.words(&self.place),
                problem,
            });
        }
        for record in &mut records {
            record.capture_time_us = self.capture_time_us;
        }
        Ok(numbered(records, block.first_offset))
    }
}

/// Records with their offsets.
pub(crate) fn numbered(records: Vec<Record>, first_offset: u64) -> Vec<LogRecord> {
    let pairs = records.into_iter().zip(first_offset..);
    pairs
        .map(|(record, offset)| LogRecord { offset, record })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_come_back_and_shorter_ones_are_refused() {
        let record = Record {
            kind: RecordKind::Data,
            payload: Bytes::from_static(b"{}"),
            capture_time_us: -7,
            position: Bytes::from_static(b"p"),
            transaction: None,
        };
        let range = SourceRange {
            place: Bytes::from_static(b"here"),
            records: vec![record.clone(), record.clone()],
        };
        let body = encode(&range);
        let stored = decode(&body).unwrap();
        assert_eq!(stored.place, range.place);
        assert_eq!((stored.bytes, stored.capture_time_us), (4, -7));
        assert_eq!(stored.checksum, checksum(&range.records));
        for at in 1..body.len() {
            assert!(decode(&body[..at]).is_err());
        }
        let mut others = [range.records.clone(), range.records.clone(), range.records];
        others[0].pop();
        others[1][0].payload = Bytes::from_static(b"{ }");
        others[2][1].position = Bytes::from_static(b"q");
        for others in others {
            assert_ne!(checksum(&others), stored.checksum);
        }
    }
}
