//! What one poll of a file source has collected.

use std::path::PathBuf;

use bytes::Bytes;
use sluice_core::{FileRange, RecordKind};

use crate::position::{FilePosition, POSITION_BYTES};
use crate::read_lines::{Line, ReadLines};

/// Records of one poll, with room for their positions.
#[derive(Debug, Default)]
pub(crate) struct Collected {
    pub(crate) records: Vec<(RecordKind, Bytes)>,
    pub(crate) positions: Vec<FilePosition>,
    pub(crate) ranges: Vec<(usize, FileRange)>,
    pub(crate) bytes: usize,
    pub(crate) warnings: Vec<String>,
    /// A file that is its own log and holds something else.
    pub(crate) changed: Option<PathBuf>,
}

impl Collected {
    pub(crate) fn push(&mut self, kind: RecordKind, payload: Bytes, position: FilePosition) {
        self.bytes += payload.len();
        self.records.push((kind, payload));
        self.positions.push(position);
    }

    /// Takes where the lines lie, if the file has a name to say so by. A line
    /// that was cut is taken itself.
    pub(crate) fn push_ranges(&mut self, file: Option<&str>, read: &ReadLines) {
        let lies_there = |line: &Line| line.place.is_some() && file.is_some();
        for lines in read.lines.chunk_by(|a, b| lies_there(a) && lies_there(b)) {
            let [first, ..] = lines else { continue };
            let (Some(file), Some(start)) = (file, first.place) else {
                let position = read.hashed(first.after);
                self.push(RecordKind::Data, first.payload.clone(), position);
                continue;
            };
            let mut end = start;
            let mut records = Vec::with_capacity(lines.len());
            for line in lines {
                let place = line.place.unwrap_or(end);
                records.push(((place - start) as u32, line.payload.len() as u32));
                end = place + line.payload.len();
            }
            let after = lines.last().map_or(first.after, |last| last.after);
            let mut position = Vec::with_capacity(POSITION_BYTES);
            read.hashed(after).encode(&mut position);
            let range = FileRange {
                file: file.to_owned(),
                start: read.bytes_start + start as u64,
                bytes: read.bytes.slice(start..end),
                records,
                capture_time_us: 0,
                position: position.into(),
            };
            self.bytes += range.bytes.len();
            self.ranges.push((self.records.len(), range));
        }
    }
}
