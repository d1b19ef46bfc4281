//! Reads the log from its start again, in the order in which records were
//! captured, whatever epochs they were in. Only where the idle partitions
//! changed, it is cut as it was: how far event time came depends on it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use sluice_core::{Epoch, EpochCut, LogRecord, PartitionId};
use sluice_log::{Log, Reading};

use super::EpochContent;
use super::cut_step::read_between_as;
use super::idle_partitions::IdleChange;
use crate::failure::{Doing, Failure};

/// Payload bytes that are read of a partition at a time, about.
const READ_BYTES_MAX: usize = 16 << 20;

/// See the module.
#[derive(Debug)]
pub struct LogReplay {
    log: Arc<Log>,
    reading: Reading,
    /// Most records of one step.
    records_max: u64,
    /// The partitions to read.
    partitions: BTreeSet<PartitionId>,
    epoch: Epoch,
    /// So far everything was given out.
    ends: BTreeMap<PartitionId, u64>,
    /// Records after that, as far as they were read.
    read: BTreeMap<PartitionId, VecDeque<LogRecord>>,
    idle_changes: VecDeque<IdleChange>,
    idle: BTreeSet<PartitionId>,
    records_done: u64,
}

impl LogReplay {
    /// A replay of all partitions from the start of the log.
    ///
    /// # Errors
    /// When retention has dropped the start.
    pub fn new(
        log: Arc<Log>,
        records_max: u64,
        idle_changes: &[IdleChange],
    ) -> Result<Self, Failure> {
        let ranges = log.partitions().into_iter().map(|id| (id, 0)).collect();
        Self::of_ranges(log, records_max, idle_changes, ranges)
    }

    /// A replay of these partitions, each from the record that is named.
    ///
    /// # Errors
    /// When retention has dropped it.
    pub fn of_ranges(
        log: Arc<Log>,
        records_max: u64,
        idle_changes: &[IdleChange],
        ranges: BTreeMap<PartitionId, u64>,
    ) -> Result<Self, Failure> {
        for (id, &first) in &ranges {
            let start = log.start_offset(id);
            if start > first {
                return Err(Failure::Failed(format!(
                    "the log of topic `{}` begins at record {start}: what came before was dropped by [log] retention, so that it cannot be computed again",
                    id.topic
                )));
            }
        }
        Ok(Self {
            log,
            reading: Reading::default(),
            records_max: records_max.max(1),
            partitions: ranges.keys().cloned().collect(),
            epoch: 0,
            ends: ranges,
            read: BTreeMap::new(),
            idle_changes: idle_changes.iter().cloned().collect(),
            idle: BTreeSet::new(),
            records_done: 0,
        })
    }

    /// Reads the log in this way, and not as all do.
    #[must_use]
    pub fn with_reading(mut self, reading: Reading) -> Self {
        self.reading = reading;
        self
    }

    /// Records given out.
    pub fn records_done(&self) -> u64 {
        self.records_done
    }

    /// Records up to `target` that were not given out yet.
    pub fn records_left(&self, target: &EpochCut) -> u64 {
        let left = target.end_offsets.iter();
        let left = left.filter(|(id, _)| self.partitions.contains(id));
        left.map(|(id, &end)| end.saturating_sub(self.end_of(id)))
            .sum()
    }

    fn end_of(&self, id: &PartitionId) -> u64 {
        self.ends.get(id).copied().unwrap_or(0)
    }

    /// The next records up to `target`; `None` when all were given out. Targets
    /// never go back.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub fn next(&mut self, target: &EpochCut) -> Result<Option<EpochContent>, Failure> {
        if let Some(change) = self.idle_changes.front()
            && change.to.epoch <= target.epoch
        {
            let (from, to) = (change.from.clone(), change.to.clone());
            if let Some(content) = self.next_up_to(&from)? {
                return Ok(Some(content));
            }
            // One epoch, as it was.
            let change = self.idle_changes.pop_front();
            self.idle = change.map(|change| change.idle).unwrap_or_default();
            let records = self.take_all(&to)?;
            return Ok(Some(self.content(records)));
        }
        self.next_up_to(target)
    }

    fn next_up_to(&mut self, target: &EpochCut) -> Result<Option<EpochContent>, Failure> {
        let mut bound_us = i64::MAX;
        let mut ready: Vec<PartitionId> = Vec::new();
        for (id, &end) in &target.end_offsets {
            let from = self.end_of(id);
            if from >= end || !self.partitions.contains(id) {
                continue;
            }
            self.fill(id, end)?;
            let read = self.read.get(id);
            let last = read.and_then(|read| read.back());
            let Some(last) = last else {
                continue;
            };
            // What comes after them may have been captured as early. Times can go
            // back a little, so that it is the latest that bounds: the partition
            // of the least bound then gives all that was read of it.
            if last.offset + 1 < end {
                let times = read.into_iter().flatten();
                let latest_us = times.map(|record| record.record.capture_time_us).max();
                bound_us = bound_us.min(latest_us.unwrap_or(i64::MAX));
            }
            ready.push(id.clone());
        }
        let mut records = Vec::new();
        let mut room = self.records_max;
        for id in ready {
            let end = target.end_offsets[&id];
            let taken = self.take(&id, end, bound_us, room);
            room = room.saturating_sub(taken.len() as u64);
            if !taken.is_empty() {
                records.push((id, taken));
            }
            if room == 0 {
                break;
            }
        }
        Ok((!records.is_empty()).then(|| self.content(records)))
    }

    /// Reads on where everything that was read was given out.
    fn fill(&mut self, id: &PartitionId, end: u64) -> Result<(), Failure> {
        let from = self.end_of(id);
        let read = self.read.entry(id.clone()).or_default();
        if !read.is_empty() {
            return Ok(());
        }
        let to = end.min(from.saturating_add(self.records_max));
        let log = &self.log;
        let records = log.read_as(id, from, to, READ_BYTES_MAX, &self.reading);
        read.extend(records.doing("reading the log")?);
        if read.is_empty() {
            // Says which offset is missing.
            read_between_as(log, id, from, end, &self.reading)?;
        }
        Ok(())
    }

    fn take(&mut self, id: &PartitionId, end: u64, bound_us: i64, room: u64) -> Vec<LogRecord> {
        let mut taken = Vec::new();
        let read = self.read.entry(id.clone()).or_default();
        while let Some(record) = read.front() {
            let is_wanted = record.offset < end && record.record.capture_time_us <= bound_us;
            if !is_wanted || taken.len() as u64 >= room {
                break;
            }
            taken.extend(read.pop_front());
        }
        self.note_taken(id, &taken);
        taken
    }

    /// Everything up to `target` at once.
    fn take_all(
        &mut self,
        target: &EpochCut,
    ) -> Result<Vec<(PartitionId, Vec<LogRecord>)>, Failure> {
        let mut all = Vec::new();
        let wanted = target.end_offsets.iter();
        let wanted: Vec<(&PartitionId, &u64)> = wanted
            .filter(|(id, _)| self.partitions.contains(id))
            .collect();
        for (id, &end) in wanted {
            let mut taken = self.take(id, end, i64::MAX, u64::MAX);
            let from = self.end_of(id);
            if from < end {
                let rest = read_between_as(&self.log, id, from, end, &self.reading)?;
                self.note_taken(id, &rest);
                taken.extend(rest);
            }
            if !taken.is_empty() {
                all.push((id.clone(), taken));
            }
        }
        Ok(all)
    }

    fn note_taken(&mut self, id: &PartitionId, taken: &[LogRecord]) {
        if let Some(last) = taken.last() {
            self.ends.insert(id.clone(), last.offset + 1);
            self.records_done += taken.len() as u64;
        }
    }

    fn content(&mut self, records: Vec<(PartitionId, Vec<LogRecord>)>) -> EpochContent {
        self.epoch += 1;
        EpochContent {
            cut: EpochCut {
                epoch: self.epoch,
                end_offsets: self.ends.clone(),
            },
            records,
            idle: self.idle.clone(),
        }
    }
}
