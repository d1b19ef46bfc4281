//! How many partners a row has, by weight, for joins whose condition is more than an
//! equality of keys.

use hashbrown::HashMap;
use sluice_core::{CodecError, Reader, VIRTUAL_SHARDS, Writer};

#[derive(Default)]
struct Shard {
    /// By row in byte form; rows without a partner are absent.
    weights: HashMap<Box<[u8]>, i64>,
    dirty: bool,
}

/// For each row of one side of a join, the weight of all its partners.
pub(crate) struct PartnerWeights {
    shards: Vec<Shard>,
}

impl Default for PartnerWeights {
    fn default() -> Self {
        Self {
            shards: (0..VIRTUAL_SHARDS).map(|_| Shard::default()).collect(),
        }
    }
}

impl PartnerWeights {
    /// Adds `change` to what the row has; a row that no longer `exists` is
    /// forgotten. The weight before and after.
    pub(crate) fn change(
        &mut self,
        shard: usize,
        row: &[u8],
        change: i64,
        exists: bool,
    ) -> (i64, i64) {
        let shard = &mut self.shards[shard];
        let before = shard.weights.get(row).copied().unwrap_or(0);
        let after = before + change;
        let kept = if exists { after } else { 0 };
        if kept == before {
            return (before, after);
        }
        shard.dirty = true;
        if kept == 0 {
            shard.weights.remove(row);
        } else if let Some(weight) = shard.weights.get_mut(row) {
            *weight = kept;
        } else {
            shard.weights.insert(row.into(), kept);
        }
        (before, after)
    }

    /// Number of rows with a partner.
    pub(crate) fn len(&self) -> u64 {
        let lengths = self.shards.iter().map(|shard| shard.weights.len() as u64);
        lengths.sum()
    }

    /// Shards in which either side changed, with both sides' weights.
    pub(crate) fn save_changed(
        mut left: Option<&mut Self>,
        mut right: Option<&mut Self>,
    ) -> Vec<(usize, Vec<u8>)> {
        let mut parts = Vec::new();
        for number in 0..VIRTUAL_SHARDS {
            let mut writer = Writer::new();
            let mut dirty = false;
            for side in [left.as_deref_mut(), right.as_deref_mut()] {
                let Some(side) = side else {
                    writer.u32(0);
                    continue;
                };
                let shard = &mut side.shards[number];
                dirty |= std::mem::take(&mut shard.dirty);
                writer.u32(shard.weights.len() as u32);
                for (row, weight) in &shard.weights {
                    writer.bytes(row);
                    writer.i64(*weight);
                }
            }
            if dirty {
                parts.push((number, writer.finish()));
            }
        }
        parts
    }

    /// Takes back what [`PartnerWeights::save_changed`] gave for a shard.
    pub(crate) fn load(
        left: Option<&mut Self>,
        right: Option<&mut Self>,
        number: usize,
        bytes: &[u8],
    ) -> Result<(), CodecError> {
        let mut reader = Reader::new(bytes);
        for mut side in [left, right] {
            let count = reader.u32()?;
            for _ in 0..count {
                let row: Box<[u8]> = reader.bytes()?.into();
                let weight = reader.i64()?;
                let Some(side) = side.as_deref_mut() else {
                    let message = "partner weights of a side that keeps none";
                    return Err(CodecError::Invalid(message.into()));
                };
                side.shards[number].weights.insert(row, weight);
            }
        }
        Ok(())
    }
}
