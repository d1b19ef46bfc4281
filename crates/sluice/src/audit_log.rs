//! The audit log: a line of JSON for each statement, change and attempt to sign
//! in, in `audit/` of the state folder.
//!
//! `audit.jsonl` is the newest file; a full one becomes `audit.1.jsonl`, and the
//! older ones move on, as far as there may be any.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::time::Duration;

use serde::Deserialize;
use serde_json::json;
use sluice_core::{Clock, Disk, DiskFile, OpenMode, RealDisk, SystemClock};
use sluice_serve::{AuditEntry, Auditor};

use crate::failure::{Doing, Failure};
use crate::report::{Reporter, timestamp};

/// Files beside the newest one.
const OLD_FILES: u64 = 7;
/// Entries that wait to be written.
const WAITING_MAX: usize = 10_000;

/// `[audit]` of `warehouse.toml`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AuditText {
    /// Bytes of all files; nothing is kept for 0.
    pub bytes_max: u64,
    /// Keep statements with the values that stand in them, which may be personal.
    pub literals: bool,
}

impl Default for AuditText {
    fn default() -> Self {
        Self {
            bytes_max: 128 << 20,
            literals: false,
        }
    }
}

/// See the module. Entries are written by a thread of their own, so that no
/// statement waits for the disk.
#[derive(Debug)]
pub struct AuditLog {
    waiting: SyncSender<(i64, AuditEntry)>,
    /// Entries that came faster than the disk took them.
    lost: AtomicU64,
    keeps_literals: bool,
}

impl AuditLog {
    /// Begins to write; `None` where nothing is to be kept.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn open(
        settings: &AuditText,
        state: &Path,
        reporter: Reporter,
    ) -> Result<Option<Self>, Failure> {
        if settings.bytes_max == 0 {
            return Ok(None);
        }
        let files = Files::open(state.join("audit"), settings.bytes_max / (OLD_FILES + 1))?;
        let (waiting, entries) = sync_channel(WAITING_MAX);
        std::thread::Builder::new()
            .name("audit".to_owned())
            .spawn(move || write_all(files, &entries, reporter))
            .doing("starting the thread of the audit log")?;
        Ok(Some(Self {
            waiting,
            lost: AtomicU64::new(0),
            keeps_literals: settings.literals,
        }))
    }

    fn send(&self, entry: AuditEntry) -> bool {
        let sent = self.waiting.try_send((SystemClock.now_us(), entry));
        !matches!(sent, Err(TrySendError::Full(_)))
    }
}

impl Auditor for AuditLog {
    fn note(&self, entry: AuditEntry) {
        let lost = self.lost.swap(0, Ordering::Relaxed);
        if lost > 0 {
            let told = AuditEntry {
                user: None,
                role: None,
                from: None,
                via: "audit",
                action: "lost entries".to_owned(),
                statement: None,
                outcome: "lost".to_owned(),
                rows: lost,
                duration: Duration::ZERO,
            };
            if !self.send(told) {
                self.lost.fetch_add(lost, Ordering::Relaxed);
            }
        }
        if !self.send(entry) {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn keeps_literals(&self) -> bool {
        self.keeps_literals
    }
}

/// Writes entries until nobody notes any more.
fn write_all(mut files: Files, entries: &Receiver<(i64, AuditEntry)>, reporter: Reporter) {
    let mut is_broken = false;
    for (time_us, entry) in entries {
        let written = files.append(&line(time_us, &entry));
        if let Err(problem) = &written
            && !is_broken
        {
            reporter.warn(&format!("the audit log cannot be written: {problem}"));
        }
        is_broken = written.is_err();
    }
}

fn line(time_us: i64, entry: &AuditEntry) -> String {
    let line = json!({
        "time": timestamp(time_us),
        "user": entry.user,
        "role": entry.role,
        "from": entry.from.map(|from| from.to_string()),
        "via": entry.via,
        "action": entry.action,
        "statement": entry.statement,
        "outcome": entry.outcome,
        "rows": entry.rows,
        "ms": entry.duration.as_micros() as f64 / 1e3,
    });
    format!("{line}\n")
}

struct Files {
    folder: PathBuf,
    file_bytes_max: u64,
    newest: Box<dyn DiskFile>,
    newest_bytes: u64,
}

impl Files {
    fn open(folder: PathBuf, file_bytes_max: u64) -> Result<Self, Failure> {
        let what = format!("opening the audit log in {}", folder.display());
        RealDisk.create_dir_all(&folder).doing(&what)?;
        private(&folder).doing(&what)?;
        let newest = RealDisk
            .open(&folder.join("audit.jsonl"), OpenMode::Append)
            .doing(&what)?;
        let newest_bytes = newest.len().doing(&what)?;
        Ok(Self {
            folder,
            file_bytes_max,
            newest,
            newest_bytes,
        })
    }

    fn append(&mut self, line: &str) -> std::io::Result<()> {
        if self.newest_bytes > 0 && self.newest_bytes + line.len() as u64 > self.file_bytes_max {
            self.begin_file()?;
        }
        self.newest.append(line.as_bytes())?;
        self.newest_bytes += line.len() as u64;
        Ok(())
    }

    fn begin_file(&mut self) -> std::io::Result<()> {
        let old = |number: u64| self.folder.join(format!("audit.{number}.jsonl"));
        for number in (1..OLD_FILES).rev() {
            if RealDisk.exists(&old(number)) {
                RealDisk.rename(&old(number), &old(number + 1))?;
            }
        }
        let newest = self.folder.join("audit.jsonl");
        RealDisk.rename(&newest, &old(1))?;
        self.newest = RealDisk.open(&newest, OpenMode::Create)?;
        self.newest_bytes = 0;
        Ok(())
    }
}

/// Lets nobody but the owner into a folder.
fn private(folder: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o700))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn old_entries_make_room_for_new_ones() {
        let folder = tempfile::tempdir().unwrap();
        let mut files = Files::open(folder.path().join("audit"), 100).unwrap();
        for number in 0..200 {
            files.append(&format!("{number:>39}\n")).unwrap();
        }
        let names = RealDisk.list(&folder.path().join("audit")).unwrap();
        assert_eq!(names.len(), 8, "{names:?}");
        let read = |name: &str| {
            let bytes = RealDisk.read(&folder.path().join("audit").join(name));
            String::from_utf8(bytes.unwrap()).unwrap()
        };
        assert!(read("audit.jsonl").ends_with("199\n"));
        assert!(read("audit.7.jsonl").ends_with("185\n"));
        drop(files);
        let files = Files::open(folder.path().join("audit"), 100).unwrap();
        assert_eq!(files.newest_bytes, 80);
    }
}
