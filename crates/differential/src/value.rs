//! Plain values and their types, with the way to and from Arrow.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Date32Array, Decimal128Array, Float64Array, Int64Array,
    StringArray, TimestampMicrosecondArray,
};
use arrow::datatypes::{
    DataType, Date32Type, Decimal128Type, Float64Type, Int64Type, TimeUnit,
    TimestampMicrosecondType,
};

use crate::double::Double;

/// Type of a column or expression.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Type {
    /// BOOLEAN.
    Bool,
    /// BIGINT.
    Int,
    /// DECIMAL(precision, scale).
    Decimal(u8, i8),
    /// TEXT.
    Text,
    /// DATE.
    Date,
    /// TIMESTAMP in microseconds, without a zone.
    Timestamp,
    /// DOUBLE.
    Float,
}

impl Type {
    /// The Arrow type.
    pub fn arrow(self) -> DataType {
        match self {
            Self::Bool => DataType::Boolean,
            Self::Int => DataType::Int64,
            Self::Decimal(precision, scale) => DataType::Decimal128(precision, scale),
            Self::Text => DataType::Utf8,
            Self::Date => DataType::Date32,
            Self::Timestamp => DataType::Timestamp(TimeUnit::Microsecond, None),
            Self::Float => DataType::Float64,
        }
    }
}

/// A value of any type. The order is that of SQL within one type.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Value {
    /// NULL of any type.
    Null,
    /// A truth value.
    Bool(bool),
    /// A BIGINT.
    Int(i64),
    /// A decimal as the number of its smallest units; the scale is the type's.
    Decimal(i128),
    /// A text.
    Text(String),
    /// Days since 1970-01-01.
    Date(i32),
    /// Microseconds since 1970-01-01.
    Timestamp(i64),
    /// A DOUBLE.
    Float(Double),
}

impl Value {
    /// True for NULL.
    pub fn is_null(&self) -> bool {
        *self == Self::Null
    }

    /// The value as a table holds it: there is one zero and one NaN.
    pub fn canonical(&self) -> Self {
        match self {
            Self::Float(double) => Self::Float(double.canonical()),
            other => other.clone(),
        }
    }
}

/// One row.
pub type Row = Vec<Value>;

/// An Arrow array of `values`, all of the type `data_type`.
///
/// # Errors
/// When the type cannot stand in a table.
pub fn to_array(data_type: Type, values: &[&Value]) -> Result<ArrayRef, String> {
    let values = values.iter().copied();
    Ok(match data_type {
        Type::Bool => Arc::new(BooleanArray::from_iter(values.map(|value| match value {
            Value::Bool(value) => Some(*value),
            _ => None,
        }))),
        Type::Int => Arc::new(Int64Array::from_iter(values.map(|value| match value {
            Value::Int(value) => Some(*value),
            _ => None,
        }))),
        Type::Decimal(precision, scale) => {
            let decimals = Decimal128Array::from_iter(values.map(|value| match value {
                Value::Decimal(value) => Some(*value),
                _ => None,
            }));
            let decimals = decimals.with_precision_and_scale(precision, scale);
            Arc::new(decimals.map_err(|error| error.to_string())?)
        }
        Type::Text => Arc::new(StringArray::from_iter(values.map(|value| match value {
            Value::Text(value) => Some(value),
            _ => None,
        }))),
        Type::Date => Arc::new(Date32Array::from_iter(values.map(|value| match value {
            Value::Date(value) => Some(*value),
            _ => None,
        }))),
        Type::Timestamp => {
            Arc::new(TimestampMicrosecondArray::from_iter(values.map(
                |value| match value {
                    Value::Timestamp(value) => Some(*value),
                    _ => None,
                },
            )))
        }
        Type::Float => Arc::new(Float64Array::from_iter(values.map(|value| match value {
            Value::Float(value) => Some(value.number()),
            _ => None,
        }))),
    })
}

/// The value at `row` of an Arrow array.
///
/// # Errors
/// When the array is not of the type `data_type`.
pub fn from_array(data_type: Type, array: &dyn Array, row: usize) -> Result<Value, String> {
    if *array.data_type() != data_type.arrow() {
        let found = array.data_type();
        return Err(format!("a column has the type {found}, not {data_type:?}"));
    }
    if array.is_null(row) {
        return Ok(Value::Null);
    }
    Ok(match data_type {
        Type::Bool => Value::Bool(array.as_boolean().value(row)),
        Type::Int => Value::Int(array.as_primitive::<Int64Type>().value(row)),
        Type::Decimal(..) => Value::Decimal(array.as_primitive::<Decimal128Type>().value(row)),
        Type::Text => Value::Text(array.as_string::<i32>().value(row).to_owned()),
        Type::Date => Value::Date(array.as_primitive::<Date32Type>().value(row)),
        Type::Timestamp => {
            Value::Timestamp(array.as_primitive::<TimestampMicrosecondType>().value(row))
        }
        Type::Float => {
            let number = array.as_primitive::<Float64Type>().value(row);
            Value::Float(Double::new(number))
        }
    })
}
