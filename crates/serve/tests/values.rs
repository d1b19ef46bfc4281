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
