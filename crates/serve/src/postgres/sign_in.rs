//! How clients of the PostgreSQL wire say who they are: SCRAM-SHA-256 (RFC 7677)
//! where the warehouse has users. And how they cancel a statement.

use std::collections::HashMap;
use std::fmt::Debug;
use std::sync::{Arc, Weak};

use async_trait::async_trait;
use datafusion_postgres::pgwire::api::auth::sasl::SASLAuthStartupHandler;
use datafusion_postgres::pgwire::api::auth::sasl::scram::{
    SCRAM_ITERATIONS, ScramAuth, gen_salted_password, random_nonce,
};
use datafusion_postgres::pgwire::api::auth::{
    AuthSource, DefaultServerParameterProvider, LoginInfo, Password, ServerParameterProvider,
    StartupHandler, finish_authentication, protocol_negotiation,
    save_startup_parameters_to_metadata,
};
use datafusion_postgres::pgwire::api::cancel::CancelHandler;
use datafusion_postgres::pgwire::api::{
    ClientInfo, METADATA_USER, PgWireConnectionState, PidSecretKeyGenerator,
    RandomPidSecretKeyGenerator,
};
use datafusion_postgres::pgwire::error::{PgWireError, PgWireResult};
use datafusion_postgres::pgwire::messages::cancel::CancelRequest;
use datafusion_postgres::pgwire::messages::startup::SecretKey;
use datafusion_postgres::pgwire::messages::{PgWireBackendMessage, PgWireFrontendMessage};
use futures::Sink;
use parking_lot::Mutex;

use super::codes::fatal;
use super::setting_values::{is_told, told_name};
use super::startup_options::{note_startup, startup_settings, startup_time_zone};
use crate::access::Access;
use crate::audit::Auditor;
use crate::session::{self, SESSION, Session};
use crate::wrong_secrets::shut_text;

/// The version of PostgreSQL whose protocol and catalog clients may expect.
pub(super) const SERVER_VERSION: &str = concat!("16.6 (Sluice ", env!("CARGO_PKG_VERSION"), ")");

/// SQLSTATE too_many_connections, which clients know as a reason to come again.
pub(super) const TOO_MANY_TRIES: &str = "53300";

/// The sessions that are open, for those who want to cancel.
#[derive(Debug, Default)]
pub(super) struct OpenSessions(Mutex<Vec<(i32, SecretKey, Weak<Session>)>>);

impl OpenSessions {
    fn add(&self, (pid, key): (i32, SecretKey), session: &Arc<Session>) {
        let mut sessions = self.0.lock();
        sessions.retain(|(_, _, session)| session.strong_count() > 0);
        sessions.push((pid, key, Arc::downgrade(session)));
    }

    /// All of them, with the numbers by which they are known.
    pub(super) fn all(&self) -> Vec<(i32, Arc<Session>)> {
        let sessions = self.0.lock();
        let open = sessions
            .iter()
            .filter_map(|(pid, _, session)| Some((*pid, session.upgrade()?)));
        open.collect()
    }

    /// The number of the session of whoever asks.
    pub(super) fn own_pid(&self) -> Option<i32> {
        let own = SESSION.try_with(Arc::clone).ok()?;
        let sessions = self.all();
        let found = sessions
            .iter()
            .find(|(_, session)| Arc::ptr_eq(session, &own));
        found.map(|(pid, _)| *pid)
    }

    /// Ends the statement of the session whose key the request shows.
    pub(super) fn cancel(&self, request: &CancelRequest) {
        let sessions = self.0.lock();
        let mut sessions = sessions.iter();
        let found =
            sessions.find(|(pid, key, _)| *pid == request.pid && key.eq_value(&request.secret_key));
        if let Some(session) = found.and_then(|(_, _, session)| session.upgrade()) {
            session.cancel();
        }
    }
}

#[async_trait]
impl CancelHandler for OpenSessions {
    async fn on_cancel_request(&self, request: CancelRequest) {
        self.cancel(&request);
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

/// What beginnings of connections have in common.
pub(super) struct Door {
    pub(super) access: Arc<Access>,
    pub(super) sessions: Arc<OpenSessions>,
    pub(super) time_zone: String,
    pub(super) auditor: Option<Arc<dyn Auditor>>,
    pub(super) keys: Arc<RandomPidSecretKeyGenerator>,
}

impl Door {
    fn parameters(&self) -> Parameters {
        let mut parameters = DefaultServerParameterProvider::default();
        parameters.server_version = SERVER_VERSION.to_owned();
        parameters.is_superuser = false;
        parameters.default_transaction_read_only = true;
        parameters.time_zone = self.time_zone.clone();
        Parameters(parameters)
    }
}

/// What a client is told of the server.
struct Parameters(DefaultServerParameterProvider);

impl ServerParameterProvider for Parameters {
    fn server_parameters<C: ClientInfo>(&self, client: &C) -> Option<HashMap<String, String>> {
        let mut parameters = self.0.server_parameters(client)?;
        if let Some(zone) = session::time_zone() {
            parameters.insert("TimeZone".to_owned(), zone);
        }
        let settings = startup_settings(client.metadata()).into_iter();
        let told = settings.filter(|(name, _)| is_told(name));
        parameters.extend(told.map(|(name, value)| (told_name(&name).to_owned(), value)));
        Some(parameters)
    }
}

/// The beginning of one connection.
pub(super) struct Startup {
    door: Arc<Door>,
    /// Not where the warehouse has no users.
    scram: Option<Box<SASLAuthStartupHandler<Parameters>>>,
}

impl Startup {
    pub(super) fn new(door: Arc<Door>) -> Self {
        let scram = (!door.access.is_open()).then(|| {
            let mut scram = ScramAuth::new(Arc::new(Passwords(door.access.clone())));
            scram.set_iterations(SCRAM_ITERATIONS);
            let handler = SASLAuthStartupHandler::new(Arc::new(door.parameters()));
            let handler = handler.with_pid_secret_key_generator(door.keys.clone());
            Box::new(handler.with_scram(scram))
        });
        Self { door, scram }
    }

    /// Refuses whoever comes from where too many wrong passwords came from.
    fn refuse_shut(&self, name: Option<&String>, client: &impl ClientInfo) -> PgWireResult<()> {
        let access = &self.door.access;
        if name.is_some_and(|name| access.is_program(name)) {
            return Ok(());
        }
        match access.wrong.shut_s(Some(client.socket_addr())) {
            Some(seconds) => Err(fatal(TOO_MANY_TRIES, shut_text(seconds))),
            None => Ok(()),
        }
    }

    /// Counts a wrong password; tells whether it is the last that is taken.
    pub(super) fn note_wrong(&self, client: &impl ClientInfo) -> bool {
        self.door.access.wrong.note(Some(client.socket_addr()))
    }

    /// Notes who it is.
    fn begin(&self, client: &mut impl ClientInfo) {
        note_startup(client);
        let Ok(session) = SESSION.try_with(Arc::clone) else {
            return;
        };
        self.door
            .sessions
            .add(client.pid_and_secret_key(), &session);
        let name = client.metadata().get(METADATA_USER);
        if let Some(name) = name {
            session.claim(name);
        }
        // Where nobody has to say who they are, nobody is believed either.
        if let Some(user) = name.and_then(|name| self.door.access.user(name)) {
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
        if let PgWireFrontendMessage::Startup(startup) = &message {
            let zone = startup_time_zone(startup.parameters.iter());
            let _ = SESSION.try_with(|session| session.begin_in(zone));
        }
        match &self.scram {
            Some(scram) => {
                if let PgWireFrontendMessage::Startup(startup) = &message {
                    self.refuse_shut(startup.parameters.get(METADATA_USER), client)?;
                }
                scram.on_startup(client, message).await?;
            }
            None => {
                let PgWireFrontendMessage::Startup(startup) = &message else {
                    return Ok(());
                };
                protocol_negotiation(client, startup).await?;
                save_startup_parameters_to_metadata(client, startup);
                let (pid, key) = self.door.keys.generate(client);
                client.set_pid_and_secret_key(pid, key);
                finish_authentication(client, &self.door.parameters()).await?;
            }
        }
        if matches!(client.state(), PgWireConnectionState::ReadyForQuery) {
            self.begin(client);
        }
        Ok(())
    }
}
