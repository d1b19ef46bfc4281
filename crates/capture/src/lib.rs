//! Capture: what reads the outside world into records: files, clients over
//! HTTP, and addresses that are polled.
//!
//! A record has a position that its source itself understands, so that reading
//! goes on after the last durable record: nothing is lost and nothing read
//! twice. Clients of the collector keep what was not acknowledged.

mod collect_body;
mod collected;
mod collector;
mod error;
mod file_source;
mod file_source_options;
mod folder;
mod held_files;
mod lines;
mod poll_source;
mod position;
mod read_lines;
mod source_position;
mod submissions;
mod transactions;
mod troubles;

pub use collector::{CollectedTopic, Collector, CollectorCounts, CollectorLimits};
pub use error::CaptureError;
pub use file_source::{CaptureBatch, FileSource};
pub use file_source_options::{FileFormat, FileSourceOptions};
pub use poll_source::{PollCursor, PollSource, PollSourceOptions};
pub use position::FilePositions;
pub use source_position::SourcePosition;
pub use submissions::{Submission, Submissions, SubmitError};
pub use transactions::mark_maxwell;
