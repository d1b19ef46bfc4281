//! A project that adds to another one: `extends = "../shop"` in warehouse.toml.
//!
//! It has the files of the other project, unless it has one at the same place,
//! and the keys of its warehouse.toml, unless it has them itself. A model takes
//! the place of a table of the other project that has its name: so a shop whose
//! tables differ maps them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use crate::failure::{Doing, Failure};

/// The folders of a project, the one that counts last.
#[derive(Debug)]
pub struct Folders {
    own: PathBuf,
    base: Option<PathBuf>,
}

impl Folders {
    /// The folder of a project, and the one that it extends.
    pub fn new(own: &Path, extends: Option<&str>) -> Self {
        Self {
            own: own.to_path_buf(),
            base: extends.map(|base| own.join(base)),
        }
    }

    /// The folder of the project that this one extends.
    pub fn base(&self) -> Option<&Path> {
        self.base.as_deref()
    }

    /// The files below `part` whose name ends in `.extension`, by their place.
    ///
    /// # Errors
    /// When a folder cannot be read.
    pub fn files(&self, part: &str, extension: &str) -> Result<Vec<PathBuf>, Failure> {
        let mut by_place: BTreeMap<PathBuf, PathBuf> = BTreeMap::new();
        for folder in self.base.iter().chain([&self.own]) {
            for path in files_below(&folder.join(part), extension)? {
                let place = path.strip_prefix(folder).unwrap_or(&path).to_path_buf();
                by_place.insert(place, path);
            }
        }
        Ok(by_place.into_values().collect())
    }

    /// A file of the project, if it has it.
    pub fn file(&self, name: &str) -> Option<PathBuf> {
        let folders = [Some(&self.own), self.base.as_ref()].into_iter().flatten();
        let mut paths = folders.map(|folder| folder.join(name));
        paths.find(|path| path.exists())
    }

    /// Tables of the extended project that this one does not map although it maps
    /// others of the same topic: its shop does not have them.
    ///
    /// # Errors
    /// When a folder or a file cannot be read.
    pub fn absent_tables(&self) -> Result<BTreeSet<String>, Failure> {
        let Some(base) = &self.base else {
            return Ok(BTreeSet::new());
        };
        let mapped = self.own_models()?;
        let mut topics: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for path in self.files("sources", "toml")? {
            if !path.starts_with(base) {
                continue;
            }
            let text = std::fs::read_to_string(&path).doing("reading a source")?;
            // What is wrong with the file is said where it is read.
            let source = toml::from_str::<toml::Table>(&text).unwrap_or_default();
            let tables = source.get("table").and_then(toml::Value::as_table);
            for (name, table) in tables.into_iter().flatten() {
                if let Some(topic) = table.get("topic").and_then(toml::Value::as_str) {
                    let names = topics.entry(topic.to_owned()).or_default();
                    names.insert(name.clone());
                }
            }
        }
        let partly = topics.into_values();
        let partly = partly.filter(|names| !names.is_disjoint(&mapped));
        Ok(partly
            .flat_map(|names| names.difference(&mapped).cloned().collect::<Vec<_>>())
            .collect())
    }

    /// Names of the project's own models.
    fn own_models(&self) -> Result<BTreeSet<String>, Failure> {
        let models = files_below(&self.own.join("models"), "sql")?;
        let names = models
            .iter()
            .filter_map(|path| Some(path.file_stem()?.to_string_lossy().into_owned()));
        Ok(names.collect())
    }

    /// The text of a source without the tables whose place a model of the
    /// project itself takes.
    ///
    /// # Errors
    /// When the models cannot be listed.
    pub fn without_mapped_tables(&self, path: &Path, text: String) -> Result<String, Failure> {
        if !self
            .base
            .as_ref()
            .is_some_and(|base| path.starts_with(base))
        {
            return Ok(text);
        }
        let names = self.own_models()?;
        // What is wrong with the file is said where it is read.
        let Ok(mut source) = toml::from_str::<toml::Table>(&text) else {
            return Ok(text);
        };
        let Some(tables) = source.get_mut("table").and_then(toml::Value::as_table_mut) else {
            return Ok(text);
        };
        let count = tables.len();
        tables.retain(|name, _| !names.contains(name));
        if tables.len() == count {
            return Ok(text);
        }
        toml::to_string(&source).doing(&format!("mapping tables of {}", path.display()))
    }
}

/// The keys of `own` and, where it has none, those of `base`; never its name,
/// its state, and what it extends itself.
pub fn merged(base: &toml::Table, own: &mut toml::Table) {
    for (key, value) in base {
        if matches!(&key[..], "name" | "state" | "extends") {
            continue;
        }
        match (own.get_mut(key), value) {
            (Some(toml::Value::Table(own)), toml::Value::Table(base)) => merged(base, own),
            (Some(_), _) => {}
            (None, _) => {
                own.insert(key.clone(), value.clone());
            }
        }
    }
}

/// The files below `folder` whose name ends in `.extension`, sorted.
fn files_below(folder: &Path, extension: &str) -> Result<Vec<PathBuf>, Failure> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(folder) = folders.pop() {
        if !folder.exists() {
            continue;
        }
        let what = format!("reading the folder {}", folder.display());
        for entry in std::fs::read_dir(&folder).doing(&what)? {
            let path = entry.doing(&what)?.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|found| found == extension) {
                found.push(path);
            }
        }
    }
    found.sort();
    Ok(found)
}
