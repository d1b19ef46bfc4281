//! Joins with versions: `FOR SYSTEM_TIME AS OF` and `LOOKUP`, with answers
//! worked out by hand.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use common::{Warehouse, delete, insert, tables, upsert, views};
use sluice_engine::Program;

/// `orders` stands for a price list: id is the article, t since when the price
/// n holds.
const AS_OF: &str = "SELECT e.k, e.t, p.n AS price FROM events e
     JOIN orders FOR SYSTEM_TIME AS OF e.t AS p ON e.n = p.id";

#[test]
fn as_of_takes_the_version_that_held_and_late_versions_correct() {
    let mut warehouse = Warehouse::new(&[AS_OF, &AS_OF.replace("JOIN", "LEFT JOIN")]);
    // Article 7 costs 100 from 0:10 and 110 from 0:20, both in one epoch.
    warehouse.epoch(vec![
        upsert("orders", &[(7, "", Some(10), 100)], 1),
        upsert("orders", &[(7, "", Some(20), 110)], 2),
        insert(
            "events",
            &[
                (1, "early", Some(9), 7),
                (2, "at", Some(10), 7),
                (3, "before", Some(19), 7),
                (4, "after", Some(25), 7),
                (5, "other", Some(25), 8),
            ],
        ),
    ]);
    let expected = ["after 00:25 110", "at 00:10 100", "before 00:19 100"];
    assert_eq!(warehouse.of("v"), expected);
    let expected = [
        "after 00:25 110",
        "at 00:10 100",
        "before 00:19 100",
        "early 00:09 null",
        "other 00:25 null",
    ];
    assert_eq!(warehouse.of("w"), expected);
    warehouse.restart();
    // It comes out late that the price was 105 from 0:15 on, and that there was
    // one before 0:10.
    warehouse.epoch(vec![upsert(
        "orders",
        &[(7, "", Some(15), 105), (7, "", Some(0), 90)],
        3,
    )]);
    let expected = [
        "after 00:25 110",
        "at 00:10 100",
        "before 00:19 105",
        "early 00:09 90",
    ];
    assert_eq!(warehouse.of("v"), expected);
    // A version is corrected; a deletion does not change what held before.
    warehouse.epoch(vec![upsert("orders", &[(7, "", Some(20), 111)], 4)]);
    warehouse.epoch(vec![delete("orders", &[(7, "", Some(20), 111)], 5)]);
    // The same change delivered again changes nothing.
    warehouse.epoch(vec![upsert("orders", &[(7, "", Some(20), 110)], 2)]);
    assert!(!warehouse.last.contains_key("v"));
    warehouse.epoch(vec![insert("events", &[(6, "late", Some(30), 7)])]);
    let expected = [
        "after 00:25 111",
        "at 00:10 100",
        "before 00:19 105",
        "early 00:09 90",
        "late 00:30 111",
    ];
    assert_eq!(warehouse.of("v"), expected);
}

/// The rows are the same however the changes are cut into epochs.
#[test]
fn as_of_does_not_depend_on_the_cuts() {
    let changes = || {
        vec![
            upsert("orders", &[(7, "", Some(10), 1)], 1),
            insert("events", &[(1, "x", Some(12), 7), (2, "x", Some(18), 7)]),
            upsert("orders", &[(7, "", Some(15), 2)], 2),
            delete("orders", &[(7, "", Some(15), 2)], 3),
            upsert("orders", &[(7, "", Some(16), 3)], 4),
        ]
    };
    let select =
        "SELECT e.id, p.n FROM events e JOIN orders FOR SYSTEM_TIME AS OF e.t AS p ON e.n = p.id";
    let mut at_once = Warehouse::new(&[select]);
    at_once.epoch(changes());
    let mut one_by_one = Warehouse::new(&[select]);
    for change in changes() {
        one_by_one.epoch(vec![change]);
    }
    assert_eq!(at_once.of("v"), ["1 1", "2 3"]);
    assert_eq!(one_by_one.of("v"), at_once.of("v"));
}

#[test]
fn a_filter_on_the_version_does_not_choose_another() {
    let mut warehouse = Warehouse::new(&[
        "SELECT e.id, p.n FROM events e JOIN orders FOR SYSTEM_TIME AS OF e.t AS p ON e.n = p.id
         JOIN others o ON o.id = e.id WHERE p.n < 5 AND p.k = 'x'",
    ]);
    warehouse.epoch(vec![
        upsert("orders", &[(7, "x", Some(10), 1)], 1),
        upsert("orders", &[(7, "x", Some(20), 9)], 2),
        insert("events", &[(1, "", Some(15), 7), (2, "", Some(25), 7)]),
        insert("others", &[(1, "", None, 0), (2, "", None, 0)]),
    ]);
    assert_eq!(warehouse.of("v"), ["1 1"]);
}

#[test]
fn as_of_a_log_of_versions_closes_windows() {
    let mut warehouse = Warehouse::new(&["SELECT window_end, sum(price) AS s FROM tumble(
             (SELECT e.t AS at, o.n AS price FROM events e
              LEFT JOIN others FOR SYSTEM_TIME AS OF e.t AS o ON e.n = o.id),
             at, INTERVAL '10 minutes') GROUP BY window_end EMIT ON WINDOW CLOSE"]);
    warehouse.epoch_at(
        vec![
            insert("others", &[(7, "", Some(0), 100)]),
            insert("events", &[(1, "", Some(1), 7), (2, "", Some(5), 7)]),
        ],
        &[("events", 20)],
    );
    assert!(
        warehouse.of("v").is_empty(),
        "a late price could still come"
    );
    warehouse.epoch_at(
        vec![insert("others", &[(7, "", Some(4), 50)])],
        &[("others", 10)],
    );
    assert_eq!(warehouse.of("v"), ["00:10 150"]);
}

#[test]
fn lookup_takes_what_is_there_and_is_not_corrected() {
    let lookup = "SELECT e.id, p.n FROM events e JOIN LOOKUP(orders) AS p ON p.id = e.n";
    let mut warehouse = Warehouse::new(&[lookup, &lookup.replace("JOIN", "LEFT JOIN")]);
    warehouse.epoch(vec![
        upsert("orders", &[(7, "", None, 100)], 1),
        insert("events", &[(1, "", None, 7), (2, "", None, 8)]),
    ]);
    assert_eq!(warehouse.of("v"), ["1 100"], "of the row's own epoch");
    warehouse.restart();
    warehouse.epoch(vec![upsert(
        "orders",
        &[(7, "", None, 200), (8, "", None, 300)],
        2,
    )]);
    assert!(!warehouse.last.contains_key("v"), "no correction");
    warehouse.epoch(vec![insert("events", &[(3, "", None, 7)])]);
    warehouse.epoch(vec![delete("orders", &[(7, "", None, 200)], 3)]);
    warehouse.epoch(vec![insert("events", &[(4, "", None, 7)])]);
    assert_eq!(warehouse.of("v"), ["1 100", "3 200"]);
    assert_eq!(warehouse.of("w"), ["1 100", "2 null", "3 200", "4 null"]);
    let collections = warehouse.program.collections();
    let view = collections.iter().find(|found| found.name == "v").unwrap();
    assert!(view.append_only);
}

#[test]
fn looked_up_rows_keep_their_windows() {
    let mut warehouse = Warehouse::new(&[
        "SELECT window_end, p.k, count(*) AS c FROM tumble(events, t, INTERVAL '10 minutes') AS e
         JOIN LOOKUP(orders) AS p ON e.n = p.id GROUP BY window_end, p.k EMIT ON WINDOW CLOSE",
    ]);
    warehouse.epoch_at(
        vec![
            upsert("orders", &[(7, "red", None, 0)], 1),
            insert("events", &[(1, "", Some(1), 7), (2, "", Some(2), 7)]),
        ],
        &[("events", 10)],
    );
    assert_eq!(warehouse.of("v"), ["00:10 red 2"]);
}

#[test]
fn what_has_no_versions_is_refused_at_its_place() {
    let cases = [
        (
            "SELECT e.id FROM events e JOIN LOOKUP(orders) AS p ON e.n > p.id",
            "in the ON of a join with versions",
            "other conditions into WHERE",
        ),
        (
            "SELECT o.id FROM orders o JOIN LOOKUP(events) AS p ON o.n = p.id",
            "LOOKUP from rows that can change",
            "FOR SYSTEM_TIME AS OF",
        ),
        (
            "SELECT e.id FROM events e FULL JOIN LOOKUP(orders) AS p ON e.n = p.id",
            "this kind of join with versions",
            "LEFT JOIN",
        ),
        (
            "SELECT id FROM orders FOR SYSTEM_TIME AS OF t",
            "v.sql:2:16: FOR SYSTEM_TIME AS OF of a table that is not joined",
            "put the log first",
        ),
        (
            "SELECT e.id FROM events e JOIN orders FOR SYSTEM_TIME AS OF now() AS p ON e.n = p.id",
            "now",
            "",
        ),
        (
            "WITH c AS (SELECT * FROM orders) SELECT e.id FROM events e JOIN c FOR SYSTEM_TIME AS OF e.t AS p ON e.n = p.id",
            "v.sql:2:65: `c` has no versions",
            "event_time in sources/*.toml",
        ),
    ];
    for (select, message, help) in cases {
        let errors = Program::plan(&tables(), &views(&[select])).unwrap_err();
        let text = errors[0].to_string();
        assert!(text.contains(message), "{select}: {text}");
        assert!(text.contains(help), "{select}: {text}");
    }
}
