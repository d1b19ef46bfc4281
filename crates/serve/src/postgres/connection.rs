//! One client: encryption, signing in, and its messages one after the other.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use datafusion_postgres::pgwire::api::auth::StartupHandler;
use datafusion_postgres::pgwire::api::{
    ClientInfo, DefaultClient, METADATA_USER, NoopHandler, PgWireConnectionState,
};
use datafusion_postgres::pgwire::error::{ErrorInfo, PgWireError};
use datafusion_postgres::pgwire::messages::{PgWireBackendMessage, PgWireFrontendMessage};
use datafusion_postgres::pgwire::tokio::TlsAcceptor;
use datafusion_postgres::pgwire::tokio::server::{
    PgWireMessageServerCodec, process_error, process_message,
};
use futures::{SinkExt, StreamExt};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};
use tokio_util::codec::Framed;

use super::codes::{fatal, with_code};
use super::handlers::{Handlers, Statement};
use super::sign_in::{Startup, TOO_MANY_TRIES};
use super::statement_span::tell;
use super::stream::{Bytes, WireStream};
use crate::audit;
use crate::session::SESSION;
use crate::tls::is_local;

/// How long signing in may take, encryption included.
const SIGN_IN_TIME_MAX: Duration = Duration::from_secs(10);
/// SQLSTATE invalid_password.
const WRONG_PASSWORD: &str = "28P01";
/// Characters of a name that nobody has vouched for.
const NAME_LENGTH_MAX: usize = 100;
/// A client asks for encryption (SSLRequest, GSSENCRequest).
const TLS_CODE: i32 = 80_877_103;
const GSS_CODE: i32 = 80_877_104;
/// The first byte of a client that encrypts without asking.
const TLS_FIRST_BYTE: u8 = 0x16;
/// What such a client must say that it wants (ALPN).
const PROTOCOL: &[u8] = b"postgresql";

type Socket = Framed<WireStream, PgWireMessageServerCodec<Statement>>;

/// A client that has connected.
pub(super) struct Client {
    pub(super) stream: TcpStream,
    pub(super) from: SocketAddr,
    /// Encryption, where the warehouse has a certificate.
    pub(super) tls: Option<TlsAcceptor>,
}

/// Answers a client until it goes.
///
/// # Errors
/// When the connection breaks.
pub(super) async fn answer(client: Client, handlers: Arc<Handlers>) -> io::Result<()> {
    let Client { stream, from, tls } = client;
    let must_encrypt = tls.is_some() && !is_local(from, stream.local_addr()?);
    stream.set_nodelay(true)?;
    let deadline = Instant::now() + SIGN_IN_TIME_MAX;
    let begun = timeout_at(deadline, begin(stream, tls)).await;
    let Some((stream, is_secure)) = begun.map_err(|_| io::ErrorKind::TimedOut)?? else {
        return Ok(());
    };
    let client = DefaultClient::new(from, is_secure);
    let mut socket = Framed::new(stream, PgWireMessageServerCodec::new(client));
    socket.set_state(PgWireConnectionState::AwaitingStartup);
    let startup = handlers.startup();
    match timeout_at(
        deadline,
        sign_in(&mut socket, &startup, &handlers, must_encrypt),
    )
    .await
    {
        Ok(Ok(true)) => {}
        Ok(Ok(false)) | Err(_) => return Ok(()),
        Ok(Err(problem)) => {
            let mut info = ErrorInfo::from(problem);
            if info.code == WRONG_PASSWORD {
                let name = socket.metadata().get(METADATA_USER);
                let name = name.map_or("", String::as_str);
                info.message = format!("password authentication failed for user \"{name}\"");
            }
            // Told once, when it began.
            let is_shut = info.code == TOO_MANY_TRIES;
            let begin = deadline - SIGN_IN_TIME_MAX;
            if !is_shut {
                note(&handlers, &socket, "sign in", begin, &info.code);
            }
            if info.code == WRONG_PASSWORD && startup.note_wrong(&socket) {
                note(
                    &handlers,
                    &socket,
                    "too many wrong secrets",
                    begin,
                    TOO_MANY_TRIES,
                );
            }
            return refuse(&mut socket, info).await;
        }
    }
    note(
        &handlers,
        &socket,
        "sign in",
        deadline - SIGN_IN_TIME_MAX,
        "ok",
    );
    socket.get_mut().trust();
    converse(&mut socket, &startup, &handlers).await
}

/// The stream, encrypted if the client wants it; `None` where it wants what is
/// not offered.
///
/// Reads no byte more than belongs to the client's question, so that nothing that
/// was sent in the clear is taken for what was encrypted.
async fn begin(
    mut stream: TcpStream,
    tls: Option<TlsAcceptor>,
) -> io::Result<Option<(WireStream, bool)>> {
    let mut byte = [0];
    if stream.peek(&mut byte).await? == 0 {
        return Ok(None);
    }
    if byte[0] == TLS_FIRST_BYTE {
        let Some(tls) = tls else { return Ok(None) };
        let stream = tls.accept(stream).await?;
        let is_wanted = stream.get_ref().1.alpn_protocol() == Some(PROTOCOL);
        let bytes = Bytes::Tls(Box::new(stream));
        return Ok(is_wanted.then(|| (WireStream::new(bytes, None), true)));
    }
    // Each of the two questions at most once.
    for _ in 0..3 {
        let mut head = [0; 8];
        stream.read_exact(&mut head).await?;
        let code = i32::from_be_bytes([head[4], head[5], head[6], head[7]]);
        match (code, &tls) {
            (TLS_CODE, Some(tls)) => {
                stream.write_all(b"S").await?;
                let stream = tls.accept(stream).await?;
                let bytes = Bytes::Tls(Box::new(stream));
                return Ok(Some((WireStream::new(bytes, None), true)));
            }
            (TLS_CODE | GSS_CODE, _) => stream.write_all(b"N").await?,
            _ => {
                let stream = WireStream::new(Bytes::Plain(stream), Some(head));
                return Ok(Some((stream, false)));
            }
        }
    }
    Ok(None)
}

/// Messages until the client has signed in; false where it goes before that.
async fn sign_in(
    socket: &mut Socket,
    startup: &Arc<Startup>,
    handlers: &Handlers,
    must_encrypt: bool,
) -> Result<bool, PgWireError> {
    while let Some(message) = socket.next().await {
        match message? {
            PgWireFrontendMessage::Startup(_) if must_encrypt && !socket.is_secure() => {
                // 28000: invalid_authorization_specification.
                let problem = "from other machines this warehouse is reached with encryption only: connect with sslmode=verify-full";
                return Err(fatal("28000", problem.to_owned()));
            }
            PgWireFrontendMessage::CancelRequest(request) => {
                handlers.sessions().cancel(&request);
                return Ok(false);
            }
            PgWireFrontendMessage::Terminate(_) => return Ok(false),
            message => startup.on_startup(socket, message).await?,
        }
        if matches!(socket.state(), PgWireConnectionState::ReadyForQuery) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Keeps what was asked, and what came of it.
fn note(handlers: &Handlers, socket: &Socket, action: &str, begin: Instant, outcome: &str) {
    let Some(auditor) = handlers.auditor() else {
        return;
    };
    let _ = SESSION.try_with(|session| {
        let mut entry = audit::entry(auditor, session, "postgres", action);
        if entry.user.is_none() {
            // Whoever failed to sign in, or need not, has a name all the same.
            let name = socket.metadata().get(METADATA_USER);
            entry.user = name.map(|name| name.chars().take(NAME_LENGTH_MAX).collect());
        }
        if entry.statement.is_none() {
            // Of the catalogue, which is looked at when somebody signs in.
            entry.rows = 0;
        }
        entry.outcome = outcome.to_owned();
        entry.duration = begin.elapsed();
        auditor.note(entry);
    });
}

/// Tells why the connection ends.
async fn refuse(socket: &mut Socket, mut info: ErrorInfo) -> io::Result<()> {
    info.severity = "FATAL".to_owned();
    let message = PgWireBackendMessage::ErrorResponse(info.into());
    socket.send(message).await?;
    socket.close().await
}

/// Messages of somebody who has signed in.
async fn converse(
    socket: &mut Socket,
    startup: &Arc<Startup>,
    handlers: &Arc<Handlers>,
) -> io::Result<()> {
    // Nothing is copied in.
    let copy = Arc::new(NoopHandler);
    // What preparing a statement takes is part of the time of the one that runs next.
    let mut waited = Duration::ZERO;
    while let Some(message) = socket.next().await {
        let message = match message {
            Ok(PgWireFrontendMessage::Terminate(_)) => break,
            Ok(message) => message,
            Err(PgWireError::IoError(error)) if error.kind() == io::ErrorKind::InvalidData => {
                // 54000: program_limit_exceeded.
                return refuse(socket, fatal("54000", error.to_string()).into()).await;
            }
            Err(PgWireError::IoError(error)) => return Err(error),
            Err(problem) => return refuse(socket, problem.into()).await,
        };
        let is_left_out = matches!(socket.state(), PgWireConnectionState::AwaitingSync)
            && !matches!(message, PgWireFrontendMessage::Sync(_));
        if is_left_out {
            continue;
        }
        let is_extended = message.is_extended_query();
        let begin = Instant::now();
        let is_asked = match &message {
            PgWireFrontendMessage::Query(query) => ask(&query.query),
            PgWireFrontendMessage::Parse(parse) => {
                ask(&parse.query);
                false
            }
            PgWireFrontendMessage::Execute(_) => true,
            _ => false,
        };
        let answered = process_message(
            message,
            socket,
            startup.clone(),
            handlers.simple.clone(),
            handlers.extended.clone(),
            copy.clone(),
            handlers.sessions(),
        );
        let answered = answered.await;
        waited += begin.elapsed();
        let is_told = is_asked || answered.is_err();
        let took = match is_told {
            true => std::mem::take(&mut waited),
            false => Duration::ZERO,
        };
        if is_told {
            handlers.times.count(took, answered.is_ok());
        }
        if let Err(problem) = answered {
            let info = ErrorInfo::from(with_code(problem));
            tell(&handlers.spans, took, Some(&info.code));
            note(handlers, socket, "statement", begin, &info.code);
            let problem = PgWireError::UserError(Box::new(info));
            handlers.take_back(socket).await?;
            process_error(socket, problem, is_extended).await?;
        } else if is_asked {
            tell(&handlers.spans, took, None);
            note(handlers, socket, "statement", begin, "ok");
        }
    }
    Ok(())
}

/// Notes what is asked.
fn ask(statement: &str) -> bool {
    let _ = SESSION.try_with(|session| session.ask(statement));
    true
}
