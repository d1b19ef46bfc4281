//! Answers as text.

use std::io::Write;

use arrow::csv::WriterBuilder as CsvWriterBuilder;
use arrow::json::WriterBuilder as JsonWriterBuilder;
use arrow::json::writer::JsonArray;
use arrow::util::pretty::pretty_format_batches_with_schema;

use crate::{QueryResult, ServeError};

/// Form of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OutputFormat {
    /// Aligned columns with a frame, for people.
    Table,
    /// RFC 4180 with a header; null is empty.
    Csv,
    /// An array of objects; null is null.
    Json,
}

/// Writes an answer.
///
/// # Errors
/// When the output refuses.
pub fn write_result(
    format: OutputFormat,
    result: &QueryResult,
    output: &mut dyn Write,
) -> Result<(), ServeError> {
    match format {
        OutputFormat::Table => {
            let table = pretty_format_batches_with_schema(result.schema.clone(), &result.batches)?;
            writeln!(output, "{table}")?;
            let rows: usize = result.batches.iter().map(|batch| batch.num_rows()).sum();
            let noun = if rows == 1 { "row" } else { "rows" };
            writeln!(output, "({rows} {noun})")?;
        }
        OutputFormat::Csv => {
            let mut writer = CsvWriterBuilder::new()
                .with_header(true)
                .build(&mut *output);
            if result.batches.is_empty() {
                let empty = arrow::array::RecordBatch::new_empty(result.schema.clone());
                writer.write(&empty)?;
            }
            for batch in &result.batches {
                writer.write(batch)?;
            }
        }
        OutputFormat::Json => {
            let builder = JsonWriterBuilder::new().with_explicit_nulls(true);
            let mut writer = builder.build::<_, JsonArray>(&mut *output);
            for batch in &result.batches {
                writer.write(batch)?;
            }
            writer.finish()?;
            writeln!(output)?;
        }
    }
    output.flush()?;
    Ok(())
}
