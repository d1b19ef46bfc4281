//! First copies of tables, in one snapshot that begins exactly where the
//! stream goes on.
//!
//! Making a slot gives a place in the log and a snapshot: transactions whose
//! commit is before the place are in the snapshot, all others are in the stream
//! from there on. So nothing is missing and nothing comes twice.
//!
//! When a copy goes on after an end, a slot that lives only for the moment
//! gives another such pair. First the stream is taken up to the new place: all
//! of it for tables whose copies are complete, nothing for tables that wait,
//! and for the one that was in the middle the rows that are gone since. Then
//! that one is copied anew, and those that wait, as of the new place, from
//! which on their changes are taken. So no row goes back in time, and none
//! stays that the server does not have.

use std::time::Duration;

use bytes::Bytes;
use sluice_core::{Record, RecordKind};

use super::catalog::PublishedTable;
use super::error::ServerError;
use crate::input::BadBytes;
use crate::lsn::Lsn;
use crate::message::{copied, table_part};
use crate::net::connection::{Address, Connection, ConnectionError, CopiedRow, Purpose};
use crate::pgoutput::messages::{Tuple, TupleValue};
use crate::pgoutput::relation::ColumnLayout;
use crate::position::{CopyProgress, TableCopy};
use crate::schema::{TableName, literal, quoted};

/// How long a look for rows waits: the server may sort before the first.
const ROW_TIME: Duration = Duration::from_millis(100);
/// How long the server may take to begin a copy.
const ANSWER_TIME: Duration = Duration::from_secs(60);
/// Codes of refusals (PostgreSQL's documentation, appendix A).
const UNDEFINED_TABLE: &str = "42P01";
const UNDEFINED_SCHEMA: &str = "3F000";
const INSUFFICIENT_PRIVILEGE: &str = "42501";
/// Since this version slots can follow to standbys (`sync_replication_slots`).
const FOLLOWING_SLOTS_VERSION: u32 = 170_000;
/// A slot cannot be made before the transactions that run have ended.
const SLOT_TIME: Duration = Duration::from_secs(60);

/// A transaction that sees the tables as they were at one place of the log.
#[derive(Debug)]
pub(super) struct Snapshot {
    connection: Connection,
    /// The place.
    pub(super) at: Lsn,
    /// The tables that it is for, whose definitions cannot change.
    pub(super) tables: Vec<TableName>,
    /// Whether the stream was taken up to the place.
    pub(super) is_caught_up: bool,
    /// The table that is being copied.
    open: Option<OpenCopy>,
}

#[derive(Debug)]
struct OpenCopy {
    copy: TableCopy,
    start: Vec<u8>,
    layout: Vec<ColumnLayout>,
    line: CopyLine,
}

/// The slot that gives a snapshot its place.
#[derive(Debug, Clone, Copy)]
pub(super) struct NewSlot<'a> {
    pub(super) name: &'a str,
    /// It goes with the connection.
    pub(super) is_temporary: bool,
    /// Version of the server.
    pub(super) version: u32,
}

impl NewSlot<'_> {
    /// The command that makes it.
    fn command(self) -> String {
        let name = quoted(self.name);
        match (self.is_temporary, self.version) {
            (true, _) => {
                format!("CREATE_REPLICATION_SLOT {name} TEMPORARY LOGICAL pgoutput EXPORT_SNAPSHOT")
            }
            // Standbys that are set to do so keep it, too.
            (false, FOLLOWING_SLOTS_VERSION..) => format!(
                "CREATE_REPLICATION_SLOT {name} LOGICAL pgoutput (FAILOVER, SNAPSHOT 'export')"
            ),
            (false, _) => {
                format!("CREATE_REPLICATION_SLOT {name} LOGICAL pgoutput EXPORT_SNAPSHOT")
            }
        }
    }
}

impl Snapshot {
    /// Makes a slot, and a transaction with its snapshot. Nothing if a table got
    /// another name or was dropped since it was looked for.
    pub(super) fn begin(
        address: &Address,
        replication: &mut Connection,
        slot: NewSlot<'_>,
        tables: &[TableName],
    ) -> Result<Option<Self>, ServerError> {
        let mut connection = Connection::open(address, Purpose::Statements)?;
        connection.query("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")?;
        // A table that is written anew behind a snapshot is empty for it: so
        // definitions must not change from before it on.
        for table in tables {
            let name = format!("{}.{}", quoted(&table.schema), quoted(&table.table));
            let locked = connection.query(&format!("LOCK TABLE {name} IN ACCESS SHARE MODE"));
            let Err(error) = locked else { continue };
            return match error.code() {
                UNDEFINED_TABLE | UNDEFINED_SCHEMA => Ok(None),
                INSUFFICIENT_PRIVILEGE => Err(ServerError::Table {
                    user: address.user.clone(),
                    table: table.clone(),
                }),
                _ => Err(error.into()),
            };
        }
        replication.set_answer_time(SLOT_TIME)?;
        let made = replication.query(&slot.command());
        let made = made.map_err(|error| match error {
            ConnectionError::Io { source, .. } if source.kind() == std::io::ErrorKind::TimedOut => {
                ServerError::SlotWaits {
                    slot: slot.name.to_owned(),
                }
            }
            other => other.into(),
        })?;
        let Some([_, Some(at), Some(snapshot), ..]) = made.first().map(Vec::as_slice) else {
            return Err(BadBytes::invalid("a new slot has no snapshot").into());
        };
        let at: Lsn = at.parse()?;
        connection.query(&format!("SET TRANSACTION SNAPSHOT {}", literal(snapshot)))?;
        Ok(Some(Self {
            connection,
            at,
            tables: tables.to_vec(),
            is_caught_up: false,
            open: None,
        }))
    }

    /// Whether a table is being copied.
    pub(super) fn is_open(&self) -> bool {
        self.open.is_some()
    }

    /// Begins with a table.
    pub(super) fn open(
        &mut self,
        database: &str,
        table: &PublishedTable,
        layout: Vec<ColumnLayout>,
        copy: &TableCopy,
    ) -> Result<(), ServerError> {
        let sql = copy_statement(table);
        self.connection.set_answer_time(ANSWER_TIME)?;
        self.connection.start_copy(&sql)?;
        self.connection.set_answer_time(ROW_TIME)?;
        self.open = Some(OpenCopy {
            copy: copy.clone(),
            start: table_part(database, &table.name),
            layout,
            line: CopyLine::default(),
        });
        Ok(())
    }

    /// Takes rows up to about so many bytes; gives the copy when it is complete.
    pub(super) fn read(
        &mut self,
        (bytes_max, now_us): (usize, i64),
        records: &mut Vec<Record>,
    ) -> Result<Option<TableCopy>, ServerError> {
        let Some(open) = &mut self.open else {
            return Ok(None);
        };
        // Changes of the stream are newer than the copy, whose place they may
        // share.
        let order = (now_us / 1_000_000, Lsn(open.copy.from.0.saturating_sub(1)));
        let mut bytes = 0;
        while bytes < bytes_max {
            let row = match self.connection.copied_row()? {
                CopiedRow::Row(row) => row,
                CopiedRow::NotYet => break,
                CopiedRow::End => {
                    open.copy.progress = CopyProgress::Done;
                    let copy = open.copy.clone();
                    self.open = None;
                    return Ok(Some(copy));
                }
            };
            bytes += row.len();
            open.line.read(&row);
            let tuple = open.line.tuple();
            if tuple.len() != open.layout.len() {
                return Err(BadBytes::Invalid(format!(
                    "a row of the copy of {} has {} columns, the table has {}",
                    open.copy.table,
                    tuple.len(),
                    open.layout.len()
                ))
                .into());
            }
            records.push(Record {
                kind: RecordKind::Data,
                payload: Bytes::from(copied(&open.start, &open.layout, &tuple, order)),
                capture_time_us: now_us,
                position: Bytes::new(),
                transaction: None,
            });
        }
        Ok(None)
    }
}

/// The statement that copies a table.
fn copy_statement(table: &PublishedTable) -> String {
    let names: Vec<String> = table.columns.iter().map(|(name, _)| quoted(name)).collect();
    let only = if table.is_partitioned { "" } else { "ONLY " };
    let conditions = match table.conditions.as_slice() {
        [] => String::new(),
        conditions => format!(" WHERE {}", conditions.join(" OR ")),
    };
    format!(
        "COPY (SELECT {} FROM {only}{}.{}{conditions}) TO STDOUT",
        names.join(", "),
        quoted(&table.name.schema),
        quoted(&table.name.table)
    )
}

/// A line of `COPY`'s text form, taken apart.
#[derive(Debug, Default)]
struct CopyLine {
    /// The values without escapes, one behind the other.
    bytes: Vec<u8>,
    /// Where each begins and ends; nothing for null.
    values: Vec<Option<(usize, usize)>>,
}

impl CopyLine {
    fn read(&mut self, line: &[u8]) {
        self.bytes.clear();
        self.values.clear();
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        for field in line.split(|&byte| byte == b'\t') {
            if field == b"\\N" {
                self.values.push(None);
                continue;
            }
            let start = self.bytes.len();
            unescape(field, &mut self.bytes);
            self.values.push(Some((start, self.bytes.len())));
        }
    }

    fn tuple(&self) -> Tuple<'_> {
        let value = |value: &Option<(usize, usize)>| match value {
            None => TupleValue::Null,
            Some((start, end)) => TupleValue::Text(&self.bytes[*start..*end]),
        };
        self.values.iter().map(value).collect()
    }
}

fn unescape(field: &[u8], out: &mut Vec<u8>) {
    let mut rest = field;
    while let Some(at) = rest.iter().position(|&byte| byte == b'\\') {
        out.extend_from_slice(&rest[..at]);
        let Some(&sign) = rest.get(at + 1) else {
            rest = &[];
            break;
        };
        out.push(match sign {
            b'b' => 8,
            b'f' => 12,
            b'n' => b'\n',
            b'r' => b'\r',
            b't' => b'\t',
            b'v' => 11,
            other => other,
        });
        rest = &rest[at + 2..];
    }
    out.extend_from_slice(rest);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_copies_are_taken_apart() {
        let mut line = CopyLine::default();
        line.read(b"1\t\\N\t\ta\\tb\\\\N\\n\\x\n");
        let texts = |value: TupleValue<'_>| match value {
            TupleValue::Text(text) => Some(text.to_vec()),
            _ => None,
        };
        let found: Vec<_> = line.tuple().into_iter().map(texts).collect();
        let wanted = [Some(&b"1"[..]), None, Some(b""), Some(b"a\tb\\N\nx")];
        assert_eq!(found, wanted.map(|value| value.map(<[u8]>::to_vec)));
    }

    #[test]
    fn copies_are_of_what_is_published() {
        let table = PublishedTable {
            name: TableName::new("public", "t"),
            columns: vec![("a".into(), 23), ("b".into(), 25)],
            conditions: vec!["(a > 1)".into(), "(c = 'x')".into()],
            is_partitioned: false,
            has_identity: true,
            is_readable: true,
            row_estimate: 0,
        };
        assert_eq!(
            copy_statement(&table),
            "COPY (SELECT \"a\", \"b\" FROM ONLY \"public\".\"t\" WHERE (a > 1) OR (c = 'x')) TO STDOUT"
        );
    }
}
