//! The conditions of a scan, each of them tried on the rows that those before
//! it have left.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, BooleanBufferBuilder, RecordBatch, RecordBatchOptions,
    new_null_array,
};
use arrow::compute::{cast, concat, filter, prep_null_mask_filter};
use arrow::datatypes::{DataType, Int32Type, SchemaRef};
use datafusion::common::exec_err;
use datafusion::error::Result;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::utils::{collect_columns, reassign_expr_columns, split_conjunction};

/// A condition is tried on the rows that are left alone, when they are no more
/// than one in this many: picking them has its price too.
const FEW_ROWS_PART: usize = 5;

/// One condition, and the columns that it reads.
#[derive(Debug, Clone)]
struct Condition {
    expression: Arc<dyn PhysicalExpr>,
    /// Positions in the table.
    columns: Vec<usize>,
    schema: SchemaRef,
}

/// See the module.
#[derive(Debug, Clone, Default)]
pub(crate) struct RowFilter {
    conditions: Vec<Condition>,
}

impl RowFilter {
    /// The parts of `condition`, which reads columns of `table`.
    pub(crate) fn new(condition: &Arc<dyn PhysicalExpr>, table: &SchemaRef) -> Result<Self> {
        let parts = split_conjunction(condition).into_iter();
        let conditions = parts.map(|part| {
            let columns = collect_columns(part);
            let mut columns: Vec<usize> = columns.iter().map(|column| column.index()).collect();
            columns.sort_unstable();
            columns.dedup();
            let schema = Arc::new(table.project(&columns)?);
            Ok(Condition {
                expression: reassign_expr_columns(part.clone(), &schema)?,
                columns,
                schema,
            })
        });
        let mut conditions: Vec<Condition> = conditions.collect::<Result<_>>()?;
        // Text in dictionaries is compared once for each value.
        conditions.sort_by_key(|condition| !condition.is_of_one_text());
        Ok(Self { conditions })
    }

    /// Positions in the table of the columns that it reads first.
    pub(crate) fn first_columns(&self) -> &[usize] {
        self.conditions.first().map_or(&[], |first| &first.columns)
    }

    /// True for the rows that pass, `None` if all do. `column` gives a column of
    /// the table; it may be a dictionary of text.
    pub(crate) fn passing(
        &self,
        rows: usize,
        mut column: impl FnMut(usize) -> Result<ArrayRef>,
    ) -> Result<Option<BooleanArray>> {
        let mut passing: Option<BooleanArray> = None;
        for condition in &self.conditions {
            let left = passing.as_ref().map_or(rows, BooleanArray::true_count);
            if left == 0 {
                break;
            }
            let mut columns = Vec::with_capacity(condition.columns.len());
            for &position in &condition.columns {
                columns.push(column(position)?);
            }
            let found = match &passing {
                Some(few) if left * FEW_ROWS_PART <= rows => {
                    let picked = columns.iter().map(|column| filter(column, few));
                    let picked = picked.collect::<std::result::Result<Vec<_>, _>>()?;
                    scatter(few, &condition.holds(&picked, left)?)
                }
                Some(some) => {
                    let holds = condition.holds(&columns, rows)?;
                    BooleanArray::new(some.values() & holds.values(), None)
                }
                None => condition.holds(&columns, rows)?,
            };
            passing = Some(found);
        }
        Ok(passing.filter(|passing| passing.true_count() < rows))
    }
}

impl Condition {
    fn is_of_one_text(&self) -> bool {
        self.columns.len() == 1 && *self.schema.field(0).data_type() == DataType::Utf8
    }

    /// True where it is true, false where it is false or not known.
    fn holds(&self, columns: &[ArrayRef], rows: usize) -> Result<BooleanArray> {
        if let [column] = columns
            && matches!(column.data_type(), DataType::Dictionary(_, _))
            && let Some(holds) = self.holds_by_values(column, rows)
        {
            return Ok(holds);
        }
        self.evaluate(columns, rows)
    }

    /// The same by trying each value of a dictionary once; `None` where that
    /// costs more, or one of the values, which may be of no row, is an error.
    fn holds_by_values(&self, column: &ArrayRef, rows: usize) -> Option<BooleanArray> {
        let dictionary = column.as_dictionary_opt::<Int32Type>()?;
        let values = dictionary.values();
        if values.len() >= rows {
            return None;
        }
        // Behind the values what holds of a null.
        let null = new_null_array(values.data_type(), 1);
        let with_null = concat(&[values.as_ref(), null.as_ref()]).ok()?;
        let count = with_null.len();
        let holds = self.evaluate(&[with_null], count).ok()?;
        let holds = holds.values();
        let keys = dictionary.keys();
        let mut of_rows = BooleanBufferBuilder::new(rows);
        let null_holds = holds.value(count - 1);
        match keys.nulls() {
            None => keys
                .values()
                .iter()
                .for_each(|&key| of_rows.append(holds.value(key as usize))),
            Some(nulls) => {
                let keys = keys.values().iter().zip(nulls.iter());
                keys.for_each(|(&key, is_there)| {
                    of_rows.append(match is_there {
                        true => holds.value(key as usize),
                        false => null_holds,
                    });
                });
            }
        }
        Some(BooleanArray::new(of_rows.finish(), None))
    }

    fn evaluate(&self, columns: &[ArrayRef], rows: usize) -> Result<BooleanArray> {
        let fields = self.schema.fields().iter();
        let columns = fields
            .zip(columns)
            .map(|(field, column)| as_declared(column, field.data_type()));
        let columns = columns.collect::<Result<Vec<_>>>()?;
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        let batch = RecordBatch::try_new_with_options(self.schema.clone(), columns, &options)?;
        let value = self.expression.evaluate(&batch)?.into_array(rows)?;
        let Some(holds) = value.as_boolean_opt() else {
            return exec_err!("the condition {} is not a truth value", self.expression);
        };
        Ok(match holds.null_count() {
            0 => holds.clone(),
            _ => prep_null_mask_filter(holds),
        })
    }
}

/// A column in the type that its table declares.
///
/// # Errors
/// When it cannot be cast.
pub fn as_declared(column: &ArrayRef, declared: &DataType) -> Result<ArrayRef> {
    match column.data_type() == declared {
        true => Ok(column.clone()),
        false => Ok(cast(column, declared)?),
    }
}

/// `holds` of the rows that are true in `few`, for all rows.
fn scatter(few: &BooleanArray, holds: &BooleanArray) -> BooleanArray {
    let mut all = BooleanBufferBuilder::new(few.len());
    all.append_n(few.len(), false);
    for (row, holds) in few.values().set_indices().zip(holds.values().iter()) {
        if holds {
            all.set_bit(row, true);
        }
    }
    BooleanArray::new(all.finish(), None)
}
