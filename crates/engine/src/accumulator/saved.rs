//! What of accumulators goes into checkpoints, and how much it is.

use hashbrown::HashSet;
use sluice_core::{CodecError, Reader, Writer};
use sluice_functions::ExactFloat;

use super::Accumulator;
use crate::decimal_sum::WideSum;
use crate::saved_state::SaveScope;

impl Accumulator {
    /// Saves what the group has a fixed amount of.
    pub(crate) fn save(&self, slot: usize, writer: &mut Writer) {
        match self {
            Self::Count { counts, .. } => writer.i64(counts[slot]),
            Self::WideSum { sums, counts, .. } => {
                sums[slot].save(writer);
                writer.i64(counts[slot]);
            }
            Self::FloatSum { sums, counts, .. } => {
                sums[slot].save(writer);
                writer.i64(counts[slot]);
            }
            Self::Values {
                keeps_all: true, ..
            } => {}
            Self::Values { values, .. } => values.save(slot, writer),
            Self::Distinct { inner, .. } => inner.save(slot, writer),
            Self::Uniq(sets) => sets.save(slot, writer),
        }
    }

    pub(crate) fn load(&mut self, slot: usize, reader: &mut Reader<'_>) -> Result<(), CodecError> {
        match self {
            Self::Count { counts, .. } => counts[slot] = reader.i64()?,
            Self::WideSum { sums, counts, .. } => {
                sums[slot] = WideSum::load(reader)?;
                counts[slot] = reader.i64()?;
            }
            Self::FloatSum { sums, counts, .. } => {
                sums[slot] = ExactFloat::load(reader)?;
                counts[slot] = reader.i64()?;
            }
            Self::Values {
                keeps_all: true, ..
            } => {}
            Self::Values { values, .. } => values.load(slot, reader)?,
            Self::Distinct { inner, .. } => inner.load(slot, reader)?,
            Self::Uniq(sets) => sets.load(slot, reader)?,
        }
        Ok(())
    }

    /// Saves the values of the groups that `number_of` gives a number, for
    /// functions that keep many: (number, value, weight), 0 for a value that is
    /// gone.
    pub(crate) fn save_values(
        &self,
        scope: SaveScope,
        number_of: &dyn Fn(u32) -> Option<u32>,
        writer: &mut Writer,
    ) {
        let mut count = 0_u32;
        let mut saved = Writer::new();
        let mut save = |slot: u32, value: &[u8], weight: i64| {
            if let Some(number) = number_of(slot) {
                count += 1;
                saved.u32(number);
                saved.bytes(value);
                saved.i64(weight);
            }
        };
        match self {
            Self::Values {
                values,
                keeps_all: true,
                changed,
                ..
            } => match scope {
                SaveScope::All => {
                    for slot in 0..values.slot_count() {
                        for (value, weight) in values.of_group(slot) {
                            save(slot as u32, value, weight);
                        }
                    }
                }
                SaveScope::Changes => {
                    for (slot, value) in changed {
                        save(*slot, value, values.weight(*slot as usize, value));
                    }
                }
            },
            Self::Distinct { seen, .. } => seen.for_each(scope, &mut save),
            Self::Uniq(sets) if sets.counts_values() => sets.for_each(scope, &mut save),
            _ => return,
        }
        writer.u32(count);
        writer.raw(&saved.finish());
    }

    /// `slots` are the groups by the numbers that they were saved under.
    pub(crate) fn load_values(
        &mut self,
        slots: &[u32],
        reader: &mut Reader<'_>,
    ) -> Result<(), CodecError> {
        if !self.keeps_values() {
            return Ok(());
        }
        for _ in 0..reader.u32()? {
            let number = reader.u32()? as usize;
            let value = reader.bytes()?;
            let weight = reader.i64()?;
            let slot = *slots.get(number).ok_or_else(|| {
                CodecError::Invalid(format!("a value of group {number}, which is not there"))
            })?;
            match self {
                Self::Values { values, .. } => values.set(slot as usize, value, weight),
                Self::Distinct { seen, .. } => seen.set(slot, value, weight),
                Self::Uniq(sets) => sets.set(slot, value, weight)?,
                _ => {}
            }
        }
        Ok(())
    }

    /// Called when the changes of the values were saved.
    pub(crate) fn forget_changes(&mut self) {
        match self {
            Self::Values { changed, .. } => *changed = HashSet::default(),
            Self::Distinct { seen, .. } => seen.forget_changes(),
            Self::Uniq(sets) => sets.forget_changes(),
            _ => {}
        }
    }

    /// Whether [`Accumulator::save_values`] saves any.
    pub(crate) fn keeps_values(&self) -> bool {
        match self {
            Self::Values { keeps_all, .. } => *keeps_all,
            Self::Distinct { .. } => true,
            Self::Uniq(sets) => sets.counts_values(),
            _ => false,
        }
    }

    /// Memory taken, about.
    pub(crate) fn memory_bytes(&self) -> usize {
        /// What a changed value takes, about.
        const CHANGED_VALUE_BYTES: usize = 64;
        let count = size_of::<i64>();
        match self {
            Self::Count { counts, .. } => counts.capacity() * count,
            Self::WideSum { sums, .. } => sums.capacity() * (size_of::<WideSum>() + count),
            Self::FloatSum { sums, .. } => sums.capacity() * (size_of::<ExactFloat>() + count),
            Self::Values {
                values, changed, ..
            } => values.memory_bytes() + changed.capacity() * CHANGED_VALUE_BYTES,
            Self::Distinct { seen, inner } => seen.memory_bytes() + inner.memory_bytes(),
            Self::Uniq(sets) => sets.memory_bytes(),
        }
    }

    /// Values whose weight changed since the last save.
    pub(crate) fn changed_values(&self) -> usize {
        match self {
            Self::Values { changed, .. } => changed.len(),
            Self::Distinct { seen, .. } => seen.changed_count(),
            Self::Uniq(sets) => sets.changed_count(),
            _ => 0,
        }
    }

    /// Values that are kept.
    pub(crate) fn value_count(&self) -> usize {
        match self {
            Self::Values { values, .. } => values.value_count(),
            Self::Distinct { seen, .. } => seen.len(),
            Self::Uniq(sets) => sets.value_count(),
            _ => 0,
        }
    }
}
