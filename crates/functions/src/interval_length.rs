//! `interval_length(interval)`: its nanoseconds, where a month has 30 days and a day
//! 24 hours. PostgreSQL compares intervals by them.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray};
use arrow::datatypes::{
    ArrowPrimitiveType, DataType, Decimal128Type, DurationMicrosecondType, DurationMillisecondType,
    DurationNanosecondType, DurationSecondType, IntervalDayTimeType, IntervalMonthDayNanoType,
    IntervalUnit, IntervalYearMonthType, TimeUnit,
};
use datafusion::common::{Result, internal_err};
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility,
};

use crate::by_array::by_array;

/// Its name.
pub(crate) const INTERVAL_LENGTH: &str = "interval_length";

const NANOSECONDS_OF_DAY: i128 = 86_400_000_000_000;
const DAYS_OF_MONTH: i128 = 30;

/// The longest interval has 25 digits of nanoseconds.
pub(crate) const LENGTH: DataType = DataType::Decimal128(38, 0);

/// See the module. Differences of moments have a length too.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) struct IntervalLength {
    signature: Signature,
}

impl IntervalLength {
    pub(crate) fn new() -> Self {
        Self {
            signature: Signature::any(1, Volatility::Immutable),
        }
    }
}

impl ScalarUDFImpl for IntervalLength {
    fn name(&self) -> &str {
        INTERVAL_LENGTH
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arguments: &[DataType]) -> Result<DataType> {
        Ok(LENGTH)
    }

    fn is_strict(&self) -> bool {
        true
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        match arguments.args.first() {
            Some(intervals) => by_array(intervals, &lengths),
            None => internal_err!("`{INTERVAL_LENGTH}` has no argument"),
        }
    }
}

/// The lengths of intervals, or of differences of moments.
///
/// # Errors
/// When they are neither.
pub(crate) fn lengths(intervals: &ArrayRef) -> Result<ArrayRef> {
    Ok(match intervals.data_type() {
        DataType::Interval(IntervalUnit::MonthDayNano) => {
            lengths_of::<IntervalMonthDayNanoType>(intervals, |interval| {
                let nanoseconds = i128::from(interval.nanoseconds);
                length(interval.months, interval.days, nanoseconds)
            })
        }
        DataType::Interval(IntervalUnit::DayTime) => {
            lengths_of::<IntervalDayTimeType>(intervals, |interval| {
                let milliseconds = i128::from(interval.milliseconds);
                length(0, interval.days, milliseconds * 1_000_000)
            })
        }
        DataType::Interval(IntervalUnit::YearMonth) => {
            lengths_of::<IntervalYearMonthType>(intervals, |months| length(months, 0, 0))
        }
        DataType::Duration(TimeUnit::Second) => {
            lengths_of::<DurationSecondType>(intervals, |seconds| {
                i128::from(seconds) * 1_000_000_000
            })
        }
        DataType::Duration(TimeUnit::Millisecond) => {
            lengths_of::<DurationMillisecondType>(intervals, |milliseconds| {
                i128::from(milliseconds) * 1_000_000
            })
        }
        DataType::Duration(TimeUnit::Microsecond) => {
            lengths_of::<DurationMicrosecondType>(intervals, |microseconds| {
                i128::from(microseconds) * 1_000
            })
        }
        DataType::Duration(TimeUnit::Nanosecond) => {
            lengths_of::<DurationNanosecondType>(intervals, i128::from)
        }
        other => return internal_err!("`{INTERVAL_LENGTH}` of {other}"),
    })
}

fn length(months: i32, days: i32, nanoseconds: i128) -> i128 {
    let days = i128::from(months) * DAYS_OF_MONTH + i128::from(days);
    days * NANOSECONDS_OF_DAY + nanoseconds
}

fn lengths_of<T: ArrowPrimitiveType>(
    intervals: &ArrayRef,
    length: impl Fn(T::Native) -> i128,
) -> ArrayRef {
    let intervals = intervals.as_primitive::<T>();
    let lengths = intervals.unary::<_, Decimal128Type>(length);
    Arc::new(lengths.with_data_type(LENGTH))
}

#[cfg(test)]
mod tests {
    use arrow::array::{Array, DurationMicrosecondArray, IntervalMonthDayNanoArray};
    use arrow::datatypes::IntervalMonthDayNano;

    use super::*;

    fn lengths_in_hours(intervals: ArrayRef) -> Vec<Option<i128>> {
        let found = lengths(&intervals).unwrap();
        assert_eq!(found.data_type(), &LENGTH);
        let found = found.as_primitive::<Decimal128Type>().iter();
        let hours = found.map(|length| length.map(|length| length / 3_600_000_000_000));
        hours.collect()
    }

    #[test]
    fn a_month_has_30_days_and_a_day_24_hours() {
        let hours = |hours: i64| hours * 3_600_000_000_000;
        let intervals = IntervalMonthDayNanoArray::from(vec![
            Some(IntervalMonthDayNano::new(1, 0, 0)),
            Some(IntervalMonthDayNano::new(0, 40, hours(1))),
            Some(IntervalMonthDayNano::new(1, -1, hours(-24))),
            None,
            Some(IntervalMonthDayNano::new(i32::MAX, i32::MAX, 0)),
        ]);
        let longest = i128::from(i32::MAX) * 31 * 24;
        assert_eq!(
            lengths_in_hours(Arc::new(intervals)),
            [Some(720), Some(961), Some(672), None, Some(longest)]
        );
    }

    #[test]
    fn a_difference_of_moments_has_a_length() {
        let hour = 3_600_000_000;
        let years = 9_000 * 365 * 24;
        let differences = DurationMicrosecondArray::from(vec![Some(-hour), Some(years * hour)]);
        assert_eq!(
            lengths_in_hours(Arc::new(differences)),
            [Some(-1), Some(i128::from(years))]
        );
    }
}
