//! Plans the panels of a project over its models, with the engine that answers
//! them and a store without rows.

use sluice_engine::Program;
use sluice_serve::Panels;

use crate::failure::Failure;
use crate::project::Project;
use crate::watching::engine_without_rows;

/// The panels of `project` over the models of `program`.
///
/// # Errors
/// Everything that is wrong with them.
pub fn check(project: &Project, program: &Program) -> Result<Panels, Failure> {
    if project.panel_definitions.panels.is_empty() {
        return Ok(Panels::default());
    }
    let engine = engine_without_rows(project, program)?;
    Panels::check(&project.panel_definitions, &engine).map_err(|errors| {
        let lines: Vec<String> = errors.iter().map(ToString::to_string).collect();
        Failure::Definitions(lines.join("\n"))
    })
}
