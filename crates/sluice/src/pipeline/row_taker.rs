//! Rows of exports on their way into the log of a topic that may be captured at the
//! same time. They belong to none of the source's transactions, and may stand inside
//! of one.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema};
use bytes::Bytes;
use parking_lot::{Mutex, RwLock};
use sluice_core::{BackfilledRow, Clock, PartitionId, SystemClock};
use sluice_log::Log;
use sluice_mask::Masks;
use sluice_route::{HistoryError, Sources};
use sluice_serve::{ExportPlan, ExportedPart, NotTaken, TakeRows};

use super::door::Door;

/// The topics and tables in force, for those who are no part of the pipeline. Clones
/// share them.
#[derive(Debug, Clone)]
pub struct SourcesInForce(Arc<RwLock<Arc<Sources>>>);

impl SourcesInForce {
    /// Begins with these.
    pub fn new(sources: Arc<Sources>) -> Self {
        Self(Arc::new(RwLock::new(sources)))
    }

    /// Others are in force from now on.
    pub fn set(&self, sources: Arc<Sources>) {
        *self.0.write() = sources;
    }

    fn get(&self) -> Arc<Sources> {
        self.0.read().clone()
    }
}

/// See the module.
#[derive(Debug)]
pub struct RowTaker {
    log: Arc<Log>,
    door: Door,
    sources: SourcesInForce,
    taken: Mutex<Taken>,
}

/// What was taken since the program started, or since its sources changed: the router
/// knows what came before.
#[derive(Debug)]
struct Taken {
    sources: Arc<Sources>,
    /// By table and export: the number of the first row that was not taken.
    next: BTreeMap<(String, u64), u64>,
}

impl RowTaker {
    /// Takes rows into this log.
    pub fn new(log: Arc<Log>, masks: Arc<Masks>, sources: SourcesInForce) -> Self {
        let taken = Taken {
            sources: sources.get(),
            next: BTreeMap::new(),
        };
        Self {
            door: Door::new(log.clone(), masks),
            log,
            sources,
            taken: Mutex::new(taken),
        }
    }
}

fn refused(error: HistoryError) -> NotTaken {
    NotTaken::Refused(error.to_string())
}

impl TakeRows for RowTaker {
    fn plan(&self, table: &str, columns: &[String]) -> Result<ExportPlan, NotTaken> {
        let field = |name: &String| Field::new(name, DataType::Utf8, true);
        let exported = Schema::new(columns.iter().map(field).collect::<Vec<_>>());
        let rules_of = |topic: &str| self.door.rules(topic);
        let sources = self.sources.get();
        let planned = sources
            .backfill(table, &exported, rules_of)
            .map_err(refused)?;
        Ok(ExportPlan {
            columns: planned.columns,
            has_key: planned.has_key,
        })
    }

    fn take(&self, part: ExportedPart) -> Result<u64, NotTaken> {
        let sources = self.sources.get();
        let rules = sources
            .backfill_rules(&part.table, &part.columns, |topic| self.door.rules(topic))
            .map_err(refused)?;
        if sluice_memory::usage().is_over() {
            let why = "the warehouse takes no records: its state has no room";
            return Err(NotTaken::Unavailable(why.to_owned()));
        }
        // That of changes: a captured topic has no other.
        let id = PartitionId {
            topic: rules.topic.to_owned(),
            partition: 0,
        };
        if !self.log.partitions().contains(&id) {
            let topic = rules.topic;
            let why = format!("the topic `{topic}` is not in the log yet: try again");
            return Err(NotTaken::Unavailable(why));
        }
        let bytes_beside = BackfilledRow::bytes_beside(part.table.len());
        let bytes_max = self.log.record_bytes_max().saturating_sub(bytes_beside);
        // Two who bring the same export wait for each other.
        let mut taken = self.taken.lock();
        if !Arc::ptr_eq(&taken.sources, &sources) {
            taken.sources = sources.clone();
            taken.next.clear();
        }
        let key = (part.table.clone(), part.export);
        let next = taken.next.entry(key).or_default();
        let mut rows = Vec::new();
        for (number, row) in part.rows {
            if row.len() > bytes_max {
                let why = format!(
                    "row {number} has {} bytes, and a record of the log may have {bytes_max} beside what it needs itself: see limits.record_bytes_max",
                    row.len()
                );
                return Err(NotTaken::Refused(why));
            }
            if number >= *next {
                rows.push(BackfilledRow {
                    table: part.table.clone(),
                    export: part.export,
                    number,
                    row: Bytes::from(row),
                });
            }
        }
        let Some(last) = rows.last().map(|row| row.number) else {
            return Ok(*next);
        };
        let now_us = SystemClock.now_us();
        let appended = self.door.append_rows(&id, &rules.masks, rows, now_us);
        let durable = appended.and_then(|()| self.door.sync());
        durable.map_err(|error| {
            NotTaken::Unavailable(format!("the rows could not be made durable: {error}"))
        })?;
        *next = last.saturating_add(1);
        Ok(*next)
    }
}
