//! The file source: NDJSON and CSV files under a path with `*`.
//!
//! Files are read in rounds. A round lists the folder once and reads every
//! file that has changed, in the order of their names, to its present end.
//! Files that were renamed away come first: what is left in them is older than
//! what is in their successors.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use sluice_core::{Clock, FileRange, Record, RecordKind};

use crate::collected::Collected;
use crate::file_source_options::{FileFormat, FileSourceOptions};
use crate::folder::{FileState, Folder, FoundFile, key_of};
use crate::held_files::HeldFiles;
use crate::position::{FileKey, FilePosition, HEAD_BYTES_MAX, encode_all};
use crate::read_lines::{
    LineForm, ReadLines, continues, read_header, read_lines, with_longer_head,
};
use crate::troubles::Troubles;
use crate::{CaptureError, FilePositions};

/// A file of the same name goes on where its predecessor ended only if so many
/// bytes were read: shorter ones are too easily alike.
const SAME_NAME_BYTES_MIN: u64 = 64;

/// What one poll gave.
#[derive(Debug, Default)]
pub struct CaptureBatch {
    /// Records in order.
    pub records: Vec<Record>,
    /// Of a source that is its own log: more records, by where they lie. Each
    /// range stands behind so many of `records`.
    pub ranges: Vec<(usize, FileRange)>,
    /// True if there is nothing more for now: all files were read to the end
    /// that they had when the round began.
    pub at_end: bool,
    /// What a person should know. A trouble that lasts is told once.
    pub warnings: Vec<String>,
}

/// See the module.
#[derive(Debug)]
pub struct FileSource {
    options: FileSourceOptions,
    form: LineForm,
    clock: Arc<dyn Clock>,
    folder: Folder,
    positions: FilePositions,
    /// Files that are still to be read in this round.
    round: VecDeque<Pending>,
    /// What this round's listing showed.
    live: BTreeMap<FileKey, PathBuf>,
    /// Those of them that were read before, or are held open.
    met: BTreeSet<FileKey>,
    /// What a file was like when nothing more could be read of it.
    exhausted: BTreeMap<FileKey, FileState>,
    held: HeldFiles,
    /// Header line of files that are being read.
    headers: BTreeMap<FileKey, Bytes>,
    /// File whose header was emitted last.
    header_of: Option<FileKey>,
    /// What cannot be read at present.
    troubles: Troubles,
    /// Of a source that is its own log: how much of a file is durable.
    durable: BTreeMap<FileKey, u64>,
}

#[derive(Debug)]
struct Pending {
    found: FoundFile,
    /// A file that is no longer in the folder.
    gone: Option<Arc<File>>,
}

impl FileSource {
    /// Opens the source; reading starts where `positions` say.
    ///
    /// # Errors
    /// When the path is none. When its folder is missing or may not be read,
    /// unless the options say that it may be.
    pub fn open(
        options: FileSourceOptions,
        clock: Arc<dyn Clock>,
        positions: FilePositions,
    ) -> Result<Self, CaptureError> {
        let folder = Folder::new(&options.glob)?;
        if !options.folder_may_be_missing {
            folder.check()?;
        }
        let (csv_delimiter, has_header) = match options.format {
            FileFormat::Ndjson => (None, false),
            FileFormat::Csv {
                delimiter,
                has_header,
            } => (Some(delimiter), has_header),
        };
        let form = LineForm {
            csv_delimiter,
            has_header,
            follow: options.follow,
            chunk_bytes_max: options.batch_bytes_max.max(1),
            line_bytes_max: options.line_bytes_max.max(1),
            hashes_later: options.own_log,
        };
        Ok(Self {
            options,
            form,
            clock,
            folder,
            positions,
            round: VecDeque::new(),
            live: BTreeMap::new(),
            met: BTreeSet::new(),
            exhausted: BTreeMap::new(),
            held: HeldFiles::default(),
            headers: BTreeMap::new(),
            header_of: None,
            troubles: Troubles::default(),
            durable: BTreeMap::new(),
        })
    }

    /// The next records.
    ///
    /// # Errors
    /// When a file that is its own log was changed. A folder or file that
    /// cannot be read is a warning, and tried again at the next poll.
    pub fn poll(&mut self) -> Result<CaptureBatch, CaptureError> {
        let mut collected = Collected::default();
        if self.round.is_empty() {
            self.start_round(&mut collected);
        }
        while let Some(mut pending) = self.round.pop_front() {
            let path = pending.found.path.clone();
            match self.read_file(&mut pending, &mut collected) {
                Ok(has_more) => {
                    self.troubles.end(&path);
                    if has_more {
                        self.round.push_front(pending);
                    }
                }
                // Removed or renamed since it was listed.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => self.tell(&path, &error, &mut collected),
            }
            if collected.bytes >= self.form.chunk_bytes_max {
                break;
            }
        }
        if let Some(path) = collected.changed {
            return Err(CaptureError::Changed {
                path: path.display().to_string(),
                name: self.options.name.clone(),
            });
        }
        let capture_time_us = self.clock.now_us();
        for (_, range) in &mut collected.ranges {
            range.capture_time_us = capture_time_us;
        }
        let record = |((kind, payload), position)| Record {
            kind,
            payload,
            capture_time_us,
            position,
            transaction: None,
        };
        let positions = encode_all(&collected.positions);
        Ok(CaptureBatch {
            records: collected
                .records
                .into_iter()
                .zip(positions)
                .map(record)
                .collect(),
            ranges: collected.ranges,
            at_end: self.round.is_empty(),
            warnings: collected.warnings,
        })
    }

    /// Why the folder, or else one of its files, cannot be read, as long as it
    /// cannot.
    pub fn trouble(&self) -> Option<&str> {
        self.troubles.first()
    }

    /// Warns of a trouble, once as long as it lasts.
    fn tell(&mut self, path: &Path, error: &io::Error, collected: &mut Collected) {
        let Some(trouble) = self.troubles.begin(path, error) else {
            return;
        };
        collected.warnings.push(format!(
            "{trouble}; it is tried again (source `{}`)",
            self.options.name
        ));
    }

    fn start_round(&mut self, collected: &mut Collected) {
        let known: BTreeSet<u64> = self.positions.iter().map(|known| known.key.inode).collect();
        let listing = match self.folder.list(|inode| known.contains(&inode)) {
            Ok(listing) => listing,
            Err(error) => {
                let path = self.folder.path.clone();
                return self.tell(&path, &error, collected);
            }
        };
        if self.troubles.end(&self.folder.path) {
            collected.warnings.push(format!(
                "{}: can be read again (source `{}`)",
                self.folder.path.display(),
                self.options.name
            ));
        }
        self.troubles.keep(|path| listing.has(path));
        for (path, error) in &listing.refused {
            self.tell(path, error, collected);
        }
        let live = listing.files.iter();
        self.live = live.map(|file| (file.key, file.path.clone())).collect();
        self.met
            .retain(|key| self.live.contains_key(key) || self.held.holds(*key));
        self.exhausted.retain(|key, _| self.live.contains_key(key));
        self.headers
            .retain(|key, _| self.live.contains_key(key) || self.held.holds(*key));
        let mut renamed = VecDeque::new();
        for (found, file) in self.held.gone(&self.live, self.clock.now_us()) {
            let gone = Some(file);
            renamed.push_back(Pending { found, gone });
        }
        let mut others = VecDeque::new();
        for found in listing.files {
            if self.exhausted.get(&found.key) == Some(&found.state) {
                continue;
            }
            let was_renamed = match self.positions.get(found.key) {
                Some(position) => position.name_hash != found.name_hash,
                None => false,
            };
            let pending = Pending { found, gone: None };
            if was_renamed {
                renamed.push_back(pending);
            } else {
                others.push_back(pending);
            }
        }
        renamed.append(&mut others);
        self.round = renamed;
    }

    /// Reads the next part of a file; true if there is more in this round.
    fn read_file(&mut self, pending: &mut Pending, to: &mut Collected) -> io::Result<bool> {
        let file = match &pending.gone {
            Some(file) => file.clone(),
            None => Arc::new(File::open(&pending.found.path)?),
        };
        let metadata = file.metadata()?;
        let key = key_of(&metadata);
        if key != pending.found.key {
            // Another file took the name since it was listed: the next round
            // sees both.
            return Ok(false);
        }
        let state = FileState::of(&metadata);
        let Some(start) = self.position_of(&file, state.length, pending, to)? else {
            self.exhausted.insert(key, state);
            return Ok(false);
        };
        if self.options.own_log {
            self.make_durable(&file, key, state.length)?;
        }
        let mut read = read_lines(&file, state.length, start, &self.form)?;
        for (offset, problem) in read.problems.drain(..) {
            to.warnings.push(format!(
                "{}: at byte {offset} {problem}",
                pending.found.path.display()
            ));
        }
        let position = read.position;
        let name = pending.found.path.file_name();
        let name = name.and_then(|name| name.to_str()).map(str::to_owned);
        self.emit(&file, name, read, to)?;
        self.positions.set(position);
        self.met.insert(key);
        let has_moved = position.offset != start.offset;
        if has_moved && position.offset < pending.found.state.length {
            return Ok(true);
        }
        if position.offset == state.length || !has_moved {
            self.exhausted.insert(key, state);
        }
        if pending.gone.is_none() {
            self.held.hold(&pending.found, state, file);
        } else if has_moved {
            self.held.touch(key, self.clock.now_us());
        }
        Ok(false)
    }

    /// Where reading a file goes on; none for a file that is not meant.
    fn position_of(
        &mut self,
        file: &File,
        length: u64,
        pending: &Pending,
        to: &mut Collected,
    ) -> io::Result<Option<FilePosition>> {
        let found = &pending.found;
        let fresh = FilePosition::start(found.key, found.name_hash);
        let known = self.positions.get(found.key).copied();
        // Of a file that was empty only the inode is known. Another file may
        // have it by now, unless the first is held open.
        let tells_apart = |known: &FilePosition| {
            found.in_pattern || known.head_length > 0 || self.held.holds(found.key)
        };
        if let Some(known) = known
            && tells_apart(&known)
            && continues(file, length, &known)?
        {
            let known = FilePosition {
                name_hash: found.name_hash,
                ..known
            };
            if self.met.contains(&found.key) {
                return Ok(Some(known));
            }
            // Saved anew twice, it may be back on its first inode.
            let claimed = self.claim(file, length, &fresh)?;
            let is_farther = |claimed: &FilePosition| claimed.offset > known.offset;
            return Ok(Some(claimed.filter(is_farther).unwrap_or(known)));
        }
        if !found.in_pattern {
            return Ok(None);
        }
        self.headers.remove(&found.key);
        if self.header_of == Some(found.key) {
            self.header_of = None;
        }
        let claimed = self.claim(file, length, &fresh)?;
        if let Some(known) = known
            && known.offset > 0
            && claimed.is_none()
        {
            if self.options.own_log {
                to.changed = Some(found.path.clone());
                return Ok(None);
            }
            to.warnings.push(format!(
                "{}: holds other content than before (it was cut short or replaced); it is read from its start",
                found.path.display()
            ));
        }
        Ok(Some(claimed.unwrap_or(fresh)))
    }

    /// A file that nobody knows may continue one that is gone: saved anew by
    /// an editor, copied back from a backup, or moved between disks.
    fn claim(
        &self,
        file: &File,
        length: u64,
        fresh: &FilePosition,
    ) -> io::Result<Option<FilePosition>> {
        let whole_head = with_longer_head(file, length, *fresh)?;
        let mut best: Option<FilePosition> = None;
        for position in self.positions.iter() {
            let is_alike = if position.name_hash == fresh.name_hash {
                position.offset >= SAME_NAME_BYTES_MIN
            } else {
                usize::from(position.head_length) == HEAD_BYTES_MAX
                    && position.head_hash == whole_head.head_hash
            };
            let is_better = best.is_none_or(|best| position.offset > best.offset);
            if is_alike
                && is_better
                && continues(file, length, position)?
                && (position.key == fresh.key || !self.is_live(position)?)
            {
                best = Some(*position);
            }
        }
        Ok(best.map(|position| FilePosition {
            key: fresh.key,
            name_hash: fresh.name_hash,
            ..position
        }))
    }

    /// Whether the file that the position speaks of is still there. Its inode
    /// may be, under another file.
    fn is_live(&self, position: &FilePosition) -> io::Result<bool> {
        let Some(path) = self.live.get(&position.key) else {
            return Ok(false);
        };
        let file = match File::open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            Err(error) => return Err(error),
        };
        let metadata = file.metadata()?;
        Ok(key_of(&metadata) == position.key && continues(&file, metadata.len(), position)?)
    }

    /// Makes the first `length` bytes of a file durable: nobody else keeps what
    /// the log only points to.
    fn make_durable(&mut self, file: &File, key: FileKey, length: u64) -> io::Result<()> {
        if self.durable.get(&key).is_some_and(|&known| known >= length) {
            return Ok(());
        }
        match file.sync_data() {
            Err(error) if error.kind() != io::ErrorKind::ReadOnlyFilesystem => return Err(error),
            _ => self.durable.insert(key, length),
        };
        Ok(())
    }

    /// Turns lines into records, behind the header that they belong to. `name`
    /// is the file's, if it is UTF-8.
    fn emit(
        &mut self,
        file: &File,
        name: Option<String>,
        mut read: ReadLines,
        to: &mut Collected,
    ) -> io::Result<()> {
        let key = read.position.key;
        if let Some(header) = read.header.take() {
            self.headers.insert(key, header);
            if self.header_of == Some(key) {
                self.header_of = None;
            }
        }
        if self.form.has_header && !read.lines.is_empty() && self.header_of != Some(key) {
            let header = match self.headers.get(&key) {
                Some(header) => header.clone(),
                // After a restart the header is read again.
                None => read_header(file, &self.form)?,
            };
            self.headers.insert(key, header.clone());
            let start = read.lines_start;
            to.push(RecordKind::CsvHeader, header, read.hashed(start));
            self.header_of = Some(key);
        }
        if self.options.own_log {
            to.push_ranges(name.as_deref(), &read);
            return Ok(());
        }
        for line in read.lines {
            to.push(RecordKind::Data, line.payload, line.after);
        }
        Ok(())
    }
}
