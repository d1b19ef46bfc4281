//! A range of an aggregate's input, as one thread makes it ready for the shards.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Int64Array};
use datafusion::physical_expr::PhysicalExpr;
use sluice_core::{Delta, VIRTUAL_SHARDS};

use super::{Aggregate, Shard};
use crate::EngineError;
use crate::accumulator::Argument;
use crate::evaluation_errors::EvaluationErrors;
use crate::expression::evaluate;
use crate::key::{EncodedRows, ShardedRows};
use crate::pre_aggregate::{EncodedRange, PartialGroups, hot_shards};
use crate::time::values::ticks;

/// See the module.
pub(super) struct InputRange {
    /// The rows on which no expression fails.
    pub(super) input: Delta,
    pub(super) keys: EncodedRows,
    pub(super) hashes: Vec<u64>,
    pub(super) sharded: ShardedRows,
    /// The times of the rows' groups, where old groups are dropped.
    pub(super) times: Option<Int64Array>,
    arguments: Vec<Argument>,
    /// By shard: the groups of its rows, where they are few.
    reduced: Vec<Option<PartialGroups>>,
}

impl Aggregate {
    /// Evaluates and encodes a range of the input, of which there are as many
    /// as threads.
    pub(super) fn input_range(
        &self,
        input: Delta,
        threads: usize,
    ) -> Result<(InputRange, EvaluationErrors), EngineError> {
        let mut errors = EvaluationErrors::default();
        let (input, columns) = evaluate(&self.expressions(), &input, &self.view, &mut errors)?;
        let (group_columns, others) = columns.split_at(self.group_by.len());
        let keys = self.key_codec.encode(group_columns, input.len())?;
        let arguments = self.arguments(&mut others.iter().cloned(), input.len())?;
        let hashes = keys.hashes();
        let mut range = InputRange {
            sharded: ShardedRows::new(&hashes, None),
            times: match self.time_column {
                Some(column) => Some(ticks(&columns[column])?),
                None => None,
            },
            input,
            keys,
            hashes,
            arguments,
            reduced: (0..VIRTUAL_SHARDS).map(|_| None).collect(),
        };
        for shard in hot_shards(&range.sharded, threads) {
            let specs = self.calls.iter().map(|call| &call.spec);
            let rows = range.sharded.of_shard(shard);
            range.reduced[shard] = PartialGroups::reduce(specs, rows, &range.encoded());
        }
        Ok((range, errors))
    }

    /// Keys, arguments and filters as one list, so that a row on which any of
    /// them fails leaves the aggregate as a whole.
    fn expressions(&self) -> Vec<Arc<dyn PhysicalExpr>> {
        let mut expressions = self.group_by.clone();
        for call in &self.calls {
            expressions.extend(call.arguments.iter().cloned());
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
            let values: Vec<ArrayRef> = columns.take(call.arguments.len()).collect();
            let filter = call.filter.as_ref().and_then(|_| columns.next());
            let encoded = match codec {
                Some(codec) => Some(codec.encode(&values, row_count)?),
                None => None,
            };
            arguments.push(Argument {
                values: values.last().cloned(),
                skips_nulls: call.spec.skips_nulls,
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

impl InputRange {
    fn encoded(&self) -> EncodedRange<'_> {
        EncodedRange {
            keys: &self.keys,
            hashes: &self.hashes,
            weights: self.input.weights(),
            arguments: &self.arguments,
        }
    }

    /// A row for each group that a shard has to find: all its rows, or one for
    /// each group.
    pub(super) fn rows_for_groups(&self, shard: usize) -> &[u32] {
        match &self.reduced[shard] {
            Some(groups) => &groups.rows,
            None => self.sharded.of_shard(shard),
        }
    }

    /// Adds the range to a shard: `slots` are the groups of
    /// [`InputRange::rows_for_groups`].
    pub(super) fn add_to(&self, shard: &mut Shard, number: usize, slots: &[u32]) {
        let rows = self.sharded.of_shard(number);
        if let Some(groups) = &self.reduced[number] {
            for (&slot, &weight) in slots.iter().zip(&groups.weights) {
                shard.weights[slot as usize] += weight;
            }
            groups.add_to(&mut shard.accumulators, slots, rows, &self.encoded());
            return;
        }
        let weights = self.input.weights();
        let weights: Vec<i64> = rows.iter().map(|&row| weights[row as usize]).collect();
        for (&slot, &weight) in slots.iter().zip(&weights) {
            shard.weights[slot as usize] += weight;
        }
        for (accumulator, argument) in shard.accumulators.iter_mut().zip(&self.arguments) {
            accumulator.update(slots, rows, &weights, argument);
        }
    }
}
