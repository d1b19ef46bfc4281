//! Values as PostgreSQL writes them as text, where the library writes them otherwise or
//! not at all: also what lists and records hold.

use std::fmt::Write;

use arrow::array::{Array, ArrayRef, AsArray, StringArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type};
use arrow::error::ArrowError;
use datafusion_postgres::pgwire::types::format::FormatOptions;
use datafusion_postgres::pgwire::types::format::float_digits::ExtraFloatDigits;

use super::lists::{Lists, is_list, without_dictionary};
use super::{interval_texts, json_texts, numerics, time_texts};

/// The texts of a column in the way that a client wants; `None` for NULL.
///
/// # Errors
/// When a value has none.
pub(super) fn texts(column: &ArrayRef, options: &FormatOptions) -> Result<StringArray, ArrowError> {
    Ok(match column.data_type() {
        DataType::Null => StringArray::new_null(column.len()),
        DataType::Boolean => {
            let values = column.as_boolean().iter();
            let texts = values.map(|value| value.map(|value| if value { "t" } else { "f" }));
            texts.collect()
        }
        DataType::Float16 | DataType::Float32 | DataType::Float64 => floats(column, options)?,
        DataType::Decimal32(_, _)
        | DataType::Decimal64(_, _)
        | DataType::Decimal128(_, _)
        | DataType::Decimal256(_, _) => numerics::texts(column),
        DataType::Binary
        | DataType::LargeBinary
        | DataType::BinaryView
        | DataType::FixedSizeBinary(_) => {
            let values = cast(column, &DataType::Binary)?;
            let values = values.as_binary::<i32>().iter();
            let is_hex = options.bytea_output != "escape";
            values.map(|value| Some(bytea(value?, is_hex))).collect()
        }
        DataType::Date32 | DataType::Date64 => time_texts::dates(column, &options.date_style)?,
        DataType::Time32(_) | DataType::Time64(_) => time_texts::clocks(column)?,
        DataType::Timestamp(_, _) => time_texts::texts(column, &options.date_style)?,
        DataType::Interval(_) | DataType::Duration(_) => {
            interval_texts::texts(column, &options.interval_style)?
        }
        DataType::Struct(_) => records(column, options)?,
        DataType::Map(_, _) => json_texts::texts(column)?,
        data_type if is_list(data_type) => arrays(column, options)?,
        _ => match without_dictionary(column)? {
            Some(values) => texts(&values, options)?,
            // Whole numbers and texts.
            None => cast(column, &DataType::Utf8)?.as_string::<i32>().clone(),
        },
    })
}

/// Numbers, of which those that are not finite have PostgreSQL's names.
pub(super) fn floats(
    column: &ArrayRef,
    options: &FormatOptions,
) -> Result<StringArray, ArrowError> {
    let digits = ExtraFloatDigits(options.extra_float_digits);
    let is_narrow = column.data_type() != &DataType::Float64;
    let wide = cast(column, &DataType::Float64)?;
    let values = wide.as_primitive::<Float64Type>().iter();
    let texts = values.map(|value| {
        let value = value?;
        Some(match (value.is_infinite(), value > 0.0) {
            (true, true) => "Infinity".to_owned(),
            (true, false) => "-Infinity".to_owned(),
            // It was made of one.
            (false, _) if is_narrow => digits.format_f32(value as f32).to_string(),
            (false, _) => digits.format_f64(value).to_string(),
        })
    });
    Ok(texts.collect())
}

/// `\x6162ff`, or `ab\377`.
fn bytea(value: &[u8], is_hex: bool) -> String {
    let mut text = String::with_capacity(2 * value.len() + 2);
    if is_hex {
        text.push_str("\\x");
    }
    for &byte in value {
        // Writing to a string does not fail.
        let _ = match byte {
            byte if is_hex => write!(text, "{byte:02x}"),
            b'\\' => write!(text, "\\\\"),
            b' '..=b'~' => write!(text, "{}", char::from(byte)),
            byte => write!(text, "\\{byte:03o}"),
        };
    }
    text
}

/// What separates words to PostgreSQL.
fn is_space(letter: char) -> bool {
    matches!(letter, ' ' | '\t' | '\n' | '\r' | '\x0b' | '\x0c')
}

/// `{1,NULL,"a,b"}`, and `{{1,2},{3,4}}` for lists of lists.
fn arrays(column: &ArrayRef, options: &FormatOptions) -> Result<StringArray, ArrowError> {
    let lists = Lists::of(column);
    let is_nested = is_list(lists.values.data_type());
    let shapes = match is_nested {
        true => lists.shapes()?,
        false => Vec::new(),
    };
    let elements = texts(&lists.values, options)?;
    let arrays = lists
        .rows
        .into_iter()
        .enumerate()
        .map(|(row, elements_of_row)| {
            let elements_of_row = elements_of_row?;
            // An array without elements has no dimensions.
            if let Some(Some(shape)) = shapes.get(row)
                && shape.contains(&0)
            {
                return Some("{}".to_owned());
            }
            let mut text = "{".to_owned();
            for place in elements_of_row {
                if text.len() > 1 {
                    text.push(',');
                }
                match elements.is_valid(place) {
                    false => text.push_str("NULL"),
                    true if is_nested => text.push_str(elements.value(place)),
                    true => push_element(elements.value(place), &mut text),
                }
            }
            text.push('}');
            Some(text)
        });
    Ok(arrays.collect())
}

fn push_element(element: &str, text: &mut String) {
    let is_special =
        |letter: char| matches!(letter, '"' | '\\' | '{' | '}' | ',') || is_space(letter);
    let is_quoted =
        element.is_empty() || element.eq_ignore_ascii_case("null") || element.contains(is_special);
    if !is_quoted {
        text.push_str(element);
        return;
    }
    text.push('"');
    for letter in element.chars() {
        if matches!(letter, '"' | '\\') {
            text.push('\\');
        }
        text.push(letter);
    }
    text.push('"');
}

/// `(1,,"a b")`: NULL is nothing.
fn records(column: &ArrayRef, options: &FormatOptions) -> Result<StringArray, ArrowError> {
    let records = column.as_struct();
    let parts = records.columns().iter();
    let parts = parts.map(|part| texts(part, options));
    let parts = parts.collect::<Result<Vec<StringArray>, ArrowError>>()?;
    let rows = (0..records.len()).map(|row| {
        if records.is_null(row) {
            return None;
        }
        let mut text = "(".to_owned();
        for (place, part) in parts.iter().enumerate() {
            if place > 0 {
                text.push(',');
            }
            if part.is_valid(row) {
                push_part(part.value(row), &mut text);
            }
        }
        text.push(')');
        Some(text)
    });
    Ok(rows.collect())
}

fn push_part(part: &str, text: &mut String) {
    let is_special =
        |letter: char| matches!(letter, '"' | '\\' | '(' | ')' | ',') || is_space(letter);
    if !part.is_empty() && !part.contains(is_special) {
        text.push_str(part);
        return;
    }
    text.push('"');
    for letter in part.chars() {
        if matches!(letter, '"' | '\\') {
            text.push(letter);
        }
        text.push(letter);
    }
    text.push('"');
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use arrow::array::{
        BinaryArray, Decimal128Array, DictionaryArray, FixedSizeBinaryArray, Float32Array,
        Float64Array, Int64Array, ListArray, StructArray, Time64MicrosecondArray,
    };
    use arrow::buffer::{OffsetBuffer, ScalarBuffer};
    use arrow::datatypes::{Field, Fields, Int8Type, Int32Type};

    fn found(column: ArrayRef) -> Vec<Option<String>> {
        let texts = texts(&column, &FormatOptions::default()).unwrap();
        texts.iter().map(|text| text.map(str::to_owned)).collect()
    }

    fn some(texts: &[&str]) -> Vec<Option<String>> {
        texts.iter().map(|text| Some((*text).to_owned())).collect()
    }

    fn in_one_list(values: ArrayRef) -> ArrayRef {
        let item = Arc::new(Field::new("item", values.data_type().clone(), true));
        let ends = OffsetBuffer::new(ScalarBuffer::from(vec![0, values.len() as i32]));
        Arc::new(ListArray::new(item, ends, values, None))
    }

    #[test]
    fn numbers_that_are_not_finite_have_postgresql_s_names() {
        let wide = Float64Array::from(vec![f64::INFINITY, f64::NEG_INFINITY, f64::NAN, 0.5]);
        let names = some(&["Infinity", "-Infinity", "NaN", "0.5"]);
        assert_eq!(found(Arc::new(wide)), names);
        let narrow: ArrayRef = Arc::new(Float32Array::from(vec![f32::INFINITY, 0.1]));
        assert_eq!(found(narrow.clone()), some(&["Infinity", "0.1"]));
        let half = cast(&narrow.slice(1, 1), &DataType::Float16).unwrap();
        // The nearest number of eleven binary digits to 0.1.
        assert_eq!(found(half), some(&["0.099975586"]));
    }

    #[test]
    fn elements_are_quoted_where_they_must_be() {
        let names = vec![
            Some("a"),
            None,
            Some(""),
            Some("null"),
            Some("a b"),
            Some("q\"\\,"),
        ];
        let names: ArrayRef = Arc::new(StringArray::from(names));
        assert_eq!(
            found(in_one_list(names)),
            some(&[r#"{a,NULL,"","null","a b","q\"\\,"}"#])
        );
        let prices = Decimal128Array::from(vec![Some(i128::MAX), None]);
        let prices: ArrayRef = Arc::new(prices.with_precision_and_scale(38, 2).unwrap());
        let digits = "{1701411834604692317316873037158841057.27,NULL}";
        assert_eq!(found(in_one_list(prices)), some(&[digits]));
        let bytes: ArrayRef = Arc::new(BinaryArray::from(vec![Some(&b"a\xff"[..])]));
        assert_eq!(found(in_one_list(bytes)), some(&[r#"{"\\x61ff"}"#]));
        let fixed = FixedSizeBinaryArray::try_from_iter([[1_u8, 2]].into_iter()).unwrap();
        assert_eq!(found(Arc::new(fixed)), some(&["\\x0102"]));
    }

    #[test]
    fn lists_of_lists_have_dimensions() {
        let rows = vec![Some(vec![Some(1), Some(2)]), Some(vec![Some(3), None])];
        let inner = ListArray::from_iter_primitive::<Int32Type, _, _>(rows);
        assert_eq!(
            found(in_one_list(Arc::new(inner))),
            some(&["{{1,2},{3,NULL}}"])
        );
        let rows = vec![Some(Vec::<Option<i32>>::new())];
        let inner = ListArray::from_iter_primitive::<Int32Type, _, _>(rows);
        assert_eq!(found(in_one_list(Arc::new(inner))), some(&["{}"]));
        let rows = vec![Some(vec![Some(1)]), Some(vec![])];
        let inner = ListArray::from_iter_primitive::<Int32Type, _, _>(rows);
        let uneven = in_one_list(Arc::new(inner));
        let problem = texts(&uneven, &FormatOptions::default());
        assert!(matches!(problem, Err(ArrowError::NotYetImplemented(_))));
    }

    #[test]
    fn records_are_in_round_brackets() {
        let fields = Fields::from(vec![
            Field::new("id", DataType::Int64, true),
            Field::new("name", DataType::Utf8, true),
        ]);
        let ids: ArrayRef = Arc::new(Int64Array::from(vec![Some(1), None]));
        let names: ArrayRef = Arc::new(StringArray::from(vec!["a\"(b", ""]));
        let records: ArrayRef = Arc::new(StructArray::new(fields, vec![ids, names], None));
        let expected = [r#"(1,"a""(b")"#, r#"(,"")"#];
        assert_eq!(found(records.clone()), some(&expected));
        assert_eq!(
            found(in_one_list(records)),
            some(&[r#"{"(1,\"a\"\"(b\")","(,\"\")"}"#])
        );
    }

    #[test]
    fn dictionaries_and_clocks_are_as_their_values() {
        let codes: DictionaryArray<Int8Type> =
            vec![Some("a"), None, Some("a")].into_iter().collect();
        let expected = vec![Some("a".to_owned()), None, Some("a".to_owned())];
        assert_eq!(found(Arc::new(codes)), expected);
        let clocks = Time64MicrosecondArray::from(vec![0, 3_661_500_000]);
        assert_eq!(found(Arc::new(clocks)), some(&["00:00:00", "01:01:01.5"]));
    }
}
