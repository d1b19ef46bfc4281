//! A connection to a server: signing in, statements in text form, copies out
//! of tables, and the stream of replication.

use std::io;
use std::time::Duration;

use bytes::Bytes;
use sluice_mysql::net::server_stream::ServerStream;
use sluice_mysql::net::tls::{self, TlsMode};

use super::auth::{Answer, SignIn, zero_ended};
pub use super::error::{ConnectionError, ServerRefusal};
use super::frames::{Frame, Frames};
use crate::input::{BadBytes, Input};
use crate::lsn::Lsn;

/// How long a server may take to answer.
const ANSWER_TIME: Duration = Duration::from_secs(60);
const PROTOCOL_VERSION: u32 = 3 << 16;
const TLS_QUESTION: u32 = 80_877_103;
/// Microseconds from 1970 to 2000, where the server's time begins.
const SERVER_EPOCH_US: i64 = 946_684_800_000_000;

/// Settings of a session, so that values are written in one form wherever the
/// server stands, and nothing ends a copy that takes long.
const SESSION: [(&str, &str); 11] = [
    ("client_encoding", "UTF8"),
    ("application_name", "sluice"),
    ("DateStyle", "ISO, YMD"),
    ("IntervalStyle", "postgres"),
    ("TimeZone", "UTC"),
    ("extra_float_digits", "3"),
    ("bytea_output", "hex"),
    ("lc_monetary", "C"),
    ("statement_timeout", "0"),
    ("lock_timeout", "0"),
    ("idle_in_transaction_session_timeout", "0"),
];

/// Where a server is and who asks.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Address {
    /// Name or number of the machine.
    pub host: String,
    /// Port.
    pub port: u16,
    /// Database.
    pub database: String,
    /// User.
    pub user: String,
    /// Password; empty for none.
    pub password: String,
    /// Encryption.
    pub tls: TlsMode,
}

/// What a connection is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// Statements.
    Statements,
    /// Replication, and statements too.
    Replication,
}

/// The rows of an answer: values as text, or nothing.
pub type TextRows = Vec<Vec<Option<String>>>;

/// What a copy gives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CopiedRow {
    /// A row as the server writes it, with the end of its line.
    Row(Bytes),
    /// Nothing came in time.
    NotYet,
    /// All rows were given.
    End,
}

/// A message of the stream of replication.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StreamMessage {
    /// A part of the log, decoded by the plugin.
    Data(Bytes),
    /// The server is there.
    Alive {
        /// Everything up to here was sent.
        end: Lsn,
        /// It wants to hear how far reading has come.
        wants_answer: bool,
    },
}

/// See the module.
#[derive(Debug)]
pub struct Connection {
    frames: Frames,
    address: Address,
}

pub(super) fn needs_tls() -> ConnectionError {
    ConnectionError::SignIn(
        "the server asks for the password in clear, which is sent over TLS only\n  help: set `tls = \"required\"`, or let `pg_hba.conf` ask for `scram-sha-256`".into(),
    )
}

impl Connection {
    /// Connects and signs in.
    ///
    /// # Errors
    /// When the server does not answer or refuses.
    pub fn open(address: &Address, purpose: Purpose) -> Result<Self, ConnectionError> {
        let io = |source| io_error(address, source);
        let stream = ServerStream::connect(&address.host, address.port).map_err(io)?;
        let mut connection = Self {
            frames: Frames::new(stream),
            address: address.clone(),
        };
        connection.frames.set_read_time(ANSWER_TIME).map_err(io)?;
        if address.tls != TlsMode::Off {
            connection.start_tls()?;
        }
        connection.sign_in(purpose)?;
        Ok(connection)
    }

    fn io(&self, source: io::Error) -> ConnectionError {
        io_error(&self.address, source)
    }

    /// The next message that is not about the server's settings.
    fn expect(&mut self) -> Result<Frame, ConnectionError> {
        loop {
            match self.frames.expect().map_err(|error| self.io(error))? {
                (b'E', content) => {
                    return Err(ConnectionError::Server(ServerRefusal::read(&content)));
                }
                (b'N' | b'S' | b'A', _) => {}
                frame => return Ok(frame),
            }
        }
    }

    fn send(&mut self, letter: u8, content: &[u8]) -> Result<(), ConnectionError> {
        let sent = self.frames.write(Some(letter), content);
        sent.map_err(|error| self.io(error))
    }

    fn start_tls(&mut self) -> Result<(), ConnectionError> {
        let asked = self.frames.write(None, &TLS_QUESTION.to_be_bytes());
        asked.map_err(|error| self.io(error))?;
        let answer = self.frames.answer_byte();
        if answer.map_err(|error| self.io(error))? != b'S' {
            return Err(ConnectionError::SignIn(
                "the server offers no TLS\n  help: set `ssl = on` there with a certificate, or `tls = \"off\"` here".into(),
            ));
        }
        let tls = tls::connection(&self.address.tls, &self.address.host);
        self.frames.start_tls(tls.map_err(ConnectionError::SignIn)?);
        Ok(())
    }

    fn sign_in(&mut self, purpose: Purpose) -> Result<(), ConnectionError> {
        let mut start = PROTOCOL_VERSION.to_be_bytes().to_vec();
        let (user, database) = (self.address.user.clone(), self.address.database.clone());
        let named = [("user", user.as_str()), ("database", database.as_str())];
        let replication = match purpose {
            Purpose::Replication => Some(("replication", "database")),
            Purpose::Statements => None,
        };
        for (name, value) in named.into_iter().chain(SESSION).chain(replication) {
            start.extend(zero_ended(name));
            start.extend(zero_ended(value));
        }
        start.push(0);
        let sent = self.frames.write(None, &start);
        sent.map_err(|error| self.io(error))?;
        let mut sign_in = SignIn::default();
        loop {
            let (letter, content) = self.expect()?;
            match letter {
                b'R' => {
                    let is_encrypted = self.frames.is_encrypted();
                    match sign_in.answer(&content, &self.address, is_encrypted)? {
                        Answer::Send(answer) => self.send(b'p', &answer)?,
                        Answer::Done | Answer::Wait => {}
                    }
                }
                b'K' | b'v' => {}
                b'Z' => return Ok(()),
                other => return Err(unexpected(other, "the sign-in")),
            }
        }
    }

    /// Reads up to where the server waits for the next statement.
    fn until_ready(&mut self) -> Result<(), ConnectionError> {
        loop {
            let frame = self.frames.expect().map_err(|error| self.io(error))?;
            if frame.0 == b'Z' {
                return Ok(());
            }
        }
    }

    /// How long answers may take from now on.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn set_answer_time(&self, time: Duration) -> Result<(), ConnectionError> {
        let set = self.frames.set_read_time(time);
        set.map_err(|error| self.io(error))
    }

    /// Runs a statement and gives the rows of its answer.
    ///
    /// # Errors
    /// When the server refuses, or the connection breaks. The connection can
    /// be used after a refusal.
    pub fn query(&mut self, sql: &str) -> Result<TextRows, ConnectionError> {
        self.send(b'Q', &zero_ended(sql))?;
        let mut rows = Vec::new();
        loop {
            match self.expect() {
                Ok((b'D', content)) => rows.push(read_row(&content)?),
                Ok((b'T' | b'C' | b'I', _)) => {}
                Ok((b'Z', _)) => return Ok(rows),
                Ok((other, _)) => return Err(unexpected(other, "the answer to a statement")),
                Err(error) => {
                    if matches!(error, ConnectionError::Server(_)) {
                        self.until_ready()?;
                    }
                    return Err(error);
                }
            }
        }
    }

    /// The first value of an answer; `None` if there is none.
    ///
    /// # Errors
    /// When the statement fails.
    pub fn value(&mut self, sql: &str) -> Result<Option<String>, ConnectionError> {
        let rows = self.query(sql)?;
        let first = rows
            .into_iter()
            .next()
            .and_then(|row| row.into_iter().next());
        Ok(first.flatten())
    }

    /// Begins a `COPY … TO STDOUT`, whose rows [`Self::copied_row`] gives.
    ///
    /// # Errors
    /// When the server refuses, or the connection breaks.
    pub fn start_copy(&mut self, sql: &str) -> Result<(), ConnectionError> {
        self.send(b'Q', &zero_ended(sql))?;
        match self.expect() {
            Ok((b'H', _)) => Ok(()),
            Ok((other, _)) => Err(unexpected(other, "the answer to COPY")),
            Err(error) => {
                if matches!(error, ConnectionError::Server(_)) {
                    self.until_ready()?;
                }
                Err(error)
            }
        }
    }

    /// The next row of a copy.
    ///
    /// # Errors
    /// When the server ends the copy, or the connection breaks.
    pub fn copied_row(&mut self) -> Result<CopiedRow, ConnectionError> {
        loop {
            let read = self.frames.read().map_err(|error| self.io(error))?;
            let Some((letter, content)) = read else {
                return Ok(CopiedRow::NotYet);
            };
            match letter {
                b'd' => return Ok(CopiedRow::Row(content)),
                b'E' => return Err(ConnectionError::Server(ServerRefusal::read(&content))),
                b'c' | b'C' | b'N' | b'S' | b'A' => {}
                b'Z' => return Ok(CopiedRow::End),
                other => return Err(unexpected(other, "a copy")),
            }
        }
    }

    /// Begins the stream of a slot at a place. After it only
    /// [`Self::stream_message`] and [`Self::tell`] may be used.
    ///
    /// # Errors
    /// When the server refuses, or the connection breaks.
    pub fn start_stream(
        &mut self,
        slot: &str,
        at: Lsn,
        publications: &str,
        wait: Duration,
    ) -> Result<(), ConnectionError> {
        let sql = format!(
            "START_REPLICATION SLOT {slot} LOGICAL {at} (proto_version '1', publication_names {publications})"
        );
        self.send(b'Q', &zero_ended(&sql))?;
        match self.expect()? {
            (b'W', _) => {}
            (other, _) => return Err(unexpected(other, "the beginning of the stream")),
        }
        let waits = self.frames.set_read_time(wait);
        waits.map_err(|error| self.io(error))
    }

    /// Whether a message of the stream can be had without waiting.
    pub fn has_message(&self) -> bool {
        self.frames.has_message()
    }

    /// The next message of the stream; `None` if none came in time.
    ///
    /// # Errors
    /// When the server ends the stream, or the connection breaks.
    pub fn stream_message(&mut self) -> Result<Option<StreamMessage>, ConnectionError> {
        loop {
            let read = self.frames.read().map_err(|error| self.io(error))?;
            let Some((letter, content)) = read else {
                return Ok(None);
            };
            match letter {
                b'd' => return Ok(Some(read_stream_message(content)?)),
                b'E' => return Err(ConnectionError::Server(ServerRefusal::read(&content))),
                b'N' | b'S' | b'A' => {}
                b'c' | b'C' | b'Z' => {
                    return Err(self.io(io::Error::new(
                        io::ErrorKind::UnexpectedEof,
                        "the server ended the stream",
                    )));
                }
                other => return Err(unexpected(other, "the stream")),
            }
        }
    }

    /// Tells the server that everything up to `durable` may be forgotten.
    ///
    /// # Errors
    /// When the connection breaks.
    pub fn tell(
        &mut self,
        durable: Lsn,
        now_us: i64,
        wants_answer: bool,
    ) -> Result<(), ConnectionError> {
        let mut content = vec![b'r'];
        for _ in ["written", "flushed", "applied"] {
            content.extend(durable.0.to_be_bytes());
        }
        content.extend((now_us - SERVER_EPOCH_US).to_be_bytes());
        content.push(u8::from(wants_answer));
        self.send(b'd', &content)
    }

    /// An error that says that the server is silent.
    pub fn silence(&self) -> ConnectionError {
        self.io(io::Error::new(
            io::ErrorKind::TimedOut,
            "the server sends no sign of life",
        ))
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        // So that the server frees the slot at once; it notices otherwise too.
        let _ = self.frames.write(Some(b'X'), &[]);
    }
}

fn unexpected(letter: u8, place: &str) -> ConnectionError {
    BadBytes::Invalid(format!("a message of kind {letter:#04x} in {place}")).into()
}

fn read_row(content: &[u8]) -> Result<Vec<Option<String>>, BadBytes> {
    let mut input = Input::new(content, "a row of an answer");
    let count = input.u16()?;
    let mut row = Vec::with_capacity(usize::from(count));
    for _ in 0..count {
        let mut ahead = input;
        row.push(match ahead.i32()? {
            -1 => {
                input = ahead;
                None
            }
            _ => Some(String::from_utf8_lossy(input.counted()?).into_owned()),
        });
    }
    Ok(row)
}

fn read_stream_message(content: Bytes) -> Result<StreamMessage, BadBytes> {
    /// Letter, beginning, end, time.
    const DATA_HEAD_BYTES: usize = 25;
    let mut input = Input::new(&content, "a message of the stream");
    match input.u8()? {
        b'w' => {
            input.take(DATA_HEAD_BYTES - 1)?;
            Ok(StreamMessage::Data(content.slice(DATA_HEAD_BYTES..)))
        }
        b'k' => {
            let end = Lsn(input.u64()?);
            input.u64()?;
            let wants_answer = input.u8()? != 0;
            Ok(StreamMessage::Alive { end, wants_answer })
        }
        other => Err(BadBytes::Invalid(format!(
            "messages of kind {other:#04x} in the stream are not known"
        ))),
    }
}

fn io_error(address: &Address, source: io::Error) -> ConnectionError {
    ConnectionError::Io {
        host: address.host.clone(),
        port: address.port,
        source: tls::explained(source),
    }
}
