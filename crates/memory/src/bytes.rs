//! Bytes of ordered maps, counted in the budget.

use std::borrow::Borrow;
use std::ops::Deref;

use crate::budget::{give_ordered_back, take_ordered};

/// What an entry takes beside its bytes, about: its block, its place in a node that
/// is two thirds full, and a number.
const ENTRY_BYTES: usize = 64;

/// A key or row in an ordered map of state. Maps of them are ordinary memory and
/// cannot go to the file, but what they take is known: arrays get that much less of
/// the budget, and state must not grow once the maps alone fill it.
///
/// ```
/// use sluice_memory::{StateBytes, usage};
///
/// let before = usage().memory_bytes;
/// let row = StateBytes::from(b"ten bytes.".as_slice());
/// assert!(usage().memory_bytes >= before + 10);
/// drop(row);
/// assert_eq!(usage().memory_bytes, before);
/// ```
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StateBytes(Box<[u8]>);

impl StateBytes {
    /// What these bytes count for.
    pub fn memory_bytes(&self) -> usize {
        self.0.len() + ENTRY_BYTES
    }
}

/// A number of bytes in ordered maps whose keys are not [`StateBytes`].
#[derive(Debug, Default)]
pub struct OrderedBytes(usize);

impl OrderedBytes {
    /// Counts more.
    pub fn add(&mut self, bytes: usize) {
        self.0 += bytes;
        take_ordered(bytes);
    }

    /// Counts less, at most down to nothing.
    pub fn remove(&mut self, bytes: usize) {
        let bytes = bytes.min(self.0);
        self.0 -= bytes;
        give_ordered_back(bytes);
    }

    /// How many there are.
    pub fn get(&self) -> usize {
        self.0
    }
}

impl Drop for OrderedBytes {
    fn drop(&mut self) {
        give_ordered_back(self.0);
    }
}

impl From<&[u8]> for StateBytes {
    fn from(bytes: &[u8]) -> Self {
        let bytes = Self(bytes.into());
        take_ordered(bytes.memory_bytes());
        bytes
    }
}

impl Clone for StateBytes {
    fn clone(&self) -> Self {
        Self::from(&*self.0)
    }
}

impl Drop for StateBytes {
    fn drop(&mut self) {
        give_ordered_back(self.memory_bytes());
    }
}

impl Deref for StateBytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl AsRef<[u8]> for StateBytes {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl Borrow<[u8]> for StateBytes {
    fn borrow(&self) -> &[u8] {
        &self.0
    }
}
