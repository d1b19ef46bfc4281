//! `GET /api/v1/dead-letters`: what could not become a row, by topic, table and
//! reason, and the newest of them. `POST /api/v1/dead-letters/replay`: tries some
//! again.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Int64Type};
use axum::body::Bytes;
use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use datafusion::common::ScalarValue;
use serde::Deserialize;
use serde_json::{Value, json};

use super::HttpState;
use super::forms::json_rows;
use super::panels::pairs;
use super::problem::Problem;
use crate::bound_query::BoundQuery;
use crate::json_rows::write_columns;
use crate::letter_retry::{LetterPlace, RetryReport};
use crate::session::{self, SESSION};
use crate::{QueryResult, ServeError};

/// Groups that are listed.
const GROUPS_MAX: i64 = 500;
/// Letters that are listed, or tried again at a time.
const LETTERS_MAX: i64 = 1_000;
/// Letters that are listed where nobody says how many.
const LETTERS_DEFAULT: i64 = 100;
/// Characters of a record that are shown.
const SAMPLE_LENGTH: usize = 500;
const TABLE: &str = "sluice_dead_letters";

/// Reasons that lie outside of the record, so that it fails again.
const HOPELESS: &str = "('late', 'no_last_value', 'undecoded', 'bad_header')";

/// Letters with what came of trying them, and which are asked for.
const FROM: &str = "FROM sluice_dead_letters AS d
LEFT JOIN sluice_tried_letters AS t
  ON t.topic = d.topic AND t.partition_number = d.partition_number
  AND t.record_offset = d.record_offset AND t.table_name = d.table_name
WHERE ($topic IS NULL OR d.topic = $topic)
  AND ($table IS NULL OR d.table_name = $table)
  AND ($reason IS NULL OR d.reason = $reason)
  AND ($partition IS NULL OR d.partition_number = $partition)
  AND ($offset IS NULL OR d.record_offset = $offset)";

/// Letters behind another one, in an order in which nobody changes its place: what
/// is new comes before what is older in its partition.
const BEHIND: &str = "($after_topic IS NULL OR d.topic > $after_topic
    OR (d.topic = $after_topic AND (d.partition_number > $after_partition
      OR (d.partition_number = $after_partition AND (d.record_offset < $after_offset
        OR (d.record_offset = $after_offset AND d.table_name > $after_table))))))";
const ORDER: &str = "d.topic, d.partition_number, d.record_offset DESC, d.table_name";

/// Which letters; what is not said is any.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Chosen {
    topic: Option<String>,
    table: Option<String>,
    reason: Option<String>,
    partition: Option<i64>,
    offset: Option<i64>,
    limit: Option<i64>,
    /// The last letter of the answer before, `next` of it.
    after: Option<After>,
}

/// One letter.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct After {
    topic: String,
    partition: i64,
    offset: i64,
    table: String,
}

fn bad(detail: impl Into<String>) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, detail)
}

impl Chosen {
    fn of_query(query: Option<&str>) -> Result<Self, Problem> {
        let mut chosen = Self::default();
        for (name, value) in pairs(query) {
            let number = || {
                let number = value.parse::<i64>();
                number.map_err(|_| bad(format!("{name}: `{value}` is no number")))
            };
            match name.as_str() {
                "topic" => chosen.topic = Some(value),
                "table" => chosen.table = Some(value),
                "reason" => chosen.reason = Some(value),
                "partition" => chosen.partition = Some(number()?),
                "offset" => chosen.offset = Some(number()?),
                "limit" => chosen.limit = Some(number()?),
                _ => {
                    return Err(bad(format!(
                        "there is no parameter `{name}`; there are: topic, table, reason, partition, offset, limit"
                    )));
                }
            }
        }
        Ok(chosen)
    }

    fn limit(&self, default: i64) -> Result<i64, Problem> {
        match self.limit.unwrap_or(default) {
            limit @ 1..=LETTERS_MAX => Ok(limit),
            _ => Err(bad(format!(
                "limit: write a number from 1 to {LETTERS_MAX}"
            ))),
        }
    }

    async fn ask(&self, state: &HttpState, sql: &str, limit: i64) -> Result<QueryResult, Problem> {
        let type_of = |name: &str| match name {
            "topic" | "table" | "reason" | "after_topic" | "after_table" => Some(DataType::Utf8),
            "partition" | "offset" | "limit" | "after_partition" | "after_offset" => {
                Some(DataType::Int64)
            }
            _ => None,
        };
        let text = |value: &Option<String>| Some(ScalarValue::Utf8(value.clone()));
        let after = self.after.as_ref();
        let after_text = |text: fn(&After) -> &String| {
            let text = after.map(|after| text(after).clone());
            Some(ScalarValue::Utf8(text))
        };
        let after_number = |number: fn(&After) -> i64| Some(ScalarValue::Int64(after.map(number)));
        let value_of = |name: &str| match name {
            "topic" => text(&self.topic),
            "table" => text(&self.table),
            "reason" => text(&self.reason),
            "partition" => Some(ScalarValue::Int64(self.partition)),
            "offset" => Some(ScalarValue::Int64(self.offset)),
            "after_topic" => after_text(|after| &after.topic),
            "after_table" => after_text(|after| &after.table),
            "after_partition" => after_number(|after| after.partition),
            "after_offset" => after_number(|after| after.offset),
            _ => Some(ScalarValue::Int64(Some(limit))),
        };
        let query = BoundQuery::parse(sql, type_of)?;
        let _turn = state.query_turn().await?;
        let values = query
            .names()
            .iter()
            .map(|name| (name.clone(), value_of(name)));
        let values: BTreeMap<String, Option<ScalarValue>> = values.collect();
        let engine = state.engine.clone();
        let ask = async move {
            let value_of = |name: &str| values.get(name).cloned().flatten();
            engine.query_bound(&query, value_of).await
        };
        Ok(state.engine.apart(ask).await?)
    }
}

impl HttpState {
    /// Whether whoever asks may see what the records hold.
    fn shows_records(&self) -> bool {
        let access = &self.engine.options.access;
        let columns = ["detail", "payload"];
        session::limiting_role(access)
            .is_none_or(|role| access.refusal(role, TABLE, columns.into_iter()).is_none())
    }
}

pub(super) async fn list(
    State(state): State<Arc<HttpState>>,
    RawQuery(query): RawQuery,
) -> Result<Response, Problem> {
    let chosen = Chosen::of_query(query.as_deref())?;
    let limit = chosen.limit(LETTERS_DEFAULT)?;
    let groups = format!(
        "SELECT d.topic, d.table_name, d.reason, count(*) AS letters,
  coalesce(sum(CASE WHEN t.is_settled THEN 1 ELSE 0 END), 0) AS settled,
  min(d.capture_time) AS first_time, max(d.capture_time) AS last_time
{FROM}
GROUP BY d.topic, d.table_name, d.reason
ORDER BY letters DESC, d.topic, d.table_name, d.reason
LIMIT $limit"
    );
    let (detail, sample) = match state.shows_records() {
        true => ("d.detail", format!("substr(d.payload, 1, {SAMPLE_LENGTH})")),
        false => ("CAST(NULL AS VARCHAR)", "CAST(NULL AS VARCHAR)".to_owned()),
    };
    let letters = format!(
        "SELECT d.topic, d.partition_number, d.record_offset, d.table_name, d.column_name,
  d.reason, {detail} AS detail, {sample} AS sample, d.capture_time, t.tried_at, t.outcome
{FROM}
  AND NOT coalesce(t.is_settled, false)
ORDER BY d.capture_time DESC, d.topic, d.partition_number, d.record_offset DESC, d.table_name
LIMIT $limit"
    );
    let groups = chosen.ask(&state, &groups, GROUPS_MAX).await?;
    let letters = chosen.ask(&state, &letters, limit).await?;
    let bytes_max = state.limits.answer_bytes_max;
    let mut text = format!("{{\"epoch\":{}", letters.pinned.epoch);
    for (name, result) in [("groups", &groups), ("letters", &letters)] {
        text.push_str(&format!(",\"{name}\":{{\"columns\":"));
        write_columns(&result.schema, &mut text);
        json_rows(result, bytes_max, &mut text)?;
        text.push('}');
    }
    text.push_str("}\n");
    Ok(as_json(text))
}

fn as_json(text: String) -> Response {
    let headers = [
        (header::CONTENT_TYPE, "application/json"),
        (header::CACHE_CONTROL, "no-store"),
    ];
    (headers, text).into_response()
}

/// What changes something is taken as JSON only: a browser asks before it sends
/// that to another origin, which a form's text it does not.
pub(super) fn require_json(headers: &HeaderMap) -> Result<(), Problem> {
    let content_type = headers.get(header::CONTENT_TYPE);
    let content_type = content_type.and_then(|value| value.to_str().ok());
    match content_type.is_some_and(|text| text.starts_with("application/json")) {
        true => Ok(()),
        false => Err(Problem::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "send JSON, with content-type: application/json",
        )),
    }
}

pub(super) async fn replay(
    State(state): State<Arc<HttpState>>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Problem> {
    require_json(&headers)?;
    let retries = state.retries.read().clone().ok_or_else(|| {
        let detail = "this warehouse tries no dead letters again";
        Problem::new(StatusCode::NOT_FOUND, detail)
    })?;
    let chosen: Chosen = serde_json::from_slice(&body)
        .map_err(|error| bad(format!("the body does not say which letters: {error}")))?;
    let is_any = chosen.topic.is_none() && chosen.table.is_none() && chosen.reason.is_none();
    if is_any || (chosen.offset.is_some() && chosen.topic.is_none()) {
        return Err(bad(
            "say which letters: a topic, a table or a reason; an offset needs its topic",
        ));
    }
    let limit = chosen.limit(LETTERS_MAX)?;
    let mut by_reason = BTreeMap::new();
    // Told once for all letters that are asked for.
    if chosen.after.is_none() {
        let hopeless = format!(
            "SELECT d.reason, count(*) AS letters
{FROM}
  AND d.reason IN {HOPELESS}
GROUP BY d.reason
ORDER BY d.reason
LIMIT $limit"
        );
        let hopeless = chosen.ask(&state, &hopeless, GROUPS_MAX).await?;
        for batch in &hopeless.batches {
            by_reason.extend(hopeless_of(batch)?);
        }
    }
    let sql = format!(
        "SELECT d.topic, d.partition_number, d.record_offset, d.table_name
{FROM}
  AND NOT coalesce(t.is_settled, false)
  AND d.reason NOT IN {HOPELESS}
  AND {BEHIND}
GROUP BY d.topic, d.partition_number, d.record_offset, d.table_name
ORDER BY {ORDER}
LIMIT $limit"
    );
    let found = chosen.ask(&state, &sql, limit).await?;
    let mut places = Vec::new();
    for batch in &found.batches {
        places.extend(letter_places(batch)?);
    }
    let is_all = (places.len() as i64) < limit;
    let next = places.last().filter(|_| !is_all).cloned();
    let _ = SESSION.try_with(|session| session.count_rows(places.len()));
    let tried = tokio::task::spawn_blocking(move || retries.retry(&places)).await;
    let report = tried.map_err(|_| Problem::interrupted())?;
    let report = report.map_err(|detail| Problem::new(StatusCode::SERVICE_UNAVAILABLE, detail))?;
    let told = told(&report, next.as_ref(), by_reason);
    Ok(as_json(format!("{told}\n")))
}

/// How many letters are not tried for each reason.
fn hopeless_of(batch: &RecordBatch) -> Result<Vec<(String, u64)>, ServeError> {
    let reasons = cast(batch.column(0), &DataType::Utf8)?;
    let counts = cast(batch.column(1), &DataType::Int64)?;
    let (reasons, counts) = (
        reasons.as_string::<i32>(),
        counts.as_primitive::<Int64Type>(),
    );
    let line = |row: usize| {
        let reason = reasons.value(row);
        let why = format!("what is `{reason}` fails again, whatever the record says");
        (why, counts.value(row).unsigned_abs())
    };
    Ok((0..batch.num_rows()).map(line).collect())
}

fn letter_places(batch: &RecordBatch) -> Result<Vec<LetterPlace>, ServeError> {
    let texts = |column: usize| cast(batch.column(column), &DataType::Utf8);
    let numbers = |column: usize| cast(batch.column(column), &DataType::Int64);
    let (topics, tables) = (texts(0)?, texts(3)?);
    let (partitions, offsets) = (numbers(1)?, numbers(2)?);
    let text = |array: &dyn Array, row: usize| array.as_string::<i32>().value(row).to_owned();
    let number = |array: &dyn Array, row: usize| {
        let value = array.as_primitive::<Int64Type>().value(row);
        value.unsigned_abs()
    };
    let place = |row: usize| LetterPlace {
        topic: text(&topics, row),
        partition: u32::try_from(number(&partitions, row)).unwrap_or(u32::MAX),
        offset: number(&offsets, row),
        table: text(&tables, row),
    };
    Ok((0..batch.num_rows()).map(place).collect())
}

fn told(
    report: &RetryReport,
    next: Option<&LetterPlace>,
    hopeless: BTreeMap<String, u64>,
) -> Value {
    let place = |letter: &LetterPlace| {
        json!({
            "topic": letter.topic,
            "partition": letter.partition,
            "offset": letter.offset,
            "table": letter.table,
        })
    };
    let refused = report.refused.iter().map(|(letter, why)| {
        let mut letter = place(letter);
        letter["why"] = json!(why);
        letter
    });
    let refused: Vec<Value> = refused.collect();
    let by_reason = report.refused.iter().fold(hopeless, |mut all, (_, why)| {
        *all.entry(why.clone()).or_insert(0) += 1;
        all
    });
    json!({
        "records": report.records,
        "refused": refused,
        "refused_by_reason": by_reason,
        "is_all": next.is_none(),
        "next": next.map(place),
    })
}
