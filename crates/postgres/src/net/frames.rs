//! Messages of the protocol: a letter, four bytes of length, and content.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use rustls::{ClientConnection, StreamOwned};

/// The server sends no larger ones: a value has at most 1 GiB.
const MESSAGE_BYTES_MAX: usize = (1 << 30) + (64 << 20);
/// Bytes that are asked of the system at a time.
const READ_BYTES: usize = 64 << 10;
/// Letter and length.
const HEAD_BYTES: usize = 5;

/// A stream of bytes to a server.
#[derive(Debug)]
enum Stream {
    Plain(TcpStream),
    Tls(Box<StreamOwned<ClientConnection, TcpStream>>),
}

/// A message: its letter and its content.
pub(crate) type Frame = (u8, Bytes);

/// See the module. A read that runs out of time loses nothing: the next one
/// goes on.
#[derive(Debug)]
pub(crate) struct Frames {
    stream: Option<Stream>,
    buffer: BytesMut,
}

impl Frames {
    /// Messages over a connection.
    pub(crate) fn new(stream: TcpStream) -> Self {
        Self {
            stream: Some(Stream::Plain(stream)),
            buffer: BytesMut::new(),
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
    pub(crate) fn is_encrypted(&self) -> bool {
        matches!(self.stream, Some(Stream::Tls(_)))
    }

    /// How long a read waits.
    pub(crate) fn set_read_time(&self, time: Duration) -> io::Result<()> {
        match &self.stream {
            Some(Stream::Plain(tcp)) => tcp.set_read_timeout(Some(time)),
            Some(Stream::Tls(tls)) => tls.sock.set_read_timeout(Some(time)),
            None => Ok(()),
        }
    }

    /// The one byte with which the server answers the question for TLS.
    pub(crate) fn answer_byte(&mut self) -> io::Result<u8> {
        let mut byte = [0];
        match &mut self.stream {
            Some(Stream::Plain(tcp)) => tcp.read_exact(&mut byte)?,
            _ => return Err(io::Error::other("it is encrypted already")),
        }
        Ok(byte[0])
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
        match &mut self.stream {
            Some(Stream::Plain(tcp)) => tcp.write_all(&bytes),
            Some(Stream::Tls(tls)) => tls.write_all(&bytes).and_then(|()| tls.flush()),
            None => Ok(()),
        }
    }
}
