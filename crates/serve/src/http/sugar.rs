//! `POST /api/v1/sugar/{panel}`: panels for Baidu Sugar BI, each kind of chart in
//! the shape that it draws. Whatever goes wrong is answered with HTTP 200 and a
//! status other than 0, which is what Sugar shows to people.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{Path, RawQuery, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::Value;

use super::HttpState;
use super::access::note_shut;
use super::panels::{no_panel, pairs, refuse_unknown};
use super::problem::Problem;
use crate::access::is_same;
use crate::json_rows::write_text;
use crate::panels::{Part, sugar_data};
use crate::session;
use crate::wrong_secrets::shut_text;

/// The header with the token.
const TOKEN: &str = "sugar-token";

pub(super) async fn sugar(
    State(state): State<Arc<HttpState>>,
    Path(name): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let answered = answer(&state, &name, query.as_deref(), &headers, &body).await;
    let text = match answered {
        Ok(data) => format!("{{\"status\":0,\"msg\":\"\",\"data\":{data}}}\n"),
        Err(problem) => {
            let mut text = format!("{{\"status\":{},\"msg\":", problem.status().as_u16());
            write_text(problem.detail(), &mut text);
            text.push_str(",\"data\":null}\n");
            text
        }
    };
    let headers = [
        (header::CONTENT_TYPE, "application/json"),
        (header::CACHE_CONTROL, "no-store"),
    ];
    (headers, text).into_response()
}

async fn answer(
    state: &Arc<HttpState>,
    name: &str,
    query: Option<&str>,
    headers: &HeaderMap,
    body: &[u8],
) -> Result<String, Problem> {
    let bad = |detail: String| Problem::new(StatusCode::BAD_REQUEST, detail);
    let Some(wanted) = &state.info.sugar_token else {
        let detail = "Sugar BI is not answered: set token under [sugar] in warehouse.toml";
        return Err(Problem::new(StatusCode::FORBIDDEN, detail));
    };
    let given = headers
        .get(TOKEN)
        .map_or(&b""[..], |value| value.as_bytes());
    let (access, session) = (&state.engine.options.access, session::current());
    if let Some(seconds) = access.wrong.shut_s(session.from()) {
        let detail = shut_text(seconds);
        return Err(Problem::new(StatusCode::TOO_MANY_REQUESTS, detail));
    }
    if !is_same(wanted.as_bytes(), given) {
        let is_last_try = access.wrong.note(session.from());
        let auditor = state.engine.options.auditor.as_deref();
        if let Some(auditor) = auditor.filter(|_| is_last_try) {
            note_shut(auditor, &session, "http");
        }
        let detail = "the header Sugar-Token is not the token of this warehouse";
        return Err(Problem::new(StatusCode::UNAUTHORIZED, detail));
    }
    let panel = state.panels.read().get(name);
    let panel = panel.ok_or_else(|| Problem::new(StatusCode::NOT_FOUND, no_panel(name)))?;
    let mut asked = pairs(query);
    refuse_unknown(&panel, Part::Figures, &asked).map_err(bad)?;
    asked.extend(conditions(body).map_err(bad)?);
    // An empty choice means none.
    asked.retain(|_, value| !value.is_empty());
    let text_of = |name: &str| asked.get(name).cloned();
    let values = panel.values(Part::Figures, text_of, state.today()?);
    let values = values.map_err(bad)?;
    let language = asked.get("lang").map_or("zh", String::as_str);
    let found = state
        .panel_answer(panel, Part::Figures, values, false)
        .await?;
    let data = sugar_data(&found, language)?;
    let bytes_max = state.limits.answer_bytes_max;
    match data.len() > bytes_max {
        true => Err(super::forms::too_long(bytes_max)),
        false => Ok(data),
    }
}

/// What Sugar's filters chose: `{"conditions": [{"k": "day", "t": "date", "v":
/// "2026-11-20"}, …]}`, or a plain object of names and values.
fn conditions(body: &[u8]) -> Result<BTreeMap<String, String>, String> {
    if body.iter().all(u8::is_ascii_whitespace) {
        return Ok(BTreeMap::new());
    }
    let body: Value =
        serde_json::from_slice(body).map_err(|error| format!("the body is not JSON: {error}"))?;
    let text = |value: &Value| match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(flag) => Some(flag.to_string()),
        _ => None,
    };
    let Some(object) = body.as_object() else {
        return Err("the body is not an object".to_owned());
    };
    let mut chosen = BTreeMap::new();
    let listed = object.get("conditions").and_then(Value::as_array);
    for condition in listed.into_iter().flatten() {
        let name = condition.get("k").and_then(Value::as_str);
        let value = condition.get("v").and_then(text);
        if let (Some(name), Some(value)) = (name, value) {
            chosen.insert(name.to_owned(), value);
        }
    }
    for (name, value) in object {
        if let Some(value) = text(value) {
            chosen.insert(name.clone(), value);
        }
    }
    Ok(chosen)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conditions_are_read_from_both_forms() {
        let body = br#"{"conditions":[{"k":"day","t":"date","v":"20261120"},{"k":"x","v":null}],"limit":5}"#;
        let found = conditions(body).unwrap();
        assert_eq!(found["day"], "20261120");
        assert_eq!(found["limit"], "5");
        assert_eq!(found.len(), 2);
        assert!(conditions(b"").unwrap().is_empty());
        assert!(conditions(b"[1]").is_err());
    }
}
