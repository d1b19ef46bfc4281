//! What becomes of a value: by its type.

use serde::de::IgnoredAny;
use sluice_mysql::value::text::{write_base64, write_json_string};

use super::array::write_array;

/// How values of a type are written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ValueForm {
    /// `true` or `false`.
    Boolean,
    /// A number with all its digits; what is none (`NaN`, `Infinity`) as text.
    Number,
    /// An amount of money: a number.
    Money,
    /// Bytes, as base64.
    Bytes,
    /// A moment of UTC: `2026-01-31T12:00:00Z`.
    Moment,
    /// JSON itself.
    Json,
    /// Text.
    Text,
    /// A list, perhaps of lists, with this sign between its elements.
    Array(Box<ValueForm>, u8),
}

impl ValueForm {
    /// The form of a type of the server itself that is no array; `None` for
    /// types that must be looked up.
    pub fn of_built_in(type_id: u32) -> Option<Self> {
        Some(match type_id {
            16 => Self::Boolean,
            17 => Self::Bytes,
            // int8, int2, int4, oid, xid, cid, float4, float8, numeric, xid8.
            20 | 21 | 23 | 26 | 28 | 29 | 700 | 701 | 1700 | 5069 => Self::Number,
            790 => Self::Money,
            1184 => Self::Moment,
            114 | 3802 => Self::Json,
            // "char", name, text, bpchar, varchar, date, time, timestamp,
            // interval, timetz, uuid, inet, cidr, macaddr, bit, varbit.
            18 | 19 | 25 | 1042 | 1043 | 1082 | 1083 | 1114 | 1186 | 1266 | 2950 | 869 | 650
            | 829 | 1560 | 1562 => Self::Text,
            _ => return None,
        })
    }

    /// Appends a value that is `text` for the server.
    pub fn write(&self, out: &mut Vec<u8>, text: &[u8]) {
        let start = out.len();
        let is_written = match self {
            Self::Boolean => match text {
                b"t" => write_all(out, b"true"),
                b"f" => write_all(out, b"false"),
                _ => false,
            },
            Self::Number => is_json_number(text) && write_all(out, text),
            Self::Money => write_money(out, text),
            Self::Bytes => write_bytes(out, text),
            Self::Json => is_json(text) && write_all(out, text),
            Self::Array(element, delimiter) => write_array(out, text, element, *delimiter),
            Self::Moment => write_moment(out, text),
            Self::Text => false,
        };
        if !is_written {
            out.truncate(start);
            write_json_string(out, &String::from_utf8_lossy(text));
        }
    }
}

fn write_all(out: &mut Vec<u8>, bytes: &[u8]) -> bool {
    out.extend_from_slice(bytes);
    true
}

/// Whether a text is a number of JSON (RFC 8259, section 6).
fn is_json_number(text: &[u8]) -> bool {
    let digits = |text: &[u8]| text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let mut rest = text.strip_prefix(b"-").unwrap_or(text);
    let whole = digits(rest);
    if whole == 0 || whole > 1 && rest[0] == b'0' {
        return false;
    }
    rest = &rest[whole..];
    if let Some(fraction) = rest.strip_prefix(b".") {
        let count = digits(fraction);
        if count == 0 {
            return false;
        }
        rest = &fraction[count..];
    }
    match rest {
        [] => true,
        [b'e' | b'E', exponent @ ..] => {
            let exponent = match exponent {
                [b'+' | b'-', exponent @ ..] => exponent,
                exponent => exponent,
            };
            !exponent.is_empty() && digits(exponent) == exponent.len()
        }
        _ => false,
    }
}

fn is_json(text: &[u8]) -> bool {
    std::str::from_utf8(text).is_ok_and(|text| serde_json::from_str::<IgnoredAny>(text).is_ok())
}

/// `-$1,234.56`, as the locale `C` writes it.
fn write_money(out: &mut Vec<u8>, text: &[u8]) -> bool {
    let start = out.len();
    for &byte in text {
        match byte {
            b'$' | b',' => {}
            other => out.push(other),
        }
    }
    is_json_number(&out[start..])
}

/// `\x0102`.
fn write_bytes(out: &mut Vec<u8>, text: &[u8]) -> bool {
    let Some(digits) = text.strip_prefix(b"\\x") else {
        return false;
    };
    let value = |byte: u8| char::from(byte).to_digit(16);
    let mut bytes = Vec::with_capacity(digits.len() / 2);
    for pair in digits.chunks(2) {
        match pair {
            [high, low] => match (value(*high), value(*low)) {
                (Some(high), Some(low)) => bytes.push((high << 4 | low) as u8),
                _ => return false,
            },
            _ => return false,
        }
    }
    out.push(b'"');
    write_base64(out, &bytes);
    out.push(b'"');
    true
}

/// `2026-01-31 12:00:00.5+00`, perhaps with ` BC` behind; the connection's time
/// zone is UTC.
fn write_moment(out: &mut Vec<u8>, text: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(text) else {
        return false;
    };
    let (moment, era) = match text.strip_suffix(" BC") {
        Some(moment) => (moment, " BC"),
        None => (text, ""),
    };
    let parts = moment
        .strip_suffix("+00")
        .and_then(|moment| moment.split_once(' '));
    let Some((date, time)) = parts else {
        return false;
    };
    write_json_string(out, &format!("{date}T{time}Z{era}"));
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(form: &ValueForm, text: &str) -> String {
        let mut out = Vec::new();
        form.write(&mut out, text.as_bytes());
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn values_become_json_of_their_kind() {
        for (form, text, json) in [
            (ValueForm::Boolean, "t", "true"),
            (ValueForm::Number, "-12.50", "-12.50"),
            (ValueForm::Number, "1e+300", "1e+300"),
            (ValueForm::Number, "NaN", "\"NaN\""),
            (ValueForm::Number, "-Infinity", "\"-Infinity\""),
            (ValueForm::Money, "-$1,234.50", "-1234.50"),
            (ValueForm::Bytes, "\\x666f6f", "\"Zm9v\""),
            (ValueForm::Bytes, "\\x66f", "\"\\\\x66f\""),
            (
                ValueForm::Moment,
                "2026-01-31 12:00:00.5+00",
                "\"2026-01-31T12:00:00.5Z\"",
            ),
            (
                ValueForm::Moment,
                "0044-03-15 12:00:00+00 BC",
                "\"0044-03-15T12:00:00Z BC\"",
            ),
            (ValueForm::Moment, "infinity", "\"infinity\""),
            (ValueForm::Json, "{\"a\": [1]}", "{\"a\": [1]}"),
            (ValueForm::Json, "{\"a\":", "\"{\\\"a\\\":\""),
            (ValueForm::Text, "a\"\n", "\"a\\\"\\n\""),
        ] {
            assert_eq!(written(&form, text), json, "{form:?} {text}");
        }
    }

    #[test]
    fn only_numbers_of_json_are_numbers() {
        for good in ["0", "-0", "10", "0.5", "1E5", "1e-05", "12.0e+7"] {
            assert!(is_json_number(good.as_bytes()), "{good}");
        }
        for bad in [
            "", "-", "01", ".5", "1.", "1e", "1e+", "1x", "--1", "0x1", "1,5",
        ] {
            assert!(!is_json_number(bad.as_bytes()), "{bad}");
        }
    }
}
