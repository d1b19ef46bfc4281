//! A segment: rows that never change, and which of them are gone.

use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use arrow::array::{BooleanArray, BooleanBufferBuilder, RecordBatch};
use arrow::buffer::BooleanBuffer;
use arrow::compute::filter_record_batch;
use sluice_core::Disk;

use crate::StoreError;
use crate::parquet_file;

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

/// Rows of a segment, in memory or read on first use.
#[derive(Debug, Clone)]
pub(crate) struct Segment {
    rows: Arc<OnceLock<RecordBatch>>,
    pub(crate) row_count: usize,
    pub(crate) file: Option<Arc<SegmentFile>>,
    /// True for rows that are gone; `None` while all are there.
    removed: Option<BooleanBuffer>,
    removed_count: usize,
}

impl Segment {
    pub(crate) fn in_memory(rows: RecordBatch) -> Self {
        let row_count = rows.num_rows();
        Self {
            rows: Arc::new(OnceLock::from(rows)),
            row_count,
            file: None,
            removed: None,
            removed_count: 0,
        }
    }

    pub(crate) fn on_disk(
        file: SegmentFile,
        row_count: usize,
        removed: Option<BooleanBuffer>,
    ) -> Self {
        let removed_count = removed.as_ref().map_or(0, BooleanBuffer::count_set_bits);
        Self {
            rows: Arc::default(),
            row_count,
            file: Some(Arc::new(file)),
            removed,
            removed_count,
        }
    }

    /// The same rows, now also in `file`.
    pub(crate) fn with_file(mut self, file: SegmentFile) -> Self {
        self.file = Some(Arc::new(file));
        self
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

    pub(crate) fn is_removed(&self, position: usize) -> bool {
        self.removed
            .as_ref()
            .is_some_and(|removed| removed.value(position))
    }

    /// All rows, gone ones among them, in the collection's present columns.
    pub(crate) fn all_rows(&self, shape: &Shape) -> Result<RecordBatch, StoreError> {
        if let Some(rows) = self.rows.get() {
            return Ok(rows.clone());
        }
        let Some(file) = &self.file else {
            return Ok(RecordBatch::new_empty(shape.schema.clone()));
        };
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
        Ok(self.rows.get_or_init(|| rows).clone())
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

/// The present columns of a collection with their permanent ids.
#[derive(Debug, Clone)]
pub(crate) struct Shape {
    pub(crate) schema: arrow::datatypes::SchemaRef,
    pub(crate) column_ids: Vec<u32>,
}
