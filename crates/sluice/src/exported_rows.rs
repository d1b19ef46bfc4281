//! Rows of exported files, Parquet or CSV, as records of JSON.

use std::collections::BTreeSet;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::compute::cast;
use arrow::csv::ReaderBuilder;
use arrow::csv::reader::Format;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::error::ArrowError;
use arrow::json::LineDelimitedWriter;
use bytes::Bytes;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use sluice_core::{Record, RecordKind};

use crate::failure::{Doing, Failure};

/// Rows that are read at once.
const BATCH_ROWS: usize = 1 << 16;

type Batches = Box<dyn Iterator<Item = Result<RecordBatch, ArrowError>>>;

/// An exported file that is read from its begin to its end.
pub struct ExportedRows {
    what: String,
    schema: SchemaRef,
    batches: Batches,
    kept: Vec<usize>,
    rows: u64,
}

impl ExportedRows {
    /// Opens a file, which its ending tells the form of. CSV files have a line
    /// of headers; an empty field is a missing value.
    ///
    /// # Errors
    /// When it cannot be read, or is neither `.parquet` nor `.csv`.
    pub fn open(path: &Path) -> Result<Self, Failure> {
        let what = format!("reading {}", path.display());
        let file = File::open(path).doing(&what)?;
        let ending = path.extension().and_then(|ending| ending.to_str());
        let (schema, batches): (SchemaRef, Batches) = match ending {
            Some("parquet") => {
                let reader = ParquetRecordBatchReaderBuilder::try_new(file).doing(&what)?;
                let schema = reader.schema().clone();
                let reader = reader.with_batch_size(BATCH_ROWS).build();
                (schema, Box::new(reader.doing(&what)?))
            }
            Some("csv") => {
                let format = Format::default().with_header(true);
                let (found, _) = format.infer_schema(file, Some(0)).doing(&what)?;
                // Text, which the table's own rules make values of.
                let text = |field: &Arc<Field>| Field::new(field.name(), DataType::Utf8, true);
                let fields: Vec<Field> = found.fields().iter().map(text).collect();
                let schema = Arc::new(Schema::new(fields));
                let reader = ReaderBuilder::new(schema.clone())
                    .with_header(true)
                    .with_batch_size(BATCH_ROWS)
                    .build(File::open(path).doing(&what)?);
                (schema, Box::new(reader.doing(&what)?))
            }
            _ => {
                return Err(Failure::Definitions(format!(
                    "{}: history is read from .parquet and .csv files",
                    path.display()
                )));
            }
        };
        Ok(Self {
            what,
            schema,
            batches,
            kept: Vec::new(),
            rows: 0,
        })
    }

    /// The file's columns.
    pub fn schema(&self) -> &Schema {
        &self.schema
    }

    /// Rows that were read.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// Chooses the columns that records hold.
    pub fn keep(&mut self, columns: &BTreeSet<String>) {
        let fields = self.schema.fields().iter().enumerate();
        let kept = fields.filter(|(_, field)| columns.contains(field.name()));
        self.kept = kept.map(|(index, _)| index).collect();
    }

    /// The next rows as texts of these columns; `None` behind the last.
    ///
    /// # Errors
    /// When the file cannot be read further, or lacks a column.
    pub fn next_texts(
        &mut self,
        columns: &[String],
    ) -> Result<Option<Vec<Vec<Option<String>>>>, Failure> {
        let Some(batch) = self.batches.next() else {
            return Ok(None);
        };
        let batch = batch.doing(&self.what)?;
        let mut texts = Vec::with_capacity(columns.len());
        for name in columns {
            let column = batch
                .column_by_name(name)
                .ok_or_else(|| Failure::Failed(format!("{}: it lacks `{name}`", self.what)))?;
            texts.push(cast(column, &DataType::Utf8).doing(&self.what)?);
        }
        let value = |column: &ArrayRef, row: usize| {
            let column = column.as_string_opt::<i32>()?;
            column.is_valid(row).then(|| column.value(row).to_owned())
        };
        let rows = (0..batch.num_rows()).map(|row| {
            let values = texts.iter().map(|column| value(column, row));
            values.collect()
        });
        let rows: Vec<Vec<Option<String>>> = rows.collect();
        self.rows += rows.len() as u64;
        Ok(Some(rows))
    }

    /// The next rows as records, of the columns that were chosen; `None` behind the last.
    ///
    /// # Errors
    /// When the file cannot be read further.
    pub fn next_records(&mut self) -> Result<Option<Vec<Record>>, Failure> {
        let Some(batch) = self.batches.next() else {
            return Ok(None);
        };
        let batch = batch.doing(&self.what)?;
        let batch = batch.project(&self.kept).doing(&self.what)?;
        let mut text = Vec::new();
        let mut writer = LineDelimitedWriter::new(&mut text);
        writer.write(&batch).doing(&self.what)?;
        writer.finish().doing(&self.what)?;
        drop(writer);
        let text = Bytes::from(text);
        let mut records = Vec::with_capacity(batch.num_rows());
        let mut start = 0;
        // A break inside a value is written as an escape.
        for end in line_ends(&text) {
            records.push(Record {
                kind: RecordKind::Data,
                payload: text.slice(start..end),
                capture_time_us: 0,
                position: Bytes::new(),
                transaction: None,
            });
            self.rows += 1;
            start = end + 1;
        }
        Ok(Some(records))
    }
}

/// Where lines end.
fn line_ends(text: &[u8]) -> impl Iterator<Item = usize> {
    let bytes = text.iter().enumerate();
    bytes.filter_map(|(index, byte)| (*byte == b'\n').then_some(index))
}

/// The files that a path names: itself, or those of a folder in the order of
/// their names.
///
/// # Errors
/// When it cannot be read, or is a folder without such files.
pub fn exported_files(path: &Path) -> Result<Vec<PathBuf>, Failure> {
    if !path.is_dir() {
        return Ok(vec![path.to_path_buf()]);
    }
    let what = format!("reading the folder {}", path.display());
    let mut files = Vec::new();
    for entry in std::fs::read_dir(path).doing(&what)? {
        let file = entry.doing(&what)?.path();
        let ending = file.extension().and_then(|ending| ending.to_str());
        if matches!(ending, Some("parquet" | "csv")) {
            files.push(file);
        }
    }
    files.sort_unstable();
    match files.is_empty() {
        true => Err(Failure::Definitions(format!(
            "{}: no .parquet or .csv file in this folder",
            path.display()
        ))),
        false => Ok(files),
    }
}
