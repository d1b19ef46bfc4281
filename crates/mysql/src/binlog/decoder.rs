//! From events to records: transactions, their rows, and the definitions of
//! tables that rows depend on.

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
use super::query::{Meaning, Query};
use super::rows::{RowsEvent, RowsKind, table_id_bytes};
use super::table_map::TableMap;
use crate::ddl::{TableEvent, follow};
use crate::error::{LogError, Problem};
use crate::filter::TableFilter;
use crate::input::{BadBytes, Input, name_text};
use crate::message::{Order, change, finish};
use crate::position::{
    CopyProgress, DatabasePosition, StateStep, commit_step, rows_step, state_step,
};
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
}

impl Decoder {
    /// A decoder that goes on at `position`, where events come from next.
    pub fn new(position: DatabasePosition, filter: TableFilter) -> Self {
        Self {
            skip_rows: position.rows,
            reached: position.offset,
            position,
            filter,
            format: None,
            tables: BTreeMap::new(),
            transaction: None,
            next_gtid: None,
            held: None,
            newest_s: 0,
            has_moved: false,
            is_of_files: false,
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
        DatabasePosition {
            rows: taken.max(self.skip_rows),
            ..self.position.clone()
        }
    }

    /// The file and byte that events came to, if no transaction is open.
    pub fn reached(&self) -> Option<(&str, u64)> {
        let is_between = self.transaction.is_none() && self.next_gtid.is_none();
        is_between.then_some((&self.position.file, self.reached))
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
        if !self.has_moved || self.transaction.is_some() {
            return None;
        }
        self.has_moved = false;
        let step = StateStep {
            at: Some(self.position.place()),
            ..StateStep::default()
        };
        Some(state_record(&step, now_us, None, Bytes::new()))
    }

    /// Takes one event, its header and its checksum included. Without the
    /// format's description `checksums` says whether it has one.
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
        let offset = match EventHeader::read(event) {
            Ok(header) => u64::from(header.end.saturating_sub(header.length)),
            Err(_) => self.position.offset,
        };
        let result = self.whole_event(event, now_us, lookup, out);
        result.map_err(|problem| LogError {
            file: self.position.file.clone(),
            offset,
            problem,
        })
    }

    fn whole_event(
        &mut self,
        event: &[u8],
        now_us: i64,
        lookup: &mut SchemaLookup<'_>,
        out: &mut Decoded,
    ) -> Result<(), Problem> {
        let header = EventHeader::read(event)?;
        if header.end > 0 && header.kind != kind::ROTATE {
            self.reached = u64::from(header.end);
        }
        if header.kind == kind::FORMAT_DESCRIPTION {
            let format = FormatDescription::read(&event[HEADER_BYTES..])?;
            if format.has_checksums {
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
            None if header.kind == kind::ROTATE => without_checksum(event).unwrap_or(event),
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
            kind::XID => {
                self.end_transaction(header, context);
                Ok(())
            }
            kind::GTID => {
                self.next_gtid = Some((read_mysql_gtid(body)?, false));
                Ok(())
            }
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
            // Stops, heartbeats, sets of GTIDs, values for statements,
            // annotations: nothing that changes rows.
            0..=38 | 41 | 160..=164 => Ok(()),
            other => Err(Problem::UnknownKind(other)),
        }
    }

    fn mariadb_gtid(&mut self, header: EventHeader, body: &[u8]) -> Result<(), Problem> {
        const STANDALONE: u8 = 1;
        const PREPARED: u8 = 64;
        let mut input = Input::new(body);
        let number = input.u64("a GTID")?;
        let domain = input.u32("a GTID")?;
        let flags = input.u8("a GTID")?;
        if flags & PREPARED != 0 {
            return Err(Problem::Distributed);
        }
        let server = header.server_id;
        let gtid = Gtid::MariaDb {
            domain,
            server,
            number,
        };
        let is_statement = flags & STANDALONE != 0;
        self.next_gtid = Some((gtid, is_statement));
        if !is_statement {
            self.begin_transaction();
        }
        Ok(())
    }

    fn begin_transaction(&mut self) {
        let (gtid, is_statement) = match self.next_gtid.take() {
            Some((gtid, is_statement)) => (Some(gtid), is_statement),
            None => (None, false),
        };
        let id = match &gtid {
            Some(gtid) => gtid.to_string(),
            None => format!("{}:{}", self.position.file, self.position.offset),
        };
        self.transaction = Some(Transaction {
            gtid,
            id,
            rows: 0,
            is_statement,
        });
    }

    fn query(
        &mut self,
        header: EventHeader,
        query: &Query,
        context: &mut Context<'_, '_, '_>,
    ) -> Result<(), Problem> {
        match query.meaning() {
            Meaning::Begin => {
                if self.transaction.is_none() {
                    self.begin_transaction();
                }
            }
            Meaning::Commit => self.end_transaction(header, context),
            Meaning::Rollback => {
                if self.transaction.as_ref().is_some_and(|open| open.rows > 0) {
                    context.out.warnings.push(format!(
                        "{}, before byte {}: a transaction that changed tables without transactions was undone; what it did to other tables stays until their rows change again",
                        self.position.file, header.end
                    ));
                }
                self.end_transaction(header, context);
            }
            Meaning::Distributed => {
                if query
                    .text
                    .trim_start()
                    .get(..9)
                    .is_some_and(|start| start.eq_ignore_ascii_case("XA COMMIT"))
                {
                    return Err(Problem::Distributed);
                }
            }
            Meaning::Rows if self.filter.takes_database(&query.database) => {
                // Its values may be personal: they do not go into an error.
                let is_value = |sign: char| "('\"=".contains(sign) || sign.is_ascii_digit();
                let begin = query.text.split(is_value).next().unwrap_or_default();
                return Err(Problem::Statement(begin.chars().take(80).collect()));
            }
            Meaning::Definition => self.definition(header, query, context),
            Meaning::Rows | Meaning::Other => self.end_statement(header, context),
        }
        Ok(())
    }

    /// A statement that is a transaction of its own.
    fn end_statement(&mut self, header: EventHeader, context: &mut Context<'_, '_, '_>) {
        let is_alone = self.next_gtid.is_some()
            || self
                .transaction
                .as_ref()
                .is_none_or(|open| open.is_statement);
        if is_alone {
            self.end_transaction(header, context);
        }
    }

    fn definition(
        &mut self,
        header: EventHeader,
        query: &Query,
        context: &mut Context<'_, '_, '_>,
    ) {
        let before = self.position.schemas.clone();
        let collation = query.server_collation;
        let events = follow(
            &mut self.position.schemas,
            &query.database,
            &query.text,
            collation,
        );
        let filter = &self.filter;
        self.position
            .schemas
            .retain(|name, _| filter.takes(name) || name.table.is_empty());
        self.tables.clear();
        let is_ours = |event: &TableEvent| match event {
            TableEvent::Defined(name) | TableEvent::Dropped(name) | TableEvent::Truncated(name) => {
                filter.takes(name)
            }
            TableEvent::Renamed(from, to) => filter.takes(from) || filter.takes(to),
        };
        let is_ours = events.iter().any(is_ours);
        let mut changed: Vec<(TableName, Option<TableSchema>)> = Vec::new();
        for name in before
            .keys()
            .filter(|name| !self.position.schemas.contains_key(name))
        {
            changed.push((name.clone(), None));
        }
        for (name, schema) in &self.position.schemas {
            if before.get(name) != Some(schema) {
                changed.push((name.clone(), Some(schema.clone())));
            }
        }
        // `CREATE TABLE … SELECT` has its statement before its rows.
        let is_inside = self.next_gtid.is_none()
            && self
                .transaction
                .as_ref()
                .is_some_and(|open| !open.is_statement);
        if !is_inside {
            self.end_transaction(header, context);
        }
        if !is_ours && changed.is_empty() {
            return;
        }
        let step = StateStep {
            schemas: changed,
            copies: Vec::new(),
            at: (!is_inside).then(|| self.position.place()),
        };
        let mark = self.release_held(false, context);
        let payload = crate::message::definition(&query.database, &query.text, &events);
        let record = state_record(&step, context.now_us, mark, Bytes::from(payload));
        context.out.records.push(record);
        self.has_moved = is_inside;
    }

    fn table_map(&mut self, body: &[u8], context: &mut Context<'_, '_, '_>) -> Result<(), Problem> {
        let Some(format) = &self.format else {
            return Err(Problem::NoFormat);
        };
        let map = TableMap::read(
            body,
            table_id_bytes(format, kind::TABLE_MAP),
            format.is_mariadb(),
        )?;
        let id = map.table_id;
        let name = TableName::new(map.database.clone(), map.table.clone());
        let known = self.tables.get(&id);
        if known.is_some_and(|known| known.map == map) {
            return Ok(());
        }
        let table = if self.filter.takes(&name) {
            let schema = self.position.schemas.get(&name);
            let (table, learned) = MappedTable::new(map, name.clone(), schema, context.lookup)?;
            if let Some(schema) = learned {
                let step = StateStep {
                    schemas: vec![(name.clone(), Some(schema.clone()))],
                    ..StateStep::default()
                };
                self.position.schemas.insert(name, schema);
                let mark = self.release_held(false, context);
                context
                    .out
                    .records
                    .push(state_record(&step, context.now_us, mark, Bytes::new()));
            }
            table
        } else {
            MappedTable::passed_over(map, name)
        };
        self.tables.insert(id, Arc::new(table));
        Ok(())
    }

    fn rows(
        &mut self,
        header: EventHeader,
        body: &[u8],
        of_rows: (RowsKind, bool),
        context: &mut Context<'_, '_, '_>,
    ) -> Result<(), Problem> {
        let Some(format) = &self.format else {
            return Err(Problem::NoFormat);
        };
        let event = RowsEvent::read(body, header.kind, of_rows, format)?;
        let Some(table) = self.tables.get(&event.table_id).cloned() else {
            // A mark without a table: the end of a statement.
            if event.table_id == 0xff_ffff {
                return Ok(());
            }
            return Err(Problem::NoTableMap(event.table_id));
        };
        let Some(columns) = &table.columns else {
            return Ok(());
        };
        if self.transaction.is_none() {
            self.begin_transaction();
        }
        event.read_rows(columns, |before, after| {
            let Some(transaction) = &mut self.transaction else {
                return Ok(());
            };
            let order = Order {
                time_s: header.time_s,
                transaction: self.position.transactions + 1,
                row: transaction.rows,
            };
            transaction.rows += 1;
            if transaction.rows <= self.skip_rows {
                return Ok(());
            }
            let step = rows_step(transaction.rows);
            let payload = change(
                &table.json_start,
                columns,
                event.kind,
                (before, after),
                order,
            );
            self.release_held(false, context);
            self.held = Some(Record {
                kind: RecordKind::Data,
                payload: Bytes::from(payload),
                capture_time_us: context.now_us,
                position: Bytes::from(step),
                transaction: None,
            });
            Ok::<(), Problem>(())
        })
    }

    /// Gives the row that was held back, and the mark of the open transaction.
    fn release_held(
        &mut self,
        is_last: bool,
        context: &mut Context<'_, '_, '_>,
    ) -> Option<TransactionMark> {
        let transaction = self.transaction.as_ref()?;
        let mark = TransactionMark {
            id: transaction.id.clone(),
            commit: is_last,
        };
        if let Some(mut record) = self.held.take() {
            let mut payload = Vec::from(record.payload);
            finish(&mut payload, is_last);
            record.payload = Bytes::from(payload);
            record.transaction = Some(mark.clone());
            context.out.records.push(record);
        }
        Some(mark)
    }

    fn end_transaction(&mut self, header: EventHeader, context: &mut Context<'_, '_, '_>) {
        if self.transaction.is_none() {
            self.begin_transaction();
        }
        if header.end > 0 {
            self.position.offset = u64::from(header.end);
        }
        let transaction = self.transaction.as_ref();
        let gtid = transaction.and_then(|open| open.gtid.clone());
        if let Some(gtid) = &gtid {
            self.position.gtids.add(gtid);
        }
        let has_rows = transaction.is_some_and(|open| open.rows > 0);
        let was_taken_before = has_rows && self.held.is_none();
        if has_rows {
            self.position.transactions += 1;
            self.skip_rows = 0;
        }
        self.position.rows = 0;
        self.has_moved = true;
        if let Some(record) = &mut self.held {
            let gtid = gtid.map(|gtid| gtid.to_string()).unwrap_or_default();
            let DatabasePosition {
                file,
                offset,
                transactions,
                ..
            } = &self.position;
            record.position = Bytes::from(commit_step(file, *offset, *transactions, &gtid));
            self.has_moved = false;
            self.release_held(true, context);
        } else if was_taken_before && let Some(open) = &self.transaction {
            // Its last row was in the log without the mark of its end.
            let mark = TransactionMark {
                id: open.id.clone(),
                commit: true,
            };
            let step = StateStep {
                at: Some(self.position.place()),
                ..StateStep::default()
            };
            let record = state_record(&step, context.now_us, Some(mark), Bytes::new());
            context.out.records.push(record);
            self.has_moved = false;
        }
        self.transaction = None;
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
