//! What the warehouse at work and the computation beside it say to each other.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use parking_lot::Mutex;
use sluice_core::{Delta, EpochCut};

/// Changes that wait for the computation take at most about so much memory; then
/// the warehouse waits with its next epoch.
const WAITING_BYTES_MAX: usize = 256 << 20;

#[derive(Debug, Default)]
struct Waiting {
    changes: VecDeque<BTreeMap<String, Delta>>,
    bytes: usize,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Shared {
    /// Set when nobody wants it any more; ends its waiting for sources too.
    is_cancelled: Arc<AtomicBool>,
    done: AtomicU64,
    left: AtomicU64,
    /// The last epoch of the warehouse.
    target: Mutex<EpochCut>,
    /// The collections whose changes are wanted.
    fed: BTreeSet<String>,
    waiting: Mutex<Waiting>,
}

impl Shared {
    pub(super) fn new(
        target: EpochCut,
        fed: BTreeSet<String>,
        is_cancelled: Arc<AtomicBool>,
    ) -> Self {
        Self {
            is_cancelled,
            done: AtomicU64::new(0),
            left: AtomicU64::new(0),
            target: Mutex::new(target),
            fed,
            waiting: Mutex::default(),
        }
    }

    pub(super) fn cancel(&self) {
        self.is_cancelled.store(true, Ordering::Release);
    }

    pub(super) fn is_cancelled(&self) -> bool {
        self.is_cancelled.load(Ordering::Acquire)
    }

    pub(super) fn report(&self, done: u64, left: u64) {
        self.done.store(done, Ordering::Relaxed);
        self.left.store(left, Ordering::Relaxed);
    }

    /// Rows or records that were taken in, and that are left.
    pub(super) fn progress(&self) -> (u64, u64) {
        let done = self.done.load(Ordering::Relaxed);
        (done, self.left.load(Ordering::Relaxed))
    }

    pub(super) fn target(&self) -> EpochCut {
        self.target.lock().clone()
    }

    /// The warehouse has run an epoch.
    pub(super) fn note_epoch(&self, cut: EpochCut, deltas: &BTreeMap<String, Delta>) {
        *self.target.lock() = cut;
        let wanted = deltas.iter().filter(|(name, _)| self.fed.contains(*name));
        let wanted: BTreeMap<String, Delta> = wanted
            .map(|(name, delta)| (name.clone(), delta.clone()))
            .collect();
        if wanted.is_empty() {
            return;
        }
        let mut waiting = self.waiting.lock();
        waiting.bytes += bytes_of(&wanted);
        waiting.changes.push_back(wanted);
    }

    /// The changes of the next epoch that the computation has not seen.
    pub(super) fn take_changes(&self) -> Option<BTreeMap<String, Delta>> {
        let mut waiting = self.waiting.lock();
        let changes = waiting.changes.pop_front()?;
        waiting.bytes = waiting.bytes.saturating_sub(bytes_of(&changes));
        Some(changes)
    }

    /// True while no more changes should be added.
    pub(super) fn is_full(&self) -> bool {
        self.waiting.lock().bytes >= WAITING_BYTES_MAX
    }
}

fn bytes_of(changes: &BTreeMap<String, Delta>) -> usize {
    let deltas = changes.values();
    deltas
        .map(|delta| delta.rows().get_array_memory_size() + 8 * delta.len())
        .sum()
}
