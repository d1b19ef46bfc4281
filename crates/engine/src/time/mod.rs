//! Event time: windows, watermarks and joins with versions.
//!
//! | file | what it holds |
//! |---|---|
//! | `rewrite.rs` | the forms in FROM, made plannable |
//! | `window_table.rs` | `tumble`, `hop` and `session` as nodes of a plan |
//! | `hopping_window.rs` | `tumble` and `hop`: linear, one row becomes one or several |
//! | `panes.rs` | GROUP BY over `hop` by way of panes |
//! | `session_window.rs` | `session`: rows close to each other in time |

pub(crate) mod hopping_window;
pub(crate) mod interval;
mod lower;
pub(crate) mod node;
mod panes;
pub(crate) mod plan_window;
pub(crate) mod rewrite;
pub(crate) mod session_window;
pub(crate) mod values;
pub(crate) mod window_table;
