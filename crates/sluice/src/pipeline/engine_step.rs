//! Changes of tables become changes of views.

use std::collections::BTreeMap;
use std::sync::Arc;

use sluice_core::{Epoch, SystemClock};
use sluice_engine::{
    Engine, EngineCheckpoint, EngineError, EngineMetrics, EngineOptions, EpochOutput,
    OperatorReport, Program, ProgramChange,
};

use super::checkpoint_step::PartFiles;
use super::route_step::RoutedEpoch;
use crate::failure::{Doing, Failure};

/// See the module.
#[derive(Debug)]
pub struct EngineStep {
    engine: Engine,
}

impl EngineStep {
    /// An engine without rows.
    ///
    /// # Errors
    /// When the program cannot be run.
    pub fn new(program: Arc<Program>, options: EngineOptions) -> Result<Self, Failure> {
        let engine = Engine::new(program, options).doing("starting the engine")?;
        Ok(Self { engine })
    }

    /// The engine as it was after `epoch`.
    ///
    /// # Errors
    /// When the state is damaged or of another version.
    pub fn restore(
        program: Arc<Program>,
        options: EngineOptions,
        epoch: Epoch,
        parts: &BTreeMap<String, Vec<u8>>,
        files: &PartFiles,
    ) -> Result<Self, Failure> {
        let engine = Engine::restore(program, options, epoch, parts).map_err(|error| {
            let part = match &error {
                EngineError::State { part, .. } => part,
                _ => "",
            };
            Failure::doing(&files.of_engine(part), &error)
        })?;
        Ok(Self { engine })
    }

    /// Runs one epoch.
    ///
    /// # Errors
    /// For faults of the program; the state on disk is not touched.
    pub fn run(&mut self, epoch: Epoch, routed: RoutedEpoch) -> Result<EpochOutput, Failure> {
        for (table, is_idle) in &routed.idle {
            self.engine.set_idle(table, *is_idle);
        }
        self.engine.advance_watermarks(&routed.watermarks);
        self.engine
            .step(epoch, routed.changes)
            .doing(&format!("computing epoch {epoch}"))
    }

    /// The program that runs.
    pub fn program(&self) -> &Arc<Program> {
        self.engine.program()
    }

    /// Goes over to another program; `part` has seen all that this has.
    ///
    /// # Errors
    /// For faults of the program.
    pub fn change(&mut self, change: &ProgramChange, part: Engine) -> Result<(), Failure> {
        self.engine
            .change(change, Some(part))
            .doing("changing the views")
    }

    /// Sizes of the state.
    pub fn metrics(&self) -> EngineMetrics {
        self.engine.metrics()
    }

    /// The operators with what they hold and have done.
    pub fn operators(&self) -> Vec<OperatorReport> {
        self.engine.operators()
    }

    /// Collects a piece of the state ahead of a checkpoint; true when one can
    /// be made.
    pub fn collect_ahead(&mut self) -> bool {
        self.engine.collect_ahead()
    }

    /// What changed since the last checkpoint.
    ///
    /// # Errors
    /// When the engine failed before.
    pub fn checkpoint(&mut self) -> Result<EngineCheckpoint, Failure> {
        self.engine.checkpoint().doing("saving the engine's state")
    }
}

/// Options for this machine; `threads` 0 takes one for each processor.
pub fn engine_options(threads: usize) -> EngineOptions {
    let worker_threads = match threads {
        0 => std::thread::available_parallelism().map_or(1, usize::from),
        chosen => chosen,
    };
    EngineOptions {
        stopwatch: Some(Arc::new(SystemClock)),
        ..EngineOptions::with_threads(worker_threads)
    }
}
