//! Kafka as a source: topics of a cluster become records of one topic of the
//! log.
//!
//! Offsets are kept with the data: each record holds where its partition goes
//! on, so that reading begins behind the last durable one, whatever the group
//! on the brokers says.

pub mod again;
pub mod avro;
mod base64;
#[cfg(test)]
mod damaged_records;
pub mod error;
mod format;
mod listener;
pub mod options;
mod partitions;
mod patience;
pub mod place;
pub mod position;
mod record;
mod registry;
pub mod source;
mod topic_settings;
pub mod topics;
