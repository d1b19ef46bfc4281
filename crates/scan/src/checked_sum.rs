//! `sum` of integers: exact while it adds, and an error if the end does not fit.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, ArrowPrimitiveType, AsArray, BooleanArray, Decimal128Array, Int64Array,
    PrimitiveArray, UInt64Array,
};
use arrow::compute::{cast, not, nullif, prep_null_mask_filter};
use arrow::datatypes::{DataType, Decimal128Type, Field, FieldRef, Int64Type, UInt64Type};
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

/// Sums while they are made: no number of rows makes one that does not fit.
const EXACT: DataType = DataType::Decimal128(38, 0);

/// The function `sum`.
pub fn checked_sum() -> AggregateUDF {
    AggregateUDF::from(CheckedSum { inner: sum_udaf() })
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct CheckedSum {
    /// DataFusion's function, for all that is no integer.
    inner: Arc<AggregateUDF>,
}

fn is_integer(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Int64 | DataType::UInt64)
}

/// Whether a sum of integers is made, each of them as often as it is there.
fn is_own(arguments: &AccumulatorArgs) -> bool {
    !arguments.is_distinct && is_integer(arguments.return_field.data_type())
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
        match is_own(&arguments) {
            true => Ok(Box::new(ExactSum::new(arguments.return_field.data_type()))),
            false => self.inner.accumulator(arguments),
        }
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
        if arguments.is_distinct || !is_integer(arguments.return_type()) {
            return self.inner.state_fields(arguments);
        }
        let name = format_state_name(arguments.name, "sum");
        Ok(vec![Arc::new(Field::new(name, EXACT, true))])
    }

    fn groups_accumulator_supported(&self, arguments: AccumulatorArgs) -> bool {
        is_own(&arguments) || self.inner.groups_accumulator_supported(arguments)
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

/// A sum as a value of the type of the answer.
fn fitted<T: TryFrom<i128>>(sum: i128) -> Result<T> {
    T::try_from(sum).map_err(|_| {
        let problem = format!("the sum {sum} does not fit 64 bits");
        DataFusionError::from(ArrowError::ArithmeticOverflow(problem))
    })
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

    /// The sum of values, and how many there are.
    fn of(values: &[ArrayRef]) -> (i128, u64) {
        let Some(values) = values.first() else {
            return (0, 0);
        };
        let count = (values.len() - values.null_count()) as u64;
        let sum = match values.data_type() {
            DataType::Int64 => {
                let values = values.as_primitive::<Int64Type>().iter().flatten();
                values.map(i128::from).sum()
            }
            DataType::UInt64 => {
                let values = values.as_primitive::<UInt64Type>().iter().flatten();
                values.map(i128::from).sum()
            }
            DataType::Decimal128(_, _) => values
                .as_primitive::<Decimal128Type>()
                .iter()
                .flatten()
                .sum(),
            _ => 0,
        };
        (sum, count)
    }
}

impl Accumulator for ExactSum {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        let (sum, count) = Self::of(values);
        self.sum += sum;
        self.count += count;
        Ok(())
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        self.update_batch(states)
    }

    fn retract_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        let (sum, count) = Self::of(values);
        self.sum -= sum;
        self.count = self.count.saturating_sub(count);
        Ok(())
    }

    fn supports_retract_batch(&self) -> bool {
        true
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        let sum = (self.count > 0).then_some(self.sum);
        Ok(vec![ScalarValue::Decimal128(sum, 38, 0)])
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        let sum = (self.count > 0).then_some(self.sum);
        Ok(match self.data_type {
            DataType::UInt64 => ScalarValue::UInt64(sum.map(fitted).transpose()?),
            _ => ScalarValue::Int64(sum.map(fitted).transpose()?),
        })
    }

    fn size(&self) -> usize {
        size_of_val(self)
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
    ) where
        T: ArrowPrimitiveType,
        i128: From<T::Native>,
    {
        let (sums, has_value) = (&mut self.sums, &mut self.has_value);
        let mut add_one = |group: usize, value: T::Native| {
            sums[group] += i128::from(value);
            has_value[group] = true;
        };
        let rows = groups.iter().zip(values.values());
        if filter.is_none() && values.null_count() == 0 {
            rows.for_each(|(&group, &value)| add_one(group, value));
            return;
        }
        for (row, (&group, &value)) in rows.enumerate() {
            let is_kept = filter.is_none_or(|filter| filter.is_valid(row) && filter.value(row));
            if is_kept && values.is_valid(row) {
                add_one(group, value);
            }
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
        Ok(())
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
            _ => {
                let sums = sums.map(|sum| sum.map(fitted::<i64>).transpose());
                Arc::new(sums.collect::<Result<Int64Array>>()?)
            }
        })
    }

    fn state(&mut self, emitted: EmitTo) -> Result<Vec<ArrayRef>> {
        let sums: Decimal128Array = self.take(emitted).collect();
        Ok(vec![Arc::new(sums.with_data_type(EXACT))])
    }

    fn convert_to_state(
        &self,
        values: &[ArrayRef],
        filter: Option<&BooleanArray>,
    ) -> Result<Vec<ArrayRef>> {
        let [values] = take_function_args("sum", values)?;
        let states = cast(values, &EXACT)?;
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
