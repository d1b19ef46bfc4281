//! Parameters of a panel: typed, bounded, and bound to the query's
//! placeholders; never put into its text.

use arrow::array::{ArrayRef, StringArray};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{DataType, TimeUnit};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use datafusion::common::ScalarValue;
use serde::Deserialize;

use super::Words;

/// What values a parameter takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ParameterType {
    /// A business day: `2026-11-20`, `20261120`, `today`, `yesterday`, `today-6`.
    Date,
    /// A moment, RFC 3339.
    Timestamp,
    /// A whole number of 64 bits.
    Integer,
    /// An exact number with four places.
    Decimal,
    /// Text of any length that a request may have.
    Text,
    /// `true` or `false`.
    Boolean,
}

impl ParameterType {
    /// Its name in definitions and answers.
    pub fn name(self) -> &'static str {
        match self {
            Self::Date => "date",
            Self::Timestamp => "timestamp",
            Self::Integer => "integer",
            Self::Decimal => "decimal",
            Self::Text => "text",
            Self::Boolean => "boolean",
        }
    }

    /// Its type in a query.
    pub fn data_type(self) -> DataType {
        match self {
            Self::Date => DataType::Date32,
            Self::Timestamp => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
            Self::Integer => DataType::Int64,
            Self::Decimal => DataType::Decimal128(24, 4),
            Self::Text => DataType::Utf8,
            Self::Boolean => DataType::Boolean,
        }
    }
}

/// A value as it is written: an exact one, or a day counted from today.
#[derive(Debug, Clone, PartialEq)]
pub enum WrittenValue {
    /// A value.
    Exact(ScalarValue),
    /// So many days before today.
    DaysAgo(i32),
}

impl WrittenValue {
    /// Reads a value of type `kind`.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(kind: ParameterType, text: &str) -> Result<Self, String> {
        if kind == ParameterType::Date
            && let Some(days) = days_ago(text)
        {
            return Ok(Self::DaysAgo(days));
        }
        let written = match kind {
            ParameterType::Date => with_hyphens(text),
            _ => text.to_owned(),
        };
        match value_of_text(&written, &kind.data_type()) {
            Some(value) => Ok(Self::Exact(value)),
            None => Err(format!("`{text}` is no {}", kind.name())),
        }
    }

    /// The value, where today is `today` (days since 1970).
    pub fn at(&self, today: i32) -> ScalarValue {
        match self {
            Self::Exact(value) => value.clone(),
            Self::DaysAgo(days) => ScalarValue::Date32(Some(today.saturating_sub(*days))),
        }
    }
}

/// A value of a type from text; `None` if it has none in that text.
pub(crate) fn value_of_text(text: &str, data_type: &DataType) -> Option<ScalarValue> {
    if *data_type == DataType::Utf8 {
        return Some(ScalarValue::Utf8(Some(text.to_owned())));
    }
    let options = CastOptions {
        safe: false,
        ..CastOptions::default()
    };
    let array: ArrayRef = std::sync::Arc::new(StringArray::from(vec![text.trim()]));
    let cast = cast_with_options(&array, data_type, &options).ok()?;
    let value = ScalarValue::try_from_array(&cast, 0).ok()?;
    (!value.is_null()).then_some(value)
}

/// A value as text, as answers write it.
pub(crate) fn text_of_value(value: &ScalarValue) -> Option<String> {
    if value.is_null() {
        return None;
    }
    let array = value.to_array().ok()?;
    let formatter = ArrayFormatter::try_new(&array, &FormatOptions::new()).ok()?;
    Some(formatter.value(0).to_string())
}

/// `today` is 0, `yesterday` 1, `today-6` 6.
fn days_ago(text: &str) -> Option<i32> {
    match text.trim() {
        "today" => Some(0),
        "yesterday" => Some(1),
        other => {
            let days = other
                .strip_prefix("today")?
                .trim_start()
                .strip_prefix('-')?;
            days.trim().parse().ok().filter(|days| *days >= 0)
        }
    }
}

/// `20261120` as `2026-11-20`, which other tools do not send.
fn with_hyphens(text: &str) -> String {
    let text = text.trim();
    match text.len() == 8 && text.bytes().all(|byte| byte.is_ascii_digit()) {
        true => format!("{}-{}-{}", &text[..4], &text[4..6], &text[6..]),
        false => text.to_owned(),
    }
}

/// One parameter of a panel.
#[derive(Debug, Clone, PartialEq)]
pub struct Parameter {
    /// Its name: `$name` in the query.
    pub name: String,
    /// What values it takes.
    pub kind: ParameterType,
    /// Its value where a request has none; NULL without.
    pub default: Option<WrittenValue>,
    /// The default as it was written.
    pub default_text: Option<String>,
    /// The least value.
    pub min: Option<ScalarValue>,
    /// The greatest value.
    pub max: Option<ScalarValue>,
    /// The only values, if not empty.
    pub values: Vec<ScalarValue>,
    /// What people call it.
    pub title: Words,
}

impl Parameter {
    /// The value that a request means; `text` is what it says.
    ///
    /// # Errors
    /// What is wrong with it, and what would be right.
    pub fn value(&self, text: Option<&str>, today: i32) -> Result<ScalarValue, String> {
        let written = match text {
            Some(text) => WrittenValue::parse(self.kind, text)
                .map(Some)
                .map_err(|problem| format!("{}: {problem}", self.name))?,
            None => self.default.clone(),
        };
        let Some(written) = written else {
            return ScalarValue::try_from(&self.kind.data_type())
                .map_err(|error| format!("{}: {error}", self.name));
        };
        let value = written.at(today);
        self.judge(&value)?;
        Ok(value)
    }

    /// Whether the bounds allow a value.
    pub(super) fn judge(&self, value: &ScalarValue) -> Result<(), String> {
        let shown = |value: &ScalarValue| text_of_value(value).unwrap_or_default();
        let refuse = |words: String| Err(format!("{}: {} {words}", self.name, shown(value)));
        if let Some(min) = &self.min
            && value < min
        {
            return refuse(format!("is less than {}", shown(min)));
        }
        if let Some(max) = &self.max
            && value > max
        {
            return refuse(format!("is more than {}", shown(max)));
        }
        if !self.values.is_empty() && !self.values.contains(value) {
            let known: Vec<String> = self.values.iter().map(shown).collect();
            return refuse(format!("is none of {}", known.join(", ")));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(text: &str) -> Option<String> {
        let value = WrittenValue::parse(ParameterType::Date, text).ok()?;
        text_of_value(&value.at(20_000))
    }

    #[test]
    fn days_have_several_forms() {
        assert_eq!(day("2026-11-20").as_deref(), Some("2026-11-20"));
        assert_eq!(day("20261120").as_deref(), Some("2026-11-20"));
        assert_eq!(day("today").as_deref(), Some("2024-10-04"));
        assert_eq!(day("yesterday").as_deref(), Some("2024-10-03"));
        assert_eq!(day("today - 6").as_deref(), Some("2024-09-28"));
        for wrong in [
            "",
            "2026-13-01",
            "today-x",
            "today--1",
            "' OR 1=1",
            "2026112",
        ] {
            assert_eq!(day(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn bounds_hold_and_say_what_is_allowed() {
        let parameter = Parameter {
            name: "limit".to_owned(),
            kind: ParameterType::Integer,
            default: Some(WrittenValue::Exact(ScalarValue::Int64(Some(10)))),
            default_text: Some("10".to_owned()),
            min: Some(ScalarValue::Int64(Some(1))),
            max: Some(ScalarValue::Int64(Some(100))),
            values: Vec::new(),
            title: Words::default(),
        };
        assert_eq!(parameter.value(None, 0), Ok(ScalarValue::Int64(Some(10))));
        let value = parameter.value(Some("99"), 0);
        assert_eq!(value, Ok(ScalarValue::Int64(Some(99))));
        let error = parameter.value(Some("0"), 0).unwrap_err();
        assert_eq!(error, "limit: 0 is less than 1");
        let error = parameter.value(Some("101"), 0).unwrap_err();
        assert_eq!(error, "limit: 101 is more than 100");
        let error = parameter.value(Some("1; DROP"), 0).unwrap_err();
        assert_eq!(error, "limit: `1; DROP` is no integer");
    }
}
