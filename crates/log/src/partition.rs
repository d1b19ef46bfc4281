//! One partition: its segments, and where each block lies.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sluice_core::{Disk, DiskFile, LogRecord, OpenMode, Record};

use crate::LogError;
use crate::block::{self, BLOCK_HEADER_BYTES, HEADER_BYTES};
use crate::error::io_error;

#[derive(Debug, Clone, Copy)]
struct Block {
    first_offset: u64,
    count: u32,
    /// Byte position of the block's header, and length of its body.
    position: u64,
    body_bytes: u32,
}

#[derive(Debug)]
struct Segment {
    path: PathBuf,
    first_offset: u64,
    blocks: Vec<Block>,
    bytes: u64,
    /// Capture time of the newest record, where known.
    newest_us: Option<i64>,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Partition {
    disk: Arc<dyn Disk>,
    folder: PathBuf,
    segments: Vec<Segment>,
    /// The last segment, open for appending.
    tail: Option<Box<dyn DiskFile>>,
    appended_end: u64,
    durable_end: u64,
    poisoned: bool,
}

impl Partition {
    pub(crate) fn open(disk: Arc<dyn Disk>, folder: &Path) -> Result<Self, LogError> {
        disk.create_dir_all(folder)
            .map_err(|error| io_error(folder, error))?;
        let mut names = disk.list(folder).map_err(|error| io_error(folder, error))?;
        names.retain(|name| name.ends_with(".seg"));
        let mut partition = Self {
            disk,
            folder: folder.to_path_buf(),
            segments: Vec::new(),
            tail: None,
            appended_end: 0,
            durable_end: 0,
            poisoned: false,
        };
        let last = names.len().wrapping_sub(1);
        for (index, name) in names.iter().enumerate() {
            partition.open_segment(name, index == last)?;
        }
        partition.durable_end = partition.appended_end;
        Ok(partition)
    }

    fn open_segment(&mut self, name: &str, is_last: bool) -> Result<(), LogError> {
        let path = self.folder.join(name);
        let bytes = self
            .disk
            .read(&path)
            .map_err(|error| io_error(&path, error))?;
        let named_offset = name.trim_end_matches(".seg").parse::<u64>();
        let Ok(first_offset) = named_offset else {
            return Err(damaged(&path, 0, "the file's name is not an offset"));
        };
        if is_last && bytes.len() < HEADER_BYTES as usize {
            // The crash came before the header was durable: nothing in it was
            // acknowledged.
            self.disk
                .remove(&path)
                .map_err(|error| io_error(&path, error))?;
            if self.segments.is_empty() && first_offset > 0 {
                self.appended_end = first_offset;
            }
            return Ok(());
        }
        block::check_header(&bytes).map_err(|source| LogError::Format {
            path: path.display().to_string(),
            source,
        })?;
        if self.segments.is_empty() {
            self.appended_end = first_offset;
        } else if first_offset != self.appended_end {
            let problem = format!(
                "starts at offset {first_offset}, the segment before ends at {}",
                self.appended_end
            );
            return Err(damaged(&path, 0, &problem));
        }
        let mut segment = Segment {
            path: path.clone(),
            first_offset,
            blocks: Vec::new(),
            bytes: HEADER_BYTES,
            newest_us: None,
        };
        let mut position = HEADER_BYTES as usize;
        while position < bytes.len() {
            match read_block(&bytes, position, self.appended_end) {
                Ok(found) => {
                    self.appended_end += u64::from(found.count);
                    position += BLOCK_HEADER_BYTES as usize + found.body_bytes as usize;
                    segment.blocks.push(found);
                }
                Err(problem) => {
                    if !is_last || followed_by_block(&bytes, position) {
                        return Err(damaged(&path, position as u64, problem));
                    }
                    break;
                }
            }
        }
        segment.bytes = position as u64;
        if let Some(last) = segment.blocks.last() {
            let start = (last.position + BLOCK_HEADER_BYTES) as usize;
            let body = &bytes[start..start + last.body_bytes as usize];
            let records = block::decode(body)
                .map_err(|error| damaged(&path, last.position, &error.to_string()))?;
            segment.newest_us = records.last().map(|record| record.record.capture_time_us);
        }
        if is_last {
            let mut file = self.open_file(&path, OpenMode::Append)?;
            if position < bytes.len() {
                file.set_len(position as u64)
                    .and_then(|()| file.sync())
                    .map_err(|error| io_error(&path, error))?;
            }
            self.tail = Some(file);
        }
        self.segments.push(segment);
        Ok(())
    }

    fn open_file(&self, path: &Path, mode: OpenMode) -> Result<Box<dyn DiskFile>, LogError> {
        self.disk
            .open(path, mode)
            .map_err(|error| io_error(path, error))
    }

    pub(crate) fn start_offset(&self) -> u64 {
        self.segments
            .first()
            .map_or(self.appended_end, |segment| segment.first_offset)
    }

    pub(crate) fn durable_end(&self) -> u64 {
        self.durable_end
    }

    fn check_poison(&self) -> Result<(), LogError> {
        if self.poisoned {
            return Err(LogError::Poisoned(self.folder.display().to_string()));
        }
        Ok(())
    }

    pub(crate) fn append(
        &mut self,
        records: &[Record],
        segment_bytes_max: u64,
    ) -> Result<u64, LogError> {
        self.check_poison()?;
        let first_offset = self.appended_end;
        let (Some(newest), Ok(count)) = (records.last(), u32::try_from(records.len())) else {
            return Ok(first_offset);
        };
        let is_full = self
            .segments
            .last()
            .is_none_or(|segment| segment.bytes >= segment_bytes_max);
        if is_full || self.tail.is_none() {
            // What the old segment holds must be durable before a newer one
            // exists, for only the last may have a torn tail.
            self.sync()?;
            self.start_segment()?;
        }
        let bytes = block::encode(first_offset, records);
        let (Some(tail), Some(segment)) = (&mut self.tail, self.segments.last_mut()) else {
            return Err(LogError::Poisoned(self.folder.display().to_string()));
        };
        if let Err(error) = tail.append(&bytes) {
            self.poisoned = true;
            return Err(io_error(&segment.path, error));
        }
        segment.blocks.push(Block {
            first_offset,
            count,
            position: segment.bytes,
            body_bytes: (bytes.len() as u64 - BLOCK_HEADER_BYTES) as u32,
        });
        segment.bytes += bytes.len() as u64;
        segment.newest_us = Some(newest.capture_time_us);
        self.appended_end += u64::from(count);
        Ok(first_offset)
    }

    fn start_segment(&mut self) -> Result<(), LogError> {
        let path = self.folder.join(format!("{:020}.seg", self.appended_end));
        self.poisoned = true;
        let mut file = self.open_file(&path, OpenMode::Create)?;
        file.append(&block::header())
            .and_then(|()| file.sync())
            .and_then(|()| self.disk.sync_dir(&self.folder))
            .map_err(|error| io_error(&path, error))?;
        self.poisoned = false;
        self.segments.push(Segment {
            path,
            first_offset: self.appended_end,
            blocks: Vec::new(),
            bytes: HEADER_BYTES,
            newest_us: None,
        });
        self.tail = Some(file);
        Ok(())
    }

    pub(crate) fn sync(&mut self) -> Result<(), LogError> {
        if self.durable_end == self.appended_end {
            return Ok(());
        }
        self.check_poison()?;
        if let Some(tail) = &mut self.tail
            && let Err(error) = tail.sync()
        {
            // After a failed sync the kernel may have dropped the pages; a
            // second sync would lie.
            self.poisoned = true;
            return Err(io_error(&self.folder, error));
        }
        self.durable_end = self.appended_end;
        Ok(())
    }

    /// Durable records from `from` to `to` (exclusive), whole blocks until
    /// `bytes_max` is passed.
    pub(crate) fn read(
        &self,
        from: u64,
        to: u64,
        bytes_max: usize,
    ) -> Result<Vec<LogRecord>, LogError> {
        let start = self.start_offset();
        if from < start || from > self.durable_end {
            return Err(LogError::OutOfRange {
                offset: from,
                start,
                end: self.durable_end,
            });
        }
        let to = to.min(self.durable_end);
        let mut records: Vec<LogRecord> = Vec::new();
        let mut bytes_read = 0;
        let first_segment = self
            .segments
            .partition_point(|segment| segment.first_offset <= from)
            .saturating_sub(1);
        for segment in self.segments.iter().skip(first_segment) {
            if segment.first_offset >= to {
                break;
            }
            let file = self.open_file(&segment.path, OpenMode::Read)?;
            let first_block = segment
                .blocks
                .partition_point(|block| block.first_offset + u64::from(block.count) <= from);
            for found in &segment.blocks[first_block..] {
                if found.first_offset >= to || (bytes_read >= bytes_max && !records.is_empty()) {
                    return Ok(records);
                }
                let block_records = read_records(file.as_ref(), &segment.path, found)?;
                bytes_read += found.body_bytes as usize;
                records.extend(
                    block_records
                        .into_iter()
                        .filter(|record| record.offset >= from && record.offset < to),
                );
            }
        }
        Ok(records)
    }

    pub(crate) fn retain(
        &mut self,
        keep_from_offset_max: u64,
        older_than_us: Option<i64>,
        bytes_max: Option<u64>,
    ) -> Result<u64, LogError> {
        let mut total: u64 = self.segments.iter().map(|segment| segment.bytes).sum();
        // The last segment stays: it is being written.
        while let [first, second, ..] = &self.segments[..] {
            let too_old = older_than_us
                .zip(first.newest_us)
                .is_some_and(|(limit, newest)| newest < limit);
            let too_large = bytes_max.is_some_and(|limit| total > limit);
            if second.first_offset > keep_from_offset_max || !(too_old || too_large) {
                break;
            }
            self.disk
                .remove(&first.path)
                .map_err(|error| io_error(&first.path, error))?;
            total -= first.bytes;
            self.segments.remove(0);
        }
        self.disk
            .sync_dir(&self.folder)
            .map_err(|error| io_error(&self.folder, error))?;
        Ok(self.start_offset())
    }
}

fn damaged(path: &Path, offset: u64, problem: &str) -> LogError {
    LogError::Damaged {
        path: path.display().to_string(),
        offset,
        problem: problem.to_owned(),
    }
}

/// Length of the body and the body itself, if the checksum holds.
fn checked_body(bytes: &[u8], position: usize) -> Option<&[u8]> {
    let header = bytes.get(position..position + BLOCK_HEADER_BYTES as usize)?;
    let length = u32::from_le_bytes(header[..4].try_into().ok()?) as usize;
    let checksum = u32::from_le_bytes(header[4..].try_into().ok()?);
    let start = position + BLOCK_HEADER_BYTES as usize;
    let body = bytes.get(start..start.checked_add(length)?)?;
    (crc32fast::hash(body) == checksum).then_some(body)
}

fn read_block(bytes: &[u8], position: usize, expected: u64) -> Result<Block, &'static str> {
    let Some(body) = checked_body(bytes, position) else {
        return Err("a block's checksum or length does not hold");
    };
    let Ok((first_offset, count)) = block::extent(body) else {
        return Err("a block is too short");
    };
    if first_offset != expected {
        return Err("a block's offset does not follow the block before");
    }
    Ok(Block {
        first_offset,
        count,
        position: position as u64,
        body_bytes: body.len() as u32,
    })
}

/// Whether a sound block stands behind the one at `position`: then the one at
/// `position` was durable once and is damaged, not torn.
fn followed_by_block(bytes: &[u8], position: usize) -> bool {
    let Some(header) = bytes.get(position..position + 4) else {
        return false;
    };
    let length = header
        .iter()
        .rev()
        .fold(0_usize, |value, byte| value << 8 | usize::from(*byte));
    let next = position
        .saturating_add(BLOCK_HEADER_BYTES as usize)
        .saturating_add(length);
    length > 0
        && next < bytes.len()
        && checked_body(bytes, next).is_some_and(|body| !body.is_empty())
}

fn read_records(
    file: &dyn DiskFile,
    path: &Path,
    found: &Block,
) -> Result<Vec<LogRecord>, LogError> {
    let mut bytes = vec![0; BLOCK_HEADER_BYTES as usize + found.body_bytes as usize];
    let count = file
        .read_at(found.position, &mut bytes)
        .map_err(|error: io::Error| io_error(path, error))?;
    if count < bytes.len() {
        return Err(damaged(
            path,
            found.position,
            "the file is shorter than it was",
        ));
    }
    let Some(body) = checked_body(&bytes, 0) else {
        return Err(damaged(
            path,
            found.position,
            "a block's checksum does not hold",
        ));
    };
    block::decode(body).map_err(|error| damaged(path, found.position, &error.to_string()))
}
