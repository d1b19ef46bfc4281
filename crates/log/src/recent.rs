//! Records of blocks that lie in a source, kept for a while: most are read once
//! more soon after they came, and an epoch may take a part of a block.

use std::collections::{BTreeMap, VecDeque};

use sluice_core::LogRecord;

/// Bytes that are kept of one partition.
const BYTES_MAX: usize = 64 << 20;
/// Bytes that wait to be read once more, until the source is to wait too.
const WAITING_BYTES_MAX: usize = BYTES_MAX / 2;

#[derive(Debug)]
struct Kept {
    records: Vec<LogRecord>,
    bytes: usize,
    is_read: bool,
}

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Recent {
    /// By first offset.
    blocks: BTreeMap<u64, Kept>,
    /// First offsets, those that came first in front.
    order: VecDeque<u64>,
    bytes: usize,
    waiting_bytes: usize,
}

impl Recent {
    /// Keeps the records of a block; `is_read` says whether they were read once
    /// more already.
    pub(crate) fn keep(&mut self, first_offset: u64, records: Vec<LogRecord>, is_read: bool) {
        let of_record = |it: &LogRecord| {
            size_of::<LogRecord>() + it.record.payload.len() + it.record.position.len()
        };
        let bytes = records.iter().map(of_record).sum();
        if bytes > BYTES_MAX || self.blocks.contains_key(&first_offset) {
            return;
        }
        let kept = Kept {
            records,
            bytes,
            is_read,
        };
        self.blocks.insert(first_offset, kept);
        self.order.push_back(first_offset);
        self.bytes += bytes;
        if !is_read {
            self.waiting_bytes += bytes;
        }
        while self.bytes > BYTES_MAX {
            let Some(oldest) = self.order.pop_front() else {
                return;
            };
            if let Some(gone) = self.blocks.remove(&oldest) {
                self.bytes -= gone.bytes;
                if !gone.is_read {
                    self.waiting_bytes -= gone.bytes;
                }
            }
        }
    }

    /// The records of a block, if they are kept.
    pub(crate) fn get(&mut self, first_offset: u64) -> Option<Vec<LogRecord>> {
        let kept = self.blocks.get_mut(&first_offset)?;
        if !kept.is_read {
            kept.is_read = true;
            self.waiting_bytes -= kept.bytes;
        }
        Some(kept.records.clone())
    }

    /// Whether more may come before it is read.
    pub(crate) fn has_room(&self) -> bool {
        self.waiting_bytes < WAITING_BYTES_MAX
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use sluice_core::{Record, RecordKind};

    use super::*;

    fn block(offset: u64) -> Vec<LogRecord> {
        let record = Record {
            kind: RecordKind::Data,
            payload: Bytes::from(vec![b'x'; 10 << 20]),
            capture_time_us: 0,
            position: Bytes::new(),
            transaction: None,
        };
        vec![LogRecord { offset, record }]
    }

    #[test]
    fn the_oldest_go_first_and_what_waits_is_counted() {
        let mut recent = Recent::default();
        for offset in 0..4 {
            assert!(recent.has_room());
            recent.keep(offset, block(offset), false);
        }
        assert!(!recent.has_room());
        assert_eq!(recent.get(2).unwrap()[0].offset, 2);
        assert!(recent.has_room());
        for offset in 4..10 {
            recent.keep(offset, block(offset), true);
        }
        assert!(recent.bytes <= BYTES_MAX && recent.blocks.len() == 6);
        assert!(recent.get(3).is_none() && recent.get(4).is_some());
        assert_eq!(recent.waiting_bytes, 0);
    }
}
