//! The files of state parts: writing one, and reading parts of old ones that a
//! checkpoint moves.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sluice_core::{Disk, DiskFile, OpenMode};

use crate::StoreError;
use crate::manifest::PartEntry;
use crate::parquet_file::{checksum, io_error};

/// Parts are written in pieces of so many bytes.
const PIECE_BYTES: usize = 1 << 20;
/// So much is synced at a time. What the disk has to write must not pile up:
/// whoever else syncs, the log above all, would wait for all of it.
const SYNC_BYTES: usize = 16 << 20;

/// A state part that is not what was written.
pub(crate) fn damaged_part(path: &Path, name: &str) -> StoreError {
    StoreError::Damaged {
        path: path.display().to_string(),
        problem: format!("the state part `{name}` in it is damaged"),
    }
}

fn open_in(
    disk: &Arc<dyn Disk>,
    folder: &Path,
    name: &str,
    mode: OpenMode,
) -> Result<(PathBuf, Box<dyn DiskFile>), StoreError> {
    let path = folder.join(name);
    match disk.open(&path, mode) {
        Ok(file) => Ok((path, file)),
        Err(error) => Err(io_error(&path, error)),
    }
}

/// The file of a checkpoint's state parts.
pub(crate) struct StateFile {
    name: String,
    path: PathBuf,
    file: Box<dyn DiskFile>,
    waiting: Vec<u8>,
    /// Bytes of all parts.
    length: usize,
    /// Bytes written since the last sync.
    unsynced: usize,
}

impl StateFile {
    pub(crate) fn create(
        disk: &Arc<dyn Disk>,
        folder: &Path,
        name: &str,
    ) -> Result<Self, StoreError> {
        let (path, file) = open_in(disk, folder, name, OpenMode::Create)?;
        Ok(Self {
            name: name.to_owned(),
            path,
            file,
            waiting: Vec::new(),
            length: 0,
            unsynced: 0,
        })
    }

    /// Returns where `part` lies in the file.
    pub(crate) fn append(&mut self, part: &[u8]) -> Result<PartEntry, StoreError> {
        let entry = PartEntry {
            file: self.name.clone(),
            offset: self.length,
            length: part.len(),
            checksum: checksum(part),
        };
        self.length += part.len();
        if self.waiting.len() + part.len() > PIECE_BYTES {
            self.flush()?;
        }
        if part.len() <= PIECE_BYTES {
            self.waiting.extend_from_slice(part);
            return Ok(entry);
        }
        for piece in part.chunks(PIECE_BYTES) {
            self.write(piece)?;
        }
        Ok(entry)
    }

    fn flush(&mut self) -> Result<(), StoreError> {
        let mut waiting = std::mem::take(&mut self.waiting);
        self.write(&waiting)?;
        waiting.clear();
        self.waiting = waiting;
        Ok(())
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), StoreError> {
        let written = self.file.append(bytes);
        written.map_err(|error| io_error(&self.path, error))?;
        self.unsynced += bytes.len();
        match self.unsynced < SYNC_BYTES {
            true => Ok(()),
            false => self.sync_written(),
        }
    }

    fn sync_written(&mut self) -> Result<(), StoreError> {
        self.unsynced = 0;
        let synced = self.file.sync();
        synced.map_err(|error| io_error(&self.path, error))
    }

    /// Makes all parts durable.
    pub(crate) fn sync(mut self) -> Result<(), StoreError> {
        self.flush()?;
        self.sync_written()
    }
}

/// A state file of an earlier checkpoint, of which parts are read.
pub(crate) struct OldStateFile {
    path: PathBuf,
    file: Box<dyn DiskFile>,
    length: u64,
}

impl OldStateFile {
    pub(crate) fn open(
        disk: &Arc<dyn Disk>,
        folder: &Path,
        name: &str,
    ) -> Result<Self, StoreError> {
        let (path, file) = open_in(disk, folder, name, OpenMode::Read)?;
        let length = file.len().map_err(|error| io_error(&path, error))?;
        Ok(Self { path, file, length })
    }

    /// A part, which is as it was written.
    pub(crate) fn part(&self, name: &str, entry: &PartEntry) -> Result<Vec<u8>, StoreError> {
        let end = entry.offset.saturating_add(entry.length);
        // Asked before memory is taken for it.
        if end as u64 > self.length {
            return Err(damaged_part(&self.path, name));
        }
        let mut part = vec![0; entry.length];
        let read = self
            .file
            .read_at(entry.offset as u64, &mut part)
            .map_err(|error| io_error(&self.path, error))?;
        match read == part.len() && checksum(&part) == entry.checksum {
            true => Ok(part),
            false => Err(damaged_part(&self.path, name)),
        }
    }
}

/// Files of which less than half of the bytes are still in use.
pub(crate) fn mostly_dead_files(
    all: &BTreeMap<String, PartEntry>,
    kept: &BTreeMap<String, PartEntry>,
) -> BTreeSet<String> {
    let sizes = |parts: &BTreeMap<String, PartEntry>| {
        let mut sizes: BTreeMap<String, usize> = BTreeMap::new();
        for entry in parts.values() {
            let size = sizes.entry(entry.file.clone()).or_default();
            *size = size.saturating_add(entry.length);
        }
        sizes
    };
    let before = sizes(all);
    sizes(kept)
        .into_iter()
        .filter(|(file, size)| before.get(file).is_some_and(|before| size * 2 < *before))
        .map(|(file, _)| file)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use sluice_core::SimulatedDisk;

    const FOLDER: &str = "/store";

    #[test]
    fn parts_lie_one_behind_the_other_and_are_read_alone() {
        let disk: Arc<dyn Disk> = Arc::new(SimulatedDisk::new(1));
        let folder = Path::new(FOLDER);
        let mut state = StateFile::create(&disk, folder, "state").unwrap();
        let mut entries = Vec::new();
        // Pieces that wait, one larger than a piece, and one of no bytes.
        let lengths = [3, PIECE_BYTES - 4, 2, 2 * PIECE_BYTES + 1, 0, 5];
        for (number, length) in lengths.into_iter().enumerate() {
            let part = vec![number as u8; length];
            let entry = state.append(&part).unwrap();
            entries.push((part, entry));
        }
        state.sync().unwrap();
        let old = OldStateFile::open(&disk, folder, "state").unwrap();
        let mut offset = 0;
        for (part, entry) in &entries {
            assert_eq!((entry.offset, entry.length), (offset, part.len()));
            assert!(old.part("x", entry).unwrap() == *part);
            offset += part.len();
        }
        assert_eq!(old.length, offset as u64);
        let mut beyond = entries[0].1.clone();
        beyond.length = usize::MAX;
        let error = old.part("x", &beyond).unwrap_err().to_string();
        assert!(
            error.contains("/store/state: the state part `x`"),
            "{error}"
        );
    }

    #[test]
    fn what_is_written_is_durable_but_for_the_last_megabytes() {
        for seed in 0..20 {
            let simulated = SimulatedDisk::new(seed);
            let disk: Arc<dyn Disk> = Arc::new(simulated.clone());
            let folder = Path::new(FOLDER);
            let mut state = StateFile::create(&disk, folder, "state").unwrap();
            disk.sync_dir(folder).unwrap();
            state.append(&vec![1; SYNC_BYTES - PIECE_BYTES]).unwrap();
            state.append(&vec![2; 4 * PIECE_BYTES]).unwrap();
            simulated.crash();
            let bytes = disk.read(&folder.join("state")).unwrap();
            assert!(bytes.len() >= SYNC_BYTES, "{} bytes", bytes.len());
            assert_eq!(bytes[SYNC_BYTES - PIECE_BYTES - 1], 1);
            assert_eq!(bytes[SYNC_BYTES - 1], 2);
        }
    }
}
