//! Which partitions are idle: a source that is silent must not hold back the
//! windows of views that read others too.
//!
//! A partition becomes idle when records of others were captured so much later
//! than its last one. That is recorded in the control log, because a replay must
//! not decide it again; it holds until the partition has a record.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use sluice_core::{Epoch, EpochCut, LogRecord, PartitionId, RecordKind};
use sluice_log::ControlEntry;

/// When the last of these records came from its source; `None` if all of them are
/// tried again, or from exports, which is no sign of their source.
fn newest_us(records: &[LogRecord]) -> Option<i64> {
    let records = records.iter().map(|record| &record.record);
    let from_source =
        records.filter(|record| !matches!(record.kind, RecordKind::Retry | RecordKind::Backfill));
    from_source.map(|record| record.capture_time_us).max()
}

/// An epoch with other idle partitions than the one before. How far event time
/// came follows from where it lies, so that a replay cuts there too.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IdleChange {
    /// Where the epoch begins.
    pub from: EpochCut,
    /// Where it ends.
    pub to: EpochCut,
    /// The partitions that are idle from then on.
    pub idle: BTreeSet<PartitionId>,
}

/// See the module.
#[derive(Debug)]
pub(super) struct IdlePartitions {
    /// Silence after which a partition is idle; `None`: never.
    idle_after_us: Option<i64>,
    /// Capture time of the last record, or of the first of any other.
    last_seen_us: BTreeMap<PartitionId, i64>,
    idle: BTreeSet<PartitionId>,
    /// Marks that the control log holds, by the first epoch that they hold for.
    recorded: BTreeMap<Epoch, Vec<PartitionId>>,
}

impl IdlePartitions {
    pub(super) fn new(idle_after_us: Option<i64>) -> Self {
        Self {
            idle_after_us,
            last_seen_us: BTreeMap::new(),
            idle: BTreeSet::new(),
            recorded: BTreeMap::new(),
        }
    }

    /// With the marks that the control log holds.
    pub(super) fn with_recorded(mut self, entries: &[ControlEntry]) -> Self {
        for entry in entries {
            if let ControlEntry::Idle {
                epoch,
                partition,
                idle: true,
            } = entry
            {
                let marks = self.recorded.entry(*epoch).or_default();
                marks.push(partition.clone());
            }
        }
        self
    }

    /// With the partitions that were idle at a checkpoint.
    pub(super) fn with_idle(mut self, idle: BTreeSet<PartitionId>) -> Self {
        self.idle = idle;
        self
    }

    /// The partitions that are idle.
    pub(super) fn idle(&self) -> &BTreeSet<PartitionId> {
        &self.idle
    }

    /// Takes in what is recorded of an epoch: its marks, and its records, which
    /// wake their partitions.
    pub(super) fn begin_epoch(&mut self, epoch: Epoch, records: &[(PartitionId, Vec<LogRecord>)]) {
        let later = self.recorded.split_off(&epoch.saturating_add(1));
        let marks = std::mem::replace(&mut self.recorded, later).remove(&epoch);
        self.idle.extend(marks.into_iter().flatten());
        for (id, records) in records {
            if newest_us(records).is_some() {
                self.idle.remove(id);
            }
        }
    }

    /// Partitions that become idle with an epoch of these records, and are not
    /// marked so yet.
    pub(super) fn becoming_idle(
        &mut self,
        partitions: Vec<PartitionId>,
        records: &[(PartitionId, Vec<LogRecord>)],
    ) -> Vec<PartitionId> {
        let Some(idle_after_us) = self.idle_after_us else {
            return Vec::new();
        };
        let mut now_us = i64::MIN;
        for (id, records) in records {
            if let Some(newest_us) = newest_us(records) {
                now_us = now_us.max(newest_us);
                self.last_seen_us.insert(id.clone(), newest_us);
            }
        }
        if now_us == i64::MIN {
            // Nothing but retries, which do not say what time it is.
            return Vec::new();
        }
        let mut becoming = Vec::new();
        for id in partitions {
            let last_us = *self.last_seen_us.entry(id.clone()).or_insert(now_us);
            let is_silent = now_us.saturating_sub(last_us) >= idle_after_us;
            if is_silent && self.idle.insert(id.clone()) {
                becoming.push(id);
            }
        }
        becoming
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use sluice_core::{Record, RecordKind};

    use super::*;

    fn id(topic: &str) -> PartitionId {
        PartitionId {
            topic: topic.into(),
            partition: 0,
        }
    }

    fn records(topic: &str, capture_time_us: i64) -> Vec<(PartitionId, Vec<LogRecord>)> {
        records_of(RecordKind::Data, topic, capture_time_us)
    }

    fn records_of(
        kind: RecordKind,
        topic: &str,
        capture_time_us: i64,
    ) -> Vec<(PartitionId, Vec<LogRecord>)> {
        let record = LogRecord {
            offset: 0,
            record: Record {
                kind,
                capture_time_us,
                position: Bytes::new(),
                transaction: None,
                payload: Bytes::new(),
            },
        };
        vec![(id(topic), vec![record])]
    }

    #[test]
    fn a_silent_partition_is_marked_once_until_it_speaks() {
        let mut partitions = IdlePartitions::new(Some(100));
        let mut marks = |topic, time| {
            let records = records(topic, time);
            partitions.begin_epoch(1, &records);
            partitions.becoming_idle(vec![id("a"), id("b")], &records)
        };
        assert!(marks("a", 1_000).is_empty(), "b counts from here");
        assert!(marks("a", 1_099).is_empty());
        assert_eq!(marks("a", 1_100), [id("b")]);
        assert!(marks("a", 1_150).is_empty());
        assert!(marks("b", 1_160).is_empty());
        assert_eq!(marks("b", 1_250), [id("a")]);
        assert!(marks("a", 1_250).is_empty());
        assert_eq!(marks("a", 1_350), [id("b")]);
        assert_eq!(*partitions.idle(), BTreeSet::from([id("b")]));
    }

    #[test]
    fn an_epoch_of_retries_or_rows_of_exports_alone_tells_no_time() {
        let mut partitions = IdlePartitions::new(Some(100));
        let mut marks = |records: &[_]| {
            partitions.begin_epoch(1, records);
            partitions.becoming_idle(vec![id("a"), id("b")], records)
        };
        assert!(marks(&records_of(RecordKind::Retry, "a", 900)).is_empty());
        assert!(marks(&records_of(RecordKind::Backfill, "a", 950)).is_empty());
        assert!(marks(&records("a", 1_000)).is_empty(), "b counts from here");
        assert_eq!(marks(&records("a", 1_100)), [id("b")]);
    }

    #[test]
    fn nothing_is_idle_unless_asked() {
        let mut partitions = IdlePartitions::new(None);
        partitions.becoming_idle(vec![id("a"), id("b")], &records("a", 0));
        let later = records("a", i64::MAX);
        let marks = partitions.becoming_idle(vec![id("a"), id("b")], &later);
        assert!(marks.is_empty());
    }

    #[test]
    fn recorded_marks_hold_from_their_epoch_on_and_are_not_made_again() {
        let mark = |epoch, topic| ControlEntry::Idle {
            epoch,
            partition: id(topic),
            idle: true,
        };
        let entries = [mark(5, "b"), mark(6, "a")];
        let mut partitions = IdlePartitions::new(Some(100)).with_recorded(&entries);
        partitions.begin_epoch(4, &records("a", 0));
        assert!(partitions.idle().is_empty());
        partitions.begin_epoch(5, &records("a", 0));
        assert_eq!(*partitions.idle(), BTreeSet::from([id("b")]));
        partitions.becoming_idle(vec![id("a"), id("b")], &records("a", 0));
        // A mark left by a crash does not make idle what has a record.
        partitions.begin_epoch(6, &records("a", 500));
        assert_eq!(*partitions.idle(), BTreeSet::from([id("b")]));
        let marks = partitions.becoming_idle(vec![id("a"), id("b")], &records("a", 500));
        assert!(marks.is_empty());
    }
}
