//! What a warehouse leaves on disk: how long its log is, and whether texts stand
//! anywhere that must be nowhere in clear.

#![allow(dead_code, reason = "each test file uses a part of it")]

use std::path::Path;

use crate::common::Running;

/// Visits the files of a folder and of the folders in it. Each is visited as soon
/// as it is listed: a warehouse that runs may remove one a moment later.
fn each_file_below(folder: &Path, visit: &mut dyn FnMut(&Path)) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            each_file_below(&path, visit);
        } else {
            visit(&path);
        }
    }
}

/// How long the log of a state is: one that copies its sources is longer than one
/// whose sources are their own log.
pub fn log_bytes(state: &Path) -> u64 {
    let mut bytes: u64 = 0;
    each_file_below(&state.join("log/topics"), &mut |path: &Path| {
        bytes += std::fs::metadata(path).unwrap().len();
    });
    bytes
}

/// The texts that are looked for, and where they were found.
struct Search<'a> {
    texts: &'a [&'a str],
    found: Vec<String>,
}

impl<'a> Search<'a> {
    fn of(texts: &'a [&'a str]) -> Self {
        Self {
            texts,
            found: Vec::new(),
        }
    }

    fn look(&mut self, place: &str, bytes: &[u8]) {
        for text in self.texts {
            let mut parts = bytes.windows(text.len());
            if parts.any(|part| part == text.as_bytes()) {
                self.found.push(format!("{text} in {place}"));
            }
        }
    }

    /// Looks at all files; how many there are.
    fn look_below(&mut self, folder: &Path) -> usize {
        let mut files: usize = 0;
        each_file_below(folder, &mut |path: &Path| {
            let bytes = std::fs::read(path).unwrap();
            self.look(&path.display().to_string(), &bytes);
            files += 1;
        });
        files
    }
}

/// Which of the texts stand in files below a folder, each with its file.
pub fn found_below(folder: &Path, texts: &[&str]) -> Vec<String> {
    let mut search = Search::of(texts);
    search.look_below(folder);
    search.found
}

/// Stops a warehouse. None of the texts may stand in a file of its state, in what
/// it said, or on the wire, which is all that its clients were given.
#[track_caller]
pub fn stop_and_find_nowhere(running: Running, state: &Path, wire: &str, texts: &[&str]) {
    let mut search = Search::of(texts);
    // Once as a kill leaves it, and once as a stop does.
    search.look_below(state);
    let (status, said) = running.stop_and_tell();
    assert!(status.success(), "{said}");
    let files = search.look_below(state);
    assert!(files > 10, "{files}");
    search.look("the wire", wire.as_bytes());
    search.look("stderr", said.as_bytes());
    let found = search.found;
    assert!(found.is_empty(), "{found:#?}");
}
