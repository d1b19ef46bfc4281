//! Rows as PostgreSQL writes them as text, where the library writes them
//! otherwise: moments in their zones, and numbers that are not finite.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, RecordBatch, RecordBatchOptions, StringArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Float64Type, Schema};
use arrow::error::ArrowError;
use async_trait::async_trait;
use datafusion::common::ParamValues;
use datafusion::error::DataFusionError;
use datafusion::logical_expr::LogicalPlan;
use datafusion::physical_plan::execute_stream;
use datafusion::prelude::{DataFrame, SessionContext};
use datafusion::sql::parser::Statement as DataFusionStatement;
use datafusion::sql::sqlparser::ast::Statement;
use datafusion_postgres::QueryHook;
use datafusion_postgres::arrow_pg::datatypes::{arrow_schema_to_pg_fields, encode_recordbatch};
use datafusion_postgres::hooks::HookClient;
use datafusion_postgres::pgwire::api::ClientInfo;
use datafusion_postgres::pgwire::api::portal::Format;
use datafusion_postgres::pgwire::api::results::{FieldFormat, FieldInfo, QueryResponse, Response};
use datafusion_postgres::pgwire::error::{PgWireError, PgWireResult};
use datafusion_postgres::pgwire::messages::data::DataRow;
use datafusion_postgres::pgwire::types::format::FormatOptions;
use datafusion_postgres::pgwire::types::format::float_digits::ExtraFloatDigits;
use futures::StreamExt;
use sluice_syntax::text_of;

use super::codes::{error, of_datafusion};
use super::{interval_texts, time_texts};
use crate::zoned_session::with_types_of_answer;

/// Columns of an answer, as many as PostgreSQL has.
pub(super) const COLUMNS_MAX: usize = 1_664;

tokio::task_local! {
    /// How a client of the extended protocol wants the columns of its answer.
    pub(super) static FORMAT: Format;
}

/// Answers queries.
pub(super) struct QueryRows;

fn failed(problem: DataFusionError) -> PgWireError {
    PgWireError::ApiError(Box::new(problem))
}

/// The way in which a client wants values written as text.
pub(super) fn options_of<C: ClientInfo + ?Sized>(client: &C) -> Arc<FormatOptions> {
    Arc::new(FormatOptions::from_client_metadata(client.metadata()))
}

/// An answer has too many columns.
pub(super) fn too_many_columns() -> PgWireError {
    // 54011: too_many_columns.
    let problem = format!("target lists can have at most {COLUMNS_MAX} entries");
    error("54011", problem)
}

/// The rows of an answer, which are made as the client takes them.
pub(super) async fn answer(
    frame: DataFrame,
    format: &Format,
    options: Arc<FormatOptions>,
) -> PgWireResult<QueryResponse> {
    let (state, plan) = frame.into_parts();
    // The types that the columns have once those of values are matched. What runs is
    // made of the same plan, and not of one that is matched again.
    let plan = state.optimize(&plan).map_err(failed)?;
    let schema = plan.schema().as_arrow();
    if schema.fields().len() > COLUMNS_MAX {
        return Err(too_many_columns());
    }
    let fields = Arc::new(arrow_schema_to_pg_fields(schema, format, Some(options))?);
    let planner = state.query_planner().clone();
    let plan = planner.create_physical_plan(&plan, &state).await;
    let stream = execute_stream(plan.map_err(failed)?, state.task_ctx()).map_err(failed)?;
    let encoded = fields.clone();
    let rows = stream.map(move |rows| match rows {
        Ok(rows) => futures::stream::iter(encode(&encoded, rows)).left_stream(),
        Err(problem) => futures::stream::once(async move { Err(failed(problem)) }).right_stream(),
    });
    Ok(QueryResponse::new(fields, rows.flatten()))
}

/// Rows as a client reads them.
pub(super) fn encode(
    fields: &Arc<Vec<FieldInfo>>,
    rows: RecordBatch,
) -> Box<dyn Iterator<Item = PgWireResult<DataRow>> + Send + Sync> {
    match as_written(&rows, fields) {
        Ok(rows) => Box::new(encode_recordbatch(fields.clone(), rows)),
        Err(problem) => {
            let problem = of_datafusion(&DataFusionError::from(problem));
            Box::new(std::iter::once(Err(problem)))
        }
    }
}

/// The same rows with the texts, or the bytes, of those values that the library would
/// write otherwise.
fn as_written(rows: &RecordBatch, fields: &[FieldInfo]) -> Result<RecordBatch, ArrowError> {
    let schema = rows.schema();
    let columns = rows.columns().iter().zip(schema.fields()).zip(fields);
    let mut is_same = true;
    let written = columns.map(|((column, field), wanted)| {
        let values: Option<ArrayRef> = match wanted.format() {
            FieldFormat::Text => match texts_of(column, wanted.format_options())? {
                Some(texts) => Some(Arc::new(texts)),
                None => None,
            },
            FieldFormat::Binary => match column.data_type() {
                DataType::Interval(_) => Some(Arc::new(interval_texts::bytes(column)?)),
                _ => None,
            },
        };
        Ok(match values {
            Some(values) => {
                is_same = false;
                let field = Field::new(field.name(), values.data_type().clone(), true);
                (Arc::new(field), values)
            }
            None => (field.clone(), column.clone()),
        })
    });
    let written = written.collect::<Result<Vec<(Arc<Field>, ArrayRef)>, ArrowError>>()?;
    if is_same {
        return Ok(rows.clone());
    }
    let (fields, columns): (Vec<Arc<Field>>, Vec<ArrayRef>) = written.into_iter().unzip();
    let options = RecordBatchOptions::new().with_row_count(Some(rows.num_rows()));
    RecordBatch::try_new_with_options(Arc::new(Schema::new(fields)), columns, &options)
}

fn texts_of(column: &ArrayRef, options: &FormatOptions) -> Result<Option<StringArray>, ArrowError> {
    match column.data_type() {
        DataType::Timestamp(_, _) => time_texts::texts(column, &options.date_style).map(Some),
        DataType::Interval(_) | DataType::Duration(_) => {
            interval_texts::texts(column, &options.interval_style).map(Some)
        }
        DataType::Float32 | DataType::Float64 => numbers(column, options),
        _ => Ok(None),
    }
}

/// Numbers of which some are not finite.
fn numbers(column: &ArrayRef, options: &FormatOptions) -> Result<Option<StringArray>, ArrowError> {
    let wide = cast(column, &DataType::Float64)?;
    let values = wide.as_primitive::<Float64Type>();
    if !values.iter().flatten().any(f64::is_infinite) {
        return Ok(None);
    }
    let digits = ExtraFloatDigits(options.extra_float_digits);
    let is_narrow = column.data_type() == &DataType::Float32;
    let texts = values.iter().map(|value| {
        let value = value?;
        Some(match (value.is_infinite(), value > 0.0) {
            (true, true) => "Infinity".to_owned(),
            (true, false) => "-Infinity".to_owned(),
            // It was made of one.
            (false, _) if is_narrow => digits.format_f32(value as f32).to_string(),
            (false, _) => digits.format_f64(value).to_string(),
        })
    });
    Ok(Some(texts.collect()))
}

#[async_trait]
impl QueryHook for QueryRows {
    async fn handle_simple_query(
        &self,
        statement: &Statement,
        session: &SessionContext,
        client: &mut dyn HookClient,
    ) -> Option<PgWireResult<Response>> {
        if !matches!(statement, Statement::Query(_)) {
            return None;
        }
        let options = options_of(&*client);
        let work = async {
            let frame = session.sql(&text_of(statement)).await.map_err(failed)?;
            answer(frame, &Format::UnifiedText, options).await
        };
        Some(work.await.map(Response::Query))
    }

    async fn handle_extended_parse_query(
        &self,
        statement: &Statement,
        session: &SessionContext,
        _client: &(dyn ClientInfo + Send + Sync),
    ) -> Option<PgWireResult<LogicalPlan>> {
        if !matches!(statement, Statement::Query(_)) {
            return None;
        }
        let work = async {
            let state = session.state();
            let statement = DataFusionStatement::Statement(Box::new(statement.clone()));
            let plan = state.statement_to_plan(statement).await?;
            // The client is told of the types that columns have then.
            with_types_of_answer(plan, &state)
        };
        Some(work.await.map_err(failed))
    }

    async fn handle_extended_query(
        &self,
        statement: &Statement,
        plan: &LogicalPlan,
        parameters: &ParamValues,
        session: &SessionContext,
        client: &mut dyn HookClient,
    ) -> Option<PgWireResult<Response>> {
        if !matches!(statement, Statement::Query(_)) {
            return None;
        }
        let options = options_of(&*client);
        let format = FORMAT.try_with(Clone::clone).unwrap_or(Format::UnifiedText);
        let work = async {
            let plan = plan.clone();
            let plan = plan
                .replace_params_with_values(parameters)
                .map_err(failed)?;
            let frame = session.execute_logical_plan(plan).await.map_err(failed)?;
            answer(frame, &format, options).await
        };
        Some(work.await.map(Response::Query))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::{Float32Array, Float64Array};

    #[test]
    fn infinite_numbers_have_postgresql_s_names() {
        let options = FormatOptions::default();
        let wide: ArrayRef = Arc::new(Float64Array::from(vec![
            f64::INFINITY,
            f64::NEG_INFINITY,
            f64::NAN,
            0.5,
        ]));
        let texts = texts_of(&wide, &options).unwrap().unwrap();
        let texts: Vec<_> = texts.iter().flatten().collect();
        assert_eq!(texts, ["Infinity", "-Infinity", "NaN", "0.5"]);
        let narrow: ArrayRef = Arc::new(Float32Array::from(vec![f32::INFINITY, 0.1]));
        let texts = texts_of(&narrow, &options).unwrap().unwrap();
        assert_eq!(
            texts.iter().flatten().collect::<Vec<_>>(),
            ["Infinity", "0.1"]
        );
        let finite: ArrayRef = Arc::new(Float64Array::from(vec![1.5]));
        assert!(texts_of(&finite, &options).unwrap().is_none());
    }
}
