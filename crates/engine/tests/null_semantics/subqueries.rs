//! IN, EXISTS and scalar subqueries.

use crate::case::{A, NULL, check, error_of};

#[test]
fn not_in_is_unknown_beside_a_null() {
    let select = "SELECT y FROM a WHERE x NOT IN (SELECT x FROM b)";
    check(select, A, &[], &["10", "20", "30"]);
    check(select, A, &[(Some(1), None)], &["20"]);
    check(select, A, &[(Some(1), None), NULL], &[]);
    check(select, A, &[NULL], &[]);
}

#[test]
fn not_in_looks_at_its_own_rows_only() {
    let select = "SELECT y FROM a WHERE x NOT IN (SELECT x FROM b WHERE b.y = a.y)";
    check(select, A, &[], &["10", "20", "30"]);
    check(select, A, &[(None, Some(10))], &["20", "30"]);
    check(select, A, &[(Some(1), Some(20))], &["10", "20", "30"]);
    check(
        select,
        A,
        &[(Some(1), Some(10)), (Some(7), Some(30))],
        &["20"],
    );
}

#[test]
fn in_below_or_and_not_has_three_values() {
    let b = &[(Some(1), None), NULL];
    check(
        "SELECT y FROM a WHERE x IN (SELECT x FROM b) OR y = 30",
        A,
        b,
        &["10", "30"],
    );
    check(
        "SELECT y FROM a WHERE x NOT IN (SELECT x FROM b) OR y = 30",
        A,
        b,
        &["30"],
    );
    check(
        "SELECT y FROM a WHERE NOT (x IN (SELECT x FROM b) OR y = 30)",
        A,
        b,
        &[],
    );
    check(
        "SELECT y FROM a WHERE NOT (x NOT IN (SELECT x FROM b) AND y > 0)",
        A,
        b,
        &["10"],
    );
    let select = "SELECT y FROM a WHERE (x IN (SELECT x FROM b)) IS NULL";
    check(select, A, b, &["20", "30"]);
    check(select, A, &[(Some(1), None)], &["30"]);
    check(select, A, &[], &[]);
}

#[test]
fn a_scalar_subquery_without_a_row_is_null() {
    check(
        "SELECT y, (SELECT 1 WHERE false) AS q, coalesce((SELECT 1 WHERE false), 5) AS c FROM a",
        A,
        &[],
        &["10 null 5", "20 null 5", "30 null 5"],
    );
    check(
        "SELECT y FROM a WHERE (SELECT count(*) FROM b HAVING count(*) > 1) IS NULL",
        A,
        &[NULL],
        &["10", "20", "30"],
    );
    check(
        "SELECT y, coalesce((SELECT count(*) FROM b WHERE b.x = a.x GROUP BY b.x), 7) AS n FROM a",
        A,
        &[(Some(1), Some(5))],
        &["10 1", "20 7", "30 7"],
    );
}

#[test]
fn subqueries_stand_in_the_select_list() {
    let b = &[(Some(1), Some(5)), (None, Some(6))];
    check(
        "SELECT y, x IN (SELECT x FROM b) AS i, x NOT IN (SELECT x FROM b) AS n FROM a",
        A,
        b,
        &["10 true false", "20 null null", "30 null null"],
    );
    check(
        "SELECT y, EXISTS (SELECT 1 FROM b WHERE b.x = a.x) AS e, NOT EXISTS (SELECT 1 FROM b WHERE b.x = a.x) AS n FROM a",
        A,
        b,
        &["10 true false", "20 false true", "30 false true"],
    );
    check(
        "SELECT y, (SELECT sum(b.y) FROM b WHERE b.x = a.x) AS s, (SELECT count(*) FROM b WHERE b.x = a.x) AS n FROM a",
        A,
        b,
        &["10 5 1", "20 null 0", "30 null 0"],
    );
}

#[test]
fn an_aggregate_over_nothing_is_a_row_of_a_subquery() {
    let b = &[(Some(1), Some(5)), (Some(1), Some(9)), (Some(2), Some(7))];
    for (condition, wanted) in [
        (
            "EXISTS (SELECT count(*) FROM b WHERE b.x = a.x)",
            &["10", "20", "30"][..],
        ),
        ("NOT EXISTS (SELECT max(b.y) FROM b WHERE b.x = a.x)", &[]),
        (
            "EXISTS (SELECT count(*) FROM b WHERE b.x = a.x GROUP BY ROLLUP (b.y))",
            &["10", "20", "30"],
        ),
        (
            "x NOT IN (SELECT max(b.y) FROM b WHERE b.x = a.x)",
            &["10", "20"],
        ),
        ("0 IN (SELECT count(*) FROM b WHERE b.x = a.x)", &["30"]),
        (
            "NOT (0 IN (SELECT count(*) FROM b WHERE b.x = a.x))",
            &["10", "20"],
        ),
        (
            "x IN (SELECT max(b.y) - 8 FROM b WHERE b.x = a.x) OR y = 30",
            &["10", "30"],
        ),
        (
            "x IN (SELECT DISTINCT max(b.k) AS m FROM b WHERE b.x = a.x ORDER BY m LIMIT 1)",
            &["10", "20"],
        ),
        ("y IN (SELECT max(b.y) + 1 FROM b)", &["10"]),
        ("y NOT IN (SELECT max(b.y) + 1 FROM b)", &["20", "30"]),
    ] {
        let select = format!("SELECT y FROM a WHERE {condition}");
        check(&select, A, b, wanted);
    }
    for (condition, wanted) in [
        (
            "EXISTS (SELECT count(*) FROM b WHERE b.x = a.x)",
            &["10", "20", "30"][..],
        ),
        ("EXISTS (SELECT max(b.y) FROM b)", &["10", "20", "30"]),
        ("x NOT IN (SELECT max(b.y) FROM b WHERE b.x = a.x)", &[]),
        ("y NOT IN (SELECT max(b.y) FROM b)", &[]),
        (
            "0 IN (SELECT count(*) FROM b WHERE b.x = a.x)",
            &["10", "20", "30"],
        ),
    ] {
        let select = format!("SELECT y FROM a WHERE {condition}");
        check(&select, A, &[], wanted);
    }
    check(
        "SELECT y FROM a WHERE x IN (SELECT coalesce(max(b.k), 9) - 8 FROM b WHERE b.x = a.x)",
        A,
        &[(Some(2), Some(5))],
        &["10"],
    );
    check(
        "SELECT y, 0 IN (SELECT count(*) FROM b WHERE b.x = a.x) AS n, EXISTS (SELECT max(b.y) FROM b WHERE b.x = a.x) AS e, y IN (SELECT max(b.y) FROM b WHERE b.x = a.x) AS i, (SELECT DISTINCT count(*) FROM b WHERE b.x = a.x) AS d FROM a",
        A,
        b,
        &[
            "10 false true false 2",
            "20 false true false 1",
            "30 true true null 0",
        ],
    );
    check(
        "SELECT y FROM a WHERE EXISTS (SELECT 1 FROM b WHERE b.x = a.x AND b.y NOT IN (SELECT count(*) FROM b AS c WHERE c.x = b.y))",
        A,
        &[(Some(1), Some(5)), (Some(2), Some(0))],
        &["10"],
    );
}

#[test]
fn correlated_subqueries_are_refused_where_their_rows_would_be_others() {
    for (select, wanted) in [
        (
            "SELECT y FROM a WHERE EXISTS (SELECT 1 FROM b WHERE b.x = a.x HAVING count(*) = 0)",
            "HAVING",
        ),
        (
            "SELECT y, (SELECT max(b.y) FROM b WHERE b.x = a.x HAVING count(*) = 0) AS m FROM a",
            "HAVING",
        ),
        (
            "SELECT y, (SELECT count(*) FROM b WHERE CAST(b.y AS BOOLEAN) = (a.y > 15)) AS n FROM a",
            "as they are",
        ),
        (
            "SELECT a.y, l.n FROM a, LATERAL (SELECT b.k, row_number() OVER (ORDER BY b.k) AS n FROM b WHERE b.x = a.x) AS l",
            "window functions",
        ),
        (
            "SELECT a.y, l.n, l.five FROM a, LATERAL (SELECT count(*) AS n, 5 AS five FROM b WHERE b.x = a.x) AS l",
            "constant",
        ),
        (
            "SELECT y FROM a WHERE EXISTS (SELECT 1 FROM b AS c LEFT JOIN (SELECT * FROM b WHERE b.x = a.x) AS q ON q.k = c.k)",
            "outer join",
        ),
        (
            "SELECT y FROM a WHERE x IN (SELECT count(*) FROM b WHERE b.x = a.x GROUP BY ROLLUP (b.y))",
            "ROLLUP",
        ),
        (
            "SELECT y FROM a WHERE EXISTS (SELECT 1 FROM (SELECT count(*) AS n FROM b WHERE b.x = a.x) AS q JOIN b AS c ON c.y = q.n)",
            "select it alone",
        ),
        (
            "SELECT y FROM a WHERE EXISTS (SELECT y FROM b WHERE b.x = a.x EXCEPT SELECT 1)",
            "INTERSECT and EXCEPT",
        ),
        (
            "SELECT y FROM a WHERE EXISTS (SELECT 1 FROM b WHERE b.x = a.x AND EXISTS (SELECT 1 FROM b AS c WHERE c.y = a.y))",
            "a row outside both",
        ),
    ] {
        for kind in ["MATERIALIZED VIEW", "VIEW"] {
            let sql = format!("CREATE {kind} v AS {select}");
            let found = error_of(&sql).unwrap_or_default();
            assert!(found.contains(wanted), "{sql}: {found}");
        }
    }
    let exists = "CREATE VIEW v AS SELECT y FROM a WHERE EXISTS (SELECT count(*) FROM b WHERE b.x = a.x) AND x IN (SELECT max(b.y) FROM b WHERE b.x = a.x)";
    assert_eq!(error_of(exists), None);
}

#[test]
fn a_subquery_may_read_what_the_outer_query_reads() {
    let none = &[];
    check(
        "SELECT y FROM a WHERE x NOT IN (SELECT x FROM a WHERE y = 10)",
        A,
        none,
        &["20"],
    );
    check(
        "SELECT y FROM a WHERE y = 30 OR x IN (SELECT x FROM a WHERE y = 10)",
        A,
        none,
        &["10", "30"],
    );
    check(
        "SELECT y FROM a WHERE (x IN (SELECT x FROM a WHERE y = 10)) IS NOT TRUE",
        A,
        none,
        &["20", "30"],
    );
    check(
        "SELECT sum(CASE WHEN x IN (SELECT x FROM a WHERE y = 10) THEN y ELSE 1 END) AS y FROM a",
        A,
        none,
        &["12"],
    );
    check(
        "SELECT y FROM a WHERE y >= ALL (SELECT y FROM a)",
        A,
        none,
        &["30"],
    );
    check(
        "SELECT y FROM a WHERE y > ANY (SELECT y FROM a WHERE y < 30)",
        A,
        none,
        &["20", "30"],
    );
}
