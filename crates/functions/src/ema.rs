//! `ema(value, alpha) OVER (PARTITION BY … ORDER BY …)`: the exponential moving average.
//!
//! e₁ = x₁ and eₙ = α·xₙ + (1 − α)·eₙ₋₁ over the rows of the partition in order (simple
//! exponential smoothing: R. G. Brown, "Smoothing, Forecasting and Prediction of Discrete
//! Time Series", 1963). Rows without a value are passed over: they have the average of
//! the rows before, and NULL where there is none. A frame means nothing to it, as to
//! `rank`.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Float64Array, RecordBatch};
use arrow::datatypes::{DataType, Field, FieldRef, Float64Type, Schema};
use datafusion::common::{ScalarValue, exec_err, plan_err};
use datafusion::error::Result;
use datafusion::logical_expr::function::{PartitionEvaluatorArgs, WindowUDFFieldArgs};
use datafusion::logical_expr::{
    ColumnarValue, PartitionEvaluator, Signature, Volatility, WindowUDFImpl,
};
use datafusion::physical_expr::PhysicalExpr;

/// The function's name.
pub const EMA: &str = "ema";

/// See the module.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) struct Ema {
    signature: Signature,
}

impl Ema {
    pub(crate) fn new() -> Self {
        Self {
            signature: Signature::user_defined(Volatility::Immutable),
        }
    }
}

/// The weight of the newest value, which must be a constant above 0 and at most 1.
///
/// # Errors
/// When it is none.
pub fn ema_weight(arguments: &[Arc<dyn PhysicalExpr>]) -> Result<f64> {
    let no_columns = RecordBatch::new_empty(Arc::new(Schema::empty()));
    let weight = arguments.get(1).map(|weight| weight.evaluate(&no_columns));
    let weight = match weight {
        Some(Ok(ColumnarValue::Scalar(weight))) => weight.cast_to(&DataType::Float64)?,
        _ => ScalarValue::Null,
    };
    match weight {
        ScalarValue::Float64(Some(weight)) if weight > 0.0 && weight <= 1.0 => Ok(weight),
        _ => plan_err!(
            "the second argument of `{EMA}` is the weight of the newest value: a constant above 0 and at most 1, such as 0.2"
        ),
    }
}

/// The average behind a row with `value`, of which the one before it is `average`.
pub fn next_average(weight: f64, average: Option<f64>, value: Option<f64>) -> Option<f64> {
    match (average, value) {
        (Some(before), Some(value)) => Some(weight * value + (1.0 - weight) * before),
        (average, value) => value.or(average),
    }
}

impl WindowUDFImpl for Ema {
    fn name(&self) -> &str {
        EMA
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        let [value, weight] = types else {
            return plan_err!("`{EMA}` takes a value and the weight of the newest one");
        };
        for data_type in [value, weight] {
            if !data_type.is_numeric() && !data_type.is_null() {
                return plan_err!("`{EMA}` takes numbers, not {data_type}");
            }
        }
        Ok(vec![DataType::Float64; 2])
    }

    fn partition_evaluator(
        &self,
        arguments: PartitionEvaluatorArgs<'_>,
    ) -> Result<Box<dyn PartitionEvaluator>> {
        let weight = ema_weight(arguments.input_exprs())?;
        Ok(Box::new(Averages { weight }))
    }

    fn field(&self, arguments: WindowUDFFieldArgs<'_>) -> Result<FieldRef> {
        let field = Field::new(arguments.name(), DataType::Float64, true);
        Ok(Arc::new(field))
    }
}

#[derive(Debug)]
struct Averages {
    weight: f64,
}

impl PartitionEvaluator for Averages {
    fn evaluate_all(&mut self, values: &[ArrayRef], _row_count: usize) -> Result<ArrayRef> {
        let Some(values) = values
            .first()
            .and_then(|values| values.as_primitive_opt::<Float64Type>())
        else {
            return exec_err!("`{EMA}` takes numbers");
        };
        let mut average = None;
        let averages = values.iter().map(|value| {
            average = next_average(self.weight, average, value);
            average
        });
        Ok(Arc::new(averages.collect::<Float64Array>()))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use datafusion::physical_expr::expressions::{Column, Literal};

    use super::*;

    fn averages(weight: f64, values: Vec<Option<f64>>) -> Vec<Option<f64>> {
        let row_count = values.len();
        let values: ArrayRef = Arc::new(Float64Array::from(values));
        let found = Averages { weight }
            .evaluate_all(&[values], row_count)
            .unwrap();
        found.as_primitive::<Float64Type>().iter().collect()
    }

    #[test]
    fn each_average_weighs_the_newest_value_and_the_average_before() {
        let found = averages(0.5, vec![Some(4.0), Some(8.0), Some(2.0)]);
        assert_eq!(found, [Some(4.0), Some(6.0), Some(4.0)]);
        let newest = averages(1.0, vec![Some(4.0), Some(8.0)]);
        assert_eq!(newest, [Some(4.0), Some(8.0)]);
    }

    #[test]
    fn rows_without_a_value_have_the_average_before() {
        let found = averages(0.25, vec![None, Some(8.0), None, Some(4.0)]);
        assert_eq!(found, [None, Some(8.0), Some(8.0), Some(7.0)]);
    }

    #[test]
    fn the_weight_is_a_constant_above_0_and_at_most_1() {
        let with = |weight: Arc<dyn PhysicalExpr>| {
            let value: Arc<dyn PhysicalExpr> = Arc::new(Column::new("x", 0));
            ema_weight(&[value, weight])
        };
        let constant = |weight: ScalarValue| with(Arc::new(Literal::new(weight)));
        assert_eq!(constant(ScalarValue::from(0.25)).unwrap(), 0.25);
        assert_eq!(constant(ScalarValue::from(1_i64)).unwrap(), 1.0);
        for wrong in [0.0, -0.5, 1.5, f64::NAN] {
            constant(ScalarValue::from(wrong)).unwrap_err();
        }
        constant(ScalarValue::Float64(None)).unwrap_err();
        with(Arc::new(Column::new("x", 0))).unwrap_err();
        ema_weight(&[]).unwrap_err();
    }
}
