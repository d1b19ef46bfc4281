//! A view over a table whose rows come, change and go, and the same view over the rows
//! that are left.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanArray, Date32Array, Decimal128Array, Float64Array, Int64Array, StringArray,
    TimestampMicrosecondArray,
};
use arrow::datatypes::{DataType, TimeUnit};
use sluice_core::{ChangeKind, ColumnDefinition, TableChanges, TableDefinition, TableKind};
use sluice_engine::{Engine, EngineOptions, Program, ViewDefinition};

use crate::content::{Content, add};
use crate::table_changes::table_changes;

/// A day of 2024 in days since 1970.
const DAY: i32 = 19_800;
const DAY_US: i64 = 86_400_000_000;

fn table() -> TableDefinition {
    let columns = [
        ("k", DataType::Int64),
        ("g", DataType::Int64),
        ("n", DataType::Int64),
        ("f", DataType::Float64),
        ("s", DataType::Utf8),
        ("b", DataType::Boolean),
        ("d", DataType::Date32),
        (
            "at",
            DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
        ),
        ("c", DataType::Decimal128(10, 2)),
    ];
    let columns = columns.map(|(name, data_type)| ColumnDefinition {
        name: name.into(),
        data_type,
        nullable: name != "k",
    });
    TableDefinition {
        name: "t".into(),
        columns: columns.into(),
        kind: TableKind::Changelog {
            primary_key: vec![0],
        },
        event_time: None,
        stored: true,
    }
}

/// A view of this query.
///
/// # Errors
/// Why it is refused.
pub fn program(select: &str) -> Result<Program, String> {
    let view = ViewDefinition {
        name: "v".into(),
        file: "models/v.sql".into(),
        sql: format!("CREATE MATERIALIZED VIEW v AS {select}"),
    };
    Program::plan(&[table()], &[view]).map_err(|errors| {
        let errors: Vec<String> = errors.iter().map(ToString::to_string).collect();
        errors.join("\n")
    })
}

/// What becomes of a key's row: it follows from a number, and goes where there is none.
type Change = (i64, Option<i64>);

fn changes(rows: &[Change], version: u64) -> Vec<TableChanges> {
    let keys = || rows.iter().map(|(key, _)| *key);
    let numbers = || rows.iter().map(|(_, number)| number.unwrap_or(0));
    // Some of each column are NULL.
    let known = |number: i64, nulls: i64| (number % 7 != nulls).then_some(number);
    let texts = numbers().map(|number| {
        let texts = ["a", "b,a", "", "Häa", "1"];
        known(number, 1).map(|number| texts[number as usize % texts.len()])
    });
    let days = numbers().map(|number| known(number, 3).map(|number| DAY + number as i32));
    let moments = numbers().map(|number| {
        known(number, 4).map(|number| i64::from(DAY) * DAY_US + number * 3_600_000_000)
    });
    let moments = TimestampMicrosecondArray::from_iter(moments).with_timezone("UTC");
    let decimals = numbers().map(|number| known(number, 5).map(|number| i128::from(number * 25)));
    let decimals = Decimal128Array::from_iter(decimals);
    let columns: Vec<ArrayRef> = vec![
        Arc::new(Int64Array::from_iter_values(keys())),
        Arc::new(Int64Array::from_iter_values(
            numbers().map(|number| number % 2),
        )),
        Arc::new(Int64Array::from_iter(
            numbers().map(|number| known(number, 0).map(|number| number % 5 + 1)),
        )),
        Arc::new(Float64Array::from_iter(numbers().map(|number| {
            known(number, 2).map(|number| number as f64 / 16.0)
        }))),
        Arc::new(StringArray::from_iter(texts)),
        Arc::new(BooleanArray::from_iter(
            numbers().map(|number| known(number, 6).map(|number| number % 3 == 0)),
        )),
        Arc::new(Date32Array::from_iter(days)),
        Arc::new(moments),
        Arc::new(decimals.with_precision_and_scale(10, 2).unwrap()),
    ];
    let kinds = rows.iter().map(|(_, number)| match number {
        Some(_) => ChangeKind::Upsert,
        None => ChangeKind::Delete,
    });
    vec![table_changes(&table(), columns, kinds.collect(), version)]
}

/// What the view holds after these epochs.
fn content_after(program: &Arc<Program>, epochs: &[Vec<Change>]) -> Result<Content, String> {
    let options = EngineOptions::default();
    let engine = Engine::new(program.clone(), options);
    let mut engine = engine.map_err(|error| error.to_string())?;
    let mut content = Content::new();
    for (rows, epoch) in epochs.iter().zip(1..) {
        let output = engine.step(epoch, changes(rows, epoch));
        let output = output.map_err(|error| error.to_string())?;
        add(&mut content, output.deltas.get("v"));
    }
    Ok(content)
}

/// Whether a view has rows after rows have come, changed and gone.
///
/// # Errors
/// When they are not those that the view has of the rows that are left, and when the
/// engine fails.
pub fn equals_batch(program: Program) -> Result<bool, String> {
    let program = Arc::new(program);
    let came = (1..=12).map(|key| (key, Some(key * 5)));
    let changed = [
        (2, Some(11)),
        (3, Some(8)),
        (5, None),
        (6, None),
        (9, Some(1)),
    ];
    let back = [(5, Some(26)), (13, Some(2)), (12, None)];
    let epochs: [Vec<Change>; 3] = [came.collect(), changed.to_vec(), back.to_vec()];
    let mut left: BTreeMap<i64, i64> = BTreeMap::new();
    for (key, number) in epochs.iter().flatten() {
        match number {
            Some(number) => left.insert(*key, *number),
            None => left.remove(key),
        };
    }
    let left = left.into_iter().map(|(key, number)| (key, Some(number)));
    let kept = content_after(&program, &epochs)?;
    let left: Vec<Change> = left.collect();
    let batch = content_after(&program, &[left])?;
    match kept == batch {
        true => Ok(!kept.is_empty()),
        false => Err(format!("kept current {kept:?}, at once {batch:?}")),
    }
}
