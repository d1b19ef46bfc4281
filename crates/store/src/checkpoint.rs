//! What goes into a checkpoint besides the tables, and comes back out of it.

use std::collections::{BTreeMap, BTreeSet};

use sluice_core::Epoch;

/// State of the rest of the warehouse at an epoch.
#[derive(Debug, Clone)]
pub struct CheckpointRequest {
    /// The epoch; it must be the last one applied.
    pub epoch: Epoch,
    /// State parts that changed since the checkpoint before.
    pub changed_parts: BTreeMap<String, Vec<u8>>,
    /// Names of all parts, changed or not.
    pub live_parts: BTreeSet<String>,
    /// Anything else, small.
    pub meta: serde_json::Value,
}

/// What the last checkpoint held.
#[derive(Debug, Clone)]
pub struct Recovered {
    /// Its epoch.
    pub epoch: Epoch,
    /// Its state parts.
    pub parts: BTreeMap<String, Vec<u8>>,
    /// Its other content.
    pub meta: serde_json::Value,
}
