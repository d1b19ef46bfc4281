//! What a reader holds: all tables and views at one epoch.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::RecordBatch;
use sluice_core::Epoch;

use crate::segment::{Segment, Shape};
use crate::{CollectionDefinition, StoreError};

/// One collection at one epoch.
#[derive(Debug)]
pub(crate) struct CollectionSnapshot {
    pub(crate) definition: Arc<CollectionDefinition>,
    pub(crate) shape: Shape,
    pub(crate) segments: Vec<Segment>,
}

/// See the module. Cheap to clone; it holds its rows as long as it lives,
/// whatever the writer does.
#[derive(Debug, Clone)]
pub struct Snapshot {
    pub(crate) epoch: Epoch,
    pub(crate) collections: Arc<BTreeMap<String, Arc<CollectionSnapshot>>>,
}

impl Snapshot {
    /// The epoch.
    pub fn epoch(&self) -> Epoch {
        self.epoch
    }

    /// All collections, by name.
    pub fn collections(&self) -> Vec<Arc<CollectionDefinition>> {
        self.collections
            .values()
            .map(|collection| collection.definition.clone())
            .collect()
    }

    /// Number of rows of a collection; `None` if there is none of that name.
    pub fn row_count(&self, name: &str) -> Option<u64> {
        let collection = self.collections.get(name)?;
        let live = collection.segments.iter().map(Segment::live_rows);
        Some(live.sum::<usize>() as u64)
    }

    /// The rows of a collection, in the columns of `projection` (all if
    /// `None`).
    ///
    /// # Errors
    /// When there is no such collection, or a file is damaged.
    pub fn scan(
        &self,
        name: &str,
        projection: Option<&[usize]>,
    ) -> Result<Vec<RecordBatch>, StoreError> {
        let Some(collection) = self.collections.get(name) else {
            return Err(StoreError::UnknownCollection(name.to_owned()));
        };
        let mut batches = Vec::with_capacity(collection.segments.len());
        for segment in &collection.segments {
            let rows = segment.live(&collection.shape)?;
            batches.push(match projection {
                Some(columns) => rows.project(columns)?,
                None => rows,
            });
        }
        Ok(batches)
    }
}
