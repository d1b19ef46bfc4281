//! The poll source: an HTTP address that is asked again and again.
//!
//! An answer is JSON: an array of items, or an object that holds one. Each item
//! becomes a record. A cursor (the greatest id or time that was seen, or a token
//! of the answer) says what to ask for next; it is kept in the records'
//! positions, so that a restart asks for what is not in the log yet.

use std::io;
use std::time::Duration;

use bytes::Bytes;
use serde_json::Value;
use sluice_core::{Clock, Record, RecordKind};
use std::sync::Arc;

use crate::CaptureBatch;
use crate::source_position::cursor_position;

/// Longest time between attempts while an address does not answer.
const BACK_OFF_MAX: Duration = Duration::from_secs(300);
/// Shortest time between attempts while an address does not answer.
const BACK_OFF_MIN: Duration = Duration::from_secs(1);

/// What says which items are new.
#[derive(Debug, Clone)]
pub struct PollCursor {
    /// Parameter of the URL.
    pub parameter: String,
    /// JSON pointer to the cursor, in the last item or in the answer.
    pub field: String,
    /// Value of the first request.
    pub start: Option<String>,
    /// The cursor is a field of the answer.
    pub of_answer: bool,
}

/// Settings of a poll source.
#[derive(Debug, Clone)]
pub struct PollSourceOptions {
    /// Name, for messages.
    pub name: String,
    /// The address.
    pub url: String,
    /// Time between requests.
    pub interval: Duration,
    /// JSON pointer to the array of items; empty if the answer is that array.
    pub items: String,
    /// What says which items are new; without it every item of every answer is
    /// a record.
    pub cursor: Option<PollCursor>,
    /// Headers of the request.
    pub headers: Vec<(String, String)>,
    /// Time of one request.
    pub time_max: Duration,
    /// Bytes of one answer.
    pub answer_bytes_max: u64,
}

/// See the module.
#[derive(Debug)]
pub struct PollSource {
    options: PollSourceOptions,
    clock: Arc<dyn Clock>,
    agent: ureq::Agent,
    cursor: Option<String>,
    next_us: i64,
    failures: u32,
    trouble: Option<String>,
}

/// Why a request gave no items.
#[derive(Debug)]
struct Trouble {
    message: String,
    retry_after: Option<Duration>,
}

impl Trouble {
    fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            retry_after: None,
        }
    }
}

impl PollSource {
    /// A source that goes on at `cursor`.
    pub fn new(options: PollSourceOptions, clock: Arc<dyn Clock>, cursor: Option<String>) -> Self {
        let config = ureq::Agent::config_builder()
            .timeout_global(Some(options.time_max))
            .http_status_as_error(false)
            .build();
        let start = || {
            options
                .cursor
                .as_ref()
                .and_then(|cursor| cursor.start.clone())
        };
        Self {
            cursor: cursor.or_else(start),
            agent: config.into(),
            next_us: i64::MIN,
            failures: 0,
            trouble: None,
            clock,
            options,
        }
    }

    /// Asks the address, if it is time to. The batch is at its end when nothing
    /// is to be asked now.
    pub fn poll(&mut self) -> CaptureBatch {
        let now_us = self.clock.now_us();
        let mut batch = CaptureBatch {
            at_end: true,
            ..CaptureBatch::default()
        };
        if now_us < self.next_us {
            return batch;
        }
        let wait = match self.ask(now_us) {
            Ok(records) => {
                self.failures = 0;
                if self.trouble.take().is_some() {
                    let name = &self.options.name;
                    batch
                        .warnings
                        .push(format!("{name}: the address answers again"));
                }
                let has_more = !records.is_empty() && self.options.cursor.is_some();
                batch.at_end = !has_more;
                batch.records = records;
                // With a cursor, a full page may be followed by another one.
                match has_more {
                    true => Duration::ZERO,
                    false => self.options.interval,
                }
            }
            Err(trouble) => {
                let doubled = BACK_OFF_MIN * 2_u32.saturating_pow(self.failures.min(16));
                self.failures += 1;
                if self.trouble.as_ref() != Some(&trouble.message) {
                    let name = &self.options.name;
                    batch
                        .warnings
                        .push(format!("{name}: {}; trying again", trouble.message));
                    self.trouble = Some(trouble.message);
                }
                let back_off = doubled.max(self.options.interval.min(BACK_OFF_MAX));
                trouble.retry_after.unwrap_or(back_off).min(BACK_OFF_MAX)
            }
        };
        self.next_us = now_us + i64::try_from(wait.as_micros()).unwrap_or(i64::MAX);
        batch
    }

    /// Why the address does not answer, while it does not.
    pub fn trouble(&self) -> Option<&str> {
        self.trouble.as_deref()
    }

    fn ask(&mut self, now_us: i64) -> Result<Vec<Record>, Trouble> {
        let mut answer = self.request()?;
        let items = answer
            .pointer_mut(&self.options.items)
            .map(Value::take)
            .and_then(|items| match items {
                Value::Array(items) => Some(items),
                _ => None,
            });
        let Some(items) = items else {
            let place = match self.options.items.as_str() {
                "" => "as the whole",
                pointer => pointer,
            };
            return Err(Trouble::new(format!("the answer has no array {place}")));
        };
        let cursors = self.cursors(&answer, &items)?;
        let mut records = Vec::with_capacity(items.len());
        for (item, cursor) in items.iter().zip(&cursors) {
            let position = cursor.as_deref().map(cursor_position).unwrap_or_default();
            records.push(Record {
                kind: RecordKind::Data,
                payload: Bytes::from(item.to_string()),
                capture_time_us: now_us,
                position: Bytes::from(position),
                transaction: None,
            });
        }
        if let Some(Some(last)) = cursors.last() {
            if self.cursor.as_ref() == Some(last) && self.options.cursor.is_some() {
                // An address that goes on giving what it gave must not fill
                // the log with it.
                return Ok(Vec::new());
            }
            self.cursor = Some(last.clone());
        }
        Ok(records)
    }

    /// The cursor that belongs behind each item. A token of the answer belongs
    /// behind its last item: what comes before repeats the whole answer.
    fn cursors(&self, answer: &Value, items: &[Value]) -> Result<Vec<Option<String>>, Trouble> {
        let Some(definition) = &self.options.cursor else {
            return Ok(vec![None; items.len()]);
        };
        let text = |value: &Value| match value.pointer(&definition.field) {
            Some(Value::String(text)) => Some(text.clone()),
            Some(Value::Null) | None => None,
            Some(other) => Some(other.to_string()),
        };
        if definition.of_answer {
            let mut cursors = vec![self.cursor.clone(); items.len()];
            if let Some(last) = cursors.last_mut() {
                *last = text(answer).or_else(|| self.cursor.clone());
            }
            return Ok(cursors);
        }
        let cursors: Vec<Option<String>> = items.iter().map(text).collect();
        match cursors.iter().position(Option::is_none) {
            Some(number) => Err(Trouble::new(format!(
                "item {} of the answer has no {}",
                number + 1,
                definition.field
            ))),
            None => Ok(cursors),
        }
    }

    fn request(&self) -> Result<Value, Trouble> {
        let mut request = self.agent.get(&self.options.url);
        for (name, value) in &self.options.headers {
            request = request.header(name, value);
        }
        if let (Some(definition), Some(cursor)) = (&self.options.cursor, &self.cursor) {
            request = request.query(&definition.parameter, cursor);
        }
        let mut response = request
            .call()
            .map_err(|error| Trouble::new(format!("{}: {error}", self.options.url)))?;
        let status = response.status();
        if !status.is_success() {
            let retry_after = response
                .headers()
                .get("retry-after")
                .and_then(|value| value.to_str().ok()?.parse().ok())
                .map(Duration::from_secs);
            return Err(Trouble {
                message: format!("{} answers {status}", self.options.url),
                retry_after,
            });
        }
        let body = response
            .body_mut()
            .with_config()
            .limit(self.options.answer_bytes_max)
            .read_to_vec()
            .map_err(io::Error::other);
        let body = body.map_err(|error| {
            Trouble::new(format!(
                "{}: the answer breaks off: {error}",
                self.options.url
            ))
        })?;
        serde_json::from_slice(&body).map_err(|error| {
            Trouble::new(format!(
                "{}: the answer is no JSON: {error}",
                self.options.url
            ))
        })
    }
}
