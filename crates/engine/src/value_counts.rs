//! The values of groups with how often each occurs: what min and max need so
//! that a retraction brings back the next value.
//!
//! Most groups have one value. It lies in a heap that all groups of a shard
//! share; only a group with more gets a map of its own.

use std::collections::BTreeMap;

use hashbrown::HashMap;
use sluice_core::{CodecError, Reader, Writer};
use sluice_memory::{OrderedBytes, StateVec};

use crate::byte_heap::{ByteHeap, Span};

/// The value of a group that has only one. Weight 0: it has none, or several.
#[derive(Debug, Clone, Copy, Default)]
struct Single {
    span: Span,
    weight: i64,
}

type Several = BTreeMap<Box<[u8]>, i64>;

/// What a value in a map takes beside its bytes, about.
const MAP_VALUE_BYTES: usize = 56;
/// What a group in the map of groups takes, with half-empty nodes of its values.
const MAP_GROUP_BYTES: usize = 200;

/// Values in byte form with their weights, by the group's slot.
#[derive(Debug, Default)]
pub(crate) struct ValueCounts {
    singles: StateVec<Single>,
    heap: ByteHeap,
    several: HashMap<u32, Several>,
    /// Values in `several`, and what they take.
    several_count: usize,
    several_bytes: OrderedBytes,
    single_count: usize,
}

impl ValueCounts {
    /// Makes room for `slots` groups.
    pub(crate) fn resize(&mut self, slots: usize) {
        self.singles.resize(slots, Single::default());
    }

    /// Adds `weight` to a value of a group.
    pub(crate) fn add(&mut self, slot: usize, value: &[u8], weight: i64) {
        let several = self.several.get_mut(&(slot as u32));
        if let Some(known) = several.and_then(|values| values.get_mut(value)) {
            *known += weight;
            if *known == 0 {
                self.set(slot, value, 0);
            }
            return;
        }
        let before = self.weight(slot, value);
        self.set(slot, value, before + weight);
    }

    /// For input that is only added to: keeps the smallest or greatest value
    /// alone, for no other can ever be asked for.
    pub(crate) fn add_extreme(&mut self, slot: usize, value: &[u8], weight: i64, smallest: bool) {
        let single = self.singles[slot];
        if single.weight != 0 {
            let kept = self.heap.get(single.span);
            if kept == value {
                self.singles[slot].weight += weight;
                return;
            }
            if (kept < value) == smallest {
                return;
            }
            self.clear(slot);
        }
        self.set(slot, value, weight);
    }

    /// How often a value occurs in a group.
    pub(crate) fn weight(&self, slot: usize, value: &[u8]) -> i64 {
        let single = self.singles[slot];
        if single.weight != 0 {
            let is_it = self.heap.get(single.span) == value;
            return if is_it { single.weight } else { 0 };
        }
        let several = self.several.get(&(slot as u32));
        let found = several.and_then(|values| values.get(value));
        found.copied().unwrap_or(0)
    }

    /// Gives a value of a group a weight; 0 if it is gone.
    pub(crate) fn set(&mut self, slot: usize, value: &[u8], weight: i64) {
        let single = self.singles[slot];
        if single.weight == 0 {
            if self.several.contains_key(&(slot as u32)) {
                self.set_of_several(slot, value, weight);
            } else if weight != 0 {
                self.put_single(slot, value, weight);
            }
            return;
        }
        if self.heap.get(single.span) == value {
            if weight == 0 {
                self.clear(slot);
            } else {
                self.singles[slot].weight = weight;
            }
        } else if weight != 0 {
            let first: Box<[u8]> = self.heap.get(single.span).into();
            self.clear(slot);
            self.several_count += 2;
            let bytes = first.len() + value.len() + 2 * MAP_VALUE_BYTES;
            self.several_bytes.add(bytes + MAP_GROUP_BYTES);
            let values = Several::from([(first, single.weight), (value.into(), weight)]);
            self.several.insert(slot as u32, values);
        }
    }

    fn put_single(&mut self, slot: usize, value: &[u8], weight: i64) {
        let span = self.heap.add(value);
        self.singles[slot] = Single { span, weight };
        self.single_count += 1;
    }

    fn set_of_several(&mut self, slot: usize, value: &[u8], weight: i64) {
        let Some(values) = self.several.get_mut(&(slot as u32)) else {
            return;
        };
        if weight != 0 {
            if values.insert(value.into(), weight).is_none() {
                self.several_count += 1;
                self.several_bytes.add(value.len() + MAP_VALUE_BYTES);
            }
            return;
        }
        if values.remove(value).is_some() {
            self.several_count -= 1;
            self.several_bytes.remove(value.len() + MAP_VALUE_BYTES);
        }
        if values.len() == 1
            && let Some((last, weight)) = values.pop_first()
        {
            self.several.remove(&(slot as u32));
            self.several_count -= 1;
            let bytes = last.len() + MAP_VALUE_BYTES + MAP_GROUP_BYTES;
            self.several_bytes.remove(bytes);
            self.put_single(slot, &last, weight);
        }
    }

    /// Forgets a group.
    pub(crate) fn clear(&mut self, slot: usize) {
        let single = std::mem::take(&mut self.singles[slot]);
        if single.weight != 0 {
            self.heap.free(single.span);
            self.single_count -= 1;
        } else if let Some(values) = self.several.remove(&(slot as u32)) {
            self.several_count -= values.len();
            let bytes = values.keys().map(|value| value.len() + MAP_VALUE_BYTES);
            self.several_bytes
                .remove(bytes.sum::<usize>() + MAP_GROUP_BYTES);
        }
    }

    /// Gives memory back, if enough is gone.
    pub(crate) fn compact(&mut self) {
        let Self { singles, heap, .. } = self;
        let there = singles.iter_mut().filter(|single| single.weight != 0);
        heap.compact(there.map(|single| &mut single.span));
    }

    /// All values of a group in order, with their weights.
    pub(crate) fn of_group(&self, slot: usize) -> impl Iterator<Item = (&[u8], i64)> {
        let single = self.singles[slot];
        let single = (single.weight != 0).then(|| (self.heap.get(single.span), single.weight));
        let several = match single {
            Some(_) => None,
            None => self.several.get(&(slot as u32)),
        };
        let several = several.into_iter().flatten();
        let several = several.map(|(value, weight)| (value.as_ref(), *weight));
        single.into_iter().chain(several)
    }

    /// The smallest value of a group.
    pub(crate) fn smallest(&self, slot: usize) -> Option<&[u8]> {
        self.of_group(slot).next().map(|(value, _)| value)
    }

    /// The greatest value of a group.
    pub(crate) fn greatest(&self, slot: usize) -> Option<&[u8]> {
        let single = self.singles[slot];
        if single.weight != 0 {
            return Some(self.heap.get(single.span));
        }
        let several = self.several.get(&(slot as u32))?;
        several.keys().next_back().map(AsRef::as_ref)
    }

    /// Groups that there is room for.
    pub(crate) fn slot_count(&self) -> usize {
        self.singles.len()
    }

    /// Values of all groups.
    pub(crate) fn value_count(&self) -> usize {
        self.single_count + self.several_count
    }

    /// Memory taken, about.
    pub(crate) fn memory_bytes(&self) -> usize {
        self.singles.capacity() * size_of::<Single>()
            + self.heap.allocated_bytes()
            + self.several_bytes.get()
    }

    pub(crate) fn save(&self, slot: usize, writer: &mut Writer) {
        writer.u32(self.of_group(slot).count() as u32);
        for (value, weight) in self.of_group(slot) {
            writer.bytes(value);
            writer.i64(weight);
        }
    }

    pub(crate) fn load(&mut self, slot: usize, reader: &mut Reader<'_>) -> Result<(), CodecError> {
        self.clear(slot);
        for _ in 0..reader.u32()? {
            let value = reader.bytes()?;
            self.set(slot, value, reader.i64()?);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_of_one_value_and_of_many_count_alike() {
        let mut counts = ValueCounts::default();
        let mut expected: BTreeMap<(usize, Vec<u8>), i64> = BTreeMap::new();
        counts.resize(50);
        let mut state = 1_u64;
        for _ in 0..40_000 {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            let random = state >> 33;
            let slot = (random % 50) as usize;
            let value = vec![b'x'; (random / 50 % (1 + slot as u64 % 5)) as usize];
            let weight = if (random / 500).is_multiple_of(2) {
                1
            } else {
                -1
            };
            if random.is_multiple_of(97) {
                counts.clear(slot);
                expected.retain(|(other, _), _| *other != slot);
                counts.compact();
                continue;
            }
            counts.add(slot, &value, weight);
            *expected.entry((slot, value)).or_default() += weight;
            expected.retain(|_, weight| *weight != 0);
            let found: Vec<(Vec<u8>, i64)> = counts
                .of_group(slot)
                .map(|(value, weight)| (value.to_vec(), weight))
                .collect();
            let wanted: Vec<(Vec<u8>, i64)> = expected
                .iter()
                .filter(|((other, _), _)| *other == slot)
                .map(|((_, value), weight)| (value.clone(), *weight))
                .collect();
            assert_eq!(found, wanted);
            let ends = (counts.smallest(slot), counts.greatest(slot));
            let first = wanted.first().map(|(value, _)| value.as_slice());
            let last = wanted.last().map(|(value, _)| value.as_slice());
            assert_eq!(ends, (first, last));
            assert_eq!(counts.value_count(), expected.len());
        }
    }

    #[test]
    fn only_an_end_is_kept_of_what_is_only_added_to() {
        for (smallest, kept) in [(true, b"a"), (false, b"c")] {
            let mut counts = ValueCounts::default();
            counts.resize(1);
            for value in [b"b", b"a", b"c", b"a", b"c"] {
                counts.add_extreme(0, value, 1, smallest);
            }
            let values: Vec<_> = counts.of_group(0).collect();
            assert_eq!(values, [(kept.as_slice(), 2)]);
        }
    }
}
