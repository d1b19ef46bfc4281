//! Definitions of tables as a server has them now.

use super::copy::write_value;
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

/// The rows of a table, about; 0 if the server does not say.
pub(super) fn row_estimate(
    connection: &mut Connection,
    name: &TableName,
) -> Result<u64, ConnectionError> {
    let (database, table) = (sql_text(&name.database), sql_text(&name.table));
    let rows = connection.value(&format!(
        "SELECT table_rows FROM information_schema.tables \
         WHERE table_schema = {database} AND table_name = {table}"
    ))?;
    Ok(rows.parse().unwrap_or(0))
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
        "SELECT column_name, column_type, character_set_name, column_default, is_nullable, extra \
         FROM information_schema.columns WHERE {place} ORDER BY ordinal_position"
    ))?;
    let mut schema = TableSchema::default();
    let is_mariadb = connection.server_version.contains("MariaDB");
    for row in rows {
        let default = row.get(3).cloned().flatten();
        let row = texts(row);
        let [column, column_type, charset, _, nullable, extra] = row.as_slice() else {
            continue;
        };
        let known = column_of_type(column, column_type);
        let charset = (!charset.is_empty()).then(|| charset.clone());
        let mut known = ColumnSchema {
            charset: known.charset.or(charset),
            ..known
        };
        known.default = match default {
            None => (nullable == "YES").then(|| "null".to_owned()),
            Some(_) if extra.contains("DEFAULT_GENERATED") => None,
            Some(text) => constant(&text, is_mariadb).and_then(|text| as_json(&known, &text)),
        };
        schema.columns.push(known);
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

/// The value of a default, as the server would send it; `Ok(None)` is null.
/// MariaDB writes it as SQL.
fn constant(text: &[u8], is_mariadb: bool) -> Option<Option<Vec<u8>>> {
    if !is_mariadb {
        return Some(Some(text.to_vec()));
    }
    if text.eq_ignore_ascii_case(b"NULL") {
        return Some(None);
    }
    let is_number = |byte: &u8| byte.is_ascii_digit() || b"+-.eE".contains(byte);
    if text.iter().all(is_number) || text.starts_with(b"b'") {
        return Some(Some(text.to_vec()));
    }
    let inside = text.strip_prefix(b"'")?.strip_suffix(b"'")?;
    // Quotes and backslashes are doubled inside.
    let mut value = Vec::with_capacity(inside.len());
    let mut bytes = inside.iter();
    while let Some(&byte) = bytes.next() {
        if matches!(byte, b'\'' | b'\\') && bytes.next() != Some(&byte) {
            return None;
        }
        value.push(byte);
    }
    Some(Some(value))
}

/// A default as rows of the log have it; `None` if that depends on more.
fn as_json(column: &ColumnSchema, value: &Option<Vec<u8>>) -> Option<String> {
    let bits = value.as_deref().and_then(|value| {
        let digits = value.strip_prefix(b"b'")?.strip_suffix(b"'")?;
        u64::from_str_radix(std::str::from_utf8(digits).ok()?, 2).ok()
    });
    if column.type_name == "bit" && value.is_some() {
        return bits.map(|bits| bits.to_string());
    }
    let is_zero = |value: &[u8]| value.starts_with(b"0000-00-00");
    let is_moment = column.type_name == "timestamp";
    // What moment it is depends on the session.
    if column.charset.as_deref() == Some("binary") && value.is_some()
        || is_moment && value.as_deref().is_some_and(|value| !is_zero(value))
    {
        return None;
    }
    let mut out = Vec::new();
    write_value(&mut out, column, value.as_deref());
    String::from_utf8(out).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_are_read_as_both_servers_write_them() {
        let json = |column_type: &str, text: &str, is_mariadb: bool| {
            let column = column_of_type("c", column_type);
            constant(text.as_bytes(), is_mariadb).and_then(|value| as_json(&column, &value))
        };
        let is = |json: Option<String>, wanted: &str| assert_eq!(json.as_deref(), Some(wanted));
        is(json("varchar(9)", "'it''s'", true), "\"it's\"");
        is(json("varchar(9)", "it's", false), "\"it's\"");
        is(json("int(11)", "5", true), "5");
        is(json("decimal(5,2)", "1.50", false), "1.50");
        is(json("varchar(9)", "NULL", true), "null");
        is(json("bit(4)", "b'101'", true), "5");
        assert_eq!(json("datetime", "current_timestamp()", true), None);
        assert_eq!(json("timestamp", "2026-01-01 00:00:00", false), None);
    }
}
