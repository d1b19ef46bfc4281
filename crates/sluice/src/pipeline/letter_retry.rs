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

use super::csv_headers::{CsvHeaders, HEADER_RECORDS_MAX};
use super::door::{Door, DoorError};
use crate::mask_history::MaskHistory;

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
    /// Masks of topics do not change while the program runs.
    history: MaskHistory,
    tried: TriedLetters,
    /// Topics of CSV files when the program started: lines of others are refused by
    /// the router until the next start.
    csv_topics: BTreeSet<String>,
    /// Bytes of a record that the log takes.
    record_bytes_max: usize,
}

/// Records are appended when they have so many bytes together: a thousand may be
/// more than there is memory.
const PORTION_BYTES: usize = 16 << 20;
/// What came of so many is remembered, in memory and in each checkpoint.
const TRIED_MAX: usize = 100_000;

/// The tables of each record, by offset.
type ByOffset<'a> = BTreeMap<u64, BTreeSet<&'a str>>;

impl LetterRetry {
    /// Tries records of this log again, which hold what was personal before the
    /// masks of `history`; `tried` were before.
    pub fn new(
        log: Arc<Log>,
        masks: Arc<Masks>,
        history: MaskHistory,
        tried: TriedLetters,
        csv_topics: BTreeSet<String>,
    ) -> Self {
        Self {
            csv_topics,
            door: Door::new(log.clone(), masks.clone()),
            record_bytes_max: log.record_bytes_max(),
            log,
            masks,
            history,
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
        if record.kind == RecordKind::Backfill {
            return Err("it came from an export: bring its row in another one".to_owned());
        }
        if record.kind != RecordKind::Data {
            return Err("it is the header of a file".to_owned());
        }
        if record.payload.starts_with(UNDECODED.as_bytes()) {
            return Err("its source could not read it, and gives it anew only".to_owned());
        }
        if !record.payload.starts_with(SEALED.as_bytes()) {
            if !self.masks.is_masked_by_rules(&id.topic, &record.payload) {
                return Err("it came before a rule of diversion that masks its table as it is masked now, and would be written once more in clear: let its source send it again".to_owned());
            }
            // It cannot be masked now: which of its values are tokens already, of
            // a mask that came, went and came back, nobody knows.
            return match self.history.later_than(id, offset) {
                Some(masks) => Err(format!(
                    "it came before {masks}, and would be written once more in clear: let its source send it again"
                )),
                None => Ok((record, false)),
            };
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

    /// The record to append for that at `offset`, or why there is none.
    fn record(
        &self,
        id: &PartitionId,
        offset: u64,
        tables: &BTreeSet<&str>,
        headers: &mut CsvHeaders<'_>,
    ) -> Result<Record, String> {
        let (original, was_sealed) = self.original(id, offset)?;
        let header = match self.csv_topics.contains(&id.topic) {
            true => {
                let found = headers.header_of(offset);
                let found = found
                    .map_err(|error| format!("the header of its file cannot be read: {error}"))?;
                let problem = || {
                    format!(
                        "the header of its file is not among the {HEADER_RECORDS_MAX} records before it"
                    )
                };
                Some(found.ok_or_else(problem)?)
            }
            false => None,
        };
        let retry = Retry {
            offset,
            capture_time_us: original.capture_time_us,
            was_sealed,
            tables: tables.iter().map(|&table| table.to_owned()).collect(),
            payload: original.payload,
            header,
        };
        let payload = retry.encode();
        if payload.len() > self.record_bytes_max {
            return Err("it is too large to be written once more".to_owned());
        }
        Ok(Record {
            kind: RecordKind::Retry,
            payload,
            capture_time_us: SystemClock.now_us(),
            // No source is read on from here.
            position: Bytes::new(),
            transaction: None,
        })
    }

    fn append_partition(
        &self,
        id: &PartitionId,
        by_offset: &ByOffset<'_>,
        report: &mut RetryReport,
    ) -> Result<(), DoorError> {
        let (mut records, mut bytes) = (Vec::new(), 0);
        let mut headers = CsvHeaders::new(&self.log, id);
        let mut appended = Ok(());
        for (&offset, tables) in by_offset {
            match self.record(id, offset, tables, &mut headers) {
                Ok(record) => {
                    bytes += record.payload.len();
                    report.records += 1;
                    records.push(record);
                }
                Err(why) => report.refused.extend(tables.iter().map(|&table| {
                    let letter = LetterPlace {
                        topic: id.topic.clone(),
                        partition: id.partition,
                        offset,
                        table: table.to_owned(),
                    };
                    (letter, why.clone())
                })),
            }
            if bytes >= PORTION_BYTES {
                appended = self.door.append(id, &mut std::mem::take(&mut records));
                bytes = 0;
            }
            if appended.is_err() {
                break;
            }
        }
        if appended.is_ok() && !records.is_empty() {
            appended = self.door.append(id, &mut records);
        }
        appended
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
        let mut partitions = by_partition.iter();
        let appended = partitions
            .try_for_each(|(id, by_offset)| self.append_partition(id, by_offset, &mut report));
        // What is appended is durable, whatever was refused after it.
        self.door.sync()?;
        appended.map(|()| report)
    }

    /// How many of these letters were never tried.
    fn new_count(tried: &[TriedLetter], letters: &[LetterPlace]) -> usize {
        let known = tried.iter().map(|(id, offset, table, _)| {
            (id.topic.as_str(), id.partition, *offset, table.as_str())
        });
        let known: BTreeSet<_> = known.collect();
        let is_new = |letter: &&LetterPlace| {
            let place = (
                letter.topic.as_str(),
                letter.partition,
                letter.offset,
                letter.table.as_str(),
            );
            !known.contains(&place)
        };
        letters.iter().filter(is_new).count()
    }
}

impl RetryLetters for LetterRetry {
    fn retry(&self, letters: &[LetterPlace]) -> Result<RetryReport, String> {
        if sluice_memory::usage().is_over() {
            return Err("the warehouse takes no records: its state has no room".to_owned());
        }
        let tried = self.tried.all();
        if tried.len() + Self::new_count(&tried, letters) > TRIED_MAX {
            return Err(format!(
                "{TRIED_MAX} letters were tried again, as many as are remembered: mend the definition of the source instead"
            ));
        }
        let appended = self.append(letters);
        appended.map_err(|error| format!("the records could not be made durable: {error}"))
    }
}
