//! What `regexp_replace` puts in the place of a match: in PostgreSQL's words `\1` to
//! `\9` are parts of the match, `\&` is the whole, `\\` is a backslash, and everything
//! else stands for itself. To DataFusion's `$1` and `\0` are parts too.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, LargeStringArray, StringArray, StringViewArray};
use arrow::datatypes::DataType;
use datafusion::common::Result;
use datafusion::logical_expr::ColumnarValue;

use crate::by_array::by_array;

/// The replacements of a call in DataFusion's words.
///
/// # Errors
/// When a value makes no array.
pub(crate) fn replacements(written: &ColumnarValue) -> Result<ColumnarValue> {
    by_array(written, &|written| Ok(replacements_of(written)))
}

fn replacements_of(written: &ArrayRef) -> ArrayRef {
    match written.data_type() {
        DataType::Utf8 => {
            let written = written.as_string::<i32>().iter();
            Arc::new(written.map(in_other_words).collect::<StringArray>())
        }
        DataType::LargeUtf8 => {
            let written = written.as_string::<i64>().iter();
            Arc::new(written.map(in_other_words).collect::<LargeStringArray>())
        }
        DataType::Utf8View => {
            let written = written.as_string_view().iter();
            Arc::new(written.map(in_other_words).collect::<StringViewArray>())
        }
        _ => written.clone(),
    }
}

/// A backslash, and a part without a name, which is empty: before a digit the
/// backslash alone would begin a part.
const BACKSLASH: &str = r"\${}";

fn in_other_words(written: Option<&str>) -> Option<String> {
    let written = written?;
    let mut words = String::with_capacity(written.len());
    let mut rest = written.chars();
    while let Some(character) = rest.next() {
        match character {
            '$' => words.push_str("$$"),
            '\\' => {
                let mut behind = rest.clone();
                match behind.next() {
                    Some(part @ '1'..='9') => {
                        words.push_str("${");
                        words.push(part);
                        words.push('}');
                    }
                    Some('&') => words.push_str("${0}"),
                    Some('\\') => words.push_str(BACKSLASH),
                    _ => {
                        words.push_str(BACKSLASH);
                        continue;
                    }
                }
                rest = behind;
            }
            other => words.push(other),
        }
    }
    Some(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_those_of_postgresql() {
        for (written, expected) in [
            (r"[\1]", "[${1}]"),
            (r"\&\&", "${0}${0}"),
            ("$1 ${1} $", "$$1 $${1} $$"),
            (r"\12", "${1}2"),
            (r"\0 \x \", r"\${}0 \${}x \${}"),
            (r"\\1", r"\${}1"),
            (r"\\\1", r"\${}${1}"),
            ("é", "é"),
            ("", ""),
        ] {
            assert_eq!(in_other_words(Some(written)).as_deref(), Some(expected));
        }
        assert_eq!(in_other_words(None), None);
    }
}
