//! Aggregates without an incremental form: the rows of each group are kept,
//! and a touched group is computed anew by DataFusion's own accumulator.
//!
//! The accumulator sees the rows in one canonical order: by the call's ORDER
//! BY, and by the arguments' values where that leaves a choice. So the result
//! depends on the group's rows alone, not on the order, the epochs or the
//! shards in which they came. It costs what the touched groups hold.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, new_empty_array};
use arrow::datatypes::DataType;
use datafusion::error::DataFusionError;
use datafusion::physical_expr::aggregate::AggregateFunctionExpr;
use datafusion::scalar::ScalarValue;
use sluice_functions::canonical;

use crate::EngineError;
use crate::accumulator::OutputErrors;
use crate::key::RowCodec;
use crate::library_panics::caught;
use crate::value_counts::ValueCounts;

/// A function over the kept rows.
#[derive(Debug, Clone)]
pub(crate) struct RowsFunction {
    pub(crate) function: Arc<AggregateFunctionExpr>,
    /// Number of ORDER BY expressions, which stand before the arguments.
    pub(crate) order_width: usize,
    /// Whether equal rows count once.
    pub(crate) distinct: bool,
    pub(crate) output_type: DataType,
}

impl RowsFunction {
    /// The results of some groups. `codec` decodes ORDER BY and arguments.
    pub(crate) fn output(
        &self,
        rows: &ValueCounts,
        groups: impl Iterator<Item = usize>,
        codec: &RowCodec,
        errors: &mut OutputErrors,
    ) -> Result<ArrayRef, EngineError> {
        let mut results = Vec::new();
        for (index, slot) in groups.enumerate() {
            let columns = self.columns(rows.of_group(slot), codec)?;
            let result = caught(|| self.compute(&columns)).or_else(|error| {
                errors.push((index, error.strip_backtrace().into()));
                ScalarValue::try_from(&self.output_type)
            });
            results.push(result?);
        }
        if results.is_empty() {
            return Ok(new_empty_array(&self.output_type));
        }
        let array = canonical(&ScalarValue::iter_to_array(results)?)?;
        if *array.data_type() == self.output_type {
            return Ok(array);
        }
        Ok(arrow::compute::cast(&array, &self.output_type)?)
    }

    fn columns<'a>(
        &self,
        rows: impl Iterator<Item = (&'a [u8], i64)>,
        codec: &RowCodec,
    ) -> Result<Vec<ArrayRef>, EngineError> {
        let copies = |weight: i64| if self.distinct { 1 } else { weight.max(0) };
        let repeated =
            rows.flat_map(|(row, weight)| std::iter::repeat_n(row, copies(weight) as usize));
        codec.decode(repeated)
    }

    fn compute(&self, columns: &[ArrayRef]) -> Result<ScalarValue, DataFusionError> {
        let (order, arguments) = columns.split_at(self.order_width);
        let mut accumulator = self.function.create_accumulator()?;
        let mut inputs = arguments.to_vec();
        if !self.function.order_bys().is_empty() {
            inputs.extend_from_slice(order);
        }
        if inputs.first().is_some_and(|column| !column.is_empty()) {
            accumulator.update_batch(&inputs)?;
        }
        accumulator.evaluate()
    }
}
