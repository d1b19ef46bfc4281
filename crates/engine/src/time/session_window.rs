//! `session`: the rows of a key that follow each other in less than a gap of
//! time stand in one window, from the first row's time to a gap after the last
//! one's. A row exactly a gap after another begins a session of its own, so
//! that the window, which does not include its end, is closed by then.
//!
//! A changed row touches the at most two sessions less than a gap from it.
//! Those are cut anew; where a session keeps its bounds only the changed rows
//! are given out, else all of its rows move to the new window.

use std::collections::{BTreeMap, BTreeSet};

use arrow::array::{Array, ArrayRef};
use arrow::datatypes::{DataType, SchemaRef};
use hashbrown::HashMap;
use sluice_core::{CodecError, Delta, Reader, VIRTUAL_SHARDS, Writer};
use sluice_memory::StateBytes;

use super::values::{first_kept, from_ticks, ticks};
use crate::EngineError;
use crate::key::{EncodedRows, RowCodec, ShardedRows, for_each_shard};
use crate::operator::{Operator, StepContext};
use crate::saved_state::{SaveScope, SavedState};

/// A distinct row.
struct StoredRow {
    bytes: StateBytes,
    /// Weight with the epoch's changes.
    weight: i64,
    /// Weight without them.
    old_weight: i64,
}

/// A row that comes or goes: bytes, first and last time of its session, weight.
struct Change {
    bytes: StateBytes,
    first: i64,
    last: i64,
    weight: i64,
}

/// The rows of one key by time, and its sessions: first time to last time.
#[derive(Default)]
struct KeyState {
    rows: BTreeMap<i64, Vec<StoredRow>>,
    sessions: BTreeMap<i64, i64>,
}

impl KeyState {
    fn add(&mut self, time: i64, bytes: &[u8], weight: i64) {
        let rows = self.rows.entry(time).or_default();
        match rows.iter_mut().find(|row| *row.bytes == *bytes) {
            Some(row) => row.weight += weight,
            None => rows.push(StoredRow {
                bytes: bytes.into(),
                weight,
                old_weight: 0,
            }),
        }
    }

    /// Stretches of time in which sessions may change: the sessions less than
    /// `gap` from a changed time, and the changed times, as far as they are
    /// less than `gap` apart.
    fn touched_stretches(&self, changed: &BTreeSet<i64>, gap: i64) -> Vec<(i64, i64)> {
        let mut parts: BTreeSet<(i64, i64)> = BTreeSet::new();
        for &time in changed {
            parts.insert((time, time));
            if let Some((&first, &last)) = self.sessions.range(..=time).next_back()
                && time.saturating_sub(last) < gap
            {
                parts.insert((first, last));
            }
            if let Some((&first, &last)) = self.sessions.range(time..).next()
                && first.saturating_sub(time) < gap
            {
                parts.insert((first, last));
            }
        }
        let mut stretches: Vec<(i64, i64)> = Vec::new();
        for (first, last) in parts {
            match stretches.last_mut() {
                Some(before) if first.saturating_sub(before.1) < gap => {
                    before.1 = before.1.max(last);
                }
                _ => stretches.push((first, last)),
            }
        }
        stretches
    }

    /// The sessions that the rows of a stretch make.
    fn cut(&self, stretch: (i64, i64), gap: i64) -> BTreeMap<i64, i64> {
        let mut sessions = BTreeMap::new();
        let mut open: Option<(i64, i64)> = None;
        for (&time, rows) in self.rows.range(stretch.0..=stretch.1) {
            if rows.iter().all(|row| row.weight == 0) {
                continue;
            }
            open = match open {
                Some((first, last)) if time.saturating_sub(last) < gap => Some((first, time)),
                Some((first, last)) => {
                    sessions.insert(first, last);
                    Some((time, time))
                }
                None => Some((time, time)),
            };
        }
        sessions.extend(open);
        sessions
    }

    /// Cuts what `changed` touches anew and notes which rows come and go.
    /// Returns the last times of sessions that are new.
    fn update(
        &mut self,
        changed: &BTreeSet<i64>,
        gap: i64,
        changes: &mut Vec<Change>,
    ) -> Result<Vec<i64>, EngineError> {
        let mut new_lasts = Vec::new();
        for stretch in self.touched_stretches(changed, gap) {
            let range = stretch.0..=stretch.1;
            let before: BTreeMap<i64, i64> = self
                .sessions
                .range(range)
                .map(|(&first, &last)| (first, last))
                .collect();
            let after = self.cut(stretch, gap);
            for (&first, &last) in &before {
                if after.get(&first) != Some(&last) {
                    self.sessions.remove(&first);
                    self.note_rows(first, last, changes, |row| -row.old_weight);
                }
            }
            for (&first, &last) in &after {
                if before.get(&first) == Some(&last) {
                    for &time in changed.range(first..=last) {
                        let rows = self.rows.get(&time);
                        note(rows, first, last, changes, |row| {
                            row.weight - row.old_weight
                        });
                    }
                    continue;
                }
                self.sessions.insert(first, last);
                new_lasts.push(last);
                self.note_rows(first, last, changes, |row| row.weight);
            }
        }
        for time in changed {
            self.settle(*time)?;
        }
        Ok(new_lasts)
    }

    fn note_rows(
        &self,
        first: i64,
        last: i64,
        changes: &mut Vec<Change>,
        weight: impl Fn(&StoredRow) -> i64,
    ) {
        for rows in self.rows.range(first..=last).map(|(_, rows)| rows) {
            note(Some(rows), first, last, changes, &weight);
        }
    }

    fn settle(&mut self, time: i64) -> Result<(), EngineError> {
        let Some(rows) = self.rows.get_mut(&time) else {
            return Ok(());
        };
        for row in rows.iter_mut() {
            row.old_weight = row.weight;
            if row.weight < 0 {
                return Err(EngineError::Invariant(format!(
                    "a session holds a row {} times; it was retracted but never added",
                    row.weight
                )));
            }
        }
        rows.retain(|row| row.weight != 0);
        if rows.is_empty() {
            self.rows.remove(&time);
        }
        Ok(())
    }
}

fn note(
    rows: Option<&Vec<StoredRow>>,
    first: i64,
    last: i64,
    changes: &mut Vec<Change>,
    weight: impl Fn(&StoredRow) -> i64,
) {
    for row in rows.into_iter().flatten() {
        let weight = weight(row);
        if weight != 0 {
            changes.push(Change {
                bytes: row.bytes.clone(),
                first,
                last,
                weight,
            });
        }
    }
}

#[derive(Default)]
struct Shard {
    keys: HashMap<StateBytes, KeyState>,
    /// Keys by the last time of a session, where finished sessions are
    /// forgotten. Entries of sessions that have grown since are passed over.
    by_last: BTreeMap<i64, Vec<StateBytes>>,
    /// Keys that changed since the last checkpoint.
    changed: BTreeSet<StateBytes>,
}

impl Shard {
    /// Forgets the sessions whose last row is before `first_kept`.
    fn forget_before(&mut self, first_kept: i64) {
        while let Some(entry) = self.by_last.first_entry() {
            let last = *entry.key();
            if last >= first_kept {
                return;
            }
            for key in entry.remove() {
                let Some(state) = self.keys.get_mut(&key) else {
                    continue;
                };
                let Some((&first, &found)) = state.sessions.range(..=last).next_back() else {
                    continue;
                };
                if found != last {
                    continue;
                }
                state.sessions.remove(&first);
                let rows = state.rows.range(first..=last);
                let times: Vec<i64> = rows.map(|(&time, _)| time).collect();
                for time in times {
                    state.rows.remove(&time);
                }
                if state.rows.is_empty() {
                    self.keys.remove(&key);
                }
                self.changed.insert(key);
            }
        }
    }
}

/// See the module. Times are in the unit of the time column.
pub(crate) struct SessionWindow {
    schema: SchemaRef,
    time: usize,
    keys: Vec<usize>,
    gap: i64,
    key_codec: RowCodec,
    row_codec: RowCodec,
    shards: Vec<Shard>,
    forgets: bool,
}

/// The changes of an epoch that the shards share.
struct Input<'a> {
    keys: &'a EncodedRows,
    rows: &'a EncodedRows,
    times: &'a [i64],
    weights: &'a [i64],
    gap: i64,
    forgets: bool,
}

impl Input<'_> {
    fn apply(&self, shard: &mut Shard, numbers: &[u32]) -> Result<Vec<Change>, EngineError> {
        let mut order: Vec<&[u8]> = Vec::new();
        let mut changed: HashMap<&[u8], BTreeSet<i64>> = HashMap::default();
        for &number in numbers {
            let row = number as usize;
            let key = self.keys.get(row);
            let state = match shard.keys.get_mut(key) {
                Some(state) => state,
                None => shard.keys.entry(key.into()).or_default(),
            };
            state.add(self.times[row], self.rows.get(row), self.weights[row]);
            let times = changed.entry(key).or_insert_with(|| {
                order.push(key);
                BTreeSet::new()
            });
            times.insert(self.times[row]);
        }
        let mut changes = Vec::new();
        for key in order {
            let (Some(state), Some(times)) = (shard.keys.get_mut(key), changed.get(key)) else {
                continue;
            };
            let new_lasts = state.update(times, self.gap, &mut changes)?;
            if self.forgets {
                for last in new_lasts {
                    shard.by_last.entry(last).or_default().push(key.into());
                }
            }
            if state.rows.is_empty() {
                shard.keys.remove(key);
            }
            shard.changed.insert(key.into());
        }
        Ok(changes)
    }
}

impl SessionWindow {
    /// `schema` is that of the output: the input's columns, then the window's
    /// two.
    pub(crate) fn new(
        schema: SchemaRef,
        time: usize,
        keys: Vec<usize>,
        gap: i64,
    ) -> Result<Self, EngineError> {
        let width = schema.fields().len() - 2;
        let types: Vec<DataType> = schema
            .fields()
            .iter()
            .take(width)
            .map(|field| field.data_type().clone())
            .collect();
        let key_types: Vec<DataType> = keys.iter().map(|&key| types[key].clone()).collect();
        Ok(Self {
            key_codec: RowCodec::new(&key_types)?,
            row_codec: RowCodec::new(&types)?,
            schema,
            time,
            keys,
            gap,
            shards: (0..VIRTUAL_SHARDS).map(|_| Shard::default()).collect(),
            forgets: false,
        })
    }

    fn output(&self, changes: &[Change]) -> Result<Delta, EngineError> {
        if changes.is_empty() {
            return Ok(Delta::empty(self.schema.clone()));
        }
        let data_type = self.schema.field(self.time).data_type();
        let rows = changes.iter().map(|change| &*change.bytes as &[u8]);
        let mut columns = self.row_codec.decode(rows)?;
        let starts = changes.iter().map(|change| change.first).collect();
        let end = |change: &Change| change.last.saturating_add(self.gap);
        let ends = changes.iter().map(end).collect();
        columns.push(from_ticks(starts, data_type)?);
        columns.push(from_ticks(ends, data_type)?);
        let rows = arrow::array::RecordBatch::try_new(self.schema.clone(), columns)?;
        let weights = changes.iter().map(|change| change.weight).collect();
        Ok(Delta::try_new(rows, weights)?)
    }
}

impl Operator for SessionWindow {
    fn step(
        &mut self,
        context: &mut StepContext<'_>,
        inputs: &[&Delta],
    ) -> Result<Delta, EngineError> {
        let input = inputs[0];
        if input.is_empty() {
            return Ok(Delta::empty(self.schema.clone()));
        }
        let columns = input.rows().columns();
        let times = ticks(&columns[self.time])?;
        let without_time: Option<Vec<bool>> = (times.null_count() > 0)
            .then(|| (0..input.len()).map(|row| times.is_null(row)).collect());
        let key_columns: Vec<ArrayRef> =
            self.keys.iter().map(|&key| columns[key].clone()).collect();
        let keys = self.key_codec.encode(&key_columns, input.len())?;
        let rows = self.row_codec.encode(columns, input.len())?;
        let sharded = ShardedRows::new(&keys.hashes(), without_time.as_deref());
        let changes = Input {
            keys: &keys,
            rows: &rows,
            times: times.values(),
            weights: input.weights(),
            gap: self.gap,
            forgets: self.forgets,
        };
        let outputs = for_each_shard(
            context.threads,
            input.len(),
            &mut self.shards,
            |number, shard| match sharded.of_shard(number) {
                [] => Ok(Vec::new()),
                numbers => changes.apply(shard, numbers),
            },
        );
        let mut all = Vec::new();
        for output in outputs {
            all.append(&mut output?);
        }
        self.output(&all)
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

    fn prepare_to_drop(&mut self, _column: usize) {
        self.forgets = true;
    }

    fn drop_before(&mut self, cutoff_us: i64) -> Result<(), EngineError> {
        let data_type = self.schema.field(self.time).data_type();
        if let Some(first_kept) = first_kept(data_type, cutoff_us) {
            for shard in &mut self.shards {
                shard.forget_before(first_kept.saturating_sub(self.gap));
            }
        }
        Ok(())
    }

    fn state_bytes(&self) -> u64 {
        let keys = self.shards.iter().flat_map(|shard| &shard.keys);
        keys.map(|(key, state)| {
            let rows = state.rows.values().flatten();
            let rows: u64 = rows.map(|row| row.bytes.len() as u64 + 48).sum();
            rows + key.len() as u64 + 64
        })
        .sum()
    }

    fn state_rows(&self) -> u64 {
        let keys = self.shards.iter().flat_map(|shard| shard.keys.values());
        let rows = keys.flat_map(|state| state.rows.values());
        rows.map(|rows| rows.len() as u64).sum()
    }
}

/// A key is saved with all of its rows; one that is gone has none.
impl SavedState for SessionWindow {
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
                    save_key(key, Some(state), writer);
                }
            }
            SaveScope::Changes => {
                for key in &shard.changed {
                    save_key(key, shard.keys.get(key), writer);
                }
            }
        }
    }

    fn forget_changes(&mut self, shard: usize) {
        self.shards[shard].changed.clear();
    }

    fn load(&mut self, shard: usize, bytes: &[u8]) -> Result<(), CodecError> {
        let (gap, forgets) = (self.gap, self.forgets);
        let shard = &mut self.shards[shard];
        let mut reader = Reader::new(bytes);
        while !reader.is_at_end() {
            let key: StateBytes = reader.bytes()?.into();
            let mut state = KeyState::default();
            for _ in 0..reader.u32()? {
                let time = reader.i64()?;
                let row = reader.bytes()?;
                let weight = reader.i64()?;
                state.add(time, row, weight);
            }
            if state.rows.is_empty() {
                shard.keys.remove(&key);
                continue;
            }
            for row in state.rows.values_mut().flatten() {
                row.old_weight = row.weight;
            }
            state.sessions = state.cut((i64::MIN, i64::MAX), gap);
            if forgets {
                for &last in state.sessions.values() {
                    shard.by_last.entry(last).or_default().push(key.clone());
                }
            }
            shard.keys.insert(key, state);
        }
        Ok(())
    }
}

fn save_key(key: &[u8], state: Option<&KeyState>, writer: &mut Writer) {
    writer.bytes(key);
    let rows = || state.into_iter().flat_map(|state| &state.rows);
    writer.u32(rows().map(|(_, rows)| rows.len() as u32).sum());
    for (time, rows) in rows() {
        for row in rows {
            writer.i64(*time);
            writer.bytes(&row.bytes);
            writer.i64(row.weight);
        }
    }
}
