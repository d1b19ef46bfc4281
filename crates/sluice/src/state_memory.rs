//! The budget of state: how much memory it may take before it goes to disk, and
//! what happens when there is no disk left either.

use std::path::Path;

use sluice_memory::{StateBudget, Usage};

use crate::config::Limits;
use crate::failure::{Doing, Failure};

/// The part of the machine's memory that state may take by default.
const MACHINE_SHARE: u64 = 4;
/// Less would make every machine slow.
const MEMORY_BYTES_MIN: u64 = 256 << 20;
/// The part of the state's memory that rows may take which no file holds yet, and
/// its bounds: fewer would make checkpoints of crumbs.
const UNWRITTEN_SHARE: u64 = 8;
const UNWRITTEN_BYTES_MIN: u64 = 48 << 20;
const UNWRITTEN_BYTES_MAX: u64 = 256 << 20;
/// Assumed where the system does not say.
const MACHINE_BYTES: u64 = 4 << 30;

/// Sets the budget of this process.
///
/// # Errors
/// When the file of the state that does not fit cannot be made.
pub fn install(limits: &Limits, state: &Path) -> Result<(), Failure> {
    let budget = StateBudget {
        folder: state.to_path_buf(),
        memory_bytes_max: memory_bytes_max(limits),
        disk_bytes_max: limits.state_disk_bytes_max,
    };
    if limits.state_memory_bytes_max.is_some() {
        // Who says so counts the memory of the whole process.
        sluice_memory::keep_little_freed_memory();
    }
    sluice_memory::install(budget).doing("setting the memory budget of the state")
}

/// The memory that state may take, in bytes.
fn memory_bytes_max(limits: &Limits) -> usize {
    limits.state_memory_bytes_max.unwrap_or_else(|| {
        let share = machine_bytes() / MACHINE_SHARE;
        usize::try_from(share.max(MEMORY_BYTES_MIN)).unwrap_or(usize::MAX)
    })
}

/// With more bytes of rows in memory that no checkpoint has written, the next one
/// begins early. A warehouse with little memory for its state has little for these
/// rows, too.
pub fn unwritten_bytes_max(limits: &Limits) -> u64 {
    let share = memory_bytes_max(limits) as u64 / UNWRITTEN_SHARE;
    share.clamp(UNWRITTEN_BYTES_MIN, UNWRITTEN_BYTES_MAX)
}

/// What to tell people when state has no room to grow.
pub fn no_room(usage: Usage) -> String {
    format!(
        "the state has reached its limits: {} MiB of memory, {} MiB on disk, {} MiB beyond them; sources and clients wait, views stay as they are\n  help: make room on the disk of the state's folder, or raise `limits.state_disk_bytes_max` or `limits.state_memory_bytes_max` and start again",
        usage.memory_bytes >> 20,
        usage.disk_bytes >> 20,
        usage.over_bytes >> 20,
    )
}

/// Memory that this process may have: the machine's, or that of its control
/// group if it is less.
fn machine_bytes() -> u64 {
    let information = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let machine = information
        .lines()
        .find_map(|line| line.strip_prefix("MemTotal:"))
        .and_then(|rest| rest.trim().strip_suffix(" kB"))
        .and_then(|kibibytes| kibibytes.trim().parse::<u64>().ok())
        .map_or(MACHINE_BYTES, |kibibytes| kibibytes * 1024);
    let group = std::fs::read_to_string("/sys/fs/cgroup/memory.max").unwrap_or_default();
    match group.trim().parse::<u64>() {
        Ok(group) => machine.min(group),
        Err(_) => machine,
    }
}
