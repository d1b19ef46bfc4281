//! Where each row of a collection lies, so that it can be removed.

use arrow::array::{ArrayRef, RecordBatch};
use arrow::row::{RowConverter, Rows, SortField};
use hashbrown::HashTable;
use sluice_core::stable_hash;

use crate::StoreError;

/// Position of a row: number of its segment, and of the row in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Position {
    pub(crate) segment: u64,
    pub(crate) row: u32,
}

/// Rows by the hash of all their columns. Rows of one hash are told apart by
/// whoever asks, for the index keeps no row.
#[derive(Debug, Default)]
pub(crate) struct RowIndex {
    positions: HashTable<(u64, Position)>,
}

impl RowIndex {
    pub(crate) fn insert(&mut self, hash: u64, position: Position) {
        self.positions
            .insert_unique(hash, (hash, position), |&(hash, _)| hash);
    }

    /// Takes out one position of `hash` for which `is_it` holds.
    pub(crate) fn take(
        &mut self,
        hash: u64,
        mut is_it: impl FnMut(Position) -> bool,
    ) -> Option<Position> {
        let found = self
            .positions
            .find_entry(hash, |&(other, position)| other == hash && is_it(position));
        found.ok().map(|entry| entry.remove().0.1)
    }

    pub(crate) fn clear(&mut self) {
        self.positions.clear();
    }
}

/// Rows in byte form, to hash and to compare.
pub(crate) fn encode(columns: &[ArrayRef]) -> Result<Option<Rows>, StoreError> {
    if columns.is_empty() {
        return Ok(None);
    }
    let fields = columns
        .iter()
        .map(|column| SortField::new(column.data_type().clone()))
        .collect();
    Ok(Some(RowConverter::new(fields)?.convert_columns(columns)?))
}

pub(crate) fn row_bytes(rows: Option<&Rows>, row: usize) -> &[u8] {
    rows.map_or(&[], |rows| rows.row(row).data())
}

pub(crate) fn row_hashes(batch: &RecordBatch) -> Result<Vec<u64>, StoreError> {
    let rows = encode(batch.columns())?;
    Ok((0..batch.num_rows())
        .map(|row| stable_hash(row_bytes(rows.as_ref(), row)))
        .collect())
}
