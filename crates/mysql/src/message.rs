//! The form of a change on its way into the log: a JSON object like Maxwell's,
//! so that one form of table definition reads both.
//!
//! ```json
//! {"database":"shop","table":"orders","type":"update","ts":1767225600,
//!  "xid":17,"xoffset":0,"data":{"id":1,"status":"paid"},"old":{"status":"new"},
//!  "commit":true}
//! ```

use std::io::Write as _;

use crate::binlog::rows::{Image, RowsKind};
use crate::schema::TableName;
use crate::value::layout::ColumnLayout;
use crate::value::text::write_json_string;

/// The beginning of every message about a table.
pub(crate) fn table_part(name: &TableName) -> Vec<u8> {
    let mut out = b"{\"database\":".to_vec();
    write_json_string(&mut out, &name.database);
    out.extend_from_slice(b",\"table\":");
    write_json_string(&mut out, &name.table);
    out
}

/// Where a change stands among others.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Order {
    /// Seconds since 1970 at which the statement began.
    pub(crate) time_s: u32,
    /// Number of the transaction.
    pub(crate) transaction: u64,
    /// Number of the row in it.
    pub(crate) row: u64,
}

/// The message of a row that changed, without its end: see [`finish`].
pub(crate) fn change(
    table_part: &[u8],
    columns: &[ColumnLayout],
    kind: RowsKind,
    (before, after): (&Image, &Image),
    defaults: &[Option<String>],
    order: Order,
) -> Vec<u8> {
    let capacity = table_part.len() + 96 + after.json.len().max(before.json.len()) * 2;
    let mut out = Vec::with_capacity(capacity);
    out.extend_from_slice(table_part);
    let name = match kind {
        RowsKind::Insert => "insert",
        RowsKind::Update => "update",
        RowsKind::Delete => "delete",
    };
    let Order {
        time_s,
        transaction,
        row,
    } = order;
    // Writing to memory does not fail.
    let _ = write!(
        out,
        ",\"type\":\"{name}\",\"ts\":{time_s},\"xid\":{transaction},\"xoffset\":{row},\"data\":{{"
    );
    let mut is_first = true;
    for (index, column) in columns.iter().enumerate() {
        // Of a minimal image, what did not change is in the earlier image
        // only, if at all.
        let default = || defaults.get(index)?.as_deref().map(str::as_bytes);
        let value = match kind {
            RowsKind::Insert => after.value(index).or_else(default),
            RowsKind::Update => after.value(index).or_else(|| before.value(index)),
            RowsKind::Delete => before.value(index),
        };
        if let Some(value) = value {
            member(&mut out, &mut is_first, column, value);
        }
    }
    out.push(b'}');
    if kind == RowsKind::Update {
        out.extend_from_slice(b",\"old\":{");
        let mut is_first = true;
        for (index, column) in columns.iter().enumerate() {
            if let (Some(old), Some(new)) = (before.value(index), after.value(index))
                && old != new
            {
                member(&mut out, &mut is_first, column, old);
            }
        }
        out.push(b'}');
        unchanged(&mut out, columns, before, after);
    }
    out
}

/// Names the columns that a minimal image leaves out: they stay as they were.
fn unchanged(out: &mut Vec<u8>, columns: &[ColumnLayout], before: &Image, after: &Image) {
    let is_missing = |index: usize| after.value(index).is_none() && before.value(index).is_none();
    let mut is_first = true;
    for (_, column) in columns
        .iter()
        .enumerate()
        .filter(|(index, _)| is_missing(*index))
    {
        out.extend_from_slice(match std::mem::take(&mut is_first) {
            true => b",\"unchanged\":[",
            false => b",",
        });
        // The name with its quotes, without the colon behind it.
        let name = column.json_name.as_slice();
        out.extend_from_slice(name.strip_suffix(b":").unwrap_or(name));
    }
    if !is_first {
        out.push(b']');
    }
}

/// The message of a table that was emptied.
pub(crate) fn truncated(name: &TableName, time_s: u32, transaction: u64) -> Vec<u8> {
    let mut out = table_part(name);
    // Writing to memory does not fail.
    let _ = write!(
        out,
        ",\"type\":\"truncate\",\"ts\":{time_s},\"xid\":{transaction},\"xoffset\":0,\"commit\":true}}"
    );
    out
}

fn member(out: &mut Vec<u8>, is_first: &mut bool, column: &ColumnLayout, value: &[u8]) {
    if !std::mem::take(is_first) {
        out.push(b',');
    }
    out.extend_from_slice(&column.json_name);
    out.extend_from_slice(value);
}

/// Ends a message.
pub(crate) fn finish(message: &mut Vec<u8>, is_last_of_transaction: bool) {
    if is_last_of_transaction {
        message.extend_from_slice(b",\"commit\":true");
    }
    message.push(b'}');
}

/// The message of a statement that changed definitions.
pub(crate) fn definition(database: &str, statement: &str) -> Vec<u8> {
    let mut out = b"{\"type\":\"ddl\",\"database\":".to_vec();
    write_json_string(&mut out, database);
    out.extend_from_slice(b",\"sql\":");
    write_json_string(&mut out, statement);
    out.push(b'}');
    out
}
