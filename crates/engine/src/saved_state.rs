//! State that can tell what changed in it, so that a checkpoint's size follows
//! the changes and not the state.

use sluice_core::{CodecError, Writer};

/// What to save of a shard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SaveScope {
    /// Everything that is there.
    All,
    /// What changed since [`SavedState::forget_changes`] was called, also what
    /// is gone.
    Changes,
}

/// State in virtual shards. A load of all and then of every later save of
/// changes, in order, brings it back.
pub(crate) trait SavedState: Send {
    /// Rows, groups or values that changed.
    fn changed_count(&self) -> usize;

    /// Rows, groups or values that are there.
    fn count(&self) -> usize;

    /// Writes the shard's state. The form is the same for both scopes.
    fn save(&self, shard: usize, scope: SaveScope, writer: &mut Writer);

    /// Called when changes were saved.
    fn forget_changes(&mut self);

    /// Takes what was saved over what is there.
    fn load(&mut self, shard: usize, bytes: &[u8]) -> Result<(), CodecError>;
}
