//! Changes of MySQL and MariaDB: the binary log, decoded; its files and a
//! server's stream of it as sources; and first copies of tables.

pub mod batch;
pub mod binlog;
pub mod copy_report;
pub mod ddl;
pub mod error;
pub mod files;
pub mod filter;
pub mod input;
mod message;
pub mod net;
pub mod position;
pub mod schema;
pub mod server;
pub mod value;
