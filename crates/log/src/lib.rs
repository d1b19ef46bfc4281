//! The log: durable, partitioned topics, and the control log beside them.
//!
//! A partition is a row of segment files; a segment is a header and blocks; a
//! block is what one append wrote, with a CRC-32. Blocks are cut, never
//! skipped: what a crash tore off the end of the last segment is removed when
//! the log is opened, and damage anywhere else is an error that names file and
//! byte.

mod block;
mod control;
mod error;
mod partition;
mod topics;

pub use control::{ControlEntry, ControlLog};
pub use error::LogError;
pub use topics::{Log, LogOptions};
