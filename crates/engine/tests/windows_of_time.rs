//! Windows of event time, with answers worked out by hand.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use common::{Warehouse, delete, insert, tables, upsert, views};
use sluice_engine::Program;

#[test]
fn tumble_puts_each_row_into_the_window_that_its_time_is_in() {
    let mut warehouse = Warehouse::new(&[
        "SELECT id, window_start, window_end FROM tumble(events, t, INTERVAL '10 minutes')",
        "SELECT w.k, w.window_start, count(*) AS c, sum(w.n) AS s
         FROM tumble(events, t, INTERVAL '10 minutes') AS w GROUP BY w.k, w.window_start",
    ]);
    // 0:09 and 0:10 are in different windows; a row without a time is in none.
    warehouse.epoch(vec![insert(
        "events",
        &[
            (1, "a", Some(0), 1),
            (2, "a", Some(9), 2),
            (3, "a", Some(10), 4),
            (4, "a", None, 8),
            (5, "b", Some(-1), 16),
        ],
    )]);
    let expected = [
        "1 00:00 00:10",
        "2 00:00 00:10",
        "3 00:10 00:20",
        "5 31T23:50 00:00",
    ];
    assert_eq!(warehouse.of("v"), expected);
    let expected = ["a 00:00 2 3", "a 00:10 1 4", "b 31T23:50 1 16"];
    assert_eq!(warehouse.of("w"), expected);
    let collections = warehouse.program.collections();
    let of_name = |name: &str| collections.iter().find(|found| found.name == name).unwrap();
    assert!(of_name("v").append_only, "windows of a log only add");
    assert!(!of_name("w").append_only);
}

#[test]
fn hop_gives_a_row_once_for_each_window_and_takes_it_back() {
    let mut warehouse = Warehouse::new(&["SELECT id, window_start, window_end
         FROM hop(orders, t, INTERVAL '5 minutes', INTERVAL '12 minutes')"]);
    // Windows of 12 minutes begin every 5. Minute 11 is in those that begin at
    // 0:00 (to 0:12), 0:05 and 0:10; minute 14 only in 0:05 (to 0:17) and 0:10.
    warehouse.epoch(vec![upsert(
        "orders",
        &[(1, "a", Some(11), 0), (2, "a", Some(14), 0)],
        1,
    )]);
    let expected = [
        "1 00:00 00:12",
        "1 00:05 00:17",
        "1 00:10 00:22",
        "2 00:05 00:17",
        "2 00:10 00:22",
    ];
    assert_eq!(warehouse.of("v"), expected);
    warehouse.epoch(vec![upsert("orders", &[(1, "a", Some(14), 0)], 2)]);
    warehouse.epoch(vec![delete("orders", &[(2, "a", Some(14), 0)], 3)]);
    assert_eq!(warehouse.of("v"), ["1 00:05 00:17", "1 00:10 00:22"]);
}

/// The first view goes by panes (count, sum, min, max), the second cannot
/// (count distinct) and takes each row through all of its windows.
#[test]
fn grouped_hops_agree_with_and_without_panes() {
    let hop = "FROM hop(orders, t, INTERVAL '4 minutes', INTERVAL '6 minutes') GROUP BY k, window_start, window_end";
    let by_panes = format!(
        "SELECT k, window_end, count(*) AS c, count(n) FILTER (WHERE n > 1) AS f, sum(n) AS s, min(n) AS lo, max(n) AS hi {hop}"
    );
    let by_rows = format!(
        "SELECT k, window_end, count(*) AS c, count(n) FILTER (WHERE n > 1) AS f, sum(n) AS s, min(n) AS lo, max(n) AS hi, count(DISTINCT id) AS d {hop}"
    );
    let mut warehouse = Warehouse::new(&[&by_panes, &by_rows]);
    // Windows begin at 0, 4, 8 …; panes are 2 minutes. Minute 1 is in [0,6) and
    // [-4,2); minute 4 in [0,6) and [4,10); minute 6 in [4,10) only; minute 7 so.
    warehouse.epoch(vec![upsert(
        "orders",
        &[
            (1, "a", Some(1), 1),
            (2, "a", Some(4), 2),
            (3, "a", Some(6), 4),
        ],
        1,
    )]);
    let expected = [
        "a 00:02 1 0 1 1 1",
        "a 00:06 2 1 3 1 2",
        "a 00:10 2 2 6 2 4",
    ];
    assert_eq!(warehouse.of("v"), expected);
    // The largest of [4,10) leaves, and the only one of [-4,2).
    warehouse.epoch(vec![
        delete("orders", &[(3, "a", Some(6), 4)], 2),
        upsert("orders", &[(1, "a", Some(7), 1)], 2),
    ]);
    let expected = ["a 00:06 1 1 2 2 2", "a 00:10 2 1 3 1 2"];
    assert_eq!(warehouse.of("v"), expected);
    let with_distinct: Vec<String> = warehouse
        .of("w")
        .iter()
        .map(|row| row.rsplit_once(' ').unwrap().0.to_owned())
        .collect();
    assert_eq!(with_distinct, expected);
}

#[test]
fn sessions_grow_merge_and_split() {
    let mut warehouse = Warehouse::new(&[
        "SELECT id, window_start, window_end FROM session(orders, k, t, INTERVAL '10 minutes')",
        "SELECT k, window_start, window_end, count(*) AS c, sum(n) AS s
         FROM session(orders, k, t, INTERVAL '10 minutes') GROUP BY k, window_start, window_end",
    ]);
    // Minutes 0 and 9 are one session; 19 is exactly a gap after 9 and begins
    // the next; another key has sessions of its own.
    let rows = [
        (1, "a", Some(0), 1),
        (2, "a", Some(9), 2),
        (3, "a", Some(19), 4),
        (4, "b", Some(5), 8),
    ];
    warehouse.epoch(vec![upsert("orders", &rows, 1)]);
    let expected = [
        "a 00:00 00:19 2 3",
        "a 00:19 00:29 1 4",
        "b 00:05 00:15 1 8",
    ];
    assert_eq!(warehouse.of("w"), expected);
    // A late row at 12 joins the two sessions of `a`.
    warehouse.epoch(vec![upsert("orders", &[(5, "a", Some(12), 16)], 2)]);
    let expected = ["a 00:00 00:29 4 23", "b 00:05 00:15 1 8"];
    assert_eq!(warehouse.of("w"), expected);
    assert_eq!(
        warehouse.of("v"),
        [
            "1 00:00 00:29",
            "2 00:00 00:29",
            "3 00:00 00:29",
            "4 00:05 00:15",
            "5 00:00 00:29"
        ]
    );
    warehouse.restart();
    // Without the row at 9, the one at 12 is too far from 0: the session splits.
    warehouse.epoch(vec![delete("orders", &[(2, "a", Some(9), 2)], 3)]);
    let expected = [
        "a 00:00 00:10 1 1",
        "a 00:12 00:29 2 20",
        "b 00:05 00:15 1 8",
    ];
    assert_eq!(warehouse.of("w"), expected);
    // A row changes its key and leaves nothing behind.
    warehouse.epoch(vec![upsert("orders", &[(1, "b", Some(0), 1)], 4)]);
    let expected = ["a 00:12 00:29 2 20", "b 00:00 00:15 2 9"];
    assert_eq!(warehouse.of("w"), expected);
}

#[test]
fn a_row_inside_a_session_moves_no_other_row() {
    let mut warehouse = Warehouse::new(&[
        "SELECT id, window_start, window_end FROM session(events, k, t, INTERVAL '10 minutes')",
    ]);
    let rows: Vec<_> = (0..9).map(|i| (i, "a", Some(i), 0)).collect();
    warehouse.epoch(vec![insert("events", &rows)]);
    warehouse.epoch(vec![insert("events", &[(100, "a", Some(4), 0)])]);
    assert_eq!(warehouse.last["v"], [("100 00:00 00:18".to_owned(), 1)]);
}

#[test]
fn windows_work_over_tables_views_subqueries_and_names_of_them() {
    let mut warehouse = Warehouse::new(&[
        "SELECT id, t, n FROM events WHERE n > 1",
        "SELECT window_end, count(*) AS c FROM tumble(v, t, INTERVAL '1 hour') GROUP BY window_end",
        "WITH big AS (SELECT id, t AS at FROM v WHERE n > 2)
         SELECT h.id, h.window_start FROM hop(big, at, INTERVAL '30 minutes', INTERVAL '1 hour') h
         JOIN v ON v.id = h.id",
        "SELECT id, window_end FROM session((SELECT * FROM events WHERE k = 'a'), t, INTERVAL '1 hour') AS s WHERE s.window_start IS NOT NULL",
        "SELECT events.id FROM tumble(events, t, INTERVAL '1 day') WHERE events.n = 1",
    ]);
    warehouse.epoch(vec![insert(
        "events",
        &[
            (1, "a", Some(10), 1),
            (2, "a", Some(20), 2),
            (3, "b", Some(70), 3),
        ],
    )]);
    assert_eq!(warehouse.of("w"), ["01:00 1", "02:00 1"]);
    assert_eq!(warehouse.of("x"), ["3 00:30", "3 01:00"]);
    assert_eq!(warehouse.of("y"), ["1 01:20", "2 01:20"]);
    assert_eq!(warehouse.of("z"), ["1"]);
}

/// A filter on a column that is no key must not be moved below the session: the
/// filtered rows still hold it together.
#[test]
fn a_filter_above_a_session_does_not_cut_it() {
    let mut warehouse = Warehouse::new(&[
        "SELECT id, window_start, window_end FROM session(events, k, t, INTERVAL '10 minutes') WHERE n <> 5 AND k = 'a'",
    ]);
    let rows = [
        (1, "a", Some(0), 1),
        (2, "a", Some(8), 5),
        (3, "a", Some(16), 1),
        (4, "b", Some(16), 1),
    ];
    warehouse.epoch(vec![insert("events", &rows)]);
    assert_eq!(warehouse.of("v"), ["1 00:00 00:26", "3 00:00 00:26"]);
}

/// Days of a shop in Berlin: 2024-03-31 has 23 hours and 2024-10-27 has 25.
/// Local midnight is 23:00 UTC in winter and 22:00 UTC in summer.
#[test]
fn days_of_a_time_zone_change_with_its_clock() {
    let mut warehouse = Warehouse::new(&[
        "SELECT date_trunc('day', t AT TIME ZONE 'Europe/Berlin') AS day, count(*) AS c
         FROM events GROUP BY date_trunc('day', t AT TIME ZONE 'Europe/Berlin')",
        "SELECT date_bin(INTERVAL '15 minutes', t) AS quarter, count(*) AS c
         FROM events GROUP BY 1",
    ]);
    let day = 24 * 60;
    // Days since 2024-01-01: 2024-03-31 is day 90, 2024-10-27 is day 300.
    let (march, october) = (90 * day, 300 * day);
    let at = |id, minute| (id, "a", Some(minute), 1);
    warehouse.epoch(vec![insert(
        "events",
        &[
            at(1, march - 61),            // 30 March 23:59 local
            at(2, march - 60),            // 31 March 00:00 local
            at(3, march + 22 * 60 - 1),   // 31 March 23:59 local, 23 hours later
            at(4, march + 22 * 60),       // 1 April
            at(5, october - 120),         // 27 October 00:00 local, summer time
            at(6, october + 23 * 60 - 1), // 27 October 23:59 local, 25 hours later
            at(7, october + 23 * 60),     // 28 October
        ],
    )]);
    let counts: Vec<i64> = warehouse
        .of("v")
        .iter()
        .map(|row| row.rsplit_once(' ').unwrap().1.parse().unwrap())
        .collect();
    let mut sorted = counts.clone();
    sorted.sort_unstable();
    // 30 March 1, 31 March 2, 1 April 1, 27 October 2, 28 October 1.
    assert_eq!(sorted, [1, 1, 1, 2, 2], "{:?}", warehouse.of("v"));
    assert_eq!(warehouse.of("w").len(), 7);
}

fn error_of(select: &str) -> String {
    let errors = Program::plan(&tables(), &views(&[select])).unwrap_err();
    let texts: Vec<String> = errors.iter().map(ToString::to_string).collect();
    texts.join("\n")
}

#[test]
fn wrong_windows_are_refused_with_place_and_advice() {
    let cases = [
        (
            "SELECT 1 AS a FROM tumble(events, t)",
            "v.sql:2:20: `tumble` of 2 arguments",
            "tumble(table, time_column, INTERVAL '1 hour')",
        ),
        (
            "SELECT 1 AS a FROM tumble(events, n, INTERVAL '1 hour')",
            "v.sql:2:35: `n` is of type Int64, not a timestamp",
            "cast it in a subquery",
        ),
        (
            "SELECT 1 AS a FROM tumble(events, t, INTERVAL '1 month')",
            "v.sql:2:47:",
            "date_trunc",
        ),
        (
            "SELECT 1 AS a FROM tumble(events, t, INTERVAL '0 hours')",
            "is not a length of time above 0",
            "",
        ),
        (
            "SELECT 1 AS a FROM hop(events, t, INTERVAL '2 hours', INTERVAL '1 hour')",
            "v.sql:2:20: the slide of `hop` is longer than its windows",
            "the slide comes first",
        ),
        (
            "SELECT 1 AS a FROM hop(events, t, INTERVAL '1 second', INTERVAL '1 day')",
            "into 86400 windows; 1440 is the most",
            "longer slide",
        ),
        (
            "SELECT 1 AS a FROM session(events, k || 'x', t, INTERVAL '1 hour')",
            "v.sql:2:36: `k || 'x'` is not a column",
            "session(table, key_column",
        ),
        (
            "SELECT 1 AS a FROM tumble('events', t, INTERVAL '1 hour')",
            "is not the name of a table or view",
            "",
        ),
        (
            "SELECT 1 AS a FROM tumble(nothing, t, INTERVAL '1 hour')",
            "v.sql:2:27:",
            "known tables and views: events",
        ),
        (
            "SELECT 1 AS a FROM tumble((SELECT t, n AS window_end FROM events), t, INTERVAL '1 hour')",
            "has a column `window_end` already",
            "another name",
        ),
        (
            "SELECT 1 AS a FROM generate_series(1, 3)",
            "v.sql:2:20: the table function `generate_series`",
            "tumble, hop and session",
        ),
    ];
    for (select, message, help) in cases {
        let error = error_of(select);
        assert!(error.contains(message), "{select}: {error}");
        assert!(error.contains(help), "{select}: {error}");
    }
}

#[test]
fn windows_in_a_plain_view_are_refused() {
    let mut definitions = views(&["SELECT id FROM tumble(events, t, INTERVAL '1 hour')"]);
    definitions[0].sql = definitions[0].sql.replace("MATERIALIZED ", "");
    let errors = Program::plan(&tables(), &definitions).unwrap_err();
    let text = errors[0].to_string();
    assert!(text.contains("MATERIALIZED VIEW"), "{text}");
}
