//! A bound address that answers HTTP.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::{Router, middleware};
use futures::future::BoxFuture;
use tokio::net::TcpListener;

use super::connection::{ConnectionLimits, LimitedListener, Peer, answer_in_time};
use crate::ServeError;
use crate::tls::Tls;

/// A bound address that does not answer yet.
#[derive(Debug)]
pub struct HttpListener {
    listener: TcpListener,
    address: SocketAddr,
    limits: ConnectionLimits,
    tls: Option<Arc<Tls>>,
}

impl HttpListener {
    /// Binds `address`; port 0 takes a free one.
    ///
    /// # Errors
    /// When the address is in use or not allowed.
    pub async fn bind(address: SocketAddr) -> Result<Self, ServeError> {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        Ok(Self {
            listener,
            address,
            limits: ConnectionLimits::default(),
            tls: None,
        })
    }

    /// Encrypts for clients that begin so, and answers those of other machines no
    /// other way.
    #[must_use]
    pub fn with_tls(mut self, tls: Option<Arc<Tls>>) -> Self {
        self.tls = tls;
        self
    }

    /// With other limits than the default ones.
    #[must_use]
    pub fn with_limits(mut self, limits: ConnectionLimits) -> Self {
        self.limits = limits;
        self
    }

    /// Where clients can connect.
    pub fn local_address(&self) -> SocketAddr {
        self.address
    }

    /// Answers until `shutdown` is done and open requests are answered.
    ///
    /// # Errors
    /// When the socket fails.
    pub fn serve(
        self,
        router: Router,
        shutdown: impl Future<Output = ()> + Send + 'static,
    ) -> BoxFuture<'static, Result<(), ServeError>> {
        self.serve_boxed(router, Box::pin(shutdown))
    }

    /// Not generic, so that what answers is not compiled again by each caller.
    fn serve_boxed(
        self,
        router: Router,
        shutdown: BoxFuture<'static, ()>,
    ) -> BoxFuture<'static, Result<(), ServeError>> {
        Box::pin(self.serve_until(router, shutdown))
    }

    async fn serve_until(
        self,
        router: Router,
        shutdown: BoxFuture<'static, ()>,
    ) -> Result<(), ServeError> {
        let listener = LimitedListener::new(self.listener, &self.limits, self.tls);
        let time_max = self.limits.request_time_max;
        let router = router.layer(middleware::from_fn_with_state(time_max, answer_in_time));
        let service = router.into_make_service_with_connect_info::<Peer>();
        axum::serve(listener, service)
            .with_graceful_shutdown(shutdown)
            .await?;
        Ok(())
    }
}
