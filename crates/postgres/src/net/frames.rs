//! Messages of the protocol: a letter, four bytes of length, and content.

use std::io;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use rustls::ClientConnection;
use sluice_mysql::net::server_stream::ServerStream;

/// The server sends no larger ones: a value has at most 1 GiB.
const MESSAGE_BYTES_MAX: usize = (1 << 30) + (64 << 20);
/// Bytes that are asked of the system at a time.
const READ_BYTES: usize = 64 << 10;
/// Letter and length.
const HEAD_BYTES: usize = 5;

/// A message: its letter and its content.
pub(crate) type Frame = (u8, Bytes);

/// See the module. A read that runs out of time loses nothing: the next one
/// goes on.
#[derive(Debug)]
pub(crate) struct Frames {
    stream: ServerStream,
    buffer: BytesMut,
}

impl Frames {
    /// Messages over a connection.
    pub(crate) fn new(stream: ServerStream) -> Self {
        Self {
            stream,
            buffer: BytesMut::new(),
        }
    }

    /// From here on everything is encrypted.
    pub(crate) fn start_tls(&mut self, connection: ClientConnection) {
        self.stream.start_tls(connection);
    }

    /// Whether what is sent is encrypted.
    pub(crate) fn is_encrypted(&self) -> bool {
        self.stream.is_encrypted()
    }

    /// How long a read waits.
    pub(crate) fn set_read_time(&self, time: Duration) -> io::Result<()> {
        self.stream.set_read_time(time)
    }

    /// The one byte with which the server answers the question for TLS.
    pub(crate) fn answer_byte(&mut self) -> io::Result<u8> {
        self.stream.plain_byte()
    }

    /// The length of the first message, if its head is there.
    fn head(&self) -> io::Result<Option<(u8, usize)>> {
        let [letter, a, b, c, d, ..] = *self.buffer else {
            return Ok(None);
        };
        let length = u32::from_be_bytes([a, b, c, d]) as usize;
        if !(4..=MESSAGE_BYTES_MAX).contains(&length) {
            return Err(io::Error::other(format!(
                "the server announces a message of {length} bytes"
            )));
        }
        Ok(Some((letter, length - 4)))
    }

    /// Whether a message can be had without waiting.
    pub(crate) fn has_message(&self) -> bool {
        let head = self.head().ok().flatten();
        head.is_some_and(|(_, length)| self.buffer.len() >= HEAD_BYTES + length)
    }

    /// The next message; `None` if it did not come in time.
    pub(crate) fn read(&mut self) -> io::Result<Option<Frame>> {
        loop {
            if let Some((letter, length)) = self.head()? {
                if self.buffer.len() >= HEAD_BYTES + length {
                    let mut message = self.buffer.split_to(HEAD_BYTES + length);
                    let content = message.split_off(HEAD_BYTES);
                    return Ok(Some((letter, content.freeze())));
                }
                self.buffer.reserve(HEAD_BYTES + length - self.buffer.len());
            }
            if !self.fill()? {
                return Ok(None);
            }
        }
    }

    fn fill(&mut self) -> io::Result<bool> {
        let end = self.buffer.len();
        self.buffer.resize(end + READ_BYTES, 0);
        let read = self.stream.read(&mut self.buffer[end..]);
        let count = read.as_ref().map_or(0, |count| count.unwrap_or(0));
        self.buffer.truncate(end + count);
        Ok(read?.is_some())
    }

    /// The next message, which must come in time.
    pub(crate) fn expect(&mut self) -> io::Result<Frame> {
        self.read()?.ok_or_else(|| {
            io::Error::new(io::ErrorKind::TimedOut, "the server did not answer in time")
        })
    }

    /// Sends a message; without a letter for those that begin a connection.
    pub(crate) fn write(&mut self, letter: Option<u8>, content: &[u8]) -> io::Result<()> {
        let mut bytes = Vec::with_capacity(content.len() + HEAD_BYTES);
        bytes.extend(letter);
        bytes.extend(((content.len() + 4) as u32).to_be_bytes());
        bytes.extend_from_slice(content);
        self.stream.write(&bytes)
    }
}
