//! An instance of an alarm: what is wrong, since when, and who was told.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::alert::Severity;
use crate::receiver::Told;

/// Where an instance stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// It is wrong, but not for long enough.
    Pending,
    /// It is wrong.
    Firing,
    /// It is right again.
    Resolved,
}

impl Phase {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Firing => "firing",
            Self::Resolved => "resolved",
        }
    }
}

/// See the module. Times are microseconds since 1970 UTC.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Instance {
    /// The alarm.
    pub alarm: String,
    /// Its title.
    pub title: String,
    /// How bad it is.
    pub severity: Severity,
    /// Who is told.
    pub owner: String,
    /// What it is known by.
    pub labels: BTreeMap<String, String>,
    /// Instances with the same text here share messages.
    pub group: String,
    /// Where it stands.
    pub phase: Phase,
    /// Since when it is wrong.
    pub since_us: i64,
    /// When it began to fire.
    pub fired_us: Option<i64>,
    /// When it was resolved.
    pub resolved_us: Option<i64>,
    /// While it fires: since when it is right.
    pub(crate) right_since_us: Option<i64>,
    /// While it is resolved: since when it is wrong again.
    pub(crate) wrong_since_us: Option<i64>,
    /// The value that was judged last.
    pub value: String,
    /// The value that it was compared with.
    pub before: Option<String>,
    /// What is said of it.
    pub message: String,
    /// What receivers were told.
    pub told: BTreeMap<String, Told>,
}

impl Instance {
    /// One that is wrong since `since_us`; the rest is to be filled in.
    pub(crate) fn begun(alarm: &str, labels: BTreeMap<String, String>, since_us: i64) -> Self {
        Self {
            alarm: alarm.to_owned(),
            title: String::new(),
            severity: Severity::default(),
            owner: String::new(),
            labels,
            group: String::new(),
            phase: Phase::Pending,
            since_us,
            fired_us: None,
            resolved_us: None,
            right_since_us: None,
            wrong_since_us: None,
            value: String::new(),
            before: None,
            message: String::new(),
            told: BTreeMap::new(),
        }
    }

    /// `channel=app, province=Tianjin`.
    pub fn label_text(&self) -> String {
        let labels = self.labels.iter();
        let labels: Vec<String> = labels
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        labels.join(", ")
    }

    /// Time of the last message about it to any receiver.
    pub fn delivered_us(&self) -> Option<i64> {
        self.told.values().map(|told| told.at_us).max()
    }

    /// It is wrong at `now_us`; it fires once it has been so for `for_us`. True
    /// if its phase changed.
    pub(crate) fn is_wrong(&mut self, now_us: i64, for_us: i64) -> bool {
        self.right_since_us = None;
        let since_us = match self.phase {
            Phase::Firing => return false,
            Phase::Pending => self.since_us,
            Phase::Resolved => *self.wrong_since_us.get_or_insert(now_us),
        };
        if now_us.saturating_sub(since_us) < for_us {
            return false;
        }
        self.phase = Phase::Firing;
        self.since_us = since_us;
        self.fired_us = Some(now_us);
        self.resolved_us = None;
        self.wrong_since_us = None;
        // Whoever knows that it fires need not be told that it does again.
        self.told.retain(|_, told| told.phase == Phase::Firing);
        true
    }

    /// It is right at `now_us`; it is resolved once it has been so for
    /// `resolve_after_us`. True if its phase changed.
    pub(crate) fn is_right(&mut self, now_us: i64, resolve_after_us: i64) -> bool {
        self.wrong_since_us = None;
        if self.phase != Phase::Firing {
            return false;
        }
        let since_us = *self.right_since_us.get_or_insert(now_us);
        if now_us.saturating_sub(since_us) < resolve_after_us {
            return false;
        }
        self.phase = Phase::Resolved;
        self.resolved_us = Some(now_us);
        self.right_since_us = None;
        true
    }
}
