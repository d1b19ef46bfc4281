//! Maps, and what they hold, as JSON: as PostgreSQL's `to_json` writes them.

use arrow::array::{Array, ArrayRef, AsArray, StringArray};
use arrow::datatypes::DataType;
use arrow::error::ArrowError;
use datafusion_postgres::pgwire::types::format::FormatOptions;

use super::lists::{Lists, is_list, without_dictionary};
use super::value_texts;
use crate::json_rows::write_text;

/// Letters of an offset without minutes.
const HOURS_LENGTH: usize = "+08".len();

/// The JSON of each row; `None` for NULL.
///
/// # Errors
/// When a value has no text.
pub(super) fn texts(column: &ArrayRef) -> Result<StringArray, ArrowError> {
    let plain = || value_texts::texts(column, &FormatOptions::default());
    Ok(match column.data_type() {
        DataType::Boolean => {
            let values = column.as_boolean().iter();
            let words = values.map(|value| value.map(|value| if value { "true" } else { "false" }));
            words.collect()
        }
        DataType::Null
        | DataType::Decimal32(_, _)
        | DataType::Decimal64(_, _)
        | DataType::Decimal128(_, _)
        | DataType::Decimal256(_, _) => plain()?,
        data_type if data_type.is_integer() => plain()?,
        // What is not finite has a name.
        DataType::Float16 | DataType::Float32 | DataType::Float64 => written(&plain()?, |text| {
            match text.ends_with(char::is_alphabetic) {
                true => quoted(text),
                false => text.to_owned(),
            }
        }),
        DataType::Timestamp(_, _) => written(&plain()?, |text| quoted(&moment(text))),
        DataType::Struct(fields) => {
            let names: Vec<String> = fields.iter().map(|field| quoted(field.name())).collect();
            objects(column, &names)?
        }
        DataType::Map(_, _) => maps(column)?,
        data_type if is_list(data_type) => lists(column)?,
        _ => match without_dictionary(column)? {
            Some(values) => texts(&values)?,
            None => written(&plain()?, quoted),
        },
    })
}

fn written(texts: &StringArray, write: impl Fn(&str) -> String) -> StringArray {
    texts.iter().map(|text| Some(write(text?))).collect()
}

fn quoted(text: &str) -> String {
    let mut json = String::with_capacity(text.len() + 2);
    write_text(text, &mut json);
    json
}

/// `2026-11-21T08:10:00+08:00` for `2026-11-21 08:10:00+08`.
fn moment(text: &str) -> String {
    let (time, era) = match text.strip_suffix(" BC") {
        Some(time) => (time, " BC"),
        None => (text, ""),
    };
    let offset = time.rfind(['+', '-']).map_or("", |sign| &time[sign..]);
    let minutes = if offset.len() == HOURS_LENGTH {
        ":00"
    } else {
        ""
    };
    format!("{}{minutes}{era}", time.replacen(' ', "T", 1))
}

fn value_or_null(values: &StringArray, row: usize) -> &str {
    match values.is_valid(row) {
        true => values.value(row),
        false => "null",
    }
}

fn lists(column: &ArrayRef) -> Result<StringArray, ArrowError> {
    let lists = Lists::of(column);
    let values = texts(&lists.values)?;
    let rows = lists.rows.into_iter().map(|row| {
        let parts: Vec<&str> = row?.map(|place| value_or_null(&values, place)).collect();
        Some(format!("[{}]", parts.join(",")))
    });
    Ok(rows.collect())
}

fn objects(column: &ArrayRef, names: &[String]) -> Result<StringArray, ArrowError> {
    let records = column.as_struct();
    let parts = records.columns().iter().map(texts);
    let parts = parts.collect::<Result<Vec<StringArray>, ArrowError>>()?;
    let rows = (0..records.len()).map(|row| {
        if records.is_null(row) {
            return None;
        }
        let pairs = names.iter().zip(&parts);
        let pairs = pairs.map(|(name, values)| format!("{name}:{}", value_or_null(values, row)));
        Some(format!("{{{}}}", pairs.collect::<Vec<String>>().join(",")))
    });
    Ok(rows.collect())
}

fn maps(column: &ArrayRef) -> Result<StringArray, ArrowError> {
    let maps = Lists::of_map(column);
    let entries = maps.values.as_struct();
    let keys = value_texts::texts(entries.column(0), &FormatOptions::default())?;
    let values = texts(entries.column(1))?;
    let rows = maps.rows.into_iter().map(|row| {
        let pairs = row?.map(|place| {
            let key = quoted(value_or_null(&keys, place));
            format!("{key}:{}", value_or_null(&values, place))
        });
        Some(format!("{{{}}}", pairs.collect::<Vec<String>>().join(",")))
    });
    Ok(rows.collect())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use arrow::array::{
        Float64Array, Int32Builder, MapBuilder, StringBuilder, TimestampMicrosecondArray,
    };

    fn found(column: ArrayRef) -> Vec<Option<String>> {
        let texts = texts(&column).unwrap();
        texts.iter().map(|text| text.map(str::to_owned)).collect()
    }

    fn some(texts: &[&str]) -> Vec<Option<String>> {
        texts.iter().map(|text| Some((*text).to_owned())).collect()
    }

    #[test]
    fn maps_are_objects() {
        let mut maps = MapBuilder::new(None, StringBuilder::new(), Int32Builder::new());
        maps.keys().append_value("a\"");
        maps.values().append_value(1);
        maps.keys().append_value("b");
        maps.values().append_null();
        maps.append(true).unwrap();
        maps.append(false).unwrap();
        maps.append(true).unwrap();
        let maps: ArrayRef = Arc::new(maps.finish());
        let expected = [Some(r#"{"a\"":1,"b":null}"#), None, Some("{}")];
        let expected: Vec<_> = expected
            .iter()
            .map(|text| text.map(str::to_owned))
            .collect();
        assert_eq!(found(maps.clone()), expected);
        assert_eq!(found(maps.slice(2, 1)), some(&["{}"]));
    }

    #[test]
    fn what_json_has_no_word_for_is_a_text() {
        let floats = Float64Array::from(vec![1.5, f64::NAN, f64::NEG_INFINITY]);
        assert_eq!(
            found(Arc::new(floats)),
            some(&["1.5", "\"NaN\"", "\"-Infinity\""])
        );
        for (zone, expected) in [
            (None, "\"2026-11-21T00:10:00\""),
            (Some("Asia/Shanghai"), "\"2026-11-21T08:10:00+08:00\""),
            (Some("Asia/Kolkata"), "\"2026-11-21T05:40:00+05:30\""),
            (Some("America/New_York"), "\"2026-11-20T19:10:00-05:00\""),
        ] {
            let times = TimestampMicrosecondArray::from(vec![1_795_219_800_000_000]);
            let times = times.with_timezone_opt(zone);
            assert_eq!(found(Arc::new(times)), some(&[expected]), "{zone:?}");
        }
    }
}
