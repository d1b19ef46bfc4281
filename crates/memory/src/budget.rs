//! How much memory state may take, and what it takes.

use std::path::PathBuf;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::scratch::Scratch;

/// Smaller blocks are not counted and never go to the file.
pub(crate) const LARGE_BYTES_MIN: usize = 16 * 1024;
/// The share of the budget that holds pages of the file, once there is one.
const FILE_SHARE: usize = 4;
/// Mapped pages that are not state: those of the program itself that are first
/// used after the start.
const PROGRAM_BYTES: usize = 64 << 20;

/// Bytes of large blocks in ordinary memory.
static TAKEN: AtomicUsize = AtomicUsize::new(0);
/// Bytes of ordered maps, which are small blocks but many.
static ORDERED: AtomicUsize = AtomicUsize::new(0);
/// What [`TAKEN`] and [`ORDERED`] may be at most; without a budget everything.
static TAKEN_MAX: AtomicUsize = AtomicUsize::new(usize::MAX);
static INSTALLED: OnceLock<Installed> = OnceLock::new();

#[derive(Debug)]
struct Installed {
    budget: StateBudget,
    scratch: Scratch,
    /// Mapped pages of files when the budget was set.
    other_bytes: usize,
}

/// What state may take.
#[derive(Debug, Clone)]
pub struct StateBudget {
    /// Folder of the file; it should be on a local disk.
    pub folder: PathBuf,
    /// Bytes of memory.
    pub memory_bytes_max: usize,
    /// Bytes of the file.
    pub disk_bytes_max: usize,
}

/// Why there can be no budget.
#[derive(Debug, thiserror::Error)]
pub enum MemoryError {
    /// The file cannot be made or mapped.
    #[error("preparing {folder} to hold state that does not fit into memory: {source}")]
    File {
        /// The folder.
        folder: String,
        /// The cause.
        source: std::io::Error,
    },
}

/// What state takes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    /// Bytes of ordinary memory, small blocks not counted, but those of
    /// [`crate::StateBytes`].
    pub memory_bytes: u64,
    /// Those of ordered maps among them.
    pub ordered_bytes: u64,
    /// Bytes in the file.
    pub disk_bytes: u64,
    /// Bytes of ordinary memory beyond the budget: for want of room on disk, or
    /// because they are of ordered maps, which cannot go there.
    pub over_bytes: u64,
}

impl Usage {
    /// True when the budget is exceeded and nothing can go to disk: state must not
    /// grow any more.
    pub fn is_over(&self) -> bool {
        self.over_bytes > 0
    }
}

/// Sets the budget of this process, for all state that is allocated from now
/// on. Only the first call has an effect.
///
/// # Errors
/// When the file cannot be made.
pub fn install(budget: StateBudget) -> Result<(), MemoryError> {
    if INSTALLED.get().is_some() {
        return Ok(());
    }
    let scratch = Scratch::create(&budget.folder, budget.disk_bytes_max).map_err(|source| {
        MemoryError::File {
            folder: budget.folder.display().to_string(),
            source,
        }
    })?;
    let taken_max = budget.memory_bytes_max - budget.memory_bytes_max / FILE_SHARE;
    let installed = Installed {
        budget,
        scratch,
        other_bytes: mapped_bytes(),
    };
    if INSTALLED.set(installed).is_ok() {
        TAKEN_MAX.store(taken_max, Ordering::Release);
    }
    Ok(())
}

/// What state takes now.
pub fn usage() -> Usage {
    let taken = TAKEN.load(Ordering::Relaxed);
    let ordered = ORDERED.load(Ordering::Relaxed);
    let taken_max = TAKEN_MAX.load(Ordering::Relaxed);
    // Not of their sum: arrays that were there before the maps grew move to the
    // file when they grow themselves, and need no waiting.
    let over = taken.saturating_sub(taken_max) + ordered.saturating_sub(taken_max);
    Usage {
        memory_bytes: (taken + ordered) as u64,
        ordered_bytes: ordered as u64,
        disk_bytes: scratch().map_or(0, Scratch::used_bytes) as u64,
        over_bytes: over as u64,
    }
}

/// Keeps the memory that holds pages of the file within its share of the
/// budget. Cheap while the file is empty; to be called now and then while state
/// is in use, from any thread.
pub fn trim() {
    let Some(installed) = INSTALLED.get() else {
        return;
    };
    if installed.scratch.used_bytes() == 0 {
        return;
    }
    let bytes_max = installed.budget.memory_bytes_max / FILE_SHARE;
    let others = installed.other_bytes + PROGRAM_BYTES;
    installed
        .scratch
        .unmap_until(|| mapped_bytes().saturating_sub(others) <= bytes_max);
}

pub(crate) fn scratch() -> Option<&'static Scratch> {
    INSTALLED.get().map(|installed| &installed.scratch)
}

/// Takes so many bytes of the budget, if they are left.
pub(crate) fn take(bytes: usize) -> bool {
    let before = TAKEN.fetch_add(bytes, Ordering::Relaxed) + ORDERED.load(Ordering::Relaxed);
    let fits = before.saturating_add(bytes) <= TAKEN_MAX.load(Ordering::Relaxed);
    if !fits {
        give_back(bytes);
    }
    fits
}

/// Takes so many bytes, whatever the budget is.
pub(crate) fn take_beyond(bytes: usize) {
    TAKEN.fetch_add(bytes, Ordering::Relaxed);
}

pub(crate) fn give_back(bytes: usize) {
    TAKEN.fetch_sub(bytes, Ordering::Relaxed);
}

/// Counts bytes of an ordered map.
pub(crate) fn take_ordered(bytes: usize) {
    ORDERED.fetch_add(bytes, Ordering::Relaxed);
}

pub(crate) fn give_ordered_back(bytes: usize) {
    ORDERED.fetch_sub(bytes, Ordering::Relaxed);
}

/// Bytes of files that are mapped into this process and in memory; 0 where the
/// system does not say.
fn mapped_bytes() -> usize {
    let status = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages = status.split_ascii_whitespace().nth(2);
    let pages: Option<usize> = pages.and_then(|pages| pages.parse().ok());
    pages.unwrap_or(0).saturating_mul(Scratch::page_bytes())
}
