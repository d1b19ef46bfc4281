//! What is collected of a piece of state ahead of its next checkpoint.

use sluice_core::{VIRTUAL_SHARDS, Writer};

use super::form::{begun_base, versioned};
use crate::saved_state::{Came, Piece, SavedState};

/// See the module.
#[derive(Debug)]
pub(super) struct Ahead {
    /// Bases that are due, and how far the first of them has come.
    pub(super) bases_left: usize,
    pub(super) place: usize,
    base: Writer,
    /// Shards with their whole bases.
    pub(super) bases: Vec<(usize, Vec<u8>)>,
    /// Pieces of changes as in a part, and the shard that is next.
    pub(super) changes: Writer,
    pub(super) shard: usize,
    /// How often all shards were gone through.
    pub(super) rounds: usize,
}

impl Ahead {
    /// Nothing yet; so many bases are due.
    pub(super) fn new(bases_due: usize) -> Self {
        Self {
            bases_left: bases_due,
            place: 0,
            base: begun_base(0),
            bases: Vec::new(),
            changes: versioned(),
            shard: 0,
            rounds: 0,
        }
    }

    /// Collects a piece of a shard's base. About how many rows it was.
    pub(super) fn collect_base(
        &mut self,
        state: &mut dyn SavedState,
        shard: usize,
        places_max: usize,
    ) -> usize {
        let from = self.place;
        match state.save_ahead(shard, Piece::Base { from, places_max }, &mut self.base) {
            Came::To(place) => {
                self.place = place;
                place - from
            }
            Came::ToTheEnd => {
                // Shards are about alike: the next base grows without being moved.
                let next = begun_base(self.base.len() + self.base.len() / 8);
                let base = std::mem::replace(&mut self.base, next);
                self.bases.push((shard, base.finish()));
                self.bases_left = self.bases_left.saturating_sub(1);
                self.place = 0;
                // At least one, so that empty shards come to an end.
                (state.count() / VIRTUAL_SHARDS).saturating_sub(from).max(1)
            }
        }
    }

    /// Collects changes of a shard. About how many rows it was.
    pub(super) fn collect_changes(&mut self, state: &mut dyn SavedState, rows_max: usize) -> usize {
        let before = state.changed_count();
        let mut of_shard = Writer::new();
        let came = state.save_ahead(self.shard, Piece::Changes { rows_max }, &mut of_shard);
        if !of_shard.is_empty() {
            self.changes.u32(self.shard as u32);
            self.changes.bytes(&of_shard.finish());
        }
        if came == Came::ToTheEnd {
            self.shard += 1;
        }
        before - state.changed_count()
    }
}
