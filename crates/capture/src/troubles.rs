//! What a file source cannot read at present, and why.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

/// Troubles by the path of what cannot be read: the folder, or files in it.
#[derive(Debug, Default)]
pub(crate) struct Troubles(BTreeMap<PathBuf, String>);

impl Troubles {
    /// `path` cannot be read. Gives the trouble in words if it is a new one.
    pub(crate) fn begin(&mut self, path: &Path, error: &io::Error) -> Option<&str> {
        let text = format!("{}: cannot be read: {error}", path.display());
        if self.0.get(path) == Some(&text) {
            return None;
        }
        self.0.insert(path.to_path_buf(), text);
        self.0.get(path).map(String::as_str)
    }

    /// `path` can be read; true if it could not before.
    pub(crate) fn end(&mut self, path: &Path) -> bool {
        self.0.remove(path).is_some()
    }

    /// Forgets what is no longer there.
    pub(crate) fn keep(&mut self, is_there: impl Fn(&Path) -> bool) {
        self.0.retain(|path, _| is_there(path));
    }

    /// The one that matters most: a folder comes before its files.
    pub(crate) fn first(&self) -> Option<&str> {
        self.0.values().next().map(String::as_str)
    }
}
