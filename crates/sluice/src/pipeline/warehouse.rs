//! The row of steps, run epoch by epoch.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::AsArray;
use sluice_core::{
    Delta, Epoch, EpochCut, OpenSpan, PartitionId, RecordKind, SpanContext, SpanKind,
};
use sluice_engine::{EngineMetrics, EngineOptions, OperatorReport};
use sluice_log::Log;
use sluice_mask::Masks;
use sluice_route::{DIVERSION_RULES, Sources};
use sluice_serve::LiveFeed;
use sluice_store::{CacheCounts, StoreMemory};

use super::checkpoint_step::{self, Definitions};
use super::cut_step::{CutStep, EpochContent};
use super::engine_step::EngineStep;
use super::letter_retry::TriedLetters;
use super::rebuild::Rebuild;
use super::recovery::observe_to_end;
use super::route_step::{Positions, RouteStep};
use super::store_step::{Published, StoreStep};
use super::surroundings::Surroundings;
use super::writing_checkpoint::{Writing, WritingCheckpoint};
use crate::config::LogRetention;
use crate::diversion::{Rules, rows_of, rules_in};
use crate::diversion_masks::{masks_of_texts, message_of};
use crate::failure::{Doing, Failure};

/// So much of the log is read at a time.
const TAIL_BYTES: usize = 16 << 20;

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
    pub(super) surroundings: Surroundings,
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
    pub(super) writing: Option<WritingCheckpoint>,
    /// The span of the last epoch, of which a checkpoint of it is a part.
    pub(super) epoch_span: Option<SpanContext>,
    /// The topics and tables in force.
    pub(super) sources: Arc<Sources>,
    pub(super) options: EngineOptions,
    /// Most records of an epoch.
    pub(super) records_max: u64,
    /// A change of models on its way.
    pub(super) rebuild: Option<Rebuild>,
    /// Whether rules of diversion changed since they were last asked for.
    pub(super) has_new_rules: bool,
}

impl Warehouse {
    /// Cuts and runs one epoch; false while there is nothing new.
    ///
    /// # Errors
    /// When a step cannot go on. The state on disk stays as it was.
    pub fn run_epoch(&mut self) -> Result<bool, Failure> {
        if self.rebuild.as_ref().is_some_and(Rebuild::must_wait) {
            return Ok(false);
        }
        let spans = &self.surroundings.spans;
        let mut span = spans.begin("epoch", SpanKind::Internal, None);
        let cut_span = span.part("cut");
        let Some(content) = self.cut.next(&self.log)? else {
            cut_span.discard();
            span.discard();
            return Ok(false);
        };
        drop(cut_span);
        self.epoch_span = span.context();
        self.run_as_part_of(&mut span, &content)?;
        Ok(true)
    }

    /// Runs an epoch whose cut is recorded.
    pub(super) fn run_content(&mut self, content: &EpochContent) -> Result<(), Failure> {
        self.run_as_part_of(&mut OpenSpan::default(), content)
    }

    fn run_as_part_of(
        &mut self,
        span: &mut OpenSpan,
        content: &EpochContent,
    ) -> Result<(), Failure> {
        let before = self.start_of_epoch(content);
        let step = span.part("route");
        let mut routed = self.route.run(content)?;
        drop(step);
        span.set("sluice.epoch", content.cut.epoch);
        span.set("sluice.records", content.record_count());
        span.set("sluice.dead_letters", routed.dead_letters);
        self.progress.epochs += 1;
        self.progress.records += content.record_count();
        self.progress.dead_letters += routed.dead_letters;
        self.progress.duplicates += routed.duplicates;
        let event_times = std::mem::take(&mut routed.event_times);
        // A rule that came and went in one epoch is no change, and is decided.
        let mut changes = routed.changes.iter();
        self.has_new_rules |=
            changes.any(|it| it.table == DIVERSION_RULES && it.rows.num_rows() > 0);
        let step = span.part("engine");
        let output = self.engine.run(content.cut.epoch, routed)?;
        drop(step);
        let changed = output.deltas.values().map(|delta| delta.len() as u64);
        span.set("sluice.rows_changed", changed.sum::<u64>());
        let step = span.part("store");
        self.store.run(&output, &event_times)?;
        drop(step);
        if let Some(rules) = output.deltas.get(DIVERSION_RULES) {
            self.note_rules(rules, &before);
        }
        if let Some(rebuild) = &self.rebuild {
            rebuild.note_epoch(content.cut.clone(), &output.deltas);
        }
        if let Some(live) = &self.live {
            let snapshot = self.store.published().snapshot();
            live.publish(output.epoch, &output.deltas, snapshot);
        }
        Ok(())
    }

    /// Where a recorded epoch begins.
    fn start_of_epoch(&self, content: &EpochContent) -> EpochCut {
        let mut start = content.cut.clone();
        start.epoch = start.epoch.saturating_sub(1);
        for (id, records) in &content.records {
            let first = records.first().map(|record| record.offset);
            start
                .end_offsets
                .extend(first.map(|first| (id.clone(), first)));
        }
        start
    }

    /// Rules of diversion came: their tables begin where this epoch begins, if
    /// they do not have all of the log.
    fn note_rules(&mut self, rules: &Delta, start: &EpochCut) {
        self.has_new_rules = true;
        let names = rules.rows().column(0).as_string_opt::<i32>();
        for name in names.into_iter().flat_map(|names| names.iter().flatten()) {
            let starts = &mut self.definitions.rule_starts;
            let known = starts.entry(name.to_owned());
            known.or_insert_with(|| start.clone());
        }
    }

    /// The rules of diversion, with those that are in force, if they changed since
    /// the last call.
    ///
    /// # Errors
    /// When they cannot be read.
    pub fn new_rules(&mut self) -> Result<Option<Rules>, Failure> {
        match std::mem::take(&mut self.has_new_rules) {
            true => self.rules().map(Some),
            false => Ok(None),
        }
    }

    /// The rules of diversion, with those that are in force.
    ///
    /// # Errors
    /// When they cannot be read.
    pub fn rules(&self) -> Result<Rules, Failure> {
        Ok(Rules {
            rows: rows_of(&self.published().snapshot())?,
            in_force: self.rules_in_force(),
            end: self
                .rules_id()
                .map_or(0, |id| self.cut.end_of(&self.log, &id)),
        })
    }

    fn rules_in_force(&self) -> BTreeMap<String, String> {
        let files = self.definitions.source_files.as_deref();
        rules_in(files.unwrap_or_default())
    }

    /// Where records bring rules: a captured topic has one partition.
    fn rules_id(&self) -> Option<PartitionId> {
        let diversion = self.sources.diversion()?;
        Some(PartitionId {
            topic: diversion.topic.clone(),
            partition: 0,
        })
    }

    /// Tells the door of the log the masks of the rules in force. Rules of records
    /// before `decided` are in force by now, or refused.
    pub fn tell_masks(&self, masks: &Masks, decided: u64) {
        if let Some(diversion) = self.sources.diversion() {
            let in_force = self.rules_in_force();
            masks.set_rules(masks_of_texts(in_force.values(), diversion), decided);
        }
    }

    /// Tells the door of the log all masks of rules, those of records that are in no
    /// epoch yet among them. To be called before capture begins.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub fn tell_all_masks(&self, masks: &Masks, rules: &Rules) -> Result<(), Failure> {
        self.tell_masks(masks, 0);
        let (Some(diversion), Some(id)) = (self.sources.diversion(), self.rules_id()) else {
            return Ok(());
        };
        if self.sources.unmaskable().is_some() {
            return Ok(());
        }
        for rule in rules.rows.values() {
            let offset = rules.end.saturating_sub(1);
            masks.observe(&id.topic, offset, &message_of(rule, diversion));
        }
        let (mut next, end) = (rules.end, self.log.end_offset(&id));
        while next < end {
            let records = self.log.read(&id, next, end, TAIL_BYTES);
            let records = records.doing("reading the rules of diversion in the log")?;
            let Some(last) = records.last() else {
                break;
            };
            next = last.offset + 1;
            let data = records.iter();
            for stored in data.filter(|stored| stored.record.kind == RecordKind::Data) {
                masks.observe(&id.topic, stored.offset, &stored.record.payload);
            }
        }
        Ok(())
    }

    /// Tells `live` of every epoch from now on.
    pub fn publish_to(&mut self, live: Arc<LiveFeed>) {
        self.live = Some(live);
    }

    /// Collects a piece of the engine's state ahead of a checkpoint that is due,
    /// so that no epoch waits for all of it. True when the checkpoint can begin.
    pub fn prepare_checkpoint(&mut self) -> bool {
        let is_durable = self.durable_epoch == Some(self.epoch());
        is_durable || self.writing.is_some() || self.engine.collect_ahead()
    }

    /// Begins to make the last epoch durable, unless it is already, or another
    /// checkpoint is being written. What it holds is collected at once; it is
    /// written in a thread of its own, while epochs go on. Returns the bytes of
    /// state that it collected, if it began.
    ///
    /// # Errors
    /// When its content cannot be collected.
    pub fn begin_checkpoint(&mut self) -> Result<Option<u64>, Failure> {
        let cut = self.cut.last_cut();
        let epoch = cut.epoch;
        if self.durable_epoch == Some(epoch) || self.writing.is_some() {
            return Ok(None);
        }
        let spans = &self.surroundings.spans;
        let span = spans.begin_part("checkpoint collect", self.epoch_span);
        let engine = self.engine.checkpoint()?;
        let definitions = self.definitions.clone();
        let ends = cut.end_offsets.clone();
        let request = checkpoint_step::request(
            cut,
            self.cut.idle().clone(),
            self.cut.idle_changes().to_vec(),
            definitions,
            &mut self.route,
            engine,
        )?;
        let state_bytes = request.changed_parts.values().map(Vec::len).sum::<usize>();
        let job = self.store.begin_checkpoint(request)?;
        drop(span);
        let mut span = spans.begin_part("checkpoint write", self.epoch_span);
        span.set("sluice.epoch", epoch);
        let work = Writing::start(job, &self.surroundings, span)?;
        self.writing = Some(WritingCheckpoint { epoch, ends, work });
        Ok(Some(state_bytes as u64))
    }

    /// Takes note of a checkpoint that has become durable since, or of its rows
    /// if they are in files by now: memory need not hold them while the rest is
    /// written.
    ///
    /// # Errors
    /// When it could not be written; the one before stays whole.
    pub fn poll_checkpoint(&mut self) -> Result<(), Failure> {
        let Some(mut writing) = self.writing.take() else {
            return Ok(());
        };
        if writing.work.is_ready() {
            return self.finish_checkpoint(writing);
        }
        let (work, rows) = writing.work.rows()?;
        writing.work = work;
        self.writing = Some(writing);
        if let Some(rows) = rows {
            self.store.rows_written(rows);
        }
        Ok(())
    }

    /// Makes the last epoch durable, unless it is already, and waits for it.
    ///
    /// # Errors
    /// When the disk refuses; the checkpoint before stays whole.
    pub fn checkpoint(&mut self) -> Result<(), Failure> {
        // One that is being written may be of an earlier epoch.
        for _ in 0..2 {
            self.begin_checkpoint()?;
            if let Some(writing) = self.writing.take() {
                self.finish_checkpoint(writing)?;
            }
        }
        Ok(())
    }

    fn finish_checkpoint(&mut self, writing: WritingCheckpoint) -> Result<(), Failure> {
        let (rows, written) = writing.work.finish();
        // They are in files, whatever came of the rest.
        if let Some(rows) = rows {
            self.store.rows_written(rows);
        }
        self.store.finish_checkpoint(written?);
        self.durable_epoch = Some(writing.epoch);
        self.cut.forget_before(writing.epoch)?;
        self.retain_log(writing.ends)
    }

    /// Drops old segments of the log, as far as the checkpoint holds them.
    fn retain_log(&self, ends: BTreeMap<PartitionId, u64>) -> Result<(), Failure> {
        let LogRetention {
            retain_days,
            retain_bytes,
            ..
        } = self.retention;
        if retain_days.is_none() && retain_bytes.is_none() {
            return Ok(());
        }
        let day_us = 86_400_000_000;
        let now_us = self.surroundings.clock.now_us();
        let older_than_us = retain_days.map(|days| now_us - i64::from(days) * day_us);
        for (id, end) in ends {
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

    /// The same, by topic.
    pub fn records_waiting_by_topic(&self) -> BTreeMap<String, u64> {
        self.cut.records_waiting_by_topic(&self.log)
    }

    /// What readers see.
    pub fn published(&self) -> Published {
        self.store.published()
    }

    /// Sizes of the engine's state, by table and view.
    pub fn state_sizes(&self) -> EngineMetrics {
        self.engine.metrics()
    }

    /// The operators of views with what they hold and have done.
    pub fn operators(&self) -> Vec<OperatorReport> {
        self.engine.operators()
    }

    /// Whether a checkpoint is on its way to the disk.
    pub fn is_writing_checkpoint(&self) -> bool {
        self.writing.is_some()
    }

    /// Epoch of the last checkpoint; `None` while there is none.
    pub fn durable_epoch(&self) -> Option<Epoch> {
        self.durable_epoch
    }

    /// Whether the last epoch is durable.
    pub fn is_durable(&self) -> bool {
        self.durable_epoch == Some(self.epoch()) || self.epoch() == 0
    }

    /// What the store keeps in memory.
    pub fn store_memory(&self) -> StoreMemory {
        self.store.memory()
    }

    /// What the store's cache of segments has done.
    pub fn cache_counts(&self) -> CacheCounts {
        self.store.cache_counts()
    }

    /// Where the sources stand at the end of the log.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub fn positions(&self) -> Result<Positions, Failure> {
        let mut positions = self.route.positions().clone();
        let ends = self.cut.last_cut().end_offsets;
        for id in self.log.partitions() {
            let start = self.log.start_offset(&id);
            let from = ends.get(&id).copied().unwrap_or(start);
            observe_to_end(&self.log, &id, from, &mut positions)?;
        }
        Ok(positions)
    }

    /// What came of dead letters that were tried again, as of the last epoch.
    pub fn tried_letters(&self) -> TriedLetters {
        self.route.tried().clone()
    }

    /// What was done since this process started.
    pub fn progress(&self) -> Progress {
        self.progress
    }

    /// The last epoch.
    pub fn epoch(&self) -> Epoch {
        self.cut.last_cut().epoch
    }

    /// The topics and tables in force.
    pub fn sources(&self) -> Arc<Sources> {
        self.sources.clone()
    }

    /// The log, for capture to append to.
    pub fn log(&self) -> Arc<Log> {
        self.log.clone()
    }
}
