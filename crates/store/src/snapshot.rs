//! What a reader holds: all tables and views at one epoch.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch};
use arrow::compute::concat_batches;
use sluice_core::Epoch;

use crate::piece::Piece;
use crate::row_index::{encode, row_bytes};
use crate::segment::{Segment, Shape};
use crate::{CollectionDefinition, StoreError};

/// One collection at one epoch.
#[derive(Debug)]
pub(crate) struct CollectionSnapshot {
    pub(crate) definition: Arc<CollectionDefinition>,
    pub(crate) shape: Shape,
    pub(crate) segments: Vec<Segment>,
    pub(crate) changed: Epoch,
}

/// See the module. Cheap to clone; it holds its rows as long as it lives,
/// whatever the writer does.
#[derive(Debug, Clone, Default)]
pub struct Snapshot {
    pub(crate) epoch: Epoch,
    pub(crate) collections: Arc<BTreeMap<String, Arc<CollectionSnapshot>>>,
}

impl Snapshot {
    /// The epoch.
    pub fn epoch(&self) -> Epoch {
        self.epoch
    }

    /// The epoch that last changed the rows of a collection, or that at which the
    /// program began; `None` if there is none of that name. As long as it is the
    /// same, so are the rows.
    pub fn changed(&self, name: &str) -> Option<Epoch> {
        let collection = self.collections.get(name)?;
        Some(collection.changed)
    }

    /// All collections, by name.
    pub fn collections(&self) -> Vec<Arc<CollectionDefinition>> {
        self.collections
            .values()
            .map(|collection| collection.definition.clone())
            .collect()
    }

    /// What a collection is; `None` if there is none of that name.
    pub fn definition(&self, name: &str) -> Option<&Arc<CollectionDefinition>> {
        let collection = self.collections.get(name)?;
        Some(&collection.definition)
    }

    /// The rows whose unique key is `key`: one array of one value for each key
    /// column. Readers make the index that this needs, once for each segment,
    /// and share it; the writer knows nothing of it.
    ///
    /// # Errors
    /// When there is no such collection, it has no key, `key` does not fit it,
    /// or a file is damaged.
    pub fn lookup(&self, name: &str, key: &[ArrayRef]) -> Result<RecordBatch, StoreError> {
        let Some(collection) = self.collections.get(name) else {
            return Err(StoreError::UnknownCollection(name.to_owned()));
        };
        let Some(key_columns) = &collection.definition.unique_key else {
            return Err(StoreError::BadKey {
                collection: name.to_owned(),
                problem: "it has no unique key".to_owned(),
            });
        };
        let fields = key_columns
            .iter()
            .map(|&column| collection.shape.schema.field(column));
        let types_fit = key.len() == key_columns.len()
            && fields
                .zip(key)
                .all(|(field, value)| field.data_type() == value.data_type() && value.len() == 1);
        if !types_fit {
            return Err(StoreError::BadKey {
                collection: name.to_owned(),
                problem: "the values do not have the types of the key's columns".to_owned(),
            });
        }
        let wanted = encode(key)?;
        let wanted = row_bytes(wanted.as_ref(), 0);
        let mut found = vec![RecordBatch::new_empty(collection.shape.schema.clone())];
        for segment in &collection.segments {
            let rows = segment.find(&collection.shape, key_columns, wanted)?;
            found.extend(rows);
        }
        Ok(concat_batches(&collection.shape.schema, &found)?)
    }

    /// Number of rows of a collection; `None` if there is none of that name.
    pub fn row_count(&self, name: &str) -> Option<u64> {
        let collection = self.collections.get(name)?;
        let live = collection.segments.iter().map(Segment::live_rows);
        Some(live.sum::<usize>() as u64)
    }

    /// Number of pieces in which [`Snapshot::piece`] gives a collection; 0 if
    /// there is none of that name.
    pub fn piece_count(&self, name: &str) -> usize {
        let collection = self.collections.get(name);
        collection.map_or(0, |collection| collection.segments.len())
    }

    /// One piece of the rows of a collection, so that not all of them must be in
    /// memory at a time.
    ///
    /// # Errors
    /// When there is no such collection or piece, or a file is damaged.
    pub fn piece(&self, name: &str, number: usize) -> Result<RecordBatch, StoreError> {
        let unknown = || StoreError::UnknownCollection(name.to_owned());
        let collection = self.collections.get(name).ok_or_else(unknown)?;
        let segment = collection.segments.get(number).ok_or_else(unknown)?;
        segment.live(&collection.shape)
    }

    /// A collection in pieces; none if there is none of that name.
    pub fn pieces(&self, name: &str) -> Vec<Piece> {
        let collection = self.collections.get(name);
        collection.map(Piece::all_of).unwrap_or_default()
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
