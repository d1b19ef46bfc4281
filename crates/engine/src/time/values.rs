//! Time columns as microseconds, and back.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Int64Array};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Int64Type, TimeUnit};

use crate::EngineError;

/// A column of instants, counted in the unit of its type.
pub(crate) fn ticks(column: &ArrayRef) -> Result<Int64Array, EngineError> {
    let numbers = cast(column, &DataType::Int64)?;
    match numbers.as_primitive_opt::<Int64Type>() {
        Some(numbers) => Ok(numbers.clone()),
        None => Err(EngineError::Invariant("a time that is no number".into())),
    }
}

/// A column of type `data_type` from counted instants.
pub(crate) fn from_ticks(ticks: Vec<i64>, data_type: &DataType) -> Result<ArrayRef, EngineError> {
    let numbers: ArrayRef = Arc::new(Int64Array::from(ticks));
    Ok(cast(&numbers, data_type)?)
}

/// The smallest value of a time type that is not before `cutoff_us`.
pub(crate) fn first_kept(data_type: &DataType, cutoff_us: i64) -> Option<i64> {
    let round_up = |length_us: i64| {
        let whole = cutoff_us.div_euclid(length_us);
        whole + i64::from(cutoff_us.rem_euclid(length_us) != 0)
    };
    match data_type {
        DataType::Timestamp(TimeUnit::Nanosecond, _) => Some(cutoff_us.saturating_mul(1_000)),
        DataType::Timestamp(TimeUnit::Microsecond, _) => Some(cutoff_us),
        DataType::Timestamp(TimeUnit::Millisecond, _) => Some(round_up(1_000)),
        DataType::Timestamp(TimeUnit::Second, _) => Some(round_up(1_000_000)),
        DataType::Date32 => Some(round_up(86_400_000_000)),
        _ => None,
    }
}

/// How many units of a timestamp type a microsecond has; `None` for types
/// that windows cannot be made of.
pub(crate) fn ticks_per_us(data_type: &DataType) -> Option<i64> {
    match data_type {
        DataType::Timestamp(TimeUnit::Microsecond, _) => Some(1),
        DataType::Timestamp(TimeUnit::Nanosecond, _) => Some(1_000),
        _ => None,
    }
}
