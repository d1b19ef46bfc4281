//! The steps of copies: of all tables at first, and of those that come later.

use super::copy::{self, Part, is_reached};
use super::{LOOK_INTERVAL_US, ServerError, ServerSource, catalog, settings};
use crate::binlog::decoder::{Decoded, state_record};
use crate::net::connection::ConnectionError;
use crate::position::{CopyProgress, StateStep};
use crate::schema::TableName;

impl ServerSource {
    /// Looks how far the log is behind the server's, and after connecting for
    /// tables that are new to the filter: they are copied while the others'
    /// changes go on.
    pub(super) fn look(&mut self, now_us: i64, out: &mut Decoded) -> Result<(), ServerError> {
        let Some(open) = &mut self.open else {
            return Ok(());
        };
        if now_us - self.look_us > LOOK_INTERVAL_US {
            self.look_us = now_us;
            let place = self.decoder.position().place();
            self.bytes_behind = settings::bytes_behind(&mut open.questions, &place);
        }
        if !self.wants_look || !self.decoder.is_between_transactions() {
            return Ok(());
        }
        self.wants_look = false;
        let mut step = StateStep::default();
        for name in catalog::tables(&mut open.questions, &self.options.filter)? {
            if self.decoder.position().schemas.contains_key(&name) {
                continue;
            }
            if let Some(schema) = catalog::table(&mut open.questions, &name)? {
                step.schemas.push((name.clone(), Some(schema)));
                if self.options.copies {
                    step.copies.push((name, CopyProgress::Waiting));
                }
            }
        }
        if !step.schemas.is_empty() {
            out.records.push(self.decoder.record_state(step, now_us));
        }
        Ok(())
    }

    /// Begins a copy anew when a row may have slipped past it.
    pub(super) fn copy_moved_rows_again(&mut self, first: usize, now_us: i64, out: &mut Decoded) {
        let position = self.decoder.position();
        let is_moved = |(table, progress): &&(TableName, CopyProgress)| {
            let schema = position.schemas.get(table);
            matches!(progress, CopyProgress::Until(_))
                && schema.is_some_and(|schema| {
                    Part::moves_half_a_row(table, schema, &out.records[first..])
                })
        };
        let Some((table, _)) = position.copies.iter().find(is_moved).cloned() else {
            return;
        };
        self.part = None;
        let step = StateStep {
            copies: vec![(table, CopyProgress::Waiting)],
            ..StateStep::default()
        };
        out.records.push(self.decoder.record_state(step, now_us));
    }

    /// Goes on with the first copies.
    pub(super) fn copy(
        &mut self,
        is_quiet: bool,
        now_us: i64,
        out: &mut Decoded,
    ) -> Result<(), ServerError> {
        let position = self.decoder.position();
        let Some(reached) = self.decoder.reached() else {
            return Ok(());
        };
        if let Some(part) = self
            .part
            .take_if(|part| is_reached(reached, (&part.end.file, part.end.offset)))
        {
            let transactions = position.transactions;
            let mut position = position.clone();
            out.records.extend(
                part.records(now_us, transactions)
                    .into_iter()
                    .inspect(|record| {
                        // Steps that were just made are understood.
                        let _ = position.apply(&record.position);
                    }),
            );
            self.decoder.set_copies(position.copies);
        }
        let Some(open) = &mut self.open else {
            return Ok(());
        };
        let position = self.decoder.position();
        let next = position
            .copies
            .iter()
            .find(|(_, progress)| *progress != CopyProgress::Done);
        let (None, Some((table, progress))) = (&self.part, next) else {
            return Ok(());
        };
        // A stream that is far behind comes first.
        if !is_quiet
            && self.decoder.newest_s() > 0
            && now_us / 1_000_000 - i64::from(self.decoder.newest_s()) > 5
        {
            return Ok(());
        }
        let Some(schema) = position.schemas.get(table) else {
            let copies = vec![(table.clone(), CopyProgress::Done)];
            let step = StateStep {
                copies,
                ..StateStep::default()
            };
            let record = state_record(&step, now_us, None, bytes::Bytes::new());
            let mut position = position.clone();
            position.apply(&record.position)?;
            self.decoder.set_copies(position.copies);
            out.records.push(record);
            return Ok(());
        };
        let place = position.place();
        let rows = self.options.part_rows;
        let read = copy::read(
            &mut open.questions,
            &open.server,
            (table, schema, progress),
            &place,
            rows,
        );
        match read {
            Ok(part) => self.part = part,
            // The table changes at this moment; the stream will say how.
            Err(ServerError::Connection(ConnectionError::Server {
                code: 1054 | 1146 | 1412,
                ..
            })) => {
                open.questions.query("ROLLBACK")?;
            }
            Err(error) => return Err(error),
        }
        Ok(())
    }
}
