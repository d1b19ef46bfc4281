//! Silences: alarms that somebody knows of.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::instance::Instance;

/// Instances that it matches are not told while it lasts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Silence {
    /// Its number.
    pub id: u64,
    /// The alarm; all of them without one.
    pub alarm: Option<String>,
    /// Labels that an instance must have.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    /// When it begins, in microseconds since 1970 UTC.
    pub from_us: i64,
    /// When it ends.
    pub until_us: i64,
    /// Why.
    #[serde(default)]
    pub comment: String,
    /// Who made it.
    #[serde(default)]
    pub by: String,
}

impl Silence {
    pub(crate) fn covers(&self, instance: &Instance, now_us: i64) -> bool {
        let is_now = (self.from_us..self.until_us).contains(&now_us);
        let is_of_alarm = match &self.alarm {
            Some(alarm) => *alarm == instance.alarm,
            None => true,
        };
        let mut labels = self.labels.iter();
        let has_labels = labels.all(|(name, value)| instance.labels.get(name) == Some(value));
        is_now && is_of_alarm && has_labels
    }
}
