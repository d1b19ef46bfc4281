//! Rows as PostgreSQL writes them as text, where the library writes them
//! otherwise: moments in their zones, and numbers that are not finite.

use std::fmt::Write;
use std::sync::Arc;

use arrow::array::timezone::Tz;
use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, RecordBatchOptions, StringArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Float64Type, Schema, TimeUnit, TimestampMicrosecondType};
use arrow::error::ArrowError;
use arrow::temporal_conversions::{as_datetime, as_datetime_with_timezone};
use async_trait::async_trait;
use chrono::{Datelike, NaiveDateTime, Offset, Timelike};
use datafusion::common::ParamValues;
use datafusion::error::DataFusionError;
use datafusion::logical_expr::LogicalPlan;
use datafusion::prelude::{DataFrame, SessionContext};
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

use super::codes::of_datafusion;

tokio::task_local! {
    /// How a client of the extended protocol wants the columns of its answer.
    pub(super) static FORMAT: Format;
}

/// Answers queries.
pub(super) struct QueryRows;

fn failed(problem: DataFusionError) -> PgWireError {
    PgWireError::ApiError(Box::new(problem))
}

/// The rows of an answer, which are made as the client takes them.
pub(super) async fn answer(frame: DataFrame, format: &Format) -> PgWireResult<QueryResponse> {
    let schema = frame.schema().as_arrow();
    let fields = Arc::new(arrow_schema_to_pg_fields(schema, format, None)?);
    let stream = frame.execute_stream().await.map_err(failed)?;
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
    match as_texts(&rows, fields) {
        Ok(rows) => Box::new(encode_recordbatch(fields.clone(), rows)),
        Err(problem) => {
            let problem = of_datafusion(&DataFusionError::from(problem));
            Box::new(std::iter::once(Err(problem)))
        }
    }
}

/// The same rows with the texts of those values that the library would write
/// otherwise.
fn as_texts(rows: &RecordBatch, fields: &[FieldInfo]) -> Result<RecordBatch, ArrowError> {
    let schema = rows.schema();
    let columns = rows.columns().iter().zip(schema.fields()).zip(fields);
    let mut is_same = true;
    let written = columns.map(|((column, field), wanted)| {
        let texts = match wanted.format() {
            FieldFormat::Text => texts_of(column, wanted.format_options())?,
            FieldFormat::Binary => None,
        };
        Ok(match texts {
            Some(texts) => {
                is_same = false;
                let field = Field::new(field.name(), DataType::Utf8, true);
                (Arc::new(field), Arc::new(texts) as ArrayRef)
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
        DataType::Timestamp(_, zone) => {
            let zone: Option<Tz> = zone.as_deref().map(str::parse).transpose()?;
            moments(column, zone).map(Some)
        }
        DataType::Float32 | DataType::Float64 => numbers(column, options),
        _ => Ok(None),
    }
}

/// Times as `2026-11-21 08:10:00.5+08`.
fn moments(column: &ArrayRef, zone: Option<Tz>) -> Result<StringArray, ArrowError> {
    let DataType::Timestamp(_, name) = column.data_type() else {
        return Ok(StringArray::new_null(column.len()));
    };
    let in_us = DataType::Timestamp(TimeUnit::Microsecond, name.clone());
    let times = cast(column, &in_us)?;
    let times = times.as_primitive::<TimestampMicrosecondType>();
    let mut text = String::new();
    let texts = times.iter().map(|time| {
        let time = time?;
        text.clear();
        match zone {
            Some(zone) => {
                let local = as_datetime_with_timezone::<TimestampMicrosecondType>(time, zone)?;
                write_time(local.naive_local(), &mut text);
                let offset_s = local.offset().fix().local_minus_utc();
                write_offset(offset_s, &mut text);
                write_era(local.year(), &mut text);
            }
            None => {
                let time = as_datetime::<TimestampMicrosecondType>(time)?;
                write_time(time, &mut text);
                write_era(time.year(), &mut text);
            }
        }
        Some(text.clone())
    });
    Ok(texts.collect())
}

fn write_time(time: NaiveDateTime, text: &mut String) {
    // The year before 1 is called 1 BC.
    let year = match time.year() {
        year if year > 0 => year,
        year => 1 - year,
    };
    // Writing to a string does not fail.
    let _ = write!(
        text,
        "{year:04}-{:02}-{:02} {:02}:{:02}:{:02}",
        time.month(),
        time.day(),
        time.hour(),
        time.minute(),
        time.second()
    );
    let us = time.nanosecond() / 1_000;
    if us > 0 {
        let digits = format!("{us:06}");
        let _ = write!(text, ".{}", digits.trim_end_matches('0'));
    }
}

/// Hours, and minutes and seconds where there are any.
fn write_offset(offset_s: i32, text: &mut String) {
    let sign = if offset_s < 0 { '-' } else { '+' };
    let (hours, rest_s) = (offset_s.abs() / 3_600, offset_s.abs() % 3_600);
    let (minutes, seconds) = (rest_s / 60, rest_s % 60);
    let _ = write!(text, "{sign}{hours:02}");
    if rest_s > 0 {
        let _ = write!(text, ":{minutes:02}");
    }
    if seconds > 0 {
        let _ = write!(text, ":{seconds:02}");
    }
}

fn write_era(year: i32, text: &mut String) {
    if year <= 0 {
        text.push_str(" BC");
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
        _client: &mut dyn HookClient,
    ) -> Option<PgWireResult<Response>> {
        if !matches!(statement, Statement::Query(_)) {
            return None;
        }
        let work = async {
            let frame = session.sql(&statement.to_string()).await.map_err(failed)?;
            answer(frame, &Format::UnifiedText).await
        };
        Some(work.await.map(Response::Query))
    }

    async fn handle_extended_parse_query(
        &self,
        _statement: &Statement,
        _session: &SessionContext,
        _client: &(dyn ClientInfo + Send + Sync),
    ) -> Option<PgWireResult<LogicalPlan>> {
        None
    }

    async fn handle_extended_query(
        &self,
        statement: &Statement,
        plan: &LogicalPlan,
        parameters: &ParamValues,
        session: &SessionContext,
        _client: &mut dyn HookClient,
    ) -> Option<PgWireResult<Response>> {
        if !matches!(statement, Statement::Query(_)) {
            return None;
        }
        let format = FORMAT.try_with(Clone::clone).unwrap_or(Format::UnifiedText);
        let work = async {
            let plan = plan.clone();
            let plan = plan
                .replace_params_with_values(parameters)
                .map_err(failed)?;
            let plan = session.state().optimize(&plan).map_err(failed)?;
            let frame = session.execute_logical_plan(plan).await.map_err(failed)?;
            answer(frame, &format).await
        };
        Some(work.await.map(Response::Query))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::{Float32Array, Float64Array, TimestampMicrosecondArray};

    fn written(times: Vec<i64>, zone: Option<&str>) -> Vec<String> {
        let times = TimestampMicrosecondArray::from(times).with_timezone_opt(zone);
        let column: ArrayRef = Arc::new(times);
        let texts = texts_of(&column, &FormatOptions::default()).unwrap();
        let texts = texts.unwrap();
        texts.iter().map(|text| text.unwrap().to_owned()).collect()
    }

    #[test]
    fn moments_are_written_in_their_zone() {
        let moment = 1_795_219_800_000_000;
        assert_eq!(
            written(vec![moment, moment + 500_000], Some("Asia/Shanghai")),
            ["2026-11-21 08:10:00+08", "2026-11-21 08:10:00.5+08"]
        );
        for (zone, expected) in [
            ("UTC", "2026-11-21 00:10:00+00"),
            ("Asia/Kolkata", "2026-11-21 05:40:00+05:30"),
            ("-03:30", "2026-11-20 20:40:00-03:30"),
            ("America/New_York", "2026-11-20 19:10:00-05"),
        ] {
            assert_eq!(written(vec![moment], Some(zone)), [expected], "{zone}");
        }
        assert_eq!(
            written(vec![moment + 1], None),
            ["2026-11-21 00:10:00.000001"]
        );
        assert_eq!(
            written(vec![-62_135_596_800_000_001], None),
            ["0001-12-31 23:59:59.999999 BC"]
        );
    }

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
