//! MySQL's binary form of JSON.
//!
//! Format: `sql-common/json_binary.h` of MySQL.

use std::io::Write as _;

use super::column_type as types;
use super::decimal::write_decimal;
use super::temporal::{write_json_datetime, write_json_time};
use super::text::{write_base64, write_json_string};
use crate::input::{BadBytes, Input};

/// The server allows no deeper document.
const DEPTH_MAX: usize = 100;
const WHAT: &str = "a JSON document";

/// Appends the document as JSON text.
///
/// # Errors
/// When the bytes are no document.
pub fn write_json_binary(out: &mut Vec<u8>, document: &[u8]) -> Result<(), BadBytes> {
    // A column that became `NOT NULL` has this.
    let Some((&kind, body)) = document.split_first() else {
        out.extend_from_slice(b"null");
        return Ok(());
    };
    let mut writer = JsonWriter {
        out,
        // Values can share bytes only in a damaged document, which could grow
        // without bound.
        values_left: document.len(),
    };
    writer.value(kind, body, 0)
}

struct JsonWriter<'a> {
    out: &'a mut Vec<u8>,
    values_left: usize,
}

impl JsonWriter<'_> {
    fn value(&mut self, kind: u8, body: &[u8], depth: usize) -> Result<(), BadBytes> {
        self.values_left = self
            .values_left
            .checked_sub(1)
            .ok_or_else(|| BadBytes::invalid("a JSON document has more values than bytes"))?;
        if depth > DEPTH_MAX {
            return Err(BadBytes::Invalid(format!(
                "a JSON document is more than {DEPTH_MAX} levels deep"
            )));
        }
        let mut input = Input::new(body);
        match kind {
            0..=3 => self.container(kind & 2 == 0, kind & 1 == 1, body, depth),
            4 => self.literal(u64::from(input.u8(WHAT)?)),
            5 => self.number(input.u16(WHAT)? as i16),
            6 => self.number(input.u16(WHAT)?),
            7 => self.number(input.u32(WHAT)? as i32),
            8 => self.number(input.u32(WHAT)?),
            9 => self.number(input.u64(WHAT)? as i64),
            10 => self.number(input.u64(WHAT)?),
            11 => {
                let value = f64::from_bits(input.u64(WHAT)?);
                if !value.is_finite() {
                    return Err(BadBytes::invalid("a number in JSON is infinite or none"));
                }
                // With a point, so that it stays a number of that kind.
                self.number(format_args!("{value:?}"))
            }
            12 => {
                let length = variable_length(&mut input)?;
                let text = String::from_utf8_lossy(input.take(length, WHAT)?);
                write_json_string(self.out, &text);
                Ok(())
            }
            15 => {
                let field_type = input.u8(WHAT)?;
                let length = variable_length(&mut input)?;
                self.opaque(field_type, input.take(length, WHAT)?)
            }
            other => Err(BadBytes::Invalid(format!(
                "a JSON document has a value of the unknown kind {other}"
            ))),
        }
    }

    fn number(&mut self, value: impl std::fmt::Display) -> Result<(), BadBytes> {
        // Writing to memory does not fail.
        let _ = write!(self.out, "{value}");
        Ok(())
    }

    fn literal(&mut self, value: u64) -> Result<(), BadBytes> {
        let text: &[u8] = match value & 0xff {
            0 => b"null",
            1 => b"true",
            2 => b"false",
            other => {
                return Err(BadBytes::Invalid(format!(
                    "a JSON document has the unknown literal {other}"
                )));
            }
        };
        self.out.extend_from_slice(text);
        Ok(())
    }

    fn container(
        &mut self,
        is_object: bool,
        is_large: bool,
        body: &[u8],
        depth: usize,
    ) -> Result<(), BadBytes> {
        let width = if is_large { 4 } else { 2 };
        let mut head = Input::new(body);
        let count = head.uint(width, WHAT)? as usize;
        let bytes = head.uint(width, WHAT)? as usize;
        let Some(body) = body.get(..bytes) else {
            return Err(BadBytes::Short {
                what: WHAT,
                missing: bytes - body.len(),
            });
        };
        let key_bytes = if is_object { width + 2 } else { 0 };
        let mut keys = Input::new(body);
        keys.take(2 * width, WHAT)?;
        let mut values = keys;
        values.take(count.saturating_mul(key_bytes), WHAT)?;
        self.out.push(if is_object { b'{' } else { b'[' });
        for number in 0..count {
            if number > 0 {
                self.out.extend_from_slice(b", ");
            }
            if is_object {
                let offset = keys.uint(width, WHAT)? as usize;
                let length = usize::from(keys.u16(WHAT)?);
                let key = at(body, offset)?.get(..length).ok_or(BadBytes::Short {
                    what: WHAT,
                    missing: length,
                })?;
                write_json_string(self.out, &String::from_utf8_lossy(key));
                self.out.extend_from_slice(b": ");
            }
            let kind = values.u8(WHAT)?;
            let is_inlined = matches!(kind, 4..=6) || (is_large && matches!(kind, 7 | 8));
            let place = values.take(width, WHAT)?;
            if is_inlined {
                self.value(kind, place, depth + 1)?;
            } else {
                let offset = Input::new(place).uint(width, WHAT)? as usize;
                self.value(kind, at(body, offset)?, depth + 1)?;
            }
        }
        self.out.push(if is_object { b'}' } else { b']' });
        Ok(())
    }

    /// A value of a type that JSON does not have.
    fn opaque(&mut self, field_type: u8, bytes: &[u8]) -> Result<(), BadBytes> {
        let mut input = Input::new(bytes);
        match field_type {
            types::NEWDECIMAL => {
                let (precision, scale) = (input.u8(WHAT)?, input.u8(WHAT)?);
                write_decimal(self.out, &mut input, precision, scale)
            }
            types::DATE | types::DATETIME | types::TIMESTAMP => {
                let packed = input.u64(WHAT)?;
                self.out.push(b'"');
                write_json_datetime(self.out, packed, field_type == types::DATE);
                self.out.push(b'"');
                Ok(())
            }
            types::TIME => {
                let packed = input.u64(WHAT)? as i64;
                self.out.push(b'"');
                write_json_time(self.out, packed);
                self.out.push(b'"');
                Ok(())
            }
            other => {
                // As the server writes it.
                let _ = write!(self.out, "\"base64:type{other}:");
                write_base64(self.out, bytes);
                self.out.push(b'"');
                Ok(())
            }
        }
    }
}

fn at(body: &[u8], offset: usize) -> Result<&[u8], BadBytes> {
    body.get(offset..).ok_or(BadBytes::Short {
        what: WHAT,
        missing: offset - body.len(),
    })
}

/// Seven bits a byte, the lowest first; the eighth says that more follow.
fn variable_length(input: &mut Input<'_>) -> Result<usize, BadBytes> {
    let mut length = 0_usize;
    for number in 0..5 {
        let byte = input.u8(WHAT)?;
        length |= usize::from(byte & 0x7f) << (7 * number);
        if byte & 0x80 == 0 {
            return Ok(length);
        }
    }
    Err(BadBytes::invalid("a length in a JSON document is too long"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(bytes: &[u8]) -> Result<String, BadBytes> {
        let mut out = Vec::new();
        write_json_binary(&mut out, bytes)?;
        Ok(String::from_utf8(out).unwrap())
    }

    /// `{"a": "b", "n": [1, null]}`, laid out by the format's description.
    const DOCUMENT: &[u8] = &[
        0x00, 2, 0, 34, 0, // small object, two members, 34 bytes
        18, 0, 1, 0, 19, 0, 1, 0, // keys at 18 and 19
        12, 20, 0, 2, 22, 0, // a string at 20, an array at 22
        b'a', b'n', // keys
        1, b'b', // the string
        2, 0, 12, 0, 5, 1, 0, 4, 0, 0, 0, 0, // two elements, both inlined
    ];

    #[test]
    fn documents_become_text() {
        assert_eq!(text(DOCUMENT).unwrap(), r#"{"a": "b", "n": [1, null]}"#);
        assert_eq!(text(&[]).unwrap(), "null");
        assert_eq!(
            text(&[9, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]).unwrap(),
            "-1"
        );
        assert_eq!(text(&[11, 0, 0, 0, 0, 0, 0, 0xf0, 0x3f]).unwrap(), "1.0");
        assert_eq!(text(&[15, 246, 4, 3, 1, 0x80 | 12, 5]).unwrap(), "12.5");
    }

    #[test]
    fn damaged_documents_are_refused_and_never_grow() {
        for length in 1..DOCUMENT.len() - 2 {
            assert!(text(&DOCUMENT[..length]).is_err(), "{length}");
        }
        // An array whose elements are the array itself.
        let knot = [2, 2, 0, 10, 0, 2, 0, 0, 2, 0, 0];
        assert!(text(&knot).is_err());
        assert!(text(&[11, 0, 0, 0, 0, 0, 0, 0xf0, 0x7f]).is_err());
    }
}
