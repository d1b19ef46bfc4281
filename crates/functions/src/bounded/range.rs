//! How many values a range has, of numbers or of moments.

use arrow::array::{Array, AsArray};
use arrow::compute::cast;
use arrow::datatypes::{
    DataType, Date32Type, Date64Type, Int64Type, IntervalMonthDayNano, IntervalMonthDayNanoType,
    TimeUnit,
};
use datafusion::common::{Result, exec_err};
use datafusion::logical_expr::ColumnarValue;
use datafusion::scalar::ScalarValue;

use super::arguments::integer;

/// At most as many values as a range has.
pub(super) fn range_length(arguments: &[ColumnarValue], row: usize) -> Result<u64> {
    let [first, rest @ ..] = arguments else {
        return Ok(0);
    };
    let step = rest.get(1);
    if let Some(step) = step.and_then(|step| interval(step, row)) {
        let (Some(start), Some(stop)) = (
            moment(first, row),
            rest.first().and_then(|stop| moment(stop, row)),
        ) else {
            return Ok(0);
        };
        return intervals_between(start, stop, step);
    }
    let Some(number) = integer(first, row) else {
        return Ok(0);
    };
    let (start, stop) = match rest.first() {
        None => (0, number),
        Some(stop) => match integer(stop, row) {
            Some(stop) => (number, stop),
            None => return Ok(0),
        },
    };
    let step = match step {
        None => 1,
        Some(step) => integer(step, row).unwrap_or(0),
    };
    // A step of 0 is refused by the function itself.
    let is_towards = (step > 0 && start <= stop) || (step < 0 && start >= stop);
    if !is_towards {
        return Ok(0);
    }
    Ok((start.abs_diff(stop) / step.unsigned_abs()).saturating_add(1))
}

fn interval(value: &ColumnarValue, row: usize) -> Option<IntervalMonthDayNano> {
    match value {
        ColumnarValue::Scalar(ScalarValue::IntervalMonthDayNano(step)) => *step,
        ColumnarValue::Array(array) => {
            let steps = array.as_primitive_opt::<IntervalMonthDayNanoType>()?;
            steps.is_valid(row).then(|| steps.value(row))
        }
        ColumnarValue::Scalar(_) => None,
    }
}

/// A date or timestamp in nanoseconds.
fn moment(value: &ColumnarValue, row: usize) -> Option<i128> {
    let array = match value {
        ColumnarValue::Scalar(value) => value.to_array().ok()?,
        ColumnarValue::Array(array) => array.slice(row, 1),
    };
    if array.is_null(0) {
        return None;
    }
    if let Some(days) = array.as_primitive_opt::<Date32Type>() {
        return Some(i128::from(days.value(0)) * DAY_NS);
    }
    if let Some(milliseconds) = array.as_primitive_opt::<Date64Type>() {
        return Some(i128::from(milliseconds.value(0)) * 1_000_000);
    }
    let DataType::Timestamp(unit, _) = array.data_type() else {
        return None;
    };
    let scale = match unit {
        TimeUnit::Second => 1_000_000_000,
        TimeUnit::Millisecond => 1_000_000,
        TimeUnit::Microsecond => 1_000,
        TimeUnit::Nanosecond => 1,
    };
    let plain = DataType::Timestamp(*unit, None);
    let ticks = cast(&array, &plain).ok()?;
    let ticks = cast(&ticks, &DataType::Int64).ok()?;
    let ticks = ticks.as_primitive_opt::<Int64Type>()?;
    Some(i128::from(ticks.value(0)) * scale)
}

const DAY_NS: i128 = 86_400 * 1_000_000_000;

/// No month has fewer days.
const MONTH_DAYS_MIN: i128 = 28;

/// The day on which clocks go forward has fewer hours than the others.
const DAY_HOURS_MIN: i128 = 22;

/// How often a step fits between two moments. Parts of a step that go against each
/// other are refused: a month less 31 days gets nowhere in February.
fn intervals_between(start: i128, stop: i128, step: IntervalMonthDayNano) -> Result<u64> {
    let (months, days) = (i128::from(step.months), i128::from(step.days));
    let parts = [months, days, i128::from(step.nanoseconds)];
    if parts.iter().any(|part| *part > 0) && parts.iter().any(|part| *part < 0) {
        return exec_err!("the step of a range goes forward and back: give its parts one sign");
    }
    let days = months * MONTH_DAYS_MIN + days;
    let length = days * (DAY_NS / 24 * DAY_HOURS_MIN) + i128::from(step.nanoseconds);
    let distance = stop - start;
    if length == 0 || (distance != 0 && (length > 0) != (distance > 0)) {
        return Ok(0);
    }
    let count = distance.unsigned_abs() / length.unsigned_abs();
    Ok(u64::try_from(count).unwrap_or(u64::MAX).saturating_add(1))
}
