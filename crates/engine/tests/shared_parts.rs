//! What a view says twice is computed once.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::sync::Arc;

use common::{insert, tables, views};
use sluice_engine::{Engine, EngineOptions, Program, explain};

/// How many operators of each of these kinds a view has.
fn count_kinds(select: &str, kinds: &[&str]) -> Vec<usize> {
    let program = Program::plan(&tables(), &views(&[select])).unwrap();
    let mut engine = Engine::new(Arc::new(program), EngineOptions::default()).unwrap();
    let rows = [
        (1, "a", Some(10), 7),
        (2, "b", Some(20), 7),
        (3, "a", Some(10), 7),
    ];
    engine.step(1, vec![insert("events", &rows)]).unwrap();
    let lines = explain(&engine.operators(), "v").unwrap();
    let shown = lines.iter().map(|line| line.trim_start());
    let shown: Vec<&str> = shown.filter(|line| !line.ends_with("as above")).collect();
    let count = |kind: &&str| shown.iter().filter(|line| line.starts_with(*kind)).count();
    kinds.iter().map(count).collect()
}

#[test]
fn a_part_that_is_read_twice_is_computed_once() {
    let with = "WITH c AS (SELECT k, n, count(*) AS c FROM events WHERE id > 0 GROUP BY k, n)";
    let twice = "SELECT a.k, a.c, m.most FROM c AS a JOIN (SELECT n, max(c) AS most FROM c GROUP BY n) AS m ON a.n = m.n";
    let kinds = ["filter", "aggregate", "join"];
    assert_eq!(count_kinds(&format!("{with} {twice}"), &kinds), [1, 2, 1]);

    let joined = "WITH j AS (SELECT o.k, e.n FROM orders AS o JOIN events AS e ON o.id = e.id)";
    let twice =
        "SELECT k, max(n) AS c FROM j GROUP BY k UNION ALL SELECT k, sum(n) AS c FROM j GROUP BY k";
    assert_eq!(count_kinds(&format!("{joined} {twice}"), &kinds), [0, 2, 1]);
}

#[test]
fn windows_that_are_read_twice_are_counted_once() {
    let select = "WITH c AS (
          SELECT k, count(*) AS n, window_start, window_end
          FROM hop(events, t, INTERVAL '2 seconds', INTERVAL '10 seconds')
          GROUP BY k, window_start, window_end)
        SELECT a.k, a.n, a.window_start FROM c AS a
        JOIN (SELECT max(n) AS most, window_start, window_end FROM c GROUP BY window_start, window_end) AS m
          ON a.window_start = m.window_start AND a.window_end = m.window_end AND a.n >= m.most";
    // Pieces of windows, windows, and the greatest of each.
    assert_eq!(count_kinds(select, &["hop", "aggregate"]), [2, 3]);
}

#[test]
fn parts_that_differ_are_computed_apart() {
    let select = "SELECT k, count(*) AS c FROM events WHERE id > 0 GROUP BY k
                  UNION ALL SELECT k, count(*) AS c FROM events WHERE id > 1 GROUP BY k";
    assert_eq!(count_kinds(select, &["filter", "aggregate"]), [2, 2]);
    let select = "SELECT k, count(*) AS c FROM events GROUP BY k
                  UNION ALL SELECT k, count(DISTINCT n) AS c FROM events GROUP BY k";
    assert_eq!(count_kinds(select, &["aggregate"]), [2]);
}
