//! States of unique values in words that do not depend on their ids: a
//! computation from the start of the log gives other ids, and so other bytes.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, BinaryArray, RecordBatch};
use arrow::datatypes::{DataType, UInt32Type};
use arrow::error::ArrowError;
use sluice_core::stable_hash;
use sluice_functions::{UNIQ_IDS, UniqSet};
use sluice_store::{Snapshot, StoreError};

/// The values of one snapshot by domain and id.
pub(super) struct Values(BTreeMap<(String, u32), String>);

impl Values {
    /// Reads them.
    ///
    /// # Errors
    /// When they cannot be read.
    pub(super) fn of(snapshot: &Snapshot) -> Result<Self, StoreError> {
        let mut values = BTreeMap::new();
        let mut collections = snapshot.collections().into_iter();
        if !collections.any(|collection| collection.name == UNIQ_IDS) {
            return Ok(Self(values));
        }
        for batch in snapshot.scan(UNIQ_IDS, None)? {
            let (domains, texts, ids) = (
                batch.column(0).as_string::<i32>(),
                batch.column(1).as_string::<i32>(),
                batch.column(2).as_primitive::<UInt32Type>(),
            );
            for row in 0..batch.num_rows() {
                let key = (domains.value(row).to_owned(), ids.value(row));
                values.insert(key, texts.value(row).to_owned());
            }
        }
        Ok(Self(values))
    }

    /// Rows with every state as a hash of its values.
    ///
    /// # Errors
    /// When Arrow refuses the columns.
    pub(super) fn in_words(
        &self,
        batches: Vec<RecordBatch>,
    ) -> Result<Vec<RecordBatch>, ArrowError> {
        let worded = |batch: RecordBatch| {
            let columns = batch
                .columns()
                .iter()
                .map(|column| match column.data_type() {
                    DataType::Binary => self.hashes(column.as_binary::<i32>()),
                    _ => column.clone(),
                });
            RecordBatch::try_new(batch.schema(), columns.collect())
        };
        batches.into_iter().map(worded).collect()
    }

    fn hashes(&self, states: &BinaryArray) -> ArrayRef {
        let hashed = states.iter().map(|state| {
            let state = state?;
            let Ok(set) = UniqSet::decode(state) else {
                return Some(state.to_vec());
            };
            let value = |id| self.0.get(&(set.domain().to_owned(), id));
            let mut values: Vec<&str> = set.ids().filter_map(value).map(String::as_str).collect();
            values.sort_unstable();
            let text = format!("{}\0{}\0{}", set.domain(), set.count(), values.join("\0"));
            Some(stable_hash(text.as_bytes()).to_le_bytes().to_vec())
        });
        Arc::new(BinaryArray::from_iter(hashed))
    }
}
