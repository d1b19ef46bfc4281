//! Parts of times and intervals, and places of lists, in ad-hoc SQL as PostgreSQL has
//! them.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "common/no_tables.rs"]
mod no_tables;

use sluice_serve::QueryEngine;

use no_tables::{answered, engine};

/// The only value of an answer.
async fn answer(engine: &QueryEngine, expression: &str) -> Result<String, String> {
    let sql = format!(
        "SELECT {expression} AS e FROM (VALUES (TIMESTAMP '2001-02-16 20:38:40.125', 2)) AS v(t, n)"
    );
    let mut rows = answered(engine, &sql).await?;
    Ok(rows.remove(0).remove(0))
}

#[tokio::test]
async fn parts_are_postgresql_s() {
    let engine = engine(&[]);
    for (expression, wanted) in [
        ("extract(second FROM t)", "40.125"),
        ("date_part('milliseconds', t)", "40125.0"),
        (
            "extract(epoch FROM t - TIMESTAMP '2001-02-15 20:38:39')",
            "86401.125",
        ),
        ("extract(day FROM t - TIMESTAMP '2001-02-14 19:38:40')", "2"),
        (
            "extract(hour FROM t - TIMESTAMP '2001-02-14 19:38:40')",
            "1",
        ),
        ("extract(epoch FROM INTERVAL '1 year')", "31557600.0"),
        ("extract(decade FROM t)", "200"),
        ("extract(century FROM t)", "21"),
        ("extract(millennium FROM t)", "3"),
        ("extract(second FROM t) > 40", "true"),
        ("(ARRAY[1, 2, 3])[n]", "2"),
        ("(ARRAY[1, 2, 3])[n - 3]", "null"),
        ("(ARRAY[1, 2, 3])[-1]", "null"),
        ("(ARRAY[1, 2, 3])[4]", "null"),
        ("(ARRAY[1, 2, 3])[n - 3:n]", "[1, 2]"),
        ("(ARRAY[1, 2, 3])[n:n + 9]", "[2, 3]"),
        ("(ARRAY[1, 2, 3])[0:-1]", "[]"),
        ("(ARRAY[1, 2, 3])[-2:n - 4]", "[]"),
    ] {
        let found = answer(&engine, expression).await;
        assert_eq!(found.as_deref(), Ok(wanted), "{expression}");
    }
}

#[tokio::test]
async fn units_that_there_are_not_are_refused() {
    let engine = engine(&[]);
    for (expression, wanted) in [
        ("extract(julian FROM t)", "do not know the unit"),
        (
            "extract(dow FROM INTERVAL '1 day')",
            "that extract could give",
        ),
        (
            "date_trunc('decade', t)",
            "date_trunc does not know the unit decade",
        ),
    ] {
        let error = answer(&engine, expression).await.unwrap_err();
        assert!(error.contains(wanted), "{expression}: {error}");
    }
}
