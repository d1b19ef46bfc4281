//! GROUP BY and DISTINCT: for every group that the epoch touches, the row
//! before is retracted and the row after is added.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Int64Array, RecordBatch};
use arrow::datatypes::{DataType, SchemaRef};
use datafusion::physical_expr::PhysicalExpr;
use hashbrown::HashTable;
use sluice_core::{CodecError, Delta, Reader, VIRTUAL_SHARDS, Writer, shard_of_hash, stable_hash};

use crate::EngineError;
use crate::accumulator::{Accumulator, AggregateKind, AggregateSpec, Argument, OutputErrors};
use crate::expression::evaluate;
use crate::key::{RowCodec, ShardedRows, for_each_shard};
use crate::operator::{Operator, StepContext};
use crate::time::times_of_slots::TimesOfSlots;
use crate::time::values::{first_kept, ticks};

/// The groups of one shard, by slot.
#[derive(Default)]
struct Shard {
    index: HashTable<u32>,
    keys: Vec<Box<[u8]>>,
    hashes: Vec<u64>,
    /// Sum of the weights of the group's rows.
    weights: Vec<i64>,
    touched: Vec<bool>,
    free: Vec<u32>,
    accumulators: Vec<Accumulator>,
    /// Ages of the groups, where old ones are dropped.
    times: TimesOfSlots,
    dirty: bool,
}

impl Shard {
    fn slot(&mut self, hash: u64, key: &[u8]) -> u32 {
        let Self {
            index,
            keys,
            hashes,
            weights,
            touched,
            free,
            ..
        } = self;
        if let Some(&slot) = index.find(hash, |&slot| *keys[slot as usize] == *key) {
            return slot;
        }
        let slot = match free.pop() {
            Some(slot) => {
                keys[slot as usize] = key.into();
                hashes[slot as usize] = hash;
                slot
            }
            None => {
                keys.push(key.into());
                hashes.push(hash);
                weights.push(0);
                touched.push(false);
                (keys.len() - 1) as u32
            }
        };
        index.insert_unique(hash, slot, |&slot| hashes[slot as usize]);
        slot
    }

    fn forget(&mut self, slot: u32) {
        if let Ok(occupied) = self
            .index
            .find_entry(self.hashes[slot as usize], |&found| found == slot)
        {
            occupied.remove();
        }
        self.keys[slot as usize] = Box::default();
        for accumulator in &mut self.accumulators {
            accumulator.clear(slot as usize);
        }
        self.free.push(slot);
    }

    /// Drops groups of times before `first_kept`.
    fn drop_before(&mut self, first_kept: i64) {
        let mut dropped = self.times.take_before(first_kept);
        dropped.retain(|&slot| self.weights[slot as usize] > 0);
        if dropped.is_empty() {
            return;
        }
        for &slot in &dropped {
            self.weights[slot as usize] = 0;
            self.forget(slot);
        }
        for accumulator in &mut self.accumulators {
            accumulator.forget_values(&dropped);
        }
        self.dirty = true;
    }

    fn save(&self) -> Vec<u8> {
        let mut writer = Writer::new();
        let mut renumber = vec![0; self.keys.len()];
        writer.u32(self.index.len() as u32);
        for (number, &slot) in self.index.iter().enumerate() {
            renumber[slot as usize] = number as u32;
            writer.bytes(&self.keys[slot as usize]);
            writer.i64(self.weights[slot as usize]);
            for accumulator in &self.accumulators {
                accumulator.save(slot as usize, &mut writer);
            }
        }
        for accumulator in &self.accumulators {
            accumulator.save_shared(&renumber, &mut writer);
        }
        writer.finish()
    }

    fn load(&mut self, bytes: &[u8]) -> Result<(), CodecError> {
        let mut reader = Reader::new(bytes);
        let count = reader.u32()?;
        for _ in 0..count {
            let key = reader.bytes()?;
            let slot = self.slot(stable_hash(key), key) as usize;
            self.weights[slot] = reader.i64()?;
            for accumulator in &mut self.accumulators {
                accumulator.resize(slot + 1);
                accumulator.load(slot, &mut reader)?;
            }
        }
        for accumulator in &mut self.accumulators {
            accumulator.load_shared(&mut reader)?;
        }
        if !reader.is_at_end() {
            return Err(CodecError::Invalid(
                "bytes are left after the last group".into(),
            ));
        }
        Ok(())
    }
}

/// What one shard changes in an epoch: rows before and after.
struct ShardOutput {
    before: Image,
    after: Image,
}

/// Rows of some groups at one moment.
struct Image {
    rows: RecordBatch,
    weights: Vec<i64>,
    /// Rows whose result does not exist, and why.
    errors: OutputErrors,
}

/// One aggregate with its argument and filter as expressions.
pub(crate) struct AggregateCall {
    pub(crate) spec: AggregateSpec,
    pub(crate) argument: Option<Arc<dyn PhysicalExpr>>,
    pub(crate) filter: Option<Arc<dyn PhysicalExpr>>,
}

/// See the module.
pub(crate) struct Aggregate {
    view: String,
    group_by: Vec<Arc<dyn PhysicalExpr>>,
    calls: Vec<AggregateCall>,
    schema: SchemaRef,
    key_codec: RowCodec,
    value_codecs: Vec<Option<RowCodec>>,
    shards: Vec<Shard>,
    /// An aggregate without GROUP BY has a row from the first epoch on, even
    /// without input. True once that row was given out.
    started: bool,
    /// The grouping column by whose time groups are dropped.
    time_column: Option<usize>,
}

impl Aggregate {
    pub(crate) fn new(
        view: String,
        group_by: Vec<Arc<dyn PhysicalExpr>>,
        calls: Vec<AggregateCall>,
        schema: SchemaRef,
    ) -> Result<Self, EngineError> {
        let key_types: Vec<DataType> = schema
            .fields()
            .iter()
            .take(group_by.len())
            .map(|field| field.data_type().clone())
            .collect();
        let mut value_codecs = Vec::with_capacity(calls.len());
        for call in &calls {
            let compares_values = call.spec.distinct
                || matches!(call.spec.kind, AggregateKind::Min | AggregateKind::Max);
            value_codecs.push(match &call.spec.input_type {
                Some(data_type) if compares_values => {
                    Some(RowCodec::new(std::slice::from_ref(data_type))?)
                }
                _ => None,
            });
        }
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
        })
    }

    fn is_global(&self) -> bool {
        self.group_by.is_empty()
    }

    /// Keys, arguments and filters as one list, so that a row on which any of
    /// them fails leaves the aggregate as a whole.
    fn expressions(&self) -> Vec<Arc<dyn PhysicalExpr>> {
        let mut expressions = self.group_by.clone();
        for call in &self.calls {
            expressions.extend(call.argument.clone());
            expressions.extend(call.filter.clone());
        }
        expressions
    }

    fn arguments(
        &self,
        columns: &mut impl Iterator<Item = ArrayRef>,
        row_count: usize,
    ) -> Result<Vec<Argument>, EngineError> {
        let mut arguments = Vec::with_capacity(self.calls.len());
        for (call, codec) in self.calls.iter().zip(&self.value_codecs) {
            let values = call.argument.as_ref().and_then(|_| columns.next());
            let filter = call.filter.as_ref().and_then(|_| columns.next());
            let encoded = match (codec, &values) {
                (Some(codec), Some(values)) => {
                    Some(codec.encode(std::slice::from_ref(values), row_count)?)
                }
                _ => None,
            };
            arguments.push(Argument {
                values,
                encoded,
                excluded: filter.map(|filter| excluded_rows(&filter)),
            });
        }
        Ok(arguments)
    }
}

fn excluded_rows(filter: &ArrayRef) -> Vec<bool> {
    let all_out = BooleanArray::from(vec![false; filter.len()]);
    let filter = filter.as_boolean_opt().unwrap_or(&all_out);
    (0..filter.len())
        .map(|row| filter.is_null(row) || !filter.value(row))
        .collect()
}

/// Borrowed parts of an aggregate that the worker threads share.
struct Work<'a> {
    calls: &'a [AggregateCall],
    value_codecs: &'a [Option<RowCodec>],
    key_codec: &'a RowCodec,
    schema: &'a SchemaRef,
    is_global: bool,
    /// The times of the rows' groups, where old groups are dropped.
    times: Option<Int64Array>,
}

impl Work<'_> {
    fn image(&self, shard: &Shard, slots: &[u32]) -> Result<Image, EngineError> {
        let existing: Vec<u32> = slots
            .iter()
            .copied()
            .filter(|&slot| self.is_global || shard.weights[slot as usize] > 0)
            .collect();
        let keys = existing
            .iter()
            .map(|&slot| &*shard.keys[slot as usize] as &[u8]);
        let mut columns = self.key_codec.decode(keys)?;
        let mut errors = OutputErrors::new();
        for (accumulator, codec) in shard.accumulators.iter().zip(self.value_codecs) {
            columns.push(accumulator.output(&existing, codec.as_ref(), &mut errors)?);
        }
        let options = arrow::array::RecordBatchOptions::new().with_row_count(Some(existing.len()));
        let rows = RecordBatch::try_new_with_options(self.schema.clone(), columns, &options)?;
        Ok(Image {
            rows,
            weights: vec![1; existing.len()],
            errors,
        })
    }

    fn update_shard(
        &self,
        shard: &mut Shard,
        rows: &[u32],
        hashes: &[u64],
        keys: &crate::key::EncodedRows,
        weights: &[i64],
        arguments: &[Argument],
    ) -> Result<ShardOutput, EngineError> {
        let mut slots = Vec::with_capacity(rows.len());
        let mut touched = Vec::new();
        for &row in rows {
            let slot = shard.slot(hashes[row as usize], keys.get(row as usize));
            slots.push(slot);
            if let Some(times) = &self.times
                && times.is_valid(row as usize)
            {
                shard.times.note(slot, times.value(row as usize));
            }
            if !std::mem::replace(&mut shard.touched[slot as usize], true) {
                touched.push(slot);
            }
        }
        let slot_count = shard.keys.len();
        for accumulator in &mut shard.accumulators {
            accumulator.resize(slot_count);
        }
        let before = self.image(shard, &touched)?;
        for (&slot, &row) in slots.iter().zip(rows) {
            shard.weights[slot as usize] += weights[row as usize];
        }
        for (accumulator, argument) in shard.accumulators.iter_mut().zip(arguments) {
            accumulator.update(&slots, rows, weights, argument);
        }
        let after = self.image(shard, &touched)?;
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
            }
        }
        shard.dirty = true;
        debug_assert_eq!(self.calls.len(), arguments.len());
        Ok(ShardOutput { before, after })
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
        let (input, columns) =
            evaluate(&self.expressions(), inputs[0], &self.view, context.errors)?;
        let group_count = self.group_by.len();
        let keys = self
            .key_codec
            .encode(&columns[..group_count], input.len())?;
        let arguments = self.arguments(&mut columns[group_count..].iter().cloned(), input.len())?;
        let hashes = keys.hashes();
        let sharded = ShardedRows::new(&hashes, None);
        let is_global = self.is_global();
        let work = Work {
            calls: &self.calls,
            value_codecs: &self.value_codecs,
            key_codec: &self.key_codec,
            schema: &self.schema,
            is_global,
            times: match self.time_column {
                Some(column) => Some(ticks(&columns[column])?),
                None => None,
            },
        };
        let outputs = for_each_shard(
            context.threads,
            input.len(),
            &mut self.shards,
            |number, shard| {
                let rows = sharded.of_shard(number);
                if rows.is_empty() {
                    return None;
                }
                let weights = input.weights();
                Some(work.update_shard(shard, rows, &hashes, &keys, weights, &arguments))
            },
        );
        let mut parts = Vec::new();
        for output in outputs.into_iter().flatten() {
            let ShardOutput { before, after } = output?;
            if !starts_now {
                parts.extend(give_out(before, -1, &self.view, context)?);
            }
            parts.extend(give_out(after, 1, &self.view, context)?);
        }
        if starts_now {
            self.started = true;
            if input.is_empty() {
                let empty_key: &[u8] = &[];
                let hash = stable_hash(empty_key);
                let shard = &mut self.shards[shard_of_hash(hash)];
                let slot = shard.slot(hash, empty_key);
                let slot_count = shard.keys.len();
                for accumulator in &mut shard.accumulators {
                    accumulator.resize(slot_count);
                }
                shard.dirty = true;
                let image = work.image(shard, &[slot])?;
                parts.extend(give_out(image, 1, &self.view, context)?);
            }
        }
        Ok(Delta::concat(&self.schema, &parts)?.consolidate()?)
    }

    fn save_changed(&mut self) -> Vec<(usize, Vec<u8>)> {
        let mut parts = Vec::new();
        for (number, shard) in self.shards.iter_mut().enumerate() {
            if shard.dirty {
                parts.push((number, shard.save()));
                shard.dirty = false;
            }
        }
        parts
    }

    fn load(&mut self, shard: usize, bytes: &[u8]) -> Result<(), CodecError> {
        self.shards[shard].load(bytes)?;
        // The one group of an aggregate without GROUP BY is there once it was
        // given out.
        self.started |= self.is_global() && !self.shards[shard].index.is_empty();
        let Some(column) = self.time_column else {
            return Ok(());
        };
        let shard = &mut self.shards[shard];
        let slots: Vec<u32> = shard.index.iter().copied().collect();
        let keys = slots
            .iter()
            .map(|&slot| &*shard.keys[slot as usize] as &[u8]);
        let unreadable = |error: EngineError| CodecError::Invalid(error.to_string());
        let columns = self.key_codec.decode(keys).map_err(unreadable)?;
        let times = ticks(&columns[column]).map_err(unreadable)?;
        for (row, &slot) in slots.iter().enumerate() {
            if times.is_valid(row) {
                shard.times.note(slot, times.value(row));
            }
        }
        Ok(())
    }

    fn prepare_to_drop(&mut self, column: usize) {
        self.time_column = Some(column);
    }

    fn drop_before(&mut self, cutoff_us: i64) {
        let data_type = self
            .time_column
            .map(|column| self.schema.field(column).data_type());
        let first_kept = data_type.and_then(|data_type| first_kept(data_type, cutoff_us));
        if let Some(first_kept) = first_kept {
            for shard in &mut self.shards {
                shard.drop_before(first_kept);
            }
        }
    }

    fn state_bytes(&self) -> u64 {
        let groups = |shard: &Shard| {
            let keys: usize = shard.keys.iter().map(|key| key.len() + 48).sum();
            let states: usize = shard
                .accumulators
                .iter()
                .map(Accumulator::state_bytes)
                .sum();
            (keys + states) as u64
        };
        self.shards.iter().map(groups).sum()
    }

    fn state_rows(&self) -> u64 {
        self.shards
            .iter()
            .map(|shard| shard.index.len() as u64)
            .sum()
    }
}

/// Turns an image into a delta of weight `sign`; rows without a result go to
/// the errors with the same sign.
fn give_out(
    image: Image,
    sign: i64,
    view: &str,
    context: &mut StepContext<'_>,
) -> Result<Option<Delta>, EngineError> {
    let Image {
        rows,
        weights,
        errors,
    } = image;
    if rows.num_rows() == 0 {
        return Ok(None);
    }
    let signed = weights.into_iter().map(|weight| weight * sign).collect();
    let delta = Delta::try_new(rows, signed)?;
    if errors.is_empty() {
        return Ok(Some(delta));
    }
    let mut failed = vec![false; delta.len()];
    for (row, message) in errors {
        if !std::mem::replace(&mut failed[row], true) {
            let message = message.to_owned();
            context
                .errors
                .push_row(view, message, delta.rows(), row, sign);
        }
    }
    let kept: Vec<u32> = (0..delta.len() as u32)
        .filter(|&row| !failed[row as usize])
        .collect();
    Ok(Some(delta.take(&kept.into())?))
}
