//! Watch: alarms on any query, told to the people who own what is wrong.
//!
//! An alarm is a file `alerts/NAME.toml`: a query, one row of its answer for
//! each *instance* (known by its label columns), and a condition on a value. An
//! instance that meets the condition is *pending*, after the alarm's `for` it is
//! *firing*, and when it no longer meets it *resolved*.
//!
//! What each receiver was told is kept with the instance, and what is to be told
//! follows from the two. So nothing has to be queued: an alarm that could not be
//! delivered is still there at the next try, also after a restart, and memory is
//! bounded by the number of instances. A message is told again only where the
//! process was killed between the receiver's answer and the note of it; its
//! identity is then the same.
//!
//! Below this crate nothing waits: it asks snapshots, and runs on threads of its
//! own.

mod alert;
mod alert_text;
mod answer;
mod base64;
mod condition;
mod delivery;
mod duration;
mod error;
mod evaluation;
mod http;
mod instance;
mod mail;
mod message;
mod post;
mod quiet_hours;
mod receiver;
mod report;
mod reporting;
mod secret;
mod silence;
mod silencing;
mod state;
mod template;
mod tls;
mod transitions;
mod watcher;

pub use alert::{Alert, Severity};
pub use alert_text::parse_alert;
pub use answer::{Answer, Ask, Value};
pub use duration::{duration_text, parse_duration_us};
pub use error::WatchError;
pub use http::{SilenceRequest, router};
pub use instance::{Instance, Phase};
pub use mail::{Mail, MailPart, MailServer, MailTls};
pub use post::HttpPost;
pub use quiet_hours::QuietHours;
pub use receiver::{Notification, Receiver, SendError, Told};
pub use report::{Chart, Figure, Language, Report, parse_report, sql_of_day};
pub use reporting::Reporting;
pub use secret::{is_reference, secret};
pub use silence::Silence;
pub use watcher::{AlarmStatus, WatchOptions, Watcher};
