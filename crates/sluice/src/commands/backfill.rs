//! `sluice backfill`: rows of exported files for the tables of a running
//! warehouse.

use std::path::PathBuf;

use serde_json::{Value, json};

use crate::commands::running::{self, Place, say};
use crate::diversion::plan_with_known_rules;
use crate::exported_rows::{ExportedRows, exported_files};
use crate::failure::Failure;
use crate::project::Project;
use crate::report::{Reporter, with_commas};

const PATH: &str = "/api/v1/backfill";
/// Rows that are sent at a time.
const ROWS_MAX: usize = 1_000;

/// What the person asked for.
#[derive(Debug, clap::Args)]
pub struct BackfillOptions {
    #[command(flatten)]
    place: Place,
    /// A table, and the .parquet or .csv file with rows for it, or a folder of
    /// such files.
    #[arg(long = "table", value_name = "TABLE=PATH", required = true, value_parser = table_and_path)]
    tables: Vec<(String, PathBuf)>,
}

fn table_and_path(text: &str) -> Result<(String, PathBuf), String> {
    match text.split_once('=') {
        Some((table, path)) if !table.is_empty() && !path.is_empty() => {
            Ok((table.to_owned(), PathBuf::from(path)))
        }
        _ => Err("write TABLE=PATH".to_owned()),
    }
}

/// Brings the rows.
///
/// # Errors
/// When a file does not fit its table, or the warehouse does not run or refuses.
pub fn run(options: &BackfillOptions, reporter: Reporter) -> Result<(), Failure> {
    let place = &options.place;
    let state = running::state_folder(place)?;
    let project = Project::load(place.project(), &[])?;
    let project = plan_with_known_rules(&project, &state, reporter)?.project;
    // All files are looked at before any is sent.
    let mut files = Vec::new();
    for (table, path) in &options.tables {
        for file in exported_files(path)? {
            let rows = ExportedRows::open(&file)?;
            let backfill = project.sources.backfill(table, rows.schema());
            let backfill = backfill.map_err(|error| {
                Failure::Definitions(format!("--table {table}={}: {error}", file.display()))
            })?;
            files.push((table, file, backfill, rows));
        }
    }
    for (table, file, backfill, mut rows) in files {
        let columns = backfill.columns();
        while let Some(values) = rows.next_texts(&columns)? {
            for part in values.chunks(ROWS_MAX) {
                let records = part.iter().map(|row| Value::Object(backfill.record(row)));
                let records: Vec<Value> = records.collect();
                let body = json!({ "topic": backfill.topic(), "records": records });
                running::ask(place, "POST", PATH, Some(body.to_string()))?;
            }
        }
        let count = with_commas(rows.count());
        say(&format!("{}: {count} rows for `{table}`", file.display()));
    }
    Ok(())
}
