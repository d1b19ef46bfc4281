//! A server as a source: a first copy of its tables, and the stream of their
//! changes, with neither gap nor repeat between them or after any end.

mod catalog;
mod copy;
pub mod error;
mod first_copy;
mod identity;
mod open;
mod partitions;
mod settings;

use std::sync::Arc;
use std::time::Duration;

use sluice_core::{BackOff, Clock};
use sluice_mysql::batch::Batch;
use sluice_mysql::copy_report::CopyReport;

pub use self::error::ServerError;
use self::open::Open;
use self::partitions::{now_with, partitions};
use crate::net::connection::{Address, ConnectionError, StreamMessage};
use crate::pgoutput::decoder::{Decoded, Decoder, Wanted};
use crate::position::{PostgresPosition, StateStep, TableCopy};
use crate::schema::{literal, quoted};
use crate::value::form::ValueForm;

/// How long a look at the stream waits.
const MESSAGE_TIME: Duration = Duration::from_millis(20);
/// Silence after which the server is asked whether it is there, and after
/// which the connection counts as broken.
const ASK_US: i64 = 10_000_000;
const SILENCE_US_MAX: i64 = 30_000_000;
/// Time between two reports to the server.
const TELL_INTERVAL_US: i64 = 1_000_000;
const CATCH_UP_INTERVAL_US: i64 = 100_000;
/// Time between two looks at the slot and for new tables, and between records
/// that only say how far the stream was read.
const LOOK_INTERVAL_US: i64 = 10_000_000;
/// Bytes of changes or rows in one batch, about.
const BATCH_BYTES: usize = 4 << 20;

/// Settings of a server as a source.
#[derive(Debug, Clone)]
pub struct ServerOptions {
    /// Name, for messages.
    pub name: String,
    /// The server, and those that may take its place.
    pub addresses: Vec<Address>,
    /// Which changes.
    pub wanted: Wanted,
    /// Tables of this name are copied before all others.
    pub copied_first: Option<String>,
    /// Publications of the database.
    pub publications: Vec<String>,
    /// Slot by which the server knows this reader: small letters, digits and
    /// `_`.
    pub slot: String,
    /// A warning is given when the server keeps more bytes of its log for the
    /// slot.
    pub slot_bytes_warning: u64,
}

/// See the module.
#[derive(Debug)]
pub struct ServerSource {
    options: ServerOptions,
    clock: Arc<dyn Clock>,
    decoder: Decoder,
    open: Option<Open>,
    copy_report: CopyReport,
    /// Which address is tried next.
    address: usize,
    back_off: BackOff,
    look_us: i64,
    /// Of the server's log, at the last look.
    kept_and_behind: Option<(u64, u64)>,
    /// Bytes behind at which a warning is given next.
    warn_at: u64,
    /// All transactions that end here or before are durable.
    durable: crate::lsn::Lsn,
}

impl ServerSource {
    /// A source that goes on at `position`.
    pub fn new(options: ServerOptions, clock: Arc<dyn Clock>, position: PostgresPosition) -> Self {
        Self {
            durable: position.lsn,
            decoder: Decoder::new(position, options.wanted.clone()),
            warn_at: options.slot_bytes_warning,
            options,
            clock,
            open: None,
            copy_report: CopyReport::default(),
            address: 0,
            back_off: BackOff::default(),
            look_us: 0,
            kept_and_behind: None,
        }
    }

    /// Age of the newest change that was read, in seconds: how far reading is
    /// behind the server. 0 before the first.
    pub fn lag_s(&self) -> i64 {
        match self.decoder.newest_s() {
            0 => 0,
            newest => (self.clock.now_us() / 1_000_000 - newest).max(0),
        }
    }

    /// Bytes of the log that the server keeps for this reader, at the last
    /// look.
    pub fn bytes_kept(&self) -> Option<u64> {
        self.kept_and_behind.map(|(kept, _)| kept)
    }

    /// Bytes of the log that were not read and made durable, at the last look.
    pub fn bytes_behind(&self) -> Option<u64> {
        self.kept_and_behind.map(|(_, behind)| behind)
    }

    /// Why the server does not answer, while it does not.
    pub fn trouble(&self) -> Option<&str> {
        self.back_off.trouble()
    }

    fn address(&self) -> &Address {
        &self.options.addresses[self.address % self.options.addresses.len().max(1)]
    }

    /// Takes what the server has; waits a little if it has nothing. All
    /// records that were given before must be durable: the server is told to
    /// forget what they hold.
    ///
    /// # Errors
    /// When trying again does not help.
    pub fn poll(&mut self) -> Result<Batch, ServerError> {
        let now_us = self.clock.now_us();
        self.durable = self.decoder.recorded();
        let mut batch = Batch {
            at_end: true,
            ..Batch::default()
        };
        if !self.back_off.is_due(now_us) {
            return Ok(batch);
        }
        let mut decoded = Decoded::default();
        let user = self.address().user.clone();
        let result = self.step(now_us, &mut decoded);
        let name = &self.options.name;
        batch.records = decoded.records;
        let named = |warning: String| format!("{name}: {warning}");
        batch.warnings = decoded.warnings.into_iter().map(named).collect();
        self.copy_report.put_into(&mut batch, name, now_us);
        let slot = self.decoder.position().slot.clone();
        match result.map_err(|error| error.explained(&user, &slot)) {
            Ok(at_end) => {
                batch.at_end = at_end;
                let said = self.back_off.succeed();
                let said = said.map(|said| format!("{name}: {said}"));
                batch.warnings.extend(said);
            }
            Err(error) if error.is_passing() => {
                let said = self.back_off.fail(now_us, error.to_string());
                let said = said.map(|said| format!("{name}: {said}"));
                batch.warnings.extend(said);
                self.address += 1;
                self.close();
            }
            Err(error) => return Err(error),
        }
        Ok(batch)
    }

    /// Everything that was given stays; what was begun is read again.
    fn close(&mut self) {
        self.open = None;
        let position = self.decoder.resume_position();
        self.decoder = Decoder::new(position, self.options.wanted.clone());
    }

    fn step(&mut self, now_us: i64, out: &mut Decoded) -> Result<bool, ServerError> {
        let Some(mut open) = self.open.take() else {
            let open = self.connect(now_us, out)?;
            self.open = Some(open);
            // What was written down must be durable before a slot is made.
            return Ok(false);
        };
        let is_quiet = if self.decoder.position().lsn.0 == 0 {
            self.begin(&mut open, now_us, out)?;
            false
        } else if open.snapshot.is_some() || self.wants_copy() {
            self.copy(&mut open, now_us, out)?;
            false
        } else {
            self.follow(&mut open, now_us, out)?
        };
        if now_us - self.look_us > LOOK_INTERVAL_US {
            self.look_us = now_us;
            self.look(&mut open, now_us, out)?;
        }
        self.open = Some(open);
        Ok(is_quiet)
    }

    /// Whether tables wait to be copied, and can be now.
    fn wants_copy(&self) -> bool {
        !self.decoder.position().is_copied() && self.decoder.is_between_transactions()
    }

    /// Takes changes that are there; true if no more is.
    fn follow(
        &mut self,
        open: &mut Open,
        now_us: i64,
        out: &mut Decoded,
    ) -> Result<bool, ServerError> {
        if open.stream.is_none() {
            let mut stream = open.take_replication(self.address())?;
            let position = self.decoder.position();
            let names: Vec<String> = self
                .options
                .publications
                .iter()
                .map(|n| quoted(n))
                .collect();
            let names = literal(&names.join(","));
            stream.start_stream(&quoted(&position.slot), position.lsn, &names, MESSAGE_TIME)?;
            open.heard_us = now_us;
            open.stream = Some(stream);
        }
        let is_quiet = self.read_messages(open, now_us, out)?;
        let Some(stream) = &mut open.stream else {
            return Ok(is_quiet);
        };
        let silence_us = now_us - open.heard_us;
        if silence_us > SILENCE_US_MAX {
            return Err(stream.silence().into());
        }
        // A copy waits for the server to say how far it has come.
        let is_for_copy = open.snapshot.is_some();
        let interval_us = if is_for_copy {
            CATCH_UP_INTERVAL_US
        } else {
            TELL_INTERVAL_US
        };
        if now_us - open.told_us > interval_us {
            open.told_us = now_us;
            let wants_answer = silence_us > ASK_US || is_for_copy;
            stream.tell(self.durable, now_us, wants_answer)?;
        }
        Ok(is_quiet)
    }

    fn read_messages(
        &mut self,
        open: &mut Open,
        now_us: i64,
        out: &mut Decoded,
    ) -> Result<bool, ServerError> {
        let is_for_copy = open.snapshot.is_some();
        let timeline = open.identity.timeline;
        let Open {
            questions,
            stream: Some(stream),
            types,
            ..
        } = open
        else {
            return Ok(true);
        };
        let first = out.records.len();
        let mut bytes = 0;
        while bytes < BATCH_BYTES {
            let Some(message) = stream.stream_message()? else {
                return Ok(true);
            };
            open.heard_us = now_us;
            match message {
                StreamMessage::Data(message) => {
                    bytes += message.len();
                    let mut trouble: Option<ConnectionError> = None;
                    let mut lookup = |type_id| {
                        types.form(questions, type_id).unwrap_or_else(|error| {
                            trouble = Some(error);
                            ValueForm::Text
                        })
                    };
                    let decoded = self.decoder.message(&message, now_us, &mut lookup, out);
                    if let Some(trouble) = trouble {
                        return Err(trouble.into());
                    }
                    decoded?;
                    // Of a transaction that one server began to give and another
                    // ends, it is noted behind the end.
                    out.records.extend(self.timeline_record(timeline, now_us));
                }
                StreamMessage::Alive { end, wants_answer } => {
                    self.decoder.reached(end);
                    if wants_answer {
                        open.told_us = now_us;
                        stream.tell(self.durable, now_us, false)?;
                    }
                }
            }
            if !self.decoder.is_in_transaction() {
                if self.decoder.is_stopped() || !is_for_copy && self.wants_copy() {
                    return Ok(false);
                }
                // Whole transactions do not wait for the next one.
                if out.records.len() > first && !stream.has_message() {
                    return Ok(false);
                }
            }
        }
        Ok(false)
    }

    /// Looks how much the server keeps, and for tables that are new to the
    /// publications.
    fn look(&mut self, open: &mut Open, now_us: i64, out: &mut Decoded) -> Result<(), ServerError> {
        let position = self.decoder.position();
        if position.lsn.0 == 0 {
            return Ok(());
        }
        let slot = settings::slot(&mut open.questions, open.server.version, &position.slot)?;
        let position = PostgresPosition {
            lsn: self.decoder.recorded().max(position.lsn),
            slot: position.slot.clone(),
            ..PostgresPosition::default()
        };
        let slot = settings::check_slot(slot, &self.options.wanted.database, &position)?;
        self.kept_and_behind = Some((slot.bytes_kept, slot.bytes_behind));
        if slot.bytes_kept >= self.warn_at {
            self.warn_at = slot.bytes_kept.saturating_mul(2);
            let left = slot.bytes_left.map_or(String::new(), |left| {
                format!("; {} MiB more and the slot is lost", left >> 20)
            });
            out.warnings.push(format!(
                "the server keeps {} MiB of its log for slot `{}`{left}\n  help: that is what was not read yet, or what a long transaction or a first copy still needs",
                slot.bytes_kept >> 20, position.slot
            ));
        } else if slot.bytes_kept < self.options.slot_bytes_warning / 2 {
            self.warn_at = self.options.slot_bytes_warning;
        }
        if !self.decoder.is_between_transactions() || open.snapshot.is_some() {
            return Ok(());
        }
        out.records.extend(self.decoder.position_record(now_us));
        if self.options.wanted.copies {
            let publications = &self.options.publications;
            let names = catalog::tables(&mut open.questions, publications, &self.options.wanted)?;
            let partitions = partitions(&mut open.questions)?;
            let position = self.decoder.position();
            let mut copies = Vec::new();
            for (table, relation) in names {
                let Some(known) = position.copy_of(&table) else {
                    copies.push(TableCopy {
                        table,
                        relation,
                        ..TableCopy::default()
                    });
                    continue;
                };
                if let Some(copy) = known.now_of(relation) {
                    copies.push(copy);
                } else if let Some((copy, said)) = now_with(known, &partitions) {
                    out.warnings.extend(said);
                    copies.push(copy);
                }
            }
            if !copies.is_empty() {
                let step = StateStep {
                    copies,
                    ..StateStep::default()
                };
                out.records.push(self.decoder.record_state(step, now_us));
            }
        }
        Ok(())
    }
}
