//! What changes, for those who watch: a snapshot, then the delta of every epoch.
//!
//! Publishing never waits. A watcher who is too slow is cut off, learns it, and
//! begins again with a new snapshot.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, OnceLock};

use parking_lot::Mutex;
use sluice_core::{Delta, Epoch};
use sluice_store::Snapshot;
use tokio::sync::mpsc;

/// Epochs that may wait for one watcher.
const WAITING_EPOCHS_MAX: usize = 256;

/// The change of one view in one epoch, with its text once somebody needs it.
#[derive(Debug)]
pub(crate) struct ViewChange {
    pub(crate) delta: Delta,
    pub(crate) text: OnceLock<Arc<str>>,
}

/// What one epoch changed in watched views.
#[derive(Debug)]
pub(crate) struct EpochChange {
    pub(crate) epoch: Epoch,
    pub(crate) views: BTreeMap<String, ViewChange>,
}

#[derive(Debug)]
struct Watcher {
    views: BTreeSet<String>,
    changes: mpsc::Sender<Arc<EpochChange>>,
}

#[derive(Debug)]
struct State {
    snapshot: Snapshot,
    watchers: Vec<Watcher>,
}

/// See the module.
#[derive(Debug)]
pub struct LiveFeed {
    state: Mutex<State>,
}

/// What a watcher gets. The channel ends when it was too slow.
#[derive(Debug)]
pub(crate) struct Watch {
    pub(crate) snapshot: Snapshot,
    pub(crate) changes: mpsc::Receiver<Arc<EpochChange>>,
}

impl LiveFeed {
    /// A feed that begins at `snapshot`.
    pub fn new(snapshot: Snapshot) -> Self {
        Self {
            state: Mutex::new(State {
                snapshot,
                watchers: Vec::new(),
            }),
        }
    }

    /// Tells watchers what an epoch changed; `snapshot` is what is there after
    /// it. Epochs come in order, without gaps.
    pub fn publish(&self, epoch: Epoch, deltas: &BTreeMap<String, Delta>, snapshot: Snapshot) {
        let mut state = self.state.lock();
        state.snapshot = snapshot;
        if state.watchers.is_empty() {
            return;
        }
        let is_watched = |name: &String| {
            let mut watchers = state.watchers.iter();
            watchers.any(|watcher| watcher.views.contains(name))
        };
        let watched = deltas
            .iter()
            .filter(|(name, delta)| !delta.is_empty() && is_watched(name));
        let views = watched.map(|(name, delta)| {
            let change = ViewChange {
                delta: delta.clone(),
                text: OnceLock::new(),
            };
            (name.clone(), change)
        });
        let change = Arc::new(EpochChange {
            epoch,
            views: views.collect(),
        });
        state.watchers.retain(|watcher| {
            let concerns = change.views.keys().any(|name| watcher.views.contains(name));
            // A full channel: the watcher is cut off. A closed one: it is gone.
            match concerns {
                true => watcher.changes.try_send(change.clone()).is_ok(),
                false => !watcher.changes.is_closed(),
            }
        });
    }

    /// Cuts off those who watch one of `views`: they have other rows, or other
    /// columns, from the next snapshot on.
    pub fn reset(&self, views: &BTreeSet<String>) {
        let mut state = self.state.lock();
        state
            .watchers
            .retain(|watcher| watcher.views.is_disjoint(views));
    }

    /// The newest snapshot, and every change after it.
    pub(crate) fn watch(&self, views: BTreeSet<String>) -> Watch {
        let (sender, changes) = mpsc::channel(WAITING_EPOCHS_MAX);
        let mut state = self.state.lock();
        state.watchers.push(Watcher {
            views,
            changes: sender,
        });
        Watch {
            snapshot: state.snapshot.clone(),
            changes,
        }
    }

    /// Number of those who watch.
    pub fn watchers(&self) -> usize {
        self.state.lock().watchers.len()
    }
}
