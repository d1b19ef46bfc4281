//! The ids of unique values, for `uniq_state` in a query: those of the newest
//! snapshot. An id that was given once never changes, so that a snapshot which
//! is newer than the query's gives the same ones.

use std::collections::BTreeSet;
use std::fmt;

use arrow::array::AsArray;
use arrow::datatypes::UInt32Type;
use datafusion::error::{DataFusionError, Result};
use sluice_functions::{UNIQ_IDS, UniqIds};

use crate::tables::SnapshotSource;

/// See the module.
pub(crate) struct StoredIds {
    pub(crate) source: SnapshotSource,
}

impl fmt::Debug for StoredIds {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("StoredIds")
    }
}

impl UniqIds for StoredIds {
    fn find(&self, domain: &str, values: &BTreeSet<String>) -> Result<Vec<(String, u32)>> {
        let snapshot = (self.source)();
        let mut collections = snapshot.collections().into_iter();
        if !collections.any(|collection| collection.name == UNIQ_IDS) {
            return Ok(Vec::new());
        }
        let batches = snapshot
            .scan(UNIQ_IDS, None)
            .map_err(|error| DataFusionError::External(Box::new(error)))?;
        let mut found = Vec::new();
        for batch in &batches {
            let (domains, texts, ids) = (
                batch.column(0).as_string::<i32>(),
                batch.column(1).as_string::<i32>(),
                batch.column(2).as_primitive::<UInt32Type>(),
            );
            for row in 0..batch.num_rows() {
                let value = texts.value(row);
                if domains.value(row) == domain && values.contains(value) {
                    found.push((value.to_owned(), ids.value(row)));
                }
            }
        }
        Ok(found)
    }
}
