//! Expressions over a delta, with the rows that fail set apart.

use std::panic::{AssertUnwindSafe, catch_unwind};
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
            concat(&parts)?
        });
    }
    Ok((survivors, arrays))
}

fn evaluate_batch(
    expressions: &[Arc<dyn PhysicalExpr>],
    rows: &RecordBatch,
) -> Result<Vec<ArrayRef>, DataFusionError> {
    let array = |expression: &Arc<dyn PhysicalExpr>| {
        let array = expression.evaluate(rows)?.into_array(rows.num_rows())?;
        Ok(canonical(&array))
    };
    let arrays = || expressions.iter().map(array).collect();
    // Functions of the library panic for some values: that is their row's fault,
    // not the end of the warehouse. Nothing that they touch is used again.
    catch_unwind(AssertUnwindSafe(arrays)).unwrap_or_else(|panic| {
        let said = panic.downcast_ref::<String>().map(String::as_str);
        let said = said.or_else(|| panic.downcast_ref::<&str>().copied());
        let said = said.unwrap_or("no words");
        Err(DataFusionError::Execution(format!(
            "a function failed: {said}"
        )))
    })
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
