//! Files of the binary log as a source: those that a backup holds, or those of
//! a server on the same machine. They are read in the order of their names and
//! then followed.

use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sluice_core::Clock;

use crate::batch::Batch;
use crate::binlog::decoder::{Decoded, Decoder};
use crate::binlog::event::{EventHeader, HEADER_BYTES, MAGIC, kind};
use crate::error::{LogError, Problem};
use crate::filter::TableFilter;
use crate::input::BadBytes;
use crate::position::DatabasePosition;

/// Bytes of events in one batch, about.
const BATCH_BYTES: usize = 4 << 20;
/// Bytes that are read at a time.
const READ_BYTES: usize = 1 << 20;
/// How long the rest of what is there in part may take before files count as
/// read to their end.
const REST_US_MAX: i64 = 1_000_000;

/// The files cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum FilesError {
    /// The path names no files.
    #[error("the path `{0}` of binary logs is not one; `*` may stand in the file's name only")]
    BadPath(String),
    /// The system refuses.
    #[error("{path}: {source}")]
    Io {
        /// File or folder.
        path: String,
        /// Cause.
        source: std::io::Error,
    },
    /// The file that was being read is gone, and others are there.
    #[error(
        "{file} was read to byte {offset} and is not among the files of {path}\n  help: put it back; without it changes would be missing"
    )]
    Gone {
        /// The file.
        file: String,
        /// How far it was read.
        offset: u64,
        /// Where it was looked for.
        path: String,
    },
    /// A file in between is missing.
    #[error(
        "{file} says that {expected} follows, but the next file is {found}\n  help: put the missing files there; without them changes would be missing"
    )]
    Missing {
        /// The file before.
        file: String,
        /// The file that should come.
        expected: String,
        /// The file that comes.
        found: String,
    },
    /// Something is wrong in a file.
    #[error(transparent)]
    Log(#[from] LogError),
}

/// A file that is being read.
#[derive(Debug)]
struct Open {
    file: File,
    name: String,
    /// Bytes that were read and not used, from `used` on.
    buffer: Vec<u8>,
    used: usize,
    /// Offset of `used` in the file.
    offset: u64,
    /// The file that its last event names.
    next: Option<String>,
    /// Its last event is one that ends a file.
    is_ended: bool,
}

/// The newest file ends in the middle of an event or a transaction: it is being
/// written, or was cut off.
#[derive(Debug)]
struct Halfway {
    /// Bytes of the file.
    bytes: u64,
    /// When it was seen first.
    since_us: i64,
    is_told: bool,
}

/// See the module.
#[derive(Debug)]
pub struct BinlogFiles {
    folder: PathBuf,
    pattern: String,
    clock: Arc<dyn Clock>,
    filter: TableFilter,
    decoder: Decoder,
    open: Option<Open>,
    halfway: Option<Halfway>,
    /// What reading ended with, to be said after what was read before it.
    failed: Option<FilesError>,
}

impl BinlogFiles {
    /// A source that goes on at `position`. `path` may have `*` in its last
    /// part.
    ///
    /// # Errors
    /// When the path names no file.
    pub fn open(
        path: &Path,
        filter: TableFilter,
        position: DatabasePosition,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, FilesError> {
        let bad = || FilesError::BadPath(path.display().to_string());
        let pattern = path
            .file_name()
            .and_then(|name| name.to_str())
            .ok_or_else(bad)?;
        let folder = path.parent().ok_or_else(bad)?;
        if folder.to_string_lossy().contains('*') {
            return Err(bad());
        }
        Ok(Self {
            folder: folder.to_owned(),
            pattern: pattern.to_owned(),
            clock,
            decoder: Decoder::of_files(position, filter.clone()),
            filter,
            open: None,
            halfway: None,
            failed: None,
        })
    }

    /// Reads on.
    ///
    /// # Errors
    /// When a file cannot be read or understood, or one is missing. What stands
    /// before that place was given. Whoever goes on gets the error again, unless
    /// the files were put right.
    pub fn poll(&mut self) -> Result<Batch, FilesError> {
        if let Some(error) = self.failed.take() {
            return Err(self.begin_again(error));
        }
        let mut decoded = Decoded::default();
        let now_us = self.clock.now_us();
        let mut at_end = match self.read(now_us, &mut decoded) {
            Ok(at_end) => at_end,
            Err(error) if decoded.records.is_empty() && decoded.warnings.is_empty() => {
                return Err(self.begin_again(error));
            }
            Err(error) => {
                self.failed = Some(error);
                false
            }
        };
        if at_end {
            // What holds no rows is not read again after a restart.
            decoded.records.extend(self.decoder.position_record(now_us));
            at_end = self.is_at_end(now_us, &mut decoded.warnings);
        }
        Ok(Batch {
            records: decoded.records,
            warnings: decoded.warnings,
            at_end,
            ..Batch::default()
        })
    }

    /// Reads a batch; true if nothing more is there.
    fn read(&mut self, now_us: i64, out: &mut Decoded) -> Result<bool, FilesError> {
        let mut bytes = 0;
        while bytes < BATCH_BYTES {
            if self.open.is_none() && !self.open_first()? {
                return Ok(true);
            }
            let Some(open) = &mut self.open else {
                continue;
            };
            let Some(range) = open.next_event(&self.folder)? else {
                if self.open_next(&mut out.warnings)? {
                    continue;
                }
                return Ok(true);
            };
            let begin = open.offset - range.len() as u64;
            let event = &open.buffer[range];
            bytes += event.len();
            if let Some(next) = self.decoder.next_file(event) {
                open.next = Some(next);
            }
            open.is_ended = matches!(event[4], kind::ROTATE | kind::STOP);
            self.decoder.event_of_file(event, begin, now_us, out)?;
        }
        Ok(false)
    }

    /// After an error reading begins again behind the last record that was given.
    fn begin_again(&mut self, error: FilesError) -> FilesError {
        let position = self.decoder.resume_position();
        self.decoder = Decoder::of_files(position, self.filter.clone());
        self.open = None;
        error
    }

    /// Whether nothing more is to be waited for, where nothing more is there. A
    /// file that stays as it is in the middle of an event or a transaction is
    /// told of once.
    fn is_at_end(&mut self, now_us: i64, warnings: &mut Vec<String>) -> bool {
        let Some(open) = &self.open else {
            return true;
        };
        let (left, is_inside) = (open.left(), self.decoder.is_in_transaction());
        if left == 0 && !is_inside {
            self.halfway = None;
            return true;
        }
        let bytes = open.offset + left as u64;
        match &mut self.halfway {
            Some(halfway) if halfway.bytes == bytes => {
                if now_us - halfway.since_us < REST_US_MAX {
                    return false;
                }
                if !std::mem::replace(&mut halfway.is_told, true) {
                    let (what, begin) = match left {
                        0 => ("a transaction", self.decoder.position().offset),
                        _ => ("an event", open.offset),
                    };
                    warnings.push(format!(
                        "{}: it ends at byte {bytes}, in the middle of {what} that begins at byte {begin}: the rest is waited for\n  help: if nobody writes the file any more, its end is missing: put back the whole file",
                        open.name
                    ));
                }
                true
            }
            _ => {
                self.halfway = Some(Halfway {
                    bytes,
                    since_us: now_us,
                    is_told: false,
                });
                false
            }
        }
    }

    /// Names of the files, in order.
    fn names(&self) -> Result<Vec<String>, FilesError> {
        let io = |source| FilesError::Io {
            path: self.folder.display().to_string(),
            source,
        };
        let mut names = Vec::new();
        for entry in std::fs::read_dir(&self.folder).map_err(io)? {
            let name = entry.map_err(io)?.file_name();
            if let Some(name) = name.to_str()
                && crate::filter::fits(&self.pattern, name)
                && !name.ends_with(".index")
                && !name.ends_with(".idx")
            {
                names.push(name.to_owned());
            }
        }
        names.sort_unstable();
        Ok(names)
    }

    /// Opens the file of the position, or the first one.
    fn open_first(&mut self) -> Result<bool, FilesError> {
        let names = self.names()?;
        let position = self.decoder.position();
        let name = match position.file.is_empty() {
            true => names.first().cloned(),
            false => names.iter().find(|name| **name == position.file).cloned(),
        };
        let Some(name) = name else {
            if position.file.is_empty() || names.is_empty() {
                return Ok(false);
            }
            return Err(FilesError::Gone {
                file: position.file.clone(),
                offset: position.offset,
                path: self.folder.join(&self.pattern).display().to_string(),
            });
        };
        let offset = position.offset;
        self.open_file(name, offset)
    }

    /// Opens the file after the open one, if there is one.
    fn open_next(&mut self, warnings: &mut Vec<String>) -> Result<bool, FilesError> {
        let Some(open) = &self.open else {
            return Ok(false);
        };
        let Some(next) = self.names()?.into_iter().find(|name| *name > open.name) else {
            return Ok(false);
        };
        // Something may have been appended between the look at the file and
        // the look at its folder.
        if open.has_more(&self.folder)? {
            return Ok(true);
        }
        open.check_end(&next)?;
        if let Some(expected) = &open.next
            && *expected != next
        {
            return Err(FilesError::Missing {
                file: open.name.clone(),
                expected: expected.clone(),
                found: next,
            });
        }
        let warning = (!open.is_ended).then(|| {
            format!(
                "{}: it ends at byte {} without the event that ends a file, and {next} follows: after a crash of its server that is so; else its end is missing, and with it changes",
                open.name, open.offset
            )
        });
        let is_open = self.open_file(next, 0)?;
        if is_open {
            warnings.extend(warning);
        }
        Ok(is_open)
    }

    /// Opens a file and reads its format; goes on at `offset`.
    fn open_file(&mut self, name: String, offset: u64) -> Result<bool, FilesError> {
        let path = self.folder.join(&name);
        let io = |source| FilesError::Io {
            path: path.display().to_string(),
            source,
        };
        let mut file = File::open(&path).map_err(io)?;
        let mut magic = Vec::new();
        file.by_ref().take(4).read_to_end(&mut magic).map_err(io)?;
        if magic.len() < MAGIC.len() && MAGIC.starts_with(&magic) {
            // It is being made.
            return Ok(false);
        }
        if magic != MAGIC {
            let why = match magic.as_slice() {
                [0xfd, b'b', b'i', b'n'] => {
                    ": it is encrypted\n  help: read it from the server, which decrypts it"
                }
                _ => "",
            };
            return Err(LogError {
                file: name,
                offset: 0,
                problem: Problem::NoLog(why),
            }
            .into());
        }
        let mut open = Open {
            file,
            name: name.clone(),
            buffer: Vec::new(),
            used: 0,
            offset: 4,
            next: None,
            is_ended: false,
        };
        self.decoder.begin_file(&name)?;
        if offset > 4 {
            // The description of the format comes first.
            let Some(range) = open.next_event(&self.folder)? else {
                return Ok(false);
            };
            let begin = open.offset - range.len() as u64;
            let event = &open.buffer[range];
            let mut nothing = Decoded::default();
            self.decoder.event_of_file(event, begin, 0, &mut nothing)?;
            open.seek(&self.folder, offset)?;
        }
        self.decoder.set_offset(open.offset);
        self.open = Some(open);
        Ok(true)
    }
}

impl Open {
    fn io(&self, folder: &Path, source: std::io::Error) -> FilesError {
        FilesError::Io {
            path: folder.join(&self.name).display().to_string(),
            source,
        }
    }

    fn seek(&mut self, folder: &Path, offset: u64) -> Result<(), FilesError> {
        let length = self.file.metadata().map(|meta| meta.len());
        let length = length.map_err(|source| self.io(folder, source))?;
        if length < offset {
            let problem =
                format!("the file was read to byte {offset} before and ends at byte {length}");
            return Err(self.bad(offset, problem));
        }
        let moved = self.file.seek(SeekFrom::Start(offset));
        moved.map_err(|source| self.io(folder, source))?;
        self.buffer.clear();
        self.used = 0;
        self.offset = offset;
        Ok(())
    }

    fn bad(&self, offset: u64, problem: String) -> FilesError {
        LogError {
            file: self.name.clone(),
            offset,
            problem: BadBytes::Invalid(problem).into(),
        }
        .into()
    }

    /// Where the next event stands in the buffer; `None` if it is not whole
    /// yet.
    fn next_event(&mut self, folder: &Path) -> Result<Option<std::ops::Range<usize>>, FilesError> {
        loop {
            let rest = &self.buffer[self.used..];
            let mut wanted = HEADER_BYTES;
            if rest.len() >= HEADER_BYTES {
                let header = EventHeader::read(rest).and_then(|header| {
                    // Before its length is believed.
                    header.check_place(self.offset)?;
                    Ok(header)
                });
                let header =
                    header.map_err(|problem| self.bad(self.offset, problem.to_string()))?;
                wanted = header.length as usize;
                if rest.len() >= wanted {
                    let range = self.used..self.used + wanted;
                    self.used += wanted;
                    self.offset += wanted as u64;
                    return Ok(Some(range));
                }
            }
            if !self.fill(folder, wanted)? {
                return Ok(None);
            }
        }
    }

    /// Reads more; false if there is nothing more. Memory grows with what is
    /// there, not with what a length says.
    fn fill(&mut self, folder: &Path, wanted: usize) -> Result<bool, FilesError> {
        self.buffer.drain(..self.used);
        self.used = 0;
        let room = wanted
            .saturating_sub(self.buffer.len())
            .clamp(READ_BYTES, 64 * READ_BYTES);
        let read = (&self.file).take(room as u64).read_to_end(&mut self.buffer);
        let read = read.map_err(|source| self.io(folder, source))?;
        Ok(read > 0)
    }

    fn has_more(&self, folder: &Path) -> Result<bool, FilesError> {
        let length = self.file.metadata().map(|meta| meta.len());
        let length = length.map_err(|source| self.io(folder, source))?;
        Ok(length > self.offset + self.left() as u64)
    }

    /// Bytes that are there of an event that is not whole.
    fn left(&self) -> usize {
        self.buffer.len() - self.used
    }

    /// Before the next file is begun this one must end with a whole event.
    fn check_end(&self, next: &str) -> Result<(), FilesError> {
        let left = self.left();
        if left == 0 {
            return Ok(());
        }
        Err(self.bad(
            self.offset,
            format!("the file ends in the middle of an event ({left} bytes of it are there), and {next} follows: its end is missing"),
        ))
    }
}
