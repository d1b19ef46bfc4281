//! Messages as JSON over HTTP: a webhook of one's own, or an Alertmanager
//! (<https://github.com/prometheus/alertmanager/blob/main/api/v2/openapi.yaml>).

use std::time::Duration;

use serde_json::{Value, json};

use crate::instance::{Instance, Phase};
use crate::message;
use crate::receiver::{Notification, Receiver, SendError};

const ANSWER_TIME: Duration = Duration::from_secs(15);
/// An Alertmanager forgets an alarm of which it does not hear for this long.
const ALERTMANAGER_ENDS_US: i64 = 300_000_000;
const ALERTMANAGER_HEARTBEAT_US: i64 = 60_000_000;

/// A receiver over HTTP.
pub struct HttpPost {
    name: String,
    url: String,
    authorization: Option<String>,
    is_alertmanager: bool,
    agent: ureq::Agent,
}

impl HttpPost {
    /// A webhook: every message is posted to `url` as one JSON object.
    pub fn webhook(name: String, url: String, authorization: Option<String>) -> Self {
        Self::new(name, url, authorization, false)
    }

    /// An Alertmanager whose API is below `url`.
    pub fn alertmanager(name: String, url: &str, authorization: Option<String>) -> Self {
        let url = format!("{}/api/v2/alerts", url.trim_end_matches('/'));
        Self::new(name, url, authorization, true)
    }

    fn new(
        name: String,
        url: String,
        authorization: Option<String>,
        is_alertmanager: bool,
    ) -> Self {
        let config = ureq::Agent::config_builder()
            .timeout_global(Some(ANSWER_TIME))
            .http_status_as_error(false)
            .max_redirects(0)
            .build();
        Self {
            name,
            url,
            authorization,
            is_alertmanager,
            agent: config.into(),
        }
    }

    fn body(&self, notification: &Notification) -> Value {
        match self.is_alertmanager {
            true => alertmanager_body(notification),
            false => webhook_body(notification),
        }
    }
}

impl Receiver for HttpPost {
    fn name(&self) -> &str {
        &self.name
    }

    fn send(&self, notification: &Notification) -> Result<(), SendError> {
        let mut request = self
            .agent
            .post(&self.url)
            .header("Content-Type", "application/json")
            .header("Idempotency-Key", &notification.id);
        if let Some(authorization) = &self.authorization {
            request = request.header("Authorization", authorization);
        }
        let answer = request.send(self.body(notification).to_string());
        // The address may hold a secret, and is not named.
        let status = match answer {
            Ok(answer) => answer.status(),
            Err(error) => return Err(SendError::Unreachable(error.to_string())),
        };
        match status.as_u16() {
            200..300 => Ok(()),
            // 429: it has enough for now.
            400..=499 if status.as_u16() != 429 => {
                Err(SendError::Refused(format!("it answers {status}")))
            }
            _ => Err(SendError::Unreachable(format!("it answers {status}"))),
        }
    }

    fn heartbeat_us(&self) -> Option<i64> {
        self.is_alertmanager.then_some(ALERTMANAGER_HEARTBEAT_US)
    }
}

fn time(time_us: i64) -> String {
    let time = chrono::DateTime::from_timestamp_micros(time_us).unwrap_or_default();
    time.format("%Y-%m-%dT%H:%M:%S%.3fZ").to_string()
}

fn webhook_body(notification: &Notification) -> Value {
    let instance = |instance: &Instance| {
        json!({
            "state": instance.phase.name(),
            "severity": instance.severity,
            "labels": instance.labels,
            "value": instance.value,
            "before": instance.before,
            "message": instance.message,
            "since": time(instance.since_us),
            "fired": instance.fired_us.map(time),
            "resolved": instance.resolved_us.map(time),
        })
    };
    let instances = notification.firing.iter().chain(&notification.resolved);
    json!({
        "version": 1,
        "id": notification.id,
        "warehouse": notification.warehouse,
        "state": if notification.firing.is_empty() { "resolved" } else { "firing" },
        "alarm": notification.alarm,
        "title": notification.title,
        "severity": notification.severity,
        "owner": notification.owner,
        "link": notification.link,
        "subject": message::subject(notification),
        "text": message::body(notification),
        "instances": instances.map(instance).collect::<Vec<_>>(),
    })
}

fn alertmanager_body(notification: &Notification) -> Value {
    let alert = |instance: &Instance| {
        let mut labels = serde_json::Map::new();
        for (name, value) in &instance.labels {
            labels.insert(label_name(name), json!(value));
        }
        let own = [
            ("alertname", instance.alarm.clone()),
            ("severity", instance.severity.to_string()),
            ("owner", instance.owner.clone()),
            ("warehouse", notification.warehouse.clone()),
        ];
        for (name, value) in own {
            labels.insert(name.to_owned(), json!(value));
        }
        let ends_us = match instance.phase {
            Phase::Resolved => instance.resolved_us.unwrap_or(notification.time_us),
            Phase::Pending | Phase::Firing => notification.time_us + ALERTMANAGER_ENDS_US,
        };
        json!({
            "labels": labels,
            "annotations": {
                "summary": instance.title,
                "description": instance.message,
                "value": instance.value,
            },
            "startsAt": time(instance.since_us),
            "endsAt": time(ends_us),
            "generatorURL": notification.link.clone().unwrap_or_default(),
        })
    };
    let instances = notification.firing.iter().chain(&notification.resolved);
    instances.map(alert).collect()
}

/// Letters, digits and underscores, as label names of Prometheus have.
fn label_name(name: &str) -> String {
    let characters = name.chars().enumerate().map(|(place, character)| {
        let is_allowed = character.is_ascii_alphabetic()
            || character == '_'
            || character.is_ascii_digit() && place > 0;
        if is_allowed { character } else { '_' }
    });
    characters.collect()
}
