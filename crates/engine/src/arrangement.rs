//! An arrangement: a collection indexed by some of its columns.
//!
//! One arrangement per (collection, key) is shared by all operators that need
//! it. During an epoch it knows two states: with and without the epoch's
//! changes, because Δ(A⋈B) = ΔA⋈B + (A+ΔA)⋈ΔB needs one side before and the
//! other after them.

use arrow::array::{Array, ArrayRef, Int64Array};
use arrow::datatypes::Int64Type;
use hashbrown::HashMap;
use sluice_core::{CodecError, Delta, Reader, VIRTUAL_SHARDS, Writer, stable_hash};
use sluice_memory::{StateTable, StateVec};

use crate::EngineError;
use crate::byte_heap::{ByteHeap, Span};
use crate::changed_slots::ChangedSlots;
use crate::key::{EncodedRows, RowCodec, ShardedRows, for_each_shard};
use crate::key_table::KeyTable;
use crate::saved_state::{Came, Piece, SaveScope, SavedState};
use crate::time::times_of_slots::TimesOfSlots;
use crate::time::values::{first_kept, ticks};

/// Keys with more rows than this get an index of their own, so that one hot key
/// does not make every change a search.
const INDEXED_ROWS_MIN: u32 = 16;
/// The end of a list of rows.
const NONE: u32 = u32::MAX;

/// One distinct row under a key, in a list of that key's rows.
#[derive(Debug, Clone, Copy)]
struct StoredRow {
    span: Span,
    entry: u32,
    previous: u32,
    next: u32,
    touched: bool,
    /// Weight with the epoch's changes. A row of weight 0 stays until a
    /// checkpoint knows that it is gone.
    weight: i64,
    /// Weight without them.
    old_weight: i64,
}

/// All rows under one key. Its number is the key's slot.
#[derive(Debug, Clone, Copy)]
struct Entry {
    first_row: u32,
    row_count: u32,
    touched: bool,
    total: i64,
    old_total: i64,
}

const EMPTY_ENTRY: Entry = Entry {
    first_row: NONE,
    row_count: 0,
    touched: false,
    total: 0,
    old_total: 0,
};

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
    keys: KeyTable,
    entries: StateVec<Entry>,
    rows: StateVec<StoredRow>,
    free_rows: StateVec<u32>,
    heap: ByteHeap,
    /// Rows by content, for entries with many.
    row_indexes: HashMap<u32, StateTable<u32>>,
    /// Entries and rows that the running epoch changed.
    touched_entries: Vec<u32>,
    touched_rows: Vec<u32>,
    changed_rows: ChangedSlots,
    /// Ages of the entries, or of the rows, where old ones are dropped.
    times: TimesOfSlots,
}

/// By which time something is dropped.
#[derive(Debug, Clone, Copy)]
enum DropBy {
    /// Whole entries, by this position of the key.
    Key(usize),
    /// Single rows, by this column.
    Row(usize),
}

/// The entry and the row that a change was added to.
struct Added {
    entry: u32,
    row: u32,
}

impl Shard {
    pub(crate) fn find(&self, hash: u64, key: &[u8]) -> Option<EntryRef<'_>> {
        let number = self.keys.find(hash, key)?;
        Some(EntryRef {
            shard: self,
            number,
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
        if self.entries.len() < self.keys.slot_count() {
            self.entries.resize(self.keys.slot_count(), EMPTY_ENTRY);
        }
        number
    }

    fn find_row(&self, entry: u32, bytes: &[u8]) -> Option<u32> {
        let is_it = |row: u32| self.heap.get(self.rows[row as usize].span) == bytes;
        if let Some(index) = self.row_indexes.get(&entry) {
            let found = index.find(stable_hash(bytes), |&row| is_it(row));
            return found.copied();
        }
        let mut row = self.entries[entry as usize].first_row;
        while row != NONE && !is_it(row) {
            row = self.rows[row as usize].next;
        }
        (row != NONE).then_some(row)
    }

    fn add_row(&mut self, number: u32, bytes: &[u8]) -> u32 {
        let span = self.heap.add(bytes);
        let entry = &mut self.entries[number as usize];
        let new = StoredRow {
            span,
            entry: number,
            previous: NONE,
            next: entry.first_row,
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
        let row_count = entry.row_count;
        if second != NONE {
            self.rows[second as usize].previous = row;
        }
        // An index that is there stays when rows go, and must know all.
        if row_count > INDEXED_ROWS_MIN || self.row_indexes.contains_key(&number) {
            self.index_row(number, row);
        }
        row
    }

    /// Puts a new row into the index of its entry; the first time, all rows.
    fn index_row(&mut self, number: u32, row: u32) {
        let Self {
            rows,
            heap,
            row_indexes,
            ..
        } = self;
        let hash_of = |row: &u32| stable_hash(heap.get(rows[*row as usize].span));
        if let Some(index) = row_indexes.get_mut(&number) {
            index.insert_unique(hash_of(&row), row, hash_of);
            return;
        }
        let mut index = StateTable::default();
        let mut next = row;
        while next != NONE {
            index.insert_unique(hash_of(&next), next, hash_of);
            next = rows[next as usize].next;
        }
        row_indexes.insert(number, index);
    }

    fn remove_row(&mut self, row: u32) {
        let StoredRow {
            span,
            entry: number,
            previous,
            next,
            ..
        } = self.rows[row as usize];
        if let Some(index) = self.row_indexes.get_mut(&number) {
            let hash = stable_hash(self.heap.get(span));
            if let Ok(occupied) = index.find_entry(hash, |&found| found == row) {
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
            self.row_indexes.remove(&number);
            self.keys.unlink(number);
            self.keys.release(number);
        }
    }

    fn add(&mut self, hash: u64, key: &[u8], bytes: &[u8], weight: i64) -> Added {
        let number = self.entry_number(hash, key);
        let row = match self.find_row(number, bytes) {
            Some(row) => row,
            None => self.add_row(number, bytes),
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
        Added { entry: number, row }
    }

    /// Drops rows of times before `first_kept`.
    fn drop_rows_before(&mut self, first_kept: i64) {
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
    fn drop_before(&mut self, first_kept: i64) {
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
    fn settle(&mut self) {
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

    fn save_rows(&self, rows: impl Iterator<Item = u32>, writer: &mut Writer) {
        for row in rows {
            let stored = &self.rows[row as usize];
            writer.bytes(self.keys.key(stored.entry));
            writer.bytes(self.heap.get(stored.span));
            writer.i64(stored.weight);
        }
    }

    /// Takes rows with their weights over what is there.
    fn load(&mut self, bytes: &[u8]) -> Result<(), CodecError> {
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

    fn save_ahead(&mut self, piece: Piece, writer: &mut Writer) -> Came {
        let (rows, came) = match piece {
            Piece::Changes { rows_max } => {
                let rows = self.changed_rows.some(rows_max);
                let is_all = rows.len() == self.changed_rows.changed().len();
                let more = if is_all { Came::ToTheEnd } else { Came::To(0) };
                (rows, more)
            }
            Piece::Base { from, places_max } => {
                let end = from.saturating_add(places_max).min(self.rows.len());
                let is_there = |&row: &u32| self.rows[row as usize].weight != 0;
                let rows = (from as u32..end as u32).filter(is_there).collect();
                let is_all = end == self.rows.len();
                let more = if is_all {
                    Came::ToTheEnd
                } else {
                    Came::To(end)
                };
                (rows, more)
            }
        };
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
    fn forget_changes(&mut self) {
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
    drop_by: Option<DropBy>,
    /// Whether the ages of loaded entries are still to be noted.
    has_loaded: bool,
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
            drop_by: None,
            has_loaded: false,
        })
    }

    /// Keys of another collection, to look up here.
    pub(crate) fn encode_keys(
        &self,
        columns: &[ArrayRef],
        row_count: usize,
    ) -> Result<EncodedRows, EngineError> {
        self.key_codec.encode(columns, row_count)
    }

    /// From now on [`Arrangement::drop_before`] may be called, with times of
    /// this position of the key, or behind it of the row. Called once, before
    /// anything is stored.
    pub(crate) fn prepare_to_drop(&mut self, column: usize) {
        let key_width = self.key_columns.len();
        self.drop_by = Some(match column.checked_sub(key_width) {
            None => DropBy::Key(column),
            Some(column) => DropBy::Row(column),
        });
    }

    /// Drops what has a time before `cutoff_us`: no change will meet it.
    pub(crate) fn drop_before(&mut self, cutoff_us: i64) -> Result<(), EngineError> {
        let Some(drop_by) = self.drop_by else {
            return Ok(());
        };
        if std::mem::take(&mut self.has_loaded) {
            self.note_loaded(drop_by)?;
        }
        let types = match drop_by {
            DropBy::Key(column) => &self.key_codec.types()[column],
            DropBy::Row(column) => &self.row_codec.types()[column],
        };
        if let Some(first_kept) = first_kept(types, cutoff_us) {
            for shard in &mut self.shards {
                match drop_by {
                    DropBy::Key(_) => shard.drop_before(first_kept),
                    DropBy::Row(_) => shard.drop_rows_before(first_kept),
                }
            }
        }
        Ok(())
    }

    /// Notes the ages of what was loaded.
    fn note_loaded(&mut self, drop_by: DropBy) -> Result<(), EngineError> {
        for shard in &mut self.shards {
            match drop_by {
                DropBy::Key(column) => {
                    let numbers: Vec<u32> = shard.keys.slots().collect();
                    let keys = numbers.iter().map(|&number| shard.keys.key(number));
                    let columns = self.key_codec.decode(keys)?;
                    shard.times.note_all(&numbers, &ticks(&columns[column])?);
                }
                DropBy::Row(column) => {
                    let is_there = |&row: &u32| shard.rows[row as usize].weight != 0;
                    let numbers: Vec<u32> = (0..shard.rows.len() as u32).filter(is_there).collect();
                    let rows = numbers.iter();
                    let rows = rows.map(|&row| shard.heap.get(shard.rows[row as usize].span));
                    let columns = self.row_codec.decode(rows)?;
                    shard.times.note_all(&numbers, &row_ages(&columns[column])?);
                }
            }
        }
        Ok(())
    }

    /// For each row in byte form, of one shard, whether it is there before or
    /// after the epoch.
    pub(crate) fn holds(&self, shard: usize, rows: &[&[u8]]) -> Result<Vec<bool>, EngineError> {
        let columns = self.row_codec.decode(rows.iter().copied())?;
        let key_columns = self.key_columns.iter();
        let key_columns: Vec<_> = key_columns.map(|&column| columns[column].clone()).collect();
        let keys = self.key_codec.encode(&key_columns, rows.len())?;
        let shard = &self.shards[shard];
        let hashes = keys.hashes();
        let is_there = |(place, &bytes): (usize, &&[u8])| {
            let entry = shard.keys.find(hashes[place], keys.get(place))?;
            let row = &shard.rows[shard.find_row(entry, bytes)? as usize];
            Some(row.weight != 0 || row.old_weight != 0)
        };
        let rows = rows.iter().enumerate();
        Ok(rows.map(|row| is_there(row).unwrap_or(false)).collect())
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
        let times = match self.drop_by {
            Some(DropBy::Key(column)) => Some(ticks(&key_columns[column])?),
            Some(DropBy::Row(column)) => Some(row_ages(&columns[column])?),
            None => None,
        };
        let drops_rows = matches!(self.drop_by, Some(DropBy::Row(_)));
        for_each_shard(threads, delta.len(), &mut self.shards, |number, shard| {
            for &row in sharded.of_shard(number) {
                let row = row as usize;
                let added = shard.add(hashes[row], keys.get(row), rows.get(row), weights[row]);
                if let Some(times) = &times {
                    let time = times.is_valid(row).then(|| times.value(row));
                    let slot = if drops_rows { added.row } else { added.entry };
                    shard.times.note(slot, time);
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

    /// Memory taken, about.
    pub(crate) fn state_bytes(&self) -> u64 {
        let shards = self.shards.iter();
        shards.map(|shard| shard.memory_bytes() as u64).sum()
    }

    pub(crate) fn state_rows(&self) -> u64 {
        let shards = self.shards.iter();
        shards
            .map(|shard| (shard.rows.len() - shard.free_rows.len()) as u64)
            .sum()
    }
}

impl Shard {
    fn memory_bytes(&self) -> usize {
        let entries = self.entries.capacity() * size_of::<Entry>();
        let rows = self.rows.capacity() * size_of::<StoredRow>();
        let indexes = self.row_indexes.values();
        let indexes: usize = indexes
            .map(|index| index.capacity() * (size_of::<u32>() + 1))
            .sum();
        let heaps = self.keys.memory_bytes() + self.heap.allocated_bytes();
        let marks = self.changed_rows.memory_bytes() + self.times.memory_bytes();
        entries + rows + indexes + heaps + marks
    }
}

impl SavedState for Arrangement {
    fn changed_count(&self) -> usize {
        let shards = self.shards.iter();
        shards.map(|shard| shard.changed_rows.changed().len()).sum()
    }

    fn count(&self) -> usize {
        self.state_rows() as usize
    }

    fn save(&self, shard: usize, scope: SaveScope, writer: &mut Writer) {
        let shard = &self.shards[shard];
        match scope {
            SaveScope::Changes => {
                shard.save_rows(shard.changed_rows.changed().iter().copied(), writer);
            }
            SaveScope::All => {
                let is_there = |&row: &u32| shard.rows[row as usize].weight != 0;
                let rows = (0..shard.rows.len() as u32).filter(is_there);
                shard.save_rows(rows, writer);
            }
        }
    }

    fn forget_changes(&mut self, shard: usize) {
        self.shards[shard].forget_changes();
    }

    fn save_ahead(&mut self, shard: usize, piece: Piece, writer: &mut Writer) -> Came {
        self.shards[shard].save_ahead(piece, writer)
    }

    fn load(&mut self, shard: usize, bytes: &[u8]) -> Result<(), CodecError> {
        self.has_loaded = true;
        self.shards[shard].load(bytes)
    }
}

/// The times of rows, as late as the second in which they are ends: rows of a
/// second are dropped together, and their list is one.
fn row_ages(column: &ArrayRef) -> Result<Int64Array, EngineError> {
    const SECOND_US: i64 = 1_000_000;
    let second = first_kept(column.data_type(), SECOND_US)
        .unwrap_or(1)
        .max(1);
    let last_of = |time: i64| {
        let whole = time.div_euclid(second).saturating_mul(second);
        whole.saturating_add(second - 1)
    };
    Ok(ticks(column)?.unary::<_, Int64Type>(last_of))
}

fn rows_with_null(columns: &[ArrayRef], row_count: usize) -> Option<Vec<bool>> {
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
