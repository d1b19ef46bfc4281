//! `sum` of integers, and of decimals that have no wider type: exact while it adds,
//! and an error if the end does not fit.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, ArrowPrimitiveType, AsArray, BooleanArray, Decimal128Array, Int64Array,
    PrimitiveArray, UInt64Array,
};
use arrow::compute::{cast, not, nullif, prep_null_mask_filter};
use arrow::datatypes::{
    DECIMAL128_MAX_PRECISION, DataType, Decimal128Type, DecimalType, Field, FieldRef, Int64Type,
    UInt64Type,
};
use arrow::error::ArrowError;
use datafusion::common::ScalarValue;
use datafusion::common::utils::take_function_args;
use datafusion::error::{DataFusionError, Result};
use datafusion::functions_aggregate::sum::sum_udaf;
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::utils::{AggregateOrderSensitivity, format_state_name};
use datafusion::logical_expr::{
    Accumulator, AggregateUDF, AggregateUDFImpl, EmitTo, GroupsAccumulator, ReversedUDAF,
    SetMonotonicity, Signature,
};

/// Sums of integers while they are made: no number of rows makes one that does not
/// fit.
const EXACT: DataType = DataType::Decimal128(DECIMAL128_MAX_PRECISION, 0);

/// The function `sum`.
pub fn checked_sum() -> AggregateUDF {
    AggregateUDF::from(CheckedSum { inner: sum_udaf() })
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct CheckedSum {
    /// DataFusion's function, for all other types.
    inner: Arc<AggregateUDF>,
}

/// Whether a sum of this type may not fit. DataFusion gives decimals ten digits more,
/// which takes as many rows to fill as no table has, unless they have all that there
/// are.
fn may_overflow(data_type: &DataType) -> bool {
    matches!(
        data_type,
        DataType::Int64 | DataType::UInt64 | DataType::Decimal128(DECIMAL128_MAX_PRECISION, _)
    )
}

fn is_own(arguments: &AccumulatorArgs) -> bool {
    may_overflow(arguments.return_field.data_type())
}

/// The type of sums of a type while they are made.
fn exact_type(data_type: &DataType) -> DataType {
    match data_type {
        DataType::Decimal128(_, _) => data_type.clone(),
        _ => EXACT,
    }
}

/// A sum that is not whole yet.
fn exact_sum(sum: Option<i128>, data_type: &DataType) -> ScalarValue {
    let scale = match data_type {
        DataType::Decimal128(_, scale) => *scale,
        _ => 0,
    };
    ScalarValue::Decimal128(sum, DECIMAL128_MAX_PRECISION, scale)
}

/// A whole sum.
fn whole_sum(sum: Option<i128>, data_type: &DataType) -> Result<ScalarValue> {
    Ok(match data_type {
        DataType::UInt64 => ScalarValue::UInt64(sum.map(fitted).transpose()?),
        DataType::Decimal128(_, _) => exact_sum(sum.map(within_digits).transpose()?, data_type),
        _ => ScalarValue::Int64(sum.map(fitted).transpose()?),
    })
}

impl AggregateUDFImpl for CheckedSum {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn signature(&self) -> &Signature {
        self.inner.signature()
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        self.inner.return_type(types)
    }

    fn accumulator(&self, arguments: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        if !is_own(&arguments) {
            return self.inner.accumulator(arguments);
        }
        let data_type = arguments.return_field.data_type();
        if arguments.is_distinct {
            return Ok(Box::new(DistinctSum::new(data_type)));
        }
        Ok(Box::new(ExactSum::new(data_type)))
    }

    fn create_sliding_accumulator(
        &self,
        arguments: AccumulatorArgs,
    ) -> Result<Box<dyn Accumulator>> {
        match is_own(&arguments) {
            true => self.accumulator(arguments),
            false => self.inner.create_sliding_accumulator(arguments),
        }
    }

    fn state_fields(&self, arguments: StateFieldsArgs) -> Result<Vec<FieldRef>> {
        if arguments.is_distinct || !may_overflow(arguments.return_type()) {
            return self.inner.state_fields(arguments);
        }
        let name = format_state_name(arguments.name, "sum");
        let data_type = exact_type(arguments.return_type());
        Ok(vec![Arc::new(Field::new(name, data_type, true))])
    }

    fn groups_accumulator_supported(&self, arguments: AccumulatorArgs) -> bool {
        match is_own(&arguments) {
            true => !arguments.is_distinct,
            false => self.inner.groups_accumulator_supported(arguments),
        }
    }

    fn create_groups_accumulator(
        &self,
        arguments: AccumulatorArgs,
    ) -> Result<Box<dyn GroupsAccumulator>> {
        if !is_own(&arguments) {
            return self.inner.create_groups_accumulator(arguments);
        }
        Ok(Box::new(ExactGroups::new(
            arguments.return_field.data_type(),
        )))
    }

    fn reverse_expr(&self) -> ReversedUDAF {
        ReversedUDAF::Identical
    }

    fn order_sensitivity(&self) -> AggregateOrderSensitivity {
        self.inner.order_sensitivity()
    }

    fn set_monotonicity(&self, data_type: &DataType) -> SetMonotonicity {
        self.inner.inner().set_monotonicity(data_type)
    }
}

fn overflow(problem: String) -> DataFusionError {
    DataFusionError::from(ArrowError::ArithmeticOverflow(problem))
}

fn too_many_digits() -> DataFusionError {
    overflow(format!(
        "the sum has more than {DECIMAL128_MAX_PRECISION} digits"
    ))
}

/// A sum as an integer of the type of the answer.
fn fitted<T: TryFrom<i128>>(sum: i128) -> Result<T> {
    T::try_from(sum).map_err(|_| overflow(format!("the sum {sum} does not fit 64 bits")))
}

/// A sum that has as many digits as a decimal may have.
fn within_digits(sum: i128) -> Result<i128> {
    match Decimal128Type::is_valid_decimal_precision(sum, DECIMAL128_MAX_PRECISION) {
        true => Ok(sum),
        false => Err(too_many_digits()),
    }
}

/// Shows each value that is not null.
fn each_number(values: &ArrayRef, mut see: impl FnMut(i128)) {
    match values.data_type() {
        DataType::Int64 => {
            let values = values.as_primitive::<Int64Type>().iter().flatten();
            values.for_each(|value| see(i128::from(value)));
        }
        DataType::UInt64 => {
            let values = values.as_primitive::<UInt64Type>().iter().flatten();
            values.for_each(|value| see(i128::from(value)));
        }
        DataType::Decimal128(_, _) => {
            let values = values.as_primitive::<Decimal128Type>().iter().flatten();
            values.for_each(see);
        }
        _ => {}
    }
}

/// The sum of one group.
#[derive(Debug)]
struct ExactSum {
    sum: i128,
    /// Values that are in it.
    count: u64,
    data_type: DataType,
}

impl ExactSum {
    fn new(data_type: &DataType) -> Self {
        Self {
            sum: 0,
            count: 0,
            data_type: data_type.clone(),
        }
    }

    /// The sum with that of values put to it, or taken from it.
    fn with(
        &self,
        values: &[ArrayRef],
        put: impl Fn(i128, i128) -> (i128, bool),
    ) -> Result<(i128, u64)> {
        let [values] = take_function_args("sum", values)?;
        let mut sum = self.sum;
        let mut has_overflown = false;
        each_number(values, |value| {
            let (next, is_over) = put(sum, value);
            sum = next;
            has_overflown |= is_over;
        });
        match has_overflown {
            true => Err(too_many_digits()),
            false => Ok((sum, (values.len() - values.null_count()) as u64)),
        }
    }
}

impl Accumulator for ExactSum {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        let (sum, count) = self.with(values, i128::overflowing_add)?;
        self.sum = sum;
        self.count += count;
        Ok(())
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        self.update_batch(states)
    }

    fn retract_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        let (sum, count) = self.with(values, i128::overflowing_sub)?;
        self.sum = sum;
        self.count = self.count.saturating_sub(count);
        Ok(())
    }

    fn supports_retract_batch(&self) -> bool {
        true
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        let sum = (self.count > 0).then_some(self.sum);
        Ok(vec![exact_sum(sum, &self.data_type)])
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        let sum = (self.count > 0).then_some(self.sum);
        whole_sum(sum, &self.data_type)
    }

    fn size(&self) -> usize {
        size_of_val(self)
    }
}

/// The sum of the different values of one group.
#[derive(Debug)]
struct DistinctSum {
    /// How often each value is there.
    counts: HashMap<i128, u64>,
    data_type: DataType,
}

impl DistinctSum {
    fn new(data_type: &DataType) -> Self {
        Self {
            counts: HashMap::new(),
            data_type: data_type.clone(),
        }
    }
}

impl Accumulator for DistinctSum {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        let [values] = take_function_args("sum", values)?;
        each_number(values, |value| *self.counts.entry(value).or_default() += 1);
        Ok(())
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        let [lists] = take_function_args("sum", states)?;
        for values in lists.as_list::<i32>().iter().flatten() {
            self.update_batch(&[values])?;
        }
        Ok(())
    }

    fn retract_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        let [values] = take_function_args("sum", values)?;
        each_number(values, |value| {
            if let Some(count) = self.counts.get_mut(&value) {
                *count -= 1;
                if *count == 0 {
                    self.counts.remove(&value);
                }
            }
        });
        Ok(())
    }

    fn supports_retract_batch(&self) -> bool {
        true
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        let values = self.counts.keys();
        let values = values.map(|value| whole_sum(Some(*value), &self.data_type));
        let values = values.collect::<Result<Vec<_>>>()?;
        let values = ScalarValue::new_list_nullable(&values, &self.data_type);
        Ok(vec![ScalarValue::List(values)])
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        if self.counts.is_empty() {
            return whole_sum(None, &self.data_type);
        }
        let mut values = self.counts.keys();
        let sum = values.try_fold(0_i128, |sum, value| sum.checked_add(*value));
        let sum = sum.ok_or_else(too_many_digits)?;
        whole_sum(Some(sum), &self.data_type)
    }

    fn size(&self) -> usize {
        size_of_val(self) + self.counts.capacity() * size_of::<(i128, u64)>()
    }
}

/// The sums of groups.
struct ExactGroups {
    sums: Vec<i128>,
    /// Whether there is a value in the sum.
    has_value: Vec<bool>,
    data_type: DataType,
}

impl ExactGroups {
    fn new(data_type: &DataType) -> Self {
        Self {
            sums: Vec::new(),
            has_value: Vec::new(),
            data_type: data_type.clone(),
        }
    }

    /// Adds values to the sums of their groups.
    fn add<T>(
        &mut self,
        values: &PrimitiveArray<T>,
        groups: &[usize],
        filter: Option<&BooleanArray>,
    ) -> Result<()>
    where
        T: ArrowPrimitiveType,
        i128: From<T::Native>,
    {
        let (sums, has_value) = (&mut self.sums, &mut self.has_value);
        let mut has_overflown = false;
        let mut add_one = |group: usize, value: T::Native| {
            let (sum, is_over) = sums[group].overflowing_add(i128::from(value));
            sums[group] = sum;
            has_value[group] = true;
            has_overflown |= is_over;
        };
        let rows = groups.iter().zip(values.values());
        if filter.is_none() && values.null_count() == 0 {
            rows.for_each(|(&group, &value)| add_one(group, value));
        } else {
            for (row, (&group, &value)) in rows.enumerate() {
                let is_kept = filter.is_none_or(|filter| filter.is_valid(row) && filter.value(row));
                if is_kept && values.is_valid(row) {
                    add_one(group, value);
                }
            }
        }
        match has_overflown {
            true => Err(too_many_digits()),
            false => Ok(()),
        }
    }

    /// The sums of groups that are given up.
    fn take(&mut self, emitted: EmitTo) -> impl Iterator<Item = Option<i128>> + use<> {
        let sums = emitted.take_needed(&mut self.sums);
        let has_value = emitted.take_needed(&mut self.has_value);
        let sums = sums.into_iter().zip(has_value);
        sums.map(|(sum, has_value)| has_value.then_some(sum))
    }
}

impl GroupsAccumulator for ExactGroups {
    fn update_batch(
        &mut self,
        values: &[ArrayRef],
        groups: &[usize],
        filter: Option<&BooleanArray>,
        groups_in_all: usize,
    ) -> Result<()> {
        let [values] = take_function_args("sum", values)?;
        self.sums.resize(groups_in_all, 0);
        self.has_value.resize(groups_in_all, false);
        match values.data_type() {
            DataType::UInt64 => self.add(values.as_primitive::<UInt64Type>(), groups, filter),
            DataType::Int64 => self.add(values.as_primitive::<Int64Type>(), groups, filter),
            _ => self.add(values.as_primitive::<Decimal128Type>(), groups, filter),
        }
    }

    fn merge_batch(
        &mut self,
        states: &[ArrayRef],
        groups: &[usize],
        groups_in_all: usize,
    ) -> Result<()> {
        self.update_batch(states, groups, None, groups_in_all)
    }

    fn evaluate(&mut self, emitted: EmitTo) -> Result<ArrayRef> {
        let data_type = self.data_type.clone();
        let sums = self.take(emitted);
        Ok(match data_type {
            DataType::UInt64 => {
                let sums = sums.map(|sum| sum.map(fitted::<u64>).transpose());
                Arc::new(sums.collect::<Result<UInt64Array>>()?)
            }
            DataType::Decimal128(_, _) => {
                let sums = sums.map(|sum| sum.map(within_digits).transpose());
                let sums = sums.collect::<Result<Decimal128Array>>()?;
                Arc::new(sums.with_data_type(data_type))
            }
            _ => {
                let sums = sums.map(|sum| sum.map(fitted::<i64>).transpose());
                Arc::new(sums.collect::<Result<Int64Array>>()?)
            }
        })
    }

    fn state(&mut self, emitted: EmitTo) -> Result<Vec<ArrayRef>> {
        let data_type = exact_type(&self.data_type);
        let sums: Decimal128Array = self.take(emitted).collect();
        Ok(vec![Arc::new(sums.with_data_type(data_type))])
    }

    fn convert_to_state(
        &self,
        values: &[ArrayRef],
        filter: Option<&BooleanArray>,
    ) -> Result<Vec<ArrayRef>> {
        let [values] = take_function_args("sum", values)?;
        let states = cast(values, &exact_type(&self.data_type))?;
        Ok(vec![match filter {
            Some(filter) => nullif(&states, &not(&prep_null_mask_filter(filter))?)?,
            None => states,
        }])
    }

    fn size(&self) -> usize {
        self.sums.capacity() * size_of::<i128>() + self.has_value.capacity()
    }
}

#[cfg(test)]
mod tests {
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
}
