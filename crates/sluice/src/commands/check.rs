//! `sluice check`: is the project right? Changes no state.

use std::collections::BTreeSet;
use std::path::Path;

use sluice_engine::Program;

use crate::access;
use crate::docs::ProjectDocs;
use crate::extended::Folders;
use crate::failure::Failure;
use crate::mask_history;
use crate::pipeline::missing_secrets;
use crate::project::Project;
use crate::report::Reporter;
use crate::secret::missing_of_settings;
use crate::source_connections;
use crate::watching::{check_alerts, load_alerts, load_reports};

/// Checks the project in `folder`, and returns it. `state` is the folder of its state,
/// where that is another than the project says.
///
/// # Errors
/// Everything that is wrong with it.
pub fn run(
    folder: &Path,
    overrides: &[(String, String)],
    state: Option<&Path>,
    reporter: Reporter,
) -> Result<Project, Failure> {
    let project = Project::load(folder, overrides)?;
    let program = project.plan()?;
    let project = project.check_panels(&program)?;
    for warning in program.warnings() {
        reporter.warn(warning);
    }
    access::check(&project, &program)?;
    if let Some(warning) = source_connections::check(&project)? {
        reporter.warn(&warning);
    }
    // It may run elsewhere, where they are set.
    let missing = missing_secrets(&project);
    let mut missing: BTreeSet<String> = missing.iter().map(ToString::to_string).collect();
    missing.extend(missing_of_settings(&project)?);
    for problem in &missing {
        reporter.warn(problem);
    }
    if let Some(traces) = &project.config.traces
        && let Err(problem) = traces.headers(&project.folder)
    {
        reporter.warn(&problem.to_string());
    }
    let alerts = load_alerts(&project)?;
    let reports = load_reports(&project)?;
    check_alerts(&project, &program, &alerts, &reports)?;
    mask_history::tell_of_new_masks(&project, &project.state_folder(state), reporter)?;
    tell_of_absent_tables(folder, &project, &program, reporter)?;
    let views = program.collections().iter().filter(|found| found.is_view);
    // One of them is the engine's own collection of evaluation errors.
    let view_count = views.count().saturating_sub(1);
    reporter.info(&format!(
        "{}: ok for the profile {:?}: {} topics, {} tables, {view_count} materialized views, {} query views, {} alarms, {} panels",
        project.config.name,
        project.config.profile,
        project.sources.topics().len(),
        project.sources.tables().len(),
        program.query_views().len(),
        alerts.len(),
        project.panels.len(),
    ));
    Ok(project)
}

/// Says which models have no rows, or lack a part, because the shop of a project
/// that extends another one does not have all tables.
fn tell_of_absent_tables(
    folder: &Path,
    project: &Project,
    program: &Program,
    reporter: Reporter,
) -> Result<(), Failure> {
    let folders = Folders::new(folder, project.config.extends.as_deref());
    let absent = folders.absent_tables()?;
    if absent.is_empty() {
        return Ok(());
    }
    let models = ProjectDocs::new(project, program).models;
    let mut empty = absent.clone();
    loop {
        let all_empty = models.values().filter(|model| {
            let inputs = &model.inputs;
            !inputs.is_empty() && inputs.iter().all(|input| empty.contains(input))
        });
        let names: BTreeSet<String> = all_empty.map(|model| model.name.clone()).collect();
        if names.is_subset(&empty) {
            break;
        }
        empty.extend(names);
    }
    let lacking = models.values().filter(|model| {
        !empty.contains(&model.name) && model.inputs.iter().any(|input| empty.contains(input))
    });
    let list = |names: Vec<&str>| match names.is_empty() {
        true => "none".to_owned(),
        false => names.join(", "),
    };
    let without_rows = empty.difference(&absent).map(String::as_str);
    reporter.info(&format!(
        "the shop has no table for {}\n  models without rows: {}\n  models that lack their part: {}",
        list(absent.iter().map(String::as_str).collect()),
        list(without_rows.collect()),
        list(lacking.map(|model| model.name.as_str()).collect()),
    ));
    Ok(())
}
