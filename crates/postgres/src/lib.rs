//! Changes of PostgreSQL: logical replication by `pgoutput`, decoded; a
//! server's stream of it as a source; and first copies of tables.

pub mod input;
pub mod lsn;
mod message;
pub mod net;
pub mod pgoutput;
pub mod position;
pub mod schema;
pub mod server;
pub mod value;
