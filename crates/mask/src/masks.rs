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
use crate::rule_masks::{ReadRules, RuleMasks, TableMask};
use crate::rules::{RecordForm, TopicRules};
use crate::sealed::{is_whole, seal, unsealed};

#[derive(Debug)]
enum TopicMasker {
    Json(JsonMasker),
    /// As rules in the records say.
    Ruled(Arc<JsonMasker>),
    /// With the header that was seen last.
    Csv(Mutex<CsvMasker>),
}

/// The rules of all topics, with the keys.
#[derive(Debug)]
pub struct Masks {
    topics: BTreeMap<String, TopicMasker>,
    rules: BTreeMap<String, Arc<TopicRules>>,
    /// Of the topic whose masks change with its records.
    ruled: Option<RuleMasks>,
    keys: Option<Arc<KeyStore>>,
    record_bytes_max: usize,
}

impl Masks {
    /// No rules.
    pub fn none() -> Self {
        Self {
            topics: BTreeMap::new(),
            rules: BTreeMap::new(),
            ruled: None,
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
                .map(|&(topic, rules)| (topic.to_owned(), Arc::new(rules.clone())))
                .collect(),
            ruled: None,
            keys: Some(keys),
            record_bytes_max,
        }
    }

    /// With rules that come with the records of `topic`, beside what is masked there
    /// always. Its records are objects of JSON.
    #[must_use]
    pub fn with_rules(mut self, topic: &str, reader: Box<dyn ReadRules>) -> Self {
        let own: Option<&TopicRules> = self.rules.get(topic).map(|rules| rules.as_ref());
        self.ruled = Some(RuleMasks::new(topic, own, reader));
        self
    }

    /// The masks of the rules in force; rules of records before `decided` are in force
    /// or were refused.
    pub fn set_rules(&self, in_force: Vec<TableMask>, decided: u64) {
        if let Some(ruled) = &self.ruled {
            ruled.set(in_force, decided);
        }
    }

    /// Takes note of a record of `topic` that is in the log.
    pub fn observe(&self, topic: &str, offset: u64, payload: &[u8]) {
        if let Some(ruled) = self.ruled_for(topic) {
            ruled.read(Some(offset), payload);
        }
    }

    /// Records that were masked are in the log, the last of them at `offset`.
    pub fn appended(&self, topic: &str, offset: u64) {
        if let Some(ruled) = self.ruled_for(topic) {
            ruled.appended(offset);
        }
    }

    /// Whether a record in the log, which is not sealed, is masked as rules in the
    /// records say today.
    pub fn is_masked_by_rules(&self, topic: &str, payload: &[u8]) -> bool {
        let masker = self.ruled_for(topic).and_then(RuleMasks::masker);
        let text = || std::str::from_utf8(payload).ok();
        masker.is_none_or(|masker| text().is_some_and(|text| masker.has_mark(text)))
    }

    fn ruled_for(&self, topic: &str) -> Option<&RuleMasks> {
        self.ruled.as_ref().filter(|ruled| ruled.topic == topic)
    }

    /// The rules of a topic, if there are any.
    pub fn rules(&self, topic: &str) -> Option<Arc<TopicRules>> {
        match self.ruled_for(topic) {
            Some(ruled) => Some(ruled.rules()).filter(|rules| !rules.is_empty()),
            None => self.rules.get(topic).cloned(),
        }
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
        let Some(keys) = &self.keys else {
            return Ok(0);
        };
        let mut sealed = 0;
        if let Some(ruled) = self.ruled_for(topic) {
            let mut masker = ruled.masker().map(TopicMasker::Ruled);
            for record in records {
                if let Some(masker) = &masker {
                    sealed += u64::from(self.mask_one(masker, keys, record)?);
                }
                // It holds for every record behind this one.
                if record.kind == RecordKind::Data && ruled.read(None, &record.payload) {
                    masker = ruled.masker().map(TopicMasker::Ruled);
                }
            }
        } else {
            let Some(masker) = self.topics.get(topic) else {
                return Ok(0);
            };
            for record in records {
                sealed += u64::from(self.mask_one(masker, keys, record)?);
            }
        }
        keys.sync()?;
        Ok(sealed)
    }

    /// Masks a record; true if it had to be sealed. Keys are not durable yet.
    fn mask_one(
        &self,
        masker: &TopicMasker,
        keys: &KeyStore,
        record: &mut Record,
    ) -> Result<bool, KeyStoreError> {
        match record.kind {
            // What it says is no row, and may be the text of a statement.
            RecordKind::Position => {
                record.payload = Bytes::new();
                Ok(false)
            }
            // Made of what was masked, see `mask_again` and `mask_rows`.
            RecordKind::Retry | RecordKind::Backfill => Ok(false),
            RecordKind::Data | RecordKind::CsvHeader => {
                let masked = masker.payload(keys, record.kind, &record.payload)?;
                put(keys, &mut record.payload, masked, self.record_bytes_max)
            }
        }
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
        let ruled = self.ruled_for(topic);
        self.topics.contains_key(topic) || ruled.is_some_and(|ruled| ruled.masker().is_some())
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
        let ruled = self.ruled_for(topic).and_then(RuleMasks::masker);
        let masker = match (&ruled, self.topics.get(topic)) {
            (Some(masker), _) => masker.as_ref(),
            (None, Some(TopicMasker::Json(masker))) => masker,
            (None, _) => return Ok(None),
        };
        let Some(keys) = &self.keys else {
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
            (Self::Ruled(json), _) => json.mask(keys, text),
            (Self::Csv(csv), RecordKind::CsvHeader) => Ok(csv.lock().header(text).map(|()| None)),
            (Self::Csv(csv), _) => csv.lock().line(keys, text),
        }
    }
}
