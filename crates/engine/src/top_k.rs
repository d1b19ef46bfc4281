//! The first k rows of each partition: `ORDER BY … LIMIT k`, `DISTINCT ON`, and
//! a filter such as `row_number() OVER (…) <= k`.
//!
//! Each partition is a tree of its rows in order. A change behind the last row
//! that counts costs a search in the tree and gives no output; another one
//! costs a walk over the first k rows, once an epoch. Where the input only adds
//! rows, those behind the last that counts can never come forward and are not
//! kept.
//!
//! Rows that ORDER BY leaves equal follow each other by their remaining
//! columns, as in `window.rs`.

mod promising;
mod ranking;

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions, UInt32Array, UInt64Array};
use arrow::compute::SortOptions;
use arrow::datatypes::SchemaRef;
use hashbrown::{HashSet, HashTable};
use sluice_core::{CodecError, Delta, Reader, VIRTUAL_SHARDS, Writer, stable_hash};
use sluice_memory::OrderedBytes;

use crate::EngineError;
use crate::key::{EncodedRows, RowCodec, ShardedRows, for_each_shard};
use crate::operator::{Operator, StepContext};
use crate::saved_state::{SaveScope, SavedState};
use promising::EARLY_LAST_MAX;
use ranking::Changes;

/// How rows are numbered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ranking {
    RowNumber,
    Rank,
    DenseRank,
}

/// Which rows are wanted: those with a number in `first..=last`.
#[derive(Debug, Clone)]
pub(crate) struct TopKSpec {
    pub(crate) partition: Vec<usize>,
    pub(crate) order: Vec<(usize, SortOptions)>,
    pub(crate) ranking: Ranking,
    pub(crate) first: u64,
    pub(crate) last: u64,
    /// Whether the number is a column behind the input's.
    pub(crate) with_number: bool,
    /// Whether the input only adds rows.
    pub(crate) append_only: bool,
    pub(crate) input_schema: SchemaRef,
}

/// A row in byte form; its order columns come first, so that bytes order as the
/// rows do.
type RowBytes = Arc<[u8]>;

/// How often a row is there, and how many of its bytes are order columns.
#[derive(Debug, Clone, Copy)]
struct Stored {
    weight: i64,
    order_length: u32,
}

/// A wanted row with its number (0 where numbers are not given out).
#[derive(Debug, Clone, PartialEq, Eq)]
struct Ranked {
    row: RowBytes,
    number: u64,
    copies: i64,
}

/// The last row that counts; rows behind it change nothing.
#[derive(Debug, Clone)]
struct Boundary {
    row: RowBytes,
    /// How many of its bytes take part in the comparison.
    length: usize,
}

#[derive(Debug, Default)]
struct Partition {
    hash: u64,
    key: Arc<[u8]>,
    rows: BTreeMap<RowBytes, Stored>,
    /// `None` while there are fewer rows than wanted.
    boundary: Option<Boundary>,
    /// The wanted rows before the epoch, once it touched them.
    before: Option<Vec<Ranked>>,
}

#[derive(Debug, Default)]
struct Shard {
    index: HashTable<u32>,
    partitions: Vec<Partition>,
    free: Vec<u32>,
    /// Partitions whose wanted rows the running epoch can change.
    touched: Vec<u32>,
    /// Keys and rows whose weight no checkpoint has.
    changed: HashSet<(Arc<[u8]>, RowBytes)>,
    row_count: usize,
    row_bytes: OrderedBytes,
}

/// What a row takes besides its bytes: its place in the tree and its counts.
const ROW_OVERHEAD_BYTES: usize = 64;

impl Shard {
    fn slot(&mut self, hash: u64, key: &[u8]) -> u32 {
        let Self {
            index,
            partitions,
            free,
            ..
        } = self;
        let is_key = |&slot: &u32| *partitions[slot as usize].key == *key;
        if let Some(&found) = index.find(hash, is_key) {
            return found;
        }
        let partition = Partition {
            hash,
            key: key.into(),
            ..Partition::default()
        };
        let slot = match free.pop() {
            Some(slot) => {
                partitions[slot as usize] = partition;
                slot
            }
            None => {
                partitions.push(partition);
                (partitions.len() - 1) as u32
            }
        };
        index.insert_unique(hash, slot, |&slot| partitions[slot as usize].hash);
        slot
    }

    fn forget(&mut self, slot: u32) {
        let hash = self.partitions[slot as usize].hash;
        if let Ok(occupied) = self.index.find_entry(hash, |&found| found == slot) {
            occupied.remove();
        }
        self.partitions[slot as usize] = Partition::default();
        self.free.push(slot);
    }

    fn add(
        &mut self,
        spec: &TopKSpec,
        (hash, key): (u64, &[u8]),
        (row, order_length): (&[u8], usize),
        weight: i64,
    ) -> Result<(), EngineError> {
        let slot = self.slot(hash, key);
        let partition = &mut self.partitions[slot as usize];
        if spec.counts(partition, row, order_length) {
            if partition.before.is_none() {
                partition.before = Some(spec.wanted(partition)?.0);
                self.touched.push(slot);
            }
        } else if spec.append_only {
            return Ok(());
        }
        let stored = Stored {
            weight,
            order_length: order_length as u32,
        };
        self.change(slot, row, stored);
        Ok(())
    }

    /// Adds the weight of `change` to the row's. A row that comes is mostly new,
    /// and one that goes is mostly gone: either takes one search in the tree.
    fn change(&mut self, slot: u32, row: &[u8], change: Stored) {
        let partition = &mut self.partitions[slot as usize];
        let removed = match change.weight < 0 {
            true => partition.rows.remove_entry(row),
            false => None,
        };
        let (row, change) = match removed {
            Some((row, stored)) => {
                self.row_count -= 1;
                self.row_bytes.remove(row.len() + ROW_OVERHEAD_BYTES);
                let weight = stored.weight + change.weight;
                (row, Stored { weight, ..stored })
            }
            None => (RowBytes::from(row), change),
        };
        self.changed.insert((partition.key.clone(), row.clone()));
        if change.weight == 0 {
            return;
        }
        match partition.rows.entry(row) {
            Entry::Vacant(place) => {
                self.row_count += 1;
                self.row_bytes.add(place.key().len() + ROW_OVERHEAD_BYTES);
                place.insert(change);
            }
            Entry::Occupied(mut known) => {
                known.get_mut().weight += change.weight;
                // Its removal came before it.
                if known.get().weight == 0 {
                    let (row, _) = known.remove_entry();
                    self.row_count -= 1;
                    self.row_bytes.remove(row.len() + ROW_OVERHEAD_BYTES);
                }
            }
        }
    }

    /// Ends the epoch: what it changed in the wanted rows.
    fn settle(&mut self, spec: &TopKSpec) -> Result<Changes, EngineError> {
        let mut changes = Changes::default();
        for slot in std::mem::take(&mut self.touched) {
            let partition = &mut self.partitions[slot as usize];
            let (after, boundary) = spec.wanted(partition)?;
            let before = partition.before.take().unwrap_or_default();
            changes.push_difference(&partition.key, &before, &after);
            partition.boundary = boundary;
            if spec.append_only {
                while let Some(last) = partition.rows.last_entry()
                    && let Some(boundary) = &partition.boundary
                    && last.key()[..] > boundary.row[..]
                {
                    self.row_count -= 1;
                    self.row_bytes.remove(last.key().len() + ROW_OVERHEAD_BYTES);
                    let row = last.remove_entry().0;
                    self.changed.insert((partition.key.clone(), row));
                }
            }
            if partition.rows.is_empty() {
                self.forget(slot);
            }
        }
        Ok(changes)
    }

    fn save_row(key: &[u8], row: &[u8], stored: Stored, writer: &mut Writer) {
        writer.bytes(key);
        writer.bytes(row);
        writer.u32(stored.order_length);
        writer.i64(stored.weight);
    }

    fn save_all(&self, writer: &mut Writer) {
        for &slot in &self.index {
            let partition = &self.partitions[slot as usize];
            for (row, &stored) in &partition.rows {
                Self::save_row(&partition.key, row, stored, writer);
            }
        }
    }

    fn save_changes(&self, writer: &mut Writer) {
        let mut changed: Vec<_> = self.changed.iter().collect();
        changed.sort_unstable();
        for (key, row) in changed {
            let gone = Stored {
                weight: 0,
                order_length: 0,
            };
            let is_key = |&slot: &u32| self.partitions[slot as usize].key == *key;
            let slot = self.index.find(stable_hash(key), is_key);
            let stored = slot.and_then(|&slot| self.partitions[slot as usize].rows.get(row));
            Self::save_row(key, row, stored.copied().unwrap_or(gone), writer);
        }
    }

    /// Takes rows with their weights over what is there. Without a boundary
    /// every row counts, until an epoch finds the boundary again.
    fn load(&mut self, bytes: &[u8]) -> Result<(), CodecError> {
        let mut reader = Reader::new(bytes);
        while !reader.is_at_end() {
            let key = reader.bytes()?;
            let row = reader.bytes()?;
            let order_length = reader.u32()?;
            let weight = reader.i64()?;
            if order_length as usize > row.len() {
                return Err(CodecError::Invalid("an order longer than its row".into()));
            }
            let slot = self.slot(stable_hash(key), key);
            let rows = &self.partitions[slot as usize].rows;
            let before = rows.get(row).map_or(0, |stored| stored.weight);
            if weight != before {
                let change = Stored {
                    weight: weight - before,
                    order_length,
                };
                self.change(slot, row, change);
            }
            if self.partitions[slot as usize].rows.is_empty() {
                self.forget(slot);
            }
        }
        self.changed.clear();
        Ok(())
    }
}

/// Where an input column is kept: in the partition's key, or in the row.
#[derive(Debug, Clone, Copy)]
enum Place {
    Key(usize),
    Row(usize),
}

/// See the module.
pub(crate) struct TopK {
    spec: TopKSpec,
    schema: SchemaRef,
    key_codec: RowCodec,
    row_codec: RowCodec,
    /// Of the order columns alone, to find their length; where ranks are given.
    order_codec: Option<RowCodec>,
    /// The same, where rows can be left out by them before they are encoded.
    early_codec: Option<RowCodec>,
    /// Input columns in the order of the rows' bytes.
    row_columns: Vec<usize>,
    places: Vec<Place>,
    shards: Vec<Shard>,
}

impl TopK {
    pub(crate) fn new(mut spec: TopKSpec, schema: SchemaRef) -> Result<Self, EngineError> {
        // Within a partition its own columns are all equal.
        spec.order
            .retain(|(column, _)| !spec.partition.contains(column));
        let width = spec.input_schema.fields().len();
        let mut order: Vec<(usize, SortOptions)> = Vec::new();
        for &(column, options) in &spec.order {
            if !order.iter().any(|&(known, _)| known == column) {
                order.push((column, options));
            }
        }
        let codec_of = |columns: &[(usize, SortOptions)]| {
            let columns = columns.iter();
            let columns: Vec<_> = columns
                .map(|&(column, options)| (spec.input_schema.field(column).data_type(), options))
                .collect();
            RowCodec::with_order(&columns)
        };
        let order_codec = match spec.ranking {
            Ranking::RowNumber => None,
            Ranking::Rank | Ranking::DenseRank => Some(codec_of(&order)?),
        };
        let is_early = spec.append_only
            && spec.ranking == Ranking::RowNumber
            && spec.last <= EARLY_LAST_MAX
            && !order.is_empty()
            && order.len() < width;
        let early_codec = match is_early {
            true => Some(codec_of(&order)?),
            false => None,
        };
        let mut columns = order.clone();
        for column in 0..width {
            let is_known = columns.iter().any(|&(known, _)| known == column);
            if !is_known && !spec.partition.contains(&column) {
                columns.push((column, SortOptions::default()));
            }
        }
        let key_types: Vec<_> = spec
            .partition
            .iter()
            .map(|&column| spec.input_schema.field(column).data_type().clone())
            .collect();
        let row_codec = codec_of(&columns)?;
        let row_columns: Vec<usize> = columns.iter().map(|&(column, _)| column).collect();
        let mut places = Vec::with_capacity(width);
        for column in 0..width {
            let in_key = spec.partition.iter().position(|&known| known == column);
            let in_row = row_columns.iter().position(|&known| known == column);
            places.push(match (in_key, in_row) {
                (Some(position), _) => Place::Key(position),
                (None, Some(position)) => Place::Row(position),
                (None, None) => {
                    return Err(EngineError::Invariant(format!(
                        "column {column} is nowhere"
                    )));
                }
            });
        }
        spec.order = order;
        Ok(Self {
            key_codec: RowCodec::new(&key_types)?,
            row_codec,
            order_codec,
            early_codec,
            row_columns,
            places,
            shards: (0..VIRTUAL_SHARDS).map(|_| Shard::default()).collect(),
            spec,
            schema,
        })
    }

    fn delta(&self, changes: &Changes) -> Result<Delta, EngineError> {
        let keys = self
            .key_codec
            .decode(changes.keys.iter().map(AsRef::as_ref))?;
        let rows = self
            .row_codec
            .decode(changes.rows.iter().map(AsRef::as_ref))?;
        let mut columns: Vec<ArrayRef> = self
            .places
            .iter()
            .map(|place| match *place {
                Place::Key(position) => keys[position].clone(),
                Place::Row(position) => rows[position].clone(),
            })
            .collect();
        if self.spec.with_number {
            columns.push(Arc::new(UInt64Array::from(changes.numbers.clone())));
        }
        let options = RecordBatchOptions::new().with_row_count(Some(changes.rows.len()));
        let rows = RecordBatch::try_new_with_options(self.schema.clone(), columns, &options)?;
        Ok(Delta::try_new(rows, changes.weights.clone())?)
    }
}

/// The epoch's rows in byte form.
struct Encoded {
    keys: EncodedRows,
    hashes: Vec<u64>,
    rows: EncodedRows,
    orders: Option<EncodedRows>,
    sharded: ShardedRows,
}

impl TopK {
    fn encode(&self, input: &Delta) -> Result<Encoded, EngineError> {
        let columns = input.rows().columns();
        let pick = |positions: &[usize]| -> Vec<ArrayRef> {
            positions
                .iter()
                .map(|&column| columns[column].clone())
                .collect()
        };
        let keys = self
            .key_codec
            .encode(&pick(&self.spec.partition), input.len())?;
        let rows = self
            .row_codec
            .encode(&pick(&self.row_columns), input.len())?;
        let orders = match &self.order_codec {
            Some(codec) => {
                let order_columns = &self.row_columns[..self.spec.order.len()];
                Some(codec.encode(&pick(order_columns), input.len())?)
            }
            None => None,
        };
        let hashes = keys.hashes();
        Ok(Encoded {
            sharded: ShardedRows::new(&hashes, None),
            keys,
            hashes,
            rows,
            orders,
        })
    }
}

impl Operator for TopK {
    fn step(
        &mut self,
        context: &mut StepContext<'_>,
        inputs: &[&Delta],
    ) -> Result<Delta, EngineError> {
        let input = inputs[0];
        if input.is_empty() {
            return Ok(Delta::empty(self.schema.clone()));
        }
        let promising = self.promising(context.threads, input)?;
        let input = promising.as_ref().unwrap_or(input);
        let encoded = self.encode(input)?;
        let (spec, weights) = (&self.spec, input.weights());
        let all_changes = for_each_shard(
            context.threads,
            input.len(),
            &mut self.shards,
            |number, shard| {
                for &row in encoded.sharded.of_shard(number) {
                    let row = row as usize;
                    let key = (encoded.hashes[row], encoded.keys.get(row));
                    let bytes = encoded.rows.get(row);
                    let order_length = match &encoded.orders {
                        Some(orders) => orders.get(row).len(),
                        None => bytes.len(),
                    };
                    shard.add(spec, key, (bytes, order_length), weights[row])?;
                }
                shard.settle(spec)
            },
        );
        let mut total = Changes::default();
        for changes in all_changes {
            let mut changes: Changes = changes?;
            total.keys.append(&mut changes.keys);
            total.rows.append(&mut changes.rows);
            total.numbers.append(&mut changes.numbers);
            total.weights.append(&mut changes.weights);
        }
        self.delta(&total)
    }

    fn saved_state(&mut self) -> Option<&mut dyn SavedState> {
        Some(self)
    }

    fn state_bytes(&self) -> u64 {
        self.shards
            .iter()
            .map(|shard| shard.row_bytes.get() as u64)
            .sum()
    }

    fn state_rows(&self) -> u64 {
        self.shards.iter().map(|shard| shard.row_count as u64).sum()
    }
}

impl SavedState for TopK {
    fn changed_count(&self) -> usize {
        self.shards.iter().map(|shard| shard.changed.len()).sum()
    }

    fn count(&self) -> usize {
        self.shards.iter().map(|shard| shard.row_count).sum()
    }

    fn save(&self, shard: usize, scope: SaveScope, writer: &mut Writer) {
        match scope {
            SaveScope::All => self.shards[shard].save_all(writer),
            SaveScope::Changes => self.shards[shard].save_changes(writer),
        }
    }

    fn forget_changes(&mut self, shard: usize) {
        self.shards[shard].changed = HashSet::new();
    }

    fn load(&mut self, shard: usize, bytes: &[u8]) -> Result<(), CodecError> {
        self.shards[shard].load(bytes)
    }
}
