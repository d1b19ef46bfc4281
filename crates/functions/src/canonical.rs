//! One form for values that SQL takes for equal.
//!
//! The machine has two zeros and many NaNs; SQL's 0.0 equals its -0.0, and
//! PostgreSQL's NaN equals itself and is greater than all numbers. What enters
//! the engine and what an expression gives has +0.0 and the one positive NaN, so
//! that bytes, order and equality of rows agree everywhere behind it; so has what
//! is compared inside an expression (`one_float.rs`).

use std::cmp::Ordering;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, ArrowNativeTypeOp, ArrowPrimitiveType, AsArray, make_array};
use arrow::datatypes::{DataType, Float32Type, Float64Type};
use arrow::error::ArrowError;

/// The column in that form.
///
/// # Errors
/// When a column of lists or structs cannot be put together again.
pub fn canonical(column: &ArrayRef) -> Result<ArrayRef, ArrowError> {
    Ok(in_other_form(column)?.unwrap_or_else(|| column.clone()))
}

/// The column in that form, if it is in another.
fn in_other_form(column: &ArrayRef) -> Result<Option<ArrayRef>, ArrowError> {
    Ok(match column.data_type() {
        DataType::Float64 => one_form::<Float64Type>(column, f64::NAN),
        DataType::Float32 => one_form::<Float32Type>(column, f32::NAN),
        nested if holds_floats(nested) => {
            let data = column.to_data();
            let mut children = data.child_data().to_vec();
            let mut is_other = false;
            for child in &mut children {
                if let Some(changed) = in_other_form(&make_array(child.clone()))? {
                    *child = changed.to_data();
                    is_other = true;
                }
            }
            if !is_other {
                return Ok(None);
            }
            Some(make_array(
                data.into_builder().child_data(children).build()?,
            ))
        }
        _ => None,
    })
}

/// A column of floats with +0.0 for every zero and `nan` for every NaN, if it has
/// others.
fn one_form<T: ArrowPrimitiveType>(column: &ArrayRef, nan: T::Native) -> Option<ArrayRef> {
    let zero = T::Native::ZERO;
    let form_of = |float: T::Native| match float.partial_cmp(&zero) {
        Some(Ordering::Equal) => zero,
        Some(_) => float,
        None => nan,
    };
    let floats = column.as_primitive::<T>();
    // Rarely there is any.
    let is_other = |float: &T::Native| form_of(*float).compare(*float).is_ne();
    let has_other = floats.values().iter().any(is_other);
    has_other.then(|| Arc::new(floats.unary::<_, T>(form_of)) as ArrayRef)
}

/// Whether values of the type are floats or made of some.
pub fn holds_floats(data_type: &DataType) -> bool {
    match data_type {
        DataType::Float64 | DataType::Float32 => true,
        DataType::List(field)
        | DataType::LargeList(field)
        | DataType::FixedSizeList(field, _)
        | DataType::Map(field, _) => holds_floats(field.data_type()),
        DataType::Struct(fields) => fields.iter().any(|field| holds_floats(field.data_type())),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::{Float32Array, Float64Array, Int64Array, ListArray, StructArray};
    use arrow::datatypes::Field;

    use super::*;

    fn bits(array: &ArrayRef) -> Vec<u64> {
        let floats = array.as_primitive::<Float64Type>();
        floats
            .values()
            .iter()
            .map(|float| float.to_bits())
            .collect()
    }

    #[test]
    fn there_is_one_zero_and_one_nan() {
        let other_nan = f64::from_bits(f64::NAN.to_bits() | 1);
        let floats = [-0.0, 0.0, -f64::NAN, other_nan, -1.5, f64::NEG_INFINITY];
        let expected: Vec<u64> = [0.0, 0.0, f64::NAN, f64::NAN, -1.5, f64::NEG_INFINITY]
            .map(f64::to_bits)
            .to_vec();
        let column: ArrayRef = Arc::new(Float64Array::from(floats.to_vec()));
        assert_eq!(bits(&canonical(&column).unwrap()), expected);
        let field = Arc::new(Field::new("f", DataType::Float64, true));
        let with_struct = StructArray::from(vec![(field, column.clone())]);
        let inside = canonical(&(Arc::new(with_struct) as ArrayRef)).unwrap();
        assert_eq!(bits(inside.as_struct().column(0)), expected);
        let list = ListArray::from_iter_primitive::<Float64Type, _, _>([
            Some(floats.map(Some).to_vec()),
            None,
        ]);
        let inside = canonical(&(Arc::new(list) as ArrayRef)).unwrap();
        assert_eq!(bits(&inside.as_list::<i32>().value(0)), expected);
        assert!(inside.is_null(1));
        let singles = [-0.0, 0.0, -f32::NAN, f32::NAN, -1.5];
        let column: ArrayRef = Arc::new(Float32Array::from(singles.to_vec()));
        let column = canonical(&column).unwrap();
        let floats = column.as_primitive::<Float32Type>().values();
        let found: Vec<u32> = floats.iter().map(|float| float.to_bits()).collect();
        assert_eq!(
            found,
            [0.0, 0.0, f32::NAN, f32::NAN, -1.5].map(f32::to_bits)
        );
        let others: ArrayRef = Arc::new(Int64Array::from(vec![-1, 0]));
        assert_eq!(&canonical(&others).unwrap(), &others);
    }

    #[test]
    fn what_is_in_that_form_is_not_made_again() {
        let list = ListArray::from_iter_primitive::<Float64Type, _, _>([Some([Some(1.5)])]);
        let list: ArrayRef = Arc::new(list);
        assert!(Arc::ptr_eq(&canonical(&list).unwrap(), &list));
    }
}
