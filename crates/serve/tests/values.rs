//! Ad-hoc SQL over values that take too much memory, or that the processor
//! compares otherwise than SQL.

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

/// The values of an answer's first row.
async fn answer(engine: &QueryEngine, sql: &str) -> Result<Vec<String>, String> {
    let answer = engine.query(sql).await.map_err(|error| error.to_string())?;
    let options = FormatOptions::default().with_null("null");
    let mut values = Vec::new();
    let batches = answer.batches.iter();
    for column in batches.flat_map(|batch| batch.columns()) {
        let formatter = ArrayFormatter::try_new(column.as_ref(), &options).unwrap();
        values.push(formatter.value(0).to_string());
    }
    Ok(values)
}

#[tokio::test]
async fn what_is_too_long_is_an_error() {
    let engine = engine();
    for call in [
        "repeat('x', 1000000000)",
        "lpad('x', n * 1000000000)",
        "repeat('x', n * 1000000000)",
        "array_repeat(n, n * 100000000000)",
        "replace(repeat('a', 1000000), 'a', repeat('b', n * 10000))",
        "generate_series(1, n * 100000000000)",
    ] {
        let sql = format!("SELECT {call} AS made FROM (VALUES (1), (2)) AS t(n)");
        let error = answer(&engine, &sql).await.unwrap_err();
        assert!(error.contains("` would make a"), "{call}: {error}");
    }
    for call in [
        "levenshtein(repeat('x', n * 400), repeat('y', 400))",
        "array_has_any(generate_series(1, n * 2000), generate_series(3000, 5000))",
        "generate_series(1, n * 2000) @> generate_series(3000, 5000)",
    ] {
        let sql = format!("SELECT {call} AS made FROM (VALUES (1), (2)) AS t(n)");
        let error = answer(&engine, &sql).await.unwrap_err();
        assert!(error.contains("` would compare"), "{call}: {error}");
    }
    let sql = "SELECT levenshtein(repeat('x', n * 200), repeat('y', 300)) AS d, generate_series(1, n * 3) @> ARRAY[2, 3] AS h FROM (VALUES (1), (2)) AS t(n)";
    assert_eq!(answer(&engine, sql).await.unwrap(), ["300", "true"]);
    let sql = "SELECT repeat('x', n * 100000) AS made FROM generate_series(1, 10) AS t(n)";
    answer(&engine, sql).await.unwrap();
    let sql = "SELECT repeat('x', n + 100000) AS made FROM generate_series(1, 5000) AS t(n)";
    let error = answer(&engine, sql).await.unwrap_err();
    assert!(error.contains("rows at once"), "{error}");
    let sql =
        "SELECT approx_percentile_cont(n, 0.5, 1000000000000) AS p FROM (VALUES (1), (2)) AS t(n)";
    let error = answer(&engine, sql).await.unwrap_err();
    assert!(error.contains("from 1 to 100000"), "{error}");
}

#[tokio::test]
async fn floats_are_compared_as_sql_has_it() {
    let engine = engine();
    for (expression, wanted) in [
        ("f / f > 1", "true"),
        ("f / f = 0 / f", "true"),
        ("f * -1 = 0", "true"),
        ("f * -1 IN (0, 7)", "true"),
        ("CASE f * -1 WHEN 0 THEN 1 ELSE 2 END", "1"),
        ("nullif(-f, 0)", "null"),
        ("greatest(f / f, 5)", "NaN"),
        ("CAST(f * -1 AS TEXT)", "0.0"),
        ("max(f / f)", "NaN"),
    ] {
        let sql = format!(
            "SELECT {expression} AS x FROM (SELECT CAST(n AS DOUBLE) AS f FROM (VALUES (0), (0)) AS t(n))"
        );
        assert_eq!(
            answer(&engine, &sql).await.unwrap(),
            [wanted],
            "{expression}"
        );
    }
    // Also where only the first of all groups is wanted.
    for rows in ["('A', '1'), ('B', 'NaN')", "('B', 'NaN'), ('A', '1')"] {
        let sql = format!(
            "SELECT g, min(f) AS least FROM (SELECT g, CAST(f AS DOUBLE) AS f FROM (VALUES {rows}) AS t(g, f)) GROUP BY g ORDER BY min(f) LIMIT 1"
        );
        assert_eq!(answer(&engine, &sql).await.unwrap(), ["A", "1.0"], "{rows}");
        let sql = sql
            .replace("min(f)", "max(f)")
            .replace("LIMIT", "DESC LIMIT");
        assert_eq!(answer(&engine, &sql).await.unwrap(), ["B", "NaN"], "{rows}");
    }
    let sql = "SELECT count(*) AS n FROM (SELECT f / f AS q FROM (VALUES (0.0), (1.0)) AS t(n), (SELECT CAST(0 AS DOUBLE) AS f) AS z) WHERE q > 1";
    assert_eq!(answer(&engine, sql).await.unwrap(), ["2"]);
}

#[tokio::test]
async fn numbers_with_an_exponent_are_decimals_or_floats() {
    let engine = engine();
    for (expression, wanted) in [
        ("1e10", "10000000000"),
        ("-1.5e3", "-1500"),
        ("1e-3", "0.001"),
        ("1e300 = CAST('1e300' AS DOUBLE)", "true"),
        ("-1e-300 = CAST('-1e-300' AS DOUBLE)", "true"),
        ("1e39 > 1e38", "true"),
        ("CAST(1e18 AS DOUBLE) = 1000000000000000000", "true"),
        ("CAST('NaN' AS DOUBLE) > 1e300", "true"),
        ("2.5 < 1e300", "true"),
    ] {
        let sql = format!("SELECT {expression} AS x");
        assert_eq!(
            answer(&engine, &sql).await.unwrap(),
            [wanted],
            "{expression}"
        );
    }
    for number in ["1e400", "1e-400"] {
        let sql = format!("SELECT {number} AS x");
        assert!(answer(&engine, &sql).await.is_err(), "{number}");
    }
}

/// A decimal has room for neither of these floats.
#[tokio::test]
async fn decimals_are_floats_where_they_meet_some() {
    let engine = engine();
    for (expression, wanted) in [
        ("tiny = 0.0", "false"),
        ("tiny IN (0.0, 1.5)", "false"),
        ("0.0 IN (tiny, 1.5)", "false"),
        ("1.5 IN (nan, 1.5)", "true"),
        ("nan IN (nan, 1.5)", "true"),
        ("nan NOT IN (1.5, 2.5)", "true"),
        ("nan = nan", "true"),
        ("CAST('Infinity' AS DOUBLE) > 1.5", "true"),
        (
            "tiny BETWEEN 0.0 AND 0.5 AND NOT 0.0 BETWEEN tiny AND 0.5",
            "true",
        ),
        ("CASE tiny WHEN 0.0 THEN 1 ELSE 2 END", "2"),
        ("CASE WHEN tiny < 1 THEN tiny ELSE 0.5 END > 0", "true"),
        ("coalesce(tiny, 0.5) > 0", "true"),
        ("coalesce(nan, 0.5)", "NaN"),
        ("nullif(tiny, 0.0) IS NULL", "false"),
        ("greatest(tiny, 0.0) > 0", "true"),
        ("0.0 IN (SELECT tiny FROM f)", "false"),
        ("tiny IN (SELECT 0.0)", "false"),
        ("CAST(0.1 AS REAL) = 0.1", "false"),
    ] {
        let sql = format!(
            "WITH f AS (SELECT CAST(t AS DOUBLE) AS tiny, CAST(n AS DOUBLE) AS nan FROM (VALUES ('1e-20', 'NaN')) AS v(t, n)) SELECT {expression} AS x FROM f"
        );
        assert_eq!(
            answer(&engine, &sql).await.unwrap(),
            [wanted],
            "{expression}"
        );
    }
    let tiny = "CAST('1e-20' AS DOUBLE)";
    for (rows, wanted) in [
        (format!("VALUES (0.5), ({tiny}), (NULL), (1)"), "1"),
        (format!("SELECT {tiny} AS x UNION ALL SELECT 0.5"), "1"),
        (
            format!("SELECT {tiny} AS x UNION SELECT 0.0 UNION SELECT 0"),
            "1",
        ),
        (format!("SELECT {tiny} AS x EXCEPT SELECT 0.0"), "1"),
        (format!("SELECT 0.0 AS x INTERSECT SELECT {tiny}"), "0"),
        (
            format!(
                "SELECT a.x FROM (SELECT {tiny} AS x) AS a JOIN (SELECT 0.0 AS x) AS b ON a.x = b.x"
            ),
            "0",
        ),
    ] {
        let sql = format!("SELECT count(*) AS n FROM ({rows}) AS r(x) WHERE x > 0 AND x < 1e-10");
        assert_eq!(answer(&engine, &sql).await.unwrap(), [wanted], "{rows}");
    }
}

#[tokio::test]
async fn what_a_filter_leaves_out_is_not_computed() {
    let engine = engine();
    let rows = "(VALUES (1, 0), (1, 5), (1, 2)) AS t(g, n)";
    for (call, wanted) in [
        ("sum(10 / n) FILTER (WHERE n <> 0)", "7"),
        ("count(DISTINCT 10 / n) FILTER (WHERE n <> 0)", "2"),
        (
            "array_agg(10 / n ORDER BY 10 / n DESC) FILTER (WHERE n <> 0)",
            "[5, 2]",
        ),
        ("bool_and(10 / n > 3) FILTER (WHERE n <> 0)", "false"),
        ("sum(10 / n) FILTER (WHERE n = 7)", "null"),
    ] {
        let sql =
            format!("SELECT {call} AS x, count(*) AS c FROM {rows} GROUP BY g ORDER BY c LIMIT 1");
        let found = answer(&engine, &sql).await.unwrap();
        assert_eq!(found, [wanted, "3"], "{call}");
    }
    for (call, wanted) in [
        ("sum(10 / n) FILTER (WHERE n <> 0) OVER ()", "7"),
        (
            "bool_and(10 / n > 3) FILTER (WHERE n <> 0) OVER ()",
            "false",
        ),
    ] {
        let sql = format!("SELECT {call} AS x FROM {rows} ORDER BY n LIMIT 1");
        let found = answer(&engine, &sql).await.unwrap();
        assert_eq!(found, [wanted], "{call}");
    }
    // A filter that fails is an error, and so is a call without one.
    for call in [
        "sum(n) FILTER (WHERE 10 / n > 2)",
        "max(10 / n) FILTER (WHERE n <> 0) + sum(10 / n)",
    ] {
        let sql = format!("SELECT {call} AS x FROM {rows} GROUP BY g");
        let error = answer(&engine, &sql).await.unwrap_err();
        assert!(error.contains("Divide by zero"), "{call}: {error}");
    }
}

#[tokio::test]
async fn a_decimal_becomes_the_nearest_float() {
    let engine = engine();
    for (expression, wanted) in [
        ("f = 0.3", "false"),
        ("f = 0.30000000000000004", "true"),
        (
            "CAST('0.12345678901234567' AS DOUBLE) = 0.12345678901234567",
            "true",
        ),
        (
            "CAST(d AS DOUBLE) = CAST('-8122406761877354.62' AS DOUBLE)",
            "true",
        ),
        ("f * d = f * CAST('-8122406761877354.62' AS DOUBLE)", "true"),
        ("CAST(0.1 AS REAL) + 0.0 = 0.1", "false"),
        ("coalesce(CAST(0.1 AS REAL), 0.5)", "0.1"),
        ("nullif(0.5, f)", "0.5"),
    ] {
        let sql = format!(
            "SELECT {expression} AS x FROM (SELECT CAST('0.30000000000000004' AS DOUBLE) AS f, CAST('-8122406761877354.62' AS DECIMAL(18, 2)) AS d) AS v"
        );
        assert_eq!(
            answer(&engine, &sql).await.unwrap(),
            [wanted],
            "{expression}"
        );
    }
}

#[tokio::test]
async fn intervals_are_compared_by_their_length() {
    let engine = engine();
    for (expression, wanted) in [
        ("t - TIMESTAMP '2026-01-01' > INTERVAL '30 days'", "true"),
        ("t - TIMESTAMP '2026-01-01' < INTERVAL '2 months'", "true"),
        ("INTERVAL '1 day' = INTERVAL '24 hours'", "true"),
        ("INTERVAL '1 month' <> INTERVAL '30 days'", "false"),
        (
            "i BETWEEN INTERVAL '1 month' AND INTERVAL '2 months'",
            "true",
        ),
        ("i IN (INTERVAL '1 month 10 days', NULL)", "true"),
        ("CASE i WHEN INTERVAL '960 hours' THEN 1 ELSE 2 END", "1"),
        ("nullif(i, INTERVAL '960 hours') IS NULL", "true"),
        ("greatest(i, INTERVAL '1 month') = i", "true"),
        ("least(i, INTERVAL '1 month') = i", "false"),
    ] {
        let sql = format!(
            "SELECT {expression} AS x FROM (SELECT TIMESTAMP '2026-02-10' AS t, INTERVAL '40 days' AS i) AS v"
        );
        assert_eq!(
            answer(&engine, &sql).await.unwrap(),
            [wanted],
            "{expression}"
        );
    }
    let lengths =
        "(VALUES (INTERVAL '1 month', 1), (INTERVAL '40 days', 2), (INTERVAL '30 days', 3))";
    for (query, wanted) in [
        ("SELECT n FROM {} AS v(i, n) ORDER BY i DESC LIMIT 1", "2"),
        ("SELECT count(DISTINCT i) AS n FROM {} AS v(i, n)", "2"),
        (
            "SELECT count(*) AS n FROM {} AS a(i, n) JOIN {} AS b(i, n) ON a.i = b.i",
            "5",
        ),
        (
            "SELECT count(*) AS n FROM {} AS a(i, n) JOIN {} AS b(i, m) USING (i)",
            "5",
        ),
    ] {
        let sql = query.replace("{}", lengths);
        assert_eq!(answer(&engine, &sql).await.unwrap(), [wanted], "{sql}");
    }
    for query in [
        "SELECT max(i) AS m FROM {} AS v(i, n)",
        "SELECT i, count(*) AS c FROM {} AS v(i, n) GROUP BY i",
        "SELECT DISTINCT i FROM {} AS v(i, n)",
        "SELECT i FROM {} AS v(i, n) UNION SELECT INTERVAL '1 day'",
        "SELECT array_sort(array_agg(i)) AS l FROM {} AS v(i, n)",
    ] {
        let error = answer(&engine, &query.replace("{}", lengths)).await;
        let error = error.unwrap_err();
        assert!(error.contains("extract(epoch FROM …)"), "{query}: {error}");
    }
}
