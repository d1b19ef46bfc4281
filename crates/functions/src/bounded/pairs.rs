//! Pairs: for a short result, all characters of a text are compared with all of
//! another, or the values of two lists.

use datafusion::logical_expr::ColumnarValue;

use super::arguments::list_length;

/// So many pairs of characters may be compared for a row, which is two texts of 362:
/// 8192 rows are then some seconds of work.
pub(super) const CHARACTER_PAIRS_MAX: u64 = 1 << 17;

/// So many pairs of values may be compared for a row, which is two lists of 1024.
pub(super) const VALUE_PAIRS_MAX: u64 = 1 << 20;

/// How many characters of one text are compared with each of another.
pub(super) fn pairs_of_characters(first: &str, second: &str) -> u64 {
    let pairs = |first: usize, second: usize| (first as u64).saturating_mul(second as u64);
    match pairs(first.len(), second.len()) {
        // Characters are no more than bytes, and need not be counted.
        few if few <= CHARACTER_PAIRS_MAX => few,
        _ => pairs(first.chars().count(), second.chars().count()),
    }
}

/// How many values of one list are compared with each of another.
pub(super) fn pairs_of_values(
    first: Option<&ColumnarValue>,
    second: Option<&ColumnarValue>,
    row: usize,
) -> u64 {
    let length =
        |list: Option<&ColumnarValue>| list.map_or(0, |list| list_length(list, row) as u64);
    length(first).saturating_mul(length(second))
}
