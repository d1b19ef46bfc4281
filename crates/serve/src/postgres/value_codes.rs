//! The codes of what is wrong with values. To the libraries most of it is the failure of
//! a cast, of a function or of a text that is read, so that their words tell it apart.

use arrow::error::ArrowError;
use datafusion::error::DataFusionError;

const DIVISION_BY_ZERO: &str = "22012";
const OUT_OF_RANGE: &str = "22003";
const NO_VALUE_OF_TYPE: &str = "22P02";
const NO_TIME: &str = "22007";
const TIME_OUT_OF_RANGE: &str = "22008";
const INTERVAL_OUT_OF_RANGE: &str = "22015";
const LOGARITHM: &str = "2201E";
const POWER: &str = "2201F";
const SUBSTRING: &str = "22011";
const NTILE: &str = "22014";
const REGULAR_EXPRESSION: &str = "2201B";
const PARAMETER: &str = "22023";
const SEVERAL_ROWS: &str = "21000";
const TOO_MUCH: &str = "54000";

/// How texts of errors begin that name no value before.
const BEGINNINGS: [(&str, &str); 48] = [
    ("Can't cast value ", OUT_OF_RANGE),
    ("value of ", OUT_OF_RANGE),
    ("value out of range: ", OUT_OF_RANGE),
    ("input is out of range: ", OUT_OF_RANGE),
    ("Signed integer overflow", OUT_OF_RANGE),
    ("Overflow while rounding ", OUT_OF_RANGE),
    ("Cannot cast to Decimal", OUT_OF_RANGE),
    ("parse decimal overflow", OUT_OF_RANGE),
    ("Decimal overflow", OUT_OF_RANGE),
    ("round decimal_places ", OUT_OF_RANGE),
    ("factorial of a negative number", OUT_OF_RANGE),
    ("Overflow happened on FACTORIAL", OUT_OF_RANGE),
    ("Cannot cast value '", NO_VALUE_OF_TYPE),
    ("Invalid decimal format", NO_VALUE_OF_TYPE),
    ("Cannot parse decimal format", NO_VALUE_OF_TYPE),
    ("can't parse the string value", NO_VALUE_OF_TYPE),
    ("Failed to parse ", NO_TIME),
    ("Unable to cast to Date32", NO_TIME),
    ("Cannot cast to Interval", TIME_OUT_OF_RANGE),
    ("Date arithmetic overflow", TIME_OUT_OF_RANGE),
    ("Timestamp out of range", TIME_OUT_OF_RANGE),
    ("Overflow converting ", TIME_OUT_OF_RANGE),
    ("Failed to create naive time", TIME_OUT_OF_RANGE),
    ("a time is beyond the calendar", TIME_OUT_OF_RANGE),
    ("interval out of range", TIME_OUT_OF_RANGE),
    ("Month value ", TIME_OUT_OF_RANGE),
    ("Day value ", TIME_OUT_OF_RANGE),
    ("Hour value ", TIME_OUT_OF_RANGE),
    ("Minute value ", TIME_OUT_OF_RANGE),
    ("Second value ", TIME_OUT_OF_RANGE),
    ("Unable to parse date from ", TIME_OUT_OF_RANGE),
    ("Unable to parse time from ", TIME_OUT_OF_RANGE),
    ("Unable to represent ", INTERVAL_OUT_OF_RANGE),
    ("an interval is too long", INTERVAL_OUT_OF_RANGE),
    ("cannot take a logarithm of zero or", LOGARITHM),
    ("cannot take square root of", POWER),
    ("zero raised to a negative power", POWER),
    ("a negative number raised to a non-integer power", POWER),
    ("negative count not allowed", SUBSTRING),
    ("NTILE requires ", NTILE),
    ("regex parse error", REGULAR_EXPRESSION),
    ("Regular expression did not compile", REGULAR_EXPRESSION),
    ("Invalid timezone ", PARAMETER),
    ("field position must not be zero", PARAMETER),
    ("invalid Unicode scalar value", PARAMETER),
    ("Failed to decode value using ", PARAMETER),
    ("step can't be 0 ", PARAMETER),
    ("Scalar subquery returned more than one row", SEVERAL_ROWS),
];

/// What stands behind a value in other texts of errors.
const PARTS: [(&str, &str); 9] = [
    (" to store in a Decimal", OUT_OF_RANGE),
    ("Array overflow on abs(", OUT_OF_RANGE),
    ("\" is no interval: ", NO_TIME),
    (
        " exceeds the precision available for interval amount",
        INTERVAL_OUT_OF_RANGE,
    ),
    (
        "` does not fit the pattern: input is out of range",
        TIME_OUT_OF_RANGE,
    ),
    ("` does not fit the pattern: ", NO_TIME),
    ("` is out of range: times are of ", TIME_OUT_OF_RANGE),
    ("` is beyond the calendar", TIME_OUT_OF_RANGE),
    ("` would make ", TOO_MUCH),
];

/// The code of an error of this root and text that a value has made; `None` for others.
pub(super) fn code_of_value(root: &DataFusionError, text: &str) -> Option<&'static str> {
    match root {
        DataFusionError::ArrowError(problem, _) => match &**problem {
            ArrowError::DivideByZero => Some(DIVISION_BY_ZERO),
            ArrowError::ArithmeticOverflow(_) => Some(OUT_OF_RANGE),
            _ => code_of_text(text),
        },
        DataFusionError::Execution(_) | DataFusionError::External(_) => code_of_text(text),
        _ => None,
    }
}

fn code_of_text(text: &str) -> Option<&'static str> {
    if let Some(rest) = text.strip_prefix("Cannot cast string '") {
        let (value, data_type) = rest.rsplit_once("' to value of ")?;
        return Some(code_of_unread(value, data_type));
    }
    if let Some(rest) = text.strip_prefix("Error parsing timestamp from '") {
        let (value, _) = rest.rsplit_once("': ")?;
        return Some(code_of_unread(value, "Timestamp"));
    }
    let mut beginnings = BEGINNINGS.iter();
    let begun = beginnings.find(|(beginning, _)| text.starts_with(beginning));
    let found = begun.or_else(|| PARTS.iter().find(|(part, _)| text.contains(part)));
    found.map(|(_, code)| *code)
}

/// Of a text that is no value of a type, as arrow calls that.
fn code_of_unread(value: &str, data_type: &str) -> &'static str {
    let is_of = |kinds: &[&str]| kinds.iter().any(|kind| data_type.starts_with(kind));
    let value = value.trim();
    if is_of(&["Date", "Time"]) {
        return match has_form_of_time(value) {
            true => TIME_OUT_OF_RANGE,
            false => NO_TIME,
        };
    }
    let is_number = if is_of(&["Int", "UInt"]) {
        let digits = value.strip_prefix(['+', '-']).unwrap_or(value);
        is_digits(digits)
    } else {
        value.parse::<f64>().is_ok() && value.contains(|letter: char| letter.is_ascii_digit())
    };
    match is_number {
        true => OUT_OF_RANGE,
        false => NO_VALUE_OF_TYPE,
    }
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// Whether a text is written as a date, a time, or both, so that a number in it fits none.
fn has_form_of_time(text: &str) -> bool {
    match text.split_once([' ', 'T']) {
        Some((day, clock)) => is_day(day) && is_clock(clock),
        None => is_day(text) || is_clock(text),
    }
}

/// `2026-11-21`, or with more digits of the year.
fn is_day(text: &str) -> bool {
    let parts: Vec<&str> = text.split('-').collect();
    match parts[..] {
        [year, month, day] => year.len() >= 4 && is_digits(year) && are_pairs(&[month, day]),
        _ => false,
    }
}

/// `08:10:00`, also with a fraction and a zone.
fn is_clock(text: &str) -> bool {
    let end = text.find(['+', '-', 'Z', ' ']).unwrap_or(text.len());
    let clock = &text[..end];
    let (clock, fraction) = clock.split_once('.').unwrap_or((clock, "0"));
    let parts: Vec<&str> = clock.split(':').collect();
    parts.len() == 3 && are_pairs(&parts) && is_digits(fraction)
}

fn are_pairs(parts: &[&str]) -> bool {
    let is_pair = |part: &&str| part.len() == 2 && is_digits(part);
    parts.iter().all(is_pair)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_that_are_no_values_are_told_apart() {
        for (value, data_type, code) in [
            ("abc", "Int32 type", "22P02"),
            ("1.5", "Int32 type", "22P02"),
            ("", "Int64 type", "22P02"),
            ("99999999999", "Int32 type", "22003"),
            (" -99999999999 ", "Int32 type", "22003"),
            ("1e40", "Decimal128(38, 10) type", "22003"),
            ("nan", "Decimal128(38, 10) type", "22P02"),
            ("x", "Float64 type", "22P02"),
            ("x", "Date32 type", "22007"),
            ("2025-1-1", "Date32 type", "22007"),
            ("2025-13-01", "Date32 type", "22008"),
            ("9999999-01-01", "Date32 type", "22008"),
            ("25:00:00", "Time64(ns) type", "22008"),
            ("25:00", "Time64(ns) type", "22007"),
        ] {
            let text = format!("Cannot cast string '{value}' to value of {data_type}");
            assert_eq!(code_of_text(&text), Some(code), "{text}");
        }
        for (value, code) in [
            ("2025-02-30 10:00:00", "22008"),
            ("2025-02-30T10:00:00.25+08:00", "22008"),
            ("2025-02-20 soon", "22007"),
            ("it's", "22007"),
        ] {
            let text = format!("Error parsing timestamp from '{value}': error parsing date");
            assert_eq!(code_of_text(&text), Some(code), "{text}");
        }
    }

    #[test]
    fn other_texts_have_no_code() {
        for text in [
            "",
            "a `value` of 1",
            "the warehouse ends",
            "Cannot cast string",
        ] {
            assert_eq!(code_of_text(text), None, "{text}");
        }
    }
}
