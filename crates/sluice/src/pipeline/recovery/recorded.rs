//! What the control log and a checkpoint say of the epochs that are to run again.

use std::sync::Arc;

use sluice_core::{Epoch, EpochCut};
use sluice_engine::{Program, ProgramChange};
use sluice_log::{ControlEntry, ModelText, SourceTexts};
use sluice_route::{SourcesChange, Starts};

use crate::failure::Failure;
use crate::pipeline::checkpoint_step::Definitions;
use crate::project::Project;

/// An epoch as the control log tells of it.
#[derive(Debug, Clone)]
pub(super) struct RecordedEpoch {
    pub(super) cut: EpochCut,
    /// The definitions that hold from it on, if they changed with it.
    change: Option<RecordedChange>,
}

#[derive(Debug, Clone)]
struct RecordedChange {
    fingerprint: u64,
    models: Vec<ModelText>,
    /// The tables, where they changed too.
    sources: Option<SourceTexts>,
}

/// What the control log says.
#[derive(Debug, Default)]
pub(super) struct Recorded {
    /// The last epoch that was given a meaning.
    pub(super) last_epoch: Epoch,
    /// The last computation from the start of the log: its first epoch.
    pub(super) first_epoch: Option<Epoch>,
    /// The definitions that hold at the end.
    pub(super) fingerprint: Option<u64>,
    /// Where tables begin, by the last entry that says so.
    pub(super) starts: Option<(Epoch, Starts)>,
    /// Epochs in order.
    epochs: Vec<RecordedEpoch>,
}

impl Recorded {
    pub(super) fn new(entries: Vec<ControlEntry>) -> Self {
        let mut recorded = Self::default();
        for entry in entries {
            match entry {
                ControlEntry::Cut(cut) => {
                    recorded.last_epoch = recorded.last_epoch.max(cut.epoch);
                    recorded.epochs.push(RecordedEpoch { cut, change: None });
                }
                ControlEntry::Models {
                    cut,
                    fingerprint,
                    models,
                    sources,
                    ..
                } => {
                    recorded.last_epoch = recorded.last_epoch.max(cut.epoch);
                    recorded.fingerprint = Some(fingerprint);
                    if let Some(sources) = &sources {
                        recorded.starts = Some((cut.epoch, sources.starts.clone()));
                    }
                    let change = Some(RecordedChange {
                        fingerprint,
                        models,
                        sources,
                    });
                    recorded.epochs.push(RecordedEpoch { cut, change });
                }
                ControlEntry::Definitions {
                    epoch,
                    fingerprint,
                    starts,
                    ..
                } => {
                    recorded.starts = Some((epoch, starts));
                    // Its epoch is the first under the new definitions.
                    recorded.last_epoch = recorded.last_epoch.max(epoch.saturating_sub(1));
                    recorded.first_epoch = Some(epoch);
                    recorded.fingerprint = Some(fingerprint);
                }
                // `CutStep` knows what they hold for.
                ControlEntry::Idle { .. } => {}
            }
        }
        recorded
    }

    /// The epochs after `epoch`, which must follow it without a gap.
    pub(super) fn epochs_after(&self, epoch: Epoch) -> Result<Vec<RecordedEpoch>, Failure> {
        let later = self.epochs.iter().filter(|it| it.cut.epoch > epoch);
        let epochs: Vec<RecordedEpoch> = later.cloned().collect();
        let expected = epoch + 1..;
        match epochs
            .iter()
            .zip(expected)
            .find(|(it, epoch)| it.cut.epoch != *epoch)
        {
            Some((_, missing)) => Err(Failure::Failed(format!(
                "the control log lacks the cut of epoch {missing}\n  help: restore the state from a backup, or remove the folder `store` of the state: it is rebuilt from the log"
            ))),
            None => Ok(epochs),
        }
    }
}

/// An epoch to run again, with the definitions that change with it.
#[derive(Debug)]
pub(super) struct NextEpoch {
    pub(super) cut: EpochCut,
    pub(super) change: Option<Box<NextDefinitions>>,
}

#[derive(Debug)]
pub(super) struct NextDefinitions {
    pub(super) project: Project,
    pub(super) program: Arc<Program>,
    /// Where tables begin, if that is others than before.
    pub(super) starts: Option<Starts>,
}

/// The definitions of a checkpoint, and the epochs after it.
pub(super) struct Known {
    pub(super) project: Project,
    pub(super) program: Arc<Program>,
    pub(super) epochs: Vec<NextEpoch>,
}

impl Known {
    /// `None` where a definition that held is not known or planned any more.
    pub(super) fn find(
        project: &Project,
        program: &Arc<Program>,
        stored: &Definitions,
        epochs: Vec<RecordedEpoch>,
    ) -> Option<Self> {
        let today = project.fingerprint(program);
        type Files = Vec<(String, String)>;
        let plan = |fingerprint: u64, models: Option<&Vec<ModelText>>, files: Option<&Files>| {
            if fingerprint == today {
                return Some((project.clone(), program.clone()));
            }
            let project = project.with_sources(files?).ok()?;
            let (project, program) = project.plan_models(models?).ok()?;
            let is_same = project.fingerprint(&program) == fingerprint;
            is_same.then_some((project, program))
        };
        // Checkpoints of before do not say the files.
        let mut files = stored.source_files.clone().or_else(|| {
            let is_today = stored.sources == Some(project.sources_fingerprint());
            is_today.then(|| project.source_texts().to_vec())
        });
        let (today_project, today_program) = (project, program);
        let (project, program) = plan(stored.fingerprint, stored.models.as_ref(), files.as_ref())?;
        let tables = SourcesChange::new(&project.sources, &today_project.sources);
        let change = ProgramChange::of_tables(&program, today_program, &tables.computed());
        if change.touches_unique_ids() {
            return None;
        }
        let epochs = epochs.into_iter().map(|RecordedEpoch { cut, change }| {
            let Some(recorded) = change else {
                return Some(NextEpoch { cut, change: None });
            };
            let starts = recorded.sources.map(|sources| {
                files = Some(sources.files);
                sources.starts
            });
            let (fingerprint, models) = (recorded.fingerprint, &recorded.models);
            let (project, program) = plan(fingerprint, Some(models), files.as_ref())?;
            let change = Some(Box::new(NextDefinitions {
                project,
                program,
                starts,
            }));
            Some(NextEpoch { cut, change })
        });
        Some(Self {
            epochs: epochs.collect::<Option<_>>()?,
            project,
            program,
        })
    }
}
