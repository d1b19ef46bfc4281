//! Takes changes of the project into the warehouse at work, and tells people how
//! they go.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use sluice_capture::Collector;
use sluice_core::{Clock, SystemClock};
use sluice_engine::Program;
use sluice_mask::Masks;
use sluice_route::Diversion;
use sluice_serve::{Metric, Metrics, Panels};
use sluice_watch::Alert;

use crate::address;
use crate::config::Config;
use crate::diversion::{DiversionStates, Diverted};
use crate::failure::Failure;
use crate::pipeline::{
    Begun, Capture, ChangeOutcome, RebuildProgress, SourcesInForce, Warehouse, check_secrets,
    collected_topics, prepare_topics,
};
use crate::project::Project;
use crate::project_watch::Found;
use crate::report::{Reporter, with_commas};
use crate::serving::Serving;
use crate::source_connections;
use crate::watching::{check_alerts, load_alerts};

/// How often a change that takes long says how far it is.
const PROGRESS_INTERVAL_US: i64 = 2_000_000;

/// See the module.
pub struct ModelsControl<'a> {
    state: &'a Path,
    serving: &'a Serving,
    collector: Arc<Collector>,
    /// For those who bring rows of exports.
    in_force: SourcesInForce,
    reporter: Reporter,
    /// What takes effect at the next start only.
    settings: String,
    /// What is masked.
    masks: String,
    /// Masks by rules of diversion, too.
    door: Arc<Masks>,
    /// The rules that the door reads.
    diversion: Option<Diversion>,
    said_us: i64,
    /// What was told of connections that are not encrypted.
    unencrypted: Option<String>,
    /// Why the project's files are not in force, while they are not.
    refusal: Option<String>,
    /// The project that the warehouse is going over to.
    coming: Option<Project>,
    /// The panels of models that are still being computed.
    waiting_panels: Option<Panels>,
    /// The alarms of the newest project that was right.
    waiting_alerts: Option<Vec<Alert>>,
    panels: Panels,
    applied: Metric,
    refused: Metric,
    /// What is said of the rules of diversion.
    states: DiversionStates,
    rules: RulesSaid,
    rules_refused: Metric,
    failed: Metric,
    is_changing: Metric,
    is_refused: Metric,
    left: Metric,
}

/// Rules of diversion, and why some are refused.
#[derive(Debug, Default)]
struct RulesSaid {
    names: BTreeSet<String>,
    refused: BTreeMap<String, String>,
    /// They are those of all records before this one.
    end: u64,
}

impl<'a> ModelsControl<'a> {
    /// Begins with the project as it was read at the start.
    pub fn new(
        project: &Project,
        state: &'a Path,
        serving: &'a Serving,
        collector: Arc<Collector>,
        states: DiversionStates,
        metrics: &Arc<Metrics>,
        reporter: Reporter,
    ) -> Self {
        let outcome = |outcome| {
            metrics.counter_of(
                "sluice_model_changes_total",
                "Changes of models and sources since the start, by outcome.",
                &[("outcome", outcome)],
            )
        };
        Self {
            state,
            serving,
            collector,
            in_force: SourcesInForce::new(project.sources.clone()),
            reporter,
            settings: settings_of(&project.config),
            masks: masks_of(project),
            door: Arc::new(Masks::none()),
            diversion: project.sources.diversion().cloned(),
            said_us: 0,
            unencrypted: source_connections::unencrypted(project),
            refusal: None,
            coming: None,
            waiting_panels: None,
            waiting_alerts: None,
            panels: Panels::default(),
            applied: outcome("applied"),
            refused: outcome("refused"),
            failed: outcome("failed"),
            is_changing: metrics.gauge(
                "sluice_model_change_running",
                "1 while views are being computed for a change of models.",
            ),
            states,
            rules: RulesSaid::default(),
            rules_refused: metrics.gauge(
                "sluice_diversion_refused",
                "Rules of diversion that are refused, as sluice_diversion says.",
            ),
            is_refused: metrics.gauge(
                "sluice_model_change_refused",
                "1 while the project's files are not in force because of an error.",
            ),
            left: metrics.gauge(
                "sluice_model_change_left",
                "Rows or records that the computation of new views still has to read.",
            ),
        }
    }

    /// Tells of the topics and tables that changes bring into force.
    #[must_use]
    pub fn telling(mut self, in_force: SourcesInForce) -> Self {
        self.in_force = in_force;
        self
    }

    /// Tells the door of the log which masks of rules are in force.
    #[must_use]
    pub fn masking(mut self, door: Arc<Masks>) -> Self {
        self.door = door;
        self
    }

    /// The project's files say something else.
    pub fn take(&mut self, warehouse: &mut Warehouse, found: Found) {
        match found {
            Ok(diverted) => {
                let (project, program) = (&diverted.project, &diverted.program);
                let begun = check_secrets(project)
                    .and_then(|()| source_connections::check(project))
                    .and_then(|_| self.check_masks(project, diverted.masks))
                    .and_then(|()| self.read_alerts(project, program))
                    .and_then(|()| warehouse.begin_change(project, program));
                self.begun(warehouse, &diverted, begun);
            }
            Err(failure) => self.refuse(&failure),
        }
    }

    /// What is masked is known to the door of the log since the start.
    fn check_masks(&self, project: &Project, has_masking_rules: bool) -> Result<(), Failure> {
        let reads_rules = project.sources.diversion() == self.diversion.as_ref();
        let is_known = masks_of(project) == self.masks && (reads_rules || !has_masking_rules);
        match is_known {
            true => Ok(()),
            false => Err(Failure::Definitions(
                "what is masked has changed: that takes effect at the next start\n  help: restart the warehouse".into(),
            )),
        }
    }

    /// The alarms take effect together with the definitions that they ask.
    fn read_alerts(&mut self, project: &Project, program: &Program) -> Result<(), Failure> {
        let alerts = load_alerts(project)?;
        check_alerts(project, program, &alerts, &[])?;
        self.waiting_alerts = Some(alerts);
        Ok(())
    }

    fn set_alerts(&mut self) {
        let Some(alerts) = self.waiting_alerts.take() else {
            return;
        };
        if let Err(failure) = self.serving.set_alerts(alerts) {
            self.reporter.warn(&failure.to_string());
        }
    }

    /// The warehouse was told to go over to the definitions of `project`.
    pub fn begun(
        &mut self,
        warehouse: &Warehouse,
        diverted: &Diverted,
        begun: Result<Begun, Failure>,
    ) {
        let (project, program) = (&diverted.project, &diverted.program);
        for (rule, reason) in &diverted.refused {
            if self.rules.refused.get(rule) != Some(reason) {
                let text = format!("the rule of diversion `{rule}` is refused: {reason}");
                self.reporter.warn(&text);
            }
        }
        self.rules = RulesSaid {
            names: diverted.rules.clone(),
            refused: diverted.refused.clone(),
            // What nobody could begin is not decided.
            end: match &begun {
                Ok(_) => diverted.end,
                Err(_) => self.rules.end,
            },
        };
        let settings = settings_of(&project.config);
        if settings != self.settings {
            self.settings = settings;
            self.reporter.warn(
                "warehouse.toml has changed: all but its [settings] takes effect at the next start",
            );
        }
        match begun {
            Ok(Begun::Nothing) => {
                self.waiting_panels = None;
                self.set_panels(project.panels.clone());
                self.set_alerts();
            }
            Ok(Begun::Change(description)) => {
                self.waiting_panels = Some(project.panels.clone());
                for warning in program.warnings() {
                    self.reporter.warn(warning);
                }
                self.reporter
                    .info(&format!("the definitions have changed; {description}"));
            }
            Err(failure) => {
                // One that was on its way was given up for it.
                if warehouse.change_progress().is_none() {
                    self.coming = None;
                }
                return self.refuse(&failure);
            }
        }
        self.tell_of_connections(project);
        // Where its sources are may be all that is new.
        self.coming = Some(project.clone());
        self.refusal = None;
        self.is_refused.set(0);
        let progress = warehouse.change_progress();
        if progress.is_none() {
            warehouse.tell_masks(&self.door, self.rules.end);
        }
        self.tell_of_rules(progress.is_some());
        self.tell(progress.as_ref());
    }

    fn tell_of_rules(&self, is_changing: bool) {
        let rules = &self.rules;
        self.states.tell(&rules.names, &rules.refused, is_changing);
        self.rules_refused.set(self.states.refused());
    }

    /// Tells of connections that are not encrypted, when they are others than before.
    fn tell_of_connections(&mut self, project: &Project) {
        let unencrypted = source_connections::unencrypted(project);
        if unencrypted == self.unencrypted {
            return;
        }
        if let Some(warning) = &unencrypted {
            self.reporter.warn(warning);
        }
        self.unencrypted = unencrypted;
    }

    fn set_panels(&mut self, panels: Panels) {
        let is_change = !self.panels.is_empty() && !panels.is_same(&self.panels);
        if is_change {
            let text = format!("the panels have changed: {} now", panels.len());
            self.reporter.info(&text);
        }
        self.panels = panels.clone();
        self.serving.set_panels(panels);
    }

    fn refuse(&mut self, failure: &Failure) {
        self.refused.add(1);
        self.is_refused.set(1);
        let text =
            format!("the change of the project is refused, the old definitions stay:\n{failure}");
        self.reporter.error(&text);
        // Rules that wait with it.
        for name in self.states.changing(&self.rules.names) {
            self.rules.refused.insert(name, failure.to_string());
        }
        self.tell_of_rules(false);
        self.refusal = Some(text);
        self.tell(None);
    }

    /// Completes a change that is ready; true when other definitions hold from now
    /// on.
    ///
    /// # Errors
    /// When the warehouse cannot go on.
    pub fn poll(
        &mut self,
        warehouse: &mut Warehouse,
        capture: &mut Capture,
    ) -> Result<bool, Failure> {
        let outcome = warehouse.poll_change()?;
        let progress = warehouse.change_progress();
        self.is_changing.set(u64::from(progress.is_some()));
        self.left.set(progress.as_ref().map_or(0, |it| it.left));
        let now_us = SystemClock.now_us();
        match outcome {
            None => {
                if progress.is_none() {
                    self.follow_sources(warehouse, capture)?;
                }
                if let Some(progress) = &progress
                    && now_us - self.said_us >= PROGRESS_INTERVAL_US
                    && progress.elapsed_us >= PROGRESS_INTERVAL_US
                {
                    self.said_us = now_us;
                    self.reporter.info(&in_words(progress));
                    self.tell(Some(progress));
                }
                Ok(false)
            }
            Some(ChangeOutcome::Failed(failure)) => {
                self.failed.add(1);
                self.coming = None;
                self.refuse(&failure);
                Ok(false)
            }
            Some(ChangeOutcome::Applied {
                epoch,
                description,
                elapsed_us,
            }) => {
                warehouse.tell_masks(&self.door, self.rules.end);
                self.follow_sources(warehouse, capture)?;
                self.serving.change_program(warehouse.program())?;
                if let Some(panels) = self.waiting_panels.take() {
                    self.set_panels(panels);
                }
                self.set_alerts();
                self.applied.add(1);
                self.tell_of_rules(false);
                self.reporter.info(&format!(
                    "the new definitions hold from epoch {epoch} on, after {} ms; {description}",
                    elapsed_us / 1000
                ));
                self.tell(None);
                Ok(true)
            }
        }
    }

    /// Reads the sources that the definitions in force name.
    fn follow_sources(
        &mut self,
        warehouse: &Warehouse,
        capture: &mut Capture,
    ) -> Result<(), Failure> {
        let Some(project) = self.coming.take() else {
            return Ok(());
        };
        prepare_topics(&warehouse.log(), &project, self.reporter)?;
        self.collector.set_topics(collected_topics(&project)?);
        self.in_force.set(warehouse.sources());
        capture.change(&project, || warehouse.positions())
    }

    /// For `sluice status` and the API.
    fn tell(&self, progress: Option<&RebuildProgress>) {
        let text = match (progress, &self.refusal) {
            (Some(progress), _) => Some(in_words(progress)),
            (None, refusal) => refusal.clone(),
        };
        self.serving.say_of_models(text.clone());
        // Whoever asks for the status only learns it later.
        if let Err(failure) = address::say_of_models(self.state, text) {
            self.reporter.warn(&failure.to_string());
        }
    }
}

fn in_words(progress: &RebuildProgress) -> String {
    let unit = match progress.is_from_log {
        true => "records of the log",
        false => "stored rows",
    };
    let left = match progress.seconds_left() {
        Some(seconds) => format!(", about {seconds} s left"),
        None => String::new(),
    };
    format!(
        "the definitions are changing ({}): {} of {} {unit}, {} a second{left}",
        progress.description,
        with_commas(progress.done),
        with_commas(progress.done + progress.left),
        with_commas(progress.rate()),
    )
}

/// What of a project is masked, and whose rows there are.
fn masks_of(project: &Project) -> String {
    let sources = &project.sources;
    let masks = sources.masks().iter();
    let masks: Vec<_> = masks.filter(|(_, rules)| !rules.is_empty()).collect();
    format!("{masks:?} {:?}", sources.person_kinds())
}

/// What of `warehouse.toml` is read at the start only.
fn settings_of(config: &Config) -> String {
    format!(
        "{} {:?} {} {:?} {} {} {} {:?} {:?} {:?} {:?} {:?} {:?} {:?}",
        config.name,
        config.profile,
        config.time_zone.get_ref(),
        config.currency,
        config.state,
        config.listen.postgres.get_ref(),
        config.listen.http.get_ref(),
        config.limits,
        config.log,
        config.sugar,
        config.users,
        config.personal,
        config.audit,
        (config.listen.insecure, &config.listen.tls),
    )
}
