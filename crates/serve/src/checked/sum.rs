//! `sum` of integers: exact while it adds, and an error if the end does not fit.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Decimal128Array, Int64Array, UInt64Array,
};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Decimal128Type, Field, FieldRef, Int64Type, UInt64Type};
use arrow::error::ArrowError;
use datafusion::common::ScalarValue;
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
pub(crate) fn checked_sum() -> AggregateUDF {
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
        self.inner.groups_accumulator_supported(arguments)
    }

    fn create_groups_accumulator(
        &self,
        arguments: AccumulatorArgs,
    ) -> Result<Box<dyn GroupsAccumulator>> {
        if !is_own(&arguments) {
            return self.inner.create_groups_accumulator(arguments);
        }
        let data_type = arguments.return_field.data_type().clone();
        let exact: FieldRef = Arc::new(Field::new("sum", EXACT, true));
        let inner = self.inner.create_groups_accumulator(AccumulatorArgs {
            return_field: exact.clone(),
            expr_fields: &[exact],
            ..arguments
        })?;
        Ok(Box::new(ExactGroups { inner, data_type }))
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

fn exact(values: &ArrayRef) -> Result<ArrayRef> {
    match values.data_type() {
        DataType::Int64 | DataType::UInt64 => Ok(cast(values, &EXACT)?),
        _ => Ok(values.clone()),
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

/// The sums of groups, by DataFusion's sums of decimals.
struct ExactGroups {
    inner: Box<dyn GroupsAccumulator>,
    data_type: DataType,
}

impl GroupsAccumulator for ExactGroups {
    fn update_batch(
        &mut self,
        values: &[ArrayRef],
        groups: &[usize],
        filter: Option<&BooleanArray>,
        groups_in_all: usize,
    ) -> Result<()> {
        let values: Vec<ArrayRef> = values.iter().map(exact).collect::<Result<_>>()?;
        self.inner
            .update_batch(&values, groups, filter, groups_in_all)
    }

    fn merge_batch(
        &mut self,
        states: &[ArrayRef],
        groups: &[usize],
        groups_in_all: usize,
    ) -> Result<()> {
        self.inner.merge_batch(states, groups, groups_in_all)
    }

    fn evaluate(&mut self, emitted: EmitTo) -> Result<ArrayRef> {
        let sums = self.inner.evaluate(emitted)?;
        let sums: &Decimal128Array = sums.as_primitive::<Decimal128Type>();
        let sums = sums.iter();
        Ok(match self.data_type {
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
        self.inner.state(emitted)
    }

    fn convert_to_state(
        &self,
        values: &[ArrayRef],
        filter: Option<&BooleanArray>,
    ) -> Result<Vec<ArrayRef>> {
        let values: Vec<ArrayRef> = values.iter().map(exact).collect::<Result<_>>()?;
        self.inner.convert_to_state(&values, filter)
    }

    fn size(&self) -> usize {
        self.inner.size()
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
}
