//! The running engine: one step an epoch, from tables to views.

mod changing;
mod reports;
mod saving;
mod starting;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use parking_lot::Mutex;

use sluice_core::{Clock, Delta, Epoch, TableChanges};
use sluice_functions::UNIQ_IDS;

use crate::aggregate::Aggregate;
use crate::arrangement::Arrangement;
use crate::checkpoint_header::{HEADER_PART, Header};
use crate::constant::Constant;
use crate::evaluation_errors::EvaluationErrors;
use crate::explain::{OperatorReport, OperatorWork, describe};
use crate::graph::{Node, NodeKind, UNUSED};
use crate::id_domains::IdDomains;
use crate::join::InnerJoin;
use crate::map::{Filter, Project};
use crate::operator::{Operator, StepContext};
use crate::outer_join::OuterJoin;
use crate::program_change::ProgramChange;
use crate::saved_state::SavedState;
use crate::state_parts::{Parts, StateParts, unversioned, versioned};
use crate::table_input::TableInput;
use crate::time::bounds::StateLimit;
use crate::time::history::{history_definition, versions};
use crate::time::late_rows::divert;
use crate::time::node::TimeNode;
use crate::time::watermarks::Watermarks;
use crate::top_k::TopK;
use crate::union::Union;
use crate::uniq_ids::UniqIds;
use crate::unnest::Unnest;
use crate::window::Window;
use crate::{EVALUATION_ERRORS, EngineError, Program};
use starting::start_node;

/// Prefixes of the other parts' names.
const NODE: &str = "node";
const ARRANGEMENT: &str = "arrangement";
const ID_DOMAIN: &str = "ids";

/// What is collected of the state in the time of a small epoch.
const COLLECTED_ROWS_MIN: usize = 512;

/// How the engine runs.
#[derive(Debug, Clone)]
pub struct EngineOptions {
    /// Threads among which the virtual shards are spread; at least 1.
    pub worker_threads: usize,
    /// [`Engine::collect_ahead`] collects about so many rows each time, or as
    /// many as the operators gave in the last epoch.
    pub collected_rows_min: usize,
    /// Measures how long operators take, for EXPLAIN alone: no result depends
    /// on it. Without one nothing is measured.
    pub stopwatch: Option<Arc<dyn Clock>>,
}

impl EngineOptions {
    /// Options with so many threads, and otherwise the usual ones.
    pub fn with_threads(worker_threads: usize) -> Self {
        Self {
            worker_threads,
            collected_rows_min: COLLECTED_ROWS_MIN,
            stopwatch: None,
        }
    }
}

impl Default for EngineOptions {
    fn default() -> Self {
        Self::with_threads(1)
    }
}

/// What one epoch changed.
#[derive(Debug, Clone)]
pub struct EpochOutput {
    /// The epoch.
    pub epoch: Epoch,
    /// Consolidated changes of tables, views and the evaluation-error
    /// collection, by name. Collections that did not change are absent.
    pub deltas: BTreeMap<String, Delta>,
}

/// The engine's state as named parts.
#[derive(Debug, Clone, Default)]
pub struct EngineCheckpoint {
    /// Parts that changed since the checkpoint before.
    pub changed: BTreeMap<String, Vec<u8>>,
    /// Names of all parts that make up the state, changed or not.
    pub live: BTreeSet<String>,
}

/// Sizes, for monitoring.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EngineMetrics {
    /// Rows or groups that operators and arrangements hold, by view.
    pub state_rows: BTreeMap<String, u64>,
    /// Memory that they take, about, by view. An arrangement that several views
    /// share counts for the one that made its collection.
    pub state_bytes: BTreeMap<String, u64>,
    /// Changes ignored by table because a newer one was stored.
    pub ignored_changes: BTreeMap<String, u64>,
}

/// After a node's output of so many rows, the memory of state is looked at
/// before the epoch ends.
const TRIM_ROWS: usize = 8_192;

/// A node's working form.
enum Running {
    /// Gets the rows of this collection from outside.
    Fed(String),
    Table(Box<TableInput>),
    /// The versions of a table's rows; see `time/history.rs`.
    History(Box<TableInput>),
    Operator(Box<dyn Operator>),
}

/// See the crate's documentation. After an error the engine must be restored
/// from a checkpoint: part of an epoch may have been applied.
pub struct Engine {
    program: Arc<Program>,
    options: EngineOptions,
    running: Vec<Running>,
    arrangements: Vec<Arrangement>,
    /// What the checkpoints have of each node and arrangement.
    node_parts: Vec<StateParts>,
    arrangement_parts: Vec<StateParts>,
    /// The ids of unique values, and by domain what the checkpoints have.
    id_domains: IdDomains,
    id_parts: Vec<StateParts>,
    /// Arrangements to bring up to date after each node.
    arrangements_of_node: Vec<Vec<usize>>,
    /// Nodes whose output nobody reads after each node.
    last_uses: Vec<Vec<usize>>,
    work: Vec<OperatorWork>,
    last_epoch: Option<Epoch>,
    /// Parts of the operators that save whole shards.
    whole_parts: BTreeSet<String>,
    watermarks: Watermarks,
    /// The watermarks at the end of the last epoch: windows were closed by them.
    closed_by: Watermarks,
    /// Rows that all nodes gave in the last epoch, until a piece of the state is
    /// collected.
    rows_of_epoch: usize,
    failed: bool,
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Engine")
            .field("nodes", &self.running.len())
            .field("last_epoch", &self.last_epoch)
            .finish_non_exhaustive()
    }
}

impl Engine {
    /// An empty engine.
    ///
    /// # Errors
    /// When a table or view has a column type that cannot be compared.
    pub fn new(program: Arc<Program>, options: EngineOptions) -> Result<Self, EngineError> {
        let graph = &program.graph;
        let mut running = Vec::with_capacity(graph.nodes.len());
        for (number, (node, limit)) in graph.nodes.iter().zip(&program.state_limits).enumerate() {
            let mut started = match program.fed.get(&number) {
                Some(collection) => Running::Fed(collection.clone()),
                None => start_node(&program, node)?,
            };
            if let (Running::Operator(operator), Some(limit)) = (&mut started, limit) {
                operator.prepare_to_drop(limit.column);
            }
            running.push(started);
        }
        let mut arrangements = Vec::with_capacity(graph.arrangements.len());
        let mut arrangements_of_node = vec![Vec::new(); graph.nodes.len()];
        for (number, spec) in graph.arrangements.iter().enumerate() {
            let unused = Node::unused().schema;
            let of_node = graph.nodes.get(spec.node);
            let schema = of_node.map_or(&unused, |node| &node.schema);
            let key_columns = spec.key_columns.clone();
            let mut arrangement = Arrangement::new(schema, key_columns, spec.nulls_match)?;
            if let Some(limit) = &program.arrangement_limits[number] {
                arrangement.prepare_to_drop(limit.column);
            }
            arrangements.push(arrangement);
            if spec.node != UNUSED {
                arrangements_of_node[spec.node].push(number);
            }
        }
        let domains = graph.id_domains();
        let id_parts = domains.iter();
        let id_parts = id_parts.map(|name| StateParts::new(format!("{ID_DOMAIN}/{name}")));
        Ok(Self {
            id_parts: id_parts.collect(),
            id_domains: IdDomains::new(&domains, program.functions().uniq_ids_max()),
            last_uses: last_uses(&program),
            node_parts: node_parts(&running),
            arrangement_parts: (0..arrangements.len())
                .map(|number| StateParts::new(format!("{ARRANGEMENT}/{number}")))
                .collect(),
            work: vec![OperatorWork::default(); running.len()],
            program,
            options,
            running,
            arrangements,
            arrangements_of_node,
            last_epoch: None,
            whole_parts: BTreeSet::new(),
            watermarks: Watermarks::default(),
            closed_by: Watermarks::default(),
            rows_of_epoch: 0,
            failed: false,
        })
    }

    /// Takes the changes of one epoch, in order, through all views.
    ///
    /// # Errors
    /// When epochs do not follow each other, changes do not fit their tables,
    /// or an invariant is broken. Rows on which an expression fails are no
    /// error: they go to the collection `sluice_evaluation_errors`.
    pub fn step(
        &mut self,
        epoch: Epoch,
        changes: Vec<TableChanges>,
    ) -> Result<EpochOutput, EngineError> {
        self.step_with(epoch, changes, &BTreeMap::new())
    }

    /// [`Engine::step`] of the engine of a part: `fed` are the changes of the
    /// collections that it is fed with.
    ///
    /// # Errors
    /// As for [`Engine::step`].
    pub fn step_with(
        &mut self,
        epoch: Epoch,
        changes: Vec<TableChanges>,
        fed: &BTreeMap<String, Delta>,
    ) -> Result<EpochOutput, EngineError> {
        if self.failed {
            return Err(EngineError::Invariant(
                "the engine failed before and was not restored".into(),
            ));
        }
        if let Some(last) = self.last_epoch
            && epoch != last + 1
        {
            return Err(EngineError::EpochOrder { last, found: epoch });
        }
        let result = self.run_epoch(epoch, changes, fed);
        self.failed = result.is_err();
        self.last_epoch = Some(epoch);
        result
    }

    fn run_epoch(
        &mut self,
        epoch: Epoch,
        changes: Vec<TableChanges>,
        fed: &BTreeMap<String, Delta>,
    ) -> Result<EpochOutput, EngineError> {
        let mut changes_of_table: BTreeMap<String, Vec<TableChanges>> = BTreeMap::new();
        for change in changes {
            if !self.program.base_tables.contains_key(&change.table) {
                return Err(EngineError::UnknownTable(change.table));
            }
            changes_of_table
                .entry(change.table.clone())
                .or_default()
                .push(change);
        }
        let threads = self.options.worker_threads.max(1);
        self.watermarks.lift_idle(self.program.base_tables.values());
        let mut histories = BTreeMap::new();
        for (number, running) in self.running.iter().enumerate() {
            if let Running::History(history) = running
                && let Some(changes) = changes_of_table.get(history.name())
            {
                histories.insert(number, versions(changes)?);
            }
        }
        self.rows_of_epoch = 0;
        let mut errors = EvaluationErrors::default();
        let mut outputs: Vec<Delta> = Vec::with_capacity(self.running.len());
        let time_us = || {
            self.options
                .stopwatch
                .as_ref()
                .map_or(0, |clock| clock.now_us())
        };
        let mut begun_us = time_us();
        for (number, node) in self.program.graph.nodes.iter().enumerate() {
            let output = match &mut self.running[number] {
                Running::Fed(collection) => match fed.get(collection) {
                    Some(delta) => delta.clone(),
                    None => Delta::empty(node.schema.clone()),
                },
                Running::Table(table) => {
                    let changes = changes_of_table.remove(table.name());
                    let delta = table.step(&changes.unwrap_or_default())?;
                    match (table.event_time(), self.closed_by.of_table(table.name())) {
                        (Some(column), Some(watermark)) => {
                            divert(delta, column, watermark, table.name(), &mut errors)?
                        }
                        _ => delta,
                    }
                }
                Running::History(history) => {
                    history.step(&histories.remove(&number).unwrap_or_default())?
                }
                Running::Operator(operator) => {
                    let inputs: Vec<&Delta> =
                        node.inputs.iter().map(|&input| &outputs[input]).collect();
                    let mut context = StepContext {
                        arrangements: &self.arrangements,
                        errors: &mut errors,
                        watermarks: &self.watermarks,
                        id_domains: &mut self.id_domains,
                        threads,
                    };
                    operator.step(&mut context, &inputs)?
                }
            };
            for &arrangement in &self.arrangements_of_node[number] {
                self.arrangements[arrangement].apply(&output, threads)?;
            }
            let work = &mut self.work[number];
            let rows_in = node.inputs.iter().map(|&input| outputs[input].len() as u64);
            work.rows_in += rows_in.sum::<u64>();
            work.rows_out += output.len() as u64;
            self.rows_of_epoch += output.len();
            let end_us = time_us();
            work.busy_us += u64::try_from(end_us - begun_us).unwrap_or(0);
            begun_us = end_us;
            outputs.push(output);
            if outputs[number].len() >= TRIM_ROWS {
                sluice_memory::trim();
            }
            for &input in &self.last_uses[number] {
                outputs[input] = Delta::empty(self.program.graph.nodes[input].schema.clone());
            }
        }
        for arrangement in &mut self.arrangements {
            arrangement.settle();
        }
        self.drop_finished_state()?;
        sluice_memory::trim();
        let mut deltas = BTreeMap::new();
        for (name, &node) in &self.program.collection_nodes {
            let delta = outputs[node].clone().consolidate()?;
            if !delta.is_empty() {
                deltas.insert(name.clone(), delta);
            }
        }
        let new_ids = self.id_domains.take_new()?;
        if !new_ids.is_empty() {
            deltas.insert(UNIQ_IDS.to_owned(), new_ids);
        }
        let errors = errors.into_delta()?;
        if !errors.is_empty() {
            deltas.insert(EVALUATION_ERRORS.to_owned(), errors);
        }
        Ok(EpochOutput { epoch, deltas })
    }

    /// Records how far event time has come in some tables, in microseconds.
    /// Watermarks never go back.
    pub fn advance_watermarks(&mut self, watermarks: &BTreeMap<String, i64>) {
        for (table, &watermark) in watermarks {
            self.watermarks.advance(table, watermark);
        }
    }

    /// Says whether a table's source is idle. From the next epoch on an idle
    /// table follows the watermarks of those that it is read with instead of
    /// holding them back. Rows that come after it woke, and older than that, go
    /// to the collection `sluice_evaluation_errors`.
    pub fn set_idle(&mut self, table: &str, is_idle: bool) {
        self.watermarks.set_idle(table, is_idle);
    }

    /// Drops state of windows that are closed: no change can touch it.
    fn drop_finished_state(&mut self) -> Result<(), EngineError> {
        if self.watermarks == self.closed_by {
            return Ok(());
        }
        self.closed_by = self.watermarks.clone();
        let cutoff_us = |limit: &StateLimit| {
            let watermark = self.watermarks.of_tables(limit.tables.iter())?;
            Some(watermark.saturating_add(limit.lower_us))
        };
        for (running, limit) in self.running.iter_mut().zip(&self.program.state_limits) {
            if let (Running::Operator(operator), Some(limit)) = (running, limit)
                && let Some(cutoff_us) = cutoff_us(limit)
            {
                operator.drop_before(cutoff_us)?;
            }
        }
        let limits = &self.program.arrangement_limits;
        for (arrangement, limit) in self.arrangements.iter_mut().zip(limits) {
            if let Some(cutoff_us) = limit.as_ref().and_then(cutoff_us) {
                arrangement.drop_before(cutoff_us)?;
            }
        }
        Ok(())
    }

    /// The watermark of a table or view: the least of the tables that it is
    /// made from; `None` while one of them has none.
    pub fn watermark(&self, collection: &str) -> Option<i64> {
        let tables = self.program.base_tables.get(collection)?;
        self.watermarks.of_tables(tables.iter())
    }

    /// The program, with its parts at the places that they have here.
    pub fn program(&self) -> &Arc<Program> {
        &self.program
    }
}

/// The parts of all nodes, none of them written yet.
fn node_parts(running: &[Running]) -> Vec<StateParts> {
    let nodes = running.iter().enumerate();
    nodes
        .map(|(number, running)| {
            let suffix = match running {
                Running::Operator(operator) => operator.parts_suffix(),
                Running::Fed(_) | Running::Table(_) | Running::History(_) => "",
            };
            StateParts::new(format!("{NODE}/{number}{suffix}"))
        })
        .collect()
}

/// After each node, the nodes whose output is read neither later nor as a
/// collection: it need not stay in memory until the epoch ends.
fn last_uses(program: &Program) -> Vec<Vec<usize>> {
    let nodes = &program.graph.nodes;
    let mut last_use: Vec<usize> = (0..nodes.len()).collect();
    for (number, node) in nodes.iter().enumerate() {
        for &input in &node.inputs {
            last_use[input] = number;
        }
    }
    let kept: BTreeSet<usize> = program.collection_nodes.values().copied().collect();
    let mut last_uses = vec![Vec::new(); nodes.len()];
    for (node, &reader) in last_use.iter().enumerate() {
        if !kept.contains(&node) {
            last_uses[reader].push(node);
        }
    }
    last_uses
}
