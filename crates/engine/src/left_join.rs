//! Left equi-join: the inner join, and each left row without a partner beside
//! nulls.
//!
//! Without a further condition a left row lacks a partner exactly when the
//! total weight of its key on the right is 0. With `t` that total:
//! Δpadded = \[t_old = 0\]·ΔA + (\[t_new = 0\] − \[t_old = 0\])·(A+ΔA), by key.
//!
//! With a further condition the partners of each row of the touched keys are
//! counted before and after the epoch; that costs what the touched keys hold.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, new_null_array};
use arrow::datatypes::{DataType, SchemaRef};
use datafusion::physical_expr::PhysicalExpr;
use sluice_core::{Delta, VIRTUAL_SHARDS};

use crate::EngineError;
use crate::arrangement::{Arrangement, EntryRef};
use crate::expression::{evaluate, true_rows};
use crate::join::{Pairs, join_changes};
use crate::operator::{Operator, StepContext};

/// See the module.
pub(crate) struct LeftJoin {
    pub(crate) view: String,
    pub(crate) left: usize,
    pub(crate) right: usize,
    pub(crate) residual: Option<Arc<dyn PhysicalExpr>>,
    pub(crate) right_types: Vec<DataType>,
    pub(crate) schema: SchemaRef,
}

impl Operator for LeftJoin {
    fn step(
        &mut self,
        context: &mut StepContext<'_>,
        _inputs: &[&Delta],
    ) -> Result<Delta, EngineError> {
        let left = &context.arrangements[self.left];
        let right = &context.arrangements[self.right];
        let mut padded = Padded::default();
        add_rows_with_null_key(left, &mut padded);
        let joined = match self.residual.clone() {
            None => {
                self.pad_by_total(left, right, &mut padded);
                join_changes(left, right, context.threads).into_delta(left, right, &self.schema)?
            }
            Some(residual) => self.join_with_condition(context, &residual, &mut padded)?,
        };
        let padded = self.padded_delta(&context.arrangements[self.left], padded)?;
        Ok(Delta::concat(&self.schema, &[joined, padded])?)
    }
}

/// Left rows to be put beside nulls.
#[derive(Default)]
struct Padded<'a> {
    rows: Vec<&'a [u8]>,
    weights: Vec<i64>,
}

impl<'a> Padded<'a> {
    fn push(&mut self, row: &'a [u8], weight: i64) {
        if weight != 0 {
            self.rows.push(row);
            self.weights.push(weight);
        }
    }
}

/// A null key has no partner, so these rows pass straight through.
fn add_rows_with_null_key<'a>(left: &'a Arrangement, padded: &mut Padded<'a>) {
    let Some(changes) = &left.current else { return };
    let Some(null_key) = &changes.null_key else {
        return;
    };
    for (row, is_null) in null_key.iter().enumerate() {
        if *is_null {
            padded.push(changes.rows.get(row), changes.weights[row]);
        }
    }
}

impl LeftJoin {
    fn pad_by_total<'a>(
        &self,
        left: &'a Arrangement,
        right: &'a Arrangement,
        padded: &mut Padded<'a>,
    ) {
        for number in 0..VIRTUAL_SHARDS {
            if let Some(changes) = &left.current {
                for &row in changes.sharded.of_shard(number) {
                    let row = row as usize;
                    let key = changes.keys.get(row);
                    let old_total = right.shards[number]
                        .find(changes.hashes[row], key)
                        .map_or(0, |entry| entry.old_total());
                    if old_total == 0 {
                        padded.push(changes.rows.get(row), changes.weights[row]);
                    }
                }
            }
            if right.current.is_none() {
                continue;
            }
            for entry in right.shards[number].touched() {
                let sign = i64::from(entry.total() == 0) - i64::from(entry.old_total() == 0);
                if sign == 0 {
                    continue;
                }
                let Some(rows) = left.shards[number].find(entry.hash(), entry.key()) else {
                    continue;
                };
                for row in rows.rows() {
                    padded.push(row.bytes, sign * row.weight);
                }
            }
        }
    }

    /// Counts, for every left row of the touched keys, its partners before and
    /// after the epoch.
    fn join_with_condition<'a>(
        &self,
        context: &mut StepContext<'a>,
        residual: &Arc<dyn PhysicalExpr>,
        padded: &mut Padded<'a>,
    ) -> Result<Delta, EngineError> {
        let arrangements: &'a [Arrangement] = context.arrangements;
        let left = &arrangements[self.left];
        let right = &arrangements[self.right];
        let mut candidates = Candidates::default();
        for number in 0..VIRTUAL_SHARDS {
            let mut keys: BTreeMap<&[u8], u64> = BTreeMap::new();
            for side in [left, right] {
                if side.current.is_some() {
                    for entry in side.shards[number].touched() {
                        keys.insert(entry.key(), entry.hash());
                    }
                }
            }
            for (key, hash) in keys {
                let Some(left_entry) = left.shards[number].find(hash, key) else {
                    continue;
                };
                candidates.add(left_entry, right.shards[number].find(hash, key));
            }
        }
        let Candidates {
            pairs,
            owners,
            new_pair_weights,
            old_pair_weights,
            right_weights,
            left_rows,
        } = candidates;
        let joined = pairs.into_delta(left, right, &self.schema)?;
        let mut partners = vec![(0_i64, 0_i64); left_rows.len()];
        let mut result_rows = Vec::new();
        let mut result_weights = Vec::new();
        if !joined.is_empty() {
            // The candidates' numbers travel as weights through the evaluation,
            // so that rows on which the condition fails drop out cleanly.
            let numbers: Vec<i64> = (0..joined.len() as i64).collect();
            let numbered = Delta::try_new(joined.rows().clone(), numbers)?;
            let mut failures = Default::default();
            let conditions = std::slice::from_ref(residual);
            let (survivors, masks) = evaluate(conditions, &numbered, &self.view, &mut failures)?;
            report_failures(
                &numbered,
                &survivors,
                residual,
                &self.view,
                &new_pair_weights,
                &old_pair_weights,
                context,
            )?;
            for row in true_rows(&masks[0])?.values().set_indices() {
                let candidate = survivors.weights()[row] as usize;
                let owner = owners[candidate];
                let (old, new) = right_weights[candidate];
                partners[owner].0 += old;
                partners[owner].1 += new;
                let change = new_pair_weights[candidate] - old_pair_weights[candidate];
                if change != 0 {
                    result_rows.push(candidate as u32);
                    result_weights.push(change);
                }
            }
        }
        for ((row, old_weight, new_weight), (old, new)) in left_rows.into_iter().zip(partners) {
            let after = if new == 0 { new_weight } else { 0 };
            let before = if old == 0 { old_weight } else { 0 };
            padded.push(row, after - before);
        }
        let rows = arrow::compute::take_record_batch(
            joined.rows(),
            &arrow::array::UInt32Array::from(result_rows),
        )?;
        Ok(Delta::try_new(rows, result_weights)?)
    }

    fn padded_delta(&self, left: &Arrangement, padded: Padded<'_>) -> Result<Delta, EngineError> {
        if padded.rows.is_empty() {
            return Ok(Delta::empty(self.schema.clone()));
        }
        let count = padded.rows.len();
        let mut columns: Vec<ArrayRef> = left.row_codec.decode(padded.rows.into_iter())?;
        columns.extend(
            self.right_types
                .iter()
                .map(|data_type| new_null_array(data_type, count)),
        );
        debug_assert!(columns.iter().all(|column| column.len() == count));
        let rows = arrow::array::RecordBatch::try_new(self.schema.clone(), columns)?;
        Ok(Delta::try_new(rows, padded.weights)?)
    }
}

/// All pairs of the touched keys, with their weights before and after.
#[derive(Default)]
struct Candidates<'a> {
    pairs: Pairs<'a>,
    /// By pair: which of `left_rows` it belongs to.
    owners: Vec<usize>,
    new_pair_weights: Vec<i64>,
    old_pair_weights: Vec<i64>,
    /// By pair: the right row's weight before and after.
    right_weights: Vec<(i64, i64)>,
    /// Row, weight before, weight after.
    left_rows: Vec<(&'a [u8], i64, i64)>,
}

impl<'a> Candidates<'a> {
    fn add(&mut self, left: EntryRef<'a>, right: Option<EntryRef<'a>>) {
        for row in left.rows() {
            let owner = self.left_rows.len();
            self.left_rows.push((row.bytes, row.old_weight, row.weight));
            for other in right.iter().flat_map(EntryRef::rows) {
                self.pairs.push(row.bytes, other.bytes, 1);
                self.owners.push(owner);
                self.new_pair_weights.push(row.weight * other.weight);
                self.old_pair_weights
                    .push(row.old_weight * other.old_weight);
                self.right_weights.push((other.old_weight, other.weight));
            }
        }
    }
}

/// Pairs on which the condition fails count as no partner; the failure is
/// recorded with the change of the pair's weight.
fn report_failures(
    numbered: &Delta,
    survivors: &Delta,
    residual: &Arc<dyn PhysicalExpr>,
    view: &str,
    new_weights: &[i64],
    old_weights: &[i64],
    context: &mut StepContext<'_>,
) -> Result<(), EngineError> {
    if survivors.len() == numbered.len() {
        return Ok(());
    }
    let survived: std::collections::BTreeSet<i64> = survivors.weights().iter().copied().collect();
    let mut failed = Vec::new();
    let mut changes = Vec::new();
    for number in 0..numbered.len() {
        let change = new_weights[number] - old_weights[number];
        if !survived.contains(&(number as i64)) && change != 0 {
            failed.push(number as u32);
            changes.push(change);
        }
    }
    let rows = arrow::compute::take_record_batch(
        numbered.rows(),
        &arrow::array::UInt32Array::from(failed),
    )?;
    let failures = Delta::try_new(rows, changes)?;
    evaluate(
        std::slice::from_ref(residual),
        &failures,
        view,
        context.errors,
    )?;
    Ok(())
}
