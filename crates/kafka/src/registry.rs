//! A schema registry: which schema a record is written by.
//!
//! A record begins with a zero byte and the number of its schema in four
//! bytes, the highest first; the value follows (Confluent's wire format:
//! <https://docs.confluent.io/platform/current/schema-registry/fundamentals/serdes-develop/index.html#wire-format>).
//! The registry answers `GET /schemas/ids/NUMBER`, and for schemas that others
//! refer to `GET /subjects/SUBJECT/versions/VERSION`.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;

use crate::avro::{Schema, SchemaReader};
use crate::base64::base64;
use crate::options::RegistryOptions;

/// Time of one request.
const REQUEST_TIME: Duration = Duration::from_secs(10);
const ANSWER_BYTES_MAX: u64 = 8 << 20;
/// Schemas that one refers to, those that these refer to counted.
const REFERENCES_MAX: usize = 200;
/// How long a schema that the registry does not have is not asked for again.
const UNKNOWN_US: i64 = 10_000_000;

/// A schema by which values are read.
#[derive(Debug, Clone)]
pub(crate) enum Writer {
    /// Avro.
    Avro(Arc<Schema>),
    /// JSON: the value is its own text.
    Json,
    /// None that can be used, and why not.
    Unusable(String),
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Registry {
    options: RegistryOptions,
    agent: ureq::Agent,
    known: BTreeMap<u32, Writer>,
    /// Numbers that it did not know, and when it was asked.
    unknown: BTreeMap<u32, i64>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    schema: String,
    #[serde(default)]
    schema_type: Option<String>,
    #[serde(default)]
    references: Vec<Reference>,
}

#[derive(Debug, Deserialize)]
struct Reference {
    subject: String,
    version: i64,
}

/// What a registry says when it does not have what was asked for.
#[derive(Debug, Deserialize)]
struct Refusal {
    error_code: i64,
}

/// Subject, version or schema are not there.
const NOT_FOUND: [i64; 3] = [40_401, 40_402, 40_403];

impl Registry {
    pub(crate) fn new(options: RegistryOptions) -> Self {
        let config = ureq::Agent::config_builder()
            .timeout_global(Some(REQUEST_TIME))
            .http_status_as_error(false)
            .build();
        Self {
            options,
            agent: config.into(),
            known: BTreeMap::new(),
            unknown: BTreeMap::new(),
        }
    }

    /// One whose answers are known.
    #[cfg(test)]
    pub(crate) fn knowing(known: BTreeMap<u32, Writer>) -> Self {
        let options = RegistryOptions {
            url: String::new(),
            user: None,
        };
        Self {
            known,
            ..Self::new(options)
        }
    }

    /// The schema with this number.
    ///
    /// # Errors
    /// Why the registry cannot be asked now.
    pub(crate) fn writer(&mut self, number: u32, now_us: i64) -> Result<Writer, String> {
        if let Some(known) = self.known.get(&number) {
            return Ok(known.clone());
        }
        let unknown = || {
            let url = &self.options.url;
            Writer::Unusable(format!("the registry {url} has no schema {number}"))
        };
        let asked_us = self.unknown.get(&number);
        if asked_us.is_some_and(|asked| now_us.saturating_sub(*asked) < UNKNOWN_US) {
            return Ok(unknown());
        }
        let Some(answer) = self.ask(&format!("schemas/ids/{number}"))? else {
            let writer = unknown();
            self.unknown.insert(number, now_us);
            return Ok(writer);
        };
        let writer = match answer.schema_type.as_deref() {
            None | Some("AVRO") => {
                let mut reader = SchemaReader::default();
                let mut seen = Vec::new();
                let read = match self.refer(&answer.references, &mut reader, &mut seen)? {
                    Ok(()) => reader.finish(&answer.schema).map_err(|bad| bad.to_string()),
                    Err(problem) => Err(problem),
                };
                match read {
                    Ok(schema) => Writer::Avro(Arc::new(schema)),
                    Err(problem) => Writer::Unusable(format!("schema {number}: {problem}")),
                }
            }
            Some("JSON") => Writer::Json,
            Some(other) => Writer::Unusable(format!(
                "schema {number} is one of {other}; Avro and JSON are read"
            )),
        };
        self.unknown.remove(&number);
        self.known.insert(number, writer.clone());
        Ok(writer)
    }

    /// Reads the schemas that one refers to, those that they refer to first.
    /// The outer error is that the registry cannot be asked now.
    fn refer(
        &self,
        references: &[Reference],
        reader: &mut SchemaReader,
        seen: &mut Vec<(String, i64)>,
    ) -> Result<Result<(), String>, String> {
        for Reference { subject, version } in references {
            let reference = (subject.clone(), *version);
            if seen.contains(&reference) {
                continue;
            }
            if seen.len() >= REFERENCES_MAX {
                let problem = format!("it refers to more than {REFERENCES_MAX} others");
                return Ok(Err(problem));
            }
            seen.push(reference);
            let path = format!("subjects/{}/versions/{version}", encoded(subject));
            let Some(answer) = self.ask(&path)? else {
                let problem = format!(
                    "it refers to version {version} of `{subject}`, which the registry does not have"
                );
                return Ok(Err(problem));
            };
            if let Err(problem) = self.refer(&answer.references, reader, seen)? {
                return Ok(Err(problem));
            }
            if let Err(bad) = reader.refer(&answer.schema) {
                return Ok(Err(format!("version {version} of `{subject}`: {bad}")));
            }
        }
        Ok(Ok(()))
    }

    /// `None` when the registry does not have it.
    fn ask(&self, path: &str) -> Result<Option<Answer>, String> {
        let url = format!("{}/{path}", self.options.url.trim_end_matches('/'));
        let mut request = self.agent.get(&url);
        if let Some((user, password)) = &self.options.user {
            let both = format!("{user}:{}", password.0);
            let header = format!("Basic {}", base64(both.as_bytes()));
            request = request.header("authorization", header);
        }
        let asked = request.call();
        let mut response = asked.map_err(|error| format!("the registry at {url}: {error}"))?;
        let status = response.status();
        let body = response.body_mut().with_config();
        let body = body.limit(ANSWER_BYTES_MAX).read_to_vec();
        let body = body.map_err(|error| format!("the answer of {url} breaks off: {error}"))?;
        if !status.is_success() {
            let refusal = serde_json::from_slice::<Refusal>(&body).ok();
            return match refusal {
                Some(refusal) if NOT_FOUND.contains(&refusal.error_code) => Ok(None),
                _ => Err(format!("the registry at {url} answers {status}")),
            };
        }
        let answer = serde_json::from_slice(&body);
        let answer = answer.map_err(|error| format!("the answer of {url}: {error}"))?;
        Ok(Some(answer))
    }
}

/// A part of a path; a subject may hold anything.
fn encoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                out.push(char::from(byte));
            }
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}
