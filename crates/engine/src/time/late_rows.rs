//! The last guard of closed windows: rows older than the table's watermark at
//! the end of the epoch before. Route makes them dead letters, so what comes
//! here belongs to a table that was idle while others went on.

use arrow::array::{Array, BooleanArray};
use sluice_core::Delta;

use super::values::{first_kept, ticks};
use crate::EngineError;
use crate::evaluation_errors::EvaluationErrors;
use crate::map::keep;

const TOO_LATE: &str =
    "the row came when windows of its time were closed already: its source had been marked idle";

/// The rows of `delta` that are not older than `watermark`; the others go to
/// `errors`.
pub(crate) fn divert(
    delta: Delta,
    event_time: usize,
    watermark: i64,
    table: &str,
    errors: &mut EvaluationErrors,
) -> Result<Delta, EngineError> {
    if delta.is_empty() {
        return Ok(delta);
    }
    let column = delta.rows().column(event_time);
    let Some(first_kept) = first_kept(column.data_type(), watermark) else {
        return Ok(delta);
    };
    let times = ticks(column)?;
    let is_late = |row: usize| times.is_valid(row) && times.value(row) < first_kept;
    if !(0..delta.len()).any(is_late) {
        return Ok(delta);
    }
    for row in (0..delta.len()).filter(|&row| is_late(row)) {
        let weight = delta.weights()[row];
        errors.push_row(table, TOO_LATE.to_owned(), delta.rows(), row, weight);
    }
    let kept: BooleanArray = (0..delta.len()).map(|row| Some(!is_late(row))).collect();
    keep(&delta, &kept)
}
