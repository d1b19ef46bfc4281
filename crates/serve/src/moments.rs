//! Moments in the time zone of whoever reads.
//!
//! Stored moments are of the type "timestamp in UTC", which is what models see.
//! Ad-hoc readers see the same values as timestamps in their zone, so that casts
//! to dates, `date_trunc`, `extract` and times written without a zone go by it,
//! as they do in PostgreSQL.

use std::sync::Arc;

use arrow::array::{RecordBatch, RecordBatchOptions};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::common::Column;
use datafusion::error::Result;
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder, cast};
use sluice_functions::is_utc;
use sluice_scan::as_declared;

/// The type of a column as readers in the zone see it.
fn type_in(data_type: &DataType, zone: &Arc<str>) -> Option<DataType> {
    match data_type {
        DataType::Timestamp(unit, Some(known)) if is_utc(known) && known != zone => {
            Some(DataType::Timestamp(*unit, Some(zone.clone())))
        }
        _ => None,
    }
}

/// Columns as readers in the zone see them: other types of the same values.
pub(crate) fn schema_in(stored: &SchemaRef, zone: &Arc<str>) -> SchemaRef {
    let fields = stored.fields().iter();
    let fields = fields.map(|field| match type_in(field.data_type(), zone) {
        Some(data_type) => Arc::new(Field::clone(field).with_data_type(data_type)),
        None => field.clone(),
    });
    let fields: Vec<Arc<Field>> = fields.collect();
    let metadata = stored.metadata().clone();
    Arc::new(Schema::new(fields).with_metadata(metadata))
}

/// Rows as readers in the zone see them.
///
/// # Errors
/// When a column does not fit its type.
pub(crate) fn rows_in(rows: &RecordBatch, zone: &Arc<str>) -> Result<RecordBatch> {
    let schema = schema_in(&rows.schema(), zone);
    let columns = schema.fields().iter().zip(rows.columns());
    let columns = columns.map(|(field, column)| as_declared(column, field.data_type()));
    let columns = columns.collect::<Result<Vec<_>>>()?;
    let options = RecordBatchOptions::new().with_row_count(Some(rows.num_rows()));
    Ok(RecordBatch::try_new_with_options(
        schema, columns, &options,
    )?)
}

/// A plan whose rows are those of `plan`, as readers in the zone see them.
///
/// # Errors
/// When two of its columns have one name.
pub(crate) fn plan_in(plan: &LogicalPlan, zone: &Arc<str>) -> Result<LogicalPlan> {
    let mut is_other = false;
    let columns = plan.schema().iter().map(|(qualifier, field)| {
        let column = Expr::Column(Column::new(qualifier.cloned(), field.name()));
        match type_in(field.data_type(), zone) {
            Some(data_type) => {
                is_other = true;
                cast(column, data_type).alias(field.name())
            }
            None => column,
        }
    });
    let columns: Vec<Expr> = columns.collect();
    match is_other {
        true => LogicalPlanBuilder::from(plan.clone())
            .project(columns)?
            .build(),
        false => Ok(plan.clone()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::datatypes::TimeUnit;

    #[test]
    fn only_moments_in_utc_change() {
        let time = |zone: Option<&str>| {
            DataType::Timestamp(TimeUnit::Microsecond, zone.map(Arc::<str>::from))
        };
        let schema = |zones: &[Option<&str>]| {
            let fields = zones.iter().enumerate();
            let fields = fields.map(|(at, zone)| Field::new(format!("c{at}"), time(*zone), true));
            Arc::new(Schema::new(fields.collect::<Vec<_>>()))
        };
        let stored = schema(&[Some("UTC"), Some("+00:00"), None, Some("Asia/Tokyo")]);
        let zone: Arc<str> = "Asia/Shanghai".into();
        assert_eq!(
            schema_in(&stored, &zone),
            schema(&[Some(&zone), Some(&zone), None, Some("Asia/Tokyo")])
        );
    }
}
