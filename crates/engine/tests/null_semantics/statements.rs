//! How statements are read: which operators stand together, what a name in an order
//! means, and what is refused.

use sluice_core::ChangeKind;

use crate::case::{Case, changes, error_of};

#[test]
fn operators_are_grouped_as_in_postgresql() {
    let rows = [(Some(1), Some(10)), (Some(-2), Some(20)), (None, None)];
    for (select, expected) in [
        // Not `x IS DISTINCT FROM (1 AND …)`.
        (
            "SELECT y FROM a WHERE x IS DISTINCT FROM 1 AND k < 2",
            &["20"][..],
        ),
        (
            "SELECT k FROM a WHERE NOT (x > 0) IS NOT DISTINCT FROM true AND k > 0",
            &["1", "2"],
        ),
        (
            "SELECT k FROM a WHERE x IS NOT DISTINCT FROM -2 OR y = 10",
            &["0", "1"],
        ),
        // Not -4: a sign holds more than a power.
        (
            "SELECT CAST(-x ^ 2 AS BIGINT) AS p FROM a WHERE x = -2",
            &["4"],
        ),
        (
            "SELECT CAST(-2 ^ 2 AS BIGINT) AS p FROM a WHERE k = 0",
            &["4"],
        ),
        (
            "SELECT CAST(2 ^ -x ^ 2 AS BIGINT) AS p FROM a WHERE x = -2",
            &["16"],
        ),
        ("SELECT x | 4 & 6 AS b FROM a WHERE k = 0", &["4"]),
        ("SELECT x # 3 AS b FROM a WHERE k = 0", &["2"]),
        ("SELECT k FROM a WHERE x>-2", &["0"]),
        (
            "SELECT k FROM a WHERE (x > 0) = CAST(y AS VARCHAR) ~ '^1'",
            &["0", "1"],
        ),
    ] {
        let mut case = Case::new(select);
        case.step(vec![changes("a", 0, &rows, ChangeKind::Insert, 1)]);
        assert_eq!(case.found(), expected, "{select}");
    }
}

#[test]
fn a_name_in_an_expression_of_an_order_is_a_column_of_the_table() {
    let rows = [(Some(-3), Some(1)), (Some(2), Some(2)), (Some(1), Some(3))];
    for (select, expected) in [
        (
            "SELECT abs(x) AS x, k FROM a ORDER BY x LIMIT 1",
            &["1 2"][..],
        ),
        (
            "SELECT abs(x) AS x, k FROM a ORDER BY x + 0 LIMIT 1",
            &["3 0"],
        ),
        (
            "SELECT abs(x) AS x, k FROM a ORDER BY a.x LIMIT 1",
            &["3 0"],
        ),
        (
            "SELECT abs(x) AS x, k FROM a ORDER BY abs(x) DESC LIMIT 1",
            &["3 0"],
        ),
        (
            "SELECT s.x FROM (SELECT x * x AS x, k FROM a ORDER BY -x LIMIT 2) AS s",
            &["1", "4"],
        ),
        ("SELECT y AS z, k FROM a ORDER BY -z LIMIT 1", &["3 2"]),
    ] {
        let mut case = Case::new(select);
        case.step(vec![changes("a", 0, &rows, ChangeKind::Insert, 1)]);
        assert_eq!(case.found(), expected, "{select}");
    }
    let open = "CREATE MATERIALIZED VIEW v AS SELECT y AS x, k FROM a ORDER BY x + 0 LIMIT 1";
    let found = error_of(open).unwrap_or_default();
    assert!(found.contains("give the answer's another name"), "{found}");
}

#[test]
fn samples_are_refused() {
    for kind in ["MATERIALIZED VIEW", "VIEW"] {
        let sql = format!("CREATE {kind} v AS SELECT x FROM a TABLESAMPLE BERNOULLI (10)");
        let found = error_of(&sql).unwrap_or_default();
        assert!(found.contains("TABLESAMPLE"), "{sql}: {found}");
    }
}
