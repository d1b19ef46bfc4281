//! The disk of a warehouse at work. A write for which there is no room waits until
//! there is some, and is then done as if nothing had been: capture, epochs and
//! checkpoints hold where they are, so that nothing is lost or comes twice.
//!
//! Only what the disk refuses before it takes it can wait. Where a sync fails nobody
//! knows what is on the disk: that ends the process as ever.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use sluice_core::{Disk, DiskFile, OpenMode};
use sluice_serve::Metric;

use crate::report::Reporter;

/// Time between two looks whether there is room.
const LOOK_INTERVAL: Duration = Duration::from_millis(200);

/// What all files of the disk know.
#[derive(Debug)]
struct Room {
    /// Nobody waits, or waits any more.
    gives_up: Arc<AtomicBool>,
    waiting: AtomicU64,
    metric: OnceLock<Metric>,
    reporter: Reporter,
}

/// See the module. Clones are the same disk.
#[derive(Debug, Clone)]
pub struct WaitingDisk {
    disk: Arc<dyn Disk>,
    room: Arc<Room>,
}

impl WaitingDisk {
    /// Waits for room on `disk`, unless `gives_up` is set.
    pub fn new(disk: Arc<dyn Disk>, gives_up: Arc<AtomicBool>, reporter: Reporter) -> Self {
        let room = Room {
            gives_up,
            waiting: AtomicU64::new(0),
            metric: OnceLock::new(),
            reporter,
        };
        Self {
            disk,
            room: Arc::new(room),
        }
    }

    /// Whether a write waits for room.
    pub fn is_waiting(&self) -> bool {
        self.room.waiting.load(Ordering::Acquire) > 0
    }

    /// Tells `metric` how many writes wait.
    pub fn tell(&self, metric: Metric) {
        metric.set(self.room.waiting.load(Ordering::Acquire));
        // There is one of the name.
        let _ = self.room.metric.set(metric);
    }
}

fn lacks_room(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded
    )
}

impl Room {
    /// Tries something until there is room for it. What is tried must leave nothing
    /// behind when there is none.
    fn until_done<T>(
        &self,
        path: &Path,
        mut attempt: impl FnMut() -> io::Result<T>,
    ) -> io::Result<T> {
        let mut is_waiting = false;
        let outcome = loop {
            match attempt() {
                Err(error) if lacks_room(&error) && !self.gives_up.load(Ordering::Acquire) => {
                    if !is_waiting {
                        is_waiting = true;
                        self.begin(path, &error);
                    }
                    std::thread::sleep(LOOK_INTERVAL);
                }
                outcome => break outcome,
            }
        };
        if is_waiting {
            self.end(outcome.is_ok());
        }
        outcome
    }

    fn begin(&self, path: &Path, error: &io::Error) {
        let others = self.waiting.fetch_add(1, Ordering::AcqRel);
        self.set_metric(others + 1);
        if others == 0 {
            self.reporter.warn(&format!(
                "there is no room on the disk for {}: {error}; sources and clients wait, views stay as they are, and nothing that was accepted is lost\n  help: free some space: it goes on by itself",
                path.display()
            ));
        }
    }

    fn end(&self, is_done: bool) {
        let others = self.waiting.fetch_sub(1, Ordering::AcqRel) - 1;
        self.set_metric(others);
        if others == 0 && is_done {
            self.reporter.info("there is room on the disk again");
        }
    }

    fn set_metric(&self, waiting: u64) {
        if let Some(metric) = self.metric.get() {
            metric.set(waiting);
        }
    }
}

impl Disk for WaitingDisk {
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Box<dyn DiskFile>> {
        if mode == OpenMode::Read {
            return self.disk.open(path, mode);
        }
        let file = (self.room).until_done(path, || self.disk.open(path, mode))?;
        Ok(Box::new(WaitingFile {
            length: file.len()?,
            file,
            path: path.to_path_buf(),
            room: self.room.clone(),
        }))
    }
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        self.disk.read(path)
    }
    fn list(&self, folder: &Path) -> io::Result<Vec<String>> {
        self.disk.list(folder)
    }
    fn create_dir_all(&self, folder: &Path) -> io::Result<()> {
        // Tried again it would not know which folders are new.
        self.disk.create_dir_all(folder)
    }
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        (self.room).until_done(to, || self.disk.rename(from, to))
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

/// A file that is written.
#[derive(Debug)]
struct WaitingFile {
    file: Box<dyn DiskFile>,
    length: u64,
    path: PathBuf,
    room: Arc<Room>,
}

impl DiskFile for WaitingFile {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        let (file, length) = (&mut self.file, self.length);
        let appended = self.room.until_done(&self.path, || {
            let appended = file.append(bytes);
            if appended.as_ref().is_err_and(lacks_room) {
                // A part of it may be there.
                file.set_len(length)?;
            }
            appended
        });
        appended?;
        self.length += bytes.len() as u64;
        Ok(())
    }
    fn sync(&mut self) -> io::Result<()> {
        self.file.sync()
    }
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        self.file.read_at(offset, buffer)
    }
    fn will_read(&self, offset: u64, length: u64) {
        self.file.will_read(offset, length);
    }
    fn set_len(&mut self, length: u64) -> io::Result<()> {
        self.file.set_len(length)?;
        self.length = length;
        Ok(())
    }
    fn len(&self) -> io::Result<u64> {
        self.file.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sluice_core::{FaultPlan, SimulatedDisk};
    use sluice_serve::Metrics;

    fn with_room_for(bytes: u64) -> SimulatedDisk {
        let disk = SimulatedDisk::new(1);
        disk.set_faults(FaultPlan {
            capacity_bytes: Some(bytes),
            ..FaultPlan::default()
        });
        disk
    }

    fn waiting(disk: &SimulatedDisk) -> (WaitingDisk, Arc<AtomicBool>) {
        let stop = Arc::new(AtomicBool::new(false));
        let disk = WaitingDisk::new(Arc::new(disk.clone()), stop.clone(), Reporter::silent());
        (disk, stop)
    }

    fn wait_until_waiting(disk: &WaitingDisk) {
        let is_so = (0..1_000).any(|_| {
            std::thread::sleep(Duration::from_millis(5));
            disk.is_waiting()
        });
        assert!(is_so, "it never waited");
    }

    #[test]
    fn what_has_no_room_is_written_once_when_there_is_some() {
        let simulated = with_room_for(10);
        let (disk, _) = waiting(&simulated);
        let metrics = Metrics::default();
        let metric = metrics.gauge("waits", "Waits.");
        disk.tell(metric.clone());
        let path = Path::new("a");
        let mut file = disk.open(path, OpenMode::Create).unwrap();
        file.append(b"01234").unwrap();
        std::thread::scope(|scope| {
            let writer = scope.spawn(|| {
                // Of which five bytes fit.
                file.append(b"abcdefghij").unwrap();
                file.append(b"X").unwrap();
            });
            wait_until_waiting(&disk);
            assert_eq!(metric.get(), 1);
            simulated.set_faults(FaultPlan::default());
            writer.join().unwrap();
        });
        assert!(!disk.is_waiting());
        assert_eq!(metric.get(), 0);
        assert_eq!(disk.read(path).unwrap(), b"01234abcdefghijX");
        // One that is opened again goes on behind what is there.
        let mut file = disk.open(path, OpenMode::Append).unwrap();
        file.append(b"Y").unwrap();
        assert_eq!(file.len().unwrap(), 17);
    }

    #[test]
    fn who_stops_does_not_wait() {
        let simulated = with_room_for(3);
        let (disk, stop) = waiting(&simulated);
        let path = Path::new("a");
        let mut file = disk.open(path, OpenMode::Create).unwrap();
        let error = std::thread::scope(|scope| {
            let writer = scope.spawn(|| file.append(b"abcdef").unwrap_err());
            wait_until_waiting(&disk);
            stop.store(true, Ordering::Release);
            writer.join().unwrap()
        });
        assert_eq!(error.kind(), io::ErrorKind::StorageFull);
        assert_eq!(disk.read(path).unwrap(), b"", "no part of it stays");
    }
}
