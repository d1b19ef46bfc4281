//! Columns that hold several values: the library has them as PostgreSQL's text.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Int64Builder, ListBuilder, StringBuilder};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field};
use datafusion::error::Result;

use super::names::VALUELESS;

/// Columns of texts that may have values.
const TEXTS: [&str; 8] = [
    "enumvals",
    "extcondition",
    "initprivs",
    "proargmodes",
    "proargnames",
    "relacl",
    "stxkind",
    "subpublications",
];
/// Columns of numbers: identities, and places of columns.
const NUMBERS: [&str; 21] = [
    "confdelsetcols",
    "confkey",
    "conexclop",
    "conffeqop",
    "conkey",
    "conpfeqop",
    "conppeqop",
    "extconfig",
    "indclass",
    "indcollation",
    "indkey",
    "indoption",
    "partattrs",
    "partclass",
    "partcollation",
    "polroles",
    "prattrs",
    "proallargtypes",
    "protrftypes",
    "stxkeys",
    "tgattr",
];

/// What a column of the catalog holds several of; `None` for one value.
pub(super) fn list_of(column: &str) -> Option<DataType> {
    let element = if TEXTS.contains(&column) || VALUELESS.contains(&column) {
        DataType::Utf8
    } else if NUMBERS.contains(&column) {
        DataType::Int64
    } else {
        return None;
    };
    Some(list(element))
}

/// The type of a list.
pub(super) fn list(element: DataType) -> DataType {
    DataType::List(Arc::new(Field::new("item", element, true)))
}

/// PostgreSQL's texts of arrays as lists.
///
/// # Errors
/// When the column is no text.
pub(super) fn lists(texts: &ArrayRef, element: &DataType) -> Result<ArrayRef> {
    let texts = cast(texts, &DataType::Utf8)?;
    let texts = texts.as_string::<i32>();
    if element.is_integer() {
        let mut lists = ListBuilder::new(Int64Builder::new());
        for row in 0..texts.len() {
            if texts.is_valid(row) {
                for value in elements(texts.value(row)) {
                    let number = value.and_then(|value| value.parse().ok());
                    lists.values().append_option(number);
                }
            }
            lists.append(texts.is_valid(row));
        }
        return Ok(Arc::new(lists.finish()));
    }
    let mut lists = ListBuilder::new(StringBuilder::new());
    for row in 0..texts.len() {
        if texts.is_valid(row) {
            for value in elements(texts.value(row)) {
                lists.values().append_option(value);
            }
        }
        lists.append(texts.is_valid(row));
    }
    Ok(Arc::new(lists.finish()))
}

/// The values of an array's text: `{a,"b c",NULL}`, or of a vector's: `1 2 3`.
fn elements(text: &str) -> Vec<Option<String>> {
    let inner = text
        .strip_prefix('{')
        .and_then(|text| text.strip_suffix('}'));
    let Some(inner) = inner else {
        let words = text.split_whitespace();
        return words.map(|word| Some(word.to_owned())).collect();
    };
    let mut values = Vec::new();
    let (mut value, mut is_quoted, mut was_quoted) = (String::new(), false, false);
    let mut letters = inner.chars();
    let finished = |value: &mut String, was_quoted: &mut bool| {
        let text = std::mem::take(value);
        let is_null = !std::mem::take(was_quoted) && text.eq_ignore_ascii_case("null");
        (!is_null).then_some(text)
    };
    while let Some(letter) = letters.next() {
        match letter {
            '"' => {
                is_quoted = !is_quoted;
                was_quoted = true;
            }
            '\\' => value.extend(letters.next()),
            ',' if !is_quoted => values.push(finished(&mut value, &mut was_quoted)),
            letter => value.push(letter),
        }
    }
    if !inner.is_empty() {
        values.push(finished(&mut value, &mut was_quoted));
    }
    values
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arrays_are_read() {
        let text = |text: &str| Some(text.to_owned());
        assert_eq!(elements("{}"), []);
        assert_eq!(elements("{a,b}"), [text("a"), text("b")]);
        assert_eq!(
            elements(r#"{"a b",NULL,"NULL","x\"y,z",""}"#),
            [text("a b"), None, text("NULL"), text("x\"y,z"), text("")]
        );
        assert_eq!(elements("1 2"), [text("1"), text("2")]);
        assert_eq!(elements(""), []);
    }
}
