//! `sluice check --audit`: do the invariants of a warehouse hold?

use std::path::Path;

use arrow::util::display::array_value_to_string;
use sluice_serve::{OutputFormat, QueryResult, write_result};

use crate::failure::{Doing, Failure};
use crate::report::Reporter;
use crate::sql::Connection;

/// Views with such a name must be empty.
const PREFIX: &str = "audit_";
/// Rows of a violated one that are shown.
const ROWS_SHOWN: usize = 5;

/// Asks every view whose name begins with `audit_`, of a running or stopped
/// warehouse.
///
/// # Errors
/// When one of them has rows, or cannot be asked.
pub fn run(state: &Path, reporter: Reporter) -> Result<(), Failure> {
    let connection = Connection::open(state)?;
    let names = audits(&connection)?;
    let mut violated = Vec::new();
    for name in &names {
        let quoted = name.replace('"', "\"\"");
        let sql = format!("SELECT * FROM \"{quoted}\" LIMIT {ROWS_SHOWN}");
        let result = connection.query(&sql)?;
        if row_count(&result) == 0 {
            continue;
        }
        let mut shown = Vec::new();
        write_result(OutputFormat::Table, &result, &mut shown).doing("writing the answer")?;
        let shown = String::from_utf8_lossy(&shown);
        reporter.error(&format!("{name} is not empty:\n{}", shown.trim_end()));
        violated.push(name.as_str());
    }
    let description = connection.description();
    if violated.is_empty() {
        reporter.info(&format!(
            "{description}: all {} audits are empty",
            names.len()
        ));
        return Ok(());
    }
    Err(Failure::Failed(format!(
        "{description}: {} of {} audits are violated: {}\n  help: the comment on top of each model in models/audit says what it compares",
        violated.len(),
        names.len(),
        violated.join(", ")
    )))
}

fn audits(connection: &Connection) -> Result<Vec<String>, Failure> {
    let sql = "SELECT table_name FROM information_schema.tables WHERE table_schema = 'public' ORDER BY table_name";
    let result = connection.query(sql)?;
    let mut names = Vec::new();
    for batch in &result.batches {
        for row in 0..batch.num_rows() {
            let name = array_value_to_string(batch.column(0), row).doing("reading the answer")?;
            if name.starts_with(PREFIX) {
                names.push(name);
            }
        }
    }
    Ok(names)
}

fn row_count(result: &QueryResult) -> usize {
    result.batches.iter().map(|batch| batch.num_rows()).sum()
}
