//! Ad-hoc SQL with subqueries: rows by their form, LIMIT and OFFSET, and what is
//! refused because the planner would answer it of other rows.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::Path;
use std::sync::Arc;

use arrow::util::display::{ArrayFormatter, FormatOptions};
use sluice_core::SimulatedDisk;
use sluice_serve::{QueryEngine, QueryOptions};
use sluice_store::{Store, StoreOptions};

fn engine() -> QueryEngine {
    let disk = Arc::new(SimulatedDisk::new(1));
    let (store, _) = Store::open(disk, Path::new("/store"), StoreOptions::default()).unwrap();
    let snapshot = store.snapshot();
    QueryEngine::new(Arc::new(move || snapshot.clone()), QueryOptions::default()).unwrap()
}

const TABLES: &str = "WITH a AS (SELECT * FROM (VALUES (1, 1, 10), (2, 2, 20), (3, NULL, 30)) AS t(k, x, y)), c AS (SELECT * FROM (VALUES (1, 1, 5), (2, 1, 9), (3, 2, 7)) AS t(k, x, y))";

/// The rows of an answer over [`TABLES`], in the order of their texts.
async fn rows(engine: &QueryEngine, select: &str) -> Result<Vec<String>, String> {
    let sql = format!("{TABLES} {select}");
    let answer = engine.query(&sql).await;
    let answer = answer.map_err(|error| error.to_string())?;
    let options = FormatOptions::default().with_null("null");
    let mut rows = Vec::new();
    for batch in &answer.batches {
        for row in 0..batch.num_rows() {
            let values = batch.columns().iter().map(|column| {
                let formatter = ArrayFormatter::try_new(column.as_ref(), &options).unwrap();
                formatter.value(row).to_string()
            });
            rows.push(values.collect::<Vec<_>>().join(" "));
        }
    }
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
    check(&engine(), cases).await;
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
        (
            "SELECT k FROM a WHERE x NOT IN (SELECT x FROM c WHERE c.x = a.x LIMIT 0)",
            &["1", "2", "3"],
        ),
    ];
    check(&engine(), cases).await;
}

#[tokio::test]
async fn subqueries_that_would_be_of_other_rows_are_refused() {
    let engine = engine();
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
    check(&engine(), cases).await;
}
