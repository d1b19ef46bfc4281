//! `sluice run --batch`: the models once over history that lies in Parquet or
//! CSV files. The result is read as a stopped warehouse is.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sluice_core::{
    Clock, DeadLetter, Disk, Epoch, EpochCut, LogRecord, PartitionId, RealDisk, SystemClock,
    TableChanges,
};
use sluice_engine::{Engine, EpochOutput, Program};
use sluice_route::{Router, Sources};
use sluice_store::{CheckpointRequest, Store, StoreOptions};

use crate::dead_letters;
use crate::exported_csv::{Portion, RefusedLine};
use crate::exported_rows::{ExportedRows, exported_files};
use crate::failure::{Doing, Failure};
use crate::lock::lock_to_write;
use crate::pipeline::{
    CheckpointMeta, Definitions, META_VERSION, collection_definitions, engine_options,
};
use crate::project::Project;
use crate::report::{Reporter, with_commas};
use crate::{masking, state_memory};

/// The last microsecond of the year 9999: history is over, all windows close.
const END_OF_TIME_US: i64 = 253_402_300_799_999_999;
/// Where the result is until it is whole.
const UNFINISHED_FOLDER: &str = "store.unfinished";
/// Rows in memory beyond this are written to files.
const UNWRITTEN_BYTES_MAX: u64 = 512 << 20;

/// What the person asked for.
#[derive(Debug)]
pub struct BatchOptions<'a> {
    /// The project's folder.
    pub folder: &'a Path,
    /// Settings of `--set`.
    pub overrides: &'a [(String, String)],
    /// Tables, and the file or folder with the rows of each.
    pub inputs: &'a [(String, PathBuf)],
    /// Where the result is written: a folder that holds no warehouse.
    pub state: Option<&'a Path>,
}

/// Computes all views over the files.
///
/// # Errors
/// When a file does not fit its table, the folder is in use, or something
/// cannot be read or written.
pub fn run(options: &BatchOptions<'_>, reporter: Reporter) -> Result<(), Failure> {
    let project = Project::load(options.folder, options.overrides)?;
    let program = project.plan()?;
    let state = project.state_folder(options.state);
    let _lock = lock_to_write(&state)?;
    let store_folder = state.join("store");
    // Who asks a state that has nothing makes an empty folder.
    let is_used = |folder: &Path| {
        let entries = std::fs::read_dir(folder);
        entries.is_ok_and(|mut entries| entries.next().is_some())
    };
    if is_used(&store_folder) || is_used(&state.join("log")) {
        return Err(Failure::Definitions(format!(
            "{} holds a warehouse already\n  help: name a new folder with --state",
            state.display()
        )));
    }
    let start_us = SystemClock.now_us();
    // All files are looked at before any is read.
    let mut files = Vec::new();
    for (table, path) in options.inputs {
        for file in exported_files(path)? {
            let record_bytes_max = project.config.limits.record_bytes_max;
            let mut rows = ExportedRows::open(&file, record_bytes_max)?;
            let topic = file.display().to_string();
            let history = project.sources.of_history(table, &topic, rows.schema());
            let history = history.map_err(|error| {
                Failure::Definitions(format!("--batch {table}={topic}: {error}"))
            })?;
            rows.keep(history.columns.iter().map(|name| (name, name)));
            files.push((table.as_str(), topic, history.sources, rows));
        }
    }
    state_memory::install(&project.config.limits, &state)?;
    // Nobody must take a part of the result for the whole.
    let beside = state.join(UNFINISHED_FOLDER);
    remove_unfinished(&beside)?;
    let batch = Batch {
        project: &project,
        program: &program,
        state: &state,
        reporter,
    };
    let computed = batch.compute(files, &beside);
    if computed.is_err() {
        // What the computation says matters more.
        let _ = remove_unfinished(&beside);
    }
    let rows = computed?;
    let what = format!("finishing {}", store_folder.display());
    RealDisk.rename(&beside, &store_folder).doing(&what)?;
    RealDisk.sync_dir(&state).doing(&what)?;
    let seconds = (SystemClock.now_us() - start_us) as f64 / 1e6;
    reporter.info(&format!(
        "{} rows in {seconds:.1} s; ask for the result with\n  sluice sql --state {}",
        with_commas(rows),
        state.display()
    ));
    Ok(())
}

/// Removes what a run left that did not end well.
fn remove_unfinished(folder: &Path) -> Result<(), Failure> {
    match folder.exists() {
        true => std::fs::remove_dir_all(folder).doing(&format!("removing {}", folder.display())),
        false => Ok(()),
    }
}

/// A file of history: its table, its name, how it is read, and its rows.
type HistoryFile<'a> = (&'a str, String, Sources, ExportedRows);

/// One computation of all views.
struct Batch<'a> {
    project: &'a Project,
    program: &'a Arc<Program>,
    state: &'a Path,
    reporter: Reporter,
}

impl Batch<'_> {
    /// Computes the views over `files` into a store in `folder`. Returns the number
    /// of rows.
    fn compute(&self, files: Vec<HistoryFile<'_>>, folder: &Path) -> Result<u64, Failure> {
        let (project, program, reporter) = (self.project, self.program, self.reporter);
        let disk: Arc<dyn Disk> = Arc::new(RealDisk);
        let (mut store, _) = Store::open(disk, folder, StoreOptions::default())
            .doing(&format!("making a store in {}", folder.display()))?;
        store
            .define(collection_definitions(program))
            .doing("preparing the store")?;
        let threads = project.config.limits.worker_threads;
        let mut work = Work {
            engine: Engine::new(program.clone(), engine_options(threads))
                .doing("starting the engine")?,
            store,
            epoch: 0,
            refused: 0,
        };
        let mut rows_in_all = 0;
        let mut rows_of_table: BTreeMap<&str, u64> = BTreeMap::new();
        for (table, topic, sources, mut rows) in files {
            let id = PartitionId {
                topic: topic.clone(),
                partition: 0,
            };
            let sources = Arc::new(sources);
            let mut router = Router::new(sources.clone()).with_threads(threads.max(1));
            let before = rows_of_table.entry(table).or_default();
            let disk = Arc::new(RealDisk);
            let masks = masking::open_for(project, &sources, self.state, disk, reporter)?;
            while let Some(Portion {
                mut records,
                numbers,
                refused,
            }) = rows.next_records()?
            {
                masks.mask(&topic, &mut records).doing("masking the rows")?;
                // Of two rows with one key the later one counts, whichever its file.
                let offsets = numbers.iter().map(|number| *before + number);
                let records: Vec<LogRecord> = offsets
                    .zip(records)
                    .map(|(offset, record)| LogRecord { offset, record })
                    .collect();
                let mut routed = router.route(&id, &records);
                for letter in &mut routed.dead_letters {
                    letter.offset -= *before;
                }
                let mut letters = routed.dead_letters;
                letters.extend(refused.into_iter().map(|line| letter(&topic, table, line)));
                let mut changes = routed.changes;
                if !letters.is_empty() {
                    work.refused += letters.len();
                    let letters = dead_letters::changes(work.epoch + 1, &id, &letters);
                    changes.push(letters.doing("writing down dead letters")?);
                }
                work.step(changes)?;
            }
            *before += rows.count();
            rows_in_all += rows.count();
            let count = with_commas(rows.count());
            reporter.info(&format!("{topic}: {count} rows of `{table}`"));
        }
        // Nothing comes any more: windows close.
        let tables = project.tables();
        let logs = tables.iter().filter(|table| table.event_time.is_some());
        let ends = logs.map(|table| (table.name.clone(), END_OF_TIME_US));
        work.engine.advance_watermarks(&ends.collect());
        work.step(Vec::new())?;
        let meta = CheckpointMeta {
            version: META_VERSION,
            is_batch: true,
            cut: EpochCut {
                epoch: work.epoch,
                end_offsets: BTreeMap::new(),
            },
            idle: BTreeSet::new(),
            idle_changes: Vec::new(),
            definitions: Definitions::new(project, program, Default::default()),
        };
        let request = CheckpointRequest {
            epoch: work.epoch,
            changed_parts: BTreeMap::new(),
            live_parts: BTreeSet::new(),
            meta: serde_json::to_value(&meta).doing("writing the result")?,
        };
        work.store.checkpoint(request).doing("writing the result")?;
        if work.refused > 0 {
            reporter.warn(&format!(
                "{} rows could not be read; they are in {}",
                with_commas(work.refused as u64),
                dead_letters::DEAD_LETTERS
            ));
        }
        Ok(rows_in_all)
    }
}

/// The dead letter of a line that is no row.
fn letter(topic: &str, table: &str, line: RefusedLine) -> DeadLetter {
    DeadLetter {
        topic: topic.to_owned(),
        partition: 0,
        offset: line.number,
        table: table.to_owned(),
        column: String::new(),
        reason: line.reason,
        detail: line.detail,
        payload: String::new(),
        capture_time_us: 0,
    }
}

/// Engine and store, step by step.
struct Work {
    engine: Engine,
    store: Store,
    epoch: Epoch,
    refused: usize,
}

impl Work {
    fn step(&mut self, changes: Vec<TableChanges>) -> Result<(), Failure> {
        self.epoch += 1;
        let EpochOutput { epoch, deltas } = self
            .engine
            .step(self.epoch, changes)
            .doing("computing the views")?;
        self.store
            .apply(epoch, &deltas)
            .doing("storing the views")?;
        if self.store.memory().unwritten_bytes > UNWRITTEN_BYTES_MAX {
            self.store.write_out().doing("writing rows out")?;
        }
        Ok(())
    }
}
