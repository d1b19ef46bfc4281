//! Event time: windows, watermarks and joins with versions.
//!
//! | file | what it holds |
//! |---|---|
//! | `rewrite.rs`, `emit.rs` | the forms of time in SQL, made plannable |
//! | `plan_window.rs`, `window_table.rs` | `tumble`, `hop` and `session` as nodes of a plan |
//! | `lower.rs`, `node.rs` | and of the graph |
//! | `hopping_window.rs` | `tumble` and `hop`: linear, one row becomes one or several |
//! | `panes.rs` | GROUP BY over `hop` by way of panes |
//! | `session_window.rs` | `session`: rows close to each other in time |
//! | `watermarks.rs`, `late_rows.rs` | how far event time has come |
//! | `bounds.rs`, `times_of_slots.rs` | what can no longer change, and is dropped |
//! | `interval_join.rs` | joins of times that are near each other: how near |
//! | `window_close.rs` | `EMIT ON WINDOW CLOSE` |
//! | `plan_temporal.rs` | `FOR SYSTEM_TIME AS OF` and `LOOKUP` as nodes of a plan |
//! | `as_of_join.rs` | the version that held at the row's time; late versions correct |
//! | `history.rs` | the versions of a table's rows |
//! | `lookup_join.rs` | the row that is there when the left row arrives |

mod as_of_join;
pub(crate) mod bounds;
pub(crate) mod emit;
pub(crate) mod history;
mod hopping_window;
mod interval;
mod interval_join;
pub(crate) mod late_rows;
mod lookup_join;
mod lower;
pub(crate) mod node;
mod panes;
pub(crate) mod plan_temporal;
pub(crate) mod plan_window;
pub(crate) mod rewrite;
mod session_window;
pub(crate) mod times_of_slots;
pub(crate) mod values;
pub(crate) mod watermarks;
mod window_close;
mod window_table;
