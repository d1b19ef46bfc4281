//! The form of a change on its way into the log: a JSON object like Maxwell's,
//! so that one form of table definition reads all databases.
//!
//! ```json
//! {"database":"shop","schema":"public","table":"orders","type":"update",
//!  "ts":1767225600,"xid":731,"lsn":24023128,"xoffset":0,
//!  "data":{"id":1,"status":"paid"},"old":{"status":"new"},"commit":true}
//! ```

use std::io::Write as _;

use sluice_mysql::value::text::write_json_string;

use crate::lsn::Lsn;
use crate::pgoutput::messages::{Before, Tuple, TupleValue};
use crate::pgoutput::relation::ColumnLayout;
use crate::schema::TableName;

/// The beginning of every message about a table.
pub(crate) fn table_part(database: &str, name: &TableName) -> Vec<u8> {
    let mut out = b"{\"database\":".to_vec();
    write_json_string(&mut out, database);
    out.extend_from_slice(b",\"schema\":");
    write_json_string(&mut out, &name.schema);
    out.extend_from_slice(b",\"table\":");
    write_json_string(&mut out, &name.table);
    out
}

/// Where a change stands among others.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Order {
    /// Seconds since 1970 of the commit.
    pub(crate) time_s: i64,
    /// The server's number of the transaction.
    pub(crate) xid: u32,
    /// Where its commit is.
    pub(crate) lsn: Lsn,
    /// Number of the row in it, from 0.
    pub(crate) row: u64,
}

/// What happened to a row.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Change<'t, 'a> {
    Insert(&'t Tuple<'a>),
    Update(&'t Before<'a>, &'t Tuple<'a>),
    Delete(&'t Before<'a>),
}

/// The message of a row that changed, without its end: see [`finish`].
pub(crate) fn change(
    table_part: &[u8],
    columns: &[ColumnLayout],
    change: Change<'_, '_>,
    order: Order,
) -> Vec<u8> {
    let mut out = Vec::with_capacity(table_part.len() + 512);
    out.extend_from_slice(table_part);
    let kind = match change {
        Change::Insert(_) => "insert",
        Change::Update(..) => "update",
        Change::Delete(_) => "delete",
    };
    let Order {
        time_s,
        xid,
        lsn: Lsn(lsn),
        row,
    } = order;
    // Writing to memory does not fail.
    let _ = write!(
        out,
        ",\"type\":\"{kind}\",\"ts\":{time_s},\"xid\":{xid},\"lsn\":{lsn},\"xoffset\":{row},\"data\":{{"
    );
    match change {
        Change::Insert(new) => {
            members(&mut out, columns, |index| Some(new[index]));
            out.push(b'}');
        }
        Change::Update(before, new) => update(&mut out, columns, before, new),
        Change::Delete(before) => {
            members(&mut out, columns, |index| known(before, columns, index));
            out.push(b'}');
        }
    }
    out
}

/// What is known of a column before the change.
fn known<'a>(
    before: &Before<'a>,
    columns: &[ColumnLayout],
    index: usize,
) -> Option<TupleValue<'a>> {
    match before {
        Before::Same => None,
        Before::Key(key) => columns[index].is_key.then(|| key[index]),
        Before::Row(row) => Some(row[index]),
    }
}

fn update(out: &mut Vec<u8>, columns: &[ColumnLayout], before: &Before<'_>, new: &Tuple<'_>) {
    // A large value that stayed is in the old row, if that was sent.
    let value = |index: usize| match new[index] {
        TupleValue::Unchanged => known(before, columns, index),
        value => Some(value),
    };
    let is_missing = |index: usize| matches!(value(index), None | Some(TupleValue::Unchanged));
    members(out, columns, value);
    out.extend_from_slice(b"},\"old\":{");
    members(out, columns, |index| {
        let old = known(before, columns, index)?;
        let is_changed = new[index] != TupleValue::Unchanged && old != new[index];
        is_changed.then_some(old)
    });
    out.push(b'}');
    let missing = (0..columns.len()).filter(|&index| is_missing(index));
    for (number, index) in missing.enumerate() {
        out.extend_from_slice(if number == 0 {
            b",\"unchanged\":["
        } else {
            b","
        });
        write_json_string(out, &columns[index].name);
    }
    if (0..columns.len()).any(is_missing) {
        out.push(b']');
    }
}

/// Writes the columns that have a value.
fn members<'a>(
    out: &mut Vec<u8>,
    columns: &[ColumnLayout],
    value: impl Fn(usize) -> Option<TupleValue<'a>>,
) {
    let mut is_first = true;
    for (index, column) in columns.iter().enumerate() {
        let value = match value(index) {
            None | Some(TupleValue::Unchanged) => continue,
            Some(value) => value,
        };
        if !std::mem::take(&mut is_first) {
            out.push(b',');
        }
        out.extend_from_slice(&column.json_name);
        match value {
            TupleValue::Text(text) => column.form.write(out, text),
            _ => out.extend_from_slice(b"null"),
        }
    }
}

/// The message of a row of the first copy.
pub(crate) fn copied(
    table_part: &[u8],
    columns: &[ColumnLayout],
    row: &Tuple<'_>,
    (time_s, Lsn(lsn)): (i64, Lsn),
) -> Vec<u8> {
    let mut out = Vec::with_capacity(table_part.len() + 512);
    out.extend_from_slice(table_part);
    // Writing to memory does not fail.
    let _ = write!(
        out,
        ",\"type\":\"bootstrap-insert\",\"ts\":{time_s},\"lsn\":{lsn},\"xoffset\":0,\"data\":{{"
    );
    members(&mut out, columns, |index| Some(row[index]));
    out.extend_from_slice(b"}}");
    out
}

/// Ends a message.
pub(crate) fn finish(message: &mut Vec<u8>, is_last_of_transaction: bool) {
    if is_last_of_transaction {
        message.extend_from_slice(b",\"commit\":true");
    }
    message.push(b'}');
}

/// The message of a table that was emptied.
pub(crate) fn truncated(table_part: &[u8], order: Order) -> Vec<u8> {
    let Order {
        time_s,
        xid,
        lsn: Lsn(lsn),
        row,
    } = order;
    let mut out = table_part.to_vec();
    // Writing to memory does not fail.
    let _ = write!(
        out,
        ",\"type\":\"truncate\",\"ts\":{time_s},\"xid\":{xid},\"lsn\":{lsn},\"xoffset\":{row}}}"
    );
    out
}
