//! Aggregates and grouping sets.

use crate::case::{A, check};

#[test]
fn a_condition_on_an_aggregate_of_everything_stays_above_it() {
    check(
        "SELECT a.y, c.n FROM a LEFT JOIN (SELECT count(*) AS n FROM b) AS c ON a.y > CAST(NULL AS BIGINT)",
        A,
        &[],
        &["10 null", "20 null", "30 null"],
    );
    check(
        "SELECT n, three FROM (SELECT n, 3 AS three FROM (SELECT count(*) AS n FROM a)) WHERE three > 5",
        A,
        &[],
        &[],
    );
    check(
        "SELECT x, n FROM (SELECT x, count(*) AS n FROM a GROUP BY ROLLUP (x)) WHERE x > 1",
        A,
        &[],
        &["2 1"],
    );
}

#[test]
fn aggregates_and_grouping_sets() {
    let rows = &[
        (Some(1), Some(3)),
        (Some(1), Some(5)),
        (Some(1), None),
        (None, Some(7)),
    ];
    check(
        "SELECT x, bool_and(y > 3) AS a, bool_or(y > 4) AS o, array_agg(y ORDER BY y DESC NULLS LAST) AS l, string_agg(CAST(y AS VARCHAR), '+' ORDER BY y) AS s, first_value(y ORDER BY y NULLS FIRST) AS f, last_value(y ORDER BY y NULLS FIRST) AS z, median(y) AS m FROM a GROUP BY x",
        rows,
        &[],
        &[
            "1 false true [5, 3, null] 3+5 null 5 4.0",
            "null true true [7] 7 7 7 7.0",
        ],
    );
    check(
        "SELECT x, grouping(x) AS g, count(*) AS n FROM a GROUP BY ROLLUP (x)",
        rows,
        &[],
        &["1 0 3", "null 0 1", "null 1 4"],
    );
    check(
        "SELECT x, count(*) AS n FROM a GROUP BY GROUPING SETS ((x), ())",
        &[],
        &[],
        &["null 0"],
    );
    check(
        "SELECT unnest(l) AS e FROM (SELECT x, array_agg(y ORDER BY y) AS l FROM a GROUP BY x)",
        rows,
        &[],
        &["3", "5", "7", "null"],
    );
}
