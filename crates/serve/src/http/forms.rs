//! The forms that an answer can have: JSON, CSV, an Arrow stream, a workbook.

use arrow::array::RecordBatch;
use arrow::csv::WriterBuilder;
use arrow::ipc::writer::StreamWriter;
use axum::http::{HeaderMap, StatusCode, header};

use super::problem::Problem;
use super::xlsx;
use crate::json_rows::{write_columns, write_rows};
use crate::{QueryResult, ServeError};

/// See the module.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    Json,
    Csv,
    Arrow,
    Xlsx,
}

const XLSX: &str = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet";

impl Form {
    /// The form with this short name.
    pub(super) fn of_name(name: &str) -> Option<Self> {
        match name {
            "json" => Some(Self::Json),
            "csv" => Some(Self::Csv),
            "arrow" => Some(Self::Arrow),
            "xlsx" => Some(Self::Xlsx),
            _ => None,
        }
    }

    /// Its short name.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::Csv => "csv",
            Self::Arrow => "arrow",
            Self::Xlsx => "xlsx",
        }
    }

    /// What `format` of the request says, else its `Accept`, else JSON.
    pub(super) fn of_request(asked: Option<&str>, headers: &HeaderMap) -> Result<Self, Problem> {
        if let Some(name) = asked {
            return Self::of_name(name).ok_or_else(|| {
                let detail = format!("`{name}` is no format; use json, csv, arrow or xlsx");
                Problem::new(StatusCode::BAD_REQUEST, detail)
            });
        }
        let accept = headers.get(header::ACCEPT);
        let accept = accept.and_then(|value| value.to_str().ok()).unwrap_or("");
        let wanted = [Self::Arrow, Self::Xlsx, Self::Csv]
            .into_iter()
            .find(|form| {
                let media_type = form.content_type().split(';').next().unwrap_or_default();
                accept.contains(media_type)
            });
        Ok(wanted.unwrap_or(Self::Json))
    }

    pub(super) fn content_type(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::Csv => "text/csv; charset=utf-8",
            Self::Arrow => "application/vnd.apache.arrow.stream",
            Self::Xlsx => XLSX,
        }
    }

    /// Writes an answer in this form.
    pub(super) fn write(self, result: &QueryResult, bytes_max: usize) -> Result<Vec<u8>, Problem> {
        match self {
            Self::Json => {
                let mut text = format!("{{\"epoch\":{},\"columns\":", result.pinned.epoch);
                write_columns(&result.schema, &mut text);
                json_rows(result, bytes_max, &mut text)?;
                text.push_str("}\n");
                Ok(text.into_bytes())
            }
            Self::Csv => csv(result, bytes_max),
            Self::Arrow => arrow_stream(result, bytes_max),
            Self::Xlsx => {
                let fields = result.schema.fields().iter();
                let columns: Vec<xlsx::SheetColumn<'_>> = fields
                    .map(|field| xlsx::SheetColumn::of_field(field))
                    .collect();
                workbook("Rows", &columns, result, bytes_max)
            }
        }
    }
}

/// The answer has more bytes than one may have.
pub(super) fn too_long(bytes_max: usize) -> Problem {
    let detail =
        format!("the answer has more than {bytes_max} bytes; narrow it down, or use LIMIT");
    Problem::new(StatusCode::PAYLOAD_TOO_LARGE, detail)
}

/// Appends `,"rows":[…]`.
pub(super) fn json_rows(
    result: &QueryResult,
    bytes_max: usize,
    text: &mut String,
) -> Result<(), Problem> {
    text.push_str(",\"rows\":[");
    let mut written = 0;
    for batch in &result.batches {
        write_rows(batch, &mut written, text)?;
        if text.len() > bytes_max {
            return Err(too_long(bytes_max));
        }
    }
    text.push(']');
    Ok(())
}

/// A workbook of one sheet.
pub(super) fn workbook(
    sheet: &str,
    columns: &[xlsx::SheetColumn<'_>],
    result: &QueryResult,
    bytes_max: usize,
) -> Result<Vec<u8>, Problem> {
    let bytes = xlsx::workbook(sheet, columns, &result.batches, bytes_max)?;
    bytes.ok_or_else(|| too_long(bytes_max))
}

fn csv(result: &QueryResult, bytes_max: usize) -> Result<Vec<u8>, Problem> {
    let mut bytes = Vec::new();
    let head = RecordBatch::new_empty(result.schema.clone());
    for (number, batch) in std::iter::once(&head).chain(&result.batches).enumerate() {
        let builder = WriterBuilder::new().with_header(number == 0);
        let written = builder.build(&mut bytes).write(batch);
        written.map_err(ServeError::from)?;
        if bytes.len() > bytes_max {
            return Err(too_long(bytes_max));
        }
    }
    Ok(bytes)
}

fn arrow_stream(result: &QueryResult, bytes_max: usize) -> Result<Vec<u8>, Problem> {
    let mut writer = StreamWriter::try_new(Vec::new(), &result.schema).map_err(ServeError::from)?;
    for batch in &result.batches {
        writer.write(batch).map_err(ServeError::from)?;
        if writer.get_ref().len() > bytes_max {
            return Err(too_long(bytes_max));
        }
    }
    Ok(writer.into_inner().map_err(ServeError::from)?)
}
