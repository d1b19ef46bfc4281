//! The row of steps, run epoch by epoch.

use std::sync::Arc;

use sluice_core::{Clock, Epoch, SystemClock};
use sluice_log::Log;
use sluice_serve::LiveFeed;

use super::checkpoint_step::{self, Definitions};
use super::cut_step::{CutStep, EpochContent};
use super::engine_step::EngineStep;
use super::route_step::RouteStep;
use super::store_step::{Published, StoreStep};
use crate::config::LogRetention;
use crate::failure::{Doing, Failure};

/// What the pipeline has done since this process started.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Progress {
    /// Epochs.
    pub epochs: u64,
    /// Records of the log, headers of files among them.
    pub records: u64,
    /// Records that became dead letters.
    pub dead_letters: u64,
    /// Rows left out because their key was seen before.
    pub duplicates: u64,
}

/// See the module. Made by [`super::recovery`].
#[derive(Debug)]
pub struct Warehouse {
    pub(super) log: Arc<Log>,
    pub(super) cut: CutStep,
    pub(super) route: RouteStep,
    pub(super) engine: EngineStep,
    pub(super) store: StoreStep,
    pub(super) definitions: Definitions,
    pub(super) retention: LogRetention,
    pub(super) progress: Progress,
    /// Told of every epoch, once somebody may watch.
    pub(super) live: Option<Arc<LiveFeed>>,
    /// Epoch of the last checkpoint; `None` while there is none.
    pub(super) durable_epoch: Option<Epoch>,
}

impl Warehouse {
    /// Cuts and runs one epoch; false while there is nothing new.
    ///
    /// # Errors
    /// When a step cannot go on. The state on disk stays as it was.
    pub fn run_epoch(&mut self) -> Result<bool, Failure> {
        match self.cut.next(&self.log)? {
            Some(content) => {
                self.run_content(&content)?;
                Ok(true)
            }
            None => Ok(false),
        }
    }

    /// Runs an epoch whose cut is recorded.
    pub(super) fn run_content(&mut self, content: &EpochContent) -> Result<(), Failure> {
        let routed = self.route.run(content)?;
        self.progress.epochs += 1;
        self.progress.records += content.record_count();
        self.progress.dead_letters += routed.dead_letters;
        self.progress.duplicates += routed.duplicates;
        let output = self.engine.run(content.cut.epoch, routed)?;
        self.store.run(&output)?;
        if let Some(live) = &self.live {
            let snapshot = self.store.published().snapshot();
            live.publish(output.epoch, &output.deltas, snapshot);
        }
        Ok(())
    }

    /// Tells `live` of every epoch from now on.
    pub fn publish_to(&mut self, live: Arc<LiveFeed>) {
        self.live = Some(live);
    }

    /// Makes the last epoch durable, unless it is already.
    ///
    /// # Errors
    /// When the disk refuses; the checkpoint before stays whole.
    pub fn checkpoint(&mut self) -> Result<(), Failure> {
        let cut = self.cut.last_cut();
        let epoch = cut.epoch;
        if self.durable_epoch == Some(epoch) {
            return Ok(());
        }
        let engine = self.engine.checkpoint()?;
        let request =
            checkpoint_step::request(cut, self.definitions.clone(), &mut self.route, engine)?;
        self.store.checkpoint(request)?;
        self.durable_epoch = Some(epoch);
        self.cut.forget_before(epoch)?;
        self.retain_log()
    }

    /// Drops old segments of the log, as far as the checkpoint holds them.
    fn retain_log(&self) -> Result<(), Failure> {
        let LogRetention {
            retain_days,
            retain_bytes,
        } = self.retention;
        if retain_days.is_none() && retain_bytes.is_none() {
            return Ok(());
        }
        let day_us = 86_400_000_000;
        let older_than_us = retain_days.map(|days| SystemClock.now_us() - i64::from(days) * day_us);
        for (id, end) in self.cut.last_cut().end_offsets {
            self.log
                .retain(&id, end, older_than_us, retain_bytes)
                .doing("dropping old segments of the log")?;
        }
        Ok(())
    }

    /// True when the epochs hold all that is durable in the log.
    pub fn has_caught_up(&self) -> bool {
        self.cut.has_caught_up(&self.log)
    }

    /// Durable records that are in no epoch yet.
    pub fn records_waiting(&self) -> u64 {
        self.cut.records_waiting(&self.log)
    }

    /// What readers see.
    pub fn published(&self) -> Published {
        self.store.published()
    }

    /// What was done since this process started.
    pub fn progress(&self) -> Progress {
        self.progress
    }

    /// The last epoch.
    pub fn epoch(&self) -> Epoch {
        self.cut.last_cut().epoch
    }

    /// The log, for capture to append to.
    pub fn log(&self) -> Arc<Log> {
        self.log.clone()
    }
}
