//! The rows of the groups that an epoch touches, before and after it.

use arrow::array::{BooleanArray, RecordBatch, make_comparator};
use arrow::compute::{SortOptions, filter_record_batch};
use sluice_core::Delta;

use crate::EngineError;
use crate::accumulator::OutputErrors;
use crate::operator::StepContext;

/// Rows of some groups at one moment.
pub(super) struct Image {
    pub(super) rows: RecordBatch,
    /// Which of the groups each row is; those without rows are left out.
    pub(super) places: Vec<u32>,
    /// Rows whose result does not exist, and why.
    pub(super) errors: OutputErrors,
}

/// What one shard changes in an epoch.
pub(super) struct ShardOutput {
    pub(super) before: Image,
    pub(super) after: Image,
    /// How many columns come first that make up the group.
    pub(super) key_width: usize,
}

impl ShardOutput {
    /// Both, without groups whose row is the same as before.
    pub(super) fn without_equal(self) -> Result<(Image, Image), EngineError> {
        let Self {
            before,
            after,
            key_width,
        } = self;
        if before.places.is_empty() || after.places.is_empty() {
            return Ok((before, after));
        }
        // Of one group, so that the columns of the key are equal.
        let (_, old_values) = before.rows.columns().split_at(key_width);
        let (_, new_values) = after.rows.columns().split_at(key_width);
        let comparators = old_values
            .iter()
            .zip(new_values)
            .map(|(before, after)| make_comparator(before, after, SortOptions::default()))
            .collect::<Result<Vec<_>, _>>()?;
        let mut kept_before = vec![true; before.places.len()];
        let mut kept_after = vec![true; after.places.len()];
        let (old_failed, new_failed) = (before.failed(), after.failed());
        let (mut old, mut new) = (0, 0);
        while old < before.places.len() && new < after.places.len() {
            match before.places[old].cmp(&after.places[new]) {
                std::cmp::Ordering::Less => old += 1,
                std::cmp::Ordering::Greater => new += 1,
                std::cmp::Ordering::Equal => {
                    // A row without a result was never given out: it equals nothing.
                    let is_equal = !old_failed[old]
                        && !new_failed[new]
                        && comparators.iter().all(|compare| compare(old, new).is_eq());
                    (kept_before[old], kept_after[new]) = (!is_equal, !is_equal);
                    (old, new) = (old + 1, new + 1);
                }
            }
        }
        Ok((before.keep(kept_before)?, after.keep(kept_after)?))
    }
}

impl Image {
    /// For each row, whether its result does not exist.
    fn failed(&self) -> Vec<bool> {
        let mut failed = vec![false; self.places.len()];
        for (row, _) in &self.errors {
            failed[*row] = true;
        }
        failed
    }

    fn keep(self, kept: Vec<bool>) -> Result<Self, EngineError> {
        if !kept.contains(&false) {
            return Ok(self);
        }
        let mut numbers = Vec::with_capacity(kept.len());
        let mut count = 0;
        for &is_kept in &kept {
            numbers.push(count);
            count += usize::from(is_kept);
        }
        let errors = self.errors.into_iter();
        let places = self.places.into_iter().zip(&kept);
        Ok(Self {
            errors: errors.map(|(row, why)| (numbers[row], why)).collect(),
            places: places
                .filter(|(_, kept)| **kept)
                .map(|(place, _)| place)
                .collect(),
            rows: filter_record_batch(&self.rows, &BooleanArray::from(kept))?,
        })
    }

    /// The rows as a delta of weight `sign`; rows without a result go to the
    /// errors with the same sign.
    pub(super) fn give_out(
        self,
        sign: i64,
        view: &str,
        context: &mut StepContext<'_>,
    ) -> Result<Option<Delta>, EngineError> {
        let count = self.rows.num_rows();
        if count == 0 {
            return Ok(None);
        }
        let delta = Delta::try_new(self.rows, vec![sign; count])?;
        if self.errors.is_empty() {
            return Ok(Some(delta));
        }
        let mut failed = vec![false; count];
        for (row, message) in self.errors {
            if !std::mem::replace(&mut failed[row], true) {
                let message = message.into_owned();
                context
                    .errors
                    .push_row(view, message, delta.rows(), row, sign);
            }
        }
        let kept: Vec<u32> = (0..count as u32)
            .filter(|&row| !failed[row as usize])
            .collect();
        Ok(Some(delta.take(&kept.into())?))
    }
}
