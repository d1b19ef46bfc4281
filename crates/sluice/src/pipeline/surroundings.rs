//! What the pipeline takes from the machine. It comes in as parameters, so that
//! a test decides which disk call fails, what time it is, and when a checkpoint
//! is written.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use sluice_core::{Clock, Disk, RealDisk, Spans, SystemClock};
use sluice_engine::EngineOptions;

use crate::report::Reporter;

/// Where a checkpoint is written while epochs go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CheckpointWriter {
    /// In a thread of its own.
    Thread,
    /// In the pipeline's thread, when it looks whether the checkpoint is done:
    /// the rows the first time, the rest the second time. The same calls then
    /// give the same order of disk calls.
    Caller,
}

/// See the module.
#[derive(Debug, Clone)]
pub struct Surroundings {
    /// Holds the state.
    pub disk: Arc<dyn Disk>,
    /// For the age of the log's segments and for messages.
    pub clock: Arc<dyn Clock>,
    /// Writes checkpoints.
    pub checkpoint_writer: CheckpointWriter,
    /// Rows of the engine's state that are collected at a time ahead of a
    /// checkpoint.
    pub collected_rows_min: usize,
    /// Told of long work.
    pub reporter: Reporter,
    /// Told what each epoch and each checkpoint took.
    pub spans: Spans,
    /// Set when nobody waits for a source any more.
    pub stop: Arc<AtomicBool>,
}

impl Surroundings {
    /// The machine itself.
    pub fn of_machine(reporter: Reporter) -> Self {
        Self {
            disk: Arc::new(RealDisk),
            clock: Arc::new(SystemClock),
            checkpoint_writer: CheckpointWriter::Thread,
            collected_rows_min: EngineOptions::default().collected_rows_min,
            reporter,
            spans: Spans::default(),
            stop: Arc::default(),
        }
    }
}
