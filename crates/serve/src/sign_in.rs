//! How clients of the PostgreSQL wire say who they are: SCRAM-SHA-256 (RFC 7677)
//! where the warehouse has users. And how they cancel a statement.

use std::fmt::Debug;
use std::sync::{Arc, Weak};

use async_trait::async_trait;
use datafusion_postgres::pgwire::api::auth::noop::NoopStartupHandler;
use datafusion_postgres::pgwire::api::auth::sasl::SASLAuthStartupHandler;
use datafusion_postgres::pgwire::api::auth::sasl::scram::{
    SCRAM_ITERATIONS, ScramAuth, gen_salted_password, random_nonce,
};
use datafusion_postgres::pgwire::api::auth::{
    AuthSource, DefaultServerParameterProvider, LoginInfo, Password, StartupHandler,
};
use datafusion_postgres::pgwire::api::cancel::CancelHandler;
use datafusion_postgres::pgwire::api::{
    ClientInfo, ConnectionManager, METADATA_USER, PgWireConnectionState,
};
use datafusion_postgres::pgwire::error::{PgWireError, PgWireResult};
use datafusion_postgres::pgwire::messages::cancel::CancelRequest;
use datafusion_postgres::pgwire::messages::startup::SecretKey;
use datafusion_postgres::pgwire::messages::{PgWireBackendMessage, PgWireFrontendMessage};
use futures::Sink;
use parking_lot::Mutex;

use crate::access::Access;
use crate::session::{SESSION, Session};

/// The sessions that are open, for those who want to cancel.
#[derive(Debug, Default)]
pub(crate) struct OpenSessions(Mutex<Vec<(i32, SecretKey, Weak<Session>)>>);

impl OpenSessions {
    fn add(&self, (pid, key): (i32, SecretKey), session: &Arc<Session>) {
        let mut sessions = self.0.lock();
        sessions.retain(|(_, _, session)| session.strong_count() > 0);
        sessions.push((pid, key, Arc::downgrade(session)));
    }
}

#[async_trait]
impl CancelHandler for OpenSessions {
    async fn on_cancel_request(&self, request: CancelRequest) {
        let sessions = self.0.lock();
        let mut sessions = sessions.iter();
        let found =
            sessions.find(|(pid, key, _)| *pid == request.pid && key.eq_value(&request.secret_key));
        if let Some(session) = found.and_then(|(_, _, session)| session.upgrade()) {
            session.cancel();
        }
    }
}

/// Passwords of users.
#[derive(Debug)]
struct Passwords(Arc<Access>);

#[async_trait]
impl AuthSource for Passwords {
    async fn get_password(&self, login: &LoginInfo) -> PgWireResult<Password> {
        let salt = random_nonce().into_bytes();
        let user = login.user().and_then(|name| self.0.user(name));
        // Whoever is unknown learns no more than that something is wrong.
        let secret = user.map_or_else(random_nonce, |user| user.secret.clone());
        let salted = gen_salted_password(&secret, &salt, SCRAM_ITERATIONS);
        Ok(Password::new(Some(salt), salted))
    }
}

/// Lets everybody in.
struct Open(Arc<ConnectionManager>);

#[async_trait]
impl NoopStartupHandler for Open {
    fn connection_manager(&self) -> Option<Arc<ConnectionManager>> {
        Some(self.0.clone())
    }
}

enum Way {
    Open(Open),
    Scram(Box<SASLAuthStartupHandler<DefaultServerParameterProvider>>),
}

/// The beginning of one connection.
pub(crate) struct Startup {
    way: Way,
    access: Arc<Access>,
    sessions: Arc<OpenSessions>,
}

impl Startup {
    pub(crate) fn new(
        access: Arc<Access>,
        sessions: Arc<OpenSessions>,
        connections: Arc<ConnectionManager>,
    ) -> Self {
        let way = match access.is_open() {
            true => Way::Open(Open(connections)),
            false => {
                let mut scram = ScramAuth::new(Arc::new(Passwords(access.clone())));
                scram.set_iterations(SCRAM_ITERATIONS);
                let parameters = Arc::new(DefaultServerParameterProvider::default());
                let handler = SASLAuthStartupHandler::new(parameters).with_scram(scram);
                Way::Scram(Box::new(handler.with_connection_manager(connections)))
            }
        };
        Self {
            way,
            access,
            sessions,
        }
    }

    /// Notes who it is.
    fn begin(&self, client: &impl ClientInfo) {
        let Ok(session) = SESSION.try_with(Arc::clone) else {
            return;
        };
        self.sessions.add(client.pid_and_secret_key(), &session);
        let name = client.metadata().get(METADATA_USER);
        if let Some(user) = name.and_then(|name| self.access.user(name)) {
            session.sign_in(user);
        }
    }
}

#[async_trait]
impl StartupHandler for Startup {
    async fn on_startup<C>(
        &self,
        client: &mut C,
        message: PgWireFrontendMessage,
    ) -> PgWireResult<()>
    where
        C: ClientInfo + Sink<PgWireBackendMessage> + Unpin + Send + Sync,
        C::Error: Debug,
        PgWireError: From<<C as Sink<PgWireBackendMessage>>::Error>,
    {
        match &self.way {
            Way::Open(handler) => handler.on_startup(client, message).await?,
            Way::Scram(handler) => handler.on_startup(client, message).await?,
        }
        if matches!(client.state(), PgWireConnectionState::ReadyForQuery) {
            self.begin(client);
        }
        Ok(())
    }
}
