//! Expressions over a delta, with the rows that fail set apart.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, BooleanArray, RecordBatch, UInt32Array};
use arrow::compute::concat;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{DFSchema, ScalarValue, plan_err};
use datafusion::error::DataFusionError;
use datafusion::execution::context::ExecutionProps;
use datafusion::logical_expr::{Expr, Operator as BinaryOperator};
use datafusion::physical_expr::expressions::{BinaryExpr, Literal, NegativeExpr};
use datafusion::physical_expr::{PhysicalExpr, create_physical_expr};
use sluice_core::Delta;
use sluice_functions::canonical;

use crate::EngineError;
use crate::evaluation_errors::EvaluationErrors;
use crate::library_panics::caught;

/// Compiles a logical expression. Integer arithmetic that overflows is an
/// error here, not a wrapped number as in DataFusion.
pub(crate) fn compile(
    expression: &Expr,
    schema: &DFSchema,
) -> Result<Arc<dyn PhysicalExpr>, DataFusionError> {
    let has_subquery = expression.exists(|part| {
        Ok(matches!(
            part,
            Expr::Exists(_)
                | Expr::InSubquery(_)
                | Expr::ScalarSubquery(_)
                | Expr::SetComparison(_)
                | Expr::OuterReferenceColumn(..)
        ))
    })?;
    if has_subquery {
        return plan_err!(
            "a subquery that cannot become a join: write it as a join, or compare it by equality only"
        );
    }
    let compiled = create_physical_expr(
        expression,
        schema,
        &ExecutionProps::new(),
        &Default::default(),
    )?;
    let checked = compiled.transform_up(|node| {
        if let Some(negative) = node.downcast_ref::<NegativeExpr>() {
            let data_type = negative.arg().data_type(schema.as_arrow())?;
            if !data_type.is_signed_integer() {
                return Ok(Transformed::no(node));
            }
            // The least integer has no negative.
            let zero = Arc::new(Literal::new(ScalarValue::new_zero(&data_type)?));
            let checked = BinaryExpr::new(zero, BinaryOperator::Minus, negative.arg().clone())
                .with_fail_on_overflow(true);
            return Ok(Transformed::yes(Arc::new(checked) as Arc<dyn PhysicalExpr>));
        }
        let Some(binary) = node.downcast_ref::<BinaryExpr>() else {
            return Ok(Transformed::no(node));
        };
        let is_arithmetic = matches!(
            binary.op(),
            BinaryOperator::Plus | BinaryOperator::Minus | BinaryOperator::Multiply
        );
        if !is_arithmetic {
            return Ok(Transformed::no(node));
        }
        let checked = BinaryExpr::new(binary.left().clone(), *binary.op(), binary.right().clone())
            .with_fail_on_overflow(true);
        Ok(Transformed::yes(Arc::new(checked) as Arc<dyn PhysicalExpr>))
    })?;
    Ok(checked.data)
}

/// Evaluates all `expressions` on every row. Rows on which one fails go to
/// `errors`; the returned delta holds the others, and the arrays fit it.
pub(crate) fn evaluate(
    expressions: &[Arc<dyn PhysicalExpr>],
    delta: &Delta,
    view: &str,
    errors: &mut EvaluationErrors,
) -> Result<(Delta, Vec<ArrayRef>), EngineError> {
    if let Ok(arrays) = evaluate_batch(expressions, delta.rows()) {
        let arrays = arrays.iter().map(canonical).collect::<Result<_, _>>()?;
        return Ok((delta.clone(), arrays));
    }
    let mut search = FailureSearch {
        expressions,
        delta,
        view,
        errors,
        good_rows: Vec::new(),
        good_arrays: Vec::new(),
    };
    search.run(0, delta.len());
    let FailureSearch {
        good_rows,
        good_arrays,
        ..
    } = search;
    let survivors = delta.take(&UInt32Array::from(good_rows))?;
    let mut arrays = Vec::with_capacity(expressions.len());
    for (index, expression) in expressions.iter().enumerate() {
        let parts: Vec<&dyn Array> = good_arrays
            .iter()
            .map(|arrays| arrays[index].as_ref())
            .collect();
        arrays.push(if parts.is_empty() {
            arrow::array::new_empty_array(&expression.data_type(&delta.schema())?)
        } else {
            // Once here: a slice of lists has the values of all of them.
            canonical(&concat(&parts)?)?
        });
    }
    Ok((survivors, arrays))
}

fn evaluate_batch(
    expressions: &[Arc<dyn PhysicalExpr>],
    rows: &RecordBatch,
) -> Result<Vec<ArrayRef>, DataFusionError> {
    let array =
        |expression: &Arc<dyn PhysicalExpr>| expression.evaluate(rows)?.into_array(rows.num_rows());
    caught(|| expressions.iter().map(array).collect())
}

/// Halves a batch until the failing rows stand alone: k failures among n rows
/// cost about k·log n evaluations.
struct FailureSearch<'a> {
    expressions: &'a [Arc<dyn PhysicalExpr>],
    delta: &'a Delta,
    view: &'a str,
    errors: &'a mut EvaluationErrors,
    good_rows: Vec<u32>,
    good_arrays: Vec<Vec<ArrayRef>>,
}

impl FailureSearch<'_> {
    fn run(&mut self, start: usize, length: usize) {
        if length == 0 {
            return;
        }
        let slice = self.delta.rows().slice(start, length);
        match evaluate_batch(self.expressions, &slice) {
            Ok(arrays) => {
                self.good_rows
                    .extend((start..start + length).map(|row| row as u32));
                self.good_arrays.push(arrays);
            }
            Err(error) if length == 1 => {
                let weight = self.delta.weights()[start];
                let message = error.strip_backtrace();
                self.errors
                    .push_row(self.view, message, self.delta.rows(), start, weight);
            }
            Err(_) => {
                let half = length / 2;
                self.run(start, half);
                self.run(start + half, length - half);
            }
        }
    }
}

/// The rows for which a boolean array is true; null counts as false.
pub(crate) fn true_rows(mask: &ArrayRef) -> Result<BooleanArray, EngineError> {
    let Some(mask) = mask.as_any().downcast_ref::<BooleanArray>() else {
        return Err(EngineError::Invariant(format!(
            "a condition has the type {}",
            mask.data_type()
        )));
    };
    if mask.null_count() == 0 {
        return Ok(mask.clone());
    }
    Ok(arrow::compute::prep_null_mask_filter(mask))
}

#[cfg(test)]
mod tests {
    use arrow::array::{AsArray, Float64Array, Int64Array, ListArray};
    use arrow::datatypes::{DataType, Field, Float64Type, Int64Type, Schema};
    use datafusion::logical_expr::{ColumnarValue, ScalarUDF, Volatility, col, create_udf};

    use super::*;

    fn delta(schema: &Schema, columns: Vec<ArrayRef>) -> Delta {
        Delta::insert(RecordBatch::try_new(Arc::new(schema.clone()), columns).unwrap())
    }

    /// Its argument, but no 3.
    fn picky() -> ScalarUDF {
        create_udf(
            "picky",
            vec![DataType::Int64],
            DataType::Int64,
            Volatility::Immutable,
            Arc::new(|arguments| {
                let numbers = ColumnarValue::values_to_arrays(arguments)?.swap_remove(0);
                let has_three = numbers.as_primitive::<Int64Type>().values().contains(&3);
                assert!(!has_three, "three is too much");
                Ok(ColumnarValue::Array(numbers))
            }),
        )
    }

    #[test]
    fn a_row_for_which_a_function_panics_fails_alone() {
        let schema = Schema::new(vec![Field::new("n", DataType::Int64, false)]);
        let numbers = Int64Array::from_iter_values([1, 3, 2, 3, 4]);
        let delta = delta(&schema, vec![Arc::new(numbers)]);
        let columns = DFSchema::try_from(schema).unwrap();
        let expression = compile(&picky().call(vec![col("n")]), &columns).unwrap();
        for _ in 0..2 {
            let mut errors = EvaluationErrors::default();
            let (kept, arrays) =
                evaluate(std::slice::from_ref(&expression), &delta, "v", &mut errors).unwrap();
            assert_eq!(kept.len(), 3);
            assert_eq!(arrays[0].as_primitive::<Int64Type>().values(), &[1, 2, 4]);
            let failed = errors.into_delta().unwrap();
            assert_eq!(failed.weights().iter().sum::<i64>(), 2);
            let said = failed
                .rows()
                .column(1)
                .as_string::<i32>()
                .value(0)
                .to_owned();
            assert!(said.contains("three is too much"), "{said}");
        }
    }

    #[test]
    fn what_is_left_of_a_failing_batch_is_in_one_form_too() {
        let item = |floats: [f64; 2]| Some(floats.map(Some).to_vec());
        let lists = ListArray::from_iter_primitive::<Float64Type, _, _>([
            item([-0.0, 1.0]),
            item([2.0, -f64::NAN]),
            item([-0.0, 5.0]),
        ]);
        let schema = Schema::new(vec![
            Field::new("n", DataType::Int64, false),
            Field::new("f", DataType::Float64, false),
            Field::new("l", lists.data_type().clone(), true),
        ]);
        let delta = delta(
            &schema,
            vec![
                Arc::new(Int64Array::from_iter_values([1, 3, 2])),
                Arc::new(Float64Array::from_iter_values([-0.0, 1.0, -f64::NAN])),
                Arc::new(lists),
            ],
        );
        let columns = DFSchema::try_from(schema).unwrap();
        let expressions = [picky().call(vec![col("n")]), col("f"), col("l")];
        let expressions: Vec<_> = expressions
            .iter()
            .map(|expression| compile(expression, &columns).unwrap())
            .collect();
        let mut errors = EvaluationErrors::default();
        let (_, arrays) = evaluate(&expressions, &delta, "v", &mut errors).unwrap();
        let bits = |array: &ArrayRef| -> Vec<u64> {
            let floats = array.as_primitive::<Float64Type>();
            floats
                .values()
                .iter()
                .map(|float| float.to_bits())
                .collect()
        };
        assert_eq!(bits(&arrays[1]), [0.0, f64::NAN].map(f64::to_bits));
        let lists = arrays[2].as_list::<i32>();
        assert_eq!(bits(&lists.value(0)), [0.0, 1.0].map(f64::to_bits));
        assert_eq!(bits(&lists.value(1)), [0.0, 5.0].map(f64::to_bits));
    }
}
