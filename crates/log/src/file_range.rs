//! Blocks whose records lie in a file of the source.
//!
//! Body: mark 255 (u8, where the kind of a block's first record stands
//! otherwise), capture time (i64), position (bytes), file name (bytes), first
//! byte (u64), number of bytes (u32) and their CRC-32 (u32), then for each
//! record two numbers of seven bits a byte, lowest first: bytes between it and
//! the record before, and its length.

use std::io;
use std::path::Path;

use bytes::Bytes;
use sluice_core::{
    CodecError, Disk, FileRange, LogRecord, OpenMode, Reader, Record, RecordKind, Writer,
};

use crate::LogError;
use crate::block::Block;
use crate::error::io_error;

/// First byte of the body of such a block.
pub(crate) const MARK: u8 = 255;
/// A length takes at most so many bytes.
const LENGTH_BYTES_MAX: usize = 5;

/// What a block says of a range.
#[derive(Debug)]
pub(crate) struct StoredRange {
    file: String,
    start: u64,
    length: u32,
    checksum: u32,
    records: Vec<(u32, u32)>,
    capture_time_us: i64,
    position: Bytes,
}

/// The body of a block. None if the range is too long for one.
pub(crate) fn encode(range: &FileRange) -> Option<Vec<u8>> {
    let length = u32::try_from(range.bytes.len()).ok()?;
    let mut writer = Writer::with_capacity(64 + range.position.len() + 4 * range.records.len());
    writer.u8(MARK);
    writer.i64(range.capture_time_us);
    writer.bytes(&range.position);
    writer.str(&range.file);
    writer.u64(range.start);
    writer.u32(length);
    writer.u32(crc32fast::hash(&range.bytes));
    let mut end = 0_u32;
    for &(first, length) in &range.records {
        write_length(&mut writer, first.checked_sub(end)?);
        write_length(&mut writer, length);
        end = first.checked_add(length)?;
    }
    (end <= length).then(|| writer.finish())
}

fn write_length(writer: &mut Writer, mut value: u32) {
    while value >= 0x80 {
        writer.u8(value as u8 | 0x80);
        value >>= 7;
    }
    writer.u8(value as u8);
}

fn read_length(reader: &mut Reader<'_>) -> Result<u32, CodecError> {
    let mut value = 0_u64;
    for place in 0..LENGTH_BYTES_MAX {
        let byte = reader.u8()?;
        value |= u64::from(byte & 0x7f) << (7 * place);
        if byte < 0x80 {
            let too_long = |_| CodecError::Invalid("a length is over 4 GiB".into());
            return u32::try_from(value).map_err(too_long);
        }
    }
    Err(CodecError::Invalid("a length has too many bytes".into()))
}

/// Reads the body of a block that was checked and begins with [`MARK`].
pub(crate) fn decode(block: &Block, body: &[u8]) -> Result<StoredRange, CodecError> {
    let mut reader = Reader::new(body);
    reader.u8()?;
    let capture_time_us = reader.i64()?;
    let position = Bytes::copy_from_slice(reader.bytes()?);
    let file = reader.str()?.to_owned();
    let start = reader.u64()?;
    let length = reader.u32()?;
    let checksum = reader.u32()?;
    // A wrong count must not take memory that no body has records for.
    let mut records = Vec::with_capacity((body.len() / 2).min(block.count as usize));
    let beyond = || CodecError::Invalid("a record lies behind the end of its range".into());
    let mut end = 0_u32;
    for _ in 0..block.count {
        let first = end.checked_add(read_length(&mut reader)?);
        let first = first.ok_or_else(beyond)?;
        let bytes = read_length(&mut reader)?;
        end = first.checked_add(bytes).ok_or_else(beyond)?;
        records.push((first, bytes));
    }
    if end > length {
        return Err(beyond());
    }
    if !reader.is_at_end() {
        return Err(CodecError::Invalid("bytes after the last record".into()));
    }
    Ok(StoredRange {
        file,
        start,
        length,
        checksum,
        records,
        capture_time_us,
        position,
    })
}

impl StoredRange {
    /// Reads the records from `folder`, as those of `block`.
    pub(crate) fn read(
        self,
        disk: &dyn Disk,
        folder: &Path,
        block: &Block,
    ) -> Result<Vec<LogRecord>, LogError> {
        let bytes = self.find(disk, folder)?;
        let last = self.records.len().saturating_sub(1);
        let records = self.records.iter().enumerate();
        let record = |(index, &(first, length)): (usize, &(u32, u32))| LogRecord {
            offset: block.first_offset.saturating_add(index as u64),
            record: Record {
                kind: RecordKind::Data,
                payload: bytes.slice(first as usize..first as usize + length as usize),
                capture_time_us: self.capture_time_us,
                position: match index == last {
                    true => self.position.clone(),
                    false => Bytes::new(),
                },
                transaction: None,
            },
        };
        Ok(records.map(record).collect())
    }

    /// The bytes of the range: in the file of that name, or, if it was renamed
    /// since, in the one of its folder that holds them.
    fn find(&self, disk: &dyn Disk, folder: &Path) -> Result<Bytes, LogError> {
        let path = folder.join(&self.file);
        let is_missing = match self.read_from(disk, &path)? {
            Some(bytes) if crc32fast::hash(&bytes) == self.checksum => return Ok(bytes.into()),
            found => found.is_none(),
        };
        let names = disk.list(folder).map_err(|error| io_error(folder, error))?;
        for name in names.iter().filter(|name| **name != self.file) {
            if let Ok(Some(bytes)) = self.read_from(disk, &folder.join(name))
                && crc32fast::hash(&bytes) == self.checksum
            {
                return Ok(bytes.into());
            }
        }
        Err(LogError::SourceChanged {
            path: path.display().to_string(),
            start: self.start,
            end: self.start.saturating_add(u64::from(self.length)),
            problem: match is_missing {
                true => "are gone (it was removed or cut short)",
                false => "are no longer what was read (it was changed)",
            },
        })
    }

    /// None if the file is missing or too short.
    fn read_from(&self, disk: &dyn Disk, path: &Path) -> Result<Option<Vec<u8>>, LogError> {
        let read = || -> io::Result<Option<Vec<u8>>> {
            let file = disk.open(path, OpenMode::Read)?;
            if file.len()? < self.start.saturating_add(u64::from(self.length)) {
                return Ok(None);
            }
            let mut bytes = vec![0; self.length as usize];
            let count = file.read_at(self.start, &mut bytes)?;
            Ok((count == bytes.len()).then_some(bytes))
        };
        match read() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            read => read.map_err(|error| io_error(path, error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::block::{BLOCK_HEADER_BYTES, Body};

    fn range(lengths: &[u32]) -> FileRange {
        let mut records = Vec::new();
        let mut end = 0;
        for &length in lengths {
            records.push((end + 1, length));
            end += 1 + length;
        }
        FileRange {
            file: "a.ndjson".into(),
            start: 77,
            bytes: vec![b'x'; end as usize].into(),
            records,
            capture_time_us: -3,
            position: Bytes::from_static(b"here"),
        }
    }

    #[test]
    fn ranges_come_back_and_damaged_ones_give_an_error_or_a_value() {
        let range = range(&[0, 5, 127, 128, 300_000]);
        let (block, bytes) = Body::of_range(&range).unwrap().into_block(0, 9, 0);
        let body = &bytes[BLOCK_HEADER_BYTES..];
        let stored = decode(&block, body).unwrap();
        assert_eq!(stored.records, range.records);
        assert_eq!(stored.file, range.file);
        assert_eq!(stored.position, range.position);
        for at in 0..body.len() {
            assert!(decode(&block, &body[..at]).is_err());
            for bit in 0..8 {
                let mut body = body.to_vec();
                body[at] ^= 1 << bit;
                if let Ok(stored) = decode(&block, &body) {
                    let ends = stored.records.iter().map(|(first, length)| first + length);
                    assert!(ends.max() <= Some(stored.length));
                }
            }
        }
    }
}
