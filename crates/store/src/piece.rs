//! A collection of a snapshot in pieces, of which a reader takes the columns
//! that it needs.

use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray};

use crate::StoreError;
use crate::segment::{Segment, Use};
use crate::snapshot::CollectionSnapshot;
use crate::value_filter::SoughtValues;

/// Rows of a collection that are stored together. Cheap to clone; it holds its
/// rows as long as it lives.
#[derive(Debug, Clone)]
pub struct Piece {
    collection: Arc<CollectionSnapshot>,
    number: usize,
}

impl Piece {
    /// All pieces of a collection, in the order of their rows.
    pub(crate) fn all_of(collection: &Arc<CollectionSnapshot>) -> Vec<Self> {
        let pieces = (0..collection.segments.len()).map(|number| Self {
            collection: collection.clone(),
            number,
        });
        pieces.collect()
    }

    fn segment(&self) -> &Segment {
        &self.collection.segments[self.number]
    }

    /// Rows that it stores, gone ones among them.
    pub fn stored_rows(&self) -> usize {
        self.segment().row_count
    }

    /// Rows that are there.
    pub fn rows(&self) -> usize {
        self.segment().live_rows()
    }

    /// Bytes that it takes: of its file, or of memory while it has none.
    ///
    /// # Errors
    /// When the file is missing or cannot be read.
    pub fn bytes(&self) -> Result<u64, StoreError> {
        self.segment().bytes()
    }

    /// True for the stored rows that are there; `None` if all are.
    pub fn kept(&self) -> Option<BooleanArray> {
        let segment = self.segment();
        let removed = segment.removed().filter(|_| segment.removed_count() > 0)?;
        Some(BooleanArray::new(!removed, None))
    }

    /// Columns by their positions in the collection, all stored rows of each.
    /// A column of text may be a dictionary of it.
    ///
    /// # Errors
    /// When a file is damaged or cannot be read.
    pub fn columns(&self, wanted: &[usize]) -> Result<Vec<ArrayRef>, StoreError> {
        let shape = &self.collection.shape;
        self.segment().columns(shape, wanted, Use::Scan)
    }

    /// Tells the disk that bounds or columns will be asked for soon, so that it fetches
    /// meanwhile what tells where they are.
    pub fn will_open(&self) {
        self.segment().will_open();
    }

    /// Tells the disk that columns will be asked for soon, so that it fetches them
    /// meanwhile.
    pub fn will_read(&self, wanted: &[usize]) {
        self.segment().will_read(&self.collection.shape, wanted);
    }

    /// Bounds of a column over all stored rows: no value is less than the first,
    /// none greater than the second, and so many are null; arrays of one value,
    /// null where it is not known. `None` for rows that are in memory, and where
    /// nothing is known.
    ///
    /// # Errors
    /// When a file is damaged or cannot be read.
    pub fn bounds(&self, column: usize) -> Result<Option<[ArrayRef; 3]>, StoreError> {
        self.segment().bounds(&self.collection.shape, column)
    }

    /// Tells the disk that [`Self::may_hold`] will be asked soon.
    pub fn will_look_for(&self, column: usize, sought: &SoughtValues) {
        let shape = &self.collection.shape;
        self.segment().will_look_for(shape, column, sought);
    }

    /// False if no stored row holds one of `sought` in a column; true if one may,
    /// and where nothing is known. No column is read for it.
    ///
    /// # Errors
    /// When a file is damaged or cannot be read.
    pub fn may_hold(&self, column: usize, sought: &SoughtValues) -> Result<bool, StoreError> {
        let shape = &self.collection.shape;
        self.segment().may_hold(shape, column, sought)
    }
}
