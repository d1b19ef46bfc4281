//! Integers and sums that do not fit.

use crate::zoned_shop::{ask, check, start};

#[track_caller]
fn check_overflow(asked: &[&str]) {
    let server = start();
    for sql in asked {
        let problem = match ask(&server, sql) {
            Ok(found) => panic!("{sql}: {found:?}"),
            Err(problem) => problem.to_string(),
        };
        assert!(problem.contains("verflow"), "{sql}: {problem}");
    }
}

#[test]
fn integers_that_do_not_fit_are_errors() {
    check(&[
        ("SELECT sum(id) FROM orders", &["1600"]),
        (
            "SELECT sum(id), sum(id + 1) FROM orders GROUP BY buyer",
            &["1600,1602"],
        ),
        ("SELECT sum(id) FROM orders WHERE id < 0", &[""]),
        (
            "SELECT sum(DISTINCT id), sum(amount) FROM orders",
            &["1600,2.00"],
        ),
        (
            "SELECT sum(id) OVER (ORDER BY id ROWS 1 PRECEDING) FROM orders ORDER BY id",
            &["600", "1600"],
        ),
        (
            "SELECT id * 2 + 1 - 1 FROM orders WHERE id + 1 = 601",
            &["1200"],
        ),
        (
            "SELECT CAST(2 AS SMALLINT) * id FROM orders WHERE id = 600",
            &["1200"],
        ),
        (
            "SELECT row_number() OVER (ORDER BY id) - row_number() OVER (ORDER BY id DESC)
             FROM orders ORDER BY id",
            &["-1", "1"],
        ),
        // What does not fit on the way fits at the end.
        (
            "SELECT sum(x) FROM (VALUES (9223372036854775807), (1), (-1)) AS v(x)",
            &["9223372036854775807"],
        ),
    ]);
    check_overflow(&[
        "SELECT 9223372036854775807 + 1",
        "SELECT -9223372036854775807 - 2",
        "SELECT id * 9223372036854775807 FROM orders",
        "SELECT id FROM orders WHERE id + 9223372036854775807 > 0",
        "SELECT sum(x) FROM (VALUES (9223372036854775807), (1)) AS v(x)",
        "SELECT g, sum(x) FROM (VALUES (1, 9223372036854775807), (1, 1)) AS v(g, x) GROUP BY g",
        "SELECT sum(x) OVER (ORDER BY x) FROM (VALUES (9223372036854775807), (1)) AS v(x)",
    ]);
}

#[test]
fn negatives_and_sums_that_do_not_fit_are_errors() {
    check(&[
        ("SELECT -id FROM orders WHERE id = 600", &["-600"]),
        (
            "SELECT sum(DISTINCT id), sum(DISTINCT amount) FROM orders",
            &["1600,1.00"],
        ),
        (
            "SELECT sum(DISTINCT id) OVER (ORDER BY id ROWS 1 PRECEDING) FROM orders ORDER BY id",
            &["600", "1600"],
        ),
        (
            "SELECT sum(DISTINCT x), sum(DISTINCT y) FROM (VALUES (9223372036854775807, 1), (1, 1), (-1, 1), (-1, 2)) AS v(x, y)",
            &["9223372036854775807,3"],
        ),
        (
            "SELECT sum(x) FROM (VALUES (CAST(99999999999999999999999999999999999998 AS DECIMAL(38, 0))), (1), (NULL)) AS v(x)",
            &["99999999999999999999999999999999999999"],
        ),
    ]);
    let decimals = "(VALUES (CAST(99999999999999999999999999999999999999 AS DECIMAL(38, 0))), (CAST(99999999999999999999999999999999999998 AS DECIMAL(38, 0)))) AS v(x)";
    check_overflow(&[
        "SELECT -x FROM (VALUES (-9223372036854775808), (1)) AS v(x)",
        "SELECT -(x + 0) FROM (VALUES (-9223372036854775808), (1)) AS v(x)",
        "SELECT sum(DISTINCT x), sum(DISTINCT y) FROM (VALUES (9223372036854775807, 1), (1, 1)) AS v(x, y)",
        "SELECT sum(DISTINCT x) OVER () FROM (VALUES (9223372036854775807), (1)) AS v(x)",
        "SELECT sum(x) FILTER (WHERE x > 0) FROM (VALUES (9223372036854775807), (1)) AS v(x)",
        "SELECT sum(x) OVER () FROM (VALUES (9223372036854775807), (1)) AS v(x)",
        &format!("SELECT sum(x) FROM {decimals}"),
        &format!("SELECT sum(DISTINCT x) FROM {decimals}"),
        &format!("SELECT x > 0, sum(x) FROM {decimals} GROUP BY x > 0"),
        &format!("SELECT sum(x) OVER () FROM {decimals}"),
    ]);
}
