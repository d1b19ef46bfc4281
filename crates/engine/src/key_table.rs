//! Byte keys with a number each: the hash index of all state.

use sluice_memory::{StateTable, StateVec};

use crate::byte_heap::{ByteHeap, Span};

#[derive(Debug, Clone, Copy, Default)]
struct Key {
    hash: u64,
    span: Span,
}

/// Gives each key a slot number, under which its owner keeps what belongs to
/// it. A slot that is released is given out again.
#[derive(Debug, Default)]
pub(crate) struct KeyTable {
    index: StateTable<u32>,
    keys: StateVec<Key>,
    free: StateVec<u32>,
    heap: ByteHeap,
}

impl KeyTable {
    pub(crate) fn find(&self, hash: u64, key: &[u8]) -> Option<u32> {
        let Self {
            index, keys, heap, ..
        } = self;
        let is_it = |&slot: &u32| {
            let found = &keys[slot as usize];
            found.hash == hash && heap.get(found.span) == key
        };
        index.find(hash, is_it).copied()
    }

    /// The key's slot, which is new if the key is.
    pub(crate) fn find_or_insert(&mut self, hash: u64, key: &[u8]) -> u32 {
        if let Some(slot) = self.find(hash, key) {
            return slot;
        }
        let new = Key {
            hash,
            span: self.heap.add(key),
        };
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
            .insert_unique(hash, slot, |&slot| keys[slot as usize].hash);
        slot
    }

    pub(crate) fn key(&self, slot: u32) -> &[u8] {
        self.heap.get(self.keys[slot as usize].span)
    }

    pub(crate) fn hash(&self, slot: u32) -> u64 {
        self.keys[slot as usize].hash
    }

    /// Takes the key out of the index; its bytes stay until the slot is
    /// released.
    pub(crate) fn unlink(&mut self, slot: u32) {
        let hash = self.keys[slot as usize].hash;
        if let Ok(occupied) = self.index.find_entry(hash, |&found| found == slot) {
            occupied.remove();
        }
    }

    /// Gives the slot of an unlinked key back.
    pub(crate) fn release(&mut self, slot: u32) {
        let key = std::mem::take(&mut self.keys[slot as usize]);
        self.heap.free(key.span);
        self.free.push(slot);
    }

    /// Gives memory back, if enough was released.
    pub(crate) fn compact(&mut self) {
        let Self { keys, heap, .. } = self;
        heap.compact(keys.iter_mut().map(|key| &mut key.span));
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
        let keys = self.keys.capacity() * size_of::<Key>();
        index + keys + self.free.capacity() * size_of::<u32>() + self.heap.allocated_bytes()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use sluice_core::stable_hash;

    use super::*;

    #[test]
    fn slots_follow_their_keys() {
        let mut table = KeyTable::default();
        let mut expected: BTreeMap<Vec<u8>, u32> = BTreeMap::new();
        for round in 0..20_000_u64 {
            let key = (round * round % 4_001).to_string().into_bytes();
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
}
