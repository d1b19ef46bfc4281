//! Integers and decimals as the widest of them.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Decimal128Array, Int64Array, UInt64Array};
use arrow::datatypes::{DataType, Decimal128Type, Int64Type, UInt64Type};

use super::{OVERFLOW, OutputErrors};
use crate::EngineError;

/// Reads any integer or decimal array as i128.
pub(super) fn integer_reader(values: &dyn Array) -> Box<dyn Fn(usize) -> i128 + '_> {
    if let Some(values) = values.as_primitive_opt::<Int64Type>() {
        return Box::new(move |row| i128::from(values.value(row)));
    }
    if let Some(values) = values.as_primitive_opt::<UInt64Type>() {
        return Box::new(move |row| i128::from(values.value(row)));
    }
    if let Some(values) = values.as_primitive_opt::<Decimal128Type>() {
        return Box::new(move |row| values.value(row));
    }
    // Planning admits no other type.
    Box::new(|_| 0)
}

/// Builds the array of an integer or decimal result and notes what does not
/// fit.
pub(super) fn integer_array(
    results: &[Option<(usize, i128)>],
    output_type: &DataType,
    errors: &mut OutputErrors,
) -> Result<ArrayRef, EngineError> {
    let mut fitting = |limit_low: i128, limit_high: i128| -> Vec<Option<i128>> {
        results
            .iter()
            .map(|result| {
                let (index, value) = (*result)?;
                if value < limit_low || value > limit_high {
                    errors.push((index, OVERFLOW.into()));
                    return None;
                }
                Some(value)
            })
            .collect()
    };
    match output_type {
        DataType::Int64 => Ok(Arc::new(Int64Array::from_iter(
            fitting(i64::MIN.into(), i64::MAX.into())
                .into_iter()
                .map(|value| value.map(|value| value as i64)),
        ))),
        DataType::UInt64 => Ok(Arc::new(UInt64Array::from_iter(
            fitting(0, u64::MAX.into())
                .into_iter()
                .map(|value| value.map(|value| value as u64)),
        ))),
        DataType::Decimal128(precision, scale) => {
            let limit = 10_i128.pow(u32::from(*precision)) - 1;
            let array = Decimal128Array::from_iter(fitting(-limit, limit))
                .with_precision_and_scale(*precision, *scale)?;
            Ok(Arc::new(array))
        }
        other => Err(EngineError::Invariant(format!("a sum of type {other}"))),
    }
}
