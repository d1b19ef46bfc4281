//! The sums of groups.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, ArrowPrimitiveType, AsArray, BooleanArray, Decimal128Array, Int64Array,
    PrimitiveArray, UInt64Array,
};
use arrow::compute::{cast, not, nullif, prep_null_mask_filter};
use arrow::datatypes::{DataType, Decimal128Type, Int64Type, UInt64Type};
use datafusion::common::utils::take_function_args;
use datafusion::error::Result;
use datafusion::logical_expr::{EmitTo, GroupsAccumulator};

use super::{exact_type, fitted, too_many_digits, within_digits};

/// See the module.
pub(super) struct ExactGroups {
    sums: Vec<i128>,
    /// Whether there is a value in the sum.
    has_value: Vec<bool>,
    data_type: DataType,
}

impl ExactGroups {
    pub(super) fn new(data_type: &DataType) -> Self {
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
