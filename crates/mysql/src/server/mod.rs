//! A server as a source: a first copy of its tables, and the stream of its
//! binary log, with neither gap nor repeat between them or after any end.

mod catalog;
mod copy;
mod copying;
mod merge;
mod settings;

use std::sync::Arc;
use std::time::Duration;

use sluice_core::{BackOff, Clock};

use self::copy::Part;
use self::copying::copied_first;
use self::settings::Server;
use crate::batch::Batch;
use crate::binlog::decoder::{Decoded, Decoder, state_record};
use crate::copy_report::CopyReport;
use crate::error::{LogError, Problem};
use crate::filter::TableFilter;
use crate::input::BadBytes;
use crate::net::connection::{Address, Connection, ConnectionError};
use crate::position::{CopyProgress, DatabasePosition, StateStep};

/// How long a look at the stream waits.
const EVENT_TIME: Duration = Duration::from_millis(20);
/// Silence after which a connection counts as broken: the server sends a
/// heartbeat far more often.
const SILENCE_US_MAX: i64 = 30_000_000;
const HEARTBEAT_NS: u64 = 2_000_000_000;
/// Time between records that only say how far the log was read.
const POSITION_INTERVAL_US: i64 = 10_000_000;
/// Time between two looks how much of the log is left.
const LOOK_INTERVAL_US: i64 = 10_000_000;
/// Time between two parts of a copy while reading is far behind, at most.
const PART_INTERVAL_US_MAX: i64 = 5_000_000;
/// Bytes of events in one batch, about.
const BATCH_BYTES: usize = 4 << 20;

/// Settings of a server as a source.
#[derive(Debug, Clone)]
pub struct ServerOptions {
    /// Name, for messages.
    pub name: String,
    /// The server, and those that may take its place. GTIDs say where to go on
    /// there.
    pub addresses: Vec<Address>,
    /// Which tables.
    pub filter: TableFilter,
    /// Number by which the server knows this reader; no other replica may have
    /// it.
    pub server_id: u32,
    /// Whether tables are copied first.
    pub copies: bool,
    /// Tables of this name are copied as a whole before anything else is read.
    pub copied_first: Option<String>,
    /// Rows of a part of a copy.
    pub part_rows: usize,
}

/// Why a server gives nothing.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// The connection, or what the server says.
    #[error(transparent)]
    Connection(#[from] ConnectionError),
    /// Something is wrong in its log.
    #[error(transparent)]
    Log(#[from] LogError),
    /// Something is not understood.
    #[error("an answer of the server is not understood: {0}")]
    Answer(#[from] BadBytes),
    /// A setting of the server.
    #[error("the server's `{name}` is `{found}`\n  help: set it to {wanted}, as in docs/mysql.md")]
    Setting {
        /// Its name.
        name: &'static str,
        /// Its value.
        found: String,
        /// What it should be.
        wanted: &'static str,
    },
    /// The name or the password is wrong.
    #[error(
        "the server at {place} refuses the name or the password of user `{user}`: {message}\n  help: `user` of the topic's capture in sources/*.toml is the name, `password = \"env:NAME\"` names the environment variable that holds the password; a user may also be known from certain machines only, or only with `tls = \"required\"`"
    )]
    SignIn {
        /// Machine and port.
        place: String,
        /// The user.
        user: String,
        /// What the server says.
        message: String,
    },
    /// A privilege is missing.
    #[error(
        "user `{user}` may not read the log, or a table: {message}\n  help: GRANT REPLICATION SLAVE, REPLICATION CLIENT ON *.* TO the user, and SELECT on the tables"
    )]
    Privilege {
        /// The user.
        user: String,
        /// What the server says.
        message: String,
    },
    /// Another reader has the same number.
    #[error(
        "another reader has come with the same `server_id`: {message}\n  help: give each reader of the server a `server_id` of its own"
    )]
    SameNumber {
        /// What the server says.
        message: String,
    },
    /// The place in the log is gone.
    #[error(
        "the server does not have its log from {place} on any more: {message}\n  help: keep logs longer (`binlog_expire_logs_seconds`); the tables must be copied again: start with an empty state folder"
    )]
    Purged {
        /// The place.
        place: String,
        /// What the server says.
        message: String,
    },
}

impl ServerError {
    /// Whether trying again can help.
    fn is_passing(&self) -> bool {
        match self {
            Self::Connection(ConnectionError::Io { .. }) | Self::SameNumber { .. } => true,
            // Another server may have the order that was read.
            Self::Log(error) => matches!(error.problem, Problem::OtherOrder { .. }),
            // Too many connections, being stopped, killed, another replica
            // with the number, a lock that did not come.
            Self::Connection(ConnectionError::Server { code, .. }) => {
                matches!(
                    code,
                    1040 | 1053 | 1077 | 1152 | 1158
                        ..=1161 | 1203 | 1205 | 1213 | 1226 | 1317 | 1927
                )
            }
            _ => false,
        }
    }
}

/// A connection over which the log comes, and one for questions.
#[derive(Debug)]
struct Open {
    stream: Connection,
    questions: Connection,
    server: Server,
    heard_us: i64,
}

/// See the module.
#[derive(Debug)]
pub struct ServerSource {
    options: ServerOptions,
    clock: Arc<dyn Clock>,
    decoder: Decoder,
    open: Option<Open>,
    part: Option<Part>,
    /// When a part was read last.
    part_us: i64,
    copy_report: CopyReport,
    /// Which address is tried next.
    address: usize,
    back_off: BackOff,
    position_us: i64,
    /// Whether tables are looked for that are new to the filter.
    wants_look: bool,
    warned_of_replace: bool,
    /// Bytes of the log that were not read at the last look.
    bytes_behind: Option<u64>,
    look_us: i64,
}

impl ServerSource {
    /// A source that goes on at `position`.
    pub fn new(options: ServerOptions, clock: Arc<dyn Clock>, position: DatabasePosition) -> Self {
        Self {
            decoder: decoder(position, &options),
            options,
            clock,
            open: None,
            part: None,
            part_us: 0,
            copy_report: CopyReport::default(),
            address: 0,
            back_off: BackOff::default(),
            position_us: 0,
            wants_look: true,
            warned_of_replace: false,
            bytes_behind: None,
            look_us: 0,
        }
    }

    /// Age of the newest change that was read, in seconds: how far reading is
    /// behind the server. 0 before the first.
    pub fn lag_s(&self) -> i64 {
        match self.decoder.newest_s() {
            0 => 0,
            newest => (self.clock.now_us() / 1_000_000 - i64::from(newest)).max(0),
        }
    }

    /// Bytes of the server's log that were not read yet, at the last look.
    pub fn bytes_behind(&self) -> Option<u64> {
        self.bytes_behind
    }

    /// Takes what the server has; waits a little if it has nothing.
    ///
    /// # Errors
    /// When trying again does not help.
    pub fn poll(&mut self) -> Result<Batch, ServerError> {
        let now_us = self.clock.now_us();
        let mut batch = Batch {
            at_end: true,
            ..Batch::default()
        };
        if !self.back_off.is_due(now_us) {
            return Ok(batch);
        }
        let mut decoded = Decoded::default();
        let result = self.step(now_us, &mut decoded);
        batch.records = decoded.records;
        batch.warnings = decoded.warnings;
        let name = &self.options.name;
        self.copy_report.put_into(&mut batch, name, now_us);
        match result {
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

    /// Why the server does not answer, while it does not.
    pub fn trouble(&self) -> Option<&str> {
        self.back_off.trouble()
    }

    /// Everything that was given stays; what was begun is read again.
    fn close(&mut self) {
        self.open = None;
        self.part = None;
        let position = self.decoder.resume_position();
        self.decoder = decoder(position, &self.options);
    }

    fn step(&mut self, now_us: i64, out: &mut Decoded) -> Result<bool, ServerError> {
        if self.open.is_none() {
            let open = self.connect(now_us, out);
            self.open = Some(open.map_err(|error| self.explained(error))?);
        }
        if self.awaits_copied_first() {
            self.look(now_us, out)?;
        }
        let read = self.read_events(now_us, out);
        let is_quiet = read.map_err(|error| self.explained(error))?;
        self.look(now_us, out)?;
        let copied = self.copy(is_quiet, now_us, out);
        copied.map_err(|error| self.explained(error))?;
        if now_us - self.position_us > POSITION_INTERVAL_US {
            self.position_us = now_us;
            out.records.extend(self.decoder.position_record(now_us));
        }
        Ok(is_quiet)
    }

    /// Errors of the server that say what is to be done.
    fn explained(&self, error: ServerError) -> ServerError {
        let ServerError::Connection(ConnectionError::Server { code, message }) = error else {
            return error;
        };
        let address = &self.options.addresses[self.address % self.options.addresses.len().max(1)];
        match code {
            1236 | 4052 if message.contains("same server_uuid/server_id") => {
                ServerError::SameNumber { message }
            }
            // By its password, and by a way that takes none.
            1045 | 1698 => ServerError::SignIn {
                place: format!("{}:{}", address.host, address.port),
                user: address.user.clone(),
                message,
            },
            1227 | 1044 | 1142 | 1143 => ServerError::Privilege {
                user: address.user.clone(),
                message,
            },
            1236 | 1373 => {
                let at = self.decoder.position();
                ServerError::Purged {
                    place: format!("{}:{} ({})", at.file, at.offset, at.gtids),
                    message,
                }
            }
            code => ConnectionError::Server { code, message }.into(),
        }
    }

    fn connect(&mut self, now_us: i64, out: &mut Decoded) -> Result<Open, ServerError> {
        let number = self.address % self.options.addresses.len().max(1);
        let address = self.options.addresses[number].clone();
        let mut questions = Connection::open(&address)?;
        let server = settings::check(&mut questions)?;
        if server.is_replace_lossy && !self.warned_of_replace {
            self.warned_of_replace = true;
            out.warnings.push(format!(
                "{}: the server's `binlog_row_image` is MINIMAL: MariaDB's log then does not say which columns REPLACE sets to their defaults\n  help: set it to NOBLOB or FULL if the shop uses REPLACE",
                self.options.name
            ));
        }
        self.wants_look = true;
        if self.decoder.position().file.is_empty() {
            self.begin(&mut questions, &server, now_us, out)?;
        }
        let position = self.decoder.position();
        let mut stream = Connection::open(&address)?;
        stream.query("SET @master_binlog_checksum = @@GLOBAL.binlog_checksum, @source_binlog_checksum = @@GLOBAL.binlog_checksum")?;
        stream.query(&format!("SET @master_heartbeat_period = {HEARTBEAT_NS}, @source_heartbeat_period = {HEARTBEAT_NS}"))?;
        let by_gtid = server.has_gtids && !position.gtids.is_empty();
        let server_id = self.options.server_id;
        match (by_gtid, server.is_mariadb) {
            (true, true) => {
                stream.query("SET @mariadb_slave_capability = 4")?;
                stream.query(&format!("SET @slave_connect_state = '{}'", position.gtids))?;
                stream
                    .query("SET @slave_gtid_strict_mode = 0, @slave_gtid_ignore_duplicates = 0")?;
                stream.start_log(server_id, "", 4)?;
            }
            (true, false) => stream.start_log_after(server_id, &position.gtids)?,
            (false, is_mariadb) => {
                if is_mariadb {
                    stream.query("SET @mariadb_slave_capability = 4")?;
                }
                stream.start_log(server_id, &position.file, position.offset)?;
            }
        }
        stream.set_event_time(EVENT_TIME)?;
        Ok(Open {
            stream,
            questions,
            server,
            heard_us: now_us,
        })
    }

    /// The very first connection: where the log ends now is where reading
    /// begins.
    fn begin(
        &mut self,
        questions: &mut Connection,
        server: &Server,
        now_us: i64,
        out: &mut Decoded,
    ) -> Result<(), ServerError> {
        let place = settings::end_of_log(questions, server)?;
        let mut step = StateStep {
            at: Some(place.clone()),
            ..StateStep::default()
        };
        for (name, schema) in catalog::databases(questions)? {
            step.schemas.push((name, Some(schema)));
        }
        for name in catalog::tables(questions, &self.options.filter)? {
            if let Some(schema) = catalog::table(questions, &name)? {
                step.schemas.push((name.clone(), Some(schema)));
                if self.options.copies {
                    step.copies.push((name, CopyProgress::Waiting));
                }
            }
        }
        if self.options.copies && step.copies.is_empty() {
            let number = self.address % self.options.addresses.len().max(1);
            let user = &self.options.addresses[number].user;
            out.warnings.push(format!(
                "{}: the server shows user `{user}` no table that `tables` takes: nothing is copied\n  help: GRANT SELECT ON the tables TO the user and start again; tables that are created later are followed",
                self.options.name
            ));
        }
        let mut position = DatabasePosition {
            file: place.file,
            offset: place.offset,
            gtids: place.gtids,
            schemas: step
                .schemas
                .iter()
                .filter_map(|(n, s)| Some((n.clone(), s.clone()?)))
                .collect(),
            copies: step.copies.clone(),
            ..DatabasePosition::default()
        };
        let mut records = vec![state_record(&step, now_us, None, bytes::Bytes::new())];
        let options = &self.options;
        let first = copied_first(options, questions, server, &mut position, now_us)?;
        records.extend(first);
        self.decoder = decoder(position, &self.options);
        out.records.extend(records);
        Ok(())
    }

    /// Takes events that are there; true if no more is.
    fn read_events(&mut self, now_us: i64, out: &mut Decoded) -> Result<bool, ServerError> {
        let first = out.records.len();
        let read = self.take_events(now_us, out);
        // What came before an error is given, too.
        if let Some(part) = &mut self.part
            && !part.take_out(&out.records[first..])
        {
            self.part = None;
        }
        self.hold_back(first, out);
        self.copy_moved_rows_again(first, now_us, out);
        read
    }

    fn take_events(&mut self, now_us: i64, out: &mut Decoded) -> Result<bool, ServerError> {
        let Some(open) = &mut self.open else {
            return Ok(true);
        };
        let mut bytes = 0;
        let first = out.records.len();
        let mut is_quiet = false;
        while bytes < BATCH_BYTES {
            // What stands behind a part without keys is not in it.
            let part = self.part.as_ref().filter(|part| part.is_exact);
            let reached = part.zip(self.decoder.reached());
            if reached.is_some_and(|(part, reached)| part.is_complete_at(reached)) {
                break;
            }
            let Some(event) = open.stream.event()? else {
                is_quiet = true;
                break;
            };
            open.heard_us = now_us;
            bytes += event.len();
            let mut trouble = None;
            let questions = &mut open.questions;
            let mut lookup = |name: &_| {
                catalog::table(questions, name).unwrap_or_else(|error| {
                    trouble = Some(error);
                    None
                })
            };
            let decoded = self.decoder.event(&event, now_us, &mut lookup, out);
            if let Some(trouble) = trouble {
                return Err(trouble.into());
            }
            decoded?;
            // What is new to the filter, rules among it, comes before all that the
            // filter lets through.
            if self.wants_look && self.decoder.is_between_transactions() {
                break;
            }
            // Whole transactions do not wait for the next one.
            let is_whole = !self.decoder.is_in_transaction();
            if is_whole && out.records.len() > first && !open.stream.has_event() {
                break;
            }
        }
        if now_us - open.heard_us > SILENCE_US_MAX {
            let silence = std::io::Error::new(
                std::io::ErrorKind::TimedOut,
                "the server sends no heartbeat",
            );
            let address =
                &self.options.addresses[self.address % self.options.addresses.len().max(1)];
            return Err(ConnectionError::Io {
                host: address.host.clone(),
                port: address.port,
                source: silence,
            }
            .into());
        }
        Ok(is_quiet)
    }
}

fn decoder(position: DatabasePosition, options: &ServerOptions) -> Decoder {
    Decoder::new(position, options.filter.clone()).with_copies(options.copies)
}
