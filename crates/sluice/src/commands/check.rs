//! `sluice check`: is the project right? Touches no state.

use std::path::Path;

use crate::access;
use crate::failure::Failure;
use crate::project::Project;
use crate::report::Reporter;
use crate::watching::{check_alerts, load_alerts, load_reports};

/// Checks the project in `folder`, and returns it.
///
/// # Errors
/// Everything that is wrong with it.
pub fn run(
    folder: &Path,
    overrides: &[(String, String)],
    reporter: Reporter,
) -> Result<Project, Failure> {
    let project = Project::load(folder, overrides)?;
    let program = project.plan()?;
    let project = project.check_panels(&program)?;
    for warning in program.warnings() {
        reporter.warn(warning);
    }
    access::check(&project)?;
    let alerts = load_alerts(&project)?;
    let reports = load_reports(&project)?;
    check_alerts(&project, &program, &alerts, &reports)?;
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
