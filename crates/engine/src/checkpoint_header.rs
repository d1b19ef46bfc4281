//! The part of a checkpoint that says which program the others belong to.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::sync::Arc;

use sluice_core::{CodecError, Epoch, Reader};

use crate::prints::Prints;
use crate::state_parts::unversioned;
use crate::time::watermarks::Watermarks;
use crate::{EngineError, Program};

/// Its name.
pub(crate) const HEADER_PART: &str = "program";

/// What a checkpoint says of its other parts.
pub(crate) struct Header {
    fingerprint: u64,
    epoch: Epoch,
    /// How far event time had come.
    pub(crate) watermarks: Watermarks,
    /// Older headers had none: their parts are at the places of a new plan.
    prints: Option<Prints>,
}

impl Header {
    pub(crate) fn read(parts: &BTreeMap<String, Vec<u8>>) -> Result<Self, EngineError> {
        let Some(header) = parts.get(HEADER_PART) else {
            return Err(EngineError::Checkpoint(
                "the engine's part is missing".into(),
            ));
        };
        let mut reader = Reader::new(unversioned(HEADER_PART, header)?);
        let read = Self::decode(&mut reader);
        read.map_err(|source| EngineError::State {
            part: HEADER_PART.to_owned(),
            source,
        })
    }

    fn decode(reader: &mut Reader<'_>) -> Result<Self, CodecError> {
        let fingerprint = reader.u64()?;
        let epoch = reader.u64()?;
        // Headers had no watermarks before anything was dropped by them.
        let watermarks = match reader.is_at_end() {
            true => Watermarks::default(),
            false => Watermarks::load(reader)?,
        };
        let prints = match reader.is_at_end() {
            true => None,
            false => Some(Prints::load(reader)?),
        };
        Ok(Self {
            fingerprint,
            epoch,
            watermarks,
            prints,
        })
    }

    /// `program` with its parts at the places that the checkpoint gives them, if
    /// it was made by the same plan.
    pub(crate) fn places(&self, program: &Program) -> Option<Program> {
        if self.fingerprint != program.fingerprint() {
            return None;
        }
        let Some(prints) = &self.prints else {
            return Some(program.clone());
        };
        let placed = program.placed_after(prints, &BTreeSet::new());
        let is_same = placed.new_nodes.is_empty()
            && placed.new_arrangements.is_empty()
            && placed.program.prints == *prints;
        is_same.then_some(placed.program)
    }

    /// The program to restore.
    pub(crate) fn check(
        &self,
        epoch: Epoch,
        program: Arc<Program>,
    ) -> Result<Arc<Program>, EngineError> {
        let Some(program) = self.places(&program) else {
            return Err(EngineError::Checkpoint(
                "it was made under other table and view definitions, or planned in another way; rebuild from the log".into(),
            ));
        };
        if self.epoch != epoch {
            return Err(EngineError::Checkpoint(format!(
                "it holds epoch {}, not {epoch}",
                self.epoch
            )));
        }
        Ok(Arc::new(program))
    }
}
