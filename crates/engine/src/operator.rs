//! What every operator of the engine can do.

use sluice_core::{CodecError, Delta};

use crate::EngineError;
use crate::arrangement::Arrangement;
use crate::evaluation_errors::EvaluationErrors;
use crate::id_domains::IdDomains;
use crate::saved_state::SavedState;
use crate::time::watermarks::Watermarks;

/// What an operator sees of an epoch besides its inputs.
pub(crate) struct StepContext<'a> {
    /// All arrangements. Those of nodes before this one already hold the
    /// epoch's changes and still know the weights before it.
    pub(crate) arrangements: &'a [Arrangement],
    /// Where rows go on which an expression fails.
    pub(crate) errors: &'a mut EvaluationErrors,
    /// How far event time has come with this epoch.
    pub(crate) watermarks: &'a Watermarks,
    /// The ids of unique values.
    pub(crate) id_domains: &'a mut IdDomains,
    /// Number of worker threads.
    pub(crate) threads: usize,
}

/// One operator, with its state in virtual shards.
pub(crate) trait Operator: Send {
    /// Turns the inputs' changes into the output's. Called once an epoch, also
    /// with empty inputs.
    fn step(
        &mut self,
        context: &mut StepContext<'_>,
        inputs: &[&Delta],
    ) -> Result<Delta, EngineError>;

    /// The operator's state, if it can tell what changed in it. Otherwise
    /// [`Operator::save_changed`] and [`Operator::load`] save whole shards.
    fn saved_state(&mut self) -> Option<&mut dyn SavedState> {
        None
    }

    /// What stands behind the node's number in the names of the parts of
    /// [`Operator::saved_state`], where an earlier program saved whole shards
    /// under the number itself. Those come in by [`Operator::load`], and count
    /// as changed.
    fn parts_suffix(&self) -> &'static str {
        ""
    }

    /// The state of each shard that has changed since the last call.
    fn save_changed(&mut self) -> Vec<(usize, Vec<u8>)> {
        Vec::new()
    }

    /// Takes a shard's state back.
    fn load(&mut self, _shard: usize, _bytes: &[u8]) -> Result<(), CodecError> {
        Err(CodecError::Invalid("this operator keeps no state".into()))
    }

    /// Memory that the state takes, about.
    fn state_bytes(&self) -> u64 {
        0
    }

    /// Number of rows or groups held.
    fn state_rows(&self) -> u64 {
        0
    }

    /// Rows of its state that it has read again since the program started, where it
    /// counts them.
    fn rows_evaluated(&self) -> u64 {
        0
    }

    /// From now on [`Operator::drop_before`] may be called, with times of this
    /// column of the output. Called once, before any step or load.
    fn prepare_to_drop(&mut self, _column: usize) {}

    /// Drops what has a time before `cutoff_us`: no change will touch it.
    ///
    /// # Errors
    /// When the state is broken.
    fn drop_before(&mut self, _cutoff_us: i64) -> Result<(), EngineError> {
        Ok(())
    }
}
