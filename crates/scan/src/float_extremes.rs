//! `min` and `max` of floats by group: NaN is greater than every number, as in
//! PostgreSQL and in the functions of a whole table. DataFusion's functions of
//! groups give what the order of the rows makes of a NaN.

use std::cmp::Ordering;
use std::sync::Arc;

use arrow::datatypes::{ArrowPrimitiveType, DataType, FieldRef, Float32Type, Float64Type};
use datafusion::common::ScalarValue;
use datafusion::error::Result;
use datafusion::functions_aggregate::min_max::{max_udaf, min_udaf};
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::utils::AggregateOrderSensitivity;
use datafusion::logical_expr::{
    Accumulator, AggregateUDF, AggregateUDFImpl, GroupsAccumulator, ReversedUDAF, SetMonotonicity,
    Signature, StatisticsArgs,
};
use datafusion_functions_aggregate_common::aggregate::groups_accumulator::prim_op::PrimitiveGroupsAccumulator;

/// The functions `min` and `max`.
pub fn float_extremes() -> [AggregateUDF; 2] {
    [
        (min_udaf(), Ordering::Less),
        (max_udaf(), Ordering::Greater),
    ]
    .map(|(inner, wins)| AggregateUDF::from(Extreme { inner, wins }))
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Extreme {
    /// DataFusion's function, for all but groups of floats.
    inner: Arc<AggregateUDF>,
    /// How a value compares with the one whose place it takes.
    wins: Ordering,
}

impl AggregateUDFImpl for Extreme {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn signature(&self) -> &Signature {
        self.inner.signature()
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        self.inner.return_type(types)
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        self.inner.coerce_types(types)
    }

    fn accumulator(&self, arguments: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        self.inner.accumulator(arguments)
    }

    fn create_sliding_accumulator(
        &self,
        arguments: AccumulatorArgs,
    ) -> Result<Box<dyn Accumulator>> {
        self.inner.create_sliding_accumulator(arguments)
    }

    fn state_fields(&self, arguments: StateFieldsArgs) -> Result<Vec<FieldRef>> {
        self.inner.state_fields(arguments)
    }

    fn groups_accumulator_supported(&self, arguments: AccumulatorArgs) -> bool {
        self.inner.groups_accumulator_supported(arguments)
    }

    fn create_groups_accumulator(
        &self,
        arguments: AccumulatorArgs,
    ) -> Result<Box<dyn GroupsAccumulator>> {
        let loser_64 = match self.wins {
            Ordering::Less => f64::NAN,
            _ => f64::NEG_INFINITY,
        };
        match arguments.return_field.data_type() {
            DataType::Float64 => Ok(groups::<Float64Type>(loser_64, self.wins, float_order)),
            DataType::Float32 => {
                let order = |a: f32, b: f32| float_order(a.into(), b.into());
                Ok(groups::<Float32Type>(loser_64 as f32, self.wins, order))
            }
            _ => self.inner.create_groups_accumulator(arguments),
        }
    }

    fn is_descending(&self) -> Option<bool> {
        self.inner.inner().is_descending()
    }

    fn value_from_stats(&self, arguments: &StatisticsArgs) -> Option<ScalarValue> {
        self.inner.inner().value_from_stats(arguments)
    }

    fn order_sensitivity(&self) -> AggregateOrderSensitivity {
        self.inner.inner().order_sensitivity()
    }

    fn reverse_expr(&self) -> ReversedUDAF {
        self.inner.inner().reverse_expr()
    }

    fn set_monotonicity(&self, data_type: &DataType) -> SetMonotonicity {
        self.inner.inner().set_monotonicity(data_type)
    }
}

/// Numbers as they compare, and every NaN above them.
fn float_order(a: f64, b: f64) -> Ordering {
    let by_nan = || a.is_nan().cmp(&b.is_nan());
    a.partial_cmp(&b).unwrap_or_else(by_nan)
}

/// Starts with `loser`, whose place any other value takes.
fn groups<T: ArrowPrimitiveType + Send>(
    loser: T::Native,
    wins: Ordering,
    order: impl Fn(T::Native, T::Native) -> Ordering + Send + Sync + 'static,
) -> Box<dyn GroupsAccumulator> {
    let take = move |best: &mut T::Native, new: T::Native| {
        if order(new, *best) == wins {
            *best = new;
        }
    };
    let groups = PrimitiveGroupsAccumulator::<T, _>::new(&T::DATA_TYPE, take);
    Box::new(groups.with_starting_value(loser))
}

#[cfg(test)]
mod tests {
    use arrow::array::{AsArray, RecordBatch};
    use datafusion::prelude::SessionContext;

    use super::*;

    async fn answer(sql: &str) -> RecordBatch {
        let context = SessionContext::new();
        for function in float_extremes() {
            context.register_udaf(function);
        }
        let rows = context.sql(sql).await.unwrap().collect().await.unwrap();
        arrow::compute::concat_batches(&rows[0].schema(), &rows).unwrap()
    }

    #[tokio::test]
    async fn nan_is_greater_than_every_number_wherever_it_stands() {
        for data_type in ["DOUBLE", "REAL"] {
            // Groups: NaN first, last, in between, alone; the ends of what is; none.
            let sql = format!(
                "SELECT CAST(min(f) AS DOUBLE), CAST(max(f) AS DOUBLE) FROM (
                    SELECT g, CAST(f AS {data_type}) AS f FROM (VALUES
                        (1, 'NaN'), (1, '2'), (1, '1'), (2, '1'), (2, '2'), (2, 'NaN'),
                        (3, '2'), (3, 'NaN'), (3, '1'), (4, 'NaN'),
                        (5, '-Infinity'), (5, '3'), (6, 'Infinity'), (7, NULL)) AS v(g, f))
                 GROUP BY g ORDER BY g"
            );
            let rows = answer(&sql).await;
            let columns: Vec<Vec<String>> = (0..2)
                .map(|column| {
                    let floats = rows.column(column).as_primitive::<Float64Type>().iter();
                    floats.map(|float| format!("{float:?}")).collect()
                })
                .collect();
            let lists = [
                ["1.0", "1.0", "1.0", "NaN", "-inf", "inf"],
                ["NaN", "NaN", "NaN", "NaN", "3.0", "inf"],
            ];
            for (found, expected) in columns.iter().zip(lists) {
                let mut expected = expected.map(|float| format!("Some({float})")).to_vec();
                expected.push("None".to_owned());
                assert_eq!(found, &expected, "{data_type}");
            }
        }
    }
}
