//! The states of unique values of all groups of a shard: what `uniq_state` and
//! `uniq_merge` keep.
//!
//! A bitmap cannot tell how often a value is there. Where rows can be taken
//! back, every value of a group is counted beside its bitmap.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, BinaryArray};
use arrow::datatypes::UInt32Type;
use sluice_core::{CodecError, Reader, Writer};
use sluice_functions::{UniqSet, UniqSets};

use crate::accumulator::{Argument, OutputErrors};
use crate::distinct_values::DistinctValues;
use crate::saved_state::SaveScope;

/// Takes the place of a domain for bytes that are no state, so that they count
/// like values and their group has an error until they are taken back.
const NOT_A_STATE: &str = "(no state of unique values)";
const ID_BYTES: usize = size_of::<u32>();

/// See the module.
#[derive(Debug)]
pub(crate) struct GroupUniqSets {
    /// By slot.
    sets: Vec<UniqSets>,
    /// How often each value is there, where rows can be taken back. A value is
    /// its domain and its id.
    counted: Option<DistinctValues>,
    /// The domain of the ids; `None` where the input are states.
    domain: Option<Arc<str>>,
}

impl GroupUniqSets {
    pub(crate) fn new(domain: Option<Arc<str>>, input_retracts: bool) -> Self {
        Self {
            sets: Vec::new(),
            counted: input_retracts.then(DistinctValues::default),
            domain,
        }
    }

    pub(crate) fn resize(&mut self, slots: usize) {
        self.sets.resize(slots, UniqSets::default());
    }

    /// Adds rows, see [`crate::accumulator::Accumulator::update`].
    pub(crate) fn update(
        &mut self,
        slots: &[u32],
        rows: &[u32],
        weights: &[i64],
        argument: &Argument,
    ) {
        let Some(values) = &argument.values else {
            return;
        };
        let counted = slots.iter().zip(rows).zip(weights);
        let counted = counted.map(|((&slot, &row), &weight)| (slot, row as usize, weight));
        let counted = counted.filter(|&(_, row, _)| argument.counts(row));
        match self.domain.clone() {
            Some(domain) => {
                let Some(ids) = values.as_primitive_opt::<UInt32Type>() else {
                    return;
                };
                for (slot, row, weight) in counted {
                    self.add(slot, &domain, ids.value(row), weight);
                }
            }
            None => {
                let Some(states) = values.as_binary_opt::<i32>() else {
                    return;
                };
                self.merge(counted.map(|(slot, row, weight)| (slot, states.value(row), weight)));
            }
        }
        if let Some(counted) = &mut self.counted {
            counted.compact();
        }
    }

    fn add(&mut self, slot: u32, domain: &str, id: u32, weight: i64) {
        let sign = match &mut self.counted {
            Some(counted) => counted.add(slot, &value_key(domain, id), weight),
            None => weight,
        };
        let set = &mut self.sets[slot as usize];
        match sign {
            1.. => set.insert(domain, id),
            0 => {}
            _ => set.remove(domain, id),
        }
    }

    /// A row that changes comes as the state before, to be taken away, and the
    /// state after. They have most values in common, so that only their
    /// differences are looked at.
    fn merge<'a>(&mut self, states: impl Iterator<Item = (u32, &'a [u8], i64)>) {
        let mut by_slot: BTreeMap<u32, [Vec<UniqSet>; 2]> = BTreeMap::new();
        for (slot, bytes, weight) in states {
            let Ok(set) = UniqSet::decode(bytes) else {
                self.add(slot, NOT_A_STATE, 0, weight);
                continue;
            };
            if self.counted.is_none() {
                self.sets[slot as usize].union(set);
                continue;
            }
            let of_sign = &mut by_slot.entry(slot).or_default()[usize::from(weight < 0)];
            let copies = usize::try_from(weight.unsigned_abs()).unwrap_or(usize::MAX);
            of_sign.extend(std::iter::repeat_n(set, copies));
        }
        for (slot, [added, removed]) in by_slot {
            for place in 0..added.len().max(removed.len()) {
                let (after, before) = (added.get(place), removed.get(place));
                self.add_missing(slot, after, before, 1);
                self.add_missing(slot, before, after, -1);
            }
        }
    }

    /// Adds the values of `one` that `other` lacks.
    fn add_missing(
        &mut self,
        slot: u32,
        one: Option<&UniqSet>,
        other: Option<&UniqSet>,
        weight: i64,
    ) {
        let Some(one) = one else { return };
        let missing = match other {
            Some(other) => one.without(other),
            None => one.clone(),
        };
        for id in missing.ids() {
            self.add(slot, missing.domain(), id, weight);
        }
    }

    /// The groups' states; NULL for a group without values.
    pub(crate) fn output(&self, slots: &[u32], errors: &mut OutputErrors) -> ArrayRef {
        let states = slots.iter().enumerate().map(|(index, &slot)| {
            let sets = &self.sets[slot as usize];
            if sets.sets().iter().any(|set| set.domain() == NOT_A_STATE) {
                let message = "uniq_merge of bytes that are no state: give what uniq_state gave";
                errors.push((index, message.into()));
                return None;
            }
            sets.encode().unwrap_or_else(|error| {
                errors.push((index, error.to_string().into()));
                None
            })
        });
        Arc::new(BinaryArray::from_iter(states.collect::<Vec<_>>()))
    }

    /// Forgets a group whose rows are all gone. Its counted values are gone with
    /// them.
    pub(crate) fn clear(&mut self, slot: usize) {
        self.sets[slot] = UniqSets::default();
    }

    /// From now on [`GroupUniqSets::forget_values`] may be called.
    pub(crate) fn prepare_to_forget(&mut self) {
        if let Some(counted) = &mut self.counted {
            counted.prepare_to_forget();
        }
    }

    /// Forgets the values of groups that are dropped with their rows.
    pub(crate) fn forget_values(&mut self, slots: &[u32]) {
        if let Some(counted) = &mut self.counted {
            counted.forget_groups(slots);
        }
    }

    /// Saves the group's sets, unless its values are saved.
    pub(crate) fn save(&self, slot: usize, writer: &mut Writer) {
        if self.counted.is_some() {
            return;
        }
        let sets = self.sets[slot].sets();
        writer.u32(sets.len() as u32);
        for set in sets {
            // A state that came in has a name that fits.
            writer.bytes(&set.encode().unwrap_or_default());
        }
    }

    pub(crate) fn load(&mut self, slot: usize, reader: &mut Reader<'_>) -> Result<(), CodecError> {
        if self.counted.is_some() {
            return Ok(());
        }
        self.sets[slot] = UniqSets::default();
        for _ in 0..reader.u32()? {
            let set = UniqSet::decode(reader.bytes()?);
            let set = set.map_err(|error| CodecError::Invalid(error.to_string()))?;
            self.sets[slot].union(set);
        }
        Ok(())
    }

    pub(crate) fn counts_values(&self) -> bool {
        self.counted.is_some()
    }

    /// Calls `f` with the group, value and weight of each counted value.
    pub(crate) fn for_each(&self, scope: SaveScope, f: &mut dyn FnMut(u32, &[u8], i64)) {
        if let Some(counted) = &self.counted {
            counted.for_each(scope, f);
        }
    }

    /// Takes a counted value back.
    pub(crate) fn set(&mut self, slot: u32, value: &[u8], weight: i64) -> Result<(), CodecError> {
        let Some(counted) = &mut self.counted else {
            return Ok(());
        };
        let split = value.split_last_chunk::<ID_BYTES>();
        let (domain, id) =
            split.ok_or_else(|| CodecError::Invalid("a value without an id".into()))?;
        let domain = std::str::from_utf8(domain)
            .map_err(|_| CodecError::Invalid("the name of a domain is not UTF-8".into()))?;
        counted.set(slot, value, weight);
        let id = u32::from_be_bytes(*id);
        let sets = &mut self.sets[slot as usize];
        if weight > 0 {
            sets.insert(domain, id);
        } else {
            sets.remove(domain, id);
        }
        Ok(())
    }

    pub(crate) fn forget_changes(&mut self) {
        if let Some(counted) = &mut self.counted {
            counted.forget_changes();
        }
    }

    pub(crate) fn memory_bytes(&self) -> usize {
        let sets: usize = self.sets.iter().map(UniqSets::memory_bytes).sum();
        let counted = self
            .counted
            .as_ref()
            .map_or(0, DistinctValues::memory_bytes);
        self.sets.capacity() * size_of::<UniqSets>() + sets + counted
    }

    pub(crate) fn changed_count(&self) -> usize {
        let counted = self.counted.as_ref();
        counted.map_or(0, DistinctValues::changed_count)
    }

    pub(crate) fn value_count(&self) -> usize {
        self.counted.as_ref().map_or(0, DistinctValues::len)
    }
}

fn value_key(domain: &str, id: u32) -> Vec<u8> {
    let mut key = Vec::with_capacity(domain.len() + ID_BYTES);
    key.extend_from_slice(domain.as_bytes());
    key.extend_from_slice(&id.to_be_bytes());
    key
}
