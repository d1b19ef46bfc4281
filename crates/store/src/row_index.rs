//! Where each row of a collection lies, so that it can be removed.

use arrow::array::{ArrayRef, RecordBatch};
use arrow::row::{RowConverter, Rows, SortField};
use sluice_memory::StateTable;
use xxhash_rust::xxh3::xxh3_128;

use crate::StoreError;

/// Position of a row: number of its segment, and of the row in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Position {
    pub(crate) segment: u64,
    pub(crate) row: u32,
}

/// 96 bits of a row's XXH3-128. They stand for the row, so that removing it
/// needs no look at rows that may be on disk: among 10^9 rows the chance that
/// any two share them is about 10^-11.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RowHash {
    low: u64,
    high: u32,
}

#[derive(Debug, Clone, Copy)]
struct Entry {
    low: u64,
    segment: u64,
    high: u32,
    row: u32,
}

impl Entry {
    fn is(&self, hash: RowHash) -> bool {
        self.low == hash.low && self.high == hash.high
    }

    fn position(&self) -> Position {
        Position {
            segment: self.segment,
            row: self.row,
        }
    }
}

/// Rows by the hash of all their columns. Equal rows stand in it as often as
/// they are there.
#[derive(Debug, Default)]
pub(crate) struct RowIndex {
    entries: StateTable<Entry>,
}

impl RowIndex {
    pub(crate) fn insert(&mut self, hash: RowHash, position: Position) {
        let entry = Entry {
            low: hash.low,
            segment: position.segment,
            high: hash.high,
            row: position.row,
        };
        self.entries
            .insert_unique(hash.low, entry, |entry| entry.low);
    }

    /// Takes out one position of `hash`.
    pub(crate) fn take(&mut self, hash: RowHash) -> Option<Position> {
        let found = self.entries.find_entry(hash.low, |entry| entry.is(hash));
        found.ok().map(|entry| entry.remove().0.position())
    }

    /// The row of `hash` at `old` is at `new` from now on.
    pub(crate) fn relocate(&mut self, hash: RowHash, old: Position, new: Position) -> bool {
        let is_it = |entry: &Entry| entry.is(hash) && entry.position() == old;
        let Some(entry) = self.entries.find_mut(hash.low, is_it) else {
            return false;
        };
        (entry.segment, entry.row) = (new.segment, new.row);
        true
    }

    pub(crate) fn clear(&mut self) {
        self.entries.clear();
    }

    /// Memory taken.
    pub(crate) fn memory_bytes(&self) -> usize {
        self.entries.allocation_size()
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

pub(crate) fn row_hashes(batch: &RecordBatch) -> Result<Vec<RowHash>, StoreError> {
    /// Rows in byte form take memory: so many at a time.
    const ROWS_AT_A_TIME: usize = 8_192;
    let mut hashes = Vec::with_capacity(batch.num_rows());
    for start in (0..batch.num_rows()).step_by(ROWS_AT_A_TIME) {
        let count = ROWS_AT_A_TIME.min(batch.num_rows() - start);
        let rows = encode(batch.slice(start, count).columns())?;
        hashes.extend((0..count).map(|row| {
            let hash = xxh3_128(row_bytes(rows.as_ref(), row));
            RowHash {
                low: hash as u64,
                high: (hash >> 64) as u32,
            }
        }));
    }
    Ok(hashes)
}
