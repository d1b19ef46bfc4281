//! Behind the columns of its input, the id of a value in its domain. A row whose
//! value gets no id any more, because the domain is full, is an evaluation
//! error.
//!
//! A value keeps its id, so the operator is linear: a row that is taken back
//! gets the id that it got when it came.

use std::sync::Arc;

use arrow::array::{AsArray, UInt32Array};
use arrow::compute::cast;
use arrow::datatypes::{DataType, SchemaRef};
use datafusion::physical_expr::PhysicalExpr;
use sluice_core::Delta;

use crate::EngineError;
use crate::expression::evaluate;
use crate::operator::{Operator, StepContext};

/// See the module.
pub(crate) struct UniqIds {
    pub(crate) view: String,
    pub(crate) value: Arc<dyn PhysicalExpr>,
    pub(crate) domain: Arc<str>,
    pub(crate) schema: SchemaRef,
}

impl Operator for UniqIds {
    fn step(
        &mut self,
        context: &mut StepContext<'_>,
        inputs: &[&Delta],
    ) -> Result<Delta, EngineError> {
        let input = inputs[0];
        if input.is_empty() {
            return Ok(Delta::empty(self.schema.clone()));
        }
        let value = std::slice::from_ref(&self.value);
        let (rows, values) = evaluate(value, input, &self.view, context.errors)?;
        let values = cast(&values[0], &DataType::Utf8)?;
        let domain = context.id_domains.get_mut(&self.domain).ok_or_else(|| {
            EngineError::Invariant(format!("there is no domain `{}` of ids", self.domain))
        })?;
        let mut kept: Vec<u32> = Vec::with_capacity(rows.len());
        let mut ids: Vec<Option<u32>> = Vec::with_capacity(rows.len());
        for (row, value) in values.as_string::<i32>().iter().enumerate() {
            let id = value.map(|value| domain.id(value));
            if id == Some(None) {
                let message = format!(
                    "the domain `{}` of unique values has {} ids, as many as limits.uniq_ids_max allows",
                    self.domain,
                    domain.count_max()
                );
                let weight = rows.weights()[row];
                context
                    .errors
                    .push_row(&self.view, message, rows.rows(), row, weight);
                continue;
            }
            kept.push(row as u32);
            ids.push(id.flatten());
        }
        let rows = if kept.len() == rows.len() {
            rows
        } else {
            rows.take(&UInt32Array::from(kept))?
        };
        let mut columns = rows.rows().columns().to_vec();
        columns.push(Arc::new(UInt32Array::from(ids)));
        Ok(rows.with_columns(self.schema.clone(), columns)?)
    }
}
