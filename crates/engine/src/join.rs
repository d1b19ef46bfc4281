//! Inner equi-join: bilinear, so Δ(A⋈B) = ΔA⋈B + (A+ΔA)⋈ΔB.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions};
use arrow::datatypes::SchemaRef;
use datafusion::physical_expr::PhysicalExpr;
use parking_lot::Mutex;
use sluice_core::{Delta, shard_of_hash};

use crate::EngineError;
use crate::arrangement::{Arrangement, EncodedDelta, EntryRef};
use crate::evaluation_errors::EvaluationErrors;
use crate::expression::{evaluate, true_rows};
use crate::key::{for_each_shard, ranges_of_rows};
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

    /// Pairs a changed row with the rows that are stored under its key.
    fn add(&mut self, changes: &'a EncodedDelta, row: usize, entry: EntryRef<'a>, side: Side) {
        let changed = changes.rows.get(row);
        for other in entry.rows() {
            match side {
                Side::LeftChanges if other.old_weight != 0 => {
                    let weight = changes.weights[row] * other.old_weight;
                    self.push(changed, other.bytes, weight);
                }
                Side::RightChanges if other.weight != 0 => {
                    let weight = changes.weights[row] * other.weight;
                    self.push(other.bytes, changed, weight);
                }
                _ => {}
            }
        }
    }

    pub(crate) fn append(&mut self, mut other: Self) {
        self.left.append(&mut other.left);
        self.right.append(&mut other.right);
        self.weights.append(&mut other.weights);
    }

    /// The pairs as rows of `schema`: the left side's columns, then the
    /// right's.
    pub(crate) fn to_delta(
        &self,
        left: &Arrangement,
        right: &Arrangement,
        schema: &SchemaRef,
        threads: usize,
    ) -> Result<Delta, EngineError> {
        self.map(schema, threads, &|pairs| {
            self.decode(pairs, left, right, schema)
        })
    }

    /// What `work` makes of ranges of the pairs, each the work of a thread, as
    /// one delta.
    fn map(
        &self,
        schema: &SchemaRef,
        threads: usize,
        work: &(dyn Fn(Range<usize>) -> Result<Delta, EngineError> + Sync),
    ) -> Result<Delta, EngineError> {
        let count = self.weights.len();
        if count == 0 {
            return Ok(Delta::empty(schema.clone()));
        }
        let mut ranges = ranges_of_rows(threads, count);
        let parts = for_each_shard(threads, count, &mut ranges, |_, range| work(range.clone()));
        let parts: Vec<Delta> = parts.into_iter().collect::<Result<_, _>>()?;
        Ok(Delta::concat(schema, &parts)?)
    }

    fn decode(
        &self,
        pairs: Range<usize>,
        left: &Arrangement,
        right: &Arrangement,
        schema: &SchemaRef,
    ) -> Result<Delta, EngineError> {
        let weights = self.weights[pairs.clone()].to_vec();
        let left_rows = self.left[pairs.clone()].iter().copied();
        let mut columns: Vec<ArrayRef> = left.row_codec.decode(left_rows)?;
        let right_rows = self.right[pairs].iter().copied();
        columns.extend(right.row_codec.decode(right_rows)?);
        let options = RecordBatchOptions::new().with_row_count(Some(weights.len()));
        let rows = RecordBatch::try_new_with_options(schema.clone(), columns, &options)?;
        Ok(Delta::try_new(rows, weights)?)
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

/// Ranges of changed rows for each thread that probes.
const PIECES_OF_THREAD: usize = 4;

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
        let Some(residual) = &self.residual else {
            return pairs.to_delta(left, right, &self.schema, context.threads);
        };
        let residual = std::slice::from_ref(residual);
        let errors = Mutex::new(BTreeMap::new());
        let joined = pairs.map(&self.schema, context.threads, &|range| {
            let first = range.start;
            let joined = pairs.decode(range, left, right, &self.schema)?;
            let mut failures = EvaluationErrors::default();
            let (survivors, masks) = evaluate(residual, &joined, &self.view, &mut failures)?;
            errors.lock().insert(first, failures);
            keep(&survivors, &true_rows(&masks[0])?)
        })?;
        for failures in errors.into_inner().into_values() {
            context.errors.append(failures);
        }
        Ok(joined)
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
    // The stored side does not change meanwhile, so that the rows of one key,
    // too, are dealt out among the threads. Keys differ in what they find.
    let rows = changes.sharded.all();
    let pieces = match threads {
        0 | 1 => 1,
        _ => threads * PIECES_OF_THREAD,
    };
    let mut ranges = ranges_of_rows(pieces, rows.len());
    let parts = for_each_shard(threads, rows.len(), &mut ranges, |_, range| {
        let mut pairs = Pairs::default();
        // Rows stand shard by shard.
        let shard_of = |&row: &u32| shard_of_hash(changes.hashes[row as usize]);
        for of_shard in rows[range.clone()].chunk_by(|one, next| shard_of(one) == shard_of(next)) {
            let Some(shard) = of_shard.first().map(shard_of) else {
                continue;
            };
            let of_shard = of_shard.iter().map(|&row| row as usize);
            let keys = of_shard
                .clone()
                .map(|row| (changes.hashes[row], changes.keys.get(row)));
            let entries = stored.shards[shard].find_all(keys);
            for (row, entry) in of_shard.zip(entries) {
                if let Some(entry) = entry {
                    pairs.add(changes, row, entry, side);
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
