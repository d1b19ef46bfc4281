//! Joins, and set operations, which take NULL for equal to NULL.

use crate::case::{A, check};

#[test]
fn a_null_key_joins_nothing() {
    let b = &[(Some(1), Some(5)), (None, Some(6))];
    check(
        "SELECT a.y, b.y AS z FROM a JOIN b ON a.x = b.x",
        A,
        b,
        &["10 5"],
    );
    check(
        "SELECT a.y, b.y AS z FROM a FULL JOIN b ON a.x = b.x",
        A,
        b,
        &["10 5", "20 null", "30 null", "null 6"],
    );
    check(
        "SELECT a.y, b.y AS z FROM a FULL JOIN b ON a.x = b.x AND a.y > b.y * 3",
        A,
        b,
        &["10 null", "20 null", "30 null", "null 5", "null 6"],
    );
    check(
        "SELECT a.y, b.y AS z FROM a FULL JOIN b ON a.y = b.y * 5",
        A,
        b,
        &["10 null", "20 null", "30 6", "null 5"],
    );
    check(
        "SELECT a.y, b.y AS z FROM a JOIN b ON a.x IS NOT DISTINCT FROM b.x",
        A,
        b,
        &["10 5", "30 6"],
    );
    check(
        "SELECT coalesce(a.x, b.x) AS x, a.y, b.y AS z FROM a FULL JOIN b ON a.x = b.x",
        A,
        b,
        &["1 10 5", "2 20 null", "null 30 null", "null null 6"],
    );
}

#[test]
fn a_key_meets_every_row_with_it() {
    let twice = &[(Some(1), Some(5)), (Some(1), Some(6))];
    check(
        "SELECT y FROM a WHERE x IN (SELECT x FROM b)",
        A,
        twice,
        &["10"],
    );
    check(
        "SELECT a.y, b.y AS z FROM a LEFT JOIN b ON a.x = b.x",
        A,
        twice,
        &["10 5", "10 6", "20 null", "30 null"],
    );
    check(
        "SELECT a.y, l.m FROM a, LATERAL (SELECT max(b.y) AS m FROM b WHERE b.x = a.x) AS l",
        A,
        twice,
        &["10 6", "20 null", "30 null"],
    );
}

#[test]
fn set_operations_take_nulls_for_equal() {
    let b = &[(None, Some(1)), (Some(2), Some(2)), (Some(2), Some(3))];
    check(
        "SELECT x FROM a INTERSECT SELECT x FROM b",
        A,
        b,
        &["2", "null"],
    );
    check("SELECT x FROM a EXCEPT SELECT x FROM b", A, b, &["1"]);
    check(
        "SELECT x FROM b UNION SELECT x FROM a",
        A,
        b,
        &["1", "2", "null"],
    );
    check("SELECT x FROM b EXCEPT SELECT x FROM a", A, b, &[]);
}
