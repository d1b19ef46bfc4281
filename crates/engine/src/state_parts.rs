//! The parts that a piece of state is saved in: a base for each virtual shard,
//! and the changes of later checkpoints.
//!
//! A checkpoint writes what changed since the one before, and besides about as
//! many bytes of new bases, shard after shard. So what it writes follows the
//! change, no checkpoint stands out, and all parts together are about twice the
//! state. A part of changes is needed until every shard has a base that is as
//! new.
//!
//! What a checkpoint would have to collect at once is collected ahead of it, in
//! pieces between the epochs before it ([`StateParts::collect_ahead`]): first
//! the bases that are due, then changes. A row that changes after it was
//! collected is a change again, so that base and changes together are the state
//! at the checkpoint's epoch, and nothing of it is read before the checkpoint
//! is whole. Such a base has the epoch before the checkpoint's as its own, for
//! it needs the checkpoint's changes.
//!
//! Names: `PREFIX/SHARD` and `PREFIX/changes/EPOCH`. A base is the epoch of the
//! checkpoint (u64) and the shard's state; changes are, for each shard that has
//! any, its number (u32) and its changes as a byte string. State and changes are
//! compressed (`form.rs`). What is due is reckoned in bytes before that, which
//! are the same for a part of any version.

mod ahead;
mod compression;
mod form;

use std::collections::{BTreeMap, BTreeSet};

use sluice_core::{CodecError, Epoch, Reader, VIRTUAL_SHARDS, Writer};

use self::ahead::Ahead;
use self::form::{BASE_HEAD_BYTES, PartWriter, read_base, read_changes, set_base_epoch};
pub(crate) use self::form::{unversioned, versioned};
use crate::EngineError;
use crate::saved_state::{SaveScope, SavedState};

const CHANGES: &str = "changes";
/// With so many parts of changes, every checkpoint writes a base, so that there are
/// never many more.
const CHANGE_PARTS_MAX: usize = VIRTUAL_SHARDS;

/// Of state with at least so many rows, all bases are written at once when half
/// of it is new, as after a first load: writing the changes too would only
/// double the work.
const WHOLE_COUNT_MIN: usize = 4_096;

/// Parts with their names, each beginning with the version.
pub(crate) type Parts = Vec<(String, Vec<u8>)>;

/// See the module.
#[derive(Debug)]
pub(crate) struct StateParts {
    prefix: String,
    /// By shard: the checkpoint of its base.
    bases: Vec<Option<Epoch>>,
    changes: BTreeSet<Epoch>,
    /// The shard whose base is the oldest.
    next_base: usize,
    /// Bytes of changes, before they were compressed, for which no base was
    /// written yet.
    owed_bytes: usize,
    /// By shard: bytes of its last base before it was compressed.
    base_bytes: Vec<usize>,
    ahead: Option<Ahead>,
}

/// Changes that come while others are collected are collected, too, but not
/// for ever.
const ROUNDS_MAX: usize = 4;

impl StateParts {
    pub(crate) fn new(prefix: String) -> Self {
        Self {
            prefix,
            bases: vec![None; VIRTUAL_SHARDS],
            changes: BTreeSet::new(),
            next_base: 0,
            owed_bytes: 0,
            base_bytes: vec![0; VIRTUAL_SHARDS],
            ahead: None,
        }
    }

    /// Collects about so many rows ahead of the next checkpoint. How many it
    /// was; none if a checkpoint would not have to collect more than so many.
    pub(crate) fn collect_ahead(&mut self, state: &mut dyn SavedState, rows_max: usize) -> usize {
        if self.ahead.is_none() {
            let (changed, count) = (state.changed_count(), state.count());
            let bases_due = self.bases_due(changed, count);
            if changed + self.rows_about(bases_due, count) <= rows_max {
                return 0;
            }
            self.ahead = Some(Ahead::new(bases_due));
        }
        let Some(mut ahead) = self.ahead.take() else {
            return 0;
        };
        let mut collected = 0;
        while collected < rows_max && ahead.bases_left > 0 {
            collected += ahead.collect_base(state, self.next_base, rows_max - collected);
            if let Some((shard, base)) = ahead.bases.last()
                && *shard == self.next_base
            {
                self.note_base(base.plain_bytes);
            }
        }
        while collected < rows_max && ahead.shard < VIRTUAL_SHARDS {
            collected += ahead.collect_changes(state, rows_max - collected);
        }
        if ahead.shard == VIRTUAL_SHARDS
            && ahead.rounds < ROUNDS_MAX
            && state.changed_count() > rows_max
        {
            ahead.shard = 0;
            ahead.rounds += 1;
        }
        self.ahead = Some(ahead);
        collected
    }

    /// How many bases the next checkpoint should write.
    fn bases_due(&self, changed: usize, count: usize) -> usize {
        if count >= WHOLE_COUNT_MIN && changed >= count / 2 {
            return VIRTUAL_SHARDS;
        }
        let mut owed_bytes = self.owed_bytes;
        let is_next_due = |step: &usize| {
            let base_bytes = self.base_bytes[(self.next_base + step) % VIRTUAL_SHARDS];
            let is_due = owed_bytes > base_bytes;
            owed_bytes = owed_bytes.saturating_sub(base_bytes);
            is_due
        };
        let bases_due = (0..VIRTUAL_SHARDS).take_while(is_next_due).count();
        bases_due.max(usize::from(changed > 0 && self.has_many_changes()))
    }

    /// Whether the next checkpoint must write a base.
    fn has_many_changes(&self) -> bool {
        self.changes.len() >= CHANGE_PARTS_MAX
    }

    /// How many of `count` rows the next bases hold, about: as many as their share
    /// of the bytes of all bases. Where none was written yet, shards are alike.
    fn rows_about(&self, bases: usize, count: usize) -> usize {
        let all_bytes: usize = self.base_bytes.iter().sum();
        if all_bytes == 0 {
            return bases * count / VIRTUAL_SHARDS;
        }
        let shards = (0..bases).map(|step| (self.next_base + step) % VIRTUAL_SHARDS);
        let bytes: usize = shards.map(|shard| self.base_bytes[shard]).sum();
        (count as f64 * (bytes as f64 / all_bytes as f64)) as usize
    }

    /// The next base has so many bytes: the one after it is the next.
    fn note_base(&mut self, bytes: usize) {
        self.base_bytes[self.next_base] = bytes;
        self.owed_bytes -= self.owed_bytes.min(bytes);
        self.next_base = (self.next_base + 1) % VIRTUAL_SHARDS;
    }

    /// The parts to write for a checkpoint at `epoch`.
    pub(crate) fn save(&mut self, epoch: Epoch, state: &mut dyn SavedState) -> Parts {
        let ahead = self.ahead.take();
        let changed = state.changed_count();
        if changed == 0 && ahead.is_none() {
            return Vec::new();
        }
        let count = state.count();
        let mut parts = Parts::new();
        let was_collected = ahead.is_some();
        if !was_collected && count >= WHOLE_COUNT_MIN && changed >= count / 2 {
            forget_all_changes(state);
            for _ in 0..VIRTUAL_SHARDS {
                self.save_next_base(epoch, state, &mut parts);
            }
            self.owed_bytes = 0;
            self.changes.clear();
            return parts;
        }
        let has_many_changes = self.has_many_changes();
        let mut changes = match ahead {
            Some(ahead) => self.take_ahead(ahead, epoch, state, &mut parts),
            None => PartWriter::changes(),
        };
        for shard in 0..VIRTUAL_SHARDS {
            let mut of_shard = Writer::new();
            state.save(shard, SaveScope::Changes, &mut of_shard);
            changes.add_changes(shard, of_shard);
        }
        forget_all_changes(state);
        let has_base = !parts.is_empty();
        let changes = changes.finish();
        self.owed_bytes += changes.plain_bytes;
        self.changes.insert(epoch);
        parts.push((self.changes_name(epoch), changes.bytes));
        let mut must_save = has_many_changes && !has_base;
        for _ in 0..VIRTUAL_SHARDS {
            // Bases that are due are collected ahead where anything is.
            let is_due = !was_collected && self.owed_bytes > self.base_bytes[self.next_base];
            if !must_save && !is_due {
                break;
            }
            self.save_next_base(epoch, state, &mut parts);
            must_save = false;
        }
        let oldest_base = self.bases.iter().min().copied().flatten();
        self.changes
            .retain(|&changes| oldest_base.is_none_or(|base| changes > base));
        parts
    }

    /// Puts the bases that were collected ahead into `parts`. The changes that
    /// were, as the beginning of a part.
    fn take_ahead(
        &mut self,
        mut ahead: Ahead,
        epoch: Epoch,
        state: &mut dyn SavedState,
        parts: &mut Parts,
    ) -> PartWriter {
        if ahead.place > 0 {
            // Rows of a base that was begun count as saved.
            ahead.collect_base(state, self.next_base, usize::MAX);
            let bytes = ahead.bases.last().map_or(0, |(_, base)| base.plain_bytes);
            self.note_base(bytes);
        }
        let epoch = epoch.saturating_sub(1);
        for (shard, mut base) in ahead.bases {
            self.bases[shard] = Some(epoch);
            set_base_epoch(&mut base.bytes, epoch);
            parts.push((format!("{}/{shard}", self.prefix), base.bytes));
        }
        ahead.changes
    }

    fn save_next_base(&mut self, epoch: Epoch, state: &dyn SavedState, parts: &mut Parts) {
        let shard = self.next_base;
        self.bases[shard] = Some(epoch);
        let mut base = PartWriter::base(0);
        state.save(shard, SaveScope::All, base.writer());
        let mut base = base.finish();
        set_base_epoch(&mut base.bytes, epoch);
        self.note_base(base.plain_bytes);
        parts.push((format!("{}/{shard}", self.prefix), base.bytes));
    }

    fn changes_name(&self, epoch: Epoch) -> String {
        format!("{}/{CHANGES}/{epoch}", self.prefix)
    }

    /// The names of all parts that make up the state.
    pub(crate) fn names(&self) -> impl Iterator<Item = String> + '_ {
        let bases = self.bases.iter().enumerate();
        let bases = bases
            .filter(|(_, base)| base.is_some())
            .map(|(shard, _)| format!("{}/{shard}", self.prefix));
        let changes = self.changes.iter().map(|&epoch| self.changes_name(epoch));
        bases.chain(changes)
    }

    /// Takes the state back from its parts.
    pub(crate) fn load(
        &mut self,
        state: &mut dyn SavedState,
        parts: &BTreeMap<String, Vec<u8>>,
    ) -> Result<(), EngineError> {
        for shard in 0..VIRTUAL_SHARDS {
            let name = format!("{}/{shard}", self.prefix);
            if let Some(bytes) = parts.get(&name) {
                let (epoch, content) = read_base(&name, bytes)?;
                self.bases[shard] = Some(epoch);
                self.base_bytes[shard] = BASE_HEAD_BYTES + content.len();
                let loaded = state.load(shard, &content);
                loaded.map_err(|source| state_error(&name, source))?;
            }
        }
        let changes_prefix = format!("{}/{CHANGES}/", self.prefix);
        let mut changes = BTreeMap::new();
        let after_prefix = parts.range(changes_prefix.clone()..);
        for (name, bytes) in after_prefix.take_while(|(name, _)| name.starts_with(&changes_prefix))
        {
            let epoch = name[changes_prefix.len()..].parse().map_err(|_| {
                EngineError::Checkpoint(format!("the part `{name}` has no epoch in its name"))
            })?;
            changes.insert(epoch, (name, bytes));
        }
        for (epoch, (name, bytes)) in changes {
            let content = read_changes(name, bytes)?;
            self.load_changes(epoch, state, &content)
                .map_err(|source| state_error(name, source))?;
            self.changes.insert(epoch);
        }
        // The first of the oldest: bases are written in turn.
        let oldest = (0..VIRTUAL_SHARDS).min_by_key(|&shard| self.bases[shard]);
        self.next_base = oldest.unwrap_or(0);
        Ok(())
    }

    fn load_changes(
        &self,
        epoch: Epoch,
        state: &mut dyn SavedState,
        bytes: &[u8],
    ) -> Result<(), CodecError> {
        let mut reader = Reader::new(bytes);
        while !reader.is_at_end() {
            let shard = reader.u32()? as usize;
            let of_shard = reader.bytes()?;
            let base = self
                .bases
                .get(shard)
                .ok_or_else(|| CodecError::Invalid(format!("there is no shard {shard}")))?;
            if base.is_none_or(|base| base < epoch) {
                state.load(shard, of_shard)?;
            }
        }
        Ok(())
    }
}

fn forget_all_changes(state: &mut dyn SavedState) {
    for shard in 0..VIRTUAL_SHARDS {
        state.forget_changes(shard);
    }
}

fn state_error(name: &str, source: CodecError) -> EngineError {
    EngineError::State {
        part: name.to_owned(),
        source,
    }
}

#[cfg(test)]
mod tests;
