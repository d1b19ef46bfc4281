//! The aggregation of one part of a scan: groups, and an accumulator for each
//! aggregate function.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, RecordBatch, RecordBatchOptions};
use arrow::compute::prep_null_mask_filter;
use arrow::datatypes::SchemaRef;
use datafusion::common::exec_err;
use datafusion::error::Result;
use datafusion::execution::memory_pool::MemoryReservation;
use datafusion::logical_expr::{EmitTo, GroupsAccumulator};
use datafusion::physical_expr::aggregate::AggregateFunctionExpr;
use datafusion::physical_expr::{GroupsAccumulatorAdapter, PhysicalExpr};

use crate::coded_groups::groups::Groups;
use crate::row_filter::as_declared;

/// After so many rows it is known whether they have groups in common.
const USELESS_ROWS_MIN: usize = 100_000;

/// A key of a group.
#[derive(Debug, Clone)]
pub(crate) enum Key {
    /// A column of the scan, which may be a dictionary.
    Column(usize),
    /// Over the columns that [`Shape::read`] names.
    Computed(Arc<dyn PhysicalExpr>),
}

/// An aggregate function, over the columns that [`Shape::read`] names.
#[derive(Debug, Clone)]
pub(crate) struct Function {
    pub(crate) function: Arc<AggregateFunctionExpr>,
    pub(crate) arguments: Vec<Arc<dyn PhysicalExpr>>,
    pub(crate) filter: Option<Arc<dyn PhysicalExpr>>,
}

/// What is computed.
#[derive(Debug)]
pub(crate) struct Shape {
    pub(crate) keys: Vec<Key>,
    /// Of the keys.
    pub(crate) key_schema: SchemaRef,
    pub(crate) functions: Vec<Function>,
    /// Columns of the scan that expressions read, in their declared types.
    pub(crate) read: Vec<usize>,
    pub(crate) read_schema: SchemaRef,
    /// Of what is handed on: keys, then the states of the functions.
    pub(crate) schema: SchemaRef,
}

/// See the module.
pub(crate) struct Aggregation {
    shape: Arc<Shape>,
    groups: Groups,
    accumulators: Vec<Box<dyn GroupsAccumulator>>,
    reservation: MemoryReservation,
    /// Rows that were taken in since the last were handed on.
    rows: usize,
}

impl Aggregation {
    /// # Errors
    /// When a function has no accumulator.
    pub(crate) fn new(shape: Arc<Shape>, reservation: MemoryReservation) -> Result<Self> {
        let accumulators = shape.functions.iter().map(|function| {
            let function = function.function.clone();
            if function.groups_accumulator_supported() {
                return function.create_groups_accumulator();
            }
            let one = move || function.create_accumulator();
            Ok(Box::new(GroupsAccumulatorAdapter::new(one)) as Box<dyn GroupsAccumulator>)
        });
        Ok(Self {
            groups: Groups::new(shape.key_schema.clone())?,
            accumulators: accumulators.collect::<Result<_>>()?,
            shape,
            reservation,
            rows: 0,
        })
    }

    /// Takes in rows, whose columns of text may be dictionaries. False when the
    /// memory is used up: what is there must be handed on.
    ///
    /// # Errors
    /// Those of the expressions and functions.
    pub(crate) fn add(&mut self, columns: &[ArrayRef], rows: usize) -> Result<bool> {
        let shape = self.shape.clone();
        let fields = shape.read_schema.fields().iter();
        let read = fields
            .zip(&shape.read)
            .map(|(field, &place)| as_declared(&columns[place], field.data_type()));
        let read = read.collect::<Result<Vec<_>>>()?;
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        let batch = RecordBatch::try_new_with_options(shape.read_schema.clone(), read, &options)?;
        let evaluate =
            |expression: &Arc<dyn PhysicalExpr>| expression.evaluate(&batch)?.into_array(rows);
        let keys = shape.keys.iter().map(|key| match key {
            Key::Column(place) => Ok(columns[*place].clone()),
            Key::Computed(expression) => evaluate(expression),
        });
        let keys = keys.collect::<Result<Vec<_>>>()?;
        self.groups.find(&keys, rows)?;
        self.rows += rows;
        let group_count = self.groups.len();
        for (function, accumulator) in shape.functions.iter().zip(&mut self.accumulators) {
            let arguments = function.arguments.iter().map(evaluate);
            let arguments = arguments.collect::<Result<Vec<_>>>()?;
            let filter = match &function.filter {
                Some(filter) => Some(truths(&evaluate(filter)?)?),
                None => None,
            };
            let of_rows = self.groups.of_rows();
            accumulator.update_batch(&arguments, of_rows, filter.as_ref(), group_count)?;
        }
        let bytes = self.groups.bytes()
            + self
                .accumulators
                .iter()
                .map(|one| one.size())
                .sum::<usize>();
        match self.reservation.try_resize(bytes) {
            Ok(()) => Ok(true),
            // A single group that has no room will have none the next time.
            Err(error) if group_count <= 1 => Err(error),
            Err(_) => Ok(false),
        }
    }

    /// Whether there is nothing to hand on.
    pub(crate) fn is_empty(&self) -> bool {
        self.groups.len() == 0
    }

    /// Whether most rows are a group of their own, so that to hold them is of no use.
    pub(crate) fn gains_little(&self) -> bool {
        self.rows > USELESS_ROWS_MIN && self.groups.len() * 10 > self.rows * 8
    }

    /// Hands on what is there: a row for each group, which are then forgotten.
    ///
    /// # Errors
    /// When the rows cannot be made.
    pub(crate) fn take(&mut self) -> Result<RecordBatch> {
        let rows = self.groups.len();
        let mut columns = self.groups.take()?;
        for accumulator in &mut self.accumulators {
            columns.extend(accumulator.state(EmitTo::All)?);
        }
        self.reservation.free();
        self.rows = 0;
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        let schema = self.shape.schema.clone();
        Ok(RecordBatch::try_new_with_options(
            schema, columns, &options,
        )?)
    }
}

/// True where a condition is, false where it is not or is not known.
fn truths(condition: &ArrayRef) -> Result<BooleanArray> {
    let Some(truths) = condition.as_boolean_opt() else {
        return exec_err!("a condition of an aggregate is not a truth value");
    };
    Ok(match truths.null_count() {
        0 => truths.clone(),
        _ => prep_null_mask_filter(truths),
    })
}
