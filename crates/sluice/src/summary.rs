//! What `--until-idle` says at its end.

use std::io::Write;
use std::path::Path;

use sluice_engine::EVALUATION_ERRORS;

use crate::dead_letters::DEAD_LETTERS;
use crate::failure::{Doing, Failure};
use crate::pipeline::Warehouse;
use crate::report::with_commas;

/// How long it took.
pub struct Took {
    /// From the start to the end.
    pub elapsed_us: i64,
    /// The checkpoint at the end, which is part of it.
    pub checkpoint_us: i64,
    /// What that took of the processors.
    pub checkpoint_cpu_us: u64,
}

/// Prints the summary to standard output.
///
/// # Errors
/// When standard output is closed.
pub fn print(warehouse: &Warehouse, took: &Took, state: &Path) -> Result<(), Failure> {
    write(&mut std::io::stdout().lock(), warehouse, took, state).doing("writing the summary")
}

fn write(
    output: &mut dyn Write,
    warehouse: &Warehouse,
    took: &Took,
    state: &Path,
) -> std::io::Result<()> {
    let progress = warehouse.progress();
    let seconds = took.elapsed_us as f64 / 1e6;
    writeln!(
        output,
        "{} records in {seconds:.2} s ({} a second) in {} epochs; the warehouse is at epoch {}",
        with_commas(progress.records),
        with_commas((progress.records as f64 / seconds.max(1e-6)) as u64),
        with_commas(progress.epochs),
        warehouse.epoch(),
    )?;
    writeln!(
        output,
        "  of it the checkpoint at the end: {:.2} s, {:.2} s of processors",
        took.checkpoint_us as f64 / 1e6,
        took.checkpoint_cpu_us as f64 / 1e6,
    )?;
    let snapshot = warehouse.published().snapshot();
    let mut dead_letters = 0;
    let mut evaluation_errors = 0;
    for collection in snapshot.collections() {
        let rows = snapshot.row_count(&collection.name).unwrap_or_default();
        match collection.name.as_str() {
            DEAD_LETTERS => dead_letters = rows,
            EVALUATION_ERRORS => evaluation_errors = rows,
            name => writeln!(output, "  {name:<40} {:>12} rows", with_commas(rows))?,
        }
    }
    if dead_letters > 0 {
        writeln!(
            output,
            "{} records could not become rows: SELECT reason, detail, payload FROM {DEAD_LETTERS}",
            with_commas(dead_letters)
        )?;
    }
    if evaluation_errors > 0 {
        writeln!(
            output,
            "{} rows failed in a view: SELECT * FROM {EVALUATION_ERRORS}",
            with_commas(evaluation_errors)
        )?;
    }
    writeln!(
        output,
        "ask: sluice sql --state {} \"SELECT …\"",
        state.display()
    )
}
