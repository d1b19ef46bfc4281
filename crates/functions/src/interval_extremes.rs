//! `greatest(i, j)` and `least(i, j)` of intervals: the first one of the greatest, or
//! least, length. NULLs are left out, as in PostgreSQL.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Decimal128Array};
use arrow::compute::interleave;
use arrow::datatypes::DataType;
use datafusion::common::{Result, ScalarValue, internal_err};
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::{
    ColumnarValue, Expr, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

use crate::interval_length::lengths;

/// Which interval is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Extreme {
    Greatest,
    Least,
}

impl Extreme {
    /// By the name of the function that takes it.
    pub(crate) fn of(name: &str) -> Option<Self> {
        [Self::Greatest, Self::Least]
            .into_iter()
            .find(|extreme| extreme.name() == name)
    }

    fn name(self) -> &'static str {
        match self {
            Self::Greatest => "greatest",
            Self::Least => "least",
        }
    }

    /// The one of these intervals.
    pub(crate) fn of_intervals(self, intervals: Vec<Expr>) -> Expr {
        let signature = Signature::variadic_any(Volatility::Immutable);
        let function = Arc::new(ScalarUDF::from(IntervalExtreme {
            extreme: self,
            signature,
        }));
        Expr::ScalarFunction(ScalarFunction::new_udf(function, intervals))
    }

    fn is_further(self, length: i128, found: i128) -> bool {
        match self {
            Self::Greatest => length > found,
            Self::Least => length < found,
        }
    }
}

/// Whether a function is one of these.
pub(crate) fn is_interval_extreme(function: &ScalarUDF) -> bool {
    function.inner().is::<IntervalExtreme>()
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct IntervalExtreme {
    extreme: Extreme,
    signature: Signature,
}

impl ScalarUDFImpl for IntervalExtreme {
    /// As the one that it stands for.
    fn name(&self) -> &str {
        self.extreme.name()
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        let mut intervals = types.iter();
        match intervals.find(|found| !found.is_null()) {
            Some(found) => Ok(found.clone()),
            None => internal_err!("`{}` has no interval", self.name()),
        }
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let mut values = arguments.args.iter();
        let is_constant = values.all(|value| matches!(value, ColumnarValue::Scalar(_)));
        let rows = match is_constant {
            true => 1,
            false => arguments.number_rows,
        };
        let wanted = arguments.return_field.data_type();
        let intervals = arguments.args.iter().map(|value| {
            let intervals = value.cast_to(wanted, None)?;
            intervals.into_array(rows)
        });
        let intervals = intervals.collect::<Result<Vec<ArrayRef>>>()?;
        let taken = self.taken(&intervals, rows)?;
        Ok(match is_constant {
            true => ColumnarValue::Scalar(ScalarValue::try_from_array(&taken, 0)?),
            false => ColumnarValue::Array(taken),
        })
    }
}

impl IntervalExtreme {
    fn taken(&self, intervals: &[ArrayRef], rows: usize) -> Result<ArrayRef> {
        let lengths = intervals.iter().map(lengths);
        let measured = lengths.collect::<Result<Vec<ArrayRef>>>()?;
        let lengths = measured.iter().map(|lengths| lengths.as_primitive());
        let lengths: Vec<&Decimal128Array> = lengths.collect();
        let taken_in = |row: usize| {
            let mut taken: Option<(usize, i128)> = None;
            for (place, lengths) in lengths.iter().enumerate() {
                if lengths.is_null(row) {
                    continue;
                }
                let length = lengths.value(row);
                if taken.is_none_or(|(_, found)| self.extreme.is_further(length, found)) {
                    taken = Some((place, length));
                }
            }
            // Where all are NULL the first one is.
            (taken.map_or(0, |(place, _)| place), row)
        };
        let places: Vec<(usize, usize)> = (0..rows).map(taken_in).collect();
        let intervals: Vec<&dyn Array> = intervals.iter().map(AsRef::as_ref).collect();
        Ok(interleave(&intervals, &places)?)
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::IntervalMonthDayNanoArray;
    use arrow::datatypes::{Field, IntervalMonthDayNano, IntervalUnit};
    use datafusion::logical_expr::col;

    use super::*;

    fn days(days: i32) -> IntervalMonthDayNano {
        IntervalMonthDayNano::new(0, days, 0)
    }

    fn found(extreme: Extreme, args: Vec<ColumnarValue>, rows: usize) -> ColumnarValue {
        let Expr::ScalarFunction(call) = extreme.of_intervals(vec![col("i"); args.len()]) else {
            panic!("no function");
        };
        assert!(is_interval_extreme(&call.func));
        let interval = DataType::Interval(IntervalUnit::MonthDayNano);
        let field = Arc::new(Field::new("a", interval, true));
        let answer = call.func.invoke_with_args(ScalarFunctionArgs {
            arg_fields: vec![field.clone(); args.len()],
            args,
            number_rows: rows,
            return_field: field,
            config_options: Arc::default(),
        });
        answer.unwrap()
    }

    #[test]
    fn the_first_of_the_length_is_taken_and_nulls_are_left_out() {
        let month = IntervalMonthDayNano::new(1, 0, 0);
        let columns = || {
            let columns = [
                [Some(month), Some(days(1)), None, None],
                [Some(days(30)), None, Some(days(2)), None],
                [Some(days(29)), Some(days(-1)), Some(days(3)), None],
            ];
            let column = |values: [Option<IntervalMonthDayNano>; 4]| {
                let values = IntervalMonthDayNanoArray::from(values.to_vec());
                ColumnarValue::Array(Arc::new(values))
            };
            columns.map(column).to_vec()
        };
        for (extreme, expected) in [
            (
                Extreme::Greatest,
                [Some(month), Some(days(1)), Some(days(3)), None],
            ),
            (
                Extreme::Least,
                [Some(days(29)), Some(days(-1)), Some(days(2)), None],
            ),
        ] {
            let answer = found(extreme, columns(), 4).into_array(4).unwrap();
            let expected: ArrayRef = Arc::new(IntervalMonthDayNanoArray::from(expected.to_vec()));
            assert_eq!(&answer, &expected);
        }
    }

    #[test]
    fn constants_have_a_constant() {
        let constant = |value| ColumnarValue::Scalar(ScalarValue::IntervalMonthDayNano(value));
        let args = vec![
            constant(Some(days(1))),
            ColumnarValue::Scalar(ScalarValue::Null),
            constant(Some(days(2))),
        ];
        let ColumnarValue::Scalar(answer) = found(Extreme::Greatest, args, 8) else {
            panic!("a column");
        };
        assert_eq!(answer, ScalarValue::IntervalMonthDayNano(Some(days(2))));
    }
}
