//! The lock on a warehouse's state: one process writes it, or any number read
//! it. The operating system releases it when a process ends, however it ends.

use std::fs::{File, OpenOptions, TryLockError};
use std::path::Path;
use std::time::Duration;

use sluice_core::{Disk, RealDisk};

use crate::failure::{Doing, Failure};

/// How often, and with what pauses, the lock is tried.
const LOCK_ATTEMPTS: u32 = 20;
const LOCK_PAUSE: Duration = Duration::from_millis(100);

/// A lock that is held until it is dropped.
#[derive(Debug)]
pub struct StateLock {
    _file: File,
}

/// Takes the state for writing. Makes the folder where it is missing.
///
/// # Errors
/// When another process holds it, or the folder cannot be written.
pub fn lock_to_write(state: &Path) -> Result<StateLock, Failure> {
    let what = format!("opening the state in {}", state.display());
    RealDisk.create_dir_all(state).doing(&what)?;
    let mut options = OpenOptions::new();
    options.create(true).truncate(false).write(true);
    let file = options.open(state.join("LOCK")).doing(&what)?;
    // One that was just killed holds it until the system has cleared it away.
    for _ in 0..LOCK_ATTEMPTS {
        match file.try_lock() {
            Ok(()) => return Ok(StateLock { _file: file }),
            Err(TryLockError::WouldBlock) => std::thread::sleep(LOCK_PAUSE),
            Err(TryLockError::Error(error)) => return Err(Failure::doing(&what, &error)),
        }
    }
    Err(Failure::Busy(format!(
        "the state in {} is in use by another `sluice` process\n  help: stop that process, or choose another folder with --state",
        state.display()
    )))
}

/// Takes the state for reading; `None` while a process writes it.
///
/// # Errors
/// When there is no state, or it cannot be read.
pub fn lock_to_read(state: &Path) -> Result<Option<StateLock>, Failure> {
    let what = format!("opening the state in {}", state.display());
    let path = state.join("LOCK");
    if !path.exists() {
        return Err(Failure::Definitions(format!(
            "there is no warehouse state in {}\n  help: `sluice run` makes it; name its folder with --state if it is elsewhere",
            state.display()
        )));
    }
    let file = File::open(path).doing(&what)?;
    match file.try_lock_shared() {
        Ok(()) => Ok(Some(StateLock { _file: file })),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => Err(Failure::doing(&what, &error)),
    }
}

/// Takes the right to make a backup of the state in a folder, or into a folder:
/// one process has it at a time.
///
/// # Errors
/// When another one makes a backup, or the folder cannot be written.
pub fn lock_to_back_up(folder: &Path) -> Result<StateLock, Failure> {
    let what = format!("opening {}", folder.display());
    let mut options = OpenOptions::new();
    options.create(true).truncate(false).write(true);
    let file = options.open(folder.join("BACKUP.LOCK")).doing(&what)?;
    match file.try_lock() {
        Ok(()) => Ok(StateLock { _file: file }),
        Err(TryLockError::WouldBlock) => Err(Failure::Busy(format!(
            "another `sluice backup` is at work in {}\n  help: wait until it has ended",
            folder.display()
        ))),
        Err(TryLockError::Error(error)) => Err(Failure::doing(&what, &error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_writes_or_many_read() {
        let folder = tempfile::tempdir().unwrap();
        assert!(lock_to_read(folder.path()).is_err());
        let writer = lock_to_write(folder.path()).unwrap();
        assert!(matches!(
            lock_to_write(folder.path()),
            Err(Failure::Busy(_))
        ));
        assert!(lock_to_read(folder.path()).unwrap().is_none());
        drop(writer);
        let first = lock_to_read(folder.path()).unwrap();
        let second = lock_to_read(folder.path()).unwrap();
        assert!(first.is_some() && second.is_some());
        assert!(matches!(
            lock_to_write(folder.path()),
            Err(Failure::Busy(_))
        ));
    }
}
