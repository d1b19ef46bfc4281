//! Which of several forms of SQL that mean the same is written. It follows from
//! the query alone, so that a query always has the same text.

use crate::query::{Expr, JoinKind};

/// Whether a join is written with USING: about half of those that can be. RIGHT
/// and FULL JOIN cannot, nor those of columns of different names.
pub(crate) fn uses_using(
    kind: JoinKind,
    keys: &[(usize, usize)],
    condition: Option<&Expr>,
) -> bool {
    let key_sum: usize = keys.iter().map(|(left, _)| left).sum();
    matches!(kind, JoinKind::Inner | JoinKind::Left)
        && condition.is_none()
        && !keys.is_empty()
        && keys.iter().all(|(left, right)| left == right)
        && key_sum.is_multiple_of(2)
}

/// What stands behind GROUP BY: ROLLUP or CUBE where these are the sets, else
/// GROUPING SETS.
pub(crate) fn grouping_text(sets: &[Vec<usize>], keys: &[String]) -> String {
    let all = keys.join(", ");
    if sets == rollup_sets(keys.len()) {
        return format!("ROLLUP ({all})");
    }
    if sets == cube_sets(keys.len()) {
        return format!("CUBE ({all})");
    }
    let set = |set: &Vec<usize>| {
        let names: Vec<&str> = set.iter().map(|&key| keys[key].as_str()).collect();
        format!("({})", names.join(", "))
    };
    let sets: Vec<String> = sets.iter().map(set).collect();
    format!("GROUPING SETS ({})", sets.join(", "))
}

/// The sets of ROLLUP over so many keys: none, the first, the first two, ….
pub(crate) fn rollup_sets(key_count: usize) -> Vec<Vec<usize>> {
    (0..=key_count).map(|count| (0..count).collect()).collect()
}

/// The sets of CUBE over so many keys: every choice of them.
pub(crate) fn cube_sets(key_count: usize) -> Vec<Vec<usize>> {
    let chosen = |choice: usize| (0..key_count).filter(move |key| (choice >> key) & 1 == 1);
    (0..(1 << key_count))
        .map(|choice| chosen(choice).collect())
        .collect()
}
