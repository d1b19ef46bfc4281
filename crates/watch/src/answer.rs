//! What an alarm's query answers. How it is asked is the caller's concern.

/// A value of an answer.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// NULL.
    Null,
    /// A number of any type.
    Number(f64),
    /// Microseconds since 1970 UTC.
    Time(i64),
    /// Everything else, as text.
    Text(String),
}

impl Value {
    /// As a label or in a message.
    pub fn text(&self) -> String {
        match self {
            Self::Null => String::new(),
            Self::Number(number) => number_text(*number),
            Self::Time(time_us) => time_text(*time_us, chrono_tz::UTC),
            Self::Text(text) => text.clone(),
        }
    }
}

/// Two digits behind the point at most, none where it is whole.
pub(crate) fn number_text(number: f64) -> String {
    let text = format!("{number:.2}");
    let text = text.strip_suffix(".00").unwrap_or(&text);
    match text {
        "-0" => "0".to_owned(),
        text => text.to_owned(),
    }
}

/// `2024-11-11 08:00:05 CST`.
pub(crate) fn time_text(time_us: i64, zone: chrono_tz::Tz) -> String {
    match chrono::DateTime::from_timestamp_micros(time_us) {
        Some(time) => time
            .with_timezone(&zone)
            .format("%Y-%m-%d %H:%M:%S %Z")
            .to_string(),
        None => time_us.to_string(),
    }
}

/// Rows with their columns' names.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Answer {
    /// Names.
    pub columns: Vec<String>,
    /// Rows; each has a value for every column.
    pub rows: Vec<Vec<Value>>,
}

/// Answers queries.
pub trait Ask: Send + Sync {
    /// The answer of one statement, of the first `rows_max` rows.
    ///
    /// # Errors
    /// Why it cannot be answered, in words.
    fn ask(&self, sql: &str, rows_max: usize) -> Result<Answer, String>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_as_people_do() {
        let texts = [12.0, 0.5, -0.001, 1e6, 2.345].map(number_text);
        assert_eq!(texts, ["12", "0.50", "0", "1000000", "2.35"]);
    }
}
