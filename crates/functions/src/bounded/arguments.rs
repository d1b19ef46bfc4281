//! What a row's arguments say of the result: numbers, texts, and how long values are.

use arrow::array::{Array, AsArray, UInt32Array};
use arrow::compute::take;
use arrow::datatypes::{DataType, Int64Type};
use datafusion::logical_expr::ColumnarValue;
use datafusion::scalar::ScalarValue;

/// A value of a type of fixed width takes at most so many bytes.
pub(super) const FIXED_BYTES_MAX: u64 = 32;

/// A row's number; `None` where there is none.
pub(super) fn integer(value: &ColumnarValue, row: usize) -> Option<i64> {
    match value {
        ColumnarValue::Scalar(ScalarValue::Int64(number)) => *number,
        ColumnarValue::Array(array) => {
            let numbers = array.as_primitive_opt::<Int64Type>()?;
            numbers.is_valid(row).then(|| numbers.value(row))
        }
        ColumnarValue::Scalar(_) => None,
    }
}

/// A row's text; an empty one where there is none.
pub(super) fn text(value: Option<&ColumnarValue>, row: usize) -> &str {
    let array = match value {
        None => return "",
        Some(ColumnarValue::Scalar(value)) => {
            return value.try_as_str().flatten().unwrap_or_default();
        }
        Some(ColumnarValue::Array(array)) => array,
    };
    if array.is_null(row) {
        return "";
    }
    match array.data_type() {
        DataType::Utf8 => array.as_string::<i32>().value(row),
        DataType::LargeUtf8 => array.as_string::<i64>().value(row),
        DataType::Utf8View => array.as_string_view().value(row),
        _ => "",
    }
}

/// How long a row's value is.
pub(super) fn value_bytes(value: &ColumnarValue, row: usize) -> u64 {
    if let Some(width) = value.data_type().primitive_width() {
        return width as u64;
    }
    let (array, row) = match value {
        ColumnarValue::Scalar(value) => match value.to_array() {
            Ok(array) => (array, 0),
            Err(_) => return value.size() as u64,
        },
        ColumnarValue::Array(array) => (array.clone(), row),
    };
    // A part of a list still counts the values of all.
    let of_row = take(&array, &UInt32Array::from(vec![row as u32]), None);
    let of_row = of_row.unwrap_or(array).to_data();
    match of_row.get_slice_memory_size() {
        Ok(bytes) => bytes as u64,
        Err(_) => of_row.get_array_memory_size() as u64,
    }
}

/// How many values a row's list has.
pub(super) fn list_length(list: &ColumnarValue, row: usize) -> usize {
    let (array, row) = match list {
        ColumnarValue::Array(array) => (array, row),
        ColumnarValue::Scalar(ScalarValue::List(list)) => return list.value_length(0) as usize,
        ColumnarValue::Scalar(ScalarValue::LargeList(list)) => {
            return list.value_length(0) as usize;
        }
        ColumnarValue::Scalar(ScalarValue::FixedSizeList(list)) => {
            return list.value_length() as usize;
        }
        ColumnarValue::Scalar(_) => return 0,
    };
    match array.data_type() {
        DataType::List(_) => array.as_list::<i32>().value_length(row) as usize,
        DataType::LargeList(_) => array.as_list::<i64>().value_length(row) as usize,
        DataType::FixedSizeList(_, length) => *length as usize,
        _ => 0,
    }
}

/// How long the values of a list are together, and how many there are.
pub(super) fn list_bytes(list: &ColumnarValue, row: usize) -> (u64, u64) {
    let (array, row) = match list {
        ColumnarValue::Scalar(value) => match value.to_array() {
            Ok(array) => (array, 0),
            Err(_) => return (value.size() as u64, 0),
        },
        ColumnarValue::Array(array) => (array.clone(), row),
    };
    if array.is_null(row) {
        return (0, 0);
    }
    let values = match array.data_type() {
        DataType::List(_) => array.as_list::<i32>().value(row),
        DataType::LargeList(_) => array.as_list::<i64>().value(row),
        DataType::FixedSizeList(_, _) => array.as_fixed_size_list().value(row),
        _ => return (0, 0),
    };
    let data = values.to_data();
    let bytes = match data.get_slice_memory_size() {
        Ok(bytes) => bytes,
        Err(_) => data.get_array_memory_size(),
    };
    // Numbers are longer as text.
    let width = match values.data_type().primitive_width() {
        Some(_) => FIXED_BYTES_MAX * 2,
        None => 0,
    };
    let count = values.len() as u64;
    (bytes as u64 + count * width, count)
}
