//! Writing segments as Parquet files. The whole file has a checksum in the
//! manifest, and so has its footer, which holds those of the column chunks and of
//! the filters that lie behind them.

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use arrow::array::RecordBatch;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_writer::compute_leaves;
use parquet::basic::Compression;
use parquet::errors::ParquetError;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use sluice_core::{Disk, DiskFile, OpenMode};

use crate::StoreError;
use crate::manifest::FooterEntry;
use crate::parquet_columns::{CHECKSUMS_KEY, chunk_checksums, refers_to_dictionary};
use crate::segment::SegmentFile;
use crate::value_filter::{PLACES_KEY, filter_of, filter_places};

/// Size of the dictionary of a column of a file.
const DICTIONARY_BYTES_MAX: usize = 128 << 10;

pub(crate) fn io_error(path: &Path, source: std::io::Error) -> StoreError {
    StoreError::Io {
        path: path.display().to_string(),
        source,
    }
}

/// A file that was written, and may be lost until it is synced. Its entry in the
/// folder is synced with the manifest.
#[derive(Debug)]
pub(crate) struct UnsyncedFile {
    path: PathBuf,
    file: Box<dyn DiskFile>,
}

impl UnsyncedFile {
    pub(crate) fn sync(mut self) -> Result<(), StoreError> {
        let synced = self.file.sync();
        synced.map_err(|error| io_error(&self.path, error))
    }
}

/// Writes `rows` as `folder/name`.
pub(crate) fn write(
    disk: &Arc<dyn Disk>,
    folder: &Path,
    name: &str,
    rows: &RecordBatch,
    column_ids: &[u32],
) -> Result<(SegmentFile, UnsyncedFile), StoreError> {
    let path = folder.join(name);
    let (bytes, footer_start) =
        encode(rows).map_err(|error| io_error(&path, std::io::Error::other(error.to_string())))?;
    let mut file = disk
        .open(&path, OpenMode::Create)
        .map_err(|error| io_error(&path, error))?;
    file.append(&bytes)
        .map_err(|error| io_error(&path, error))?;
    let footer = bytes.get(footer_start..).unwrap_or_default();
    let footer = FooterEntry {
        bytes: footer.len() as u32,
        checksum: checksum(footer),
    };
    let segment = SegmentFile {
        disk: disk.clone(),
        path: path.clone(),
        name: name.to_owned(),
        checksum: checksum(&bytes),
        footer: Some(footer),
        opened: OnceLock::new(),
        column_ids: column_ids.to_vec(),
    };
    Ok((segment, UnsyncedFile { path, file }))
}

/// The bytes of a file of one row group, and where its footer begins.
fn encode(rows: &RecordBatch) -> Result<(Vec<u8>, usize), ParquetError> {
    let properties = WriterProperties::builder()
        .set_compression(Compression::SNAPPY)
        // Of the whole file: what tells a reader that it need not read it.
        .set_statistics_enabled(EnabledStatistics::Chunk)
        .set_offset_index_disabled(true)
        .set_max_row_group_row_count(None)
        // A column of many different values is soon written without one.
        .set_dictionary_page_size_limit(DICTIONARY_BYTES_MAX)
        .build();
    let schema = rows.schema();
    let writer = ArrowWriter::try_new(Vec::new(), schema.clone(), Some(properties))?;
    let (mut writer, columns) = writer.into_serialized_writer()?;
    let mut column_writers = columns.create_column_writers(0)?.into_iter();
    let mut group = writer.next_row_group()?;
    for (field, column) in schema.fields().iter().zip(rows.columns()) {
        for leaf in compute_leaves(field, column)? {
            let column_writer = column_writers.next();
            let mut column_writer = column_writer.ok_or_else(|| {
                let problem = format!("the column `{}` has no writer", field.name());
                ParquetError::General(problem)
            })?;
            column_writer.write(&leaf)?;
            let mut chunk = column_writer.close()?;
            // What a dictionary lacks is soon known without a filter.
            if !refers_to_dictionary(&chunk.close().metadata) {
                chunk.close_mut().bloom_filter = filter_of(column)?;
            }
            chunk.append_to_row_group(&mut group)?;
        }
    }
    group.close()?;
    writer.flush()?;
    let footer_start = writer.inner().len();
    let groups = writer.flushed_row_groups();
    let checksums = chunk_checksums(writer.inner(), groups);
    let filters = filter_places(writer.inner(), groups)?;
    writer.append_key_value_metadata(KeyValue::new(CHECKSUMS_KEY.to_owned(), checksums));
    if !filters.is_empty() {
        let filters = serde_json::to_string(&filters);
        let filters = filters.map_err(|error| ParquetError::External(Box::new(error)))?;
        writer.append_key_value_metadata(KeyValue::new(PLACES_KEY.to_owned(), filters));
    }
    Ok((writer.into_inner()?, footer_start))
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
