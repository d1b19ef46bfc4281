//! Window functions: for every partition that the epoch touches, all rows with
//! their results before are retracted and those after are added.
//!
//! The rows live in an arrangement by the PARTITION BY columns, which knows
//! both moments, so that this operator keeps nothing itself: results are
//! computed again rather than kept. A change costs the size of its partition.
//!
//! Rows that ORDER BY leaves equal follow each other by their remaining
//! columns, so that the answer depends on the rows alone and not on when, in
//! what order or on which shard they came.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, RecordBatch, RecordBatchOptions, UInt32Array};
use arrow::compute::{SortOptions, concat, take_record_batch};
use arrow::datatypes::SchemaRef;
use datafusion::error::DataFusionError;
use datafusion::physical_expr::window::WindowExpr;
use sluice_core::{Delta, VIRTUAL_SHARDS};
use sluice_functions::canonical;

use crate::EngineError;
use crate::arrangement::{Arrangement, RowRef};
use crate::key::{RowCodec, for_each_shard};
use crate::library_panics::caught;
use crate::operator::{Operator, StepContext};

/// What a window node computes: calls with one PARTITION BY and ORDER BY.
#[derive(Debug, Clone)]
pub(crate) struct WindowSpec {
    /// The input by the PARTITION BY columns.
    pub(crate) arrangement: usize,
    pub(crate) order: Vec<(usize, SortOptions)>,
    pub(crate) calls: Vec<Arc<dyn WindowExpr>>,
    pub(crate) input_schema: SchemaRef,
}

/// See the module.
pub(crate) struct Window {
    view: String,
    spec: WindowSpec,
    order_codec: RowCodec,
    /// The input's columns and behind them one for each call.
    schema: SchemaRef,
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
            spec,
            schema,
        })
    }
}

/// The distinct rows of the touched partitions of some shards, partition by
/// partition; in each partition in the order of the window.
struct Touched<'a> {
    rows: Vec<RowRef<'a>>,
    batch: RecordBatch,
    /// Row numbers, in order.
    sorted: Vec<u32>,
    /// Where each partition ends in `sorted`.
    ends: Vec<usize>,
}

/// The partitions at one moment.
struct Image {
    rows: RecordBatch,
    weight: i64,
    /// Partitions whose evaluation failed, and why.
    failures: Vec<(RecordBatch, String)>,
}

impl Window {
    fn touched<'a>(
        &self,
        arrangement: &'a Arrangement,
        shards: Range<usize>,
    ) -> Result<Touched<'a>, EngineError> {
        let mut rows: Vec<RowRef<'_>> = Vec::new();
        let mut ends = Vec::new();
        for shard in &arrangement.shards[shards] {
            for entry in shard.touched() {
                if entry.rows().any(|row| row.weight != row.old_weight) {
                    let is_there = |row: &RowRef<'_>| row.weight != 0 || row.old_weight != 0;
                    rows.extend(entry.rows().filter(is_there));
                    ends.push(rows.len());
                }
            }
        }
        if let Some(row) = rows.iter().find(|row| row.weight < 0) {
            return Err(EngineError::Invariant(format!(
                "a window holds a row {} times; a row was retracted that was never added",
                row.weight
            )));
        }
        let bytes = rows.iter().map(|row| row.bytes);
        let columns = arrangement.row_codec.decode(bytes)?;
        let order_columns: Vec<ArrayRef> = self
            .spec
            .order
            .iter()
            .map(|&(column, _)| columns[column].clone())
            .collect();
        let keys = self.order_codec.encode(&order_columns, rows.len())?;
        let mut sorted: Vec<u32> = (0..rows.len() as u32).collect();
        let mut start = 0;
        for &end in &ends {
            sorted[start..end].sort_unstable_by(|&first, &second| {
                let (first, second) = (first as usize, second as usize);
                keys.get(first)
                    .cmp(keys.get(second))
                    .then_with(|| rows[first].bytes.cmp(rows[second].bytes))
            });
            start = end;
        }
        let options = RecordBatchOptions::new().with_row_count(Some(rows.len()));
        let schema = self.spec.input_schema.clone();
        Ok(Touched {
            batch: RecordBatch::try_new_with_options(schema, columns, &options)?,
            rows,
            sorted,
            ends,
        })
    }

    /// The partitions before and after the epoch.
    fn images(&self, touched: &Touched<'_>) -> Result<[Image; 2], EngineError> {
        Ok([
            self.image(touched, -1, |row| row.old_weight)?,
            self.image(touched, 1, |row| row.weight)?,
        ])
    }

    fn image(
        &self,
        touched: &Touched<'_>,
        weight: i64,
        copies: impl Fn(RowRef<'_>) -> i64,
    ) -> Result<Image, EngineError> {
        let mut indices: Vec<u32> = Vec::with_capacity(touched.rows.len());
        let mut partitions: Vec<Range<usize>> = Vec::with_capacity(touched.ends.len());
        let mut start = 0;
        for &end in &touched.ends {
            let first = indices.len();
            for &row in &touched.sorted[start..end] {
                // A row of weight w is w rows.
                let count = copies(touched.rows[row as usize]) as usize;
                indices.extend(std::iter::repeat_n(row, count));
            }
            if indices.len() > first {
                partitions.push(first..indices.len());
            }
            start = end;
        }
        let rows = take_rows(&touched.batch, indices)?;
        let mut results: Vec<Vec<ArrayRef>> = vec![Vec::new(); self.spec.calls.len()];
        let mut kept: Vec<RecordBatch> = Vec::new();
        let mut failures = Vec::new();
        for partition in partitions {
            let slice = rows.slice(partition.start, partition.len());
            match caught(|| self.evaluate(&slice)) {
                Ok(arrays) => {
                    for (results, array) in results.iter_mut().zip(arrays) {
                        results.push(array);
                    }
                    kept.push(slice);
                }
                Err(error) => failures.push((slice, error.strip_backtrace())),
            }
        }
        let rows = if failures.is_empty() {
            rows
        } else {
            arrow::compute::concat_batches(&self.spec.input_schema, &kept)?
        };
        let mut columns = rows.columns().to_vec();
        for (call, parts) in results.iter().enumerate() {
            let field = self.schema.field(rows.num_columns() + call);
            columns.push(if parts.is_empty() {
                arrow::array::new_empty_array(field.data_type())
            } else {
                let parts: Vec<&dyn Array> = parts.iter().map(AsRef::as_ref).collect();
                concat(&parts)?
            });
        }
        let options = RecordBatchOptions::new().with_row_count(Some(rows.num_rows()));
        Ok(Image {
            rows: RecordBatch::try_new_with_options(self.schema.clone(), columns, &options)?,
            weight,
            failures,
        })
    }

    /// The results of all calls over one partition in order.
    fn evaluate(&self, partition: &RecordBatch) -> Result<Vec<ArrayRef>, DataFusionError> {
        let calls = self.spec.calls.iter();
        let results = calls.map(|call| Ok(canonical(&call.evaluate(partition)?)?));
        results.collect()
    }
}

/// Takes rows also of a batch without columns, as `count(*) OVER ()` reads.
fn take_rows(batch: &RecordBatch, indices: Vec<u32>) -> Result<RecordBatch, EngineError> {
    if batch.num_columns() > 0 {
        return Ok(take_record_batch(batch, &UInt32Array::from(indices))?);
    }
    let options = RecordBatchOptions::new().with_row_count(Some(indices.len()));
    let rows = RecordBatch::try_new_with_options(batch.schema(), vec![], &options)?;
    Ok(rows)
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
        // Many partitions in one batch cost less than a batch for each shard,
        // unless there are threads to share the work.
        let row_count: usize = arrangement
            .shards
            .iter()
            .flat_map(|shard| shard.touched())
            .map(|entry| entry.rows().count())
            .sum();
        let mut ranges: Vec<Range<usize>> = if context.threads > 1 {
            (0..VIRTUAL_SHARDS).map(|shard| shard..shard + 1).collect()
        } else {
            vec![0..VIRTUAL_SHARDS; 1]
        };
        let this = &*self;
        let images = for_each_shard(context.threads, row_count, &mut ranges, |_, range| {
            let touched = this.touched(arrangement, range.clone())?;
            if touched.rows.is_empty() {
                return Ok(None);
            }
            this.images(&touched).map(Some)
        });
        let mut parts = Vec::new();
        for images in images {
            let images: Option<[Image; 2]> = images?;
            for image in images.into_iter().flatten() {
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
}
