//! The running engine: one step an epoch, from tables to views.

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

/// Prefixes of the other parts' names.
const NODE: &str = "node";
const ARRANGEMENT: &str = "arrangement";
const ID_DOMAIN: &str = "ids";

/// How the engine runs.
#[derive(Debug, Clone)]
pub struct EngineOptions {
    /// Threads among which the virtual shards are spread; at least 1.
    pub worker_threads: usize,
    /// Measures how long operators take, for EXPLAIN alone: no result depends
    /// on it. Without one nothing is measured.
    pub stopwatch: Option<Arc<dyn Clock>>,
}

impl EngineOptions {
    /// Options with so many threads, and otherwise the usual ones.
    pub fn with_threads(worker_threads: usize) -> Self {
        Self {
            worker_threads,
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

    /// The parts of the state that changed since the last call.
    ///
    /// # Errors
    /// When the engine failed before.
    pub fn checkpoint(&mut self) -> Result<EngineCheckpoint, EngineError> {
        if self.failed {
            return Err(EngineError::Invariant(
                "a failed engine has no state to save".into(),
            ));
        }
        let mut changed = BTreeMap::new();
        let mut header = versioned();
        header.u64(self.program.fingerprint());
        header.u64(self.last_epoch.unwrap_or_default());
        self.watermarks.save(&mut header);
        self.program.prints.save(&mut header);
        changed.insert(HEADER_PART.to_owned(), header.finish());
        let nodes = self.running.iter_mut().zip(&mut self.node_parts);
        let nodes = nodes
            .enumerate()
            .filter_map(|(number, (running, parts))| match running {
                Running::Fed(_) => None,
                Running::Table(table) | Running::History(table) => {
                    Some(Stateful::Tracked(table.as_mut(), parts))
                }
                Running::Operator(operator) => Some(match operator.saved_state().is_some() {
                    true => Stateful::TrackedOperator(operator.as_mut(), parts),
                    false => Stateful::Whole(number, operator.as_mut()),
                }),
            });
        let arrangements = self
            .arrangements
            .iter_mut()
            .zip(&mut self.arrangement_parts);
        let arrangements =
            arrangements.map(|(arrangement, parts)| Stateful::Tracked(arrangement, parts));
        let domains = self.id_domains.iter_mut().zip(&mut self.id_parts);
        let domains = domains.map(|(domain, parts)| Stateful::Tracked(domain, parts));
        let stateful: Vec<Stateful<'_>> = nodes.chain(arrangements).chain(domains).collect();
        let epoch = self.last_epoch.unwrap_or_default();
        let saved = save_all(stateful, epoch, self.options.worker_threads);
        self.whole_parts.extend(saved.whole.keys().cloned());
        changed.extend(saved.tracked);
        changed.extend(saved.whole);
        let mut live = self.whole_parts.clone();
        live.insert(HEADER_PART.to_owned());
        let parts = self.node_parts.iter().chain(&self.arrangement_parts);
        for parts in parts.chain(&self.id_parts) {
            live.extend(parts.names());
        }
        Ok(EngineCheckpoint { changed, live })
    }

    /// An engine as it was after `epoch`. Parts with other names are ignored.
    ///
    /// # Errors
    /// When the parts belong to other definitions, another epoch or another
    /// format, or cannot be decoded.
    pub fn restore(
        program: Arc<Program>,
        options: EngineOptions,
        epoch: Epoch,
        parts: &BTreeMap<String, Vec<u8>>,
    ) -> Result<Self, EngineError> {
        let header = Header::read(parts)?;
        let program = header.check(epoch, program)?;
        let mut engine = Self::new(program, options)?;
        engine.watermarks = header.watermarks;
        engine.closed_by = engine.watermarks.clone();
        let known = engine.node_parts.iter_mut().zip(&mut engine.running);
        for (number, (known, running)) in known.enumerate() {
            let state: &mut dyn SavedState = match running {
                Running::Fed(_) => continue,
                Running::Table(table) | Running::History(table) => table.as_mut(),
                Running::Operator(operator) => {
                    let is_tracked = operator.saved_state().is_some();
                    if !is_tracked || !operator.parts_suffix().is_empty() {
                        let names = load_whole(number, operator.as_mut(), parts)?;
                        if !is_tracked {
                            engine.whole_parts.extend(names);
                        }
                    }
                    match operator.saved_state() {
                        Some(state) => state,
                        None => continue,
                    }
                }
            };
            known.load(state, parts)?;
        }
        let known = engine.arrangement_parts.iter_mut();
        for (known, arrangement) in known.zip(&mut engine.arrangements) {
            known.load(arrangement, parts)?;
        }
        let known = engine.id_parts.iter_mut();
        for (known, domain) in known.zip(engine.id_domains.iter_mut()) {
            known.load(domain, parts)?;
        }
        engine.last_epoch = Some(epoch);
        Ok(engine)
    }

    /// The program, with its parts at the places that they have here.
    pub fn program(&self) -> &Arc<Program> {
        &self.program
    }

    /// Goes over to another program between two epochs. `part` is an engine of
    /// [`ProgramChange::part`] that has seen everything that this one has; what
    /// stays is kept as it is.
    ///
    /// # Errors
    /// When one of the engines failed before, or the part is missing.
    pub fn change(
        &mut self,
        change: &ProgramChange,
        part: Option<Self>,
    ) -> Result<(), EngineError> {
        let missing = || EngineError::Invariant("a change of views without its new part".into());
        if self.failed || part.as_ref().is_some_and(|part| part.failed) {
            return Err(EngineError::Invariant(
                "an engine that failed cannot change its views".into(),
            ));
        }
        self.failed = true;
        let program = change.program().clone();
        let mut next = Self::new(program, self.options.clone())?;
        let (mut new_running, mut new_arrangements) = (Vec::new(), Vec::new());
        if let Some(mut part) = part {
            part.watermarks = self.watermarks.clone();
            part.closed_by = Watermarks::default();
            part.drop_finished_state()?;
            new_running = part.running.into_iter().map(Some).collect();
            new_arrangements = part.arrangements.into_iter().map(Some).collect();
        }
        let old_prints = &self.program.prints;
        let old_nodes = std::mem::take(&mut self.running).into_iter();
        let mut old_nodes = old_nodes.zip(std::mem::take(&mut self.node_parts));
        for place in 0..next.running.len() {
            let old = old_nodes.next();
            if change.new_nodes.contains(&place) {
                let new = new_running.get_mut(place).and_then(Option::take);
                next.running[place] = new.ok_or_else(missing)?;
            } else if let Some((running, parts)) = old
                && next.program.prints.nodes[place] == old_prints.nodes[place]
            {
                next.running[place] = running;
                next.node_parts[place] = parts;
                next.work[place] = self.work[place];
                let prefix = format!("{NODE}/{place}/");
                let names = self.whole_parts.iter();
                let names = names.filter(|name| name.starts_with(&prefix)).cloned();
                next.whole_parts.extend(names);
            }
        }
        let old_arrangements = std::mem::take(&mut self.arrangements).into_iter();
        let mut old_arrangements =
            old_arrangements.zip(std::mem::take(&mut self.arrangement_parts));
        for place in 0..next.arrangements.len() {
            let old = old_arrangements.next();
            if change.new_arrangements.contains(&place) {
                let new = new_arrangements.get_mut(place).and_then(Option::take);
                next.arrangements[place] = new.ok_or_else(missing)?;
            } else if let Some((arrangement, parts)) = old
                && next.program.prints.arrangements[place] == old_prints.arrangements[place]
            {
                next.arrangements[place] = arrangement;
                next.arrangement_parts[place] = parts;
            }
        }
        next.id_domains = std::mem::take(&mut self.id_domains);
        next.id_parts = std::mem::take(&mut self.id_parts);
        next.last_epoch = self.last_epoch;
        next.watermarks = std::mem::take(&mut self.watermarks);
        next.closed_by = std::mem::take(&mut self.closed_by);
        *self = next;
        Ok(())
    }

    /// Whether the parts of a checkpoint can be read under `program`: whether it
    /// was made under the same definitions, planned in the same way.
    pub fn can_restore(program: &Program, parts: &BTreeMap<String, Vec<u8>>) -> bool {
        match Header::read(parts) {
            Ok(header) => header.places(program).is_some(),
            // What is damaged is reported by `restore`.
            Err(_) => true,
        }
    }

    /// The operators with what they hold and have done, inputs first.
    pub fn operators(&self) -> Vec<OperatorReport> {
        let graph = &self.program.graph;
        let mut reports: Vec<OperatorReport> = Vec::with_capacity(graph.nodes.len());
        for (number, (running, node)) in self.running.iter().zip(&graph.nodes).enumerate() {
            let (kind, detail) = describe(&node.kind);
            let (state_rows, state_bytes) = match running {
                Running::Fed(_) => (0, 0),
                Running::Table(table) | Running::History(table) => {
                    (table.state_rows(), table.state_bytes())
                }
                Running::Operator(operator) => (operator.state_rows(), operator.state_bytes()),
            };
            reports.push(OperatorReport {
                number,
                view: node.view.clone(),
                kind,
                detail,
                inputs: node.inputs.clone(),
                append_only: node.append_only,
                state_rows,
                state_bytes,
                work: self.work[number],
                ..OperatorReport::default()
            });
        }
        let indexes = self.arrangements.iter().zip(&graph.arrangements);
        for (arrangement, spec) in indexes.filter(|(_, spec)| spec.node != UNUSED) {
            reports[spec.node].index_rows += arrangement.state_rows();
            reports[spec.node].index_bytes += arrangement.state_bytes();
        }
        for (name, &node) in &self.program.collection_nodes {
            reports[node].collections.push(name.clone());
        }
        // Places that nothing has.
        reports.retain(|report| !report.view.is_empty());
        reports
    }

    /// Sizes, for monitoring.
    pub fn metrics(&self) -> EngineMetrics {
        let mut metrics = EngineMetrics::default();
        let nodes = &self.program.graph.nodes;
        let used = |node: &&Node| !node.view.is_empty();
        let pairs = self.running.iter().zip(nodes);
        for (running, node) in pairs.filter(|(_, node)| used(node)) {
            let (rows, bytes) = match running {
                Running::Fed(_) => (0, 0),
                Running::Table(table) => {
                    let ignored = table.ignored_changes;
                    metrics
                        .ignored_changes
                        .insert(table.name().to_owned(), ignored);
                    (table.state_rows(), table.state_bytes())
                }
                Running::History(table) => (table.state_rows(), table.state_bytes()),
                Running::Operator(operator) => (operator.state_rows(), operator.state_bytes()),
            };
            *metrics.state_bytes.entry(node.view.clone()).or_default() += bytes;
            *metrics.state_rows.entry(node.view.clone()).or_default() += rows;
        }
        for (arrangement, spec) in self
            .arrangements
            .iter()
            .zip(&self.program.graph.arrangements)
            .filter(|(_, spec)| spec.node != UNUSED)
        {
            let view = nodes[spec.node].view.clone();
            let (rows, bytes) = (arrangement.state_rows(), arrangement.state_bytes());
            *metrics.state_bytes.entry(view.clone()).or_default() += bytes;
            *metrics.state_rows.entry(view).or_default() += rows;
        }
        let (ids, bytes) = self.id_domains.size();
        if ids > 0 {
            metrics.state_rows.insert(UNIQ_IDS.to_owned(), ids);
            metrics.state_bytes.insert(UNIQ_IDS.to_owned(), bytes);
        }
        metrics
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

fn start_node(program: &Program, node: &Node) -> Result<Running, EngineError> {
    let view = node.view.clone();
    let schema = node.schema.clone();
    let operator: Box<dyn Operator> = match node.kind.clone() {
        NodeKind::Table(index) => {
            let table = TableInput::new(program.tables[index].clone())?;
            return Ok(Running::Table(Box::new(table)));
        }
        NodeKind::Constant(rows) => Box::new(Constant::new(rows)),
        NodeKind::Filter(predicate) => Box::new(Filter { view, predicate }),
        NodeKind::Project(expressions) => Box::new(Project {
            view,
            expressions,
            schema,
        }),
        NodeKind::Unnest(spec) => Box::new(Unnest::new(spec, schema)),
        NodeKind::UniqIds { value, domain } => Box::new(UniqIds {
            view,
            value,
            domain,
            schema,
        }),
        NodeKind::Union => Box::new(Union::new(schema)),
        NodeKind::Time(TimeNode::History { table }) => {
            let history = history_definition(&program.tables[table]);
            return Ok(Running::History(Box::new(TableInput::new(history)?)));
        }
        NodeKind::Time(time_node) => {
            let left = node.inputs.first();
            let left_width = left.map(|&left| program.graph.nodes[left].schema.fields().len());
            time_node.start(schema, left_width.unwrap_or_default())?
        }
        NodeKind::Aggregate { group_by, calls } => {
            Box::new(Aggregate::new(view, group_by, calls, schema)?)
        }
        NodeKind::InnerJoin {
            left,
            right,
            residual,
        } => Box::new(InnerJoin {
            view,
            left,
            right,
            residual,
            schema,
        }),
        NodeKind::OuterJoin {
            output,
            left,
            right,
            left_types,
            right_types,
            residual,
            pair_schema,
        } => Box::new(OuterJoin::new(
            view,
            output,
            left,
            right,
            left_types,
            right_types,
            residual,
            pair_schema,
            schema,
        )),
        NodeKind::Window(spec) => Box::new(Window::new(view, spec, schema)?),
        NodeKind::TopK(spec) => Box::new(TopK::new(spec, schema)?),
    };
    Ok(Running::Operator(operator))
}

/// Takes back an operator that saves whole shards. Returns the parts' names.
fn load_whole(
    number: usize,
    operator: &mut dyn Operator,
    parts: &BTreeMap<String, Vec<u8>>,
) -> Result<Vec<String>, EngineError> {
    let mut names = Vec::new();
    for shard in 0..sluice_core::VIRTUAL_SHARDS {
        let name = format!("{NODE}/{number}/{shard}");
        let Some(bytes) = parts.get(&name) else {
            continue;
        };
        let body = unversioned(&name, bytes)?;
        operator
            .load(shard, body)
            .map_err(|source| EngineError::State {
                part: name.clone(),
                source,
            })?;
        names.push(name);
    }
    Ok(names)
}

/// Something that a checkpoint saves.
enum Stateful<'a> {
    Tracked(&'a mut dyn SavedState, &'a mut StateParts),
    TrackedOperator(&'a mut dyn Operator, &'a mut StateParts),
    Whole(usize, &'a mut dyn Operator),
}

/// What a checkpoint has to write.
#[derive(Default)]
struct Saved {
    tracked: Parts,
    whole: BTreeMap<String, Vec<u8>>,
}

/// Saves what changed, each thread taking the next that nobody took. Parts have
/// names, so that who saved them does not matter.
fn save_all(stateful: Vec<Stateful<'_>>, epoch: Epoch, threads: usize) -> Saved {
    let waiting = Mutex::new(stateful);
    let saved = Mutex::new(Saved::default());
    let save_next = |next: Stateful<'_>| match next {
        Stateful::Tracked(state, parts) => {
            let parts = parts.save(epoch, state);
            saved.lock().tracked.extend(parts);
        }
        Stateful::TrackedOperator(operator, parts) => {
            if let Some(state) = operator.saved_state() {
                let parts = parts.save(epoch, state);
                saved.lock().tracked.extend(parts);
            }
        }
        Stateful::Whole(number, operator) => {
            let shards = operator.save_changed().into_iter();
            let parts = shards.map(|(shard, bytes)| {
                let mut writer = versioned();
                writer.raw(&bytes);
                (format!("{NODE}/{number}/{shard}"), writer.finish())
            });
            saved.lock().whole.extend(parts);
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..threads.max(1) {
            scope.spawn(|| {
                loop {
                    let next = waiting.lock().pop();
                    let Some(next) = next else { return };
                    save_next(next);
                }
            });
        }
    });
    saved.into_inner()
}
