//! A segment: rows that never change, and which of them are gone.

use std::path::PathBuf;
use std::sync::Arc;

use arrow::array::{BooleanArray, BooleanBufferBuilder, RecordBatch, UInt32Array};
use arrow::buffer::BooleanBuffer;
use arrow::compute::{filter_record_batch, take_record_batch};
use hashbrown::HashTable;
use sluice_core::{Disk, stable_hash};

use crate::StoreError;
use crate::expiry::Ages;
use crate::parquet_file;
use crate::row_index::{encode, row_bytes};
use crate::segment_cache::{CachePlace, KeyIndex, Loaded, SegmentCache};

/// A file on disk that holds a segment.
#[derive(Debug, Clone)]
pub(crate) struct SegmentFile {
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) path: PathBuf,
    pub(crate) name: String,
    pub(crate) checksum: u32,
    /// Permanent ids of the columns in the file, in order.
    pub(crate) column_ids: Vec<u32>,
}

/// Where the rows of a segment are.
#[derive(Debug, Clone)]
enum Place {
    /// In memory, as long as they have no file.
    Memory(Arc<Loaded>),
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
            place: Place::Memory(Loaded::new(rows)),
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
            Place::Memory(loaded) => loaded.rows.get_array_memory_size(),
            Place::File { .. } => 0,
        }
    }

    /// Takes note that a file holds the rows, so that memory need not.
    pub(crate) fn was_written(&mut self, file: Arc<SegmentFile>, cache: &Arc<SegmentCache>) {
        self.is_leaving = false;
        if let Place::Memory(loaded) = &self.place {
            let cached = CachePlace::new(cache);
            cached.put(loaded);
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
        Ok(self.load(shape)?.rows.clone())
    }

    fn load(&self, shape: &Shape) -> Result<Arc<Loaded>, StoreError> {
        let (file, cached) = match &self.place {
            Place::Memory(loaded) => return Ok(loaded.clone()),
            Place::File { file, cached } => (file, cached),
        };
        if let Some(loaded) = cached.get() {
            return Ok(loaded);
        }
        let rows = parquet_file::read(file, shape)?;
        if rows.num_rows() != self.row_count {
            return Err(StoreError::Damaged {
                path: file.path.display().to_string(),
                problem: format!(
                    "holds {} rows, the manifest says {}",
                    rows.num_rows(),
                    self.row_count
                ),
            });
        }
        let loaded = Loaded::new(rows);
        cached.put(&loaded);
        Ok(loaded)
    }

    /// The rows that are there and whose key columns have the bytes `wanted`.
    pub(crate) fn find(
        &self,
        shape: &Shape,
        key_columns: &[usize],
        wanted: &[u8],
    ) -> Result<Option<RecordBatch>, StoreError> {
        let loaded = self.load(shape)?;
        let rows = &loaded.rows;
        let keys = match loaded.keys.get() {
            Some(keys) => keys,
            None => {
                let keys = key_index(rows, key_columns)?;
                loaded.keys.get_or_init(|| keys)
            }
        };
        let hash = stable_hash(wanted);
        let candidates = keys
            .iter_hash(hash)
            .filter(|&&(other, row)| other == hash && !self.is_removed(row as usize));
        let mut candidates: Vec<u32> = candidates.map(|&(_, row)| row).collect();
        if candidates.is_empty() {
            return Ok(None);
        }
        candidates.sort_unstable();
        let candidates = take_record_batch(rows, &UInt32Array::from(candidates))?;
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

fn key_index(rows: &RecordBatch, key_columns: &[usize]) -> Result<KeyIndex, StoreError> {
    let encoded = encode(rows.project(key_columns)?.columns())?;
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
