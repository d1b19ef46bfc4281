//! Asks who asks, where the warehouse has users.
//!
//! `Authorization: Bearer TOKEN`, or Basic with name and password, which
//! browsers ask for by themselves.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use parking_lot::Mutex;
use sluice_core::Clock;

use super::problem::Problem;
use crate::access::{Access, Role, User};
use crate::session::{SESSION, Session};

/// Requests that a user may save up while it is quiet, in seconds.
const BURST_SECONDS: f64 = 2.0;

/// Whether a collected topic has a key, which its clients send.
pub type HasKey = Arc<dyn Fn(&str) -> bool + Send + Sync>;

struct Gate {
    access: Arc<Access>,
    has_key: HasKey,
    requests_per_second_max: Option<f64>,
    clock: Arc<dyn Clock>,
    /// By user: requests that are left, and when that was counted.
    left: Mutex<BTreeMap<String, (f64, i64)>>,
}

/// `router` for those only who may.
pub fn guarded(
    router: Router,
    access: Arc<Access>,
    has_key: HasKey,
    requests_per_second_max: Option<f64>,
    clock: Arc<dyn Clock>,
) -> Router {
    let gate = Arc::new(Gate {
        access,
        has_key,
        requests_per_second_max,
        clock,
        left: Mutex::default(),
    });
    router.layer(middleware::from_fn_with_state(gate, guard))
}

async fn guard(State(gate): State<Arc<Gate>>, request: Request, next: Next) -> Response {
    let has_key = |topic: &str| gate.access.is_open() || (gate.has_key)(topic);
    let Some(needed) = needed(request.method(), request.uri().path(), has_key) else {
        // What has a key of its own reads no more than the least role does.
        return SESSION.scope(Session::unknown(), next.run(request)).await;
    };
    if gate.access.is_open() {
        return match gate.may_ask("") {
            true => next.run(request).await,
            false => too_many(),
        };
    }
    let Some(user) = user(&gate.access, request.headers()) else {
        let detail = "say who you are: a token, or name and password";
        let mut response = Problem::new(StatusCode::UNAUTHORIZED, detail).into_response();
        let challenge =
            header::HeaderValue::from_static("Basic realm=\"sluice\", charset=\"UTF-8\"");
        response
            .headers_mut()
            .insert(header::WWW_AUTHENTICATE, challenge);
        return response;
    };
    if user.role < needed {
        let detail = format!(
            "this is for the role {needed}; {} has the role {}",
            user.name, user.role
        );
        return Problem::new(StatusCode::FORBIDDEN, detail).into_response();
    }
    if !gate.may_ask(&user.name) {
        return too_many();
    }
    SESSION.scope(Session::of(user), next.run(request)).await
}

fn too_many() -> Response {
    let detail = "too many requests; come again in a second";
    let mut response = Problem::new(StatusCode::TOO_MANY_REQUESTS, detail).into_response();
    let value = header::HeaderValue::from_static("1");
    response.headers_mut().insert(header::RETRY_AFTER, value);
    response
}

/// The least role for a request; `None` where everybody may: whether the process
/// lives, and what has keys of its own.
fn needed(method: &Method, path: &str, has_key: impl Fn(&str) -> bool) -> Option<Role> {
    if matches!(path, "/healthz" | "/readyz") || path.starts_with("/api/v1/sugar/") {
        return None;
    }
    // Browsers ask without a name whether they may send.
    let topic = path.strip_prefix("/collect/");
    if topic.is_some_and(|topic| method == Method::OPTIONS || has_key(topic)) {
        return None;
    }
    Some(match (method, path) {
        (_, "/api/v1/sql") => Role::Analyst,
        (&Method::GET | &Method::HEAD | &Method::OPTIONS, _) => Role::Reader,
        _ => Role::Admin,
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
        let needed = |method, path| needed(&method, path, |topic| topic == "app_log");
        assert_eq!(needed(Method::GET, "/healthz"), None);
        assert_eq!(needed(Method::POST, "/collect/app_log"), None);
        assert_eq!(needed(Method::OPTIONS, "/collect/orders"), None);
        assert_eq!(needed(Method::POST, "/collect/orders"), Some(Role::Admin));
        assert_eq!(needed(Method::POST, "/api/v1/sql"), Some(Role::Analyst));
        assert_eq!(needed(Method::GET, "/api/v1/alarms"), Some(Role::Reader));
        assert_eq!(needed(Method::GET, "/"), Some(Role::Reader));
        assert_eq!(
            needed(Method::DELETE, "/api/v1/alarms/silences/1"),
            Some(Role::Admin)
        );
    }
}
