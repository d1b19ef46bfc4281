//! A third opinion: SQLite, for cases without decimals, which it does not have.
//! Truth values, dates and timestamps are integers there.

use std::collections::BTreeMap;

use rusqlite::Connection;
use rusqlite::types::{Value as SqliteValue, ValueRef};

use crate::double::Double;
use crate::interpret::{ZSet, add};
use crate::query::{Call, Dialect, Function, Query};
use crate::run::Case;
use crate::value::{Row, Type, Value};

/// Whether SQLite can hold all tables. Views over them then hold nothing that it
/// does not know either, except literals, which follow the tables' types. Where
/// sums can overflow it stays out: it gives up as soon as they do on the way.
pub fn knows(case: &Case) -> bool {
    let mut types = case.tables.iter().flat_map(|table| table.types());
    let mut views = case.views.iter();
    let is_decimal = |data_type| matches!(data_type, Type::Decimal(..));
    // It has no NaN.
    !types.any(|data_type| is_decimal(data_type) || data_type == Type::Float)
        && views.all(|view| {
            let types = view.query.types();
            !view.may_fail && !types.into_iter().any(is_decimal) && knows_query(&view.query)
        })
}

fn knows_call(call: &Call) -> bool {
    matches!(
        call.function,
        Function::Count | Function::Sum | Function::Average | Function::Min | Function::Max
    )
}

/// It has neither GROUPING SETS nor lists nor the rarer aggregates.
fn knows_query(query: &Query) -> bool {
    let is_known = match query {
        Query::GroupBy { sets, calls, .. } => sets.is_empty() && calls.iter().all(knows_call),
        Query::SelectScalar { call, .. } => knows_call(call),
        Query::Unnest { .. } => false,
        _ => true,
    };
    is_known && query.inputs().into_iter().all(knows_query)
}

/// The views' rows, by name.
///
/// # Errors
/// When SQLite fails.
pub fn answer(case: &Case, tables: &[ZSet]) -> Result<BTreeMap<String, ZSet>, String> {
    answer_all(case, tables).map_err(|error| format!("SQLite: {error}"))
}

fn answer_all(case: &Case, tables: &[ZSet]) -> Result<BTreeMap<String, ZSet>, rusqlite::Error> {
    let connection = Connection::open_in_memory()?;
    for (table, content) in case.tables.iter().zip(tables) {
        let columns: Vec<String> = table
            .types()
            .iter()
            .enumerate()
            .map(|(index, data_type)| match data_type {
                Type::Text => format!("c{index} TEXT"),
                _ => format!("c{index} INTEGER"),
            })
            .collect();
        let columns_text = columns.join(", ");
        connection.execute(&format!("CREATE TABLE {} ({columns_text})", table.name), [])?;
        let marks = vec!["?"; columns.len()].join(", ");
        let insert = format!("INSERT INTO {} VALUES ({marks})", table.name);
        let mut insert = connection.prepare(&insert)?;
        for (row, &weight) in content {
            for _ in 0..weight {
                insert.execute(rusqlite::params_from_iter(row.iter().map(to_sqlite)))?;
            }
        }
    }
    let mut answers = BTreeMap::new();
    for view in &case.views {
        let types = view.query.types();
        let select = view.query.sql(Dialect::Sqlite);
        // As a table, so that a view on a view does not compute it again.
        let name = &view.name;
        connection.execute(&format!("CREATE TABLE {name} AS {select}"), [])?;
        let mut statement = connection.prepare(&format!("SELECT * FROM {name}"))?;
        let mut found = statement.query([])?;
        let mut rows = ZSet::new();
        while let Some(found_row) = found.next()? {
            let mut row = Row::new();
            for (column, data_type) in types.iter().enumerate() {
                row.push(from_sqlite(*data_type, found_row.get_ref(column)?));
            }
            add(&mut rows, row, 1);
        }
        answers.insert(view.name.clone(), rows);
    }
    Ok(answers)
}

fn to_sqlite(value: &Value) -> SqliteValue {
    match value {
        Value::Null => SqliteValue::Null,
        Value::Bool(value) => SqliteValue::Integer(i64::from(*value)),
        Value::Int(value) | Value::Timestamp(value) => SqliteValue::Integer(*value),
        Value::Date(value) => SqliteValue::Integer(i64::from(*value)),
        Value::Text(value) => SqliteValue::Text(value.clone()),
        Value::Float(double) => SqliteValue::Real(double.number()),
        // Cases with decimals do not come here.
        Value::Decimal(_) => SqliteValue::Null,
    }
}

/// A value that does not fit the type becomes a text, which no other oracle
/// gives.
fn from_sqlite(data_type: Type, value: ValueRef<'_>) -> Value {
    match (data_type, value) {
        (_, ValueRef::Null) => Value::Null,
        (Type::Bool, ValueRef::Integer(value)) => Value::Bool(value != 0),
        (Type::Int, ValueRef::Integer(value)) => Value::Int(value),
        (Type::Timestamp, ValueRef::Integer(value)) => Value::Timestamp(value),
        (Type::Date, ValueRef::Integer(value)) => Value::Date(value as i32),
        (Type::Float, ValueRef::Real(value)) => Value::Float(Double::new(value)),
        (Type::Text, ValueRef::Text(bytes)) => {
            Value::Text(String::from_utf8_lossy(bytes).into_owned())
        }
        (_, other) => Value::Text(format!("not of the type {data_type:?}: {other:?}")),
    }
}
