//! Collections that are made beside a store, to become part of it.

use std::collections::BTreeMap;

use arrow::array::RecordBatch;
use sluice_core::Delta;

use crate::StoreError;
use crate::collection::{Collection, CollectionDefinition};
use crate::segment::Shape;

/// See the module. They are in memory until a checkpoint of the store that takes
/// them.
#[derive(Debug, Default)]
pub struct StagedCollections {
    collections: BTreeMap<String, Collection>,
}

impl StagedCollections {
    /// Collections without rows.
    pub fn new(definitions: Vec<CollectionDefinition>) -> Self {
        let collections = definitions.into_iter().map(|definition| {
            let name = definition.name.clone();
            (name, new_collection(definition))
        });
        Self {
            collections: collections.collect(),
        }
    }

    /// Applies changes; those of collections that are not staged are passed
    /// over.
    ///
    /// # Errors
    /// When a delta does not fit, or a row is removed that is not there.
    pub fn apply(&mut self, deltas: &BTreeMap<String, Delta>) -> Result<(), StoreError> {
        for (name, delta) in deltas {
            if let Some(collection) = self.collections.get_mut(name) {
                collection.apply(delta)?;
            }
        }
        Ok(())
    }

    /// The rows of a collection; none if it is not staged.
    ///
    /// # Errors
    /// When they cannot be put together.
    pub fn rows(&self, name: &str) -> Result<Vec<RecordBatch>, StoreError> {
        let Some(collection) = self.collections.get(name) else {
            return Ok(Vec::new());
        };
        let segments = collection.segments.values();
        segments
            .map(|segment| segment.live(&collection.shape))
            .collect()
    }

    /// Forgets a collection: the store keeps its own.
    pub fn discard(&mut self, name: &str) {
        self.collections.remove(name);
    }

    pub(crate) fn take(&mut self, name: &str) -> Option<Collection> {
        self.collections.remove(name)
    }
}

/// A collection without rows, whose columns are numbered from 0.
pub(crate) fn new_collection(definition: CollectionDefinition) -> Collection {
    let column_count = definition.schema.fields().len() as u32;
    let shape = Shape {
        schema: definition.schema.clone(),
        column_ids: (0..column_count).collect(),
    };
    Collection::new(definition, shape, column_count)
}
