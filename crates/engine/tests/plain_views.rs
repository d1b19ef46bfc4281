//! Plain views that read plain views: one of which too much would be planned when it is
//! asked is refused with the models.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use sluice_engine::{Program, ViewDefinition};

use crate::common::tables;

/// Views of which each names the one before it twice; the first reads a table.
fn doubling(count: usize, select: &str) -> Vec<ViewDefinition> {
    let define = |number: usize| {
        let name = format!("v{number}");
        let input = match number {
            0 => "orders".to_owned(),
            _ => format!("v{}", number - 1),
        };
        ViewDefinition {
            file: format!("models/{name}.sql"),
            sql: format!(
                "-- one of many\nCREATE VIEW {name} AS {}",
                select.replace("INPUT", &input)
            ),
            name,
        }
    };
    (0..count).map(define).collect()
}

#[test]
fn views_that_double_each_other_are_refused_with_their_place() {
    for (select, problem) in [
        (
            "SELECT a.id, a.n FROM INPUT AS a JOIN INPUT AS b ON a.id = b.id",
            "tables, joins and conditions",
        ),
        (
            "SELECT id, CASE WHEN n > 1 THEN n + 1 ELSE n + 2 END AS n FROM INPUT WHERE n > 0",
            "parts of an expression",
        ),
    ] {
        Program::plan(&tables(), &doubling(4, select)).unwrap();
        let errors = Program::plan(&tables(), &doubling(24, select)).unwrap_err();
        let first = &errors[0];
        assert!(first.message.contains(problem), "{first}");
        let number = first.file.trim_start_matches("models/v");
        let number: usize = number.trim_end_matches(".sql").parse().unwrap();
        assert!((5..24).contains(&number), "{first}");
        assert_eq!((first.line, first.column), (2, 13), "{first}");
    }
}
