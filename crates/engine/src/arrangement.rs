//! An arrangement: a collection indexed by some of its columns.
//!
//! One arrangement per (collection, key) is shared by all operators that need
//! it. During an epoch it knows two states: with and without the epoch's
//! changes, because Δ(A⋈B) = ΔA⋈B + (A+ΔA)⋈ΔB needs one side before and the
//! other after them.

use hashbrown::HashTable;
use sluice_core::{CodecError, Delta, Reader, VIRTUAL_SHARDS, Writer, stable_hash};

use crate::EngineError;
use crate::key::{EncodedRows, RowCodec, ShardedRows, for_each_shard};

/// Keys with more rows than this get an index of their own, so that one hot key
/// does not make every retraction a search.
const INDEXED_ROWS_MIN: usize = 16;

/// One distinct row under a key.
#[derive(Debug)]
pub(crate) struct StoredRow {
    pub(crate) bytes: Box<[u8]>,
    /// Weight with the epoch's changes.
    pub(crate) weight: i64,
    /// Weight without them.
    pub(crate) old_weight: i64,
}

/// All rows under one key.
#[derive(Debug, Default)]
pub(crate) struct Entry {
    pub(crate) hash: u64,
    pub(crate) key: Box<[u8]>,
    pub(crate) rows: Vec<StoredRow>,
    index: Option<Box<HashTable<u32>>>,
    /// Sum of the weights, with and without the epoch's changes.
    pub(crate) total: i64,
    pub(crate) old_total: i64,
    touched: bool,
}

impl Entry {
    fn find_row(&self, bytes: &[u8]) -> Option<usize> {
        match &self.index {
            Some(index) => index
                .find(stable_hash(bytes), |&row| {
                    *self.rows[row as usize].bytes == *bytes
                })
                .map(|&row| row as usize),
            None => self.rows.iter().position(|row| *row.bytes == *bytes),
        }
    }

    /// Adds to a row's weight; the row's number, if this may be its first
    /// change in the epoch.
    fn add(&mut self, bytes: &[u8], weight: i64) -> Option<u32> {
        self.total += weight;
        if let Some(number) = self.find_row(bytes) {
            let row = &mut self.rows[number];
            let is_first_change = row.weight == row.old_weight;
            row.weight += weight;
            return is_first_change.then_some(number as u32);
        }
        self.rows.push(StoredRow {
            bytes: bytes.into(),
            weight,
            old_weight: 0,
        });
        let Self { rows, index, .. } = self;
        let rehash = |row: &u32| stable_hash(&rows[*row as usize].bytes);
        let new_row = (rows.len() - 1) as u32;
        match index {
            Some(index) => {
                index.insert_unique(stable_hash(bytes), new_row, rehash);
            }
            None if rows.len() > INDEXED_ROWS_MIN => {
                let mut table = HashTable::with_capacity(rows.len() * 2);
                for row in 0..rows.len() as u32 {
                    table.insert_unique(rehash(&row), row, rehash);
                }
                *index = Some(Box::new(table));
            }
            None => {}
        }
        Some(new_row)
    }

    /// Makes a row's new weight the old one, or forgets the row if it is gone.
    /// The last row takes the place of a forgotten one.
    fn settle_row(&mut self, number: u32) {
        let row = &mut self.rows[number as usize];
        row.old_weight = row.weight;
        if row.weight != 0 {
            return;
        }
        let last = (self.rows.len() - 1) as u32;
        let gone = self.rows.swap_remove(number as usize);
        let Some(index) = &mut self.index else { return };
        if let Ok(found) = index.find_entry(stable_hash(&gone.bytes), |&row| row == number) {
            found.remove();
        }
        if last != number {
            let moved = stable_hash(&self.rows[number as usize].bytes);
            if let Some(row) = index.find_mut(moved, |&row| row == last) {
                *row = number;
            }
        }
    }
}

#[derive(Debug, Default)]
pub(crate) struct Shard {
    index: HashTable<u32>,
    entries: Vec<Entry>,
    free: Vec<u32>,
    /// Entries that the running epoch changed.
    touched: Vec<u32>,
    /// Rows that it changed, as (entry, row); one can stand here twice.
    touched_rows: Vec<(u32, u32)>,
    dirty: bool,
}

impl Shard {
    pub(crate) fn find(&self, hash: u64, key: &[u8]) -> Option<&Entry> {
        self.index
            .find(hash, |&entry| *self.entries[entry as usize].key == *key)
            .map(|&entry| &self.entries[entry as usize])
    }

    /// Entries that the running epoch changed, in the order of change.
    pub(crate) fn touched(&self) -> impl Iterator<Item = &Entry> {
        self.touched
            .iter()
            .map(|&entry| &self.entries[entry as usize])
    }

    /// Rows whose weight the running epoch changed, each with its entry.
    pub(crate) fn changed_rows(&self) -> Vec<(&Entry, &StoredRow)> {
        let mut numbers = self.touched_rows.clone();
        numbers.sort_unstable();
        numbers.dedup();
        numbers
            .into_iter()
            .map(|(entry, row)| {
                let entry = &self.entries[entry as usize];
                (entry, &entry.rows[row as usize])
            })
            .filter(|(_, row)| row.weight != row.old_weight)
            .collect()
    }

    fn entry_mut(&mut self, hash: u64, key: &[u8]) -> u32 {
        let Self {
            index,
            entries,
            free,
            ..
        } = self;
        if let Some(&found) = index.find(hash, |&entry| *entries[entry as usize].key == *key) {
            return found;
        }
        let entry = Entry {
            hash,
            key: key.into(),
            ..Entry::default()
        };
        let number = match free.pop() {
            Some(number) => {
                entries[number as usize] = entry;
                number
            }
            None => {
                entries.push(entry);
                (entries.len() - 1) as u32
            }
        };
        index.insert_unique(hash, number, |&entry| entries[entry as usize].hash);
        number
    }

    fn add(&mut self, hash: u64, key: &[u8], row: &[u8], weight: i64) {
        let number = self.entry_mut(hash, key);
        let entry = &mut self.entries[number as usize];
        if !entry.touched {
            entry.touched = true;
            self.touched.push(number);
        }
        if let Some(changed) = entry.add(row, weight) {
            self.touched_rows.push((number, changed));
        }
        self.dirty = true;
    }

    fn settle(&mut self) {
        let mut rows = std::mem::take(&mut self.touched_rows);
        // From the last row to the first, so that a row that moves into a gap
        // was settled before.
        rows.sort_unstable_by(|first, second| second.cmp(first));
        rows.dedup();
        for (entry, row) in rows {
            self.entries[entry as usize].settle_row(row);
        }
        for number in std::mem::take(&mut self.touched) {
            let entry = &mut self.entries[number as usize];
            entry.old_total = entry.total;
            entry.touched = false;
            if !entry.rows.is_empty() {
                continue;
            }
            let hash = entry.hash;
            if let Ok(occupied) = self.index.find_entry(hash, |&found| found == number) {
                occupied.remove();
            }
            self.entries[number as usize] = Entry::default();
            self.free.push(number);
        }
    }

    fn save(&self) -> Vec<u8> {
        let mut writer = Writer::new();
        for &number in &self.index {
            let entry = &self.entries[number as usize];
            writer.bytes(&entry.key);
            writer.u32(entry.rows.len() as u32);
            for row in &entry.rows {
                writer.bytes(&row.bytes);
                writer.i64(row.weight);
            }
        }
        writer.finish()
    }

    fn load(&mut self, bytes: &[u8]) -> Result<(), CodecError> {
        let mut reader = Reader::new(bytes);
        while !reader.is_at_end() {
            let key = reader.bytes()?;
            let hash = stable_hash(key);
            for _ in 0..reader.u32()? {
                let row = reader.bytes()?;
                let weight = reader.i64()?;
                self.add(hash, key, row, weight);
            }
        }
        self.settle();
        self.dirty = false;
        Ok(())
    }
}

/// The changes of one epoch in byte form, ready to probe other arrangements.
pub(crate) struct EncodedDelta {
    pub(crate) keys: EncodedRows,
    pub(crate) rows: EncodedRows,
    pub(crate) hashes: Vec<u64>,
    pub(crate) weights: Vec<i64>,
    /// Rows with a null among the key columns; SQL's equality never holds for
    /// them.
    pub(crate) null_key: Option<Vec<bool>>,
    pub(crate) sharded: ShardedRows,
}

/// See the module.
pub(crate) struct Arrangement {
    key_columns: Vec<usize>,
    nulls_match: bool,
    key_codec: RowCodec,
    pub(crate) row_codec: RowCodec,
    pub(crate) shards: Vec<Shard>,
    /// The running epoch's changes; `None` when there are none.
    pub(crate) current: Option<EncodedDelta>,
}

impl Arrangement {
    /// `nulls_match` tells whether a null key equals a null key; where it does
    /// not, rows with a null key are not stored, for they can match nothing.
    pub(crate) fn new(
        schema: &arrow::datatypes::Schema,
        key_columns: Vec<usize>,
        nulls_match: bool,
    ) -> Result<Self, EngineError> {
        let key_types: Vec<_> = key_columns
            .iter()
            .map(|&column| schema.field(column).data_type().clone())
            .collect();
        let row_types: Vec<_> = schema
            .fields()
            .iter()
            .map(|field| field.data_type().clone())
            .collect();
        Ok(Self {
            key_columns,
            nulls_match,
            key_codec: RowCodec::new(&key_types)?,
            row_codec: RowCodec::new(&row_types)?,
            shards: (0..VIRTUAL_SHARDS).map(|_| Shard::default()).collect(),
            current: None,
        })
    }

    /// Takes in the changes of the epoch.
    pub(crate) fn apply(&mut self, delta: &Delta, threads: usize) -> Result<(), EngineError> {
        self.current = None;
        if delta.is_empty() {
            return Ok(());
        }
        let columns = delta.rows().columns();
        let key_columns: Vec<_> = self
            .key_columns
            .iter()
            .map(|&column| columns[column].clone())
            .collect();
        let keys = self.key_codec.encode(&key_columns, delta.len())?;
        let rows = self.row_codec.encode(columns, delta.len())?;
        let hashes = keys.hashes();
        let null_key = if self.nulls_match {
            None
        } else {
            rows_with_null(&key_columns, delta.len())
        };
        let sharded = ShardedRows::new(&hashes, null_key.as_deref());
        let weights = delta.weights();
        for_each_shard(threads, delta.len(), &mut self.shards, |number, shard| {
            for &row in sharded.of_shard(number) {
                let row = row as usize;
                shard.add(hashes[row], keys.get(row), rows.get(row), weights[row]);
            }
        });
        self.current = Some(EncodedDelta {
            keys,
            rows,
            hashes,
            weights: weights.to_vec(),
            null_key,
            sharded,
        });
        Ok(())
    }

    /// Ends the epoch: the old weights are forgotten.
    pub(crate) fn settle(&mut self) {
        if self.current.take().is_some() {
            for shard in &mut self.shards {
                shard.settle();
            }
        }
    }

    pub(crate) fn save_changed(&mut self) -> Vec<(usize, Vec<u8>)> {
        let mut parts = Vec::new();
        for (number, shard) in self.shards.iter_mut().enumerate() {
            if shard.dirty {
                parts.push((number, shard.save()));
                shard.dirty = false;
            }
        }
        parts
    }

    pub(crate) fn load(&mut self, shard: usize, bytes: &[u8]) -> Result<(), CodecError> {
        self.shards[shard].load(bytes)
    }

    pub(crate) fn state_rows(&self) -> u64 {
        self.shards
            .iter()
            .flat_map(|shard| &shard.entries)
            .map(|entry| entry.rows.len() as u64)
            .sum()
    }
}

fn rows_with_null(columns: &[arrow::array::ArrayRef], row_count: usize) -> Option<Vec<bool>> {
    if columns.iter().all(|column| column.null_count() == 0) {
        return None;
    }
    let mut with_null = vec![false; row_count];
    for column in columns {
        for (row, flag) in with_null.iter_mut().enumerate() {
            *flag |= column.is_null(row);
        }
    }
    Some(with_null)
}
