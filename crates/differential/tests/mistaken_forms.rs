//! The harness finds an engine that mistakes a form of SQL: it is given the
//! plan of another query than the interpreter.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Float64Array, RecordBatch};
use arrow::datatypes::{DataType, Float64Type};
use sluice_core::{Delta, TableChanges};
use sluice_differential::generator::generate;
use sluice_differential::query::{Expr, JoinKind, Query};
use sluice_differential::run::{RealEngine, Subject, WrongKind, plan, run_planned};

const SEEDS: u64 = 3_000;

/// Applies `mistake` to the first part of a query that it fits; false if there
/// is none.
fn mistaken(query: &mut Query, mistake: fn(&mut Query) -> bool) -> bool {
    mistake(query)
        || query
            .inputs_mut()
            .into_iter()
            .any(|input| mistaken(input, mistake))
}

/// Runs cases whose queries the engine mistakes until one shows it.
fn is_found(mistake: fn(&mut Query) -> bool) {
    let mut tried = 0;
    for seed in 0..SEEDS {
        let case = generate(seed, 0);
        let mut other = case.clone();
        if !other
            .views
            .iter_mut()
            .any(|view| mistaken(&mut view.query, mistake))
        {
            continue;
        }
        let Ok(program) = plan(&other) else {
            continue;
        };
        tried += 1;
        if let Err(wrong) = run_planned(&case, program, &RealEngine::start)
            && wrong.kind == WrongKind::Rows
        {
            return;
        }
    }
    panic!("none of {tried} cases showed the mistake");
}

/// Puts one of its inputs in the place of a query.
fn replace_by(query: &mut Query, input: Query) -> bool {
    *query = input;
    true
}

#[test]
fn a_named_query_that_is_read_only_once() {
    is_found(|query| match query {
        Query::With { input, .. } => {
            let once = input.as_ref().clone();
            replace_by(query, once)
        }
        _ => false,
    });
}

#[test]
fn a_list_without_its_last_element() {
    is_found(|query| match query {
        Query::Unnest { columns, .. } if columns.len() > 1 => columns.pop().is_some(),
        _ => false,
    });
}

#[test]
fn grouping_sets_without_the_first() {
    is_found(|query| match query {
        Query::GroupBy { sets, .. } if sets.len() > 1 => {
            sets.remove(0);
            true
        }
        _ => false,
    });
}

#[test]
fn a_left_join_taken_for_an_inner_one() {
    is_found(|query| match query {
        Query::Join { kind, .. } if *kind == JoinKind::Left => {
            *kind = JoinKind::Inner;
            true
        }
        _ => false,
    });
}

/// Puts what `change` gives in the place of the first column that it fits.
fn change_column(query: &mut Query, change: fn(&Expr) -> Option<Expr>) -> bool {
    let Query::Project { columns, .. } = query else {
        return false;
    };
    for column in columns {
        if let Some(other) = change(column) {
            *column = other;
            return true;
        }
    }
    false
}

#[test]
fn a_time_that_is_not_truncated() {
    is_found(|query| {
        change_column(query, |column| match column {
            Expr::Truncate(_, input) => Some(input.as_ref().clone()),
            _ => None,
        })
    });
}

#[test]
fn an_interval_subtracted_in_place_of_added() {
    is_found(|query| {
        change_column(query, |column| match column {
            Expr::Later(input, seconds) => Some(Expr::Later(input.clone(), -seconds)),
            _ => None,
        })
    });
}

/// Gives every zero of a DOUBLE a sign.
struct SignsZeros(Box<dyn Subject>);

fn with_signs(column: &ArrayRef) -> ArrayRef {
    if *column.data_type() != DataType::Float64 {
        return column.clone();
    }
    let numbers = column.as_primitive::<Float64Type>().iter();
    let signed =
        numbers.map(|number| number.map(|number| if number == 0.0 { -0.0 } else { number }));
    Arc::new(signed.collect::<Float64Array>())
}

impl Subject for SignsZeros {
    fn step(
        &mut self,
        epoch: u64,
        changes: Vec<TableChanges>,
        watermarks: &BTreeMap<String, i64>,
    ) -> Result<BTreeMap<String, Delta>, String> {
        let mut deltas = self.0.step(epoch, changes, watermarks)?;
        for delta in deltas.values_mut() {
            let rows = delta.rows();
            let columns = rows.columns().iter().map(with_signs).collect();
            let rows = RecordBatch::try_new(rows.schema(), columns).unwrap();
            *delta = Delta::try_new(rows, delta.weights().to_vec()).unwrap();
        }
        Ok(deltas)
    }
    fn checkpoint(&mut self) -> Result<(), String> {
        self.0.checkpoint()
    }
    fn restart(&mut self, worker_threads: usize) -> Result<(), String> {
        self.0.restart(worker_threads)
    }
}

#[test]
fn a_zero_with_a_sign() {
    let found = (0..SEEDS).any(|seed| {
        let case = generate(seed, 0);
        let Ok(program) = plan(&case) else {
            return false;
        };
        let run = run_planned(&case, program, &|program, threads| {
            Ok(Box::new(SignsZeros(RealEngine::start(program, threads)?)))
        });
        run.is_err_and(|wrong| wrong.kind == WrongKind::Rows)
    });
    assert!(found);
}
