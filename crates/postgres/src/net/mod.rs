//! The server's protocol, version 3, over TCP and TLS.

mod auth;
pub mod connection;
pub mod error;
mod frames;
