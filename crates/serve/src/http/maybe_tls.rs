//! A connection of an HTTP client that may be encrypted. The first byte tells:
//! TLS begins with one that no request begins with.
//!
//! The handshake is a part of reading and writing, so that it takes no longer
//! than a client may be quiet, and keeps nobody else waiting.

use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use datafusion_postgres::pgwire::tokio::TlsAcceptor;
use datafusion_postgres::pgwire::tokio::tokio_rustls::Accept;
use datafusion_postgres::pgwire::tokio::tokio_rustls::server::TlsStream;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use crate::tls::{Tls, is_local};

/// The first byte of a TLS handshake record (RFC 8446, section 5.1).
const TLS_FIRST_BYTE: u8 = 0x16;

/// See the module.
pub(super) enum MaybeTls {
    /// Nothing was read yet.
    New {
        stream: TcpStream,
        tls: TlsAcceptor,
        may_be_plain: bool,
    },
    Handshake(Box<Accept<TcpStream>>),
    Tls(Box<TlsStream<TcpStream>>),
    Plain(TcpStream),
    /// It broke.
    Over,
}

impl MaybeTls {
    pub(super) fn new(stream: TcpStream, from: SocketAddr, tls: Option<&Tls>) -> Self {
        let Some(tls) = tls else {
            return Self::Plain(stream);
        };
        let own = stream.local_addr();
        Self::New {
            tls: tls.http(),
            may_be_plain: own.is_ok_and(|own| is_local(from, own)),
            stream,
        }
    }

    /// Finds out how the client talks, and has the handshake behind it.
    fn poll_begin(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if let Self::New {
            stream,
            may_be_plain,
            ..
        } = self
        {
            let mut byte = [0];
            let mut first = ReadBuf::new(&mut byte);
            let count = ready!(stream.poll_peek(context, &mut first))?;
            let is_tls = count > 0 && byte[0] == TLS_FIRST_BYTE;
            if !is_tls && !*may_be_plain {
                *self = Self::Over;
                let problem = "this warehouse is reached with https only";
                return Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, problem)));
            }
            *self = match std::mem::replace(self, Self::Over) {
                Self::New { stream, tls, .. } if is_tls => {
                    Self::Handshake(Box::new(tls.accept(stream)))
                }
                Self::New { stream, .. } => Self::Plain(stream),
                other => other,
            };
        }
        if let Self::Handshake(accept) = self {
            let done = ready!(Pin::new(accept.as_mut()).poll(context));
            *self = match done {
                Ok(stream) => Self::Tls(Box::new(stream)),
                Err(error) => {
                    *self = Self::Over;
                    return Poll::Ready(Err(error));
                }
            };
        }
        Poll::Ready(Ok(()))
    }
}

fn broken<T>() -> Poll<io::Result<T>> {
    Poll::Ready(Err(io::ErrorKind::NotConnected.into()))
}

impl AsyncRead for MaybeTls {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        ready!(self.poll_begin(context))?;
        match &mut *self {
            Self::Plain(stream) => Pin::new(stream).poll_read(context, buffer),
            Self::Tls(stream) => Pin::new(stream).poll_read(context, buffer),
            _ => broken(),
        }
    }
}

impl AsyncWrite for MaybeTls {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        ready!(self.poll_begin(context))?;
        match &mut *self {
            Self::Plain(stream) => Pin::new(stream).poll_write(context, bytes),
            Self::Tls(stream) => Pin::new(stream).poll_write(context, bytes),
            _ => broken(),
        }
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        ready!(self.poll_begin(context))?;
        match &mut *self {
            Self::Plain(stream) => Pin::new(stream).poll_write_vectored(context, slices),
            Self::Tls(stream) => Pin::new(stream).poll_write_vectored(context, slices),
            _ => broken(),
        }
    }

    fn is_write_vectored(&self) -> bool {
        // TLS gathers slices itself.
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut *self {
            Self::Plain(stream) => Pin::new(stream).poll_flush(context),
            Self::Tls(stream) => Pin::new(stream).poll_flush(context),
            _ => Poll::Ready(Ok(())),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut *self {
            Self::Plain(stream) => Pin::new(stream).poll_shutdown(context),
            Self::Tls(stream) => Pin::new(stream).poll_shutdown(context),
            _ => Poll::Ready(Ok(())),
        }
    }
}
