//! The values of one group with how often each occurs: what min and max need
//! so that a retraction brings back the next value.

use std::collections::BTreeMap;

use sluice_core::{CodecError, Reader, Writer};

/// Values in byte form, in order, with their weights.
#[derive(Debug, Clone, Default)]
pub(crate) struct ValueCounts(BTreeMap<Box<[u8]>, i64>);

impl ValueCounts {
    pub(crate) fn add(&mut self, value: &[u8], weight: i64) {
        let Some(count) = self.0.get_mut(value) else {
            self.0.insert(value.into(), weight);
            return;
        };
        *count += weight;
        if *count == 0 {
            self.0.remove(value);
        }
    }

    /// All values in order, with their weights.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&[u8], i64)> {
        self.0.iter().map(|(value, count)| (value.as_ref(), *count))
    }

    pub(crate) fn smallest(&self) -> Option<&[u8]> {
        self.0.keys().next().map(AsRef::as_ref)
    }

    pub(crate) fn greatest(&self) -> Option<&[u8]> {
        self.0.keys().next_back().map(AsRef::as_ref)
    }

    /// For input that is only added to: all but one end can never be asked for.
    pub(crate) fn keep_only(&mut self, keep_smallest: bool) {
        while self.0.len() > 1 {
            if keep_smallest {
                self.0.pop_last();
            } else {
                self.0.pop_first();
            }
        }
    }

    /// How often a value occurs.
    pub(crate) fn weight(&self, value: &[u8]) -> i64 {
        self.0.get(value).copied().unwrap_or(0)
    }

    /// Gives a value a weight; 0 if it is gone.
    pub(crate) fn set(&mut self, value: &[u8], weight: i64) {
        if weight == 0 {
            self.0.remove(value);
        } else {
            self.0.insert(value.into(), weight);
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn save(&self, writer: &mut Writer) {
        writer.u32(self.0.len() as u32);
        for (value, count) in &self.0 {
            writer.bytes(value);
            writer.i64(*count);
        }
    }

    pub(crate) fn load(reader: &mut Reader<'_>) -> Result<Self, CodecError> {
        let mut values = BTreeMap::new();
        for _ in 0..reader.u32()? {
            let value = reader.bytes()?.into();
            values.insert(value, reader.i64()?);
        }
        Ok(Self(values))
    }
}
