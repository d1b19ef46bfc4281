//! Rows of exports for tables at work: which columns of a file a table takes, what is
//! masked of them, and how the router gives them to their table.
//!
//! Such a row is older than every change. It comes in where the table has nothing of
//! its key, and each row of an export comes once, however often it is brought.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arrow::datatypes::Schema;
use bytes::Bytes;
use sluice_core::{
    BackfilledRow, ChangeKind, LogRecord, PartitionId, Record, RecordKind, TableKind,
};
use sluice_mask::TopicRules;

use crate::csv_header::Header;
use crate::definition::{Sources, Table};
use crate::history::{
    HistoryError, exported_column, history_rules, inside_record, pointer, table_of_rows,
};
use crate::read_rows::{RowReader, Tools, Topic};
use crate::router::{PARALLEL_RECORDS_MIN, Routed, Router, merge, read_ranges};
use crate::slots::SlotPlan;
use crate::source_text::Policy;

/// By table and export: the number of the first row that did not come yet.
pub(crate) type BackfilledRows = BTreeMap<String, BTreeMap<u64, u64>>;

/// How the rows of an exported file become rows of a table at work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Backfill {
    /// Columns of the file with those of the table that take them, in the order of
    /// the table. What else the file holds must not get into records: it may be
    /// personal.
    pub columns: Vec<(String, String)>,
    /// Whether the table has a primary key.
    pub has_key: bool,
}

/// What is asked of rows that are brought to a table.
#[derive(Debug)]
pub struct BackfillRules<'a> {
    /// The topic of the table.
    pub topic: &'a str,
    /// What is masked.
    pub masks: TopicRules,
}

impl Sources {
    /// How rows of a file with the columns `exported` are brought to a table. A column
    /// of the table is found as for [`Sources::of_history`]. `rules_of` gives what is
    /// masked in a topic: the door's rules, which may be others than those of the
    /// definitions in force.
    ///
    /// # Errors
    /// When there is no such table, it takes no rows of exports, or the file lacks a
    /// column that it needs.
    pub fn backfill(
        &self,
        table: &str,
        exported: &Schema,
        rules_of: impl FnOnce(&str) -> Option<Arc<TopicRules>>,
    ) -> Result<Backfill, HistoryError> {
        let found = self.table_of_history(table)?;
        require_no_lateness(found)?;
        let mut columns = Vec::new();
        for column in &found.columns {
            if let Some(field) = exported_column(found, column, exported)? {
                columns.push((field.to_owned(), column.name.clone()));
            }
        }
        // What is masked under the key of a person needs the person in the file.
        let taken = |name: &str| columns.iter().any(|(_, known)| known == name);
        rules_of_rows(found, rules_of(&found.topic).as_deref(), taken)?;
        Ok(Backfill {
            columns,
            has_key: matches!(found.definition.kind, TableKind::Changelog { .. }),
        })
    }

    /// What is asked of rows of exports with these columns of a table, before they are
    /// brought to it. `rules_of` as for [`Sources::backfill`].
    ///
    /// # Errors
    /// When there is no such table, it takes no rows of exports or has no such column,
    /// or the rules of its topic cannot be told of these columns.
    pub fn backfill_rules(
        &self,
        table: &str,
        columns: &BTreeSet<String>,
        rules_of: impl FnOnce(&str) -> Option<Arc<TopicRules>>,
    ) -> Result<BackfillRules<'_>, HistoryError> {
        let found = self.table_of_history(table)?;
        require_no_lateness(found)?;
        let is_its = |name: &&String| found.columns.iter().any(|column| column.name == **name);
        // What it holds may be personal, and no mask knows it.
        if let Some(other) = columns.iter().find(|name| !is_its(name)) {
            return Err(HistoryError::OtherColumn {
                table: table.to_owned(),
                column: other.clone(),
            });
        }
        let is_taken = |name: &str| columns.contains(name);
        Ok(BackfillRules {
            topic: &found.topic,
            masks: rules_of_rows(found, rules_of(&found.topic).as_deref(), is_taken)?,
        })
    }
}

/// The rules of a table's topic for rows of exports with some of its columns.
fn rules_of_rows(
    table: &Table,
    rules: Option<&TopicRules>,
    is_taken: impl Fn(&str) -> bool,
) -> Result<TopicRules, HistoryError> {
    let columns = table.columns.iter();
    let columns = columns.filter(|column| is_taken(&column.name));
    let names = columns.map(|column| {
        let place = inside_record(table, &column.from.name);
        (column.name.clone(), place)
    });
    history_rules(table, rules, &names.collect())
}

/// Windows that are over stay as they are: what comes behind them is no row.
fn require_no_lateness(table: &Table) -> Result<(), HistoryError> {
    let is_added = table.definition.kind == TableKind::AppendOnly;
    match is_added && table.lateness_us < i64::MAX {
        true => Err(HistoryError::RefusesLateRows {
            table: table.definition.name.clone(),
        }),
        false => Ok(()),
    }
}

/// A table as its rows stand in exports, with the places that it names.
fn table_of_backfill(found: &Table) -> (Table, SlotPlan) {
    let mut table = table_of_rows(found);
    for column in &mut table.columns {
        column.from = pointer(&column.name).into();
        // The last value of a key is none that came after the export.
        if column.missing == Policy::Last {
            column.missing = Policy::DeadLetter;
        }
        if column.wrong == Policy::Last {
            column.wrong = Policy::DeadLetter;
        }
        column.last_by.clear();
    }
    let mut plan = SlotPlan::default();
    table.number_fields(&mut plan, false);
    (table, plan)
}

impl Router {
    /// Routes rows of exports.
    pub(crate) fn route_backfill(&mut self, id: &PartitionId, records: &[LogRecord]) -> Routed {
        let decoded = records.iter().filter_map(|record| {
            let row = BackfilledRow::decode(&record.record.payload).ok()?;
            Some((row, record))
        });
        let rows: Vec<(BackfilledRow, &LogRecord)> = decoded.collect();
        let mut routed = Routed::default();
        for run in rows.chunk_by(|(one, _), (next, _)| one.table == next.table) {
            routed.add(self.fill_up(id, run));
        }
        routed
    }

    /// Routes rows of exports for one table.
    fn fill_up(&mut self, id: &PartitionId, rows: &[(BackfilledRow, &LogRecord)]) -> Routed {
        let Some((first, _)) = rows.first() else {
            return Routed::default();
        };
        let sources = self.sources.clone();
        let mut tables = sources.tables.iter();
        let is_its = |it: &&Table| it.topic == id.topic && it.definition.name == first.table;
        // It may be gone since, as its other rows are.
        let Some(found) = tables.find(is_its) else {
            return Routed::default();
        };
        let start = self.start_of(found, id);
        let threads = self.threads;
        let memory = self.memory.entry(id.clone()).or_default();
        let of_table = memory.general.backfilled.entry(first.table.clone());
        let exports = of_table.or_default();
        let mut records = Vec::with_capacity(rows.len());
        for (row, record) in rows.iter().filter(|(_, record)| record.offset >= start) {
            let next = exports.entry(row.export).or_default();
            if row.number >= *next {
                *next = row.number.saturating_add(1);
                records.push(as_its_source_gave(row, record));
            }
        }
        if records.is_empty() {
            return Routed::default();
        }
        let (table, plan) = table_of_backfill(found);
        let left_out = sources
            .left_out
            .get()
            .map(|left_out| left_out.at_any_time());
        let only = [&table];
        let topic = Topic {
            id,
            plan: &plan,
            tables: &only,
            delimiter: None,
            messages: None,
            drops_unplaced: true,
            left_out: left_out.as_ref(),
        };
        let ranges = match records.len() < PARALLEL_RECORDS_MIN {
            true => {
                let mut tools = Tools::default();
                let reader = RowReader::new(&topic, Header::default(), &mut tools, None);
                vec![reader.read(0, &records)]
            }
            false => {
                let mut tools: Vec<Tools> = Vec::new();
                tools.resize_with(threads.max(1), Tools::default);
                read_ranges(&topic, &Header::default(), &mut tools, &records)
            }
        };
        let mut routed = merge(&topic, memory, ranges, &records);
        if let TableKind::Changelog { .. } = table.definition.kind {
            for changes in &mut routed.changes {
                changes.kinds.fill(ChangeKind::Backfill);
            }
        }
        routed
    }
}

/// A row of an export as a record of its own, with its place in the log.
fn as_its_source_gave(row: &BackfilledRow, record: &LogRecord) -> LogRecord {
    LogRecord {
        offset: record.offset,
        record: Record {
            kind: RecordKind::Data,
            payload: row.row.clone(),
            capture_time_us: record.record.capture_time_us,
            position: Bytes::new(),
            transaction: None,
        },
    }
}
