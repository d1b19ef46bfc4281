//! How long the log of a warehouse is. The test file has the module `files_below`
//! beside this one.

use std::path::Path;

use crate::files_below::{content_of, each_file_below};

/// How long the log of a state is, before compression: one that copies its sources
/// is longer than one whose sources are their own log.
pub fn log_bytes(state: &Path) -> u64 {
    let mut bytes: u64 = 0;
    each_file_below(&state.join("log/topics"), &mut |path: &Path| {
        bytes += content_of(path).len() as u64;
    });
    bytes
}
