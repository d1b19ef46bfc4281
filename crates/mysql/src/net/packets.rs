//! Packets: three bytes of length, a sequence number, and up to 16 MiB.

use std::io;
use std::time::Duration;

use rustls::ClientConnection;

use super::server_stream::ServerStream;

/// Greatest payload of one packet; longer ones go on in the next.
const PACKET_BYTES_MAX: usize = 0xff_ffff;
/// Greatest payload of all packets that belong together.
const MESSAGE_BYTES_MAX: usize = 1 << 30;

/// See the module. A read that runs out of time loses nothing: the next one
/// goes on.
#[derive(Debug)]
pub struct Packets {
    stream: ServerStream,
    /// Bytes that were read and not used, from `used` on.
    buffer: Vec<u8>,
    used: usize,
    /// The beginning of a message of several packets.
    parts: Vec<u8>,
    sequence: u8,
}

impl Packets {
    /// Packets over a connection.
    pub fn new(stream: ServerStream) -> Self {
        Self {
            stream,
            buffer: Vec::new(),
            used: 0,
            parts: Vec::new(),
            sequence: 0,
        }
    }

    /// From here on everything is encrypted.
    pub(crate) fn start_tls(&mut self, connection: ClientConnection) {
        self.stream.start_tls(connection);
    }

    /// Whether what is sent is encrypted.
    pub fn is_encrypted(&self) -> bool {
        self.stream.is_encrypted()
    }

    /// How long a read waits.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn set_read_time(&self, time: Duration) -> io::Result<()> {
        self.stream.set_read_time(time)
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
        let read = self.stream.read(&mut self.buffer[end..]);
        let count = read.as_ref().map_or(0, |count| count.unwrap_or(0));
        self.buffer.truncate(end + count);
        Ok(read?.is_some())
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
        self.stream.write(&bytes)
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
