//! Hand-made: what NULL means in IN, EXISTS, joins, set operations and
//! aggregates. Each case gives the rows of `a` and `b`, a query, and the answer
//! by the SQL standard; then everything is taken away again row by row.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod aggregates;
mod case;
mod comparisons;
#[path = "../common/content.rs"]
mod content;
mod joins;
mod statements;
mod subqueries;
#[path = "../common/table_changes.rs"]
mod table_changes;
