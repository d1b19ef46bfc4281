//! `sluice backup`: a copy of a warehouse's state, running or stopped.
//!
//! A checkpoint, the cuts that were recorded after it, and the log behind
//! those belong together. The files of the checkpoint get second names in the
//! state's folder and the control log is copied there, which takes a moment;
//! if a new checkpoint came meanwhile, it is done again. What follows may take
//! its time: those files never change, and the log only grows.

use std::fs::hard_link;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use arrow::temporal_conversions::timestamp_us_to_datetime;
use sluice_core::{Clock, Disk, Epoch, RealDisk, SystemClock};
use sluice_store::{CheckpointFiles, checkpoint_files};

use crate::backups::{
    BackupFile, BackupList, backups_in, copy_file, files_below, stamp, sync_folders,
};
use crate::failure::{Doing, Failure};
use crate::lock::{lock_to_back_up, lock_to_read};
use crate::mask_history::MASKED_SINCE_FILE;
use crate::report::{Reporter, with_commas};

/// Where files get their second names, in the state's folder.
const STAGE: &str = "backup";
/// Ending of a backup that is being written.
const UNFINISHED: &str = "unfinished";
/// How often it is tried again because a checkpoint came in between.
const ATTEMPTS: u32 = 20;

/// What the person asked for.
#[derive(Debug)]
pub struct BackupOptions<'a> {
    /// The folder of the warehouse's state.
    pub state: &'a Path,
    /// The folder of backups, in which a new folder is made.
    pub to: &'a Path,
    /// Older backups beyond so many are removed.
    pub keep: Option<usize>,
}

/// Makes a backup.
///
/// # Errors
/// When there is no warehouse, or something cannot be read or written; then
/// there is no new backup, and older ones are as they were.
pub fn run(options: &BackupOptions<'_>, reporter: Reporter) -> Result<(), Failure> {
    let state = options.state;
    // Held while it is stopped, so that it does not start in the middle of a
    // repair of its log; a running one is no hindrance.
    let _stopped = lock_to_read(state)?;
    RealDisk
        .create_dir_all(options.to)
        .doing(&format!("making the folder {}", options.to.display()))?;
    let _one_of_state = lock_to_back_up(state)?;
    let _one_in_folder = lock_to_back_up(options.to)?;
    remove_unfinished(options.to)?;
    let stage = state.join(STAGE);
    remove_folder(&stage)?;
    let made = make(options, &stage, reporter);
    remove_folder(&stage)?;
    made
}

fn make(options: &BackupOptions<'_>, stage: &Path, reporter: Reporter) -> Result<(), Failure> {
    let what = format!("making a backup in {}", options.to.display());
    let start_us = SystemClock.now_us();
    let name = timestamp_us_to_datetime(start_us)
        .map(|time| time.format("%Y-%m-%dT%H-%M-%S%.6fZ").to_string())
        .unwrap_or_default();
    let epoch = hold_checkpoint(options.state, stage)?;

    let earlier = match backups_in(options.to)?.pop() {
        Some(folder) => Some((BackupList::read(&folder)?, folder)),
        None => None,
    };
    let folder = options.to.join(format!("{name}.{UNFINISHED}"));
    let mut backup = Backup {
        folder: folder.clone(),
        earlier,
        list: BackupList {
            epoch,
            time_us: start_us,
            files: Default::default(),
        },
        copied_bytes: 0,
    };
    for part in ["store", "control"] {
        for file in files_below(stage, part)? {
            backup.add(&stage.join(&file), &file)?;
        }
    }
    for file in files_below(options.state, "log")? {
        backup.add(&options.state.join(&file), &file)?;
    }
    let masked_since = options.state.join(MASKED_SINCE_FILE);
    if masked_since.exists() {
        backup.add(&masked_since, MASKED_SINCE_FILE)?;
    }
    let Backup {
        list, copied_bytes, ..
    } = backup;
    sync_folders(&folder, list.files.keys()).doing(&what)?;
    list.write(&folder)?;
    let whole = options.to.join(name);
    RealDisk.rename(&folder, &whole).doing(&what)?;
    RealDisk.sync_dir(options.to).doing(&what)?;

    let seconds = (SystemClock.now_us() - start_us) as f64 / 1e6;
    reporter.info(&format!(
        "{}: {} bytes in {} files, of which {} bytes were copied, in {seconds:.1} s; the checkpoint in it is of epoch {epoch}",
        whole.display(),
        with_commas(list.bytes()),
        list.files.len(),
        with_commas(copied_bytes),
    ));
    match options.keep {
        Some(keep) => remove_older(options.to, keep, reporter),
        None => Ok(()),
    }
}

/// Gives the files of the last checkpoint second names and copies the cuts
/// after it. Returns its epoch.
fn hold_checkpoint(state: &Path, stage: &Path) -> Result<Epoch, Failure> {
    let store = state.join("store");
    let what = format!("reading the checkpoint in {}", store.display());
    for _ in 0..ATTEMPTS {
        let before = checkpoint_files(&RealDisk, &store).doing(&what)?;
        remove_folder(stage)?;
        let held = try_hold(state, stage, before.as_ref());
        let after = checkpoint_files(&RealDisk, &store).doing(&what)?;
        if before != after {
            continue;
        }
        held.doing(&what)?;
        return Ok(before.map_or(0, |files| files.epoch));
    }
    Err(Failure::Failed(format!(
        "{what}: checkpoints followed one another too quickly\n  help: try again, or raise `limits.checkpoint_interval_ms`"
    )))
}

fn try_hold(state: &Path, stage: &Path, files: Option<&CheckpointFiles>) -> std::io::Result<()> {
    let (from, to) = (state.join("store"), stage.join("store"));
    RealDisk.create_dir_all(&to)?;
    if let Some(files) = files {
        copy_file(&from.join(files.manifest), &to.join(files.manifest))?;
        for file in &files.files {
            link_or_copy(&from.join(file), &to.join(file))?;
        }
    }
    for name in RealDisk.list(&state.join("control"))? {
        let inside = Path::new("control").join(name);
        copy_file(&state.join(&inside), &stage.join(&inside))?;
    }
    Ok(())
}

/// Not every file system knows second names.
fn link_or_copy(from: &Path, to: &Path) -> std::io::Result<()> {
    match hard_link(from, to) {
        Err(error) if error.kind() != ErrorKind::NotFound => copy_file(from, to).map(|_| ()),
        linked => linked,
    }
}

/// A backup that is being written.
struct Backup {
    folder: PathBuf,
    earlier: Option<(BackupList, PathBuf)>,
    list: BackupList,
    copied_bytes: u64,
}

impl Backup {
    /// Takes a file in, from the earlier backup if it is there already.
    fn add(&mut self, from: &Path, name: &str) -> Result<(), Failure> {
        let what = format!("backing up {}", from.display());
        let to = self.folder.join(name);
        let file = match self.reuse(from, name, &to).doing(&what)? {
            Some(file) => file,
            None => {
                let file = copy_file(from, &to).doing(&what)?;
                self.copied_bytes += file.bytes;
                file
            }
        };
        self.list.files.insert(name.to_owned(), file);
        Ok(())
    }

    fn reuse(&self, from: &Path, name: &str, to: &Path) -> std::io::Result<Option<BackupFile>> {
        let Some((list, folder)) = &self.earlier else {
            return Ok(None);
        };
        let Some(known) = list.files.get(name) else {
            return Ok(None);
        };
        if stamp(from)? != (known.bytes, known.changed_ns) {
            return Ok(None);
        }
        if let Some(parent) = to.parent() {
            RealDisk.create_dir_all(parent)?;
        }
        // Where it cannot be linked it is copied from the original.
        let linked = hard_link(folder.join(name), to);
        Ok(linked.is_ok().then(|| known.clone()))
    }
}

fn remove_older(folder: &Path, keep: usize, reporter: Reporter) -> Result<(), Failure> {
    let backups = backups_in(folder)?;
    let surplus = backups.len().saturating_sub(keep.max(1));
    for backup in &backups[..surplus] {
        remove_folder(backup)?;
        reporter.info(&format!("removed the older backup {}", backup.display()));
    }
    Ok(())
}

/// Removes what backups left that were interrupted.
fn remove_unfinished(folder: &Path) -> Result<(), Failure> {
    let what = format!("reading the folder {}", folder.display());
    for name in RealDisk.list(folder).doing(&what)? {
        if name.ends_with(&format!(".{UNFINISHED}")) {
            remove_folder(&folder.join(name))?;
        }
    }
    Ok(())
}

fn remove_folder(folder: &Path) -> Result<(), Failure> {
    match std::fs::remove_dir_all(folder) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(Failure::doing(
            &format!("removing {}", folder.display()),
            &error,
        )),
        _ => Ok(()),
    }
}
