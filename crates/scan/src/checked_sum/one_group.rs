//! The sum of one group.

use arrow::array::{Array, ArrayRef};
use arrow::datatypes::DataType;
use datafusion::common::ScalarValue;
use datafusion::common::utils::take_function_args;
use datafusion::error::Result;
use datafusion::logical_expr::Accumulator;

use super::{each_number, exact_sum, too_many_digits, whole_sum};

/// See the module.
#[derive(Debug)]
pub(super) struct ExactSum {
    sum: i128,
    /// Values that are in it.
    count: u64,
    data_type: DataType,
}

impl ExactSum {
    pub(super) fn new(data_type: &DataType) -> Self {
        Self {
            sum: 0,
            count: 0,
            data_type: data_type.clone(),
        }
    }

    /// The sum with that of values put to it, or taken from it.
    fn with(
        &self,
        values: &[ArrayRef],
        put: impl Fn(i128, i128) -> (i128, bool),
    ) -> Result<(i128, u64)> {
        let [values] = take_function_args("sum", values)?;
        let mut sum = self.sum;
        let mut has_overflown = false;
        each_number(values, |value| {
            let (next, is_over) = put(sum, value);
            sum = next;
            has_overflown |= is_over;
        });
        match has_overflown {
            true => Err(too_many_digits()),
            false => Ok((sum, (values.len() - values.null_count()) as u64)),
        }
    }
}

impl Accumulator for ExactSum {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        let (sum, count) = self.with(values, i128::overflowing_add)?;
        self.sum = sum;
        self.count += count;
        Ok(())
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        self.update_batch(states)
    }

    fn retract_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        let (sum, count) = self.with(values, i128::overflowing_sub)?;
        self.sum = sum;
        self.count = self.count.saturating_sub(count);
        Ok(())
    }

    fn supports_retract_batch(&self) -> bool {
        true
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        let sum = (self.count > 0).then_some(self.sum);
        Ok(vec![exact_sum(sum, &self.data_type)])
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        let sum = (self.count > 0).then_some(self.sum);
        whole_sum(sum, &self.data_type)
    }

    fn size(&self) -> usize {
        size_of_val(self)
    }
}
