//! Packets: three bytes of length, a sequence number, and up to 16 MiB.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use rustls::{ClientConnection, StreamOwned};

/// Greatest payload of one packet; longer ones go on in the next.
const PACKET_BYTES_MAX: usize = 0xff_ffff;
/// Greatest payload of all packets that belong together.
const MESSAGE_BYTES_MAX: usize = 1 << 30;

/// A stream of bytes to a server.
#[derive(Debug)]
enum Stream {
    Plain(TcpStream),
    Tls(Box<StreamOwned<ClientConnection, TcpStream>>),
}

/// See the module. A read that runs out of time loses nothing: the next one
/// goes on.
#[derive(Debug)]
pub struct Packets {
    stream: Option<Stream>,
    /// Bytes that were read and not used, from `used` on.
    buffer: Vec<u8>,
    used: usize,
    /// The beginning of a message of several packets.
    parts: Vec<u8>,
    sequence: u8,
}

impl Packets {
    /// Packets over a connection.
    pub fn new(stream: TcpStream) -> Self {
        Self {
            stream: Some(Stream::Plain(stream)),
            buffer: Vec::new(),
            used: 0,
            parts: Vec::new(),
            sequence: 0,
        }
    }

    /// From here on everything is encrypted.
    pub(crate) fn start_tls(&mut self, connection: ClientConnection) {
        self.stream = match self.stream.take() {
            Some(Stream::Plain(tcp)) => {
                Some(Stream::Tls(Box::new(StreamOwned::new(connection, tcp))))
            }
            other => other,
        };
    }

    /// Whether what is sent is encrypted.
    pub fn is_encrypted(&self) -> bool {
        matches!(self.stream, Some(Stream::Tls(_)))
    }

    /// How long a read waits.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn set_read_time(&self, time: Duration) -> io::Result<()> {
        match &self.stream {
            Some(Stream::Plain(tcp)) => tcp.set_read_timeout(Some(time)),
            Some(Stream::Tls(tls)) => tls.sock.set_read_timeout(Some(time)),
            None => Ok(()),
        }
    }

    /// The next message; `None` if it did not come in time.
    ///
    /// # Errors
    /// When the connection ends or breaks.
    pub fn read(&mut self) -> io::Result<Option<Vec<u8>>> {
        loop {
            while let Some((length, sequence)) = self.head() {
                let start = self.used + 4;
                let Some(payload) = self.buffer.get(start..start + length) else {
                    break;
                };
                self.sequence = sequence.wrapping_add(1);
                self.used = start + length;
                if length < PACKET_BYTES_MAX && self.parts.is_empty() {
                    return Ok(Some(payload.to_vec()));
                }
                self.parts.extend_from_slice(payload);
                if self.parts.len() > MESSAGE_BYTES_MAX {
                    return Err(io::Error::other(
                        "the server sent a message of more than 1 GiB",
                    ));
                }
                if length < PACKET_BYTES_MAX {
                    return Ok(Some(std::mem::take(&mut self.parts)));
                }
            }
            if !self.fill()? {
                return Ok(None);
            }
        }
    }

    /// Whether a message can be had without waiting.
    pub fn has_message(&self) -> bool {
        let buffered = self.buffer.len() - self.used;
        self.head()
            .is_some_and(|(length, _)| buffered >= 4 + length)
    }

    fn head(&self) -> Option<(usize, u8)> {
        match self.buffer.get(self.used..self.used + 4)? {
            [a, b, c, sequence] => Some((u32::from_le_bytes([*a, *b, *c, 0]) as usize, *sequence)),
            _ => None,
        }
    }

    fn fill(&mut self) -> io::Result<bool> {
        self.buffer.drain(..self.used);
        self.used = 0;
        let end = self.buffer.len();
        self.buffer.resize(end + (64 << 10), 0);
        let into = &mut self.buffer[end..];
        let read = match &mut self.stream {
            Some(Stream::Plain(tcp)) => tcp.read(into),
            Some(Stream::Tls(tls)) => tls.read(into),
            None => Ok(0),
        };
        self.buffer.truncate(end + *read.as_ref().unwrap_or(&0));
        match read {
            Ok(0) => Err(io::Error::new(
                io::ErrorKind::UnexpectedEof,
                "the server closed the connection",
            )),
            Ok(_) => Ok(true),
            Err(error) => match error.kind() {
                io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => Ok(false),
                io::ErrorKind::Interrupted => Ok(true),
                _ => Err(error),
            },
        }
    }

    /// The next message, which must come in time.
    ///
    /// # Errors
    /// When it does not, or the connection breaks.
    pub fn expect(&mut self) -> io::Result<Vec<u8>> {
        self.read()?.ok_or_else(|| {
            io::Error::new(io::ErrorKind::TimedOut, "the server did not answer in time")
        })
    }

    /// Sends a message as the answer to the last one that was read.
    ///
    /// # Errors
    /// When the connection breaks.
    pub fn write(&mut self, payload: &[u8]) -> io::Result<()> {
        let mut bytes = Vec::with_capacity(payload.len() + 8);
        let mut rest = payload;
        loop {
            let length = rest.len().min(PACKET_BYTES_MAX);
            bytes.extend_from_slice(&(length as u32).to_le_bytes()[..3]);
            bytes.push(self.sequence);
            self.sequence = self.sequence.wrapping_add(1);
            bytes.extend_from_slice(&rest[..length]);
            rest = &rest[length..];
            if length < PACKET_BYTES_MAX {
                break;
            }
        }
        match &mut self.stream {
            Some(Stream::Plain(tcp)) => tcp.write_all(&bytes),
            Some(Stream::Tls(tls)) => tls.write_all(&bytes).and_then(|()| tls.flush()),
            None => Ok(()),
        }
    }

    /// Sends a command.
    ///
    /// # Errors
    /// When the connection breaks.
    pub fn command(&mut self, payload: &[u8]) -> io::Result<()> {
        self.sequence = 0;
        self.write(payload)
    }
}
