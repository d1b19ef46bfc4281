//! `POST /api/v1/backfill`: rows of an export for a table at work;
//! `POST /api/v1/backfill/plan`: which columns of an export the table takes.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::HttpState;
use super::dead_letters::require_json;
use super::problem::Problem;
use crate::take_rows::{ExportedPart, NotTaken, TakeRows};

/// Bytes of one request. An export is sent in many.
pub(super) const REQUEST_BYTES_MAX: usize = 64 << 20;

/// What a request says.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Sent {
    table: String,
    /// A number in hexadecimal: not all programs know whole numbers of 64 bits.
    export: String,
    /// Those that the rows have.
    #[serde(default)]
    columns: BTreeSet<String>,
    #[serde(default)]
    rows: Vec<(u64, String)>,
}

impl Sent {
    fn parse(body: &[u8]) -> Result<ExportedPart, Problem> {
        let bad = |detail: String| Problem::new(StatusCode::BAD_REQUEST, detail);
        let sent: Self = serde_json::from_slice(body).map_err(|error| {
            bad(format!(
                "the body is no object with `table`, `export` and `rows`: {error}"
            ))
        })?;
        let export = u64::from_str_radix(&sent.export, 16).map_err(|_| {
            bad(format!(
                "export: `{}` is no number of 64 bits in hexadecimal",
                sent.export
            ))
        })?;
        for (number, row) in &sent.rows {
            let object: Map<String, Value> = serde_json::from_str(row)
                .map_err(|error| bad(format!("row {number} is no object of JSON: {error}")))?;
            let other = object.keys().find(|name| !sent.columns.contains(*name));
            if let Some(other) = other {
                return Err(bad(format!(
                    "row {number} has `{other}`, which is not among the columns"
                )));
            }
        }
        if !sent.rows.is_sorted_by(|(one, _), (next, _)| one < next) {
            return Err(bad("the numbers of the rows do not rise".to_owned()));
        }
        Ok(ExportedPart {
            table: sent.table,
            export,
            columns: sent.columns,
            rows: sent.rows,
        })
    }
}

/// What is asked of an export before its rows are sent.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    table: String,
    columns: Vec<String>,
}

impl From<NotTaken> for Problem {
    fn from(why: NotTaken) -> Self {
        match why {
            NotTaken::Refused(detail) => Self::new(StatusCode::BAD_REQUEST, detail),
            NotTaken::Unavailable(detail) => Self::new(StatusCode::SERVICE_UNAVAILABLE, detail),
        }
    }
}

fn taker_of(state: &HttpState, headers: &HeaderMap) -> Result<Arc<dyn TakeRows>, Problem> {
    require_json(headers)?;
    state.row_taker.read().clone().ok_or_else(|| {
        let detail = "this warehouse takes no rows of exports";
        Problem::new(StatusCode::NOT_FOUND, detail)
    })
}

fn as_json(answer: &Value) -> Response {
    let headers = [
        (header::CONTENT_TYPE, "application/json"),
        (header::CACHE_CONTROL, "no-store"),
    ];
    (headers, format!("{answer}\n")).into_response()
}

pub(super) async fn plan(
    State(state): State<Arc<HttpState>>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Problem> {
    let taker = taker_of(&state, &headers)?;
    let asked: Asked = serde_json::from_slice(&body).map_err(|error| {
        let detail = format!("the body is no object with `table` and `columns`: {error}");
        Problem::new(StatusCode::BAD_REQUEST, detail)
    })?;
    let plan = taker.plan(&asked.table, &asked.columns)?;
    Ok(as_json(
        &json!({ "columns": plan.columns, "has_key": plan.has_key }),
    ))
}

pub(super) async fn backfill(
    State(state): State<Arc<HttpState>>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Problem> {
    let taker = taker_of(&state, &headers)?;
    let taking = tokio::task::spawn_blocking(move || -> Result<u64, Problem> {
        let part = Sent::parse(&body)?;
        taker.take(part).map_err(Problem::from)
    });
    let next = taking.await.map_err(|_| Problem::interrupted())??;
    Ok(as_json(&json!({ "next": next })))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sent_is_looked_at_before_any_of_it_is_taken() {
        let part = Sent::parse(
            br#"{"table":"orders","export":"ff00000000000001","columns":["id"],"rows":[[3,"{\"id\":1}"],[5,"{}"]]}"#,
        );
        let rows = vec![(3, "{\"id\":1}".to_owned()), (5, "{}".to_owned())];
        assert_eq!(
            part.unwrap(),
            ExportedPart {
                table: "orders".to_owned(),
                export: 0xff00_0000_0000_0001,
                columns: BTreeSet::from(["id".to_owned()]),
                rows,
            }
        );
        for (body, wanted) in [
            (r#"{"table":"t"}"#, "`export`"),
            (r#"{"table":"t","export":"x"}"#, "hexadecimal"),
            (
                r#"{"table":"t","export":"1","rows":[[0,"[1]"]]}"#,
                "row 0 is no object",
            ),
            (
                r#"{"table":"t","export":"1","columns":["id"],"rows":[[0,"{\"no\":1}"]]}"#,
                "`no`",
            ),
            (
                r#"{"table":"t","export":"1","rows":[[1,"{}"],[1,"{}"]]}"#,
                "do not rise",
            ),
        ] {
            let refused = Sent::parse(body.as_bytes()).unwrap_err();
            assert_eq!(refused.status(), StatusCode::BAD_REQUEST);
            assert!(refused.detail().contains(wanted), "{}", refused.detail());
        }
    }
}
