//! `nullif(value, other)` where the value is compared as another type than it is
//! answered as: decimals beside floats, dates beside moments, intervals by their
//! length.
//!
//! A CASE would have the value twice, and twice as often with each call inside another.

use std::sync::Arc;

use arrow::array::AsArray;
use arrow::compute::nullif;
use arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::utils::take_function_args;
use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::{
    ColumnarValue, Expr, Operator, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl,
    Signature, Volatility,
};
use datafusion::physical_expr_common::datum::apply_cmp;

use crate::by_array::by_array;
use crate::interval_length::{LENGTH, lengths};
use crate::local_moments::moments;
use crate::local_times::is_utc;
use crate::nearest_float::nearest;

/// The value, or NULL where it is `other` once it is of the type `compared`, which that
/// has.
pub(crate) fn null_if_equal(value: Expr, other: Expr, compared: DataType) -> Expr {
    let signature = Signature::any(2, Volatility::Immutable);
    let function = Arc::new(ScalarUDF::from(NullIfEqual {
        compared,
        signature,
    }));
    Expr::ScalarFunction(ScalarFunction::new_udf(function, vec![value, other]))
}

/// Whether a function is one of these.
pub(crate) fn is_null_if_equal(function: &ScalarUDF) -> bool {
    function.inner().is::<NullIfEqual>()
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct NullIfEqual {
    /// As what the value is compared.
    compared: DataType,
    signature: Signature,
}

impl ScalarUDFImpl for NullIfEqual {
    /// As the one that it stands for, which other rules know.
    fn name(&self) -> &str {
        "nullif"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        let [value, _] = take_function_args(self.name(), types)?;
        Ok(value.clone())
    }

    fn return_field_from_args(&self, arguments: ReturnFieldArgs) -> Result<FieldRef> {
        let [value, _] = take_function_args(self.name(), arguments.arg_fields)?;
        let field = Field::new(self.name(), value.data_type().clone(), true);
        Ok(Arc::new(field))
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [value, other] = take_function_args(self.name(), &arguments.args)?;
        let is_constant = matches!(
            (value, other),
            (ColumnarValue::Scalar(_), ColumnarValue::Scalar(_))
        );
        let rows = match is_constant {
            true => 1,
            false => arguments.number_rows,
        };
        let compared = as_compared(value, &self.compared)?;
        let are_equal = apply_cmp(Operator::Eq, &compared, other)?.into_array(rows)?;
        let values = nullif(&value.to_array(rows)?, are_equal.as_boolean())?;
        Ok(match is_constant {
            true => ColumnarValue::Scalar(ScalarValue::try_from_array(&values, 0)?),
            false => ColumnarValue::Array(values),
        })
    }
}

/// The value as a cast gives it, by the rules for casts.
fn as_compared(value: &ColumnarValue, wanted: &DataType) -> Result<ColumnarValue> {
    match (value.data_type(), wanted) {
        (DataType::Interval(_) | DataType::Duration(_), _) if *wanted == LENGTH => {
            by_array(value, &lengths)
        }
        (found, _) if found.is_decimal() && wanted.is_floating() => {
            by_array(value, &|decimals| nearest(decimals, wanted))
        }
        (DataType::Date32 | DataType::Timestamp(_, None), DataType::Timestamp(_, Some(zone)))
            if !is_utc(zone) =>
        {
            by_array(value, &|locals| moments(locals, wanted))
        }
        _ => value.cast_to(wanted, None),
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::{
        ArrayRef, Date32Array, Decimal128Array, Float64Array, Int64Array,
        IntervalMonthDayNanoArray, TimestampMicrosecondArray,
    };
    use arrow::datatypes::IntervalMonthDayNano;
    use datafusion::logical_expr::col;

    use super::*;

    /// What is answered of a column and another one.
    fn found(value: ArrayRef, other: ArrayRef) -> ArrayRef {
        let rows = value.len();
        let call = null_if_equal(col("v"), col("o"), other.data_type().clone());
        let Expr::ScalarFunction(call) = call else {
            panic!("no function");
        };
        assert!(is_null_if_equal(&call.func));
        let field = |values: &ArrayRef| Arc::new(Field::new("a", values.data_type().clone(), true));
        let arg_fields = vec![field(&value), field(&other)];
        let return_field = call.func.return_field_from_args(ReturnFieldArgs {
            arg_fields: &arg_fields,
            scalar_arguments: &[None, None],
        });
        let answer = call.func.invoke_with_args(ScalarFunctionArgs {
            args: vec![ColumnarValue::Array(value), ColumnarValue::Array(other)],
            arg_fields,
            number_rows: rows,
            return_field: return_field.unwrap(),
            config_options: Arc::default(),
        });
        answer.unwrap().into_array(rows).unwrap()
    }

    #[test]
    fn a_decimal_is_compared_as_a_float_and_answered_as_it_is() {
        let decimals = |digits: Vec<Option<i128>>| {
            let decimals = Decimal128Array::from(digits);
            Arc::new(decimals.with_precision_and_scale(3, 1).unwrap())
        };
        let floats = Float64Array::from(vec![Some(0.3), Some(0.4), None, Some(0.3)]);
        let given = decimals(vec![Some(3), Some(3), Some(3), None]);
        let answer = found(given, Arc::new(floats));
        let expected: ArrayRef = decimals(vec![None, Some(3), Some(3), None]);
        assert_eq!(&answer, &expected);
    }

    #[test]
    fn intervals_are_compared_by_their_length() {
        let days = |days: i32| IntervalMonthDayNano::new(0, days, 0);
        let month = IntervalMonthDayNano::new(1, 0, 0);
        let given = IntervalMonthDayNanoArray::from(vec![month, month, days(1)]);
        let others: ArrayRef = Arc::new(IntervalMonthDayNanoArray::from(vec![
            days(30),
            days(31),
            days(1),
        ]));
        let answer = found(Arc::new(given), lengths(&others).unwrap());
        let expected: ArrayRef = Arc::new(IntervalMonthDayNanoArray::from(vec![
            None,
            Some(month),
            None,
        ]));
        assert_eq!(&answer, &expected);
    }

    #[test]
    fn a_date_is_the_moment_at_which_it_begins_in_the_zone() {
        let given = Date32Array::from(vec![0, 0]);
        // Midnight of UTC, and of Shanghai, which is 8 hours before.
        let moments = TimestampMicrosecondArray::from(vec![0, -8 * 3_600_000_000]);
        for (zone, expected) in [
            ("UTC", vec![None, Some(0)]),
            ("Asia/Shanghai", vec![Some(0), None]),
        ] {
            let moments = Arc::new(moments.clone().with_timezone(zone));
            let answer = found(Arc::new(given.clone()), moments);
            let expected: ArrayRef = Arc::new(Date32Array::from(expected));
            assert_eq!(&answer, &expected, "{zone}");
        }
    }

    #[test]
    fn a_constant_is_answered_as_one() {
        let value = |number: i64| ColumnarValue::Scalar(ScalarValue::from(number));
        let function = NullIfEqual {
            compared: DataType::Int64,
            signature: Signature::any(2, Volatility::Immutable),
        };
        for (other, expected) in [(1, None), (2, Some(1))] {
            let field = Arc::new(Field::new("a", DataType::Int64, true));
            let answer = function.invoke_with_args(ScalarFunctionArgs {
                args: vec![value(1), value(other)],
                arg_fields: vec![field.clone(), field.clone()],
                number_rows: 8,
                return_field: field,
                config_options: Arc::default(),
            });
            let ColumnarValue::Scalar(answer) = answer.unwrap() else {
                panic!("a column");
            };
            assert_eq!(answer, ScalarValue::Int64(expected));
        }
        let answer = found(
            Arc::new(Int64Array::from(vec![1, 2])),
            Arc::new(Int64Array::from(vec![2, 2])),
        );
        let expected: ArrayRef = Arc::new(Int64Array::from(vec![Some(1), None]));
        assert_eq!(&answer, &expected);
    }
}
