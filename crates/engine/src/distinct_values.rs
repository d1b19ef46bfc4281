//! Which values each group of a `DISTINCT` aggregate has, and how often.

use std::ops::Range;

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
    /// The values of each group, where groups are dropped.
    links: Option<Links>,
}

/// The values that are added together, as keys one behind the other.
#[derive(Debug, Default)]
struct Batch {
    bytes: Vec<u8>,
    ranges: Vec<Range<usize>>,
    hashes: Vec<u64>,
    groups: Vec<u32>,
    weights: Vec<i64>,
}

impl Batch {
    fn push(&mut self, group: u32, value: &[u8], weight: i64) {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(&group.to_le_bytes());
        self.bytes.extend_from_slice(value);
        self.hashes.push(stable_hash(&self.bytes[start..]));
        self.ranges.push(start..self.bytes.len());
        self.groups.push(group);
        self.weights.push(weight);
    }

    fn keys(&self) -> impl Iterator<Item = (u64, &[u8])> + Clone {
        let keys = self.ranges.iter().map(|range| &self.bytes[range.clone()]);
        self.hashes.iter().copied().zip(keys)
    }
}

/// The end of a list.
const NONE: u32 = u32::MAX;

/// A list of values for each group.
#[derive(Debug, Default)]
struct Links {
    /// By group.
    first: StateVec<u32>,
    /// By value.
    next: StateVec<u32>,
    previous: StateVec<u32>,
}

impl Links {
    fn add(&mut self, group: u32, number: u32) {
        let (group, index) = (group as usize, number as usize);
        if self.first.len() <= group {
            self.first.resize(group + 1, NONE);
        }
        if self.next.len() <= index {
            self.next.resize(index + 1, NONE);
            self.previous.resize(index + 1, NONE);
        }
        let second = std::mem::replace(&mut self.first[group], number);
        self.next[index] = second;
        self.previous[index] = NONE;
        if second != NONE {
            self.previous[second as usize] = number;
        }
    }

    fn remove(&mut self, group: u32, number: u32) {
        let (next, previous) = (self.next[number as usize], self.previous[number as usize]);
        match previous {
            NONE => self.first[group as usize] = next,
            previous => self.next[previous as usize] = next,
        }
        if next != NONE {
            self.previous[next as usize] = previous;
        }
    }

    fn of_group(&self, group: u32) -> Vec<u32> {
        let mut numbers = Vec::new();
        let mut number = self.first.get(group as usize).copied().unwrap_or(NONE);
        while number != NONE {
            numbers.push(number);
            number = self.next[number as usize];
        }
        numbers
    }
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

    /// Adds values with their weights to groups. `changed` is told of each, by
    /// its place, that appears in its group (1) or vanishes from it (-1).
    pub(crate) fn add_all<'a>(
        &mut self,
        values: impl Iterator<Item = (u32, &'a [u8], i64)>,
        mut changed: impl FnMut(usize, i64),
    ) {
        let mut batch = Batch::default();
        for (group, value, weight) in values {
            batch.push(group, value, weight);
        }
        let links = &mut self.links;
        let numbers = self.keys.find_or_insert_all(batch.keys(), |place, number| {
            if let Some(links) = links {
                links.add(batch.groups[place], number);
            }
        });
        self.weights.resize(self.keys.slot_count(), 0);
        let mut vanished = Vec::new();
        for (place, (&number, &weight)) in numbers.iter().zip(&batch.weights).enumerate() {
            let stored = &mut self.weights[number as usize];
            let before = std::mem::replace(stored, *stored + weight);
            let after = *stored;
            self.changed.change(number);
            match (before > 0, after > 0) {
                (false, true) => changed(place, 1),
                (true, false) => changed(place, -1),
                _ => {}
            }
            if after == 0 {
                vanished.push(number);
            }
        }
        // Not before all are added: the same value may come back behind.
        vanished.sort_unstable();
        vanished.dedup();
        for number in vanished {
            if self.weights[number as usize] == 0 && self.changed.gone(number) {
                self.release(number);
            }
        }
    }

    /// Gives the value a weight; 0 if it is gone.
    pub(crate) fn set(&mut self, group: u32, value: &[u8], weight: i64) {
        let number = self.number(group, value);
        self.put(number, weight);
    }

    /// From now on [`DistinctValues::forget_groups`] may be called. Called once,
    /// before anything is added.
    pub(crate) fn prepare_to_forget(&mut self) {
        self.links = Some(Links::default());
    }

    /// Takes all values of some groups out.
    pub(crate) fn forget_groups(&mut self, groups: &[u32]) {
        for &group in groups {
            let numbers = self.links.as_ref().map(|links| links.of_group(group));
            for number in numbers.unwrap_or_default() {
                self.put(number, 0);
            }
        }
        self.compact();
    }

    fn number(&mut self, group: u32, value: &[u8]) -> u32 {
        self.key.clear();
        self.key.extend_from_slice(&group.to_le_bytes());
        self.key.extend_from_slice(value);
        let count = self.keys.len();
        let number = self.keys.find_or_insert(stable_hash(&self.key), &self.key);
        if self.keys.len() > count
            && let Some(links) = &mut self.links
        {
            links.add(group, number);
        }
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
            self.release(number);
        }
    }

    fn release(&mut self, number: u32) {
        if let Some(links) = &mut self.links
            && let Some(group) = self.keys.key(number).first_chunk()
        {
            links.remove(u32::from_le_bytes(*group), number);
        }
        self.keys.unlink(number);
        self.keys.release(number);
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
            self.release(number);
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
        let links = self.links.as_ref().map_or(0, |links| {
            let slots = links.first.capacity() + links.next.capacity() + links.previous.capacity();
            slots * size_of::<u32>()
        });
        self.keys.memory_bytes() + weights + links + self.changed.memory_bytes()
    }

    pub(crate) fn len(&self) -> usize {
        self.keys.len()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn groups_are_forgotten_with_all_their_values_and_no_others() {
        let mut values = DistinctValues::default();
        values.prepare_to_forget();
        let mut expected: BTreeMap<(u32, u8), i64> = BTreeMap::new();
        for step in 0..30_000_u32 {
            let group = step * step % 41;
            let value = (step % 23) as u8;
            match step % 500 {
                499 => {
                    values.forget_groups(&[group, group + 1]);
                    expected.retain(|(other, _), _| *other != group && *other != group + 1);
                }
                250 => values.forget_changes(),
                _ => {
                    let count = expected.entry((group, value)).or_default();
                    // The same value goes and comes in one batch, or goes alone.
                    let first = if step % 3 == 0 && *count > 0 {
                        -*count
                    } else {
                        1
                    };
                    let second = i64::from(step % 2 == 0);
                    let mut found = [0; 2];
                    let batch = [(group, &[value][..], first), (group, &[value][..], second)];
                    values.add_all(batch.into_iter(), |place, sign| found[place] = sign);
                    for (weight, sign) in [first, second].into_iter().zip(found) {
                        let before = *count > 0;
                        *count += weight;
                        assert_eq!(sign, i64::from(*count > 0) - i64::from(before));
                    }
                }
            }
        }
        expected.retain(|_, count| *count != 0);
        let mut found = BTreeMap::new();
        values.for_each(SaveScope::All, &mut |group, value, weight| {
            found.insert((group, value[0]), weight);
        });
        assert_eq!(found, expected);
    }
}
