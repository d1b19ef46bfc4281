//! Segments as Parquet files. The whole file has a checksum in the manifest.

use std::path::Path;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions, new_null_array};
use arrow::compute::concat_batches;
use bytes::Bytes;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::basic::Compression;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use sluice_core::{Disk, OpenMode};

use crate::StoreError;
use crate::segment::{SegmentFile, Shape};

/// Size of the dictionary of a column of a file.
const DICTIONARY_BYTES_MAX: usize = 128 << 10;

pub(crate) fn io_error(path: &Path, source: std::io::Error) -> StoreError {
    StoreError::Io {
        path: path.display().to_string(),
        source,
    }
}

/// Writes `rows` as `folder/name`, synced; the folder's entry is synced with
/// the manifest.
pub(crate) fn write(
    disk: &Arc<dyn Disk>,
    folder: &Path,
    name: &str,
    rows: &RecordBatch,
    column_ids: &[u32],
) -> Result<SegmentFile, StoreError> {
    let path = folder.join(name);
    let parquet_error = |error: parquet::errors::ParquetError| {
        io_error(&path, std::io::Error::other(error.to_string()))
    };
    let properties = WriterProperties::builder()
        .set_compression(Compression::SNAPPY)
        // Segments are read whole: nobody asks for the least and greatest value.
        .set_statistics_enabled(EnabledStatistics::None)
        // A column of many different values is soon written without one.
        .set_dictionary_page_size_limit(DICTIONARY_BYTES_MAX)
        .build();
    let mut bytes = Vec::new();
    let mut writer =
        ArrowWriter::try_new(&mut bytes, rows.schema(), Some(properties)).map_err(parquet_error)?;
    writer.write(rows).map_err(parquet_error)?;
    writer.close().map_err(parquet_error)?;
    let checksum = write_file(disk, &path, &bytes)?;
    Ok(SegmentFile {
        disk: disk.clone(),
        path,
        name: name.to_owned(),
        checksum,
        column_ids: column_ids.to_vec(),
    })
}

/// Writes and syncs a file; returns its checksum.
pub(crate) fn write_file(
    disk: &Arc<dyn Disk>,
    path: &Path,
    bytes: &[u8],
) -> Result<u32, StoreError> {
    let mut file = disk
        .open(path, OpenMode::Create)
        .map_err(|error| io_error(path, error))?;
    file.append(bytes)
        .and_then(|()| file.sync())
        .map_err(|error| io_error(path, error))?;
    Ok(checksum(bytes))
}

pub(crate) fn checksum(bytes: &[u8]) -> u32 {
    // 32 bits of XXH3: enough to tell damage, and the workspace has it.
    sluice_core::stable_hash(bytes) as u32
}

/// Reads a file and checks its checksum.
pub(crate) fn read_file(
    disk: &Arc<dyn Disk>,
    path: &Path,
    expected: u32,
) -> Result<Vec<u8>, StoreError> {
    let bytes = disk.read(path).map_err(|error| io_error(path, error))?;
    if checksum(&bytes) != expected {
        return Err(StoreError::Damaged {
            path: path.display().to_string(),
            problem: "is damaged (checksum differs)".into(),
        });
    }
    Ok(bytes)
}

/// Reads a segment in the columns of `shape`: columns that the file does not
/// have are null, and columns that were dropped are left out.
pub(crate) fn read(file: &SegmentFile, shape: &Shape) -> Result<RecordBatch, StoreError> {
    let bytes = read_file(&file.disk, &file.path, file.checksum)?;
    let damaged = |problem: String| StoreError::Damaged {
        path: file.path.display().to_string(),
        problem,
    };
    let reader = ParquetRecordBatchReaderBuilder::try_new(Bytes::from(bytes))
        .and_then(|builder| builder.with_batch_size(1 << 20).build())
        .map_err(|error| damaged(error.to_string()))?;
    let mut batches = Vec::new();
    for batch in reader {
        batches.push(batch?);
    }
    let Some(first) = batches.first() else {
        return Ok(RecordBatch::new_empty(shape.schema.clone()));
    };
    let stored = concat_batches(&first.schema(), &batches)?;
    let mut columns: Vec<ArrayRef> = Vec::with_capacity(shape.column_ids.len());
    for (id, field) in shape.column_ids.iter().zip(shape.schema.fields()) {
        let position = file.column_ids.iter().position(|stored| stored == id);
        columns.push(match position {
            Some(position) => arrow::compute::cast(stored.column(position), field.data_type())?,
            None => new_null_array(field.data_type(), stored.num_rows()),
        });
    }
    let options = RecordBatchOptions::new().with_row_count(Some(stored.num_rows()));
    let schema = shape.schema.clone();
    Ok(RecordBatch::try_new_with_options(
        schema, columns, &options,
    )?)
}
