//! The new part of a program on its way: its engine, and the rows of its views.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arrow::array::{Array, BooleanArray, RecordBatch, StringArray};
use arrow::compute::filter_record_batch;
use arrow::error::ArrowError;
use sluice_core::{Delta, Epoch};
use sluice_engine::{
    EVALUATION_ERRORS, Engine, EngineOptions, EpochOutput, PartInput, ProgramChange,
};
use sluice_store::{Snapshot, StagedCollections};

use super::progress::Shared;
use super::stored_rows::StoredRows;
use crate::failure::{Doing, Failure};
use crate::pipeline::log_replay::LogReplay;
use crate::pipeline::{RouteStep, collection_definitions};

/// What is said when it cannot go on.
const WHAT: &str = "computing views anew";

/// Where its rows come from.
pub(super) enum Source {
    /// The tables and views that stay.
    Stored(StoredRows),
    /// The log, from its start.
    Log(Box<(LogReplay, RouteStep)>),
}

/// See the module.
pub(in crate::pipeline) struct Part {
    engine: Engine,
    staged: StagedCollections,
    views: BTreeSet<String>,
    source: Source,
    epoch: Epoch,
}

impl Part {
    pub(super) fn new(
        change: &ProgramChange,
        input: &PartInput,
        source: Source,
        options: EngineOptions,
    ) -> Result<Self, Failure> {
        let views = change.new_views().clone();
        let mut definitions = collection_definitions(change.program());
        definitions.retain(|it| views.contains(&it.name) || it.name == EVALUATION_ERRORS);
        Ok(Self {
            engine: Engine::new(change.part(input), options).doing(WHAT)?,
            staged: StagedCollections::new(definitions),
            views,
            source,
            epoch: 0,
        })
    }

    /// Goes on by a bounded step; false when it has seen all that `shared` says
    /// is there.
    pub(super) fn advance(&mut self, shared: &Shared) -> Result<bool, Failure> {
        let epoch = self.epoch + 1;
        let output = match &mut self.source {
            Source::Stored(stored) => {
                let Some(fed) = stored.next(shared)? else {
                    return Ok(false);
                };
                self.engine.step_with(epoch, Vec::new(), &fed)
            }
            Source::Log(replay) => {
                let (replay, route) = replay.as_mut();
                let target = shared.target();
                let next = replay.next(&target)?;
                shared.report(replay.records_done(), replay.records_left(&target));
                let Some(content) = next else {
                    return Ok(false);
                };
                let routed = route.run(&content)?;
                for (table, is_idle) in &routed.idle {
                    self.engine.set_idle(table, *is_idle);
                }
                self.engine.advance_watermarks(&routed.watermarks);
                self.engine.step(epoch, routed.changes)
            }
        };
        self.epoch = epoch;
        self.stage(output.doing(WHAT)?)?;
        Ok(true)
    }

    fn stage(&mut self, mut output: EpochOutput) -> Result<(), Failure> {
        if let Some(errors) = output.deltas.remove(EVALUATION_ERRORS) {
            let (rows, weights) = errors.into_parts();
            let is_ours = of_views(&rows, &self.views);
            let pairs = weights.into_iter().zip(is_ours.iter());
            let weights = pairs.filter(|(_, is_ours)| *is_ours == Some(true));
            let weights = weights.map(|(weight, _)| weight).collect();
            let rows = filter_record_batch(&rows, &is_ours).doing(WHAT)?;
            let errors = Delta::try_new(rows, weights).doing(WHAT)?;
            output.deltas.insert(EVALUATION_ERRORS.to_owned(), errors);
        }
        self.staged.apply(&output.deltas).doing(WHAT)
    }

    /// The engine and the rows of its views.
    pub(in crate::pipeline) fn into_parts(self) -> (Engine, StagedCollections) {
        (self.engine, self.staged)
    }
}

/// Which rows of the evaluation errors belong to one of `views`.
fn of_views(errors: &RecordBatch, views: &BTreeSet<String>) -> BooleanArray {
    let names = errors.column(0).as_any().downcast_ref::<StringArray>();
    let Some(names) = names else {
        return BooleanArray::from(vec![false; errors.num_rows()]);
    };
    let is_ours = |name: Option<&str>| Some(name.is_some_and(|name| views.contains(name)));
    names.iter().map(is_ours).collect()
}

/// What changes in the evaluation errors: those of views that go leave, those of
/// new ones come.
pub(in crate::pipeline) fn change_of_errors(
    change: &ProgramChange,
    stored: &Snapshot,
    staged: &StagedCollections,
) -> Result<BTreeMap<String, Delta>, Failure> {
    let gone: Result<Vec<RecordBatch>, ArrowError> = stored
        .scan(EVALUATION_ERRORS, None)
        .doing(WHAT)?
        .iter()
        .map(|rows| filter_record_batch(rows, &of_views(rows, change.gone_views())))
        .collect();
    let mut deltas: Vec<Delta> = Vec::new();
    deltas.extend(
        gone.doing(WHAT)?
            .into_iter()
            .map(Delta::insert)
            .map(Delta::negate),
    );
    let new = staged.rows(EVALUATION_ERRORS).doing(WHAT)?;
    deltas.extend(new.into_iter().map(Delta::insert));
    let Some(first) = deltas.first() else {
        return Ok(BTreeMap::new());
    };
    let delta = Delta::concat(&first.schema(), &deltas).and_then(Delta::consolidate);
    let delta = delta.doing(WHAT)?;
    let is_any = !delta.is_empty();
    Ok(is_any
        .then(|| (EVALUATION_ERRORS.to_owned(), delta))
        .into_iter()
        .collect())
}

/// Everything that a new part is made from.
pub(super) fn log_source(replay: LogReplay, route: RouteStep) -> Source {
    Source::Log(Box::new((replay, route)))
}

/// Where the rows of `collections` come from.
pub(super) fn stored_source(snapshot: Snapshot, collections: &BTreeSet<String>) -> Source {
    Source::Stored(StoredRows::new(Arc::new(snapshot), collections))
}
