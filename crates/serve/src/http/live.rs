//! `GET /api/v1/live/{views}`: server-sent events with a snapshot of each view
//! and then its changes
//! (<https://html.spec.whatwg.org/multipage/server-sent-events.html>).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arrow::array::{Array, BooleanArray, RecordBatch};
use arrow::compute::{filter_record_batch, prep_null_mask_filter};
use axum::body::{Body, Bytes};
use axum::extract::{Path, RawQuery, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use datafusion::physical_plan::PhysicalExpr;
use sluice_core::{Delta, Epoch};
use sluice_store::Snapshot;
use tokio::sync::OwnedSemaphorePermit;

use super::HttpState;
use super::percent::{Plus, decode};
use super::problem::Problem;
use crate::ServeError;
use crate::json_rows::{RowWriter, write_columns, write_rows, write_text};
use crate::live_feed::{EpochChange, Watch};
use crate::moments::{rows_in, schema_in};

/// What a client asked of one view.
struct Watched {
    /// A condition on rows in the business time zone.
    filter: Option<Arc<dyn PhysicalExpr>>,
    wants_snapshot: bool,
}

pub(super) async fn live(
    State(state): State<Arc<HttpState>>,
    Path(names): Path<String>,
    RawQuery(query): RawQuery,
) -> Result<Response, Problem> {
    let watched = watched(&state, &names, query.as_deref()).await?;
    for name in watched.keys() {
        state.require_whole(name)?;
    }
    let Ok(permit) = state.watch_turns.clone().try_acquire_owned() else {
        let detail = format!("{} live connections are open", state.limits.watchers_max);
        return Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, detail));
    };
    let connection = Connection {
        watch: None,
        state,
        watched,
        _permit: permit,
    };
    let stream = futures::stream::unfold(connection, |mut connection| async {
        let text = connection.next().await;
        Some((Ok::<_, ServeError>(Bytes::from(text)), connection))
    });
    let headers = [
        (header::CONTENT_TYPE, "text/event-stream"),
        (header::CACHE_CONTROL, "no-store"),
    ];
    Ok((headers, Body::from_stream(stream)).into_response())
}

async fn watched(
    state: &HttpState,
    names: &str,
    query: Option<&str>,
) -> Result<BTreeMap<String, Watched>, Problem> {
    let bad = |detail: String| Problem::new(StatusCode::BAD_REQUEST, detail);
    let names: BTreeSet<&str> = names.split(',').filter(|name| !name.is_empty()).collect();
    let limit = state.limits.watched_views_max;
    if names.is_empty() || names.len() > limit {
        return Err(bad(format!("name 1 to {limit} views, with commas between")));
    }
    let parameters: Vec<(String, String)> = query.map(parse_parameters).unwrap_or_default();
    for (name, _) in &parameters {
        let view = name
            .strip_prefix("filter.")
            .or(name.strip_prefix("snapshot."));
        if !view.is_some_and(|view| names.contains(view)) {
            let help = "use filter.VIEW or snapshot.VIEW, with a view of this connection";
            return Err(bad(format!("there is no parameter `{name}`; {help}")));
        }
    }
    let parameter = |prefix: &str, view: &str| {
        let found = parameters
            .iter()
            .find(|(name, _)| name.strip_prefix(prefix).is_some_and(|rest| rest == view));
        found.map(|(_, value)| value.as_str())
    };
    let collections = (state.source)().collections();
    let mut watched = BTreeMap::new();
    for name in names {
        if !collections.iter().any(|known| known.name == name) {
            let detail = format!("there is no table or materialized view `{name}`");
            return Err(Problem::new(StatusCode::NOT_FOUND, detail));
        }
        let filter = match parameter("filter.", name) {
            Some(text) => {
                let filter = state.engine.row_condition(name, text).await;
                Some(filter.map_err(|error| bad(format!("filter.{name}: {error}")))?)
            }
            None => None,
        };
        let wants_snapshot = match parameter("snapshot.", name) {
            None | Some("all") => true,
            Some("none") => false,
            Some(other) => return Err(bad(format!("snapshot.{name}={other}: use all or none"))),
        };
        watched.insert(
            name.to_owned(),
            Watched {
                filter,
                wants_snapshot,
            },
        );
    }
    Ok(watched)
}

/// The parameters of a query string, decoded.
fn parse_parameters(query: &str) -> Vec<(String, String)> {
    let pairs = query.split('&').filter(|pair| !pair.is_empty());
    pairs
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (decode(name, Plus::Space), decode(value, Plus::Space))
        })
        .collect()
}

/// Which rows a filter keeps; all if there is none.
fn mask(
    filter: Option<&Arc<dyn PhysicalExpr>>,
    rows: &RecordBatch,
) -> Result<Option<BooleanArray>, ServeError> {
    let Some(filter) = filter else {
        return Ok(None);
    };
    let kept = filter.evaluate(rows)?.into_array(rows.num_rows())?;
    let Some(kept) = kept.as_any().downcast_ref::<BooleanArray>() else {
        return Ok(None);
    };
    Ok(Some(match kept.null_count() {
        0 => kept.clone(),
        _ => prep_null_mask_filter(kept),
    }))
}

/// One client.
struct Connection {
    state: Arc<HttpState>,
    watched: BTreeMap<String, Watched>,
    /// `None` before the first snapshot.
    watch: Option<Watch>,
    _permit: OwnedSemaphorePermit,
}

impl Connection {
    /// The next events. Always some text: a heartbeat if nothing happens.
    async fn next(&mut self) -> String {
        let Some(watch) = &mut self.watch else {
            return self.begin("");
        };
        let heartbeat_time = self.state.limits.heartbeat_time;
        match tokio::time::timeout(heartbeat_time, watch.changes.recv()).await {
            Ok(Some(change)) => self.change(&change),
            // It was too slow: begin again.
            Ok(None) => self.begin("event: reset\ndata: {}\n\n"),
            Err(_) => ":\n\n".to_owned(),
        }
    }

    fn begin(&mut self, before: &str) -> String {
        let views = self.watched.keys().cloned().collect();
        let watch = self.state.live.watch(views);
        let zone = self.state.engine.zone();
        let mut text = before.to_owned();
        for (name, watched) in &self.watched {
            let written = snapshot_event(&watch.snapshot, name, watched, &zone, &mut text);
            if let Err(error) = written {
                error_event(name, &error, &mut text);
            }
        }
        if text.is_empty() {
            text.push_str(":\n\n");
        }
        self.watch = Some(watch);
        text
    }

    fn change(&self, change: &EpochChange) -> String {
        let zone = self.state.engine.zone();
        let mut text = String::new();
        for (name, watched) in &self.watched {
            let Some(view) = change.views.get(name) else {
                continue;
            };
            let written = match &watched.filter {
                // The same text serves all who watch without a filter.
                None => {
                    let shared = view.text.get_or_init(|| {
                        let mut text = String::new();
                        match delta_event(change.epoch, name, &view.delta, None, &zone, &mut text) {
                            Ok(()) => text.into(),
                            Err(error) => {
                                text.clear();
                                error_event(name, &error, &mut text);
                                text.into()
                            }
                        }
                    });
                    text.push_str(shared);
                    Ok(())
                }
                Some(filter) => delta_event(
                    change.epoch,
                    name,
                    &view.delta,
                    Some(filter),
                    &zone,
                    &mut text,
                ),
            };
            if let Err(error) = written {
                error_event(name, &error, &mut text);
            }
        }
        // Every row may have been filtered out.
        if text.is_empty() {
            text.push_str(":\n\n");
        }
        text
    }
}

fn begin_data(event: &str, epoch: Epoch, name: &str, text: &mut String) {
    text.push_str(&format!("event: {event}\nid: {epoch}\ndata: {{\"view\":"));
    write_text(name, text);
    text.push_str(&format!(",\"epoch\":{epoch}"));
}

fn snapshot_event(
    snapshot: &Snapshot,
    name: &str,
    watched: &Watched,
    zone: &Arc<str>,
    text: &mut String,
) -> Result<(), ServeError> {
    let collections = snapshot.collections();
    let Some(collection) = collections.iter().find(|known| known.name == name) else {
        return Ok(());
    };
    let start = text.len();
    let mut write = || {
        begin_data("snapshot", snapshot.epoch(), name, text);
        text.push_str(",\"columns\":");
        write_columns(&schema_in(&collection.schema, zone), text);
        text.push_str(",\"rows\":[");
        let mut written = 0;
        if watched.wants_snapshot {
            for batch in snapshot.scan(name, None)? {
                let rows = rows_in(&batch, zone)?;
                let rows = match mask(watched.filter.as_ref(), &rows)? {
                    Some(kept) => filter_record_batch(&rows, &kept)?,
                    None => rows,
                };
                write_rows(&rows, &mut written, text)?;
            }
        }
        text.push_str("]}\n\n");
        Ok(())
    };
    let outcome: Result<(), ServeError> = write();
    if outcome.is_err() {
        text.truncate(start);
    }
    outcome
}

fn delta_event(
    epoch: Epoch,
    name: &str,
    delta: &Delta,
    filter: Option<&Arc<dyn PhysicalExpr>>,
    zone: &Arc<str>,
    text: &mut String,
) -> Result<(), ServeError> {
    let rows = rows_in(delta.rows(), zone)?;
    let kept = mask(filter, &rows)?;
    if kept.as_ref().is_some_and(|kept| kept.true_count() == 0) {
        return Ok(());
    }
    let writer = RowWriter::new(&rows)?;
    begin_data("delta", epoch, name, text);
    text.push_str(",\"changes\":[");
    let mut is_first = true;
    for (row, weight) in delta.weights().iter().enumerate() {
        if kept.as_ref().is_some_and(|kept| !kept.value(row)) {
            continue;
        }
        if !is_first {
            text.push(',');
        }
        is_first = false;
        text.push_str(&format!("[{weight},"));
        writer.write(row, text);
        text.push(']');
    }
    text.push_str("]}\n\n");
    Ok(())
}

fn error_event(name: &str, error: &ServeError, text: &mut String) {
    text.push_str("event: problem\ndata: {\"view\":");
    write_text(name, text);
    text.push_str(",\"detail\":");
    write_text(&error.to_string(), text);
    text.push_str("}\n\n");
}
