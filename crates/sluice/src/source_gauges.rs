//! Numbers about the sources, for `/metrics`.

use std::collections::BTreeMap;
use std::sync::Arc;

use sluice_serve::Metrics;

use crate::pipeline::SourceStates;

/// See the module.
#[derive(Debug)]
pub struct SourceGauges {
    metrics: Arc<Metrics>,
    states: SourceStates,
}

impl SourceGauges {
    /// Numbers of these sources.
    pub fn new(metrics: Arc<Metrics>, states: SourceStates) -> Self {
        Self { metrics, states }
    }

    /// Sets them to what is known at `now_us`; `waiting` are durable records
    /// that are in no epoch yet, by topic.
    pub fn update(&self, waiting: &BTreeMap<String, u64>, now_us: i64) {
        let metrics = &self.metrics;
        for (source, state) in self.states.all() {
            let labels = [("source", source.as_str()), ("kind", state.kind)];
            let records = metrics.counter_of(
                "sluice_source_records_total",
                "Records that a source gave since the start.",
                &labels,
            );
            records.set(state.records);
            let bytes = metrics.counter_of(
                "sluice_source_bytes_total",
                "Bytes of the records that a source gave since the start.",
                &labels,
            );
            bytes.set(state.bytes);
            let up = metrics.gauge_of(
                "sluice_source_up",
                "1 if a source can be read, 0 if not.",
                &labels,
            );
            up.set(u64::from(state.trouble.is_none()));
            let lag = metrics.gauge_of(
                "sluice_source_lag_records",
                "Durable records of a source that are in no epoch yet.",
                &labels,
            );
            lag.set(waiting.get(&source).copied().unwrap_or(0));
            let lag = metrics.seconds_of(
                "sluice_source_lag_seconds",
                "Time since a source was last read to its end.",
                &labels,
            );
            lag.set(state.lag_us(now_us).unsigned_abs());
            if let Some(unread) = state.unread {
                let lag = metrics.gauge_of(
                    "sluice_source_unread_records",
                    "Records that a source has and that were not read yet.",
                    &labels,
                );
                lag.set(unread);
            }
            let of_server = [
                (
                    "sluice_source_behind_bytes",
                    "Bytes of a server's log that were not read yet, at the last look.",
                    state.lag.bytes,
                ),
                (
                    "sluice_source_kept_bytes",
                    "Bytes of its log that a server keeps for a source, at the last look.",
                    state.lag.kept_bytes,
                ),
            ];
            for (name, help, value) in of_server {
                if let Some(value) = value {
                    metrics.gauge_of(name, help, &labels).set(value);
                }
            }
            if let Some(seconds) = state.lag.seconds {
                let behind = metrics.seconds_of(
                    "sluice_source_behind_seconds",
                    "Age of the newest change that was read of a server; 0 if it has no more.",
                    &labels,
                );
                behind.set(seconds.saturating_mul(1_000_000));
            }
            for copied in state.copies.values() {
                let labels = [
                    ("source", source.as_str()),
                    ("table", copied.table.as_str()),
                ];
                let rows = metrics.gauge_of(
                    "sluice_copy_rows",
                    "Rows of a table that its first copy has read since the start.",
                    &labels,
                );
                rows.set(copied.rows);
                let expected = metrics.gauge_of(
                    "sluice_copy_rows_expected",
                    "Rows of a table that is copied or was, as its server estimated them; 0 if it did not.",
                    &labels,
                );
                expected.set(copied.rows_expected.unwrap_or(0));
            }
            if let Some(last_us) = state.last_record_us {
                let last = metrics.seconds_of(
                    "sluice_source_last_record_timestamp_seconds",
                    "When a source gave a record last, in seconds since 1970 UTC.",
                    &labels,
                );
                last.set(last_us.unsigned_abs());
            }
        }
    }
}
