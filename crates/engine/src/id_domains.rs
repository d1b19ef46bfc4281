//! The ids of unique values: in each domain every value has a number, given in
//! the order in which views first see the values, kept for good and never given
//! again. What `uniq_state` makes of a value is its id.
//!
//! All operators of a domain share its ids, so that their states can be merged.
//! Ids are part of the engine's state: a value that a view has seen has the same
//! id after a restart. A computation from the start of the log may give others,
//! and then every state is made of them.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, StringArray, UInt32Array};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use sluice_core::{CodecError, Delta, Reader, VIRTUAL_SHARDS, Writer, shard_of_hash, stable_hash};

use crate::EngineError;
use crate::key_table::KeyTable;
use crate::saved_state::{SaveScope, SavedState};

/// The collection of ids.
pub(crate) fn schema() -> SchemaRef {
    Arc::new(Schema::new(vec![
        Field::new("domain", DataType::Utf8, true),
        Field::new("value", DataType::Utf8, true),
        Field::new("id", DataType::UInt32, true),
    ]))
}

#[derive(Debug, Default)]
struct Shard {
    values: KeyTable,
    /// By slot of the value.
    ids: Vec<u32>,
    /// Slots that no checkpoint has.
    changed: Vec<u32>,
}

impl Shard {
    fn insert(&mut self, hash: u64, value: &[u8], id: u32) -> u32 {
        let slot = self.values.find_or_insert(hash, value);
        self.ids.resize(self.values.slot_count(), 0);
        self.ids[slot as usize] = id;
        slot
    }
}

/// The ids of one domain.
#[derive(Debug)]
pub(crate) struct IdDomain {
    shards: Vec<Shard>,
    /// Ids that were given: the next one.
    count: u32,
    count_max: u32,
    /// Values of this epoch in the order of their ids.
    new: Vec<String>,
}

impl IdDomain {
    fn new(count_max: u32) -> Self {
        Self {
            shards: (0..VIRTUAL_SHARDS).map(|_| Shard::default()).collect(),
            count: 0,
            count_max,
            new: Vec::new(),
        }
    }

    /// The value's id, which is new if the value is; `None` if there is none
    /// left.
    pub(crate) fn id(&mut self, value: &str) -> Option<u32> {
        let hash = stable_hash(value.as_bytes());
        let shard = &mut self.shards[shard_of_hash(hash)];
        if let Some(slot) = shard.values.find(hash, value.as_bytes()) {
            return Some(shard.ids[slot as usize]);
        }
        if self.count == self.count_max {
            return None;
        }
        let id = self.count;
        self.count += 1;
        let slot = shard.insert(hash, value.as_bytes(), id);
        shard.changed.push(slot);
        self.new.push(value.to_owned());
        Some(id)
    }

    /// Ids that it can give.
    pub(crate) fn count_max(&self) -> u32 {
        self.count_max
    }

    fn state_bytes(&self) -> u64 {
        let shards = self.shards.iter();
        shards
            .map(|shard| shard.values.memory_bytes() + shard.ids.capacity() * size_of::<u32>())
            .sum::<usize>() as u64
    }
}

impl SavedState for IdDomain {
    fn changed_count(&self) -> usize {
        self.shards.iter().map(|shard| shard.changed.len()).sum()
    }

    fn count(&self) -> usize {
        self.count as usize
    }

    fn save(&self, shard: usize, scope: SaveScope, writer: &mut Writer) {
        let shard = &self.shards[shard];
        let mut save = |slot: u32| {
            writer.bytes(shard.values.key(slot));
            writer.u32(shard.ids[slot as usize]);
        };
        match scope {
            SaveScope::All => shard.values.slots().for_each(&mut save),
            SaveScope::Changes => shard.changed.iter().copied().for_each(&mut save),
        }
    }

    fn forget_changes(&mut self, shard: usize) {
        self.shards[shard].changed = Vec::new();
    }

    fn load(&mut self, shard: usize, bytes: &[u8]) -> Result<(), CodecError> {
        let mut reader = Reader::new(bytes);
        while !reader.is_at_end() {
            let value = reader.bytes()?;
            let id = reader.u32()?;
            let next = id.checked_add(1);
            let next = next.ok_or_else(|| CodecError::Invalid(format!("{id} is no id")))?;
            self.shards[shard].insert(stable_hash(value), value, id);
            self.count = self.count.max(next);
        }
        Ok(())
    }
}

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct IdDomains {
    domains: BTreeMap<Arc<str>, IdDomain>,
}

impl IdDomains {
    pub(crate) fn new(names: &[Arc<str>], count_max: u32) -> Self {
        let names = names.iter().cloned();
        Self {
            domains: names.map(|name| (name, IdDomain::new(count_max))).collect(),
        }
    }

    pub(crate) fn get_mut(&mut self, name: &str) -> Option<&mut IdDomain> {
        self.domains.get_mut(name)
    }

    /// The domains in the order of their names.
    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = &mut IdDomain> {
        self.domains.values_mut()
    }

    /// Ids that were given, and memory that they take.
    pub(crate) fn size(&self) -> (u64, u64) {
        let domains = self.domains.values();
        domains.fold((0, 0), |(ids, bytes), domain| {
            (ids + u64::from(domain.count), bytes + domain.state_bytes())
        })
    }

    /// The ids that were given since the last call.
    pub(crate) fn take_new(&mut self) -> Result<Delta, EngineError> {
        let (mut names, mut values, mut ids) = (Vec::new(), Vec::new(), Vec::new());
        for (name, domain) in &mut self.domains {
            let new = std::mem::take(&mut domain.new);
            names.extend(std::iter::repeat_n(name.clone(), new.len()));
            ids.extend(domain.count - new.len() as u32..domain.count);
            values.extend(new);
        }
        let names = names.iter().map(AsRef::as_ref);
        let columns: Vec<ArrayRef> = vec![
            Arc::new(StringArray::from_iter_values(names)),
            Arc::new(StringArray::from(values)),
            Arc::new(UInt32Array::from(ids)),
        ];
        Ok(Delta::insert(RecordBatch::try_new(schema(), columns)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_given_in_order_and_come_back() {
        let mut domain = IdDomain::new(3);
        let ids = |domain: &mut IdDomain| ["b", "a", "b", "c", "d"].map(|value| domain.id(value));
        let expected = [Some(0), Some(1), Some(0), Some(2), None];
        assert_eq!(ids(&mut domain), expected);
        assert_eq!(domain.changed_count(), 3);
        let mut loaded = IdDomain::new(3);
        for shard in 0..VIRTUAL_SHARDS {
            let mut writer = Writer::new();
            domain.save(shard, SaveScope::All, &mut writer);
            loaded.load(shard, &writer.finish()).unwrap();
        }
        assert_eq!(ids(&mut loaded), expected);
        assert_eq!(loaded.changed_count(), 0);
    }
}
