//! The commands, one a file.

pub mod audit;
pub mod check;
pub mod demo;
pub mod init;
pub mod replay;
pub mod run;
pub mod sql;
pub mod status;
