//! Where transactions begin and end.

use bytes::Bytes;
use sluice_core::TransactionMark;

use super::{Context, Decoder, Transaction, state_record};
use crate::binlog::event::EventHeader;
use crate::binlog::gtid::Gtid;
use crate::error::Problem;
use crate::input::Input;
use crate::message::finish;
use crate::position::{DatabasePosition, StateStep, commit_step};

impl Decoder {
    pub(super) fn mariadb_gtid(&mut self, header: EventHeader, body: &[u8]) -> Result<(), Problem> {
        const STANDALONE: u8 = 1;
        const PREPARED: u8 = 64;
        self.check_ended()?;
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

    /// Checks that no transaction with rows is open where another begins: its
    /// end would have got lost.
    pub(super) fn check_ended(&self) -> Result<(), Problem> {
        match &self.transaction {
            Some(open) if open.rows > 0 => Err(Problem::NoEnd(open.id.clone())),
            _ => Ok(()),
        }
    }

    pub(super) fn begin_transaction(&mut self) {
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

    /// Says which tables' rows are taken and counted from here on. Not inside a
    /// transaction: how many of its rows were taken depends on it.
    pub(super) fn announce_filter(&mut self, context: &mut Context<'_, '_, '_>) {
        if !self.is_between_transactions() {
            return;
        }
        let step = StateStep {
            tables: Some(self.filter.clone()),
            ..StateStep::default()
        };
        let record = self.record_state(step, context.now_us);
        context.out.records.push(record);
    }

    /// Whether the open transaction is another one than that of which rows were taken
    /// before.
    pub(super) fn check_order(&self) -> Result<(), Problem> {
        let wanted = &self.position.rows_of;
        let open = self.transaction.as_ref();
        match open.and_then(|open| open.gtid.as_ref()) {
            Some(gtid) if self.skip_rows > 0 && !wanted.is_empty() => {
                let found = gtid.to_string();
                if found == *wanted {
                    return Ok(());
                }
                let wanted = wanted.clone();
                Err(Problem::OtherOrder { wanted, found })
            }
            _ => Ok(()),
        }
    }

    /// A statement that is a transaction of its own.
    pub(super) fn end_statement(&mut self, header: EventHeader, context: &mut Context<'_, '_, '_>) {
        let is_alone = self.next_gtid.is_some()
            || self
                .transaction
                .as_ref()
                .is_none_or(|open| open.is_statement);
        if is_alone {
            self.end_transaction(header, context);
        }
    }

    /// Gives the row that was held back, and the mark of the open transaction.
    pub(super) fn release_held(
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

    pub(super) fn end_transaction(
        &mut self,
        header: EventHeader,
        context: &mut Context<'_, '_, '_>,
    ) {
        if self.transaction.is_none() {
            self.begin_transaction();
        }
        if header.end > 0 {
            self.position.offset = header.end;
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
            self.position.rows_of.clear();
        }
        self.position.rows = 0;
        self.has_moved = true;
        if let Some(record) = &mut self.held {
            let gtids = gtid.map(|gtid| self.position.gtids.up_to(&gtid));
            let gtids = gtids.unwrap_or_default();
            let DatabasePosition {
                file,
                offset,
                transactions,
                ..
            } = &self.position;
            record.position = Bytes::from(commit_step(file, *offset, *transactions, &gtids));
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
        if let Some(filter) = self.next_filter.take_if(|_| has_rows) {
            self.filter = filter;
            self.tables.clear();
            self.announce_filter(context);
        }
    }
}
