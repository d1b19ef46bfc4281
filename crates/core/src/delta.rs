//! Deltas: changes of a collection as a Z-set.

mod consolidate;

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions, UInt32Array};
use arrow::compute::{concat_batches, take_record_batch};
use arrow::datatypes::SchemaRef;

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
    /// Known to have no two rows that cancel each other out. Not known is false.
    is_consolidated: bool,
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
        Ok(Self {
            rows,
            weights,
            is_consolidated: false,
        })
    }

    /// A delta that adds each row once.
    pub fn insert(rows: RecordBatch) -> Self {
        Self {
            weights: vec![1; rows.num_rows()],
            rows,
            is_consolidated: true,
        }
    }

    /// A delta that changes nothing.
    pub fn empty(schema: SchemaRef) -> Self {
        Self {
            rows: RecordBatch::new_empty(schema),
            weights: Vec::new(),
            is_consolidated: true,
        }
    }

    /// Notes that whoever made the delta knows that no row of it is there with
    /// both signs, and none with weight 0: [`Delta::consolidate`] has nothing
    /// left to do.
    #[must_use]
    pub fn known_consolidated(mut self) -> Self {
        debug_assert!(self.weights.iter().all(|&weight| weight != 0));
        self.is_consolidated = true;
        self
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
        let options = RecordBatchOptions::new().with_row_count(Some(self.weights.len()));
        let rows = RecordBatch::try_new_with_options(schema, columns, &options)?;
        Self::try_new(rows, self.weights.clone())
    }

    /// The rows at `indices`, in that order, with their weights.
    ///
    /// # Errors
    /// When an index is out of range.
    pub fn take(&self, indices: &UInt32Array) -> Result<Self, DeltaError> {
        let rows = match self.rows.num_columns() {
            // Of rows without columns only their number can be taken.
            0 => {
                let options = RecordBatchOptions::new().with_row_count(Some(indices.len()));
                RecordBatch::try_new_with_options(self.schema(), Vec::new(), &options)?
            }
            _ => take_record_batch(&self.rows, indices)?,
        };
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
            is_consolidated: self.is_consolidated,
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

    #[test]
    fn length_mismatch_is_an_error() {
        let schema = Arc::new(Schema::new(vec![Field::new("a", DataType::Int64, true)]));
        let column = Arc::new(Int64Array::from(vec![1]));
        let rows = RecordBatch::try_new(schema, vec![column]).unwrap();
        assert!(Delta::try_new(rows, vec![]).is_err());
    }
}
