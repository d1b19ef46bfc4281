//! The first copy of a table, a part of its key at a time, while the stream
//! goes on.
//!
//! A part is read in one statement without locks. It counts from the place at
//! which the log ended after it was read: until the stream is there, rows that
//! the stream has changed are taken out of it, because the stream's are as new
//! or newer; where the stream says a part of a row only (minimal images), that
//! is put into the row. So nothing is missing and nothing goes back in time (Andreakis and
//! Papapanagiotou, "DBLog: A Watermark Based Change-Data-Capture Framework",
//! 2020).

use bytes::Bytes;
use serde_json::Value;
use sluice_core::{Record, RecordKind};

use super::ServerError;
use super::merge::changed_row;
use super::settings::{Server, end_of_log};
use crate::binlog::decoder::state_record;
use crate::message::table_part;
use crate::net::connection::Connection;
use crate::position::{CopyProgress, Place, StateStep};
use crate::schema::{ColumnSchema, TableName, TableSchema};
use crate::value::layout::{write_geometry, write_stored_json};
use crate::value::text::{write_base64, write_json_string};

/// A part of a table that waits for the stream.
#[derive(Debug)]
pub(super) struct Part {
    pub(super) table: TableName,
    key: Vec<String>,
    /// Whether keys are numbers that cannot be compared exactly here.
    has_inexact_key: bool,
    /// Key, and row as JSON.
    rows: Vec<(Vec<Value>, Vec<u8>)>,
    /// Rows that were read, those that are taken out among them.
    pub(super) rows_read: u64,
    /// How far the copy is with it.
    progress: CopyProgress,
    /// Where the log ended when it had been read.
    pub(super) end: Place,
    /// Whether it has all that came before its end and nothing else.
    pub(super) is_exact: bool,
}

/// What a snapshot shows.
enum Shown {
    /// Not all yet that the stream has brought.
    NotYet,
    /// All that is in the log before a file's byte, and nothing else.
    UpTo(String, u64),
    /// All that the stream has brought; nobody says how much more.
    More,
}

/// Reads the next part; `None` if the server does not show yet what the stream
/// has brought.
pub(super) fn read(
    connection: &mut Connection,
    server: &Server,
    (table, schema, progress): (&TableName, &TableSchema, &CopyProgress),
    stream: &Place,
    rows_max: usize,
) -> Result<Option<Part>, ServerError> {
    if !has_committed(connection, server, stream)? {
        return Ok(None);
    }
    connection.query("START TRANSACTION WITH CONSISTENT SNAPSHOT")?;
    let shown = shows(connection, server, stream)?;
    let part = match shown {
        Shown::NotYet => None,
        Shown::UpTo(..) | Shown::More => {
            let table = (table, schema, progress);
            let mut part = read_rows(connection, server, table, rows_max)?;
            // Rows without a key cannot be taken out of it.
            if let Shown::UpTo(file, offset) = shown
                && part.key.is_empty()
            {
                (part.end.file, part.end.offset) = (file, offset);
                part.is_exact = true;
            }
            Some(part)
        }
    };
    connection.query("COMMIT")?;
    Ok(part)
}

/// Whether all that the stream has brought is committed, so that a snapshot that is taken
/// now shows it: a transaction is sent before it is committed. Servers with MySQL's
/// identities say it at any moment and not of a snapshot; asked behind the snapshot they
/// would count what was committed in between, which the snapshot lacks.
fn has_committed(
    connection: &mut Connection,
    server: &Server,
    stream: &Place,
) -> Result<bool, ServerError> {
    if server.is_mariadb || !server.has_gtids {
        return Ok(true);
    }
    let asked = format!(
        "SELECT GTID_SUBSET('{}', @@GLOBAL.gtid_executed)",
        stream.gtids
    );
    Ok(connection.value(&asked)? == "1")
}

/// What the snapshot that was just taken shows. MariaDB says it of the snapshot itself.
fn shows(
    connection: &mut Connection,
    server: &Server,
    stream: &Place,
) -> Result<Shown, ServerError> {
    if !server.is_mariadb {
        return Ok(Shown::More);
    }
    let rows = connection.query("SHOW STATUS LIKE 'binlog_snapshot_%'")?;
    let value = |name: &str| {
        let row = rows.iter().find(|row| {
            let found = row.first().and_then(|value| value.as_deref());
            found.is_some_and(|found| found.eq_ignore_ascii_case(name.as_bytes()))
        });
        let value = row
            .and_then(|row| row.get(1))
            .cloned()
            .flatten()
            .unwrap_or_default();
        String::from_utf8_lossy(&value).into_owned()
    };
    let file = value("binlog_snapshot_file");
    let offset: u64 = value("binlog_snapshot_position").parse().unwrap_or(0);
    Ok(
        match is_reached((&file, offset), (&stream.file, stream.offset)) {
            true => Shown::UpTo(file, offset),
            false => Shown::NotYet,
        },
    )
}

/// Whether a place in the log is at or behind another one of the same server.
pub(super) fn is_reached((file, offset): (&str, u64), wanted: (&str, u64)) -> bool {
    // Numbers of files grow longer: `.999999` comes before `.1000000`.
    ((file.len(), file), offset) >= ((wanted.0.len(), wanted.0), wanted.1)
}

fn read_rows(
    connection: &mut Connection,
    server: &Server,
    (table, schema, progress): (&TableName, &TableSchema, &CopyProgress),
    rows_max: usize,
) -> Result<Part, ServerError> {
    let quoted = |name: &str| format!("`{}`", name.replace('`', "``"));
    let expression = |column: &ColumnSchema| match column.type_name.as_str() {
        // As text a float has six digits only.
        "float" => format!("{} + 0e0", quoted(&column.name)),
        "bit" => format!("{} + 0", quoted(&column.name)),
        _ => quoted(&column.name),
    };
    let columns: Vec<String> = schema.columns.iter().map(expression).collect();
    let key: Vec<&ColumnSchema> = schema
        .key
        .iter()
        .filter_map(|&k| schema.columns.get(k))
        .collect();
    let names: Vec<String> = key.iter().map(|column| quoted(&column.name)).collect();
    let mut sql = format!(
        "SELECT {} FROM {}.{}",
        columns.join(", "),
        quoted(&table.database),
        quoted(&table.table)
    );
    // Enumerations are ordered by their numbers, and compared by their texts.
    let in_parts = !key.is_empty() && key.iter().all(|column| column.values.is_empty());
    if in_parts {
        if let CopyProgress::Until(last) = progress {
            sql.push_str(&format!(" WHERE {}", behind(&names, last)));
        }
        sql.push_str(&format!(" ORDER BY {} LIMIT {rows_max}", names.join(", ")));
    }
    let found = connection.query(&sql)?;
    let end = end_of_log(connection, server)?;
    let is_last = !in_parts || found.len() < rows_max;
    let mut rows = Vec::with_capacity(found.len());
    let mut last_key = Vec::new();
    for row in &found {
        let mut json = vec![b'{'];
        for (index, (column, value)) in schema.columns.iter().zip(row).enumerate() {
            if index > 0 {
                json.push(b',');
            }
            write_json_string(&mut json, &column.name);
            json.push(b':');
            write_value(&mut json, column, value.as_deref());
        }
        json.push(b'}');
        let mut key_values = Vec::with_capacity(key.len());
        for &position in &schema.key {
            let value = row.get(position).and_then(|value| value.as_deref());
            let mut key_json = Vec::new();
            write_value(&mut key_json, &schema.columns[position], value);
            key_values.push(serde_json::from_slice(&key_json).unwrap_or_default());
        }
        rows.push((key_values, json));
    }
    if let Some(row) = found.last() {
        for &position in &schema.key {
            let value = row.get(position).and_then(|value| value.as_deref());
            last_key.push(literal(
                &schema.columns[position],
                value.unwrap_or_default(),
            ));
        }
    }
    let progress = if is_last {
        CopyProgress::Done
    } else {
        CopyProgress::Until(last_key)
    };
    Ok(Part {
        table: table.clone(),
        has_inexact_key: key
            .iter()
            .any(|column| matches!(column.type_name.as_str(), "decimal" | "float" | "double")),
        key: key.iter().map(|column| column.name.clone()).collect(),
        rows_read: rows.len() as u64,
        rows,
        progress,
        end,
        is_exact: false,
    })
}

/// The condition that a key comes behind another one.
fn behind(names: &[String], last: &[String]) -> String {
    let mut condition = String::from("FALSE");
    for (name, value) in names.iter().zip(last).rev() {
        condition = format!("({name} > {value} OR ({name} = {value} AND {condition}))");
    }
    match (names.first(), last.first()) {
        // So that the beginning of the key's index is used.
        (Some(name), Some(value)) => format!("{name} >= {value} AND {condition}"),
        _ => condition,
    }
}

/// A value of a key as SQL writes it.
fn literal(column: &ColumnSchema, value: &[u8]) -> String {
    let hex = || {
        value
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect::<String>()
    };
    match column.type_name.as_str() {
        "tinyint" | "smallint" | "mediumint" | "int" | "bigint" | "decimal" | "float"
        | "double" | "year" | "bit" => String::from_utf8_lossy(value).into_owned(),
        _ if column.charset.as_deref() == Some("binary") => format!("x'{}'", hex()),
        _ => format!("_utf8mb4 x'{}'", hex()),
    }
}

/// Appends a value that the server sent as text, as the log's would be.
pub(super) fn write_value(out: &mut Vec<u8>, column: &ColumnSchema, value: Option<&[u8]>) {
    let Some(value) = value else {
        out.extend_from_slice(b"null");
        return;
    };
    let text = String::from_utf8_lossy(value);
    match column.type_name.as_str() {
        "tinyint" | "smallint" | "mediumint" | "int" | "bigint" | "decimal" | "year" | "bit" => {
            // Zeros before a number are no JSON (`ZEROFILL`, the year 0000).
            let (sign, digits) = match text.strip_prefix('-') {
                Some(digits) => ("-", digits),
                None => ("", text.as_ref()),
            };
            let digits = digits.trim_start_matches('0');
            let zero = if digits.is_empty() || digits.starts_with('.') {
                "0"
            } else {
                ""
            };
            out.extend_from_slice(format!("{sign}{zero}{digits}").as_bytes());
        }
        "float" => {
            let value = text.parse::<f64>().unwrap_or_default() as f32;
            out.extend_from_slice(value.to_string().as_bytes());
        }
        "double" => {
            let value = text.parse::<f64>().unwrap_or_default();
            out.extend_from_slice(value.to_string().as_bytes());
        }
        "timestamp" if !text.starts_with("0000-00-00") => {
            write_json_string(out, &format!("{}Z", text.replacen(' ', "T", 1)));
        }
        "json" => write_stored_json(out, value),
        "geometry" | "point" | "linestring" | "polygon" | "multipoint" | "multilinestring"
        | "multipolygon" | "geometrycollection" | "geomcollection" => {
            let start = out.len();
            if write_geometry(out, value).is_err() {
                out.truncate(start);
                out.extend_from_slice(b"null");
            }
        }
        _ if column.charset.as_deref() == Some("binary") => {
            out.push(b'"');
            write_base64(out, value);
            out.push(b'"');
        }
        _ => write_json_string(out, &text),
    }
}

impl Part {
    /// Whether the table is copied with it.
    pub(super) fn is_last(&self) -> bool {
        self.progress == CopyProgress::Done
    }

    /// Whether the stream has come to its end, behind which rows are not in it.
    pub(super) fn is_complete_at(&self, (file, offset): (&str, u64)) -> bool {
        is_reached((file, offset), (&self.end.file, self.end.offset))
    }

    /// Takes out what the stream has changed. False if the part must be read
    /// again.
    pub(super) fn take_out(&mut self, records: &[Record]) -> bool {
        for record in records {
            if record.kind == RecordKind::Position {
                if !record.payload.is_empty() {
                    // A definition changed.
                    return false;
                }
                continue;
            }
            if self.is_exact {
                continue;
            }
            let message: Value = serde_json::from_slice(&record.payload).unwrap_or_default();
            if message["database"] != *self.table.database || message["table"] != *self.table.table
            {
                continue;
            }
            if self.key.is_empty() || self.has_inexact_key || message["type"] == "truncate" {
                return false;
            }
            let new: Vec<&Value> = self.key.iter().map(|name| &message["data"][name]).collect();
            let old = self.key.iter().map(|name| match message["old"].get(name) {
                Some(old) => old,
                None => &message["data"][name],
            });
            let old: Vec<&Value> = old.collect();
            let is = |key: &[Value], other: &[&Value]| key.iter().zip(other).all(|(a, b)| a == *b);
            // The warehouse cannot make the row of a change that says a part
            // of it before it has the rest.
            if message.get("unchanged").is_some() {
                if old != new {
                    return false;
                }
                for (key, row) in &mut self.rows {
                    if is(key, &new) {
                        *row = changed_row(row, &record.payload);
                    }
                }
                continue;
            }
            self.rows
                .retain(|(key, _)| !is(key, &new) && !is(key, &old));
        }
        true
    }

    /// Whether a change takes a row that may not be copied yet to another key
    /// without saying all of it: it may have left a part that is still to be
    /// read for one that was read before.
    pub(super) fn moves_half_a_row(
        table: &TableName,
        schema: &TableSchema,
        records: &[Record],
    ) -> bool {
        records.iter().any(|record| {
            if record.kind != RecordKind::Data {
                return false;
            }
            let message: Value = serde_json::from_slice(&record.payload).unwrap_or_default();
            let is_of_table =
                message["database"] == *table.database && message["table"] == *table.table;
            let mut key = schema.key.iter().filter_map(|&k| schema.columns.get(k));
            is_of_table
                && message.get("unchanged").is_some()
                && key.any(|column| message["old"].get(&column.name).is_some())
        })
    }

    /// The records of what is left.
    pub(super) fn records(self, now_us: i64, transactions: u64) -> Vec<Record> {
        let mut head = table_part(&self.table);
        head.extend_from_slice(
            format!(
                ",\"type\":\"bootstrap-insert\",\"ts\":{},\"xid\":{transactions},\"data\":",
                now_us / 1_000_000
            )
            .as_bytes(),
        );
        let record = |(_, row): (Vec<Value>, Vec<u8>)| Record {
            kind: RecordKind::Data,
            payload: Bytes::from([head.as_slice(), &row, b"}"].concat()),
            capture_time_us: now_us,
            position: Bytes::new(),
            transaction: None,
        };
        let mut records: Vec<Record> = self.rows.into_iter().map(record).collect();
        let step = StateStep {
            copies: vec![(self.table, self.progress)],
            ..StateStep::default()
        };
        records.push(state_record(&step, now_us, None, Bytes::new()));
        records
    }
}
