//! Memory for state, within a budget.
//!
//! The engine's state is a few large arrays for each operator and shard. As
//! long as they fit into the budget they are ordinary memory. What is allocated
//! beyond it lies in a file that is mapped into memory ([`install`]): the
//! machine keeps the pages in use and writes the others to disk. So state can
//! be larger than memory, and the code that uses it sees no difference.
//!
//! - Nothing is durable here. The file has no name, and goes with the process;
//!   checkpoints hold the state.
//! - Room on disk is taken when memory is allocated, so that a full disk is an
//!   answer then, and not the end of the process when a page is written. If the
//!   disk has no room, or the file has grown to its limit, ordinary memory is
//!   used beyond the budget, and [`Usage::is_over`] says so: whoever feeds the
//!   state must then wait.
//! - Ordered maps of many small keys are ordinary memory too; [`StateBytes`] and
//!   [`OrderedBytes`] count what they take.
//! - [`trim`] keeps the part of the file that counts as the process's memory
//!   small. It only unmaps pages; those still in the machine's page cache come
//!   back without a read.

mod allocator;
mod budget;
mod bytes;
mod scratch;
mod system_allocator;
mod vec;

pub use allocator::StateMemory;
pub use budget::{MemoryError, StateBudget, Usage, install, trim, usage};
pub use bytes::{OrderedBytes, StateBytes};
pub use system_allocator::{give_freed_memory_back, keep_freed_memory, keep_little_freed_memory};
pub use vec::StateVec;

/// A hash table in state memory.
pub type StateTable<T> = hashbrown::HashTable<T, StateMemory>;
