//! The binary log: its events, and what they do to tables.

pub mod decoder;
pub mod event;
pub mod gtid;
mod mapped_table;
pub mod payload;
pub mod query;
pub mod rows;
pub mod table_map;
