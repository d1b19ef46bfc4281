//! Lengths of time as written in SQL.

use datafusion::common::ScalarValue;
use datafusion::logical_expr::Expr;

const DAY_US: i64 = 86_400_000_000;

/// The length of an INTERVAL literal in microseconds. A day has 24 hours;
/// months have no fixed length, so they have none here.
pub(crate) fn interval_us(expression: &Expr) -> Option<i64> {
    let Expr::Literal(value, _) = expression else {
        return None;
    };
    match value {
        ScalarValue::IntervalMonthDayNano(Some(value))
            if value.months == 0 && value.nanoseconds % 1_000 == 0 =>
        {
            i64::from(value.days)
                .checked_mul(DAY_US)?
                .checked_add(value.nanoseconds / 1_000)
        }
        ScalarValue::IntervalDayTime(Some(value)) => i64::from(value.days)
            .checked_mul(DAY_US)?
            .checked_add(i64::from(value.milliseconds) * 1_000),
        _ => None,
    }
}
