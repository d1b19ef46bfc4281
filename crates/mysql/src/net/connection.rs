//! A connection to a server: signing in, statements in text form, and the
//! request of the binary log.

use std::io;
use std::time::Duration;

use super::auth::{Method, zero_ended};
use super::packets::Packets;
use super::server_stream::ServerStream;
use super::tls::{self, TlsMode};
use crate::binlog::gtid::GtidSet;
use crate::input::{BadBytes, Input, name_text};

/// How long a server may take to answer.
const ANSWER_TIME: Duration = Duration::from_secs(60);

const LONG_PASSWORD: u32 = 1;
const LONG_FLAG: u32 = 4;
const PROTOCOL_41: u32 = 0x200;
const SSL: u32 = 0x800;
const TRANSACTIONS: u32 = 0x2000;
const SECURE_CONNECTION: u32 = 0x8000;
const PLUGIN_AUTH: u32 = 0x8_0000;
const LENENC_AUTH: u32 = 0x20_0000;
/// `utf8mb4_general_ci`, which both servers have.
const UTF8MB4: u8 = 45;

/// Where a server is and who asks.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Address {
    /// Name or number of the machine.
    pub host: String,
    /// Port.
    pub port: u16,
    /// User.
    pub user: String,
    /// Password; empty for none.
    pub password: String,
    /// Encryption.
    pub tls: TlsMode,
}

/// A statement failed, or the connection.
#[derive(Debug, thiserror::Error)]
pub enum ConnectionError {
    /// The connection broke or did not come about.
    #[error("{host}:{port}: {source}")]
    Io {
        /// Machine.
        host: String,
        /// Port.
        port: u16,
        /// Cause.
        source: io::Error,
    },
    /// The server refuses.
    #[error("the server says: {message} (error {code})")]
    Server {
        /// The server's number of the error.
        code: u16,
        /// Its text.
        message: String,
    },
    /// The server says what is not understood.
    #[error("an answer of the server is not understood: {0}")]
    Protocol(#[from] BadBytes),
    /// There is no way to sign in.
    #[error("{0}")]
    SignIn(String),
}

impl ConnectionError {
    /// The server's number of the error; 0 if it is not one of its.
    pub fn code(&self) -> u16 {
        match self {
            Self::Server { code, .. } => *code,
            _ => 0,
        }
    }
}

/// The rows of an answer: values as text, or nothing.
pub type TextRows = Vec<Vec<Option<Vec<u8>>>>;

/// See the module.
#[derive(Debug)]
pub struct Connection {
    packets: Packets,
    address: Address,
    /// Version of the server, as it says itself.
    pub server_version: String,
}

impl Connection {
    /// Connects and signs in.
    ///
    /// # Errors
    /// When the server does not answer or refuses.
    pub fn open(address: &Address) -> Result<Self, ConnectionError> {
        let stream = ServerStream::connect(&address.host, address.port);
        let stream = stream.map_err(|source| io_error(address, source))?;
        let mut connection = Self {
            packets: Packets::new(stream),
            address: address.clone(),
            server_version: String::new(),
        };
        let waits = connection.packets.set_read_time(ANSWER_TIME);
        waits.map_err(|source| io_error(address, source))?;
        connection.sign_in()?;
        Ok(connection)
    }

    fn io(&self, source: io::Error) -> ConnectionError {
        io_error(&self.address, source)
    }

    fn expect(&mut self) -> Result<Vec<u8>, ConnectionError> {
        let packet = self.packets.expect().map_err(|error| self.io(error))?;
        match packet.first() {
            Some(0xff) => Err(server_error(&packet)),
            Some(_) => Ok(packet),
            None => Err(BadBytes::invalid("it is empty").into()),
        }
    }

    fn sign_in(&mut self) -> Result<(), ConnectionError> {
        const WHAT: &str = "the server's greeting";
        let greeting = self.expect()?;
        let mut input = Input::new(&greeting);
        let version = input.u8(WHAT)?;
        if version != 10 {
            return Err(BadBytes::Invalid(format!("it greets with version {version}")).into());
        }
        self.server_version = name_text(input.until_zero(WHAT)?);
        input.take(4, WHAT)?;
        let mut seed = input.take(8, WHAT)?.to_vec();
        input.u8(WHAT)?;
        let mut abilities = u32::from(input.u16(WHAT)?);
        input.take(3, WHAT)?;
        abilities |= u32::from(input.u16(WHAT)?) << 16;
        let seed_length = usize::from(input.u8(WHAT)?);
        input.take(10, WHAT)?;
        seed.extend_from_slice(input.take(seed_length.saturating_sub(8).max(13), WHAT)?);
        // The last byte is a zero.
        seed.truncate(20);
        let plugin = input.until_zero(WHAT).map(name_text).unwrap_or_default();
        let method = Method::of_name(&plugin).unwrap_or(Method::Native);

        let mut flags = LONG_PASSWORD
            | LONG_FLAG
            | PROTOCOL_41
            | TRANSACTIONS
            | SECURE_CONNECTION
            | PLUGIN_AUTH
            | LENENC_AUTH;
        let mut head = Vec::new();
        if self.address.tls != TlsMode::Off {
            if abilities & SSL == 0 {
                return Err(ConnectionError::SignIn(
                    "the server offers no TLS\n  help: give it a certificate (`ssl_cert`, `ssl_key`), or set `tls = \"off\"`".into(),
                ));
            }
            flags |= SSL;
        }
        head.extend(flags.to_le_bytes());
        head.extend((1_u32 << 24).to_le_bytes());
        head.push(UTF8MB4);
        head.extend([0; 23]);
        if self.address.tls != TlsMode::Off {
            self.send(&head)?;
            let tls = tls::connection(&self.address.tls, &self.address.host);
            self.packets
                .start_tls(tls.map_err(ConnectionError::SignIn)?);
        }
        let mut answer = head;
        answer.extend(zero_ended(&self.address.user));
        let proof = self.proof(method, &seed)?;
        answer.push(proof.len() as u8);
        answer.extend(proof);
        let name = match method {
            Method::Native => "mysql_native_password",
            Method::CachingSha2 => "caching_sha2_password",
            Method::Clear => "mysql_clear_password",
        };
        answer.extend(zero_ended(name));
        self.send(&answer)?;
        self.finish_sign_in()
    }

    fn proof(&self, method: Method, seed: &[u8]) -> Result<Vec<u8>, ConnectionError> {
        if method == Method::Clear && !self.packets.is_encrypted() {
            return Err(needs_tls());
        }
        Ok(method.answer(&self.address.password, seed))
    }

    fn finish_sign_in(&mut self) -> Result<(), ConnectionError> {
        loop {
            let packet = self.expect()?;
            let mut input = Input::new(&packet[1..]);
            match packet[0] {
                0 => return Ok(()),
                0xfe => {
                    let plugin = name_text(input.until_zero("a change of the way to sign in")?);
                    let Some(method) = Method::of_name(&plugin) else {
                        return Err(ConnectionError::SignIn(format!(
                            "the server wants user `{}` to sign in by `{plugin}`, which is not known\n  help: give the user `mysql_native_password` or `caching_sha2_password`",
                            self.address.user
                        )));
                    };
                    let mut seed = input.rest().to_vec();
                    seed.truncate(20);
                    let proof = self.proof(method, &seed)?;
                    self.send(&proof)?;
                }
                // More for `caching_sha2_password`: 3 is well, 4 asks for the
                // password itself.
                1 => match input.u8("how the sign-in goes on")? {
                    3 => {}
                    _ if self.packets.is_encrypted() => {
                        let password = zero_ended(&self.address.password);
                        self.send(&password)?;
                    }
                    _ => return Err(needs_tls()),
                },
                other => {
                    return Err(BadBytes::Invalid(format!("{other:#x} in the sign-in")).into());
                }
            }
        }
    }

    fn send(&mut self, payload: &[u8]) -> Result<(), ConnectionError> {
        self.packets.write(payload).map_err(|error| self.io(error))
    }

    /// Runs a statement and gives the rows of its answer.
    ///
    /// # Errors
    /// When the server refuses, or the connection breaks.
    pub fn query(&mut self, sql: &str) -> Result<TextRows, ConnectionError> {
        const WHAT: &str = "the answer to a statement";
        let mut command = vec![3];
        command.extend_from_slice(sql.as_bytes());
        let sent = self.packets.command(&command);
        sent.map_err(|error| self.io(error))?;
        let first = self.expect()?;
        if first[0] == 0 {
            return Ok(Vec::new());
        }
        let columns = Input::new(&first).lenenc(WHAT)?;
        for _ in 0..columns {
            self.expect()?;
        }
        let is_end = |packet: &[u8]| packet[0] == 0xfe && packet.len() < 9;
        if !is_end(&self.expect()?) {
            return Err(BadBytes::invalid("the columns of an answer have no end").into());
        }
        let mut rows = Vec::new();
        loop {
            let packet = self.expect()?;
            if is_end(&packet) {
                return Ok(rows);
            }
            let mut input = Input::new(&packet);
            let mut row = Vec::new();
            for _ in 0..columns {
                row.push(match input.rest().first() {
                    Some(0xfb) => {
                        input.u8(WHAT)?;
                        None
                    }
                    _ => Some(input.lenenc_bytes(WHAT)?.to_vec()),
                });
            }
            rows.push(row);
        }
    }

    /// The only value of an answer as text; empty if there is none.
    ///
    /// # Errors
    /// When the statement fails.
    pub fn value(&mut self, sql: &str) -> Result<String, ConnectionError> {
        let rows = self.query(sql)?;
        let value = rows
            .into_iter()
            .next()
            .and_then(|row| row.into_iter().next());
        Ok(value
            .flatten()
            .map(|text| name_text(&text))
            .unwrap_or_default())
    }

    /// Asks for the log from a place on. After it only [`Self::event`] may be
    /// used.
    ///
    /// # Errors
    /// When the connection breaks.
    pub fn start_log(
        &mut self,
        server_id: u32,
        file: &str,
        offset: u64,
    ) -> Result<(), ConnectionError> {
        let mut command = vec![0x12];
        // Places beyond 4 GiB do not fit: only GTIDs name them.
        command.extend(u32::try_from(offset).unwrap_or(u32::MAX).to_le_bytes());
        command.extend([0, 0]);
        command.extend(server_id.to_le_bytes());
        command.extend(file.bytes());
        self.packets
            .command(&command)
            .map_err(|error| self.io(error))
    }

    /// Asks a MySQL server for all transactions that are not in a set.
    ///
    /// # Errors
    /// When the connection breaks.
    pub fn start_log_after(
        &mut self,
        server_id: u32,
        gtids: &GtidSet,
    ) -> Result<(), ConnectionError> {
        const THROUGH_GTID: u16 = 4;
        let set = gtids.encode_mysql();
        let mut command = vec![0x1e];
        command.extend(THROUGH_GTID.to_le_bytes());
        command.extend(server_id.to_le_bytes());
        command.extend(0_u32.to_le_bytes());
        command.extend(4_u64.to_le_bytes());
        command.extend((set.len() as u32).to_le_bytes());
        command.extend(set);
        self.packets
            .command(&command)
            .map_err(|error| self.io(error))
    }

    /// How long [`Self::event`] waits.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn set_event_time(&mut self, time: Duration) -> Result<(), ConnectionError> {
        self.packets
            .set_read_time(time)
            .map_err(|error| self.io(error))
    }

    /// Whether an event can be had without waiting.
    pub fn has_event(&self) -> bool {
        self.packets.has_message()
    }

    /// The next event of the log; `None` if none came in time.
    ///
    /// # Errors
    /// When the server ends the log, or the connection breaks.
    pub fn event(&mut self) -> Result<Option<Vec<u8>>, ConnectionError> {
        let Some(mut packet) = self.packets.read().map_err(|error| self.io(error))? else {
            return Ok(None);
        };
        match packet.first() {
            Some(0) => {
                packet.remove(0);
                Ok(Some(packet))
            }
            Some(0xff) => Err(server_error(&packet)),
            Some(0xfe) => Err(self.io(io::Error::new(
                io::ErrorKind::UnexpectedEof,
                "the server ended the log",
            ))),
            _ => Err(BadBytes::invalid("an event has no mark").into()),
        }
    }
}

fn needs_tls() -> ConnectionError {
    ConnectionError::SignIn(
        "the server asks for the password itself, which is sent over TLS only\n  help: set `tls = \"required\"`".into(),
    )
}

fn io_error(address: &Address, source: io::Error) -> ConnectionError {
    ConnectionError::Io {
        host: address.host.clone(),
        port: address.port,
        source: tls::explained(source),
    }
}

fn server_error(packet: &[u8]) -> ConnectionError {
    let code = match packet {
        [_, low, high, ..] => u16::from_le_bytes([*low, *high]),
        _ => 0,
    };
    let text = packet.get(3..).unwrap_or_default();
    // A mark and the number of the standard stand before the text.
    let text = match text {
        [b'#', _, _, _, _, _, text @ ..] => text,
        text => text,
    };
    ConnectionError::Server {
        code,
        message: name_text(text),
    }
}
