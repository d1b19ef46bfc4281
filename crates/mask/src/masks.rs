//! Masks records on their way into the log.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use parking_lot::Mutex;
use sluice_core::{Record, RecordKind};

use crate::apply::decrypted;
use crate::csv_masker::CsvMasker;
use crate::error::{KeyStoreError, Malformed};
use crate::json_masker::JsonMasker;
use crate::key_store::KeyStore;
use crate::rules::{RecordForm, TopicRules};
use crate::sealed::{is_whole, seal, unsealed};

#[derive(Debug)]
enum TopicMasker {
    Json(JsonMasker),
    /// With the header that was seen last.
    Csv(Mutex<CsvMasker>),
}

/// The rules of all topics, with the keys.
#[derive(Debug)]
pub struct Masks {
    topics: BTreeMap<String, TopicMasker>,
    rules: BTreeMap<String, TopicRules>,
    keys: Option<Arc<KeyStore>>,
    record_bytes_max: usize,
}

impl Masks {
    /// No rules.
    pub fn none() -> Self {
        Self {
            topics: BTreeMap::new(),
            rules: BTreeMap::new(),
            keys: None,
            record_bytes_max: usize::MAX,
        }
    }

    /// Masks for topics with their rules. A record that would be longer than
    /// `record_bytes_max` when it is masked is sealed.
    pub fn new<'a>(
        topics: impl Iterator<Item = (&'a str, &'a TopicRules)>,
        keys: Arc<KeyStore>,
        record_bytes_max: usize,
    ) -> Self {
        let topics = topics.filter(|(_, rules)| !rules.is_empty());
        let topics: Vec<(&str, &TopicRules)> = topics.collect();
        let masker = |&(topic, rules): &(&str, &TopicRules)| {
            let masker = match rules.form {
                RecordForm::Json => TopicMasker::Json(JsonMasker::new(rules)),
                RecordForm::Csv { delimiter } => {
                    TopicMasker::Csv(Mutex::new(CsvMasker::new(delimiter, rules.fields.clone())))
                }
            };
            (topic.to_owned(), masker)
        };
        Self {
            topics: topics.iter().map(masker).collect(),
            rules: topics
                .iter()
                .map(|&(topic, rules)| (topic.to_owned(), rules.clone()))
                .collect(),
            keys: Some(keys),
            record_bytes_max,
        }
    }

    /// The rules of a topic, if there are any.
    pub fn rules(&self, topic: &str) -> Option<&TopicRules> {
        self.rules.get(topic)
    }

    /// The keys, if there are rules.
    pub fn keys(&self) -> Option<&Arc<KeyStore>> {
        self.keys.as_ref()
    }

    /// Masks the payloads of `records`, which go into `topic` next. Returns the
    /// number of those that had to be sealed. All keys that were used are
    /// durable on return.
    ///
    /// # Errors
    /// When a key cannot be made or kept; the records must then not be written.
    pub fn mask(&self, topic: &str, records: &mut [Record]) -> Result<u64, KeyStoreError> {
        let (Some(masker), Some(keys)) = (self.topics.get(topic), &self.keys) else {
            return Ok(0);
        };
        let mut sealed = 0;
        for record in records {
            let masked = match record.kind {
                RecordKind::Position if record.payload.is_empty() => continue,
                // What it says is no row, and may be the text of a statement.
                RecordKind::Position => {
                    record.payload = Bytes::new();
                    continue;
                }
                // Made of what was masked, see `mask_again` and `mask_rows`.
                RecordKind::Retry | RecordKind::Backfill => continue,
                RecordKind::Data | RecordKind::CsvHeader => {
                    masker.payload(keys, record.kind, &record.payload)?
                }
            };
            let bytes_max = self.record_bytes_max;
            sealed += u64::from(put(keys, &mut record.payload, masked, bytes_max)?);
        }
        keys.sync()?;
        Ok(sealed)
    }

    /// Masks rows of an export, objects of JSON, by rules of their own: those of a
    /// topic for the columns of one of its tables. A record has `bytes_beside` beside
    /// the row. Returns the number of rows that had to be sealed. All keys that were
    /// used are durable on return.
    ///
    /// # Errors
    /// When a key cannot be made or kept; the rows must then not be written.
    pub fn mask_rows(
        &self,
        rules: &TopicRules,
        rows: &mut [Bytes],
        bytes_beside: usize,
    ) -> Result<u64, KeyStoreError> {
        let Some(keys) = self.keys.as_ref().filter(|_| !rules.is_empty()) else {
            return Ok(0);
        };
        let masker = TopicMasker::Json(JsonMasker::new(rules));
        let bytes_max = self.record_bytes_max.saturating_sub(bytes_beside);
        let mut sealed = 0;
        for row in rows {
            let masked = masker.payload(keys, RecordKind::Data, row)?;
            sealed += u64::from(put(keys, row, masked, bytes_max)?);
        }
        keys.sync()?;
        Ok(sealed)
    }

    /// Whether records of a topic are masked.
    pub fn has_rules(&self, topic: &str) -> bool {
        self.topics.contains_key(topic)
    }

    /// What a value was before it was encrypted; `None` if it is none, or its
    /// person was erased.
    pub fn decrypt(&self, value: &str) -> Option<String> {
        decrypted(self.keys.as_ref()?, value)
    }

    /// The payload of a sealed record, masked by the rules of today; `None` if it
    /// is none of these keys', is not there as a whole, or cannot be taken apart
    /// today either. Lines of CSV files belong to a header that is gone. All keys
    /// that were used are durable on return.
    ///
    /// # Errors
    /// When a key cannot be made or kept.
    pub fn mask_again(&self, topic: &str, record: &str) -> Result<Option<Bytes>, KeyStoreError> {
        let (Some(TopicMasker::Json(masker)), Some(keys)) = (self.topics.get(topic), &self.keys)
        else {
            return Ok(None);
        };
        let payload = unsealed(keys, record).filter(|payload| is_whole(record, payload.len()));
        let Some(text) = payload.and_then(|payload| String::from_utf8(payload).ok()) else {
            return Ok(None);
        };
        let masked = match masker.mask(keys, &text)? {
            Ok(masked) => masked.unwrap_or_else(|| text.into_bytes()),
            Err(_) => return Ok(None),
        };
        keys.sync()?;
        Ok((masked.len() <= self.record_bytes_max).then(|| Bytes::from(masked)))
    }

    /// The payload of a sealed record; `None` if it is none of these keys'.
    pub fn unseal(&self, record: &str) -> Option<Vec<u8>> {
        unsealed(self.keys.as_ref()?, record)
    }
}

/// Puts what masking made of a payload in its place: sealed, where it could not be
/// masked or is longer than it may be. True if it is.
fn put(
    keys: &KeyStore,
    payload: &mut Bytes,
    masked: Result<Option<Vec<u8>>, Malformed>,
    bytes_max: usize,
) -> Result<bool, KeyStoreError> {
    let why = match masked {
        Ok(None) => return Ok(false),
        Ok(Some(masked)) if masked.len() <= bytes_max => {
            *payload = Bytes::from(masked);
            return Ok(false);
        }
        Ok(Some(_)) => Malformed {
            reason: "too_large",
            position: bytes_max,
        },
        Err(why) => why,
    };
    *payload = seal(keys, payload, why, bytes_max)?;
    Ok(true)
}

impl TopicMasker {
    /// The new payload of a record; `None` if it is as before.
    fn payload(
        &self,
        keys: &KeyStore,
        kind: RecordKind,
        payload: &Bytes,
    ) -> Result<Result<Option<Vec<u8>>, Malformed>, KeyStoreError> {
        let text = match std::str::from_utf8(payload) {
            Ok(text) => text,
            Err(error) => {
                if let (Self::Csv(csv), RecordKind::CsvHeader) = (self, kind) {
                    // Its lines belong to no header.
                    let _ = csv.lock().header("");
                }
                let position = error.valid_up_to();
                let reason = "bad_utf8";
                return Ok(Err(Malformed { reason, position }));
            }
        };
        match (self, kind) {
            (Self::Json(json), _) => json.mask(keys, text),
            (Self::Csv(csv), RecordKind::CsvHeader) => Ok(csv.lock().header(text).map(|()| None)),
            (Self::Csv(csv), _) => csv.lock().line(keys, text),
        }
    }
}
