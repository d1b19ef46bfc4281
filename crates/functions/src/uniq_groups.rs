//! `uniq_state` over many groups in a query: the ids of all values are looked up
//! together, once for an answer and not once for a group.

use std::collections::BTreeSet;
use std::hash::BuildHasher;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BinaryBuilder, BooleanArray, ListBuilder, StringArray, StringBuilder,
};
use arrow::compute::cast;
use arrow::datatypes::DataType;
use datafusion::error::Result;
use datafusion::logical_expr::{EmitTo, GroupsAccumulator};
use hashbrown::{DefaultHashBuilder, HashTable};

use crate::uniq_merge::external;
use crate::uniq_state::{UniqIds, without_id};
use crate::{UniqError, UniqSet};

/// Pairs of a group and a value are made unique when there are so many more than
/// unique ones, so that what a group sees again and again takes no memory.
const PAIRS_MORE_MAX: usize = 1 << 16;

/// Texts, each with a number: the first is 0.
#[derive(Debug, Default)]
struct Texts {
    texts: Vec<Box<str>>,
    numbers: HashTable<u32>,
    hasher: DefaultHashBuilder,
    text_bytes: usize,
}

impl Texts {
    fn number_of(&mut self, text: &str) -> Result<u32> {
        let hash = self.hasher.hash_one(text);
        let is_text = |number: &u32| &*self.texts[*number as usize] == text;
        if let Some(number) = self.numbers.find(hash, is_text) {
            return Ok(*number);
        }
        let number = u32::try_from(self.texts.len()).map_err(|_| external(UniqError::TooMany))?;
        self.texts.push(text.into());
        self.text_bytes += text.len();
        let (texts, hasher) = (&self.texts, &self.hasher);
        let hash_of = |number: &u32| hasher.hash_one(&*texts[*number as usize]);
        self.numbers.insert_unique(hash, number, hash_of);
        Ok(number)
    }

    fn memory_bytes(&self) -> usize {
        self.texts.capacity() * size_of::<Box<str>>()
            + self.numbers.allocation_size()
            + self.text_bytes
    }
}

/// See the module.
#[derive(Debug)]
pub(crate) struct GroupedValues {
    domain: Arc<str>,
    ids: Arc<dyn UniqIds>,
    texts: Texts,
    /// The ids of texts, as far as they were looked up.
    ids_of_texts: Vec<Option<u32>>,
    /// Group and number of the text; sorted and unique up to `unique`.
    pairs: Vec<(u32, u32)>,
    unique: usize,
    groups: usize,
}

impl GroupedValues {
    pub(crate) fn new(domain: Arc<str>, ids: Arc<dyn UniqIds>) -> Self {
        Self {
            domain,
            ids,
            texts: Texts::default(),
            ids_of_texts: Vec::new(),
            pairs: Vec::new(),
            unique: 0,
            groups: 0,
        }
    }

    fn add(&mut self, group: usize, text: &str) -> Result<()> {
        let group = u32::try_from(group).map_err(|_| external(UniqError::TooMany))?;
        self.pairs.push((group, self.texts.number_of(text)?));
        Ok(())
    }

    fn make_unique(&mut self) {
        self.pairs.sort_unstable();
        self.pairs.dedup();
        self.unique = self.pairs.len();
    }

    fn make_unique_if_many(&mut self) {
        if self.pairs.len() > self.unique * 2 + PAIRS_MORE_MAX {
            self.make_unique();
        }
    }

    /// Takes the pairs of the groups that are wanted, in their order, and the
    /// number of these groups; those that stay begin with group 0 again.
    fn take(&mut self, emit_to: EmitTo) -> (Vec<(u32, u32)>, usize) {
        self.make_unique();
        let groups = match emit_to {
            EmitTo::All => self.groups,
            EmitTo::First(count) => count.min(self.groups),
        };
        let end = self
            .pairs
            .partition_point(|(group, _)| (*group as usize) < groups);
        let rest = self.pairs.split_off(end);
        let taken = std::mem::replace(&mut self.pairs, rest);
        for (group, _) in &mut self.pairs {
            // It is not below `groups`, which therefore fits.
            *group -= groups as u32;
        }
        self.unique = self.pairs.len();
        self.groups -= groups;
        (taken, groups)
    }

    /// Looks up what these pairs need and was not looked up yet.
    fn find_ids(&mut self, pairs: &[(u32, u32)]) -> Result<()> {
        self.ids_of_texts.resize(self.texts.texts.len(), None);
        let numbers = pairs.iter().map(|(_, number)| *number as usize);
        let unknown = numbers.filter(|number| self.ids_of_texts[*number].is_none());
        let values: BTreeSet<String> = unknown
            .map(|number| self.texts.texts[number].to_string())
            .collect();
        if values.is_empty() {
            return Ok(());
        }
        let found = self.ids.find(&self.domain, &values)?;
        if found.len() < values.len() {
            return Err(without_id(&self.domain, &values, &found));
        }
        for (value, id) in found {
            let number = self.texts.number_of(&value)?;
            self.ids_of_texts[number as usize] = Some(id);
        }
        Ok(())
    }
}

/// The pairs of each group in turn.
fn of_groups(pairs: &[(u32, u32)], groups: usize) -> impl Iterator<Item = &[(u32, u32)]> {
    let mut rest = pairs;
    (0..groups).map(move |group| {
        let end = rest.partition_point(|(of, _)| *of as usize <= group);
        let (own, others) = rest.split_at(end);
        rest = others;
        own
    })
}

/// Whether a row counts.
fn counts(filter: Option<&BooleanArray>, row: usize) -> bool {
    filter.is_none_or(|filter| filter.is_valid(row) && filter.value(row))
}

fn as_texts(values: &[ArrayRef]) -> Result<StringArray> {
    match values.first() {
        Some(values) => Ok(cast(values, &DataType::Utf8)?.as_string::<i32>().clone()),
        None => Ok(StringArray::new_null(0)),
    }
}

impl GroupsAccumulator for GroupedValues {
    fn update_batch(
        &mut self,
        values: &[ArrayRef],
        group_indices: &[usize],
        opt_filter: Option<&BooleanArray>,
        total_num_groups: usize,
    ) -> Result<()> {
        self.groups = total_num_groups;
        let texts = as_texts(values)?;
        for (row, (text, group)) in texts.iter().zip(group_indices).enumerate() {
            if let Some(text) = text.filter(|_| counts(opt_filter, row)) {
                self.add(*group, text)?;
            }
        }
        self.make_unique_if_many();
        Ok(())
    }

    fn evaluate(&mut self, emit_to: EmitTo) -> Result<ArrayRef> {
        let (pairs, groups) = self.take(emit_to);
        self.find_ids(&pairs)?;
        let mut states = BinaryBuilder::with_capacity(groups, 0);
        for own in of_groups(&pairs, groups) {
            if own.is_empty() {
                states.append_null();
                continue;
            }
            let mut set = UniqSet::new(self.domain.clone());
            for id in own
                .iter()
                .filter_map(|(_, number)| self.ids_of_texts[*number as usize])
            {
                set.insert(id);
            }
            states.append_value(set.encode().map_err(external)?);
        }
        Ok(Arc::new(states.finish()))
    }

    fn state(&mut self, emit_to: EmitTo) -> Result<Vec<ArrayRef>> {
        let (pairs, groups) = self.take(emit_to);
        let mut lists = ListBuilder::new(StringBuilder::new());
        for own in of_groups(&pairs, groups) {
            for (_, number) in own {
                lists
                    .values()
                    .append_value(&self.texts.texts[*number as usize]);
            }
            lists.append(true);
        }
        Ok(vec![Arc::new(lists.finish())])
    }

    fn merge_batch(
        &mut self,
        values: &[ArrayRef],
        group_indices: &[usize],
        total_num_groups: usize,
    ) -> Result<()> {
        self.groups = total_num_groups;
        for lists in values {
            for (list, group) in lists.as_list::<i32>().iter().zip(group_indices) {
                let Some(list) = list else {
                    continue;
                };
                for text in list.as_string::<i32>().iter().flatten() {
                    self.add(*group, text)?;
                }
            }
        }
        self.make_unique_if_many();
        Ok(())
    }

    fn convert_to_state(
        &self,
        values: &[ArrayRef],
        opt_filter: Option<&BooleanArray>,
    ) -> Result<Vec<ArrayRef>> {
        let mut lists = ListBuilder::new(StringBuilder::new());
        for (row, text) in as_texts(values)?.iter().enumerate() {
            if let Some(text) = text.filter(|_| counts(opt_filter, row)) {
                lists.values().append_value(text);
            }
            lists.append(true);
        }
        Ok(vec![Arc::new(lists.finish())])
    }

    fn size(&self) -> usize {
        size_of::<Self>()
            + self.texts.memory_bytes()
            + self.pairs.capacity() * size_of::<(u32, u32)>()
            + self.ids_of_texts.capacity() * size_of::<Option<u32>>()
    }
}

#[cfg(test)]
mod tests;
