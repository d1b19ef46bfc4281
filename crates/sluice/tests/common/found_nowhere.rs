//! That texts stand nowhere in clear. The test file has the modules `files_below` and
//! `found_below` beside this one.

use std::path::Path;

use crate::common::Running;
use crate::files_below::each_file_below;
use crate::found_below::{found_below, found_in};

/// Stops a warehouse. None of the texts may stand in a file of its state, in what
/// it said, or on the wire, which is all that its clients were given.
#[track_caller]
pub fn stop_and_find_nowhere(running: Running, state: &Path, wire: &str, texts: &[&str]) {
    // Once as a kill leaves it, and once as a stop does.
    let mut found = found_below(state, texts);
    let (status, said) = running.stop_and_tell();
    assert!(status.success(), "{said}");
    found.extend(found_below(state, texts));
    let mut files: usize = 0;
    each_file_below(state, &mut |_: &Path| files += 1);
    assert!(files > 10, "{files}");
    found.extend(found_in("the wire", wire.as_bytes(), texts));
    found.extend(found_in("stderr", said.as_bytes(), texts));
    assert!(found.is_empty(), "{found:#?}");
}
