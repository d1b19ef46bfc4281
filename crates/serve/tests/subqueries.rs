//! Ad-hoc SQL with subqueries: rows by their form, LIMIT and OFFSET, and what is
//! refused because the planner would answer it of other rows.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "common/no_tables.rs"]
mod no_tables;

use sluice_serve::QueryEngine;

use no_tables::{answered, engine};

const TABLES: &str = "WITH a AS (SELECT * FROM (VALUES (1, 1, 10), (2, 2, 20), (3, NULL, 30)) AS t(k, x, y)), c AS (SELECT * FROM (VALUES (1, 1, 5), (2, 1, 9), (3, 2, 7)) AS t(k, x, y))";

/// The rows of an answer over [`TABLES`], in the order of their texts.
async fn rows(engine: &QueryEngine, select: &str) -> Result<Vec<String>, String> {
    let sql = format!("{TABLES} {select}");
    let rows = answered(engine, &sql).await?;
    let mut rows: Vec<String> = rows.iter().map(|row| row.join(" ")).collect();
    rows.sort();
    Ok(rows)
}

async fn check(engine: &QueryEngine, cases: &[(&str, &[&str])]) {
    for (select, wanted) in cases {
        let found = rows(engine, select).await;
        let found = found.map_err(|error| format!("{select}: {error}")).unwrap();
        assert_eq!(found, *wanted, "{select}");
    }
}

#[tokio::test]
async fn an_aggregate_over_nothing_is_a_row() {
    let cases: &[(&str, &[&str])] = &[
        (
            "SELECT k FROM a WHERE EXISTS (SELECT count(*) FROM c WHERE c.x = a.x)",
            &["1", "2", "3"],
        ),
        (
            "SELECT k FROM a WHERE NOT EXISTS (SELECT max(y) FROM c WHERE c.x = a.x)",
            &[],
        ),
        (
            "SELECT k FROM a WHERE EXISTS (SELECT max(y) FROM c WHERE c.y > 100)",
            &["1", "2", "3"],
        ),
        (
            "SELECT k FROM a WHERE x NOT IN (SELECT max(c.y) FROM c WHERE c.x = a.x)",
            &["1", "2"],
        ),
        (
            "SELECT k FROM a WHERE 0 IN (SELECT count(*) FROM c WHERE c.x = a.x) OR k = 1",
            &["1", "3"],
        ),
        (
            "SELECT k, 0 IN (SELECT count(*) FROM c WHERE c.x = a.x) AS i, y IN (SELECT max(c.y) FROM c WHERE c.x = a.x) AS m FROM a",
            &["1 false false", "2 false false", "3 true null"],
        ),
        (
            "SELECT k FROM a WHERE x > ALL (SELECT max(c.y) - 8 FROM c WHERE c.x = a.x)",
            &["2"],
        ),
        (
            "SELECT k, (SELECT DISTINCT count(*) FROM c WHERE c.x = a.x LIMIT 1) AS n FROM a",
            &["1 2", "2 1", "3 0"],
        ),
        (
            "SELECT a.k, c.k AS other FROM a JOIN c ON a.x = c.x AND EXISTS (SELECT count(*) FROM c AS d WHERE d.x = c.y)",
            &["1 1", "1 2", "2 3"],
        ),
        (
            "SELECT x FROM a GROUP BY x HAVING EXISTS (SELECT count(*) FROM c WHERE c.x = a.x)",
            &["1", "2", "null"],
        ),
        (
            "SELECT k FROM a WHERE y NOT IN (SELECT max(y) FROM c WHERE c.y > 100)",
            &[],
        ),
        ("SELECT k FROM a WHERE x IN (VALUES (1), (9))", &["1"]),
        ("SELECT k FROM a WHERE x NOT IN (VALUES (1), (9))", &["2"]),
        (
            "SELECT k FROM a WHERE y IN (SELECT max(y) + 1 FROM c UNION SELECT 20)",
            &["1", "2"],
        ),
    ];
    check(&engine(&[]), cases).await;
}

#[tokio::test]
async fn a_scalar_subquery_without_a_row_is_null() {
    let cases: &[(&str, &[&str])] = &[
        ("SELECT (SELECT 1 WHERE false) AS q", &["null"]),
        ("SELECT (SELECT 1 LIMIT 0) AS q", &["null"]),
        ("SELECT coalesce((SELECT 1 WHERE false), 5) AS q", &["5"]),
        (
            "SELECT (SELECT count(*) FROM c HAVING count(*) > 3) AS n",
            &["null"],
        ),
        (
            "SELECT k FROM a WHERE (SELECT 1 WHERE false) IS NULL",
            &["1", "2", "3"],
        ),
        (
            "SELECT k, coalesce((SELECT count(*) FROM c WHERE c.x = a.x GROUP BY c.x), 7) AS n FROM a",
            &["1 2", "2 1", "3 7"],
        ),
        (
            "SELECT k, (SELECT 1 WHERE a.x > 1) AS q FROM a",
            &["1 null", "2 1", "3 null"],
        ),
    ];
    check(&engine(&[]), cases).await;
    let view = ("v", "SELECT coalesce((SELECT 1 WHERE false), 5) AS q");
    let found = answered(&engine(&[view]), "SELECT q FROM v").await;
    assert_eq!(found, Ok(vec![vec!["5".to_owned()]]));
}

#[tokio::test]
async fn limit_and_offset_decide_which_rows_a_subquery_has() {
    let cases: &[(&str, &[&str])] = &[
        (
            "SELECT k FROM a WHERE EXISTS (SELECT 1 FROM c WHERE c.x = a.x LIMIT 0)",
            &[],
        ),
        (
            "SELECT k FROM a WHERE NOT EXISTS (SELECT 1 FROM c WHERE c.x = a.x LIMIT 0)",
            &["1", "2", "3"],
        ),
        (
            "SELECT k, EXISTS (SELECT 1 FROM c WHERE c.x = a.x ORDER BY y LIMIT 1) AS e FROM a",
            &["1 true", "2 true", "3 false"],
        ),
        (
            "SELECT k FROM a WHERE EXISTS (SELECT count(*) FROM c WHERE c.x = a.x OFFSET 1)",
            &[],
        ),
        (
            "SELECT k FROM a WHERE EXISTS (SELECT 1 FROM c OFFSET 3)",
            &[],
        ),
        (
            "SELECT k FROM a WHERE EXISTS (SELECT 1 FROM c OFFSET 2)",
            &["1", "2", "3"],
        ),
        (
            "SELECT k FROM a WHERE x IN (SELECT x FROM c ORDER BY y LIMIT 9 OFFSET 2)",
            &["1"],
        ),
        // What is ordered by is no column of the answer.
        (
            "SELECT k FROM a WHERE x IN (SELECT x FROM c ORDER BY y OFFSET 2)",
            &["1"],
        ),
        (
            "SELECT k FROM a WHERE x IN (SELECT x FROM c ORDER BY y LIMIT NULL OFFSET 2)",
            &["1"],
        ),
        (
            "SELECT max(k) FROM (SELECT k FROM c ORDER BY y OFFSET 2) AS s",
            &["2"],
        ),
        (
            "SELECT s.k FROM (SELECT k, x FROM c ORDER BY y DESC OFFSET 1) AS s JOIN a ON a.x = s.x",
            &["1", "3"],
        ),
        (
            "SELECT k FROM a WHERE x NOT IN (SELECT x FROM c WHERE c.x = a.x LIMIT 0)",
            &["1", "2", "3"],
        ),
    ];
    check(&engine(&[]), cases).await;
}

#[tokio::test]
async fn subqueries_that_would_be_of_other_rows_are_refused() {
    let engine = engine(&[]);
    for (select, wanted) in [
        (
            "SELECT k FROM a WHERE EXISTS (SELECT 1 FROM c WHERE c.x = a.x OFFSET 1)",
            "OFFSET",
        ),
        (
            "SELECT k FROM a WHERE x IN (SELECT x FROM c WHERE c.x = a.x LIMIT 1)",
            "LIMIT",
        ),
        (
            "SELECT k FROM a WHERE EXISTS (SELECT 1 FROM (SELECT x FROM c WHERE c.x = a.x LIMIT 1) AS l GROUP BY x HAVING count(*) > 1)",
            "LIMIT",
        ),
        (
            "SELECT k, (SELECT max(y) FROM c WHERE c.x = a.x HAVING count(*) = 0) AS m FROM a",
            "HAVING",
        ),
        (
            "SELECT k FROM a WHERE EXISTS (SELECT 1 FROM c WHERE c.x = a.x HAVING count(*) = 0)",
            "HAVING",
        ),
        (
            "SELECT a.k, q.n FROM a, LATERAL (SELECT c.y, row_number() OVER (ORDER BY c.y) AS n FROM c WHERE c.x = a.x) AS q",
            "window functions",
        ),
        (
            "SELECT a.k, q.n, q.five FROM a, LATERAL (SELECT count(*) AS n, 5 AS five FROM c WHERE c.x = a.x) AS q",
            "constant",
        ),
        (
            "SELECT k, (SELECT count(*) FROM c WHERE CAST(c.y AS BOOLEAN) = (a.y > 15)) AS n FROM a",
            "as they are",
        ),
        (
            "SELECT k FROM a WHERE EXISTS (SELECT 1 FROM c AS d LEFT JOIN (SELECT * FROM c WHERE c.x = a.x) AS q ON q.k = d.k)",
            "outer join",
        ),
        (
            "SELECT k FROM a WHERE EXISTS (SELECT y FROM c WHERE c.x = a.x UNION SELECT y FROM c WHERE c.x = a.k)",
            "Union",
        ),
        (
            "SELECT k FROM a WHERE EXISTS (SELECT y FROM c WHERE c.x = a.x EXCEPT SELECT 1)",
            "INTERSECT and EXCEPT are not supported",
        ),
        (
            "SELECT k FROM a WHERE y IN (SELECT 1 INTERSECT SELECT y FROM c WHERE c.x = a.x)",
            "INTERSECT and EXCEPT are not supported",
        ),
        (
            "SELECT k FROM a WHERE EXISTS (SELECT 1 FROM c WHERE c.x = a.x AND EXISTS (SELECT 1 FROM c AS d WHERE d.y = a.y))",
            "names `a.y`, a row outside both",
        ),
        (
            "SELECT k FROM a WHERE EXISTS (SELECT 1 FROM c WHERE c.x = (SELECT max(d.x) FROM c AS d WHERE d.y = a.y))",
            "names `a.y`, a row outside both",
        ),
    ] {
        let error = rows(&engine, select).await.unwrap_err();
        assert!(error.contains(wanted), "{select}: {error}");
    }
}

/// As many digits as the documentation says, cut.
#[tokio::test]
async fn quotients_of_decimals_have_four_digits_more() {
    let cases: &[(&str, &[&str])] = &[
        ("SELECT 2.0 / 3 AS q", &["0.66666"]),
        (
            "SELECT round(CAST(2.0 AS DECIMAL(38, 16)) / 3, 5) AS q",
            &["0.66667"],
        ),
        (
            "SELECT median(d) AS m, percentile_cont(0.5) WITHIN GROUP (ORDER BY d) AS p FROM (VALUES (1.10), (1.15)) AS t(d)",
            &["1.12 1.125"],
        ),
    ];
    check(&engine(&[]), cases).await;
}

#[tokio::test]
async fn a_subquery_may_read_what_the_outer_query_reads() {
    let cases: &[(&str, &[&str])] = &[
        (
            "SELECT k FROM a WHERE x NOT IN (SELECT x FROM a WHERE y = 10)",
            &["2"],
        ),
        (
            "SELECT k FROM a WHERE k = 3 OR x IN (SELECT x FROM a WHERE y = 10)",
            &["1", "3"],
        ),
        (
            "SELECT k, x IN (SELECT x FROM a WHERE y = 10) AS i FROM a",
            &["1 true", "2 false", "3 null"],
        ),
        (
            "SELECT o.k FROM a AS o WHERE o.x NOT IN (SELECT o.x FROM c AS o WHERE o.y = 7)",
            &["1"],
        ),
        ("SELECT k FROM a WHERE y >= ALL (SELECT y FROM a)", &["3"]),
        (
            "SELECT k FROM a WHERE y > ANY (SELECT y FROM a)",
            &["2", "3"],
        ),
        ("SELECT k FROM a WHERE x <> ALL (SELECT x FROM a)", &[]),
    ];
    check(&engine(&[]), cases).await;
    let select = "SELECT a.k FROM a, c WHERE a.x NOT IN (SELECT a.k FROM a WHERE a.x = c.x)";
    let refused = rows(&engine(&[]), select).await.unwrap_err();
    assert!(refused.contains("a name of its own"), "{refused}");
}

#[tokio::test]
async fn a_test_may_stand_inside_aggregates_windows_and_orders() {
    let cases: &[(&str, &[&str])] = &[
        (
            "SELECT sum(CASE WHEN x IN (SELECT x FROM c) THEN y ELSE 0 END) AS s FROM a",
            &["30"],
        ),
        (
            "SELECT x IN (SELECT x FROM c WHERE y = 5) AS i, count(*) AS n FROM a GROUP BY x IN (SELECT x FROM c WHERE y = 5)",
            &["false 1", "null 1", "true 1"],
        ),
        (
            "SELECT k, sum(CASE WHEN x IN (SELECT x FROM c WHERE y = 5) THEN 1 ELSE 0 END) OVER (ORDER BY k) AS s FROM a",
            &["1 1", "2 1", "3 1"],
        ),
        (
            "SELECT k FROM a ORDER BY x IN (SELECT x FROM c WHERE y = 5) LIMIT 1",
            &["2"],
        ),
        (
            "SELECT a.k FROM a JOIN c ON a.x = c.x AND c.k IN (SELECT k FROM c WHERE y > 6)",
            &["1", "2"],
        ),
        (
            "SELECT count(*) FILTER (WHERE EXISTS (SELECT 1 FROM c WHERE c.x = a.x)) AS n FROM a",
            &["2"],
        ),
    ];
    check(&engine(&[]), cases).await;
}
