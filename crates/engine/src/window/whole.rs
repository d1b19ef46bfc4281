//! Partitions that are computed as a whole: all rows with their results before are
//! retracted and those after are added.

use std::ops::Range;

use arrow::array::{Array, ArrayRef, RecordBatch};
use arrow::compute::concat;
use datafusion::error::DataFusionError;
use sluice_functions::canonical;

use super::order::{ORDERED_ROWS_MIN, PartitionOrder, Place};
use super::{Image, Window, batch_of, check_weights, row_key, take_rows};
use crate::EngineError;
use crate::arrangement::{Arrangement, EntryRef, RowRef};
use crate::key::EncodedRows;
use crate::library_panics::caught;

/// The distinct rows of touched partitions, partition by partition; in each
/// partition in the order of the window.
pub(super) struct Touched<'a> {
    rows: Vec<RowRef<'a>>,
    batch: RecordBatch,
    /// Their ORDER BY columns.
    orders: EncodedRows,
    /// Row numbers, in order.
    sorted: Vec<u32>,
    /// Where each partition ends in `sorted`.
    ends: Vec<usize>,
}

impl Touched<'_> {
    fn partitions(&self) -> impl Iterator<Item = Range<usize>> {
        let starts = [0].into_iter().chain(self.ends.iter().copied());
        starts.zip(&self.ends).map(|(start, &end)| start..end)
    }

    /// The order of each partition as it is after the epoch, if that has many rows.
    pub(super) fn orders_after(&self) -> impl Iterator<Item = Option<PartitionOrder>> {
        self.partitions().map(move |partition| {
            let rows = self.sorted[partition].iter();
            let rows = rows.filter(|&&number| self.rows[number as usize].weight > 0);
            if rows.clone().count() < ORDERED_ROWS_MIN {
                return None;
            }
            let mut order = PartitionOrder::default();
            for &number in rows {
                let row = self.rows[number as usize];
                let columns = self.orders.get(number as usize);
                let place = Place {
                    order_length: columns.len(),
                    before: row.weight,
                    after: row.weight,
                };
                order.put(row_key(columns, row.bytes), place);
            }
            Some(order)
        })
    }
}

impl Window {
    pub(super) fn touched<'a>(
        &self,
        arrangement: &Arrangement,
        partitions: impl Iterator<Item = EntryRef<'a>>,
    ) -> Result<Touched<'a>, EngineError> {
        let mut rows: Vec<RowRef<'_>> = Vec::new();
        let mut ends = Vec::new();
        for partition in partitions {
            let is_there = |row: &RowRef<'_>| row.weight != 0 || row.old_weight != 0;
            rows.extend(partition.rows().filter(is_there));
            ends.push(rows.len());
        }
        check_weights(&rows)?;
        let columns = arrangement
            .row_codec
            .decode(rows.iter().map(|row| row.bytes))?;
        let orders = self.orders_of(&columns, rows.len())?;
        let mut sorted: Vec<u32> = (0..rows.len() as u32).collect();
        let mut start = 0;
        for &end in &ends {
            sorted[start..end].sort_unstable_by(|&first, &second| {
                let (first, second) = (first as usize, second as usize);
                orders
                    .get(first)
                    .cmp(orders.get(second))
                    .then_with(|| rows[first].bytes.cmp(rows[second].bytes))
            });
            start = end;
        }
        Ok(Touched {
            batch: batch_of(&self.spec.input_schema, columns, rows.len())?,
            rows,
            orders,
            sorted,
            ends,
        })
    }

    /// The partitions before and after the epoch.
    pub(super) fn images(&self, touched: &Touched<'_>) -> Result<[Image; 2], EngineError> {
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
        let mut partitions: Vec<(usize, Range<usize>)> = Vec::with_capacity(touched.ends.len());
        for (number, partition) in touched.partitions().enumerate() {
            let first = indices.len();
            for &row in &touched.sorted[partition] {
                // A row of weight w is w rows.
                let count = copies(touched.rows[row as usize]) as usize;
                indices.extend(std::iter::repeat_n(row, count));
            }
            if indices.len() > first {
                partitions.push((number, first..indices.len()));
            }
        }
        let rows = take_rows(&touched.batch, indices)?;
        let rows_evaluated = rows.num_rows() as u64;
        let mut results: Vec<Vec<ArrayRef>> = vec![Vec::new(); self.spec.calls.len()];
        let mut kept: Vec<RecordBatch> = Vec::new();
        let mut failures = Vec::new();
        let mut failed = Vec::new();
        for (number, partition) in partitions {
            let slice = rows.slice(partition.start, partition.len());
            match caught(|| self.evaluate(&slice)) {
                Ok(arrays) => {
                    for (results, array) in results.iter_mut().zip(arrays) {
                        results.push(array);
                    }
                    kept.push(slice);
                }
                Err(error) => {
                    failures.push((slice, error.strip_backtrace()));
                    failed.push(number);
                }
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
        Ok(Image {
            rows: batch_of(&self.schema, columns, rows.num_rows())?,
            weight,
            failures,
            failed,
            rows_evaluated,
        })
    }

    /// The results of all calls over one partition in order.
    fn evaluate(&self, partition: &RecordBatch) -> Result<Vec<ArrayRef>, DataFusionError> {
        let calls = self.spec.calls.iter();
        let results = calls.map(|call| Ok(canonical(&call.expression.evaluate(partition)?)?));
        results.collect()
    }
}
