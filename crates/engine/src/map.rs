//! Filter and project: linear, so they work on changes alone and keep nothing.

use std::sync::Arc;

use arrow::array::{BooleanArray, UInt32Array};
use arrow::datatypes::SchemaRef;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::Column;
use sluice_core::Delta;

use crate::EngineError;
use crate::expression::{evaluate, true_rows};
use crate::operator::{Operator, StepContext};

/// WHERE, HAVING.
pub(crate) struct Filter {
    pub(crate) view: String,
    pub(crate) predicate: Arc<dyn PhysicalExpr>,
}

impl Operator for Filter {
    fn step(
        &mut self,
        context: &mut StepContext<'_>,
        inputs: &[&Delta],
    ) -> Result<Delta, EngineError> {
        let input = inputs[0];
        if input.is_empty() {
            return Ok(input.clone());
        }
        let predicate = std::slice::from_ref(&self.predicate);
        let (survivors, masks) = evaluate(predicate, input, &self.view, context.errors)?;
        keep(&survivors, &true_rows(&masks[0])?)
    }
}

/// The rows of `delta` for which `mask` is true.
pub(crate) fn keep(delta: &Delta, mask: &BooleanArray) -> Result<Delta, EngineError> {
    if mask.true_count() == delta.len() {
        return Ok(delta.clone());
    }
    let kept: UInt32Array = mask
        .values()
        .set_indices()
        .map(|row| row as u32)
        .collect::<Vec<u32>>()
        .into();
    Ok(delta.take(&kept)?)
}

/// SELECT expressions.
pub(crate) struct Project {
    pub(crate) view: String,
    pub(crate) expressions: Vec<Arc<dyn PhysicalExpr>>,
    pub(crate) schema: SchemaRef,
}

impl Operator for Project {
    fn step(
        &mut self,
        context: &mut StepContext<'_>,
        inputs: &[&Delta],
    ) -> Result<Delta, EngineError> {
        let input = inputs[0];
        if input.is_empty() {
            return Ok(Delta::empty(self.schema.clone()));
        }
        let (survivors, columns) = evaluate(&self.expressions, input, &self.view, context.errors)?;
        Ok(survivors.with_columns(self.schema.clone(), columns)?)
    }
}

/// The input column that an expression passes on unchanged, if it is one.
pub(crate) fn passed_column(expression: &Arc<dyn PhysicalExpr>) -> Option<usize> {
    expression.downcast_ref::<Column>().map(Column::index)
}
