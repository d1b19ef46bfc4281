//! The messages of PostgreSQL's output plugin `pgoutput`, version 1.

pub mod decoder;
pub mod messages;
pub mod relation;
