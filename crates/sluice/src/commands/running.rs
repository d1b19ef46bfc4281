//! Asks a running warehouse over its HTTP API, as its own user.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;

use crate::address;
use crate::failure::{Doing, Failure};
use crate::lock::lock_to_read;
use crate::project::Project;

/// How long the warehouse may take to answer.
const ANSWER_TIME: Duration = Duration::from_secs(30);
/// How often it is asked again, and with what pauses, where it has answered as many
/// requests as it does in a second.
const TURNS_MAX: u32 = 30;
const TURN_PAUSE: Duration = Duration::from_secs(1);

/// Which warehouse.
#[derive(Debug, clap::Args)]
pub struct Place {
    /// The project's folder (default: the current one).
    #[arg(long, value_name = "DIR", default_value = ".")]
    project: PathBuf,
    /// Where the warehouse lives on disk.
    #[arg(long, value_name = "DIR")]
    state: Option<PathBuf>,
}

impl Place {
    /// The project's folder.
    pub fn project(&self) -> &Path {
        &self.project
    }

    /// Where the warehouse of a project lives on disk.
    pub fn state_folder(&self, project: &Project) -> PathBuf {
        project.state_folder(self.state.as_deref())
    }
}

fn state_folder(place: &Place) -> Result<PathBuf, Failure> {
    match &place.state {
        Some(state) => Ok(state.clone()),
        None => Ok(Project::load(&place.project, &[])?.state_folder(None)),
    }
}

/// Asks the API of the running warehouse; the answer is JSON, or nothing. Where it
/// answers only so many requests a second, this one waits for its turn.
///
/// # Errors
/// When the warehouse does not run, or refuses.
pub fn ask(
    place: &Place,
    method: &str,
    path: &str,
    body: Option<String>,
) -> Result<Value, Failure> {
    for _ in 0..TURNS_MAX {
        if let Some(answer) = ask_once(place, method, path, body.as_deref())? {
            return Ok(answer);
        }
        std::thread::sleep(TURN_PAUSE);
    }
    Err(Failure::Failed(
        "the running warehouse answers too many other requests: see limits.requests_per_second_max"
            .to_owned(),
    ))
}

/// The answer; `None` if it has to wait for its turn.
fn ask_once(
    place: &Place,
    method: &str,
    path: &str,
    body: Option<&str>,
) -> Result<Option<Value>, Failure> {
    let state = state_folder(place)?;
    require_running(&state)?;
    let found = address::find(&state)?;
    let http = found.http;
    let authorization = format!("Bearer {}", found.secret.unwrap_or_default());
    let url = format!("http://{http}{path}");
    let config = ureq::Agent::config_builder()
        .timeout_global(Some(ANSWER_TIME))
        .http_status_as_error(false)
        .build();
    let agent: ureq::Agent = config.into();
    let what = "asking the running warehouse";
    let answer = match (method, body) {
        ("POST", Some(body)) => agent
            .post(&url)
            .header("Content-Type", "application/json")
            .header("Authorization", &authorization)
            .send(body),
        ("DELETE", _) => agent
            .delete(&url)
            .header("Authorization", &authorization)
            .call(),
        _ => agent
            .get(&url)
            .header("Authorization", &authorization)
            .call(),
    };
    let mut answer = answer.doing(what)?;
    let status = answer.status();
    let text = answer.body_mut().read_to_string().doing(what)?;
    match status.as_u16() {
        204 => return Ok(Some(Value::Null)),
        429 => return Ok(None),
        _ => {}
    }
    let value: Value = serde_json::from_str(&text).doing(what)?;
    match status.is_success() {
        true => Ok(Some(value)),
        false => Err(Failure::Failed(
            value["detail"].as_str().unwrap_or(&text).to_owned(),
        )),
    }
}

fn require_running(state: &Path) -> Result<(), Failure> {
    match lock_to_read(state)? {
        None => Ok(()),
        Some(_) => Err(Failure::Failed(format!(
            "the warehouse in {} does not run, and nothing else can answer this\n  help: start it with `sluice run`",
            state.display()
        ))),
    }
}

/// A value as it is printed.
pub fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        other => other.to_string(),
    }
}

/// Writes a line; whoever closed the pipe has seen enough.
pub fn say(line: &str) {
    let _ = writeln!(std::io::stdout(), "{line}");
}
