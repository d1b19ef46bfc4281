//! An arrangement: a collection indexed by some of its columns.
//!
//! One arrangement per (collection, key) is shared by all operators that need
//! it. During an epoch it knows two states: with and without the epoch's
//! changes, because Δ(A⋈B) = ΔA⋈B + (A+ΔA)⋈ΔB needs one side before and the
//! other after them.

mod shard;

use arrow::array::{Array, ArrayRef, Int64Array};
use arrow::datatypes::Int64Type;
use sluice_core::{CodecError, Delta, VIRTUAL_SHARDS, Writer};

use crate::EngineError;
use crate::key::{EncodedRows, RowCodec, ShardedRows, for_each_shard};
use crate::saved_state::{Came, Piece, SaveScope, SavedState};
use crate::time::values::{first_kept, ticks};

pub(crate) use shard::{EntryRef, RowRef, Shard};

/// By which time something is dropped.
#[derive(Debug, Clone, Copy)]
enum DropBy {
    /// Whole entries, by this position of the key.
    Key(usize),
    /// Single rows, by this column.
    Row(usize),
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
            let of_shard = sharded.of_shard(number).iter().map(|&row| row as usize);
            let entries =
                shard.entry_numbers(of_shard.clone().map(|row| (hashes[row], keys.get(row))));
            for (row, entry) in of_shard.zip(entries) {
                let stored = shard.add_to_entry(entry, rows.get(row), weights[row]);
                if let Some(times) = &times {
                    let time = times.is_valid(row).then(|| times.value(row));
                    let slot = if drops_rows { stored } else { entry };
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
