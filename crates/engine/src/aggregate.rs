//! GROUP BY and DISTINCT: for every group that the epoch touches, the row
//! before is retracted and the row after is added.

mod image;
mod input_range;

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, RecordBatch, RecordBatchOptions, UInt32Array};
use arrow::compute::take_arrays;
use arrow::datatypes::{DataType, SchemaRef};
use datafusion::physical_expr::PhysicalExpr;
use hashbrown::{HashMap, HashSet};
use sluice_core::{CodecError, Delta, Reader, VIRTUAL_SHARDS, Writer, shard_of_hash, stable_hash};
use sluice_memory::StateVec;

use crate::EngineError;
use crate::accumulator::{Accumulator, OutputErrors};
use crate::changed_slots::ChangedSlots;
use crate::graph::AggregateCallSpec;
use crate::key::{RowCodec, for_each_shard, ranges_of_rows};
use crate::key_table::KeyTable;
use crate::operator::{Operator, StepContext};
use crate::saved_state::{Came, Piece, SaveScope, SavedState};
use crate::time::times_of_slots::TimesOfSlots;
use crate::time::values::{first_kept, ticks};
use image::{Image, ShardOutput};
use input_range::InputRange;

/// The groups of one shard, by slot.
#[derive(Default)]
struct Shard {
    keys: KeyTable,
    /// Sum of the weights of the group's rows.
    weights: StateVec<i64>,
    touched: StateVec<bool>,
    accumulators: Vec<Accumulator>,
    changed: ChangedSlots,
    /// Groups that are gone, but not yet for the checkpoints.
    gone: Vec<u32>,
    /// Ages of the groups, where old ones are dropped.
    times: TimesOfSlots,
}

impl Shard {
    fn slot(&mut self, hash: u64, key: &[u8]) -> u32 {
        let slot = self.keys.find_or_insert(hash, key);
        self.resize();
        slot
    }

    fn slots<'a>(&mut self, keys: impl Iterator<Item = (u64, &'a [u8])> + Clone) -> Vec<u32> {
        let slots = self.keys.find_or_insert_all(keys, |_, _| {});
        self.resize();
        slots
    }

    fn resize(&mut self) {
        let slot_count = self.keys.slot_count();
        self.weights.resize(slot_count, 0);
        self.touched.resize(slot_count, false);
    }

    fn resize_accumulators(&mut self) {
        let slot_count = self.keys.slot_count();
        for accumulator in &mut self.accumulators {
            accumulator.resize(slot_count);
        }
    }

    fn forget(&mut self, slot: u32) {
        self.keys.unlink(slot);
        self.weights[slot as usize] = 0;
        for accumulator in &mut self.accumulators {
            accumulator.clear(slot as usize);
        }
        if self.changed.gone(slot) {
            self.keys.release(slot);
        } else {
            self.gone.push(slot);
        }
    }

    /// Drops groups of times before `first_kept`.
    fn drop_before(&mut self, first_kept: i64) {
        let mut dropped = self.times.take_before(first_kept);
        dropped.retain(|&slot| self.weights[slot as usize] > 0);
        if dropped.is_empty() {
            return;
        }
        for accumulator in &mut self.accumulators {
            accumulator.forget_values(&dropped);
        }
        for slot in dropped {
            self.forget(slot);
        }
        self.keys.compact();
    }

    /// Two lists of groups, first those that are gone: their keys may be there
    /// again under other slots.
    fn save(&self, scope: SaveScope, writer: &mut Writer) {
        let gone: HashSet<u32> = self.gone.iter().copied().collect();
        let there: Vec<u32> = match scope {
            SaveScope::All => self.keys.slots().collect(),
            SaveScope::Changes => {
                let changed = self.changed.changed().iter().copied();
                changed.filter(|slot| !gone.contains(slot)).collect()
            }
        };
        match scope {
            SaveScope::All => self.save_groups(&[], scope, writer),
            SaveScope::Changes => self.save_groups(&self.gone, scope, writer),
        }
        self.save_groups(&there, scope, writer);
    }

    fn save_groups(&self, slots: &[u32], scope: SaveScope, writer: &mut Writer) {
        writer.u32(slots.len() as u32);
        for &slot in slots {
            writer.bytes(self.keys.key(slot));
            writer.i64(self.weights[slot as usize]);
            for accumulator in &self.accumulators {
                accumulator.save(slot as usize, writer);
            }
        }
        let mut numbers: HashMap<u32, u32> = HashMap::new();
        if self.accumulators.iter().any(Accumulator::keeps_values) {
            numbers.extend(slots.iter().copied().zip(0..));
        }
        for accumulator in &self.accumulators {
            accumulator.save_values(scope, &|slot| numbers.get(&slot).copied(), writer);
        }
    }

    /// One piece after the other, see [`SavedState::save_ahead`]: mostly one.
    fn load(&mut self, bytes: &[u8], is_global: bool) -> Result<(), CodecError> {
        let mut reader = Reader::new(bytes);
        while !reader.is_at_end() {
            for slot in self.load_groups(&mut reader)? {
                self.forget(slot);
            }
            for slot in self.load_groups(&mut reader)? {
                if self.weights[slot as usize] == 0 && !is_global {
                    return Err(CodecError::Invalid("a group without rows".into()));
                }
            }
            self.forget_changes();
        }
        Ok(())
    }

    /// Saves a piece, gone groups first, of groups without values.
    fn save_ahead(&mut self, piece: Piece, writer: &mut Writer) -> Came {
        let gone = std::mem::take(&mut self.gone);
        self.save_groups(&gone, SaveScope::Changes, writer);
        for slot in gone {
            self.changed.saved_one(slot, true);
            self.keys.release(slot);
        }
        let is_there = |slot: u32| self.weights[slot as usize] != 0;
        let (slots, came) = self.changed.of_piece(piece, self.weights.len(), is_there);
        self.save_groups(&slots, SaveScope::Changes, writer);
        for slot in slots {
            self.changed.saved_one(slot, false);
        }
        self.keys.compact();
        came
    }

    fn load_groups(&mut self, reader: &mut Reader<'_>) -> Result<Vec<u32>, CodecError> {
        let mut slots = Vec::new();
        for _ in 0..reader.u32()? {
            let key = reader.bytes()?;
            let slot = self.slot(stable_hash(key), key);
            self.resize_accumulators();
            self.weights[slot as usize] = reader.i64()?;
            for accumulator in &mut self.accumulators {
                accumulator.load(slot as usize, reader)?;
            }
            self.changed.change(slot);
            slots.push(slot);
        }
        for accumulator in &mut self.accumulators {
            accumulator.load_values(&slots, reader)?;
        }
        Ok(slots)
    }

    fn forget_changes(&mut self) {
        let gone: HashSet<u32> = std::mem::take(&mut self.gone).into_iter().collect();
        for accumulator in &mut self.accumulators {
            accumulator.forget_changes();
        }
        for slot in self.changed.saved(|slot| gone.contains(&slot)) {
            self.keys.release(slot);
        }
        self.keys.compact();
    }
}

/// See the module.
pub(crate) struct Aggregate {
    view: String,
    group_by: Vec<Arc<dyn PhysicalExpr>>,
    calls: Vec<AggregateCallSpec>,
    schema: SchemaRef,
    key_codec: RowCodec,
    value_codecs: Vec<Option<RowCodec>>,
    shards: Vec<Shard>,
    /// An aggregate without GROUP BY has a row from the first epoch on, even
    /// without input. True once that row was given out.
    started: bool,
    /// The grouping column by whose time groups are dropped.
    time_column: Option<usize>,
    /// Whether the ages of loaded groups are still to be noted.
    has_loaded: bool,
}

impl Aggregate {
    pub(crate) fn new(
        view: String,
        group_by: Vec<Arc<dyn PhysicalExpr>>,
        calls: Vec<AggregateCallSpec>,
        schema: SchemaRef,
    ) -> Result<Self, EngineError> {
        let key_types: Vec<DataType> = schema
            .fields()
            .iter()
            .take(group_by.len())
            .map(|field| field.data_type().clone())
            .collect();
        let value_codecs = calls.iter().map(|call| call.spec.codec());
        let value_codecs = value_codecs.collect::<Result<_, _>>()?;
        let shards = (0..VIRTUAL_SHARDS)
            .map(|_| Shard {
                accumulators: calls
                    .iter()
                    .map(|call| Accumulator::new(&call.spec))
                    .collect(),
                ..Shard::default()
            })
            .collect();
        Ok(Self {
            view,
            key_codec: RowCodec::new(&key_types)?,
            group_by,
            calls,
            schema,
            value_codecs,
            shards,
            started: false,
            time_column: None,
            has_loaded: false,
        })
    }

    fn is_global(&self) -> bool {
        self.group_by.is_empty()
    }
}

/// Borrowed parts of an aggregate that the worker threads share.
struct Work<'a> {
    value_codecs: &'a [Option<RowCodec>],
    key_codec: &'a RowCodec,
    schema: &'a SchemaRef,
    is_global: bool,
}

impl Work<'_> {
    /// The rows of groups as they are now. `keys` are the keys of `slots`.
    fn image(&self, shard: &Shard, slots: &[u32], keys: &[ArrayRef]) -> Result<Image, EngineError> {
        let places: Vec<u32> = (0_u32..)
            .zip(slots)
            .filter(|&(_, &slot)| self.is_global || shard.weights[slot as usize] > 0)
            .map(|(place, _)| place)
            .collect();
        let existing: Vec<u32> = places.iter().map(|&place| slots[place as usize]).collect();
        let mut columns = match existing.len() == slots.len() {
            true => keys.to_vec(),
            false => take_arrays(keys, &UInt32Array::from(places.clone()), None)?,
        };
        let mut errors = OutputErrors::new();
        for (accumulator, codec) in shard.accumulators.iter().zip(self.value_codecs) {
            columns.push(accumulator.output(&existing, codec.as_ref(), &mut errors)?);
        }
        let options = RecordBatchOptions::new().with_row_count(Some(existing.len()));
        let rows = RecordBatch::try_new_with_options(self.schema.clone(), columns, &options)?;
        Ok(Image {
            rows,
            places,
            errors,
        })
    }

    fn update_shard(
        &self,
        shard: &mut Shard,
        number: usize,
        ranges: &[InputRange],
    ) -> Result<ShardOutput, EngineError> {
        let mut slots_of_ranges = Vec::with_capacity(ranges.len());
        let mut touched = Vec::new();
        for range in ranges {
            let rows = range.rows_for_groups(number);
            let keys = rows.iter().map(|&row| {
                let row = row as usize;
                (range.hashes[row], range.keys.get(row))
            });
            let slots = shard.slots(keys);
            for &slot in &slots {
                if !std::mem::replace(&mut shard.touched[slot as usize], true) {
                    touched.push(slot);
                }
            }
            if let Some(times) = &range.times {
                for (&slot, &row) in slots.iter().zip(rows) {
                    let row = row as usize;
                    let time = times.is_valid(row).then(|| times.value(row));
                    shard.times.note(slot, time);
                }
            }
            slots_of_ranges.push(slots);
        }
        shard.resize_accumulators();
        let keys = touched.iter().map(|&slot| shard.keys.key(slot));
        let keys = self.key_codec.decode(keys)?;
        let before = self.image(shard, &touched, &keys)?;
        for (range, slots) in ranges.iter().zip(&slots_of_ranges) {
            range.add_to(shard, number, slots);
        }
        let after = self.image(shard, &touched, &keys)?;
        for slot in touched {
            shard.touched[slot as usize] = false;
            let weight = shard.weights[slot as usize];
            if weight < 0 {
                return Err(EngineError::Invariant(format!(
                    "a group holds {weight} rows; a row was retracted that was never added"
                )));
            }
            if weight == 0 && !self.is_global {
                shard.forget(slot);
            } else {
                shard.changed.change(slot);
            }
        }
        shard.keys.compact();
        let key_width = self.key_codec.types().len();
        Ok(ShardOutput {
            before,
            after,
            key_width,
        })
    }
}

impl Operator for Aggregate {
    fn step(
        &mut self,
        context: &mut StepContext<'_>,
        inputs: &[&Delta],
    ) -> Result<Delta, EngineError> {
        let starts_now = self.is_global() && !self.started;
        if inputs[0].is_empty() && !starts_now {
            return Ok(Delta::empty(self.schema.clone()));
        }
        let mut ranges = ranges_of_rows(context.threads, inputs[0].len());
        let range_count = ranges.len();
        let found = for_each_shard(context.threads, inputs[0].len(), &mut ranges, |_, rows| {
            match range_count {
                1 => self.input_range(inputs[0].clone(), 1),
                threads => self.input_range(inputs[0].slice(rows.clone()), threads),
            }
        });
        let mut ranges = Vec::with_capacity(range_count);
        for range in found {
            let (range, errors) = range?;
            context.errors.append(errors);
            ranges.push(range);
        }
        let row_count = ranges.iter().map(|range| range.input.len()).sum();
        let is_global = self.is_global();
        let work = Work {
            value_codecs: &self.value_codecs,
            key_codec: &self.key_codec,
            schema: &self.schema,
            is_global,
        };
        let outputs = for_each_shard(
            context.threads,
            row_count,
            &mut self.shards,
            |number, shard| {
                let is_touched = |range: &InputRange| !range.sharded.of_shard(number).is_empty();
                if !ranges.iter().any(is_touched) {
                    return None;
                }
                Some(work.update_shard(shard, number, &ranges))
            },
        );
        let mut parts = Vec::new();
        for output in outputs.into_iter().flatten() {
            let output = output?;
            // What was never given out cannot be taken back.
            let (before, after) = match starts_now {
                true => (None, output.after),
                false => {
                    let (before, after) = output.without_equal()?;
                    (Some(before), after)
                }
            };
            if let Some(before) = before {
                parts.extend(before.give_out(-1, &self.view, context)?);
            }
            parts.extend(after.give_out(1, &self.view, context)?);
        }
        if starts_now {
            self.started = true;
            if row_count == 0 {
                let empty_key: &[u8] = &[];
                let hash = stable_hash(empty_key);
                let shard = &mut self.shards[shard_of_hash(hash)];
                let slot = shard.slot(hash, empty_key);
                shard.resize_accumulators();
                shard.changed.change(slot);
                let image = work.image(shard, &[slot], &[])?;
                parts.extend(image.give_out(1, &self.view, context)?);
            }
        }
        Ok(Delta::concat(&self.schema, &parts)?.known_consolidated())
    }

    fn saved_state(&mut self) -> Option<&mut dyn SavedState> {
        Some(self)
    }

    fn prepare_to_drop(&mut self, column: usize) {
        self.time_column = Some(column);
        let accumulators = self
            .shards
            .iter_mut()
            .flat_map(|shard| &mut shard.accumulators);
        accumulators.for_each(Accumulator::prepare_to_forget);
    }

    fn drop_before(&mut self, cutoff_us: i64) -> Result<(), EngineError> {
        let Some(column) = self.time_column else {
            return Ok(());
        };
        if std::mem::take(&mut self.has_loaded) {
            for shard in &mut self.shards {
                let slots: Vec<u32> = shard.keys.slots().collect();
                let keys = slots.iter().map(|&slot| shard.keys.key(slot));
                let columns = self.key_codec.decode(keys)?;
                shard.times.note_all(&slots, &ticks(&columns[column])?);
            }
        }
        if let Some(first_kept) = first_kept(self.schema.field(column).data_type(), cutoff_us) {
            for shard in &mut self.shards {
                shard.drop_before(first_kept);
            }
        }
        Ok(())
    }

    fn state_bytes(&self) -> u64 {
        let bytes = self.shards.iter().map(|shard| {
            let accumulators = shard.accumulators.iter().map(Accumulator::memory_bytes);
            let slots = shard.weights.capacity() * (size_of::<i64>() + 1);
            shard.keys.memory_bytes()
                + slots
                + accumulators.sum::<usize>()
                + shard.changed.memory_bytes()
                + shard.times.memory_bytes()
        });
        bytes.sum::<usize>() as u64
    }

    fn state_rows(&self) -> u64 {
        self.shards
            .iter()
            .map(|shard| shard.keys.len() as u64)
            .sum()
    }
}

impl SavedState for Aggregate {
    fn changed_count(&self) -> usize {
        let shards = self.shards.iter();
        shards
            .map(|shard| {
                let values = shard.accumulators.iter().map(Accumulator::changed_values);
                shard.changed.changed().len() + values.sum::<usize>()
            })
            .sum()
    }

    fn count(&self) -> usize {
        let shards = self.shards.iter();
        shards
            .map(|shard| {
                let values = shard.accumulators.iter().map(Accumulator::value_count);
                shard.keys.len() + values.sum::<usize>()
            })
            .sum()
    }

    fn save(&self, shard: usize, scope: SaveScope, writer: &mut Writer) {
        self.shards[shard].save(scope, writer);
    }

    fn forget_changes(&mut self, shard: usize) {
        self.shards[shard].forget_changes();
    }

    fn save_ahead(&mut self, shard: usize, piece: Piece, writer: &mut Writer) -> Came {
        let groups = &mut self.shards[shard];
        // Values are saved with all groups of a shard, and so is the group of
        // an aggregate without GROUP BY.
        let keeps_values = groups.accumulators.iter().any(Accumulator::keeps_values);
        if !keeps_values && !self.group_by.is_empty() {
            return groups.save_ahead(piece, writer);
        }
        groups.save(piece.scope(), writer);
        groups.forget_changes();
        Came::ToTheEnd
    }

    fn load(&mut self, shard: usize, bytes: &[u8]) -> Result<(), CodecError> {
        let is_global = self.is_global();
        self.shards[shard].load(bytes, is_global)?;
        self.has_loaded = true;
        // The one group of an aggregate without GROUP BY is there once it was
        // given out.
        self.started |= is_global && self.shards[shard].keys.len() > 0;
        Ok(())
    }
}
