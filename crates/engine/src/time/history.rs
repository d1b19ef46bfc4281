//! The versions that the rows of a changelog table ever had: a changelog too,
//! whose key is the table's key and the event time, and from which nothing is
//! deleted. A deletion has no event time of its own, so the last version of a
//! deleted row goes on to hold.
//!
//! It is made from the changes themselves, not from the table's delta, in which
//! two versions of one epoch are one.

use arrow::array::UInt32Array;
use arrow::compute::take_record_batch;
use sluice_core::{ChangeKind, TableChanges, TableDefinition, TableKind};

use crate::EngineError;

/// The definition of a table's history.
pub(crate) fn history_definition(table: &TableDefinition) -> TableDefinition {
    let mut history = table.clone();
    if let (TableKind::Changelog { primary_key }, Some(event_time)) =
        (&mut history.kind, table.event_time)
        && !primary_key.contains(&event_time)
    {
        primary_key.push(event_time);
    }
    history
}

/// What a table's changes add to its history.
pub(crate) fn versions(changes: &[TableChanges]) -> Result<Vec<TableChanges>, EngineError> {
    let mut found = Vec::with_capacity(changes.len());
    for change in changes {
        let rows: Vec<u32> = (0..change.kinds.len() as u32)
            .filter(|&row| {
                let kind = change.kinds[row as usize];
                !matches!(kind, ChangeKind::Delete | ChangeKind::Truncate)
            })
            .collect();
        let kind = |row: &u32| match change.kinds.get(*row as usize) {
            Some(ChangeKind::Backfill) => ChangeKind::Backfill,
            _ => ChangeKind::Upsert,
        };
        let taken = |row: &u32| change.versions.get(*row as usize).copied();
        found.push(TableChanges {
            table: change.table.clone(),
            partition: change.partition.clone(),
            versions: rows.iter().filter_map(taken).collect(),
            kinds: rows.iter().map(kind).collect(),
            rows: take_record_batch(&change.rows, &UInt32Array::from(rows))?,
            before_rows: None,
            unchanged: Vec::new(),
            key_changes: Vec::new(),
        });
    }
    Ok(found)
}
