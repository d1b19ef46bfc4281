//! `sluice replay`: does the log, under today's definitions, still give the
//! stored numbers? The log is cut anew, so that an answer that depended on
//! where epochs were cut would show too; but a source counts as idle where it
//! did, which is recorded.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::error::ArrowError;
use arrow::row::{RowConverter, SortField};
use sluice_core::{Clock, Disk, RealDisk, SystemClock};
use sluice_engine::Program;
use sluice_functions::UNIQ_IDS;
use sluice_store::{Snapshot, Store, StoreOptions};

use super::replay_states::Values;
use crate::diversion::with_rules_in_force;
use crate::failure::{Doing, Failure};
use crate::lock::lock_to_write;
use crate::masking;
use crate::pipeline::{
    CheckpointMeta, EngineStep, LogReplay, RouteStep, collection_definitions, engine_options,
    horizons, open_log, read_meta_with_log,
};
use crate::project::Project;
use crate::report::{Reporter, with_commas};

/// How often it says how far it is.
const PROGRESS_INTERVAL_US: i64 = 2_000_000;

/// Rebuilds the warehouse beside the stored one and compares all tables and
/// views.
///
/// # Errors
/// When they differ, or one of them cannot be made.
pub fn run(
    folder: &Path,
    overrides: &[(String, String)],
    state: Option<&Path>,
    reporter: Reporter,
) -> Result<(), Failure> {
    let project = Project::load(folder, overrides)?;
    let state = project.state_folder(state);
    if !state.join("LOCK").exists() {
        return Err(Failure::Definitions(format!(
            "there is no warehouse state in {}\n  help: `sluice run` makes it; name its folder with --state if it is elsewhere",
            state.display()
        )));
    }
    let _lock = lock_to_write(&state)?;
    let masks = masking::open(&project, &state, reporter)?;
    let project = project.leaving_out(masking::left_out(&masks));
    let project = with_rules_in_force(&project, &state)?;
    let program = project.plan()?;
    let disk: Arc<dyn Disk> = Arc::new(RealDisk);
    let store_folder = state.join("store");
    let (stored, recovered) = Store::open_read_only(disk.clone(), &store_folder)
        .doing(&format!("reading the store in {}", store_folder.display()))?;
    let Some(recovered) = recovered else {
        return Err(Failure::Failed(format!(
            "the warehouse in {} has no checkpoint yet, so that there is nothing to compare with\n  help: run it first",
            state.display()
        )));
    };
    let meta = read_meta_with_log(&recovered)?;
    let replay_folder = state.join("replay");
    remove_folder(&replay_folder)?;
    let rebuilt = rebuild(&project, &program, &state, &replay_folder, &meta, reporter);
    let compared = rebuilt.and_then(|rebuilt| compare(&stored, &rebuilt));
    remove_folder(&replay_folder)?;
    let differences = compared?;
    if differences.is_empty() {
        reporter.info(&format!(
            "the log gives the stored rows in every table and view, as of epoch {}",
            meta.cut.epoch
        ));
        return Ok(());
    }
    Err(Failure::Failed(format!(
        "the log gives other rows than are stored:\n{}\n  help: if definitions have changed, `sluice run` applies the change; otherwise please report this",
        differences.join("\n")
    )))
}

/// Runs all records up to `cut` into a new store.
fn rebuild(
    project: &Project,
    program: &Arc<Program>,
    state: &Path,
    replay_folder: &Path,
    meta: &CheckpointMeta,
    reporter: Reporter,
) -> Result<Snapshot, Failure> {
    let disk: Arc<dyn Disk> = Arc::new(RealDisk);
    let log = open_log(&disk, project, state, reporter)?;
    let (mut store, _) = Store::open(disk, replay_folder, StoreOptions::default())
        .doing(&format!("making a store in {}", replay_folder.display()))?;
    store
        .define(collection_definitions(program))
        .doing("preparing the store")?;
    let retentions = project.sources.retentions();
    let options = engine_options(project.config.limits.worker_threads);
    let mut route = RouteStep::new(project.sources.clone())
        .with_threads(options.worker_threads)
        .with_starts(meta.definitions.starts.clone());
    let mut engine = EngineStep::new(program.clone(), options)?;
    let records_max = project.config.limits.epoch_records_max;
    let start_us = SystemClock.now_us();
    let mut said_us = start_us;
    let mut replay = LogReplay::new(Arc::new(log), records_max, &meta.idle_changes)?;
    while let Some(content) = replay.next(&meta.cut)? {
        let epoch = content.cut.epoch;
        let routed = route.run(&content)?;
        let horizons = horizons(&retentions, &routed.event_times);
        let output = engine.run(epoch, routed)?;
        store
            .apply(epoch, &output.deltas)
            .and_then(|()| store.expire(&horizons))
            .doing(&format!("storing epoch {epoch} of the replay"))?;
        let now_us = SystemClock.now_us();
        if now_us - said_us >= PROGRESS_INTERVAL_US {
            said_us = now_us;
            let (done, left) = (replay.records_done(), replay.records_left(&meta.cut));
            let rate = done as f64 / ((now_us - start_us) as f64 / 1e6);
            reporter.info(&format!(
                "replaying: {} of {} records, {} a second, about {:.0} s left",
                with_commas(done),
                with_commas(done + left),
                with_commas(rate as u64),
                left as f64 / rate.max(1.0),
            ));
        }
    }
    let records_done = replay.records_done();
    let seconds = (SystemClock.now_us() - start_us) as f64 / 1e6;
    reporter.info(&format!(
        "replayed {} records in {seconds:.1} s",
        with_commas(records_done)
    ));
    Ok(store.snapshot())
}

/// One line for each collection that differs.
fn compare(stored: &Snapshot, rebuilt: &Snapshot) -> Result<Vec<String>, Failure> {
    let mut differences = Vec::new();
    let names = |snapshot: &Snapshot| -> Vec<String> {
        let collections = snapshot.collections();
        collections.iter().map(|found| found.name.clone()).collect()
    };
    let values = Values::of(stored).doing("reading the ids of unique values")?;
    let rebuilt_values = Values::of(rebuilt).doing("reading the ids of unique values")?;
    let stored_names = names(stored);
    let rebuilt_names = names(rebuilt);
    for name in &rebuilt_names {
        if !stored_names.contains(name) {
            differences.push(format!("  {name}: is not stored"));
        }
    }
    for name in &stored_names {
        if !rebuilt_names.contains(name) {
            differences.push(format!("  {name}: is no longer defined"));
            continue;
        }
        // A value that was taken back in the epoch in which it came has none.
        if name == UNIQ_IDS {
            continue;
        }
        let what = format!("comparing {name}");
        let ours = stored.scan(name, None).doing(&what)?;
        let theirs = rebuilt.scan(name, None).doing(&what)?;
        let ours = values.in_words(ours).doing(&what)?;
        let theirs = rebuilt_values.in_words(theirs).doing(&what)?;
        if let Some(difference) = difference(name, &ours, &theirs).doing(&what)? {
            differences.push(format!("  {name}: {difference}"));
        }
    }
    Ok(differences)
}

/// How two multisets of rows differ.
fn difference(
    name: &str,
    stored: &[RecordBatch],
    rebuilt: &[RecordBatch],
) -> Result<Option<String>, ArrowError> {
    let (Some(first), Some(second)) = (stored.first(), rebuilt.first()) else {
        let count =
            |batches: &[RecordBatch]| -> usize { batches.iter().map(RecordBatch::num_rows).sum() };
        let (stored, rebuilt) = (count(stored), count(rebuilt));
        let text = format!("{stored} rows are stored, the log gives {rebuilt}");
        return Ok((stored != rebuilt).then_some(text));
    };
    if first.schema().fields() != second.schema().fields() {
        return Ok(Some("its columns have changed".to_owned()));
    }
    // Dead letters carry the number of their epoch, and epochs are cut anew.
    let skip = usize::from(name == crate::dead_letters::DEAD_LETTERS);
    let fields = first.schema().fields()[skip..]
        .iter()
        .map(|field| SortField::new(field.data_type().clone()))
        .collect();
    let converter = RowConverter::new(fields)?;
    let mut counts: BTreeMap<Box<[u8]>, i64> = BTreeMap::new();
    for (batches, weight) in [(stored, 1), (rebuilt, -1)] {
        for batch in batches {
            let rows = converter.convert_columns(&batch.columns()[skip..])?;
            for row in &rows {
                *counts.entry(row.data().into()).or_default() += weight;
            }
        }
    }
    let only_stored: i64 = counts.values().filter(|&&count| count > 0).sum();
    let only_rebuilt: i64 = counts.values().filter(|&&count| count < 0).sum();
    if only_stored == 0 && only_rebuilt == 0 {
        return Ok(None);
    }
    Ok(Some(format!(
        "{only_stored} rows are stored that the log does not give, and it gives {} others",
        -only_rebuilt
    )))
}

fn remove_folder(folder: &Path) -> Result<(), Failure> {
    if !folder.exists() {
        return Ok(());
    }
    std::fs::remove_dir_all(folder).doing(&format!("removing {}", folder.display()))
}
