//! VALUES, and queries without a table: rows that come with the first epoch
//! and never change.

use arrow::array::RecordBatch;
use sluice_core::{CodecError, Delta};

use crate::EngineError;
use crate::operator::{Operator, StepContext};

/// See the module.
pub(crate) struct Constant {
    rows: RecordBatch,
    /// True once the rows were given out.
    started: bool,
    /// True once that was saved.
    saved: bool,
}

impl Constant {
    pub(crate) fn new(rows: RecordBatch) -> Self {
        Self {
            rows,
            started: false,
            saved: false,
        }
    }
}

impl Operator for Constant {
    fn step(
        &mut self,
        _context: &mut StepContext<'_>,
        _inputs: &[&Delta],
    ) -> Result<Delta, EngineError> {
        if std::mem::replace(&mut self.started, true) {
            return Ok(Delta::empty(self.rows.schema()));
        }
        Ok(Delta::insert(self.rows.clone()))
    }

    fn save_changed(&mut self) -> Vec<(usize, Vec<u8>)> {
        if !self.started || std::mem::replace(&mut self.saved, true) {
            return Vec::new();
        }
        vec![(0, Vec::new())]
    }

    /// That there is a part says that the rows were given out.
    fn load(&mut self, _shard: usize, bytes: &[u8]) -> Result<(), CodecError> {
        if !bytes.is_empty() {
            let message = "a constant input keeps no rows".to_owned();
            return Err(CodecError::Invalid(message));
        }
        (self.started, self.saved) = (true, true);
        Ok(())
    }

    fn state_rows(&self) -> u64 {
        self.rows.num_rows() as u64
    }
}
