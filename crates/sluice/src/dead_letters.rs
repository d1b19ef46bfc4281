//! Dead letters as a table: what could not become a row, and why.

use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray};
use arrow::datatypes::{DataType, TimeUnit};
use arrow::error::ArrowError;
use sluice_core::{
    ChangeKind, ColumnDefinition, DeadLetter, Epoch, PartitionId, SourceVersion, TableChanges,
    TableDefinition, TableKind,
};

/// Name of the table.
pub const DEAD_LETTERS: &str = "sluice_dead_letters";

/// Its definition. Names avoid the words that SQL keeps for itself.
pub fn table_definition() -> TableDefinition {
    let text = DataType::Utf8;
    let time = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
    let columns = [
        ("epoch", DataType::Int64),
        ("topic", text.clone()),
        ("partition_number", DataType::Int64),
        ("record_offset", DataType::Int64),
        ("table_name", text.clone()),
        ("column_name", text.clone()),
        ("reason", text.clone()),
        ("detail", text.clone()),
        ("payload", text),
        ("capture_time", time),
    ];
    TableDefinition {
        name: DEAD_LETTERS.to_owned(),
        columns: columns
            .into_iter()
            .map(|(name, data_type)| ColumnDefinition {
                name: name.to_owned(),
                data_type,
                nullable: false,
            })
            .collect(),
        kind: TableKind::AppendOnly,
        event_time: None,
        stored: true,
    }
}

/// The dead letters of one epoch and partition as changes of the table.
///
/// # Errors
/// When Arrow refuses the columns.
pub fn changes(
    epoch: Epoch,
    partition: &PartitionId,
    letters: &[DeadLetter],
) -> Result<TableChanges, ArrowError> {
    let text = |part: fn(&DeadLetter) -> &str| -> ArrayRef {
        Arc::new(
            letters
                .iter()
                .map(|letter| Some(part(letter)))
                .collect::<StringArray>(),
        )
    };
    let number = |part: &dyn Fn(&DeadLetter) -> i64| -> ArrayRef {
        Arc::new(letters.iter().map(part).collect::<Int64Array>())
    };
    let times: TimestampMicrosecondArray = letters
        .iter()
        .map(|letter| Some(letter.capture_time_us))
        .collect();
    let columns: Vec<ArrayRef> = vec![
        number(&|_| epoch as i64),
        text(|letter| &letter.topic),
        number(&|letter| i64::from(letter.partition)),
        number(&|letter| letter.offset as i64),
        text(|letter| &letter.table),
        text(|letter| &letter.column),
        text(|letter| letter.reason),
        text(|letter| &letter.detail),
        text(|letter| &letter.payload),
        Arc::new(times.with_timezone("UTC")),
    ];
    let rows = RecordBatch::try_new(table_definition().schema(), columns)?;
    let versions = letters.iter().map(|letter| SourceVersion {
        major: letter.offset,
        minor: 0,
    });
    Ok(TableChanges {
        table: DEAD_LETTERS.to_owned(),
        partition: partition.clone(),
        kinds: vec![ChangeKind::Insert; letters.len()],
        versions: versions.collect(),
        rows,
        key_changes: Vec::new(),
        before_rows: None,
        unchanged: Vec::new(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_letter_becomes_a_row_of_the_table() {
        let partition = PartitionId {
            topic: "t".into(),
            partition: 2,
        };
        let letter = DeadLetter {
            topic: "t".into(),
            partition: 2,
            offset: 9,
            table: "orders".into(),
            column: "price".into(),
            reason: "wrong_type",
            detail: "`x` is no decimal".into(),
            payload: "1,x".into(),
            capture_time_us: 5,
        };
        let changes = changes(4, &partition, &[letter]).unwrap();
        assert_eq!(changes.rows.num_rows(), 1);
        assert_eq!(changes.rows.schema(), table_definition().schema());
        assert_eq!(changes.kinds.len(), changes.versions.len());
    }
}
