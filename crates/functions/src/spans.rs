//! Intervals as PostgreSQL keeps them: months, days, and a time.

use arrow::array::{Array, ArrayRef, ArrowPrimitiveType, AsArray};
use arrow::datatypes::{
    DataType, DurationMicrosecondType, DurationMillisecondType, DurationNanosecondType,
    DurationSecondType, IntervalDayTimeType, IntervalMonthDayNanoType, IntervalUnit,
    IntervalYearMonthType, TimeUnit,
};
use datafusion::common::exec_err;
use datafusion::error::Result;

const SECOND_US: i64 = 1_000_000;
pub(crate) const MINUTE_US: i64 = 60 * SECOND_US;
pub(crate) const HOUR_US: i64 = 60 * MINUTE_US;
const DAY_S: i64 = 86_400;
/// A year of 365.25 days.
const YEAR_S: i64 = 31_557_600;
const MONTH_S: i64 = 30 * DAY_S;

/// An interval as PostgreSQL keeps it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Span {
    pub(crate) months: i64,
    pub(crate) days: i64,
    pub(crate) microseconds: i64,
}

impl Span {
    /// A difference, of which so many are a second.
    fn of_difference(difference: i64, per_second: i64) -> Self {
        let per_day = DAY_S * per_second;
        let rest = difference % per_day;
        let microseconds = match per_second > SECOND_US {
            true => rest / (per_second / SECOND_US),
            false => rest * (SECOND_US / per_second),
        };
        Self {
            months: 0,
            days: difference / per_day,
            microseconds,
        }
    }

    /// Its seconds, where a year has 365.25 days, a month 30 and a day 24 hours.
    pub(crate) fn epoch(self) -> f64 {
        let seconds = self.months / 12 * YEAR_S + self.months % 12 * MONTH_S;
        let seconds = i128::from(seconds) + i128::from(self.days) * i128::from(DAY_S);
        let microseconds = seconds * i128::from(SECOND_US) + i128::from(self.microseconds);
        microseconds as f64 / 1e6
    }
}

/// Intervals, and differences of moments.
///
/// # Errors
/// When the values are others.
pub(crate) fn spans(values: &ArrayRef) -> Result<Vec<Option<Span>>> {
    Ok(match values.data_type() {
        DataType::Interval(IntervalUnit::MonthDayNano) => {
            spans_of::<IntervalMonthDayNanoType>(values, |interval| Span {
                months: i64::from(interval.months),
                days: i64::from(interval.days),
                microseconds: interval.nanoseconds / 1_000,
            })
        }
        DataType::Interval(IntervalUnit::DayTime) => {
            spans_of::<IntervalDayTimeType>(values, |interval| Span {
                months: 0,
                days: i64::from(interval.days),
                microseconds: i64::from(interval.milliseconds) * 1_000,
            })
        }
        DataType::Interval(IntervalUnit::YearMonth) => {
            spans_of::<IntervalYearMonthType>(values, |months| Span {
                months: i64::from(months),
                days: 0,
                microseconds: 0,
            })
        }
        DataType::Duration(TimeUnit::Second) => {
            spans_of::<DurationSecondType>(values, |value| Span::of_difference(value, 1))
        }
        DataType::Duration(TimeUnit::Millisecond) => {
            spans_of::<DurationMillisecondType>(values, |value| Span::of_difference(value, 1_000))
        }
        DataType::Duration(TimeUnit::Microsecond) => {
            spans_of::<DurationMicrosecondType>(values, |value| {
                Span::of_difference(value, 1_000_000)
            })
        }
        DataType::Duration(TimeUnit::Nanosecond) => {
            spans_of::<DurationNanosecondType>(values, |value| {
                Span::of_difference(value, 1_000_000_000)
            })
        }
        other => return exec_err!("date_part has no interval in {other}"),
    })
}

fn spans_of<T: ArrowPrimitiveType>(
    values: &ArrayRef,
    span_of: impl Fn(T::Native) -> Span,
) -> Vec<Option<Span>> {
    let values = values.as_primitive::<T>().iter();
    values.map(|value| value.map(&span_of)).collect()
}
