//! Looks whether the files of a project change while its warehouse runs, and
//! reads them anew, in a thread of its own.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime};

use parking_lot::Mutex;

use sluice_mask::LeftOut;

use crate::diversion::{self, Diverted, Rules};
use crate::failure::{Doing, Failure};
use crate::project::{Project, project_files};

/// How often the files are looked at.
const LOOK_INTERVAL: Duration = Duration::from_millis(250);

/// What the files say by now.
pub type Found = Result<Diverted, Failure>;

/// A file's place, length and time of change.
pub type Stamp = (PathBuf, u64, Option<SystemTime>);

/// See the module.
#[derive(Debug)]
pub struct ProjectWatch {
    found: Receiver<Found>,
    rules: Arc<Mutex<Rules>>,
    look_now: Arc<AtomicBool>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl ProjectWatch {
    /// Watches the project in `folder`, which was read when its files were as
    /// `known` says. It is also read anew when `look_now` is raised.
    ///
    /// # Errors
    /// When the thread cannot be started.
    pub fn start(
        folder: &Path,
        overrides: &[(String, String)],
        mut known: Vec<Stamp>,
        left_out: Option<LeftOut>,
        look_now: Arc<AtomicBool>,
        rules: Rules,
    ) -> Result<Self, Failure> {
        let rules = Arc::new(Mutex::new(rules));
        let (newest_rules, must_look_now) = (rules.clone(), look_now.clone());
        // Whoever is slow to take a finding takes an older one first.
        let (sender, found) = sync_channel(1);
        let stop = Arc::new(AtomicBool::new(false));
        let (folder, overrides) = (folder.to_path_buf(), overrides.to_vec());
        let is_stopped = stop.clone();
        let watch = move || {
            let mut changing: Option<Vec<Stamp>> = None;
            while !is_stopped.load(Ordering::Acquire) {
                std::thread::park_timeout(LOOK_INTERVAL);
                let now = stamps(&folder);
                // Whoever saves several files is given the time between two
                // looks.
                let has_settled = changing.as_ref() == Some(&now);
                let must_look = must_look_now.swap(false, Ordering::AcqRel);
                if !must_look && !has_settled {
                    changing = (now != known).then_some(now);
                    continue;
                }
                (known, changing) = (now, None);
                let project = Project::load(&folder, &overrides);
                let rules = newest_rules.lock().clone();
                let project = project.map(|project| project.leaving_out(left_out.clone()));
                let found = project.and_then(|project| diversion::plan(&project, &rules));
                if sender.send(found).is_err() {
                    return;
                }
            }
        };
        let thread = std::thread::Builder::new()
            .name("project".to_owned())
            // Models are planned here.
            .stack_size(sluice_core::PLANNING_STACK_BYTES)
            .spawn(watch)
            .doing("starting the thread that watches the project")?;
        Ok(Self {
            found,
            rules,
            look_now,
            stop,
            thread: Some(thread),
        })
    }

    /// The rules of diversion are others: looks at once.
    pub fn set_rules(&self, rules: Rules) {
        *self.rules.lock() = rules;
        self.look_now.store(true, Ordering::Release);
        if let Some(thread) = &self.thread {
            thread.thread().unpark();
        }
    }

    /// What the files say, if they have changed since the last call.
    pub fn take(&self) -> Option<Found> {
        self.found.try_recv().ok()
    }
}

impl Drop for ProjectWatch {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
        // It may be waiting for its finding to be taken.
        while self.found.try_recv().is_ok() {}
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            let _ = thread.join();
        }
    }
}

/// The project's files as they are. What cannot be read counts as not there: the
/// look after it says what is wrong.
pub fn stamps(folder: &Path) -> Vec<Stamp> {
    let files = project_files(folder).unwrap_or_default();
    let stamp = |path: PathBuf| {
        let metadata = std::fs::metadata(&path).ok()?;
        Some((path, metadata.len(), metadata.modified().ok()))
    };
    files.into_iter().filter_map(stamp).collect()
}
