//! UNION ALL: linear, so its change is the sum of its inputs' changes.

use arrow::datatypes::SchemaRef;
use sluice_core::Delta;

use crate::EngineError;
use crate::operator::{Operator, StepContext};

pub(crate) struct Union {
    schema: SchemaRef,
}

impl Union {
    pub(crate) fn new(schema: SchemaRef) -> Self {
        Self { schema }
    }
}

impl Operator for Union {
    fn step(
        &mut self,
        _context: &mut StepContext<'_>,
        inputs: &[&Delta],
    ) -> Result<Delta, EngineError> {
        let mut parts = Vec::with_capacity(inputs.len());
        for input in inputs.iter().filter(|input| !input.is_empty()) {
            // Inputs may differ in nullability; the union's schema covers all.
            let columns = input.rows().columns().to_vec();
            parts.push(input.with_columns(self.schema.clone(), columns)?);
        }
        if parts.is_empty() {
            return Ok(Delta::empty(self.schema.clone()));
        }
        Ok(Delta::concat(&self.schema, &parts)?)
    }
}
