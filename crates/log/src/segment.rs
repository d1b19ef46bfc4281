//! Segment files: their header, and where the blocks in them lie.
//!
//! Header, 48 bytes: magic `SLUICLOG`, version (u32), CRC-32 of the rest of the
//! header (u32), first offset (u64), and of the segment before: first offset
//! (u64, all ones if there was none), length in bytes (u64), capture time of
//! its newest record (i64). So a missing or shortened segment is noticed
//! without reading it.

use std::path::Path;

use sluice_core::{CodecError, DiskFile, Reader};

use crate::LogError;
use crate::block::{BLOCK_HEADER_BYTES, Block};
use crate::error::{damaged, io_error};

const MAGIC: &[u8; 8] = b"SLUICLOG";
const VERSION: u32 = 2;
/// Length of a segment's header.
pub(crate) const HEADER_BYTES: usize = 48;
/// First offset of a segment before that there is not.
const NO_SEGMENT: u64 = u64::MAX;
/// The system writes files in pages of so many bytes.
const PAGE_BYTES: usize = 4096;

/// What a segment's header says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SegmentHeader {
    pub(crate) first_offset: u64,
    pub(crate) before: Option<SegmentBefore>,
}

/// The segment before, as it was when it was complete.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SegmentBefore {
    pub(crate) first_offset: u64,
    pub(crate) bytes: u64,
    pub(crate) newest_us: i64,
}

impl SegmentHeader {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let none = SegmentBefore {
            first_offset: NO_SEGMENT,
            bytes: 0,
            newest_us: 0,
        };
        let before = self.before.unwrap_or(none);
        let mut fields = self.first_offset.to_le_bytes().to_vec();
        fields.extend_from_slice(&before.first_offset.to_le_bytes());
        fields.extend_from_slice(&before.bytes.to_le_bytes());
        fields.extend_from_slice(&before.newest_us.to_le_bytes());
        let mut bytes = MAGIC.to_vec();
        bytes.extend_from_slice(&VERSION.to_le_bytes());
        bytes.extend_from_slice(&crc32fast::hash(&fields).to_le_bytes());
        bytes.extend_from_slice(&fields);
        bytes
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, CodecError> {
        let bad = |problem: &str| Err(CodecError::Invalid(problem.to_owned()));
        if !bytes.starts_with(MAGIC) {
            return bad("not a segment of the log (wrong magic)");
        }
        let mut reader = Reader::new(&bytes[MAGIC.len()..]);
        let version = reader.u32()?;
        if version != VERSION {
            return bad(&format!(
                "has format version {version}, this program reads version {VERSION}"
            ));
        }
        let checksum = reader.u32()?;
        let fields = bytes.get(16..HEADER_BYTES).unwrap_or_default();
        if crc32fast::hash(fields) != checksum {
            return bad("the checksum of the segment's header does not hold");
        }
        let first_offset = reader.u64()?;
        let before = SegmentBefore {
            first_offset: reader.u64()?,
            bytes: reader.u64()?,
            newest_us: reader.i64()?,
        };
        Ok(Self {
            first_offset,
            before: (before.first_offset != NO_SEGMENT).then_some(before),
        })
    }
}

/// Whether `bytes`, the last segment, come from a crash before its header was
/// durable, so that nothing in it was acknowledged.
pub(crate) fn is_unborn(bytes: &[u8]) -> bool {
    let is_other_version = bytes.get(..12).is_some_and(|start| {
        let (magic, version) = start.split_at(MAGIC.len());
        // The header of version 1 was shorter.
        let is_whole = bytes.len() >= HEADER_BYTES || version == 1_u32.to_le_bytes();
        magic == MAGIC && version != VERSION.to_le_bytes() && is_whole
    });
    !is_other_version
        && SegmentHeader::decode(bytes).is_err()
        && Block::find_behind(bytes, 0).is_none()
        // A sound header of another version is not a torn one.
        && (bytes.len() <= HEADER_BYTES || !bytes.starts_with(MAGIC))
}

/// What the last segment holds.
#[derive(Debug)]
pub(crate) struct Recovered {
    pub(crate) blocks: Vec<Block>,
    /// Length without what a crash tore.
    pub(crate) bytes: u64,
}

/// Reads the whole of the last segment, whose records begin at `first_offset`.
pub(crate) fn recover(path: &Path, bytes: &[u8], first_offset: u64) -> Result<Recovered, LogError> {
    let mut blocks: Vec<Block> = Vec::new();
    let mut place = HEADER_BYTES;
    let mut expected = first_offset;
    while place < bytes.len() {
        let Some(block) = Block::read_whole(bytes, place) else {
            if is_torn(bytes, place, expected) {
                break;
            }
            let problem = "a block's checksum does not hold, and sound blocks follow";
            return Err(damaged(path, place as u64, problem));
        };
        if block.first_offset != expected {
            let problem = "a block's offset does not follow the block before";
            return Err(damaged(path, place as u64, problem));
        }
        expected = block.end_offset();
        place = block.end_place() as usize;
        blocks.push(block);
    }
    let bytes = place as u64;
    Ok(Recovered { blocks, bytes })
}

/// Whether a crash can have torn the block at `place`, where the offset
/// `expected` should begin. If it was durable it is damaged instead, and may
/// not be cut off.
///
/// A block that was written later, and knew this one durable, is proof. Blocks
/// written before the same sync are not: the system may have written the
/// later one first. But then it left pages out, and these read as zeros.
fn is_torn(bytes: &[u8], place: usize, expected: u64) -> bool {
    let Some(next) = Block::find_behind(bytes, place) else {
        return true;
    };
    let mut later = Some(next);
    while let Some(block) = later {
        if block.durable_end > expected {
            return false;
        }
        later = Block::find_behind(bytes, block.place as usize);
    }
    has_lost_page(bytes, place, next.place as usize)
}

/// Whether a page between two places, where blocks begin, was never written.
/// The first need only be empty behind `from`, if by a few bytes: what should
/// be there begins with a magic number. The page of `to` was written.
fn has_lost_page(bytes: &[u8], from: usize, to: usize) -> bool {
    let mut start = from;
    loop {
        let end = (start / PAGE_BYTES + 1) * PAGE_BYTES;
        if end > to {
            return false;
        }
        if bytes[start..end].iter().all(|byte| *byte == 0) {
            return true;
        }
        start = end;
    }
}

/// Reads where the blocks of a segment lie that is no longer written: it is
/// `bytes` long and holds the offsets from `first_offset` to `end_offset`.
pub(crate) fn find_blocks(
    file: &dyn DiskFile,
    path: &Path,
    bytes: u64,
    first_offset: u64,
    end_offset: u64,
) -> Result<Vec<Block>, LogError> {
    let mut blocks = Vec::new();
    let mut place = HEADER_BYTES as u64;
    let mut expected = first_offset;
    let mut header = [0; BLOCK_HEADER_BYTES];
    while place < bytes {
        let count = file
            .read_at(place, &mut header)
            .map_err(|error| io_error(path, error))?;
        let Some(block) = Block::read_header(&header[..count], place) else {
            return Err(damaged(path, place, "a block's header is damaged"));
        };
        if block.first_offset != expected || block.end_place() > bytes {
            let problem = "a block does not follow the block before";
            return Err(damaged(path, place, problem));
        }
        expected = block.end_offset();
        place = block.end_place();
        blocks.push(block);
    }
    if expected != end_offset {
        let problem = format!("ends at offset {expected}, the next segment starts at {end_offset}");
        return Err(damaged(path, place, &problem));
    }
    Ok(blocks)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: SegmentHeader = SegmentHeader {
        first_offset: 7,
        before: Some(SegmentBefore {
            first_offset: 3,
            bytes: 99,
            newest_us: -1,
        }),
    };

    #[test]
    fn headers_come_back_and_mutated_ones_are_refused() {
        let first = SegmentHeader {
            before: None,
            ..HEADER
        };
        assert_eq!(SegmentHeader::decode(&first.encode()).unwrap(), first);
        let bytes = HEADER.encode();
        assert_eq!(bytes.len(), HEADER_BYTES);
        assert_eq!(SegmentHeader::decode(&bytes).unwrap(), HEADER);
        for at in 0..bytes.len() {
            assert!(SegmentHeader::decode(&bytes[..at]).is_err());
            assert!(is_unborn(&bytes[..at]));
            for bit in 0..8 {
                let mut bytes = bytes.clone();
                bytes[at] ^= 1 << bit;
                assert!(SegmentHeader::decode(&bytes).is_err());
                // Another version may be what it says.
                assert_eq!(is_unborn(&bytes), !(8..12).contains(&at), "{at}");
            }
        }
    }

    #[test]
    fn a_segment_of_version_1_is_not_taken_for_a_torn_one() {
        let mut bytes = MAGIC.to_vec();
        bytes.extend_from_slice(&[1, 0, 0, 0, 0, 0, 0, 0]);
        assert!(!is_unborn(&bytes));
        let error = SegmentHeader::decode(&bytes).unwrap_err().to_string();
        assert!(error.contains("format version 1"), "{error}");
    }
}
