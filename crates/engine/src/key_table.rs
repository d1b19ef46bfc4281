//! Byte keys with a number each: the hash index of all state.

mod stored_key;

use sluice_memory::{StateTable, StateVec};

use self::stored_key::StoredKey;
use crate::byte_heap::ByteHeap;

/// Keys that are looked up together: while one waits for memory, the next ones
/// do, too. More would push each other out of the processor's cache.
const LOOKED_UP_TOGETHER: usize = 256;

/// Gives each key a slot number, under which its owner keeps what belongs to
/// it. A slot that is released is given out again.
#[derive(Debug, Default)]
pub(crate) struct KeyTable {
    index: StateTable<u32>,
    keys: StateVec<StoredKey>,
    free: StateVec<u32>,
    /// The keys that are too long to lie in `keys`.
    heap: ByteHeap,
}

impl KeyTable {
    pub(crate) fn find(&self, hash: u64, key: &[u8]) -> Option<u32> {
        let is_it = |&slot: &u32| self.keys[slot as usize].is(hash, key, &self.heap);
        self.index.find(hash, is_it).copied()
    }

    /// The key's slot, which is new if the key is.
    pub(crate) fn find_or_insert(&mut self, hash: u64, key: &[u8]) -> u32 {
        match self.find(hash, key) {
            Some(slot) => slot,
            None => self.insert(hash, key),
        }
    }

    /// The slot of each key, in order, as [`KeyTable::find`] gives it.
    pub(crate) fn find_all<'a>(
        &self,
        keys: impl Iterator<Item = (u64, &'a [u8])> + Clone,
    ) -> Vec<Option<u32>> {
        let mut slots = Vec::with_capacity(keys.size_hint().0);
        self.in_groups(keys, |(hash, key), guess| {
            let slot = match guess.filter(|&slot| self.is_key(slot, hash, key)) {
                Some(slot) => Some(slot),
                None => self.find(hash, key),
            };
            slots.push(slot);
        });
        slots
    }

    /// The slot of each key, in order, as [`KeyTable::find_or_insert`] gives it.
    /// `is_new` is told the place of each key that was not there, and its slot.
    pub(crate) fn find_or_insert_all<'a>(
        &mut self,
        keys: impl Iterator<Item = (u64, &'a [u8])> + Clone,
        mut is_new: impl FnMut(usize, u32),
    ) -> Vec<u32> {
        let found = self.find_all(keys.clone());
        let keys = keys.zip(found).enumerate();
        keys.map(|(place, ((hash, key), slot))| match slot {
            Some(slot) => slot,
            // It may have come in with a key before.
            None => self.find(hash, key).unwrap_or_else(|| {
                let slot = self.insert(hash, key);
                is_new(place, slot);
                slot
            }),
        })
        .collect()
    }

    /// Calls `check` with each key and the slot that it most likely has. What
    /// the slots of a group are guessed from is read before any is checked, so
    /// that the reads do not wait for one another.
    fn in_groups<'a>(
        &self,
        mut keys: impl Iterator<Item = (u64, &'a [u8])> + Clone,
        mut check: impl FnMut((u64, &'a [u8]), Option<u32>),
    ) {
        let mut guesses = [None; LOOKED_UP_TOGETHER];
        let mut hashes = [0_u64; LOOKED_UP_TOGETHER];
        loop {
            let group = keys.clone();
            let mut count = 0;
            for ((guess, of_key), (hash, _)) in guesses.iter_mut().zip(&mut hashes).zip(&mut keys) {
                *guess = self.index.iter_hash(hash).next().copied();
                *of_key = hash;
                count += 1;
            }
            if count == 0 {
                return;
            }
            for (guess, &hash) in guesses[..count].iter_mut().zip(&hashes) {
                *guess = guess.filter(|&slot| self.keys[slot as usize].hash() == hash);
            }
            for (key, &guess) in group.zip(&guesses[..count]) {
                check(key, guess);
            }
        }
    }

    fn is_key(&self, slot: u32, hash: u64, key: &[u8]) -> bool {
        self.keys[slot as usize].is(hash, key, &self.heap)
    }

    /// Puts in a key that is not there.
    fn insert(&mut self, hash: u64, key: &[u8]) -> u32 {
        let new = StoredKey::new(hash, key, &mut self.heap);
        let slot = match self.free.pop() {
            Some(slot) => {
                self.keys[slot as usize] = new;
                slot
            }
            None => {
                self.keys.push(new);
                (self.keys.len() - 1) as u32
            }
        };
        let keys = &self.keys;
        self.index
            .insert_unique(hash, slot, |&slot| keys[slot as usize].hash());
        slot
    }

    pub(crate) fn key(&self, slot: u32) -> &[u8] {
        self.keys[slot as usize].bytes(&self.heap)
    }

    pub(crate) fn hash(&self, slot: u32) -> u64 {
        self.keys[slot as usize].hash()
    }

    /// Takes the key out of the index; its bytes stay until the slot is
    /// released.
    pub(crate) fn unlink(&mut self, slot: u32) {
        let hash = self.hash(slot);
        if let Ok(occupied) = self.index.find_entry(hash, |&found| found == slot) {
            occupied.remove();
        }
    }

    /// Gives the slot of an unlinked key back.
    pub(crate) fn release(&mut self, slot: u32) {
        let key = std::mem::take(&mut self.keys[slot as usize]);
        if let Some(span) = key.span() {
            self.heap.free(span);
        }
        self.free.push(slot);
    }

    /// Gives memory back, if enough was released.
    pub(crate) fn compact(&mut self) {
        if self.heap.is_worth_compacting() {
            let mut fresh = ByteHeap::default();
            for key in self.keys.iter_mut() {
                key.move_to(&self.heap, &mut fresh);
            }
            self.heap = fresh;
        }
    }

    /// The slots of all keys, in an order that depends on the keys' history
    /// only.
    pub(crate) fn slots(&self) -> impl Iterator<Item = u32> + '_ {
        self.index.iter().copied()
    }

    /// Number of keys.
    pub(crate) fn len(&self) -> usize {
        self.index.len()
    }

    /// Slots that were ever given out: one more than the greatest number.
    pub(crate) fn slot_count(&self) -> usize {
        self.keys.len()
    }

    /// Memory taken, about.
    pub(crate) fn memory_bytes(&self) -> usize {
        let index = self.index.capacity() * (size_of::<u32>() + 1);
        let keys = self.keys.capacity() * size_of::<StoredKey>();
        index + keys + self.free.capacity() * size_of::<u32>() + self.heap.allocated_bytes()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use sluice_core::stable_hash;

    use super::*;

    /// Short ones, and every third too long to lie with its hash.
    fn test_key(number: u64) -> Vec<u8> {
        let text = number.to_string();
        match number % 3 {
            0 => text.repeat(8).into_bytes(),
            _ => text.into_bytes(),
        }
    }

    #[test]
    fn slots_follow_their_keys() {
        let mut table = KeyTable::default();
        let mut expected: BTreeMap<Vec<u8>, u32> = BTreeMap::new();
        for round in 0..20_000_u64 {
            let key = test_key(round * round % 4_001);
            let hash = stable_hash(&key);
            if round % 3 == 0 {
                if let Some(slot) = expected.remove(&key) {
                    table.unlink(slot);
                    table.release(slot);
                    table.compact();
                }
                assert_eq!(table.find(hash, &key), None);
                continue;
            }
            let slot = table.find_or_insert(hash, &key);
            assert_eq!(*expected.entry(key.clone()).or_insert(slot), slot);
            assert_eq!(table.key(slot), key);
        }
        assert_eq!(table.len(), expected.len());
        for (key, slot) in expected {
            assert_eq!(table.find(stable_hash(&key), &key), Some(slot));
        }
    }

    #[test]
    fn many_keys_at_once_get_the_slots_that_one_after_the_other_would() {
        let (mut together, mut alone) = (KeyTable::default(), KeyTable::default());
        for round in 0..40_u64 {
            // Many twice in a round, and enough for several groups.
            let keys: Vec<Vec<u8>> = (0..700)
                .map(|step| test_key((round * 700 + step) * 31 % (500 + 40 * round)))
                .collect();
            let hashes: Vec<u64> = keys.iter().map(|key| stable_hash(key)).collect();
            let both = || hashes.iter().copied().zip(keys.iter().map(Vec::as_slice));
            let before = both().map(|(hash, key)| alone.find(hash, key));
            assert_eq!(together.find_all(both()), before.collect::<Vec<_>>());
            let mut new = Vec::new();
            let slots = together.find_or_insert_all(both(), |place, slot| new.push((place, slot)));
            let mut expected_new = Vec::new();
            let expected: Vec<u32> = both()
                .enumerate()
                .map(|(place, (hash, key))| {
                    let count = alone.len();
                    let slot = alone.find_or_insert(hash, key);
                    if alone.len() > count {
                        expected_new.push((place, slot));
                    }
                    slot
                })
                .collect();
            assert_eq!(slots, expected);
            assert_eq!(new, expected_new);
            for &slot in slots.iter().step_by(5) {
                if together.find(together.hash(slot), together.key(slot)) == Some(slot) {
                    for table in [&mut together, &mut alone] {
                        table.unlink(slot);
                        table.release(slot);
                        table.compact();
                    }
                }
            }
        }
    }
}
