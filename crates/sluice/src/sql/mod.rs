//! Asking a warehouse: over the PostgreSQL wire where it runs, from its state
//! where it does not.

mod connection;
mod prompt;
mod remote;
mod statements;

pub use connection::Connection;
pub use prompt::prompt;
pub use statements::split_statements;
