//! A small auction house: people, auctions, bids, and a side table.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray};
use arrow::datatypes::{DataType, TimeUnit};
use sluice_core::{ChangeKind, ColumnDefinition, TableDefinition, TableKind};

/// Name and columns (`i`nteger, `t`ext, time`s`tamp); the first is the key.
const TABLES: [(&str, &str); 4] = [
    ("person", "id:i name:t city:t state:t date_time:s"),
    (
        "auction",
        "id:i item:t seller:i category:i date_time:s expires:s",
    ),
    (
        "bid",
        "id:i auction:i bidder:i price:i channel:t url:t date_time:s extra:t",
    ),
    ("side", "key:i value:t"),
];
/// 2026-03-01 12:00 UTC, in microseconds.
const START_US: i64 = 1_772_366_400_000_000;
const SECOND_US: i64 = 1_000_000;

/// One value; a time is microseconds since 1970.
#[derive(Debug, Clone, PartialEq)]
pub enum Cell {
    Int(i64),
    Text(String),
    Time(i64),
}

pub type Row = Vec<Cell>;
/// Rows of each table by key.
pub type Contents = BTreeMap<&'static str, BTreeMap<i64, Row>>;

/// A change of one table.
pub struct Change {
    pub table: &'static str,
    pub kind: ChangeKind,
    pub row: Row,
}

pub struct Random(pub u64);

impl Random {
    pub fn below(&mut self, limit: i64) -> i64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        ((self.0 >> 11) % limit as u64) as i64
    }

    fn of(&mut self, texts: &[&str]) -> Cell {
        Cell::Text(texts[self.below(texts.len() as i64) as usize].to_owned())
    }

    fn time(&mut self) -> i64 {
        START_US + self.below(40_000) * 1_000
    }
}

fn type_of(kind: &str) -> DataType {
    match kind {
        "i" => DataType::Int64,
        "t" => DataType::Utf8,
        _ => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
    }
}

/// The tables; `adds_only` makes them logs without keys.
pub fn definitions(adds_only: bool) -> Vec<TableDefinition> {
    let column = |column: &str| {
        let (name, kind) = column.split_once(':').unwrap();
        ColumnDefinition {
            name: name.to_owned(),
            data_type: type_of(kind),
            nullable: false,
        }
    };
    let define = |(name, columns): (&str, &str)| TableDefinition {
        name: name.to_owned(),
        columns: columns.split(' ').map(column).collect(),
        kind: match adds_only {
            true => TableKind::AppendOnly,
            false => TableKind::Changelog {
                primary_key: vec![0],
            },
        },
        event_time: None,
        stored: true,
    };
    TABLES.into_iter().map(define).collect()
}

pub fn batch(definition: &TableDefinition, rows: &[&Row]) -> RecordBatch {
    let columns = (0..definition.columns.len()).map(|column| -> ArrayRef {
        let cells = rows.iter().map(|row| &row[column]);
        let numbers = cells.clone().map(|cell| match cell {
            Cell::Int(number) | Cell::Time(number) => *number,
            Cell::Text(_) => 0,
        });
        match definition.columns[column].data_type {
            DataType::Int64 => Arc::new(Int64Array::from_iter_values(numbers)),
            DataType::Utf8 => Arc::new(StringArray::from_iter_values(cells.map(
                |cell| match cell {
                    Cell::Text(text) => text.as_str(),
                    _ => "",
                },
            ))),
            _ => {
                let times = TimestampMicrosecondArray::from_iter_values(numbers);
                Arc::new(times.with_timezone("UTC"))
            }
        }
    });
    RecordBatch::try_new(definition.schema(), columns.collect()).unwrap()
}

pub fn key_of(row: &Row) -> i64 {
    match row[0] {
        Cell::Int(key) => key,
        _ => 0,
    }
}

fn new_row(random: &mut Random, table: &str, id: i64) -> Row {
    let time = random.time();
    let own = match table {
        "person" => vec![
            random.of(&["Peter Shultz", "Kate Jones", "Walter Noris", "Sarah White"]),
            random.of(&["Boise", "Portland", "Seattle"]),
            random.of(&["OR", "ID", "CA", "WA"]),
            Cell::Time(time),
        ],
        "auction" => vec![
            random.of(&["vase", "chair", "lamp"]),
            Cell::Int(random.below(12)),
            Cell::Int(10 + random.below(3)),
            Cell::Time(time),
            Cell::Time(time + random.below(15) * SECOND_US),
        ],
        "bid" => {
            let channel = random.below(40);
            let (channel, url) = match channel {
                0..20 => (
                    ["Google", "Facebook", "Baidu", "Apple"][channel as usize % 4].to_owned(),
                    "https://www.nexmark.com/abo/gii/item.htm?query=1".to_owned(),
                ),
                _ => (
                    format!("channel-{channel}"),
                    format!(
                        "https://www.nexmark.com/qrt/zzu/item.htm?query=1&channel_id={channel}"
                    ),
                ),
            };
            vec![
                Cell::Int(random.below(20)),
                Cell::Int(random.below(12)),
                Cell::Int(random.below(1_000)),
                Cell::Text(channel),
                Cell::Text(url),
                Cell::Time(time),
                random.of(&["abcc", "ccc", "xyz", ""]),
            ]
        }
        _ => vec![random.of(&["one", "two", "three"])],
    };
    [vec![Cell::Int(id)], own].concat()
}

/// Some new rows of a table and, unless it is a log, some that are replaced and
/// some that go.
pub fn changes(
    random: &mut Random,
    contents: &Contents,
    epoch: u64,
    adds_only: bool,
) -> Vec<Change> {
    let mut changes = Vec::new();
    for (table, first, later, limit) in [
        ("person", 6, 1, 12),
        ("auction", 10, 2, 20),
        ("bid", 60, 12, i64::MAX),
        ("side", 10, 0, 10),
    ] {
        let known = contents.get(table);
        let next = known
            .and_then(|rows| rows.keys().last())
            .map_or(0, |id| id + 1);
        let count = if epoch == 1 {
            first
        } else {
            random.below(later + 1)
        };
        for id in next..limit.min(next + count) {
            let row = new_row(random, table, id);
            changes.push(Change {
                table,
                kind: match adds_only {
                    true => ChangeKind::Insert,
                    false => ChangeKind::Upsert,
                },
                row,
            });
        }
        let Some(known) = known.filter(|rows| !rows.is_empty() && !adds_only) else {
            continue;
        };
        let keys: Vec<i64> = known.keys().copied().collect();
        for _ in 0..random.below(4) {
            let id = keys[random.below(keys.len() as i64) as usize];
            let (kind, row) = match random.below(3) {
                0 => (ChangeKind::Delete, known[&id].clone()),
                _ => (ChangeKind::Upsert, new_row(random, table, id)),
            };
            changes.push(Change { table, kind, row });
        }
    }
    changes
}
