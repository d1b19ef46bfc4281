//! Reading columns of segment files: the footer and the chunks of the columns
//! that are asked for, each checked by its checksum, and nothing else.

use std::io::Read;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, UInt64Array, new_null_array};
use arrow::compute::concat_batches;
use arrow::datatypes::{DataType, Field, Schema};
use bytes::{Buf, Bytes, buf};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::statistics::StatisticsConverter;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReaderBuilder,
};
use parquet::basic::Encoding;
use parquet::errors::ParquetError;
use parquet::file::metadata::{ColumnChunkMetaData, ParquetMetaDataReader, RowGroupMetaData};
use parquet::file::reader::{ChunkReader, Length};
use sluice_core::{DiskFile, OpenMode};

use crate::StoreError;
use crate::manifest::FooterEntry;
use crate::parquet_file::{checksum, io_error, read_file};
use crate::segment::{SegmentFile, Shape};
use crate::value_filter::{FilterPlace, PLACES_KEY, parse_places};

/// Name of the entry of a footer with the checksums of all column chunks: the
/// chunks of one row group after the other, decimal numbers between spaces.
pub(crate) const CHECKSUMS_KEY: &str = "sluice.chunk_checksums";

/// Bytes behind the footer's metadata: their length and `PAR1`.
const TAIL_BYTES: usize = 8;

/// The text of [`CHECKSUMS_KEY`] for the chunks of `bytes`.
pub(crate) fn chunk_checksums(bytes: &[u8], groups: &[RowGroupMetaData]) -> String {
    let chunks = groups.iter().flat_map(RowGroupMetaData::columns);
    let checksums = chunks.map(|chunk| {
        let (start, length) = chunk.byte_range();
        let end = start.saturating_add(length) as usize;
        let chunk = bytes.get(start as usize..end).unwrap_or_default();
        checksum(chunk).to_string()
    });
    checksums.collect::<Vec<_>>().join(" ")
}

/// What is known of a file once its footer was read.
#[derive(Debug)]
pub(crate) struct OpenedFile {
    metadata: ArrowReaderMetadata,
    checksums: Vec<u32>,
    pub(crate) filters: Vec<FilterPlace>,
}

impl OpenedFile {
    /// `metadata` with text as dictionaries where the file holds it so.
    fn new(metadata: ArrowReaderMetadata) -> Result<Self, ParquetError> {
        let entries = metadata.metadata().file_metadata().key_value_metadata();
        let entry = |key: &str| {
            let found = entries.and_then(|entries| entries.iter().find(|entry| entry.key == key));
            found.and_then(|entry| entry.value.as_deref())
        };
        let checksums = entry(CHECKSUMS_KEY)
            .unwrap_or_default()
            .split_ascii_whitespace()
            .filter_map(|number| number.parse().ok())
            .collect();
        let filters = entry(PLACES_KEY).map(parse_places).unwrap_or_default();
        let fields = metadata.schema().fields().iter().enumerate();
        let fields: Vec<Arc<Field>> = fields
            .map(
                |(column, field)| match is_all_dictionary(&metadata, column) {
                    true if *field.data_type() == DataType::Utf8 => {
                        let text = Box::new(DataType::Utf8);
                        let data_type = DataType::Dictionary(Box::new(DataType::Int32), text);
                        Arc::new(field.as_ref().clone().with_data_type(data_type))
                    }
                    _ => field.clone(),
                },
            )
            .collect();
        let schema = Schema::new_with_metadata(fields, metadata.schema().metadata().clone());
        let options = ArrowReaderOptions::new().with_schema(Arc::new(schema));
        let metadata = ArrowReaderMetadata::try_new(metadata.metadata().clone(), options)?;
        Ok(Self {
            metadata,
            checksums,
            filters,
        })
    }

    fn groups(&self) -> &[RowGroupMetaData] {
        self.metadata.metadata().row_groups()
    }

    /// Positions among all chunks of the file of those of one root column, and
    /// what is known of each.
    pub(crate) fn chunks_of(
        &self,
        root: usize,
    ) -> impl Iterator<Item = (usize, &ColumnChunkMetaData)> {
        let schema = self.metadata.parquet_schema();
        let leaves = schema.num_columns();
        let chunks = self.groups().iter().flat_map(RowGroupMetaData::columns);
        chunks
            .enumerate()
            .filter(move |(chunk, _)| schema.get_column_root_idx(chunk % leaves) == root)
    }
}

/// True if every page of the flat column `root` refers to a dictionary.
fn is_all_dictionary(metadata: &ArrowReaderMetadata, root: usize) -> bool {
    let schema = metadata.parquet_schema();
    let mut leaves =
        (0..schema.num_columns()).filter(|&leaf| schema.get_column_root_idx(leaf) == root);
    let (Some(leaf), None) = (leaves.next(), leaves.next()) else {
        return false;
    };
    let mut groups = metadata.metadata().row_groups().iter();
    groups.all(|group| refers_to_dictionary(group.column(leaf)))
}

/// True if every page of a column chunk refers to a dictionary.
pub(crate) fn refers_to_dictionary(chunk: &ColumnChunkMetaData) -> bool {
    let is_dictionary = |encoding| {
        matches!(
            encoding,
            Encoding::PLAIN_DICTIONARY | Encoding::RLE_DICTIONARY
        )
    };
    let pages = chunk.page_encoding_stats();
    let by_pages = pages.map(|pages| {
        let mut data = pages.iter().filter(|page| {
            use parquet::basic::PageType::{DATA_PAGE, DATA_PAGE_V2};
            matches!(page.page_type, DATA_PAGE | DATA_PAGE_V2)
        });
        data.all(|page| is_dictionary(page.encoding))
    });
    let mask = chunk.page_encoding_stats_mask();
    let by_mask = mask.map(|mask| mask.encodings().all(is_dictionary));
    by_pages.or(by_mask).unwrap_or(false)
}

/// Parts of a file that were read.
struct Parts {
    length: u64,
    parts: Vec<(u64, Bytes)>,
}

impl Parts {
    fn from(&self, start: u64) -> Result<Bytes, ParquetError> {
        let found = self.parts.iter().find_map(|(part_start, bytes)| {
            let skipped = usize::try_from(start.checked_sub(*part_start)?).ok()?;
            // Behind its last byte another part may begin.
            (skipped < bytes.len()).then(|| bytes.slice(skipped..))
        });
        found.ok_or_else(|| ParquetError::EOF(format!("byte {start} was not asked for")))
    }
}

impl Length for Parts {
    fn len(&self) -> u64 {
        self.length
    }
}

impl ChunkReader for Parts {
    type T = buf::Reader<Bytes>;

    fn get_read(&self, start: u64) -> Result<Self::T, ParquetError> {
        Ok(self.from(start)?.reader())
    }

    fn get_bytes(&self, start: u64, length: usize) -> Result<Bytes, ParquetError> {
        let bytes = self.from(start)?;
        match length <= bytes.len() {
            true => Ok(bytes.slice(..length)),
            false => Err(ParquetError::EOF(format!(
                "{length} bytes from byte {start} were not asked for"
            ))),
        }
    }
}

impl SegmentFile {
    pub(crate) fn damaged(&self, problem: impl std::fmt::Display) -> StoreError {
        StoreError::Damaged {
            path: self.path.display().to_string(),
            problem: problem.to_string(),
        }
    }

    pub(crate) fn open(&self) -> Result<Box<dyn DiskFile>, StoreError> {
        let opened = self.disk.open(&self.path, OpenMode::Read);
        opened.map_err(|error| io_error(&self.path, error))
    }

    /// Bytes of the whole file.
    pub(crate) fn bytes(&self) -> Result<u64, StoreError> {
        let length = self.open()?.len();
        length.map_err(|error| io_error(&self.path, error))
    }

    pub(crate) fn read_range(
        &self,
        file: &dyn DiskFile,
        start: u64,
        length: usize,
        expected: u32,
    ) -> Result<Bytes, StoreError> {
        let mut bytes = vec![0; length];
        let read = file.read_at(start, &mut bytes);
        let read = read.map_err(|error| io_error(&self.path, error))?;
        if read != length || checksum(&bytes) != expected {
            return Err(self.damaged("is damaged (checksum differs)"));
        }
        Ok(bytes.into())
    }

    /// The footer of a file that can be read in parts, read once.
    pub(crate) fn opened(&self, footer: FooterEntry) -> Result<Arc<OpenedFile>, StoreError> {
        if let Some(opened) = self.opened.get() {
            return Ok(opened.clone());
        }
        let file = self.open()?;
        let length = file.len().map_err(|error| io_error(&self.path, error))?;
        let start = length.checked_sub(u64::from(footer.bytes));
        let start = start.ok_or_else(|| self.damaged("is shorter than it was"))?;
        let bytes = self.read_range(&*file, start, footer.bytes as usize, footer.checksum)?;
        let opened = parse_footer(&bytes).map_err(|error| self.damaged(error))?;
        Ok(self.opened.get_or_init(|| Arc::new(opened)).clone())
    }

    /// Tells the disk that the footer will be read soon, unless it was.
    pub(crate) fn will_open(&self) {
        let (Some(footer), None) = (self.footer, self.opened.get()) else {
            return;
        };
        let Ok(file) = self.open() else {
            return;
        };
        let bytes = u64::from(footer.bytes);
        if let Some(start) = file.len().ok().and_then(|length| length.checked_sub(bytes)) {
            file.will_read(start, bytes);
        }
    }

    /// Tells the disk that columns will be read soon. What hinders it shows when they
    /// are read.
    pub(crate) fn will_read(&self, shape: &Shape, wanted: &[usize]) {
        let Some(footer) = self.footer else {
            return;
        };
        let (Ok(opened), Ok(file)) = (self.opened(footer), self.open()) else {
            return;
        };
        let roots = wanted
            .iter()
            .filter_map(|&column| self.root_of(shape, column));
        for (_, chunk) in roots.flat_map(|root| opened.chunks_of(root)) {
            let (start, length) = chunk.byte_range();
            file.will_read(start, length);
        }
    }

    /// The place in the file of a column of `shape`; `None` if it was added later.
    pub(crate) fn root_of(&self, shape: &Shape, column: usize) -> Option<usize> {
        let id = shape.column_ids[column];
        self.column_ids.iter().position(|&stored| stored == id)
    }

    /// The columns `wanted` of `shape`, all rows of each. Text may come as a
    /// dictionary of it. Columns that the file does not have are null.
    pub(crate) fn read_columns(
        &self,
        shape: &Shape,
        wanted: &[usize],
        row_count: usize,
    ) -> Result<Vec<ArrayRef>, StoreError> {
        let root_of = |column: usize| self.root_of(shape, column);
        let mut roots: Vec<usize> = wanted
            .iter()
            .filter_map(|&column| root_of(column))
            .collect();
        roots.sort_unstable();
        roots.dedup();
        let stored = match roots.is_empty() {
            true => None,
            false => Some(self.read_roots(&roots)?),
        };
        if let Some(stored) = &stored
            && stored.num_rows() != row_count
        {
            let found = stored.num_rows();
            return Err(self.damaged(format!("holds {found} rows, the manifest says {row_count}")));
        }
        let columns = wanted.iter().map(|&column| {
            let data_type = shape.schema.field(column).data_type();
            let place = root_of(column).and_then(|root| roots.binary_search(&root).ok());
            let (Some(place), Some(stored)) = (place, &stored) else {
                return Ok(new_null_array(data_type, row_count));
            };
            let array = stored.column(place);
            match array.data_type() {
                DataType::Dictionary(_, _) if *data_type == DataType::Utf8 => Ok(array.clone()),
                _ => Ok(arrow::compute::cast(array, data_type)?),
            }
        });
        columns.collect()
    }

    /// Root columns of the file, in the file's order.
    fn read_roots(&self, roots: &[usize]) -> Result<RecordBatch, StoreError> {
        match self.footer {
            Some(footer) => {
                let opened = self.opened(footer)?;
                let parts = self.read_parts(&opened, roots)?;
                decode(parts, opened.metadata.clone(), roots)
            }
            None => {
                let bytes = Bytes::from(read_file(&self.disk, &self.path, self.checksum)?);
                let options = ArrowReaderOptions::new();
                let metadata = ArrowReaderMetadata::load(&bytes, options);
                let metadata = metadata.map_err(|error| self.damaged(error))?;
                let whole = Parts {
                    length: bytes.len() as u64,
                    parts: vec![(0, bytes)],
                };
                decode(whole, metadata, roots)
            }
        }
        .map_err(|error| match error {
            StoreError::Damaged { problem, .. } => self.damaged(problem),
            other => other,
        })
    }

    fn read_parts(&self, opened: &OpenedFile, roots: &[usize]) -> Result<Parts, StoreError> {
        let file = self.open()?;
        let mut parts = Vec::new();
        for &root in roots {
            for (number, chunk) in opened.chunks_of(root) {
                let (start, length) = chunk.byte_range();
                let expected = opened.checksums.get(number);
                let expected = *expected.ok_or_else(|| self.damaged("lacks a checksum"))?;
                let bytes = self.read_range(&*file, start, length as usize, expected)?;
                parts.push((start, bytes));
            }
        }
        let length = file.len().map_err(|error| io_error(&self.path, error))?;
        Ok(Parts { length, parts })
    }

    /// The least and the greatest value of a column and the number of nulls, as
    /// arrays of one value; `None` where they are not known. The values are
    /// bounds: long text is cut.
    pub(crate) fn bounds(
        &self,
        shape: &Shape,
        column: usize,
    ) -> Result<Option<[ArrayRef; 3]>, StoreError> {
        let (Some(footer), Some(root)) = (self.footer, self.root_of(shape, column)) else {
            return Ok(None);
        };
        let opened = self.opened(footer)?;
        let [group] = opened.groups() else {
            return Ok(None);
        };
        let stored = opened.metadata.schema();
        let data_type = shape.schema.field(column).data_type();
        let (Some(field), false) = (stored.fields().get(root), data_type.is_nested()) else {
            return Ok(None);
        };
        // What is not a number is greater than all, and statistics lack it.
        if data_type.is_floating() {
            return Ok(None);
        }
        let found = || -> Result<[ArrayRef; 3], ParquetError> {
            let schema = opened.metadata.parquet_schema();
            let converter = StatisticsConverter::try_new(field.name(), stored, schema)?;
            let nulls: UInt64Array = converter.row_group_null_counts([group])?;
            Ok([
                arrow::compute::cast(&converter.row_group_mins([group])?, data_type)?,
                arrow::compute::cast(&converter.row_group_maxes([group])?, data_type)?,
                Arc::new(nulls),
            ])
        };
        found().map(Some).map_err(|error| self.damaged(error))
    }
}

fn parse_footer(bytes: &[u8]) -> Result<OpenedFile, ParquetError> {
    let short = || ParquetError::EOF("its footer is too short".to_owned());
    let (before, mut tail) = bytes
        .len()
        .checked_sub(TAIL_BYTES)
        .map(|place| bytes.split_at(place))
        .ok_or_else(short)?;
    let mut length = [0; 4];
    tail.read_exact(&mut length)?;
    let start = before
        .len()
        .checked_sub(u32::from_le_bytes(length) as usize);
    let thrift = before.get(start.ok_or_else(short)?..).unwrap_or_default();
    let metadata = ParquetMetaDataReader::decode_metadata(thrift)?;
    OpenedFile::new(ArrowReaderMetadata::try_new(
        Arc::new(metadata),
        ArrowReaderOptions::new(),
    )?)
}

fn decode(
    parts: Parts,
    metadata: ArrowReaderMetadata,
    roots: &[usize],
) -> Result<RecordBatch, StoreError> {
    let damaged = |error: ParquetError| StoreError::Damaged {
        path: String::new(),
        problem: error.to_string(),
    };
    let rows = metadata.metadata().file_metadata().num_rows();
    let rows = usize::try_from(rows).unwrap_or(0).max(1);
    let mask = ProjectionMask::roots(metadata.parquet_schema(), roots.iter().copied());
    let reader = ParquetRecordBatchReaderBuilder::new_with_metadata(parts, metadata)
        .with_projection(mask)
        .with_batch_size(rows)
        .build()
        .map_err(damaged)?;
    let schema = arrow::array::RecordBatchReader::schema(&reader);
    let mut batches = reader.collect::<Result<Vec<RecordBatch>, _>>()?;
    match batches.len() {
        1 => Ok(batches.remove(0)),
        _ => Ok(concat_batches(&schema, &batches)?),
    }
}
