//! `sum` and `avg` of DOUBLE in windows, without rounding on the way. A moving
//! frame takes away what it added before; with rounded sums a residue would
//! stay, and after one infinity nothing but NaN.

use std::mem::size_of;

use arrow::array::{ArrayRef, AsArray, Float64Array};
use arrow::datatypes::{DataType, Float64Type, Int64Type};
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::function::AccumulatorArgs;
use datafusion::logical_expr::{
    Accumulator, AggregateUDFImpl, ReversedUDAF, Signature, Volatility,
};
use datafusion::scalar::ScalarValue;
use sluice_core::{Reader, Writer};

use crate::exact_float::ExactFloat;

/// `sum` or `avg` of DOUBLE over the rows of a window.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) struct ExactWindowSum {
    signature: Signature,
    is_average: bool,
}

impl ExactWindowSum {
    /// The function `avg`, or `sum`.
    pub(crate) fn new(is_average: bool) -> Self {
        Self {
            signature: Signature::exact(vec![DataType::Float64], Volatility::Immutable),
            is_average,
        }
    }
}

impl AggregateUDFImpl for ExactWindowSum {
    fn name(&self) -> &str {
        if self.is_average { "avg" } else { "sum" }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arguments: &[DataType]) -> Result<DataType> {
        Ok(DataType::Float64)
    }

    fn accumulator(&self, _arguments: AccumulatorArgs<'_>) -> Result<Box<dyn Accumulator>> {
        Ok(Box::new(ExactSum {
            sum: ExactFloat::default(),
            count: 0,
            is_average: self.is_average,
        }))
    }

    fn reverse_expr(&self) -> ReversedUDAF {
        ReversedUDAF::Identical
    }
}

#[derive(Debug)]
struct ExactSum {
    sum: ExactFloat,
    /// Numbers that are not null.
    count: i64,
    is_average: bool,
}

impl ExactSum {
    fn add(&mut self, values: &[ArrayRef], weight: i64) -> Result<()> {
        let numbers: Option<&Float64Array> = values
            .first()
            .and_then(|values| values.as_primitive_opt::<Float64Type>());
        let Some(numbers) = numbers else {
            return Err(DataFusionError::Internal("not a column of DOUBLE".into()));
        };
        for number in numbers.iter().flatten() {
            self.sum.add(number, weight);
            self.count += weight;
        }
        Ok(())
    }
}

impl Accumulator for ExactSum {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        self.add(values, 1)
    }

    fn retract_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        self.add(values, -1)
    }

    fn supports_retract_batch(&self) -> bool {
        true
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        if self.count == 0 {
            return Ok(ScalarValue::Float64(None));
        }
        let sum = self.sum.value();
        let divisor = if self.is_average {
            self.count as f64
        } else {
            1.0
        };
        Ok(ScalarValue::Float64(Some(sum / divisor)))
    }

    fn size(&self) -> usize {
        size_of::<Self>()
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        let mut sum = Writer::new();
        self.sum.save(&mut sum);
        Ok(vec![
            ScalarValue::Binary(Some(sum.finish())),
            ScalarValue::Int64(Some(self.count)),
        ])
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        let [sums, counts] = states else {
            return Err(DataFusionError::Internal("not the state of a sum".into()));
        };
        let counts = counts.as_primitive::<Int64Type>();
        for (sum, count) in sums.as_binary::<i32>().iter().zip(counts) {
            let (Some(sum), Some(count)) = (sum, count) else {
                continue;
            };
            let sum = ExactFloat::load(&mut Reader::new(sum));
            let sum = sum.map_err(|error| DataFusionError::External(Box::new(error)))?;
            self.sum.merge(&sum);
            self.count += count;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    fn moving(is_average: bool) -> ExactSum {
        ExactSum {
            sum: ExactFloat::default(),
            count: 0,
            is_average,
        }
    }

    fn doubles(values: &[Option<f64>]) -> [ArrayRef; 1] {
        [Arc::new(Float64Array::from(values.to_vec()))]
    }

    fn double(value: f64) -> ScalarValue {
        ScalarValue::Float64(Some(value))
    }

    #[test]
    fn what_has_left_leaves_no_residue() {
        for gone in [1e20, -1e300, f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            for (is_average, expected) in [(false, 1.0), (true, 0.5)] {
                let mut moving = moving(is_average);
                moving.update_batch(&doubles(&[Some(gone)])).unwrap();
                moving.update_batch(&doubles(&[Some(0.25), None])).unwrap();
                moving.update_batch(&doubles(&[Some(0.75)])).unwrap();
                moving.retract_batch(&doubles(&[Some(gone)])).unwrap();
                assert_eq!(moving.evaluate().unwrap(), double(expected), "{gone}");
            }
        }
    }

    #[test]
    fn nothing_but_nulls_has_no_sum() {
        let mut moving = moving(false);
        moving.update_batch(&doubles(&[None, Some(7.5)])).unwrap();
        moving.retract_batch(&doubles(&[None, Some(7.5)])).unwrap();
        moving.update_batch(&doubles(&[None])).unwrap();
        assert_eq!(moving.evaluate().unwrap(), ScalarValue::Float64(None));
    }

    #[test]
    fn it_goes_on_from_its_state() {
        let mut first = moving(true);
        first
            .update_batch(&doubles(&[Some(1e100), Some(3.0)]))
            .unwrap();
        let state = first.state().unwrap();
        let state: Vec<ArrayRef> = state.iter().map(|part| part.to_array().unwrap()).collect();
        let mut second = moving(true);
        second.update_batch(&doubles(&[Some(5.0)])).unwrap();
        second.merge_batch(&state).unwrap();
        second.retract_batch(&doubles(&[Some(1e100)])).unwrap();
        assert_eq!(second.evaluate().unwrap(), double(4.0));
    }
}
