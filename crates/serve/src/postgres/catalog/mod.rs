//! The system catalog as clients of PostgreSQL ask for it.
//!
//! The library has most of its tables. Clients ask for them in SQL that
//! DataFusion does not plan, for columns of other types, and for functions and
//! views that are missing: these are here.

mod activity;
mod array_literals;
mod arrays;
mod compatible;
mod empty;
mod exprs;
mod functions;
mod helpers;
mod identities;
mod identity_names;
mod names;
mod rewrite;
mod schema;
mod subqueries;
mod tables;
mod views;
mod what_is_read;

pub(super) use self::compatible::{compatible, read};
pub(super) use self::functions::register as register_functions;
pub(super) use self::identities::Identities;
pub(super) use self::rewrite::rewritten;
pub(super) use self::schema::register as register_schema;
