//! The log: durable, partitioned topics, and the control log beside them.
//!
//! A partition is a row of segment files; a segment is a header and blocks; a
//! block is what one append wrote, with checksums, and compressed if it is long.
//! Blocks are cut, never skipped: what a crash tore off the end of the last
//! segment is removed when the log is opened, and damage anywhere else is an
//! error that names file and byte, when the log is opened or when the block is
//! read.

mod block;
mod compression;
mod control;
mod error;
mod file_range;
mod index;
mod partition;
mod reading;
mod recent;
mod segment;
mod source_range;
mod topics;

pub use control::{ControlEntry, ControlLog, ModelText, SourceTexts};
pub use error::LogError;
pub use reading::{Reading, SourcePlace};
pub use source_range::{SourceLimits, SourceReadError, SourceReader};
pub use topics::{Log, LogOptions};
