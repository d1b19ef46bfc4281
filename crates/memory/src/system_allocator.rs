//! The system's allocator, which has everything that is not state.

/// Lets glibc's allocator keep this much that was freed, instead of giving it
/// back and having it filled with zeros a moment later: each epoch's columns are
/// as large as the last one's.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
const KEPT_BYTES: libc::c_int = 128 << 20;
/// Larger blocks than this come from the machine and go back to it; more than this
/// glibc does not accept.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
const MAPPED_BYTES_MIN: libc::c_int = 32 << 20;
/// Taken from the machine at once.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
const TAKEN_BYTES: libc::c_int = 16 << 20;

/// Fits the system's allocator to work in batches, unless the environment says
/// otherwise (glibc's `MALLOC_TRIM_THRESHOLD_`, for instance). To be called once,
/// before there are threads. Does nothing with another allocator than glibc's.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
pub fn keep_freed_memory() {
    let is_said = |name: &str| std::env::var_os(name).is_some();
    for (setting, name, value) in [
        (libc::M_TRIM_THRESHOLD, "MALLOC_TRIM_THRESHOLD_", KEPT_BYTES),
        (
            libc::M_MMAP_THRESHOLD,
            "MALLOC_MMAP_THRESHOLD_",
            MAPPED_BYTES_MIN,
        ),
        (libc::M_TOP_PAD, "MALLOC_TOP_PAD_", TAKEN_BYTES),
    ] {
        if !is_said(name) {
            // SAFETY: `mallopt` takes two numbers, and refuses what does not fit.
            unsafe { libc::mallopt(setting, value) };
        }
    }
}

/// Fits the system's allocator to work in batches: there is nothing to do for this
/// one.
#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
pub fn keep_freed_memory() {}
