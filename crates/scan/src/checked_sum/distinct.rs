//! The sum of the different values of one group.

use std::collections::HashMap;

use arrow::array::{ArrayRef, AsArray};
use arrow::datatypes::DataType;
use datafusion::common::ScalarValue;
use datafusion::common::utils::take_function_args;
use datafusion::error::Result;
use datafusion::logical_expr::Accumulator;

use super::{each_number, too_many_digits, whole_sum};

/// See the module.
#[derive(Debug)]
pub(super) struct DistinctSum {
    /// How often each value is there.
    counts: HashMap<i128, u64>,
    data_type: DataType,
}

impl DistinctSum {
    pub(super) fn new(data_type: &DataType) -> Self {
        Self {
            counts: HashMap::new(),
            data_type: data_type.clone(),
        }
    }
}

impl Accumulator for DistinctSum {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        let [values] = take_function_args("sum", values)?;
        each_number(values, |value| *self.counts.entry(value).or_default() += 1);
        Ok(())
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        let [lists] = take_function_args("sum", states)?;
        for values in lists.as_list::<i32>().iter().flatten() {
            self.update_batch(&[values])?;
        }
        Ok(())
    }

    fn retract_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        let [values] = take_function_args("sum", values)?;
        each_number(values, |value| {
            if let Some(count) = self.counts.get_mut(&value) {
                *count -= 1;
                if *count == 0 {
                    self.counts.remove(&value);
                }
            }
        });
        Ok(())
    }

    fn supports_retract_batch(&self) -> bool {
        true
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        let values = self.counts.keys();
        let values = values.map(|value| whole_sum(Some(*value), &self.data_type));
        let values = values.collect::<Result<Vec<_>>>()?;
        let values = ScalarValue::new_list_nullable(&values, &self.data_type);
        Ok(vec![ScalarValue::List(values)])
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        if self.counts.is_empty() {
            return whole_sum(None, &self.data_type);
        }
        let mut values = self.counts.keys();
        let sum = values.try_fold(0_i128, |sum, value| sum.checked_add(*value));
        let sum = sum.ok_or_else(too_many_digits)?;
        whole_sum(Some(sum), &self.data_type)
    }

    fn size(&self) -> usize {
        size_of_val(self) + self.counts.capacity() * size_of::<(i128, u64)>()
    }
}
