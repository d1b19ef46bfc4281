//! The rows of stored collections at an epoch, in bounded steps, and then the
//! changes of the epochs after it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use arrow::array::RecordBatch;
use sluice_core::Delta;
use sluice_store::Snapshot;

use super::progress::Shared;
use crate::failure::{Doing, Failure};

/// Rows of one step.
const STEP_ROWS: usize = 1 << 16;

/// See the module.
pub(super) struct StoredRows {
    snapshot: Arc<Snapshot>,
    /// Collections and their pieces that were not read yet.
    pieces: VecDeque<(String, usize)>,
    /// What is left of the piece that was read last.
    open: Option<(String, RecordBatch)>,
    rows_done: u64,
    rows: u64,
}

impl StoredRows {
    pub(super) fn new(snapshot: Arc<Snapshot>, collections: &BTreeSet<String>) -> Self {
        let mut pieces = VecDeque::new();
        let mut rows = 0;
        for name in collections {
            rows += snapshot.row_count(name).unwrap_or_default();
            let numbers = 0..snapshot.piece_count(name);
            pieces.extend(numbers.map(|number| (name.clone(), number)));
        }
        Self {
            snapshot,
            pieces,
            open: None,
            rows_done: 0,
            rows,
        }
    }

    /// The next changes; `None` when there are none at the moment.
    pub(super) fn next(
        &mut self,
        shared: &Shared,
    ) -> Result<Option<BTreeMap<String, Delta>>, Failure> {
        while self.open.is_none() {
            let Some((name, number)) = self.pieces.pop_front() else {
                // Nothing holds the old segments any more.
                self.snapshot = Arc::new(Snapshot::default());
                return Ok(shared.take_changes());
            };
            let what = format!("reading the rows of `{name}`");
            let rows = self.snapshot.piece(&name, number).doing(&what)?;
            if rows.num_rows() > 0 {
                self.open = Some((name, rows));
            }
        }
        let Some((name, rows)) = self.open.take() else {
            return Ok(None);
        };
        let count = rows.num_rows().min(STEP_ROWS);
        let step = Delta::insert(rows.slice(0, count));
        if count < rows.num_rows() {
            let rest = rows.slice(count, rows.num_rows() - count);
            self.open = Some((name.clone(), rest));
        }
        self.rows_done += count as u64;
        shared.report(self.rows_done, self.rows.saturating_sub(self.rows_done));
        Ok(Some(BTreeMap::from([(name, step)])))
    }
}
