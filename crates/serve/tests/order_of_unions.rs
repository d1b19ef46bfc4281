//! Unions in an order that the planner believes to be there already.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "common/no_tables.rs"]
mod no_tables;

use no_tables::{answered, engine};

/// Behind the filter one branch has a single day, which the plan forgets where it drops
/// the column that only the filter needs.
#[tokio::test]
async fn a_day_that_is_constant_in_one_branch_only() {
    let engine = engine(&[]);
    let rows = answered(
        &engine,
        "WITH active AS ( \
           SELECT day, member FROM (VALUES \
             (DATE '2026-01-01', 5), (DATE '2026-01-02', 5), (DATE '2026-01-02', 6) \
           ) AS t(day, member) GROUP BY day, member), \
         back AS (SELECT * FROM (VALUES \
             (DATE '2026-01-09', 7), (DATE '2026-01-08', 1)) AS t(day, member)), \
         lost AS ( \
           SELECT day + INTERVAL '7 days' AS day, member, \
             lead(day) OVER (PARTITION BY member ORDER BY day) AS next_day \
           FROM active) \
         SELECT kind, day, member FROM ( \
           SELECT 'lost' AS kind, day, member FROM lost \
           WHERE (next_day IS NULL OR next_day > day) AND day = DATE '2026-01-09' \
           UNION ALL \
           SELECT 'back', day, member FROM back) AS members \
         ORDER BY kind, day DESC, member",
    );
    let rows = rows.await.unwrap();
    let rows: Vec<String> = rows.iter().map(|row| row.join(" ")).collect();
    let wanted = [
        "back 2026-01-09 7",
        "back 2026-01-08 1",
        "lost 2026-01-09 5",
        "lost 2026-01-09 6",
    ];
    assert_eq!(rows, wanted);
}
