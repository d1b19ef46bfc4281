//! The steps of first copies: the slot, snapshots, and one table after
//! another.

use super::catalog;
use super::copy::{NewSlot, Snapshot};
use super::{BATCH_BYTES, Open, ServerError, ServerSource, settings};
use crate::net::connection::{Address, Connection, Purpose};
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
        };
        let address = self.address().clone();
        let replication = replication(open, &address)?;
        let mut snapshot = Snapshot::begin(&address, replication, slot, &tables)?;
        snapshot.is_caught_up = true;
        let copy = |table: TableName| TableCopy {
            table,
            progress: CopyProgress::Waiting,
            from: snapshot.at,
        };
        let step = StateStep {
            lsn: Some(snapshot.at),
            copies: tables.into_iter().map(copy).collect(),
            ..StateStep::default()
        };
        out.records.push(self.decoder.record_state(step, now_us));
        open.snapshot = Some(snapshot);
        open.replication = None;
        Ok(())
    }

    /// The tables that are to be copied. Tells of those whose rows cannot be
    /// changed while they are published.
    fn check_tables(
        &self,
        open: &mut Open,
        out: &mut Decoded,
    ) -> Result<Vec<TableName>, ServerError> {
        let publications = &self.options.publications;
        let names = catalog::tables(&mut open.questions, publications, &self.options.wanted)?;
        if names.is_empty() {
            out.warnings.push(format!(
                "no table of publication {} is wanted; add tables with ALTER PUBLICATION … ADD TABLE",
                publications.join(", ")
            ));
        }
        let mut tables = Vec::with_capacity(names.len());
        for name in names {
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
            tables.push(name);
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
            let snapshot = self.later_snapshot(open, out)?;
            self.decoder.stop_at(snapshot.at);
            open.snapshot = Some(snapshot);
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
            let copies = self.decoder.position().copies.iter();
            let begun = copies
                .filter(|copy| copy.progress != CopyProgress::Done && tables.contains(&copy.table))
                .map(|copy| TableCopy {
                    from: at,
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
        let names = names.into_iter().filter(|name| self.is_copied_first(name));
        let new = names.filter(|name| position.copy_of(name).is_none());
        let copy = |table| TableCopy {
            table,
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
            // Before the first row: after an end those that are gone since are
            // wanted.
            self.record_copy(&next, CopyProgress::Begun, now_us, out);
            let rows = match table.row_estimate {
                rows @ 1.. => format!(", about {rows} rows"),
                _ => String::new(),
            };
            out.notes.push(format!("copying {}{rows}", next.table));
        }
        if let Some(copy) = snapshot.read((BATCH_BYTES, now_us), &mut out.records)? {
            out.notes.push(format!("{} is copied", copy.table));
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
        let gone = copies
            .iter()
            .filter(|copy| copy.progress != CopyProgress::Done && !published.contains(&copy.table));
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
    ) -> Result<Snapshot, ServerError> {
        let published = self.check_tables(open, out)?;
        let copies = self.decoder.position().copies.iter();
        let tables: Vec<TableName> = copies
            .filter(|copy| copy.progress != CopyProgress::Done && published.contains(&copy.table))
            .map(|copy| copy.table.clone())
            .collect();
        // Slots of a connection that broke may live a little longer.
        let name = format!("{}_{:x}", self.options.slot, self.clock.now_us());
        let slot = NewSlot {
            name: &name,
            is_temporary: true,
        };
        let address = self.address().clone();
        let replication = replication(open, &address)?;
        let snapshot = Snapshot::begin(&address, replication, slot, &tables)?;
        open.replication = None;
        Ok(snapshot)
    }
}

/// The connection on which slots are made.
fn replication<'a>(
    open: &'a mut Open,
    address: &Address,
) -> Result<&'a mut Connection, ServerError> {
    let connection = match open.replication.take() {
        Some(connection) => connection,
        None => Connection::open(address, Purpose::Replication)?,
    };
    Ok(open.replication.insert(connection))
}
