//! Rows as JSON arrays, column types as they are in SQL.
//!
//! Decimals are strings, so that no reader rounds them; so are integers that a
//! double cannot hold. Times are RFC 3339, dates ISO 8601. What JSON has no
//! number for (NaN, infinity) is null.

use std::fmt::Write;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::datatypes::{
    DataType, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type, Schema,
    UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use arrow::util::display::{ArrayFormatter, FormatOptions};

use crate::ServeError;

/// Integers beyond this are strings: 2^53, the last that a double holds.
const EXACT_MAX: u64 = 1 << 53;

type WriteCell<'a> = Box<dyn Fn(usize, &mut String) + 'a>;

/// Writes `[{"name": …, "type": …}, …]`.
pub(crate) fn write_columns(schema: &Schema, output: &mut String) {
    output.push('[');
    for (number, field) in schema.fields().iter().enumerate() {
        if number > 0 {
            output.push(',');
        }
        output.push_str("{\"name\":");
        write_text(field.name(), output);
        output.push_str(",\"type\":");
        write_text(&field.data_type().to_string(), output);
        output.push('}');
    }
    output.push(']');
}

/// Writes rows of one batch at a time.
pub(crate) struct RowWriter<'a> {
    columns: Vec<(&'a ArrayRef, WriteCell<'a>)>,
}

impl<'a> RowWriter<'a> {
    /// A writer of the rows of `batch`.
    ///
    /// # Errors
    /// When a column's type has no text form.
    pub(crate) fn new(batch: &'a RecordBatch) -> Result<Self, ServeError> {
        let columns = batch.columns().iter();
        let columns = columns.map(|column| Ok((column, write_cell(column)?)));
        Ok(Self {
            columns: columns.collect::<Result<_, ServeError>>()?,
        })
    }

    /// Writes `[cell, …]`.
    pub(crate) fn write(&self, row: usize, output: &mut String) {
        output.push('[');
        for (number, (column, write)) in self.columns.iter().enumerate() {
            if number > 0 {
                output.push(',');
            }
            // A column of the type of NULL has no mask that says so.
            match column.is_null(row) || column.data_type() == &DataType::Null {
                true => output.push_str("null"),
                false => write(row, output),
            }
        }
        output.push(']');
    }
}

/// Writes all rows, with commas between them, after `written` others.
pub(crate) fn write_rows(
    batch: &RecordBatch,
    written: &mut usize,
    output: &mut String,
) -> Result<(), ServeError> {
    let writer = RowWriter::new(batch)?;
    for row in 0..batch.num_rows() {
        if *written > 0 {
            output.push(',');
        }
        *written += 1;
        writer.write(row, output);
    }
    Ok(())
}

fn write_cell(column: &ArrayRef) -> Result<WriteCell<'_>, ServeError> {
    macro_rules! integers {
        ($type:ty) => {{
            let values = column.as_primitive::<$type>();
            Box::new(move |row, output| write_number(values.value(row), output))
        }};
    }
    Ok(match column.data_type() {
        DataType::Boolean => {
            let values = column.as_boolean();
            Box::new(move |row, output| {
                output.push_str(if values.value(row) { "true" } else { "false" });
            })
        }
        DataType::Int8 => integers!(Int8Type),
        DataType::Int16 => integers!(Int16Type),
        DataType::Int32 => integers!(Int32Type),
        DataType::UInt8 => integers!(UInt8Type),
        DataType::UInt16 => integers!(UInt16Type),
        DataType::UInt32 => integers!(UInt32Type),
        DataType::Int64 => {
            let values = column.as_primitive::<Int64Type>();
            Box::new(move |row, output| {
                let value = values.value(row);
                write_wide(value, value.unsigned_abs() <= EXACT_MAX, output);
            })
        }
        DataType::UInt64 => {
            let values = column.as_primitive::<UInt64Type>();
            Box::new(move |row, output| {
                let value = values.value(row);
                write_wide(value, value <= EXACT_MAX, output);
            })
        }
        DataType::Float32 => {
            let values = column.as_primitive::<Float32Type>();
            Box::new(move |row, output| {
                let value = values.value(row);
                write_float(value, value.is_finite(), output);
            })
        }
        DataType::Float64 => {
            let values = column.as_primitive::<Float64Type>();
            Box::new(move |row, output| {
                let value = values.value(row);
                write_float(value, value.is_finite(), output);
            })
        }
        DataType::Utf8 => {
            let values = column.as_string::<i32>();
            Box::new(move |row, output| write_text(values.value(row), output))
        }
        DataType::LargeUtf8 => {
            let values = column.as_string::<i64>();
            Box::new(move |row, output| write_text(values.value(row), output))
        }
        DataType::Utf8View => {
            let values = column.as_string_view();
            Box::new(move |row, output| write_text(values.value(row), output))
        }
        _ => {
            let options = FormatOptions::new().with_display_error(true);
            let values = ArrayFormatter::try_new(column.as_ref(), &options)?;
            Box::new(move |row, output| write_text(&values.value(row).to_string(), output))
        }
    })
}

fn write_number(value: impl std::fmt::Display, output: &mut String) {
    // Writing to a string does not fail.
    let _ = write!(output, "{value}");
}

fn write_wide(value: impl std::fmt::Display, is_exact: bool, output: &mut String) {
    match is_exact {
        true => write_number(value, output),
        false => {
            let _ = write!(output, "\"{value}\"");
        }
    }
}

fn write_float(value: impl std::fmt::Debug, is_finite: bool, output: &mut String) {
    match is_finite {
        // The shortest text that reads back as the same number.
        true => {
            let _ = write!(output, "{value:?}");
        }
        false => output.push_str("null"),
    }
}

/// Writes a JSON string.
pub(crate) fn write_text(text: &str, output: &mut String) {
    output.push('"');
    let mut rest = text;
    while let Some(at) = rest.find(|c: char| c == '"' || c == '\\' || c < ' ') {
        output.push_str(&rest[..at]);
        match rest.as_bytes()[at] {
            b'"' => output.push_str("\\\""),
            b'\\' => output.push_str("\\\\"),
            b'\n' => output.push_str("\\n"),
            b'\r' => output.push_str("\\r"),
            b'\t' => output.push_str("\\t"),
            other => {
                let _ = write!(output, "\\u{other:04x}");
            }
        }
        // All of these are one byte long.
        rest = &rest[at + 1..];
    }
    output.push_str(rest);
    output.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::{
        BooleanArray, Date32Array, Decimal128Array, Float64Array, Int64Array, StringArray,
        TimestampMicrosecondArray,
    };
    use std::sync::Arc;

    #[test]
    fn every_type_has_its_form() {
        let decimals = Decimal128Array::from(vec![Some(-1_050), None]);
        let times = TimestampMicrosecondArray::from(vec![0, 1_500_000]).with_timezone("UTC");
        let columns: Vec<(&str, ArrayRef)> = vec![
            (
                "wide",
                Arc::new(Int64Array::from(vec![1 << 53, (1 << 53) + 1])),
            ),
            (
                "money",
                Arc::new(decimals.with_precision_and_scale(16, 2).unwrap()),
            ),
            ("share", Arc::new(Float64Array::from(vec![0.1, f64::NAN]))),
            (
                "text",
                Arc::new(StringArray::from(vec!["a\"\\\n\u{1}é", ""])),
            ),
            ("flag", Arc::new(BooleanArray::from(vec![true, false]))),
            ("at", Arc::new(times)),
            ("day", Arc::new(Date32Array::from(vec![0, 1]))),
        ];
        let batch = RecordBatch::try_from_iter(columns).unwrap();
        let mut output = String::new();
        let mut written = 0;
        write_rows(&batch, &mut written, &mut output).unwrap();
        assert_eq!(
            output,
            "[9007199254740992,\"-10.50\",0.1,\"a\\\"\\\\\\n\\u0001é\",true,\"1970-01-01T00:00:00Z\",\"1970-01-01\"],\
             [\"9007199254740993\",null,null,\"\",false,\"1970-01-01T00:00:01.500Z\",\"1970-01-02\"]"
        );
        assert_eq!(written, 2);
        serde_json::from_str::<serde_json::Value>(&format!("[{output}]")).unwrap();
    }
}
