//! The warehouse goes over to other models and tables between two epochs.
//!
//! Until then readers see the old ones. The change has an epoch of its own,
//! without records, that is durable in the control log with the text of all
//! definitions before anybody sees it: a restart finds the old ones before it and
//! the new ones from it on, and each epoch keeps its content.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use sluice_core::{Delta, Epoch, EpochCut};
use sluice_engine::{EVALUATION_ERRORS, Program, ProgramChange};
use sluice_log::SourceTexts;
use sluice_route::Starts;

use super::Warehouse;
use super::checkpoint_step::Definitions;
use super::rebuild::{
    Finished, NewDefinitions, Origin, Part, Rebuild, RebuildProgress, change_of_errors, compute,
};
use super::recovery::{make_topics, source_places};
use super::route_step::RoutedEpoch;
use super::tables_change::TablesChange;
use crate::failure::{Doing, Failure};
use crate::project::Project;

/// What [`Warehouse::begin_change`] found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Begun {
    /// The models are those in force, or those that are being computed.
    Nothing,
    /// The change is on its way; what it is, for a person.
    Change(String),
}

/// How a change of models ended.
#[derive(Debug)]
pub enum ChangeOutcome {
    /// It holds from this epoch on.
    Applied {
        /// The epoch.
        epoch: Epoch,
        /// What changed, for a person.
        description: String,
        /// Time that it took, in microseconds.
        elapsed_us: i64,
    },
    /// It could not be computed; the old models stay in force.
    Failed(Failure),
}

impl Warehouse {
    /// Begins to go over to the models and tables of `project`. Until
    /// [`Warehouse::poll_change`] says so, everything is as before.
    ///
    /// # Errors
    /// When what is new cannot be computed. The definitions in force stay so.
    pub fn begin_change(&mut self, project: &Project, program: &Program) -> Result<Begun, Failure> {
        let mut definitions = Definitions::new(project, program, Starts::new());
        let wanted = definitions.fingerprint;
        let on_its_way = self.rebuild.as_ref();
        let captures = project.sources.captures();
        if on_its_way.is_some_and(|it| it.is_to(wanted, captures)) {
            return Ok(Begun::Nothing);
        }
        if let Some(old) = self.rebuild.take() {
            old.cancel();
        }
        if wanted == self.definitions.fingerprint {
            return Ok(Begun::Nothing);
        }
        let functions = |program: &Program| {
            let functions = program.functions();
            (
                functions.user_dictionary().to_owned(),
                functions.uniq_ids_max(),
            )
        };
        if functions(program) != functions(self.program()) {
            return Err(Failure::Definitions(
                "dictionary.txt or limits.uniq_ids_max has changed: that takes effect at the next start\n  help: restart the warehouse; it is then computed again from the start of the log".into(),
            ));
        }
        make_topics(&self.log, project)?;
        let tables = self.tables_change(project, &self.definitions.rule_starts);
        let change = ProgramChange::of_tables(self.program(), program, &tables.other_rows());
        if change.touches_unique_ids() {
            return Err(Failure::Definitions(
                "models with uniq_state have changed: they take effect at the next start\n  help: restart the warehouse; it is then computed again from the start of the log".into(),
            ));
        }
        definitions.starts = tables.starts_before(&self.log);
        let new = NewDefinitions {
            change,
            models: project.models(),
            definitions,
            tables,
            captures: captures.to_vec(),
        };
        let description = new.describe();
        let writer = self.surroundings.checkpoint_writer;
        let clock = self.surroundings.clock.clone();
        let origin = Origin {
            places: source_places(project, self.surroundings.reporter),
            ..self.origin()
        };
        let rebuild = Rebuild::start(new, origin, writer, clock.as_ref())?;
        self.rebuild = Some(rebuild);
        Ok(Begun::Change(description))
    }

    /// Whether the tables in force are not those of `project`.
    pub fn has_other_sources(&self, project: &Project) -> bool {
        let sources = Some(project.sources_fingerprint());
        self.definitions.sources != sources
    }

    /// `given` are beginnings of tables that are known already.
    fn tables_change(&self, project: &Project, given: &Starts) -> Arc<TablesChange> {
        Arc::new(TablesChange::new(
            &self.sources,
            &project.sources,
            &self.definitions.starts,
            given,
            &self.log,
        ))
    }

    /// Completes a change of models whose new part has been computed.
    ///
    /// # Errors
    /// When the change could not be recorded or applied. What is on disk is
    /// whole.
    pub fn poll_change(&mut self) -> Result<Option<ChangeOutcome>, Failure> {
        let Some(mut rebuild) = self.rebuild.take() else {
            return Ok(None);
        };
        match rebuild.is_nearly_done() {
            // A checkpoint on its way names the segments of the old views.
            Ok(is_done) if !is_done || self.writing.is_some() => {
                self.rebuild = Some(rebuild);
                return Ok(None);
            }
            Ok(_) => {}
            Err(failure) => return Ok(Some(ChangeOutcome::Failed(failure))),
        }
        let now_us = self.surroundings.clock.now_us();
        let elapsed_us = rebuild.progress(now_us).elapsed_us;
        let (mut new, part) = match rebuild.finish() {
            Ok(Finished::Computed(computed)) => *computed,
            Ok(Finished::Later(rebuild)) => {
                self.rebuild = Some(*rebuild);
                return Ok(None);
            }
            Err(failure) => return Ok(Some(ChangeOutcome::Failed(failure))),
        };
        let description = new.describe();
        let fingerprint = new.definitions.fingerprint;
        let models = new.models.clone();
        new.definitions.starts = new.tables.starts_at(&self.cut.empty_cut());
        let is_of_tables = new.definitions.sources != self.definitions.sources;
        let sources = is_of_tables.then(|| SourceTexts {
            files: new.definitions.source_files.clone().unwrap_or_default(),
            starts: new.definitions.starts.clone(),
        });
        let epoch = self
            .cut
            .record_models(fingerprint, description.clone(), models, sources)?;
        self.finish_change(new, part, epoch)?;
        Ok(Some(ChangeOutcome::Applied {
            epoch,
            description,
            elapsed_us,
        }))
    }

    /// A change that was recorded before, exactly where it was.
    pub(super) fn run_recorded_change(
        &mut self,
        cut: EpochCut,
        project: &Project,
        program: &Program,
        starts: Option<Starts>,
    ) -> Result<(), Failure> {
        let starts = starts.unwrap_or_else(|| self.definitions.starts.clone());
        // What begins with this epoch has no record yet.
        let mut given = starts.clone();
        given.retain(|_, start| start.epoch != cut.epoch);
        let tables = self.tables_change(project, &given);
        let new = NewDefinitions {
            change: ProgramChange::of_tables(self.program(), program, &tables.other_rows()),
            models: project.models(),
            definitions: Definitions::new(project, program, starts),
            tables,
            captures: project.sources.captures().to_vec(),
        };
        let part = compute(&new, self.origin())?;
        let epoch = cut.epoch;
        self.cut.recorded(&self.log, cut)?;
        self.finish_change(new, part, epoch)
    }

    fn finish_change(
        &mut self,
        new: NewDefinitions,
        part: Part,
        epoch: Epoch,
    ) -> Result<(), Failure> {
        let (engine, mut staged, route) = part.into_parts();
        let tables = &new.tables;
        let sources = tables.sources().clone();
        let starts = new.definitions.starts.clone();
        self.route
            .change(sources.clone(), starts, route, &tables.computed());
        let stored = self.store.published().snapshot();
        let errors = change_of_errors(&new.change, &stored, &staged)?;
        staged.discard(EVALUATION_ERRORS);
        self.engine.change(&new.change, engine)?;
        let mut output = self.engine.run(epoch, RoutedEpoch::default())?;
        add_to(&mut output.deltas, errors).doing("changing the views")?;
        let retentions = sources.retentions();
        self.store
            .change(new.change.program(), staged, retentions)?;
        self.store.run(&output, &self.route.event_times())?;
        self.sources = sources;
        // Rules that are waiting still, because they were refused or came since.
        let mut rule_starts = std::mem::take(&mut self.definitions.rule_starts);
        rule_starts.retain(|name, _| self.sources.topic_of(name).is_none());
        self.progress.epochs += 1;
        self.definitions = new.definitions;
        self.definitions.rule_starts = rule_starts;
        if let Some(live) = &self.live {
            let names = new.change.gone_views().iter();
            let changed: BTreeSet<String> = names.chain(new.change.new_views()).cloned().collect();
            live.publish(epoch, &output.deltas, self.store.published().snapshot());
            live.reset(&changed);
        }
        Ok(())
    }

    fn origin(&self) -> Origin<'_> {
        Origin {
            log: &self.log,
            snapshot: self.store.published().snapshot(),
            cut: self.cut.last_cut(),
            idle_changes: self.cut.idle_changes(),
            options: self.options.clone(),
            records_max: self.records_max,
            places: BTreeMap::new(),
        }
    }

    /// The program in force.
    pub fn program(&self) -> &Arc<Program> {
        self.engine.program()
    }

    /// How far a change of models is; `None` if none is on its way.
    pub fn change_progress(&self) -> Option<RebuildProgress> {
        let now_us = self.surroundings.clock.now_us();
        self.rebuild
            .as_ref()
            .map(|rebuild| rebuild.progress(now_us))
    }

    /// Gives up a change of models that is on its way.
    pub fn cancel_change(&mut self) {
        if let Some(rebuild) = self.rebuild.take() {
            rebuild.cancel();
        }
    }
}

fn add_to(
    deltas: &mut BTreeMap<String, Delta>,
    more: BTreeMap<String, Delta>,
) -> Result<(), sluice_core::DeltaError> {
    for (name, delta) in more {
        let sum = match deltas.remove(&name) {
            Some(known) => Delta::concat(&delta.schema(), &[known, delta])?.consolidate()?,
            None => delta,
        };
        deltas.insert(name, sum);
    }
    Ok(())
}
