//! Records that are tried again after they became dead letters.
//!
//! A table's rows are what its definition makes of the whole log, so that a
//! mended definition alone gives most dead letters their second chance. What is
//! tried again is what a definition cannot give: a record that was sealed, whose
//! time was ahead, or that came before its table began. Whether it became rows
//! in the first place is decided from the record itself under the definitions in
//! force, and what it was given later is remembered; so a row appears once,
//! however often it is tried, and whatever is changed later.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use sluice_core::{LogRecord, PartitionId, Record, RecordKind, Retry};

use crate::csv_header::Header;
use crate::definition::{Sources, Table};
use crate::fields::CsvFields;
use crate::memory::PartitionMemory;
use crate::read_rows::{ReadRange, RowReader, Tools, Topic};
use crate::router::{Routed, Router, merge};
use crate::slots::SlotPlan;

/// What came of a record that was tried again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tried {
    /// When it was tried last, microseconds since 1970 UTC.
    pub time_us: i64,
    /// `rows`: it is in its table; `was_there`: it had been before; `part`: some of
    /// its rows are; `duplicate`: its key had been; `no_row`: its table has nothing
    /// to take from it; `no_table`: there is no such table any more; `csv_line`: the
    /// header of its file is not there; `last_values`: what its table needs is not
    /// in the record; else the reason of
    /// the dead letter that it would be again.
    pub outcome: String,
    /// Whether it has been given to the table, and must not be once more; of a letter
    /// of no table, whether it has been to any.
    pub given: bool,
}

/// By table, or nothing for letters of no table, and offset.
pub(crate) type TriedRecords = BTreeMap<String, BTreeMap<u64, Tried>>;

/// Reads one record for one table.
struct OneTable<'a> {
    topic: Topic<'a>,
    table: &'a Table,
    /// Of the file of a CSV line.
    header: Header,
}

impl<'a> OneTable<'a> {
    fn read(&self, record: &LogRecord) -> ReadRange<'a> {
        let mut tools = Tools::default();
        let reader = RowReader::new(&self.topic, self.header.clone(), &mut tools, None);
        reader.read(0, std::slice::from_ref(record))
    }

    /// What had become of the record when it came, as far as that lies in the
    /// record alone.
    fn before(&self, record: &LogRecord) -> Before {
        let read = self.read(record);
        let ahead = self.ahead(&read, record.record.capture_time_us);
        let count = read.rows.first().map_or(0, |rows| rows.kinds.len());
        let has_failed = ahead > 0 || !read.letters.letters.is_empty();
        match (has_failed, count > ahead) {
            (true, false) => Before::Failed,
            (true, true) => Before::Partly,
            (false, _) => Before::Rows,
        }
    }

    /// How many of its rows have a time that is too far ahead of this one.
    fn ahead(&self, read: &ReadRange<'_>, time_us: i64) -> usize {
        if self.table.definition.event_time.is_none() {
            return 0;
        }
        let limit = time_us.saturating_add(self.table.max_ahead_us);
        let candidates = read.rows.first().map(|rows| rows.candidates.as_slice());
        let times = candidates.into_iter().flatten().map(|it| it.event_time);
        times.flatten().filter(|&time| time > limit).count()
    }
}

/// What had become of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Before {
    /// No row, but a dead letter.
    Failed,
    /// Both: of its elements some were right.
    Partly,
    /// Rows, or nothing at all.
    Rows,
}

impl Router {
    /// Routes a record that is tried again. It makes no dead letter: the one that
    /// is there says what is wrong with it.
    pub(crate) fn route_retry(&mut self, id: &PartitionId, record: &LogRecord) -> Routed {
        let mut routed = Routed::default();
        // A letter's record is before.
        let retry = Retry::decode(&record.record.payload).ok();
        let Some(retry) = retry.filter(|retry| retry.offset < record.offset) else {
            return routed;
        };
        let sources = self.sources.clone();
        let tables = sources.tables.iter().filter(|table| {
            table.topic == id.topic
                && retry.is_for(&table.definition.name)
                && self.has_begun(table, id, record.offset)
        });
        let tables: Vec<&Table> = tables.collect();
        let mut outcomes = Vec::with_capacity(tables.len());
        for table in tables {
            let is_before = retry.offset < self.start_of(table, id);
            let memory = self.memory.entry(id.clone()).or_default();
            let name = &table.definition.name;
            let known = memory.general.tried.get(name);
            let known = known.and_then(|known| known.get(&retry.offset));
            if known.is_some_and(|known| known.given) {
                let tried = Tried {
                    time_us: record.record.capture_time_us,
                    outcome: "was_there".to_owned(),
                    given: true,
                };
                outcomes.push((name.clone(), tried));
                continue;
            }
            let again = Again {
                sources: &sources,
                id,
                retry: &retry,
                is_before,
                time_us: record.record.capture_time_us,
            };
            let (given, tried) = again.give(table, memory);
            outcomes.push((name.clone(), tried.clone()));
            memory.note_tried(name, retry.offset, tried);
            routed.add(given);
        }
        self.note_letters(id, record, &retry, &outcomes);
        routed
    }

    /// Notes what came of letters that name no table, and of those whose table is
    /// none of the topic's any more.
    fn note_letters(
        &mut self,
        id: &PartitionId,
        record: &LogRecord,
        retry: &Retry,
        outcomes: &[(String, Tried)],
    ) {
        let memory = self.memory.entry(id.clone()).or_default();
        for name in &retry.tables {
            if outcomes.iter().any(|(known, _)| known == name) {
                continue;
            }
            let known = memory.general.tried.get(name);
            let known = known.and_then(|known| known.get(&retry.offset));
            if known.is_some_and(|known| known.given) {
                continue;
            }
            // A name stands for a table that is gone, nothing for all of them.
            let of_tables = match name.is_empty() {
                true => outcomes,
                false => &[],
            };
            let given = of_tables.iter().any(|(_, tried)| tried.given);
            let of_tables = of_tables.iter().map(|(_, tried)| tried.outcome.as_str());
            let of_tables: Vec<&str> = of_tables.collect();
            let mut best = ["rows", "part", "was_there", "duplicate"].into_iter();
            let best = best.find(|wanted| of_tables.contains(wanted));
            let outcome = best.or(of_tables.first().copied()).unwrap_or("no_table");
            let tried = Tried {
                time_us: record.record.capture_time_us,
                outcome: outcome.to_owned(),
                given,
            };
            memory.note_tried(name, retry.offset, tried);
        }
    }

    /// What came of records that were tried again.
    pub fn tried(&self) -> Vec<(PartitionId, u64, String, Tried)> {
        let of_partition = |(id, memory): (&PartitionId, &PartitionMemory)| {
            let mut found = Vec::new();
            for (table, records) in &memory.general.tried {
                let tried = records.iter();
                found
                    .extend(tried.map(|(&offset, tried)| {
                        (id.clone(), offset, table.clone(), tried.clone())
                    }));
            }
            found
        };
        self.memory.iter().flat_map(of_partition).collect()
    }
}

/// A record on its second way to a table.
struct Again<'a> {
    sources: &'a Sources,
    id: &'a PartitionId,
    retry: &'a Retry,
    /// The record came before the table began.
    is_before: bool,
    /// When it is tried.
    time_us: i64,
}

impl Again<'_> {
    /// The record with its own place in the log, so that its change is not taken
    /// for newer than those behind it.
    fn record(&self, capture_time_us: i64) -> LogRecord {
        LogRecord {
            offset: self.retry.offset,
            record: Record {
                kind: RecordKind::Data,
                payload: self.retry.payload.clone(),
                capture_time_us,
                position: bytes::Bytes::new(),
                transaction: None,
            },
        }
    }

    fn give(&self, table: &Table, memory: &mut PartitionMemory) -> (Routed, Tried) {
        let mut tried = Tried {
            time_us: self.time_us,
            outcome: "no_row".to_owned(),
            given: false,
        };
        let topic_name = &self.id.topic;
        // What these need is not in the record.
        let delimiter = self.sources.csv_delimiter(topic_name);
        let lacks_header = delimiter.is_some() && self.retry.header.is_none();
        let needs = match (lacks_header, table.has_last_values()) {
            (true, _) => Some("csv_line"),
            (_, true) => Some("last_values"),
            _ => None,
        };
        if let Some(needs) = needs {
            tried.outcome = needs.to_owned();
            return (Routed::default(), tried);
        }
        let no_places = SlotPlan::default();
        let plan = self.sources.slot_plan(topic_name).unwrap_or(&no_places);
        let header = match (delimiter, &self.retry.header) {
            (Some(delimiter), Some(line)) => {
                Header::read(&mut CsvFields::default(), line, delimiter, plan).0
            }
            _ => Header::default(),
        };
        let tables = [table];
        let one = OneTable {
            topic: Topic {
                id: self.id,
                plan,
                tables: &tables,
                delimiter,
                messages: self.sources.messages.get(topic_name).copied(),
                drops_unplaced: true,
                left_out: self.sources.left_out.get().map(AsRef::as_ref),
            },
            table,
            header,
        };
        let record = self.record(self.retry.capture_time_us);
        if !self.retry.was_sealed && !self.is_before {
            let outcome = match one.before(&record) {
                Before::Failed => None,
                // To give all of it again would double the rows that are there.
                Before::Partly => Some("part"),
                Before::Rows => Some("was_there"),
            };
            if let Some(outcome) = outcome {
                tried.outcome = outcome.to_owned();
                return (Routed::default(), tried);
            }
        }
        let read = one.read(&record);
        if let Some((_, letter)) = read.letters.letters.first() {
            tried.outcome = letter.reason.to_owned();
            return (Routed::default(), tried);
        }
        // All or nothing: what is given cannot be given again with the rest.
        if one.ahead(&read, self.time_us) > 0 {
            tried.outcome = "ahead".to_owned();
            return (Routed::default(), tried);
        }
        let row_count = read.rows.first().map_or(0, |rows| rows.kinds.len());
        // Its time is compared with the time of trying.
        let now = self.record(self.time_us);
        let mut routed = merge(&one.topic, memory, vec![read], &[now]);
        let refused = std::mem::take(&mut routed.dead_letters);
        tried.given = row_count > refused.len();
        if let Some(letter) = refused.first() {
            let outcome = if tried.given { "part" } else { letter.reason };
            tried.outcome = outcome.to_owned();
        } else if routed.duplicates > 0 {
            tried.outcome = "duplicate".to_owned();
        } else if row_count > 0 {
            tried.outcome = "rows".to_owned();
        }
        (routed, tried)
    }
}
