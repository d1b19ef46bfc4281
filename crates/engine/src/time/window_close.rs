//! `EMIT ON WINDOW CLOSE`: rows are held back until the watermark has passed
//! their window's end, after which they cannot change any more. So each comes
//! out once and is never retracted.

use std::collections::{BTreeMap, BTreeSet};

use arrow::array::Array;
use arrow::datatypes::{DataType, SchemaRef};
use sluice_core::{CodecError, Delta, Reader, VIRTUAL_SHARDS, Writer, shard_of_hash};
use sluice_memory::StateBytes;

use super::bounds::TimeBound;
use super::values::{first_kept, ticks};
use crate::EngineError;
use crate::key::RowCodec;
use crate::operator::{Operator, StepContext};
use crate::saved_state::{SaveScope, SavedState};

/// Rows that wait, by window end; their weights.
#[derive(Default)]
struct Shard {
    waiting: BTreeMap<i64, BTreeMap<StateBytes, i64>>,
    /// Rows that came, changed or went since the last checkpoint.
    changed: BTreeSet<(i64, StateBytes)>,
}

impl Shard {
    fn add(&mut self, end: i64, row: &[u8], weight: i64) {
        let rows = self.waiting.entry(end).or_default();
        let Some(total) = rows.get_mut(row) else {
            rows.insert(row.into(), weight);
            return;
        };
        *total += weight;
        if *total == 0 {
            rows.remove(row);
        }
        if rows.is_empty() {
            self.waiting.remove(&end);
        }
    }
}

/// See the module.
pub(crate) struct WindowClose {
    bound: TimeBound,
    schema: SchemaRef,
    row_codec: RowCodec,
    shards: Vec<Shard>,
}

impl WindowClose {
    pub(crate) fn new(bound: TimeBound, schema: SchemaRef) -> Result<Self, EngineError> {
        let fields = schema.fields().iter();
        let types: Vec<DataType> = fields.map(|field| field.data_type().clone()).collect();
        Ok(Self {
            row_codec: RowCodec::new(&types)?,
            shards: (0..VIRTUAL_SHARDS).map(|_| Shard::default()).collect(),
            bound,
            schema,
        })
    }

    fn hold(&mut self, input: &Delta) -> Result<(), EngineError> {
        let columns = input.rows().columns();
        let ends = ticks(&columns[self.bound.column])?;
        let rows = self.row_codec.encode(columns, input.len())?;
        for (number, hash) in rows.hashes().into_iter().enumerate() {
            // A row without a window's end has no window that could close.
            if ends.is_valid(number) {
                let shard = &mut self.shards[shard_of_hash(hash)];
                let weight = input.weights()[number];
                shard.add(ends.value(number), rows.get(number), weight);
                let changed = (ends.value(number), rows.get(number).into());
                shard.changed.insert(changed);
            }
        }
        Ok(())
    }

    /// Takes out the rows of windows that end before `first_kept`.
    fn release(&mut self, first_kept: i64) -> Result<Delta, EngineError> {
        let mut rows: Vec<StateBytes> = Vec::new();
        let mut weights = Vec::new();
        for shard in &mut self.shards {
            while let Some(entry) = shard.waiting.first_entry() {
                let end = *entry.key();
                if end >= first_kept {
                    break;
                }
                for (row, weight) in entry.remove() {
                    shard.changed.insert((end, row.clone()));
                    rows.push(row);
                    weights.push(weight);
                }
            }
        }
        if rows.is_empty() {
            return Ok(Delta::empty(self.schema.clone()));
        }
        if weights.iter().any(|&weight| weight < 0) {
            return Err(EngineError::Invariant(
                "a row of a closed window was retracted but never added".into(),
            ));
        }
        let columns = self.row_codec.decode(rows.iter().map(|row| row.as_ref()))?;
        let rows = arrow::array::RecordBatch::try_new(self.schema.clone(), columns)?;
        Ok(Delta::try_new(rows, weights)?)
    }
}

impl Operator for WindowClose {
    fn step(
        &mut self,
        context: &mut StepContext<'_>,
        inputs: &[&Delta],
    ) -> Result<Delta, EngineError> {
        if !inputs[0].is_empty() {
            self.hold(inputs[0])?;
        }
        let data_type = self.schema.field(self.bound.column).data_type();
        let watermark = context.watermarks.of_tables(self.bound.tables.iter());
        let cutoff_us = watermark.map(|found| found.saturating_add(self.bound.lower_us));
        match cutoff_us.and_then(|cutoff_us| first_kept(data_type, cutoff_us)) {
            Some(first_kept) => self.release(first_kept),
            None => Ok(Delta::empty(self.schema.clone())),
        }
    }

    fn saved_state(&mut self) -> Option<&mut dyn SavedState> {
        Some(self)
    }

    fn parts_suffix(&self) -> &'static str {
        "/rows"
    }

    fn load(&mut self, shard: usize, bytes: &[u8]) -> Result<(), CodecError> {
        SavedState::load(self, shard, bytes)?;
        let Shard { waiting, changed } = &mut self.shards[shard];
        let rows = waiting.iter();
        *changed = rows
            .flat_map(|(&end, rows)| rows.keys().map(move |row| (end, row.clone())))
            .collect();
        Ok(())
    }

    fn state_rows(&self) -> u64 {
        let rows = self.shards.iter().flat_map(|shard| shard.waiting.values());
        rows.map(|rows| rows.len() as u64).sum()
    }

    fn state_bytes(&self) -> u64 {
        let rows = self.shards.iter().flat_map(|shard| shard.waiting.values());
        rows.flat_map(BTreeMap::keys)
            .map(|row| row.len() as u64 + 16)
            .sum()
    }
}

/// Rows are saved with their weight; 0 for those that are gone.
impl SavedState for WindowClose {
    fn changed_count(&self) -> usize {
        self.shards.iter().map(|shard| shard.changed.len()).sum()
    }

    fn count(&self) -> usize {
        self.state_rows() as usize
    }

    fn save(&self, shard: usize, scope: SaveScope, writer: &mut Writer) {
        let Shard { waiting, changed } = &self.shards[shard];
        let mut save = |end: i64, row: &[u8], weight: i64| {
            writer.i64(end);
            writer.bytes(row);
            writer.i64(weight);
        };
        match scope {
            SaveScope::All => {
                for (&end, rows) in waiting {
                    for (row, &weight) in rows {
                        save(end, row, weight);
                    }
                }
            }
            SaveScope::Changes => {
                for (end, row) in changed {
                    let weight = waiting.get(end).and_then(|rows| rows.get(row));
                    save(*end, row, weight.copied().unwrap_or(0));
                }
            }
        }
    }

    fn forget_changes(&mut self, shard: usize) {
        self.shards[shard].changed.clear();
    }

    fn load(&mut self, shard: usize, bytes: &[u8]) -> Result<(), CodecError> {
        let shard = &mut self.shards[shard];
        let mut reader = Reader::new(bytes);
        while !reader.is_at_end() {
            let end = reader.i64()?;
            let row = reader.bytes()?;
            let weight = reader.i64()?;
            let known = shard.waiting.get(&end).and_then(|rows| rows.get(row));
            let change = weight - known.copied().unwrap_or(0);
            if change != 0 {
                shard.add(end, row, change);
            }
        }
        Ok(())
    }
}
