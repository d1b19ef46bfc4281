//! Blocks as bytes.
//!
//! A block is what one append wrote. Header, 44 bytes: magic `BLCK`, length of
//! the body (u32), first offset (u64), record count (u32), capture time of the
//! newest record (i64), offset that was durable when the block was written
//! (u64), CRC-32 of the body (u32), CRC-32 of the header before it and of the
//! block's place in the file (u32). Body: records. Record: kind (u8), capture
//! time (i64), position (bytes), transaction (u8: 0 none, 1 open, 2 commit;
//! then its id), payload (bytes). Byte strings have a u32 length; all
//! little-endian.
//!
//! A body may also say where records lie in a file of the source, see
//! `file_range.rs` and `source_range.rs`. One of either form is compressed if it
//! is long, see `compression.rs`; header and checksums are about what is stored.
//!
//! The header has its own checksum, so that a damaged length is known to be
//! one, and blocks behind it are found. The place in the file is part of it,
//! so that a payload that holds a copy of a block is not taken for one.

use bytes::Bytes;
use sluice_core::{
    CodecError, FileRange, LogRecord, Reader, Record, RecordKind, SourceRange, TransactionMark,
    Writer,
};

use crate::{compression, file_range, source_range};

const MAGIC: &[u8; 4] = b"BLCK";
/// Length of a block's header.
pub(crate) const BLOCK_HEADER_BYTES: usize = 44;
/// Bytes of a record besides position, transaction's id and payload: at most,
/// and at least.
const RECORD_BYTES: usize = 22;
const RECORD_BYTES_MIN: usize = 18;

/// A block's header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Block {
    /// Byte position of the header in its file.
    pub(crate) place: u64,
    /// Length of the body as it is stored.
    pub(crate) body_bytes: u32,
    pub(crate) first_offset: u64,
    pub(crate) count: u32,
    pub(crate) newest_us: i64,
    /// All offsets before this were durable when the block was written.
    pub(crate) durable_end: u64,
    body_checksum: u32,
}

impl Block {
    /// Offset behind the last record.
    pub(crate) fn end_offset(&self) -> u64 {
        self.first_offset.saturating_add(u64::from(self.count))
    }

    /// Byte position of the body.
    pub(crate) fn body_place(&self) -> u64 {
        self.place + BLOCK_HEADER_BYTES as u64
    }

    /// Byte position behind the body.
    pub(crate) fn end_place(&self) -> u64 {
        self.body_place() + u64::from(self.body_bytes)
    }

    /// Whether `body` is what was written.
    pub(crate) fn has_body(&self, body: &[u8]) -> bool {
        body.len() == self.body_bytes as usize && crc32fast::hash(body) == self.body_checksum
    }

    fn header(&self) -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        bytes.extend_from_slice(&self.body_bytes.to_le_bytes());
        bytes.extend_from_slice(&self.first_offset.to_le_bytes());
        bytes.extend_from_slice(&self.count.to_le_bytes());
        bytes.extend_from_slice(&self.newest_us.to_le_bytes());
        bytes.extend_from_slice(&self.durable_end.to_le_bytes());
        bytes.extend_from_slice(&self.body_checksum.to_le_bytes());
        let checksum = header_checksum(&bytes, self.place);
        bytes.extend_from_slice(&checksum.to_le_bytes());
        bytes
    }

    /// The header at `place` of a file, if `bytes` begin with one.
    pub(crate) fn read_header(bytes: &[u8], place: u64) -> Option<Self> {
        let bytes = bytes.get(..BLOCK_HEADER_BYTES)?;
        if !bytes.starts_with(MAGIC) {
            return None;
        }
        let (fields, checksum) = bytes.split_at(BLOCK_HEADER_BYTES - 4);
        if header_checksum(fields, place).to_le_bytes() != checksum {
            return None;
        }
        let mut reader = Reader::new(&fields[MAGIC.len()..]);
        Some(Self {
            place,
            body_bytes: reader.u32().ok()?,
            first_offset: reader.u64().ok()?,
            count: reader.u32().ok()?,
            newest_us: reader.i64().ok()?,
            durable_end: reader.u64().ok()?,
            body_checksum: reader.u32().ok()?,
        })
    }

    /// The block at `place` of a file that is `bytes`, if it is whole.
    pub(crate) fn read_whole(bytes: &[u8], place: usize) -> Option<Self> {
        let rest = bytes.get(place..)?;
        let block = Self::read_header(rest, place as u64)?;
        let end = BLOCK_HEADER_BYTES.checked_add(block.body_bytes as usize)?;
        let body = rest.get(BLOCK_HEADER_BYTES..end)?;
        block.has_body(body).then_some(block)
    }

    /// The next whole block of the file `bytes` behind `place`.
    pub(crate) fn find_behind(bytes: &[u8], place: usize) -> Option<Self> {
        let rest = bytes.get(place + 1..).unwrap_or_default();
        rest.windows(MAGIC.len())
            .enumerate()
            .filter(|(_, window)| window == MAGIC)
            .find_map(|(at, _)| Self::read_whole(bytes, place + 1 + at))
    }
}

fn header_checksum(fields: &[u8], place: u64) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(fields);
    hasher.update(&place.to_le_bytes());
    hasher.finalize()
}

/// What one append writes, before its place is known.
#[derive(Debug)]
pub(crate) struct Body {
    /// The body as it is stored, behind room for the header.
    bytes: Vec<u8>,
    body_bytes: u32,
    body_checksum: u32,
    count: u32,
    newest_us: i64,
}

impl Body {
    /// Of one block that holds `records`. None if they are too many for one.
    pub(crate) fn of_records(records: &[Record]) -> Option<Self> {
        let room = |record: &Record| {
            let id = record.transaction.as_ref().map_or(0, |mark| mark.id.len());
            RECORD_BYTES + record.position.len() + id + record.payload.len()
        };
        let room: usize = records.iter().map(room).sum();
        let mut writer = Writer::with_capacity(BLOCK_HEADER_BYTES + room);
        // The header is made when the block's place is known.
        writer.raw(&[0; BLOCK_HEADER_BYTES]);
        for record in records {
            write_record(&mut writer, record);
        }
        let newest_us = records.iter().map(|record| record.capture_time_us).max();
        Self::stored(writer.finish(), records.len(), newest_us)
    }

    /// Of one block that says where the records of `range` lie. None if it is
    /// too long for one.
    pub(crate) fn of_range(range: &FileRange) -> Option<Self> {
        let mut bytes = vec![0; BLOCK_HEADER_BYTES];
        bytes.extend_from_slice(&file_range::encode(range)?);
        Self::stored(bytes, range.records.len(), Some(range.capture_time_us))
    }

    /// Of one block that says where the records of `range` lie. None if there
    /// are too many for one.
    pub(crate) fn of_source(range: &SourceRange) -> Option<Self> {
        let mut bytes = vec![0; BLOCK_HEADER_BYTES];
        bytes.extend_from_slice(&source_range::encode(range));
        let times = range.records.iter().map(|record| record.capture_time_us);
        Self::stored(bytes, range.records.len(), times.max())
    }

    /// Compresses what stands behind the room for the header, if that is worth
    /// it.
    fn stored(plain: Vec<u8>, count: usize, newest_us: Option<i64>) -> Option<Self> {
        let bytes = compression::pack(&plain, BLOCK_HEADER_BYTES).unwrap_or(plain);
        let body = bytes.get(BLOCK_HEADER_BYTES..)?;
        Some(Self {
            body_bytes: u32::try_from(body.len()).ok()?,
            body_checksum: crc32fast::hash(body),
            count: u32::try_from(count).ok()?,
            newest_us: newest_us.unwrap_or(i64::MIN),
            bytes,
        })
    }

    /// Whether it holds no records.
    pub(crate) fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The block whose records begin with `first_offset`, and its bytes, for
    /// `place` of a file.
    pub(crate) fn into_block(
        mut self,
        place: u64,
        first_offset: u64,
        durable_end: u64,
    ) -> (Block, Vec<u8>) {
        let block = Block {
            place,
            body_bytes: self.body_bytes,
            first_offset,
            count: self.count,
            newest_us: self.newest_us,
            durable_end,
            body_checksum: self.body_checksum,
        };
        self.bytes[..BLOCK_HEADER_BYTES].copy_from_slice(&block.header());
        (block, self.bytes)
    }
}

fn write_record(writer: &mut Writer, record: &Record) {
    writer.u8(match record.kind {
        RecordKind::Data => 0,
        RecordKind::CsvHeader => 1,
        RecordKind::Position => 2,
        RecordKind::Retry => 3,
        RecordKind::Backfill => 4,
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

/// The records of a block whose `body` was checked and unpacked.
pub(crate) fn decode(block: &Block, body: Vec<u8>) -> Result<Vec<LogRecord>, CodecError> {
    let shared = Bytes::from(body);
    let mut reader = Reader::new(&shared);
    // A wrong count must not take memory that no body has records for.
    let count_max = shared.len() / RECORD_BYTES_MIN;
    let mut records = Vec::with_capacity(count_max.min(block.count as usize));
    for index in 0..block.count {
        let kind = match reader.u8()? {
            0 => RecordKind::Data,
            1 => RecordKind::CsvHeader,
            2 => RecordKind::Position,
            3 => RecordKind::Retry,
            4 => RecordKind::Backfill,
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
            offset: block.first_offset.saturating_add(u64::from(index)),
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

#[cfg(test)]
mod tests {
    use super::*;

    struct Random(u64);

    impl Random {
        fn below(&mut self, limit: usize) -> usize {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            (self.0 >> 16) as usize % limit
        }
    }

    fn records(random: &mut Random) -> Vec<Record> {
        let count = random.below(4) + 1;
        let record = |number: usize| Record {
            kind: match number % 3 {
                0 => RecordKind::Data,
                1 => RecordKind::CsvHeader,
                _ => RecordKind::Position,
            },
            payload: Bytes::from(vec![b'p'; number * 5]),
            capture_time_us: number as i64,
            position: Bytes::from(vec![1; number]),
            transaction: (number == 2).then(|| TransactionMark {
                id: "tx".into(),
                commit: true,
            }),
        };
        (0..count).map(record).collect()
    }

    fn encoded(records: &[Record], place: u64, first: u64, durable: u64) -> (Block, Vec<u8>) {
        let body = Body::of_records(records).unwrap();
        body.into_block(place, first, durable)
    }

    #[test]
    fn a_mutated_block_is_refused_and_an_unchanged_one_comes_back() {
        let mut random = Random(0x5eed);
        for _ in 0..20_000 {
            let records = records(&mut random);
            let place = random.below(50);
            let (block, bytes) = encoded(&records, place as u64, 7, 5);
            let mut file = vec![b'B'; place];
            file.extend_from_slice(&bytes);
            assert_eq!(Block::read_whole(&file, place), Some(block));
            let body = &file[place + BLOCK_HEADER_BYTES..];
            let decoded = decode(&block, body.to_vec()).unwrap();
            assert_eq!(decoded.len(), records.len());
            assert!(decoded.iter().map(|found| &found.record).eq(&records));

            let at = place + random.below(bytes.len());
            file[at] ^= 1 << random.below(8);
            assert_eq!(Block::read_whole(&file, place), None, "byte {at}");
            let cut = random.below(file.len());
            assert_eq!(Block::read_whole(&file[..cut], place), None);
            assert_eq!(Block::find_behind(&file, place), None);
        }
    }

    /// A checksum that holds by chance or malice must not lead to a panic.
    #[test]
    fn bodies_of_any_bytes_give_records_or_an_error() {
        let mut random = Random(0xb0d7);
        for _ in 0..50_000 {
            let (mut block, bytes) = encoded(&records(&mut random), 0, u64::MAX - 2, 0);
            let mut body = bytes[BLOCK_HEADER_BYTES..].to_vec();
            for _ in 0..random.below(4) {
                match random.below(3) {
                    0 => {
                        let at = random.below(body.len());
                        body[at] = random.below(256) as u8;
                    }
                    1 => body.truncate(random.below(body.len()) + 1),
                    _ => block.count = [0, 1, 3, u32::MAX][random.below(4)],
                }
            }
            if let Ok(records) = decode(&block, body) {
                assert_eq!(records.len() as u64, u64::from(block.count));
            }
        }
    }

    #[test]
    fn a_copy_of_a_block_inside_a_payload_is_no_block() {
        let (_, copy) = encoded(&records(&mut Random(3)), 48, 0, 0);
        let outer = Record {
            kind: RecordKind::Data,
            payload: Bytes::from(copy),
            capture_time_us: 0,
            position: Bytes::new(),
            transaction: None,
        };
        let (_, bytes) = encoded(&[outer], 0, 0, 0);
        assert_eq!(Block::find_behind(&bytes, 0), None);
    }
}
