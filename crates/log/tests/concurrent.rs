//! Readers and appends do not wait for each other, and opening does not read
//! what nobody asked for.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Duration;

use bytes::Bytes;
use parking_lot::Mutex;
use sluice_core::{Disk, DiskFile, OpenMode, PartitionId, Record, RecordKind, SimulatedDisk};
use sluice_log::{Log, LogError, LogOptions};

/// A disk that counts what is read, and stops readers on demand.
#[derive(Debug, Clone)]
struct WatchedDisk {
    disk: SimulatedDisk,
    watch: Arc<Watch>,
}

#[derive(Debug)]
struct Watch {
    bytes_read: AtomicU64,
    stops: AtomicBool,
    stopped: SyncSender<()>,
    go_on: Mutex<Receiver<()>>,
}

#[derive(Debug)]
struct WatchedFile {
    file: Box<dyn DiskFile>,
    watch: Arc<Watch>,
}

impl DiskFile for WatchedFile {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.append(bytes)
    }
    fn sync(&mut self) -> io::Result<()> {
        self.file.sync()
    }
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        if self.watch.stops.swap(false, Ordering::SeqCst) {
            self.watch.stopped.send(()).unwrap();
            self.watch.go_on.lock().recv().unwrap();
        }
        let count = self.file.read_at(offset, buffer)?;
        self.watch
            .bytes_read
            .fetch_add(count as u64, Ordering::SeqCst);
        Ok(count)
    }
    fn set_len(&mut self, length: u64) -> io::Result<()> {
        self.file.set_len(length)
    }
    fn len(&self) -> io::Result<u64> {
        self.file.len()
    }
}

impl Disk for WatchedDisk {
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Box<dyn DiskFile>> {
        Ok(Box::new(WatchedFile {
            file: self.disk.open(path, mode)?,
            watch: self.watch.clone(),
        }))
    }
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        let bytes = self.disk.read(path)?;
        self.watch
            .bytes_read
            .fetch_add(bytes.len() as u64, Ordering::SeqCst);
        Ok(bytes)
    }
    fn list(&self, folder: &Path) -> io::Result<Vec<String>> {
        self.disk.list(folder)
    }
    fn create_dir_all(&self, folder: &Path) -> io::Result<()> {
        self.disk.create_dir_all(folder)
    }
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.disk.rename(from, to)
    }
    fn remove(&self, path: &Path) -> io::Result<()> {
        self.disk.remove(path)
    }
    fn sync_dir(&self, folder: &Path) -> io::Result<()> {
        self.disk.sync_dir(folder)
    }
    fn exists(&self, path: &Path) -> bool {
        self.disk.exists(path)
    }
}

/// The disk, what tells that a reader stands, and what lets it go on.
fn watched() -> (WatchedDisk, Receiver<()>, SyncSender<()>) {
    let (stopped, is_stopped) = sync_channel(1);
    let (let_go, go_on) = sync_channel(1);
    let watch = Watch {
        bytes_read: AtomicU64::new(0),
        stops: AtomicBool::new(false),
        stopped,
        go_on: Mutex::new(go_on),
    };
    let disk = WatchedDisk {
        disk: SimulatedDisk::new(1),
        watch: Arc::new(watch),
    };
    (disk, is_stopped, let_go)
}

fn id() -> PartitionId {
    PartitionId {
        topic: "orders".into(),
        partition: 0,
    }
}

fn open(disk: &WatchedDisk) -> Log {
    let options = LogOptions {
        segment_bytes_max: 10_000,
        record_bytes_max: 1_000,
    };
    let log = Log::open(Arc::new(disk.clone()), Path::new("/log"), options).unwrap();
    log.create_topic("orders", 1).unwrap();
    log
}

fn append(log: &Log, count: u64) {
    for number in 0..count {
        let record = Record {
            kind: RecordKind::Data,
            payload: Bytes::from(vec![b'x'; 900]),
            capture_time_us: number as i64,
            position: Bytes::new(),
            transaction: None,
        };
        log.append(&id(), &[record]).unwrap();
    }
    log.sync().unwrap();
}

/// Stops a reader in the middle of its reading, does `meanwhile`, and gives
/// what the reader got.
fn while_reading(
    disk: &WatchedDisk,
    log: &Log,
    signals: (&Receiver<()>, &SyncSender<()>),
    meanwhile: impl FnOnce(),
) -> Result<u64, LogError> {
    let (is_stopped, let_go) = signals;
    disk.watch.stops.store(true, Ordering::SeqCst);
    std::thread::scope(|scope| {
        let reader = scope.spawn(|| log.read(&id(), 0, u64::MAX, usize::MAX));
        is_stopped.recv_timeout(Duration::from_secs(20)).unwrap();
        meanwhile();
        let_go.send(()).unwrap();
        Ok(reader.join().unwrap()?.len() as u64)
    })
}

#[test]
fn a_slow_reader_stops_no_one() {
    let (disk, is_stopped, let_go) = watched();
    append(&open(&disk), 100);
    // Of a log just opened the blocks are found by the first reader.
    let log = open(&disk);
    for _ in 0..2 {
        let (done, is_done) = sync_channel(1);
        let before = log.end_offset(&id());
        let read = while_reading(&disk, &log, (&is_stopped, &let_go), || {
            std::thread::scope(|scope| {
                scope.spawn(|| {
                    append(&log, 20);
                    done.send(log.end_offset(&id())).unwrap();
                });
                let end = is_done.recv_timeout(Duration::from_secs(20)).unwrap();
                assert_eq!(end, before + 20);
            });
        });
        assert_eq!(read.unwrap(), before + 20);
    }
}

#[test]
fn a_reader_is_told_when_retention_takes_what_it_reads() {
    let (disk, is_stopped, let_go) = watched();
    let log = open(&disk);
    append(&log, 100);
    let read = while_reading(&disk, &log, (&is_stopped, &let_go), || {
        log.retain(&id(), 90, None, Some(0)).unwrap();
    });
    let error = read.unwrap_err();
    assert!(matches!(error, LogError::OutOfRange { .. }), "{error}");
}

#[test]
fn opening_reads_the_last_segment_and_headers_only() {
    let (disk, ..) = watched();
    append(&open(&disk), 1_000);
    disk.watch.bytes_read.store(0, Ordering::SeqCst);
    let log = open(&disk);
    let bytes_read = disk.watch.bytes_read.load(Ordering::SeqCst);
    assert!(bytes_read < 20_000, "{bytes_read}");
    let records = log.read(&id(), 0, u64::MAX, usize::MAX).unwrap();
    assert_eq!(records.len(), 1_000);
    // The capture times of complete segments are known all the same.
    let start = log.retain(&id(), 1_000, Some(500), None).unwrap();
    assert!(start > 450 && start <= 500, "{start}");
}
