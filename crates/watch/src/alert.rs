//! An alarm as it is defined.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::condition::Condition;
use crate::quiet_hours::QuietHours;
use crate::template::Template;

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Worth knowing.
    Info,
    /// Somebody should look at it today.
    #[default]
    Warning,
    /// Somebody must look at it now; told in quiet hours too.
    Critical,
}

impl fmt::Display for Severity {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Critical => "critical",
        })
    }
}

/// One file of `alerts/`.
#[derive(Debug, Clone, PartialEq)]
pub struct Alert {
    /// The file's name without its ending.
    pub name: String,
    /// The file.
    pub file: String,
    /// For people.
    pub title: String,
    /// Who is told; without one the warehouse's owner is. A column `owner` of
    /// the answer comes first.
    pub owner: Option<String>,
    /// How bad it is.
    pub severity: Severity,
    /// The query.
    pub sql: String,
    /// Line of the file in which the query begins, from 1.
    pub sql_line: usize,
    /// Columns by which its instances are known.
    pub labels: Vec<String>,
    /// The column that is judged.
    pub value: String,
    /// When it is wrong.
    pub condition: Condition,
    /// Time between two evaluations.
    pub every_us: i64,
    /// How long an instance must be wrong before it fires.
    pub for_us: i64,
    /// How long it must be right before it is resolved.
    pub resolve_after_us: i64,
    /// Instances with the same values of these labels share messages.
    pub group_by: Vec<String>,
    /// Instead of the warehouse's.
    pub quiet_hours: Option<QuietHours>,
    /// What is said of an instance.
    pub message: Option<Template>,
}

impl Alert {
    /// The query for the span of time that ends at `until_us`.
    pub fn sql_until(&self, until_us: i64) -> String {
        let Condition::Change { window_us, .. } = self.condition else {
            return self.sql.clone();
        };
        self.sql
            .replace("$from", &literal(until_us - window_us))
            .replace("$until", &literal(until_us))
    }

    /// Whether the answer needs the column [`Alert::value`].
    pub fn needs_value(&self) -> bool {
        !matches!(self.condition, Condition::NoRows | Condition::AnyRow)
    }

    /// What is wrong with it, given the columns of its answer; `None` if
    /// nothing is.
    pub fn problem(&self, columns: &[String]) -> Option<String> {
        let has = |name: &str| columns.iter().any(|column| column == name);
        if self.needs_value() && !has(&self.value) {
            return Some(format!(
                "the query has no column `{}`, which is judged; its columns are {}",
                self.value,
                columns.join(", ")
            ));
        }
        if let Some(label) = self.labels.iter().find(|label| !has(label)) {
            return Some(format!("the query has no column `{label}` of `labels`"));
        }
        let places = self.message.iter().flat_map(Template::places);
        for place in places {
            if !KNOWN_PLACES.contains(&place) && !has(place) {
                return Some(format!(
                    "`message` has the place `{{{place}}}`, which is neither a column of the query nor one of {}",
                    KNOWN_PLACES.join(", ")
                ));
            }
        }
        None
    }
}

/// Places of a message besides the columns of the query.
pub(crate) const KNOWN_PLACES: [&str; 6] =
    ["value", "before", "alarm", "severity", "owner", "since"];

fn literal(time_us: i64) -> String {
    let time = chrono::DateTime::from_timestamp_micros(time_us).unwrap_or_default();
    format!("TIMESTAMPTZ '{}'", time.format("%Y-%m-%dT%H:%M:%S%.6fZ"))
}
