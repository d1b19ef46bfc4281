//! From what is on disk to a running warehouse.
//!
//! State is a function of the topics and the control log alone. Recovery loads
//! the last checkpoint, runs the epochs whose cuts were recorded after it,
//! exactly as they were cut, and goes on from there. Without a checkpoint that
//! fits today's definitions everything is computed again from the start of the
//! log, under new epoch numbers: an epoch number never gets different content.

mod project_log;
mod recorded;

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use sluice_core::{Disk, EpochCut, PartitionId};
use sluice_engine::{Engine, EngineOptions, Program};
use sluice_log::{ControlEntry, ControlLog, Log};
use sluice_route::Starts;
use sluice_store::{Store, StoreOptions};

pub(super) use self::project_log::{make_topics, source_places};
pub use self::project_log::{open_log, prepare_topics};
use self::recorded::{Known, NextEpoch, Recorded, RecordedEpoch};
use super::checkpoint_step::{Definitions, Restored, read_meta_with_log, take_apart};
use super::cut_step::{CutLimits, CutStep};
use super::engine_step::{EngineStep, engine_options};
use super::route_step::{Positions, RouteStep, observe};
use super::store_step::StoreStep;
use super::surroundings::Surroundings;
use super::{Progress, Warehouse};
use crate::config::Config;
use crate::failure::{Doing, Failure};
use crate::project::Project;
use crate::report::with_commas;

/// How often a long recovery says how far it is.
const PROGRESS_INTERVAL_US: i64 = 2_000_000;

/// A warehouse that holds all recorded epochs, and where capture goes on.
#[derive(Debug)]
pub struct Recovery {
    /// The warehouse.
    pub warehouse: Warehouse,
    /// Where the sources stand at the end of the log.
    pub positions: Positions,
}

/// Opens the state in `state` and brings it up to date.
///
/// # Errors
/// When something on disk is damaged, of another version, or does not fit.
pub fn recover(
    project: &Project,
    program: &Arc<Program>,
    state: &Path,
    stop: &AtomicBool,
    surroundings: &Surroundings,
) -> Result<Recovery, Failure> {
    let disk = &surroundings.disk;
    let log = Arc::new(open_log(disk, project, state, surroundings.reporter)?);
    log.stop_waiting_with(surroundings.stop.clone());
    let (mut control, entries) =
        ControlLog::open(disk.clone(), &state.join("control")).doing("opening the control log")?;
    let recorded = Recorded::new(entries.clone());
    let fingerprint = project.fingerprint(program);
    let store_folder = state.join("store");
    let (store, recovered) = open_store(disk, &store_folder, &project.config)?;
    let options = EngineOptions {
        collected_rows_min: surroundings.collected_rows_min,
        ..engine_options(project.config.limits.worker_threads)
    };
    let limits = cut_limits(&project.config);
    let records_max = limits.records_max;

    let mut usable = None;
    let mut starts = recorded.starts.clone();
    if let Some(recovered) = recovered {
        let stored = read_meta_with_log(&recovered)?.definitions;
        let epoch = recovered.epoch;
        if starts.as_ref().is_none_or(|(of, _)| *of <= epoch) {
            starts = Some((epoch, stored.starts.clone()));
        }
        let is_superseded = recorded.first_epoch.is_some_and(|first| first > epoch);
        if !is_superseded {
            let known = match recorded.epochs_after(epoch) {
                Ok(epochs) => Known::find(project, program, &stored, epochs),
                Err(failure) if stored.fingerprint == fingerprint => return Err(failure),
                Err(_) => None,
            };
            if let Some(known) = known {
                let restored = take_apart(recovered)?;
                // A checkpoint of another planner is known by its plan.
                if Engine::can_restore(&known.program, &restored.engine) {
                    usable = Some((epoch, known, restored));
                }
            }
        }
    }

    if let Some((epoch, known, restored)) = usable {
        let Restored {
            meta,
            router,
            positions,
            engine,
            files,
        } = restored;
        let program = &known.program;
        let sources = known.project.sources.clone();
        let starts = meta.definitions.starts;
        let rule_starts = meta.definitions.rule_starts;
        let mut definitions = Definitions::new(&known.project, program, starts.clone());
        definitions.rule_starts = rule_starts;
        let warehouse = Warehouse {
            surroundings: surroundings.clone(),
            cut: CutStep::new(control, &entries, limits, meta.cut, meta.idle)
                .with_idle_changes(meta.idle_changes),
            route: RouteStep::restore(sources.clone(), &router, positions, &files)?
                .with_threads(options.worker_threads)
                .with_starts(starts),
            engine: EngineStep::restore(program.clone(), options.clone(), epoch, &engine, &files)?,
            store: StoreStep::new(store, program, sources.retentions())?,
            log,
            definitions,
            retention: project.config.log.clone(),
            progress: Progress::default(),
            live: None,
            durable_epoch: Some(epoch),
            writing: None,
            epoch_span: None,
            sources,
            options,
            records_max,
            rebuild: None,
            has_new_rules: false,
        };
        return replay(warehouse, known.epochs, stop);
    }

    let mut starts = starts.map_or_else(Starts::new, |(_, starts)| starts);
    starts.retain(|name, _| project.sources.begins_empty(name));
    // Everything is computed from the start of the log. Where a rebuild under
    // the same definitions was interrupted, its cuts are used again.
    let has_history = recorded.last_epoch > 0;
    let interrupted = match recorded.first_epoch {
        // All of it under the definitions of today, also what began under others.
        Some(first) if recorded.fingerprint == Some(fingerprint) => recorded
            .epochs_after(first - 1)
            .ok()
            .map(|epochs| (first, epochs)),
        _ => None,
    };
    let (first, epochs) = match interrupted {
        Some(interrupted) => interrupted,
        None => {
            if has_history {
                refuse_after_retention(&log)?;
                surroundings.reporter.info("the definitions have changed (more than a change of tables and views, or the way in which views are computed): computing everything again from the start of the log");
            }
            let first = recorded.last_epoch + 1;
            let entry = ControlEntry::Definitions {
                epoch: first,
                fingerprint,
                starts: starts.clone(),
                description: format!("{} under today's definitions", project.config.name),
            };
            control
                .append(&[entry])
                .doing("recording the definitions")?;
            (first, Vec::new())
        }
    };
    drop(store);
    clear_store(disk.as_ref(), &store_folder)?;
    let (store, _) = open_store(disk, &store_folder, &project.config)?;
    let start = EpochCut {
        epoch: first - 1,
        end_offsets: Default::default(),
    };
    let warehouse = Warehouse {
        surroundings: surroundings.clone(),
        cut: CutStep::new(control, &entries, limits, start, BTreeSet::new()),
        route: RouteStep::new(project.sources.clone())
            .with_threads(options.worker_threads)
            .with_starts(starts.clone()),
        engine: EngineStep::new(program.clone(), options.clone())?,
        store: StoreStep::new(store, program, project.sources.retentions())?,
        log,
        definitions: Definitions::new(project, program, starts),
        retention: project.config.log.clone(),
        progress: Progress::default(),
        live: None,
        // Only the empty warehouse, epoch 0, can be written down without rows.
        durable_epoch: (first > 1).then_some(first - 1),
        writing: None,
        epoch_span: None,
        sources: project.sources.clone(),
        options,
        records_max,
        rebuild: None,
        has_new_rules: false,
    };
    let epochs = epochs.into_iter();
    let epochs = epochs.map(|RecordedEpoch { cut, .. }| NextEpoch { cut, change: None });
    replay(warehouse, epochs.collect(), stop)
}

/// The files of topics and tables that were in force last; none where nothing
/// is known of them.
///
/// # Errors
/// When the control log or the checkpoint is damaged.
pub fn source_files_in_force(
    disk: &Arc<dyn Disk>,
    state: &Path,
) -> Result<Vec<(String, String)>, Failure> {
    let control = ControlLog::open(disk.clone(), &state.join("control"));
    let (_, entries) = control.doing("opening the control log")?;
    let recorded = entries.into_iter().rev().find_map(|entry| match entry {
        ControlEntry::Models { sources, .. } => sources,
        _ => None,
    });
    if let Some(sources) = recorded {
        return Ok(sources.files);
    }
    let folder = state.join("store");
    let what = format!("reading the store in {}", folder.display());
    let (_, recovered) = Store::open_read_only(disk.clone(), &folder).doing(&what)?;
    let Some(recovered) = recovered else {
        return Ok(Vec::new());
    };
    let definitions = read_meta_with_log(&recovered)?.definitions;
    Ok(definitions.source_files.unwrap_or_default())
}

/// The limits of an epoch.
pub fn cut_limits(config: &Config) -> CutLimits {
    CutLimits {
        records_max: config.limits.epoch_records_max,
        bytes_max: config.limits.epoch_bytes_max,
        idle_after_us: config.limits.source_idle_after_ms.map(|length_ms| {
            i64::try_from(length_ms).map_or(i64::MAX, |ms| ms.saturating_mul(1_000))
        }),
    }
}

fn open_store(
    disk: &Arc<dyn Disk>,
    folder: &Path,
    config: &Config,
) -> Result<(Store, Option<sluice_store::Recovered>), Failure> {
    let options = StoreOptions {
        segment_cache_bytes_max: config.limits.segment_cache_bytes_max,
    };
    Store::open(disk.clone(), folder, options)
        .doing(&format!("opening the store in {}", folder.display()))
}

/// Runs the recorded epochs, then finds where the sources stand.
fn replay(
    mut warehouse: Warehouse,
    epochs: Vec<NextEpoch>,
    stop: &AtomicBool,
) -> Result<Recovery, Failure> {
    let Surroundings {
        clock, reporter, ..
    } = warehouse.surroundings.clone();
    let total = epochs.len();
    let start_us = clock.now_us();
    let mut said_us = start_us;
    for (done, NextEpoch { cut, change }) in epochs.into_iter().enumerate() {
        if stop.load(Ordering::Acquire) {
            return Err(Failure::Stopped(format!(
                "stopped while replaying recorded epochs, at {done} of {total}; the next start begins this again"
            )));
        }
        match change {
            Some(change) => {
                let next = *change;
                reporter.info("computing what a change of definitions made new");
                warehouse.run_recorded_change(cut, &next.project, &next.program, next.starts)?;
            }
            None => {
                let content = warehouse.cut.recorded(&warehouse.log, cut)?;
                warehouse.run_content(&content)?;
            }
        }
        let now_us = clock.now_us();
        if now_us - said_us >= PROGRESS_INTERVAL_US {
            said_us = now_us;
            let done = done + 1;
            let seconds = (now_us - start_us) as f64 / 1e6;
            let left = seconds / done as f64 * (total - done) as f64;
            let records = warehouse.progress.records;
            let rate = (records as f64 / seconds) as u64;
            reporter.info(&format!(
                "replaying recorded epochs: {done} of {total}, {} records, {} a second, about {left:.0} s left",
                with_commas(records),
                with_commas(rate),
            ));
        }
    }
    let positions = warehouse.positions()?;
    warehouse.progress = Progress::default();
    Ok(Recovery {
        warehouse,
        positions,
    })
}

/// Moves positions past the records that are in no epoch yet.
pub(super) fn observe_to_end(
    log: &Log,
    id: &PartitionId,
    from: u64,
    positions: &mut Positions,
) -> Result<(), Failure> {
    let end = log.end_offset(id);
    let mut next = from;
    while next < end {
        let records = log.read(id, next, end, 16 << 20).doing("reading the log")?;
        let Some(last) = records.last() else {
            break;
        };
        next = last.offset + 1;
        observe(positions, id, &records)?;
    }
    Ok(())
}

/// A log without its beginning cannot give the rows that came from it.
fn refuse_after_retention(log: &Log) -> Result<(), Failure> {
    for id in log.partitions() {
        let start = log.start_offset(&id);
        if start > 0 {
            return Err(Failure::Failed(format!(
                "the definitions have changed, but the log of topic `{}` begins at record {start}: what came before was dropped by [log] retention, so that the rows made from it cannot be computed again\n  help: take the change back, or start with another --state folder",
                id.topic
            )));
        }
    }
    Ok(())
}

/// Removes the store's files. The manifest goes first, for good: a crash must
/// not leave a checkpoint whose files are gone.
fn clear_store(disk: &dyn Disk, folder: &Path) -> Result<(), Failure> {
    let what = format!("removing the old store in {}", folder.display());
    let (manifests, others): (Vec<String>, Vec<String>) = disk
        .list(folder)
        .doing(&what)?
        .into_iter()
        .partition(|name| name.starts_with("MANIFEST"));
    for names in [manifests, others] {
        for name in names {
            disk.remove(&folder.join(name)).doing(&what)?;
        }
        disk.sync_dir(folder).doing(&what)?;
    }
    Ok(())
}
