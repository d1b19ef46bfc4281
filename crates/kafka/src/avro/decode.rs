//! A value in Avro's binary form as JSON.

use std::fmt::Write as _;

use super::number::{DECIMAL_BYTES_MAX, date, decimal, moment, time};
use super::schema::{BytesMeaning, Meaning, Node, Schema};
use crate::base64::base64;
use crate::record::quoted;

/// Values inside each other.
const DEPTH_MAX: usize = 64;
/// Bytes of the JSON text.
const TEXT_BYTES_MAX: usize = 64 << 20;

/// Bytes are no value of a schema.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("byte {position}: {problem}")]
pub struct BadValue {
    /// Where reading ended.
    pub position: usize,
    /// What is wrong.
    pub problem: String,
}

/// Writes the value in `bytes` as JSON.
///
/// # Errors
/// Where and why the bytes are no value of the schema.
pub fn to_json(schema: &Schema, bytes: &[u8]) -> Result<String, BadValue> {
    let mut reader = Reader {
        schema,
        bytes,
        position: 0,
        out: String::with_capacity(bytes.len() * 2),
    };
    let read = reader.value(schema.root, 0);
    let read = read.and_then(|()| match bytes.len() - reader.position {
        0 => Ok(()),
        left => Err(format!("{left} bytes are left over")),
    });
    match read {
        Ok(()) => Ok(reader.out),
        Err(problem) => Err(BadValue {
            position: reader.position,
            problem,
        }),
    }
}

struct Reader<'a> {
    schema: &'a Schema,
    bytes: &'a [u8],
    position: usize,
    out: String,
}

impl<'a> Reader<'a> {
    fn take(&mut self, length: usize) -> Result<&'a [u8], String> {
        let rest = &self.bytes[self.position..];
        let taken = rest.get(..length);
        let taken =
            taken.ok_or_else(|| format!("{length} bytes are wanted, {} left", rest.len()))?;
        self.position += length;
        Ok(taken)
    }

    /// A whole number in zigzag form, 10 bytes at most.
    fn long(&mut self) -> Result<i64, String> {
        let mut value: u64 = 0;
        for place in 0..10 {
            let byte = self.take(1)?[0];
            let bits = u64::from(byte & 0x7f);
            if place == 9 && bits > 1 {
                break;
            }
            value |= bits << (7 * place);
            if byte & 0x80 == 0 {
                return Ok((value >> 1) as i64 ^ -((value & 1) as i64));
            }
        }
        Err("a number is longer than 64 bits".to_owned())
    }

    fn length(&mut self) -> Result<usize, String> {
        let length = self.long()?;
        usize::try_from(length).map_err(|_| format!("{length} is no length"))
    }

    fn text(&mut self) -> Result<&'a str, String> {
        let length = self.length()?;
        let bytes = self.take(length)?;
        std::str::from_utf8(bytes).map_err(|_| "a text is not UTF-8".to_owned())
    }

    fn quote(&mut self, text: Option<String>) -> Result<(), String> {
        let text = text.ok_or("a time is beyond the years 0 to 9999, or a day")?;
        self.out.push('"');
        self.out.push_str(&text);
        self.out.push('"');
        Ok(())
    }

    fn whole(&mut self, value: i64, meaning: Meaning) -> Result<(), String> {
        match meaning {
            Meaning::Number => {
                // Writing to a text does not fail.
                let _ = write!(self.out, "{value}");
                Ok(())
            }
            Meaning::Date => self.quote(date(value)),
            Meaning::Time(parts) => self.quote(time(value, parts)),
            Meaning::Timestamp(parts) => {
                let moment = moment(value, parts, 'T');
                self.quote(moment.map(|moment| moment + "Z"))
            }
            Meaning::LocalTimestamp(parts) => self.quote(moment(value, parts, ' ')),
        }
    }

    fn float(&mut self, value: f64, shortest: String) {
        match value.is_finite() {
            true => self.out.push_str(&shortest),
            false if value.is_nan() => self.out.push_str("\"NaN\""),
            false if value > 0.0 => self.out.push_str("\"Infinity\""),
            false => self.out.push_str("\"-Infinity\""),
        }
    }

    fn bytes_value(&mut self, bytes: &[u8], meaning: BytesMeaning) -> Result<(), String> {
        match meaning {
            BytesMeaning::Bytes => {
                let text = base64(bytes);
                self.quote(Some(text))
            }
            BytesMeaning::Decimal(scale) => {
                if bytes.len() > DECIMAL_BYTES_MAX {
                    return Err(format!("a decimal has {} bytes", bytes.len()));
                }
                decimal(&mut self.out, bytes, scale);
                Ok(())
            }
            BytesMeaning::Uuid => {
                let mut text = String::with_capacity(36);
                for (number, byte) in bytes.iter().enumerate() {
                    if matches!(number, 4 | 6 | 8 | 10) {
                        text.push('-');
                    }
                    let _ = write!(text, "{byte:02x}");
                }
                self.quote(Some(text))
            }
            BytesMeaning::Duration => {
                let part = |number: usize| {
                    let bytes = bytes.get(4 * number..4 * number + 4);
                    let bytes = bytes.and_then(|bytes| bytes.try_into().ok());
                    u32::from_le_bytes(bytes.unwrap_or_default())
                };
                let _ = write!(
                    self.out,
                    "{{\"months\":{},\"days\":{},\"milliseconds\":{}}}",
                    part(0),
                    part(1),
                    part(2)
                );
                Ok(())
            }
        }
    }

    fn value(&mut self, node: usize, depth: usize) -> Result<(), String> {
        if depth > DEPTH_MAX {
            return Err(format!(
                "more than {DEPTH_MAX} values are inside each other"
            ));
        }
        // Items may take no bytes at all, but their text always does.
        if self.out.len() > TEXT_BYTES_MAX {
            return Err(format!("its text has more than {TEXT_BYTES_MAX} bytes"));
        }
        let schema = self.schema;
        match &schema.nodes[node] {
            Node::Open => return Err("its schema is not complete".to_owned()),
            Node::Null => self.out.push_str("null"),
            Node::Boolean => match self.take(1)?[0] {
                0 => self.out.push_str("false"),
                1 => self.out.push_str("true"),
                other => return Err(format!("{other} is no boolean")),
            },
            Node::Int(meaning) => {
                let value = self.long()?;
                i32::try_from(value).map_err(|_| format!("{value} is no int"))?;
                self.whole(value, *meaning)?;
            }
            Node::Long(meaning) => {
                let value = self.long()?;
                self.whole(value, *meaning)?;
            }
            Node::Float => {
                let bytes = self.take(4)?.try_into().unwrap_or_default();
                let value = f32::from_le_bytes(bytes);
                let shortest = serde_json::to_string(&value).unwrap_or_default();
                self.float(f64::from(value), shortest);
            }
            Node::Double => {
                let bytes = self.take(8)?.try_into().unwrap_or_default();
                let value = f64::from_le_bytes(bytes);
                let shortest = serde_json::to_string(&value).unwrap_or_default();
                self.float(value, shortest);
            }
            Node::Bytes(meaning) => {
                let length = self.length()?;
                let bytes = self.take(length)?;
                self.bytes_value(bytes, *meaning)?;
            }
            Node::Fixed(size, meaning) => {
                let bytes = self.take(*size)?;
                self.bytes_value(bytes, *meaning)?;
            }
            Node::String => {
                let text = self.text()?;
                self.out.push_str(&quoted(text));
            }
            Node::Enum(symbols) => {
                let number = self.length()?;
                let symbol = symbols.get(number);
                let symbol = symbol.ok_or_else(|| format!("an enum has no symbol {number}"))?;
                self.out.push_str(symbol);
            }
            Node::Union(branches) => {
                let number = self.length()?;
                let branch = branches.get(number);
                let branch = branch.ok_or_else(|| format!("a union has no branch {number}"))?;
                self.value(*branch, depth + 1)?;
            }
            Node::Record(fields) => {
                self.out.push('{');
                for (number, (name, kind)) in fields.iter().enumerate() {
                    if number > 0 {
                        self.out.push(',');
                    }
                    self.out.push_str(name);
                    self.out.push(':');
                    self.value(*kind, depth + 1)?;
                }
                self.out.push('}');
            }
            Node::Array(items) => {
                self.blocks('[', ']', |reader| reader.value(*items, depth + 1))?
            }
            Node::Map(values) => self.blocks('{', '}', |reader| {
                let key = reader.text()?;
                reader.out.push_str(&quoted(key));
                reader.out.push(':');
                reader.value(*values, depth + 1)
            })?,
        }
        Ok(())
    }

    /// Items in blocks, each with its count before it, up to one of none.
    fn blocks(
        &mut self,
        open: char,
        close: char,
        mut item: impl FnMut(&mut Self) -> Result<(), String>,
    ) -> Result<(), String> {
        self.out.push(open);
        let mut is_first = true;
        loop {
            let count = self.long()?;
            if count == 0 {
                break;
            }
            if count < 0 {
                // Its bytes follow, for readers that pass it over.
                self.long()?;
            }
            for _ in 0..count.unsigned_abs() {
                if !is_first {
                    self.out.push(',');
                }
                is_first = false;
                item(self)?;
            }
        }
        self.out.push(close);
        Ok(())
    }
}
