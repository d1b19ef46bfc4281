//! `sluice run --batch`: the models once over history that lies in Parquet or
//! CSV files. The result is read as a stopped warehouse is.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sluice_core::{
    Clock, Disk, Epoch, EpochCut, LogRecord, PartitionId, RealDisk, SystemClock, TableChanges,
};
use sluice_engine::{Engine, EpochOutput};
use sluice_route::Router;
use sluice_store::{CheckpointRequest, Store, StoreOptions};

use crate::dead_letters;
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
    if store_folder.exists() || state.join("log").exists() {
        return Err(Failure::Definitions(format!(
            "{} holds a warehouse already\n  help: name a new folder with --state",
            state.display()
        )));
    }
    // All files are looked at before any is read.
    let mut files = Vec::new();
    for (table, path) in options.inputs {
        for file in exported_files(path)? {
            let mut rows = ExportedRows::open(&file)?;
            let topic = file.display().to_string();
            let history = project.sources.of_history(table, &topic, rows.schema());
            let history = history.map_err(|error| {
                Failure::Definitions(format!("--batch {table}={topic}: {error}"))
            })?;
            rows.keep(&history.columns);
            files.push((table, topic, history.sources, rows));
        }
    }
    state_memory::install(&project.config.limits, &state)?;
    let disk: Arc<dyn Disk> = Arc::new(RealDisk);
    let (mut store, _) = Store::open(disk, &store_folder, StoreOptions::default())
        .doing(&format!("making a store in {}", store_folder.display()))?;
    store
        .define(collection_definitions(&program))
        .doing("preparing the store")?;
    let threads = project.config.limits.worker_threads;
    let mut work = Work {
        engine: Engine::new(program.clone(), engine_options(threads))
            .doing("starting the engine")?,
        store,
        epoch: 0,
        refused: 0,
    };
    let start_us = SystemClock.now_us();
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
        let masks = masking::open_for(&project, &sources, &state, reporter)?;
        // Of two rows with one key the later one counts, whichever its file.
        let mut offset = *before;
        while let Some(mut records) = rows.next_records()? {
            masks.mask(&topic, &mut records).doing("masking the rows")?;
            let records: Vec<LogRecord> = (offset..)
                .zip(records)
                .map(|(offset, record)| LogRecord { offset, record })
                .collect();
            offset += records.len() as u64;
            let mut routed = router.route(&id, &records);
            for letter in &mut routed.dead_letters {
                letter.offset -= *before;
            }
            let mut changes = routed.changes;
            if !routed.dead_letters.is_empty() {
                work.refused += routed.dead_letters.len();
                let letters = dead_letters::changes(work.epoch + 1, &id, &routed.dead_letters);
                changes.push(letters.doing("writing down dead letters")?);
            }
            work.step(changes)?;
        }
        *before += rows.rows();
        rows_in_all += rows.rows();
        let count = with_commas(rows.rows());
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
        definitions: Definitions::new(&project, &program, Default::default()),
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
    let seconds = (SystemClock.now_us() - start_us) as f64 / 1e6;
    reporter.info(&format!(
        "{} rows in {seconds:.1} s; ask for the result with\n  sluice sql --state {}",
        with_commas(rows_in_all),
        state.display()
    ));
    Ok(())
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
