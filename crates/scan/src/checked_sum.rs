//! `sum` of integers, and of decimals that have no wider type: exact while it adds,
//! and an error if the end does not fit.

mod distinct;
mod groups;
mod one_group;

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray};
use arrow::datatypes::{
    DECIMAL128_MAX_PRECISION, DataType, Decimal128Type, DecimalType, Field, FieldRef, Int64Type,
    UInt64Type,
};
use arrow::error::ArrowError;
use datafusion::common::ScalarValue;
use datafusion::error::{DataFusionError, Result};
use datafusion::functions_aggregate::sum::sum_udaf;
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::utils::{AggregateOrderSensitivity, format_state_name};
use datafusion::logical_expr::{
    Accumulator, AggregateUDF, AggregateUDFImpl, GroupsAccumulator, ReversedUDAF, SetMonotonicity,
    Signature,
};

use self::distinct::DistinctSum;
use self::groups::ExactGroups;
use self::one_group::ExactSum;

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

#[cfg(test)]
mod tests;
