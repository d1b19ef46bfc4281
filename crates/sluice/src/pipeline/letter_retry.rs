//! Dead letters that are tried again: their records go into the log once more,
//! in the same partition, for the tables that had refused them. The router knows
//! from the log alone which of them may become rows, so that a record that is
//! tried twice, or by a process that dies in between, gives its rows once.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::Bytes;
use parking_lot::Mutex;
use sluice_core::{Clock, PartitionId, Record, RecordKind, Retry, SystemClock, UNDECODED};
use sluice_log::Log;
use sluice_mask::{Masks, SEALED};
use sluice_route::Tried;
use sluice_serve::{LetterPlace, RetryLetters, RetryReport};

use super::door::{Door, DoorError};

/// A record that was tried again: where it is, for which table, and what came of
/// it.
pub type TriedLetter = (PartitionId, u64, String, Tried);

/// What came of all of them, as of the last epoch. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct TriedLetters(Arc<Mutex<Arc<Vec<TriedLetter>>>>);

impl TriedLetters {
    pub(super) fn set(&self, tried: Vec<TriedLetter>) {
        *self.0.lock() = Arc::new(tried);
    }

    /// All of them.
    pub fn all(&self) -> Arc<Vec<TriedLetter>> {
        self.0.lock().clone()
    }
}

/// See the module.
#[derive(Debug)]
pub struct LetterRetry {
    log: Arc<Log>,
    door: Door,
    masks: Arc<Masks>,
    tried: TriedLetters,
}

/// What came of so many is remembered, in memory and in each checkpoint.
const TRIED_MAX: usize = 100_000;

/// The tables of each record, by offset.
type ByOffset<'a> = BTreeMap<u64, BTreeSet<&'a str>>;

impl LetterRetry {
    /// Tries records of this log again; `tried` were before.
    pub fn new(log: Arc<Log>, masks: Arc<Masks>, tried: TriedLetters) -> Self {
        Self {
            door: Door::new(log.clone(), masks.clone()),
            log,
            masks,
            tried,
        }
    }

    /// The record in the log as it may be tried again, and whether it was sealed;
    /// or why it may not.
    fn original(&self, id: &PartitionId, offset: u64) -> Result<(Record, bool), String> {
        if offset < self.log.start_offset(id) {
            return Err("its record was dropped by [log] retention".to_owned());
        }
        let read = self.log.read(id, offset, offset + 1, 1);
        let read = read.map_err(|error| format!("its record cannot be read: {error}"))?;
        let record = read.into_iter().find(|record| record.offset == offset);
        let Some(record) = record.map(|record| record.record) else {
            return Err("its record is not in the log".to_owned());
        };
        if record.kind != RecordKind::Data {
            return Err("it is the header of a file".to_owned());
        }
        if record.payload.starts_with(UNDECODED.as_bytes()) {
            return Err("its source could not read it, and gives it anew only".to_owned());
        }
        if !record.payload.starts_with(SEALED.as_bytes()) {
            return Ok((record, false));
        }
        let text = String::from_utf8_lossy(&record.payload);
        let masked = self.masks.mask_again(&id.topic, &text);
        let masked = masked.map_err(|error| format!("it could not be masked: {error}"))?;
        match masked {
            Some(payload) => Ok((Record { payload, ..record }, true)),
            None => Err(
                "it is sealed, and cannot be taken apart under the rules of today either"
                    .to_owned(),
            ),
        }
    }

    fn records(
        &self,
        id: &PartitionId,
        by_offset: &ByOffset<'_>,
        report: &mut RetryReport,
    ) -> Vec<Record> {
        let mut records = Vec::new();
        let now_us = SystemClock.now_us();
        for (&offset, tables) in by_offset {
            let tables = || tables.iter().map(|&table| table.to_owned());
            let (original, was_sealed) = match self.original(id, offset) {
                Ok(original) => original,
                Err(why) => {
                    report.refused.extend(tables().map(|table| {
                        let letter = LetterPlace {
                            topic: id.topic.clone(),
                            partition: id.partition,
                            offset,
                            table,
                        };
                        (letter, why.clone())
                    }));
                    continue;
                }
            };
            let retry = Retry {
                offset,
                capture_time_us: original.capture_time_us,
                was_sealed,
                tables: tables().collect(),
                payload: original.payload,
            };
            records.push(Record {
                kind: RecordKind::Retry,
                payload: retry.encode(),
                capture_time_us: now_us,
                // No source is read on from here.
                position: Bytes::new(),
                transaction: None,
            });
        }
        records
    }

    fn append(&self, letters: &[LetterPlace]) -> Result<RetryReport, DoorError> {
        let mut by_partition: BTreeMap<PartitionId, ByOffset<'_>> = BTreeMap::new();
        for letter in letters {
            let id = PartitionId {
                topic: letter.topic.clone(),
                partition: letter.partition,
            };
            let by_offset = by_partition.entry(id).or_default();
            let tables = by_offset.entry(letter.offset).or_default();
            tables.insert(&letter.table);
        }
        let mut report = RetryReport::default();
        for (id, by_offset) in by_partition {
            let mut records = self.records(&id, &by_offset, &mut report);
            if !records.is_empty() {
                report.records += records.len() as u64;
                self.door.append(&id, &mut records)?;
            }
        }
        self.door.sync()?;
        Ok(report)
    }
}

impl RetryLetters for LetterRetry {
    fn retry(&self, letters: &[LetterPlace]) -> Result<RetryReport, String> {
        if sluice_memory::usage().is_over() {
            return Err("the warehouse takes no records: its state has no room".to_owned());
        }
        if self.tried.all().len() + letters.len() > TRIED_MAX {
            return Err(format!(
                "{TRIED_MAX} letters were tried again, as many as are remembered: mend the definition of the source instead"
            ));
        }
        let appended = self.append(letters);
        appended.map_err(|error| format!("the records could not be made durable: {error}"))
    }
}
