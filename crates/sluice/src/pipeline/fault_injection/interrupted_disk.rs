//! A disk on which others are at work between two calls of the one that looks,
//! and which may lie.

use std::fmt;
use std::io;
use std::path::Path;
use std::sync::Arc;

use parking_lot::Mutex;
use sluice_core::{Disk, DiskFile, OpenMode, SimulatedDisk};

/// What happens in between.
pub type Visitor = Box<dyn FnMut() + Send>;

/// A call that says "done" and does nothing. With it the tests must fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lie {
    /// Syncing files below a folder.
    FileSync(&'static str),
    /// Syncing the names in a folder.
    FolderSync(&'static str),
}

/// Calls a visitor before calls that change names, if one is set: capture
/// appends while a checkpoint is written, and always at the same moments.
#[derive(Clone)]
pub struct InterruptedDisk {
    disk: SimulatedDisk,
    visitor: Arc<Mutex<Option<Visitor>>>,
    lie: Option<Lie>,
}

#[derive(Debug)]
struct LyingFile(Box<dyn DiskFile>);

impl DiskFile for LyingFile {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.0.append(bytes)
    }
    fn sync(&mut self) -> io::Result<()> {
        Ok(())
    }
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read_at(offset, buffer)
    }
    fn set_len(&mut self, length: u64) -> io::Result<()> {
        self.0.set_len(length)
    }
    fn len(&self) -> io::Result<u64> {
        self.0.len()
    }
}

impl fmt::Debug for InterruptedDisk {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.disk.fmt(formatter)
    }
}

impl InterruptedDisk {
    pub fn new(disk: SimulatedDisk, lie: Option<Lie>) -> Self {
        Self {
            disk,
            visitor: Arc::default(),
            lie,
        }
    }

    pub fn set_visitor(&self, visitor: Option<Visitor>) {
        *self.visitor.lock() = visitor;
    }

    fn interrupt(&self) {
        // Taken out, so that the visitor's own calls do not come back here.
        let visitor = self.visitor.lock().take();
        if let Some(mut visitor) = visitor {
            visitor();
            *self.visitor.lock() = Some(visitor);
        }
    }
}

impl Disk for InterruptedDisk {
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Box<dyn DiskFile>> {
        self.interrupt();
        let file = self.disk.open(path, mode)?;
        match self.lie {
            Some(Lie::FileSync(folder)) if path.starts_with(folder) => {
                Ok(Box::new(LyingFile(file)))
            }
            _ => Ok(file),
        }
    }
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        self.disk.read(path)
    }
    fn list(&self, folder: &Path) -> io::Result<Vec<String>> {
        self.disk.list(folder)
    }
    fn create_dir_all(&self, folder: &Path) -> io::Result<()> {
        self.disk.create_dir_all(folder)
    }
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.interrupt();
        self.disk.rename(from, to)
    }
    fn remove(&self, path: &Path) -> io::Result<()> {
        self.interrupt();
        self.disk.remove(path)
    }
    fn sync_dir(&self, folder: &Path) -> io::Result<()> {
        self.interrupt();
        match self.lie {
            Some(Lie::FolderSync(name)) if folder.starts_with(name) => Ok(()),
            _ => self.disk.sync_dir(folder),
        }
    }
    fn exists(&self, path: &Path) -> bool {
        self.disk.exists(path)
    }
}
