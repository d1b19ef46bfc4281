//! Alarms ask the running warehouse.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type, TimeUnit, TimestampMicrosecondType};
use arrow::util::display::array_value_to_string;
use sluice_serve::{QueryEngine, QueryResult, as_program};
use sluice_watch::{Answer, Ask, Value};
use tokio::runtime::Handle;

/// Asks the query engine, as any other client does.
#[derive(Debug, Clone)]
pub struct Asker {
    /// Who answers.
    pub engine: Arc<QueryEngine>,
    /// Where queries run.
    pub runtime: Handle,
}

impl Ask for Asker {
    fn ask(&self, sql: &str, rows_max: usize) -> Result<Answer, String> {
        let asked = as_program(self.engine.query(sql));
        let result = self.runtime.block_on(asked);
        answer_of(&result.map_err(|error| error.to_string())?, rows_max)
    }
}

/// The first `rows_max` rows of an answer.
///
/// # Errors
/// When a value cannot be read, in words.
pub fn answer_of(result: &QueryResult, rows_max: usize) -> Result<Answer, String> {
    let fields = result.schema.fields();
    let mut answer = Answer {
        columns: fields.iter().map(|field| field.name().clone()).collect(),
        rows: Vec::new(),
    };
    for batch in &result.batches {
        let columns: Result<Vec<Vec<Value>>, String> = batch.columns().iter().map(values).collect();
        let columns = columns?;
        for row in 0..batch.num_rows() {
            if answer.rows.len() >= rows_max {
                return Ok(answer);
            }
            let row = columns.iter().map(|column| column[row].clone());
            answer.rows.push(row.collect());
        }
    }
    Ok(answer)
}

fn values(column: &ArrayRef) -> Result<Vec<Value>, String> {
    let failed = |error: arrow::error::ArrowError| error.to_string();
    let data_type = column.data_type();
    if matches!(data_type, DataType::Timestamp(_, _)) {
        let wanted = DataType::Timestamp(TimeUnit::Microsecond, None);
        let times = cast(column, &wanted).map_err(failed)?;
        let times = times.as_primitive::<TimestampMicrosecondType>();
        return Ok(times
            .iter()
            .map(|time| time.map_or(Value::Null, Value::Time))
            .collect());
    }
    if data_type.is_numeric() || *data_type == DataType::Boolean {
        let numbers = cast(column, &DataType::Float64).map_err(failed)?;
        let numbers = numbers.as_primitive::<Float64Type>();
        let numbers = numbers.iter();
        return Ok(numbers
            .map(|number| number.map_or(Value::Null, Value::Number))
            .collect());
    }
    let text = |row: usize| match column.is_null(row) {
        true => Ok(Value::Null),
        false => array_value_to_string(column, row).map(Value::Text),
    };
    let texts: Result<Vec<Value>, _> = (0..column.len()).map(text).collect();
    texts.map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::{BooleanArray, Decimal128Array, StringArray, TimestampMillisecondArray};

    #[test]
    fn every_type_becomes_a_value() {
        let decimal = Decimal128Array::from(vec![Some(1250), None]);
        let decimal = decimal.with_precision_and_scale(10, 2).unwrap();
        let columns: [ArrayRef; 4] = [
            Arc::new(decimal),
            Arc::new(TimestampMillisecondArray::from(vec![Some(5), None]).with_timezone("UTC")),
            Arc::new(StringArray::from(vec![Some("a"), None])),
            Arc::new(BooleanArray::from(vec![Some(true), None])),
        ];
        let first: Vec<Value> = columns
            .iter()
            .map(|column| values(column).unwrap()[0].clone())
            .collect();
        assert_eq!(
            first,
            [
                Value::Number(12.5),
                Value::Time(5_000),
                Value::Text("a".to_owned()),
                Value::Number(1.0)
            ]
        );
        assert!(
            columns
                .iter()
                .all(|column| values(column).unwrap()[1] == Value::Null)
        );
    }
}
