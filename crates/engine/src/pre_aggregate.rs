//! Aggregation before the exchange: what a range of a batch adds to the groups
//! of one shard, as one partial result for each group.
//!
//! A group that has most of a batch is in one shard, and a shard is the work of
//! one thread. Where a range has few groups in a shard, the thread of the range
//! adds their rows up, and the shard gets the sums. That is exact: counts and
//! sums of integers, decimals and floats ([`sluice_functions::ExactFloat`]) do not
//! depend on the order in which they are added, and the smallest of the smallest is the
//! smallest. Functions that count values get each value of a group once, with
//! the sum of its weights; others get all rows.

use hashbrown::HashTable;
use sluice_core::{VIRTUAL_SHARDS, stable_hash};

use crate::accumulator::{Accumulator, AggregateSpec, Argument};
use crate::key::{EncodedRows, ShardedRows};

/// A shard with fewer rows of a range is not worth a second look.
const ROWS_MIN: usize = 1_024;
/// What is reduced must come to one of so many, or it is left as it is.
const ROWS_A_GROUP_MIN: usize = 4;
const ROWS_A_VALUE_MIN: usize = 2;
/// After so many rows it is known whether there are few groups or values.
const SAMPLE_ROWS: usize = 256;

/// What rows of a batch add to the groups of a shard.
pub(crate) struct PartialGroups {
    /// The first row of each group.
    pub(crate) rows: Vec<u32>,
    /// The sum of the weights of each group's rows.
    pub(crate) weights: Vec<i64>,
    calls: Vec<PartialCall>,
    /// The group of each row of the shard.
    groups: Vec<u32>,
}

/// What the rows add to one aggregate.
enum PartialCall {
    /// A state of each group.
    State(Box<Accumulator>),
    /// Each value of each group once.
    Values(ValueRows),
    /// Nothing was gained: all rows.
    Rows,
}

/// For each (group, value): a row that has it, and the sum of the weights.
#[derive(Default)]
struct ValueRows {
    groups: Vec<u32>,
    rows: Vec<u32>,
    weights: Vec<i64>,
}

/// A range of a batch in the form in which aggregates take it.
pub(crate) struct EncodedRange<'a> {
    pub(crate) keys: &'a EncodedRows,
    pub(crate) hashes: &'a [u64],
    pub(crate) weights: &'a [i64],
    pub(crate) arguments: &'a [Argument],
}

/// Shards that have so many rows of a range that its thread should reduce them.
/// A single thread has nobody to relieve.
pub(crate) fn hot_shards(sharded: &ShardedRows, threads: usize) -> Vec<usize> {
    if threads <= 1 {
        return Vec::new();
    }
    // Half of a thread's share of the work, but more than an even share of a
    // shard.
    let share = (4 * threads).min(VIRTUAL_SHARDS / 2);
    let rows_min = (sharded.all().len() / share).max(ROWS_MIN);
    let shards = 0..VIRTUAL_SHARDS;
    shards
        .filter(|&shard| sharded.of_shard(shard).len() >= rows_min)
        .collect()
}

impl PartialGroups {
    /// Reduces rows of one shard, if that makes them few.
    pub(crate) fn reduce<'a>(
        specs: impl Iterator<Item = &'a AggregateSpec>,
        rows: &[u32],
        range: &EncodedRange<'_>,
    ) -> Option<Self> {
        let EncodedRange {
            keys,
            hashes,
            weights,
            arguments,
        } = *range;
        let mut first_rows: Vec<u32> = Vec::new();
        let mut groups = Vec::with_capacity(rows.len());
        let mut known: HashTable<u32> = HashTable::new();
        for (place, &row) in rows.iter().enumerate() {
            let (hash, key) = (hashes[row as usize], keys.get(row as usize));
            let is_it = |&group: &u32| keys.get(first_rows[group as usize] as usize) == key;
            let group = match known.find(hash, is_it) {
                Some(&group) => group,
                None => {
                    let group = first_rows.len() as u32;
                    known.insert_unique(hash, group, |&group| {
                        hashes[first_rows[group as usize] as usize]
                    });
                    first_rows.push(row);
                    if place >= SAMPLE_ROWS && first_rows.len() * ROWS_A_GROUP_MIN > place {
                        return None;
                    }
                    group
                }
            };
            groups.push(group);
        }
        let row_weights: Vec<i64> = rows.iter().map(|&row| weights[row as usize]).collect();
        let mut group_weights = vec![0; first_rows.len()];
        for (&group, &weight) in groups.iter().zip(&row_weights) {
            group_weights[group as usize] += weight;
        }
        let calls = specs.zip(arguments).map(|(spec, argument)| {
            let mut accumulator = Accumulator::new(spec);
            if accumulator.adds_up() {
                accumulator.resize(first_rows.len());
                accumulator.update(&groups, rows, &row_weights, argument);
                return PartialCall::State(Box::new(accumulator));
            }
            let values = match accumulator.adds_by_value() {
                true => ValueRows::find(&groups, rows, &row_weights, argument),
                false => None,
            };
            values.map_or(PartialCall::Rows, PartialCall::Values)
        });
        let calls = calls.collect();
        Some(Self {
            rows: first_rows,
            weights: group_weights,
            calls,
            groups,
        })
    }

    /// Adds what the rows add to the accumulators of a shard. `slots` are the
    /// groups there, `rows` and `range` what was reduced.
    pub(crate) fn add_to(
        &self,
        accumulators: &mut [Accumulator],
        slots: &[u32],
        rows: &[u32],
        range: &EncodedRange<'_>,
    ) {
        let slots_of = |groups: &[u32]| -> Vec<u32> {
            groups.iter().map(|&group| slots[group as usize]).collect()
        };
        let calls = accumulators.iter_mut().zip(&self.calls);
        for ((accumulator, call), argument) in calls.zip(range.arguments) {
            match call {
                PartialCall::State(state) => accumulator.merge(slots, state),
                PartialCall::Values(values) => {
                    let slots = slots_of(&values.groups);
                    accumulator.update(&slots, &values.rows, &values.weights, argument);
                }
                PartialCall::Rows => {
                    let weights = rows.iter().map(|&row| range.weights[row as usize]);
                    let weights: Vec<i64> = weights.collect();
                    accumulator.update(&slots_of(&self.groups), rows, &weights, argument);
                }
            }
        }
    }
}

impl ValueRows {
    /// The values of the rows that count, if they are few.
    fn find(groups: &[u32], rows: &[u32], weights: &[i64], argument: &Argument) -> Option<Self> {
        let encoded = argument.encoded.as_ref()?;
        let mut found = Self::default();
        let mut hashes: Vec<u64> = Vec::new();
        let mut known: HashTable<u32> = HashTable::new();
        for (place, (&group, &row)) in groups.iter().zip(rows).enumerate() {
            if !argument.counts(row as usize) {
                continue;
            }
            let value = encoded.get(row as usize);
            let hash = stable_hash(value) ^ u64::from(group).wrapping_mul(0x9E37_79B9_7F4A_7C15);
            let is_it = |&number: &u32| {
                let number = number as usize;
                found.groups[number] == group && encoded.get(found.rows[number] as usize) == value
            };
            match known.find(hash, is_it) {
                Some(&number) => found.weights[number as usize] += weights[place],
                None => {
                    let number = found.rows.len() as u32;
                    known.insert_unique(hash, number, |&number| hashes[number as usize]);
                    hashes.push(hash);
                    found.groups.push(group);
                    found.rows.push(row);
                    found.weights.push(weights[place]);
                    if place >= SAMPLE_ROWS && found.rows.len() * ROWS_A_VALUE_MIN > place {
                        return None;
                    }
                }
            }
        }
        Some(found.without_zeros())
    }

    /// Without values that are added and taken away alike: they change nothing.
    fn without_zeros(mut self) -> Self {
        if self.weights.contains(&0) {
            let kept = |place: &usize| self.weights[*place] != 0;
            let kept: Vec<usize> = (0..self.weights.len()).filter(kept).collect();
            self.groups = kept.iter().map(|&place| self.groups[place]).collect();
            self.rows = kept.iter().map(|&place| self.rows[place]).collect();
            self.weights = kept.iter().map(|&place| self.weights[place]).collect();
        }
        self
    }
}
