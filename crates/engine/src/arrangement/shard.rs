//! One virtual shard of an arrangement: keys, and under each its rows in a list.

use sluice_core::{CodecError, Reader, Writer, stable_hash};
use sluice_memory::{StateTable, StateVec};

use crate::byte_heap::{ByteHeap, Span};
use crate::changed_slots::ChangedSlots;
use crate::key_table::KeyTable;
use crate::saved_state::{Came, Piece};
use crate::time::times_of_slots::TimesOfSlots;

/// Rows of keys with more rows than this are in the shard's index of rows, so that
/// a key with many does not make every change a search. Few rows are compared by
/// their hashes.
const LISTED_ROWS_MAX: u32 = 4;
/// The end of a list of rows.
const NONE: u32 = u32::MAX;

/// One distinct row under a key, in a list of that key's rows.
#[derive(Debug, Clone, Copy)]
pub(super) struct StoredRow {
    pub(super) span: Span,
    pub(super) entry: u32,
    pub(super) previous: u32,
    pub(super) next: u32,
    /// Of the row's bytes.
    hash: u32,
    pub(super) touched: bool,
    /// Weight with the epoch's changes. A row of weight 0 stays until a
    /// checkpoint knows that it is gone.
    pub(super) weight: i64,
    /// Weight without them.
    pub(super) old_weight: i64,
}

/// All rows under one key. Its number is the key's slot.
#[derive(Debug, Clone, Copy)]
struct Entry {
    first_row: u32,
    row_count: u32,
    touched: bool,
    /// Whether its rows are in the index of rows. They stay there when others go.
    is_indexed: bool,
    total: i64,
    old_total: i64,
}

const EMPTY_ENTRY: Entry = Entry {
    first_row: NONE,
    row_count: 0,
    touched: false,
    is_indexed: false,
    total: 0,
    old_total: 0,
};

/// A hash for the index of rows. The row's bytes contain its key, so that rows of
/// different keys are different.
fn index_hash(row_hash: u32) -> u64 {
    u64::from(row_hash).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

/// A row as operators see it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RowRef<'a> {
    pub(crate) bytes: &'a [u8],
    /// Weight with the epoch's changes; 0 if the row is gone.
    pub(crate) weight: i64,
    /// Weight without them; 0 if the row is new.
    pub(crate) old_weight: i64,
}

/// A key with its rows as operators see it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct EntryRef<'a> {
    shard: &'a Shard,
    number: u32,
}

impl<'a> EntryRef<'a> {
    fn entry(&self) -> &'a Entry {
        &self.shard.entries[self.number as usize]
    }

    pub(crate) fn key(&self) -> &'a [u8] {
        self.shard.keys.key(self.number)
    }

    pub(crate) fn hash(&self) -> u64 {
        self.shard.keys.hash(self.number)
    }

    /// Number of different rows, among them those that are gone since the last
    /// checkpoint.
    pub(crate) fn row_count(&self) -> usize {
        self.entry().row_count as usize
    }

    /// Sum of the weights with the epoch's changes.
    pub(crate) fn total(&self) -> i64 {
        self.entry().total
    }

    /// Sum of the weights without them.
    pub(crate) fn old_total(&self) -> i64 {
        self.entry().old_total
    }

    pub(crate) fn rows(&self) -> impl Iterator<Item = RowRef<'a>> + use<'a> {
        let shard = self.shard;
        let mut next = self.entry().first_row;
        std::iter::from_fn(move || {
            let row = shard.rows.get(next as usize)?;
            next = row.next;
            Some(RowRef {
                bytes: shard.heap.get(row.span),
                weight: row.weight,
                old_weight: row.old_weight,
            })
        })
    }
}

#[derive(Debug, Default)]
pub(crate) struct Shard {
    pub(super) keys: KeyTable,
    entries: StateVec<Entry>,
    pub(super) rows: StateVec<StoredRow>,
    pub(super) free_rows: StateVec<u32>,
    pub(super) heap: ByteHeap,
    /// Rows by content, for entries with many.
    row_index: StateTable<u32>,
    /// Entries and rows that the running epoch changed.
    pub(super) touched_entries: Vec<u32>,
    pub(super) touched_rows: Vec<u32>,
    pub(super) changed_rows: ChangedSlots,
    /// Ages of the entries, or of the rows, where old ones are dropped.
    pub(super) times: TimesOfSlots,
}

impl Shard {
    pub(crate) fn find(&self, hash: u64, key: &[u8]) -> Option<EntryRef<'_>> {
        let number = self.keys.find(hash, key)?;
        Some(EntryRef {
            shard: self,
            number,
        })
    }

    /// The entries of keys, in order.
    pub(crate) fn find_all<'a>(
        &self,
        keys: impl Iterator<Item = (u64, &'a [u8])> + Clone,
    ) -> impl Iterator<Item = Option<EntryRef<'_>>> {
        let numbers = self.keys.find_all(keys).into_iter();
        numbers.map(|number| {
            number.map(|number| EntryRef {
                shard: self,
                number,
            })
        })
    }

    /// Entries that the running epoch changed, in the order of change.
    pub(crate) fn touched(&self) -> impl Iterator<Item = EntryRef<'_>> {
        let numbers = self.touched_entries.iter();
        numbers.map(|&number| EntryRef {
            shard: self,
            number,
        })
    }

    /// Rows whose weight the running epoch changed, each with its entry.
    pub(crate) fn changed_rows(&self) -> impl Iterator<Item = (EntryRef<'_>, RowRef<'_>)> {
        let rows = self
            .touched_rows
            .iter()
            .map(|&row| &self.rows[row as usize]);
        let changed = rows.filter(|row| row.weight != row.old_weight);
        changed.map(|row| {
            let entry = EntryRef {
                shard: self,
                number: row.entry,
            };
            let row = RowRef {
                bytes: self.heap.get(row.span),
                weight: row.weight,
                old_weight: row.old_weight,
            };
            (entry, row)
        })
    }

    fn entry_number(&mut self, hash: u64, key: &[u8]) -> u32 {
        let number = self.keys.find_or_insert(hash, key);
        self.resize_entries();
        number
    }

    /// The entries of keys, in order, which are new where the keys are. An entry
    /// without rows must be given one.
    pub(super) fn entry_numbers<'a>(
        &mut self,
        keys: impl Iterator<Item = (u64, &'a [u8])> + Clone,
    ) -> Vec<u32> {
        let numbers = self.keys.find_or_insert_all(keys, |_, _| {});
        self.resize_entries();
        numbers
    }

    fn resize_entries(&mut self) {
        if self.entries.len() < self.keys.slot_count() {
            self.entries.resize(self.keys.slot_count(), EMPTY_ENTRY);
        }
    }

    pub(super) fn find_row(&self, entry: u32, bytes: &[u8]) -> Option<u32> {
        self.find_hashed_row(entry, stable_hash(bytes) as u32, bytes)
    }

    fn find_hashed_row(&self, entry: u32, hash: u32, bytes: &[u8]) -> Option<u32> {
        let is_it = |row: u32| {
            let stored = &self.rows[row as usize];
            stored.hash == hash && self.heap.get(stored.span) == bytes
        };
        let of_entry = &self.entries[entry as usize];
        if of_entry.is_indexed {
            let found = self.row_index.find(index_hash(hash), |&row| is_it(row));
            return found.copied();
        }
        let mut row = of_entry.first_row;
        while row != NONE && !is_it(row) {
            row = self.rows[row as usize].next;
        }
        (row != NONE).then_some(row)
    }

    fn add_row(&mut self, number: u32, hash: u32, bytes: &[u8]) -> u32 {
        let span = self.heap.add(bytes);
        let entry = &mut self.entries[number as usize];
        let new = StoredRow {
            span,
            entry: number,
            previous: NONE,
            next: entry.first_row,
            hash,
            touched: false,
            weight: 0,
            old_weight: 0,
        };
        let row = match self.free_rows.pop() {
            Some(row) => {
                self.rows[row as usize] = new;
                row
            }
            None => {
                self.rows.push(new);
                (self.rows.len() - 1) as u32
            }
        };
        let second = std::mem::replace(&mut entry.first_row, row);
        entry.row_count += 1;
        if second != NONE {
            self.rows[second as usize].previous = row;
        }
        if entry.is_indexed {
            self.index_row(row);
        } else if entry.row_count > LISTED_ROWS_MAX {
            entry.is_indexed = true;
            let mut next = row;
            while next != NONE {
                self.index_row(next);
                next = self.rows[next as usize].next;
            }
        }
        row
    }

    fn index_row(&mut self, row: u32) {
        let rows = &self.rows;
        let hash_of = |row: &u32| index_hash(rows[*row as usize].hash);
        self.row_index.insert_unique(hash_of(&row), row, hash_of);
    }

    fn remove_row(&mut self, row: u32) {
        let StoredRow {
            span,
            entry: number,
            previous,
            next,
            hash,
            ..
        } = self.rows[row as usize];
        if self.entries[number as usize].is_indexed {
            let found = self
                .row_index
                .find_entry(index_hash(hash), |&found| found == row);
            if let Ok(occupied) = found {
                occupied.remove();
            }
        }
        let entry = &mut self.entries[number as usize];
        entry.row_count -= 1;
        match self.rows.get_mut(previous as usize) {
            Some(previous) => previous.next = next,
            None => entry.first_row = next,
        }
        if let Some(next) = self.rows.get_mut(next as usize) {
            next.previous = previous;
        }
        let is_last = entry.row_count == 0;
        self.heap.free(span);
        self.rows[row as usize].span = Span::default();
        self.free_rows.push(row);
        if is_last {
            self.entries[number as usize] = EMPTY_ENTRY;
            self.keys.unlink(number);
            self.keys.release(number);
        }
    }

    fn add(&mut self, hash: u64, key: &[u8], bytes: &[u8], weight: i64) -> u32 {
        let number = self.entry_number(hash, key);
        self.add_to_entry(number, bytes, weight)
    }

    /// Adds to the weight of a row, and gives its number.
    pub(super) fn add_to_entry(&mut self, number: u32, bytes: &[u8], weight: i64) -> u32 {
        let hash = stable_hash(bytes) as u32;
        let row = match self.find_hashed_row(number, hash, bytes) {
            Some(row) => row,
            None => self.add_row(number, hash, bytes),
        };
        let stored = &mut self.rows[row as usize];
        stored.weight += weight;
        if !std::mem::replace(&mut stored.touched, true) {
            self.touched_rows.push(row);
        }
        let entry = &mut self.entries[number as usize];
        entry.total += weight;
        if !std::mem::replace(&mut entry.touched, true) {
            self.touched_entries.push(number);
        }
        row
    }

    /// Drops rows of times before `first_kept`.
    pub(super) fn drop_rows_before(&mut self, first_kept: i64) {
        for row in self.times.take_before(first_kept) {
            let stored = &mut self.rows[row as usize];
            let weight = std::mem::take(&mut stored.weight);
            if weight == 0 {
                continue;
            }
            stored.old_weight = 0;
            let entry = &mut self.entries[stored.entry as usize];
            entry.total -= weight;
            entry.old_total = entry.total;
            if self.changed_rows.gone(row) {
                self.remove_row(row);
            }
        }
        self.compact();
    }

    /// Drops entries of times before `first_kept`.
    pub(super) fn drop_before(&mut self, first_kept: i64) {
        for number in self.times.take_before(first_kept) {
            let entry = &mut self.entries[number as usize];
            (entry.total, entry.old_total) = (0, 0);
            let mut row = entry.first_row;
            while row != NONE {
                let stored = &mut self.rows[row as usize];
                (stored.weight, stored.old_weight) = (0, 0);
                let next = stored.next;
                if self.changed_rows.gone(row) {
                    self.remove_row(row);
                }
                row = next;
            }
        }
        self.compact();
    }

    /// Makes the epoch's weights the old ones and forgets rows that are gone.
    pub(super) fn settle(&mut self) {
        for number in std::mem::take(&mut self.touched_entries) {
            let entry = &mut self.entries[number as usize];
            entry.touched = false;
            entry.old_total = entry.total;
        }
        for row in std::mem::take(&mut self.touched_rows) {
            let stored = &mut self.rows[row as usize];
            stored.touched = false;
            let before = std::mem::replace(&mut stored.old_weight, stored.weight);
            if stored.weight == 0 {
                if self.changed_rows.gone(row) {
                    self.remove_row(row);
                }
            } else if stored.weight != before {
                self.changed_rows.change(row);
            }
        }
        self.compact();
    }

    fn compact(&mut self) {
        let Self { rows, heap, .. } = self;
        heap.compact(rows.iter_mut().map(|row| &mut row.span));
        self.keys.compact();
    }

    pub(super) fn save_rows(&self, rows: impl Iterator<Item = u32>, writer: &mut Writer) {
        for row in rows {
            let stored = &self.rows[row as usize];
            writer.bytes(self.keys.key(stored.entry));
            writer.bytes(self.heap.get(stored.span));
            writer.i64(stored.weight);
        }
    }

    /// Takes rows with their weights over what is there.
    pub(super) fn load(&mut self, bytes: &[u8]) -> Result<(), CodecError> {
        let mut reader = Reader::new(bytes);
        while !reader.is_at_end() {
            let key = reader.bytes()?;
            let row = reader.bytes()?;
            let weight = reader.i64()?;
            let hash = stable_hash(key);
            let before = self
                .keys
                .find(hash, key)
                .and_then(|number| self.find_row(number, row))
                .map_or(0, |found| self.rows[found as usize].weight);
            if weight != before {
                self.add(hash, key, row, weight - before);
            }
        }
        self.settle();
        self.forget_changes();
        Ok(())
    }

    pub(super) fn save_ahead(&mut self, piece: Piece, writer: &mut Writer) -> Came {
        let is_there = |row: u32| self.rows[row as usize].weight != 0;
        let (rows, came) = self.changed_rows.of_piece(piece, self.rows.len(), is_there);
        self.save_rows(rows.iter().copied(), writer);
        for row in rows {
            let is_gone = self.rows[row as usize].weight == 0;
            self.changed_rows.saved_one(row, is_gone);
            if is_gone {
                self.remove_row(row);
            }
        }
        self.compact();
        came
    }

    /// Ends a save: what is gone can go.
    pub(super) fn forget_changes(&mut self) {
        let rows = &self.rows;
        let gone = self
            .changed_rows
            .saved(|row| rows[row as usize].weight == 0);
        for row in gone {
            self.remove_row(row);
        }
        self.compact();
    }
}

impl Shard {
    pub(super) fn memory_bytes(&self) -> usize {
        let entries = self.entries.capacity() * size_of::<Entry>();
        let rows = self.rows.capacity() * size_of::<StoredRow>();
        let index = self.row_index.capacity() * (size_of::<u32>() + 1);
        let heaps = self.keys.memory_bytes() + self.heap.allocated_bytes();
        let marks = self.changed_rows.memory_bytes() + self.times.memory_bytes();
        entries + rows + index + heaps + marks
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_found_again_after_its_key_had_many_rows_and_few() {
        let mut shard = Shard::default();
        let (key, hash) = (b"key", stable_hash(b"key"));
        for row in 0..40_u8 {
            shard.add(hash, key, &[row], 1);
        }
        shard.settle();
        shard.forget_changes();
        for row in 0..35_u8 {
            shard.add(hash, key, &[row], -1);
        }
        shard.settle();
        shard.forget_changes();
        shard.add(hash, key, &[77], 1);
        shard.settle();
        shard.add(hash, key, &[77], -1);
        shard.settle();
        shard.forget_changes();
        let entry = shard.find(hash, key).unwrap();
        assert_eq!(entry.total(), 5);
        assert_eq!(entry.rows().count(), 5);
        assert!(entry.rows().all(|row| row.weight == 1));
    }
}
