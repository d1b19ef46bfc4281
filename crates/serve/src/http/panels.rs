//! `GET /api/v1/panels`, `/api/v1/panels/{name}` and `…/detail`: the panels, the
//! answer of one, and the rows behind it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, TimestampMicrosecondArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Date32Type};
use axum::extract::{Path, RawQuery, State};
use axum::http::{HeaderMap, HeaderName, StatusCode, header};
use axum::response::{IntoResponse, Response};
use datafusion::common::ScalarValue;
use serde_json::{Value, json};
use sluice_core::{Epoch, Writer, stable_hash};

use super::HttpState;
use super::forms::{Form, json_rows, workbook};
use super::percent::{Plus, decode};
use super::problem::Problem;
use super::xlsx::SheetColumn;
use crate::ServeError;
use crate::panels::{CheckedColumn, CheckedPanel, PanelAnswer, Parameter, Part, text_of_value};

/// What a request says beside the panel's own parameters.
pub(super) const OWN_NAMES: [&str; 3] = ["format", "lang", "download"];
/// Says which names are NULL in the row whose rows are asked for; once for each.
pub(super) const NULL_NAME: &str = "null";

impl HttpState {
    /// Today in the business time zone, in days since 1970.
    ///
    /// # Errors
    /// When the time zone is not known.
    pub(super) fn today(&self) -> Result<i32, ServeError> {
        let now: ArrayRef = Arc::new(
            TimestampMicrosecondArray::from(vec![self.clock.now_us()])
                .with_timezone(self.info.time_zone.as_str()),
        );
        let day = cast(&now, &DataType::Date32)?;
        Ok(day.as_primitive::<Date32Type>().value(0))
    }
}

pub(super) async fn list(State(state): State<Arc<HttpState>>) -> Result<Response, Problem> {
    let panels = state.panels.read().clone();
    let today = state.today()?;
    let entries: Vec<Value> = panels
        .sorted()
        .iter()
        .map(|panel| describe(panel, today))
        .collect();
    let headers = [
        (header::CONTENT_TYPE, "application/json"),
        (header::CACHE_CONTROL, "no-store"),
    ];
    let body = json!({ "epoch": (state.source)().epoch(), "panels": entries });
    Ok((headers, format!("{body}\n")).into_response())
}

fn describe(panel: &CheckedPanel, today: i32) -> Value {
    let parameter = |parameter: &Parameter| {
        let text = |value: &Option<ScalarValue>| value.as_ref().and_then(text_of_value);
        let value = parameter.default.as_ref().map(|value| value.at(today));
        json!({
            "name": parameter.name,
            "type": parameter.kind.name(),
            "title": parameter.title,
            "default": parameter.default_text,
            "value": text(&value),
            "min": text(&parameter.min),
            "max": text(&parameter.max),
            "values": parameter.values.iter().filter_map(text_of_value).collect::<Vec<_>>(),
        })
    };
    let definition = &panel.panel;
    let parameters: Vec<Value> = definition.parameters.iter().map(parameter).collect();
    json!({
        "name": definition.name,
        "subject": definition.subject,
        "title": definition.title,
        "description": definition.description,
        "chart": definition.chart,
        "query": definition.query.trim(),
        "parameters": parameters,
        "columns": panel.main.columns.iter().map(column).collect::<Vec<_>>(),
        "detail": panel.detail.is_some(),
    })
}

fn column(column: &CheckedColumn) -> Value {
    json!({
        "name": column.name,
        "type": column.data_type.to_string(),
        "title": column.title,
        "role": column.role,
        "format": column.format,
        "words": column.words,
    })
}

pub(super) async fn answer(
    State(state): State<Arc<HttpState>>,
    Path(name): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    respond(&state, &name, query.as_deref(), &headers, Part::Figures).await
}

pub(super) async fn detail(
    State(state): State<Arc<HttpState>>,
    Path(name): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    respond(&state, &name, query.as_deref(), &headers, Part::Detail).await
}

/// The parameters of an address by name; the last of a name counts.
pub(super) fn pairs(query: Option<&str>) -> BTreeMap<String, String> {
    all_pairs(query).collect()
}

fn all_pairs(query: Option<&str>) -> impl Iterator<Item = (String, String)> {
    let pairs = query.into_iter().flat_map(|query| query.split('&'));
    pairs.filter(|pair| !pair.is_empty()).map(|pair| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        (decode(name, Plus::Space), decode(value, Plus::Space))
    })
}

/// Takes out of the parameters which names are NULL in the row that was chosen.
fn take_nulls(query: Option<&str>, asked: &mut BTreeMap<String, String>) -> BTreeSet<String> {
    asked.remove(NULL_NAME);
    let nulls = all_pairs(query).filter(|(name, _)| name == NULL_NAME);
    nulls.map(|(_, name)| name).collect()
}

/// Refuses names that the panel does not know, so that a mistyped one is not
/// taken for none.
pub(super) fn refuse_unknown(
    panel: &CheckedPanel,
    part: Part,
    asked: &BTreeMap<String, String>,
) -> Result<(), String> {
    let known = panel.known_names(part);
    for name in asked.keys() {
        if !known.contains(&name.as_str()) && !OWN_NAMES.contains(&name.as_str()) {
            return Err(format!(
                "the panel `{}` has no parameter `{name}`; it has: {}",
                panel.panel.name,
                known.join(", ")
            ));
        }
    }
    Ok(())
}

pub(super) fn no_panel(name: &str) -> String {
    format!("there is no panel `{name}`; /api/v1/panels lists them")
}

/// Whether the request says `Cache-Control: no-cache`. What a browser sends with
/// the tag of an answer that it has is `max-age=0`.
fn must_be_new(headers: &HeaderMap) -> bool {
    let said = headers.get_all(header::CACHE_CONTROL).iter();
    let mut directives = said
        .filter_map(|said| said.to_str().ok())
        .flat_map(|said| said.split(','));
    directives.any(|directive| directive.trim().eq_ignore_ascii_case("no-cache"))
}

async fn respond(
    state: &Arc<HttpState>,
    name: &str,
    query: Option<&str>,
    headers: &HeaderMap,
    part: Part,
) -> Result<Response, Problem> {
    let bad = |detail: String| Problem::new(StatusCode::BAD_REQUEST, detail);
    let mut asked = pairs(query);
    let nulls = match part {
        Part::Figures => BTreeSet::new(),
        Part::Detail | Part::WholeDetail => take_nulls(query, &mut asked),
    };
    let (name, ending) = match name.rsplit_once('.') {
        Some((name, ending)) => (name, Some(ending)),
        None => (name, None),
    };
    let format = ending.or(asked.get("format").map(String::as_str));
    let form = Form::of_request(format, headers)?;
    let part = match (part, form) {
        // What people read has a limit; what they take along is whole.
        (Part::Detail, Form::Csv | Form::Arrow | Form::Xlsx) => Part::WholeDetail,
        _ => part,
    };
    let panels = state.panels.read().clone();
    let panel = panels
        .get(name)
        .filter(|panel| panel.query(part).is_some())
        .ok_or_else(|| {
            let detail = match panels.get(name) {
                Some(_) => format!("the panel `{name}` has no detail"),
                None => no_panel(name),
            };
            Problem::new(StatusCode::NOT_FOUND, detail)
        })?;
    refuse_unknown(&panel, part, &asked).map_err(bad)?;
    let text_of = |name: &str| asked.get(name).cloned();
    let values = panel.values(part, text_of, state.today()?).map_err(bad)?;
    let values = values.with_null_in_row(nulls, |name| asked.contains_key(name));
    let values = values.map_err(bad)?;
    let language = asked.get("lang").map_or("en", String::as_str).to_owned();
    let uses_clock = panel.query(part).is_none_or(|query| query.uses_clock);
    let changes_of_models = state.changes_of_models();
    // Two answers between which nothing that they read has changed are one.
    let tag_of = |changed: Epoch| {
        let mut writer = Writer::new();
        writer.u64(panels.fingerprint);
        writer.u64(state.start_us as u64);
        writer.u64(changes_of_models);
        writer.str(&values.print());
        writer.str(form.name());
        writer.str(&language);
        format!("\"{changed}-{:016x}\"", stable_hash(&writer.finish()))
    };
    let known = headers.get(header::IF_NONE_MATCH);
    let known = known.and_then(|known| known.to_str().ok()).unwrap_or("");
    let is_known = |tag: &str| {
        let mut known = known.split(',');
        known.any(|known| known.trim().trim_start_matches("W/") == tag)
    };
    let not_modified =
        |tag: String| (StatusCode::NOT_MODIFIED, [(header::ETAG, tag)]).into_response();
    let must_be_new = must_be_new(headers);
    if !uses_clock && !known.is_empty() {
        let changed = state.panel_changed(&panel, part, &values, must_be_new);
        if let Some(tag) = changed.map(&tag_of).filter(|tag| is_known(tag)) {
            state.note_reused();
            return Ok(not_modified(tag));
        }
    }
    let found = state
        .panel_answer(panel.clone(), part, values.clone(), must_be_new)
        .await?;
    let pinned = &found.result.pinned;
    let has_tag = !uses_clock && pinned.tables.is_some();
    let tag = has_tag.then(|| tag_of(pinned.changed));
    if let Some(tag) = tag.clone().filter(|tag| is_known(tag)) {
        return Ok(not_modified(tag));
    }
    let epoch = found.result.pinned.epoch;
    let bytes_max = state.limits.answer_bytes_max;
    let result = found.result.clone();
    let file = format!("{name}.{}", form.name());
    let bytes = state
        .write_rows(result, move |_| write(&found, form, &language, bytes_max))
        .await?;
    let mut response = bytes.into_response();
    let head = response.headers_mut();
    let mut set = |name: HeaderName, value: String| {
        if let Ok(value) = value.parse() {
            head.insert(name, value);
        }
    };
    set(header::CONTENT_TYPE, form.content_type().to_owned());
    set(header::CACHE_CONTROL, "no-cache".to_owned());
    set(header::VARY, "accept".to_owned());
    set(HeaderName::from_static("x-sluice-epoch"), epoch.to_string());
    if let Some(tag) = tag {
        set(header::ETAG, tag);
    }
    if form == Form::Xlsx || asked.contains_key("download") {
        set(
            header::CONTENT_DISPOSITION,
            format!("attachment; filename=\"{file}\""),
        );
    }
    Ok(response)
}

fn write(
    answer: &PanelAnswer,
    form: Form,
    language: &str,
    bytes_max: usize,
) -> Result<Vec<u8>, Problem> {
    match form {
        Form::Json => {
            let columns: Vec<Value> = answer.columns().iter().map(column).collect();
            let mut text = format!(
                "{{\"panel\":{},\"epoch\":{},\"parameters\":{},\"columns\":{}",
                json!(answer.panel.panel.name),
                answer.result.pinned.epoch,
                json!(answer.values.texts()),
                json!(columns),
            );
            if let Some(totals) = &answer.totals {
                text.push_str(&format!(",\"rows_total\":{}", totals.all));
                if let Some(by_kind) = &totals.by_kind {
                    text.push_str(&format!(",\"rows_total_by_kind\":{}", json!(by_kind)));
                }
            }
            json_rows(&answer.result, bytes_max, &mut text)?;
            text.push_str("}\n");
            Ok(text.into_bytes())
        }
        Form::Xlsx => {
            let columns: Vec<SheetColumn<'_>> = answer
                .columns()
                .iter()
                .map(|column| SheetColumn::of_panel(column, language))
                .collect();
            let title = answer.panel.panel.title.of(language);
            workbook(title, &columns, &answer.result, bytes_max)
        }
        Form::Csv | Form::Arrow => form.write(&answer.result, bytes_max),
    }
}
