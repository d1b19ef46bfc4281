//! `POST /api/v1/panels`: keeps a panel that was made on the page, once it is in
//! force. `DELETE /api/v1/panels/{name}` removes one.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;

use super::HttpState;
use super::dead_letters::require_json;
use super::panels::no_panel;
use super::problem::Problem;
use crate::panels::{
    KeepPanels, PanelAnswer, PanelDefinitions, PanelFile, Panels, Part, SAVED_MARK, SavedPanel,
    check_name,
};
use crate::session::SESSION;
use crate::{QueryEngine, ServeError};

/// How long the warehouse may take to read its files again.
const IN_FORCE_TIME_MAX: Duration = Duration::from_secs(20);
const LOOK_INTERVAL: Duration = Duration::from_millis(50);

/// The text of the panel that is in force.
fn text_of(state: &HttpState, name: &str) -> Option<String> {
    let panel = state.panels.read().get(name)?;
    Some(panel.panel.file_text.clone())
}

fn keeper(state: &HttpState) -> Result<Arc<dyn KeepPanels>, Problem> {
    let keeper = state.panel_keeper.read().clone();
    keeper.ok_or_else(|| {
        let detail = "this warehouse keeps no panels";
        Problem::new(StatusCode::NOT_FOUND, detail)
    })
}

fn conflict(detail: String) -> Problem {
    Problem::new(StatusCode::CONFLICT, detail)
}

/// The text of the panel that one of this name replaces, if it may.
fn require_free(
    state: &HttpState,
    name: &str,
    may_replace: bool,
) -> Result<Option<String>, Problem> {
    let before = text_of(state, name);
    match &before {
        Some(known) if !known.starts_with(SAVED_MARK) => Err(conflict(format!(
            "`{name}` is a panel of the project; take another name"
        ))),
        Some(_) if !may_replace => Err(conflict(format!(
            "there is a panel `{name}` that was saved before; say so to replace it"
        ))),
        _ => Ok(before),
    }
}

/// Waits until what the page shows is what was kept.
async fn in_force(state: &HttpState, name: &str, wanted: Option<&str>) -> bool {
    let waiting = async {
        while text_of(state, name).as_deref() != wanted {
            tokio::time::sleep(LOOK_INTERVAL).await;
        }
    };
    let waited = tokio::time::timeout(IN_FORCE_TIME_MAX, waiting);
    waited.await.is_ok()
}

async fn blocking(
    work: impl FnOnce() -> Result<(), String> + Send + 'static,
) -> Result<(), Problem> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|_| Problem::interrupted())?.map_err(conflict)
}

pub(super) async fn save(
    State(state): State<Arc<HttpState>>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Problem> {
    require_json(&headers)?;
    let bad = |detail: String| Problem::new(StatusCode::BAD_REQUEST, detail);
    let keeper = keeper(&state)?;
    let panel: SavedPanel = serde_json::from_slice(&body)
        .map_err(|error| bad(format!("the body is no panel: {error}")))?;
    let text = panel.file().map_err(bad)?;
    let name = panel.name.clone();
    // For the audit log, which leaves out what stands in a statement.
    let _ = SESSION.try_with(|session| session.ask(&panel.statements()));
    require_free(&state, &name, panel.replace)?;
    let file = PanelFile {
        path: format!("panels/{name}.toml"),
        text: text.clone(),
    };
    {
        let _turn = state.query_turn().await?;
        let try_it = tried(state.engine.clone(), file, name.clone(), state.today()?);
        state.engine.apart(try_it).await?.map_err(bad)?;
    }
    // A task of its own: whoever hangs up leaves no panel that is not in force.
    let keeping = keep_in_force(state, keeper, name.clone(), text, panel.replace);
    let kept = tokio::spawn(keeping).await;
    kept.map_err(|_| Problem::interrupted())??;
    let headers = [
        (header::CONTENT_TYPE, "application/json".to_owned()),
        (header::LOCATION, format!("/api/v1/panels/{name}")),
    ];
    let body = json!({ "name": name });
    Ok((StatusCode::CREATED, headers, format!("{body}\n")).into_response())
}

/// Plans a panel, and asks it and its detail once: whoever keeps it must be able to
/// read it, within the limits. Within the result what is wrong with its file.
async fn tried(
    engine: Arc<QueryEngine>,
    file: PanelFile,
    name: String,
    today: i32,
) -> Result<Result<(), String>, ServeError> {
    let read = PanelDefinitions::parse(&[file], None);
    let checked = match read.and_then(|read| Panels::check(&read, &engine)) {
        Ok(checked) => checked,
        Err(errors) => {
            let messages: Vec<String> = errors.iter().map(|error| error.message.clone()).collect();
            return Ok(Err(messages.join("; ")));
        }
    };
    let Some(checked) = checked.get(&name) else {
        return Ok(Ok(()));
    };
    for part in [Part::Figures, Part::Detail] {
        if checked.query(part).is_none() {
            continue;
        }
        let values = match checked.values(part, |_| None, today) {
            Ok(values) => values,
            Err(problem) => return Ok(Err(problem)),
        };
        PanelAnswer::ask(&engine, checked.clone(), part, values).await?;
    }
    Ok(Ok(()))
}

/// Why the warehouse does not take the files of its project.
fn refusal(state: &HttpState) -> String {
    let why = state.models.read().change.clone();
    why.unwrap_or_else(|| "the warehouse did not take it in time".to_owned())
}

/// Keeps the file of a panel until it is in force, or takes it back.
async fn keep_in_force(
    state: Arc<HttpState>,
    keeper: Arc<dyn KeepPanels>,
    name: String,
    text: String,
    may_replace: bool,
) -> Result<(), Problem> {
    let _one = state.panel_change.lock().await;
    // Somebody else may have kept one while this one was tried.
    let before = require_free(&state, &name, may_replace)?;
    let kept = {
        let (keeper, name, text) = (keeper.clone(), name.clone(), text.clone());
        blocking(move || keeper.keep(&name, &text))
    };
    kept.await?;
    if in_force(&state, &name, Some(&text)).await {
        return Ok(());
    }
    let why = refusal(&state);
    blocking(move || match before {
        Some(before) => keeper.keep(&name, &before),
        None => keeper.remove(&name),
    })
    .await?;
    Err(conflict(format!("the panel was taken back: {why}")))
}

pub(super) async fn remove(
    State(state): State<Arc<HttpState>>,
    Path(name): Path<String>,
) -> Result<Response, Problem> {
    let keeper = keeper(&state)?;
    let _one = state.panel_change.lock().await;
    check_name(&name).map_err(|detail| Problem::new(StatusCode::BAD_REQUEST, detail))?;
    match text_of(&state, &name) {
        None => return Err(Problem::new(StatusCode::NOT_FOUND, no_panel(&name))),
        Some(text) if !text.starts_with(SAVED_MARK) => {
            return Err(conflict(format!("`{name}` is a panel of the project")));
        }
        Some(_) => {}
    }
    let removed = name.clone();
    blocking(move || keeper.remove(&removed)).await?;
    if !in_force(&state, &name, None).await {
        return Err(conflict(format!(
            "its file is removed, and the panel goes as soon as the project is right again: {}",
            refusal(&state)
        )));
    }
    Ok(StatusCode::NO_CONTENT.into_response())
}
