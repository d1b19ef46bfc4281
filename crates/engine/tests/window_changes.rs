//! Window functions follow their changes: after every epoch each view equals what an
//! engine gives that gets all rows at once and so computes whole partitions, and a
//! change costs the rows that it reaches.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "common/content.rs"]
mod content;
#[path = "common/table_changes.rs"]
mod table_changes;

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Array, Int64Array, StringArray};
use arrow::datatypes::DataType;
use content::{Content, add};
use sluice_core::{ChangeKind, ColumnDefinition, TableChanges, TableDefinition, TableKind};
use sluice_engine::{Engine, EngineOptions, Program, ViewDefinition};
use table_changes::table_changes;

const ROWS_BOTH: [&str; 4] = [
    "ROWS BETWEEN 3 PRECEDING AND CURRENT ROW",
    "ROWS BETWEEN 1 PRECEDING AND 2 FOLLOWING",
    "ROWS BETWEEN 4 PRECEDING AND 2 PRECEDING",
    "ROWS BETWEEN 2 FOLLOWING AND 3 FOLLOWING",
];
const RUNNING: [&str; 3] = [
    "ROWS UNBOUNDED PRECEDING",
    "RANGE UNBOUNDED PRECEDING",
    "GROUPS UNBOUNDED PRECEDING",
];
const WHOLE: [&str; 3] = [
    "RANGE BETWEEN 5 PRECEDING AND CURRENT ROW",
    "GROUPS BETWEEN 1 PRECEDING AND CURRENT ROW",
    "ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING",
];
const ORDERS: [&str; 3] = ["o", "o DESC NULLS LAST", "o NULLS FIRST, k, id DESC"];
/// Of any frame.
const OF_FRAMES: [&str; 11] = [
    "count(*)",
    "count(x)",
    "sum(x)",
    "sum(d)",
    "avg(x)",
    "avg(d)",
    "min(t)",
    "max(d)",
    "first_value(d)",
    "last_value(t)",
    "bool_and(x > 0)",
];

#[derive(Debug, Clone, PartialEq)]
struct Row {
    id: i64,
    k: Option<&'static str>,
    o: Option<i64>,
    x: Option<i64>,
    d: Option<f64>,
    t: Option<&'static str>,
}

fn table() -> TableDefinition {
    let columns = [
        ("id", DataType::Int64),
        ("k", DataType::Utf8),
        ("o", DataType::Int64),
        ("x", DataType::Int64),
        ("d", DataType::Float64),
        ("t", DataType::Utf8),
    ];
    let columns = columns.map(|(name, data_type)| ColumnDefinition {
        name: name.into(),
        data_type,
        nullable: name != "id",
    });
    TableDefinition {
        name: "readings".into(),
        columns: columns.into(),
        kind: TableKind::Changelog {
            primary_key: vec![0],
        },
        event_time: None,
        stored: true,
    }
}

fn changes(rows: &[(Row, ChangeKind)], epoch: u64) -> Vec<TableChanges> {
    let cells = rows.iter().map(|(row, _)| row);
    let columns: Vec<ArrayRef> = vec![
        Arc::new(Int64Array::from_iter_values(
            cells.clone().map(|row| row.id),
        )),
        Arc::new(StringArray::from_iter(cells.clone().map(|row| row.k))),
        Arc::new(Int64Array::from_iter(cells.clone().map(|row| row.o))),
        Arc::new(Int64Array::from_iter(cells.clone().map(|row| row.x))),
        Arc::new(Float64Array::from_iter(cells.clone().map(|row| row.d))),
        Arc::new(StringArray::from_iter(cells.map(|row| row.t))),
    ];
    let kinds = rows.iter().map(|(_, kind)| *kind).collect();
    vec![table_changes(&table(), columns, kinds, epoch)]
}

/// The selects as views `v0`, `v1`, ….
fn plan(selects: &[String]) -> Arc<Program> {
    let views = selects.iter().enumerate().map(|(number, select)| {
        let name = format!("v{number}");
        ViewDefinition {
            file: format!("{name}.sql"),
            sql: format!("CREATE MATERIALIZED VIEW {name} AS\n{select}"),
            name,
        }
    });
    let program = Program::plan(&[table()], &views.collect::<Vec<_>>());
    Arc::new(program.unwrap())
}

fn selects() -> Vec<String> {
    let mut selects = Vec::new();
    for order in ORDERS {
        for frame in ROWS_BOTH.into_iter().chain(RUNNING).chain(WHOLE) {
            // Bounds of RANGE are distances in one column.
            if frame.starts_with("RANGE BETWEEN") && order.contains(',') {
                continue;
            }
            let mut calls: Vec<String> = OF_FRAMES.map(str::to_owned).into();
            calls.push("sum(x) FILTER (WHERE x > 2)".into());
            if ROWS_BOTH.contains(&frame) {
                calls.push("nth_value(x, 2)".into());
            }
            let calls = calls.iter().enumerate();
            let calls: Vec<String> = calls
                .map(|(number, call)| format!("{call} OVER w AS c{number}"))
                .collect();
            selects.push(format!(
                "SELECT id, {} FROM readings WINDOW w AS (PARTITION BY k ORDER BY {order} {frame})",
                calls.join(", ")
            ));
        }
        for partition in ["PARTITION BY k", ""] {
            selects.push(format!(
                "SELECT id, row_number() OVER w AS n, rank() OVER w AS r, dense_rank() OVER w AS g,
                    lag(x) OVER w AS a, lead(d, 2) OVER w AS b, lag(t, 3, '?') OVER w AS c,
                    ema(d, 0.25) OVER w AS e, ema(x, 0.5) OVER w AS f
                 FROM readings WINDOW w AS ({partition} ORDER BY {order})"
            ));
            selects.push(format!(
                "SELECT id, lag(x, 2) OVER w AS a, lead(t) OVER w AS b, last_value(x) OVER w AS c
                 FROM readings WINDOW w AS ({partition} ORDER BY {order})"
            ));
        }
    }
    selects.push(
        "SELECT id, ntile(3) OVER w AS a, percent_rank() OVER w AS b, row_number() OVER w AS c
         FROM readings WINDOW w AS (PARTITION BY k ORDER BY o)"
            .into(),
    );
    selects.push(
        "SELECT id, sum(x) OVER (PARTITION BY k ORDER BY o) AS a, rank() OVER (PARTITION BY t ORDER BY x DESC) AS b,
            avg(d) OVER (ORDER BY id ROWS 6 PRECEDING) AS c, row_number() OVER (PARTITION BY k) AS e
         FROM readings"
            .into(),
    );
    selects.push(
        "SELECT id, string_agg(t, '+') OVER w AS a, bit_xor(x) OVER w AS b, stddev(d) OVER w AS c, approx_distinct(x) OVER w AS e
         FROM readings WINDOW w AS (PARTITION BY k ORDER BY o ROWS BETWEEN 3 PRECEDING AND 1 PRECEDING)"
            .into(),
    );
    // Rows that are there several times.
    selects.push(
        "SELECT o, sum(o) OVER w AS a, row_number() OVER w AS b, lag(o) OVER w AS c, rank() OVER w AS r
         FROM (SELECT k, o FROM readings) AS s WINDOW w AS (PARTITION BY k ORDER BY o)"
            .into(),
    );
    selects
}

/// Numbers that seem random.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005) + 1;
        (self.0 >> 33) % end
    }

    fn row(&mut self, id: i64) -> Row {
        let doubles = [0.1, -0.25, 1e16, -1e16, 3.0, 7e-9];
        let (key, text) = (self.below(20), self.below(8));
        Row {
            id,
            k: match key {
                0..=9 => Some("a"),
                10..=17 => Some("b"),
                18 => Some("c"),
                _ => None,
            },
            o: (self.below(20) > 0).then(|| self.below(150) as i64),
            x: (self.below(5) > 0).then(|| self.below(9) as i64 - 1),
            d: (self.below(6) > 0).then(|| doubles[self.below(6) as usize]),
            t: [None, Some("p"), Some("q"), Some("")]
                .get(text as usize)
                .copied()
                .unwrap_or(Some("r")),
        }
    }
}

struct Run {
    program: Arc<Program>,
    engine: Engine,
    epoch: u64,
    rows: BTreeMap<i64, Row>,
    contents: BTreeMap<String, Content>,
    parts: BTreeMap<String, Vec<u8>>,
}

impl Run {
    fn new(selects: &[String]) -> Self {
        let program = plan(selects);
        Self {
            engine: Engine::new(program.clone(), EngineOptions::default()).unwrap(),
            program,
            epoch: 0,
            rows: BTreeMap::new(),
            contents: BTreeMap::new(),
            parts: BTreeMap::new(),
        }
    }

    fn step(&mut self, rows: &[(Row, ChangeKind)]) {
        self.epoch += 1;
        for (row, kind) in rows {
            match kind {
                ChangeKind::Delete => self.rows.remove(&row.id),
                _ => self.rows.insert(row.id, row.clone()),
            };
        }
        let changes = changes(rows, self.epoch);
        let output = self.engine.step(self.epoch, changes).unwrap();
        for (name, delta) in &output.deltas {
            add(self.contents.entry(name.clone()).or_default(), Some(delta));
        }
    }

    fn upsert(&mut self, rows: impl IntoIterator<Item = Row>) {
        let rows: Vec<(Row, ChangeKind)> = rows
            .into_iter()
            .map(|row| (row, ChangeKind::Upsert))
            .collect();
        self.step(&rows);
    }

    fn restart(&mut self, threads: usize) {
        let checkpoint = self.engine.checkpoint().unwrap();
        self.parts.extend(checkpoint.changed);
        self.parts.retain(|name, _| checkpoint.live.contains(name));
        let (program, options) = (self.program.clone(), EngineOptions::with_threads(threads));
        self.engine = Engine::restore(program, options, self.epoch, &self.parts).unwrap();
    }

    /// Compares all views with those of an engine that gets the rows at once.
    fn compare(&self, selects: &[String]) {
        let mut engine = Engine::new(self.program.clone(), EngineOptions::default()).unwrap();
        let rows = self.rows.values();
        let rows: Vec<_> = rows.map(|row| (row.clone(), ChangeKind::Upsert)).collect();
        let output = engine.step(1, changes(&rows, 1)).unwrap();
        for (number, select) in selects.iter().enumerate() {
            let name = format!("v{number}");
            let mut expected = Content::new();
            add(&mut expected, output.deltas.get(&name));
            let found = self.contents.get(&name).cloned().unwrap_or_default();
            let wrong: Vec<_> = found
                .iter()
                .filter(|(row, count)| expected.get(*row) != Some(*count))
                .chain(
                    expected
                        .iter()
                        .filter(|(row, count)| found.get(*row) != Some(*count)),
                )
                .take(6)
                .collect();
            assert!(
                wrong.is_empty(),
                "epoch {}, {select}\n{wrong:#?}",
                self.epoch
            );
        }
    }

    /// How many rows the window functions have read since the engine's start.
    fn rows_evaluated(&self) -> u64 {
        let operators = self.engine.operators();
        operators.iter().map(|found| found.rows_evaluated).sum()
    }

    /// How many rows they read for a step.
    fn cost(&mut self, rows: impl IntoIterator<Item = Row>) -> u64 {
        let before = self.rows_evaluated();
        self.upsert(rows);
        self.rows_evaluated() - before
    }
}

/// One epoch's changes: rows at the end of the order, others, changed ones (also of
/// partition and order), and some that go; each row at most once.
fn random_changes(
    numbers: &mut Numbers,
    run: &Run,
    end: &mut i64,
) -> BTreeMap<i64, (Row, ChangeKind)> {
    let mut changes = BTreeMap::new();
    for _ in 0..=numbers.below(5) {
        let ids: Vec<i64> = run.rows.keys().copied().collect();
        let known = ids[numbers.below(ids.len() as u64) as usize];
        let new = ids[ids.len() - 1] + 1 + numbers.below(1_000) as i64;
        let (id, kind) = match numbers.below(6) {
            0 | 1 => (new, ChangeKind::Upsert),
            2 => (known, ChangeKind::Delete),
            _ => (known, ChangeKind::Upsert),
        };
        let mut row = numbers.row(id);
        match numbers.below(4) {
            0 => {
                *end += numbers.below(2) as i64;
                row.o = Some(*end);
            }
            // Only a value changes.
            1 if id == known => {
                let before = &run.rows[&known];
                (row.k, row.o) = (before.k, before.o);
            }
            _ => {}
        }
        changes.insert(id, (row, kind));
    }
    changes
}

fn follow_random_changes(seed: u64) {
    let selects = selects();
    let mut numbers = Numbers(seed);
    let mut run = Run::new(&selects);
    let first: Vec<Row> = (0..700).map(|id| numbers.row(id)).collect();
    run.upsert(first);
    run.compare(&selects);
    let mut end = 1_000;
    for round in 0..22_usize {
        let changes = random_changes(&mut numbers, &run, &mut end);
        let changes: Vec<_> = changes.into_values().collect();
        run.step(&changes);
        run.compare(&selects);
        match round {
            // Most of a partition goes, and comes again.
            12 => {
                let rows = run.rows.values().filter(|row| row.k == Some("b"));
                let rows = rows.skip(20).map(|row| (row.clone(), ChangeKind::Delete));
                let rows: Vec<_> = rows.collect();
                run.step(&rows);
            }
            14 => {
                let rows: Vec<Row> = (5_000_000..5_000_300).map(|id| numbers.row(id)).collect();
                run.upsert(rows);
            }
            8 | 20 => run.restart(1 + round % 3),
            _ => continue,
        }
        run.compare(&selects);
    }
}

#[test]
fn views_equal_whole_partitions_after_random_changes() {
    follow_random_changes(11);
}

#[test]
fn views_equal_whole_partitions_after_other_random_changes() {
    follow_random_changes(12);
}

/// A row of the only partition.
fn at(order: i64) -> Row {
    Row {
        id: order,
        k: Some("a"),
        o: Some(order),
        x: Some(order % 7),
        d: Some(order as f64 / 3.0),
        t: None,
    }
}

/// A run with 10,000 rows whose orders are even numbers, and an epoch after them.
fn large(select: &str) -> Run {
    let mut run = Run::new(&[select.to_owned()]);
    run.upsert((0..10_000).map(|row| at(2 * row)));
    run.upsert([at(20_000)]);
    run
}

#[test]
fn rows_at_the_end_of_the_order_cost_themselves() {
    let select = "SELECT id, sum(x) OVER w AS a, avg(d) OVER w AS b, row_number() OVER w AS c, rank() OVER w AS e,
            ema(d, 0.2) OVER w AS f, lag(x) OVER w AS g, first_value(x) OVER w AS h, last_value(x) OVER w AS i,
            avg(d) OVER (PARTITION BY k ORDER BY o ROWS 6 PRECEDING) AS j
         FROM readings WINDOW w AS (PARTITION BY k ORDER BY o)";
    let mut run = large(select);
    for row in 10_001..10_100 {
        let cost = run.cost([at(2 * row)]);
        assert!((1..=20).contains(&cost), "{cost} rows for {row}");
    }
    let cost = run.cost((10_100..11_100).map(|row| at(2 * row)));
    assert!((1_000..=1_020).contains(&cost), "{cost} rows for 1,000");
    run.restart(1);
    let whole = run.cost([at(30_000)]);
    assert!(
        whole > 20_000,
        "a first change computes everything: {whole}"
    );
    run.cost([at(30_002)]);
    let cost = run.cost([at(30_004)]);
    assert!(cost <= 20, "{cost} rows after a restart");
    run.compare(&[select.to_owned()]);
}

#[test]
fn changes_amid_the_order_cost_the_rows_near_them() {
    let select = "SELECT id, avg(d) OVER (PARTITION BY k ORDER BY o ROWS BETWEEN 6 PRECEDING AND 2 FOLLOWING) AS a,
            lag(x, 3) OVER (PARTITION BY k ORDER BY o) AS b, last_value(x) OVER (PARTITION BY k ORDER BY o) AS c
         FROM readings";
    let mut run = large(select);
    let cost = run.cost([at(9_001)]);
    assert!((1..=80).contains(&cost), "{cost} rows");
    // At both ends, and not what is between them.
    let cost = run.cost([at(-1), at(30_001)]);
    assert!((1..=120).contains(&cost), "{cost} rows");
    run.compare(&[select.to_owned()]);
}

#[test]
fn running_functions_cost_the_rows_behind_a_change() {
    let select = "SELECT id, sum(x) OVER (PARTITION BY k ORDER BY o) AS a, dense_rank() OVER (PARTITION BY k ORDER BY o) AS b FROM readings";
    let mut run = large(select);
    // Before and after, from a position not far before it.
    let cost = run.cost([at(18_001)]);
    assert!((2_000..=3_100).contains(&cost), "{cost} rows");
    let cost = run.cost([at(20_002)]);
    assert!((1..=20).contains(&cost), "{cost} rows");
    run.compare(&[select.to_owned()]);
}

#[test]
fn check_names_the_forms_that_cost_more_than_their_change() {
    let warnings = |select: &str| plan(&[select.to_owned()]).warnings().join("\n");
    let whole = warnings("SELECT id, ntile(3) OVER (PARTITION BY k ORDER BY o) AS a FROM readings");
    assert!(whole.contains("`ntile`, of which every change computes the rows of its partition"));
    let whole = warnings("SELECT id, max(x) OVER () AS a FROM readings");
    assert!(whole.contains("`max`, of which every change computes all rows again"));
    let running = warnings("SELECT id, sum(x) OVER (ORDER BY o) AS a FROM readings");
    assert!(running.contains("all rows behind it in the order"));
    for cheap in [
        "SELECT id, sum(x) OVER (PARTITION BY k ORDER BY o) AS a FROM readings",
        "SELECT id, lag(x) OVER (ORDER BY o) AS a FROM readings",
    ] {
        assert_eq!(warnings(cheap), "", "{cheap}");
    }
}
