//! Reads the next lines of one file.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use bytes::Bytes;
use memchr::memchr;
use sluice_core::stable_hash;

use crate::lines::{LineEnd, line_end, without_break};
use crate::position::{BEFORE_BYTES_MAX, FilePosition, HEAD_BYTES_MAX};

/// Ends a line that was cut or never closes its quote. No UTF-8 text holds
/// this byte, so that the line cannot pass for a whole one: it becomes a dead
/// letter.
const CUT_MARK: u8 = 0xff;
/// A line break takes at most so many bytes.
const BREAK_BYTES_MAX: usize = 2;

/// How lines are read.
#[derive(Debug, Clone, Copy)]
pub(crate) struct LineForm {
    /// CSV with this delimiter; none for NDJSON.
    pub(crate) csv_delimiter: Option<u8>,
    pub(crate) has_header: bool,
    pub(crate) follow: bool,
    pub(crate) chunk_bytes_max: usize,
    pub(crate) line_bytes_max: usize,
    /// Positions of single lines lack the hash of the bytes before them until
    /// [`ReadLines::hashed`] gives it.
    pub(crate) hashes_later: bool,
}

/// A line, and where reading stands behind it.
#[derive(Debug)]
pub(crate) struct Line {
    pub(crate) payload: Bytes,
    pub(crate) after: FilePosition,
    /// Where the payload begins in [`ReadLines::bytes`]; none if it was made
    /// of a line that was cut.
    pub(crate) place: Option<usize>,
}

/// What was read of a file.
#[derive(Debug)]
pub(crate) struct ReadLines {
    /// The header line, if it was read.
    pub(crate) header: Option<Bytes>,
    /// Position before the first of the lines.
    pub(crate) lines_start: FilePosition,
    pub(crate) lines: Vec<Line>,
    /// Where reading stands.
    pub(crate) position: FilePosition,
    /// What is wrong with lines: byte position and problem.
    pub(crate) problems: Vec<(u64, String)>,
    /// What was read, and where it begins in the file.
    pub(crate) bytes: Bytes,
    pub(crate) bytes_start: u64,
}

impl ReadLines {
    /// The position with the hash of the bytes before it, which were read.
    pub(crate) fn hashed(&self, position: FilePosition) -> FilePosition {
        hashed(&self.bytes, self.bytes_start, position)
    }
}

fn hashed(bytes: &[u8], bytes_start: u64, mut position: FilePosition) -> FilePosition {
    let end = (position.offset - bytes_start) as usize;
    let from = end.saturating_sub(BEFORE_BYTES_MAX);
    position.before_hash = stable_hash(&bytes[from..end]);
    position
}

/// Bytes of a file, fewer only at its end.
pub(crate) fn read_part(file: &File, offset: u64, length: usize) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; length];
    let mut filled = 0;
    while filled < length {
        match file.read_at(&mut bytes[filled..], offset + filled as u64) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    bytes.truncate(filled);
    Ok(bytes)
}

/// Whether the file holds what was read when `position` was made.
pub(crate) fn continues(file: &File, length: u64, position: &FilePosition) -> io::Result<bool> {
    let head_length = usize::from(position.head_length);
    if position.offset > length || head_length as u64 > length {
        return Ok(false);
    }
    let head = read_part(file, 0, head_length)?;
    if head.len() < head_length || stable_hash(&head) != position.head_hash {
        return Ok(false);
    }
    let before_length = position.before_length();
    let before = read_part(file, position.offset - before_length as u64, before_length)?;
    Ok(before.len() == before_length && stable_hash(&before) == position.before_hash)
}

/// The header line of a file whose header was read before.
pub(crate) fn read_header(file: &File, form: &LineForm) -> io::Result<Bytes> {
    let first = read_part(file, 0, form.chunk_bytes_max)?;
    let longest = form.line_bytes_max + BREAK_BYTES_MAX;
    let bytes = if skip_blank(&first, form).is_none() && longest > first.len() {
        read_part(file, 0, longest)?
    } else {
        first
    };
    let header = skip_blank(&bytes, form).unwrap_or_default();
    Ok(Bytes::copy_from_slice(header))
}

/// The first line that is not blank, without its break.
fn skip_blank<'a>(mut bytes: &'a [u8], form: &LineForm) -> Option<&'a [u8]> {
    bytes = without_mark(bytes);
    while let LineEnd::At(end) = line_end(bytes, form.csv_delimiter) {
        let line = without_break(&bytes[..end]);
        if !line.is_empty() {
            return Some(line);
        }
        bytes = &bytes[end..];
    }
    None
}

/// A byte-order mark is not part of the first line.
fn without_mark(line: &[u8]) -> &[u8] {
    line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(line)
}

/// Reads lines from `start` on, about `chunk_bytes_max` bytes of them. `length`
/// is the present length of the file.
pub(crate) fn read_lines(
    file: &File,
    length: u64,
    start: FilePosition,
    form: &LineForm,
) -> io::Result<ReadLines> {
    let start = with_longer_head(file, length, start)?;
    let longest_line = form.line_bytes_max.saturating_add(BREAK_BYTES_MAX);
    let before = start.before_length();
    let available = usize::try_from(length - start.offset).unwrap_or(usize::MAX);
    let mut wanted = available.min(form.chunk_bytes_max);
    let read = |wanted: usize| read_part(file, start.offset - before as u64, before + wanted);
    let mut bytes = read(wanted)?;
    let is_longer = |end| matches!(end, LineEnd::Open { .. });
    if wanted < available.min(longest_line + 1)
        && is_longer(line_end(
            &bytes[before.min(bytes.len())..],
            form.csv_delimiter,
        ))
    {
        wanted = available.min(longest_line + 1);
        bytes = read(wanted)?;
    }
    // Less than asked for: the file is being cut short this moment.
    let is_whole = bytes.len() == before + wanted;
    let mut reading = Reading {
        bytes: Bytes::from(bytes),
        at: before,
        before,
        position: start,
        is_file_end: is_whole && wanted == available,
        form,
        header: None,
        header_pending: form.has_header && start.offset == 0,
        lines_start: None,
        lines: Vec::new(),
        problems: Vec::new(),
    };
    if is_whole {
        reading.run();
    }
    let bytes_start = start.offset - before as u64;
    let position = match form.hashes_later && is_whole {
        true => hashed(&reading.bytes, bytes_start, reading.position),
        false => reading.position,
    };
    Ok(ReadLines {
        header: reading.header,
        lines_start: reading.lines_start.unwrap_or(position),
        lines: reading.lines,
        position,
        problems: reading.problems,
        bytes: reading.bytes,
        bytes_start,
    })
}

/// Lets the position's head cover as much of the file as it may.
pub(crate) fn with_longer_head(
    file: &File,
    length: u64,
    mut position: FilePosition,
) -> io::Result<FilePosition> {
    let possible = length.min(HEAD_BYTES_MAX as u64) as usize;
    if possible > usize::from(position.head_length) {
        let head = read_part(file, 0, possible)?;
        position.head_length = head.len() as u16;
        position.head_hash = stable_hash(&head);
    }
    Ok(position)
}

/// The state of cutting one chunk into lines.
struct Reading<'a> {
    /// Some bytes before the start, then those that are new.
    bytes: Bytes,
    /// Position in `bytes`.
    at: usize,
    /// Number of bytes before the start.
    before: usize,
    position: FilePosition,
    is_file_end: bool,
    form: &'a LineForm,
    header: Option<Bytes>,
    /// The next line that is not blank is the header.
    header_pending: bool,
    lines_start: Option<FilePosition>,
    lines: Vec<Line>,
    problems: Vec<(u64, String)>,
}

impl Reading<'_> {
    fn run(&mut self) {
        let file_start = self.position.offset - self.before as u64;
        if self.position.in_cut_line && !self.pass_cut_line(file_start) {
            return;
        }
        while self.at < self.bytes.len() {
            let rest = &self.bytes[self.at..];
            let limit = self.form.line_bytes_max;
            let end = line_end(rest, self.form.csv_delimiter);
            match end {
                LineEnd::At(end) if without_break(&rest[..end]).len() <= limit => {
                    let payload = self.bytes.slice(self.at..self.at + end);
                    self.take_line(file_start, end, payload, false);
                }
                LineEnd::Open { in_quotes } if rest.len() <= limit + BREAK_BYTES_MAX => {
                    // The line goes on behind these bytes, or is still being
                    // written.
                    if self.form.follow || !self.is_file_end {
                        return;
                    }
                    if in_quotes {
                        self.cut_line(file_start, "opens a quote that is never closed");
                    } else {
                        let payload = self.bytes.slice(self.at..);
                        self.take_line(file_start, payload.len(), payload, false);
                    }
                }
                _ => {
                    let problem = format!("is longer than {limit} bytes (line_bytes_max)");
                    if !self.cut_line(file_start, &problem) {
                        return;
                    }
                }
            }
        }
    }

    /// Passes over the rest of a line that was cut; false if it does not end
    /// in these bytes.
    fn pass_cut_line(&mut self, file_start: u64) -> bool {
        let end = memchr(b'\n', &self.bytes[self.at..]);
        self.at = end.map_or(self.bytes.len(), |end| self.at + end + 1);
        self.position.in_cut_line = end.is_none() && (self.form.follow || !self.is_file_end);
        self.move_to(file_start, self.at);
        end.is_some()
    }

    /// Takes what there is of a line that is too long or has no end, marked as
    /// cut. A quote that swallows the following lines costs its own line only:
    /// it is cut at its first line break. False if the rest of the line is not
    /// in these bytes.
    fn cut_line(&mut self, file_start: u64, problem: &str) -> bool {
        let rest = &self.bytes[self.at..];
        let limit = self.form.line_bytes_max;
        let first_break = memchr(b'\n', rest);
        let kept = first_break.unwrap_or(rest.len()).min(limit);
        let mut payload = without_break(&rest[..kept]).to_vec();
        payload.push(CUT_MARK);
        let line_offset = file_start + self.at as u64;
        self.problems.push((
            line_offset,
            format!("the line {problem}; it was cut and becomes a dead letter"),
        ));
        let taken = first_break.map_or(rest.len(), |end| end + 1);
        let is_open = first_break.is_none() && (self.form.follow || !self.is_file_end);
        self.take_line(file_start, taken, Bytes::from(payload), is_open);
        if let Some(line) = self.lines.last_mut() {
            line.place = None;
        }
        !is_open
    }

    /// Emits the next `length` bytes as the line `payload`.
    fn take_line(&mut self, file_start: u64, length: usize, payload: Bytes, in_cut_line: bool) {
        let is_file_start = file_start + self.at as u64 == 0;
        let mut line = without_break(&payload);
        if is_file_start {
            line = without_mark(line);
        }
        let is_blank = match self.form.csv_delimiter {
            Some(_) => line.is_empty(),
            None => line.iter().all(u8::is_ascii_whitespace),
        };
        let skipped = line.as_ptr() as usize - payload.as_ptr() as usize;
        let place = Some(self.at + skipped);
        let payload = payload.slice_ref(line);
        let end = self.at + length;
        self.at = end;
        if self.header_pending {
            // Blank lines before the header count as read together with it.
            if !is_blank {
                self.header_pending = false;
                self.header = Some(Bytes::copy_from_slice(&payload));
                self.position.in_cut_line = in_cut_line;
                self.move_to(file_start, end);
            }
            return;
        }
        let before_line = self.position;
        self.position.in_cut_line = in_cut_line;
        self.move_to(file_start, end);
        if !is_blank {
            self.lines_start.get_or_insert(before_line);
            self.lines.push(Line {
                payload,
                after: self.position,
                place,
            });
        }
    }

    fn move_to(&mut self, file_start: u64, at: usize) {
        self.position.offset = file_start + at as u64;
        if !self.form.hashes_later {
            self.position = hashed(&self.bytes, file_start, self.position);
        }
    }
}
