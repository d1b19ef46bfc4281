//! Reads the sources and appends what they say to the log, in a thread of its
//! own. What is in the log and not yet in an epoch is on disk, so that a source
//! that is faster than the engine takes no memory.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use parking_lot::{Condvar, Mutex};
use sluice_capture::{CaptureError, FileFormat, FileSource, FileSourceOptions};
use sluice_core::{PartitionId, SystemClock};
use sluice_log::Log;
use sluice_route::CaptureKind;

use super::route_step::Positions;
use crate::failure::{Doing, Failure};
use crate::project::Project;
use crate::report::Reporter;

/// Bytes that may be appended before the disk is asked to sync them.
const UNSYNCED_BYTES_MAX: usize = 16 << 20;
/// How long capture waits before it looks again at sources that had nothing:
/// at first, and after they have been quiet for a while.
const IDLE_WAIT_MIN: Duration = Duration::from_millis(2);
const IDLE_WAIT_MAX: Duration = Duration::from_millis(50);

/// What the capture thread and the pipeline tell each other.
#[derive(Debug, Default)]
struct Shared {
    stop: AtomicBool,
    /// Number of the last round in which all sources had nothing more.
    idle_rounds: AtomicU64,
    news: Mutex<News>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct News {
    /// Something became durable since the pipeline last looked.
    has_records: bool,
    failure: Option<Failure>,
}

/// A running capture thread.
#[derive(Debug)]
pub struct CaptureThread {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

struct Source {
    partition: PartitionId,
    source: FileSource,
}

impl CaptureThread {
    /// Opens the project's sources where `positions` say, and starts to read.
    ///
    /// # Errors
    /// When a source cannot be opened.
    pub fn start(
        project: &Project,
        log: Arc<Log>,
        mut positions: Positions,
        reporter: Reporter,
    ) -> Result<Self, Failure> {
        let mut sources = Vec::new();
        for capture in project.sources.captures() {
            let options = file_source_options(project, capture.topic.clone(), &capture.kind);
            let position = positions.remove(&capture.topic).unwrap_or_default();
            let source = FileSource::open(options, Arc::new(SystemClock), position)
                .doing(&format!("opening the source of topic `{}`", capture.topic))?;
            // Lines of a file keep their order, so that they share a partition.
            let partition = PartitionId {
                topic: capture.topic.clone(),
                partition: 0,
            };
            sources.push(Source { partition, source });
        }
        let shared = Arc::new(Shared::default());
        let of_thread = shared.clone();
        let thread = std::thread::Builder::new()
            .name("capture".to_owned())
            .spawn(move || {
                let outcome = run(&of_thread, &log, &mut sources, reporter);
                let mut news = of_thread.news.lock();
                news.failure = outcome.err();
                news.has_records = true;
                of_thread.changed.notify_all();
            })
            .doing("starting the capture thread")?;
        Ok(Self {
            shared,
            thread: Some(thread),
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

    /// Number of times that all sources had nothing more. All that they gave
    /// before is durable.
    pub fn idle_rounds(&self) -> u64 {
        self.shared.idle_rounds.load(Ordering::Acquire)
    }

    /// Ends the thread after the batch that it works on.
    ///
    /// # Errors
    /// Why capture ended before.
    pub fn stop(mut self) -> Result<(), Failure> {
        self.shared.stop.store(true, Ordering::Release);
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            return Err(Failure::Failed(
                "the capture thread ended abnormally".into(),
            ));
        }
        match self.shared.news.lock().failure.take() {
            Some(failure) => Err(failure),
            None => Ok(()),
        }
    }
}

fn file_source_options(project: &Project, name: String, kind: &CaptureKind) -> FileSourceOptions {
    match kind {
        CaptureKind::File {
            path,
            format,
            delimiter,
            header,
            follow,
        } => {
            let format = match format {
                sluice_route::FileFormat::Ndjson => FileFormat::Ndjson,
                sluice_route::FileFormat::Csv => FileFormat::Csv {
                    delimiter: *delimiter,
                    has_header: *header,
                },
            };
            FileSourceOptions {
                follow: *follow,
                ..FileSourceOptions::new(name, project.resolve(path), format)
            }
        }
    }
}

fn run(
    shared: &Shared,
    log: &Log,
    sources: &mut [Source],
    reporter: Reporter,
) -> Result<(), Failure> {
    let mut unsynced_bytes = 0;
    let mut idle_wait = IDLE_WAIT_MIN;
    while !shared.stop.load(Ordering::Acquire) {
        let mut all_at_end = true;
        let mut has_records = false;
        for source in &mut *sources {
            let batch = poll(source)?;
            for warning in &batch.warnings {
                reporter.warn(&warning.to_string());
            }
            all_at_end &= batch.at_end;
            if batch.records.is_empty() {
                continue;
            }
            has_records = true;
            let sizes = batch.records.iter().map(|record| record.payload.len());
            unsynced_bytes += sizes.sum::<usize>();
            log.append(&source.partition, &batch.records)
                .doing("appending to the log")?;
        }
        // Whatever is waiting is synced together: many small batches under
        // load, the one batch there is otherwise.
        if unsynced_bytes > 0 && (all_at_end || unsynced_bytes >= UNSYNCED_BYTES_MAX) {
            log.sync().doing("making the log durable")?;
            unsynced_bytes = 0;
            shared.news.lock().has_records = true;
            shared.changed.notify_all();
        }
        if has_records {
            idle_wait = IDLE_WAIT_MIN;
        }
        if all_at_end {
            shared.idle_rounds.fetch_add(1, Ordering::AcqRel);
            shared.changed.notify_all();
            std::thread::park_timeout(idle_wait);
            idle_wait = IDLE_WAIT_MAX.min(idle_wait * 2);
        }
    }
    log.sync().doing("making the log durable")
}

fn poll(source: &mut Source) -> Result<sluice_capture::CaptureBatch, Failure> {
    let polled: Result<_, CaptureError> = source.source.poll();
    polled.doing(&format!(
        "reading the source of topic `{}`",
        source.partition.topic
    ))
}
