//! The alarms of a project: read from `alerts/*.toml`, and checked against its
//! tables and models.

use std::path::Path;
use std::sync::Arc;

use sluice_core::{RealDisk, SimulatedDisk};
use sluice_engine::Program;
use sluice_serve::{Metrics, QueryEngine, SnapshotSource};
use sluice_store::{Store, StoreOptions};
use sluice_watch::{Alert, Report, Reporting, WatchError, Watcher, parse_alert};

use super::reports::{self, load_reports};
use super::settings::{mail_server, mail_server_without_login, receivers, watch_options};
use super::tables::{AlarmsTable, MetricsTable, OwnersTable, SourcesTable, TriedLettersTable};
use crate::extended::Folders;
use crate::failure::{Doing, Failure};
use crate::pipeline::{SourceStates, TriedLetters, collection_definitions};
use crate::project::{Project, read_text};
use crate::running_views::OperatorReports;
use crate::serving::{EngineSettings, query_engine};
use crate::settings::{Quoting, substitute};

/// Reads the alarms of a project.
///
/// # Errors
/// Everything that is wrong with them, with file, line and column.
pub fn load_alerts(project: &Project) -> Result<Vec<Alert>, Failure> {
    read_each(project, "alerts", parse_alert)
}

/// Reads each file of a folder of the project; `parse` gets its name without
/// ending, its path and its text with settings put in.
pub(super) fn read_each<T>(
    project: &Project,
    folder: &str,
    parse: fn(&str, &str, &str) -> Result<T, WatchError>,
) -> Result<Vec<T>, Failure> {
    let folders = Folders::new(&project.folder, project.config.extends.as_deref());
    let mut found = Vec::new();
    let mut problems = Vec::new();
    for path in folders.files(folder, "toml")? {
        let shown = path.display().to_string();
        let text = read_text(&path)?;
        let text = match substitute(&text, &project.settings, Quoting::Toml) {
            Ok(text) => text,
            Err(unknown) => {
                problems.push(format!(
                    "{shown}:{}:{}: there is no setting `{}`\n  help: add it under [settings] in warehouse.toml",
                    unknown.line, unknown.column, unknown.name
                ));
                continue;
            }
        };
        let name = path.file_stem().unwrap_or_default().to_string_lossy();
        match parse(&name, &shown, &text) {
            Ok(parsed) => found.push(parsed),
            Err(error) => problems.push(error.to_string()),
        }
    }
    match problems.is_empty() {
        true => Ok(found),
        false => Err(Failure::Definitions(problems.join("\n"))),
    }
}

/// Checks alarms and reports: their queries are planned, and have the columns
/// that they name. Their owners can be reached, where mail goes out.
///
/// # Errors
/// Everything that is wrong, with the file.
pub fn check_alerts(
    project: &Project,
    program: &Program,
    alerts: &[Alert],
    reports: &[Report],
) -> Result<(), Failure> {
    watch_options(project, None)?;
    let engine = engine_without_rows(project, program)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .doing("starting a thread")?;
    let mut problems = Vec::new();
    for alert in alerts {
        let columns = runtime.block_on(engine.columns(&alert.sql_until(0)));
        let problem = match columns {
            Ok(columns) => alert.problem(&columns),
            Err(error) => Some(error.to_string()),
        };
        if let Some(problem) = problem {
            problems.push(format!("{}:{}:1: {problem}", alert.file, alert.sql_line));
        }
    }
    problems.extend(reports::problems(&engine, &runtime, reports));
    if project.config.mail.is_some() {
        problems.extend(unknown_owners(project, alerts));
    }
    match problems.is_empty() {
        true => Ok(()),
        false => Err(Failure::Definitions(problems.join("\n"))),
    }
}

fn unknown_owners(project: &Project, alerts: &[Alert]) -> Vec<String> {
    // Whether the password is there matters when the warehouse runs.
    let Some(server) = mail_server_without_login(project) else {
        return Vec::new();
    };
    let file = project.folder.join("warehouse.toml").display().to_string();
    let whole = project.config.owner.clone().unwrap_or_default();
    let captures = project.sources.captures().iter();
    let of_sources = captures.filter_map(|capture| {
        let place = format!(
            "{}: topic `{}`",
            project.folder.join("sources").display(),
            capture.topic
        );
        Some((place, capture.owner.clone()?))
    });
    let of_alerts = alerts
        .iter()
        .filter_map(|alert| Some((alert.file.clone(), alert.owner.clone()?)));
    let owners = std::iter::once((format!("{file}: `owner` of the warehouse"), whole));
    let owners = owners.chain(of_sources).chain(of_alerts);
    let problems = owners.filter_map(|(place, owner)| {
        let problem = server.addresses(&owner).err()?;
        Some(format!("{place}: {problem}"))
    });
    problems.collect()
}

/// Answers queries over the project's tables and views, all of them empty.
///
/// # Errors
/// When a query view cannot be planned.
pub fn engine_without_rows(project: &Project, program: &Program) -> Result<QueryEngine, Failure> {
    let what = "preparing to check queries";
    let disk = Arc::new(SimulatedDisk::new(0));
    let folder = Path::new("/check");
    let (mut store, _) = Store::open(disk.clone(), folder, StoreOptions::default()).doing(what)?;
    store.define(collection_definitions(program)).doing(what)?;
    let snapshot = store.snapshot();
    let source: SnapshotSource = Arc::new(move || snapshot.clone());
    let engine = query_engine(
        &project.config.limits,
        project.config.time_zone.get_ref(),
        program.query_views().to_vec(),
        program.functions().clone(),
        Vec::new(),
        EngineSettings::default(),
        source,
    )?;
    let views = Arc::new(OperatorReports::default());
    engine.explain_with(views).doing(what)?;
    let watcher = Watcher::open(
        watch_options(project, None)?,
        Vec::new(),
        Vec::new(),
        disk,
        folder,
        Arc::new(sluice_core::SystemClock),
    );
    let watcher = Arc::new(watcher.doing(what)?);
    add_tables(
        &engine,
        project,
        &watcher,
        &Arc::default(),
        &SourceStates::default(),
        TriedLetters::default(),
    )?;
    Ok(engine)
}

/// Adds the tables about the warehouse itself that alarms may ask.
///
/// # Errors
/// When their rows cannot be made.
pub fn add_tables(
    engine: &QueryEngine,
    project: &Project,
    watcher: &Arc<Watcher>,
    metrics: &Arc<Metrics>,
    sources: &SourceStates,
    tried: TriedLetters,
) -> Result<(), Failure> {
    let what = "preparing the tables about the warehouse itself";
    let owner = project.config.owner.clone().unwrap_or_default();
    let sources = SourcesTable {
        states: sources.clone(),
        owner: owner.clone(),
        metrics: metrics.clone(),
    };
    let add = |name: &str, table| engine.add_table(name, table).doing(what);
    add("sluice_sources", Arc::new(sources))?;
    add("sluice_metrics", Arc::new(MetricsTable(metrics.clone())))?;
    add("sluice_alarms", Arc::new(AlarmsTable(watcher.clone())))?;
    let tried = TriedLettersTable(tried);
    add("sluice_tried_letters", Arc::new(tried))?;
    add("sluice_owners", Arc::new(OwnersTable::new(project, &owner)))
}

/// The reports of a project, where it has some, mail goes out and it is not quiet.
///
/// # Errors
/// When a file is wrong, or a secret is missing.
pub fn open_reporting(project: &Project) -> Result<Option<Reporting>, Failure> {
    let reports = load_reports(project)?;
    if project.config.alarms.quiet {
        return Ok(None);
    }
    let Some(server) = mail_server(project)?.filter(|_| !reports.is_empty()) else {
        return Ok(None);
    };
    let options = watch_options(project, None)?;
    let clock = Arc::new(sluice_core::SystemClock);
    Ok(Some(Reporting::new(options, reports, server, clock)))
}

/// The alarms of a project, going on where they were.
///
/// # Errors
/// When a file is wrong, a secret is missing or the state cannot be read.
pub fn open_watcher(project: &Project, state: &Path) -> Result<Watcher, Failure> {
    let http = project.config.http_address();
    let link = (http.port() != 0).then(|| format!("http://{http}/api/v1/alarms"));
    let watcher = Watcher::open(
        watch_options(project, link)?,
        load_alerts(project)?,
        receivers(project)?,
        Arc::new(RealDisk),
        &state.join("watch"),
        Arc::new(sluice_core::SystemClock),
    );
    watcher.doing("opening the state of alarms")
}
