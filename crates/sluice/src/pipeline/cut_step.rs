//! Cuts the log into epochs. A cut is durable in the control log before
//! anything of its epoch leaves this step, so that an epoch number never gets
//! different content.

use std::collections::{BTreeMap, BTreeSet};

use sluice_core::{Epoch, EpochCut, LogRecord, PartitionId, RecordKind};
use sluice_log::{ControlEntry, ControlLog, Log, ModelText, Reading, SourceTexts};

use super::idle_partitions::{IdleChange, IdlePartitions};
use crate::failure::{Doing, Failure};

/// How large an epoch becomes under load.
#[derive(Debug, Clone, Copy)]
pub struct CutLimits {
    /// Most records.
    pub records_max: u64,
    /// Most payload bytes, about.
    pub bytes_max: usize,
    /// Silence after which a partition is idle, in microseconds; `None`: never.
    pub idle_after_us: Option<i64>,
}

/// What one epoch holds.
#[derive(Debug)]
pub struct EpochContent {
    /// Its cut.
    pub cut: EpochCut,
    /// Its records, by partition.
    pub records: Vec<(PartitionId, Vec<LogRecord>)>,
    /// Partitions that are idle.
    pub idle: BTreeSet<PartitionId>,
}

impl EpochContent {
    /// Number of records.
    pub fn record_count(&self) -> u64 {
        self.records
            .iter()
            .map(|(_, records)| records.len() as u64)
            .sum()
    }
}

/// See the module.
#[derive(Debug)]
pub struct CutStep {
    control: ControlLog,
    limits: CutLimits,
    last_epoch: Epoch,
    /// End of the last epoch in each partition.
    ends: BTreeMap<PartitionId, u64>,
    idle: IdlePartitions,
    /// Since the start of the log.
    idle_changes: Vec<IdleChange>,
}

impl CutStep {
    /// Goes on after `last`, when `idle` were idle. `entries` are what the control
    /// log holds.
    pub fn new(
        control: ControlLog,
        entries: &[ControlEntry],
        limits: CutLimits,
        last: EpochCut,
        idle: BTreeSet<PartitionId>,
    ) -> Self {
        Self {
            control,
            limits,
            last_epoch: last.epoch,
            ends: last.end_offsets,
            idle: IdlePartitions::new(limits.idle_after_us)
                .with_idle(idle)
                .with_recorded(entries),
            idle_changes: Vec::new(),
        }
    }

    /// With the changes of idle partitions that came before.
    #[must_use]
    pub fn with_idle_changes(mut self, changes: Vec<IdleChange>) -> Self {
        self.idle_changes = changes;
        self
    }

    /// When the idle partitions changed, since the start of the log.
    pub fn idle_changes(&self) -> &[IdleChange] {
        &self.idle_changes
    }

    /// The cut of the last epoch.
    pub fn last_cut(&self) -> EpochCut {
        EpochCut {
            epoch: self.last_epoch,
            end_offsets: self.ends.clone(),
        }
    }

    /// The partitions that were idle in the last epoch.
    pub fn idle(&self) -> &BTreeSet<PartitionId> {
        self.idle.idle()
    }

    /// True when the epochs hold all that is durable.
    pub fn has_caught_up(&self, log: &Log) -> bool {
        log.partitions()
            .into_iter()
            .all(|id| log.end_offset(&id) <= self.start_of(log, &id))
    }

    /// Durable records that are in no epoch yet.
    pub fn records_waiting(&self, log: &Log) -> u64 {
        let waiting = |id: PartitionId| {
            let start = self.start_of(log, &id);
            log.end_offset(&id).saturating_sub(start)
        };
        log.partitions().into_iter().map(waiting).sum()
    }

    /// The same, by topic.
    pub fn records_waiting_by_topic(&self, log: &Log) -> BTreeMap<String, u64> {
        let mut waiting: BTreeMap<String, u64> = BTreeMap::new();
        for id in log.partitions() {
            let start = self.start_of(log, &id);
            let records = log.end_offset(&id).saturating_sub(start);
            *waiting.entry(id.topic).or_default() += records;
        }
        waiting
    }

    /// The next epoch, its cut recorded; `None` while there is nothing new.
    ///
    /// # Errors
    /// When the log cannot be read or the cut not be recorded.
    pub fn next(&mut self, log: &Log) -> Result<Option<EpochContent>, Failure> {
        let mut records = Vec::new();
        let mut end_offsets = self.ends.clone();
        let mut records_left = self.limits.records_max;
        let mut bytes_left = self.limits.bytes_max;
        for id in log.partitions() {
            if records_left == 0 || bytes_left == 0 {
                break;
            }
            let from = self.start_of(log, &id);
            let taken = take_whole_transactions(log, &id, from, records_left, bytes_left)?;
            let Some(last) = taken.last() else {
                continue;
            };
            end_offsets.insert(id.clone(), last.offset + 1);
            records_left = records_left.saturating_sub(taken.len() as u64);
            bytes_left = bytes_left.saturating_sub(payload_bytes(&taken));
            records.push((id, taken));
        }
        if records.is_empty() {
            return Ok(None);
        }
        let cut = EpochCut {
            epoch: self.last_epoch + 1,
            end_offsets,
        };
        let (from, idle_before) = (self.last_cut(), self.idle.idle().clone());
        // A mark without its cut, left by a crash, holds for the epoch too.
        self.idle.begin_epoch(cut.epoch, &records);
        let silent = self.idle.becoming_idle(log.partitions(), &records);
        let mark = |partition: &PartitionId| ControlEntry::Idle {
            epoch: cut.epoch,
            partition: partition.clone(),
            idle: true,
        };
        let mut entries: Vec<ControlEntry> = silent.iter().map(mark).collect();
        entries.push(ControlEntry::Cut(cut.clone()));
        self.control
            .append(&entries)
            .doing("recording an epoch's cut")?;
        self.note_idle_change(from, &cut, &idle_before);
        self.advance_to(&cut);
        Ok(Some(EpochContent {
            cut,
            records,
            idle: self.idle.idle().clone(),
        }))
    }

    /// An epoch that was cut before, exactly as it was.
    ///
    /// # Errors
    /// When the log no longer holds its records.
    pub fn recorded(&mut self, log: &Log, cut: EpochCut) -> Result<EpochContent, Failure> {
        let mut records = Vec::new();
        for (id, &to) in &cut.end_offsets {
            let from = self.start_of(log, id);
            let taken = read_between(log, id, from, to)?;
            if !taken.is_empty() {
                records.push((id.clone(), taken));
            }
        }
        let (before, idle_before) = (self.last_cut(), self.idle.idle().clone());
        self.idle.begin_epoch(cut.epoch, &records);
        self.note_idle_change(before, &cut, &idle_before);
        self.advance_to(&cut);
        Ok(EpochContent {
            cut,
            records,
            idle: self.idle.idle().clone(),
        })
    }

    /// The cut of the next epoch, if it has no records.
    pub fn empty_cut(&self) -> EpochCut {
        EpochCut {
            epoch: self.last_epoch + 1,
            end_offsets: self.ends.clone(),
        }
    }

    /// An epoch without records, from which on other models or tables hold; it is
    /// recorded first.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn record_models(
        &mut self,
        fingerprint: u64,
        description: String,
        models: Vec<ModelText>,
        sources: Option<SourceTexts>,
    ) -> Result<Epoch, Failure> {
        let cut = self.empty_cut();
        let entry = ControlEntry::Models {
            cut: cut.clone(),
            fingerprint,
            description,
            models,
            sources,
        };
        self.control
            .append(&[entry])
            .doing("recording a change of definitions")?;
        let (from, idle_before) = (self.last_cut(), self.idle.idle().clone());
        // As when the epoch is run again after a crash.
        self.idle.begin_epoch(cut.epoch, &[]);
        self.note_idle_change(from, &cut, &idle_before);
        self.advance_to(&cut);
        Ok(cut.epoch)
    }

    fn note_idle_change(
        &mut self,
        from: EpochCut,
        to: &EpochCut,
        idle_before: &BTreeSet<PartitionId>,
    ) {
        if self.idle.idle() != idle_before {
            self.idle_changes.push(IdleChange {
                from,
                to: to.clone(),
                idle: self.idle.idle().clone(),
            });
        }
    }

    /// Forgets cuts that no recovery can need any more.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn forget_before(&mut self, epoch: Epoch) -> Result<(), Failure> {
        self.control
            .truncate_before(epoch)
            .doing("shortening the control log")
    }

    fn advance_to(&mut self, cut: &EpochCut) {
        self.last_epoch = cut.epoch;
        self.ends.clone_from(&cut.end_offsets);
    }

    /// The end of the last epoch in a partition.
    pub fn end_of(&self, log: &Log, id: &PartitionId) -> u64 {
        self.start_of(log, id)
    }

    fn start_of(&self, log: &Log, id: &PartitionId) -> u64 {
        match self.ends.get(id) {
            Some(&end) => end,
            None => log.start_offset(id),
        }
    }
}

fn payload_bytes(records: &[LogRecord]) -> usize {
    records
        .iter()
        .map(|record| record.record.payload.len())
        .sum()
}

/// Records from `from`, up to the limits, that end with a whole transaction: a
/// transaction that is longer than the limits is taken whole, one that has not
/// been committed yet is left for a later epoch.
fn take_whole_transactions(
    log: &Log,
    id: &PartitionId,
    from: u64,
    records_max: u64,
    bytes_max: usize,
) -> Result<Vec<LogRecord>, Failure> {
    let end = log.end_offset(id);
    let mut taken = Vec::new();
    let mut next = from;
    let mut bytes = 0;
    loop {
        let is_full = taken.len() as u64 >= records_max || bytes >= bytes_max;
        if next >= end || is_full {
            let whole = whole_transactions(&taken);
            if whole > 0 || next >= end {
                taken.truncate(whole);
                return Ok(taken);
            }
        }
        let room = records_max.saturating_sub(taken.len() as u64).max(1);
        let to = end.min(next.saturating_add(room));
        let read = log.read(id, next, to, bytes_max).doing("reading the log")?;
        let Some(last) = read.last() else {
            return Ok(taken);
        };
        next = last.offset + 1;
        bytes += payload_bytes(&read);
        append(&mut taken, read);
    }
}

/// Appends `more`, without moving anything if there was nothing before.
fn append(records: &mut Vec<LogRecord>, mut more: Vec<LogRecord>) {
    match records.is_empty() {
        true => *records = more,
        false => records.append(&mut more),
    }
}

/// Length of the longest beginning of `records` that splits no transaction. One
/// that is tried again, or comes from an export, may stand anywhere, and begins or
/// ends none.
fn whole_transactions(records: &[LogRecord]) -> usize {
    let stands_anywhere = |record: &&LogRecord| {
        matches!(record.record.kind, RecordKind::Retry | RecordKind::Backfill)
    };
    let ends_whole = |record: &LogRecord| match &record.record.transaction {
        Some(mark) => mark.commit,
        None => !stands_anywhere(&record),
    };
    let whole = records.iter().rposition(ends_whole);
    let whole = whole.map_or(0, |position| position + 1);
    whole + records[whole..].iter().take_while(stands_anywhere).count()
}

/// The records of one partition from `from` to `to`, all of them.
///
/// # Errors
/// When the log does not hold them.
pub fn read_between(
    log: &Log,
    id: &PartitionId,
    from: u64,
    to: u64,
) -> Result<Vec<LogRecord>, Failure> {
    read_between_as(log, id, from, to, &Reading::default())
}

/// [`read_between`] by somebody who reads the log otherwise than all.
///
/// # Errors
/// As for [`read_between`].
pub fn read_between_as(
    log: &Log,
    id: &PartitionId,
    from: u64,
    to: u64,
    reading: &Reading,
) -> Result<Vec<LogRecord>, Failure> {
    let mut records: Vec<LogRecord> = Vec::new();
    let mut next = from;
    while next < to {
        let read = log.read_as(id, next, to, 64 << 20, reading);
        let read = read.map_err(|error| {
            let (topic, partition) = (&id.topic, id.partition);
            let what = format!("reading the log of topic `{topic}`, partition {partition}");
            Failure::doing(&what, &error)
        })?;
        let Some(last) = read.last() else {
            return Err(Failure::Failed(format!(
                "the log of topic `{}`, partition {}, ends at offset {next}, before offset {to} that the control log names\n  help: restore the log from a backup; without these records the state cannot be rebuilt",
                id.topic, id.partition
            )));
        };
        next = last.offset + 1;
        append(&mut records, read);
    }
    Ok(records)
}
