//! `tumble` and `hop`: each row, once for every window that it stands in.
//! Linear, so it works on changes alone and keeps nothing. Rows without a time
//! stand in no window.

use std::sync::Arc;

use arrow::array::{Array, UInt32Array};
use arrow::datatypes::SchemaRef;
use sluice_core::Delta;

use super::values::{from_ticks, ticks};
use crate::EngineError;
use crate::operator::{Operator, StepContext};

/// See the module. Lengths are in the unit of the time column.
pub(crate) struct HoppingWindow {
    pub(crate) time: usize,
    pub(crate) slide: i64,
    pub(crate) size: i64,
    pub(crate) schema: SchemaRef,
}

impl HoppingWindow {
    /// First moments of the windows in which `time` stands, the earliest first.
    fn starts(&self, time: i64) -> impl Iterator<Item = i64> + use<> {
        let (slide, size) = (self.slide, self.size);
        let last = time.saturating_sub(time.rem_euclid(slide));
        let count = (size - 1 - (time - last)).div_euclid(slide) + 1;
        (0..count)
            .rev()
            .map(move |back| last.saturating_sub(back * slide))
    }
}

impl Operator for HoppingWindow {
    fn step(
        &mut self,
        _context: &mut StepContext<'_>,
        inputs: &[&Delta],
    ) -> Result<Delta, EngineError> {
        let input = inputs[0];
        if input.is_empty() {
            return Ok(Delta::empty(self.schema.clone()));
        }
        let times = ticks(input.rows().column(self.time))?;
        let mut rows: Vec<u32> = Vec::with_capacity(input.len());
        let mut starts = Vec::with_capacity(input.len());
        for row in 0..input.len() {
            if times.is_null(row) {
                continue;
            }
            for start in self.starts(times.value(row)) {
                rows.push(row as u32);
                starts.push(start);
            }
        }
        let exploded = input.take(&UInt32Array::from(rows))?;
        let ends = starts.iter().map(|start| start.saturating_add(self.size));
        let ends = ends.collect();
        let data_type = self
            .schema
            .field(self.schema.fields().len() - 1)
            .data_type();
        let mut columns = exploded.rows().columns().to_vec();
        columns.push(from_ticks(starts, data_type)?);
        columns.push(from_ticks(ends, data_type)?);
        Ok(exploded.with_columns(Arc::clone(&self.schema), columns)?)
    }
}
