//! An arrangement: a collection indexed by some of its columns.
//!
//! One arrangement per (collection, key) is shared by all operators that need
//! it. During an epoch it knows two states: with and without the epoch's
//! changes, because Δ(A⋈B) = ΔA⋈B + (A+ΔA)⋈ΔB needs one side before and the
//! other after them.

use arrow::array::Array;
use hashbrown::HashTable;
use sluice_core::{CodecError, Delta, Reader, VIRTUAL_SHARDS, Writer, stable_hash};

use crate::EngineError;
use crate::key::{EncodedRows, RowCodec, ShardedRows, for_each_shard};
use crate::time::times_of_slots::TimesOfSlots;
use crate::time::values::{first_kept, ticks};

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
    hash: u64,
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

    fn add(&mut self, bytes: &[u8], weight: i64) {
        self.total += weight;
        if let Some(row) = self.find_row(bytes) {
            self.rows[row].weight += weight;
            return;
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
    }

    /// Makes the epoch's weights the old ones and forgets rows that are gone.
    fn settle(&mut self) {
        self.old_total = self.total;
        self.touched = false;
        let before = self.rows.len();
        self.rows.retain_mut(|row| {
            row.old_weight = row.weight;
            row.weight != 0
        });
        if self.rows.len() == before || self.index.is_none() {
            return;
        }
        let rows = &self.rows;
        let rehash = |row: &u32| stable_hash(&rows[*row as usize].bytes);
        let mut table = HashTable::with_capacity(rows.len());
        for row in 0..rows.len() as u32 {
            table.insert_unique(rehash(&row), row, rehash);
        }
        self.index = Some(Box::new(table));
    }
}

#[derive(Debug, Default)]
pub(crate) struct Shard {
    index: HashTable<u32>,
    entries: Vec<Entry>,
    free: Vec<u32>,
    /// Entries that the running epoch changed.
    touched: Vec<u32>,
    /// Ages of the entries, where old ones are dropped.
    times: TimesOfSlots,
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

    /// Returns the number of the entry.
    fn add(&mut self, hash: u64, key: &[u8], row: &[u8], weight: i64) -> u32 {
        let number = self.entry_mut(hash, key);
        let entry = &mut self.entries[number as usize];
        if !entry.touched {
            entry.touched = true;
            self.touched.push(number);
        }
        entry.add(row, weight);
        self.dirty = true;
        number
    }

    fn remove(&mut self, number: u32) {
        let hash = self.entries[number as usize].hash;
        if let Ok(occupied) = self.index.find_entry(hash, |&found| found == number) {
            occupied.remove();
        }
        self.entries[number as usize] = Entry::default();
        self.free.push(number);
    }

    /// Drops entries of times before `first_kept`.
    fn drop_before(&mut self, first_kept: i64) {
        for number in self.times.take_before(first_kept) {
            if !self.entries[number as usize].rows.is_empty() {
                self.remove(number);
                self.dirty = true;
            }
        }
    }

    fn settle(&mut self) {
        for number in std::mem::take(&mut self.touched) {
            let entry = &mut self.entries[number as usize];
            entry.settle();
            if !entry.rows.is_empty() {
                continue;
            }
            self.remove(number);
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
    /// Position in the key of the time by which entries are dropped.
    time_column: Option<usize>,
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
            time_column: None,
        })
    }

    /// Keys of another collection, to look up here.
    pub(crate) fn encode_keys(
        &self,
        columns: &[arrow::array::ArrayRef],
        row_count: usize,
    ) -> Result<EncodedRows, EngineError> {
        self.key_codec.encode(columns, row_count)
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
        let times = match self.time_column {
            Some(column) => Some(ticks(&key_columns[column])?),
            None => None,
        };
        for_each_shard(threads, delta.len(), &mut self.shards, |number, shard| {
            for &row in sharded.of_shard(number) {
                let row = row as usize;
                let entry = shard.add(hashes[row], keys.get(row), rows.get(row), weights[row]);
                if let Some(times) = &times
                    && times.is_valid(row)
                {
                    shard.times.note(entry, times.value(row));
                }
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
        let shard = &mut self.shards[shard];
        shard.load(bytes)?;
        let Some(column) = self.time_column else {
            return Ok(());
        };
        let numbers: Vec<u32> = shard.index.iter().copied().collect();
        let keys = numbers
            .iter()
            .map(|&number| &*shard.entries[number as usize].key as &[u8]);
        let unreadable = |error: EngineError| CodecError::Invalid(error.to_string());
        let columns = self.key_codec.decode(keys).map_err(unreadable)?;
        let times = ticks(&columns[column]).map_err(unreadable)?;
        for (row, &number) in numbers.iter().enumerate() {
            if times.is_valid(row) {
                shard.times.note(number, times.value(row));
            }
        }
        Ok(())
    }

    /// From now on [`Arrangement::drop_before`] may be called, with times of
    /// this position of the key. Called once, before anything is stored.
    pub(crate) fn prepare_to_drop(&mut self, column: usize) {
        self.time_column = Some(column);
    }

    /// Drops what has a time before `cutoff_us`: no change will meet it.
    pub(crate) fn drop_before(&mut self, cutoff_us: i64) {
        let Some(column) = self.time_column else {
            return;
        };
        if let Some(first_kept) = first_kept(&self.key_codec.types()[column], cutoff_us) {
            for shard in &mut self.shards {
                shard.drop_before(first_kept);
            }
        }
    }

    pub(crate) fn state_bytes(&self) -> u64 {
        let entries = self.shards.iter().flat_map(|shard| &shard.entries);
        entries
            .map(|entry| {
                let rows = entry.rows.iter().map(|row| row.bytes.len() + 32);
                (entry.key.len() + 96 + rows.sum::<usize>()) as u64
            })
            .sum()
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
