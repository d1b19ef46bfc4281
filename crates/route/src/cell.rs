//! One value of a row, typed and checked; and columns of them.

use std::borrow::Cow;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanBuilder, Date32Builder, Decimal128Builder, Float64Builder, Int32Builder,
    Int64Builder, StringBuilder, TimestampMicrosecondBuilder,
};
use arrow::datatypes::DataType;
use sluice_core::{CodecError, Reader, Writer};

use crate::definition::Column;
use crate::fields::Fields;
use crate::source_text::Policy;
use crate::time::parse_date;

/// A typed value.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Cell<'a> {
    Null,
    Boolean(bool),
    Integer(i64),
    Float(f64),
    Decimal(i128),
    Text(Cow<'a, str>),
}

impl Cell<'_> {
    /// The value without the record that it came from.
    pub(crate) fn into_owned(self) -> Cell<'static> {
        match self {
            Self::Null => Cell::Null,
            Self::Boolean(value) => Cell::Boolean(value),
            Self::Integer(value) => Cell::Integer(value),
            Self::Float(value) => Cell::Float(value),
            Self::Decimal(value) => Cell::Decimal(value),
            Self::Text(value) => Cell::Text(Cow::Owned(value.into_owned())),
        }
    }

    /// Appends a form that differs for different values. Part of the format of
    /// the router's state, and of the keys that duplicates are known by.
    pub(crate) fn write(&self, writer: &mut Writer) {
        match self {
            Self::Null => writer.u8(0),
            Self::Boolean(value) => {
                writer.u8(1);
                writer.u8(u8::from(*value));
            }
            Self::Integer(value) => {
                writer.u8(2);
                writer.i64(*value);
            }
            Self::Float(value) => {
                writer.u8(3);
                writer.u64(value.to_bits());
            }
            Self::Decimal(value) => {
                writer.u8(4);
                writer.i128(*value);
            }
            Self::Text(value) => {
                writer.u8(5);
                writer.str(value);
            }
        }
    }

    /// Reads what [`Cell::write`] wrote.
    pub(crate) fn read(reader: &mut Reader<'_>) -> Result<Cell<'static>, CodecError> {
        Ok(match reader.u8()? {
            0 => Cell::Null,
            1 => Cell::Boolean(reader.u8()? != 0),
            2 => Cell::Integer(reader.i64()?),
            3 => Cell::Float(f64::from_bits(reader.u64()?)),
            4 => Cell::Decimal(reader.i128()?),
            5 => Cell::Text(Cow::Owned(reader.str()?.to_owned())),
            other => return Err(CodecError::Invalid(format!("{other} is no kind of value"))),
        })
    }
}

/// Bytes that differ for different lists of cells.
pub(crate) fn key_bytes<'c, 'f: 'c>(cells: impl Iterator<Item = &'c Cell<'f>>) -> Vec<u8> {
    let mut writer = Writer::new();
    for cell in cells {
        cell.write(&mut writer);
    }
    writer.finish()
}

/// Why there is no value.
#[derive(Debug)]
pub(crate) enum Problem {
    /// Leave the row out.
    Drop,
    /// Take the last value of the key.
    Last,
    /// Write a dead letter.
    DeadLetter {
        reason: &'static str,
        detail: String,
    },
}

/// The value of `column` in a record.
#[inline]
pub(crate) fn read<'a>(column: &Column, fields: &Fields<'a>) -> Result<Cell<'a>, Problem> {
    match read_plainly(column, fields) {
        Some(cell) => Ok(cell),
        None => read_carefully(column, fields),
    }
}

/// The value, if it is one of the usual kind in its usual form, and nothing is
/// asked of it: the short way, on which most values go.
#[inline]
fn read_plainly<'a>(column: &Column, fields: &Fields<'a>) -> Option<Cell<'a>> {
    if !column.is_plain {
        return None;
    }
    let (text, is_text) = fields.plain(&column.from)?;
    if column.trim || column.empty_is_missing {
        // Nothing is to be cut off, and something is there.
        let is_graphic = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_graphic);
        if !is_graphic(text.as_bytes().first()) || !is_graphic(text.as_bytes().last()) {
            return None;
        }
    }
    Some(match &column.data_type {
        // The digits of an exponent would have to be written out.
        DataType::Utf8 if is_text => Cell::Text(Cow::Borrowed(text)),
        DataType::Int64 => Cell::Integer(short_integer(text)?),
        DataType::Int32 => {
            let value = short_integer(text)?;
            i32::try_from(value).ok()?;
            Cell::Integer(value)
        }
        DataType::Decimal128(precision, scale) => {
            Cell::Decimal(short_decimal(text, *precision, *scale)?)
        }
        DataType::Timestamp(_, _) => Cell::Integer(match column.time.unit_us() {
            Some(unit_us) => short_integer(text)?.checked_mul(unit_us)?,
            None => column.time.parse(text)?,
        }),
        DataType::Date32 => Cell::Integer(i64::from(parse_date(text)?)),
        _ => return None,
    })
}

/// A number of at most 18 digits, and nothing but digits.
#[inline]
fn short_integer(text: &str) -> Option<i64> {
    let (digits, is_negative) = match text.as_bytes() {
        [b'-', digits @ ..] => (digits, true),
        digits => (digits, false),
    };
    if digits.is_empty() || digits.len() > 18 {
        return None;
    }
    let mut value = 0;
    for &byte in digits {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        value = value * 10 + i64::from(digit);
    }
    Some(if is_negative { -value } else { value })
}

fn read_carefully<'a>(column: &Column, fields: &Fields<'a>) -> Result<Cell<'a>, Problem> {
    let mut text = fields.text(&column.from);
    if column.trim
        && let Some(found) = &mut text
    {
        *found = match found {
            Cow::Borrowed(borrowed) => Cow::Borrowed(borrowed.trim()),
            Cow::Owned(owned) => Cow::Owned(owned.trim().to_owned()),
        };
    }
    let text = text.filter(|found| !(column.empty_is_missing && found.is_empty()));
    let Some(text) = text else {
        return settle(column, &column.missing, || Problem::DeadLetter {
            reason: "missing_value",
            detail: format!("`{}` is missing or empty", column.from.name),
        });
    };
    let Some(cell) = parse(column, text.clone()) else {
        return settle(column, &column.wrong, || Problem::DeadLetter {
            reason: "wrong_type",
            detail: format!("`{}` is no {}", shortened(&text), column.data_type),
        });
    };
    if let Some(problem) = check(column, &cell, &text) {
        return settle(column, &column.wrong, || problem);
    }
    Ok(cell)
}

fn settle<'a>(
    column: &Column,
    policy: &Policy,
    dead_letter: impl FnOnce() -> Problem,
) -> Result<Cell<'a>, Problem> {
    match policy {
        Policy::DeadLetter => Err(dead_letter()),
        Policy::Drop => Err(Problem::Drop),
        Policy::Null => Ok(Cell::Null),
        Policy::Last => Err(Problem::Last),
        Policy::Constant(constant) => {
            parse(column, Cow::Owned(constant.clone())).ok_or_else(dead_letter)
        }
    }
}

fn parse<'a>(column: &Column, text: Cow<'a, str>) -> Option<Cell<'a>> {
    Some(match &column.data_type {
        DataType::Utf8 => Cell::Text(text),
        DataType::Boolean => Cell::Boolean(match text.as_ref() {
            "true" | "1" | "t" | "yes" => true,
            "false" | "0" | "f" | "no" => false,
            _ => return None,
        }),
        DataType::Int64 => Cell::Integer(parse_integer(&text)?),
        DataType::Int32 => {
            let value = parse_integer(&text)?;
            i32::try_from(value).ok()?;
            Cell::Integer(value)
        }
        DataType::Float64 => Cell::Float(text.parse().ok()?),
        DataType::Decimal128(precision, scale) => {
            Cell::Decimal(parse_decimal(&text, *precision, *scale)?)
        }
        DataType::Timestamp(_, _) => Cell::Integer(column.time.parse(&text)?),
        DataType::Date32 => Cell::Integer(i64::from(parse_date(&text)?)),
        _ => return None,
    })
}

/// An integer; a fraction of zeros, as spreadsheets write it, is accepted.
fn parse_integer(text: &str) -> Option<i64> {
    if let Ok(value) = text.parse() {
        return Some(value);
    }
    let (whole, fraction) = text.split_once('.')?;
    let only_zeros = fraction.bytes().all(|byte| byte == b'0');
    (only_zeros && !fraction.is_empty()).then(|| whole.parse().ok())?
}

/// An exact decimal. Digits beyond the scale must be zeros: money is never
/// rounded on the way in.
pub(crate) fn parse_decimal(text: &str, precision: u8, scale: i8) -> Option<i128> {
    if let Some(value) = short_decimal(text, precision, scale) {
        return Some(value);
    }
    let (negative, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    if whole.is_empty() && fraction.is_empty() {
        return None;
    }
    let scale = usize::try_from(scale).ok()?;
    let mut value: i128 = 0;
    let fraction = fraction.bytes().chain(std::iter::repeat(b'0'));
    let kept_digits = whole.bytes().chain(fraction.take(scale));
    for byte in kept_digits {
        if !byte.is_ascii_digit() {
            return None;
        }
        value = value
            .checked_mul(10)?
            .checked_add(i128::from(byte - b'0'))?;
    }
    let rest = digits.split_once('.').map_or("", |(_, fraction)| fraction);
    if rest.bytes().skip(scale).any(|byte| byte != b'0') {
        return None;
    }
    if value >= 10_i128.checked_pow(u32::from(precision))? {
        return None;
    }
    Some(if negative { -value } else { value })
}

/// A decimal of at most 18 digits with at most as many behind the point as the
/// scale has.
fn short_decimal(text: &str, precision: u8, scale: i8) -> Option<i128> {
    const POWERS: [u64; 19] = {
        let mut powers = [1; 19];
        let mut power = 1;
        while power < 19 {
            powers[power] = powers[power - 1] * 10;
            power += 1;
        }
        powers
    };
    let (digits, is_negative) = match text.as_bytes() {
        [b'-', digits @ ..] => (digits, true),
        digits => (digits, false),
    };
    if digits.len() > 18 {
        return None;
    }
    let mut value: u64 = 0;
    let mut point = None;
    for (index, &byte) in digits.iter().enumerate() {
        let digit = byte.wrapping_sub(b'0');
        if digit <= 9 {
            value = value * 10 + u64::from(digit);
        } else if byte == b'.' && point.is_none() {
            point = Some(index);
        } else {
            return None;
        }
    }
    if digits.len() == usize::from(point.is_some()) {
        return None;
    }
    let fraction = point.map_or(0, |point| digits.len() - point - 1);
    let missing = usize::try_from(scale).ok()?.checked_sub(fraction)?;
    let value = i128::from(value) * i128::from(*POWERS.get(missing)?);
    if value >= 10_i128.checked_pow(u32::from(precision))? {
        return None;
    }
    Some(if is_negative { -value } else { value })
}

fn check(column: &Column, cell: &Cell<'_>, text: &str) -> Option<Problem> {
    let number = match cell {
        Cell::Integer(value) => Some(*value as f64),
        Cell::Float(value) => Some(*value),
        Cell::Decimal(_) if column.min.is_some() || column.max.is_some() => text.parse().ok(),
        _ => None,
    };
    if let Some(number) = number {
        let too_small = column.min.is_some_and(|limit| number < limit);
        let too_large = column.max.is_some_and(|limit| number > limit);
        if too_small || too_large {
            return Some(Problem::DeadLetter {
                reason: "out_of_range",
                detail: format!(
                    "{} is outside the range of `{}`",
                    shortened(text),
                    column.name
                ),
            });
        }
    }
    let list = column.one_of.as_ref()?;
    (!list.contains(text)).then(|| Problem::DeadLetter {
        reason: "not_in_list",
        detail: format!(
            "`{}` is not in the list of `{}`",
            shortened(text),
            column.name
        ),
    })
}

/// A value as messages show it.
fn shortened(text: &str) -> String {
    text.chars().take(100).collect()
}

/// A column that is being filled.
#[derive(Debug)]
pub(crate) enum ColumnBuilder {
    Boolean(BooleanBuilder),
    Int32(Int32Builder),
    Int64(Int64Builder),
    Float64(Float64Builder),
    Decimal(Decimal128Builder, DataType),
    Text(StringBuilder),
    Timestamp(TimestampMicrosecondBuilder, DataType),
    Date(Date32Builder),
}

impl ColumnBuilder {
    pub(crate) fn new(data_type: &DataType) -> Self {
        match data_type {
            DataType::Boolean => Self::Boolean(BooleanBuilder::new()),
            DataType::Int32 => Self::Int32(Int32Builder::new()),
            DataType::Int64 => Self::Int64(Int64Builder::new()),
            DataType::Float64 => Self::Float64(Float64Builder::new()),
            DataType::Decimal128(_, _) => {
                Self::Decimal(Decimal128Builder::new(), data_type.clone())
            }
            DataType::Timestamp(_, _) => {
                Self::Timestamp(TimestampMicrosecondBuilder::new(), data_type.clone())
            }
            DataType::Date32 => Self::Date(Date32Builder::new()),
            _ => Self::Text(StringBuilder::new()),
        }
    }

    /// Appends a value of the column's type; anything else becomes null.
    pub(crate) fn push(&mut self, cell: &Cell<'_>) {
        match (self, cell) {
            (Self::Boolean(builder), Cell::Boolean(value)) => builder.append_value(*value),
            (Self::Boolean(builder), _) => builder.append_null(),
            (Self::Int32(builder), Cell::Integer(value)) => {
                builder.append_option(i32::try_from(*value).ok());
            }
            (Self::Int32(builder), _) => builder.append_null(),
            (Self::Int64(builder), Cell::Integer(value)) => builder.append_value(*value),
            (Self::Int64(builder), _) => builder.append_null(),
            (Self::Float64(builder), Cell::Float(value)) => builder.append_value(*value),
            (Self::Float64(builder), _) => builder.append_null(),
            (Self::Decimal(builder, _), Cell::Decimal(value)) => builder.append_value(*value),
            (Self::Decimal(builder, _), _) => builder.append_null(),
            (Self::Text(builder), Cell::Text(value)) => builder.append_value(value),
            (Self::Text(builder), _) => builder.append_null(),
            (Self::Timestamp(builder, _), Cell::Integer(value)) => builder.append_value(*value),
            (Self::Timestamp(builder, _), _) => builder.append_null(),
            (Self::Date(builder), Cell::Integer(value)) => {
                builder.append_option(i32::try_from(*value).ok());
            }
            (Self::Date(builder), _) => builder.append_null(),
        }
    }

    pub(crate) fn finish(self) -> ArrayRef {
        match self {
            Self::Boolean(mut builder) => Arc::new(builder.finish()),
            Self::Int32(mut builder) => Arc::new(builder.finish()),
            Self::Int64(mut builder) => Arc::new(builder.finish()),
            Self::Float64(mut builder) => Arc::new(builder.finish()),
            Self::Decimal(mut builder, data_type) => {
                Arc::new(builder.finish().with_data_type(data_type))
            }
            Self::Text(mut builder) => Arc::new(builder.finish()),
            Self::Timestamp(mut builder, data_type) => {
                Arc::new(builder.finish().with_data_type(data_type))
            }
            Self::Date(mut builder) => Arc::new(builder.finish()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_exactly_or_not_at_all() {
        assert_eq!(parse_decimal("2.55", 18, 3), Some(2_550));
        assert_eq!(parse_decimal("-0.001", 18, 3), Some(-1));
        assert_eq!(parse_decimal("1.0000", 18, 2), Some(100));
        assert_eq!(parse_decimal("+7", 4, 2), Some(700));
        for wrong in ["", ".", "-", "1.001", "1e3", "100", "--1", "1.2.3", "½"] {
            assert_eq!(parse_decimal(wrong, 4, 2), None, "{wrong}");
        }
        assert_eq!(parse_decimal(&"9".repeat(60), 38, 0), None);
        assert_eq!(parse_integer("17850.0"), Some(17_850));
        assert_eq!(parse_integer("17850.5"), None);
        assert_eq!(parse_integer("17850."), None);
    }
}
