//! Segment files as bytes.
//!
//! Header, 16 bytes: magic `SLUICLOG`, version (u32), reserved (u32).
//! Block: length of the body (u32), CRC-32 of the body (u32), body. Body: first
//! offset (u64), record count (u32), records. Record: kind (u8), capture time
//! (i64), position (bytes), transaction (u8: 0 none, 1 open, 2 commit; then its
//! id), payload (bytes). Byte strings have a u32 length; all little-endian.

use bytes::Bytes;
use sluice_core::{CodecError, LogRecord, Reader, Record, RecordKind, TransactionMark, Writer};

pub(crate) const MAGIC: &[u8; 8] = b"SLUICLOG";
pub(crate) const VERSION: u32 = 1;
pub(crate) const HEADER_BYTES: u64 = 16;
pub(crate) const BLOCK_HEADER_BYTES: u64 = 8;

pub(crate) fn header() -> Vec<u8> {
    let mut bytes = MAGIC.to_vec();
    bytes.extend_from_slice(&VERSION.to_le_bytes());
    bytes.extend_from_slice(&[0; 4]);
    bytes
}

pub(crate) fn check_header(bytes: &[u8]) -> Result<(), CodecError> {
    let bad = |problem: String| Err(CodecError::Invalid(problem));
    if bytes.len() < HEADER_BYTES as usize || &bytes[..8] != MAGIC {
        return bad("not a segment of the log (wrong magic)".into());
    }
    let found = Reader::new(&bytes[8..12]).u32()?;
    if found != VERSION {
        return bad(format!(
            "has format version {found}, this program reads version {VERSION}"
        ));
    }
    Ok(())
}

/// Writes one block that holds `records` from `first_offset` on.
pub(crate) fn encode(first_offset: u64, records: &[Record]) -> Vec<u8> {
    let mut writer = Writer::new();
    writer.u64(0); // room for length and checksum
    writer.u64(first_offset);
    writer.u32(records.len() as u32);
    for record in records {
        writer.u8(match record.kind {
            RecordKind::Data => 0,
            RecordKind::CsvHeader => 1,
        });
        writer.i64(record.capture_time_us);
        writer.bytes(&record.position);
        match &record.transaction {
            None => writer.u8(0),
            Some(mark) => {
                writer.u8(if mark.commit { 2 } else { 1 });
                writer.str(&mark.id);
            }
        }
        writer.bytes(&record.payload);
    }
    let mut bytes = writer.finish();
    let body_length = (bytes.len() as u64 - BLOCK_HEADER_BYTES) as u32;
    let checksum = crc32fast::hash(&bytes[BLOCK_HEADER_BYTES as usize..]);
    bytes[..4].copy_from_slice(&body_length.to_le_bytes());
    bytes[4..8].copy_from_slice(&checksum.to_le_bytes());
    bytes
}

/// First offset and record count of a checked body.
pub(crate) fn extent(body: &[u8]) -> Result<(u64, u32), CodecError> {
    let mut reader = Reader::new(body);
    Ok((reader.u64()?, reader.u32()?))
}

/// The records of a checked body.
pub(crate) fn decode(body: &[u8]) -> Result<Vec<LogRecord>, CodecError> {
    let shared = Bytes::copy_from_slice(body);
    let mut reader = Reader::new(&shared);
    let first_offset = reader.u64()?;
    let count = reader.u32()?;
    let mut records = Vec::new();
    for index in 0..count {
        let kind = match reader.u8()? {
            0 => RecordKind::Data,
            1 => RecordKind::CsvHeader,
            other => return Err(CodecError::Invalid(format!("unknown record kind {other}"))),
        };
        let capture_time_us = reader.i64()?;
        let position = shared.slice_ref(reader.bytes()?);
        let transaction = match reader.u8()? {
            0 => None,
            flag @ (1 | 2) => Some(TransactionMark {
                id: reader.str()?.to_owned(),
                commit: flag == 2,
            }),
            other => {
                return Err(CodecError::Invalid(format!(
                    "unknown transaction flag {other}"
                )));
            }
        };
        let payload = shared.slice_ref(reader.bytes()?);
        records.push(LogRecord {
            offset: first_offset + u64::from(index),
            record: Record {
                kind,
                payload,
                capture_time_us,
                position,
                transaction,
            },
        });
    }
    if !reader.is_at_end() {
        return Err(CodecError::Invalid("bytes after the last record".into()));
    }
    Ok(records)
}
