//! `sluice restore`: a state's folder from a backup.

use std::path::Path;

use sluice_core::{Clock, Disk, RealDisk, SystemClock};

use crate::backups::{BackupList, backups_in, copy_file, sync_folders};
use crate::failure::{Doing, Failure};
use crate::lock::lock_to_write;
use crate::report::{Reporter, with_commas};

/// Makes `state` from `backup`, or from the newest backup in that folder.
///
/// # Errors
/// When the state's folder is in use or the backup is damaged; then no state
/// is made.
pub fn run(backup: &Path, state: &Path, reporter: Reporter) -> Result<(), Failure> {
    let what = format!("restoring {}", backup.display());
    let newest = backups_in(backup)?.pop();
    let backup = newest.as_deref().unwrap_or(backup);
    let list = BackupList::read(backup)?;
    let is_free = match RealDisk.list(state) {
        Ok(names) => names.is_empty(),
        Err(_) => false,
    };
    if !is_free {
        return Err(Failure::Definitions(format!(
            "{} is not empty\n  help: restore into a new folder with --state, or move the old state away first",
            state.display()
        )));
    }
    let start_us = SystemClock.now_us();
    // A start must never find a part of it.
    let name = state.file_name().unwrap_or_default().to_string_lossy();
    let beside = state.with_file_name(format!("{name}.restoring"));
    if beside.exists() {
        std::fs::remove_dir_all(&beside).doing(&what)?;
    }
    RealDisk.create_dir_all(&beside).doing(&what)?;
    for (name, file) in &list.files {
        let from = backup.join(name);
        let copied =
            copy_file(&from, &beside.join(name)).doing(&format!("{what}: {}", from.display()))?;
        if (copied.bytes, copied.checksum) != (file.bytes, file.checksum) {
            return Err(Failure::Failed(format!(
                "{}: the file is damaged: {} bytes with checksum {:016x}, but {} bytes with checksum {:016x} were backed up\n  help: restore another backup",
                from.display(),
                copied.bytes,
                copied.checksum,
                file.bytes,
                file.checksum
            )));
        }
    }
    // A state is known by its lock, which no backup holds.
    drop(lock_to_write(&beside)?);
    sync_folders(&beside, list.files.keys()).doing(&what)?;
    if state.exists() {
        std::fs::remove_dir(state).doing(&what)?;
    }
    RealDisk.rename(&beside, state).doing(&what)?;
    if let Some(parent) = state
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty())
    {
        RealDisk.sync_dir(parent).doing(&what)?;
    }
    let seconds = (SystemClock.now_us() - start_us) as f64 / 1e6;
    reporter.info(&format!(
        "{}: {} bytes of {} in {seconds:.1} s; start it with `sluice run DIR --state {}`\n  help: beside the first one add --quiet, so that the copy tells nobody of its alarms and takes nothing from the first one's group of Kafka and slots of PostgreSQL; it reads the same other sources",
        state.display(),
        with_commas(list.bytes()),
        backup.display(),
        state.display(),
    ));
    Ok(())
}
