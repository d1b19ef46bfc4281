//! Inner equi-join: bilinear, so Δ(A⋈B) = ΔA⋈B + (A+ΔA)⋈ΔB.

use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::datatypes::SchemaRef;
use datafusion::physical_expr::PhysicalExpr;
use sluice_core::{Delta, VIRTUAL_SHARDS};

use crate::EngineError;
use crate::arrangement::{Arrangement, EncodedDelta};
use crate::expression::{evaluate, true_rows};
use crate::key::for_each_shard;
use crate::map::keep;
use crate::operator::{Operator, StepContext};

/// Pairs of (left row, right row) in byte form with the weight of the pair.
#[derive(Default)]
pub(crate) struct Pairs<'a> {
    pub(crate) left: Vec<&'a [u8]>,
    pub(crate) right: Vec<&'a [u8]>,
    pub(crate) weights: Vec<i64>,
}

impl<'a> Pairs<'a> {
    pub(crate) fn push(&mut self, left: &'a [u8], right: &'a [u8], weight: i64) {
        self.left.push(left);
        self.right.push(right);
        self.weights.push(weight);
    }

    pub(crate) fn append(&mut self, mut other: Self) {
        self.left.append(&mut other.left);
        self.right.append(&mut other.right);
        self.weights.append(&mut other.weights);
    }

    /// The pairs as rows of `schema`: the left side's columns, then the
    /// right's.
    pub(crate) fn into_delta(
        self,
        left: &Arrangement,
        right: &Arrangement,
        schema: &SchemaRef,
    ) -> Result<Delta, EngineError> {
        if self.weights.is_empty() {
            return Ok(Delta::empty(schema.clone()));
        }
        let mut columns: Vec<ArrayRef> = left.row_codec.decode(self.left.into_iter())?;
        columns.extend(right.row_codec.decode(self.right.into_iter())?);
        let options =
            arrow::array::RecordBatchOptions::new().with_row_count(Some(self.weights.len()));
        let rows =
            arrow::array::RecordBatch::try_new_with_options(schema.clone(), columns, &options)?;
        Ok(Delta::try_new(rows, self.weights)?)
    }
}

/// Which weights of the probed side count.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    /// ΔA against B before the epoch.
    LeftChanges,
    /// A after the epoch against ΔB.
    RightChanges,
}

/// See the module.
pub(crate) struct InnerJoin {
    pub(crate) view: String,
    pub(crate) left: usize,
    pub(crate) right: usize,
    /// What must hold besides the equality.
    pub(crate) residual: Option<Arc<dyn PhysicalExpr>>,
    pub(crate) schema: SchemaRef,
}

impl Operator for InnerJoin {
    fn step(
        &mut self,
        context: &mut StepContext<'_>,
        _inputs: &[&Delta],
    ) -> Result<Delta, EngineError> {
        let left = &context.arrangements[self.left];
        let right = &context.arrangements[self.right];
        let pairs = join_changes(left, right, context.threads);
        let joined = pairs.into_delta(left, right, &self.schema)?;
        let Some(residual) = &self.residual else {
            return Ok(joined);
        };
        if joined.is_empty() {
            return Ok(joined);
        }
        let residual = std::slice::from_ref(residual);
        let (survivors, masks) = evaluate(residual, &joined, &self.view, context.errors)?;
        keep(&survivors, &true_rows(&masks[0])?)
    }
}

/// The change of the inner join, without a residual condition.
pub(crate) fn join_changes<'a>(
    left: &'a Arrangement,
    right: &'a Arrangement,
    threads: usize,
) -> Pairs<'a> {
    let mut pairs = Pairs::default();
    if let Some(changes) = &left.current {
        pairs.append(probe(changes, right, Side::LeftChanges, threads));
    }
    if let Some(changes) = &right.current {
        pairs.append(probe(changes, left, Side::RightChanges, threads));
    }
    pairs
}

fn probe<'a>(
    changes: &'a EncodedDelta,
    stored: &'a Arrangement,
    side: Side,
    threads: usize,
) -> Pairs<'a> {
    let mut numbers: Vec<usize> = (0..VIRTUAL_SHARDS).collect();
    let parts = for_each_shard(threads, changes.weights.len(), &mut numbers, |number, _| {
        let mut pairs = Pairs::default();
        for &row in changes.sharded.of_shard(number) {
            let row = row as usize;
            let found = stored.shards[number].find(changes.hashes[row], changes.keys.get(row));
            let Some(entry) = found else { continue };
            let changed = changes.rows.get(row);
            for other in entry.rows() {
                match side {
                    Side::LeftChanges if other.old_weight != 0 => {
                        let weight = changes.weights[row] * other.old_weight;
                        pairs.push(changed, other.bytes, weight);
                    }
                    Side::RightChanges if other.weight != 0 => {
                        let weight = changes.weights[row] * other.weight;
                        pairs.push(other.bytes, changed, weight);
                    }
                    _ => {}
                }
            }
        }
        pairs
    });
    let mut all = Pairs::default();
    for part in parts {
        all.append(part);
    }
    all
}
