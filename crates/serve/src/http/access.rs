//! Asks who asks, where the warehouse has users.
//!
//! `Authorization: Bearer TOKEN`, or Basic with name and password, which
//! browsers ask for by themselves.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Router;
use axum::extract::{ConnectInfo, Request, State};
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use parking_lot::Mutex;
use sluice_core::Clock;
use tokio::time::Instant;

use super::connection::Peer;
use super::problem::Problem;
use crate::access::{Access, Action, User};
use crate::audit::{self, Auditor};
use crate::session::{SESSION, Session};
use crate::wrong_secrets::shut_text;

/// Requests that a user may save up while it is quiet, in seconds.
const BURST_SECONDS: f64 = 2.0;

/// Whether a collected topic has a key, which its clients send.
pub type HasKey = Arc<dyn Fn(&str) -> bool + Send + Sync>;

struct Gate {
    access: Arc<Access>,
    has_key: HasKey,
    requests_per_second_max: Option<f64>,
    clock: Arc<dyn Clock>,
    auditor: Option<Arc<dyn Auditor>>,
    /// By user: requests that are left, and when that was counted.
    left: Mutex<BTreeMap<String, (f64, i64)>>,
}

/// Who may come in, and what is noted of it.
pub struct Rules {
    /// Users and what they may do.
    pub access: Arc<Access>,
    /// Whether a collected topic has a key.
    pub has_key: HasKey,
    /// Requests of each user in a second; no limit without it.
    pub requests_per_second_max: Option<f64>,
    /// For that limit.
    pub clock: Arc<dyn Clock>,
    /// Keeps what was asked and changed.
    pub auditor: Option<Arc<dyn Auditor>>,
}

/// `router` for those only who may.
pub fn guarded(router: Router, rules: Rules) -> Router {
    let gate = Arc::new(Gate {
        access: rules.access,
        has_key: rules.has_key,
        requests_per_second_max: rules.requests_per_second_max,
        clock: rules.clock,
        auditor: rules.auditor,
        left: Mutex::default(),
    });
    router.layer(middleware::from_fn_with_state(gate, guard))
}

async fn guard(State(gate): State<Arc<Gate>>, request: Request, next: Next) -> Response {
    let from = request.extensions().get::<ConnectInfo<Peer>>();
    let from = from.map(|ConnectInfo(peer)| peer.address());
    let has_key = |topic: &str| gate.access.is_open() || (gate.has_key)(topic);
    let Some(action) = action(request.method(), request.uri().path(), has_key) else {
        // What has a key of its own reads no more than the least role does.
        return SESSION.scope(Session::new(from), next.run(request)).await;
    };
    let begin = Instant::now();
    let asked = format!("{} {}", request.method(), request.uri().path());
    let user = user(&gate.access, request.headers());
    // Whether it was right is not told either.
    let has_tried = request.headers().contains_key(header::AUTHORIZATION)
        && !gate.access.is_open()
        && !user.is_some_and(|user| gate.access.is_program(&user.name));
    if has_tried && let Some(seconds) = gate.access.wrong.shut_s(from) {
        return shut(seconds);
    }
    let session = match user {
        Some(user) => Session::of(user, from),
        None => Session::new(from),
    };
    let name = user.map_or("", |user| &*user.name);
    let mut is_last_try = false;
    let response = if user.is_none() && !gate.access.is_open() {
        is_last_try = has_tried && gate.access.wrong.note(from);
        unknown()
    } else if let Some(problem) = gate.access.refuses(&session.who(), action) {
        let problem = Problem::new(StatusCode::FORBIDDEN, problem);
        problem.needing(action.least_role()).into_response()
    } else if !gate.may_ask(name) {
        too_many()
    } else {
        SESSION.scope(session.clone(), next.run(request)).await
    };
    let status = response.status();
    let is_told = action != Action::Read || matches!(status.as_u16(), 401 | 403);
    if let Some(auditor) = gate.auditor.as_deref().filter(|_| is_told) {
        let mut entry = audit::entry(auditor, &session, "http", &asked);
        if !status.is_success() {
            entry.outcome = status.as_u16().to_string();
        }
        entry.duration = begin.elapsed();
        auditor.note(entry);
        if is_last_try {
            note_shut(auditor, &session, "http");
        }
    }
    response
}

/// Notes once that nothing more is taken from an address.
pub(super) fn note_shut(auditor: &dyn Auditor, session: &Session, via: &'static str) {
    let mut entry = audit::entry(auditor, session, via, "too many wrong secrets");
    entry.outcome = "429".to_owned();
    auditor.note(entry);
}

fn shut(seconds: u64) -> Response {
    let problem = Problem::new(StatusCode::TOO_MANY_REQUESTS, shut_text(seconds));
    let mut response = problem.into_response();
    let headers = response.headers_mut();
    headers.insert(header::RETRY_AFTER, header::HeaderValue::from(seconds));
    response
}

fn unknown() -> Response {
    let detail = "say who you are: a token, or name and password";
    let mut response = Problem::new(StatusCode::UNAUTHORIZED, detail).into_response();
    let challenge = header::HeaderValue::from_static("Basic realm=\"sluice\", charset=\"UTF-8\"");
    response
        .headers_mut()
        .insert(header::WWW_AUTHENTICATE, challenge);
    response
}

fn too_many() -> Response {
    let detail = "too many requests; come again in a second";
    let mut response = Problem::new(StatusCode::TOO_MANY_REQUESTS, detail).into_response();
    let value = header::HeaderValue::from_static("1");
    response.headers_mut().insert(header::RETRY_AFTER, value);
    response
}

/// What a request does; `None` where everybody may: whether the process lives,
/// and what has keys of its own.
fn action(method: &Method, path: &str, has_key: impl Fn(&str) -> bool) -> Option<Action> {
    if matches!(path, "/healthz" | "/readyz") || path.starts_with("/api/v1/sugar/") {
        return None;
    }
    // Browsers ask without a name whether they may send.
    let topic = path.strip_prefix("/collect/");
    if topic.is_some_and(|topic| method == Method::OPTIONS || has_key(topic)) {
        return None;
    }
    Some(match (method, path) {
        (_, "/api/v1/sql") => Action::AskSql,
        // A panel that somebody keeps is a question of their own.
        (&Method::POST, "/api/v1/panels") => Action::AskSql,
        (&Method::DELETE, path) if path.starts_with("/api/v1/panels/") => Action::AskSql,
        (&Method::GET | &Method::HEAD | &Method::OPTIONS, _) => Action::Read,
        _ => Action::Change,
    })
}

fn user<'a>(access: &'a Access, headers: &HeaderMap) -> Option<&'a User> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, rest) = value.split_once(' ')?;
    if scheme.eq_ignore_ascii_case("bearer") {
        return access.by_secret(rest.trim());
    }
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let pair = String::from_utf8(decoded(rest.trim())?).ok()?;
    let (name, secret) = pair.split_once(':')?;
    access.signed_in(name, secret)
}

/// The bytes of a text in base64.
fn decoded(text: &str) -> Option<Vec<u8>> {
    let text = text.trim_end_matches('=');
    let (mut bits, mut count) = (0_u32, 0);
    let mut bytes = Vec::with_capacity(text.len());
    for symbol in text.bytes() {
        let value = match symbol {
            b'A'..=b'Z' => symbol - b'A',
            b'a'..=b'z' => symbol - b'a' + 26,
            b'0'..=b'9' => symbol - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => return None,
        };
        bits = (bits << 6 | u32::from(value)) & 0xff_ffff;
        count += 6;
        if count >= 8 {
            count -= 8;
            bytes.push((bits >> count & 0xff) as u8);
        }
    }
    Some(bytes)
}

impl Gate {
    /// A bucket for each user, that fills at the rate of the limit.
    fn may_ask(&self, user: &str) -> bool {
        let Some(rate) = self.requests_per_second_max else {
            return true;
        };
        let burst = (rate * BURST_SECONDS).max(1.0);
        let now_us = self.clock.now_us();
        let mut all = self.left.lock();
        let (left, counted_us) = all.entry(user.to_owned()).or_insert((burst, now_us));
        let passed = (now_us - *counted_us).max(0) as f64 / 1e6;
        *left = (*left + passed * rate).min(burst);
        *counted_us = now_us;
        if *left < 1.0 {
            return false;
        }
        *left -= 1.0;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_read() {
        assert_eq!(decoded("bGk6b25l").unwrap(), b"li:one");
        assert_eq!(decoded("bGk6b25lMQ==").unwrap(), b"li:one1");
        assert!(decoded("b*").is_none());
    }

    #[test]
    fn roles_are_by_what_a_request_does() {
        let action = |method, path| action(&method, path, |topic| topic == "app_log");
        assert_eq!(action(Method::GET, "/healthz"), None);
        assert_eq!(action(Method::POST, "/collect/app_log"), None);
        assert_eq!(action(Method::OPTIONS, "/collect/orders"), None);
        assert_eq!(
            action(Method::POST, "/collect/orders"),
            Some(Action::Change)
        );
        assert_eq!(action(Method::POST, "/api/v1/sql"), Some(Action::AskSql));
        assert_eq!(action(Method::GET, "/api/v1/alarms"), Some(Action::Read));
        assert_eq!(action(Method::GET, "/"), Some(Action::Read));
        assert_eq!(action(Method::POST, "/api/v1/panels"), Some(Action::AskSql));
        assert_eq!(
            action(Method::DELETE, "/api/v1/panels/x"),
            Some(Action::AskSql)
        );
        assert_eq!(
            action(Method::POST, "/api/v1/dead-letters/replay"),
            Some(Action::Change)
        );
        assert_eq!(
            action(Method::DELETE, "/api/v1/alarms/silences/1"),
            Some(Action::Change)
        );
    }
}
