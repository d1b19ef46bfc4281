//! Filters that become narrower while a scan runs: an `ORDER BY … LIMIT` above it tells,
//! by the rows that it has, which others can still be among the first. Pieces whose
//! bounds leave none are not read.

use std::slice;
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use datafusion::physical_expr::{DynamicFilterTracking, PhysicalExpr};
use datafusion::physical_optimizer::pruning::{PruningPredicate, PruningPredicateBuilder};
use sluice_store::Piece;

use crate::piece_reader::Wanted;
use crate::useful_pieces::{Bounds, keeps_order};

/// True for a condition of the kind that this module knows.
pub(crate) fn is_narrowing(filter: &Arc<dyn PhysicalExpr>) -> bool {
    DynamicFilterTracking::classify(filter).contains_dynamic_filter() && keeps_order(filter)
}

/// The filter as one part of a scan follows it.
pub(crate) struct Narrowing {
    filter: Arc<dyn PhysicalExpr>,
    tracking: DynamicFilterTracking,
    /// The columns that the scan gives.
    schema: SchemaRef,
    /// What the filter says of bounds; `None` while it says nothing.
    predicate: Option<Arc<PruningPredicate>>,
}

impl Narrowing {
    pub(crate) fn new(filter: Arc<dyn PhysicalExpr>, schema: SchemaRef) -> Self {
        let mut narrowing = Self {
            tracking: DynamicFilterTracking::classify(&filter),
            filter,
            schema,
            predicate: None,
        };
        // Other parts may have rows already.
        narrowing.follow();
        narrowing
    }

    fn follow(&mut self) {
        let builder = PruningPredicateBuilder::new().with_file_schema(self.schema.clone());
        self.predicate = builder.build(self.filter.clone());
    }

    /// True if no row of a piece can be wanted any more.
    pub(crate) fn excludes(&mut self, piece: &Piece, wanted: &Wanted) -> bool {
        let watcher = self.tracking.watcher();
        if watcher.is_some_and(|watcher| watcher.changed()) {
            self.follow();
        }
        let Some(predicate) = &self.predicate else {
            return false;
        };
        let bounds = Bounds {
            pieces: slice::from_ref(piece),
            schema: &wanted.schema,
            columns: &wanted.columns,
        };
        // What cannot be judged is read.
        let is_useful = predicate.prune(&bounds);
        is_useful.is_ok_and(|is_useful| is_useful == [false])
    }
}
