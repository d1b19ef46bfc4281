//! How many partners a row has, by weight, for joins whose condition is more
//! than an equality of keys, and on how many rows the condition fails.

use sluice_core::{CodecError, Reader, VIRTUAL_SHARDS, Writer, stable_hash};
use sluice_memory::StateVec;

use crate::EngineError;
use crate::changed_slots::ChangedSlots;
use crate::key_table::KeyTable;
use crate::saved_state::{SaveScope, SavedState};

/// The sides of a join.
pub(crate) const LEFT: u8 = 0;
pub(crate) const RIGHT: u8 = 1;

/// Added to the side in keys of weights of failures.
const FAILURES: u8 = 2;

/// Rows with a partner; the others are absent. The key is the side and the row in
/// byte form. Behind another number of the side are the weights of those on which
/// the condition of the join fails.
#[derive(Debug, Default)]
struct Shard {
    keys: KeyTable,
    weights: StateVec<i64>,
    changed: ChangedSlots,
    key: Vec<u8>,
}

/// For each row of the sides of a join, the weight of all its partners.
#[derive(Debug)]
pub(crate) struct PartnerWeights {
    shards: Vec<Shard>,
    /// Whether the condition ever failed: mostly there is nothing to look for.
    has_failures: bool,
}

impl Default for PartnerWeights {
    fn default() -> Self {
        Self {
            shards: (0..VIRTUAL_SHARDS).map(|_| Shard::default()).collect(),
            has_failures: false,
        }
    }
}

impl Shard {
    fn put(&mut self, key: &[u8], weight: i64) {
        let number = self.keys.find_or_insert(stable_hash(key), key);
        if self.weights.len() < self.keys.slot_count() {
            self.weights.resize(self.keys.slot_count(), 0);
        }
        self.weights[number as usize] = weight;
        if weight != 0 {
            self.changed.change(number);
        } else if self.changed.gone(number) {
            self.keys.unlink(number);
            self.keys.release(number);
        }
    }

    fn weight(&self, key: &[u8]) -> i64 {
        let number = self.keys.find(stable_hash(key), key);
        number.map_or(0, |number| self.weights[number as usize])
    }
}

impl PartnerWeights {
    /// Adds `change` to what the row has; a row that no longer `exists` is
    /// forgotten. The weight before and after.
    pub(crate) fn change(
        &mut self,
        shard: usize,
        side: u8,
        row: &[u8],
        change: i64,
        exists: bool,
    ) -> (i64, i64) {
        let shard = &mut self.shards[shard];
        let mut key = std::mem::take(&mut shard.key);
        key.clear();
        key.push(side);
        key.extend_from_slice(row);
        let before = shard.weight(&key);
        let after = before + change;
        let kept = if exists { after } else { 0 };
        if kept != before {
            shard.put(&key, kept);
        }
        shard.key = key;
        (before, after)
    }

    /// The same for the rows on which the condition fails.
    pub(crate) fn change_failures(
        &mut self,
        shard: usize,
        side: u8,
        row: &[u8],
        change: i64,
        exists: bool,
    ) -> (i64, i64) {
        self.has_failures |= change != 0;
        match self.has_failures {
            true => self.change(shard, side + FAILURES, row, change, exists),
            false => (0, 0),
        }
    }

    /// Forgets rows that are not there any more: those for which `holds` (of
    /// the shard, the side and rows) says so.
    pub(crate) fn forget(
        &mut self,
        holds: impl Fn(usize, u8, &[&[u8]]) -> Result<Vec<bool>, EngineError>,
    ) -> Result<(), EngineError> {
        for (number, shard) in self.shards.iter_mut().enumerate() {
            let mut gone: Vec<Vec<u8>> = Vec::new();
            for kind in [LEFT, RIGHT, LEFT + FAILURES, RIGHT + FAILURES] {
                let slots = shard.keys.slots();
                let there = slots.filter(|&slot| shard.weights[slot as usize] != 0);
                let keys = there.filter_map(|slot| shard.keys.key(slot).split_first());
                let rows = keys.filter(|(of_kind, _)| **of_kind == kind);
                let rows: Vec<&[u8]> = rows.map(|(_, row)| row).collect();
                let held = holds(number, kind % FAILURES, &rows)?;
                let rows = rows.into_iter().zip(held);
                let lost = rows.filter(|(_, is_held)| !is_held);
                gone.extend(lost.map(|(row, _)| [&[kind], row].concat()));
            }
            for key in gone {
                shard.put(&key, 0);
            }
            shard.keys.compact();
        }
        Ok(())
    }

    /// Memory taken, about.
    pub(crate) fn memory_bytes(&self) -> u64 {
        let bytes = self.shards.iter().map(|shard| {
            let weights = shard.weights.capacity() * size_of::<i64>();
            shard.keys.memory_bytes() + weights + shard.changed.memory_bytes()
        });
        bytes.sum::<usize>() as u64
    }
}

impl SavedState for PartnerWeights {
    fn changed_count(&self) -> usize {
        let shards = self.shards.iter();
        shards.map(|shard| shard.changed.changed().len()).sum()
    }

    fn count(&self) -> usize {
        self.shards.iter().map(|shard| shard.keys.len()).sum()
    }

    fn save(&self, shard: usize, scope: SaveScope, writer: &mut Writer) {
        let shard = &self.shards[shard];
        let mut save = |number: u32| {
            writer.bytes(shard.keys.key(number));
            writer.i64(shard.weights[number as usize]);
        };
        match scope {
            SaveScope::Changes => {
                let changed = shard.changed.changed().iter();
                changed.for_each(|&number| save(number));
            }
            SaveScope::All => {
                let numbers = shard.keys.slots();
                let is_there = |number: &u32| shard.weights[*number as usize] != 0;
                numbers.filter(is_there).for_each(save);
            }
        }
    }

    fn forget_changes(&mut self, shard: usize) {
        let shard = &mut self.shards[shard];
        let weights = &shard.weights;
        let gone = shard.changed.saved(|number| weights[number as usize] == 0);
        for number in gone {
            shard.keys.unlink(number);
            shard.keys.release(number);
        }
        shard.keys.compact();
    }

    fn load(&mut self, shard: usize, bytes: &[u8]) -> Result<(), CodecError> {
        let shard = &mut self.shards[shard];
        let mut reader = Reader::new(bytes);
        while !reader.is_at_end() {
            let key = reader.bytes()?;
            let weight = reader.i64()?;
            self.has_failures |= key.first().is_some_and(|kind| *kind >= FAILURES);
            if weight != shard.weight(key) {
                shard.put(key, weight);
            }
        }
        let weights = &shard.weights;
        let gone = shard.changed.saved(|number| weights[number as usize] == 0);
        for number in gone {
            shard.keys.unlink(number);
            shard.keys.release(number);
        }
        Ok(())
    }
}
