//! A change of models while the warehouse works.
//!
//! What is new is computed beside it, in a thread of its own, from the stored
//! rows of what stays or by reading the log again; the warehouse goes on under
//! the old models. When the new part has seen as much as the warehouse has, the
//! two are joined between two epochs; see `Warehouse::finish_change`.

mod part;
mod progress;
mod stored_rows;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::thread::JoinHandle;
use std::time::Duration;

use sluice_core::{Clock, Delta, EpochCut};
use sluice_engine::{EngineOptions, PartInput, ProgramChange};
use sluice_log::{Log, ModelText, Reading, SourcePlace};
use sluice_route::CaptureDefinition;
use sluice_store::Snapshot;

use self::part::Source;
pub(super) use self::part::{Part, change_of_errors};
use self::progress::Shared;
use self::stored_rows::StoredRows;
use super::RouteStep;
use super::checkpoint_step::Definitions;
use super::idle_partitions::IdleChange;
use super::log_replay::LogReplay;
use super::surroundings::CheckpointWriter;
use super::tables_change::TablesChange;
use crate::dead_letters::DEAD_LETTERS;
use crate::failure::{Doing, Failure};

/// So often it is looked whether a thread has ended that should soon.
const LOOKS_MAX: u32 = 500;
const LOOK_INTERVAL: Duration = Duration::from_millis(1);

/// What a rebuild takes from the warehouse at work.
pub(super) struct Origin<'a> {
    pub(super) log: &'a Arc<Log>,
    pub(super) snapshot: Snapshot,
    pub(super) cut: EpochCut,
    pub(super) idle_changes: &'a [IdleChange],
    pub(super) options: EngineOptions,
    pub(super) records_max: u64,
    /// Where sources that are their own log lie under the new definitions: those in
    /// force keep theirs until the change is theirs too.
    pub(super) places: BTreeMap<String, SourcePlace>,
}

/// The new definitions, and the models that they are made of.
#[derive(Debug, Clone)]
pub(super) struct NewDefinitions {
    pub(super) definitions: Definitions,
    pub(super) models: Vec<ModelText>,
    pub(super) change: ProgramChange,
    pub(super) tables: Arc<TablesChange>,
    /// Where records come from.
    pub(super) captures: Vec<CaptureDefinition>,
}

impl NewDefinitions {
    /// What changes, for a person.
    pub(super) fn describe(&self) -> String {
        let list = |names: Vec<&str>| names.join(", ");
        let (new, gone) = (self.change.new_views(), self.change.gone_views());
        let computed = list(new.iter().map(String::as_str).collect());
        let dropped = gone.difference(new).map(String::as_str).collect();
        let dropped = list(dropped);
        match (computed.is_empty(), dropped.is_empty()) {
            (true, true) => "no table or materialized view changes".to_owned(),
            (false, true) => format!("computed: {computed}"),
            (true, false) => format!("dropped: {dropped}"),
            (false, false) => format!("computed: {computed}; dropped: {dropped}"),
        }
    }
}

enum Worker {
    Thread(PartThread),
    /// Whoever asks for the result.
    Caller(Box<Part>),
}

/// The thread of a rebuild.
type PartThread = JoinHandle<Result<Part, Failure>>;

/// Takes in what there is in a thread of its own.
fn start_thread(mut part: Part, shared: &Arc<Shared>) -> Result<PartThread, Failure> {
    let shared = shared.clone();
    let thread = std::thread::Builder::new()
        .name("rebuild".to_owned())
        .spawn(move || {
            while !shared.is_cancelled() && part.advance(&shared)? {}
            Ok(part)
        });
    thread.doing("starting the thread of a rebuild")
}

/// What came of [`Rebuild::finish`].
pub(super) enum Finished {
    /// What it has computed.
    Computed(Box<(NewDefinitions, Part)>),
    /// What is left takes long: it goes on beside the warehouse.
    Later(Box<Rebuild>),
}

/// What a thread gives that ends soon; else the thread.
fn ended_soon<T>(thread: JoinHandle<T>) -> Result<std::thread::Result<T>, JoinHandle<T>> {
    let has_ended = (0..LOOKS_MAX).any(|_| {
        let has_ended = thread.is_finished();
        if !has_ended {
            std::thread::sleep(LOOK_INTERVAL);
        }
        has_ended
    });
    match has_ended {
        true => Ok(thread.join()),
        false => Err(thread),
    }
}

fn ended(outcome: std::thread::Result<Result<Part, Failure>>) -> Result<Part, Failure> {
    outcome
        .map_err(|_| Failure::Failed("the thread that computed views ended abnormally".into()))?
}

/// See the module.
pub(super) struct Rebuild {
    pub(super) new: NewDefinitions,
    shared: Arc<Shared>,
    worker: Worker,
    is_from_log: bool,
    start_us: i64,
}

impl std::fmt::Debug for Rebuild {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Rebuild")
            .field("shared", &self.shared)
            .finish_non_exhaustive()
    }
}

/// How far a rebuild is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RebuildProgress {
    /// What changes, for a person.
    pub description: String,
    /// Rows or records taken in.
    pub done: u64,
    /// Rows or records left, as far as is known.
    pub left: u64,
    /// Whether they are records of the log, not rows of tables.
    pub is_from_log: bool,
    /// Time since it began, in microseconds.
    pub elapsed_us: i64,
}

impl RebuildProgress {
    /// Rows or records a second.
    pub fn rate(&self) -> u64 {
        (self.done as f64 / (self.elapsed_us.max(1) as f64 / 1e6)) as u64
    }

    /// Seconds that it will take still, about; `None` while nothing is known.
    pub fn seconds_left(&self) -> Option<u64> {
        let rate = self.rate();
        (rate > 0).then(|| self.left / rate)
    }
}

/// The new part at the beginning.
fn begin(new: &NewDefinitions, origin: Origin<'_>) -> Result<(Part, Shared, bool), Failure> {
    let tables = &new.tables;
    let retained = tables.sources().retentions();
    let is_whole = |name: &str| !retained.iter().any(|retention| retention.table == name);
    let input = new.change.input(is_whole, |name| tables.is_given(name));
    let (mut fed, from_log, has_tables) = match &input {
        PartInput::Collections(collections) => (collections.clone(), BTreeSet::new(), false),
        PartInput::Tables(tables) => (BTreeSet::new(), tables.clone(), true),
    };
    if tables.changes_letters() {
        fed.insert(DEAD_LETTERS.to_owned());
    }
    let ranges = tables.ranges(&from_log, origin.log)?;
    let is_cancelled = Arc::new(AtomicBool::new(false));
    let log = match has_tables || !ranges.is_empty() {
        true => {
            let (log, records_max) = (origin.log.clone(), origin.records_max);
            let reading = Reading {
                stop: is_cancelled.clone(),
                places: origin.places,
            };
            let replay = LogReplay::of_ranges(log, records_max, origin.idle_changes, ranges)?
                .with_reading(reading);
            let mut route = RouteStep::new(tables.sources().clone())
                .with_threads(origin.options.worker_threads)
                .with_starts(tables.starts_before(origin.log));
            if tables.changes_letters() {
                route = route.with_letters_of(tables.clone());
            }
            Some(Box::new((replay, route)))
        }
        false => None,
    };
    let is_from_log = log.is_some();
    let source = Source {
        stored: StoredRows::new(Arc::new(origin.snapshot), &fed),
        log,
        has_tables,
        tables: tables.clone(),
    };
    let part = Part::new(&new.change, &input, source, origin.options)?;
    let shared = Shared::new(origin.cut, fed, is_cancelled);
    Ok((part, shared, is_from_log))
}

/// Computes the new part at once.
///
/// # Errors
/// When it cannot be computed.
pub(super) fn compute(new: &NewDefinitions, origin: Origin<'_>) -> Result<Part, Failure> {
    let (mut part, shared, _) = begin(new, origin)?;
    while part.advance(&shared)? {}
    Ok(part)
}

impl Rebuild {
    /// Begins to compute the new part.
    ///
    /// # Errors
    /// When it cannot be computed: the start of the log is gone.
    pub(super) fn start(
        new: NewDefinitions,
        origin: Origin<'_>,
        writer: CheckpointWriter,
        clock: &dyn Clock,
    ) -> Result<Self, Failure> {
        let (part, shared, is_from_log) = begin(&new, origin)?;
        let shared = Arc::new(shared);
        let worker = match writer {
            CheckpointWriter::Caller => Worker::Caller(Box::new(part)),
            CheckpointWriter::Thread => Worker::Thread(start_thread(part, &shared)?),
        };
        Ok(Self {
            new,
            shared,
            worker,
            is_from_log,
            start_us: clock.now_us(),
        })
    }

    /// Whether it computes these definitions, and reads what they name.
    pub(super) fn is_to(&self, fingerprint: u64, captures: &[CaptureDefinition]) -> bool {
        let is_read_there = !self.is_from_log || self.new.captures == captures;
        self.new.definitions.fingerprint == fingerprint && is_read_there
    }

    /// Gives it time, if it has no thread of its own; true when what is left can
    /// be done between two epochs.
    ///
    /// # Errors
    /// When it cannot go on.
    pub(super) fn is_nearly_done(&mut self) -> Result<bool, Failure> {
        match &mut self.worker {
            Worker::Thread(thread) => Ok(thread.is_finished()),
            Worker::Caller(part) => Ok(!part.advance(&self.shared)?),
        }
    }

    /// Takes in what the last epochs changed; returns what it has computed. The
    /// warehouse waits shortly at most: sources that are their own log may have to be
    /// asked again for records that have left memory.
    ///
    /// # Errors
    /// When it cannot go on.
    pub(super) fn finish(self) -> Result<Finished, Failure> {
        let part = match self.worker {
            Worker::Caller(mut part) => {
                while part.advance(&self.shared)? {}
                *part
            }
            Worker::Thread(thread) => {
                let part = ended(thread.join())?;
                match ended_soon(start_thread(part, &self.shared)?) {
                    Ok(outcome) => ended(outcome)?,
                    Err(rest) => {
                        let worker = Worker::Thread(rest);
                        return Ok(Finished::Later(Box::new(Self { worker, ..self })));
                    }
                }
            }
        };
        Ok(Finished::Computed(Box::new((self.new, part))))
    }

    /// Gives it up and waits until it has ended, which it does soon: whatever it
    /// waits for itself, it does so no longer.
    pub(super) fn cancel(self) {
        self.shared.cancel();
        if let Worker::Thread(thread) = self.worker {
            let _ = thread.join();
        }
    }

    /// The warehouse has run an epoch.
    pub(super) fn note_epoch(&self, cut: EpochCut, deltas: &BTreeMap<String, Delta>) {
        self.shared.note_epoch(cut, deltas);
    }

    /// True while the warehouse should not run further epochs.
    pub(super) fn must_wait(&self) -> bool {
        let has_ended = match &self.worker {
            Worker::Thread(thread) => thread.is_finished(),
            Worker::Caller(_) => false,
        };
        self.shared.is_full() && !has_ended
    }

    /// How far it is.
    pub(super) fn progress(&self, now_us: i64) -> RebuildProgress {
        let (done, left) = self.shared.progress();
        RebuildProgress {
            description: self.new.describe(),
            done,
            left,
            is_from_log: self.is_from_log,
            elapsed_us: now_us - self.start_us,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_that_takes_long_is_not_waited_for() {
        let (release, released) = std::sync::mpsc::sync_channel::<()>(1);
        let slow = std::thread::Builder::new().spawn(move || {
            released.recv().unwrap();
            7
        });
        let Err(slow) = ended_soon(slow.unwrap()) else {
            panic!("it has not ended");
        };
        release.send(()).unwrap();
        assert_eq!(ended_soon(slow).unwrap().unwrap(), 7);
    }
}
