//! A growing array in state memory.

use std::fmt;
use std::ops::{Deref, DerefMut};

use allocator_api2::vec::Vec;

use crate::StateMemory;

/// An array like the standard one, in state memory.
pub struct StateVec<T>(Vec<T, StateMemory>);

impl<T> StateVec<T> {
    /// An empty array.
    pub const fn new() -> Self {
        Self(Vec::new_in(StateMemory))
    }

    /// An empty array with room for so many values.
    pub fn with_capacity(capacity: usize) -> Self {
        Self(Vec::with_capacity_in(capacity, StateMemory))
    }
}

impl<T> Default for StateVec<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> Deref for StateVec<T> {
    type Target = Vec<T, StateMemory>;

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

impl<T> DerefMut for StateVec<T> {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.0
    }
}

impl<T: fmt::Debug> fmt::Debug for StateVec<T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

impl<T> IntoIterator for StateVec<T> {
    type Item = T;
    type IntoIter = allocator_api2::vec::IntoIter<T, StateMemory>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl<'a, T> IntoIterator for &'a StateVec<T> {
    type Item = &'a T;
    type IntoIter = std::slice::Iter<'a, T>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.iter()
    }
}
