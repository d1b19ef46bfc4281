//! One virtual shard of a table: its keys, and under each a row or a tombstone.

use std::collections::VecDeque;

use sluice_core::{CodecError, Reader, SourceVersion, Writer, stable_hash};
use sluice_memory::StateVec;

use crate::byte_heap::{ByteHeap, Span};
use crate::changed_slots::ChangedSlots;
use crate::key_table::KeyTable;
use crate::saved_state::{Came, Piece, SaveScope};

/// Tombstones kept per virtual shard; beyond that the oldest is forgotten.
const TOMBSTONES_PER_SHARD_MAX: usize = 16_384;

/// What is under a key.
#[derive(Debug, Clone, Copy)]
enum Content {
    Row(Span),
    /// The row of an export, of whose key no change came yet.
    Backfilled(Span),
    /// A deleted key, with its place in the order of deletions.
    Tombstone(u64),
    /// A tombstone that is forgotten, but not yet by the checkpoints.
    Forgotten,
}

#[derive(Debug, Clone, Copy)]
struct Stored {
    content: Content,
    version: SourceVersion,
}

/// What is in a slot before it is given to a key, or after.
const NOTHING: Stored = Stored {
    content: Content::Forgotten,
    version: SourceVersion { major: 0, minor: 0 },
};

/// The keys of one shard and what is under each.
#[derive(Debug, Default)]
pub(super) struct Shard {
    pub(super) keys: KeyTable,
    /// By the key's slot.
    stored: StateVec<Stored>,
    heap: ByteHeap,
    /// Deletions in order, also of keys that live again.
    tombstones: VecDeque<(u32, u64)>,
    tombstone_count: usize,
    next_deletion: u64,
    pub(super) changed: ChangedSlots,
    /// Keys that are forgotten, but not yet for the checkpoints.
    gone: Vec<u32>,
    /// Whether the table was emptied once: what exports have is gone, whatever its key.
    is_emptied: bool,
    /// Whether that is yet to be written by a checkpoint.
    is_emptied_unsaved: bool,
}

/// Kinds of saved keys, the last one of which has no key.
const TOMBSTONE: u8 = 0;
const ROW: u8 = 1;
const FORGOTTEN: u8 = 2;
const BACKFILLED: u8 = 3;
const EMPTIED: u8 = 4;

impl Shard {
    pub(super) fn find(&self, hash: u64, key: &[u8]) -> Option<u32> {
        self.keys.find(hash, key)
    }

    pub(super) fn row(&self, slot: u32) -> Option<&[u8]> {
        match self.stored[slot as usize].content {
            Content::Row(span) | Content::Backfilled(span) => Some(self.heap.get(span)),
            Content::Tombstone(_) | Content::Forgotten => None,
        }
    }

    /// Whether an export brought what is in a slot.
    pub(super) fn is_backfilled(&self, slot: u32) -> bool {
        matches!(self.stored[slot as usize].content, Content::Backfilled(_))
    }

    /// Whether the table was emptied once.
    pub(super) fn is_emptied(&self) -> bool {
        self.is_emptied
    }

    /// Notes that the table was emptied.
    pub(super) fn note_emptied(&mut self) {
        self.is_emptied_unsaved |= !self.is_emptied;
        self.is_emptied = true;
    }

    /// Keys, and the note of [`Self::note_emptied`], that a checkpoint must write.
    pub(super) fn changed_count(&self) -> usize {
        self.changed.changed().len() + usize::from(self.is_emptied_unsaved)
    }

    /// Puts the row of an export under a key that has a slot.
    pub(super) fn put_backfilled_at(&mut self, slot: u32, row: &[u8], version: SourceVersion) {
        let content = Content::Backfilled(self.heap.add(row));
        self.replace_at(slot, Stored { content, version });
    }

    /// Puts a row, or a tombstone, under a key that has a slot.
    pub(super) fn put_at(&mut self, slot: u32, row: Option<&[u8]>, version: SourceVersion) {
        let deletion = self.next_deletion;
        let content = match row {
            Some(row) => Content::Row(self.heap.add(row)),
            None => Content::Tombstone(deletion),
        };
        self.replace_at(slot, Stored { content, version });
        if row.is_none() {
            self.next_deletion += 1;
            self.tombstones.push_back((slot, deletion));
            self.forget_old_tombstones();
        }
    }

    /// The slot of a key, which is new, and holds nothing, if the key is.
    pub(super) fn slot(&mut self, hash: u64, key: &[u8]) -> u32 {
        let slot = self.keys.find_or_insert(hash, key);
        if slot as usize == self.stored.len() {
            self.stored.push(NOTHING);
        }
        slot
    }

    fn replace(&mut self, hash: u64, key: &[u8], new: Stored) -> u32 {
        let slot = self.slot(hash, key);
        self.replace_at(slot, new);
        slot
    }

    fn replace_at(&mut self, slot: u32, new: Stored) {
        let old = std::mem::replace(&mut self.stored[slot as usize], new);
        match old.content {
            Content::Row(span) | Content::Backfilled(span) => self.heap.free(span),
            Content::Tombstone(_) => self.tombstone_count -= 1,
            Content::Forgotten => {}
        }
        if matches!(new.content, Content::Tombstone(_)) {
            self.tombstone_count += 1;
        }
        self.changed.change(slot);
    }

    fn is_current(&self, slot: u32, deletion: u64) -> bool {
        let content = self.stored[slot as usize].content;
        matches!(content, Content::Tombstone(found) if found == deletion)
    }

    fn forget_old_tombstones(&mut self) {
        while self.tombstone_count > TOMBSTONES_PER_SHARD_MAX {
            let Some((slot, deletion)) = self.tombstones.pop_front() else {
                return;
            };
            // The key may live again, or have been deleted anew since.
            if self.is_current(slot, deletion) {
                self.forget_key(slot);
            }
        }
        if self.tombstones.len() > 2 * TOMBSTONES_PER_SHARD_MAX {
            let mut tombstones = std::mem::take(&mut self.tombstones);
            tombstones.retain(|&(slot, deletion)| self.is_current(slot, deletion));
            self.tombstones = tombstones;
        }
    }

    fn forget_key(&mut self, slot: u32) {
        self.keys.unlink(slot);
        let old = &mut self.stored[slot as usize].content;
        match std::mem::replace(old, Content::Forgotten) {
            Content::Row(span) | Content::Backfilled(span) => self.heap.free(span),
            Content::Tombstone(_) => self.tombstone_count -= 1,
            Content::Forgotten => {}
        }
        if self.changed.gone(slot) {
            self.keys.release(slot);
        } else {
            self.gone.push(slot);
        }
    }

    pub(super) fn compact(&mut self) {
        let Self { stored, heap, .. } = self;
        heap.compact(
            stored
                .iter_mut()
                .filter_map(|stored| match &mut stored.content {
                    Content::Row(span) | Content::Backfilled(span) => Some(span),
                    Content::Tombstone(_) | Content::Forgotten => None,
                }),
        );
        self.keys.compact();
    }

    fn save_slot(&self, slot: u32, writer: &mut Writer) {
        let stored = &self.stored[slot as usize];
        writer.bytes(self.keys.key(slot));
        writer.u64(stored.version.major);
        writer.u64(stored.version.minor);
        match stored.content {
            Content::Row(span) => {
                writer.u8(ROW);
                writer.bytes(self.heap.get(span));
            }
            Content::Backfilled(span) => {
                writer.u8(BACKFILLED);
                writer.bytes(self.heap.get(span));
            }
            Content::Tombstone(deletion) => {
                writer.u8(TOMBSTONE);
                writer.u64(deletion);
            }
            Content::Forgotten => writer.u8(FORGOTTEN),
        }
    }

    fn is_forgotten(&self, slot: u32) -> bool {
        matches!(self.stored[slot as usize].content, Content::Forgotten)
    }

    /// In the form of a key.
    fn save_emptied(&self, writer: &mut Writer) {
        writer.bytes(&[]);
        writer.u64(NOTHING.version.major);
        writer.u64(NOTHING.version.minor);
        writer.u8(EMPTIED);
    }

    pub(super) fn save(&self, scope: SaveScope, writer: &mut Writer) {
        if self.is_emptied_unsaved || (self.is_emptied && scope == SaveScope::All) {
            self.save_emptied(writer);
        }
        if scope == SaveScope::All {
            for slot in self.keys.slots() {
                self.save_slot(slot, writer);
            }
            return;
        }
        // A forgotten key may be there again under another slot: first what is
        // gone.
        for is_forgotten in [true, false] {
            for &slot in self.changed.changed() {
                if self.is_forgotten(slot) == is_forgotten {
                    self.save_slot(slot, writer);
                }
            }
        }
    }

    pub(super) fn load(&mut self, bytes: &[u8]) -> Result<(), CodecError> {
        let mut reader = Reader::new(bytes);
        let mut tombstones = Vec::new();
        while !reader.is_at_end() {
            let key = reader.bytes()?;
            let hash = stable_hash(key);
            let version = SourceVersion {
                major: reader.u64()?,
                minor: reader.u64()?,
            };
            match reader.u8()? {
                ROW => {
                    let content = Content::Row(self.heap.add(reader.bytes()?));
                    self.replace(hash, key, Stored { content, version });
                }
                BACKFILLED => {
                    let content = Content::Backfilled(self.heap.add(reader.bytes()?));
                    self.replace(hash, key, Stored { content, version });
                }
                TOMBSTONE => {
                    let deletion = reader.u64()?;
                    let content = Content::Tombstone(deletion);
                    let slot = self.replace(hash, key, Stored { content, version });
                    tombstones.push((slot, deletion));
                    self.next_deletion = self.next_deletion.max(deletion.saturating_add(1));
                }
                FORGOTTEN => {
                    if let Some(slot) = self.find(hash, key) {
                        self.forget_key(slot);
                    }
                }
                EMPTIED => self.is_emptied = true,
                other => {
                    return Err(CodecError::Invalid(format!("a key of kind {other}")));
                }
            }
        }
        tombstones.sort_by_key(|&(_, deletion)| deletion);
        self.tombstones.extend(tombstones);
        self.forget_changes();
        Ok(())
    }

    pub(super) fn forget_changes(&mut self) {
        let stored = &self.stored;
        let is_forgotten = |slot: u32| matches!(stored[slot as usize].content, Content::Forgotten);
        for slot in self.changed.saved(is_forgotten) {
            self.keys.release(slot);
        }
        self.gone.clear();
        self.is_emptied_unsaved = false;
        self.compact();
    }

    pub(super) fn save_ahead(&mut self, piece: Piece, writer: &mut Writer) -> Came {
        let begins_base = matches!(piece, Piece::Base { from: 0, .. });
        if self.is_emptied_unsaved || (self.is_emptied && begins_base) {
            self.save_emptied(writer);
            self.is_emptied_unsaved = false;
        }
        // As in `save`: what is gone comes before what may be in its place.
        for slot in std::mem::take(&mut self.gone) {
            self.save_slot(slot, writer);
            self.changed.saved_one(slot, true);
            self.keys.release(slot);
        }
        let is_there = |slot: u32| !self.is_forgotten(slot);
        let (slots, came) = self.changed.of_piece(piece, self.stored.len(), is_there);
        for slot in slots {
            self.save_slot(slot, writer);
            self.changed.saved_one(slot, false);
        }
        self.compact();
        came
    }

    /// The version of what is in a slot.
    pub(super) fn version(&self, slot: u32) -> SourceVersion {
        self.stored[slot as usize].version
    }

    /// Memory taken, about.
    pub(super) fn memory_bytes(&self) -> usize {
        self.keys.memory_bytes()
            + self.stored.capacity() * size_of::<Stored>()
            + self.heap.allocated_bytes()
            + self.changed.memory_bytes()
    }
}
