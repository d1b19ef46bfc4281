//! Rows of exports on their way into the log of a topic that is captured at the
//! same time. They may stand inside a transaction of the source, and are older
//! than every change.

use std::sync::Arc;

use bytes::Bytes;
use sluice_core::{BACKFILL, Clock, PartitionId, Record, RecordKind, SystemClock, TransactionMark};
use sluice_log::Log;
use sluice_mask::Masks;
use sluice_serve::TakeRows;

use super::door::Door;

/// See the module.
#[derive(Debug)]
pub struct RowTaker {
    log: Arc<Log>,
    door: Door,
}

impl RowTaker {
    /// Takes rows into this log.
    pub fn new(log: Arc<Log>, masks: Arc<Masks>) -> Self {
        Self {
            door: Door::new(log.clone(), masks),
            log,
        }
    }
}

impl TakeRows for RowTaker {
    fn take(&self, topic: &str, records: Vec<Bytes>) -> Result<u64, String> {
        if sluice_memory::usage().is_over() {
            return Err("the warehouse takes no records: its state has no room".to_owned());
        }
        // That of changes, whose order counts.
        let id = PartitionId {
            topic: topic.to_owned(),
            partition: 0,
        };
        if !self.log.partitions().contains(&id) {
            return Err(format!("there is no topic `{topic}`"));
        }
        let capture_time_us = SystemClock.now_us();
        let record = |payload| Record {
            kind: RecordKind::Data,
            payload,
            capture_time_us,
            // No source is read on from here.
            position: Bytes::new(),
            transaction: Some(TransactionMark {
                id: BACKFILL.to_owned(),
                commit: false,
            }),
        };
        let mut records: Vec<Record> = records.into_iter().map(record).collect();
        let appended = self.door.append(&id, &mut records);
        let durable = appended.and_then(|()| self.door.sync());
        durable.map_err(|error| format!("the records could not be made durable: {error}"))?;
        Ok(records.len() as u64)
    }
}
