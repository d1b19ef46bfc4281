//! The steps of copies: of all tables at first, and of those that come later.

use bytes::Bytes;
use sluice_core::{Record, RecordKind};

use super::copy::{self, Part};
use super::settings::Server;
use super::{
    LOOK_INTERVAL_US, PART_INTERVAL_US_MAX, ServerError, ServerOptions, ServerSource, catalog,
    settings,
};
use crate::binlog::decoder::Decoded;
use crate::message::{table_part, truncated};
use crate::net::connection::{Connection, ConnectionError};
use crate::position::{CopyProgress, DatabasePosition, StateStep};
use crate::schema::TableName;

/// How often it is looked whether a server shows what its log says already.
const SHOWN_TRIES_MAX: u32 = 1_000;

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
        // What leaves the filter is copied anew if it comes back.
        let known = self.decoder.position().schemas.keys();
        let filter = &self.options.filter;
        let gone = known.filter(|name| !name.table.is_empty() && !filter.takes(name));
        step.schemas.extend(gone.map(|name| (name.clone(), None)));
        for name in catalog::tables(&mut open.questions, &self.options.filter)? {
            if self.decoder.position().schemas.contains_key(&name) {
                continue;
            }
            if let Some(schema) = catalog::table(&mut open.questions, &name)? {
                step.schemas.push((name.clone(), Some(schema)));
                let replacing = (name.clone(), CopyProgress::Replacing);
                let is_replaced = self.decoder.position().copies.contains(&replacing);
                if self.options.copies && !is_replaced {
                    step.copies.push((name, CopyProgress::Waiting));
                }
            }
        }
        if !step.schemas.is_empty() {
            out.records.push(self.decoder.record_state(step, now_us));
        }
        let mut position = self.decoder.position().clone();
        let (questions, server) = (&mut open.questions, &open.server);
        let first = copied_first(&self.options, questions, server, &mut position, now_us)?;
        out.records.extend(first);
        self.decoder.set_copies(position.copies);
        Ok(())
    }

    /// Whether the table that is copied first may be new to the filter: it comes before
    /// the changes of others that are new, too.
    pub(super) fn awaits_copied_first(&self) -> bool {
        let mut known = self.decoder.position().schemas.keys();
        let first = self.options.copied_first.as_ref();
        first.is_some_and(|first| known.all(|known| known.table != *first))
    }

    /// Rows of a table without a key come once: those of the stream only behind its
    /// copy, which has all that came before.
    pub(super) fn hold_back(&self, first: usize, out: &mut Decoded) {
        let position = self.decoder.position();
        let is_held = |(table, progress): &&(TableName, CopyProgress)| {
            let schema = position.schemas.get(table);
            *progress != CopyProgress::Done && schema.is_some_and(|schema| schema.key.is_empty())
        };
        let tables = position.copies.iter().filter(is_held);
        let begins = tables.map(|(table, _)| [table_part(table).as_slice(), b","].concat());
        let begins: Vec<Vec<u8>> = begins.collect();
        if begins.is_empty() {
            return;
        }
        for record in &mut out.records[first..] {
            let mut begins = begins.iter();
            if record.kind == RecordKind::Data
                && begins.any(|begin| record.payload.starts_with(begin))
            {
                // Where its transaction stands is said all the same.
                record.kind = RecordKind::Position;
                record.payload = Bytes::new();
            }
        }
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
        if let Some(part) = self.part.take_if(|part| part.is_complete_at(reached)) {
            self.copy_report.add(part.rows_read);
            if part.is_last() {
                self.copy_report.end(now_us);
            }
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
        if next.is_none() {
            self.copy_report.leave();
        }
        let (None, Some((table, progress))) = (&self.part, next) else {
            return Ok(());
        };
        // A stream that is far behind comes first, but not always: it may stay behind.
        let is_far_behind = !is_quiet
            && self.decoder.newest_s() > 0
            && now_us / 1_000_000 - i64::from(self.decoder.newest_s()) > 5;
        if is_far_behind && now_us - self.part_us < PART_INTERVAL_US_MAX {
            return Ok(());
        }
        let Some(schema) = position.schemas.get(table) else {
            // Under another name it was nobody's; or it is gone.
            let filter = &self.options.filter;
            let is_there = catalog::tables(&mut open.questions, filter)?.contains(table);
            let found = match is_there {
                true => catalog::table(&mut open.questions, table)?,
                false => None,
            };
            let mut step = StateStep::default();
            match found {
                Some(schema) => step.schemas.push((table.clone(), Some(schema))),
                None => step.copies.push((table.clone(), CopyProgress::Done)),
            }
            out.records.push(self.decoder.record_state(step, now_us));
            return Ok(());
        };
        if *progress == CopyProgress::Replacing {
            // All parts are read behind this, so that no row of theirs goes with it.
            let payload = truncated(table, self.decoder.newest_s(), position.transactions);
            out.records.push(Record {
                kind: RecordKind::Data,
                payload: Bytes::from(payload),
                capture_time_us: now_us,
                position: Bytes::new(),
                transaction: None,
            });
            let step = StateStep {
                copies: vec![(table.clone(), CopyProgress::Waiting)],
                ..StateStep::default()
            };
            out.records.push(self.decoder.record_state(step, now_us));
            return Ok(());
        }
        let place = position.place();
        let name = table.to_string();
        let is_whole = *progress == CopyProgress::Waiting;
        if self.copy_report.is_new(&name, is_whole) {
            let estimate = catalog::row_estimate(&mut open.questions, table)?;
            self.copy_report.begin(name, estimate, is_whole, now_us);
        }
        let rows = self.options.part_rows;
        let read = copy::read(
            &mut open.questions,
            &open.server,
            (table, schema, progress),
            &place,
            rows,
        );
        match read {
            Ok(part) => {
                self.part = part;
                self.part_us = now_us;
            }
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

/// Moves `position` past the rows of the tables that are copied before anything else is
/// read, and gives their records. The stream brings once more what has changed in them
/// since its place.
pub(super) fn copied_first(
    options: &ServerOptions,
    questions: &mut Connection,
    server: &Server,
    position: &mut DatabasePosition,
    now_us: i64,
) -> Result<Vec<Record>, ServerError> {
    let Some(name) = &options.copied_first else {
        return Ok(Vec::new());
    };
    let copies = position.copies.iter();
    let waiting = copies
        .filter(|(table, progress)| table.table == *name && *progress == CopyProgress::Waiting);
    let tables: Vec<TableName> = waiting.map(|(table, _)| table.clone()).collect();
    let mut records = Vec::new();
    for table in tables {
        let Some(schema) = position.schemas.get(&table).cloned() else {
            continue;
        };
        let (progress, place) = (CopyProgress::Waiting, position.place());
        let whole = (&table, &schema, &progress);
        let mut read = || copy::read(questions, server, whole, &place, usize::MAX).transpose();
        let part = (0..SHOWN_TRIES_MAX).find_map(|_| read());
        let Some(part) = part else {
            let address = options.addresses.first();
            return Err(ConnectionError::Io {
                host: address.map(|it| it.host.clone()).unwrap_or_default(),
                port: address.map(|it| it.port).unwrap_or_default(),
                source: std::io::Error::new(
                    std::io::ErrorKind::TimedOut,
                    "the server does not show yet what its log says",
                ),
            }
            .into());
        };
        let copied = part?.records(now_us, position.transactions);
        for record in &copied {
            // Steps that were just made are understood; rows have none.
            let _ = position.apply(&record.position);
        }
        records.extend(copied);
    }
    Ok(records)
}
