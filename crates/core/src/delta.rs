//! Deltas: changes of a collection as a Z-set.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, UInt32Array};
use arrow::compute::{concat_batches, filter_record_batch, take_record_batch};
use arrow::datatypes::SchemaRef;
use arrow::row::{RowConverter, SortField};

/// A batch of rows with an integer weight each: +1 adds the row once, −1 takes
/// it away once. The sum of all deltas of a collection is its content, in which
/// no row of a correct view ever has a negative weight.
///
/// A delta is a Z-set in the sense of Budiu et al., "DBSP: Automatic
/// Incremental View Maintenance for Rich Query Languages", VLDB 2023.
#[derive(Debug, Clone)]
pub struct Delta {
    rows: RecordBatch,
    weights: Vec<i64>,
}

/// A delta could not be built or changed.
#[derive(Debug, thiserror::Error)]
pub enum DeltaError {
    /// Rows and weights differ in number.
    #[error("a delta of {rows} rows came with {weights} weights")]
    LengthMismatch {
        /// Number of rows.
        rows: usize,
        /// Number of weights.
        weights: usize,
    },
    /// An Arrow kernel failed.
    #[error("delta: {0}")]
    Arrow(#[from] arrow::error::ArrowError),
}

impl Delta {
    /// A delta of `rows` with their `weights`.
    ///
    /// # Errors
    /// When the two differ in length.
    pub fn try_new(rows: RecordBatch, weights: Vec<i64>) -> Result<Self, DeltaError> {
        if rows.num_rows() != weights.len() {
            return Err(DeltaError::LengthMismatch {
                rows: rows.num_rows(),
                weights: weights.len(),
            });
        }
        Ok(Self { rows, weights })
    }

    /// A delta that adds each row once.
    pub fn insert(rows: RecordBatch) -> Self {
        let weights = vec![1; rows.num_rows()];
        Self { rows, weights }
    }

    /// A delta that changes nothing.
    pub fn empty(schema: SchemaRef) -> Self {
        Self {
            rows: RecordBatch::new_empty(schema),
            weights: Vec::new(),
        }
    }

    /// The rows.
    pub fn rows(&self) -> &RecordBatch {
        &self.rows
    }

    /// The weights, one a row, never 0 after [`Delta::consolidate`].
    pub fn weights(&self) -> &[i64] {
        &self.weights
    }

    /// Number of rows, adds and retractions together.
    pub fn len(&self) -> usize {
        self.weights.len()
    }

    /// True if nothing changes.
    pub fn is_empty(&self) -> bool {
        self.weights.is_empty()
    }

    /// Schema of the rows.
    pub fn schema(&self) -> SchemaRef {
        self.rows.schema()
    }

    /// Takes the delta apart.
    pub fn into_parts(self) -> (RecordBatch, Vec<i64>) {
        (self.rows, self.weights)
    }

    /// The same change with every weight negated.
    #[must_use]
    pub fn negate(mut self) -> Self {
        for weight in &mut self.weights {
            *weight = -*weight;
        }
        self
    }

    /// The same weights on other columns of equal length.
    ///
    /// # Errors
    /// When the columns do not fit the schema or the number of rows.
    pub fn with_columns(
        &self,
        schema: SchemaRef,
        columns: Vec<ArrayRef>,
    ) -> Result<Self, DeltaError> {
        let options =
            arrow::array::RecordBatchOptions::new().with_row_count(Some(self.weights.len()));
        let rows = RecordBatch::try_new_with_options(schema, columns, &options)?;
        Self::try_new(rows, self.weights.clone())
    }

    /// The rows at `indices`, in that order, with their weights.
    ///
    /// # Errors
    /// When an index is out of range.
    pub fn take(&self, indices: &UInt32Array) -> Result<Self, DeltaError> {
        let rows = take_record_batch(&self.rows, indices)?;
        let weights = indices
            .values()
            .iter()
            .map(|&index| self.weights[index as usize])
            .collect();
        Self::try_new(rows, weights)
    }

    /// A range of the rows, with their weights.
    #[must_use]
    pub fn slice(&self, rows: Range<usize>) -> Self {
        Self {
            weights: self.weights[rows.clone()].to_vec(),
            rows: self.rows.slice(rows.start, rows.len()),
        }
    }

    /// The sum of several deltas of one schema, not consolidated.
    ///
    /// # Errors
    /// When the schemas differ.
    pub fn concat(schema: &SchemaRef, deltas: &[Delta]) -> Result<Self, DeltaError> {
        if let [only] = deltas {
            return Ok(only.clone());
        }
        let rows = concat_batches(schema, deltas.iter().map(|delta| &delta.rows))?;
        let weights = deltas
            .iter()
            .flat_map(|delta| delta.weights.iter().copied())
            .collect();
        Self::try_new(rows, weights)
    }

    /// Adds up the weights of equal rows and drops those that come to 0. The
    /// order of first appearance is kept, so that the result is deterministic.
    ///
    /// # Errors
    /// When the rows hold a type that cannot be compared.
    pub fn consolidate(self) -> Result<Self, DeltaError> {
        // Only adding, as most epochs of a log do, cannot cancel out.
        if self.weights.iter().all(|&weight| weight > 0) {
            return Ok(self);
        }
        if self.rows.num_columns() == 0 {
            let total: i64 = self.weights.iter().sum();
            let keep = usize::from(total != 0);
            let options = arrow::array::RecordBatchOptions::new().with_row_count(Some(keep));
            let rows = RecordBatch::try_new_with_options(self.rows.schema(), vec![], &options)?;
            return Self::try_new(rows, vec![total; keep]);
        }
        let fields = self
            .rows
            .schema()
            .fields()
            .iter()
            .map(|field| SortField::new(field.data_type().clone()))
            .collect();
        let converter = RowConverter::new(fields)?;
        let keys = converter.convert_columns(self.rows.columns())?;
        let mut totals = vec![0_i64; self.weights.len()];
        // Row numbers by hash, with linear probing: at most half full.
        const VACANT: usize = usize::MAX;
        let slot_count = (2 * self.weights.len()).next_power_of_two();
        let mut slots = vec![VACANT; slot_count];
        for (index, weight) in self.weights.iter().enumerate() {
            let row = keys.row(index);
            let mut slot = crate::stable_hash(row.data()) as usize & (slot_count - 1);
            while slots[slot] != VACANT && keys.row(slots[slot]) != row {
                slot = (slot + 1) & (slot_count - 1);
            }
            if slots[slot] == VACANT {
                slots[slot] = index;
            }
            totals[slots[slot]] += weight;
        }
        let keep: arrow::array::BooleanArray =
            totals.iter().map(|&total| Some(total != 0)).collect();
        let rows = filter_record_batch(&self.rows, &keep)?;
        let weights = totals.into_iter().filter(|&total| total != 0).collect();
        Self::try_new(rows, weights)
    }
}

impl Default for Delta {
    fn default() -> Self {
        Self::empty(Arc::new(arrow::datatypes::Schema::empty()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::Int64Array;
    use arrow::datatypes::{DataType, Field, Schema};

    fn delta(rows: &[(i64, i64)]) -> Delta {
        let schema = Arc::new(Schema::new(vec![Field::new("a", DataType::Int64, true)]));
        let values: Int64Array = rows.iter().map(|(value, _)| Some(*value)).collect();
        let batch = RecordBatch::try_new(schema, vec![Arc::new(values)]).unwrap();
        Delta::try_new(batch, rows.iter().map(|(_, weight)| *weight).collect()).unwrap()
    }

    #[test]
    fn consolidate_adds_weights_of_equal_rows_and_keeps_order() {
        let result = delta(&[(7, 1), (3, 2), (7, -1), (3, -1), (5, -1)])
            .consolidate()
            .unwrap();
        assert_eq!(result.weights(), &[1, -1]);
        let values = result
            .rows()
            .column(0)
            .as_any()
            .downcast_ref::<Int64Array>()
            .unwrap()
            .values()
            .to_vec();
        assert_eq!(values, vec![3, 5]);
    }

    #[test]
    fn length_mismatch_is_an_error() {
        let (rows, _) = delta(&[(1, 1)]).into_parts();
        assert!(Delta::try_new(rows, vec![]).is_err());
    }
}
