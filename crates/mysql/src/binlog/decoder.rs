//! From events to records: transactions, their rows, and the definitions of
//! tables that rows depend on.

mod contents;
mod transactions;

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use sluice_core::{Record, RecordKind, TransactionMark};

use super::event::{
    EventHeader, FLAG_IGNORABLE, FormatDescription, HEADER_BYTES, kind, without_checksum,
};
use super::gtid::{Gtid, read_mysql_gtid};
use super::mapped_table::MappedTable;
use super::payload::{next_event, read_payload};
use super::query::Query;
use super::rows::RowsKind;
use crate::error::{LogError, Problem};
use crate::filter::TableFilter;
use crate::input::{BadBytes, Input, name_text};
use crate::position::{CopyProgress, DatabasePosition, StateStep, state_step};
use crate::schema::{TableName, TableSchema};

/// Asks for the columns of a table as they are now.
pub type SchemaLookup<'a> = dyn FnMut(&TableName) -> Option<TableSchema> + 'a;

/// What came of some events.
#[derive(Debug, Default)]
pub struct Decoded {
    /// Records, in order.
    pub records: Vec<Record>,
    /// What a person should know.
    pub warnings: Vec<String>,
}

/// A transaction whose end has not come.
#[derive(Debug)]
struct Transaction {
    gtid: Option<Gtid>,
    /// What its records are marked with.
    id: String,
    /// Rows that were seen.
    rows: u64,
    /// It is one statement, without a beginning and an end of its own.
    is_statement: bool,
}

/// See the module.
#[derive(Debug)]
pub struct Decoder {
    position: DatabasePosition,
    filter: TableFilter,
    /// The filter from the end of the open transaction on, of which rows were counted
    /// by another one.
    next_filter: Option<TableFilter>,
    format: Option<FormatDescription>,
    tables: BTreeMap<u64, Arc<MappedTable>>,
    transaction: Option<Transaction>,
    next_gtid: Option<(Gtid, bool)>,
    /// The last row, which may be the last one of its transaction.
    held: Option<Record>,
    /// Rows of the first transaction that were taken before.
    skip_rows: u64,
    /// Time of the newest event, seconds since 1970.
    newest_s: u32,
    /// True when the position moved and no record says so yet.
    has_moved: bool,
    /// Events come from files, whose names are given.
    is_of_files: bool,
    /// End of the newest event in its file.
    reached: u64,
    /// Whether tables that come into the filter by another name are copied.
    copies_new_tables: bool,
}

impl Decoder {
    /// A decoder that goes on at `position`, where events come from next.
    pub fn new(position: DatabasePosition, filter: TableFilter) -> Self {
        let before = position.tables.clone();
        let (filter, next_filter) = match before.filter(|_| position.rows > 0) {
            Some(before) if before != filter => (before, Some(filter)),
            _ => (filter, None),
        };
        Self {
            skip_rows: position.rows,
            reached: position.offset,
            position,
            filter,
            next_filter,
            format: None,
            tables: BTreeMap::new(),
            transaction: None,
            next_gtid: None,
            held: None,
            newest_s: 0,
            has_moved: false,
            is_of_files: false,
            copies_new_tables: false,
        }
    }

    /// Tables that get a captured name are to be copied.
    pub fn with_copies(self, copies: bool) -> Self {
        Self {
            copies_new_tables: copies,
            ..self
        }
    }

    /// A decoder of events from files, whose names [`Self::begin_file`] says.
    pub fn of_files(position: DatabasePosition, filter: TableFilter) -> Self {
        Self {
            is_of_files: true,
            ..Self::new(position, filter)
        }
    }

    /// A file begins.
    ///
    /// # Errors
    /// When the one before ended inside a transaction.
    pub fn begin_file(&mut self, name: &str) -> Result<(), LogError> {
        if self.transaction.is_some() {
            return Err(LogError {
                file: self.position.file.clone(),
                offset: self.position.offset,
                problem: BadBytes::Invalid(format!(
                    "the transaction that begins here has no end, and {name} follows"
                ))
                .into(),
            });
        }
        self.tables.clear();
        self.format = None;
        name.clone_into(&mut self.position.file);
        Ok(())
    }

    /// Where the next event begins.
    pub fn set_offset(&mut self, offset: u64) {
        self.position.offset = offset;
    }

    /// The file that an event says to be the next one.
    pub fn next_file(&self, event: &[u8]) -> Option<String> {
        let header = EventHeader::read(event).ok()?;
        if header.kind != kind::ROTATE {
            return None;
        }
        let checksum = match &self.format {
            Some(format) if format.has_checksums => 4,
            _ => 0,
        };
        let end = event.len().checked_sub(checksum)?;
        event.get(HEADER_BYTES + 8..end).map(name_text)
    }

    /// Where the next transaction begins, with all that was read before it.
    pub fn position(&self) -> &DatabasePosition {
        &self.position
    }

    /// Where reading must go on after all records that were given: perhaps in
    /// the middle of a transaction.
    pub fn resume_position(&self) -> DatabasePosition {
        let held = u64::from(self.held.is_some());
        let taken = self
            .transaction
            .as_ref()
            .map_or(0, |open| open.rows - held.min(open.rows));
        let open = self.transaction.as_ref().filter(|_| taken > 0);
        let gtid = open.and_then(|open| open.gtid.as_ref());
        let rows_of = match gtid {
            Some(gtid) => gtid.to_string(),
            None => self.position.rows_of.clone(),
        };
        DatabasePosition {
            rows: taken.max(self.skip_rows),
            rows_of,
            ..self.position.clone()
        }
    }

    /// The file and byte that events came to, if no transaction is open.
    pub fn reached(&self) -> Option<(&str, u64)> {
        let is_between = self.transaction.is_none() && self.next_gtid.is_none();
        is_between.then_some((&self.position.file, self.reached))
    }

    /// Whether all that was given is of whole transactions.
    pub(crate) fn is_between_transactions(&self) -> bool {
        self.transaction.is_none() && self.next_gtid.is_none() && self.skip_rows == 0
    }

    /// Moves by a step and gives the record that says so.
    pub(crate) fn record_state(&mut self, step: StateStep, now_us: i64) -> Record {
        let mark = self.transaction.as_ref().map(|open| TransactionMark {
            id: open.id.clone(),
            commit: false,
        });
        let record = state_record(&step, now_us, mark, Bytes::new());
        self.position.apply_state(step);
        record
    }

    /// Remembers how far the copy of a table has come.
    pub(crate) fn set_copies(&mut self, copies: Vec<(TableName, CopyProgress)>) {
        self.position.copies = copies;
    }

    /// Whether a transaction is open.
    pub fn is_in_transaction(&self) -> bool {
        self.transaction.is_some()
    }

    /// Whether events carry checksums; `None` before the format is known.
    pub fn has_checksums(&self) -> Option<bool> {
        self.format.as_ref().map(|format| format.has_checksums)
    }

    /// Time of the newest event, in seconds since 1970; 0 before the first.
    pub fn newest_s(&self) -> u32 {
        self.newest_s
    }

    /// A record that says where reading stands, if no other does.
    pub fn position_record(&mut self, now_us: i64) -> Option<Record> {
        if !self.has_moved || self.transaction.is_some() || self.skip_rows > 0 {
            return None;
        }
        self.has_moved = false;
        let step = StateStep {
            at: Some(self.position.place()),
            ..StateStep::default()
        };
        Some(state_record(&step, now_us, None, Bytes::new()))
    }

    /// Takes one event of a server's stream, its header and its checksum
    /// included.
    ///
    /// # Errors
    /// What is wrong with it. The decoder must then be made anew.
    pub fn event(
        &mut self,
        event: &[u8],
        now_us: i64,
        lookup: &mut SchemaLookup<'_>,
        out: &mut Decoded,
    ) -> Result<(), LogError> {
        // What a damaged header says of its place may be wrong.
        let begin = self.reached;
        let read = EventHeader::read(event).map_err(Problem::from);
        let result = read.and_then(|header| self.whole_event(header, event, now_us, lookup, out));
        result.map_err(|problem| self.at(begin, problem))
    }

    /// Takes one event of a file, where it begins at byte `begin`.
    ///
    /// # Errors
    /// What is wrong with it. The decoder must then be made anew.
    pub fn event_of_file(
        &mut self,
        event: &[u8],
        begin: u64,
        now_us: i64,
        out: &mut Decoded,
    ) -> Result<(), LogError> {
        let read = EventHeader::read(event).map_err(Problem::from);
        let result = read.and_then(|header| {
            let header = EventHeader {
                end: begin + u64::from(header.length),
                ..header
            };
            self.whole_event(header, event, now_us, &mut |_| None, out)
        });
        result.map_err(|problem| self.at(begin, problem))
    }

    fn at(&self, offset: u64, problem: Problem) -> LogError {
        LogError {
            file: self.position.file.clone(),
            offset,
            problem,
        }
    }

    fn whole_event(
        &mut self,
        header: EventHeader,
        event: &[u8],
        now_us: i64,
        lookup: &mut SchemaLookup<'_>,
        out: &mut Decoded,
    ) -> Result<(), Problem> {
        if header.end > 0 && header.kind != kind::ROTATE {
            self.reached = header.end;
        }
        if header.kind == kind::FORMAT_DESCRIPTION {
            let format = FormatDescription::read(&event[HEADER_BYTES..])?;
            // A server changes it on its way, and makes its checksum again
            // only if the others have one.
            let is_checked = match self.is_of_files {
                true => format.is_checked,
                false => format.has_checksums,
            };
            if is_checked {
                without_checksum(event)?;
            }
            self.format = Some(format);
            self.tables.clear();
            return Ok(());
        }
        let content = match &self.format {
            Some(format) if format.has_checksums => without_checksum(event)?,
            Some(_) => event,
            // Before the format a server sends where its log begins, with a
            // checksum if there are any.
            None if header.kind == kind::ROTATE && !self.is_of_files => {
                without_checksum(event).unwrap_or(event)
            }
            None => return Err(Problem::NoFormat),
        };
        let mut context = Context {
            now_us,
            lookup,
            out,
        };
        self.content(header, &content[HEADER_BYTES..], &mut context)
    }

    fn content(
        &mut self,
        header: EventHeader,
        body: &[u8],
        context: &mut Context<'_, '_, '_>,
    ) -> Result<(), Problem> {
        self.newest_s = self.newest_s.max(header.time_s);
        if self.position.tables.as_ref() != Some(&self.filter) {
            self.announce_filter(context);
        }
        if let Some(of_rows) = RowsKind::of_event(header.kind) {
            return self.rows(header, body, of_rows, context);
        }
        match header.kind {
            kind::TABLE_MAP => self.table_map(body, context),
            kind::QUERY | kind::MARIADB_QUERY_COMPRESSED => {
                let is_compressed = header.kind == kind::MARIADB_QUERY_COMPRESSED;
                let query = Query::read(body, is_compressed)?;
                self.query(header, &query, context)
            }
            kind::EXECUTE_LOAD_QUERY => self.query(header, &Query::read_load(body)?, context),
            kind::XID => {
                self.end_transaction(header, context);
                Ok(())
            }
            kind::GTID => {
                self.check_ended()?;
                self.next_gtid = Some((read_mysql_gtid(body)?, false));
                Ok(())
            }
            kind::ANONYMOUS_GTID => self.check_ended(),
            kind::GTID_TAGGED => Err(Problem::TaggedGtid),
            kind::MARIADB_GTID => self.mariadb_gtid(header, body),
            kind::ROTATE if self.is_of_files => Ok(()),
            kind::ROTATE => {
                let mut input = Input::new(body);
                let offset = input.u64("the next file's name")?;
                let file = name_text(input.rest());
                // At the beginning of a stream the server names the file that
                // was asked for, in its middle too.
                if file != self.position.file {
                    self.position.file = file;
                    self.position.offset = offset;
                    self.reached = offset;
                    self.has_moved = true;
                }
                self.tables.clear();
                Ok(())
            }
            kind::TRANSACTION_PAYLOAD => {
                let events = read_payload(body)?;
                let mut rest = events.as_slice();
                while !rest.is_empty() {
                    let (inner, body) = next_event(&mut rest)?;
                    if inner.kind == kind::TRANSACTION_PAYLOAD {
                        return Err(
                            BadBytes::invalid("a compressed transaction holds another").into()
                        );
                    }
                    // Where it ends is where the whole transaction ends.
                    let inner = EventHeader {
                        end: header.end,
                        ..inner
                    };
                    self.content(inner, body, context)?;
                }
                Ok(())
            }
            kind::XA_PREPARE => match body.first() {
                Some(0) => Err(Problem::Distributed),
                _ => {
                    self.end_transaction(header, context);
                    Ok(())
                }
            },
            kind::MARIADB_START_ENCRYPTION => Err(Problem::Encrypted),
            kind::PARTIAL_UPDATE_ROWS => Err(Problem::PartialJson),
            kind::INCIDENT => {
                let text = body.get(3..).map(name_text).unwrap_or_default();
                Err(Problem::Incident(text))
            }
            _ if header.flags & FLAG_IGNORABLE != 0 => Ok(()),
            // Nothing that changes rows. The content of a file comes before the
            // statement that loads it.
            kind::STOP
            | kind::INTVAR
            | kind::APPEND_BLOCK
            | kind::DELETE_FILE
            | kind::RAND
            | kind::USER_VAR
            | kind::BEGIN_LOAD_QUERY
            | kind::HEARTBEAT
            | kind::IGNORABLE
            | kind::ROWS_QUERY
            | kind::PREVIOUS_GTIDS
            | kind::TRANSACTION_CONTEXT
            | kind::VIEW_CHANGE
            | kind::HEARTBEAT_V2
            | kind::MARIADB_ANNOTATE_ROWS
            | kind::MARIADB_BINLOG_CHECKPOINT
            | kind::MARIADB_GTID_LIST => Ok(()),
            other => Err(Problem::UnknownKind(other)),
        }
    }
}

/// What an event needs besides itself.
struct Context<'a, 'b, 'c> {
    now_us: i64,
    lookup: &'a mut SchemaLookup<'b>,
    out: &'c mut Decoded,
}

/// A record without a row.
pub(crate) fn state_record(
    step: &StateStep,
    now_us: i64,
    transaction: Option<TransactionMark>,
    payload: Bytes,
) -> Record {
    Record {
        kind: RecordKind::Position,
        payload,
        capture_time_us: now_us,
        position: Bytes::from(state_step(step)),
        transaction,
    }
}
