//! Rows that are left out because their person was erased.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::key_store::KeyStore;

/// Who was erased, and when.
#[derive(Debug, Clone)]
pub struct LeftOut {
    keys: Arc<KeyStore>,
    /// By print of the person: what was captured up to then is left out.
    times_us: BTreeMap<[u8; 16], i64>,
}

impl LeftOut {
    /// Those whom the key store remembers; `None` if there is nobody.
    pub fn new(keys: &Arc<KeyStore>) -> Option<Self> {
        let erasures = keys.erasures().into_iter();
        let times_us: BTreeMap<_, _> = erasures.map(|it| (it.person, it.time_us)).collect();
        let keys = keys.clone();
        (!times_us.is_empty()).then_some(Self { keys, times_us })
    }

    /// Whether a row of the person `id` that was captured at this time is left
    /// out.
    pub fn is_left_out(&self, kind: &str, id: &str, capture_time_us: i64) -> bool {
        let time_us = self.times_us.get(&self.keys.person(kind, id));
        time_us.is_some_and(|&time_us| capture_time_us <= time_us)
    }

    /// The same for rows that say nothing of when they came: those of a person who was
    /// erased at any time are left out.
    #[must_use]
    pub fn at_any_time(&self) -> Self {
        let persons = self.times_us.keys();
        Self {
            keys: self.keys.clone(),
            times_us: persons.map(|person| (*person, i64::MAX)).collect(),
        }
    }

    /// Tells different lists apart.
    pub fn identity(&self) -> Vec<u8> {
        let mut identity = Vec::new();
        for (person, time_us) in &self.times_us {
            identity.extend_from_slice(person);
            identity.extend_from_slice(&time_us.to_le_bytes());
        }
        identity
    }
}
