//! Products of intervals and numbers, and intervals divided by numbers, which
//! DataFusion does not have.
//!
//! | written | becomes |
//! |---|---|
//! | `i * n`, `n * i` | `interval_product(i, n::double)` |
//! | `i / n` | `interval_quotient(i, n::double)` |
//!
//! As in PostgreSQL months, days and the time are multiplied each by itself. What is
//! behind the point of months becomes days, of which a month has 30, and what is behind
//! that of days a time; a time never becomes a day. Differences of moments are
//! intervals.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, IntervalMonthDayNanoArray};
use arrow::datatypes::{DataType, Float64Type, IntervalMonthDayNano, IntervalUnit};
use arrow::error::ArrowError;
use datafusion::common::utils::take_function_args;
use datafusion::common::{DFSchema, Result, ScalarValue, exec_err, plan_err};
use datafusion::logical_expr::expr::{Cast, ScalarFunction};
use datafusion::logical_expr::planner::{ExprPlanner, PlannerResult, RawBinaryExpr};
use datafusion::logical_expr::{
    ColumnarValue, Expr, ExprSchemable, Operator, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl,
    Signature, Volatility, cast,
};
use datafusion::sql::sqlparser::ast::BinaryOperator;

use crate::spans::{Span, spans};

const DAYS_A_MONTH: f64 = 30.0;
const SECONDS_A_DAY: f64 = 86_400.0;
const MICROSECONDS_A_SECOND: f64 = 1e6;
const NANOSECONDS_A_MICROSECOND: i64 = 1_000;

/// Plans the operators; it comes before DataFusion's planners.
#[derive(Debug)]
pub struct IntervalProducts;

impl ExprPlanner for IntervalProducts {
    fn plan_binary_op(
        &self,
        operation: RawBinaryExpr,
        schema: &DFSchema,
    ) -> Result<PlannerResult<RawBinaryExpr>> {
        use BinaryOperator::{Divide, Modulo, Multiply};
        if !matches!(operation.op, Multiply | Divide | Modulo) {
            return Ok(PlannerResult::Original(operation));
        }
        let sides = [&operation.left, &operation.right];
        let [Some(left), Some(right)] = sides.map(|side| Side::of(side, schema)) else {
            return Ok(PlannerResult::Original(operation));
        };
        if (left, right) == (Side::Number, Side::Number) {
            return Ok(PlannerResult::Original(operation));
        }
        let RawBinaryExpr {
            op,
            left: x,
            right: y,
        } = operation;
        match (left, &op, right) {
            (Side::Interval, Multiply, Side::Number) => Ok(planned(x, y, Operation::Product)),
            (Side::Number, Multiply, Side::Interval) => Ok(planned(y, x, Operation::Product)),
            (Side::Interval, Divide, Side::Number) => Ok(planned(x, y, Operation::Quotient)),
            _ => plan_err!(
                "there is no {x} {op} {y}: an interval is multiplied with a number or divided by one; for other answers take its seconds, extract(epoch FROM …)"
            ),
        }
    }
}

/// What an operator stands beside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Side {
    Interval,
    Number,
}

impl Side {
    /// `None` for what is neither.
    fn of(side: &Expr, schema: &DFSchema) -> Option<Self> {
        use Operator::{Divide, Modulo, Multiply};
        if let Expr::BinaryExpr(inner) = side
            && matches!(inner.op, Multiply | Divide | Modulo)
        {
            // Of intervals it would be a function; a long product is not looked
            // through for each of its factors.
            return Some(Self::Number);
        }
        // What has no type is an error where it is planned.
        match side.get_type(schema).ok()? {
            DataType::Interval(_) | DataType::Duration(_) => Some(Self::Interval),
            DataType::Null => Some(Self::Number),
            found => found.is_numeric().then_some(Self::Number),
        }
    }
}

fn planned(interval: Expr, number: Expr, operation: Operation) -> PlannerResult<RawBinaryExpr> {
    let function = Arc::new(ScalarUDF::from(IntervalProduct {
        operation,
        signature: Signature::any(2, Volatility::Immutable),
    }));
    let arguments = vec![interval, cast(number, DataType::Float64)];
    let call = ScalarFunction::new_udf(function, arguments);
    PlannerResult::Planned(Expr::ScalarFunction(call))
}

/// The interval of which a function takes a whole number, so that it has hours only
/// where the interval has some; `None` for the other functions.
pub(crate) fn multiplied<'a>(call: &'a ScalarFunction, schema: &DFSchema) -> Option<&'a Expr> {
    let function = call.func.inner().downcast_ref::<IntervalProduct>()?;
    let [interval, Expr::Cast(Cast { expr: number, .. })] = &call.args[..] else {
        return None;
    };
    let is_whole = number
        .get_type(schema)
        .is_ok_and(|found| found.is_integer());
    (function.operation == Operation::Product && is_whole).then_some(interval)
}

/// Whether a function is one of these.
pub(crate) fn is_interval_product(function: &ScalarUDF) -> bool {
    function.inner().is::<IntervalProduct>()
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Operation {
    Product,
    Quotient,
}

impl Operation {
    fn of(self, amount: f64, number: f64) -> f64 {
        match self {
            Self::Product => amount * number,
            Self::Quotient => amount / number,
        }
    }

    fn of_span(self, span: Span, number: f64) -> Result<IntervalMonthDayNano> {
        if self == Self::Quotient && number == 0.0 {
            return Err(ArrowError::DivideByZero.into());
        }
        match self.in_range(span, number) {
            Some(interval) => Ok(interval),
            None => exec_err!("interval out of range"),
        }
    }

    /// `None` where an interval has no room.
    fn in_range(self, span: Span, number: f64) -> Option<IntervalMonthDayNano> {
        let months = self.of(span.months as f64, number);
        let days = self.of(span.days as f64, number);
        let (whole_months, whole_days) = (whole(months)?, whole(days)?);
        let days_of_months = to_microsecond((months - f64::from(whole_months)) * DAYS_A_MONTH);
        let days_behind_point =
            days - f64::from(whole_days) + days_of_months - days_of_months.trunc();
        let seconds = to_microsecond(days_behind_point * SECONDS_A_DAY);
        let full_days = (seconds / SECONDS_A_DAY).trunc();
        let seconds = seconds - full_days * SECONDS_A_DAY;
        let days = f64::from(whole_days) + days_of_months.trunc() + full_days;
        let time = self.of(span.microseconds as f64, number) + seconds * MICROSECONDS_A_SECOND;
        // One that has no room there has none as nanoseconds.
        let microseconds = time.round_ties_even() as i64;
        let nanoseconds = microseconds.checked_mul(NANOSECONDS_A_MICROSECOND)?;
        Some(IntervalMonthDayNano::new(
            whole_months,
            whole(days)?,
            nanoseconds,
        ))
    }
}

/// What stands before the point; `None` for what is no such number.
fn whole(number: f64) -> Option<i32> {
    let has_room = (f64::from(i32::MIN)..=f64::from(i32::MAX)).contains(&number);
    has_room.then_some(number as i32)
}

/// So that whole numbers are whole though floats are not exact.
fn to_microsecond(seconds: f64) -> f64 {
    (seconds * MICROSECONDS_A_SECOND).round_ties_even() / MICROSECONDS_A_SECOND
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct IntervalProduct {
    operation: Operation,
    signature: Signature,
}

impl IntervalProduct {
    fn of_columns(&self, intervals: &ArrayRef, numbers: &ArrayRef) -> Result<ArrayRef> {
        let numbers = numbers.as_primitive::<Float64Type>().iter();
        let pairs = spans(intervals)?.into_iter().zip(numbers);
        let products = pairs.map(|(span, number)| match (span, number) {
            (Some(span), Some(number)) => self.operation.of_span(span, number).map(Some),
            _ => Ok(None),
        });
        let products = products.collect::<Result<IntervalMonthDayNanoArray>>()?;
        Ok(Arc::new(products))
    }
}

impl ScalarUDFImpl for IntervalProduct {
    fn name(&self) -> &str {
        match self.operation {
            Operation::Product => "interval_product",
            Operation::Quotient => "interval_quotient",
        }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arguments: &[DataType]) -> Result<DataType> {
        Ok(DataType::Interval(IntervalUnit::MonthDayNano))
    }

    fn is_strict(&self) -> bool {
        true
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [interval, number] = take_function_args(self.name(), &arguments.args)?;
        let is_constant = matches!(
            (interval, number),
            (ColumnarValue::Scalar(_), ColumnarValue::Scalar(_))
        );
        let rows = match is_constant {
            true => 1,
            false => arguments.number_rows,
        };
        let products = self.of_columns(&interval.to_array(rows)?, &number.to_array(rows)?)?;
        Ok(match is_constant {
            true => ColumnarValue::Scalar(ScalarValue::try_from_array(&products, 0)?),
            false => ColumnarValue::Array(products),
        })
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::{DurationMicrosecondArray, Float64Array};
    use arrow::datatypes::{Field, Schema, TimeUnit};
    use datafusion::common::ToDFSchema;
    use datafusion::logical_expr::{col, lit};

    use super::*;

    const HOUR: i64 = 3_600_000_000_000;

    fn function(operation: Operation) -> IntervalProduct {
        IntervalProduct {
            operation,
            signature: Signature::any(2, Volatility::Immutable),
        }
    }

    #[test]
    fn parts_are_multiplied_each_by_itself() {
        use Operation::{Product, Quotient};
        for (interval, operation, number, expected) in [
            ((0, 0, HOUR), Product, 3.5, (0, 0, 7 * HOUR / 2)),
            ((0, 1, 0), Product, 1.5, (0, 1, 12 * HOUR)),
            ((0, -1, 0), Product, 0.5, (0, 0, -12 * HOUR)),
            ((0, 1, 23 * HOUR), Product, 2.0, (0, 2, 46 * HOUR)),
            ((1, 0, 0), Product, 0.5, (0, 15, 0)),
            ((1, 0, 0), Product, 1.1, (1, 3, 0)),
            ((1, 1, 0), Product, 0.5, (0, 15, 12 * HOUR)),
            // 29.7 days of the month, and 0.99 days.
            ((1, 1, 0), Product, 0.99, (0, 30, 59_616 * HOUR / 3_600)),
            ((14, 3, 0), Quotient, 2.0, (7, 1, 12 * HOUR)),
            ((1, 0, 0), Quotient, 3.0, (0, 10, 0)),
            ((0, 0, HOUR), Quotient, 1.5, (0, 0, 2 * HOUR / 3)),
        ] {
            let of = |(months, days, ns)| IntervalMonthDayNano::new(months, days, ns);
            let intervals = IntervalMonthDayNanoArray::from(vec![Some(of(interval)), None]);
            let numbers: ArrayRef = Arc::new(Float64Array::from(vec![number, number]));
            let intervals: ArrayRef = Arc::new(intervals);
            let found = function(operation).of_columns(&intervals, &numbers);
            let wanted = IntervalMonthDayNanoArray::from(vec![Some(of(expected)), None]);
            let wanted: ArrayRef = Arc::new(wanted);
            assert_eq!(
                &found.unwrap(),
                &wanted,
                "{interval:?} {operation:?} {number}"
            );
        }
    }

    #[test]
    fn a_difference_of_moments_is_an_interval() {
        // A day and an hour.
        let differences = DurationMicrosecondArray::from(vec![25 * HOUR / 1_000]);
        let differences: ArrayRef = Arc::new(differences);
        let numbers: ArrayRef = Arc::new(Float64Array::from(vec![2.0]));
        let found = function(Operation::Product).of_columns(&differences, &numbers);
        let expected = vec![IntervalMonthDayNano::new(0, 2, 2 * HOUR)];
        let expected: ArrayRef = Arc::new(IntervalMonthDayNanoArray::from(expected));
        assert_eq!(&found.unwrap(), &expected);
    }

    #[test]
    fn what_has_no_room_is_an_error() {
        let long = IntervalMonthDayNano::new(0, i32::MAX, 0);
        let intervals: ArrayRef = Arc::new(IntervalMonthDayNanoArray::from(vec![long]));
        for (operation, number, problem) in [
            (Operation::Product, 2.0, "out of range"),
            (Operation::Product, f64::NAN, "out of range"),
            (Operation::Product, f64::INFINITY, "out of range"),
            (Operation::Quotient, 0.0, "Divide by zero"),
        ] {
            let numbers: ArrayRef = Arc::new(Float64Array::from(vec![number]));
            let error = function(operation).of_columns(&intervals, &numbers);
            let error = error.unwrap_err().to_string();
            assert!(error.contains(problem), "{error}");
        }
    }

    #[test]
    fn operators_are_planned_as_functions() {
        use BinaryOperator::{Divide, Minus, Modulo, Multiply};
        let interval = DataType::Interval(IntervalUnit::MonthDayNano);
        let fields = vec![
            Field::new("i", interval, true),
            Field::new("d", DataType::Duration(TimeUnit::Microsecond), true),
            Field::new("n", DataType::Int64, true),
            Field::new("s", DataType::Utf8, true),
        ];
        let schema = Schema::new(fields).to_dfschema().unwrap();
        let number = cast(col("n"), DataType::Float64);
        for (left, op, right, expected) in [
            ("i", Multiply, "n", Ok(Some("interval_product"))),
            ("n", Multiply, "i", Ok(Some("interval_product"))),
            ("i", Divide, "n", Ok(Some("interval_quotient"))),
            ("n", Multiply, "n", Ok(None)),
            ("i", Minus, "i", Ok(None)),
            ("s", Multiply, "i", Ok(None)),
            ("n", Divide, "i", Err("there is no n / i")),
            ("i", Multiply, "d", Err("there is no i * d")),
            ("i", Modulo, "n", Err("there is no i % n")),
        ] {
            let operation = RawBinaryExpr {
                op,
                left: col(left),
                right: col(right),
            };
            match (
                IntervalProducts.plan_binary_op(operation, &schema),
                expected,
            ) {
                (Ok(PlannerResult::Planned(Expr::ScalarFunction(call))), Ok(Some(name))) => {
                    assert_eq!(call.name(), name);
                    assert_eq!(call.args, [col("i"), number.clone()]);
                    assert_eq!(
                        multiplied(&call, &schema).is_some(),
                        name == "interval_product"
                    );
                }
                (Ok(PlannerResult::Original(_)), Ok(None)) => {}
                (Err(error), Err(words)) => assert!(error.to_string().contains(words), "{error}"),
                (found, _) => panic!("{left} and {right}: {found:?}"),
            }
        }
        let half = planned(col("i"), lit(0.5), Operation::Product);
        let PlannerResult::Planned(Expr::ScalarFunction(half)) = half else {
            panic!("no function");
        };
        assert!(is_interval_product(&half.func));
        assert_eq!(multiplied(&half, &schema), None);
    }
}
