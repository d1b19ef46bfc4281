//! Rows as clients read them. What the library writes otherwise than PostgreSQL, or not
//! at all, goes through it as texts or bytes that are written already.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, RecordBatch, RecordBatchOptions};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, FieldRef, Float64Type, Schema};
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
use datafusion_postgres::arrow_pg::datatypes::encode_recordbatch;
use datafusion_postgres::hooks::HookClient;
use datafusion_postgres::pgwire::api::portal::Format;
use datafusion_postgres::pgwire::api::results::{FieldFormat, FieldInfo, QueryResponse, Response};
use datafusion_postgres::pgwire::api::{ClientInfo, Type};
use datafusion_postgres::pgwire::error::{PgWireError, PgWireResult};
use datafusion_postgres::pgwire::messages::data::DataRow;
use datafusion_postgres::pgwire::types::format::FormatOptions;
use futures::StreamExt;
use sluice_syntax::text_of;

use super::codes::{error, of_datafusion};
use super::column_types::{fields_of, is_own};
use super::{value_bytes, value_texts};
use crate::query_text::asked;
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
    let fields = Arc::new(fields_of(schema, format, Some(options))?);
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
        Ok((rows, fields)) => Box::new(encode_recordbatch(fields, rows)),
        Err(problem) => Box::new(std::iter::once(Err(problem))),
    }
}

/// The same rows with the texts, or the bytes, of those values that the library would
/// write otherwise, and the columns as which it takes them.
fn as_written(
    rows: &RecordBatch,
    fields: &Arc<Vec<FieldInfo>>,
) -> PgWireResult<(RecordBatch, Arc<Vec<FieldInfo>>)> {
    let schema = rows.schema();
    let mut is_same = true;
    let mut columns = Vec::with_capacity(fields.len());
    let mut infos = Vec::with_capacity(fields.len());
    let pairs = rows.columns().iter().zip(schema.fields());
    for ((column, field), wanted) in pairs.zip(fields.iter()) {
        let written = written(column, wanted);
        match written.map_err(|problem| unwritten(wanted.name(), problem))? {
            Some((values, info)) => {
                is_same = false;
                let field = Field::new(field.name(), values.data_type().clone(), true);
                columns.push((Arc::new(field), values));
                infos.push(info);
            }
            None => {
                columns.push((field.clone(), column.clone()));
                infos.push(wanted.clone());
            }
        }
    }
    if is_same {
        return Ok((rows.clone(), fields.clone()));
    }
    let (fields, columns): (Vec<FieldRef>, Vec<ArrayRef>) = columns.into_iter().unzip();
    let options = RecordBatchOptions::new().with_row_count(Some(rows.num_rows()));
    let schema = Arc::new(Schema::new(fields));
    let rows = RecordBatch::try_new_with_options(schema, columns, &options);
    let rows = rows.map_err(|problem| of_datafusion(&DataFusionError::from(problem)))?;
    Ok((rows, Arc::new(infos)))
}

/// Why a column has a value that no client gets.
fn unwritten(column: &str, problem: ArrowError) -> PgWireError {
    match problem {
        // 0A000: feature_not_supported.
        ArrowError::NotYetImplemented(problem) => error(
            "0A000",
            format!("column \"{column}\": {problem}; cast it to text"),
        ),
        problem => of_datafusion(&DataFusionError::from(problem)),
    }
}

/// A column that is written already, and as what the library takes it: texts, or bytes,
/// which it leaves as they are.
type Written = (ArrayRef, FieldInfo);

/// A column that the library would write otherwise; `None` for others.
fn written(column: &ArrayRef, wanted: &FieldInfo) -> Result<Option<Written>, ArrowError> {
    let format = wanted.format();
    let values: ArrayRef = match format {
        FieldFormat::Text if is_text_own(column)? => {
            Arc::new(value_texts::texts(column, wanted.format_options())?)
        }
        FieldFormat::Binary if is_own(column.data_type()) => Arc::new(value_bytes::bytes(column)?),
        FieldFormat::Text | FieldFormat::Binary => return Ok(None),
    };
    let plain = match format {
        FieldFormat::Text => Type::TEXT,
        FieldFormat::Binary => Type::BYTEA,
    };
    let info = FieldInfo::new(wanted.name().to_owned(), None, None, plain, format);
    Ok(Some((values, info)))
}

/// Whether the library writes the texts of a column otherwise than PostgreSQL.
fn is_text_own(column: &ArrayRef) -> Result<bool, ArrowError> {
    Ok(match column.data_type() {
        DataType::Timestamp(_, _) | DataType::Time32(_) | DataType::Time64(_) => true,
        DataType::Float32 | DataType::Float64 => {
            let wide = cast(column, &DataType::Float64)?;
            let values = wide.as_primitive::<Float64Type>().iter();
            values.flatten().any(f64::is_infinite)
        }
        other => is_own(other),
    })
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
            let frame = asked(session, &text_of(statement)).await.map_err(failed)?;
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
    use arrow::array::{Array, Float64Array, Int64Array, ListArray};
    use arrow::datatypes::Int32Type;

    /// The values of the first row, each behind its length.
    fn first_row(column: ArrayRef, format: FieldFormat) -> PgWireResult<Vec<u8>> {
        let field = Field::new("a", column.data_type().clone(), true);
        let schema = Arc::new(Schema::new(vec![field]));
        let wanted = Format::from(format.value());
        let fields = Arc::new(fields_of(&schema, &wanted, None)?);
        let rows = RecordBatch::try_new(schema, vec![column]).unwrap();
        let row = encode(&fields, rows).next().unwrap()?;
        Ok(row.data.to_vec())
    }

    #[test]
    fn what_is_written_already_stays_as_it_is() {
        let rows = vec![Some(vec![Some(1), None])];
        let list: ArrayRef = Arc::new(ListArray::from_iter_primitive::<Int32Type, _, _>(rows));
        let infinite: ArrayRef = Arc::new(Float64Array::from(vec![f64::INFINITY]));
        let number: ArrayRef = Arc::new(Int64Array::from(vec![7]));
        for (column, text) in [(&list, "{1,NULL}"), (&infinite, "Infinity"), (&number, "7")] {
            let mut expected = (text.len() as i32).to_be_bytes().to_vec();
            expected.extend(text.bytes());
            let found = first_row(column.clone(), FieldFormat::Text).unwrap();
            assert_eq!(found, expected, "{text}");
        }
        // Length, dimensions, NULL or not, int4, length and beginning, 1 and NULL.
        let expected: [i32; 9] = [32, 1, 1, 23, 2, 1, 4, 1, -1];
        let expected: Vec<u8> = expected
            .iter()
            .flat_map(|word| word.to_be_bytes())
            .collect();
        assert_eq!(first_row(list, FieldFormat::Binary).unwrap(), expected);
    }

    #[test]
    fn what_has_no_form_is_an_error() {
        let rows = vec![Some(vec![Some(1)]), Some(vec![])];
        let inner = ListArray::from_iter_primitive::<Int32Type, _, _>(rows);
        let item = Arc::new(Field::new("item", inner.data_type().clone(), true));
        let ends = arrow::buffer::OffsetBuffer::from_lengths([2]);
        let uneven: ArrayRef = Arc::new(ListArray::new(item, ends, Arc::new(inner), None));
        for format in [FieldFormat::Text, FieldFormat::Binary] {
            let problem = first_row(uneven.clone(), format).unwrap_err().to_string();
            assert!(problem.contains("column \"a\""), "{problem}");
        }
    }
}
