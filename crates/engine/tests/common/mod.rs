//! A small warehouse for tests about event time: `events`, a log, and `orders`,
//! a changelog, both with the columns (id, k, t, n); times are minutes after
//! midnight of 2024-01-01 UTC.

#![allow(
    clippy::unwrap_used,
    dead_code,
    reason = "a test fails by panicking; not every test uses everything"
)]

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray};
use arrow::datatypes::{DataType, TimeUnit};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use sluice_core::{
    ChangeKind, ColumnDefinition, PartitionId, SourceVersion, TableChanges, TableDefinition,
    TableKind,
};
use sluice_engine::{Engine, EngineOptions, Program, ViewDefinition};
use sluice_functions::Functions;

/// 2024-01-01T00:00:00Z in microseconds.
pub const MIDNIGHT_US: i64 = 1_704_067_200_000_000;
/// A minute in microseconds.
pub const MINUTE_US: i64 = 60_000_000;

/// A row: id, k, minute, n.
pub type Row = (i64, &'static str, Option<i64>, i64);

pub fn table(name: &str, kind: TableKind) -> TableDefinition {
    let column = |name: &str, data_type: DataType| ColumnDefinition {
        name: name.into(),
        data_type,
        nullable: name != "id",
    };
    TableDefinition {
        name: name.into(),
        columns: vec![
            column("id", DataType::Int64),
            column("k", DataType::Utf8),
            column(
                "t",
                DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
            ),
            column("n", DataType::Int64),
        ],
        kind,
        event_time: Some(2),
        stored: true,
    }
}

pub fn tables() -> Vec<TableDefinition> {
    let changelog = TableKind::Changelog {
        primary_key: vec![0],
    };
    vec![
        table("events", TableKind::AppendOnly),
        table("others", TableKind::AppendOnly),
        table("orders", changelog),
    ]
}

pub fn batch(rows: &[Row]) -> RecordBatch {
    let times = rows
        .iter()
        .map(|row| row.2.map(|minute| MIDNIGHT_US + minute * MINUTE_US));
    let columns: Vec<ArrayRef> = vec![
        Arc::new(Int64Array::from_iter_values(rows.iter().map(|row| row.0))),
        Arc::new(StringArray::from_iter_values(rows.iter().map(|row| row.1))),
        Arc::new(TimestampMicrosecondArray::from_iter(times).with_timezone("UTC")),
        Arc::new(Int64Array::from_iter_values(rows.iter().map(|row| row.3))),
    ];
    let schema = table("t", TableKind::AppendOnly).schema();
    RecordBatch::try_new(schema, columns).unwrap()
}

fn changes(table: &str, kind: ChangeKind, rows: &[Row], version: u64) -> TableChanges {
    TableChanges {
        table: table.into(),
        partition: PartitionId {
            topic: "t".into(),
            partition: 0,
        },
        rows: batch(rows),
        kinds: vec![kind; rows.len()],
        versions: (0..rows.len() as u64)
            .map(|row| SourceVersion {
                major: version,
                minor: row,
            })
            .collect(),
        before_rows: None,
        unchanged: Vec::new(),
        key_changes: vec![],
    }
}

/// Rows that a log gets.
pub fn insert(table: &str, rows: &[Row]) -> TableChanges {
    changes(table, ChangeKind::Insert, rows, 0)
}

/// Rows that a changelog gets; `version` orders the changes of a key.
pub fn upsert(table: &str, rows: &[Row], version: u64) -> TableChanges {
    changes(table, ChangeKind::Upsert, rows, version)
}

pub fn delete(table: &str, rows: &[Row], version: u64) -> TableChanges {
    changes(table, ChangeKind::Delete, rows, version)
}

/// Each SELECT as the materialized view `v`, `w`, ….
pub fn views(selects: &[&str]) -> Vec<ViewDefinition> {
    let names = ["v", "w", "x", "y", "z"];
    let define = |(select, name): (&&str, &str)| ViewDefinition {
        name: name.into(),
        file: format!("{name}.sql"),
        sql: format!("CREATE MATERIALIZED VIEW {name} AS\n{select}"),
    };
    selects.iter().zip(names).map(define).collect()
}

/// A running engine and the rows of its collections as text.
pub struct Warehouse {
    pub program: Arc<Program>,
    pub engine: Engine,
    pub rows: BTreeMap<String, BTreeMap<String, i64>>,
    /// Rows that the last epoch added and took away, by view.
    pub last: BTreeMap<String, Vec<(String, i64)>>,
    /// What the checkpoints saved.
    parts: BTreeMap<String, Vec<u8>>,
    epoch: u64,
}

impl Warehouse {
    pub fn new(selects: &[&str]) -> Self {
        Self::with_functions(selects, &Functions::default())
    }

    pub fn with_functions(selects: &[&str], functions: &Functions) -> Self {
        let program = match Program::plan_with(&tables(), &views(selects), functions) {
            Ok(program) => Arc::new(program),
            Err(errors) => {
                let texts: Vec<String> = errors.iter().map(ToString::to_string).collect();
                unreachable!("{}", texts.join("\n"))
            }
        };
        let engine = Engine::new(program.clone(), EngineOptions::default()).unwrap();
        Self {
            program,
            engine,
            rows: BTreeMap::new(),
            last: BTreeMap::new(),
            parts: BTreeMap::new(),
            epoch: 0,
        }
    }

    /// Runs an epoch after which the watermarks of some tables are at a minute.
    pub fn epoch_at(&mut self, changes: Vec<TableChanges>, watermarks: &[(&str, i64)]) {
        let watermarks = watermarks
            .iter()
            .map(|(table, minute)| ((*table).to_owned(), MIDNIGHT_US + minute * MINUTE_US))
            .collect();
        self.engine.advance_watermarks(&watermarks);
        self.epoch(changes);
    }

    pub fn epoch(&mut self, changes: Vec<TableChanges>) {
        self.epoch += 1;
        let output = self.engine.step(self.epoch, changes).unwrap();
        self.last.clear();
        for (name, delta) in output.deltas {
            let texts = texts(delta.rows());
            let collection = self.rows.entry(name.clone()).or_default();
            let last = self.last.entry(name).or_default();
            for (text, &weight) in texts.into_iter().zip(delta.weights()) {
                let total = collection.entry(text.clone()).or_insert(0);
                *total += weight;
                if *total == 0 {
                    collection.remove(&text);
                }
                last.push((text, weight));
            }
        }
    }

    /// Goes on in a new engine made from a checkpoint.
    pub fn restart(&mut self) {
        let checkpoint = self.engine.checkpoint().unwrap();
        self.parts.extend(checkpoint.changed);
        self.parts.retain(|name, _| checkpoint.live.contains(name));
        let (program, options) = (self.program.clone(), EngineOptions::with_threads(2));
        self.engine = Engine::restore(program, options, self.epoch, &self.parts).unwrap();
    }

    /// The rows of a collection, `×n` behind those that are there n times.
    pub fn of(&self, name: &str) -> Vec<String> {
        let rows = self.rows.get(name).into_iter().flatten();
        rows.map(|(text, &count)| match count {
            1 => text.clone(),
            count => format!("{text} ×{count}"),
        })
        .collect()
    }
}

/// Rows as text; times as hours and minutes, with the day if it is not the
/// first.
fn texts(batch: &RecordBatch) -> Vec<String> {
    let options = FormatOptions::default()
        .with_null("null")
        .with_timestamp_format(Some("%dT%H:%M"))
        .with_timestamp_tz_format(Some("%dT%H:%M"));
    let formatters: Vec<_> = batch
        .columns()
        .iter()
        .map(|column| ArrayFormatter::try_new(column.as_ref(), &options).unwrap())
        .collect();
    (0..batch.num_rows())
        .map(|row| {
            let cells: Vec<String> = formatters
                .iter()
                .map(|formatter| {
                    let text = formatter.value(row).to_string();
                    text.trim_start_matches("01T").to_owned()
                })
                .collect();
            cells.join(" ")
        })
        .collect()
}
