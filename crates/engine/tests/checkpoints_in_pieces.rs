//! A checkpoint whose state is collected in pieces between the epochs before
//! it: an engine made of it goes on as one that was never stopped.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod common;

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::util::display::{ArrayFormatter, FormatOptions};
use common::{Row, delete, insert, tables, upsert, views};
use sluice_core::TableChanges;
use sluice_engine::{Engine, EngineOptions, EpochOutput, Program};

/// Enough keys that all bases are written at once when all is new.
const KEYS: i64 = 30_000;

const VIEWS: [&str; 3] = [
    "SELECT id % 9000 AS g, count(*) AS c, sum(n) AS s FROM orders GROUP BY id % 9000",
    "SELECT k, count(DISTINCT n) AS d, min(n) AS lo FROM orders GROUP BY k",
    "SELECT e.id AS e, o.n AS n FROM events e LEFT JOIN orders o ON e.id = o.id AND o.n > 3",
];

type Content = BTreeMap<String, i64>;

/// Rows of views and tables by their text.
fn add(contents: &mut Content, output: &EpochOutput) {
    let options = FormatOptions::default().with_null("null");
    for (name, delta) in &output.deltas {
        let columns = delta.rows().columns().iter();
        let columns: Vec<_> = columns
            .map(|column| ArrayFormatter::try_new(column.as_ref(), &options).unwrap())
            .collect();
        for (row, weight) in delta.weights().iter().enumerate() {
            let cells: Vec<String> = columns.iter().map(|it| it.value(row).to_string()).collect();
            *contents
                .entry(format!("{name}: {}", cells.join(" ")))
                .or_default() += weight;
        }
    }
    contents.retain(|_, weight| *weight != 0);
}

/// Changes of rows all over the keys, and deletions, some of which come back.
fn epoch(number: i64, count: i64) -> Vec<TableChanges> {
    let row = |step: i64| -> Row {
        let id = (number * 7_919 + step * 104_729) % KEYS;
        (
            id,
            ["a", "b", "c"][(id % 3) as usize],
            None,
            (number + step) % 11,
        )
    };
    let changed: Vec<Row> = (0..count).map(row).collect();
    let deleted: Vec<Row> = (count..count + count / 3).map(row).collect();
    let events: Vec<Row> = changed.iter().step_by(5).copied().collect();
    let version = number as u64 * 2;
    vec![
        upsert("orders", &changed, version),
        delete("orders", &deleted, version + 1),
        insert("events", &events),
    ]
}

#[test]
fn an_engine_made_of_pieces_goes_on_as_if_never_stopped() {
    let program = Arc::new(Program::plan(&tables(), &views(&VIEWS)).unwrap());
    let options = EngineOptions {
        collected_rows_min: 700,
        ..EngineOptions::with_threads(1)
    };
    let mut undisturbed = Engine::new(program.clone(), options.clone()).unwrap();
    let mut engine = Engine::new(program.clone(), options.clone()).unwrap();
    let (mut wanted, mut found) = (Content::new(), Content::new());
    let mut parts: BTreeMap<String, Vec<u8>> = BTreeMap::new();
    let (mut pieces, mut checkpoints, mut longest) = (0, 0, 0);
    let mut is_due = false;
    for number in 1..=260 {
        let count = if number == 1 { KEYS } else { 60 };
        add(
            &mut wanted,
            &undisturbed
                .step(number, epoch(number as i64, count))
                .unwrap(),
        );
        add(
            &mut found,
            &engine.step(number, epoch(number as i64, count)).unwrap(),
        );
        if number % 10 == 0 {
            assert_eq!(found, wanted, "epoch {number}");
        }
        is_due |= number == 3 || number % 30 == 0;
        // Now and then it does not wait until all is collected.
        let is_impatient = number % 71 == 0;
        if is_due && !is_impatient && !engine.collect_ahead() {
            pieces += 1;
            continue;
        }
        if !is_due {
            continue;
        }
        is_due = false;
        longest = longest.max(pieces);
        pieces = 0;
        checkpoints += 1;
        let checkpoint = engine.checkpoint().unwrap();
        parts.extend(checkpoint.changed);
        parts.retain(|name, _| checkpoint.live.contains(name));
        assert_eq!(parts.len(), checkpoint.live.len(), "a part is missing");
        if checkpoints % 2 == 1 {
            engine = Engine::restore(program.clone(), options.clone(), number, &parts).unwrap();
        }
    }
    assert!(checkpoints > 5, "{checkpoints} checkpoints");
    assert!(longest > 20, "at most {longest} pieces");
}
