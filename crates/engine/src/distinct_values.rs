//! Which values each group of a `DISTINCT` aggregate has, and how often.

use hashbrown::HashSet;
use sluice_core::stable_hash;
use sluice_memory::StateVec;

use crate::changed_slots::ChangedSlots;
use crate::key_table::KeyTable;
use crate::saved_state::SaveScope;

/// Values by group. The key is the group's slot, little-endian, and the value.
#[derive(Debug, Default)]
pub(crate) struct DistinctValues {
    keys: KeyTable,
    weights: StateVec<i64>,
    changed: ChangedSlots,
    key: Vec<u8>,
}

impl DistinctValues {
    /// Adds `weight` to the value. 1 if the value appears in the group by it, -1
    /// if it vanishes.
    pub(crate) fn add(&mut self, group: u32, value: &[u8], weight: i64) -> i64 {
        let number = self.number(group, value);
        let before = self.weights[number as usize];
        let after = before + weight;
        self.put(number, after);
        i64::from(after > 0) - i64::from(before > 0)
    }

    /// Gives the value a weight; 0 if it is gone.
    pub(crate) fn set(&mut self, group: u32, value: &[u8], weight: i64) {
        let number = self.number(group, value);
        self.put(number, weight);
    }

    /// Takes all values of some groups out. This looks at all values, so it is
    /// for many groups at a time.
    pub(crate) fn forget_groups(&mut self, groups: &[u32]) {
        let groups: HashSet<u32> = groups.iter().copied().collect();
        let is_of_them = |&number: &u32| {
            let group = self.keys.key(number).first_chunk();
            group.is_some_and(|group| groups.contains(&u32::from_le_bytes(*group)))
        };
        let numbers: Vec<u32> = self.keys.slots().filter(is_of_them).collect();
        for number in numbers {
            self.put(number, 0);
        }
        self.compact();
    }

    fn number(&mut self, group: u32, value: &[u8]) -> u32 {
        self.key.clear();
        self.key.extend_from_slice(&group.to_le_bytes());
        self.key.extend_from_slice(value);
        let number = self.keys.find_or_insert(stable_hash(&self.key), &self.key);
        if self.weights.len() < self.keys.slot_count() {
            self.weights.resize(self.keys.slot_count(), 0);
        }
        number
    }

    fn put(&mut self, number: u32, weight: i64) {
        self.weights[number as usize] = weight;
        if weight != 0 {
            self.changed.change(number);
        } else if self.changed.gone(number) {
            self.keys.unlink(number);
            self.keys.release(number);
        }
    }

    /// Calls `f` with the group, value and weight of each.
    pub(crate) fn for_each(&self, scope: SaveScope, f: &mut dyn FnMut(u32, &[u8], i64)) {
        let mut give = |number: u32| {
            let Some((group, value)) = self.keys.key(number).split_first_chunk() else {
                return;
            };
            f(
                u32::from_le_bytes(*group),
                value,
                self.weights[number as usize],
            );
        };
        match scope {
            SaveScope::Changes => self
                .changed
                .changed()
                .iter()
                .for_each(|&number| give(number)),
            SaveScope::All => self
                .keys
                .slots()
                .filter(|&number| self.weights[number as usize] != 0)
                .for_each(give),
        }
    }

    pub(crate) fn forget_changes(&mut self) {
        let weights = &self.weights;
        for number in self.changed.saved(|number| weights[number as usize] == 0) {
            self.keys.unlink(number);
            self.keys.release(number);
        }
        self.compact();
    }

    /// Gives memory back, if enough is gone.
    pub(crate) fn compact(&mut self) {
        self.keys.compact();
    }

    pub(crate) fn changed_count(&self) -> usize {
        self.changed.changed().len()
    }

    /// Memory taken, about.
    pub(crate) fn memory_bytes(&self) -> usize {
        let weights = self.weights.capacity() * size_of::<i64>();
        self.keys.memory_bytes() + weights + self.changed.memory_bytes()
    }

    pub(crate) fn len(&self) -> usize {
        self.keys.len()
    }
}
