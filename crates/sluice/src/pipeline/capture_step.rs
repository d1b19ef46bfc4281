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
use sluice_route::{CaptureDefinition, CaptureKind, MySqlServer, PostgresServer};

use super::capture_database::{DatabaseSource, follow_database};
use super::capture_kafka::{KafkaTopics, check_kafka_secrets, follow_kafka};
use super::capture_threads::{Source, follow_files, follow_poll, take_submissions};
use super::door::Door;
use super::refused_sources::RefusedSource;
use super::route_step::Positions;
use super::source_states::SourceStates;
use crate::failure::{Doing, Failure};
use crate::project::Project;
use crate::report::Reporter;

/// What all capture threads and the pipeline tell each other.
#[derive(Debug, Default)]
struct Common {
    paused: AtomicBool,
    news: Mutex<News>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct News {
    /// Something became durable since the pipeline last looked.
    has_records: bool,
    failure: Option<Failure>,
    /// What sources were refused with, by topic.
    refused: Vec<(String, Failure)>,
}

/// Why a capture thread ends without being told to.
#[derive(Debug)]
pub(super) enum CaptureEnd {
    /// This topic's source is refused; what it gave before is durable.
    Refused(String, Failure),
    /// Nothing can be captured.
    Broken(Failure),
}

impl From<Failure> for CaptureEnd {
    fn from(failure: Failure) -> Self {
        Self::Broken(failure)
    }
}

/// What one capture thread and the pipeline tell each other.
#[derive(Debug, Default)]
pub(super) struct Shared {
    stop: AtomicBool,
    /// How often it had nothing more.
    idle_rounds: AtomicU64,
    pub(super) states: SourceStates,
    common: Arc<Common>,
}

impl Shared {
    pub(super) fn is_stopping(&self) -> bool {
        self.stop.load(Ordering::Acquire)
    }

    /// Whether sources must wait, because state has no room.
    pub(super) fn is_paused(&self) -> bool {
        self.common.paused.load(Ordering::Acquire)
    }

    /// The thread had nothing more.
    pub(super) fn tell_idle(&self) {
        self.idle_rounds.fetch_add(1, Ordering::AcqRel);
        self.common.changed.notify_all();
    }

    /// Something became durable.
    pub(super) fn tell_records(&self) {
        self.common.news.lock().has_records = true;
        self.common.changed.notify_all();
    }

    fn tell_end(&self, outcome: Result<(), CaptureEnd>) {
        let mut news = self.common.news.lock();
        match outcome {
            Ok(()) => (),
            Err(CaptureEnd::Refused(topic, failure)) => news.refused.push((topic, failure)),
            Err(CaptureEnd::Broken(failure)) => {
                news.failure.get_or_insert(failure);
            }
        }
        news.has_records = true;
        self.common.changed.notify_all();
    }
}

/// A thread, and what it captures.
#[derive(Debug)]
pub(super) struct Unit {
    pub(super) captures: Vec<CaptureDefinition>,
    /// Whether it is the first start that reads them.
    pub(super) is_new: bool,
    shared: Arc<Shared>,
    thread: JoinHandle<()>,
}

/// The running capture threads.
#[derive(Debug)]
pub struct Capture {
    common: Arc<Common>,
    pub(super) units: Vec<Unit>,
    pub(super) refused: Vec<RefusedSource>,
    pub(super) project: Project,
    log: Arc<Door>,
    pub(super) states: SourceStates,
    submissions: Arc<Submissions>,
    pub(super) reporter: Reporter,
}

type ThreadBody = Box<dyn FnOnce(&Shared) -> Result<(), CaptureEnd> + Send>;

/// Captures that share a thread: all files, all that clients send, and each
/// other one alone.
fn units_of(captures: &[CaptureDefinition]) -> Vec<Vec<CaptureDefinition>> {
    let is_file = |capture: &CaptureDefinition| matches!(capture.kind, CaptureKind::File { .. });
    let is_sent = |capture: &CaptureDefinition| matches!(capture.kind, CaptureKind::Http { .. });
    let (files, others): (Vec<_>, Vec<_>) = captures.iter().cloned().partition(is_file);
    let (sent, others): (Vec<_>, Vec<_>) = others.into_iter().partition(is_sent);
    let mut units: Vec<Vec<CaptureDefinition>> = vec![files, sent];
    units.extend(others.into_iter().map(|capture| vec![capture]));
    units.retain(|unit| !unit.is_empty());
    units
}

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
        let mut capture = Self {
            common: Arc::default(),
            units: Vec::new(),
            refused: Vec::new(),
            project: project.clone(),
            log: Arc::new(Door::new(log.clone(), masks.clone())),
            states,
            submissions,
            reporter,
        };
        for captures in units_of(project.sources.captures()) {
            capture.start_unit(captures, &mut positions, false)?;
        }
        Ok(capture)
    }

    /// In a warehouse that works already (`is_running`), a source whose folder is
    /// missing fails alone, until it is there; and so does, at any time, one that was
    /// read before.
    pub(super) fn start_unit(
        &mut self,
        captures: Vec<CaptureDefinition>,
        positions: &mut Positions,
        is_running: bool,
    ) -> Result<(), Failure> {
        let (log, reporter, project) = (self.log.clone(), self.reporter, &self.project);
        let mut files = Vec::new();
        let mut body: Option<(&str, ThreadBody)> = None;
        let mut is_new = !is_running;
        for capture in &captures {
            let position = positions.remove(&capture.topic).unwrap_or_default();
            let is_known = is_running || position.is_begun();
            is_new &= !is_known;
            let log = log.clone();
            match &capture.kind {
                // A slot has one reader: what this one took the real one would lack.
                CaptureKind::Postgres(_) if project.config.alarms.quiet => {
                    reporter.info(&format!(
                        "{}: not read by a quiet copy: a PostgreSQL slot has one reader",
                        capture.topic
                    ));
                }
                CaptureKind::File { .. } => {
                    let source = Source::open_files(project, capture, position, is_known)?;
                    files.push(source);
                }
                CaptureKind::Poll { .. } => {
                    let source = Source::open_poll(capture, position)?;
                    let follow: ThreadBody =
                        Box::new(move |shared| follow_poll(shared, &log, source, reporter));
                    body = Some(("poll", follow));
                }
                CaptureKind::Http { .. } => {
                    let submissions = self.submissions.clone();
                    let take: ThreadBody =
                        Box::new(move |shared| take_submissions(shared, &log, &submissions));
                    body = Some(("collect", take));
                }
                CaptureKind::Binlog { .. } | CaptureKind::MySql(_) | CaptureKind::Postgres(_) => {
                    let Some(source) = DatabaseSource::open(project, capture, position)? else {
                        continue;
                    };
                    let follow: ThreadBody =
                        Box::new(move |shared| follow_database(shared, &log, source, reporter));
                    body = Some(("database", follow));
                }
                CaptureKind::Kafka(cluster) => {
                    let source = KafkaTopics::open(project, &capture.topic, cluster, position)?;
                    let follow: ThreadBody =
                        Box::new(move |shared| follow_kafka(shared, &log, source, reporter));
                    body = Some(("kafka", follow));
                }
            }
        }
        if !files.is_empty() {
            let follow: ThreadBody =
                Box::new(move |shared| follow_files(shared, &log, files, reporter));
            body = Some(("files", follow));
        }
        let Some((name, body)) = body else {
            return Ok(());
        };
        let shared = Arc::new(Shared {
            common: self.common.clone(),
            states: self.states.clone(),
            ..Shared::default()
        });
        let of_thread = shared.clone();
        let thread = std::thread::Builder::new()
            .name(name.to_owned())
            .spawn(move || of_thread.tell_end(body(&of_thread)))
            .doing("starting a capture thread")?;
        self.units.push(Unit {
            captures,
            is_new,
            shared,
            thread,
        });
        Ok(())
    }

    /// Goes over to the sources of `project`: those that are defined alike go on
    /// undisturbed. `positions` tells where the others stand, once they have
    /// ended.
    ///
    /// # Errors
    /// When a source has failed or cannot be opened.
    pub fn change(
        &mut self,
        project: &Project,
        positions: impl FnOnce() -> Result<Positions, Failure>,
    ) -> Result<(), Failure> {
        let is_sent = |unit: &Vec<CaptureDefinition>| {
            (unit.iter()).all(|capture| matches!(capture.kind, CaptureKind::Http { .. }))
        };
        let mut wanted = units_of(project.sources.captures());
        let mut leaving = Vec::new();
        for mut unit in std::mem::take(&mut self.units) {
            // What clients send is known by its topic alone.
            let is_same = |it: &Vec<CaptureDefinition>| {
                *it == unit.captures || (is_sent(it) && is_sent(&unit.captures))
            };
            match wanted.iter().position(is_same) {
                Some(found) => {
                    unit.captures = wanted.remove(found);
                    self.units.push(unit);
                }
                None if is_sent(&unit.captures) => self.units.push(unit),
                None => leaving.push(unit),
            }
        }
        self.project = project.clone();
        self.keep_refused(&mut wanted);
        if wanted.is_empty() && leaving.is_empty() {
            return Ok(());
        }
        self.states.change(project.sources.captures());
        end(leaving)?;
        if wanted.is_empty() {
            return Ok(());
        }
        let mut positions = positions()?;
        for captures in wanted {
            self.start_unit(captures, &mut positions, true)?;
        }
        Ok(())
    }

    /// What sources were refused with since it was asked, by topic.
    pub(super) fn take_refusals(&self) -> Vec<(String, Failure)> {
        std::mem::take(&mut self.common.news.lock().refused)
    }

    /// Waits until records became durable, or the time is over.
    ///
    /// # Errors
    /// Why capture ended.
    pub fn wait(&self, time_max: Duration) -> Result<(), Failure> {
        let mut news = self.common.news.lock();
        if !news.has_records {
            self.common.changed.wait_for(&mut news, time_max);
        }
        news.has_records = false;
        match news.failure.take() {
            Some(failure) => Err(failure),
            None => Ok(()),
        }
    }

    /// Lets sources and clients wait, or go on.
    pub fn pause(&self, is_paused: bool) {
        self.common.paused.store(is_paused, Ordering::Release);
        self.submissions.pause(is_paused);
    }

    /// Number of times that every source had nothing more. All that they gave
    /// before is durable.
    pub fn idle_rounds(&self) -> u64 {
        let units = self.units.iter();
        let rounds = units.map(|unit| unit.shared.idle_rounds.load(Ordering::Acquire));
        // A warehouse without sources is always idle.
        rounds.min().unwrap_or(1)
    }

    /// Ends the threads after the batches that they work on.
    ///
    /// # Errors
    /// Why capture ended before.
    pub fn stop(self) -> Result<(), Failure> {
        for unit in &self.units {
            unit.shared.stop.store(true, Ordering::Release);
        }
        self.submissions.close();
        end(self.units)?;
        match self.common.news.lock().failure.take() {
            Some(failure) => Err(failure),
            None => Ok(()),
        }
    }
}

/// Ends threads after the batches that they work on.
pub(super) fn end(units: Vec<Unit>) -> Result<(), Failure> {
    for unit in &units {
        unit.shared.stop.store(true, Ordering::Release);
        unit.thread.thread().unpark();
    }
    for unit in units {
        if unit.thread.join().is_err() {
            return Err(Failure::Failed("a capture thread ended abnormally".into()));
        }
    }
    Ok(())
}

/// The collector of the project's topics.
///
/// # Errors
/// When a write key is not in the environment.
pub fn collector(project: &Project, submissions: Arc<Submissions>) -> Result<Collector, Failure> {
    let topics = collected_topics(project)?;
    let limits = CollectorLimits {
        request_bytes_max: project.config.limits.request_bytes_max,
        record_bytes_max: project.config.limits.record_bytes_max,
        ..CollectorLimits::default()
    };
    let clock = Arc::new(SystemClock);
    Ok(Collector::new(topics, limits, submissions, clock))
}

/// The topics that clients may send to.
///
/// # Errors
/// When a write key is not in the environment.
pub fn collected_topics(project: &Project) -> Result<BTreeMap<String, CollectedTopic>, Failure> {
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
    Ok(topics)
}

/// Looks whether all secrets that the project's sources name are there.
///
/// # Errors
/// Which is missing.
pub fn check_secrets(project: &Project) -> Result<(), Failure> {
    match missing_secrets(project).into_iter().next() {
        Some(missing) => Err(missing),
        None => Ok(()),
    }
}

/// The secrets that the project's sources name and that are not there: what is to be
/// said of each.
pub fn missing_secrets(project: &Project) -> Vec<Failure> {
    fn variable(reference: &str) -> Option<&str> {
        reference.strip_prefix("env:")
    }
    let mut missing = Vec::new();
    for capture in project.sources.captures() {
        let variables: Vec<&str> = match &capture.kind {
            CaptureKind::Http { write_key, .. } => write_key.as_deref().into_iter().collect(),
            CaptureKind::Poll { headers, .. } => {
                let values = headers.values();
                values.filter_map(|value| variable(value)).collect()
            }
            CaptureKind::MySql(MySqlServer { password, .. })
            | CaptureKind::Postgres(PostgresServer { password, .. }) => {
                let password = password.as_deref();
                password.and_then(variable).into_iter().collect()
            }
            CaptureKind::Kafka(cluster) => {
                let checked = check_kafka_secrets(project, &capture.topic, cluster);
                missing.extend(checked.err());
                Vec::new()
            }
            CaptureKind::File { .. } | CaptureKind::Binlog { .. } => Vec::new(),
        };
        let checked = variables.into_iter().map(secret);
        missing.extend(checked.filter_map(Result::err));
    }
    missing
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
