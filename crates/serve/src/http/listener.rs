//! A bound address that answers HTTP.

use std::net::SocketAddr;

use axum::Router;
use tokio::net::TcpListener;

use crate::ServeError;

/// A bound address that does not answer yet.
#[derive(Debug)]
pub struct HttpListener {
    listener: TcpListener,
    address: SocketAddr,
}

impl HttpListener {
    /// Binds `address`; port 0 takes a free one.
    ///
    /// # Errors
    /// When the address is in use or not allowed.
    pub async fn bind(address: SocketAddr) -> Result<Self, ServeError> {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        Ok(Self { listener, address })
    }

    /// Where clients can connect.
    pub fn local_address(&self) -> SocketAddr {
        self.address
    }

    /// Answers until `shutdown` is done and open requests are answered.
    ///
    /// # Errors
    /// When the socket fails.
    pub async fn serve(
        self,
        router: Router,
        shutdown: impl Future<Output = ()> + Send + 'static,
    ) -> Result<(), ServeError> {
        use axum::serve::ListenerExt;
        // Small answers are sent at once.
        let listener = self.listener.tap_io(|stream| {
            let _ = stream.set_nodelay(true);
        });
        axum::serve(listener, router)
            .with_graceful_shutdown(shutdown)
            .await?;
        Ok(())
    }
}
