//! Files of panels that are made on the page: in the folder `panels` of the
//! project, where they are taken up as any other file; and, where the project is
//! written anew at each start, in a folder of the state too.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use parking_lot::Mutex;
use sluice_core::{Disk, OpenMode, RealDisk};
use sluice_serve::{KeepPanels, SAVED_MARK};

use crate::failure::{Doing, Failure};
use crate::project::Project;
use crate::report::Reporter;

/// Panels that may be kept.
const PANELS_MAX: usize = 500;
/// The folder of panels, in a project and in the state of the built-in one.
const FOLDER: &str = "panels";

/// See the module.
#[derive(Debug)]
pub struct SavedPanels {
    /// Where they last, and where they are read; the same but for a project that
    /// is written anew.
    folders: Vec<PathBuf>,
    /// One request at a time.
    lock: Mutex<()>,
}

fn is_saved(path: &Path) -> bool {
    let text = RealDisk.read(path).unwrap_or_default();
    text.starts_with(SAVED_MARK.as_bytes())
}

/// Names of the panels in a folder that were made on the page.
fn saved_in(folder: &Path) -> Result<BTreeSet<String>, Failure> {
    let names = RealDisk.list(folder);
    let names = names.doing(&format!("looking into {}", folder.display()))?;
    let names = names.iter().filter(|name| is_saved(&folder.join(name)));
    let names = names.filter_map(|name| name.strip_suffix(".toml"));
    Ok(names.map(str::to_owned).collect())
}

/// Writes a file in one step.
fn write(folder: &Path, name: &str, text: &str) -> std::io::Result<()> {
    RealDisk.create_dir_all(folder)?;
    let unfinished = folder.join(format!(".{name}.new"));
    let mut file = RealDisk.open(&unfinished, OpenMode::Create)?;
    file.append(text.as_bytes())?;
    file.sync()?;
    RealDisk.rename(&unfinished, &folder.join(format!("{name}.toml")))?;
    RealDisk.sync_dir(folder)
}

impl SavedPanels {
    /// Panels of the project in `project`; `lasting` is the state's folder where
    /// the project is written anew at each start.
    pub fn new(project: &Path, lasting: Option<&Path>) -> Self {
        let folders = lasting.into_iter().chain([project]);
        Self {
            folders: folders.map(|folder| folder.join(FOLDER)).collect(),
            lock: Mutex::default(),
        }
    }

    /// The folder that they last in.
    fn lasting(&self) -> &Path {
        &self.folders[0]
    }
}

impl KeepPanels for SavedPanels {
    fn keep(&self, name: &str, text: &str) -> Result<(), String> {
        let _one = self.lock.lock();
        let file = format!("{name}.toml");
        for folder in &self.folders {
            let path = folder.join(&file);
            if RealDisk.exists(&path) && !is_saved(&path) {
                return Err(format!("panels/{file} was not made on the page, and stays"));
            }
        }
        let known = saved_in(self.lasting()).map_err(|failure| failure.to_string())?;
        if known.len() >= PANELS_MAX && !known.contains(name) {
            return Err(format!(
                "{PANELS_MAX} panels are saved, as many as there may be"
            ));
        }
        for folder in &self.folders {
            let written = write(folder, name, text);
            written.map_err(|error| format!("panels/{file} cannot be written: {error}"))?;
        }
        Ok(())
    }

    fn remove(&self, name: &str) -> Result<(), String> {
        let _one = self.lock.lock();
        let file = format!("{name}.toml");
        for folder in &self.folders {
            let path = folder.join(&file);
            if !RealDisk.exists(&path) {
                continue;
            }
            if !is_saved(&path) {
                return Err(format!("panels/{file} was not made on the page, and stays"));
            }
            let removed = RealDisk.remove(&path);
            let removed = removed.and_then(|()| RealDisk.sync_dir(folder));
            removed.map_err(|error| format!("panels/{file} cannot be removed: {error}"))?;
        }
        Ok(())
    }
}

/// Puts the panels that last in `state` into a project that was written anew.
/// Those that its models no longer answer are left out, and stay where they last.
///
/// # Errors
/// When they cannot be read or written, or the project is wrong without them.
pub fn put_into(
    project: &Path,
    state: &Path,
    overrides: &[(String, String)],
    reporter: Reporter,
) -> Result<(), Failure> {
    let lasting = state.join(FOLDER);
    let names = saved_in(&lasting)?;
    if names.is_empty() {
        return Ok(());
    }
    let folder = project.join(FOLDER);
    let what = "putting saved panels into the project";
    let own = Project::load(project, overrides)?;
    let program = own.plan()?;
    let mut put = Vec::new();
    for name in names {
        let path = folder.join(format!("{name}.toml"));
        if path.exists() {
            reporter.warn(&format!(
                "the saved panel `{name}` is left out: the warehouse has one of this name by now"
            ));
            continue;
        }
        let text = RealDisk
            .read(&lasting.join(format!("{name}.toml")))
            .doing(what)?;
        write(&folder, &name, &String::from_utf8_lossy(&text)).doing(what)?;
        put.push((name, path));
    }
    let check = || Project::load(project, overrides)?.check_panels(&program);
    if check().is_ok() {
        return Ok(());
    }
    // Each alone, to find those that are wrong.
    let mut texts = Vec::new();
    for (name, path) in put {
        texts.push((name, RealDisk.read(&path).doing(what)?));
        RealDisk.remove(&path).doing(what)?;
    }
    let mut right = Vec::new();
    for (name, text) in texts {
        let text = String::from_utf8_lossy(&text).into_owned();
        write(&folder, &name, &text).doing(what)?;
        let checked = check();
        // Out of the way, so that the next one is planned without it.
        let path = folder.join(format!("{name}.toml"));
        RealDisk.remove(&path).doing(what)?;
        match checked {
            Ok(_) => right.push((name, text)),
            Err(failure) => {
                reporter.warn(&format!("the saved panel `{name}` is left out: {failure}"));
            }
        }
    }
    for (name, text) in right {
        write(&folder, &name, &text).doing(what)?;
    }
    Ok(())
}
