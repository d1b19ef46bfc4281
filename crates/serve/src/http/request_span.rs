//! A span for each request. Neither the path that was asked for nor its parameters
//! are in it, for they may be personal: only the route that answers.

use axum::Router;
use axum::extract::{MatchedPath, Request, State};
use axum::http::Method;
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;
use sluice_core::{SpanKind, Spans};

use super::traceparent::parent;

/// `router`, which tells `spans` of every request until its answer begins.
pub fn traced(router: Router, spans: Spans) -> Router {
    router.layer(from_fn_with_state(spans, trace))
}

async fn trace(State(spans): State<Spans>, request: Request, next: Next) -> Response {
    let mut span = spans.begin("request", SpanKind::Server, parent(request.headers()));
    if span.is_kept() {
        let method = known(request.method());
        span.set("http.request.method", method);
        // What no route matches is looked for among the files of the page.
        match request.extensions().get::<MatchedPath>() {
            Some(route) => {
                span.rename(format!("{method} {}", route.as_str()));
                span.set("http.route", route.as_str().to_owned());
            }
            None => span.rename(method.to_owned()),
        }
    }
    let response = next.run(request).await;
    let status = response.status();
    span.set("http.response.status_code", u64::from(status.as_u16()));
    if status.is_server_error() {
        span.fail();
    }
    response
}

/// A method that HTTP knows; clients may send any other word.
fn known(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::DELETE => "DELETE",
        Method::OPTIONS => "OPTIONS",
        Method::PATCH => "PATCH",
        _ => "_OTHER",
    }
}
