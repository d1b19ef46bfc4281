//! From what is on disk to a running warehouse.
//!
//! State is a function of the topics and the control log alone. Recovery loads
//! the last checkpoint, runs the epochs whose cuts were recorded after it,
//! exactly as they were cut, and goes on from there. Without a checkpoint that
//! fits today's definitions everything is computed again from the start of the
//! log, under new epoch numbers: an epoch number never gets different content.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use sluice_core::{Disk, Epoch, EpochCut, PartitionId};
use sluice_engine::Program;
use sluice_log::{ControlEntry, ControlLog, Log, LogOptions};
use sluice_route::CaptureKind;
use sluice_store::{Store, StoreOptions};

use super::checkpoint_step::{Definitions, Restored, read_meta, take_apart};
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

/// What the control log says.
#[derive(Debug, Default)]
struct Recorded {
    /// The last epoch that was given a meaning.
    last_epoch: Epoch,
    /// The last change of definitions: its first epoch and fingerprint.
    definitions: Option<(Epoch, u64)>,
    /// Cuts in order.
    cuts: Vec<EpochCut>,
}

impl Recorded {
    fn new(entries: Vec<ControlEntry>) -> Self {
        let mut recorded = Self::default();
        for entry in entries {
            match entry {
                ControlEntry::Cut(cut) => {
                    recorded.last_epoch = recorded.last_epoch.max(cut.epoch);
                    recorded.cuts.push(cut);
                }
                ControlEntry::Definitions {
                    epoch, fingerprint, ..
                } => {
                    // Its epoch is the first under the new definitions.
                    recorded.last_epoch = recorded.last_epoch.max(epoch.saturating_sub(1));
                    recorded.definitions = Some((epoch, fingerprint));
                }
                // `CutStep` knows what they hold for.
                ControlEntry::Idle { .. } => {}
            }
        }
        recorded
    }

    /// The cuts after `epoch`, which must follow it without a gap.
    fn cuts_after(&self, epoch: Epoch) -> Result<Vec<EpochCut>, Failure> {
        let later = self.cuts.iter().filter(|cut| cut.epoch > epoch);
        let cuts: Vec<EpochCut> = later.cloned().collect();
        let expected = epoch + 1..;
        match cuts
            .iter()
            .zip(expected)
            .find(|(cut, epoch)| cut.epoch != *epoch)
        {
            Some((_, missing)) => Err(Failure::Failed(format!(
                "the control log lacks the cut of epoch {missing}\n  help: restore the state from a backup, or remove the folder `store` of the state: it is rebuilt from the log"
            ))),
            None => Ok(cuts),
        }
    }
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
    let log = Arc::new(open_log(disk, project, state)?);
    let (mut control, entries) =
        ControlLog::open(disk.clone(), &state.join("control")).doing("opening the control log")?;
    let recorded = Recorded::new(entries.clone());
    let fingerprint = project.fingerprint(program);
    let definitions = Definitions {
        name: project.config.name.clone(),
        fingerprint,
        time_zone: project.config.time_zone.get_ref().clone(),
        query_views: program.query_views().to_vec(),
        user_dictionary: program.functions().user_dictionary().to_owned(),
    };
    let store_folder = state.join("store");
    let (store, recovered) = open_store(disk, &store_folder, &project.config)?;

    let usable = match recovered {
        Some(recovered) => {
            let meta = read_meta(&recovered)?;
            let is_superseded =
                matches!(recorded.definitions, Some((first, _)) if first > recovered.epoch);
            (meta.definitions.fingerprint == fingerprint && !is_superseded).then_some(recovered)
        }
        None => None,
    };
    let options = engine_options(project.config.limits.worker_threads);
    let limits = cut_limits(&project.config);

    if let Some(recovered) = usable {
        let epoch = recovered.epoch;
        let cuts = recorded.cuts_after(epoch)?;
        let Restored {
            meta,
            router,
            positions,
            engine,
            files,
        } = take_apart(recovered)?;
        let warehouse = Warehouse {
            surroundings: surroundings.clone(),
            cut: CutStep::new(control, &entries, limits, meta.cut, meta.idle),
            route: RouteStep::restore(project.sources.clone(), &router, positions, &files)?
                .with_threads(options.worker_threads),
            engine: EngineStep::restore(program.clone(), options, epoch, &engine, &files)?,
            store: StoreStep::new(store, program, project.sources.retentions())?,
            log,
            definitions,
            retention: project.config.log.clone(),
            progress: Progress::default(),
            live: None,
            durable_epoch: Some(epoch),
            writing: None,
        };
        return replay(warehouse, cuts, stop);
    }

    // Everything is computed from the start of the log. Where a rebuild under
    // the same definitions was interrupted, its cuts are used again.
    let has_history = recorded.last_epoch > 0;
    let interrupted = match recorded.definitions {
        Some((first, known)) if known == fingerprint => recorded
            .cuts_after(first - 1)
            .ok()
            .map(|cuts| (first, cuts)),
        _ => None,
    };
    let (first, cuts) = match interrupted {
        Some(interrupted) => interrupted,
        None => {
            if has_history {
                refuse_after_retention(&log)?;
                surroundings.reporter.info("the definitions have changed: computing everything again from the start of the log");
            }
            let first = recorded.last_epoch + 1;
            let entry = ControlEntry::Definitions {
                epoch: first,
                fingerprint,
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
        route: RouteStep::new(project.sources.clone()).with_threads(options.worker_threads),
        engine: EngineStep::new(program.clone(), options)?,
        store: StoreStep::new(store, program, project.sources.retentions())?,
        log,
        definitions,
        retention: project.config.log.clone(),
        progress: Progress::default(),
        live: None,
        // Only the empty warehouse, epoch 0, can be written down without rows.
        durable_epoch: (first > 1).then_some(first - 1),
        writing: None,
    };
    replay(warehouse, cuts, stop)
}

/// Opens the log and makes the project's topics.
///
/// # Errors
/// When a segment is damaged or the disk refuses.
pub fn open_log(disk: &Arc<dyn Disk>, project: &Project, state: &Path) -> Result<Log, Failure> {
    let options = LogOptions {
        record_bytes_max: project.config.limits.record_bytes_max,
        segment_bytes_max: project.config.log.segment_bytes_max,
    };
    let what = format!("opening the log in {}", state.join("log").display());
    let log = Log::open(disk.clone(), &state.join("log"), options).doing(&what)?;
    for (topic, partitions) in project.sources.topics() {
        log.create_topic(&topic, partitions)
            .doing(&format!("making the topic `{topic}`"))?;
    }
    for capture in project.sources.captures() {
        // Records may lie in the files even if they are no longer their own log.
        if let CaptureKind::File { path, .. } = &capture.kind {
            let path = project.resolve(path);
            let folder = Path::new(&path).parent().unwrap_or(Path::new("."));
            log.set_source_folder(&capture.topic, folder)
                .doing(&format!("opening the source of topic `{}`", capture.topic))?;
        }
    }
    Ok(log)
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
    cuts: Vec<EpochCut>,
    stop: &AtomicBool,
) -> Result<Recovery, Failure> {
    let Surroundings {
        clock, reporter, ..
    } = warehouse.surroundings.clone();
    let total = cuts.len();
    let start_us = clock.now_us();
    let mut said_us = start_us;
    for (done, cut) in cuts.into_iter().enumerate() {
        if stop.load(Ordering::Acquire) {
            return Err(Failure::Stopped(format!(
                "stopped while replaying recorded epochs, at {done} of {total}; the next start begins this again"
            )));
        }
        let content = warehouse.cut.recorded(&warehouse.log, cut)?;
        warehouse.run_content(&content)?;
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
    let mut positions = warehouse.route.positions().clone();
    let ends = warehouse.cut.last_cut().end_offsets;
    for id in warehouse.log.partitions() {
        let start = warehouse.log.start_offset(&id);
        let from = ends.get(&id).copied().unwrap_or(start);
        observe_to_end(&warehouse.log, &id, from, &mut positions)?;
    }
    warehouse.progress = Progress::default();
    Ok(Recovery {
        warehouse,
        positions,
    })
}

/// Moves positions past the records that are in no epoch yet.
fn observe_to_end(
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
