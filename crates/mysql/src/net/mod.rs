//! A client of the servers' protocol: connections, statements, and the stream
//! of the binary log.
//!
//! Format: <https://dev.mysql.com/doc/dev/mysql-server/latest/PAGE_PROTOCOL.html>.

pub mod auth;
pub mod connection;
pub mod packets;
pub mod pem;
pub mod server_stream;
pub mod tls;
