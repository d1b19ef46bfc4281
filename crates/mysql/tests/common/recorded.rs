//! The recorded logs of `tests/logs`, how they are damaged, and what reading
//! comes to.

#![allow(dead_code, reason = "each test file uses a part of it")]

use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use sluice_core::{ManualClock, Record};
use sluice_mysql::binlog::event::{EventHeader, FormatDescription, HEADER_BYTES, MAGIC, kind};
use sluice_mysql::error::LogError;
use sluice_mysql::files::{BinlogFiles, FilesError};
use sluice_mysql::filter::TableFilter;
use sluice_mysql::position::DatabasePosition;

pub const FILE: &str = "log.000001";
/// Where an event's flags stand. The lowest bit of those of the first event says
/// that the file is in use, and is set without a new checksum.
pub const FLAGS_AT: usize = 17;
const IN_USE_AT: usize = 4 + FLAGS_AT;

pub struct Random(u64);

impl Random {
    pub fn of(round: u64) -> Self {
        Self(round.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as usize % limit.max(1)
    }

    /// Changes some bytes from `begin` to `end` in place.
    pub fn damage(&mut self, log: &mut [u8], begin: usize, end: usize) {
        let at = begin + self.below(end - begin);
        match self.below(3) {
            0 => log[at] ^= 1 << self.below(8),
            1 => log[at] = [0, 0xff, 0x7f, 0x80][self.below(4)],
            _ => {
                let until = (at + 1 + self.below(8)).min(end);
                log[at..until].fill(self.below(256) as u8);
            }
        }
    }
}

/// What reading came to.
#[derive(Debug, Default)]
pub struct Reading {
    /// What each transaction did, and where it ended in the file.
    pub transactions: Vec<(u64, Vec<Bytes>)>,
    /// What one did that did not end.
    pub open: Vec<Bytes>,
    pub error: Option<LogError>,
    pub warnings: Vec<String>,
}

impl Reading {
    pub fn take(&mut self, record: Record, position: &mut DatabasePosition) {
        if !record.payload.is_empty() {
            let parsed = serde_json::from_slice::<serde::de::IgnoredAny>(&record.payload);
            assert!(parsed.is_ok(), "{:?}", record.payload);
            self.open.push(record.payload);
        }
        if record.position.is_empty() {
            // The next record says where it ends.
            return;
        }
        position.apply(&record.position).unwrap();
        if record.transaction.is_none_or(|mark| mark.commit) && !self.open.is_empty() {
            let done = std::mem::take(&mut self.open);
            self.transactions.push((position.offset, done));
        }
    }

    /// Those that ended at this byte or before.
    pub fn until(&self, byte: usize) -> &[(u64, Vec<Bytes>)] {
        let ended = |(end, _): &(u64, Vec<Bytes>)| *end <= byte as u64;
        &self.transactions[..self.transactions.partition_point(ended)]
    }

    /// Whether it ended before what begins at this byte was reached.
    pub fn ends_before(&self, byte: usize) -> bool {
        let error = self.error.as_ref();
        error.is_some_and(|error| error.offset < byte as u64)
    }
}

pub fn read(path: &Path) -> Reading {
    read_tables(path, TableFilter::default())
}

pub fn read_tables(path: &Path, filter: TableFilter) -> Reading {
    let clock = Arc::new(ManualClock::new(0));
    let mut position = DatabasePosition::default();
    let mut files = BinlogFiles::open(path, filter, position.clone(), clock.clone()).unwrap();
    let mut reading = Reading::default();
    for seconds in 1..100 {
        let batch = match files.poll() {
            Ok(batch) => batch,
            Err(FilesError::Log(error)) => {
                reading.error = Some(error);
                return reading;
            }
            Err(error) => panic!("{error}"),
        };
        // A table that changes its name is told of, and is no damage.
        let mut warnings = batch.warnings;
        warnings.retain(|warning| !warning.contains(" from here on; what it held "));
        reading.warnings.extend(warnings);
        for record in batch.records {
            reading.take(record, &mut position);
        }
        if batch.at_end {
            return reading;
        }
        // The rest of what is there in part is waited for.
        clock.set_us(seconds * 1_000_000);
    }
    panic!("the files have no end");
}

/// An event of a log that is not damaged; the first bytes of the file stand for
/// one, of kind 0.
pub struct Event {
    pub begin: usize,
    pub end: usize,
    pub kind: u8,
}

/// A log that is not damaged.
pub struct Log {
    pub name: String,
    pub bytes: Vec<u8>,
    pub events: Vec<Event>,
    pub has_checksums: bool,
    pub sound: Reading,
}

impl Log {
    pub fn event_at(&self, byte: usize) -> &Event {
        let at = self.events.partition_point(|event| event.end <= byte);
        &self.events[at]
    }

    /// Where the first event begins that is not as it was; `None` if all are.
    pub fn first_damaged(&self, damaged: &[u8]) -> Option<&Event> {
        let is_other = |at: &usize| {
            let difference = self.bytes[*at] ^ damaged[*at];
            difference != 0 && (*at != IN_USE_AT || difference != 1)
        };
        let first = (0..damaged.len()).find(is_other)?;
        Some(self.event_at(first))
    }

    /// Makes the checksums of all events fit again, so that what is behind them
    /// is reached.
    pub fn mend_checksums(&self, log: &mut [u8]) {
        let mut at = 4;
        while let Some(Ok(header)) = log.get(at..).map(EventHeader::read) {
            let end = at + header.length as usize;
            if end - at < HEADER_BYTES + 4 || end > log.len() {
                return;
            }
            if self.has_checksums || header.kind == kind::FORMAT_DESCRIPTION {
                let checksum = crc32fast::hash(&log[at..end - 4]);
                log[end - 4..end].copy_from_slice(&checksum.to_le_bytes());
            }
            at = end;
        }
    }
}

/// The events of a log that is not damaged. What follows the one that says that the rest
/// is encrypted stands for one.
pub fn events(log: &[u8]) -> Vec<Event> {
    let mut events = vec![Event {
        begin: 0,
        end: MAGIC.len(),
        kind: 0,
    }];
    while let Some(before) = events.last()
        && before.end < log.len()
    {
        let begin = before.end;
        let (end, kind) = match before.kind {
            kind::MARIADB_START_ENCRYPTION => (log.len(), 0),
            _ => {
                let header = EventHeader::read(&log[begin..]).unwrap();
                (begin + header.length as usize, header.kind)
            }
        };
        events.push(Event { begin, end, kind });
    }
    events
}

/// All recorded logs, of servers of several kinds (`recorded_logs.rs`).
pub fn logs(folder: &Path) -> Vec<Log> {
    let recorded = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/logs");
    let mut paths: Vec<PathBuf> = std::fs::read_dir(recorded)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    paths.sort();
    let log = |path: PathBuf| {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let bytes = std::fs::read(&path).unwrap();
        let events = events(&bytes);
        let format = FormatDescription::read(&bytes[4 + HEADER_BYTES..events[1].end]).unwrap();
        let path = folder.join(FILE);
        std::fs::write(&path, &bytes).unwrap();
        Log {
            name,
            bytes,
            events,
            has_checksums: format.has_checksums,
            sound: read(&path),
        }
    };
    let logs: Vec<Log> = paths.into_iter().map(log).collect();
    assert!(logs.len() >= 17, "recorded logs are missing");
    logs
}
