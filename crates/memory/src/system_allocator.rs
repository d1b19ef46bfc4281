//! The system's allocator, which has everything that is not state.

/// Lets each arena of glibc's allocator keep this much that was freed, instead of giving it
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
/// otherwise (glibc's `MALLOC_TRIM_THRESHOLD_`, for instance, or the same in
/// `GLIBC_TUNABLES`). To be called once,
/// before there are threads. Does nothing with another allocator than glibc's.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
pub fn keep_freed_memory() {
    let tunables = std::env::var("GLIBC_TUNABLES").unwrap_or_default();
    let is_said = |name: &str| {
        let of_tunables = format!("glibc.malloc.{}=", name.to_lowercase());
        std::env::var_os(format!("MALLOC_{name}_")).is_some() || tunables.contains(&of_tunables)
    };
    for (setting, name, value) in [
        (libc::M_TRIM_THRESHOLD, "TRIM_THRESHOLD", KEPT_BYTES),
        (libc::M_MMAP_THRESHOLD, "MMAP_THRESHOLD", MAPPED_BYTES_MIN),
        (libc::M_TOP_PAD, "TOP_PAD", TAKEN_BYTES),
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
