//! A view of two tables, `a` and `b`, whose rows come and go.

use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array};
use arrow::datatypes::DataType;
use sluice_core::{ChangeKind, ColumnDefinition, TableChanges, TableDefinition, TableKind};
use sluice_engine::{EVALUATION_ERRORS, Engine, EngineOptions, Program, ViewDefinition};

use crate::content::{Content, add};
use crate::table_changes::table_changes;

/// Tables `a` and `b` of a key `k` and values `x`, `y`.
fn table(name: &str) -> TableDefinition {
    let column = |name: &str, nullable| ColumnDefinition {
        name: name.into(),
        data_type: DataType::Int64,
        nullable,
    };
    TableDefinition {
        name: name.into(),
        columns: vec![column("k", false), column("x", true), column("y", true)],
        kind: TableKind::Changelog {
            primary_key: vec![0],
        },
        event_time: None,
        stored: true,
    }
}

/// The value x, and the value y.
pub type Pair = (Option<i64>, Option<i64>);

/// Rows of `a` that tests have in common.
pub const A: &[Pair] = &[(Some(1), Some(10)), (Some(2), Some(20)), (None, Some(30))];

/// Two values that are not known.
pub const NULL: Pair = (None, None);

pub fn changes(
    name: &str,
    first: usize,
    rows: &[Pair],
    kind: ChangeKind,
    version: u64,
) -> TableChanges {
    let keys = Int64Array::from_iter_values((0..rows.len()).map(|row| (first + row) as i64));
    let xs: Int64Array = rows.iter().map(|(x, _)| *x).collect();
    let ys: Int64Array = rows.iter().map(|(_, y)| *y).collect();
    let columns: Vec<ArrayRef> = vec![Arc::new(keys), Arc::new(xs), Arc::new(ys)];
    table_changes(&table(name), columns, vec![kind; rows.len()], version)
}

pub struct Case {
    engine: Engine,
    epoch: u64,
    rows: Content,
}

impl Case {
    pub fn new(select: &str) -> Self {
        let view = ViewDefinition {
            name: "v".into(),
            file: "v.sql".into(),
            sql: format!("CREATE MATERIALIZED VIEW v AS {select}"),
        };
        let planned = Program::plan(&[table("a"), table("b")], &[view]);
        let program = planned
            .map_err(|errors| format!("{select}: {errors:?}"))
            .unwrap();
        Self {
            engine: Engine::new(Arc::new(program), EngineOptions::default()).unwrap(),
            epoch: 0,
            rows: Content::new(),
        }
    }

    pub fn step(&mut self, input: Vec<TableChanges>) {
        self.epoch += 1;
        let output = self.engine.step(self.epoch, input).unwrap();
        assert!(!output.deltas.contains_key(EVALUATION_ERRORS), "{output:?}");
        add(&mut self.rows, output.deltas.get("v"));
    }

    pub fn found(&self) -> Vec<String> {
        let repeated = self.rows.iter().map(|(row, &weight)| {
            assert!(weight > 0, "{row}: weight {weight}");
            vec![row.clone(); weight as usize]
        });
        repeated.flatten().collect()
    }
}

/// Both tables at once; then b first and a after it; then away, row by row.
pub fn check(select: &str, a: &[Pair], b: &[Pair], wanted: &[&str]) {
    let mut wanted: Vec<String> = wanted.iter().map(|row| (*row).to_owned()).collect();
    wanted.sort();
    let mut nothing = Case::new(select);
    nothing.step(vec![]);
    let upsert = ChangeKind::Upsert;
    let mut case = Case::new(select);
    case.step(vec![
        changes("a", 0, a, upsert, 1),
        changes("b", 0, b, upsert, 1),
    ]);
    assert_eq!(case.found(), wanted, "{select}, at once");
    let mut case = Case::new(select);
    case.step(vec![]);
    for (row, pair) in b.iter().enumerate() {
        case.step(vec![changes("b", row, &[*pair], upsert, 1)]);
    }
    for (row, pair) in a.iter().enumerate() {
        case.step(vec![changes("a", row, &[*pair], upsert, 1)]);
    }
    assert_eq!(case.found(), wanted, "{select}, row by row");
    for (row, pair) in b.iter().enumerate() {
        case.step(vec![changes("b", row, &[*pair], ChangeKind::Delete, 2)]);
    }
    for (row, pair) in a.iter().enumerate() {
        case.step(vec![changes("a", row, &[*pair], ChangeKind::Delete, 2)]);
    }
    assert_eq!(case.found(), nothing.found(), "{select}, all gone");
}

/// What the errors of a view say, if there are any.
pub fn error_of(sql: &str) -> Option<String> {
    let view = ViewDefinition {
        name: "v".into(),
        file: "v.sql".into(),
        sql: sql.into(),
    };
    let planned = Program::plan(&[table("a"), table("b")], &[view]);
    planned.err().map(|errors| format!("{errors:?}"))
}
