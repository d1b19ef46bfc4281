//! The files that a warehouse leaves on disk.

use std::path::Path;

/// Visits the files of a folder and of the folders in it. Each is visited as soon
/// as it is listed: a warehouse that runs may remove one a moment later.
pub fn each_file_below(folder: &Path, visit: &mut dyn FnMut(&Path)) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            each_file_below(&path, visit);
        } else {
            visit(&path);
        }
    }
}
