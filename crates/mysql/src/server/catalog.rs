//! Definitions of tables as a server has them now.

use crate::ddl::column_of_type;
use crate::filter::TableFilter;
use crate::input::name_text;
use crate::net::connection::{Connection, ConnectionError};
use crate::schema::{ColumnSchema, TableName, TableSchema};
use crate::value::text::sql_text;

fn texts(row: Vec<Option<Vec<u8>>>) -> Vec<String> {
    row.into_iter()
        .map(|value| value.map(|v| name_text(&v)).unwrap_or_default())
        .collect()
}

/// The tables that a filter takes.
pub(super) fn tables(
    connection: &mut Connection,
    filter: &TableFilter,
) -> Result<Vec<TableName>, ConnectionError> {
    let rows = connection.query(
        "SELECT table_schema, table_name FROM information_schema.tables \
         WHERE table_type = 'BASE TABLE' ORDER BY 1, 2",
    )?;
    let name = |row: Vec<Option<Vec<u8>>>| match texts(row).as_slice() {
        [database, table, ..] => TableName::new(database.clone(), table.clone()),
        _ => TableName::new("", ""),
    };
    Ok(rows
        .into_iter()
        .map(name)
        .filter(|name| filter.takes(name))
        .collect())
}

/// The databases, with the character set that they give to their tables.
pub(super) fn databases(
    connection: &mut Connection,
) -> Result<Vec<(TableName, TableSchema)>, ConnectionError> {
    let rows = connection
        .query("SELECT schema_name, default_character_set_name FROM information_schema.schemata")?;
    let database = |row: Vec<Option<Vec<u8>>>| match texts(row).as_slice() {
        [name, charset, ..] => Some((
            TableName::of_database(name),
            TableSchema {
                charset: Some(charset.clone()),
                ..TableSchema::default()
            },
        )),
        _ => None,
    };
    Ok(rows.into_iter().filter_map(database).collect())
}

/// The columns of a table; `None` if there is no such table.
pub(super) fn table(
    connection: &mut Connection,
    name: &TableName,
) -> Result<Option<TableSchema>, ConnectionError> {
    let (database, table) = (sql_text(&name.database), sql_text(&name.table));
    let place = format!("table_schema = {database} AND table_name = {table}");
    let rows = connection.query(&format!(
        "SELECT column_name, column_type, character_set_name \
         FROM information_schema.columns WHERE {place} ORDER BY ordinal_position"
    ))?;
    let mut schema = TableSchema::default();
    for row in rows {
        let row = texts(row);
        let [column, column_type, charset] = row.as_slice() else {
            continue;
        };
        let known = column_of_type(column, column_type);
        let charset = (!charset.is_empty()).then(|| charset.clone());
        schema.columns.push(ColumnSchema {
            charset: known.charset.or(charset),
            ..known
        });
    }
    if schema.columns.is_empty() {
        return Ok(None);
    }
    let key = connection.query(&format!(
        "SELECT column_name FROM information_schema.statistics \
         WHERE {place} AND index_name = 'PRIMARY' ORDER BY seq_in_index"
    ))?;
    let positions = key
        .into_iter()
        .filter_map(|row| schema.position(texts(row).first()?));
    schema.key = positions.collect();
    // MariaDB's JSON is text that a check keeps well-formed.
    let checks = connection.query(&format!(
        "SELECT check_clause FROM information_schema.check_constraints \
         WHERE constraint_schema = {database} AND table_name = {table}"
    ));
    for row in checks.unwrap_or_default() {
        let clause = texts(row).concat();
        let column = clause
            .strip_prefix("json_valid(`")
            .and_then(|rest| rest.strip_suffix("`)"));
        if let Some(position) = column.and_then(|column| schema.position(column)) {
            schema.columns[position].type_name = "json".into();
        }
    }
    Ok(Some(schema))
}
