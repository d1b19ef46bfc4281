//! A segment: rows that never change, and which of them are gone.

use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use arrow::array::{
    ArrayRef, BooleanArray, BooleanBufferBuilder, RecordBatch, RecordBatchOptions, UInt32Array,
};
use arrow::buffer::BooleanBuffer;
use arrow::compute::{filter_record_batch, take_record_batch};
use hashbrown::HashTable;
use sluice_core::{Disk, stable_hash};

use crate::StoreError;
use crate::expiry::Ages;
use crate::manifest::FooterEntry;
use crate::parquet_columns::OpenedFile;
use crate::row_index::{encode, row_bytes};
use crate::segment_cache::{CachePlace, KeyIndex, SegmentCache};
use crate::value_filter::SoughtValues;

/// A file on disk that holds a segment.
#[derive(Debug, Clone)]
pub(crate) struct SegmentFile {
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) path: PathBuf,
    pub(crate) name: String,
    /// Of the whole file.
    pub(crate) checksum: u32,
    /// Its end; `None` for files that can only be read as a whole.
    pub(crate) footer: Option<FooterEntry>,
    /// What the footer says, once it was read.
    pub(crate) opened: OnceLock<Arc<OpenedFile>>,
    /// Permanent ids of the columns in the file, in order.
    pub(crate) column_ids: Vec<u32>,
}

/// Rows in memory that no file holds.
#[derive(Debug)]
struct Rows {
    batch: RecordBatch,
    /// Made when a reader first asks.
    keys: OnceLock<Arc<KeyIndex>>,
}

/// How a reader uses columns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Use {
    /// It will come back to them.
    Again,
    /// It passes over all of a collection, so that what it reads must not
    /// drive everything else out of the cache.
    Scan,
}

/// Where the rows of a segment are.
#[derive(Debug, Clone)]
enum Place {
    /// In memory, as long as they have no file.
    Memory(Arc<Rows>),
    /// In a file, and in memory while there is room.
    File {
        file: Arc<SegmentFile>,
        cached: Arc<CachePlace>,
    },
}

/// Rows of a segment, in memory or read when they are needed.
#[derive(Debug, Clone)]
pub(crate) struct Segment {
    place: Place,
    pub(crate) row_count: usize,
    /// It is being written to a file, so that it stays what it is.
    pub(crate) is_leaving: bool,
    /// True for rows that are gone; `None` while all are there.
    removed: Option<BooleanBuffer>,
    removed_count: usize,
    /// Of the rows that are there; known where rows are dropped by age.
    pub(crate) ages: Option<Ages>,
}

impl Segment {
    pub(crate) fn in_memory(rows: RecordBatch) -> Self {
        let row_count = rows.num_rows();
        Self {
            place: Place::Memory(Arc::new(Rows {
                batch: rows,
                keys: OnceLock::new(),
            })),
            row_count,
            is_leaving: false,
            removed: None,
            removed_count: 0,
            ages: None,
        }
    }

    pub(crate) fn on_disk(
        file: Arc<SegmentFile>,
        cache: &Arc<SegmentCache>,
        row_count: usize,
        removed: Option<BooleanBuffer>,
    ) -> Self {
        let removed_count = removed.as_ref().map_or(0, BooleanBuffer::count_set_bits);
        Self {
            place: Place::File {
                file,
                cached: Arc::new(CachePlace::new(cache)),
            },
            row_count,
            is_leaving: false,
            removed,
            removed_count,
            ages: None,
        }
    }

    /// The file that holds the rows, if there is one.
    pub(crate) fn file(&self) -> Option<&Arc<SegmentFile>> {
        match &self.place {
            Place::Memory(_) => None,
            Place::File { file, .. } => Some(file),
        }
    }

    /// Memory of the rows, if no file holds them.
    pub(crate) fn unwritten_bytes(&self) -> usize {
        match &self.place {
            Place::Memory(rows) => rows.batch.get_array_memory_size(),
            Place::File { .. } => 0,
        }
    }

    /// Bytes of the file that holds the rows, or of memory if none does.
    pub(crate) fn bytes(&self) -> Result<u64, StoreError> {
        match &self.place {
            Place::Memory(_) => Ok(self.unwritten_bytes() as u64),
            Place::File { file, .. } => file.bytes(),
        }
    }

    /// Takes note that a file holds the rows, so that memory need not.
    pub(crate) fn was_written(&mut self, file: Arc<SegmentFile>, cache: &Arc<SegmentCache>) {
        self.is_leaving = false;
        if let Place::Memory(rows) = &self.place {
            let cached = CachePlace::new(cache);
            // The checkpoint wrote the columns in this order.
            for (&id, column) in file.column_ids.iter().zip(rows.batch.columns()) {
                cached.put_column(id, column, Use::Again);
            }
            if let Some(keys) = rows.keys.get() {
                cached.put_keys(keys);
            }
            let cached = Arc::new(cached);
            self.place = Place::File { file, cached };
        }
    }

    pub(crate) fn live_rows(&self) -> usize {
        self.row_count - self.removed_count
    }

    pub(crate) fn removed_count(&self) -> usize {
        self.removed_count
    }

    pub(crate) fn removed(&self) -> Option<&BooleanBuffer> {
        self.removed.as_ref()
    }

    /// Marks rows as gone. Snapshots that hold the segment keep the old mask.
    pub(crate) fn remove(&mut self, positions: &[u32]) {
        let mut mask = BooleanBufferBuilder::new(self.row_count);
        match &self.removed {
            Some(removed) => mask.append_buffer(removed),
            None => mask.append_n(self.row_count, false),
        }
        for &position in positions {
            if !mask.get_bit(position as usize) {
                mask.set_bit(position as usize, true);
                self.removed_count += 1;
            }
        }
        self.removed = Some(mask.finish());
    }

    /// Says that no row is there any more, so that the segment may go.
    pub(crate) fn give_up(&mut self) {
        self.removed_count = self.row_count;
    }

    pub(crate) fn is_removed(&self, position: usize) -> bool {
        self.removed
            .as_ref()
            .is_some_and(|removed| removed.value(position))
    }

    /// All rows, gone ones among them, in the collection's present columns.
    pub(crate) fn all_rows(&self, shape: &Shape) -> Result<RecordBatch, StoreError> {
        if let Place::Memory(rows) = &self.place {
            return Ok(rows.batch.clone());
        }
        let wanted: Vec<usize> = (0..shape.column_ids.len()).collect();
        self.batch_of(shape, &wanted, Use::Again)
    }

    /// All rows, gone ones among them, in the columns `wanted`.
    fn batch_of(
        &self,
        shape: &Shape,
        wanted: &[usize],
        usage: Use,
    ) -> Result<RecordBatch, StoreError> {
        let schema = Arc::new(shape.schema.project(wanted)?);
        let mut columns = self.columns(shape, wanted, usage)?;
        for (column, field) in columns.iter_mut().zip(schema.fields()) {
            if column.data_type() != field.data_type() {
                *column = arrow::compute::cast(column, field.data_type())?;
            }
        }
        let options = RecordBatchOptions::new().with_row_count(Some(self.row_count));
        Ok(RecordBatch::try_new_with_options(
            schema, columns, &options,
        )?)
    }

    /// The columns `wanted`, all rows of each, gone ones among them. Text may
    /// come as a dictionary of it.
    pub(crate) fn columns(
        &self,
        shape: &Shape,
        wanted: &[usize],
        usage: Use,
    ) -> Result<Vec<ArrayRef>, StoreError> {
        let (file, cached) = match &self.place {
            Place::Memory(rows) => {
                let columns = wanted.iter().map(|&column| rows.batch.column(column));
                return Ok(columns.cloned().collect());
            }
            Place::File { file, cached } => (file, cached),
        };
        let ids: Vec<u32> = wanted
            .iter()
            .map(|&column| shape.column_ids[column])
            .collect();
        let found = cached.columns(&ids);
        let missing: Vec<usize> = wanted
            .iter()
            .zip(&found)
            .filter_map(|(&column, found)| found.is_none().then_some(column))
            .collect();
        if missing.is_empty() {
            return Ok(found.into_iter().flatten().collect());
        }
        let mut read = file
            .read_columns(shape, &missing, self.row_count)?
            .into_iter();
        let mut columns = Vec::with_capacity(wanted.len());
        for (id, found) in ids.into_iter().zip(found) {
            let column = match found {
                Some(column) => column,
                // As many were read as are missing.
                None => match read.next() {
                    Some(column) => {
                        cached.put_column(id, &column, usage);
                        column
                    }
                    None => continue,
                },
            };
            columns.push(column);
        }
        Ok(columns)
    }

    /// Tells the disk that what is known of the columns will be asked for soon.
    pub(crate) fn will_open(&self) {
        if let Place::File { file, .. } = &self.place {
            file.will_open();
        }
    }

    /// Tells the disk that columns will be asked for soon.
    pub(crate) fn will_read(&self, shape: &Shape, wanted: &[usize]) {
        let Place::File { file, cached } = &self.place else {
            return;
        };
        let is_missing = |&column: &usize| !cached.has_column(shape.column_ids[column]);
        let missing: Vec<usize> = wanted.iter().copied().filter(is_missing).collect();
        if !missing.is_empty() {
            file.will_read(shape, &missing);
        }
    }

    /// The least and the greatest value of a column and the number of nulls
    /// among all rows; `None` where that is not known.
    pub(crate) fn bounds(
        &self,
        shape: &Shape,
        column: usize,
    ) -> Result<Option<[ArrayRef; 3]>, StoreError> {
        match &self.place {
            Place::Memory(_) => Ok(None),
            Place::File { file, .. } => file.bounds(shape, column),
        }
    }

    /// False if no row, gone ones among them, holds one of `sought` in a column;
    /// true if one may.
    pub(crate) fn may_hold(
        &self,
        shape: &Shape,
        column: usize,
        sought: &SoughtValues,
    ) -> Result<bool, StoreError> {
        match &self.place {
            Place::Memory(_) => Ok(true),
            Place::File { file, cached } => file.may_hold(shape, column, sought, cached),
        }
    }

    /// Tells the disk that [`Self::may_hold`] will be asked soon.
    pub(crate) fn will_look_for(&self, shape: &Shape, column: usize, sought: &SoughtValues) {
        if let Place::File { file, cached } = &self.place {
            file.will_look_for(shape, column, sought, cached);
        }
    }

    fn keys(&self, shape: &Shape, key_columns: &[usize]) -> Result<Arc<KeyIndex>, StoreError> {
        match &self.place {
            Place::Memory(rows) => {
                if let Some(keys) = rows.keys.get() {
                    return Ok(keys.clone());
                }
                let keys = key_index(&rows.batch.project(key_columns)?)?;
                Ok(rows.keys.get_or_init(|| Arc::new(keys)).clone())
            }
            Place::File { cached, .. } => {
                if let Some(keys) = cached.keys() {
                    return Ok(keys);
                }
                let keys = key_index(&self.batch_of(shape, key_columns, Use::Scan)?)?;
                let keys = Arc::new(keys);
                cached.put_keys(&keys);
                Ok(keys)
            }
        }
    }

    /// The rows that are there and whose key columns have the bytes `wanted`.
    pub(crate) fn find(
        &self,
        shape: &Shape,
        key_columns: &[usize],
        wanted: &[u8],
    ) -> Result<Option<RecordBatch>, StoreError> {
        let keys = self.keys(shape, key_columns)?;
        let hash = stable_hash(wanted);
        let candidates = keys
            .iter_hash(hash)
            .filter(|&&(other, row)| other == hash && !self.is_removed(row as usize));
        let mut candidates: Vec<u32> = candidates.map(|&(_, row)| row).collect();
        if candidates.is_empty() {
            return Ok(None);
        }
        candidates.sort_unstable();
        let rows = self.all_rows(shape)?;
        let candidates = take_record_batch(&rows, &UInt32Array::from(candidates))?;
        // Other keys may have the same hash.
        let encoded = encode(candidates.project(key_columns)?.columns())?;
        let is_it =
            (0..candidates.num_rows()).map(|row| Some(row_bytes(encoded.as_ref(), row) == wanted));
        let is_it: BooleanArray = is_it.collect();
        Ok(Some(filter_record_batch(&candidates, &is_it)?))
    }

    /// The rows that are there.
    pub(crate) fn live(&self, shape: &Shape) -> Result<RecordBatch, StoreError> {
        let rows = self.all_rows(shape)?;
        match &self.removed {
            Some(removed) if self.removed_count > 0 => {
                let kept = BooleanArray::new(!removed, None);
                Ok(filter_record_batch(&rows, &kept)?)
            }
            _ => Ok(rows),
        }
    }
}

/// The index of rows of nothing but key columns.
fn key_index(rows: &RecordBatch) -> Result<KeyIndex, StoreError> {
    let encoded = encode(rows.columns())?;
    let mut keys = HashTable::with_capacity(rows.num_rows());
    for row in 0..rows.num_rows() {
        let hash = stable_hash(row_bytes(encoded.as_ref(), row));
        keys.insert_unique(hash, (hash, row as u32), |&(hash, _)| hash);
    }
    Ok(keys)
}

/// The present columns of a collection with their permanent ids.
#[derive(Debug, Clone)]
pub(crate) struct Shape {
    pub(crate) schema: arrow::datatypes::SchemaRef,
    pub(crate) column_ids: Vec<u32>,
}
