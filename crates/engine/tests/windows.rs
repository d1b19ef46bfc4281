//! Window functions, the first rows of each key and LIMIT, with answers worked
//! out by hand.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Array, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::DataType;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use sluice_core::{
    ChangeKind, ColumnDefinition, PartitionId, SourceVersion, TableChanges, TableDefinition,
    TableKind,
};
use sluice_engine::{EVALUATION_ERRORS, Engine, EngineOptions, Program, ViewDefinition};

fn table(name: &str, columns: &[(&str, DataType)], kind: TableKind) -> TableDefinition {
    let columns = columns.iter().map(|(name, data_type)| ColumnDefinition {
        name: (*name).into(),
        data_type: data_type.clone(),
        nullable: true,
    });
    TableDefinition {
        name: name.into(),
        columns: columns.collect(),
        kind,
        event_time: None,
        stored: true,
    }
}

fn tables() -> Vec<TableDefinition> {
    let by_first = || TableKind::Changelog {
        primary_key: vec![0],
    };
    vec![
        table(
            "sales",
            &[
                ("id", DataType::Int64),
                ("day", DataType::Utf8),
                ("category", DataType::Utf8),
                ("goods", DataType::Utf8),
                ("amount", DataType::Int64),
            ],
            by_first(),
        ),
        table(
            "logins",
            &[("member", DataType::Utf8), ("day", DataType::Int64)],
            TableKind::AppendOnly,
        ),
        table(
            "prices",
            &[("day", DataType::Int64), ("price", DataType::Float64)],
            by_first(),
        ),
    ]
}

/// A value of a cell; the column says which array it goes to.
#[derive(Clone, Copy)]
enum Cell {
    Int(i64),
    Text(&'static str),
    Double(f64),
}

use Cell::{Double, Int, Text};

struct Run {
    program: Arc<Program>,
    engine: Engine,
    epoch: u64,
    parts: BTreeMap<String, Vec<u8>>,
    content: BTreeMap<String, BTreeMap<String, i64>>,
    /// Rows of the last epoch's changes, by collection.
    changed: BTreeMap<String, usize>,
}

fn plan(select: &str) -> Result<Program, String> {
    let view = ViewDefinition {
        name: "v".into(),
        file: "v.sql".into(),
        sql: format!("CREATE MATERIALIZED VIEW v AS\n{select}"),
    };
    Program::plan(&tables(), &[view]).map_err(|errors| {
        let texts: Vec<String> = errors.iter().map(ToString::to_string).collect();
        texts.join("\n")
    })
}

impl Run {
    fn new(select: &str) -> Self {
        let program = Arc::new(plan(select).unwrap_or_else(|error| panic!("{error}")));
        let engine = Engine::new(program.clone(), EngineOptions::default()).unwrap();
        Self {
            program,
            engine,
            epoch: 0,
            parts: BTreeMap::new(),
            content: BTreeMap::new(),
            changed: BTreeMap::new(),
        }
    }

    fn step(&mut self, name: &str, kind: ChangeKind, rows: &[&[Cell]]) {
        self.epoch += 1;
        let tables = tables();
        let table = tables.iter().find(|table| table.name == name).unwrap();
        let columns: Vec<ArrayRef> = table
            .columns
            .iter()
            .enumerate()
            .map(|(column, definition)| -> ArrayRef {
                let cells = rows.iter().map(|row| row.get(column).copied());
                match definition.data_type {
                    DataType::Int64 => {
                        Arc::new(Int64Array::from_iter(cells.map(|cell| match cell {
                            Some(Int(value)) => Some(value),
                            _ => None,
                        })))
                    }
                    DataType::Float64 => {
                        Arc::new(Float64Array::from_iter(cells.map(|cell| match cell {
                            Some(Double(value)) => Some(value),
                            _ => None,
                        })))
                    }
                    _ => Arc::new(StringArray::from_iter(cells.map(|cell| match cell {
                        Some(Text(value)) => Some(value),
                        _ => None,
                    }))),
                }
            })
            .collect();
        let version = SourceVersion {
            major: self.epoch,
            minor: 0,
        };
        let changes = TableChanges {
            table: name.into(),
            partition: PartitionId {
                topic: "t".into(),
                partition: 0,
            },
            rows: RecordBatch::try_new(table.schema(), columns).unwrap(),
            kinds: vec![kind; rows.len()],
            versions: vec![version; rows.len()],
            key_changes: vec![],
            before_rows: None,
            unchanged: Vec::new(),
        };
        let output = self.engine.step(self.epoch, vec![changes]).unwrap();
        self.changed.clear();
        for (name, delta) in &output.deltas {
            self.changed.insert(name.clone(), delta.len());
            let options = FormatOptions::default().with_null("-");
            let rows = delta.rows();
            let columns: Vec<_> = rows
                .columns()
                .iter()
                .map(|column| ArrayFormatter::try_new(column.as_ref(), &options).unwrap())
                .collect();
            let content = self.content.entry(name.clone()).or_default();
            for (row, weight) in delta.weights().iter().enumerate() {
                let cells: Vec<String> = columns
                    .iter()
                    .map(|cells| cells.value(row).to_string())
                    .collect();
                let text = cells.join(" ");
                let total = content.entry(text.clone()).or_default();
                *total += weight;
                if *total == 0 {
                    content.remove(&text);
                }
            }
        }
    }

    /// Saves the state and goes on from what was saved.
    fn restart(&mut self) {
        let checkpoint = self.engine.checkpoint().unwrap();
        self.parts.extend(checkpoint.changed);
        let options = EngineOptions::with_threads(2);
        self.engine =
            Engine::restore(self.program.clone(), options, self.epoch, &self.parts).unwrap();
    }

    fn rows(&self, name: &str) -> Vec<String> {
        let content = self.content.get(name).into_iter().flatten();
        content
            .flat_map(|(row, &weight)| std::iter::repeat_n(row.clone(), weight as usize))
            .collect()
    }

    fn state_rows(&self) -> u64 {
        self.engine
            .metrics()
            .state_rows
            .get("v")
            .copied()
            .unwrap_or(0)
    }
}

const UPSERT: ChangeKind = ChangeKind::Upsert;

fn sale(id: i64, category: &'static str, goods: &'static str, amount: i64) -> [Cell; 5] {
    [
        Int(id),
        Text("d1"),
        Text(category),
        Text(goods),
        Int(amount),
    ]
}

#[test]
fn best_goods_of_each_category_and_day() {
    let mut run = Run::new(
        "WITH goods AS (
            SELECT day, category, goods, sum(amount) AS amount FROM sales GROUP BY day, category, goods
         )
         SELECT day, category, n, goods, amount FROM (
            SELECT *, row_number() OVER (PARTITION BY day, category ORDER BY amount DESC, goods) AS n
            FROM goods
         ) AS g WHERE n <= 2",
    );
    run.step(
        "sales",
        UPSERT,
        &[
            &sale(1, "fruit", "apple", 5),
            &sale(2, "fruit", "pear", 7),
            &sale(3, "fruit", "plum", 6),
            &sale(4, "fruit", "apple", 3),
            &sale(5, "toys", "kite", 1),
        ],
    );
    assert_eq!(
        run.rows("v"),
        [
            "d1 fruit 1 apple 8",
            "d1 fruit 2 pear 7",
            "d1 toys 1 kite 1"
        ]
    );
    run.restart();
    // A sale goes: pear and plum stand before the apple's last 3.
    run.step("sales", ChangeKind::Delete, &[&[Int(1)]]);
    assert_eq!(
        run.rows("v"),
        ["d1 fruit 1 pear 7", "d1 fruit 2 plum 6", "d1 toys 1 kite 1"]
    );
    // What stays behind the second place changes nothing.
    run.step("sales", UPSERT, &[&sale(6, "fruit", "fig", 4)]);
    assert!(!run.changed.contains_key("v"), "{:?}", run.changed);
}

#[test]
fn latest_row_of_each_key() {
    let mut run = Run::new(
        "SELECT DISTINCT ON (category) category, id, goods FROM sales ORDER BY category, id DESC",
    );
    run.step(
        "sales",
        UPSERT,
        &[
            &sale(1, "fruit", "apple", 5),
            &sale(2, "fruit", "pear", 7),
            &sale(3, "toys", "kite", 6),
        ],
    );
    assert_eq!(run.rows("v"), ["fruit 2 pear", "toys 3 kite"]);
    run.restart();
    run.step("sales", ChangeKind::Delete, &[&[Int(2)], &[Int(3)]]);
    assert_eq!(run.rows("v"), ["fruit 1 apple"]);
    let found = run.program.collections();
    let view = found
        .iter()
        .find(|collection| collection.name == "v")
        .unwrap();
    assert_eq!(view.unique_key, Some(vec![0]), "category identifies a row");
}

#[test]
fn rows_that_order_by_leaves_equal_follow_their_columns() {
    for select in [
        "SELECT id, row_number() OVER (PARTITION BY category ORDER BY amount) AS n FROM sales",
        "SELECT id, n FROM (SELECT id, row_number() OVER (PARTITION BY category ORDER BY amount) AS n FROM sales) AS s WHERE n <= 3",
    ] {
        for order in [[1, 2, 3], [3, 1, 2], [2, 3, 1]] {
            let mut run = Run::new(select);
            for id in order {
                run.step("sales", UPSERT, &[&sale(id, "fruit", "apple", 5)]);
                run.restart();
            }
            assert_eq!(run.rows("v"), ["1 1", "2 2", "3 3"], "{select} {order:?}");
        }
    }
}

#[test]
fn ties_go_by_value_with_null_before_all() {
    let mut run = Run::new("SELECT goods, row_number() OVER (ORDER BY amount) AS n FROM sales");
    let without_goods = [Int(2), Text("d1"), Text("fruit"), Int(0), Int(5)];
    run.step("sales", UPSERT, &[&sale(1, "fruit", "pear", 5)]);
    run.step("sales", UPSERT, &[&without_goods]);
    run.step("sales", UPSERT, &[&sale(3, "fruit", "apple", 5)]);
    assert_eq!(run.rows("v"), ["- 1", "apple 2", "pear 3"]);
}

#[test]
fn members_who_logged_in_on_three_days_in_a_row() {
    // Days in a row share the difference of day and number.
    let mut run = Run::new(
        "SELECT member, min(day) AS first_day, count(*) AS days FROM (
            SELECT member, day, day - CAST(row_number() OVER (PARTITION BY member ORDER BY day) AS BIGINT) AS island
            FROM (SELECT DISTINCT member, day FROM logins) AS d
         ) AS n GROUP BY member, island HAVING count(*) >= 3",
    );
    let login = |member, day| [Text(member), Int(day)];
    run.step(
        "logins",
        ChangeKind::Insert,
        &[
            &login("ann", 1),
            &login("ann", 1),
            &login("ann", 2),
            &login("ann", 4),
            &login("bob", 7),
            &login("bob", 8),
            &login("bob", 9),
        ],
    );
    assert_eq!(run.rows("v"), ["bob 7 3"]);
    run.restart();
    // A late login closes the gap.
    run.step("logins", ChangeKind::Insert, &[&login("ann", 3)]);
    assert_eq!(run.rows("v"), ["ann 1 4", "bob 7 3"]);
}

#[test]
fn simple_and_exponential_moving_averages() {
    let price = |day, price| [Int(day), Double(price)];
    let mut run = Run::new(
        "SELECT day, avg(price) OVER (ORDER BY day ROWS BETWEEN 2 PRECEDING AND CURRENT ROW) AS sma FROM prices",
    );
    run.step(
        "prices",
        UPSERT,
        &[
            &price(1, 1.0),
            &price(2, 2.0),
            &price(4, 6.0),
            &price(5, 1.0),
        ],
    );
    assert_eq!(run.rows("v"), ["1 1.0", "2 1.5", "4 3.0", "5 3.0"]);
    run.restart();
    // A late price moves those after it.
    run.step("prices", UPSERT, &[&price(3, 4.0)]);
    assert_eq!(
        run.rows("v"),
        [
            "1 1.0",
            "2 1.5",
            "3 2.3333333333333335",
            "4 4.0",
            "5 3.6666666666666665"
        ]
    );
    // EMA with α = 1/2: e₁ = x₁, eₙ = xₙ/2 + eₙ₋₁/2, that is
    // eₙ = (x₁ + Σ_{i=2..n} 2^(i−2)·xᵢ) / 2^(n−1).
    let mut run = Run::new(
        "SELECT day, sum(CASE WHEN n = 1 THEN price ELSE price * power(2.0::DOUBLE, n - 2.0::DOUBLE) END)
                OVER (ORDER BY day) / power(2.0::DOUBLE, n - 1.0::DOUBLE) AS ema
         FROM (SELECT day, price, CAST(row_number() OVER (ORDER BY day) AS DOUBLE) AS n FROM prices) AS p",
    );
    run.step(
        "prices",
        UPSERT,
        &[&price(1, 4.0), &price(2, 8.0), &price(3, 2.0)],
    );
    assert_eq!(run.rows("v"), ["1 4.0", "2 6.0", "3 4.0"]);
    run.step("prices", UPSERT, &[&price(1, 0.0)]);
    assert_eq!(run.rows("v"), ["1 0.0", "2 4.0", "3 3.0"]);
    let mut run = Run::new("SELECT day, ema(price, 0.5) OVER (ORDER BY day) AS ema FROM prices");
    run.step(
        "prices",
        UPSERT,
        &[&price(1, 4.0), &price(2, 8.0), &price(3, 2.0)],
    );
    assert_eq!(run.rows("v"), ["1 4.0", "2 6.0", "3 4.0"]);
    run.restart();
    run.step("prices", UPSERT, &[&price(1, 0.0)]);
    assert_eq!(run.rows("v"), ["1 0.0", "2 4.0", "3 3.0"]);
    run.step("prices", ChangeKind::Delete, &[&[Int(1)]]);
    assert_eq!(run.rows("v"), ["2 8.0", "3 5.0"]);
}

#[test]
fn an_infinity_that_leaves_the_frame_leaves_no_trace() {
    let price = |day, price| [Int(day), Double(price)];
    let mut run =
        Run::new("SELECT day, sum(price) OVER (ORDER BY day ROWS 1 PRECEDING) AS s FROM prices");
    run.step(
        "prices",
        UPSERT,
        &[
            &price(1, f64::INFINITY),
            &price(2, 1e300),
            &price(3, 0.25),
            &price(4, 0.5),
        ],
    );
    assert_eq!(run.rows("v"), ["1 inf", "2 inf", "3 1e300", "4 0.75"]);
}

#[test]
fn any_aggregate_answers_by_the_rows_of_a_frame_that_moves() {
    let price = |day, price| [Int(day), Double(price)];
    let mut run = Run::new(
        "SELECT day, string_agg(CAST(day AS VARCHAR), '+') OVER w AS days, median(price) OVER w AS m,
             round(stddev_pop(price) OVER w, 3) AS s, bool_or(price > 2) OVER w AS o, bool_and(price > 2) OVER w AS a
         FROM prices WINDOW w AS (ORDER BY day RANGE BETWEEN 2 PRECEDING AND 1 PRECEDING)",
    );
    run.step(
        "prices",
        UPSERT,
        &[
            &price(1, 1e100),
            &price(2, 1.0),
            &price(3, 3.0),
            &price(4, 5.0),
            &price(7, 1.0),
        ],
    );
    run.restart();
    run.step("prices", ChangeKind::Delete, &[&[Int(3)]]);
    assert_eq!(
        run.rows("v"),
        [
            "1 - - - - -",
            "2 1 1e100 0.0 true true",
            "4 2 1.0 0.0 false false",
            "7 - - - - -",
        ]
    );
    run.step("prices", UPSERT, &[&price(3, 3.0)]);
    assert_eq!(
        run.rows("v"),
        [
            "1 - - - - -",
            "2 1 1e100 0.0 true true",
            "3 1+2 5e99 5e99 true false",
            "4 2+3 2.0 1.0 true false",
            "7 - - - - -",
        ]
    );
}

#[test]
fn equal_rows_are_as_many_rows() {
    let login = [Text("ann"), Int(1)];
    let other = [Text("ann"), Int(2)];
    let mut run = Run::new(
        "SELECT member, day, row_number() OVER (PARTITION BY member ORDER BY day) AS n, count(*) OVER (PARTITION BY member) AS c FROM logins",
    );
    run.step("logins", ChangeKind::Insert, &[&login, &other, &login]);
    assert_eq!(run.rows("v"), ["ann 1 1 3", "ann 1 2 3", "ann 2 3 3"]);
    let mut run = Run::new("SELECT member, day FROM logins ORDER BY day LIMIT 2");
    run.step("logins", ChangeKind::Insert, &[&login, &other, &login]);
    assert_eq!(run.rows("v"), ["ann 1", "ann 1"]);
}

#[test]
fn limit_and_offset() {
    let mut run = Run::new("SELECT id, amount FROM sales ORDER BY amount DESC LIMIT 2 OFFSET 1");
    run.step(
        "sales",
        UPSERT,
        &[
            &sale(1, "a", "x", 5),
            &sale(2, "a", "x", 9),
            &sale(3, "a", "x", 7),
            &sale(4, "a", "x", 1),
        ],
    );
    assert_eq!(run.rows("v"), ["1 5", "3 7"]);
    run.restart();
    run.step("sales", ChangeKind::Delete, &[&[Int(2)]]);
    assert_eq!(run.rows("v"), ["1 5", "4 1"]);
}

#[test]
fn a_rank_keeps_all_rows_that_share_the_last_place() {
    let mut run = Run::new(
        "SELECT id, n FROM (SELECT id, rank() OVER (ORDER BY amount DESC) AS n FROM sales) AS s WHERE n <= 2",
    );
    run.step(
        "sales",
        UPSERT,
        &[
            &sale(1, "a", "x", 9),
            &sale(2, "a", "x", 7),
            &sale(3, "a", "x", 7),
            &sale(4, "a", "x", 5),
        ],
    );
    assert_eq!(run.rows("v"), ["1 1", "2 2", "3 2"]);
    run.step("sales", UPSERT, &[&sale(5, "a", "x", 9)]);
    assert_eq!(run.rows("v"), ["1 1", "5 1"]);
}

#[test]
fn of_rows_that_are_only_added_no_more_are_kept_than_wanted() {
    let mut run = Run::new(
        "SELECT member, day FROM (SELECT *, row_number() OVER (PARTITION BY member ORDER BY day DESC) AS n FROM logins) AS l WHERE n <= 2",
    );
    for day in 1..50 {
        run.step("logins", ChangeKind::Insert, &[&[Text("ann"), Int(day)]]);
        if day == 20 {
            run.restart();
        }
    }
    assert_eq!(run.rows("v"), ["ann 48", "ann 49"]);
    assert_eq!(run.state_rows(), 2);
    run.step("logins", ChangeKind::Insert, &[&[Text("ann"), Int(3)]]);
    assert!(!run.changed.contains_key("v"));
    assert_eq!(run.state_rows(), 2);
}

#[test]
fn a_sum_that_does_not_fit_costs_its_rows_only() {
    let mut run = Run::new(
        "SELECT id, sum(amount) OVER (PARTITION BY category ORDER BY id ROWS 1 PRECEDING) AS s, 10 / amount AS q FROM sales",
    );
    run.step(
        "sales",
        UPSERT,
        &[
            &sale(1, "a", "x", i64::MAX),
            &sale(2, "a", "x", 1),
            &sale(3, "a", "x", 5),
            &sale(4, "b", "x", 2),
        ],
    );
    // 10 / i64::MAX is 0; the second row's sum is one too great.
    assert_eq!(run.rows("v"), ["1 9223372036854775807 0", "3 6 2", "4 2 5"]);
    assert_eq!(run.rows(EVALUATION_ERRORS).len(), 1);
    run.step("sales", UPSERT, &[&sale(1, "a", "x", 4)]);
    assert_eq!(run.rows("v"), ["1 4 2", "2 5 10", "3 6 2", "4 2 5"]);
    assert_eq!(run.rows(EVALUATION_ERRORS), [""; 0]);
}

#[test]
fn a_row_whose_key_fails_leaves_the_window() {
    let mut run =
        Run::new("SELECT id, row_number() OVER (ORDER BY 100 / amount, id) AS n FROM sales");
    run.step(
        "sales",
        UPSERT,
        &[
            &sale(1, "a", "x", 0),
            &sale(2, "a", "x", 5),
            &sale(3, "a", "x", 10),
        ],
    );
    assert_eq!(run.rows("v"), ["2 2", "3 1"]);
    assert_eq!(run.rows(EVALUATION_ERRORS).len(), 1);
    run.step("sales", UPSERT, &[&sale(1, "a", "x", 50)]);
    assert_eq!(run.rows("v"), ["1 1", "2 3", "3 2"]);
    assert_eq!(run.rows(EVALUATION_ERRORS), [""; 0]);
}

#[test]
fn a_join_on_what_never_holds_finds_no_partner() {
    let mut run = Run::new(
        "SELECT s.id, t.n FROM sales s LEFT JOIN (SELECT count(*) AS n FROM logins) t ON s.goods = NULL",
    );
    run.step("sales", UPSERT, &[&sale(1, "a", "x", 4)]);
    assert_eq!(run.rows("v"), ["1 -"]);
}

#[test]
fn a_key_that_had_many_rows_still_finds_each() {
    let mut run =
        Run::new("SELECT id, category, count(*) OVER (PARTITION BY category) AS n FROM sales");
    for round in 0..4 {
        let rows: Vec<_> = (0..20).map(|id| sale(id, "a", "x", round)).collect();
        let rows: Vec<&[Cell]> = rows.iter().map(|row| &row[..]).collect();
        run.step("sales", UPSERT, &rows);
        assert_eq!(run.rows("v").len(), 20);
        assert!(run.rows("v").iter().all(|row| row.ends_with(" a 20")));
        let gone: Vec<_> = (2..20).map(|id| [Int(id)]).collect();
        let gone: Vec<&[Cell]> = gone.iter().map(|row| &row[..]).collect();
        run.step("sales", ChangeKind::Delete, &gone);
        assert_eq!(run.rows("v"), ["0 a 2", "1 a 2"]);
        if round == 1 {
            run.restart();
        }
    }
}

#[test]
fn what_is_not_supported_is_refused_with_its_place() {
    let cases = [
        (
            "SELECT id FROM sales ORDER BY id",
            "v.sql:2:31: ORDER BY without LIMIT",
            "in the query that reads it",
        ),
        (
            "SELECT id FROM sales LIMIT 3",
            "v.sql:2:1: LIMIT without ORDER BY",
            "add ORDER BY",
        ),
        (
            "SELECT id FROM sales ORDER BY id OFFSET 3",
            "OFFSET without LIMIT",
            "add a LIMIT",
        ),
        (
            "SELECT DISTINCT ON (day) day, id FROM sales",
            "v.sql:2:1: DISTINCT ON without ORDER BY",
            "add ORDER BY",
        ),
        (
            "SELECT DISTINCT ON (day) day, id FROM sales ORDER BY day, id LIMIT 3",
            "LIMIT beside DISTINCT ON",
            "subquery",
        ),
        (
            "SELECT id FROM sales ORDER BY id FETCH FIRST 3 ROWS ONLY",
            "FETCH",
            "LIMIT n",
        ),
        (
            "SELECT id, nothing(amount) OVER (ORDER BY id) AS m FROM sales",
            "v.sql:2:12: ",
            "nothing",
        ),
        (
            "SELECT id, lag(amount, id) OVER (ORDER BY id) AS m FROM sales",
            "v.sql:2:12: `lag` OVER",
            "",
        ),
        (
            "SELECT id, count(DISTINCT goods) OVER (PARTITION BY day) AS n FROM sales",
            "v.sql:2:12: `count` (DISTINCT",
            "GROUP BY in a subquery",
        ),
        (
            "SELECT id, sum(amount) OVER (ORDER BY id ROWS BETWEEN 1 PRECEDING AND 3 PRECEDING) AS n FROM sales",
            "v.sql:2:12: `sum` over a frame that ends before it starts",
            "earlier bound first",
        ),
    ];
    for (select, message, help) in cases {
        let found = plan(select).unwrap_err();
        assert!(found.contains(message), "{select}\n  gave: {found}");
        assert!(found.contains(help), "{select}\n  gave: {found}");
    }
    let program = plan("SELECT id, row_number() OVER (ORDER BY id) AS n FROM sales").unwrap();
    assert!(program.warnings()[0].contains("without PARTITION BY"));
}
