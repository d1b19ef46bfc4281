//! Records that lie in their source: they come back as they were, whether the
//! log still has them in memory or asks for them, and others are an error.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use bytes::Bytes;
use parking_lot::Mutex;
use sluice_core::{LogRecord, PartitionId, Record, RecordKind, SimulatedDisk, SourceRange};
use sluice_log::{
    Log, LogError, LogOptions, Reading, SourceLimits, SourcePlace, SourceReadError, SourceReader,
};

/// A source of records whose places are the numbers of a first one and of those
/// that follow.
#[derive(Debug, Default)]
struct Shelf {
    records: Mutex<Vec<Record>>,
    reads: AtomicU64,
    is_away: AtomicBool,
}

impl SourceReader for Shelf {
    fn read(
        &self,
        place: &[u8],
        limits: SourceLimits,
        is_stopped: &dyn Fn() -> bool,
    ) -> Result<Vec<Record>, SourceReadError> {
        self.reads.fetch_add(1, Ordering::Relaxed);
        if self.is_away.load(Ordering::Relaxed) {
            return Err(match is_stopped() {
                true => SourceReadError::Stopped,
                false => SourceReadError::Lost("it burnt down".into()),
            });
        }
        let records = self.records.lock();
        let (first, count) = (usize::from(place[0]), usize::from(place[1]));
        assert_eq!(limits.records, count);
        let found = records.iter().skip(first).take(count).cloned();
        // When they were captured is not known to the source.
        Ok(found
            .map(|record| Record {
                capture_time_us: 0,
                ..record
            })
            .collect())
    }

    fn words(&self, place: &[u8]) -> String {
        format!("records from {} on", place[0])
    }

    fn rest(&self) {}
}

fn record(number: usize) -> Record {
    Record {
        kind: match number % 3 {
            2 => RecordKind::Position,
            _ => RecordKind::Data,
        },
        payload: Bytes::from(format!("record {number}")),
        capture_time_us: 77,
        position: Bytes::from(number.to_string()),
        transaction: None,
    }
}

fn id() -> PartitionId {
    PartitionId {
        topic: "shop".into(),
        partition: 0,
    }
}

fn open(disk: &SimulatedDisk, shelf: &Arc<Shelf>) -> Log {
    let log = Log::open(
        Arc::new(disk.clone()),
        Path::new("log"),
        LogOptions::default(),
    );
    let log = log.unwrap();
    log.create_topic("shop", 1).unwrap();
    log.set_source("shop", shelf.clone()).unwrap();
    log
}

/// Ten records of a source, in two places, with a copied one between them.
fn filled() -> (SimulatedDisk, Arc<Shelf>, Log, Vec<Record>) {
    let (disk, shelf) = (SimulatedDisk::new(1), Arc::new(Shelf::default()));
    let log = open(&disk, &shelf);
    let records: Vec<Record> = (0..10).map(record).collect();
    shelf.records.lock().clone_from(&records);
    let range = |first: u8, count: u8| SourceRange {
        place: Bytes::from(vec![first, count]),
        records: records[usize::from(first)..usize::from(first + count)].to_vec(),
    };
    log.append_source(&id(), range(0, 4)).unwrap();
    log.append(&id(), &[record(99)]).unwrap();
    log.append_source(&id(), range(4, 6)).unwrap();
    log.sync().unwrap();
    let mut all = records;
    all.insert(4, record(99));
    (disk, shelf, log, all)
}

fn read(log: &Log, from: u64, to: u64) -> Result<Vec<LogRecord>, LogError> {
    log.read(&id(), from, to, usize::MAX)
}

#[test]
fn records_come_back_from_memory_and_from_their_source() {
    let (disk, shelf, log, all) = filled();
    let numbered = |from: usize, to: usize| -> Vec<LogRecord> {
        let records = all.iter().cloned().zip(0..).take(to).skip(from);
        let numbered = records.map(|(record, offset)| LogRecord { offset, record });
        numbered.collect()
    };
    assert_eq!(read(&log, 0, 11).unwrap(), numbered(0, 11));
    assert_eq!(shelf.reads.load(Ordering::Relaxed), 0);
    drop(log);
    let log = open(&disk, &shelf);
    assert_eq!(log.end_offset(&id()), 11);
    assert_eq!(read(&log, 0, 11).unwrap(), numbered(0, 11));
    // Parts of what was just read cost the source nothing more.
    assert_eq!(read(&log, 2, 3).unwrap(), numbered(2, 3));
    assert_eq!(read(&log, 6, 9).unwrap(), numbered(6, 9));
    assert_eq!(shelf.reads.load(Ordering::Relaxed), 2);
}

#[test]
fn other_records_are_an_error_and_so_is_a_source_that_is_gone() {
    let (disk, shelf, log, _) = filled();
    drop(log);
    let changes: [fn(&mut Vec<Record>); 5] = [
        |records| drop(records.pop()),
        |records| records[5].payload = Bytes::from_static(b"another"),
        |records| records[5].position = Bytes::from_static(b"elsewhere"),
        |records| records[5].kind = RecordKind::Data,
        |records| records.swap(6, 7),
    ];
    for change in changes {
        let before = shelf.records.lock().clone();
        change(&mut shelf.records.lock());
        let error = read(&open(&disk, &shelf), 0, 11).unwrap_err();
        assert!(
            matches!(error, LogError::SourceRecordsChanged { .. }),
            "{error}"
        );
        let said = error.to_string();
        for part in ["records from 4 on", "help:", "nothing was computed"] {
            assert!(said.contains(part), "{said}");
        }
        *shelf.records.lock() = before;
    }
    let log = open(&disk, &shelf);
    shelf.is_away.store(true, Ordering::Relaxed);
    let error = read(&log, 0, 11).unwrap_err();
    assert_eq!(error.to_string(), "it burnt down");
    log.stop_waiting_with(Arc::new(AtomicBool::new(true)));
    let error = read(&log, 0, 11).unwrap_err();
    assert!(matches!(error, LogError::Stopped(_)), "{error}");

    let disk = Arc::new(disk);
    let log = Log::open(disk, Path::new("log"), LogOptions::default()).unwrap();
    let error = read(&log, 0, 11).unwrap_err();
    assert!(
        matches!(&error, LogError::SourceUnknown(topic) if topic == "shop"),
        "{error}"
    );
}

#[test]
fn one_who_reads_may_have_a_place_and_a_stop_of_its_own() {
    let (disk, shelf, log, _) = filled();
    drop(log);
    let log = open(&disk, &shelf);
    let other = Arc::new(Shelf::default());
    other.records.lock().clone_from(&shelf.records.lock());
    let place = SourcePlace::Reader(other.clone());
    let reading = Reading {
        stop: Arc::new(AtomicBool::new(true)),
        places: BTreeMap::from([("shop".to_owned(), place)]),
    };
    shelf.is_away.store(true, Ordering::Relaxed);
    other.is_away.store(true, Ordering::Relaxed);
    let read_as = || log.read_as(&id(), 0, 11, usize::MAX, &reading);
    let error = read_as().unwrap_err();
    assert!(matches!(error, LogError::Stopped(_)), "{error}");
    // Nobody else stops, or reads there.
    let error = read(&log, 0, 11).unwrap_err();
    assert_eq!(error.to_string(), "it burnt down");
    assert_eq!(other.reads.load(Ordering::Relaxed), 1);
    reading.stop.store(false, Ordering::Relaxed);
    let error = read_as().unwrap_err();
    assert_eq!(error.to_string(), "it burnt down");
    log.stop_waiting_with(Arc::new(AtomicBool::new(true)));
    let error = read_as().unwrap_err();
    assert!(matches!(error, LogError::Stopped(_)), "{error}");
    other.is_away.store(false, Ordering::Relaxed);
    assert_eq!(read_as().unwrap().len(), 11);
    assert_eq!(shelf.reads.load(Ordering::Relaxed), 1);
}
