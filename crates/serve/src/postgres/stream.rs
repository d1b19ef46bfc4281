//! The bytes of one PostgreSQL client, and what it may send: a message that says
//! it is longer than it may be ends the connection before any of it is kept, and
//! so does a client that does not take its answer.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use datafusion_postgres::pgwire::tokio::tokio_rustls::server::TlsStream;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep, sleep};

/// Bytes of a message of somebody who has not signed in.
const STRANGER_BYTES_MAX: usize = 10_000;
/// Bytes of a message: a statement, or the values of its parameters.
pub(super) const MESSAGE_BYTES_MAX: usize = 1 << 20;
/// How long a client may take nothing of its answer.
const UNREAD_TIME_MAX: Duration = Duration::from_secs(120);
/// Bytes of a message's length, which counts itself.
const LENGTH_BYTES: usize = 4;

/// With or without encryption.
pub(super) enum Bytes {
    /// As they are.
    Plain(TcpStream),
    /// Encrypted.
    Tls(Box<TlsStream<TcpStream>>),
}

/// See the module.
pub(super) struct WireStream {
    bytes: Bytes,
    /// What was read before the messages began, and how much of it was given.
    first: ([u8; 8], usize),
    frames: Frames,
    /// Ends when the client has taken nothing for too long.
    unread: Pin<Box<Sleep>>,
    is_unread: bool,
}

impl WireStream {
    /// `first` was read from the stream already.
    pub(super) fn new(bytes: Bytes, first: Option<[u8; 8]>) -> Self {
        Self {
            bytes,
            first: first.map_or(([0; 8], 8), |first| (first, 0)),
            frames: Frames::default(),
            unread: Box::pin(sleep(UNREAD_TIME_MAX)),
            is_unread: false,
        }
    }

    /// Messages may be as long as those of users from now on.
    pub(super) fn trust(&mut self) {
        self.frames.bytes_max = MESSAGE_BYTES_MAX;
    }
}

/// Follows where messages begin: each is a letter, a length and so many bytes
/// less four; the first has no letter.
struct Frames {
    bytes_max: usize,
    has_letter: bool,
    head: [u8; LENGTH_BYTES],
    /// Bytes of the head that are known, the letter included.
    head_bytes: usize,
    body_bytes_left: usize,
}

impl Default for Frames {
    fn default() -> Self {
        Self {
            bytes_max: STRANGER_BYTES_MAX,
            has_letter: false,
            head: [0; LENGTH_BYTES],
            head_bytes: 0,
            body_bytes_left: 0,
        }
    }
}

impl Frames {
    fn follow(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while let Some((&byte, rest)) = bytes.split_first() {
            if self.body_bytes_left > 0 {
                let count = self.body_bytes_left.min(bytes.len());
                self.body_bytes_left -= count;
                bytes = &bytes[count..];
                continue;
            }
            bytes = rest;
            let letter_bytes = usize::from(self.has_letter);
            if self.head_bytes >= letter_bytes {
                self.head[self.head_bytes - letter_bytes] = byte;
            }
            self.head_bytes += 1;
            if self.head_bytes < letter_bytes + LENGTH_BYTES {
                continue;
            }
            let length = i32::from_be_bytes(self.head);
            let length = usize::try_from(length).unwrap_or(usize::MAX);
            if length < LENGTH_BYTES || length > self.bytes_max {
                let bytes_max = self.bytes_max;
                let problem = format!("a message has 4 to {bytes_max} bytes");
                return Err(io::Error::new(io::ErrorKind::InvalidData, problem));
            }
            self.body_bytes_left = length - LENGTH_BYTES;
            self.head_bytes = 0;
            self.has_letter = true;
        }
        Ok(())
    }
}

impl AsyncRead for WireStream {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let known = buffer.filled().len();
        let (first, given) = &mut this.first;
        if *given < first.len() {
            let count = (first.len() - *given).min(buffer.remaining());
            buffer.put_slice(&first[*given..*given + count]);
            *given += count;
        } else {
            let read = match &mut this.bytes {
                Bytes::Plain(bytes) => Pin::new(bytes).poll_read(context, buffer),
                Bytes::Tls(bytes) => Pin::new(bytes).poll_read(context, buffer),
            };
            match read {
                Poll::Ready(Ok(())) => {}
                other => return other,
            }
        }
        Poll::Ready(this.frames.follow(&buffer.filled()[known..]))
    }
}

impl WireStream {
    /// An error if the client has taken nothing for too long.
    fn check<T>(
        &mut self,
        written: Poll<io::Result<T>>,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.is_unread = false;
            return written;
        }
        if !self.is_unread {
            self.is_unread = true;
            self.unread.as_mut().reset(Instant::now() + UNREAD_TIME_MAX);
        }
        match self.unread.as_mut().poll(context) {
            Poll::Ready(()) => Poll::Ready(Err(io::ErrorKind::TimedOut.into())),
            Poll::Pending => Poll::Pending,
        }
    }
}

impl AsyncWrite for WireStream {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = match &mut this.bytes {
            Bytes::Plain(bytes) => Pin::new(bytes).poll_write(context, data),
            Bytes::Tls(bytes) => Pin::new(bytes).poll_write(context, data),
        };
        this.check(written, context)
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let flushed = match &mut this.bytes {
            Bytes::Plain(bytes) => Pin::new(bytes).poll_flush(context),
            Bytes::Tls(bytes) => Pin::new(bytes).poll_flush(context),
        };
        this.check(flushed, context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let shut = match &mut this.bytes {
            Bytes::Plain(bytes) => Pin::new(bytes).poll_shutdown(context),
            Bytes::Tls(bytes) => Pin::new(bytes).poll_shutdown(context),
        };
        this.check(shut, context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(letter: Option<u8>, length: i32, body: usize) -> Vec<u8> {
        let mut bytes: Vec<u8> = letter.into_iter().collect();
        bytes.extend(length.to_be_bytes());
        bytes.resize(bytes.len() + body, 7);
        bytes
    }

    #[test]
    fn messages_are_followed_however_they_come() {
        let mut all = message(None, 20, 16);
        all.extend(message(Some(b'Q'), 4, 0));
        all.extend(message(Some(b'Q'), 10_000, 9_996));
        for size in [1, 2, 3, 7, all.len()] {
            let mut frames = Frames::default();
            for part in all.chunks(size) {
                frames.follow(part).unwrap();
            }
            assert_eq!(
                (frames.body_bytes_left, frames.head_bytes),
                (0, 0),
                "{size}"
            );
            let long = message(Some(b'Q'), 10_001, 0);
            let refused = long.chunks(size).any(|part| frames.follow(part).is_err());
            assert!(refused, "{size}");
        }
        for length in [3, 0, -1, i32::MIN, i32::MAX] {
            let mut frames = Frames::default();
            assert!(
                frames.follow(&message(None, length, 0)).is_err(),
                "{length}"
            );
        }
    }
}
