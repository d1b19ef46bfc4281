//! Parts of times and intervals, and places of lists, in ad-hoc SQL as PostgreSQL has
//! them.

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

/// The only value of an answer.
async fn answer(engine: &QueryEngine, expression: &str) -> Result<String, String> {
    let sql = format!(
        "SELECT {expression} AS e FROM (VALUES (TIMESTAMP '2001-02-16 20:38:40.125', 2)) AS v(t, n)"
    );
    let answer = engine.query(&sql).await;
    let answer = answer.map_err(|error| error.to_string())?;
    let options = FormatOptions::default().with_null("null");
    let column = answer.batches[0].column(0);
    let formatter = ArrayFormatter::try_new(column.as_ref(), &options).unwrap();
    Ok(formatter.value(0).to_string())
}

#[tokio::test]
async fn parts_are_postgresql_s() {
    let engine = engine();
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
    ] {
        let found = answer(&engine, expression).await;
        assert_eq!(found.as_deref(), Ok(wanted), "{expression}");
    }
}

#[tokio::test]
async fn units_that_there_are_not_are_refused() {
    let engine = engine();
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
