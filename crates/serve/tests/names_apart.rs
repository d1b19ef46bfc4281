//! Parts of queries that DataFusion would call alike, columns by their numbers, and
//! functions by names of PostgreSQL.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "common/no_tables.rs"]
mod no_tables;

use no_tables::{answered, engine};

/// Two moments of one day and one of the next.
const VISITS: &str = "(VALUES (TIMESTAMP '2026-01-01 10:00:00', 1), (TIMESTAMP '2026-01-01 11:00:00', 2), (TIMESTAMP '2026-01-02 10:00:00', 3)) AS v(t, n)";

async fn check(select: &str, behind: &str, expected: &[&[&str]]) {
    let engine = engine(&[]);
    let sql = format!("{select} FROM {VISITS} {behind}");
    assert_eq!(answered(&engine, &sql).await.unwrap(), expected, "{sql}");
}

#[tokio::test]
async fn aggregates_of_casts_stand_beside_those_of_what_they_cast() {
    check(
        "SELECT count(DISTINCT t::date) AS a, count(DISTINCT t) AS b",
        "",
        &[&["2", "3"]],
    )
    .await;
    check(
        "SELECT avg(n), avg(n::double precision), sum(n) - 1, sum(n::numeric)::int",
        "",
        &[&["2.0", "2.0", "5", "6"]],
    )
    .await;
    check(
        "SELECT n, sum(n) OVER () AS a, (sum(n::numeric) OVER ())::int AS b",
        "ORDER BY n LIMIT 1",
        &[&["1", "6", "6"]],
    )
    .await;
    check(
        "SELECT count(*)",
        "HAVING sum(n) = sum(n::double precision)",
        &[&["3"]],
    )
    .await;
}

#[tokio::test]
async fn keys_are_casts_beside_what_they_cast() {
    let expected: &[&[&str]] = &[
        &["2026-01-01", "1"],
        &["2026-01-01", "1"],
        &["2026-01-02", "1"],
    ];
    for behind in [
        "GROUP BY t::date, t ORDER BY t::date",
        "GROUP BY CAST(v.t AS DATE), v.t ORDER BY 1",
        "GROUP BY t, 1 ORDER BY 1",
    ] {
        check("SELECT t::date, count(*)", behind, expected).await;
    }
}

#[tokio::test]
async fn columns_are_named_by_numbers() {
    check(
        "SELECT t::date, n % 2, count(*)",
        "GROUP BY ROLLUP (1, 2) ORDER BY 1, 2 LIMIT 2",
        &[&["2026-01-01", "0", "1"], &["2026-01-01", "1", "1"]],
    )
    .await;
    check(
        "SELECT t::date AS d",
        "GROUP BY GROUPING SETS ((1), ()) ORDER BY 1",
        &[&["2026-01-01"], &["2026-01-02"], &["null"]],
    )
    .await;
    check(
        "SELECT n % 2 AS odd, row_number() OVER (ORDER BY sum(n) DESC)",
        "GROUP BY n % 2 ORDER BY 2",
        &[&["1", "1"], &["0", "2"]],
    )
    .await;
}

#[tokio::test]
async fn functions_have_names_of_postgresql() {
    check(
        "SELECT mod(max(n), 2), sign(-2.5)::int, ceiling(1.2)::int, every(n > 0), variance(n)",
        "",
        &[&["1", "-1", "2", "true", "1.0"]],
    )
    .await;
}
