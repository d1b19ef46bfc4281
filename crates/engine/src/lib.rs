//! The incremental engine: it keeps SQL views equal to their definition, at a
//! cost that follows the size of the changes, not the size of the tables.
//!
//! A view is a query Q over collections. Each collection is a Z-set: rows with
//! integer weights. For every operator of Q there is an incremental form that
//! turns changes of its inputs into changes of its output (Budiu et al.,
//! "DBSP: Automatic Incremental View Maintenance for Rich Query Languages",
//! VLDB 2023):
//!
//! | operator | identity | file |
//! |---|---|---|
//! | filter, project, union all, unnest | linear: ΔQ(A) = Q(ΔA) | `map.rs`, `union.rs`, `unnest.rs` |
//! | join | Δ(A⋈B) = ΔA⋈B + (A+ΔA)⋈ΔB | `join.rs` |
//! | outer, semi, anti, mark join | the join, and the rows chosen by whether they have a partner | `outer_join.rs` |
//! | group by, distinct | −(row before) + (row after), for touched groups only | `aggregate.rs`, `pre_aggregate.rs` |
//! | ids of unique values | linear: a value keeps its id | `uniq_ids.rs`, `id_domains.rs` |
//! | windows of time, joins with versions, what watermarks close | see there | `time/mod.rs` |
//! | window function | −(rows before) + (rows after), for touched partitions only; of large ones only for rows that a change reaches | `window.rs` |
//! | ORDER BY … LIMIT, DISTINCT ON, `rank <= k` | −(first k before) + (first k after), from an ordered tree | `top_k.rs` |
//!
//! [`Program::plan`] checks and plans all views of a warehouse; [`Engine::step`]
//! takes the changes of one epoch through them.

mod accumulator;
mod aggregate;
mod arrangement;
mod byte_heap;
mod changed_slots;
mod check_syntax;
mod checkpoint_header;
mod column_origins;
mod column_types;
mod constant;
mod cost_warnings;
mod decimal_sum;
mod distinct_on;
mod distinct_values;
mod engine;
mod error;
mod evaluation_errors;
mod explain;
mod expression;
mod false_joins;
mod graph;
mod group_rows;
mod id_domains;
mod join;
mod key;
mod key_table;
mod library_panics;
mod lower;
mod lower_aggregate;
mod lower_join;
mod lower_top_k;
mod lower_window;
mod map;
mod operator;
mod optimize;
mod outer_join;
mod partner_weights;
mod place;
mod plain_views;
mod plan_error;
mod pre_aggregate;
mod prints;
mod program;
mod program_change;
mod program_planner;
mod saved_state;
mod scalar_subquery;
mod state_parts;
mod table_input;
mod time;
mod top_k;
mod union;
mod union_names;
mod uniq_ids;
mod uniq_sets;
mod unnest;
mod value_counts;
mod view_order;
mod window;

pub use column_origins::Origins;
pub use engine::{Engine, EngineCheckpoint, EngineMetrics, EngineOptions, EpochOutput};
pub use error::EngineError;
pub use evaluation_errors::EVALUATION_ERRORS;
pub use explain::{OperatorReport, OperatorWork, explain};
pub use plan_error::PlanError;
pub use program::{Collection, Program, ViewDefinition, ViewShape};
pub use program_change::{PartInput, ProgramChange};
