//! A disk on which others are at work between two calls of the one that looks.

use std::fmt;
use std::io;
use std::path::Path;
use std::sync::Arc;

use parking_lot::Mutex;
use sluice_core::{Disk, DiskFile, OpenMode, SimulatedDisk};

/// What happens in between.
pub type Visitor = Box<dyn FnMut() + Send>;

/// Calls a visitor before calls that change names, if one is set: capture
/// appends while a checkpoint is written, and always at the same moments.
#[derive(Clone)]
pub struct InterruptedDisk {
    disk: SimulatedDisk,
    visitor: Arc<Mutex<Option<Visitor>>>,
}

impl fmt::Debug for InterruptedDisk {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.disk.fmt(formatter)
    }
}

impl InterruptedDisk {
    pub fn new(disk: SimulatedDisk) -> Self {
        Self {
            disk,
            visitor: Arc::default(),
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
        self.disk.open(path, mode)
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
        self.disk.sync_dir(folder)
    }
    fn exists(&self, path: &Path) -> bool {
        self.disk.exists(path)
    }
}
