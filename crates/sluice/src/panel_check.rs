//! Plans the panels of a project over its models, with the engine that answers
//! them and a store without rows.

use std::path::Path;
use std::sync::Arc;

use sluice_core::SimulatedDisk;
use sluice_engine::Program;
use sluice_serve::{Panels, SnapshotSource};
use sluice_store::{Store, StoreOptions};

use crate::failure::{Doing, Failure};
use crate::pipeline::collection_definitions;
use crate::project::Project;
use crate::serving::{EngineSettings, query_engine};

/// The panels of `project` over the models of `program`.
///
/// # Errors
/// Everything that is wrong with them.
pub fn check(project: &Project, program: &Program) -> Result<Panels, Failure> {
    if project.panel_definitions.panels.is_empty() {
        return Ok(Panels::default());
    }
    let what = "preparing to check the panels";
    let disk = Arc::new(SimulatedDisk::new(0));
    let opened = Store::open(disk, Path::new("/panels"), StoreOptions::default());
    let (mut store, _) = opened.doing(what)?;
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
    Panels::check(&project.panel_definitions, &engine).map_err(|errors| {
        let lines: Vec<String> = errors.iter().map(ToString::to_string).collect();
        Failure::Definitions(lines.join("\n"))
    })
}
