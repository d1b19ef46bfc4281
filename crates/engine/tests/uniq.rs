//! Counts of unique values that add up: states in views, over rows that come,
//! change and go, and through checkpoints.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::collections::{BTreeMap, BTreeSet};

use common::{Row, Warehouse, delete, insert, tables, upsert, views};
use sluice_engine::Program;
use sluice_functions::Functions;

const STATES: &str = "SELECT k, h, state, uniq_count(state) AS c, d FROM (
    SELECT k, date_trunc('hour', t) AS h, uniq_state(n, 'number') AS state, count(DISTINCT n) AS d
    FROM events GROUP BY k, h) AS s";

const KEYS: [&str; 3] = ["a", "b", "c"];

/// Numbers that seem random.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005) + 1;
        (self.0 >> 33) % end
    }

    fn row(&mut self, id: i64) -> Row {
        let key = KEYS[self.below(3) as usize];
        (id, key, Some(self.below(300) as i64), self.below(40) as i64)
    }
}

/// `key count` of the distinct numbers.
fn counts<'a>(rows: impl Iterator<Item = &'a Row>) -> Vec<String> {
    let mut numbers: BTreeMap<&str, BTreeSet<i64>> = BTreeMap::new();
    for row in rows {
        numbers.entry(row.1).or_default().insert(row.3);
    }
    let numbers = numbers.iter();
    numbers
        .map(|(key, numbers)| format!("{key} {}", numbers.len()))
        .collect()
}

#[test]
fn merged_states_count_what_count_distinct_counts() {
    let of_orders = STATES.replace("events", "orders");
    let by_key = "SELECT k, uniq_count(uniq_merge(state)) AS c FROM v GROUP BY k";
    let by_key_of_orders = by_key.replace("FROM v", "FROM w");
    let of_both = "SELECT uniq_count(uniq_merge(state)) AS c FROM (
        SELECT state FROM v UNION ALL SELECT state FROM w) AS s";
    let mut warehouse = Warehouse::new(&[STATES, &of_orders, by_key, &by_key_of_orders, of_both]);
    let mut numbers = Numbers(7);
    let mut events: Vec<Row> = Vec::new();
    let mut orders: BTreeMap<i64, Row> = BTreeMap::new();
    for epoch in 1..80_u64 {
        let new: Vec<Row> = (0..numbers.below(4))
            .map(|_| numbers.row(epoch as i64))
            .collect();
        let id = numbers.below(15) as i64;
        let order = numbers.row(id);
        let mut changes = vec![insert("events", &new)];
        if epoch % 3 == 0 {
            changes.push(delete("orders", &[order], epoch));
            orders.remove(&id);
        } else {
            changes.push(upsert("orders", &[order], epoch));
            orders.insert(id, order);
        }
        events.extend(new);
        warehouse.epoch(changes);
        if epoch % 7 == 0 {
            warehouse.restart();
        }
        assert_eq!(warehouse.of("x"), counts(events.iter()), "epoch {epoch}");
        assert_eq!(warehouse.of("y"), counts(orders.values()), "epoch {epoch}");
        let all = events.iter().chain(orders.values());
        let all: BTreeSet<i64> = all.map(|row| row.3).collect();
        assert_eq!(warehouse.of("z"), [all.len().to_string()], "epoch {epoch}");
        for row in warehouse.of("v").iter().chain(&warehouse.of("w")) {
            let [.., count, expected] = row.split(' ').collect::<Vec<_>>()[..] else {
                unreachable!("{row}");
            };
            assert_eq!(count, expected, "{row}");
        }
    }
    let ids = warehouse.of("sluice_uniq_ids");
    let distinct: BTreeSet<&str> = ids
        .iter()
        .map(|id| id.rsplit(' ').next().unwrap())
        .collect();
    assert_eq!(ids.len(), distinct.len(), "an id was given twice: {ids:?}");
}

#[test]
fn a_full_domain_says_so_and_keeps_what_it_has() {
    let functions = Functions::default().with_uniq_ids_max(2);
    let select = "SELECT uniq_count(uniq_state(n, 'number')) AS c, count(*) AS rows FROM orders";
    let mut warehouse = Warehouse::with_functions(&[select], &functions);
    let rows = [(1, "a", None, 10), (2, "a", None, 11), (3, "a", None, 12)];
    warehouse.epoch(vec![upsert("orders", &rows, 1)]);
    assert_eq!(warehouse.of("v"), ["2 2"]);
    let errors = warehouse.of("sluice_evaluation_errors");
    assert_eq!(errors.len(), 1);
    assert!(
        errors[0].contains("the domain `number` of unique values has 2 ids"),
        "{errors:?}"
    );
    // The row that found no id is taken back, and the error with it.
    warehouse.restart();
    warehouse.epoch(vec![upsert("orders", &[(3, "a", None, 10)], 2)]);
    assert_eq!(warehouse.of("v"), ["2 3"]);
    assert!(warehouse.of("sluice_evaluation_errors").is_empty());
}

#[test]
fn states_of_two_domains_are_an_error_of_their_group_until_it_is_right() {
    let by_number = "SELECT k, uniq_state(n, 'number') AS state FROM orders GROUP BY k";
    let by_id = "SELECT k, uniq_state(id, 'order') AS state FROM events GROUP BY k";
    let both = "SELECT uniq_count(uniq_merge(state)) AS c FROM (
        SELECT state FROM v UNION ALL SELECT state FROM w) AS s";
    let mut warehouse = Warehouse::new(&[by_number, by_id, both]);
    let order = [(1, "a", None, 10)];
    warehouse.epoch(vec![insert(
        "events",
        &[(5, "a", None, 1), (6, "b", None, 1)],
    )]);
    assert_eq!(warehouse.of("x"), ["2"]);
    warehouse.epoch(vec![upsert("orders", &order, 1)]);
    assert!(warehouse.of("x").is_empty());
    let errors = warehouse.of("sluice_evaluation_errors");
    assert!(
        errors[0].contains("unique values of `number` and of `order` cannot be merged"),
        "{errors:?}"
    );
    warehouse.epoch(vec![delete("orders", &order, 2)]);
    assert_eq!(warehouse.of("x"), ["2"]);
    assert!(warehouse.of("sluice_evaluation_errors").is_empty());
}

#[test]
fn what_has_no_meaning_is_refused_with_words() {
    let refused = |select: &str| {
        let errors = Program::plan(&tables(), &views(&[select])).unwrap_err();
        errors.iter().map(ToString::to_string).collect::<String>()
    };
    let error = refused("SELECT k, uniq_state(n, k) AS s FROM events GROUP BY k");
    assert!(error.contains("uniq_state(mid, 'device')"), "{error}");
    let error = refused("SELECT k, uniq_state(n, '') AS s FROM events GROUP BY k");
    assert!(error.contains("1 to 255 bytes"), "{error}");
    let error = refused("SELECT uniq_state(n, 'x') OVER (PARTITION BY k) AS s FROM events");
    assert!(error.contains("uniq_merge(state) OVER"), "{error}");
}
