//! Rows of exported files, Parquet or CSV, as records of JSON.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::error::ArrowError;
use arrow::json::LineDelimitedWriter;
use bytes::Bytes;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use xxhash_rust::xxh3::Xxh3;

use crate::exported_csv::{ExportedCsv, Portion};
use crate::failure::{Doing, Failure};

/// Rows that are read at once.
const BATCH_ROWS: usize = 1 << 16;
/// Bytes that are read at once where they are only counted in a checksum.
const HASHED_BYTES: usize = 1 << 20;

type Batches = Box<dyn Iterator<Item = Result<RecordBatch, ArrowError>>>;

/// What a file is read with.
enum Rows {
    Parquet(Batches),
    Csv(Box<ExportedCsv>),
}

/// An exported file that is read from its begin to its end.
pub struct ExportedRows {
    what: String,
    schema: SchemaRef,
    rows: Rows,
    /// The columns that records hold: places in the file, and names.
    kept: Vec<(usize, String)>,
    count: u64,
}

impl ExportedRows {
    /// Opens a file, which its ending tells the form of. CSV files have a line
    /// of headers; an empty field is a missing value, and a record has
    /// `record_bytes_max` at most.
    ///
    /// # Errors
    /// When it cannot be read, or is neither `.parquet` nor `.csv`.
    pub fn open(path: &Path, record_bytes_max: usize) -> Result<Self, Failure> {
        let what = format!("reading {}", path.display());
        let ending = path.extension().and_then(|ending| ending.to_str());
        let (schema, rows): (SchemaRef, Rows) = match ending {
            Some("parquet") => {
                let file = File::open(path).doing(&what)?;
                let reader = ParquetRecordBatchReaderBuilder::try_new(file).doing(&what)?;
                let schema = reader.schema().clone();
                let reader = reader.with_batch_size(BATCH_ROWS).build();
                (schema, Rows::Parquet(Box::new(reader.doing(&what)?)))
            }
            Some("csv") => {
                let csv = ExportedCsv::open(path, &what, record_bytes_max)?;
                // Text, which the table's own rules make values of.
                let text = |name: &String| Field::new(name, DataType::Utf8, true);
                let fields: Vec<Field> = csv.names().iter().map(text).collect();
                (Arc::new(Schema::new(fields)), Rows::Csv(Box::new(csv)))
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
            rows,
            kept: Vec::new(),
            count: 0,
        })
    }

    /// The file's columns.
    pub fn schema(&self) -> &Schema {
        &self.schema
    }

    /// Rows that were read, and lines that are none.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Chooses the columns that records hold, by their names in the file, each with
    /// its name in records.
    pub fn keep<'a>(&mut self, columns: impl IntoIterator<Item = (&'a String, &'a String)>) {
        let columns = columns.into_iter();
        let kept = columns.filter_map(|(field, name)| {
            let place = self.schema.index_of(field).ok()?;
            Some((place, name.clone()))
        });
        self.kept = kept.collect();
        self.kept.sort_by_key(|(place, _)| *place);
    }

    /// The chosen columns of a batch, under their names in records.
    fn kept_of(&self, batch: &RecordBatch) -> Result<RecordBatch, ArrowError> {
        let columns = self.kept.iter().map(|(place, name)| {
            let field = self.schema.field(*place).clone().with_name(name);
            (field, batch.column(*place).clone())
        });
        let (fields, columns): (Vec<Field>, Vec<ArrayRef>) = columns.unzip();
        let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
        let schema = Arc::new(Schema::new(fields));
        RecordBatch::try_new_with_options(schema, columns, &options)
    }

    /// The next rows as records, of the columns that were chosen; `None` behind the last.
    ///
    /// # Errors
    /// When the file cannot be read further.
    pub fn next_records(&mut self) -> Result<Option<Portion>, Failure> {
        let next = match &mut self.rows {
            Rows::Csv(csv) => Next::Portion(csv.next(self.count, BATCH_ROWS, &self.kept)?),
            Rows::Parquet(batches) => Next::Batch(batches.next().transpose().doing(&self.what)?),
        };
        let portion = match next {
            Next::Portion(portion) => portion,
            Next::Batch(None) => None,
            Next::Batch(Some(batch)) => {
                let batch = self.kept_of(&batch).doing(&self.what)?;
                Some(portion_of(&batch, self.count).doing(&self.what)?)
            }
        };
        let count = |portion: &Portion| portion.records.len() + portion.refused.len();
        self.count += portion.as_ref().map_or(0, count) as u64;
        Ok(portion)
    }
}

/// What a file gives next.
enum Next {
    Portion(Option<Portion>),
    Batch(Option<RecordBatch>),
}

/// The rows of a batch as records, `first` being the number of the first one.
fn portion_of(batch: &RecordBatch, first: u64) -> Result<Portion, ArrowError> {
    let mut text = Vec::new();
    let mut writer = LineDelimitedWriter::new(&mut text);
    writer.write(batch)?;
    writer.finish()?;
    drop(writer);
    let text = Bytes::from(text);
    let mut portion = Portion::default();
    let mut start = 0;
    // A break inside a value is written as an escape.
    for (number, end) in (first..).zip(line_ends(&text)) {
        portion.push(number, text.slice(start..end));
        start = end + 1;
    }
    Ok(portion)
}

/// Where lines end.
fn line_ends(text: &[u8]) -> impl Iterator<Item = usize> {
    let bytes = text.iter().enumerate();
    bytes.filter_map(|(index, byte)| (*byte == b'\n').then_some(index))
}

/// XXH3-64 of what a file holds.
///
/// # Errors
/// When it cannot be read.
pub fn content_hash(path: &Path) -> io::Result<u64> {
    let mut file = File::open(path)?;
    let mut hasher = Xxh3::new();
    let mut piece = vec![0; HASHED_BYTES];
    loop {
        match file.read(&mut piece) {
            Ok(0) => return Ok(hasher.digest()),
            Ok(length) => hasher.update(&piece[..length]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
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
