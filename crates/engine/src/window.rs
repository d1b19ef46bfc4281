//! Window functions: results before the epoch are retracted and those after it are
//! added, for partitions that the epoch touches.
//!
//! The rows live in an arrangement by the PARTITION BY columns, which knows
//! both moments; results are computed again rather than kept. A partition of many
//! rows whose functions allow it (`reach.rs`) has an order in memory beside
//! (`order.rs`), and of it only what a change can reach is computed (`follow.rs`): rows
//! near it, or all rows behind it from a position on at which the state of running
//! functions is known (`running.rs`). Rows at the end of the order then cost no more
//! than themselves. All other partitions are computed as a whole (`whole.rs`), and so
//! is one in which a function fails, for then none of its rows has a result.
//!
//! Rows that ORDER BY leaves equal follow each other by their remaining
//! columns, so that the answer depends on the rows alone and not on when, in
//! what order or on which shard they came.

mod follow;
mod order;
mod reach;
mod running;
mod slice;
mod whole;

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions, UInt32Array};
use arrow::compute::{SortOptions, take_record_batch};
use arrow::datatypes::SchemaRef;
use datafusion::physical_expr::window::WindowExpr;
use sluice_core::{Delta, VIRTUAL_SHARDS};

use crate::EngineError;
use crate::arrangement::{Arrangement, EntryRef, RowRef};
use crate::key::{EncodedRows, RowCodec, for_each_shard};
use crate::operator::{Operator, StepContext};
use follow::Following;
use order::{ORDERED_ROWS_MIN, PartitionOrder};
pub(crate) use reach::{CallForm, Follow};

/// What a window node computes: calls with one PARTITION BY and ORDER BY.
#[derive(Debug, Clone)]
pub(crate) struct WindowSpec {
    /// The input by the PARTITION BY columns.
    pub(crate) arrangement: usize,
    pub(crate) order: Vec<(usize, SortOptions)>,
    pub(crate) calls: Vec<WindowCall>,
    pub(crate) input_schema: SchemaRef,
}

/// One call of a window function.
#[derive(Debug, Clone)]
pub(crate) struct WindowCall {
    /// The function's name.
    pub(crate) function: String,
    pub(crate) expression: Arc<dyn WindowExpr>,
    /// How its results follow a change; `None` where only the whole partition tells them.
    pub(crate) follow: Option<Follow>,
}

impl WindowSpec {
    /// How the results of all calls follow a change. Where those of one do not, nothing
    /// is gained by the others.
    pub(crate) fn follows(&self) -> Option<Vec<Follow>> {
        self.calls.iter().map(|call| call.follow.clone()).collect()
    }
}

/// Orders of partitions by the partitions' keys.
type Orders = BTreeMap<Box<[u8]>, PartitionOrder>;

/// See the module.
pub(crate) struct Window {
    view: String,
    spec: WindowSpec,
    order_codec: RowCodec,
    /// The input's columns and behind them one for each call.
    schema: SchemaRef,
    following: Option<Following>,
    /// Of each shard.
    orders: Vec<Orders>,
    rows_evaluated: u64,
}

/// Rows with their results at one moment.
struct Image {
    rows: RecordBatch,
    weight: i64,
    /// Partitions whose evaluation failed, and why.
    failures: Vec<(RecordBatch, String)>,
    /// Their numbers.
    failed: Vec<usize>,
    /// How many rows were read for it.
    rows_evaluated: u64,
}

impl Window {
    pub(crate) fn new(
        view: String,
        spec: WindowSpec,
        schema: SchemaRef,
    ) -> Result<Self, EngineError> {
        let order: Vec<_> = spec
            .order
            .iter()
            .map(|&(column, options)| (spec.input_schema.field(column).data_type(), options))
            .collect();
        Ok(Self {
            view,
            order_codec: RowCodec::with_order(&order)?,
            following: spec.follows().map(Following::of),
            orders: (0..VIRTUAL_SHARDS).map(|_| Orders::new()).collect(),
            rows_evaluated: 0,
            spec,
            schema,
        })
    }

    /// The ORDER BY columns of rows in byte form.
    fn orders_of(
        &self,
        columns: &[ArrayRef],
        row_count: usize,
    ) -> Result<EncodedRows, EngineError> {
        let order = self.spec.order.iter();
        let columns: Vec<ArrayRef> = order.map(|&(column, _)| columns[column].clone()).collect();
        self.order_codec.encode(&columns, row_count)
    }

    /// What changes in some shards, from `first_shard` on, which have these orders.
    fn changes(
        &self,
        arrangement: &Arrangement,
        first_shard: usize,
        orders: &mut [Orders],
    ) -> Result<Vec<Image>, EngineError> {
        let mut images = Vec::new();
        let mut whole: Vec<(usize, EntryRef<'_>)> = Vec::new();
        for (offset, orders) in orders.iter_mut().enumerate() {
            let shard = &arrangement.shards[first_shard + offset];
            let mut rows_of: BTreeMap<&[u8], Vec<RowRef<'_>>> = BTreeMap::new();
            if !orders.is_empty() {
                for (partition, row) in shard.changed_rows() {
                    if orders.contains_key(partition.key()) {
                        rows_of.entry(partition.key()).or_default().push(row);
                    }
                }
            }
            for partition in shard.touched() {
                let key = partition.key();
                let (Some(order), Some(following)) = (orders.get_mut(key), &self.following) else {
                    if partition.rows().any(|row| row.weight != row.old_weight) {
                        whole.push((offset, partition));
                    }
                    continue;
                };
                let Some(rows) = rows_of.get(key) else {
                    continue;
                };
                match self.follow(following, arrangement, order, rows)? {
                    Some(changed) => {
                        images.extend(changed);
                        if order.len() < ORDERED_ROWS_MIN / 2 {
                            orders.remove(key);
                        }
                    }
                    None => {
                        orders.remove(key);
                        whole.push((offset, partition));
                    }
                }
            }
        }
        if whole.is_empty() {
            return Ok(images);
        }
        let partitions = whole.iter().map(|&(_, partition)| partition);
        let touched = self.touched(arrangement, partitions)?;
        let [before, after] = self.images(&touched)?;
        if self.following.is_some() {
            let known = whole.iter().zip(touched.orders_after());
            for (number, (&(offset, partition), order)) in known.enumerate() {
                if let Some(order) = order
                    && !after.failed.contains(&number)
                {
                    orders[offset].insert(partition.key().into(), order);
                }
            }
        }
        images.extend([before, after]);
        Ok(images)
    }
}

/// A row behind its ORDER BY columns.
fn row_key(order_columns: &[u8], row: &[u8]) -> Vec<u8> {
    [order_columns, row].concat()
}

fn check_weights(rows: &[RowRef<'_>]) -> Result<(), EngineError> {
    match rows.iter().find(|row| row.weight < 0) {
        Some(row) => Err(EngineError::Invariant(format!(
            "a window holds a row {} times; a row was retracted that was never added",
            row.weight
        ))),
        None => Ok(()),
    }
}

/// A batch, also of rows without columns.
fn batch_of(
    schema: &SchemaRef,
    columns: Vec<ArrayRef>,
    row_count: usize,
) -> Result<RecordBatch, EngineError> {
    let options = RecordBatchOptions::new().with_row_count(Some(row_count));
    Ok(RecordBatch::try_new_with_options(
        schema.clone(),
        columns,
        &options,
    )?)
}

/// Takes rows also of a batch without columns, as `count(*) OVER ()` reads.
fn take_rows(batch: &RecordBatch, indices: Vec<u32>) -> Result<RecordBatch, EngineError> {
    if batch.num_columns() > 0 {
        return Ok(take_record_batch(batch, &UInt32Array::from(indices))?);
    }
    batch_of(&batch.schema(), vec![], indices.len())
}

impl Operator for Window {
    fn step(
        &mut self,
        context: &mut StepContext<'_>,
        _inputs: &[&Delta],
    ) -> Result<Delta, EngineError> {
        let arrangement = &context.arrangements[self.spec.arrangement];
        if arrangement.current.is_none() {
            return Ok(Delta::empty(self.schema.clone()));
        }
        let touched = arrangement.shards.iter().flat_map(|shard| shard.touched());
        let row_count: usize = touched.map(|partition| partition.row_count()).sum();
        // Many partitions in one batch cost less than a batch for each shard,
        // unless there are threads to share the work.
        let width = match context.threads > 1 {
            true => 1,
            false => VIRTUAL_SHARDS,
        };
        let mut orders = std::mem::take(&mut self.orders);
        let mut parts: Vec<&mut [Orders]> = orders.chunks_mut(width).collect();
        let this = &*self;
        let images = for_each_shard(context.threads, row_count, &mut parts, |number, orders| {
            this.changes(arrangement, number * width, orders)
        });
        self.orders = orders;
        let mut parts = Vec::new();
        for images in images {
            for image in images? {
                self.rows_evaluated += image.rows_evaluated;
                for (rows, message) in &image.failures {
                    for row in 0..rows.num_rows() {
                        let message = message.clone();
                        context
                            .errors
                            .push_row(&self.view, message, rows, row, image.weight);
                    }
                }
                let weights = vec![image.weight; image.rows.num_rows()];
                parts.push(Delta::try_new(image.rows, weights)?);
            }
        }
        Ok(Delta::concat(&self.schema, &parts)?.consolidate()?)
    }

    fn state_bytes(&self) -> u64 {
        let orders = self.orders.iter().flat_map(BTreeMap::values);
        orders.map(|order| order.memory_bytes() as u64).sum()
    }

    fn rows_evaluated(&self) -> u64 {
        self.rows_evaluated
    }
}
