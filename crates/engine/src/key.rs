//! Rows as keys: a comparable byte form, its hash, and the rows of a batch
//! dealt out to the virtual shards.

use std::ops::Range;

use arrow::array::{Array, ArrayRef, BinaryArray, new_null_array};
use arrow::compute::SortOptions;
use arrow::datatypes::DataType;
use arrow::row::{Row, RowConverter, Rows, SortField};
use parking_lot::Mutex;
use sluice_core::{VIRTUAL_SHARDS, shard_of_hash, stable_hash};
use sluice_functions::{canonical, holds_floats};

use crate::EngineError;

/// Turns columns into byte keys and back. Equal rows have equal bytes, and
/// bytes order as the rows do (nulls first).
#[derive(Debug)]
pub(crate) struct RowCodec {
    /// `None` for rows of no columns, whose only key is the empty one.
    converter: Option<RowConverter>,
    types: Vec<DataType>,
    has_floats: bool,
}

impl RowCodec {
    pub(crate) fn new(types: &[DataType]) -> Result<Self, EngineError> {
        let ascending = SortOptions::default();
        let columns: Vec<_> = types.iter().map(|found| (found, ascending)).collect();
        Self::with_order(&columns)
    }

    /// A codec whose bytes order as ORDER BY with these options does.
    pub(crate) fn with_order(columns: &[(&DataType, SortOptions)]) -> Result<Self, EngineError> {
        let types: Vec<DataType> = columns.iter().map(|(found, _)| (*found).clone()).collect();
        let fields = columns
            .iter()
            .map(|(found, options)| SortField::new_with_options((*found).clone(), *options))
            .collect();
        let converter = if types.is_empty() {
            None
        } else {
            Some(RowConverter::new(fields)?)
        };
        Ok(Self {
            converter,
            has_floats: types.iter().any(holds_floats),
            types,
        })
    }

    /// The types of the columns.
    pub(crate) fn types(&self) -> &[DataType] {
        &self.types
    }

    pub(crate) fn encode(
        &self,
        columns: &[ArrayRef],
        row_count: usize,
    ) -> Result<EncodedRows, EngineError> {
        let rows = match &self.converter {
            // Results of aggregates and windows may be in another form.
            Some(converter) if self.has_floats => {
                let columns = columns.iter().map(canonical);
                let columns: Vec<ArrayRef> = columns.collect::<Result<_, _>>()?;
                converter.convert_columns(&columns)?
            }
            Some(converter) => converter.convert_columns(columns)?,
            None => return Ok(EncodedRows::Empty { row_count }),
        };
        // Reading a row is cheaper from there, where the bytes fit.
        match rows.size() < i32::MAX as usize {
            true => Ok(EncodedRows::Array(rows.try_into_binary()?)),
            false => Ok(EncodedRows::Large(rows)),
        }
    }

    /// The byte form of a row of nulls.
    pub(crate) fn encode_null(&self) -> Result<Vec<u8>, EngineError> {
        let nulls: Vec<ArrayRef> = self
            .types
            .iter()
            .map(|data_type| new_null_array(data_type, 1))
            .collect();
        Ok(self.encode(&nulls, 1)?.get(0).to_vec())
    }

    /// Decodes rows that this codec (or one of the same types) encoded.
    pub(crate) fn decode<'a>(
        &self,
        rows: impl Iterator<Item = &'a [u8]>,
    ) -> Result<Vec<ArrayRef>, EngineError> {
        let Some(converter) = &self.converter else {
            return Ok(Vec::new());
        };
        let parser = converter.parser();
        let parsed: Vec<Row<'_>> = rows.map(|bytes| parser.parse(bytes)).collect();
        Ok(converter.convert_rows(parsed)?)
    }
}

/// Rows in byte form.
#[derive(Debug)]
pub(crate) enum EncodedRows {
    /// Of no columns.
    Empty {
        row_count: usize,
    },
    Array(BinaryArray),
    /// More bytes than an array can have.
    Large(Rows),
}

impl EncodedRows {
    #[inline]
    pub(crate) fn get(&self, index: usize) -> &[u8] {
        match self {
            Self::Array(rows) => rows.value(index),
            Self::Large(rows) => rows.row(index).data(),
            Self::Empty { .. } => &[],
        }
    }

    pub(crate) fn hashes(&self) -> Vec<u64> {
        let row_count = match self {
            Self::Array(rows) => rows.len(),
            Self::Large(rows) => rows.num_rows(),
            Self::Empty { row_count } => *row_count,
        };
        (0..row_count)
            .map(|index| stable_hash(self.get(index)))
            .collect()
    }
}

/// Row numbers grouped by virtual shard, in row order within a shard.
#[derive(Debug)]
pub(crate) struct ShardedRows {
    order: Vec<u32>,
    starts: Vec<u32>,
}

impl ShardedRows {
    /// Groups all rows, except those that `skip` names.
    pub(crate) fn new(hashes: &[u64], skip: Option<&[bool]>) -> Self {
        let kept = |row: usize| !skip.is_some_and(|skip| skip[row]);
        let mut starts = vec![0_u32; VIRTUAL_SHARDS + 1];
        for (row, &hash) in hashes.iter().enumerate() {
            if kept(row) {
                starts[shard_of_hash(hash) + 1] += 1;
            }
        }
        for shard in 0..VIRTUAL_SHARDS {
            starts[shard + 1] += starts[shard];
        }
        let mut next = starts.clone();
        let mut order = vec![0_u32; starts[VIRTUAL_SHARDS] as usize];
        for (row, &hash) in hashes.iter().enumerate() {
            if kept(row) {
                let slot = &mut next[shard_of_hash(hash)];
                order[*slot as usize] = row as u32;
                *slot += 1;
            }
        }
        Self { order, starts }
    }

    /// The rows of all shards, one shard after the other.
    pub(crate) fn all(&self) -> &[u32] {
        &self.order
    }

    pub(crate) fn of_shard(&self, shard: usize) -> &[u32] {
        &self.order[self.starts[shard] as usize..self.starts[shard + 1] as usize]
    }
}

/// Below so many rows a second thread costs more than it brings.
const PARALLEL_ROWS_MIN: usize = 8_192;

/// Runs `work` once for each shard, spread over `threads` when there is enough
/// to do: each takes the next shard that nobody took. Results come back in shard order, whatever the threads did.
pub(crate) fn for_each_shard<S: Send, R: Send>(
    threads: usize,
    row_count: usize,
    shards: &mut [S],
    work: impl Fn(usize, &mut S) -> R + Sync,
) -> Vec<R> {
    if threads <= 1 || row_count < PARALLEL_ROWS_MIN {
        return shards
            .iter_mut()
            .enumerate()
            .map(|(number, shard)| work(number, shard))
            .collect();
    }
    let waiting = Mutex::new(shards.iter_mut().enumerate());
    let (waiting, work) = (&waiting, &work);
    std::thread::scope(|scope| {
        let handles: Vec<_> = (0..threads)
            .map(|_| {
                scope.spawn(move || {
                    let mut results = Vec::new();
                    loop {
                        let next = waiting.lock().next();
                        let Some((number, shard)) = next else {
                            return results;
                        };
                        results.push((number, work(number, shard)));
                    }
                })
            })
            .collect();
        let mut results: Vec<(usize, R)> = Vec::new();
        for handle in handles {
            match handle.join() {
                Ok(of_thread) => results.extend(of_thread),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        results.sort_by_key(|(number, _)| *number);
        results.into_iter().map(|(_, result)| result).collect()
    })
}

/// The ranges of a batch that threads work on: one for each thread, and the
/// whole batch where more threads would not pay.
pub(crate) fn ranges_of_rows(threads: usize, row_count: usize) -> Vec<Range<usize>> {
    if threads <= 1 || row_count < PARALLEL_ROWS_MIN {
        return vec![0..row_count; 1];
    }
    let length = row_count.div_ceil(threads);
    (0..threads)
        .map(|thread| (thread * length).min(row_count)..((thread + 1) * length).min(row_count))
        .collect()
}
