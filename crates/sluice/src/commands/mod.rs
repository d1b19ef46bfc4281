//! The commands, one a file.

pub mod alarms;
pub mod audit;
pub mod backfill;
pub mod backup;
pub mod batch;
pub mod check;
pub mod close;
pub mod dead_letters;
pub mod demo;
pub mod docs;
pub mod erase;
pub mod init;
pub mod replay;
mod replay_states;
pub mod report;
pub mod restore;
pub mod run;
pub mod running;
pub mod shop;
pub mod sql;
pub mod status;
