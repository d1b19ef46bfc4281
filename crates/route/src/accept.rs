//! Which rows of append-only tables are taken: those whose key is new, and
//! whose event time is neither too late nor too far ahead.
//!
//! Rows are read from their records in any order, or at the same time;
//! acceptance depends on the rows before, and is decided here, in order.

use sluice_core::LogRecord;

use crate::dedup::DedupMemory;
use crate::definition::Table;
use crate::letters::{Letters, Place, Refusal};
use crate::memory::PartitionMemory;

/// A row that waits to be accepted.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Candidate {
    /// Number of its record.
    pub(crate) record: u32,
    /// Number of its element in the record.
    pub(crate) element: u32,
    /// Its key, where the table has one to know duplicates by.
    pub(crate) key: Option<u128>,
    /// Microseconds since 1970.
    pub(crate) event_time: Option<i64>,
}

/// Whether a table asks anything of its rows beyond what they hold.
pub(crate) fn is_selective(table: &Table) -> bool {
    table.dedup.is_some() || table.definition.event_time.is_some()
}

/// Decides about the rows of one table, in order.
pub(crate) struct Acceptance<'a> {
    table: &'a Table,
    /// Keys that were seen, where the table has one to know duplicates by.
    seen: Option<&'a mut DedupMemory>,
    /// Greatest accepted event time.
    pub(crate) greatest: Option<i64>,
    /// Rows left out because their key was seen before.
    pub(crate) duplicates: u64,
}

impl<'a> Acceptance<'a> {
    pub(crate) fn new(table: &'a Table, memory: &'a mut PartitionMemory) -> Self {
        let greatest = memory.general.event_times.get(&table.definition.name);
        Self {
            table,
            greatest: greatest.copied(),
            seen: memory.dedup(table),
            duplicates: 0,
        }
    }

    /// Whether each row is taken; `None` if all are.
    pub(crate) fn decide(
        &mut self,
        number: usize,
        candidates: &[Candidate],
        records: &[LogRecord],
        letters: &mut Letters<'_>,
    ) -> Option<Vec<bool>> {
        let mut taken = None;
        for (row, candidate) in candidates.iter().enumerate() {
            let record = &records[candidate.record as usize];
            let is_taken = match self.accept(candidate, record) {
                Ok(is_taken) => is_taken,
                Err(refusal) => {
                    let place = Place {
                        record: candidate.record,
                        table: number as u32,
                        element: candidate.element,
                    };
                    let table = &self.table.definition.name;
                    letters.push(place, record, table, refusal);
                    false
                }
            };
            if !is_taken {
                taken.get_or_insert_with(|| vec![true; candidates.len()])[row] = false;
            }
        }
        taken
    }

    fn accept(&mut self, candidate: &Candidate, record: &LogRecord) -> Result<bool, Refusal> {
        let is_known =
            |seen: &&mut DedupMemory| candidate.key.is_some_and(|key| seen.contains(key));
        if self.seen.as_ref().is_some_and(is_known) {
            self.duplicates += 1;
            return Ok(false);
        }
        self.accept_time(candidate, record)?;
        if let (Some(seen), Some(key)) = (&mut self.seen, candidate.key) {
            seen.insert(key, record.record.capture_time_us);
        }
        Ok(true)
    }

    /// Rows that are too late or too far ahead are refused.
    fn accept_time(&mut self, candidate: &Candidate, record: &LogRecord) -> Result<(), Refusal> {
        let table = self.table;
        let (Some(column), Some(time)) = (table.definition.event_time, candidate.event_time) else {
            return Ok(());
        };
        let refuse = |reason, detail: &str| {
            Err(Refusal {
                column: table.columns[column].name.clone(),
                reason,
                detail: detail.to_owned(),
            })
        };
        let captured = record.record.capture_time_us;
        if time > captured.saturating_add(table.max_ahead_us) {
            return refuse("ahead", "the event time is too far ahead");
        }
        if let Some(greatest) = self.greatest
            && time < greatest.saturating_sub(table.lateness_us)
        {
            return refuse("late", "the row came later than `lateness` allows");
        }
        self.greatest = self.greatest.max(Some(time));
        Ok(())
    }
}
