//! How far files have been read, and how a file is known again.
//!
//! A name says little: logs are rotated by renaming, exports are replaced by
//! longer ones, folders are restored from backups. An inode says little more:
//! the system gives it to another file as soon as the first is deleted. So a
//! position holds inode, name, a hash of the first bytes and a hash of the
//! bytes right before it. A file is continued only where both hashes hold.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use sluice_core::{Reader, Record, stable_hash};

use crate::CaptureError;

/// Bytes at the start of a file that its hash covers, at most.
pub(crate) const HEAD_BYTES_MAX: usize = 1024;
/// Bytes before a position that its hash covers, at most.
pub(crate) const BEFORE_BYTES_MAX: usize = 64;

/// Version of a position's bytes.
const VERSION: u8 = 1;
/// Length of a position's bytes: version, flags, head length (u16), and six
/// numbers of eight bytes.
pub(crate) const POSITION_BYTES: usize = 52;
/// So many positions whose inode went to another file are kept, at most.
const DISPLACED_MAX: usize = 64;
/// Flag: reading stands inside a line that was cut; its rest is passed over.
const FLAG_IN_CUT_LINE: u8 = 1;

/// What the system knows a file by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct FileKey {
    pub(crate) device: u64,
    pub(crate) inode: u64,
}

/// How far one file has been read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct FilePosition {
    pub(crate) key: FileKey,
    /// Hash of the file's name, without its folder: a project may move.
    pub(crate) name_hash: u64,
    /// Number of bytes that `head_hash` covers.
    pub(crate) head_length: u16,
    pub(crate) head_hash: u64,
    /// Bytes read.
    pub(crate) offset: u64,
    /// Hash of the last bytes before `offset`.
    pub(crate) before_hash: u64,
    /// The rest of a line that was cut is still to be passed over.
    pub(crate) in_cut_line: bool,
}

impl FilePosition {
    /// The start of a file.
    pub(crate) fn start(key: FileKey, name_hash: u64) -> Self {
        Self {
            key,
            name_hash,
            head_length: 0,
            head_hash: stable_hash(b""),
            offset: 0,
            before_hash: stable_hash(b""),
            in_cut_line: false,
        }
    }

    /// Whether `later`, of the same inode, may well belong to another file.
    fn is_displaced_by(&self, later: &Self) -> bool {
        let has_other_start = if self.head_length == later.head_length {
            self.head_hash != later.head_hash
        } else {
            self.name_hash != later.name_hash
        };
        has_other_start || later.offset < self.offset
    }

    /// Number of bytes that `before_hash` covers.
    pub(crate) fn before_length(&self) -> usize {
        self.offset.min(BEFORE_BYTES_MAX as u64) as usize
    }

    /// Appends the position's bytes.
    pub(crate) fn encode(&self, to: &mut Vec<u8>) {
        to.push(VERSION);
        to.push(if self.in_cut_line {
            FLAG_IN_CUT_LINE
        } else {
            0
        });
        to.extend_from_slice(&self.head_length.to_le_bytes());
        for number in [
            self.key.device,
            self.key.inode,
            self.name_hash,
            self.head_hash,
            self.offset,
            self.before_hash,
        ] {
            to.extend_from_slice(&number.to_le_bytes());
        }
    }

    fn decode(bytes: &[u8]) -> Result<Self, CaptureError> {
        let bad = |problem: String| CaptureError::BadPosition(problem);
        if bytes.len() != POSITION_BYTES {
            return Err(bad(format!(
                "it has {} bytes, a file position has {POSITION_BYTES}",
                bytes.len()
            )));
        }
        if bytes[0] != VERSION {
            return Err(bad(format!(
                "it has format version {}, this program reads version {VERSION}",
                bytes[0]
            )));
        }
        if bytes[1] > FLAG_IN_CUT_LINE {
            return Err(bad(format!("it has unknown flags {:#x}", bytes[1])));
        }
        let mut numbers = Reader::new(&bytes[4..]);
        let mut next = || numbers.u64().map_err(|error| bad(error.to_string()));
        Ok(Self {
            in_cut_line: bytes[1] == FLAG_IN_CUT_LINE,
            head_length: u16::from_le_bytes([bytes[2], bytes[3]]),
            key: FileKey {
                device: next()?,
                inode: next()?,
            },
            name_hash: next()?,
            head_hash: next()?,
            offset: next()?,
            before_hash: next()?,
        })
    }
}

/// How far the files of a source have been read.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Vec<FilePosition>", into = "Vec<FilePosition>")]
pub struct FilePositions {
    files: BTreeMap<FileKey, FilePosition>,
    /// Positions whose inode went to another file, latest last. What they
    /// speak of may be there still: an editor saved it anew.
    displaced: Vec<FilePosition>,
}

impl From<Vec<FilePosition>> for FilePositions {
    fn from(list: Vec<FilePosition>) -> Self {
        let mut positions = Self::default();
        for position in list {
            positions.set(position);
        }
        positions
    }
}

impl From<FilePositions> for Vec<FilePosition> {
    fn from(positions: FilePositions) -> Self {
        // In this order setting them one by one displaces the same.
        let mut list = positions.displaced;
        list.extend(positions.files.into_values());
        list
    }
}

impl FilePositions {
    /// Moves past a record that is in the log.
    ///
    /// # Errors
    /// When the record was not made by a file source.
    pub fn observe(&mut self, record: &Record) -> Result<(), CaptureError> {
        self.set(FilePosition::decode(&record.position)?);
        Ok(())
    }

    pub(crate) fn set(&mut self, position: FilePosition) {
        let Some(former) = self.files.insert(position.key, position) else {
            return;
        };
        if former.offset > 0 && former.is_displaced_by(&position) {
            if self.displaced.len() >= DISPLACED_MAX {
                self.displaced.remove(0);
            }
            self.displaced.push(former);
        }
    }

    pub(crate) fn get(&self, key: FileKey) -> Option<&FilePosition> {
        self.files.get(&key)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &FilePosition> {
        self.files.values().chain(&self.displaced)
    }
}

/// Gives each of `positions` its bytes, all in one buffer.
pub(crate) fn encode_all(positions: &[FilePosition]) -> impl Iterator<Item = Bytes> {
    let mut bytes = Vec::with_capacity(positions.len() * POSITION_BYTES);
    for position in positions {
        position.encode(&mut bytes);
    }
    let bytes = Bytes::from(bytes);
    (0..positions.len())
        .map(move |index| bytes.slice(index * POSITION_BYTES..(index + 1) * POSITION_BYTES))
}

#[cfg(test)]
mod tests {
    use super::*;
    use sluice_core::RecordKind;

    fn position(inode: u64, offset: u64) -> FilePosition {
        let key = FileKey { device: 3, inode };
        FilePosition {
            offset,
            head_length: 1000,
            head_hash: u64::MAX,
            in_cut_line: offset == 7,
            ..FilePosition::start(key, 5)
        }
    }

    fn record(position: Bytes) -> Record {
        Record {
            kind: RecordKind::Data,
            payload: Bytes::new(),
            capture_time_us: 0,
            position,
            transaction: None,
        }
    }

    #[test]
    fn positions_come_back_from_records_and_from_json() {
        let all = [position(1, 7), position(2, u64::MAX), position(1, 9)];
        let mut positions = FilePositions::default();
        for bytes in encode_all(&all) {
            positions.observe(&record(bytes)).unwrap();
        }
        assert_eq!(positions.get(all[0].key), Some(&all[2]));
        assert_eq!(positions.get(all[1].key), Some(&all[1]));
        let json = serde_json::to_string(&positions).unwrap();
        let back: FilePositions = serde_json::from_str(&json).unwrap();
        assert_eq!(back, positions);
    }

    /// Positions are in every record of the log: their bytes must not change
    /// without a new version.
    #[test]
    fn the_bytes_of_version_1_stay() {
        let mut bytes = Vec::new();
        position(0x0102, 7).encode(&mut bytes);
        let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(
            hex,
            "0101e803030000000000000002010000000000000500000000000000\
             ffffffffffffffff0700000000000000c294d3380580062d"
        );
        assert_eq!(FilePosition::decode(&bytes).unwrap(), position(0x0102, 7));
    }

    #[test]
    fn other_bytes_are_refused_with_a_reason() {
        let mut positions = FilePositions::default();
        let mut observe = |bytes: Vec<u8>| {
            let error = positions.observe(&record(Bytes::from(bytes))).unwrap_err();
            error.to_string()
        };
        assert!(observe(b"{}".to_vec()).contains("2 bytes"));
        assert!(observe(vec![9; POSITION_BYTES]).contains("version 9"));
        let mut flags = vec![0; POSITION_BYTES];
        flags[..2].copy_from_slice(&[1, 4]);
        assert!(observe(flags).contains("flags"));
    }
}
