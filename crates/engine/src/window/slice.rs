//! A slice of a partition's order at one moment, and its results.

use std::ops::Range;

use arrow::array::{ArrayRef, RecordBatch};
use datafusion::error::DataFusionError;
use sluice_functions::canonical;

use super::order::{Place, RowKey, Slice};
use super::reach::Follow;
use super::running::{CallState, Position, RowsBehind};
use super::{WindowCall, take_rows};
use crate::EngineError;

/// The rows of a slice as often as they are there at one moment.
pub(super) struct SliceImage {
    rows: RecordBatch,
    /// The rows whose results can have changed.
    changed: Range<usize>,
    near_from: usize,
    running_from: usize,
    /// Where groups of rows that ORDER BY leaves equal begin, counted from
    /// `running_from`.
    pub(super) groups: Vec<usize>,
    /// The first row of each group.
    pub(super) group_keys: Vec<RowKey>,
}

/// What [`SliceImage::evaluate`] gives.
pub(super) struct Results {
    /// Of each call, for the rows that can have changed.
    pub(super) columns: Vec<ArrayRef>,
    /// The position before each wanted group.
    pub(super) positions: Vec<Position>,
}

impl SliceImage {
    /// `batch` holds the rows of the slice, each once; `copies` tells how often each is
    /// there.
    pub(super) fn new(
        slice: &Slice<'_>,
        batch: &RecordBatch,
        copies: impl Fn(&Place) -> i64,
    ) -> Result<Self, EngineError> {
        let mut indices: Vec<u32> = Vec::with_capacity(slice.rows.len());
        // Where each row of the slice begins among the copies.
        let mut starts = Vec::with_capacity(slice.rows.len() + 1);
        let mut first_of_groups = Vec::new();
        let mut last_order: Option<&[u8]> = None;
        for (row, (key, place)) in slice.rows.iter().enumerate() {
            starts.push(indices.len());
            let count = usize::try_from(copies(place)).unwrap_or_default();
            if count == 0 {
                continue;
            }
            let order = &key[..place.order_length];
            if row >= slice.running_from && last_order != Some(order) {
                last_order = Some(order);
                first_of_groups.push(row);
            }
            indices.extend(std::iter::repeat_n(row as u32, count));
        }
        starts.push(indices.len());
        let running_from = starts[slice.running_from];
        let groups = first_of_groups.iter();
        let keys = first_of_groups.iter();
        Ok(Self {
            rows: take_rows(batch, indices)?,
            changed: starts[slice.changed.start]..starts[slice.changed.end],
            near_from: starts[slice.near_from],
            running_from,
            groups: groups.map(|&row| starts[row] - running_from).collect(),
            group_keys: keys.map(|&row| slice.rows[row].0.clone()).collect(),
        })
    }

    /// Number of rows that are read for the results.
    pub(super) fn row_count(&self) -> usize {
        self.rows.num_rows()
    }

    /// Whether no row's result can have changed.
    pub(super) fn is_empty(&self) -> bool {
        self.changed.is_empty()
    }

    /// The rows whose results can have changed.
    pub(super) fn changed_rows(&self) -> RecordBatch {
        self.rows.slice(self.changed.start, self.changed.len())
    }

    /// The results, of which the running ones go on from a position, and the positions
    /// before the groups that are wanted.
    pub(super) fn evaluate(
        &self,
        calls: &[WindowCall],
        follows: &[Follow],
        from: &Position,
        wanted: &[usize],
    ) -> Result<Results, DataFusionError> {
        let near = self
            .rows
            .slice(self.near_from, self.rows.num_rows() - self.near_from);
        let behind = RowsBehind {
            rows: self
                .rows
                .slice(self.running_from, self.rows.num_rows() - self.running_from),
            rows_before: from.rows,
            groups_before: from.groups,
            groups: &self.groups,
            wanted,
        };
        let mut positions: Vec<Position> = wanted
            .iter()
            .map(|&group| Position {
                rows: from.rows + self.groups[group] as u64,
                groups: from.groups + group as u64,
                states: Vec::with_capacity(calls.len()),
            })
            .collect();
        let mut columns = Vec::with_capacity(calls.len());
        for (number, (call, follow)) in calls.iter().zip(follows).enumerate() {
            let (results, first, states) = match follow {
                Follow::Near { .. } | Follow::Peers => {
                    let states = vec![CallState::Nothing; wanted.len()];
                    (call.expression.evaluate(&near)?, self.near_from, states)
                }
                Follow::Running(running) => {
                    let (expression, state) = (&*call.expression, &from.states[number]);
                    let (results, states) = running.evaluate(expression, state, &behind)?;
                    (results, self.running_from, states)
                }
            };
            let results = results.slice(self.changed.start - first, self.changed.len());
            columns.push(canonical(&results)?);
            for (position, state) in positions.iter_mut().zip(states) {
                position.states.push(state);
            }
        }
        Ok(Results { columns, positions })
    }
}
