//! Capture: what reads the outside world into records. So far files.
//!
//! Lines become records with a position that the source itself understands, so
//! that reading goes on after the last durable record: nothing is lost and
//! nothing read twice.

mod error;
mod file_source;
mod lines;
mod position;

pub use error::CaptureError;
pub use file_source::{CaptureBatch, FileFormat, FileSource, FileSourceOptions};
pub use position::FilePositions;
