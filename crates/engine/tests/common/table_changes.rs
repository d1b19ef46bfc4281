//! Changes of a table of a test's own, as they come from the router.

use arrow::array::{ArrayRef, RecordBatch};
use sluice_core::{ChangeKind, PartitionId, SourceVersion, TableChanges, TableDefinition};

/// Rows of a table, and what becomes of each; `version` orders the changes of a key.
pub fn table_changes(
    table: &TableDefinition,
    columns: Vec<ArrayRef>,
    kinds: Vec<ChangeKind>,
    version: u64,
) -> TableChanges {
    let version = SourceVersion {
        major: version,
        minor: 0,
    };
    TableChanges {
        table: table.name.clone(),
        partition: PartitionId {
            topic: "t".into(),
            partition: 0,
        },
        rows: RecordBatch::try_new(table.schema(), columns).unwrap(),
        versions: vec![version; kinds.len()],
        kinds,
        key_changes: vec![],
        before_rows: None,
        unchanged: Vec::new(),
    }
}
