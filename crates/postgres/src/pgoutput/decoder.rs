//! From messages to records: transactions and their rows.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use sluice_core::{Record, RecordKind, TransactionMark};
use sluice_mysql::filter::TableFilter;

use super::messages::{Message, Relation, Tuple};
use super::relation::TableLayout;
use crate::input::BadBytes;
use crate::lsn::Lsn;
use crate::message::{Change, Order, change, finish, truncated};
use crate::position::{
    CopyProgress, PostgresPosition, StateStep, TableCopy, commit_step, rows_step, state_step,
};
use crate::schema::TableName;
use crate::value::form::ValueForm;

/// Asks how values of a type are written that is not the server's own.
pub type TypeLookup<'a> = dyn FnMut(u32) -> ValueForm + 'a;

/// What came of some messages.
#[derive(Debug, Default)]
pub struct Decoded {
    /// Records, in order.
    pub records: Vec<Record>,
    /// What a person should know.
    pub warnings: Vec<String>,
}

/// Something wrong in the stream.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the stream of changes, behind {lsn}: {problem}")]
pub struct StreamError {
    /// The place up to which everything was understood.
    pub lsn: Lsn,
    /// What is wrong.
    pub problem: BadBytes,
}

/// Which changes are wanted.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// Name of the database, for the records.
    pub database: String,
    /// Which tables, as `schema.table`.
    pub filter: TableFilter,
    /// Whether tables that are new to the stream are copied first.
    pub copies: bool,
}

impl Wanted {
    /// Whether a table is captured.
    pub fn takes(&self, table: &TableName) -> bool {
        let name = sluice_mysql::schema::TableName::new(table.schema.as_str(), &table.table);
        self.filter.takes(&name)
    }
}

/// A transaction whose end has not come.
#[derive(Debug)]
struct Transaction {
    commit_lsn: Lsn,
    time_s: i64,
    xid: u32,
    /// Rows that were seen.
    rows: u64,
    /// Records were given, now or before a restart, that wait for its end.
    has_records: bool,
}

impl Transaction {
    fn mark(&self, is_last: bool) -> TransactionMark {
        TransactionMark {
            id: self.commit_lsn.to_string(),
            commit: is_last,
        }
    }
}

/// See the module.
#[derive(Debug)]
pub struct Decoder {
    position: PostgresPosition,
    wanted: Wanted,
    tables: BTreeMap<u32, Arc<TableLayout>>,
    transaction: Option<Transaction>,
    /// The last row, which may be the last one of its transaction.
    held: Option<Record>,
    /// Where the commit of a transaction is of which rows were taken before a
    /// restart, and how many.
    taken_before: Option<(Lsn, u64)>,
    /// Time of the newest commit, seconds since 1970.
    newest_s: i64,
    /// The place that the records say, which `position` may be ahead of.
    recorded: Lsn,
    /// Transactions with their commit here or behind are not taken.
    stop_at: Option<Lsn>,
    is_stopped: bool,
}

/// What is taken of the changes of a table in one transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Taken {
    All,
    /// Nothing: its copy has them, or will have them.
    Nothing,
    /// Rows that are gone: a copy that was begun and is begun anew does not
    /// take them out.
    Gone,
}

impl Decoder {
    /// A decoder that goes on at `position`.
    pub fn new(position: PostgresPosition, wanted: Wanted) -> Self {
        Self {
            taken_before: (position.rows > 0).then_some((position.rows_of, position.rows)),
            recorded: position.lsn,
            position,
            wanted,
            tables: BTreeMap::new(),
            transaction: None,
            held: None,
            newest_s: 0,
            stop_at: None,
            is_stopped: false,
        }
    }

    /// Stops before the first transaction with its commit at `at` or behind.
    pub(crate) fn stop_at(&mut self, at: Lsn) {
        self.stop_at = Some(at);
        self.is_stopped = self.position.lsn >= at && self.is_between_transactions();
    }

    /// Whether all transactions before the place to stop at were taken.
    pub(crate) fn is_stopped(&self) -> bool {
        self.is_stopped
    }

    /// Where the next transaction begins, with all that was read before it.
    pub fn position(&self) -> &PostgresPosition {
        &self.position
    }

    /// Where reading must go on after all records that were given: perhaps in
    /// the middle of a transaction.
    pub fn resume_position(&self) -> PostgresPosition {
        let held = u64::from(self.held.is_some());
        let (before_of, before) = self.taken_before.unwrap_or_default();
        let (rows_of, rows) = match &self.transaction {
            Some(open) if open.has_records => {
                let rows = open.rows - held.min(open.rows);
                (open.commit_lsn, rows.max(before))
            }
            _ => (before_of, before),
        };
        PostgresPosition {
            lsn: self.recorded,
            rows,
            rows_of,
            ..self.position.clone()
        }
    }

    /// All transactions that end here or before are in records.
    pub fn recorded(&self) -> Lsn {
        self.recorded
    }

    /// Whether a transaction is open.
    pub fn is_in_transaction(&self) -> bool {
        self.transaction.is_some()
    }

    /// Whether everything that was given is of whole transactions. In the
    /// middle of one, also of one that was begun before a restart, no record
    /// may come that is not its own: readers would see the first part.
    pub fn is_between_transactions(&self) -> bool {
        self.transaction.is_none() && self.taken_before.is_none()
    }

    /// Time of the newest commit, in seconds since 1970; 0 before the first.
    pub fn newest_s(&self) -> i64 {
        self.newest_s
    }

    /// Moves by a step and gives the record that says so.
    pub(crate) fn record_state(&mut self, step: StateStep, now_us: i64) -> Record {
        let record = state_record(&step, now_us, None, Bytes::new());
        if let Some(lsn) = step.lsn {
            self.recorded = lsn;
        }
        self.position.apply_state(step);
        record
    }

    /// The server has nothing more up to `end`.
    pub fn reached(&mut self, end: Lsn) {
        // Rows that were taken before belong to a transaction that is still to
        // come again.
        if self.is_between_transactions() {
            self.position.lsn = self.position.lsn.max(end);
            self.is_stopped |= self.stop_at.is_some_and(|at| end >= at);
        }
    }

    /// A record that says where reading stands, if no other does.
    pub fn position_record(&mut self, now_us: i64) -> Option<Record> {
        let lsn = self.position.lsn;
        if !self.is_between_transactions() || lsn == self.recorded {
            return None;
        }
        let step = StateStep {
            lsn: Some(lsn),
            is_quiet: true,
            ..StateStep::default()
        };
        Some(self.record_state(step, now_us))
    }

    /// Takes one message.
    ///
    /// # Errors
    /// What is wrong with it. The decoder must then be made anew.
    pub fn message(
        &mut self,
        bytes: &[u8],
        now_us: i64,
        lookup: &mut TypeLookup<'_>,
        out: &mut Decoded,
    ) -> Result<(), StreamError> {
        let result = self.whole_message(bytes, now_us, lookup, out);
        result.map_err(|problem| StreamError {
            lsn: self.position.lsn,
            problem,
        })
    }

    fn whole_message(
        &mut self,
        bytes: &[u8],
        now_us: i64,
        lookup: &mut TypeLookup<'_>,
        out: &mut Decoded,
    ) -> Result<(), BadBytes> {
        if self.is_stopped {
            return Ok(());
        }
        match Message::read(bytes)? {
            Message::Begin { commit_lsn, .. }
                if self.stop_at.is_some_and(|at| commit_lsn >= at) =>
            {
                self.is_stopped = true;
                Ok(())
            }
            Message::Begin {
                commit_lsn,
                time_s,
                xid,
            } => {
                if self.transaction.is_some() {
                    return Err(BadBytes::invalid("a transaction begins inside another"));
                }
                // The server gives transactions in the order of their commits. A
                // wrong end of the one before would leave others out.
                if commit_lsn < self.position.lsn {
                    return Err(BadBytes::Invalid(format!(
                        "a transaction comes with its commit at {commit_lsn}, and all up to {} was read before",
                        self.position.lsn
                    )));
                }
                let has_records = match self.taken_before {
                    Some((of, rows)) if commit_lsn > of => {
                        return Err(BadBytes::Invalid(format!(
                            "the transaction with its commit at {of}, of which {rows} rows were taken, does not come again"
                        )));
                    }
                    Some((of, _)) => commit_lsn == of,
                    None => false,
                };
                self.transaction = Some(Transaction {
                    commit_lsn,
                    time_s,
                    xid,
                    rows: 0,
                    has_records,
                });
                Ok(())
            }
            Message::Commit {
                commit_lsn,
                end_lsn,
            } => self.commit(commit_lsn, end_lsn, now_us, out),
            Message::Relation(relation) => {
                self.relation(&relation, now_us, lookup, out);
                Ok(())
            }
            Message::Insert { relation, new } => {
                self.row(relation, &[&new], Change::Insert(&new), now_us, out)
            }
            Message::Update {
                relation,
                before,
                new,
            } => {
                let tuples: &[&Tuple<'_>] = match before.tuple() {
                    Some(old) => &[old, &new],
                    None => &[&new],
                };
                let change = Change::Update(&before, &new);
                self.row(relation, tuples, change, now_us, out)
            }
            Message::Delete { relation, before } => {
                let tuples: Vec<&Tuple<'_>> = before.tuple().into_iter().collect();
                self.row(relation, &tuples, Change::Delete(&before), now_us, out)
            }
            Message::Truncate { relations } => self.truncate(&relations, now_us, out),
            Message::Other => Ok(()),
        }
    }

    fn table(&self, relation: u32) -> Result<Arc<TableLayout>, BadBytes> {
        let unknown = || {
            BadBytes::Invalid(format!(
                "its rows belong to table number {relation}, which no message before described"
            ))
        };
        self.tables.get(&relation).cloned().ok_or_else(unknown)
    }

    fn relation(
        &mut self,
        relation: &Relation,
        now_us: i64,
        lookup: &mut TypeLookup<'_>,
        out: &mut Decoded,
    ) {
        let name = TableName::new(relation.schema.clone(), relation.name.clone());
        let table = match self.wanted.takes(&name) {
            true => TableLayout::new(&self.wanted.database, relation, lookup),
            false => TableLayout::passed_over(relation),
        };
        let before = self.tables.get(&relation.id);
        if let Some(difference) = before.and_then(|before| table.difference(before)) {
            out.warnings
                .push(format!("{name} has changed: {difference}"));
        }
        let copy = match self.position.copy_of(&name) {
            None => Some(TableCopy {
                table: name,
                relation: relation.id,
                ..TableCopy::default()
            }),
            Some(known) => known.now_of(relation.id),
        };
        if let Some(copy) = copy.filter(|_| table.columns.is_some() && self.wanted.copies) {
            // What it holds already is copied behind this transaction.
            let step = StateStep {
                copies: vec![copy],
                ..StateStep::default()
            };
            self.push_state(step, Bytes::new(), now_us, out);
        }
        self.tables.insert(relation.id, Arc::new(table));
    }

    /// Rows of a transaction that were taken before a restart.
    fn rows_taken_of(&self, commit_lsn: Lsn) -> u64 {
        match self.taken_before {
            Some((of, rows)) if of == commit_lsn => rows,
            _ => 0,
        }
    }

    /// What is taken of a table's changes in a transaction.
    fn taken(&self, table: &TableName, commit_lsn: Lsn) -> Taken {
        match self.position.copy_of(table) {
            None => Taken::All,
            Some(copy) if commit_lsn < copy.from => Taken::Nothing,
            Some(copy) => match copy.progress {
                CopyProgress::Waiting => Taken::Nothing,
                CopyProgress::Begun => Taken::Gone,
                CopyProgress::Done => Taken::All,
            },
        }
    }

    fn row(
        &mut self,
        relation: u32,
        tuples: &[&Tuple<'_>],
        of_row: Change<'_, '_>,
        now_us: i64,
        out: &mut Decoded,
    ) -> Result<(), BadBytes> {
        let table = self.table(relation)?;
        let Some(transaction) = &mut self.transaction else {
            return Err(BadBytes::invalid("a row comes outside of transactions"));
        };
        let order = Order {
            time_s: transaction.time_s,
            xid: transaction.xid,
            lsn: transaction.commit_lsn,
            row: transaction.rows,
        };
        transaction.rows += 1;
        let Some(columns) = &table.columns else {
            return Ok(());
        };
        if let Some(tuple) = tuples.iter().find(|tuple| tuple.len() != columns.len()) {
            return Err(BadBytes::Invalid(format!(
                "a row of {} has {} columns, the table has {}",
                table.name,
                tuple.len(),
                columns.len()
            )));
        }
        let of_row = match (self.taken(&table.name, order.lsn), of_row) {
            (Taken::All, of_row) | (Taken::Gone, of_row @ Change::Delete(_)) => of_row,
            (Taken::Gone, Change::Update(before, _)) if before.tuple().is_some() => {
                Change::Delete(before)
            }
            _ => return Ok(()),
        };
        if order.row < self.rows_taken_of(order.lsn) {
            return Ok(());
        }
        let payload = change(&table.start, columns, of_row, order);
        self.release_held(false, out);
        self.held = Some(Record {
            kind: RecordKind::Data,
            payload: Bytes::from(payload),
            capture_time_us: now_us,
            position: Bytes::from(rows_step(order.row + 1, order.lsn)),
            transaction: None,
        });
        Ok(())
    }

    fn truncate(
        &mut self,
        relations: &[u32],
        now_us: i64,
        out: &mut Decoded,
    ) -> Result<(), BadBytes> {
        for &relation in relations {
            let table = self.table(relation)?;
            let Some(transaction) = &self.transaction else {
                return Err(BadBytes::invalid(
                    "tables are emptied outside of transactions",
                ));
            };
            let taken = self.taken(&table.name, transaction.commit_lsn);
            if table.columns.is_none() || taken == Taken::Nothing {
                continue;
            }
            let order = Order {
                time_s: transaction.time_s,
                xid: transaction.xid,
                lsn: transaction.commit_lsn,
                row: transaction.rows,
            };
            // Rows behind it were taken before a restart, and so was it.
            if order.row < self.rows_taken_of(order.lsn) {
                continue;
            }
            let payload = Bytes::from(truncated(&table.start, order));
            self.push_state(StateStep::default(), payload, now_us, out);
            if let Some(record) = out.records.last_mut() {
                record.kind = RecordKind::Data;
            }
        }
        Ok(())
    }

    /// Gives a record without a row, inside a transaction if one is open.
    fn push_state(&mut self, step: StateStep, payload: Bytes, now_us: i64, out: &mut Decoded) {
        self.release_held(false, out);
        let mark = self.transaction.as_mut().map(|transaction| {
            transaction.has_records = true;
            transaction.mark(false)
        });
        out.records.push(state_record(&step, now_us, mark, payload));
        self.position.apply_state(step);
    }

    /// Gives the row that was held back.
    fn release_held(&mut self, is_last: bool, out: &mut Decoded) {
        if let (Some(transaction), Some(mut record)) = (&mut self.transaction, self.held.take()) {
            let mut payload = Vec::from(record.payload);
            finish(&mut payload, is_last);
            record.payload = Bytes::from(payload);
            record.transaction = Some(transaction.mark(is_last));
            transaction.has_records = true;
            out.records.push(record);
        }
    }

    fn commit(
        &mut self,
        commit_lsn: Lsn,
        end_lsn: Lsn,
        now_us: i64,
        out: &mut Decoded,
    ) -> Result<(), BadBytes> {
        let Some(transaction) = &self.transaction else {
            return Err(BadBytes::invalid("a transaction ends that did not begin"));
        };
        if transaction.commit_lsn != commit_lsn || end_lsn < commit_lsn {
            return Err(BadBytes::Invalid(format!(
                "the transaction with its commit at {} ends with one at {commit_lsn} up to {end_lsn}",
                transaction.commit_lsn
            )));
        }
        let before = self.rows_taken_of(commit_lsn);
        if transaction.rows < before {
            return Err(BadBytes::Invalid(format!(
                "the transaction has {} rows, of which {before} were taken before",
                transaction.rows
            )));
        }
        self.newest_s = self.newest_s.max(transaction.time_s);
        self.position.lsn = end_lsn;
        self.position.rows = 0;
        self.taken_before.take_if(|(of, _)| *of == commit_lsn);
        if let Some(record) = &mut self.held {
            record.position = Bytes::from(commit_step(end_lsn));
            self.release_held(true, out);
            self.recorded = end_lsn;
            self.position.changes_end = end_lsn;
        } else if transaction.has_records {
            let step = StateStep {
                lsn: Some(end_lsn),
                ..StateStep::default()
            };
            let mark = Some(transaction.mark(true));
            out.records
                .push(state_record(&step, now_us, mark, Bytes::new()));
            self.recorded = end_lsn;
            self.position.changes_end = end_lsn;
        }
        self.transaction = None;
        Ok(())
    }
}

/// A record without a row.
fn state_record(
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
