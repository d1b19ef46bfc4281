//! Which slots of some state a checkpoint must write.
//!
//! What is gone must be written, too, if an earlier checkpoint has it: its slot
//! stays until then. What no checkpoint has seen can go at once.

use sluice_memory::StateVec;

use crate::saved_state::{Came, Piece};

const UNCHANGED: u32 = u32::MAX;

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct ChangedSlots {
    /// By slot: where it is in `changed`, or [`UNCHANGED`].
    places: StateVec<u32>,
    /// By slot: whether a checkpoint has it.
    saved: StateVec<bool>,
    changed: StateVec<u32>,
}

impl ChangedSlots {
    /// Notes that the slot's content is new or another.
    pub(crate) fn change(&mut self, slot: u32) {
        let index = slot as usize;
        if index >= self.places.len() {
            self.places.resize(index + 1, UNCHANGED);
            self.saved.resize(index + 1, false);
        }
        if self.places[index] == UNCHANGED {
            self.places[index] = self.changed.len() as u32;
            self.changed.push(slot);
        }
    }

    /// Notes that the slot's content is gone. True if its owner can release the
    /// slot at once; otherwise it must keep what names the content until
    /// [`ChangedSlots::saved`] gives the slot back.
    pub(crate) fn gone(&mut self, slot: u32) -> bool {
        let index = slot as usize;
        if self.saved.get(index).copied().unwrap_or(false) {
            self.change(slot);
            return false;
        }
        if index < self.places.len() {
            self.unchange(slot);
        }
        true
    }

    /// At most so many of the changed slots.
    fn some(&self, most: usize) -> Vec<u32> {
        let first = self.changed.len().saturating_sub(most);
        self.changed[first..].to_vec()
    }

    /// The slots that a piece of a checkpoint saves, of `places` in all, and how far
    /// it comes by that. Slots of a base are those for which `is_there` holds.
    pub(crate) fn of_piece(
        &self,
        piece: Piece,
        places: usize,
        is_there: impl Fn(u32) -> bool,
    ) -> (Vec<u32>, Came) {
        let (slots, is_all, place): (Vec<u32>, bool, usize) = match piece {
            Piece::Changes { rows_max } => {
                let slots = self.some(rows_max);
                let is_all = slots.len() == self.changed.len();
                (slots, is_all, 0)
            }
            Piece::Base { from, places_max } => {
                let end = from.saturating_add(places_max).min(places);
                let there = (from as u32..end as u32).filter(|&slot| is_there(slot));
                (there.collect(), end == places, end)
            }
        };
        match is_all {
            true => (slots, Came::ToTheEnd),
            false => (slots, Came::To(place)),
        }
    }

    /// Notes that a slot's content was saved as it is now, or that it is gone.
    pub(crate) fn saved_one(&mut self, slot: u32, is_gone: bool) {
        let index = slot as usize;
        if index >= self.places.len() {
            self.places.resize(index + 1, UNCHANGED);
            self.saved.resize(index + 1, false);
        }
        self.saved[index] = !is_gone;
        self.unchange(slot);
    }

    fn unchange(&mut self, slot: u32) {
        let place = std::mem::replace(&mut self.places[slot as usize], UNCHANGED);
        if place != UNCHANGED {
            self.changed.swap_remove(place as usize);
            if let Some(&moved) = self.changed.get(place as usize) {
                self.places[moved as usize] = place;
            }
        }
    }

    /// Memory taken.
    pub(crate) fn memory_bytes(&self) -> usize {
        let numbers = self.places.capacity() + self.changed.capacity();
        numbers * size_of::<u32>() + self.saved.capacity()
    }

    pub(crate) fn changed(&self) -> &[u32] {
        &self.changed
    }

    /// Notes that a checkpoint has all changes. Returns the slots that can be
    /// released: those for which `is_gone` holds.
    pub(crate) fn saved(&mut self, is_gone: impl Fn(u32) -> bool) -> Vec<u32> {
        let mut released = Vec::new();
        for slot in std::mem::take(&mut self.changed) {
            self.places[slot as usize] = UNCHANGED;
            let gone = is_gone(slot);
            self.saved[slot as usize] = !gone;
            if gone {
                released.push(slot);
            }
        }
        released
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_checkpoint_has_stays_until_the_next() {
        let mut slots = ChangedSlots::default();
        for slot in [0, 1, 2, 1] {
            slots.change(slot);
        }
        assert_eq!(slots.changed(), [0, 1, 2]);
        assert!(slots.gone(0), "no checkpoint has it");
        assert_eq!(slots.changed(), [2, 1]);
        assert!(slots.saved(|_| false).is_empty());
        assert!(slots.changed().is_empty());

        assert!(!slots.gone(1));
        slots.change(0);
        assert_eq!(slots.changed(), [1, 0]);
        assert_eq!(slots.saved(|slot| slot == 1), [1]);
        assert!(slots.gone(1), "the checkpoint knows that it is gone");
        assert!(!slots.gone(0));
        assert!(!slots.gone(2));
    }
}
