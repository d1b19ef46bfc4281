//! Connections of clients, and what each may take: a client that says half a
//! request and falls silent, or does not read its answer, is cut off.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::extract::connect_info::Connected;
use axum::extract::{ConnectInfo, Request, State};
use axum::http::StatusCode;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use axum::serve::{IncomingStream, Listener};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpListener;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, Sleep, sleep};

use super::maybe_tls::MaybeTls;
use super::problem::Problem;
use crate::tls::Tls;

/// Limits of connections.
#[derive(Debug, Clone)]
pub struct ConnectionLimits {
    /// Open connections; further clients wait until one ends.
    pub connections_max: usize,
    /// A connection is closed when so long no whole request head came, or
    /// nothing of an answer was taken.
    pub quiet_time_max: Duration,
    /// A request that so long has no answer gets an error. Longer than a query
    /// may wait for its turn and run.
    pub request_time_max: Duration,
}

impl Default for ConnectionLimits {
    fn default() -> Self {
        Self {
            connections_max: 2_000,
            quiet_time_max: Duration::from_secs(30),
            request_time_max: Duration::from_secs(300),
        }
    }
}

/// The client of a connection.
#[derive(Debug, Clone)]
pub(super) struct Peer {
    address: SocketAddr,
    /// Whether an answer is being worked out for it: then its silence is not the
    /// client's.
    working: Arc<AtomicBool>,
}

impl Peer {
    /// Where it is.
    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Connected<IncomingStream<'_, LimitedListener>> for Peer {
    fn connect_info(stream: IncomingStream<'_, LimitedListener>) -> Self {
        Self {
            address: *stream.remote_addr(),
            working: stream.io().working.clone(),
        }
    }
}

struct WorkingGuard(Arc<AtomicBool>);

impl Drop for WorkingGuard {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
    }
}

/// Works out one answer, within its time.
pub(super) async fn answer_in_time(
    State(request_time_max): State<Duration>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    request: Request,
    next: Next,
) -> Response {
    peer.working.store(true, Ordering::Release);
    let _guard = WorkingGuard(peer.working);
    match tokio::time::timeout(request_time_max, next.run(request)).await {
        Ok(response) => response,
        Err(_) => {
            let seconds = request_time_max.as_secs_f64();
            let detail = format!("the request was not done after {seconds} s");
            Problem::new(StatusCode::REQUEST_TIMEOUT, detail).into_response()
        }
    }
}

/// Accepts as many connections as may be open.
pub(super) struct LimitedListener {
    listener: TcpListener,
    places: Arc<Semaphore>,
    quiet_time_max: Duration,
    tls: Option<Arc<Tls>>,
}

impl LimitedListener {
    pub(super) fn new(
        listener: TcpListener,
        limits: &ConnectionLimits,
        tls: Option<Arc<Tls>>,
    ) -> Self {
        Self {
            listener,
            places: Arc::new(Semaphore::new(limits.connections_max)),
            quiet_time_max: limits.quiet_time_max,
            tls,
        }
    }
}

impl Listener for LimitedListener {
    type Io = LimitedStream;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (LimitedStream, SocketAddr) {
        // The semaphore is never closed.
        let place = self.places.clone().acquire_owned().await.ok();
        let (stream, address) = Listener::accept(&mut self.listener).await;
        // Small answers are sent at once.
        let _ = stream.set_nodelay(true);
        let limited = LimitedStream {
            stream: MaybeTls::new(stream, address, self.tls.as_deref()),
            working: Arc::default(),
            was_working: false,
            quiet_time_max: self.quiet_time_max,
            deadline: Box::pin(sleep(self.quiet_time_max)),
            _place: place,
        };
        (limited, address)
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

/// A connection that ends when its client does nothing for too long.
pub(super) struct LimitedStream {
    stream: MaybeTls,
    working: Arc<AtomicBool>,
    was_working: bool,
    quiet_time_max: Duration,
    deadline: Pin<Box<Sleep>>,
    _place: Option<OwnedSemaphorePermit>,
}

impl LimitedStream {
    fn put_off_deadline(&mut self) {
        let deadline = Instant::now() + self.quiet_time_max;
        self.deadline.as_mut().reset(deadline);
    }

    /// An error if the client has been quiet for too long. Reading a few bytes
    /// does not help it: what counts is a whole request, or an answer taken.
    fn check(&mut self, context: &mut Context<'_>) -> io::Result<()> {
        if self.working.load(Ordering::Acquire) {
            self.was_working = true;
            return Ok(());
        }
        if self.was_working {
            self.was_working = false;
            self.put_off_deadline();
        }
        match self.deadline.as_mut().poll(context) {
            Poll::Ready(()) => Err(io::ErrorKind::TimedOut.into()),
            Poll::Pending => Ok(()),
        }
    }

    fn after_write(
        &mut self,
        written: Poll<io::Result<usize>>,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        match &written {
            Poll::Ready(Ok(_)) => self.put_off_deadline(),
            Poll::Ready(Err(_)) => {}
            Poll::Pending => self.check(context)?,
        }
        written
    }
}

impl AsyncRead for LimitedStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let read = Pin::new(&mut self.stream).poll_read(context, buffer);
        if read.is_pending() {
            self.check(context)?;
        }
        read
    }
}

impl AsyncWrite for LimitedStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.after_write(written, context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, slices);
        self.after_write(written, context)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
