//! `sluice backfill`: rows of exported files for a table of a warehouse, running or
//! stopped, whose changes may be captured at the same time.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::json;
use sluice_core::{Clock, SystemClock, stable_hash};
use sluice_serve::{ExportPlan, ExportedPart, NotTaken, TakeRows};

use crate::commands::running::{self, Place};
use crate::diversion::{masks_in_force, with_rules_in_force};
use crate::exported_csv::Portion;
use crate::exported_rows::{ExportedRows, content_hash, exported_files};
use crate::failure::{Doing, Failure};
use crate::lock::{StateLock, lock_to_read, lock_to_write};
use crate::pipeline::{RowTaker, SourcesInForce, Surroundings, open_log};
use crate::project::Project;
use crate::report::{Reporter, with_commas};
use crate::{mask_history, masking};

const PATH: &str = "/api/v1/backfill";
const PLAN_PATH: &str = "/api/v1/backfill/plan";
/// Bytes and rows that are sent at a time.
const PART_BYTES_MAX: usize = 4 << 20;
const PART_ROWS_MAX: usize = 20_000;
/// How often it is said how far a file is.
const PROGRESS_INTERVAL_US: i64 = 2_000_000;
/// So many lines that are no rows are told one by one.
const TOLD_LINES_MAX: u64 = 10;

/// What the person asked for.
#[derive(Debug, clap::Args)]
pub struct BackfillOptions {
    /// A table of the warehouse.
    table: String,
    /// .parquet and .csv files with rows for it, or folders of such files. Of two rows
    /// with one key the later one counts.
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
    #[command(flatten)]
    place: Place,
}

/// An export that is to be brought.
struct Export {
    name: String,
    rows: ExportedRows,
    /// The columns of the table that its rows have.
    columns: BTreeSet<String>,
    print: u64,
}

/// Brings the rows.
///
/// # Errors
/// When a file does not fit the table, or the warehouse does not take its rows. What
/// was brought is not brought twice when the command is given again.
pub fn run(options: &BackfillOptions, reporter: Reporter) -> Result<(), Failure> {
    let project = Project::load(options.place.project(), &[])?;
    let state = options.place.state_folder(&project);
    match lock_to_read(&state)? {
        None => {
            let running = Running(&options.place);
            bring(options, &project, &running, reporter)
        }
        Some(lock) => {
            // Whoever reads it keeps others from writing.
            drop(lock);
            let stopped = Stopped::open(&project, &state, reporter)?;
            bring(options, &project, &stopped, reporter)
        }
    }
}

/// A warehouse that rows are brought to.
trait Brought {
    fn plan(&self, table: &str, columns: &[String]) -> Result<ExportPlan, Failure>;
    /// Gives the number of the first row that it did not take yet, as far as it knows.
    fn take(&self, part: ExportedPart) -> Result<u64, Failure>;
}

/// One that runs, which is asked.
struct Running<'a>(&'a Place);

impl Brought for Running<'_> {
    fn plan(&self, table: &str, columns: &[String]) -> Result<ExportPlan, Failure> {
        let body = json!({ "table": table, "columns": columns });
        let answer = running::ask(self.0, "POST", PLAN_PATH, Some(body.to_string()))?;
        let what = "reading the answer of the running warehouse";
        let columns = serde_json::from_value(answer["columns"].clone()).doing(what)?;
        let has_key = serde_json::from_value(answer["has_key"].clone()).doing(what)?;
        Ok(ExportPlan { columns, has_key })
    }

    fn take(&self, part: ExportedPart) -> Result<u64, Failure> {
        let body = json!({
            "table": part.table,
            "export": format!("{:016x}", part.export),
            "columns": part.columns,
            "rows": part.rows,
        });
        let answer = running::ask(self.0, "POST", PATH, Some(body.to_string()))?;
        let what = "reading the answer of the running warehouse";
        serde_json::from_value(answer["next"].clone()).doing(what)
    }
}

/// One that is stopped: its log is written for its next start.
struct Stopped {
    _lock: StateLock,
    taker: RowTaker,
}

impl Stopped {
    fn open(project: &Project, state: &Path, reporter: Reporter) -> Result<Self, Failure> {
        let lock = lock_to_write(state)?;
        if !state.join("log").exists() {
            return Err(Failure::Definitions(format!(
                "{} holds no log: rows of exports are brought to a warehouse that `sluice run` has made from its sources",
                state.display()
            )));
        }
        let project = with_rules_in_force(project, state)?;
        let had_keys = masking::has_keys(&project, state);
        let masks = Arc::new(masking::open(&project, state, reporter)?);
        masks.set_rules(masks_in_force(&project, state)?, 0);
        let surroundings = Surroundings::of_machine(reporter);
        let log = Arc::new(open_log(&surroundings.disk, &project, state, reporter)?);
        // What is masked from here on is masked in these rows, too.
        mask_history::remember(&project, state, &log, had_keys, reporter)?;
        let sources = SourcesInForce::new(project.sources.clone());
        Ok(Self {
            _lock: lock,
            taker: RowTaker::new(log, masks, sources),
        })
    }
}

fn not_taken(why: NotTaken) -> Failure {
    match why {
        NotTaken::Refused(why) | NotTaken::Unavailable(why) => Failure::Failed(why),
    }
}

impl Brought for Stopped {
    fn plan(&self, table: &str, columns: &[String]) -> Result<ExportPlan, Failure> {
        self.taker.plan(table, columns).map_err(not_taken)
    }

    fn take(&self, part: ExportedPart) -> Result<u64, Failure> {
        self.taker.take(part).map_err(not_taken)
    }
}

/// Opens a file whose rows are for a table.
fn open(project: &Project, to: &dyn Brought, table: &str, file: &Path) -> Result<Export, Failure> {
    let name = file.display().to_string();
    let mut rows = ExportedRows::open(file, project.config.limits.record_bytes_max)?;
    let fields = rows.schema().fields().iter();
    let fields: Vec<String> = fields.map(|field| field.name().clone()).collect();
    let plan = to.plan(table, &fields);
    let plan = plan.map_err(|failure| Failure::Failed(format!("{name}: {failure}")))?;
    let columns = plan.columns.iter();
    rows.keep(columns.map(|pair| (&pair.0, &pair.1)));
    let hash = content_hash(file).doing(&format!("reading {name}"))?;
    let mut identity = hash.to_le_bytes().to_vec();
    // Rows with other columns replace those with the same key. Where there is none,
    // they would come twice.
    if plan.has_key {
        for (field, column) in &plan.columns {
            identity.extend_from_slice(format!("\n{field}\t{column}").as_bytes());
        }
    }
    Ok(Export {
        name,
        rows,
        columns: plan.columns.into_iter().map(|(_, column)| column).collect(),
        print: stable_hash(&identity),
    })
}

/// Brings the rows of all files, part by part.
fn bring(
    options: &BackfillOptions,
    project: &Project,
    to: &dyn Brought,
    reporter: Reporter,
) -> Result<(), Failure> {
    let table = options.table.as_str();
    // All files are looked at before a row of any is brought.
    let mut exports = Vec::new();
    for path in &options.files {
        for file in exported_files(path)? {
            exports.push(open(project, to, table, &file)?);
        }
    }
    let mut no_rows = 0;
    for mut export in exports {
        let what = format!("reading {}", export.name);
        let new_part = || ExportedPart {
            table: table.to_owned(),
            export: export.print,
            columns: export.columns.clone(),
            rows: Vec::new(),
        };
        // Of what an earlier try brought it goes on behind.
        let first = to.take(new_part())?;
        let (mut part, mut bytes) = (new_part(), 0);
        let mut said_us = SystemClock.now_us();
        while let Some(Portion {
            records,
            numbers,
            refused,
        }) = export.rows.next_records()?
        {
            for line in refused {
                no_rows += 1;
                if no_rows <= TOLD_LINES_MAX {
                    reporter.warn(&format!("{}: {}: no row", export.name, line.detail));
                }
            }
            let rows = numbers.into_iter().zip(records);
            for (number, record) in rows.filter(|(number, _)| *number >= first) {
                let row = String::from_utf8(record.payload.to_vec()).doing(&what)?;
                bytes += row.len();
                part.rows.push((number, row));
                if bytes >= PART_BYTES_MAX || part.rows.len() >= PART_ROWS_MAX {
                    to.take(std::mem::replace(&mut part, new_part()))?;
                    bytes = 0;
                }
            }
            let now_us = SystemClock.now_us();
            if now_us - said_us >= PROGRESS_INTERVAL_US {
                said_us = now_us;
                let count = with_commas(export.rows.count());
                reporter.info(&format!("{}: {count} rows so far", export.name));
            }
        }
        if !part.rows.is_empty() {
            to.take(part)?;
        }
        let count = with_commas(export.rows.count());
        let before = match first {
            0 => String::new(),
            first => format!(", {} of them before", with_commas(first)),
        };
        reporter.info(&format!(
            "{}: {count} rows for `{table}`{before}",
            export.name
        ));
    }
    if no_rows > 0 {
        reporter.warn(&format!(
            "{} lines are no rows, and were left out\n  help: bring them, mended, in a file of their own: a file that has changed is another export",
            with_commas(no_rows)
        ));
    }
    Ok(())
}
