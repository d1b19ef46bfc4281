//! What is collected of a piece of state ahead of its next checkpoint.

use sluice_core::{VIRTUAL_SHARDS, Writer};

use super::form::{FinishedPart, PartWriter};
use crate::saved_state::{Came, Piece, SavedState};

/// See the module.
#[derive(Debug)]
pub(super) struct Ahead {
    /// Bases that are due, and how far the first of them has come.
    pub(super) bases_left: usize,
    pub(super) place: usize,
    base: PartWriter,
    /// Shards with their whole bases.
    pub(super) bases: Vec<(usize, FinishedPart)>,
    /// Pieces of changes as in a part, and the shard that is next.
    pub(super) changes: PartWriter,
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
            base: PartWriter::base(0),
            bases: Vec::new(),
            changes: PartWriter::changes(),
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
        let piece = Piece::Base { from, places_max };
        let came = state.save_ahead(shard, piece, self.base.writer());
        self.base.compress_pieces();
        match came {
            Came::To(place) => {
                self.place = place;
                place - from
            }
            Came::ToTheEnd => {
                let base = std::mem::replace(&mut self.base, PartWriter::base(0)).finish();
                // Shards are about alike: the next base grows without being moved.
                self.base = PartWriter::base(base.bytes.len() + base.bytes.len() / 8);
                self.bases.push((shard, base));
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
        self.changes.add_changes(self.shard, of_shard);
        if came == Came::ToTheEnd {
            self.shard += 1;
        }
        before - state.changed_count()
    }
}
