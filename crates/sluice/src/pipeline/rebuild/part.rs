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
use crate::dead_letters::DEAD_LETTERS;
use crate::failure::{Doing, Failure};
use crate::pipeline::log_replay::LogReplay;
use crate::pipeline::tables_change::TablesChange;
use crate::pipeline::{RouteStep, collection_definitions};

/// What is said when it cannot go on.
const WHAT: &str = "computing views anew";

/// Where its rows come from: first what is stored, then the log.
pub(super) struct Source {
    /// The rows of what stays.
    pub(super) stored: StoredRows,
    /// The log, from where it is needed.
    pub(super) log: Option<Box<(LogReplay, RouteStep)>>,
    /// Whether tables come from it, and not only dead letters.
    pub(super) has_tables: bool,
    /// What changes in the tables.
    pub(super) tables: Arc<TablesChange>,
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
        let source = &mut self.source;
        if let Some(mut fed) = source.stored.next(shared)? {
            let mut changes = Vec::new();
            if source.tables.changes_letters()
                && let Some(letters) = fed.remove(DEAD_LETTERS)
            {
                let letters = source.tables.letters_that_stay(&letters);
                changes.push(letters.doing(WHAT)?);
            }
            let output = self.engine.step_with(epoch, changes, &fed);
            self.epoch = epoch;
            self.stage(output.doing(WHAT)?)?;
            return Ok(true);
        }
        let Some(log) = &mut source.log else {
            return Ok(false);
        };
        let (replay, route) = log.as_mut();
        let target = shared.target();
        let next = replay.next(&target)?;
        shared.report(replay.records_done(), replay.records_left(&target));
        let Some(content) = next else {
            return Ok(false);
        };
        let mut routed = route.run(&content)?;
        if source.has_tables {
            for (table, is_idle) in &routed.idle {
                self.engine.set_idle(table, *is_idle);
            }
            self.engine.advance_watermarks(&routed.watermarks);
        } else {
            routed
                .changes
                .retain(|changes| changes.table == DEAD_LETTERS);
        }
        let output = self.engine.step(epoch, routed.changes);
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

    /// The engine, the rows of its tables and views, and what has routed their
    /// records.
    pub(in crate::pipeline) fn into_parts(self) -> (Engine, StagedCollections, Option<RouteStep>) {
        let route = self.source.log.map(|log| log.1);
        (self.engine, self.staged, route)
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
