//! `FOR SYSTEM_TIME AS OF`: each left row meets the version of its key that held
//! at the row's time, which is the one with the greatest time not after it.
//!
//! A changed version touches the left rows from its own time to that of the next
//! version; those are joined anew. So late versions correct what came out.

use std::collections::{BTreeMap, BTreeSet};

use arrow::array::{Array, ArrayRef};
use arrow::datatypes::{DataType, SchemaRef};
use hashbrown::HashMap;
use sluice_core::{CodecError, Delta, Reader, VIRTUAL_SHARDS, Writer, shard_of_hash};
use sluice_memory::StateBytes;

use super::values::ticks;
use crate::EngineError;
use crate::key::RowCodec;
use crate::operator::{Operator, StepContext};
use crate::saved_state::{SaveScope, SavedState};

/// Rows with their weights.
type Rows = BTreeMap<StateBytes, i64>;

/// What is known of one key, by time.
#[derive(Default)]
struct KeyState {
    left: BTreeMap<i64, Rows>,
    versions: BTreeMap<i64, Rows>,
}

fn add(side: &mut BTreeMap<i64, Rows>, time: i64, row: &[u8], weight: i64) {
    let rows = side.entry(time).or_default();
    match rows.get_mut(row) {
        Some(total) => *total += weight,
        None => {
            rows.insert(row.into(), weight);
        }
    }
    rows.retain(|_, weight| *weight != 0);
    if rows.is_empty() {
        side.remove(&time);
    }
}

impl KeyState {
    /// Times of left rows that may meet another version when those at `changed`
    /// change.
    fn touched_times(&self, changed: &BTreeSet<i64>) -> BTreeSet<i64> {
        let mut touched = BTreeSet::new();
        for &version in changed {
            let after = version.checked_add(1);
            let next = after.and_then(|after| self.versions.range(after..).next());
            let end = next.map_or(i64::MAX, |(&next, _)| next);
            touched.extend(self.left.range(version..=end).map(|(&time, _)| time));
        }
        touched
    }

    /// The pairs of the left rows at `times`, with `sign`.
    fn pairs(&self, times: &BTreeSet<i64>, sign: i64, is_left: bool, pairs: &mut Vec<Pair>) {
        for time in times {
            let Some(rows) = self.left.get(time) else {
                continue;
            };
            // Of several versions since one moment the greatest row counts.
            let held = self.versions.range(..=*time).next_back();
            let version = held.and_then(|(_, rows)| rows.last_key_value());
            let version = version.map(|(row, _)| row.clone());
            if version.is_none() && !is_left {
                continue;
            }
            for (row, weight) in rows {
                pairs.push(Pair {
                    left: row.clone(),
                    right: version.clone(),
                    weight: weight * sign,
                });
            }
        }
    }
}

struct Pair {
    left: StateBytes,
    /// `None` if no version held.
    right: Option<StateBytes>,
    weight: i64,
}

/// Changes of one key in an epoch.
#[derive(Default)]
struct Changes<'a> {
    left: Vec<(i64, &'a [u8], i64)>,
    versions: Vec<(i64, &'a [u8], i64)>,
}

#[derive(Default)]
struct Shard {
    keys: HashMap<StateBytes, KeyState>,
    /// Keys that changed since the last checkpoint.
    changed: BTreeSet<StateBytes>,
}

/// One side of the join.
pub(crate) struct Side {
    pub(crate) keys: Vec<usize>,
    pub(crate) time: usize,
    pub(crate) types: Vec<DataType>,
}

/// See the module.
pub(crate) struct AsOfJoin {
    is_left: bool,
    sides: [Side; 2],
    schema: SchemaRef,
    key_codec: RowCodec,
    row_codecs: [RowCodec; 2],
    shards: Vec<Shard>,
}

/// A side's changes in byte form; rows that can meet nothing are apart.
struct Encoded {
    keys: crate::key::EncodedRows,
    rows: crate::key::EncodedRows,
    times: arrow::array::Int64Array,
    has_partner: Vec<bool>,
}

impl AsOfJoin {
    pub(crate) fn new(
        is_left: bool,
        left: Side,
        right: Side,
        schema: SchemaRef,
    ) -> Result<Self, EngineError> {
        let key_types: Vec<DataType> = left
            .keys
            .iter()
            .map(|&key| left.types[key].clone())
            .collect();
        Ok(Self {
            is_left,
            key_codec: RowCodec::new(&key_types)?,
            row_codecs: [RowCodec::new(&left.types)?, RowCodec::new(&right.types)?],
            sides: [left, right],
            schema,
            shards: (0..VIRTUAL_SHARDS).map(|_| Shard::default()).collect(),
        })
    }

    fn encode(&self, side: usize, delta: &Delta) -> Result<Encoded, EngineError> {
        let Side { keys, time, .. } = &self.sides[side];
        let columns = delta.rows().columns();
        let key_columns: Vec<ArrayRef> = keys.iter().map(|&key| columns[key].clone()).collect();
        let times = ticks(&columns[*time])?;
        let is_whole = |row: usize| {
            times.is_valid(row) && key_columns.iter().all(|column| column.is_valid(row))
        };
        let has_partner = (0..delta.len()).map(is_whole).collect();
        Ok(Encoded {
            keys: self.key_codec.encode(&key_columns, delta.len())?,
            rows: self.row_codecs[side].encode(columns, delta.len())?,
            times,
            has_partner,
        })
    }

    fn output(&self, pairs: &[Pair]) -> Result<Delta, EngineError> {
        if pairs.is_empty() {
            return Ok(Delta::empty(self.schema.clone()));
        }
        let nothing = self.row_codecs[1].encode_null()?;
        let left = pairs.iter().map(|pair| &*pair.left as &[u8]);
        let right = pairs
            .iter()
            .map(|pair| pair.right.as_deref().unwrap_or(&nothing));
        let mut columns = self.row_codecs[0].decode(left)?;
        columns.extend(self.row_codecs[1].decode(right)?);
        let rows = arrow::array::RecordBatch::try_new(self.schema.clone(), columns)?;
        let weights = pairs.iter().map(|pair| pair.weight).collect();
        Ok(Delta::try_new(rows, weights)?.consolidate()?)
    }
}

impl Operator for AsOfJoin {
    fn step(
        &mut self,
        _context: &mut StepContext<'_>,
        inputs: &[&Delta],
    ) -> Result<Delta, EngineError> {
        if inputs.iter().all(|input| input.is_empty()) {
            return Ok(Delta::empty(self.schema.clone()));
        }
        let sides = [self.encode(0, inputs[0])?, self.encode(1, inputs[1])?];
        let mut pairs = Vec::new();
        let mut order: Vec<(u64, &[u8])> = Vec::new();
        let mut changes: HashMap<&[u8], Changes<'_>> = HashMap::default();
        for (side, encoded) in sides.iter().enumerate() {
            let hashes = encoded.keys.hashes();
            for (row, &weight) in inputs[side].weights().iter().enumerate() {
                let bytes = encoded.rows.get(row);
                if !encoded.has_partner[row] {
                    if side == 0 && self.is_left {
                        pairs.push(Pair {
                            left: bytes.into(),
                            right: None,
                            weight,
                        });
                    }
                    continue;
                }
                let key = encoded.keys.get(row);
                let of_key = changes.entry(key).or_insert_with(|| {
                    order.push((hashes[row], key));
                    Changes::default()
                });
                let change = (encoded.times.value(row), bytes, weight);
                match side {
                    0 => of_key.left.push(change),
                    _ => of_key.versions.push(change),
                }
            }
        }
        for (hash, key) in order {
            let Some(changes) = changes.get(key) else {
                continue;
            };
            let shard = &mut self.shards[shard_of_hash(hash)];
            shard.changed.insert(key.into());
            let state = shard.keys.entry(key.into()).or_default();
            let changed = changes.versions.iter().map(|change| change.0).collect();
            let mut times = state.touched_times(&changed);
            times.extend(changes.left.iter().map(|change| change.0));
            state.pairs(&times, -1, self.is_left, &mut pairs);
            for &(time, row, weight) in &changes.left {
                add(&mut state.left, time, row, weight);
            }
            for &(time, row, weight) in &changes.versions {
                add(&mut state.versions, time, row, weight);
            }
            state.pairs(&times, 1, self.is_left, &mut pairs);
            if state.left.is_empty() && state.versions.is_empty() {
                shard.keys.remove(key);
            }
        }
        self.output(&pairs)
    }

    fn saved_state(&mut self) -> Option<&mut dyn SavedState> {
        Some(self)
    }

    fn parts_suffix(&self) -> &'static str {
        "/keys"
    }

    fn load(&mut self, shard: usize, bytes: &[u8]) -> Result<(), CodecError> {
        SavedState::load(self, shard, bytes)?;
        let shard = &mut self.shards[shard];
        shard.changed = shard.keys.keys().cloned().collect();
        Ok(())
    }

    fn state_rows(&self) -> u64 {
        let keys = self.shards.iter().flat_map(|shard| shard.keys.values());
        let rows = keys.flat_map(|state| state.left.values().chain(state.versions.values()));
        rows.map(|rows| rows.len() as u64).sum()
    }

    fn state_bytes(&self) -> u64 {
        let keys = self.shards.iter().flat_map(|shard| &shard.keys);
        keys.map(|(key, state)| {
            let rows = state.left.values().chain(state.versions.values());
            let bytes = rows.flat_map(BTreeMap::keys).map(|row| row.len() + 48);
            (key.len() + 64 + bytes.sum::<usize>()) as u64
        })
        .sum()
    }
}

/// A key is saved with all of its rows; one that is gone has none.
impl SavedState for AsOfJoin {
    fn changed_count(&self) -> usize {
        self.shards.iter().map(|shard| shard.changed.len()).sum()
    }

    fn count(&self) -> usize {
        self.shards.iter().map(|shard| shard.keys.len()).sum()
    }

    fn save(&self, shard: usize, scope: SaveScope, writer: &mut Writer) {
        let shard = &self.shards[shard];
        match scope {
            SaveScope::All => {
                for (key, state) in &shard.keys {
                    save_key(key, state, writer);
                }
            }
            SaveScope::Changes => {
                let gone = KeyState::default();
                for key in &shard.changed {
                    save_key(key, shard.keys.get(key).unwrap_or(&gone), writer);
                }
            }
        }
    }

    fn forget_changes(&mut self, shard: usize) {
        self.shards[shard].changed.clear();
    }

    fn load(&mut self, shard: usize, bytes: &[u8]) -> Result<(), CodecError> {
        let keys = &mut self.shards[shard].keys;
        let mut reader = Reader::new(bytes);
        while !reader.is_at_end() {
            let key: StateBytes = reader.bytes()?.into();
            let mut state = KeyState::default();
            for side in [&mut state.left, &mut state.versions] {
                for _ in 0..reader.u32()? {
                    let time = reader.i64()?;
                    let row = reader.bytes()?;
                    add(side, time, row, reader.i64()?);
                }
            }
            if state.left.is_empty() && state.versions.is_empty() {
                keys.remove(&key);
            } else {
                keys.insert(key, state);
            }
        }
        Ok(())
    }
}

fn save_key(key: &[u8], state: &KeyState, writer: &mut Writer) {
    writer.bytes(key);
    for side in [&state.left, &state.versions] {
        writer.u32(side.values().map(BTreeMap::len).sum::<usize>() as u32);
        for (time, rows) in side {
            for (row, weight) in rows {
                writer.i64(*time);
                writer.bytes(row);
                writer.i64(*weight);
            }
        }
    }
}
