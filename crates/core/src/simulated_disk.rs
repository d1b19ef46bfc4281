//! A disk in memory that fails on demand: it loses, tears and reorders what
//! was not synced, and fills up.

use std::collections::BTreeMap;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;

use crate::{Disk, DiskFile, OpenMode};

/// What goes wrong, and when. Counters start at the last
/// [`SimulatedDisk::set_faults`].
#[derive(Debug, Clone, Copy, Default)]
pub struct FaultPlan {
    /// After so many bytes appends fail with "no space left", having written
    /// the part that still fitted.
    pub capacity_bytes: Option<u64>,
    /// After so many calls that change something, every call fails, as if the
    /// process had been killed there. The last append is torn.
    pub crash_after_calls: Option<u64>,
}

#[derive(Debug, Clone, Default)]
struct Content {
    /// What survives a crash for certain.
    durable: Vec<u8>,
    /// What readers see: written, perhaps not synced.
    visible: Vec<u8>,
    /// What somebody said that it would read.
    announced: Vec<Range<u64>>,
    /// Reads of anything else.
    surprising_reads: u64,
}

type FileCell = Arc<Mutex<Content>>;

#[derive(Debug, Default)]
struct State {
    names: BTreeMap<PathBuf, FileCell>,
    /// Names as of the last sync of their folder.
    durable_names: BTreeMap<PathBuf, FileCell>,
    faults: FaultPlan,
    calls: u64,
    bytes_written: u64,
    random: u64,
}

/// See the module. Clones share one disk.
#[derive(Debug, Clone, Default)]
pub struct SimulatedDisk(Arc<Mutex<State>>);

impl SimulatedDisk {
    /// An empty disk; `seed` decides how much of unsynced data a crash keeps.
    pub fn new(seed: u64) -> Self {
        let state = State {
            random: seed.wrapping_mul(2).wrapping_add(1),
            ..State::default()
        };
        Self(Arc::new(Mutex::new(state)))
    }

    /// Changes the faults and restarts their counters.
    pub fn set_faults(&self, faults: FaultPlan) {
        let mut state = self.0.lock();
        state.faults = faults;
        state.calls = 0;
        state.bytes_written = 0;
    }

    /// Number of changing calls since the last [`SimulatedDisk::set_faults`].
    pub fn calls(&self) -> u64 {
        self.0.lock().calls
    }

    /// Reads of bytes that no [`DiskFile::will_read`] had told of, of all files.
    pub fn surprising_reads(&self) -> u64 {
        let state = self.0.lock();
        let files = state.names.values();
        files.map(|cell| cell.lock().surprising_reads).sum()
    }

    /// The machine loses power and starts again: of each file a random part of
    /// what was not synced survives, its beginning or any of its pages,
    /// independently of other files (writes are torn and reordered); names that
    /// were not synced may or may not exist. Faults are cleared.
    pub fn crash(&self) {
        let mut state = self.0.lock();
        let mut surviving = BTreeMap::new();
        let mut paths: Vec<PathBuf> = state
            .names
            .keys()
            .chain(state.durable_names.keys())
            .cloned()
            .collect();
        paths.sort();
        paths.dedup();
        for path in paths {
            let current = state.names.get(&path).cloned();
            let durable = state.durable_names.get(&path).cloned();
            let keep_current = next_random(&mut state.random).is_multiple_of(2);
            let same = match (&current, &durable) {
                (Some(current), Some(durable)) => Arc::ptr_eq(current, durable),
                (None, None) => true,
                _ => false,
            };
            let survivor = if same || keep_current {
                current
            } else {
                durable
            };
            if let Some(cell) = survivor {
                surviving.insert(path, cell);
            }
        }
        let state = &mut *state;
        for cell in surviving.values() {
            let mut content = cell.lock();
            let unsynced = content.visible.len().saturating_sub(content.durable.len());
            if content.visible.starts_with(&content.durable) {
                tear(&mut content, unsynced, &mut state.random);
            } else {
                content.visible = content.durable.clone();
            }
            content.durable = content.visible.clone();
        }
        state.durable_names = surviving.clone();
        state.names = surviving;
        state.faults = FaultPlan::default();
        state.calls = 0;
        state.bytes_written = 0;
    }

    /// Flips one bit of a file, as a failing disk would.
    ///
    /// # Errors
    /// When there is no such file or byte.
    pub fn damage(&self, path: &Path, offset: usize) -> io::Result<()> {
        let state = self.0.lock();
        let cell = state.names.get(path).ok_or(io::ErrorKind::NotFound)?;
        let mut content = cell.lock();
        let byte = content
            .visible
            .get_mut(offset)
            .ok_or(io::ErrorKind::UnexpectedEof)?;
        *byte ^= 1;
        if let Some(byte) = content.durable.get_mut(offset) {
            *byte ^= 1;
        }
        Ok(())
    }
}

/// The system writes files in pages of so many bytes, in any order.
const PAGE_BYTES: usize = 4096;

/// What a crash leaves of the `unsynced` bytes at the end of a file: the first
/// of them, the last perhaps as garbage, or some pages, zeros in between.
fn tear(content: &mut Content, unsynced: usize, random: &mut u64) {
    let durable = content.durable.len();
    if next_random(random).is_multiple_of(3) {
        let mut start = durable;
        while start < content.visible.len() {
            let end = ((start / PAGE_BYTES + 1) * PAGE_BYTES).min(content.visible.len());
            if next_random(random).is_multiple_of(2) {
                content.visible[start..end].fill(0);
            }
            start = end;
        }
        return;
    }
    let kept = next_random(random) as usize % (unsynced + 1);
    content.visible.truncate(durable + kept);
    if kept > 0 && next_random(random).is_multiple_of(3) {
        let last = content.visible.len() - 1;
        content.visible[last] ^= 0x5a;
    }
}

/// xorshift64: enough to spread faults, and the same on every run.
fn next_random(state: &mut u64) -> u64 {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    *state
}

impl State {
    /// Counts a changing call; errors once the planned crash has come.
    fn count_call(&mut self) -> io::Result<()> {
        self.calls += 1;
        match self.faults.crash_after_calls {
            Some(limit) if self.calls > limit => {
                Err(io::Error::other("simulated crash: the disk is gone"))
            }
            _ => Ok(()),
        }
    }

    /// How many of `wanted` bytes still fit.
    fn reserve(&mut self, wanted: u64) -> u64 {
        let free = match self.faults.capacity_bytes {
            Some(capacity) => capacity.saturating_sub(self.bytes_written),
            None => u64::MAX,
        };
        let granted = wanted.min(free);
        self.bytes_written += granted;
        granted
    }
}

#[derive(Debug)]
struct SimulatedFile {
    cell: FileCell,
    disk: SimulatedDisk,
}

impl DiskFile for SimulatedFile {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        let mut state = self.disk.0.lock();
        if let Err(error) = state.count_call() {
            let part = next_random(&mut state.random) as usize % (bytes.len() + 1);
            let first_failure = state.faults.crash_after_calls.map(|limit| limit + 1);
            if first_failure == Some(state.calls) {
                self.cell.lock().visible.extend_from_slice(&bytes[..part]);
            }
            return Err(error);
        }
        let granted = state.reserve(bytes.len() as u64) as usize;
        self.cell
            .lock()
            .visible
            .extend_from_slice(&bytes[..granted]);
        if granted < bytes.len() {
            return Err(io::Error::new(
                io::ErrorKind::StorageFull,
                "no space left on the simulated disk",
            ));
        }
        Ok(())
    }
    fn sync(&mut self) -> io::Result<()> {
        self.disk.0.lock().count_call()?;
        let mut content = self.cell.lock();
        content.durable = content.visible.clone();
        Ok(())
    }
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let mut content = self.cell.lock();
        let end = offset.saturating_add(buffer.len() as u64);
        let is_told_of = |told: &Range<u64>| told.start <= offset && end <= told.end;
        if !content.announced.iter().any(is_told_of) {
            content.surprising_reads += 1;
        }
        let start = usize::try_from(offset).unwrap_or(usize::MAX);
        let available = content.visible.get(start..).unwrap_or_default();
        let count = available.len().min(buffer.len());
        buffer[..count].copy_from_slice(&available[..count]);
        Ok(count)
    }
    fn will_read(&self, offset: u64, length: u64) {
        let told = offset..offset.saturating_add(length);
        self.cell.lock().announced.push(told);
    }
    fn set_len(&mut self, length: u64) -> io::Result<()> {
        self.disk.0.lock().count_call()?;
        self.cell.lock().visible.resize(length as usize, 0);
        Ok(())
    }
    fn len(&self) -> io::Result<u64> {
        Ok(self.cell.lock().visible.len() as u64)
    }
}

impl Disk for SimulatedDisk {
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Box<dyn DiskFile>> {
        let mut state = self.0.lock();
        let existing = state.names.get(path).cloned();
        let cell = match (mode, existing) {
            (OpenMode::Read | OpenMode::Append, Some(cell)) => cell,
            (OpenMode::Read, None) => {
                return Err(io::Error::new(io::ErrorKind::NotFound, "no such file"));
            }
            (OpenMode::Append, None) | (OpenMode::Create, _) => {
                state.count_call()?;
                let cell = FileCell::default();
                state.names.insert(path.to_path_buf(), cell.clone());
                cell
            }
        };
        Ok(Box::new(SimulatedFile {
            cell,
            disk: self.clone(),
        }))
    }
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        let state = self.0.lock();
        let cell = state.names.get(path).ok_or(io::ErrorKind::NotFound)?;
        let content = cell.lock().visible.clone();
        Ok(content)
    }
    fn list(&self, folder: &Path) -> io::Result<Vec<String>> {
        let state = self.0.lock();
        let mut names: Vec<String> = state
            .names
            .keys()
            .filter_map(|path| path.strip_prefix(folder).ok())
            .filter_map(|rest| rest.components().next())
            .map(|first| first.as_os_str().to_string_lossy().into_owned())
            .collect();
        names.sort();
        names.dedup();
        Ok(names)
    }
    fn create_dir_all(&self, _folder: &Path) -> io::Result<()> {
        Ok(())
    }
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut state = self.0.lock();
        state.count_call()?;
        let cell = state.names.remove(from).ok_or(io::ErrorKind::NotFound)?;
        state.names.insert(to.to_path_buf(), cell);
        Ok(())
    }
    fn remove(&self, path: &Path) -> io::Result<()> {
        let mut state = self.0.lock();
        state.count_call()?;
        state.names.remove(path).ok_or(io::ErrorKind::NotFound)?;
        Ok(())
    }
    fn sync_dir(&self, folder: &Path) -> io::Result<()> {
        let mut state = self.0.lock();
        state.count_call()?;
        let State {
            names,
            durable_names,
            ..
        } = &mut *state;
        durable_names.retain(|path, _| path.parent() != Some(folder));
        for (path, cell) in names.iter() {
            if path.parent() == Some(folder) {
                durable_names.insert(path.clone(), cell.clone());
            }
        }
        Ok(())
    }
    fn exists(&self, path: &Path) -> bool {
        let state = self.0.lock();
        state.names.keys().any(|name| name.starts_with(path))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn synced_data_survives_a_crash_and_a_full_disk_says_so() {
        let disk = SimulatedDisk::new(7);
        let path = Path::new("/d/file");
        let mut file = disk.open(path, OpenMode::Create).unwrap();
        file.append(b"hello").unwrap();
        file.sync().unwrap();
        disk.sync_dir(Path::new("/d")).unwrap();
        file.append(b" lost perhaps").unwrap();
        disk.crash();
        assert!(disk.read(path).unwrap().starts_with(b"hello"));

        disk.set_faults(FaultPlan {
            capacity_bytes: Some(3),
            crash_after_calls: None,
        });
        let mut file = disk.open(path, OpenMode::Create).unwrap();
        let error = file.append(b"12345").unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::StorageFull);
        assert_eq!(disk.read(path).unwrap(), b"123");
    }
}
