//! Numbers about the pipeline, for `/metrics`.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use parking_lot::Mutex;
use sluice_capture::Collector;
use sluice_core::{Clock, Epoch, SystemClock};
use sluice_serve::{Histogram, Metric, Metrics};
use sluice_store::Snapshot;

use crate::machine_gauges::MachineGauges;
use crate::pipeline::Warehouse;
use crate::running_views::OperatorReports;
use crate::source_gauges::SourceGauges;

/// What operators hold is asked so rarely, for the answer goes through them all.
const OPERATORS_INTERVAL_US: i64 = 1_000_000;

#[derive(Debug, Default)]
struct CheckpointTimes {
    begun_us: Option<i64>,
    durable_epoch: Option<Epoch>,
    behind_since_us: Option<i64>,
}

/// See the module.
#[derive(Debug)]
pub struct Gauges {
    epoch: Metric,
    epochs: Metric,
    records: Metric,
    records_waiting: Metric,
    dead_letters: Metric,
    duplicates: Metric,
    collected_records: Metric,
    collected_bytes: Metric,
    collect_accepted: Metric,
    collect_refused: Metric,
    cache_bytes: Metric,
    cache_hits: Metric,
    cache_misses: Metric,
    cache_evictions: Metric,
    checkpoint_collect: Histogram,
    checkpoint_bytes: Metric,
    state_memory_bytes: Metric,
    state_disk_bytes: Metric,
    state_over_bytes: Metric,
    unwritten_bytes: Metric,
    row_index_bytes: Metric,
    epoch_time: Histogram,
    checkpoint_write: Histogram,
    checkpoint_age: Metric,
    evaluation_errors: Metric,
    checkpoint: Mutex<CheckpointTimes>,
    sources: SourceGauges,
    machine: MachineGauges,
    collector: Arc<Collector>,
    metrics: Arc<Metrics>,
    operators: OperatorReports,
    /// When the operators are asked again.
    next_operators_us: AtomicI64,
}

impl Gauges {
    /// Registers the numbers.
    pub fn new(
        metrics: &Arc<Metrics>,
        collector: Arc<Collector>,
        operators: OperatorReports,
        sources: SourceGauges,
        state: &Path,
    ) -> Self {
        let requests = |outcome| {
            metrics.counter_of(
                "sluice_collect_requests_total",
                "Requests to the collector by outcome.",
                &[("outcome", outcome)],
            )
        };
        Self {
            epoch: metrics.gauge("sluice_epoch", "The epoch that readers see."),
            epochs: metrics.counter("sluice_epochs_total", "Epochs since the start."),
            records: metrics.counter(
                "sluice_records_total",
                "Records of the log that went through epochs since the start.",
            ),
            records_waiting: metrics.gauge(
                "sluice_records_waiting",
                "Durable records that are in no epoch yet.",
            ),
            dead_letters: metrics.counter(
                "sluice_dead_letters_total",
                "Records that became dead letters since the start.",
            ),
            duplicates: metrics.counter(
                "sluice_duplicate_rows_total",
                "Rows left out because their key was seen before, since the start.",
            ),
            collected_records: metrics.counter(
                "sluice_collected_records_total",
                "Records that the collector accepted.",
            ),
            collected_bytes: metrics.counter(
                "sluice_collected_bytes_total",
                "Bytes of the bodies that the collector accepted.",
            ),
            collect_accepted: requests("accepted"),
            collect_refused: requests("refused"),
            cache_bytes: metrics.gauge(
                "sluice_segment_cache_bytes",
                "Bytes of checkpointed rows that are in memory.",
            ),
            cache_hits: metrics.counter(
                "sluice_segment_cache_hits_total",
                "Times that checkpointed rows were in memory.",
            ),
            cache_misses: metrics.counter(
                "sluice_segment_cache_misses_total",
                "Times that checkpointed rows were read from disk.",
            ),
            cache_evictions: metrics.counter(
                "sluice_segment_cache_evictions_total",
                "Times that checkpointed rows left memory to give room to others.",
            ),
            checkpoint_collect: metrics.histogram_of(
                "sluice_checkpoint_collect_seconds",
                "Time between two epochs in which a checkpoint's changes were collected.",
                &[],
            ),
            checkpoint_bytes: metrics.counter(
                "sluice_checkpoint_state_bytes_total",
                "Bytes of state that checkpoints have collected since the start, as they are stored.",
            ),
            state_memory_bytes: metrics.gauge(
                "sluice_state_memory_bytes",
                "Memory within the budget of state: the engine's, keys of duplicates, the index of removable rows.",
            ),
            state_disk_bytes: metrics.gauge(
                "sluice_state_disk_bytes",
                "Bytes of state beyond the budget, kept on disk.",
            ),
            state_over_bytes: metrics.gauge(
                "sluice_state_over_bytes",
                "Bytes of state beyond the limits of memory and disk; while it is not 0, sources wait.",
            ),
            unwritten_bytes: metrics.gauge(
                "sluice_unwritten_row_bytes",
                "Memory of rows that no checkpoint has written yet, when the last one began.",
            ),
            row_index_bytes: metrics.gauge(
                "sluice_row_index_bytes",
                "Memory of the index of removable rows, when the last checkpoint began.",
            ),
            epoch_time: metrics.histogram_of(
                "sluice_epoch_duration_seconds",
                "Time of an epoch from its cut until readers see it.",
                &[],
            ),
            checkpoint_write: metrics.histogram_of(
                "sluice_checkpoint_duration_seconds",
                "Time from the beginning of a checkpoint until it is durable.",
                &[],
            ),
            checkpoint_age: metrics.seconds_of(
                "sluice_checkpoint_age_seconds",
                "Time since the oldest epoch that is not durable; 0 if all are.",
                &[],
            ),
            evaluation_errors: metrics.gauge(
                "sluice_evaluation_error_rows",
                "Rows on which an expression of a view fails.",
            ),
            checkpoint: Mutex::default(),
            sources,
            machine: MachineGauges::new(metrics, state),
            collector,
            metrics: metrics.clone(),
            operators,
            next_operators_us: AtomicI64::new(0),
        }
    }

    /// Called after an epoch, which took `time_us`.
    pub fn epoch_ran(&self, time_us: u64) {
        self.epoch_time.observe_us(time_us);
    }

    /// What is to be said of checkpoints.
    fn update_checkpoint(&self, warehouse: &Warehouse, now_us: i64) {
        let mut times = self.checkpoint.lock();
        match (warehouse.is_writing_checkpoint(), times.begun_us) {
            (true, None) => times.begun_us = Some(now_us),
            (false, Some(begun_us)) => {
                times.begun_us = None;
                self.checkpoint_write
                    .observe_us((now_us - begun_us).unsigned_abs());
            }
            _ => {}
        }
        if warehouse.is_durable() {
            times.behind_since_us = None;
        } else if times.durable_epoch != warehouse.durable_epoch() {
            // What came after the beginning of the last checkpoint.
            times.behind_since_us = Some(now_us);
        }
        times.durable_epoch = warehouse.durable_epoch();
        let since_us = match warehouse.is_durable() {
            true => now_us,
            false => *times.behind_since_us.get_or_insert(now_us),
        };
        self.checkpoint_age.set((now_us - since_us).unsigned_abs());
    }

    /// Called when a checkpoint was collected, which took `time_us`.
    pub fn checkpoint_begun(&self, warehouse: &Warehouse, time_us: u64, state_bytes: u64) {
        self.checkpoint_collect.observe_us(time_us);
        self.checkpoint_bytes.add(state_bytes);
        let store = warehouse.store_memory();
        self.unwritten_bytes.set(store.unwritten_bytes);
        self.row_index_bytes.set(store.index_bytes);
        let sizes = warehouse.state_sizes();
        for (name, help, by_view) in [
            (
                "sluice_view_state_rows",
                "Rows, groups and values that the engine keeps for a view or table.",
                &sizes.state_rows,
            ),
            (
                "sluice_view_state_bytes",
                "Memory that they take, about.",
                &sizes.state_bytes,
            ),
        ] {
            for (view, &size) in by_view {
                self.metrics
                    .gauge_of(name, help, &[("view", view)])
                    .set(size);
            }
        }
    }

    fn update_tables(&self, snapshot: &Snapshot) {
        for collection in snapshot.collections() {
            let name = collection.name.as_str();
            let rows = snapshot.row_count(name).unwrap_or(0);
            if name == sluice_engine::EVALUATION_ERRORS {
                self.evaluation_errors.set(rows);
            }
            let help = "Rows of a table or view.";
            self.metrics
                .gauge_of("sluice_table_rows", help, &[("table", name)])
                .set(rows);
        }
    }

    /// Reads the pipeline's state.
    pub fn update(&self, warehouse: &Warehouse) {
        let progress = warehouse.progress();
        self.epoch.set(warehouse.epoch());
        self.epochs.set(progress.epochs);
        self.records.set(progress.records);
        self.records_waiting.set(warehouse.records_waiting());
        self.dead_letters.set(progress.dead_letters);
        self.duplicates.set(progress.duplicates);
        let usage = sluice_memory::usage();
        self.state_memory_bytes.set(usage.memory_bytes);
        self.state_disk_bytes.set(usage.disk_bytes);
        self.state_over_bytes.set(usage.over_bytes);
        let cache = warehouse.cache_counts();
        self.cache_bytes.set(cache.bytes);
        self.cache_hits.set(cache.hits);
        self.cache_misses.set(cache.misses);
        self.cache_evictions.set(cache.evictions);
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        let counts = &self.collector.counts;
        self.collected_records.set(read(&counts.records));
        self.collected_bytes.set(read(&counts.bytes));
        self.collect_accepted.set(read(&counts.accepted));
        self.collect_refused.set(read(&counts.refused));
        let now_us = SystemClock.now_us();
        self.update_checkpoint(warehouse, now_us);
        if now_us >= self.next_operators_us.load(Ordering::Relaxed) {
            self.operators.publish(warehouse.operators());
            self.sources
                .update(&warehouse.records_waiting_by_topic(), now_us);
            self.machine.update();
            self.update_tables(&warehouse.published().snapshot());
            let next_us = now_us + OPERATORS_INTERVAL_US;
            self.next_operators_us.store(next_us, Ordering::Relaxed);
        }
    }
}
