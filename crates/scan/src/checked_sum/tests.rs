use arrow::array::{BooleanArray, Decimal128Array, Int64Array};
use datafusion::logical_expr::EmitTo;

use super::*;

#[test]
fn a_sum_of_one_group_is_exact() {
    let values: ArrayRef = Arc::new(Int64Array::from(vec![Some(i64::MAX), Some(1), None]));
    let mut sum = ExactSum::new(&DataType::Int64);
    assert_eq!(sum.evaluate().unwrap(), ScalarValue::Int64(None));
    sum.update_batch(std::slice::from_ref(&values)).unwrap();
    assert!(sum.evaluate().is_err());
    let less: ArrayRef = Arc::new(Int64Array::from(vec![-1]));
    sum.update_batch(std::slice::from_ref(&less)).unwrap();
    assert_eq!(sum.evaluate().unwrap(), ScalarValue::Int64(Some(i64::MAX)));
    let states = sum.state().unwrap();
    let mut merged = ExactSum::new(&DataType::Int64);
    let states: Vec<ArrayRef> = states
        .iter()
        .map(|state| state.to_array().unwrap())
        .collect();
    merged.merge_batch(&states).unwrap();
    assert_eq!(
        merged.evaluate().unwrap(),
        ScalarValue::Int64(Some(i64::MAX))
    );
    sum.retract_batch(&[values]).unwrap();
    sum.retract_batch(&[less]).unwrap();
    assert_eq!(sum.evaluate().unwrap(), ScalarValue::Int64(None));
}

#[test]
fn a_sum_of_different_values_is_exact() {
    let values: ArrayRef = Arc::new(Int64Array::from(vec![Some(i64::MAX), Some(1), None]));
    let mut sum = DistinctSum::new(&DataType::Int64);
    assert_eq!(sum.evaluate().unwrap(), ScalarValue::Int64(None));
    sum.update_batch(std::slice::from_ref(&values)).unwrap();
    sum.update_batch(std::slice::from_ref(&values)).unwrap();
    let problem = sum.evaluate().unwrap_err().to_string();
    assert!(problem.contains("9223372036854775808"), "{problem}");
    let states = sum.state().unwrap();
    let states = [states[0].to_array().unwrap()];
    let mut merged = DistinctSum::new(&DataType::Int64);
    merged.merge_batch(&states).unwrap();
    assert!(merged.evaluate().is_err());
    let less: ArrayRef = Arc::new(Int64Array::from(vec![-1, -1]));
    merged.update_batch(&[less]).unwrap();
    let most = ScalarValue::Int64(Some(i64::MAX));
    assert_eq!(merged.evaluate().unwrap(), most);
    // Each value is there twice.
    sum.retract_batch(std::slice::from_ref(&values)).unwrap();
    assert!(sum.evaluate().is_err());
    sum.retract_batch(&[values]).unwrap();
    assert_eq!(sum.evaluate().unwrap(), ScalarValue::Int64(None));
}

#[test]
fn sums_of_the_longest_decimals_are_exact() {
    let most = 10_i128.pow(38) - 1;
    let data_type = DataType::Decimal128(38, 2);
    let array = |values: Vec<i128>| {
        let values = Decimal128Array::from(values);
        Arc::new(values.with_data_type(DataType::Decimal128(38, 2))) as ArrayRef
    };
    let decimal = |value| ScalarValue::Decimal128(Some(value), 38, 2);
    let mut sum = ExactSum::new(&data_type);
    sum.update_batch(&[array(vec![most])]).unwrap();
    assert_eq!(sum.evaluate().unwrap(), decimal(most));
    // More digits than a decimal has, and then more bits.
    sum.update_batch(&[array(vec![1])]).unwrap();
    assert!(sum.evaluate().is_err());
    assert!(sum.update_batch(&[array(vec![most])]).is_err());
    sum.update_batch(&[array(vec![-1])]).unwrap();
    assert_eq!(sum.evaluate().unwrap(), decimal(most));
    let mut sums = ExactGroups::new(&data_type);
    let values = [array(vec![most, 5, 1])];
    sums.update_batch(&values, &[0, 1, 0], None, 2).unwrap();
    let states = sums.convert_to_state(&values, None).unwrap();
    assert_eq!(states[0].data_type(), &data_type);
    assert!(
        sums.update_batch(&[array(vec![most])], &[0], None, 2)
            .is_err()
    );
    let mut merged = ExactGroups::new(&data_type);
    merged.merge_batch(&states, &[0, 1, 0], 2).unwrap();
    assert!(merged.evaluate(EmitTo::First(1)).is_err());
    let rest = merged.evaluate(EmitTo::All).unwrap();
    assert_eq!(rest.data_type(), &data_type);
    assert_eq!(rest.as_primitive::<Decimal128Type>().value(0), 5);
    let mut sum = DistinctSum::new(&data_type);
    sum.update_batch(&[array(vec![most, most, -2, -2])])
        .unwrap();
    assert_eq!(sum.evaluate().unwrap(), decimal(most - 2));
}

#[test]
fn sums_of_groups_are_exact() {
    let values: ArrayRef = Arc::new(Int64Array::from(vec![
        Some(i64::MAX),
        Some(5),
        None,
        Some(i64::MAX),
        Some(-7),
        None,
    ]));
    let filter = BooleanArray::from(vec![
        Some(true),
        Some(true),
        Some(true),
        Some(true),
        None,
        Some(true),
    ]);
    let groups = [0, 1, 1, 0, 1, 2];
    let mut sums = ExactGroups::new(&DataType::Int64);
    sums.update_batch(std::slice::from_ref(&values), &groups, Some(&filter), 3)
        .unwrap();
    let states = sums.state(EmitTo::All).unwrap();
    let found: Vec<Option<i128>> = states[0].as_primitive::<Decimal128Type>().iter().collect();
    assert_eq!(found, [Some(2 * i128::from(i64::MAX)), Some(5), None]);
    let mut merged = ExactGroups::new(&DataType::Int64);
    merged.merge_batch(&states, &[0, 1, 2], 3).unwrap();
    assert!(merged.evaluate(EmitTo::First(1)).is_err());
    let rest = merged.evaluate(EmitTo::All).unwrap();
    let rest: Vec<Option<i64>> = rest.as_primitive::<Int64Type>().iter().collect();
    assert_eq!(rest, [Some(5), None]);
    let states = sums.convert_to_state(&[values], Some(&filter)).unwrap();
    let found: Vec<Option<i128>> = states[0].as_primitive::<Decimal128Type>().iter().collect();
    let most = Some(i128::from(i64::MAX));
    assert_eq!(found, [most, Some(5), None, most, None, None]);
}
