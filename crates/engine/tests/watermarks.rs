//! Watermarks: windows that close, and state that is dropped.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use common::{Warehouse, insert, tables, upsert, views};
use sluice_engine::{EVALUATION_ERRORS, Engine, EngineOptions, Program};

const CLOSED_COUNTS: &str = "SELECT k, window_end, count(*) AS c, count(DISTINCT n) AS d
     FROM tumble(events, t, INTERVAL '10 minutes') GROUP BY k, window_end EMIT ON WINDOW CLOSE";

fn rows_of(warehouse: &Warehouse, view: &str) -> u64 {
    let operators = warehouse.engine.operators().into_iter();
    operators
        .filter(|found| found.view == view)
        .map(|found| found.state_rows + found.index_rows)
        .sum()
}

#[test]
fn a_window_comes_out_once_when_the_watermark_has_passed_its_end() {
    let mut warehouse = Warehouse::new(&[CLOSED_COUNTS]);
    let collections = warehouse.program.collections();
    let view = collections.iter().find(|found| found.name == "v").unwrap();
    assert!(view.append_only, "what came out never changes");
    // Without a watermark nothing is closed.
    warehouse.epoch(vec![insert(
        "events",
        &[(1, "a", Some(3), 7), (2, "a", Some(12), 7)],
    )]);
    assert!(warehouse.of("v").is_empty());
    // At 0:09 the window [0:00, 0:10) is still open and takes the row at 0:09.
    warehouse.epoch_at(
        vec![insert("events", &[(3, "a", Some(9), 8)])],
        &[("events", 9)],
    );
    assert!(warehouse.of("v").is_empty());
    // At 0:10 it is closed, also without new rows.
    warehouse.epoch_at(vec![], &[("events", 10)]);
    assert_eq!(warehouse.last["v"], [("a 00:10 2 2".to_owned(), 1)]);
    warehouse.restart();
    // Everything to 0:30 closes at once; a watermark that goes back is ignored.
    warehouse.epoch_at(
        vec![insert(
            "events",
            &[(4, "b", Some(29), 1), (5, "a", Some(12), 7)],
        )],
        &[("events", 31)],
    );
    warehouse.epoch_at(vec![], &[("events", 5)]);
    let expected = ["a 00:10 2 2", "a 00:20 2 1", "b 00:30 1 1"];
    assert_eq!(warehouse.of("v"), expected);
    assert!(warehouse.of(EVALUATION_ERRORS).is_empty());
}

#[test]
fn hops_by_panes_close_at_their_end_too() {
    let mut warehouse =
        Warehouse::new(
            &["SELECT window_start, window_end, count(*) AS c, sum(n) AS s
         FROM hop(events, t, INTERVAL '5 minutes', INTERVAL '10 minutes')
         GROUP BY window_start, window_end EMIT ON WINDOW CLOSE"],
        );
    // Minute 7 is in [0:00, 0:10) and [0:05, 0:15).
    warehouse.epoch_at(
        vec![insert("events", &[(1, "a", Some(7), 3)])],
        &[("events", 9)],
    );
    assert!(warehouse.of("v").is_empty());
    warehouse.epoch_at(
        vec![insert("events", &[(2, "a", Some(11), 4)])],
        &[("events", 10)],
    );
    assert_eq!(warehouse.of("v"), ["00:00 00:10 1 3"]);
    warehouse.epoch_at(vec![], &[("events", 15)]);
    let expected = ["00:00 00:10 1 3", "00:05 00:15 2 7"];
    assert_eq!(warehouse.of("v"), expected);
    warehouse.epoch_at(vec![], &[("events", 20)]);
    assert_eq!(warehouse.of("v").len(), 3);
    assert_eq!(rows_of(&warehouse, "v"), 0, "all windows are closed");
}

#[test]
fn sessions_close_a_gap_after_their_last_row_and_are_forgotten() {
    let mut warehouse = Warehouse::new(&["SELECT k, window_start, window_end, count(*) AS c
         FROM session(events, k, t, INTERVAL '10 minutes')
         GROUP BY k, window_start, window_end EMIT ON WINDOW CLOSE"]);
    let rows = [
        (1, "a", Some(0), 0),
        (2, "a", Some(8), 0),
        (3, "b", Some(15), 0),
    ];
    warehouse.epoch_at(vec![insert("events", &rows)], &[("events", 15)]);
    // a: [0:00, 0:18). A row at 0:17 would still join it at 0:15, so it waits.
    assert!(warehouse.of("v").is_empty());
    warehouse.epoch_at(
        vec![insert("events", &[(4, "a", Some(17), 0)])],
        &[("events", 17)],
    );
    assert!(warehouse.of("v").is_empty());
    warehouse.restart();
    warehouse.epoch_at(vec![], &[("events", 27)]);
    assert_eq!(warehouse.of("v"), ["a 00:00 00:27 3", "b 00:15 00:25 1"]);
    assert_eq!(rows_of(&warehouse, "v"), 0, "closed sessions take no room");
    // The next session of `a` may begin right where the last one ended.
    warehouse.epoch_at(
        vec![insert("events", &[(5, "a", Some(27), 0)])],
        &[("events", 60)],
    );
    assert_eq!(warehouse.last["v"], [("a 00:27 00:37 1".to_owned(), 1)]);
}

/// The view itself is not held back, and keeps its rows, while the engine
/// forgets the groups.
#[test]
fn state_of_closed_windows_is_dropped_and_their_rows_stay() {
    let mut warehouse = Warehouse::new(&[
        "SELECT k, window_end, count(DISTINCT n) AS d, min(n) AS lo
         FROM tumble(events, t, INTERVAL '10 minutes') GROUP BY k, window_end",
        "SELECT date_trunc('day', t) AS day, count(*) AS c FROM events GROUP BY date_trunc('day', t)",
        "SELECT k, count(*) AS c FROM events GROUP BY k",
        "SELECT date_trunc('day', t AT TIME ZONE 'Asia/Shanghai')::timestamp AS day, count(*) AS c
         FROM events GROUP BY date_trunc('day', t AT TIME ZONE 'Asia/Shanghai')::timestamp",
    ]);
    let day = 24 * 60;
    for number in 0..50 {
        let minute = number * day / 5;
        let rows = [
            (number, "a", Some(minute), 1),
            (number, "b", Some(minute), number),
        ];
        warehouse.epoch_at(vec![insert("events", &rows)], &[("events", minute - 60)]);
        if number == 25 {
            warehouse.restart();
        }
    }
    assert_eq!(warehouse.of("v").len(), 100);
    assert_eq!(warehouse.of("w").len(), 10);
    assert!(
        rows_of(&warehouse, "v") <= 4,
        "{:?}",
        warehouse.engine.metrics()
    );
    // A day's bound has room for any time zone, so the day before may be there.
    assert!(
        rows_of(&warehouse, "w") <= 4,
        "{:?}",
        warehouse.engine.metrics()
    );
    // Nor is it known by how much the clocks of a zone are ahead.
    assert_eq!(warehouse.of("y").len(), 11);
    assert!(
        rows_of(&warehouse, "y") <= 7,
        "{:?}",
        warehouse.engine.metrics()
    );
    // Groups without a time are never finished.
    assert_eq!(rows_of(&warehouse, "x"), 2);
    assert_eq!(warehouse.of("x"), ["a 50", "b 50"]);
    let bytes = |view: &str| {
        let operators = warehouse.engine.operators();
        let found = operators
            .iter()
            .find(|found| found.view == view && found.state_rows > 0);
        found.map_or(0, |found| found.state_bytes)
    };
    assert!(bytes("x") > 0);
}

/// Two logs are joined by window; what one side holds of a closed window can
/// meet nothing any more.
#[test]
fn a_join_by_windows_waits_for_both_sides_and_forgets_both() {
    let windows = |table: &str| format!("tumble({table}, t, INTERVAL '10 minutes')");
    let join = format!(
        "SELECT e.k, e.window_end, e.id AS e, o.id AS o FROM {} AS e JOIN {} AS o
         ON e.k = o.k AND e.window_end = o.window_end EMIT ON WINDOW CLOSE",
        windows("events"),
        windows("others"),
    );
    let mut warehouse = Warehouse::new(&[&join]);
    warehouse.epoch_at(
        vec![
            insert("events", &[(1, "a", Some(1), 0), (2, "a", Some(11), 0)]),
            insert("others", &[(3, "a", Some(2), 0)]),
        ],
        &[("events", 20)],
    );
    // The other table has no watermark yet.
    assert!(warehouse.of("v").is_empty());
    warehouse.epoch_at(
        vec![insert("others", &[(4, "a", Some(12), 0)])],
        &[("others", 10)],
    );
    assert_eq!(warehouse.of("v"), ["a 00:10 1 3"]);
    assert_eq!(
        rows_of(&warehouse, "v"),
        3,
        "window [0:10, 0:20): two rows and their pair"
    );
    warehouse.restart();
    warehouse.epoch_at(vec![], &[("others", 20)]);
    assert_eq!(warehouse.of("v"), ["a 00:10 1 3", "a 00:20 2 4"]);
    // What a checkpoint holds goes with the next one.
    warehouse.restart();
    assert_eq!(rows_of(&warehouse, "v"), 0);
}

#[test]
fn an_idle_table_does_not_hold_windows_back_and_its_late_rows_are_told() {
    let union = "SELECT window_end, count(*) AS c FROM tumble(
             (SELECT t FROM events UNION ALL SELECT t FROM others), t, INTERVAL '10 minutes')
         GROUP BY window_end EMIT ON WINDOW CLOSE";
    let mut warehouse = Warehouse::new(&[union]);
    let both = vec![
        insert("events", &[(1, "a", Some(5), 0)]),
        insert("others", &[(2, "a", Some(6), 0)]),
    ];
    warehouse.epoch_at(both, &[("events", 5), ("others", 6)]);
    warehouse.epoch_at(vec![], &[("events", 30)]);
    assert!(
        warehouse.of("v").is_empty(),
        "`others` holds the window open"
    );
    warehouse.engine.set_idle("others", true);
    warehouse.epoch(vec![]);
    assert_eq!(warehouse.of("v"), ["00:10 2"]);
    warehouse.restart();
    warehouse.engine.set_idle("others", false);
    // A row older than what was closed meanwhile cannot be counted any more.
    let rows = [(3, "a", Some(29), 0), (4, "a", Some(31), 0)];
    warehouse.epoch_at(vec![insert("others", &rows)], &[("others", 8)]);
    warehouse.epoch_at(vec![], &[("events", 40), ("others", 40)]);
    assert_eq!(warehouse.of("v"), ["00:10 2", "00:40 1"]);
    let errors = warehouse.of(EVALUATION_ERRORS);
    assert_eq!(errors.len(), 1);
    assert!(
        errors[0].starts_with("others the row came when windows"),
        "{errors:?}"
    );
    assert!(errors[0].contains("id=3"), "{errors:?}");
}

#[test]
fn views_on_closed_windows_go_on_from_them() {
    let mut warehouse = Warehouse::new(&[
        CLOSED_COUNTS,
        "SELECT window_end, sum(c) AS s FROM tumble((SELECT window_end - INTERVAL '1 second' AS at, c FROM v), at, INTERVAL '1 hour') GROUP BY window_end",
    ]);
    let rows = [
        (1, "a", Some(5), 0),
        (2, "a", Some(59), 0),
        (3, "b", Some(61), 0),
    ];
    warehouse.epoch_at(vec![insert("events", &rows)], &[("events", 60)]);
    assert_eq!(warehouse.of("w"), ["01:00 2"]);
}

#[test]
fn what_never_closes_is_refused_at_its_place() {
    let cases = [
        (
            "SELECT window_end, count(*) AS c FROM tumble(orders, t, INTERVAL '1 hour') GROUP BY window_end\nEMIT ON WINDOW CLOSE",
            "v.sql:3:1: EMIT ON WINDOW CLOSE of windows that can change at any time, because of `orders`",
        ),
        (
            "SELECT k, count(*) AS c FROM events GROUP BY k\n EMIT ON WINDOW CLOSE",
            "v.sql:3:2: EMIT ON WINDOW CLOSE of a view without windows",
        ),
        (
            "SELECT count(*) AS c FROM tumble(events, t, INTERVAL '1 hour') GROUP BY window_end\nEMIT ON WINDOW CLOSE",
            "v.sql:3:1: EMIT ON WINDOW CLOSE, but no window_end among the columns",
        ),
        (
            "SELECT e.id, e.window_end FROM tumble(events, t, INTERVAL '1 hour') e JOIN orders o ON o.id = e.id\nEMIT ON WINDOW CLOSE",
            "because of `orders`",
        ),
    ];
    for (select, expected) in cases {
        let errors = Program::plan(&tables(), &views(&[select])).unwrap_err();
        let text = errors[0].to_string();
        assert!(text.contains(expected), "{select}: {text}");
        assert!(text.contains("help: "), "{text}");
    }
    let mut definitions = views(&["SELECT id FROM events EMIT ON WINDOW CLOSE"]);
    definitions[0].sql = definitions[0].sql.replace("MATERIALIZED ", "");
    let errors = Program::plan(&tables(), &definitions).unwrap_err();
    assert!(errors[0].to_string().contains("of a plain view"));
}

/// A changelog has no lateness: its windows stay open, and nothing is dropped.
#[test]
fn a_changelog_corrects_windows_of_any_age() {
    let mut warehouse = Warehouse::new(&[
        "SELECT window_end, sum(n) AS s FROM tumble(orders, t, INTERVAL '10 minutes') GROUP BY window_end",
    ]);
    warehouse.epoch_at(
        vec![upsert("orders", &[(1, "a", Some(1), 5)], 1)],
        &[("orders", 1000)],
    );
    warehouse.epoch_at(
        vec![upsert("orders", &[(1, "a", Some(1), 3)], 2)],
        &[("orders", 2000)],
    );
    assert_eq!(warehouse.of("v"), ["00:10 3"]);
}

#[test]
fn a_group_without_a_time_outlives_the_one_whose_place_it_takes() {
    let mut warehouse = Warehouse::new(&["SELECT date_trunc('hour', m) AS h, count(*) AS c FROM (
             SELECT k, date_trunc('minute', t) AS m, count(*) AS c
             FROM events GROUP BY k, date_trunc('minute', t) HAVING count(*) < 2
         ) AS d GROUP BY date_trunc('hour', m)"]);
    // So many groups come and go that the one without a time takes the place of
    // one that had one.
    let rows: Vec<_> = (0..700)
        .map(|hour| (hour, "a", Some(60 * hour), 0))
        .collect();
    warehouse.epoch(vec![insert("events", &rows)]);
    assert_eq!(warehouse.of("v").len(), 700);
    warehouse.epoch(vec![insert("events", &rows)]);
    assert!(warehouse.of("v").is_empty());
    warehouse.epoch(vec![insert("events", &[(1, "a", None, 0)])]);
    warehouse.epoch_at(vec![], &[("events", 60 * 3_000)]);
    warehouse.epoch(vec![insert("events", &[(2, "b", None, 0)])]);
    assert_eq!(warehouse.of("v"), ["null 2"]);
}

#[test]
fn a_checkpoint_from_before_watermarks_were_kept_opens() {
    /// Format version, fingerprint, epoch.
    const OLD_HEADER_BYTES: usize = 1 + 8 + 8;
    let mut warehouse = Warehouse::new(&[CLOSED_COUNTS]);
    warehouse.epoch_at(
        vec![insert("events", &[(1, "a", Some(3), 7)])],
        &[("events", 3)],
    );
    let mut parts = warehouse.engine.checkpoint().unwrap().changed;
    parts.get_mut("program").unwrap().truncate(OLD_HEADER_BYTES);
    let options = EngineOptions::default();
    let program = warehouse.program.clone();
    warehouse.engine = Engine::restore(program, options, 1, &parts).unwrap();
    assert_eq!(warehouse.engine.watermark("events"), None);
    warehouse.epoch_at(vec![], &[("events", 10)]);
    assert_eq!(warehouse.of("v"), ["a 00:10 1 1"]);
}

/// Rows of both sides, ten minutes after the other, each in an epoch of its own
/// with watermarks: what each of the views gives, and what is held at the end.
fn run_interval_joins(selects: &[&str], epochs: i64) -> (Warehouse, u64) {
    let mut warehouse = Warehouse::new(selects);
    for epoch in 0..epochs {
        let keys = ["a", "b", "a"];
        let row = |minute: i64| (minute, keys[minute as usize % 3], Some(minute), minute);
        let of_epoch: Vec<_> = (epoch * 10..epoch * 10 + 10).map(row).collect();
        let (early, late) = of_epoch.split_at(6);
        let mark = epoch * 10;
        let changes = vec![insert("events", early), insert("others", late)];
        warehouse.epoch_at(changes, &[("events", mark), ("others", mark)]);
        if epoch % 97 == 50 {
            warehouse.restart();
        }
    }
    let held = warehouse.engine.operators().into_iter();
    let held = held.map(|found| found.state_rows + found.index_rows).sum();
    (warehouse, held)
}

/// Pairs of minutes (of events, of others) with equal keys, and minutes of
/// events without a partner, as `run_interval_joins` gives them.
fn near(epochs: i64, is_near: impl Fn(i64) -> bool) -> (usize, usize) {
    let minutes = 0..epochs * 10;
    let (events, others): (Vec<i64>, Vec<i64>) = minutes.partition(|minute| minute % 10 < 6);
    let is_b = |minute: i64| minute % 3 == 1;
    let partners = |event: &i64| {
        let with = others.iter().filter(|&&other| is_b(*event) == is_b(other));
        with.filter(|&&other| is_near(event - other)).count()
    };
    let alone = events.iter().filter(|event| partners(event) == 0);
    (events.iter().map(partners).sum(), alone.count())
}

#[test]
fn rows_that_can_meet_no_partner_leave_an_interval_join() {
    let select = |kind: &str| {
        format!(
            "SELECT e.id AS e, o.id AS o FROM events e {kind} JOIN others o ON e.k = o.k
             AND e.t BETWEEN o.t - INTERVAL '3 minutes' AND o.t + INTERVAL '7 minutes'"
        )
    };
    let is_near = |distance| (-3..=7).contains(&distance);
    for (kind, epochs) in [("", 200), ("LEFT", 400), ("FULL", 400)] {
        let (warehouse, held) = run_interval_joins(&[&select(kind)], epochs);
        let (pairs, alone) = near(epochs, is_near);
        let found = warehouse.of("v");
        let is_whole = |row: &&String| !row.contains("null");
        assert_eq!(found.iter().filter(is_whole).count(), pairs, "{kind}");
        let without = found.iter().filter(|row| row.ends_with("null")).count();
        assert_eq!(without, if kind.is_empty() { 0 } else { alone }, "{kind}");
        // Of 2,000 and 4,000 rows those of the last minutes, and of those with
        // partners as many as are not worth a look.
        let most = if kind.is_empty() { 60 } else { 600 };
        assert!(held <= most, "{kind}: {held} rows are held");
        assert!(warehouse.of(EVALUATION_ERRORS).is_empty());
    }
}

#[test]
fn one_bound_lets_the_rows_of_one_side_go() {
    let select = "SELECT e.id AS e, o.id AS o FROM events e JOIN others o ON e.k = o.k
         AND e.t - INTERVAL '7 minutes' < o.t AND o.id < 20";
    let (warehouse, held) = run_interval_joins(&[select], 100);
    let is_b = |minute: i64| minute % 3 == 1;
    let others = (0..20).filter(|minute| minute % 10 >= 6);
    let met = others.map(|other| {
        let events = (0..1_000).filter(|minute| minute % 10 < 6);
        let near = events.filter(|&event| event - other < 7 && is_b(event) == is_b(other));
        near.count()
    });
    assert_eq!(warehouse.of("v").len(), met.sum::<usize>());
    // 600 events and 8 others; every later other meets all events.
    assert!((600..=650).contains(&held), "{held} rows are held");
}

#[test]
fn groups_over_an_interval_join_close() {
    let selects = [
        "SELECT e.id, e.k, e.t AS t, o.id AS other FROM events e LEFT JOIN others o ON e.k = o.k
         AND e.t >= o.t - INTERVAL '3 minutes' AND o.t + INTERVAL '7 minutes' >= e.t",
        "SELECT window_end, count(*) AS c, count(other) AS p
         FROM tumble(v, t, INTERVAL '10 minutes') GROUP BY window_end EMIT ON WINDOW CLOSE",
    ];
    let (warehouse, _) = run_interval_joins(&selects, 30);
    let closed = warehouse.of("w");
    assert!(closed.len() > 20, "{closed:?}");
    let pairs: usize = closed
        .iter()
        .map(|row| row.rsplit(' ').next().unwrap().parse::<usize>().unwrap())
        .sum();
    let first_epochs = near(30, |distance| (-3..=7).contains(&distance)).0;
    assert!(
        pairs > first_epochs * 3 / 4 && pairs <= first_epochs,
        "{pairs} of {first_epochs}"
    );
    assert!(rows_of(&warehouse, "w") <= 10, "closed groups are held");
}
