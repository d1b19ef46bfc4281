//! Who is told of alarms, and what they were told.

use serde::{Deserialize, Serialize};

use crate::alert::Severity;
use crate::instance::{Instance, Phase};

/// The last message about an instance to a receiver.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Told {
    /// What it said: firing or resolved.
    pub phase: Phase,
    /// When it was delivered, in microseconds since 1970 UTC.
    pub at_us: i64,
}

/// A message: what is new about the instances of a group.
#[derive(Debug, Clone, PartialEq)]
pub struct Notification {
    /// The same for the same news, also after a restart.
    pub id: String,
    /// Name of the warehouse.
    pub warehouse: String,
    /// Where people find the alarms, if that is known.
    pub link: Option<String>,
    /// The alarm.
    pub alarm: String,
    /// Its title.
    pub title: String,
    /// The worst of the instances.
    pub severity: Severity,
    /// Who is told.
    pub owner: String,
    /// The group that the instances share.
    pub group: String,
    /// Instances that fire.
    pub firing: Vec<Instance>,
    /// Instances that are resolved.
    pub resolved: Vec<Instance>,
    /// The business time zone.
    pub zone: chrono_tz::Tz,
    /// When it was made, in microseconds since 1970 UTC.
    pub time_us: i64,
}

/// A message was not taken. Both are tried again.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// The receiver cannot be reached, so that other messages would not be
    /// taken either.
    #[error("{0}")]
    Unreachable(String),
    /// It refuses this message.
    #[error("{0}")]
    Refused(String),
}

/// Takes messages. It may be slow; it must end by itself.
pub trait Receiver: Send + Sync {
    /// Known by it in the state of alarms.
    fn name(&self) -> &str;

    /// Delivers a message.
    ///
    /// # Errors
    /// When it was not taken.
    fn send(&self, notification: &Notification) -> Result<(), SendError>;

    /// Where it wants to hear of what fires so often, in microseconds, and
    /// keeps order of times and groups itself.
    fn heartbeat_us(&self) -> Option<i64> {
        None
    }
}
