//! Values in PostgreSQL's binary form, where the library writes them otherwise or not
//! at all: also what lists and records hold.
//!
//! Source of the forms: the `…_send` functions in `src/backend/utils/adt` of PostgreSQL.

use std::ops::Range;

use arrow::array::{Array, ArrayRef, AsArray, BinaryArray, StringArray};
use arrow::compute::cast;
use arrow::datatypes::{
    ArrowPrimitiveType, DataType, Date32Type, Float32Type, Float64Type, Int16Type, Int32Type,
    Int64Type, Time64MicrosecondType, TimeUnit, TimestampMicrosecondType,
};
use arrow::error::ArrowError;
use datafusion_postgres::pgwire::api::Type;

use super::column_types::type_of_values;
use super::lists::{Lists, is_list, leaf_of, without_dictionary};
use super::{interval_texts, json_texts, numerics};

/// The days from 1970 to 2000, where PostgreSQL begins to count.
const FIRST_DAY: i32 = 10_957;
/// The same in microseconds.
const FIRST_MOMENT_US: i64 = 946_684_800_000_000;
/// The length that says NULL.
const NULL_LENGTH: i32 = -1;

/// The bytes of a column's values; `None` for NULL.
///
/// # Errors
/// When a value has none.
pub(super) fn bytes(column: &ArrayRef) -> Result<BinaryArray, ArrowError> {
    Ok(match column.data_type() {
        DataType::Null => BinaryArray::new_null(column.len()),
        DataType::Boolean => {
            let values = column.as_boolean().iter();
            values.map(|value| Some([u8::from(value?)])).collect()
        }
        DataType::Int8 | DataType::Int16 | DataType::UInt8 => {
            numbers::<Int16Type, 2>(column, |value| Some(value.to_be_bytes()))?
        }
        DataType::Int32 | DataType::UInt16 => {
            numbers::<Int32Type, 4>(column, |value| Some(value.to_be_bytes()))?
        }
        DataType::Int64 | DataType::UInt32 => {
            numbers::<Int64Type, 8>(column, |value| Some(value.to_be_bytes()))?
        }
        DataType::UInt64 => numerics::bytes(&texts(column)?),
        DataType::Float16 | DataType::Float32 => {
            numbers::<Float32Type, 4>(column, |value| Some(value.to_be_bytes()))?
        }
        DataType::Float64 => numbers::<Float64Type, 8>(column, |value| Some(value.to_be_bytes()))?,
        DataType::Decimal32(_, _)
        | DataType::Decimal64(_, _)
        | DataType::Decimal128(_, _)
        | DataType::Decimal256(_, _) => numerics::bytes(&numerics::texts(column)),
        DataType::Date32 | DataType::Date64 => numbers::<Date32Type, 4>(column, |day| {
            Some(day.checked_sub(FIRST_DAY)?.to_be_bytes())
        })?,
        DataType::Time32(_) | DataType::Time64(_) => {
            numbers::<Time64MicrosecondType, 8>(column, |us| Some(us.to_be_bytes()))?
        }
        DataType::Timestamp(_, zone) => {
            let in_us = DataType::Timestamp(TimeUnit::Microsecond, zone.clone());
            let times = cast(column, &in_us)?;
            let times = times.as_primitive::<TimestampMicrosecondType>().iter();
            let bytes = times.map(|us| Some(us?.checked_sub(FIRST_MOMENT_US)?.to_be_bytes()));
            bytes.collect()
        }
        DataType::Interval(_) | DataType::Duration(_) => interval_texts::bytes(column)?,
        DataType::Binary
        | DataType::LargeBinary
        | DataType::BinaryView
        | DataType::FixedSizeBinary(_) => {
            let values = cast(column, &DataType::Binary)?;
            values.as_binary::<i32>().clone()
        }
        DataType::Struct(_) => records(column)?,
        DataType::Map(_, _) => of_texts(&json_texts::texts(column)?),
        data_type if is_list(data_type) => arrays(column)?,
        _ => match without_dictionary(column)? {
            Some(values) => bytes(&values)?,
            None => of_texts(&texts(column)?),
        },
    })
}

fn texts(column: &ArrayRef) -> Result<StringArray, ArrowError> {
    let texts = cast(column, &DataType::Utf8)?;
    Ok(texts.as_string::<i32>().clone())
}

fn of_texts(texts: &StringArray) -> BinaryArray {
    let texts = texts.iter();
    texts.map(|text| text.map(str::as_bytes)).collect()
}

/// Numbers of a type, each in so many bytes.
fn numbers<T: ArrowPrimitiveType, const N: usize>(
    column: &ArrayRef,
    bytes: impl Fn(T::Native) -> Option<[u8; N]>,
) -> Result<BinaryArray, ArrowError> {
    let values = cast(column, &T::DATA_TYPE)?;
    let values = values.as_primitive::<T>().iter();
    Ok(values.map(|value| bytes(value?)).collect())
}

/// The number by which PostgreSQL knows a type.
fn oid_of(data_type: &DataType) -> u32 {
    match type_of_values(data_type) {
        // Elements of no type are texts.
        None | Some(Type::UNKNOWN) => Type::TEXT.oid(),
        Some(known) => known.oid(),
    }
}

/// A value with its length before it.
fn push_value(values: &BinaryArray, row: usize, bytes: &mut Vec<u8>) {
    if values.is_null(row) {
        bytes.extend(NULL_LENGTH.to_be_bytes());
        return;
    }
    let value = values.value(row);
    bytes.extend((value.len() as i32).to_be_bytes());
    bytes.extend_from_slice(value);
}

/// Records: how many parts follow, and of each its type, its length and itself.
fn records(column: &ArrayRef) -> Result<BinaryArray, ArrowError> {
    let records = column.as_struct();
    let oids = records
        .fields()
        .iter()
        .map(|field| oid_of(field.data_type()));
    let oids: Vec<u32> = oids.collect();
    let parts = records.columns().iter().map(bytes);
    let parts = parts.collect::<Result<Vec<BinaryArray>, ArrowError>>()?;
    let rows = (0..records.len()).map(|row| {
        if records.is_null(row) {
            return None;
        }
        let mut bytes = (parts.len() as i32).to_be_bytes().to_vec();
        for (oid, part) in oids.iter().zip(&parts) {
            bytes.extend(oid.to_be_bytes());
            push_value(part, row, &mut bytes);
        }
        Some(bytes)
    });
    Ok(rows.collect())
}

/// What lists hold: lists, or values.
enum Elements {
    Lists(Lists, Box<Elements>),
    Values(BinaryArray),
}

impl Elements {
    fn of(values: &ArrayRef) -> Result<Self, ArrowError> {
        if !is_list(values.data_type()) {
            return bytes(values).map(Self::Values);
        }
        let lists = Lists::of(values);
        let inner = Self::of(&lists.values)?;
        Ok(Self::Lists(lists, Box::new(inner)))
    }

    /// Adds those at some places; tells whether one is NULL.
    fn push(&self, places: Range<usize>, bytes: &mut Vec<u8>) -> bool {
        let mut has_null = false;
        for place in places {
            match self {
                Self::Values(values) => {
                    has_null |= values.is_null(place);
                    push_value(values, place, bytes);
                }
                Self::Lists(lists, inner) => {
                    if let Some(Some(inner_places)) = lists.rows.get(place) {
                        has_null |= inner.push(inner_places.clone(), bytes);
                    }
                }
            }
        }
        has_null
    }
}

/// Arrays: the number of their dimensions, whether they hold a NULL, the type of their
/// elements, of each dimension its length and its first place, and the elements, each
/// with its length before it.
fn arrays(column: &ArrayRef) -> Result<BinaryArray, ArrowError> {
    let oid = oid_of(leaf_of(column.data_type()));
    let lists = Lists::of(column);
    let shapes = lists.shapes()?;
    let elements = Elements::of(&lists.values)?;
    let rows = lists.rows.into_iter().zip(shapes).map(|(places, shape)| {
        let (places, mut shape) = (places?, shape?);
        // An array without elements has no dimensions.
        if shape.contains(&0) {
            shape.clear();
        }
        let mut values = Vec::new();
        let has_null = !shape.is_empty() && elements.push(places, &mut values);
        let mut bytes = (shape.len() as i32).to_be_bytes().to_vec();
        bytes.extend(i32::from(has_null).to_be_bytes());
        bytes.extend(oid.to_be_bytes());
        for length in shape {
            bytes.extend((length as i32).to_be_bytes());
            bytes.extend(1_i32.to_be_bytes());
        }
        bytes.extend(values);
        Some(bytes)
    });
    Ok(rows.collect())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use arrow::array::{
        Decimal128Array, DurationSecondArray, Int64Array, ListArray, StructArray,
        TimestampMillisecondArray, UInt64Array,
    };
    use arrow::buffer::{OffsetBuffer, ScalarBuffer};
    use arrow::datatypes::{Field, Fields};

    fn words(numbers: &[i32]) -> Vec<u8> {
        numbers
            .iter()
            .flat_map(|number| number.to_be_bytes())
            .collect()
    }

    fn found(column: ArrayRef) -> Vec<Option<Vec<u8>>> {
        let bytes = bytes(&column).unwrap();
        bytes
            .iter()
            .map(|value| value.map(<[u8]>::to_vec))
            .collect()
    }

    #[test]
    fn numbers_and_times_are_big_endian() {
        let small: ArrayRef = Arc::new(Int64Array::from(vec![Some(7), None]));
        for (data_type, expected) in [
            (DataType::Int8, vec![0, 7]),
            (DataType::UInt16, vec![0, 0, 0, 7]),
            (DataType::UInt32, vec![0, 0, 0, 0, 0, 0, 0, 7]),
            (DataType::Float16, vec![0x40, 0xe0, 0, 0]),
            (DataType::Utf8View, b"7".to_vec()),
            (DataType::LargeBinary, b"7".to_vec()),
        ] {
            let column = match data_type {
                DataType::LargeBinary => cast(&cast(&small, &DataType::Utf8).unwrap(), &data_type),
                _ => cast(&small, &data_type),
            };
            assert_eq!(
                found(column.unwrap()),
                [Some(expected), None],
                "{data_type}"
            );
        }
        let days: ArrayRef = Arc::new(arrow::array::Date32Array::from(vec![10_958]));
        assert_eq!(found(days), [Some(words(&[1]))]);
        let moments = TimestampMillisecondArray::from(vec![946_684_800_001]);
        assert_eq!(found(Arc::new(moments)), [Some(words(&[0, 1_000]))]);
        let passed = DurationSecondArray::from(vec![Some(1), None]);
        let second = [words(&[0, 1_000_000]), words(&[0, 0])].concat();
        assert_eq!(found(Arc::new(passed)), [Some(second), None]);
        let wide = UInt64Array::from(vec![u64::MAX]);
        // 1844 6744 0737 0955 1615
        let digits: [u16; 9] = [5, 4, 0, 0, 1_844, 6_744, 737, 955, 1_615];
        let digits: Vec<u8> = digits
            .iter()
            .flat_map(|digit| digit.to_be_bytes())
            .collect();
        assert_eq!(found(Arc::new(wide)), [Some(digits)]);
    }

    #[test]
    fn arrays_have_dimensions() {
        let item = Arc::new(Field::new("item", DataType::Int64, true));
        let values: ArrayRef = Arc::new(Int64Array::from(vec![Some(5), None]));
        let one = |values: ArrayRef| -> ArrayRef {
            let item = Arc::new(Field::new("item", values.data_type().clone(), true));
            let ends = OffsetBuffer::new(ScalarBuffer::from(vec![0, values.len() as i32]));
            Arc::new(ListArray::new(item, ends, values, None))
        };
        // int8 has the number 20.
        let expected = words(&[1, 1, 20, 2, 1, 8, 0, 5, -1]);
        assert_eq!(found(one(values.clone())), [Some(expected)]);
        let expected = words(&[2, 1, 20, 1, 1, 2, 1, 8, 0, 5, -1]);
        assert_eq!(found(one(one(values))), [Some(expected)]);
        let ends = OffsetBuffer::new(ScalarBuffer::from(vec![0, 0]));
        let nothing: ArrayRef = Arc::new(Int64Array::from(Vec::<i64>::new()));
        let empty = ListArray::new(item, ends, nothing, None);
        assert_eq!(found(Arc::new(empty)), [Some(words(&[0, 0, 20]))]);
        let prices = Decimal128Array::from(vec![150]).with_precision_and_scale(38, 2);
        // numeric has the number 1700; 1.50 is the numbers 1 and 5000.
        let mut expected = words(&[1, 0, 1_700, 1, 1, 12]);
        let numeric: [u16; 6] = [2, 0, 0, 2, 1, 5_000];
        expected.extend(numeric.iter().flat_map(|number| number.to_be_bytes()));
        assert_eq!(found(one(Arc::new(prices.unwrap()))), [Some(expected)]);
    }

    #[test]
    fn records_know_the_types_of_their_parts() {
        let fields = Fields::from(vec![
            Field::new("id", DataType::Int32, true),
            Field::new("name", DataType::Utf8, true),
        ]);
        let ids: ArrayRef = Arc::new(arrow::array::Int32Array::from(vec![9]));
        let names: ArrayRef = Arc::new(StringArray::from(vec![None::<&str>]));
        let records = StructArray::new(fields, vec![ids, names], None);
        // int4 has the number 23, text 25.
        let expected = words(&[2, 23, 4, 9, 25, -1]);
        assert_eq!(found(Arc::new(records)), [Some(expected)]);
    }
}
