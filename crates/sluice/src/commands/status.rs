//! `sluice status`: is it running, where, and what does it hold?

use std::io::Write;
use std::path::Path;
use std::sync::Arc;

use arrow::util::display::array_value_to_string;
use sluice_core::{Disk, RealDisk};
use sluice_engine::EVALUATION_ERRORS;
use sluice_store::Store;

use crate::address;
use crate::dead_letters::DEAD_LETTERS;
use crate::failure::{Doing, Failure};
use crate::lock::lock_to_read;
use crate::project::Project;
use crate::report::with_commas;
use crate::sql::Connection;

/// What is said of sources that cannot be read.
const FAILING_SOURCES: &str = "SELECT 'failing: source ' || source || ' cannot be read since ' || date_trunc('second', failing_since) || ': ' || error FROM sluice_sources WHERE state = 'failing' ORDER BY source";

/// Prints the status of the warehouse of a project, or of a state folder.
///
/// # Errors
/// When there is none, or it cannot be asked.
pub fn run(folder: Option<&Path>, state: Option<&Path>) -> Result<(), Failure> {
    let state = match (state, folder) {
        (Some(state), _) => state.to_path_buf(),
        (None, folder) => {
            let folder = folder.unwrap_or(Path::new("."));
            Project::load(folder, &[])?.state_folder(None)
        }
    };
    let counts = match lock_to_read(&state)? {
        Some(_lock) => stored_counts(&state)?,
        None => running_counts(&state)?,
    };
    for (name, rows) in &counts {
        say(format!("  {name:<40} {:>12} rows", with_commas(*rows)));
    }
    let count_of = |wanted: &str| {
        let found = counts.iter().find(|(name, _)| name == wanted);
        found.map_or(0, |(_, rows)| *rows)
    };
    if count_of(EVALUATION_ERRORS) > 0 {
        say(format!(
            "degraded: rows failed in a view, see {EVALUATION_ERRORS}"
        ));
    }
    if count_of(DEAD_LETTERS) > 0 {
        say(format!("records could not become rows, see {DEAD_LETTERS}"));
    }
    Ok(())
}

fn stored_counts(state: &Path) -> Result<Vec<(String, u64)>, Failure> {
    let disk: Arc<dyn Disk> = Arc::new(RealDisk);
    let folder = state.join("store");
    let (snapshot, _) = Store::open_read_only(disk, &folder)
        .doing(&format!("reading the store in {}", folder.display()))?;
    say(format!(
        "stopped, last checkpoint at epoch {}",
        snapshot.epoch()
    ));
    let collections = snapshot.collections();
    let counts = collections.iter().map(|collection| {
        let rows = snapshot.row_count(&collection.name).unwrap_or_default();
        (collection.name.clone(), rows)
    });
    Ok(counts.collect())
}

fn running_counts(state: &Path) -> Result<Vec<(String, u64)>, Failure> {
    let found = address::find(state)?;
    say(format!(
        "{}: running as process {}, page and API at http://{}, PostgreSQL wire at {}",
        found.name, found.process_id, found.http, found.postgres
    ));
    if let Some(models) = found.models {
        say(models);
    }
    let connection = Connection::open(state)?;
    for failing in first_column(&connection, FAILING_SOURCES)? {
        say(failing);
    }
    let tables = "SELECT table_name FROM information_schema.tables WHERE table_schema = 'public' ORDER BY table_name";
    let mut counts = Vec::new();
    for name in first_column(&connection, tables)? {
        let quoted = name.replace('"', "\"\"");
        let count = first_column(&connection, &format!("SELECT count(*) FROM \"{quoted}\""))?;
        let rows = count.first().and_then(|text| text.parse().ok());
        counts.push((name, rows.unwrap_or_default()));
    }
    Ok(counts)
}

fn first_column(connection: &Connection, sql: &str) -> Result<Vec<String>, Failure> {
    let result = connection.query(sql)?;
    let mut values = Vec::new();
    for batch in &result.batches {
        for row in 0..batch.num_rows() {
            let value = array_value_to_string(batch.column(0), row);
            values.push(value.doing("reading the answer")?);
        }
    }
    Ok(values)
}

/// Writes a line; whoever closed the pipe has seen enough.
fn say(line: String) {
    let _ = writeln!(std::io::stdout(), "{line}");
}
