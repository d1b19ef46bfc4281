//! The steps of first copies: the slot, snapshots, and one table after
//! another.

use bytes::Bytes;
use sluice_core::{Record, RecordKind};

use super::catalog;
use super::copy::{NewSlot, Snapshot};
use super::partitions::{numbers_of, partitions};
use super::{BATCH_BYTES, Open, ServerError, ServerSource, settings};
use crate::lsn::Lsn;
use crate::message::{Order, table_part, truncated};
use crate::pgoutput::decoder::{Decoded, Decoder};
use crate::position::{CopyProgress, StateStep, TableCopy};
use crate::schema::{TableName, literal};

impl ServerSource {
    /// Makes the slot: from here on the server keeps every change.
    pub(super) fn begin(
        &mut self,
        open: &mut Open,
        now_us: i64,
        out: &mut Decoded,
    ) -> Result<(), ServerError> {
        let name = self.decoder.position().slot.clone();
        // It was made just before an end, and nothing was read of it.
        if settings::slot(&mut open.questions, open.server.version, &name)?.is_some() {
            let drop = format!("SELECT pg_drop_replication_slot({})", literal(&name));
            open.questions.query(&drop)?;
        }
        let tables = match self.options.wanted.copies {
            true => self.check_tables(open, out)?,
            false => Vec::new(),
        };
        let slot = NewSlot {
            name: &name,
            is_temporary: false,
            version: open.server.version,
        };
        let address = self.address().clone();
        let mut replication = open.take_replication(&address)?;
        let names: Vec<TableName> = tables.iter().map(|(table, _)| table.clone()).collect();
        let snapshot = Snapshot::begin(&address, &mut replication, slot, &names)?;
        // Definitions changed meanwhile: all is looked at again.
        let Some(mut snapshot) = snapshot else {
            return Ok(());
        };
        snapshot.is_caught_up = true;
        // They stay as they are until the snapshot ends.
        let partitions = partitions(&mut open.questions)?;
        let copy = |(table, relation)| TableCopy {
            table,
            from: snapshot.at,
            relation,
            partitions: numbers_of(&partitions, relation),
            ..TableCopy::default()
        };
        let step = StateStep {
            lsn: Some(snapshot.at),
            copies: tables.into_iter().map(copy).collect(),
            ..StateStep::default()
        };
        out.records.push(self.decoder.record_state(step, now_us));
        open.snapshot = Some(snapshot);
        Ok(())
    }

    /// The tables that are to be copied, with their numbers. Tells of those whose rows
    /// cannot be changed while they are published.
    fn check_tables(
        &self,
        open: &mut Open,
        out: &mut Decoded,
    ) -> Result<Vec<(TableName, u32)>, ServerError> {
        let publications = &self.options.publications;
        let names = catalog::tables(&mut open.questions, publications, &self.options.wanted)?;
        if names.is_empty() {
            out.warnings.push(format!(
                "no table of publication {} is wanted; add tables with ALTER PUBLICATION … ADD TABLE",
                publications.join(", ")
            ));
        }
        let mut tables = Vec::with_capacity(names.len());
        for (name, relation) in names {
            let version = open.server.version;
            let table = catalog::table(&mut open.questions, version, publications, &name)?;
            let Some(table) = table else { continue };
            if !table.is_readable {
                return Err(ServerError::Table {
                    user: self.address().user.clone(),
                    table: name,
                });
            }
            if !table.has_identity {
                out.warnings.push(format!(
                    "{name} has no replica identity: the server refuses UPDATE and DELETE on it while they are published\n  help: give it a primary key, or ALTER TABLE {name} REPLICA IDENTITY FULL"
                ));
            }
            tables.push((name, relation));
        }
        Ok(tables)
    }

    /// Goes on with the first copies.
    pub(super) fn copy(
        &mut self,
        open: &mut Open,
        now_us: i64,
        out: &mut Decoded,
    ) -> Result<(), ServerError> {
        let Some(snapshot) = &open.snapshot else {
            self.leave_stream(open);
            // The others wait for what is copied first, if that is new, too.
            let new = self.new_copied_first(open)?;
            if !new.is_empty() {
                let step = StateStep {
                    copies: new,
                    ..StateStep::default()
                };
                out.records.push(self.decoder.record_state(step, now_us));
                return Ok(());
            }
            // Without one, definitions changed meanwhile: all is looked at again.
            if let Some(snapshot) = self.later_snapshot(open, out)? {
                self.decoder.stop_at(snapshot.at);
                open.snapshot = Some(snapshot);
            }
            return Ok(());
        };
        if !snapshot.is_caught_up {
            if !self.decoder.is_stopped() {
                self.follow(open, now_us, out)?;
                return Ok(());
            }
            let (at, tables) = (snapshot.at, snapshot.tables.clone());
            out.records.extend(self.decoder.position_record(now_us));
            self.leave_stream(open);
            let partitions = partitions(&mut open.questions)?;
            let copies = self.decoder.position().copies.iter();
            let begun = copies
                .filter(|copy| copy.progress != CopyProgress::Done && tables.contains(&copy.table))
                .map(|copy| TableCopy {
                    from: at,
                    partitions: numbers_of(&partitions, copy.relation),
                    ..copy.clone()
                });
            let step = StateStep {
                copies: begun.collect(),
                ..StateStep::default()
            };
            out.records.push(self.decoder.record_state(step, now_us));
            if let Some(snapshot) = &mut open.snapshot {
                snapshot.is_caught_up = true;
            }
            return Ok(());
        }
        self.copy_rows(open, now_us, out)
    }

    /// The stream is read again from the last place that is in a record.
    fn leave_stream(&mut self, open: &mut Open) {
        open.stream = None;
        let position = self.decoder.resume_position();
        self.decoder = Decoder::new(position, self.options.wanted.clone());
    }

    fn is_copied_first(&self, table: &TableName) -> bool {
        self.options.copied_first.as_ref() == Some(&table.table)
    }

    /// Published tables that are copied first, and of which nothing is known.
    fn new_copied_first(&self, open: &mut Open) -> Result<Vec<TableCopy>, ServerError> {
        if self.options.copied_first.is_none() {
            return Ok(Vec::new());
        }
        let publications = &self.options.publications;
        let names = catalog::tables(&mut open.questions, publications, &self.options.wanted)?;
        let position = self.decoder.position();
        let names = names.into_iter();
        let names = names.filter(|(name, _)| self.is_copied_first(name));
        let new = names.filter(|(name, _)| position.copy_of(name).is_none());
        let copy = |(table, relation)| TableCopy {
            table,
            relation,
            ..TableCopy::default()
        };
        Ok(new.map(copy).collect())
    }

    fn copy_rows(
        &mut self,
        open: &mut Open,
        now_us: i64,
        out: &mut Decoded,
    ) -> Result<(), ServerError> {
        let Some(snapshot) = &mut open.snapshot else {
            return Ok(());
        };
        let copies = self.decoder.position().copies.iter();
        let are_next = copies.filter(|copy| {
            copy.progress != CopyProgress::Done && snapshot.tables.contains(&copy.table)
        });
        let next = are_next.min_by_key(|copy| !self.is_copied_first(&copy.table));
        let Some(next) = next.cloned() else {
            open.snapshot = None;
            self.copy_report.leave();
            // Tables that are not published any more have nothing to copy.
            return self.drop_unpublished(open, now_us, out);
        };
        if !snapshot.is_open() {
            let version = open.server.version;
            let publications = &self.options.publications;
            let table = catalog::table(&mut open.questions, version, publications, &next.table)?;
            let Some(table) = table.filter(|table| !table.columns.is_empty()) else {
                self.record_copy(&next, CopyProgress::Done, now_us, out);
                return Ok(());
            };
            let layout = open.types.layout(&mut open.questions, &table.columns)?;
            let database = &self.options.wanted.database;
            snapshot.open(database, &table, layout, &next)?;
            if next.replaces {
                out.records.push(emptied(database, &next, now_us));
            }
            // Before the first row: after an end those that are gone since are
            // wanted.
            self.record_copy(&next, CopyProgress::Begun, now_us, out);
            // Of the rows that conditions leave the server has no estimate.
            let estimate = match table.conditions.as_slice() {
                [] => u64::try_from(table.row_estimate).unwrap_or(0),
                _ => 0,
            };
            let name = next.table.to_string();
            self.copy_report.begin(name, estimate, true, now_us);
        }
        let first = out.records.len();
        let read = snapshot.read((BATCH_BYTES, now_us), &mut out.records)?;
        self.copy_report.add((out.records.len() - first) as u64);
        if let Some(copy) = read {
            self.copy_report.end(now_us);
            self.record_copy(&copy, CopyProgress::Done, now_us, out);
            // Definitions may change again at once.
            if self.decoder.position().is_copied() {
                open.snapshot = None;
            }
        }
        Ok(())
    }

    fn drop_unpublished(
        &mut self,
        open: &mut Open,
        now_us: i64,
        out: &mut Decoded,
    ) -> Result<(), ServerError> {
        if self.decoder.position().is_copied() {
            return Ok(());
        }
        let publications = &self.options.publications;
        let published = catalog::tables(&mut open.questions, publications, &self.options.wanted)?;
        let copies = self.decoder.position().copies.clone();
        let gone = copies.iter().filter(|copy| {
            let is_published = published.iter().any(|(table, _)| *table == copy.table);
            copy.progress != CopyProgress::Done && !is_published
        });
        for copy in gone {
            self.record_copy(copy, CopyProgress::Done, now_us, out);
        }
        Ok(())
    }

    fn record_copy(
        &mut self,
        copy: &TableCopy,
        progress: CopyProgress,
        now_us: i64,
        out: &mut Decoded,
    ) {
        let step = StateStep {
            copies: vec![TableCopy {
                replaces: copy.replaces && progress != CopyProgress::Done,
                progress,
                ..copy.clone()
            }],
            ..StateStep::default()
        };
        out.records.push(self.decoder.record_state(step, now_us));
    }

    /// A snapshot behind the slot's own, for copies that go on after an end
    /// and for tables that came later.
    fn later_snapshot(
        &mut self,
        open: &mut Open,
        out: &mut Decoded,
    ) -> Result<Option<Snapshot>, ServerError> {
        let published = self.check_tables(open, out)?;
        let copies = self.decoder.position().copies.iter();
        let is_published = |copy: &&TableCopy| published.iter().any(|(it, _)| *it == copy.table);
        let tables: Vec<TableName> = copies
            .filter(|copy| copy.progress != CopyProgress::Done)
            .filter(is_published)
            .map(|copy| copy.table.clone())
            .collect();
        // Slots of a connection that broke may live a little longer.
        let name = format!("{}_{:x}", self.options.slot, self.clock.now_us());
        let slot = NewSlot {
            name: &name,
            is_temporary: true,
            version: open.server.version,
        };
        let mut replication = open.take_replication(self.address())?;
        Snapshot::begin(self.address(), &mut replication, slot, &tables)
    }
}

/// The record that takes the rows of a table out that had the name before. All of them
/// are older than the place of the copy.
fn emptied(database: &str, copy: &TableCopy, now_us: i64) -> Record {
    let order = Order {
        time_s: now_us / 1_000_000,
        xid: 0,
        // Rows of the copy are one before its place.
        lsn: Lsn(copy.from.0.saturating_sub(2)),
        row: 0,
    };
    Record {
        kind: RecordKind::Data,
        payload: Bytes::from(truncated(&table_part(database, &copy.table), order)),
        capture_time_us: now_us,
        position: Bytes::new(),
        transaction: None,
    }
}
