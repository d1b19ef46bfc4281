//! The differential harness: random tables, views and changes go through the
//! incremental engine, and after (nearly) every epoch each view is compared
//! with what its query means.
//!
//! | file | what it holds |
//! |---|---|
//! | `query.rs`, `window.rs` | queries as trees |
//! | `query_sql.rs`, `query_sql_forms.rs` | their SQL |
//! | `interpret.rs`, `interpret_expression.rs`, `interpret_aggregate.rs`, `interpret_window.rs` | **the main oracle**: what a query means, over plain values |
//! | `value.rs`, `double.rs`, `stream.rs` | values, tables, changes, and what changes make of a table |
//! | `generator.rs`, `query_generator.rs`, `expression_generator.rs`, `window_generator.rs` | a case from a seed, and from the number of a history: many histories share the plan of a seed |
//! | `time_generator.rs` | windows of time and watermarks, added to some cases |
//! | `run.rs` | a case through the engine, with checkpoints and restarts |
//! | `batch.rs`, `sqlite.rs` | second and third opinions, on samples |
//! | `shrink.rs`, `report.rs` | a wrong case made small, and printed |
//!
//! # A new operator
//! 1. `query.rs`: a variant of [`query::Query`] (or [`query::Expr`],
//!    [`query::Function`]), with its types and inputs; its SQL in `query_sql.rs`.
//! 2. `interpret.rs` and the files beside it: what it means. The compiler names the
//!    places.
//! 3. `query_generator.rs`: when to make one.
//! 4. `shrink.rs`: how to make it smaller, if it has parts of its own.
//! 5. `sqlite.rs`: leave it out in `knows` if the dialects differ.
//!
//! # Failing expressions
//! Overflow and division by zero are part of the meaning: the row (or the group
//! whose sum does not fit) is left out and counted, and the engine must count
//! the same number in `sluice_evaluation_errors`, also after retractions. This
//! is compared in views of one operator over a table; see `generator.rs` for
//! why. Not generated: times with a zone, division of decimals,
//! casts, `FOR SYSTEM_TIME AS OF` and `LOOKUP`.

pub mod batch;
pub mod double;
mod expression_generator;
pub mod generator;
pub mod interpret;
pub mod interpret_aggregate;
pub mod interpret_expression;
pub mod interpret_window;
pub mod query;
pub mod query_generator;
mod query_sql;
mod query_sql_forms;
pub mod random;
pub mod report;
pub mod run;
pub mod shrink;
pub mod sqlite;
pub mod stream;
pub mod time_generator;
pub mod value;
pub mod window;
pub mod window_generator;

use std::ops::Range;

use run::{Outcome, Start};

/// Runs the cases of `seed` with the given histories, and plans their views
/// once. Gives what each history came to.
///
/// # Errors
/// When an answer is wrong: the smallest such case of the first history that
/// shows it, as text.
pub fn check_seed(
    seed: u64,
    histories: Range<u64>,
    start: &Start<'_>,
) -> Result<Vec<Outcome>, String> {
    let plan = run::plan(&generator::generate(seed, histories.start));
    let mut outcomes = Vec::new();
    for history in histories {
        let program = match &plan {
            Ok(program) => program.clone(),
            Err(reason) => {
                outcomes.push(Outcome::Refused(reason.clone()));
                continue;
            }
        };
        let case = generator::generate(seed, history);
        let outcome = run::run_planned(&case, program, start).map_err(|wrong| {
            let (case, wrong) = shrink::shrink(&case, &wrong, start);
            report::report(seed, history, &case, &wrong)
        })?;
        outcomes.push(outcome);
    }
    Ok(outcomes)
}
