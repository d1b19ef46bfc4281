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

/// The column in that form.
pub fn canonical(column: &ArrayRef) -> ArrayRef {
    match column.data_type() {
        DataType::Float64 => one_form::<Float64Type>(column, f64::NAN),
        DataType::Float32 => one_form::<Float32Type>(column, f32::NAN),
        nested if has_floats(nested) => {
            let data = column.to_data();
            let children = data.child_data().iter();
            let children = children.map(|child| canonical(&make_array(child.clone())).to_data());
            let changed = data.clone().into_builder().child_data(children.collect());
            // Of the same lengths and types, so that it is never refused.
            changed.build().map_or_else(|_| column.clone(), make_array)
        }
        _ => column.clone(),
    }
}

/// A column of floats with +0.0 for every zero and `nan` for every NaN.
fn one_form<T: ArrowPrimitiveType>(column: &ArrayRef, nan: T::Native) -> ArrayRef {
    let zero = T::Native::ZERO;
    let form_of = |float: T::Native| match float.partial_cmp(&zero) {
        Some(Ordering::Equal) => zero,
        Some(_) => float,
        None => nan,
    };
    let floats = column.as_primitive::<T>();
    // Rarely there is any.
    let is_other = |float: &T::Native| form_of(*float).compare(*float).is_ne();
    match floats.values().iter().any(is_other) {
        true => Arc::new(floats.unary::<_, T>(form_of)),
        false => column.clone(),
    }
}

/// Whether values of the type are made of others, among which are floats.
pub(crate) fn has_floats(data_type: &DataType) -> bool {
    let is_float = |data_type: &DataType| {
        matches!(data_type, DataType::Float64 | DataType::Float32) || has_floats(data_type)
    };
    match data_type {
        DataType::List(field)
        | DataType::LargeList(field)
        | DataType::FixedSizeList(field, _)
        | DataType::Map(field, _) => is_float(field.data_type()),
        DataType::Struct(fields) => fields.iter().any(|field| is_float(field.data_type())),
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
        assert_eq!(bits(&canonical(&column)), expected);
        let field = Arc::new(Field::new("f", DataType::Float64, true));
        let with_struct = StructArray::from(vec![(field, column.clone())]);
        let inside = canonical(&(Arc::new(with_struct) as ArrayRef));
        assert_eq!(bits(inside.as_struct().column(0)), expected);
        let list = ListArray::from_iter_primitive::<Float64Type, _, _>([
            Some(floats.map(Some).to_vec()),
            None,
        ]);
        let inside = canonical(&(Arc::new(list) as ArrayRef));
        assert_eq!(bits(&inside.as_list::<i32>().value(0)), expected);
        assert!(inside.is_null(1));
        let singles: ArrayRef = Arc::new(Float32Array::from(vec![-0.0_f32, -f32::NAN]));
        let singles = canonical(&singles);
        let singles = singles.as_primitive::<Float32Type>();
        assert!(
            singles
                .values()
                .iter()
                .all(|float| float.is_sign_positive())
        );
        let others: ArrayRef = Arc::new(Int64Array::from(vec![-1, 0]));
        assert_eq!(&canonical(&others), &others);
    }
}
