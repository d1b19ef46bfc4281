//! The differential harness: random tables, views and changes go through the
//! incremental engine, and after (nearly) every epoch each view is compared
//! with what its query means.
//!
//! | file | what it holds |
//! |---|---|
//! | `query.rs`, `window.rs` | queries as trees |
//! | `query_sql.rs` | their SQL |
//! | `interpret.rs`, `interpret_expression.rs`, `interpret_aggregate.rs`, `interpret_window.rs` | **the main oracle**: what a query means, over plain values |
//! | `value.rs`, `stream.rs` | values, tables, changes, and what changes make of a table |
//! | `generator.rs`, `query_generator.rs`, `window_generator.rs` | a case from a seed |
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
//! why. Not generated: DOUBLE columns, division of decimals, casts.

pub mod batch;
pub mod generator;
pub mod interpret;
pub mod interpret_aggregate;
pub mod interpret_expression;
pub mod interpret_window;
pub mod query;
pub mod query_generator;
mod query_sql;
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

use run::{Outcome, Start};

/// Runs the case of `seed`.
///
/// # Errors
/// When an answer is wrong: the smallest such case found, as text.
pub fn check_seed(seed: u64, start: &Start<'_>) -> Result<Outcome, String> {
    let case = generator::generate(seed);
    run::run_case(&case, start).map_err(|wrong| {
        let (case, wrong) = shrink::shrink(&case, &wrong, start);
        report::report(seed, &case, &wrong)
    })
}
