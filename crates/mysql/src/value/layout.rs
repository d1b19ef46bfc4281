//! How one column of a table is read, put together from the table map and from
//! what else is known of the table.

use std::io::{Read as _, Write as _};

use super::charset::Charset;
use super::column_type as types;
use super::decimal::write_decimal;
use super::json_binary::write_json_binary;
use super::temporal::{
    write_date, write_datetime, write_datetime2, write_time, write_time2, write_timestamp,
    write_timestamp2,
};
use super::text::{write_base64, write_json_string};
use crate::binlog::table_map::{ColumnMetadata, WireType};
use crate::input::{BadBytes, Input};
use crate::schema::ColumnSchema;

/// Greatest length of a compressed value when it is spread out.
const VALUE_BYTES_MAX: u64 = 1 << 30;

/// How the bytes of a column become a value.
#[derive(Debug, Clone)]
enum Kind {
    Integer {
        bytes: usize,
        unsigned: bool,
    },
    Float,
    Double,
    Decimal {
        precision: u8,
        scale: u8,
    },
    Year,
    Date,
    Time,
    Time2(u8),
    DateTime,
    DateTime2(u8),
    Timestamp,
    Timestamp2(u8),
    Bit {
        bytes: usize,
    },
    Enumeration {
        bytes: usize,
        values: Vec<Vec<u8>>,
    },
    Set {
        bytes: usize,
        values: Vec<String>,
    },
    Text {
        length_bytes: usize,
        form: TextForm,
        is_compressed: bool,
    },
    Json {
        length_bytes: usize,
    },
    Geometry {
        length_bytes: usize,
    },
}

/// What a text or a string of bytes is.
#[derive(Debug, Clone)]
enum TextForm {
    Text(Charset),
    /// Bytes; those of a fixed length lack their zeros at the end.
    Binary {
        length: usize,
    },
    /// JSON that is stored as text.
    Json,
    Uuid,
    Inet6,
    Inet4,
}

/// See the module.
#[derive(Debug, Clone)]
pub struct ColumnLayout {
    /// The column's name.
    pub name: String,
    /// The name as a member of a JSON object, with the colon.
    pub(crate) json_name: Vec<u8>,
    kind: Kind,
}

fn json_text(text: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len() + 2);
    write_json_string(&mut out, text);
    out
}

impl ColumnLayout {
    /// The layout of a column. What the log says itself counts more than what
    /// is known of the table.
    ///
    /// # Errors
    /// When something is missing that the values depend on, or is unknown.
    pub fn new(
        wire: WireType,
        metadata: &ColumnMetadata,
        schema: Option<&ColumnSchema>,
    ) -> Result<Self, BadBytes> {
        let name = metadata
            .name
            .clone()
            .or_else(|| schema.map(|s| s.name.clone()));
        let Some(name) = name else {
            return Err(BadBytes::invalid("a column's name is not known"));
        };
        let mut json_name = json_text(&name);
        json_name.push(b':');
        let unsigned = metadata.unsigned.or(schema.map(|schema| schema.unsigned));
        let type_name = schema.map_or("", |schema| schema.type_name.as_str());
        let charset_name = metadata
            .charset
            .or(schema.and_then(|schema| schema.charset.as_deref()));
        let charset = || match (charset_name, metadata.unknown_collation) {
            (None, Some(collation)) => Err(BadBytes::Invalid(format!(
                "column `{name}` has the unknown collation number {collation}: give it one of \
                 another character set"
            ))),
            (None, None) => Ok(Charset::Utf8),
            (Some(set), _) => Charset::of_name(set).ok_or_else(|| {
                BadBytes::Invalid(format!(
                    "column `{name}` has the unknown character set {set}: give it another one"
                ))
            }),
        };
        let text = |length_bytes, is_compressed, fixed: usize| {
            let form = match type_name {
                "uuid" => TextForm::Uuid,
                "inet6" => TextForm::Inet6,
                "inet4" => TextForm::Inet4,
                "json" => TextForm::Json,
                _ => match charset()? {
                    Charset::Binary => TextForm::Binary { length: fixed },
                    other => TextForm::Text(other),
                },
            };
            Ok::<_, BadBytes>(Kind::Text {
                length_bytes,
                form,
                is_compressed,
            })
        };
        let integer = |bytes| {
            unsigned
                .map(|unsigned| Kind::Integer { bytes, unsigned })
                .ok_or_else(|| {
                    BadBytes::Invalid(format!("whether column `{name}` is unsigned is not known"))
                })
        };
        let [low, high] = wire.meta.to_le_bytes();
        let of_blob = |length: u8| match length {
            1..=4 => Ok(usize::from(length)),
            other => Err(BadBytes::Invalid(format!(
                "the length of column `{name}` has {other} bytes"
            ))),
        };
        let kind = match wire.number {
            types::TINY => integer(1)?,
            types::SHORT => integer(2)?,
            types::INT24 => integer(3)?,
            types::LONG => integer(4)?,
            types::LONGLONG => integer(8)?,
            types::FLOAT => Kind::Float,
            types::DOUBLE => Kind::Double,
            types::NEWDECIMAL => Kind::Decimal {
                precision: high,
                scale: low,
            },
            types::YEAR => Kind::Year,
            types::DATE | types::NEWDATE => Kind::Date,
            types::TIME => Kind::Time,
            types::TIME2 => Kind::Time2(low),
            types::DATETIME => Kind::DateTime,
            types::DATETIME2 => Kind::DateTime2(low),
            types::TIMESTAMP => Kind::Timestamp,
            types::TIMESTAMP2 => Kind::Timestamp2(low),
            types::BIT => Kind::Bit {
                bytes: (usize::from(high) + usize::from(low > 0)).min(8),
            },
            types::ENUM | types::SET => {
                let values: Vec<String> = match (&metadata.values, schema) {
                    (Some(values), _) => {
                        let charset = charset()?;
                        values.iter().map(|value| charset.text(value)).collect()
                    }
                    (None, Some(schema)) if !schema.values.is_empty() => schema.values.clone(),
                    _ => {
                        return Err(BadBytes::Invalid(format!(
                            "the values of column `{name}` are not known"
                        )));
                    }
                };
                let bytes = usize::from(low).clamp(1, 8);
                match wire.number {
                    types::SET => Kind::Set { bytes, values },
                    _ => Kind::Enumeration {
                        bytes,
                        values: values.iter().map(|value| json_text(value)).collect(),
                    },
                }
            }
            types::VARCHAR | types::VAR_STRING => {
                text(if wire.meta > 255 { 2 } else { 1 }, false, 0)?
            }
            types::VARCHAR_COMPRESSED => text(if wire.meta > 255 { 2 } else { 1 }, true, 0)?,
            types::STRING => {
                let fixed = usize::from(wire.meta);
                text(if fixed > 255 { 2 } else { 1 }, false, fixed)?
            }
            types::BLOB_COMPRESSED => text(of_blob(low)?, true, 0)?,
            types::JSON => Kind::Json {
                length_bytes: of_blob(low)?,
            },
            types::GEOMETRY => Kind::Geometry {
                length_bytes: of_blob(low)?,
            },
            types::VECTOR => Kind::Text {
                length_bytes: of_blob(low)?,
                form: TextForm::Binary { length: 0 },
                is_compressed: false,
            },
            _ => text(of_blob(low)?, false, 0)?,
        };
        Ok(Self {
            name,
            json_name,
            kind,
        })
    }

    /// Reads one value and appends it as JSON.
    ///
    /// # Errors
    /// When the bytes are not what the type says.
    pub fn write(&self, out: &mut Vec<u8>, input: &mut Input<'_>) -> Result<(), BadBytes> {
        match &self.kind {
            Kind::Integer { bytes, unsigned } => {
                let value = input.uint(*bytes, "an integer")?;
                if *unsigned {
                    return number(out, value);
                }
                let shift = 64 - 8 * *bytes as u32;
                number(out, ((value << shift) as i64) >> shift)
            }
            Kind::Float => number(out, f32::from_bits(input.u32("a float")?)),
            Kind::Double => number(out, f64::from_bits(input.u64("a double")?)),
            Kind::Decimal { precision, scale } => write_decimal(out, input, *precision, *scale),
            Kind::Year => match input.u8("a year")? {
                0 => number(out, 0),
                year => number(out, 1_900 + u32::from(year)),
            },
            Kind::Bit { bytes } => number(out, input.uint_be(*bytes, "bits")?),
            Kind::Date => quoted(out, |out| write_date(out, input)),
            Kind::Time => quoted(out, |out| write_time(out, input)),
            Kind::Time2(digits) => quoted(out, |out| write_time2(out, input, *digits)),
            Kind::DateTime => quoted(out, |out| write_datetime(out, input)),
            Kind::DateTime2(digits) => quoted(out, |out| write_datetime2(out, input, *digits)),
            Kind::Timestamp => quoted(out, |out| write_timestamp(out, input)),
            Kind::Timestamp2(digits) => quoted(out, |out| write_timestamp2(out, input, *digits)),
            Kind::Enumeration { bytes, values } => {
                let index = input.uint(*bytes, "an enumeration")? as usize;
                match index.checked_sub(1) {
                    // What the server stores for a value that it did not know.
                    None => out.extend_from_slice(b"\"\""),
                    Some(index) => match values.get(index) {
                        Some(value) => out.extend_from_slice(value),
                        None => return Err(self.no_value(index + 1)),
                    },
                }
                Ok(())
            }
            Kind::Set { bytes, values } => {
                let bits = input.uint(*bytes, "a set")?;
                let mut text = String::new();
                for bit in (0..64).filter(|bit| bits >> bit & 1 == 1) {
                    let Some(value) = values.get(bit) else {
                        return Err(self.no_value(bit + 1));
                    };
                    if !text.is_empty() {
                        text.push(',');
                    }
                    text.push_str(value);
                }
                write_json_string(out, &text);
                Ok(())
            }
            Kind::Text {
                length_bytes,
                form,
                is_compressed,
            } => {
                let length = input.uint(*length_bytes, "the length of a text")?;
                let bytes = input.take(length as usize, "a text")?;
                if *is_compressed {
                    return form.write(out, &spread(bytes)?);
                }
                form.write(out, bytes)
            }
            Kind::Json { length_bytes } => {
                let length = input.uint(*length_bytes, "the length of a JSON document")?;
                write_json_binary(out, input.take(length as usize, "a JSON document")?)
            }
            Kind::Geometry { length_bytes } => {
                let length = input.uint(*length_bytes, "the length of a geometry")?;
                write_geometry(out, input.take(length as usize, "a geometry")?)
            }
        }
    }

    fn no_value(&self, number: usize) -> BadBytes {
        BadBytes::Invalid(format!(
            "column `{}` has its value number {number}, which is not known",
            self.name
        ))
    }
}

fn number(out: &mut Vec<u8>, value: impl std::fmt::Display) -> Result<(), BadBytes> {
    let start = out.len();
    // Writing to memory does not fail.
    let _ = write!(out, "{value}");
    // Infinite numbers and none have letters; the server cannot store them.
    if out[start..].iter().any(u8::is_ascii_alphabetic) {
        return Err(BadBytes::invalid("a number is infinite or none"));
    }
    Ok(())
}

fn quoted(
    out: &mut Vec<u8>,
    write: impl FnOnce(&mut Vec<u8>) -> Result<(), BadBytes>,
) -> Result<(), BadBytes> {
    out.push(b'"');
    write(out)?;
    out.push(b'"');
    Ok(())
}

/// Appends a geometry as the server stores it (a number of its reference
/// system, then well-known binary): `{"srid": 4326, "wkb": "…"}`, in base64.
///
/// # Errors
/// When it is too short.
pub fn write_geometry(out: &mut Vec<u8>, bytes: &[u8]) -> Result<(), BadBytes> {
    let mut input = Input::new(bytes);
    let srid = input.u32("a geometry")?;
    let _ = write!(out, "{{\"srid\": {srid}, \"wkb\": \"");
    write_base64(out, input.rest());
    out.extend_from_slice(b"\"}");
    Ok(())
}

impl TextForm {
    fn write(&self, out: &mut Vec<u8>, bytes: &[u8]) -> Result<(), BadBytes> {
        match self {
            Self::Text(Charset::Utf8) => write_json_string(out, &String::from_utf8_lossy(bytes)),
            Self::Text(charset) => write_json_string(out, &charset.text(bytes)),
            Self::Binary { length } => {
                let mut padded = bytes.to_vec();
                padded.resize(bytes.len().max(*length), 0);
                out.push(b'"');
                write_base64(out, &padded);
                out.push(b'"');
            }
            Self::Json => write_stored_json(out, bytes),
            Self::Uuid => write_uuid(out, &fixed(bytes)),
            Self::Inet6 => {
                let address = std::net::Ipv6Addr::from(fixed::<16>(bytes));
                let _ = write!(out, "\"{address}\"");
            }
            Self::Inet4 => {
                let address = std::net::Ipv4Addr::from(fixed::<4>(bytes));
                let _ = write!(out, "\"{address}\"");
            }
        }
        Ok(())
    }
}

/// Appends JSON that is stored as text, or a string if it is none.
pub(crate) fn write_stored_json(out: &mut Vec<u8>, bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    match serde_json::from_str::<serde::de::IgnoredAny>(&text) {
        // Records stand on one line.
        Ok(_) => out.extend(
            text.bytes()
                .map(|b| if b == b'\n' || b == b'\r' { b' ' } else { b }),
        ),
        Err(_) => write_json_string(out, &text),
    }
}

/// Bytes of a fixed length, which lack their zeros at the end.
fn fixed<const N: usize>(bytes: &[u8]) -> [u8; N] {
    let mut all = [0; N];
    let length = bytes.len().min(N);
    all[..length].copy_from_slice(&bytes[..length]);
    all
}

/// A UUID stands in the log in the order of its text.
fn write_uuid(out: &mut Vec<u8>, bytes: &[u8; 16]) {
    out.push(b'"');
    for (index, byte) in bytes.iter().enumerate() {
        if matches!(index, 4 | 6 | 8 | 10) {
            out.push(b'-');
        }
        let _ = write!(out, "{byte:02x}");
    }
    out.push(b'"');
}

/// A value that MariaDB compressed: nothing for an empty one; else a byte 0 and
/// the value as it is, or a byte that says how many bytes the length has, the
/// length and what zlib made.
fn spread(bytes: &[u8]) -> Result<Vec<u8>, BadBytes> {
    let Some((&head, rest)) = bytes.split_first() else {
        return Ok(Vec::new());
    };
    if head == 0 {
        return Ok(rest.to_vec());
    }
    if head >> 4 != 8 {
        return Err(BadBytes::Invalid(format!(
            "a value is compressed in the unknown way {head:#04x}"
        )));
    }
    let mut input = Input::new(rest);
    let length = input.uint_be(usize::from(head & 7), "a compressed value")?;
    let is_raw = head & 8 != 0;
    inflate(input.rest(), length, is_raw)
}

/// What zlib made of `length` bytes.
pub(crate) fn inflate(bytes: &[u8], length: u64, is_raw: bool) -> Result<Vec<u8>, BadBytes> {
    if length > VALUE_BYTES_MAX {
        return Err(BadBytes::Invalid(format!(
            "a compressed part says that it has {length} bytes, more than {VALUE_BYTES_MAX}"
        )));
    }
    // Memory grows with what is there, not with what the length says.
    let mut out = Vec::new();
    let read = match is_raw {
        true => flate2::read::DeflateDecoder::new(bytes)
            .take(length)
            .read_to_end(&mut out),
        false => flate2::read::ZlibDecoder::new(bytes)
            .take(length)
            .read_to_end(&mut out),
    };
    match read {
        Ok(read) if read as u64 == length => Ok(out),
        Ok(read) => Err(BadBytes::Invalid(format!(
            "a compressed part has {read} bytes instead of {length}"
        ))),
        Err(error) => Err(BadBytes::Invalid(format!(
            "a compressed part is damaged: {error}"
        ))),
    }
}
