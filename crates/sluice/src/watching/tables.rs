//! Tables about the warehouse itself, for alarms and for whoever asks.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanArray, Float64Array, Int64Array, RecordBatch, StringArray,
    TimestampMicrosecondArray, UInt64Array,
};
use datafusion::error::Result;
use sluice_core::{Clock, SystemClock};
use sluice_serve::{Metrics, SystemTable};
use sluice_watch::Watcher;

use crate::pipeline::{SourceStates, TriedLetters};
use crate::project::Project;

fn texts<T: AsRef<str>>(values: impl Iterator<Item = Option<T>>) -> ArrayRef {
    Arc::new(values.collect::<StringArray>())
}

fn times(values: impl Iterator<Item = Option<i64>>) -> ArrayRef {
    let times = values.collect::<TimestampMicrosecondArray>();
    Arc::new(times.with_timezone("UTC"))
}

fn numbers(values: impl Iterator<Item = f64>) -> ArrayRef {
    Arc::new(Float64Array::from_iter_values(values))
}

fn counts(values: impl Iterator<Item = Option<u64>>) -> ArrayRef {
    Arc::new(values.collect::<UInt64Array>())
}

fn rows<const N: usize>(columns: [(&str, ArrayRef); N]) -> Result<RecordBatch> {
    let columns = columns
        .into_iter()
        .map(|(name, values)| (name, values, true));
    Ok(RecordBatch::try_from_iter_with_nullable(columns)?)
}

/// `sluice_sources`: how every source is.
#[derive(Debug)]
pub struct SourcesTable {
    /// What capture knows.
    pub states: SourceStates,
    /// Owner of sources that name none.
    pub owner: String,
    /// Where the records are counted that wait.
    pub metrics: Arc<Metrics>,
}

impl SystemTable for SourcesTable {
    fn rows(&self) -> Result<RecordBatch> {
        let now_us = SystemClock.now_us();
        let all = self.states.all();
        let states = || all.values();
        let waiting = all.iter().map(|(source, state)| {
            let labels = [("source", source.as_str()), ("kind", state.kind)];
            let help = "Durable records of a source that are in no epoch yet.";
            let name = "sluice_source_lag_records";
            self.metrics.gauge_of(name, help, &labels).get()
        });
        let owner = |owner: &Option<String>| owner.clone().unwrap_or_else(|| self.owner.clone());
        rows([
            ("source", texts(all.keys().map(Some))),
            ("kind", texts(states().map(|state| Some(state.kind)))),
            (
                "owner",
                texts(states().map(|state| Some(owner(&state.owner)))),
            ),
            ("state", texts(states().map(|state| Some(state.name())))),
            (
                "error",
                texts(states().map(|state| Some(&state.trouble.as_ref()?.0))),
            ),
            (
                "failing_since",
                times(states().map(|state| Some(state.trouble.as_ref()?.1))),
            ),
            (
                "last_record",
                times(states().map(|state| state.last_record_us)),
            ),
            (
                "records",
                Arc::new(UInt64Array::from_iter_values(
                    states().map(|state| state.records),
                )),
            ),
            (
                "lag_records",
                Arc::new(UInt64Array::from_iter_values(waiting)),
            ),
            (
                "lag_seconds",
                numbers(states().map(|state| state.lag_us(now_us) as f64 / 1e6)),
            ),
            (
                "behind_seconds",
                counts(states().map(|state| state.lag.seconds)),
            ),
            (
                "behind_bytes",
                counts(states().map(|state| state.lag.bytes)),
            ),
            (
                "kept_bytes",
                counts(states().map(|state| state.lag.kept_bytes)),
            ),
            (
                "copying",
                texts(states().map(|state| Some(&state.copying.as_ref()?.table))),
            ),
            (
                "copy_rows",
                counts(states().map(|state| Some(state.copying.as_ref()?.rows))),
            ),
            (
                "copy_rows_expected",
                counts(states().map(|state| state.copying.as_ref()?.rows_expected)),
            ),
            (
                "up_seconds",
                numbers(states().map(|state| (now_us - state.start_us) as f64 / 1e6)),
            ),
        ])
    }
}

/// `sluice_metrics`: the numbers of `/metrics`.
#[derive(Debug)]
pub struct MetricsTable(pub Arc<Metrics>);

impl SystemTable for MetricsTable {
    fn rows(&self) -> Result<RecordBatch> {
        let samples = self.0.samples();
        rows([
            (
                "name",
                texts(samples.iter().map(|sample| Some(&sample.name))),
            ),
            (
                "labels",
                texts(samples.iter().map(|sample| Some(&sample.labels))),
            ),
            ("value", numbers(samples.iter().map(|sample| sample.value))),
        ])
    }
}

/// `sluice_alarms`: the instances of alarms.
#[derive(Debug)]
pub struct AlarmsTable(pub Arc<Watcher>);

impl SystemTable for AlarmsTable {
    fn rows(&self) -> Result<RecordBatch> {
        let found = self.0.instances();
        let silenced = found.iter().map(|found| Some(self.0.is_silenced(found)));
        let silenced: BooleanArray = silenced.collect();
        rows([
            ("alarm", texts(found.iter().map(|found| Some(&found.alarm)))),
            ("title", texts(found.iter().map(|found| Some(&found.title)))),
            (
                "labels",
                texts(found.iter().map(|found| Some(found.label_text()))),
            ),
            (
                "state",
                texts(found.iter().map(|found| Some(found.phase.name()))),
            ),
            (
                "severity",
                texts(found.iter().map(|found| Some(found.severity.to_string()))),
            ),
            ("owner", texts(found.iter().map(|found| Some(&found.owner)))),
            ("value", texts(found.iter().map(|found| Some(&found.value)))),
            (
                "before",
                texts(found.iter().map(|found| found.before.as_ref())),
            ),
            (
                "message",
                texts(found.iter().map(|found| Some(&found.message))),
            ),
            (
                "since",
                times(found.iter().map(|found| Some(found.since_us))),
            ),
            ("fired", times(found.iter().map(|found| found.fired_us))),
            (
                "resolved",
                times(found.iter().map(|found| found.resolved_us)),
            ),
            (
                "delivered",
                times(found.iter().map(|found| found.delivered_us())),
            ),
            ("silenced", Arc::new(silenced)),
        ])
    }
}

/// `sluice_tried_letters`: what came of dead letters that were tried again.
#[derive(Debug)]
pub struct TriedLettersTable(pub TriedLetters);

impl SystemTable for TriedLettersTable {
    fn rows(&self) -> Result<RecordBatch> {
        let all = self.0.all();
        let number = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
        let partitions = all.iter().map(|(id, _, _, _)| i64::from(id.partition));
        let offsets = all.iter().map(|(_, offset, _, _)| number(*offset));
        let outcomes = || all.iter().map(|(_, _, _, tried)| tried);
        let settled = outcomes().map(|tried| Some(SETTLED.contains(&&*tried.outcome)));
        rows([
            (
                "topic",
                texts(all.iter().map(|(id, _, _, _)| Some(&id.topic))),
            ),
            (
                "partition_number",
                Arc::new(Int64Array::from_iter_values(partitions)),
            ),
            (
                "record_offset",
                Arc::new(Int64Array::from_iter_values(offsets)),
            ),
            (
                "table_name",
                texts(all.iter().map(|(_, _, table, _)| Some(table))),
            ),
            (
                "tried_at",
                times(outcomes().map(|tried| Some(tried.time_us))),
            ),
            (
                "outcome",
                texts(outcomes().map(|tried| Some(&tried.outcome))),
            ),
            ("is_settled", Arc::new(settled.collect::<BooleanArray>())),
        ])
    }
}

/// Outcomes after which there is nothing more to try.
const SETTLED: [&str; 4] = ["rows", "was_there", "part", "duplicate"];

/// `sluice_owners`: who is told of what.
#[derive(Debug)]
pub struct OwnersTable(Vec<(&'static str, String, String)>);

impl OwnersTable {
    /// The owners of sources and models; `owner` is the warehouse's.
    pub fn new(project: &Project, owner: &str) -> Self {
        let mut owners = Vec::new();
        for capture in project.sources.captures() {
            let of_source = capture.owner.clone().unwrap_or_else(|| owner.to_owned());
            owners.push(("source", capture.topic.clone(), of_source));
        }
        for view in &project.views {
            let of_model = model_owner(&view.sql).unwrap_or(owner);
            owners.push(("model", view.name.clone(), of_model.to_owned()));
        }
        Self(owners)
    }
}

/// `-- Owner: NAME` in the comment on top of a model.
fn model_owner(sql: &str) -> Option<&str> {
    let comments = sql.lines().map_while(|line| line.strip_prefix("--"));
    let owners = comments.filter_map(|line| line.trim().strip_prefix("Owner:"));
    owners
        .map(|owner| owner.trim().trim_end_matches('.'))
        .next()
}

impl SystemTable for OwnersTable {
    fn rows(&self) -> Result<RecordBatch> {
        rows([
            ("kind", texts(self.0.iter().map(|(kind, _, _)| Some(kind)))),
            ("name", texts(self.0.iter().map(|(_, name, _)| Some(name)))),
            (
                "owner",
                texts(self.0.iter().map(|(_, _, owner)| Some(owner))),
            ),
        ])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_names_its_owner_on_top() {
        let sql =
            "-- Grain: a day.\n-- Owner: sales@shop.example\nCREATE VIEW v AS SELECT 1 -- Owner: x";
        assert_eq!(model_owner(sql), Some("sales@shop.example"));
        assert_eq!(model_owner("CREATE VIEW v AS SELECT 1"), None);
    }
}
