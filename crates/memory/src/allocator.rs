//! Where memory of state comes from.

use std::alloc::Layout;
use std::ptr::NonNull;

use allocator_api2::alloc::{AllocError, Allocator, Global};

use crate::budget::{LARGE_BYTES_MIN, give_back, scratch, take, take_beyond};

/// The allocator of state: ordinary memory within the budget, the file beyond
/// it. Small blocks, of which there are few in large state, are always
/// ordinary.
#[derive(Debug, Clone, Copy, Default)]
pub struct StateMemory;

fn is_large(layout: Layout) -> bool {
    layout.size() >= LARGE_BYTES_MIN
}

impl StateMemory {
    /// A block of the file, or none if there is no file or no room in it.
    fn from_file(layout: Layout) -> Option<NonNull<[u8]>> {
        let block = scratch()?.allocate(layout)?;
        Some(NonNull::slice_from_raw_parts(block, layout.size()))
    }

    /// Moves a block to where a new one is allocated.
    ///
    /// # Safety
    /// As for [`Allocator::grow`] and [`Allocator::shrink`].
    unsafe fn move_block(
        &self,
        block: NonNull<u8>,
        old: Layout,
        new: Layout,
    ) -> Result<NonNull<[u8]>, AllocError> {
        let fresh = self.allocate(new)?;
        let count = old.size().min(new.size());
        // SAFETY: the old block holds `old.size()` bytes, the new one
        // `new.size()`, and both are allocated, so that they do not overlap.
        // The caller gives the old block up.
        unsafe {
            fresh.cast::<u8>().copy_from_nonoverlapping(block, count);
            self.deallocate(block, old);
        }
        Ok(fresh)
    }
}

// SAFETY: a block is either one of `Global` or one of the file. Which of both
// is told by its address (and small ones are always of `Global`), so that each
// goes back to where it came from. Blocks of the file stay mapped at their
// address until they are given back, and two of them never overlap (see
// `scratch.rs`). The allocator has no state of its own, so that all its copies
// are the same one.
unsafe impl Allocator for StateMemory {
    fn allocate(&self, layout: Layout) -> Result<NonNull<[u8]>, AllocError> {
        if !is_large(layout) {
            return Global.allocate(layout);
        }
        if !take(layout.size()) {
            if let Some(block) = Self::from_file(layout) {
                return Ok(block);
            }
            take_beyond(layout.size());
        }
        Global
            .allocate(layout)
            .inspect_err(|_| give_back(layout.size()))
    }

    unsafe fn deallocate(&self, block: NonNull<u8>, layout: Layout) {
        if is_large(layout) {
            if let Some(scratch) = scratch()
                && scratch.contains(block)
            {
                scratch.free(block, layout);
                return;
            }
            give_back(layout.size());
        }
        // SAFETY: the caller says that the block is ours and of this layout,
        // and it is not one of the file.
        unsafe { Global.deallocate(block, layout) }
    }

    unsafe fn grow(
        &self,
        block: NonNull<u8>,
        old: Layout,
        new: Layout,
    ) -> Result<NonNull<[u8]>, AllocError> {
        if !is_large(new) {
            // SAFETY: both sizes are small, so that the block is of `Global`;
            // the rest is the caller's promise.
            return unsafe { Global.grow(block, old, new) };
        }
        if is_large(old) {
            let added = new.size() - old.size();
            match scratch().filter(|scratch| scratch.contains(block)) {
                Some(scratch) if scratch.grow_in_place(block, old, new) => {
                    return Ok(NonNull::slice_from_raw_parts(block, new.size()));
                }
                Some(_) => {}
                None if take(added) => {
                    // SAFETY: the block is large and not of the file, so that
                    // it is of `Global`; the rest is the caller's promise.
                    let grown = unsafe { Global.grow(block, old, new) };
                    return grown.inspect_err(|_| give_back(added));
                }
                None => {}
            }
        }
        // SAFETY: the caller's promise.
        unsafe { self.move_block(block, old, new) }
    }

    unsafe fn shrink(
        &self,
        block: NonNull<u8>,
        old: Layout,
        new: Layout,
    ) -> Result<NonNull<[u8]>, AllocError> {
        if !is_large(old) {
            // SAFETY: both sizes are small, so that the block is of `Global`;
            // the rest is the caller's promise.
            return unsafe { Global.shrink(block, old, new) };
        }
        // SAFETY: the caller's promise.
        unsafe { self.move_block(block, old, new) }
    }
}
