//! Reads the sources and appends what they say to the log, in threads of its
//! own. What is in the log and not yet in an epoch is on disk, so that a source
//! that is faster than the engine takes no memory.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use parking_lot::{Condvar, Mutex};
use sluice_capture::{CollectedTopic, Collector, CollectorLimits, Submissions};
use sluice_core::SystemClock;
use sluice_log::Log;
use sluice_mask::Masks;
use sluice_route::CaptureKind;

use super::capture_database::{DatabaseSource, follow_database};
use super::capture_threads::{Source, follow_files, follow_poll, take_submissions};
use super::door::Door;
use super::route_step::Positions;
use super::source_states::SourceStates;
use crate::failure::{Doing, Failure};
use crate::project::Project;
use crate::report::Reporter;

/// What the capture threads and the pipeline tell each other.
#[derive(Debug, Default)]
pub(super) struct Shared {
    stop: AtomicBool,
    paused: AtomicBool,
    pub(super) states: SourceStates,
    /// For each thread, the number of the last round in which it had nothing
    /// more.
    idle_rounds: Vec<AtomicU64>,
    news: Mutex<News>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct News {
    /// Something became durable since the pipeline last looked.
    has_records: bool,
    failure: Option<Failure>,
}

impl Shared {
    pub(super) fn is_stopping(&self) -> bool {
        self.stop.load(Ordering::Acquire)
    }

    /// Whether sources must wait, because state has no room.
    pub(super) fn is_paused(&self) -> bool {
        self.paused.load(Ordering::Acquire)
    }

    /// The thread `number` had nothing more.
    pub(super) fn tell_idle(&self, number: usize) {
        self.idle_rounds[number].fetch_add(1, Ordering::AcqRel);
        self.changed.notify_all();
    }

    /// Something became durable.
    pub(super) fn tell_records(&self) {
        self.news.lock().has_records = true;
        self.changed.notify_all();
    }

    fn tell_end(&self, outcome: Result<(), Failure>) {
        let mut news = self.news.lock();
        if let Err(failure) = outcome {
            news.failure.get_or_insert(failure);
        }
        news.has_records = true;
        self.changed.notify_all();
    }
}

/// The running capture threads.
#[derive(Debug)]
pub struct Capture {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
    submissions: Arc<Submissions>,
}

type ThreadBody = Box<dyn FnOnce(&Shared, usize) -> Result<(), Failure> + Send>;

impl Capture {
    /// Opens the project's sources where `positions` say, and starts to read.
    /// What they say passes `masks` on its way into the log.
    ///
    /// # Errors
    /// When a source cannot be opened.
    pub fn start(
        project: &Project,
        log: &Arc<Log>,
        masks: &Arc<Masks>,
        mut positions: Positions,
        submissions: Arc<Submissions>,
        states: SourceStates,
        reporter: Reporter,
    ) -> Result<Self, Failure> {
        let log = &Arc::new(Door::new(log.clone(), masks.clone()));
        let mut files = Vec::new();
        let mut bodies: Vec<(&str, ThreadBody)> = Vec::new();
        let mut has_collected = false;
        for capture in project.sources.captures() {
            let position = positions.remove(&capture.topic).unwrap_or_default();
            match &capture.kind {
                CaptureKind::File { .. } => {
                    files.push(Source::open_files(project, capture, position)?);
                }
                CaptureKind::Poll { .. } => {
                    let source = Source::open_poll(capture, position)?;
                    let log = log.clone();
                    let body: ThreadBody = Box::new(move |shared, number| {
                        follow_poll(shared, number, &log, source, reporter)
                    });
                    bodies.push(("poll", body));
                }
                CaptureKind::Http { .. } => has_collected = true,
                CaptureKind::Binlog { .. } | CaptureKind::MySql(_) => {
                    let Some(source) = DatabaseSource::open(project, capture, position)? else {
                        continue;
                    };
                    let log = log.clone();
                    let body: ThreadBody = Box::new(move |shared, number| {
                        follow_database(shared, number, &log, source, reporter)
                    });
                    bodies.push(("database", body));
                }
            }
        }
        if !files.is_empty() {
            let log = log.clone();
            let body: ThreadBody =
                Box::new(move |shared, number| follow_files(shared, number, &log, files, reporter));
            bodies.push(("files", body));
        }
        if has_collected {
            let (log, submissions) = (log.clone(), submissions.clone());
            let body: ThreadBody = Box::new(move |shared, number| {
                take_submissions(shared, number, &log, &submissions)
            });
            bodies.push(("collect", body));
        }
        let shared = Arc::new(Shared {
            idle_rounds: bodies.iter().map(|_| AtomicU64::new(0)).collect(),
            states,
            ..Shared::default()
        });
        let mut threads = Vec::with_capacity(bodies.len());
        for (number, (name, body)) in bodies.into_iter().enumerate() {
            let of_thread = shared.clone();
            let thread = std::thread::Builder::new()
                .name(name.to_owned())
                .spawn(move || of_thread.tell_end(body(&of_thread, number)))
                .doing("starting a capture thread")?;
            threads.push(thread);
        }
        Ok(Self {
            shared,
            threads,
            submissions,
        })
    }

    /// Waits until records became durable, or the time is over.
    ///
    /// # Errors
    /// Why capture ended.
    pub fn wait(&self, time_max: Duration) -> Result<(), Failure> {
        let mut news = self.shared.news.lock();
        if !news.has_records {
            self.shared.changed.wait_for(&mut news, time_max);
        }
        news.has_records = false;
        match news.failure.take() {
            Some(failure) => Err(failure),
            None => Ok(()),
        }
    }

    /// Lets sources and clients wait, or go on.
    pub fn pause(&self, is_paused: bool) {
        self.shared.paused.store(is_paused, Ordering::Release);
        self.submissions.pause(is_paused);
    }

    /// Number of times that every source had nothing more. All that they gave
    /// before is durable.
    pub fn idle_rounds(&self) -> u64 {
        let rounds = self.shared.idle_rounds.iter();
        let rounds = rounds.map(|rounds| rounds.load(Ordering::Acquire));
        // A warehouse without sources is always idle.
        rounds.min().unwrap_or(1)
    }

    /// Ends the threads after the batches that they work on.
    ///
    /// # Errors
    /// Why capture ended before.
    pub fn stop(self) -> Result<(), Failure> {
        self.shared.stop.store(true, Ordering::Release);
        self.submissions.close();
        for thread in self.threads {
            thread.thread().unpark();
            if thread.join().is_err() {
                return Err(Failure::Failed("a capture thread ended abnormally".into()));
            }
        }
        match self.shared.news.lock().failure.take() {
            Some(failure) => Err(failure),
            None => Ok(()),
        }
    }
}

/// The collector of the project's topics.
///
/// # Errors
/// When a write key is not in the environment.
pub fn collector(project: &Project, submissions: Arc<Submissions>) -> Result<Collector, Failure> {
    let mut topics = BTreeMap::new();
    for capture in project.sources.captures() {
        let CaptureKind::Http { write_key, origins } = &capture.kind else {
            continue;
        };
        let topic = CollectedTopic {
            write_key: write_key.as_deref().map(secret).transpose()?,
            origins: origins.clone(),
            maxwell_transactions: capture.transactions.is_some(),
        };
        topics.insert(capture.topic.clone(), topic);
    }
    let limits = CollectorLimits {
        request_bytes_max: project.config.limits.request_bytes_max,
        record_bytes_max: project.config.limits.record_bytes_max,
        ..CollectorLimits::default()
    };
    let clock = Arc::new(SystemClock);
    Ok(Collector::new(topics, limits, submissions, clock))
}

/// The value of an environment variable that holds a secret.
///
/// # Errors
/// When it is missing or empty.
pub(super) fn secret(name: &str) -> Result<String, Failure> {
    match std::env::var(name) {
        Ok(value) if !value.is_empty() => Ok(value),
        _ => Err(Failure::Definitions(format!(
            "the environment variable {name}, which a source names, is not set\n  help: export {name}=… before the start"
        ))),
    }
}
