//! The system's allocator, which has everything that is not state.

use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

/// Lets each arena of glibc's allocator keep this much that was freed, instead of giving it
/// back and having it filled with zeros a moment later: each epoch's columns are
/// as large as the last one's.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
const KEPT_BYTES: libc::c_int = 128 << 20;
/// The same where memory is short.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
const KEPT_BYTES_IF_LITTLE: libc::c_int = 32 << 20;
/// Larger blocks than this come from the machine and go back to it; more than this
/// glibc does not accept.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
const MAPPED_BYTES_MIN: libc::c_int = 32 << 20;
/// Taken from the machine at once.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
const TAKEN_BYTES: libc::c_int = 16 << 20;

/// Giving memory back takes time, and more to have it again: at most once in this
/// time.
const GIVING_BACK_INTERVAL_US: u64 = 10_000_000;

/// Whether [`give_freed_memory_back`] does anything.
static GIVES_BACK: AtomicBool = AtomicBool::new(false);
/// When it last did.
static GIVEN_BACK_US: AtomicI64 = AtomicI64::new(i64::MIN);

/// Fits the system's allocator to work in batches, unless the environment says
/// otherwise (glibc's `MALLOC_TRIM_THRESHOLD_`, for instance, or the same in
/// `GLIBC_TUNABLES`). To be called once,
/// before there are threads. Does nothing with another allocator than glibc's.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
pub fn keep_freed_memory() {
    for (setting, name, value) in [
        (libc::M_TRIM_THRESHOLD, "TRIM_THRESHOLD", KEPT_BYTES),
        (libc::M_MMAP_THRESHOLD, "MMAP_THRESHOLD", MAPPED_BYTES_MIN),
        (libc::M_TOP_PAD, "TOP_PAD", TAKEN_BYTES),
    ] {
        set(setting, name, value);
    }
}

/// Fits the system's allocator to work in batches: there is nothing to do for this
/// one.
#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
pub fn keep_freed_memory() {}

/// Lets the system's allocator keep less of what was freed, and
/// [`give_freed_memory_back`] give back what it keeps in between: somebody has
/// said how much memory there may be. Does nothing with another allocator than
/// glibc's.
pub fn keep_little_freed_memory() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    set(
        libc::M_TRIM_THRESHOLD,
        "TRIM_THRESHOLD",
        KEPT_BYTES_IF_LITTLE,
    );
    GIVES_BACK.store(true, Ordering::Relaxed);
}

/// Gives memory back to the machine that was freed and that the system's
/// allocator keeps, if [`keep_little_freed_memory`] was called and the last time
/// was ten seconds ago; true if so. To be called when much was freed, from a
/// thread that nobody waits for.
pub fn give_freed_memory_back(now_us: i64) -> bool {
    let last_us = GIVEN_BACK_US.load(Ordering::Relaxed);
    // The clock may have been set back.
    let is_due = now_us.abs_diff(last_us) >= GIVING_BACK_INTERVAL_US;
    if !is_due || !GIVES_BACK.load(Ordering::Relaxed) {
        return false;
    }
    let relaxed = Ordering::Relaxed;
    let exchanged = GIVEN_BACK_US.compare_exchange(last_us, now_us, relaxed, relaxed);
    // Another thread is at it otherwise.
    if exchanged.is_ok() {
        trim();
    }
    exchanged.is_ok()
}

/// Sets one of glibc's settings, unless the environment has set it.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
fn set(setting: libc::c_int, name: &str, value: libc::c_int) {
    let tunables = std::env::var("GLIBC_TUNABLES").unwrap_or_default();
    let of_tunables = format!("glibc.malloc.{}=", name.to_lowercase());
    let is_said =
        std::env::var_os(format!("MALLOC_{name}_")).is_some() || tunables.contains(&of_tunables);
    if !is_said {
        // SAFETY: `mallopt` takes two numbers, and refuses what does not fit. It
        // locks the main arena while it stores the number; a thread that frees
        // memory at that moment goes by the old one or by the new one.
        unsafe { libc::mallopt(setting, value) };
    }
}

#[cfg(all(target_os = "linux", target_env = "gnu"))]
fn trim() {
    // SAFETY: `malloc_trim` takes a number, locks each arena while it looks at it,
    // and gives back only pages that lie in free blocks.
    unsafe { libc::malloc_trim(0) };
}

#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
fn trim() {}
