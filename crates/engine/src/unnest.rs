//! unnest: a row for each element of a list, columns for the fields of a
//! struct. Linear, so it works on changes alone and keeps nothing.
//!
//! DataFusion's own operator does the work, with the rows' weights as a last
//! column, which it repeats like every other.

use std::sync::Arc;

use arrow::array::{AsArray, Int64Array, RecordBatch};
use arrow::compute::concat_batches;
use arrow::datatypes::{DataType, Field, Int64Type, Schema, SchemaRef};
use datafusion::common::UnnestOptions;
use datafusion::datasource::memory::MemorySourceConfig;
use datafusion::execution::TaskContext;
use datafusion::physical_plan::unnest::{ListUnnest, UnnestExec};
use datafusion::physical_plan::{ExecutionPlan, common::collect};
use sluice_core::Delta;

use crate::EngineError;
use crate::operator::{Operator, StepContext};

/// What is taken apart.
#[derive(Debug, Clone)]
pub(crate) struct UnnestSpec {
    /// Columns with lists, and how deep each goes.
    pub(crate) lists: Vec<(usize, usize)>,
    /// Columns with structs.
    pub(crate) structs: Vec<usize>,
    pub(crate) options: UnnestOptions,
}

impl UnnestSpec {
    /// The columns that are taken apart.
    pub(crate) fn columns(&self) -> Vec<usize> {
        let lists = self.lists.iter().map(|&(column, _)| column);
        lists.chain(self.structs.iter().copied()).collect()
    }
}

/// See the module.
pub(crate) struct Unnest {
    spec: UnnestSpec,
    schema: SchemaRef,
}

impl Unnest {
    pub(crate) fn new(spec: UnnestSpec, schema: SchemaRef) -> Self {
        Self { spec, schema }
    }
}

/// The schema with the weights behind it.
fn with_weights(schema: &SchemaRef) -> SchemaRef {
    let weight = Arc::new(Field::new("weight", DataType::Int64, false));
    let fields = schema.fields().iter().cloned().chain([weight]);
    Arc::new(Schema::new(fields.collect::<Vec<_>>()))
}

impl Operator for Unnest {
    fn step(
        &mut self,
        _context: &mut StepContext<'_>,
        inputs: &[&Delta],
    ) -> Result<Delta, EngineError> {
        let input = inputs[0];
        if input.is_empty() {
            return Ok(Delta::empty(self.schema.clone()));
        }
        let input_schema = with_weights(&input.schema());
        let mut columns = input.rows().columns().to_vec();
        columns.push(Arc::new(Int64Array::from(input.weights().to_vec())));
        let rows = RecordBatch::try_new(input_schema.clone(), columns)?;
        let source = MemorySourceConfig::try_new_exec(&[vec![rows]], input_schema, None)?;
        let lists = self.spec.lists.iter().map(|&(column, depth)| ListUnnest {
            index_in_input_schema: column,
            depth,
        });
        let output_schema = with_weights(&self.schema);
        let unnest = UnnestExec::new(
            source,
            lists.collect(),
            self.spec.structs.clone(),
            output_schema.clone(),
            self.spec.options.clone(),
        )?;
        let stream = unnest.execute(0, Arc::new(TaskContext::default()))?;
        let batches = futures::executor::block_on(collect(stream))?;
        let rows = concat_batches(&output_schema, &batches)?;
        let mut columns = rows.columns().to_vec();
        let weights = columns
            .pop()
            .unwrap_or_else(|| Arc::new(Int64Array::from(vec![0; 0])));
        let weights = weights.as_primitive::<Int64Type>().values().to_vec();
        let rows = RecordBatch::try_new(self.schema.clone(), columns)?;
        Ok(Delta::try_new(rows, weights)?)
    }
}
