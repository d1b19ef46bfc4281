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

/// A piece of a shard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Piece {
    /// So many rows that changed, or fewer if there are no more.
    Changes { rows_max: usize },
    /// Of all that is there, so many places from this one on.
    Base { from: usize, places_max: usize },
}

impl Piece {
    /// What the piece is of.
    pub(crate) fn scope(self) -> SaveScope {
        match self {
            Self::Changes { .. } => SaveScope::Changes,
            Self::Base { .. } => SaveScope::All,
        }
    }
}

/// How far a piece of a shard came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Came {
    /// The shard has no more.
    ToTheEnd,
    /// There is more, of a base from this place on.
    To(usize),
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

    /// Called when the changes of a shard were saved.
    fn forget_changes(&mut self, shard: usize);

    /// Saves a piece of a shard ahead of a checkpoint. What it holds counts as
    /// saved; a change after it is a change again. A load of the pieces in order
    /// is a load of what they were taken from, and of what became of it
    /// meanwhile. How far it came. State that cannot be divided is saved whole.
    fn save_ahead(&mut self, shard: usize, piece: Piece, writer: &mut Writer) -> Came {
        self.save(shard, piece.scope(), writer);
        self.forget_changes(shard);
        Came::ToTheEnd
    }

    /// Takes what was saved over what is there.
    fn load(&mut self, shard: usize, bytes: &[u8]) -> Result<(), CodecError>;
}
