//! A running warehouse over the PostgreSQL wire.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanArray, Decimal128Array, Float64Array, Int64Array, RecordBatch,
    RecordBatchOptions, StringArray,
};
use arrow::datatypes::{Field, Schema};
use arrow::error::ArrowError;
use sluice_serve::{Pinned, QueryResult};
use tokio_postgres::types::Type;
use tokio_postgres::{Client, Config, NoTls, SimpleQueryMessage, SimpleQueryRow};

use crate::access::LOCAL_USER;
use crate::address::Address;
use crate::failure::{Doing, Failure};

/// An open connection.
pub struct Remote {
    client: Client,
}

impl Remote {
    /// Connects to a warehouse of this machine.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn connect(found: &Address) -> Result<Self, Failure> {
        let address = found.postgres;
        let mut config = Config::new();
        config
            .host(address.ip().to_string())
            .port(address.port())
            .user(LOCAL_USER)
            .dbname("sluice")
            .application_name("sluice sql")
            .connect_timeout(std::time::Duration::from_secs(5));
        if let Some(secret) = &found.secret {
            config.password(secret);
        }
        let what = format!("connecting to the running warehouse at {address}");
        let (client, connection) = config.connect(NoTls).await.doing(&what)?;
        // It ends with the client; its error is also the query's.
        tokio::spawn(async {
            let _ = connection.await;
        });
        Ok(Self { client })
    }

    /// Runs one statement.
    ///
    /// # Errors
    /// What the warehouse says against it.
    pub async fn query(&self, sql: &str) -> Result<QueryResult, Failure> {
        // Asked first, because rows in text form do not tell their types.
        // Statements such as SET need not have any.
        let types: Vec<Type> = match self.client.prepare(sql).await {
            Ok(statement) => statement
                .columns()
                .iter()
                .map(|column| column.type_().clone())
                .collect(),
            Err(error) => return Err(server_error(&error)),
        };
        let messages = self.client.simple_query(sql).await;
        let messages = messages.map_err(|error| server_error(&error))?;
        let mut names: Vec<String> = Vec::new();
        let mut rows = Vec::new();
        for message in messages {
            match message {
                SimpleQueryMessage::RowDescription(columns) => {
                    names = columns
                        .iter()
                        .map(|column| column.name().to_owned())
                        .collect();
                }
                SimpleQueryMessage::Row(row) => rows.push(row),
                _ => {}
            }
        }
        to_result(&names, &types, &rows).doing("reading the answer")
    }
}

/// The server's own words, without the client's around them.
fn server_error(error: &tokio_postgres::Error) -> Failure {
    match error.as_db_error() {
        Some(said) => {
            let mut text = said.message().to_owned();
            if let Some(hint) = said.hint() {
                text.push_str("\n  help: ");
                text.push_str(hint);
            }
            Failure::Failed(text)
        }
        None => Failure::doing("asking the running warehouse", error),
    }
}

fn to_result(
    names: &[String],
    types: &[Type],
    rows: &[SimpleQueryRow],
) -> Result<QueryResult, ArrowError> {
    let mut columns = Vec::with_capacity(names.len());
    let mut fields = Vec::with_capacity(names.len());
    for (index, name) in names.iter().enumerate() {
        let values: Vec<Option<&str>> = rows.iter().map(|row| row.get(index)).collect();
        let column = typed_column(types.get(index), &values);
        fields.push(Field::new(name, column.data_type().clone(), true));
        columns.push(column);
    }
    let schema = Arc::new(Schema::new(fields));
    let options = RecordBatchOptions::new().with_row_count(Some(rows.len()));
    let batch = RecordBatch::try_new_with_options(schema.clone(), columns, &options)?;
    Ok(QueryResult {
        // The wire does not say it.
        pinned: Pinned::default(),
        schema,
        batches: vec![batch],
    })
}

/// Values of a column with the type that lets them be printed as the server
/// wrote them: numbers to the right in a table, without quotes in JSON.
fn typed_column(column_type: Option<&Type>, values: &[Option<&str>]) -> ArrayRef {
    let typed: Option<ArrayRef> = match column_type {
        Some(&(Type::INT2 | Type::INT4 | Type::INT8)) => {
            parse_all(values, |text| text.parse::<i64>().ok())
                .map(|values| Arc::new(Int64Array::from(values)) as ArrayRef)
        }
        Some(&(Type::FLOAT4 | Type::FLOAT8)) => parse_all(values, |text| text.parse::<f64>().ok())
            .map(|values| Arc::new(Float64Array::from(values)) as ArrayRef),
        Some(&Type::BOOL) => parse_all(values, |text| match text {
            "t" | "true" => Some(true),
            "f" | "false" => Some(false),
            _ => None,
        })
        .map(|values| Arc::new(BooleanArray::from(values)) as ArrayRef),
        Some(&Type::NUMERIC) => decimal_column(values),
        _ => None,
    };
    // Text says everything, so that a value which does not parse is no error.
    typed.unwrap_or_else(|| Arc::new(StringArray::from(values.to_vec())))
}

fn parse_all<T>(
    values: &[Option<&str>],
    parse: impl Fn(&str) -> Option<T>,
) -> Option<Vec<Option<T>>> {
    values
        .iter()
        .map(|value| match value {
            Some(text) => parse(text).map(Some),
            None => Some(None),
        })
        .collect()
}

/// Decimals with the digits that the server wrote; `None` where rows differ in
/// their number.
fn decimal_column(values: &[Option<&str>]) -> Option<ArrayRef> {
    let scale_of = |text: &str| text.split_once('.').map_or(0, |(_, digits)| digits.len());
    let mut scales = values.iter().flatten().map(|text| scale_of(text));
    let scale = scales.next().unwrap_or(0);
    if scale > 38 || !scales.all(|other| other == scale) {
        return None;
    }
    let unscaled = parse_all(values, |text| {
        text.replacen('.', "", 1).parse::<i128>().ok()
    })?;
    let column = Decimal128Array::from(unscaled);
    let column = column.with_precision_and_scale(38, scale as i8).ok()?;
    Some(Arc::new(column))
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::util::display::array_value_to_string;

    #[test]
    fn numbers_keep_the_digits_that_the_server_wrote() {
        let column = typed_column(
            Some(&Type::NUMERIC),
            &[Some("6781619.004"), None, Some("-0.500")],
        );
        assert_eq!(array_value_to_string(&column, 0).unwrap(), "6781619.004");
        assert_eq!(array_value_to_string(&column, 2).unwrap(), "-0.500");
        let column = typed_column(Some(&Type::INT8), &[Some("370931"), None]);
        assert_eq!(array_value_to_string(&column, 0).unwrap(), "370931");
        let column = typed_column(Some(&Type::NUMERIC), &[Some("NaN")]);
        assert_eq!(array_value_to_string(&column, 0).unwrap(), "NaN");
    }
}
