//! The list of a partition's segments and of the blocks in them.

use std::path::Path;
use std::sync::Arc;

use crate::LogError;
use crate::block::Block;

/// One segment file.
#[derive(Debug)]
pub(crate) struct Segment {
    pub(crate) path: Arc<Path>,
    pub(crate) first_offset: u64,
    pub(crate) bytes: u64,
    /// Capture time of the newest record, where known.
    pub(crate) newest_us: Option<i64>,
    /// None until the segment is read for the first time.
    pub(crate) blocks: Option<Vec<Block>>,
}

impl Segment {
    pub(crate) fn new(
        path: &Path,
        first_offset: u64,
        bytes: u64,
        blocks: Option<Vec<Block>>,
    ) -> Self {
        Self {
            path: Arc::from(path),
            first_offset,
            bytes,
            newest_us: None,
            blocks,
        }
    }
}

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Index {
    pub(crate) segments: Vec<Segment>,
    pub(crate) appended_end: u64,
    pub(crate) durable_end: u64,
}

/// What to read next.
#[derive(Debug)]
pub(crate) enum Selected {
    /// There is nothing more.
    Nothing,
    /// The blocks of a segment must be found first.
    Unknown {
        path: Arc<Path>,
        bytes: u64,
        first_offset: u64,
        end_offset: u64,
    },
    /// Blocks of one segment, one at least.
    Blocks { path: Arc<Path>, blocks: Vec<Block> },
}

impl Index {
    pub(crate) fn set_ends(&mut self, end: u64) {
        self.appended_end = end;
        self.durable_end = end;
    }

    pub(crate) fn start_offset(&self) -> u64 {
        self.segments
            .first()
            .map_or(self.appended_end, |segment| segment.first_offset)
    }

    /// Length of the last segment.
    pub(crate) fn tail_bytes(&self) -> u64 {
        self.segments.last().map_or(0, |segment| segment.bytes)
    }

    /// Adds a block that was appended.
    pub(crate) fn push(&mut self, block: Block) {
        self.appended_end = block.end_offset();
        if let Some(segment) = self.segments.last_mut() {
            segment.bytes = block.end_place();
            segment.newest_us = segment.newest_us.max(Some(block.newest_us));
            segment.blocks.get_or_insert_default().push(block);
        }
    }

    /// Remembers the blocks of a segment, if it is still there.
    pub(crate) fn set_blocks(&mut self, first_offset: u64, blocks: Vec<Block>) {
        let mut segments = self.segments.iter_mut();
        if let Some(segment) = segments.find(|segment| segment.first_offset == first_offset) {
            segment.blocks = Some(blocks);
        }
    }

    pub(crate) fn check_start(&self, offset: u64) -> Result<(), LogError> {
        let start = self.start_offset();
        if offset < start || offset > self.durable_end {
            return Err(LogError::OutOfRange {
                offset,
                start,
                end: self.durable_end,
            });
        }
        Ok(())
    }

    /// Blocks that hold durable records from `from` to `to` (exclusive): of one
    /// segment, and about `bytes_max` bytes.
    pub(crate) fn select(
        &self,
        from: u64,
        to: u64,
        bytes_max: usize,
    ) -> Result<Selected, LogError> {
        self.check_start(from)?;
        let to = to.min(self.durable_end);
        let after = self
            .segments
            .partition_point(|segment| segment.first_offset <= from);
        let Some(segment) = after.checked_sub(1).and_then(|at| self.segments.get(at)) else {
            return Ok(Selected::Nothing);
        };
        if from >= to {
            return Ok(Selected::Nothing);
        }
        let next = self.segments.get(after);
        let path = segment.path.clone();
        let Some(known) = &segment.blocks else {
            return Ok(Selected::Unknown {
                path,
                bytes: segment.bytes,
                first_offset: segment.first_offset,
                end_offset: next.map_or(self.appended_end, |next| next.first_offset),
            });
        };
        let first = known.partition_point(|block| block.end_offset() <= from);
        let mut blocks = Vec::new();
        let mut bytes = 0_usize;
        for block in &known[first..] {
            if block.first_offset >= to || (bytes >= bytes_max && !blocks.is_empty()) {
                break;
            }
            bytes = bytes.saturating_add(block.body_bytes as usize);
            blocks.push(*block);
        }
        if blocks.is_empty() {
            return Ok(Selected::Nothing);
        }
        Ok(Selected::Blocks { path, blocks })
    }

    /// The first segment, if it is too old or all together are too large, and
    /// it holds nothing from `keep_from_offset_max` on. The last stays: it is
    /// being written.
    pub(crate) fn to_drop(
        &self,
        keep_from_offset_max: u64,
        older_than_us: Option<i64>,
        bytes_max: Option<u64>,
    ) -> Option<Arc<Path>> {
        let [first, second, ..] = &self.segments[..] else {
            return None;
        };
        let total: u64 = self.segments.iter().map(|segment| segment.bytes).sum();
        let is_too_old = older_than_us
            .zip(first.newest_us)
            .is_some_and(|(limit, newest)| newest < limit);
        let is_too_large = bytes_max.is_some_and(|limit| total > limit);
        let may_go = second.first_offset <= keep_from_offset_max;
        (may_go && (is_too_old || is_too_large)).then(|| first.path.clone())
    }
}
