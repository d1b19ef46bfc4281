//! One partition: a row of segments, the last of which is written.
//!
//! Writers, readers and retention do not wait for each other's disk work: one
//! lock is for the file that is written, one for the list of what is there,
//! which nobody holds while the disk works.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::{Mutex, RwLock};
use sluice_core::{
    CodecError, Disk, DiskFile, FileRange, LogRecord, OpenMode, Record, SourceRange,
};

use crate::LogError;
use crate::block::{self, Block, Body};
use crate::compression;
use crate::error::{damaged, io_error};
use crate::file_range;
use crate::index::{Index, Segment, Selected};
use crate::reading::{SourcePlace, Way};
use crate::recent::Recent;
use crate::segment::{self, HEADER_BYTES, SegmentBefore, SegmentHeader};
use crate::source_range::{self, SourceReader};

/// The file that is written.
#[derive(Debug, Default)]
struct Tail {
    file: Option<Box<dyn DiskFile>>,
    poisoned: bool,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Partition {
    disk: Arc<dyn Disk>,
    folder: PathBuf,
    /// Taken before `index` by those who take both.
    tail: Mutex<Tail>,
    index: RwLock<Index>,
    /// Held while segments are dropped: true if one was removed and the
    /// folder not synced.
    dropping: Mutex<bool>,
    /// Where the files of the source lie, for records that are there.
    source_folder: RwLock<Option<PathBuf>>,
    /// Reads records again that lie in a source that keeps them.
    source: RwLock<Option<Arc<dyn SourceReader>>>,
    recent: Mutex<Recent>,
}

impl Partition {
    pub(crate) fn open(disk: Arc<dyn Disk>, folder: &Path) -> Result<Self, LogError> {
        disk.create_dir_all(folder)
            .map_err(|error| io_error(folder, error))?;
        let mut names = disk.list(folder).map_err(|error| io_error(folder, error))?;
        names.retain(|name| name.ends_with(".seg"));
        let partition = Self {
            disk,
            folder: folder.to_path_buf(),
            tail: Mutex::default(),
            index: RwLock::default(),
            dropping: Mutex::default(),
            source_folder: RwLock::default(),
            source: RwLock::default(),
            recent: Mutex::default(),
        };
        let mut paths = Vec::new();
        for name in names {
            let path = folder.join(&name);
            match name.trim_end_matches(".seg").parse::<u64>() {
                Ok(offset) => paths.push((path, offset)),
                Err(_) => return Err(damaged(&path, 0, "the file's name is not an offset")),
            }
        }
        partition.open_segments(paths)?;
        Ok(partition)
    }

    fn open_segments(&self, mut paths: Vec<(PathBuf, u64)>) -> Result<(), LogError> {
        let Some((path, first_offset)) = paths.pop() else {
            return Ok(());
        };
        let bytes = self.read_file(&path)?;
        if !segment::is_unborn(&bytes) {
            self.open_complete(&paths, Some((&path, &bytes)))?;
            return self.open_tail(&path, &bytes, first_offset, None);
        }
        self.disk
            .remove(&path)
            .map_err(|error| io_error(&path, error))?;
        // The segment before was complete, and is the last again.
        let Some((path, before_offset)) = paths.pop() else {
            self.index.write().set_ends(first_offset);
            return Ok(());
        };
        let bytes = self.read_file(&path)?;
        self.open_complete(&paths, Some((&path, &bytes)))?;
        self.open_tail(&path, &bytes, before_offset, Some(first_offset))
    }

    fn read_file(&self, path: &Path) -> Result<Vec<u8>, LogError> {
        self.disk.read(path).map_err(|error| io_error(path, error))
    }

    /// Lists the segments that are no longer written. Only their headers and
    /// lengths are looked at, here and in the last segment.
    fn open_complete(
        &self,
        paths: &[(PathBuf, u64)],
        last: Option<(&Path, &[u8])>,
    ) -> Result<(), LogError> {
        let mut complete: Vec<Segment> = Vec::new();
        for (path, first_offset) in paths {
            let file = self.open_file(path, OpenMode::Read)?;
            let mut bytes = [0; HEADER_BYTES];
            let count = file
                .read_at(0, &mut bytes)
                .map_err(|error| io_error(path, error))?;
            let length = file.len().map_err(|error| io_error(path, error))?;
            check_header(path, &bytes[..count], *first_offset, complete.last_mut())?;
            complete.push(Segment::new(path, *first_offset, length, None));
        }
        if let Some((path, bytes)) = last {
            let header =
                SegmentHeader::decode(bytes).map_err(|source| format_error(path, source))?;
            check_header(path, bytes, header.first_offset, complete.last_mut())?;
        }
        self.index.write().segments = complete;
        Ok(())
    }

    /// Reads the last segment and makes what is left of it durable. If it was
    /// complete, `must_end` is where it ended.
    fn open_tail(
        &self,
        path: &Path,
        bytes: &[u8],
        first_offset: u64,
        must_end: Option<u64>,
    ) -> Result<(), LogError> {
        let header = SegmentHeader::decode(bytes).map_err(|source| format_error(path, source))?;
        if header.first_offset != first_offset {
            return Err(damaged(path, 0, "the file's name is not its first offset"));
        }
        let found = segment::recover(path, bytes, first_offset)?;
        let end = found.blocks.last().map_or(first_offset, Block::end_offset);
        if must_end.is_some_and(|must_end| must_end != end) {
            let problem = "the blocks behind this byte are missing";
            return Err(damaged(path, found.bytes, problem));
        }
        let mut file = self.open_file(path, OpenMode::Append)?;
        if found.bytes < bytes.len() as u64 {
            file.set_len(found.bytes)
                .map_err(|error| io_error(path, error))?;
        }
        // What a killed process wrote can be read and yet not be on the disk.
        file.sync()
            .and_then(|()| self.disk.sync_dir(&self.folder))
            .map_err(|error| io_error(path, error))?;
        self.tail.lock().file = Some(file);
        let mut segment = Segment::new(path, first_offset, found.bytes, None);
        segment.newest_us = found.blocks.iter().map(|block| block.newest_us).max();
        segment.blocks = Some(found.blocks);
        let mut index = self.index.write();
        index.segments.push(segment);
        index.set_ends(end);
        Ok(())
    }

    fn open_file(&self, path: &Path, mode: OpenMode) -> Result<Box<dyn DiskFile>, LogError> {
        self.disk
            .open(path, mode)
            .map_err(|error| io_error(path, error))
    }

    pub(crate) fn start_offset(&self) -> u64 {
        self.index.read().start_offset()
    }

    pub(crate) fn durable_end(&self) -> u64 {
        self.index.read().durable_end
    }

    fn poisoned(&self) -> LogError {
        LogError::Poisoned(self.folder.display().to_string())
    }

    pub(crate) fn set_source_folder(&self, folder: PathBuf) {
        *self.source_folder.write() = Some(folder);
    }

    pub(crate) fn set_source(&self, source: Arc<dyn SourceReader>) {
        *self.source.write() = Some(source);
    }

    /// Nothing of the source is being read again.
    pub(crate) fn rest_source(&self) {
        let source = self.source.read().clone();
        if let Some(source) = source {
            source.rest();
        }
    }

    /// Whether a source that is its own log may go on before what it gave is
    /// read.
    pub(crate) fn has_room(&self) -> bool {
        self.recent.lock().has_room()
    }

    /// Appends records as one block; gives the offset of the first.
    pub(crate) fn append(
        &self,
        records: &[Record],
        segment_bytes_max: u64,
    ) -> Result<u64, LogError> {
        self.append_body(Body::of_records(records), segment_bytes_max)
    }

    /// Appends where the records of `range` lie; gives the offset of the first.
    pub(crate) fn append_range(
        &self,
        range: &FileRange,
        segment_bytes_max: u64,
    ) -> Result<u64, LogError> {
        self.append_body(Body::of_range(range), segment_bytes_max)
    }

    /// Appends where the records of `range` lie; gives the offset of the first.
    pub(crate) fn append_source(
        &self,
        range: SourceRange,
        segment_bytes_max: u64,
    ) -> Result<u64, LogError> {
        let first_offset = self.append_body(Body::of_source(&range), segment_bytes_max)?;
        if !range.records.is_empty() {
            let records = source_range::numbered(range.records, first_offset);
            self.recent.lock().keep(first_offset, records, false);
        }
        Ok(first_offset)
    }

    /// Appends a block. Its body was made before, so that nobody waits for what
    /// makes it.
    fn append_body(&self, body: Option<Body>, segment_bytes_max: u64) -> Result<u64, LogError> {
        let body = body.ok_or(LogError::AppendTooLarge)?;
        let mut tail = self.tail.lock();
        if tail.poisoned {
            return Err(self.poisoned());
        }
        let first_offset = self.index.read().appended_end;
        if body.is_empty() {
            return Ok(first_offset);
        }
        let is_full = self.index.read().tail_bytes() >= segment_bytes_max;
        if is_full || tail.file.is_none() {
            // What the old segment holds must be durable before a newer one
            // exists, for only the last may have a torn tail.
            self.sync_tail(&mut tail)?;
            self.start_segment(&mut tail)?;
        }
        let (place, durable_end) = {
            let index = self.index.read();
            (index.tail_bytes(), index.durable_end)
        };
        let (block, bytes) = body.into_block(place, first_offset, durable_end);
        let Some(file) = &mut tail.file else {
            return Err(self.poisoned());
        };
        if let Err(error) = file.append(&bytes) {
            tail.poisoned = true;
            return Err(io_error(&self.folder, error));
        }
        self.index.write().push(block);
        Ok(first_offset)
    }

    fn start_segment(&self, tail: &mut Tail) -> Result<(), LogError> {
        let (header, path) = {
            let index = self.index.read();
            let before = index.segments.last().map(|last| SegmentBefore {
                first_offset: last.first_offset,
                bytes: last.bytes,
                newest_us: last.newest_us.unwrap_or(i64::MIN),
            });
            let first_offset = index.appended_end;
            let header = SegmentHeader {
                first_offset,
                before,
            };
            (header, self.folder.join(format!("{first_offset:020}.seg")))
        };
        tail.poisoned = true;
        let mut file = self.open_file(&path, OpenMode::Create)?;
        file.append(&header.encode())
            .and_then(|()| file.sync())
            .and_then(|()| self.disk.sync_dir(&self.folder))
            .map_err(|error| io_error(&path, error))?;
        tail.poisoned = false;
        tail.file = Some(file);
        let bytes = HEADER_BYTES as u64;
        let segment = Segment::new(&path, header.first_offset, bytes, Some(Vec::new()));
        self.index.write().segments.push(segment);
        Ok(())
    }

    /// Makes everything appended so far durable.
    pub(crate) fn sync(&self) -> Result<(), LogError> {
        self.sync_tail(&mut self.tail.lock())
    }

    fn sync_tail(&self, tail: &mut Tail) -> Result<(), LogError> {
        let appended_end = {
            let index = self.index.read();
            if index.durable_end == index.appended_end {
                return Ok(());
            }
            index.appended_end
        };
        if tail.poisoned {
            return Err(self.poisoned());
        }
        if let Some(file) = &mut tail.file
            && let Err(error) = file.sync()
        {
            // After a failed sync the kernel may have dropped the pages; a
            // second sync would lie.
            tail.poisoned = true;
            return Err(io_error(&self.folder, error));
        }
        self.index.write().durable_end = appended_end;
        Ok(())
    }

    /// Durable records from `from` to `to` (exclusive), whole blocks until
    /// `bytes_max` is passed.
    pub(crate) fn read(
        &self,
        from: u64,
        to: u64,
        bytes_max: usize,
        way: &Way<'_>,
    ) -> Result<Vec<LogRecord>, LogError> {
        let mut records: Vec<LogRecord> = Vec::new();
        let mut next = from;
        let mut budget = bytes_max;
        loop {
            // Not in the `match`: the lock would be held for as long.
            let selected = self.index.read().select(next, to, budget)?;
            match selected {
                Selected::Nothing => return Ok(records),
                Selected::Unknown {
                    path,
                    bytes,
                    first_offset,
                    end_offset,
                } => {
                    let file = self.open_to_read(&path, first_offset)?;
                    let file = file.as_ref();
                    let blocks =
                        segment::find_blocks(file, &path, bytes, first_offset, end_offset)?;
                    self.index.write().set_blocks(first_offset, blocks);
                }
                Selected::Blocks { path, blocks } => {
                    let file = self.open_to_read(&path, next)?;
                    for block in blocks {
                        let mut found = self.read_records(file.as_ref(), &path, &block, way)?;
                        if block.first_offset < from || block.end_offset() > to {
                            found.retain(|record| record.offset >= from && record.offset < to);
                        }
                        let payloads = found.iter().map(|record| record.record.payload.len());
                        budget = budget.saturating_sub(payloads.sum());
                        append(&mut records, found);
                        next = block.end_offset();
                        if budget == 0 {
                            return Ok(records);
                        }
                    }
                }
            }
        }
    }

    fn read_records(
        &self,
        file: &dyn DiskFile,
        path: &Path,
        block: &Block,
        way: &Way<'_>,
    ) -> Result<Vec<LogRecord>, LogError> {
        let kept = self.recent.lock().get(block.first_offset);
        if let Some(records) = kept {
            return Ok(records);
        }
        let mut stored = vec![0; block.body_bytes as usize];
        let count = file
            .read_at(block.body_place(), &mut stored)
            .map_err(|error| io_error(path, error))?;
        if count < stored.len() {
            let problem = "the file is shorter than it was";
            return Err(damaged(path, block.place, problem));
        }
        if !block.has_body(&stored) {
            let problem = "a block's checksum does not hold";
            return Err(damaged(path, block.place, problem));
        }
        let of_block = |error: CodecError| damaged(path, block.place, &error.to_string());
        let body = compression::unpack(stored).map_err(of_block)?;
        match body.first() {
            Some(&source_range::MARK) => {
                let range = source_range::decode(&body).map_err(of_block)?;
                let source = match way.place {
                    Some(SourcePlace::Reader(source)) => Some(source.clone()),
                    _ => self.source.read().clone(),
                };
                let Some(source) = source else {
                    return Err(LogError::SourceUnknown(self.topic()));
                };
                let records = range.read(source.as_ref(), block, way.is_stopped)?;
                let mut recent = self.recent.lock();
                recent.keep(block.first_offset, records.clone(), true);
                return Ok(records);
            }
            Some(&file_range::MARK) => {}
            _ => return block::decode(block, body).map_err(of_block),
        }
        let range = file_range::decode(block, &body).map_err(of_block)?;
        let folder = match way.place {
            Some(SourcePlace::Folder(folder)) => Some(folder.clone()),
            _ => self.source_folder.read().clone(),
        };
        let Some(folder) = folder else {
            let problem = "its records lie in files of a source that the project no longer names";
            return Err(damaged(path, block.place, problem));
        };
        range.read(self.disk.as_ref(), &folder, block)
    }

    /// The topic, which the folder above is named by.
    fn topic(&self) -> String {
        let above = self.folder.parent().and_then(Path::file_name);
        above.map_or_else(String::new, |name| name.to_string_lossy().into_owned())
    }

    /// Opens a segment that holds `offset`; retention may have dropped it a
    /// moment ago.
    fn open_to_read(&self, path: &Path, offset: u64) -> Result<Box<dyn DiskFile>, LogError> {
        match self.disk.open(path, OpenMode::Read) {
            Ok(file) => Ok(file),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                // Waits until the list is right again.
                drop(self.dropping.lock());
                self.index.read().check_start(offset)?;
                Err(io_error(path, error))
            }
            Err(error) => Err(io_error(path, error)),
        }
    }

    pub(crate) fn retain(
        &self,
        keep_from_offset_max: u64,
        older_than_us: Option<i64>,
        bytes_max: Option<u64>,
    ) -> Result<u64, LogError> {
        let mut is_unsynced = self.dropping.lock();
        loop {
            if *is_unsynced {
                // Before the next: a crash between two removals could keep the
                // first file and lose the second.
                self.disk
                    .sync_dir(&self.folder)
                    .map_err(|error| io_error(&self.folder, error))?;
                *is_unsynced = false;
            }
            let first = self
                .index
                .read()
                .to_drop(keep_from_offset_max, older_than_us, bytes_max);
            let Some(path) = first else {
                return Ok(self.start_offset());
            };
            self.disk
                .remove(&path)
                .map_err(|error| io_error(&path, error))?;
            *is_unsynced = true;
            self.index.write().segments.remove(0);
        }
    }
}

fn format_error(path: &Path, source: sluice_core::CodecError) -> LogError {
    LogError::Format {
        path: path.display().to_string(),
        source,
    }
}

/// Checks a segment's header, and what it says of the segment before.
fn check_header(
    path: &Path,
    bytes: &[u8],
    first_offset: u64,
    before: Option<&mut Segment>,
) -> Result<(), LogError> {
    let header = SegmentHeader::decode(bytes).map_err(|source| format_error(path, source))?;
    if header.first_offset != first_offset {
        return Err(damaged(path, 0, "the file's name is not its first offset"));
    }
    let Some(before) = before else {
        return Ok(());
    };
    let Some(said) = header
        .before
        .filter(|said| said.first_offset == before.first_offset)
    else {
        let problem = format!(
            "a segment is missing between this one and {}",
            before.path.display()
        );
        return Err(damaged(path, 0, &problem));
    };
    if said.bytes != before.bytes {
        let problem = format!(
            "has {} bytes, and had {} when it was complete",
            before.bytes, said.bytes
        );
        return Err(damaged(
            &before.path,
            said.bytes.min(before.bytes),
            &problem,
        ));
    }
    before.newest_us = (said.newest_us != i64::MIN).then_some(said.newest_us);
    Ok(())
}

/// Appends `more`, without moving anything if there was nothing before.
fn append(records: &mut Vec<LogRecord>, mut more: Vec<LogRecord>) {
    match records.is_empty() {
        true => *records = more,
        false => records.append(&mut more),
    }
}
