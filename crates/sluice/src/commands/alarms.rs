//! `sluice alarms`: what is wrong with a running warehouse, and silences.

use clap::Subcommand;
use serde_json::Value;
use sluice_watch::SilenceRequest;

use crate::commands::running::{self, Place, say, text};
use crate::failure::{Doing, Failure};

/// Where the alarms are answered.
const PATH: &str = "/api/v1/alarms";

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

/// Answers.
///
/// # Errors
/// When the warehouse does not run, or refuses.
pub fn run(command: AlarmsCommand) -> Result<(), Failure> {
    match command {
        AlarmsCommand::List { place, json } => {
            let answer = running::ask(&place, "GET", PATH, None)?;
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
            let silence = running::ask(&place, "POST", &format!("{PATH}/silences"), Some(body))?;
            say(&format!(
                "silence {} until {}",
                silence["id"],
                text(&silence["until"])
            ));
            Ok(())
        }
        AlarmsCommand::Unsilence { id, place } => {
            running::ask(&place, "DELETE", &format!("{PATH}/silences/{id}"), None)?;
            say(&format!("silence {id} is over"));
            Ok(())
        }
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
