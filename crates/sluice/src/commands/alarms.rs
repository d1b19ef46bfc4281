//! `sluice alarms`: what is wrong with a running warehouse, and silences.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Subcommand;
use serde_json::Value;
use sluice_watch::SilenceRequest;

use crate::address;
use crate::failure::{Doing, Failure};
use crate::lock::lock_to_read;
use crate::project::Project;

/// How long the warehouse may take to answer.
const ANSWER_TIME: Duration = Duration::from_secs(30);

/// What is asked of the alarms.
#[derive(Debug, Subcommand)]
pub enum AlarmsCommand {
    /// What fires, what is about to, and what is silenced.
    List {
        #[command(flatten)]
        place: Place,
        /// As JSON, with every alarm that is defined.
        #[arg(long)]
        json: bool,
    },
    /// Tell nobody of an alarm for a while.
    Silence {
        /// The alarm; without one, all that have the labels.
        alarm: Option<String>,
        #[command(flatten)]
        place: Place,
        /// How long, such as "2 hours".
        #[arg(long = "for", value_name = "TIME")]
        length: String,
        /// Only instances with this label.
        #[arg(long = "label", value_name = "NAME=VALUE", value_parser = crate::parse_setting)]
        labels: Vec<(String, String)>,
        /// Why.
        #[arg(long, default_value = "")]
        comment: String,
    },
    /// End a silence before its time.
    Unsilence {
        /// Its number, from `sluice alarms list`.
        id: u64,
        #[command(flatten)]
        place: Place,
    },
}

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

/// Answers.
///
/// # Errors
/// When the warehouse does not run, or refuses.
pub fn run(command: AlarmsCommand) -> Result<(), Failure> {
    match command {
        AlarmsCommand::List { place, json } => {
            let answer = ask(&place, "GET", "", None)?;
            match json {
                true => say(&format!("{answer:#}")),
                false => list(&answer),
            }
            Ok(())
        }
        AlarmsCommand::Silence {
            alarm,
            place,
            length,
            labels,
            comment,
        } => {
            let request = SilenceRequest {
                alarm,
                labels: labels.into_iter().collect(),
                length,
                comment,
                by: std::env::var("USER").unwrap_or_default(),
            };
            let body = serde_json::to_string(&request).doing("writing the request")?;
            let silence = ask(&place, "POST", "/silences", Some(body))?;
            say(&format!(
                "silence {} until {}",
                silence["id"],
                text(&silence["until"])
            ));
            Ok(())
        }
        AlarmsCommand::Unsilence { id, place } => {
            ask(&place, "DELETE", &format!("/silences/{id}"), None)?;
            say(&format!("silence {id} is over"));
            Ok(())
        }
    }
}

fn state_folder(place: &Place) -> Result<PathBuf, Failure> {
    match &place.state {
        Some(state) => Ok(state.clone()),
        None => Ok(Project::load(&place.project, &[])?.state_folder(None)),
    }
}

fn ask(place: &Place, method: &str, path: &str, body: Option<String>) -> Result<Value, Failure> {
    let state = state_folder(place)?;
    require_running(&state)?;
    let found = address::find(&state)?;
    let http = found.http;
    let authorization = format!("Bearer {}", found.secret.unwrap_or_default());
    let url = format!("http://{http}/api/v1/alarms{path}");
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
    if status.as_u16() == 204 {
        return Ok(Value::Null);
    }
    let value: Value = serde_json::from_str(&text).doing(what)?;
    match status.is_success() {
        true => Ok(value),
        false => Err(Failure::Failed(
            value["detail"].as_str().unwrap_or(&text).to_owned(),
        )),
    }
}

fn require_running(state: &Path) -> Result<(), Failure> {
    match lock_to_read(state)? {
        None => Ok(()),
        Some(_) => Err(Failure::Failed(format!(
            "the warehouse in {} does not run, and a warehouse that does not run has no alarms\n  help: start it with `sluice run`",
            state.display()
        ))),
    }
}

fn list(answer: &Value) {
    let empty = Vec::new();
    let array = |name: &str| answer[name].as_array().unwrap_or(&empty).clone();
    let instances = array("instances");
    if instances.is_empty() {
        say(&format!(
            "nothing is wrong: {} alarms watch",
            array("alarms").len()
        ));
    }
    for instance in instances {
        let labels = instance["labels"].as_object().cloned().unwrap_or_default();
        let labels: Vec<String> = labels
            .iter()
            .map(|(name, value)| format!("{name}={}", text(value)))
            .collect();
        let silenced = match instance["silenced"].as_bool() {
            Some(true) => ", silenced",
            _ => "",
        };
        say(&format!(
            "{:8}  {:8}  {}  {}  {} (since {}, owner {}{silenced})",
            text(&instance["state"]),
            text(&instance["severity"]),
            text(&instance["alarm"]),
            labels.join(","),
            text(&instance["message"]),
            text(&instance["since"]),
            text(&instance["owner"]),
        ));
    }
    for alarm in array("alarms") {
        if let Some(error) = alarm["error"].as_str() {
            say(&format!(
                "cannot be evaluated: {}: {error}",
                text(&alarm["name"])
            ));
        }
    }
    for silence in array("silences") {
        say(&format!(
            "silence {}: {} {} until {} {}",
            silence["id"],
            silence["alarm"].as_str().unwrap_or("*"),
            silence["labels"],
            text(&silence["until"]),
            text(&silence["comment"]),
        ));
    }
    for undelivered in array("undelivered") {
        say(&format!(
            "not delivered yet: {}: {}",
            text(&undelivered["to"]),
            text(&undelivered["error"])
        ));
    }
}

fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        other => other.to_string(),
    }
}

/// Writes a line; whoever closed the pipe has seen enough.
fn say(line: &str) {
    let _ = writeln!(std::io::stdout(), "{line}");
}
