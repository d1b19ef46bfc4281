//! Public data, which is not part of the project.

use std::io::Write as _;
use std::path::{Path, PathBuf};

/// A folder of public data: below the one that `SLUICE_DATA` names, else below `data` in
/// the project, or below `shared/data` beside it. Where it is nowhere, it is said loudly
/// that a test is skipped, and where the data `comes_from`.
pub fn public_data(folder: &str, comes_from: &str) -> Option<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let root = root.canonicalize().unwrap();
    let places = match std::env::var_os("SLUICE_DATA") {
        // Relative paths start from the project.
        Some(chosen) => vec![root.join(chosen)],
        None => vec![root.join("data"), root.join("../shared/data")],
    };
    let folders: Vec<PathBuf> = places.iter().map(|place| place.join(folder)).collect();
    if let Some(found) = folders.iter().find(|folder| folder.is_dir()) {
        return Some(found.canonicalize().unwrap());
    }
    let wanted = folders[0].display();
    let test = std::thread::current();
    let test = test.name().unwrap_or_default();
    // Past the test's own capture, which shows nothing of those that pass.
    let _ = writeln!(
        std::io::stderr(),
        "SKIPPED: {test}: there is no {wanted}\n  help: it holds {comes_from}; SLUICE_DATA=DIR has such folders elsewhere"
    );
    None
}
