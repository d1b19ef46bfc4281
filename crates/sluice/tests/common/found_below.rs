//! Whether texts stand in files. The test file has the module `files_below` beside
//! this one.

use std::path::Path;

use crate::files_below::{content_of, each_file_below};

/// Which of the texts stand in files below a folder, compressed or not, each with
/// its file.
pub fn found_below(folder: &Path, texts: &[&str]) -> Vec<String> {
    let mut found = Vec::new();
    each_file_below(folder, &mut |path: &Path| {
        let content = content_of(path);
        found.extend(found_in(&path.display().to_string(), &content, texts));
    });
    found
}

/// Which of the texts stand in the bytes of a place.
pub fn found_in(place: &str, bytes: &[u8], texts: &[&str]) -> Vec<String> {
    let stands = |text: &&&str| {
        let mut parts = bytes.windows(text.len());
        parts.any(|part| part == text.as_bytes())
    };
    let found = texts.iter().filter(stands);
    found.map(|text| format!("{text} in {place}")).collect()
}
