//! What the tests of the store share.

use std::collections::{BTreeMap, BTreeSet};

use sluice_store::{CheckpointRequest, Store};

/// Makes the newest epoch durable, without parts of state.
pub fn checkpoint(store: &mut Store) {
    let request = CheckpointRequest {
        epoch: store.epoch(),
        changed_parts: BTreeMap::new(),
        live_parts: BTreeSet::new(),
        meta: serde_json::Value::Null,
    };
    store.checkpoint(request).unwrap();
}
