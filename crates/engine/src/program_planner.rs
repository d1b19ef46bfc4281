//! From the text of views to one graph: parsed, ordered, planned by DataFusion,
//! lowered to operators.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use datafusion::datasource::empty::EmptyTable;
use datafusion::error::DataFusionError;
use datafusion::execution::{SessionState, SessionStateBuilder};
use datafusion::logical_expr::LogicalPlan;
use datafusion::prelude::{SessionConfig, SessionContext};
use datafusion::sql::parser::Statement as DataFusionStatement;
use datafusion::sql::sqlparser::ast::Statement;
use sluice_core::{TableDefinition, TableKind, stable_hash};
use sluice_functions::{
    DatesAsMoments, FloatsInOperators, Functions, IntervalProducts, TextsInOperators, UNIQ_IDS,
    analyzer_rules,
};
use sluice_syntax::text_of;

use crate::check_syntax::{ParsedView, parse_view};
use crate::column_origins::column_origins;
use crate::column_types::{check_operators, check_view};
use crate::cost_warnings::cost_warnings;
use crate::graph::{Graph, Node, NodeKind};
use crate::lower::{Lowering, Refusal};
use crate::optimize::{optimize, subquery_rules};
use crate::plain_views::PlainViews;
use crate::prints::{self, Prints};
use crate::program::{Collection, PLANNER_VERSION, Program, ViewDefinition, ViewShape};
use crate::time::bounds::{arrangement_limits, bounds_of_graph, state_limits};
use crate::time::plan_temporal::TemporalPlanner;
use crate::time::plan_window::{WindowPlanner, find_window};
use crate::view_order::{ViewOrder, order_views};
use crate::{EVALUATION_ERRORS, PlanError, evaluation_errors, id_domains};

/// See the module.
pub(crate) struct Planner {
    state: SessionState,
    context: SessionContext,
    tables: Vec<TableDefinition>,
    functions: Functions,
    graph: Graph,
    collection_nodes: BTreeMap<String, usize>,
    base_tables: BTreeMap<String, BTreeSet<String>>,
    /// Prints of tables and views; see `prints.rs`.
    view_prints: BTreeMap<String, u64>,
    collections: Vec<Collection>,
    query_views: Vec<(String, String)>,
    plain_views: PlainViews,
    shapes: BTreeMap<String, ViewShape>,
    warnings: Vec<String>,
    pub(crate) errors: Vec<PlanError>,
}

/// A view that can be planned, by its position among the definitions.
pub(crate) struct UsableView {
    pub(crate) index: usize,
    /// The views that it reads.
    pub(crate) inputs: Vec<usize>,
}

impl Planner {
    pub(crate) fn new(tables: &[TableDefinition], functions: &Functions) -> Self {
        let context = SessionContext::new_with_state(session_state(tables, functions));
        let mut planner = Self {
            state: context.state(),
            context,
            tables: tables.to_vec(),
            functions: functions.clone(),
            graph: Graph::default(),
            collection_nodes: BTreeMap::new(),
            base_tables: BTreeMap::new(),
            view_prints: BTreeMap::new(),
            collections: Vec::new(),
            query_views: Vec::new(),
            plain_views: PlainViews::default(),
            shapes: BTreeMap::new(),
            warnings: Vec::new(),
            errors: Vec::new(),
        };
        for (index, table) in tables.iter().enumerate() {
            let (append_only, unique_key) = match &table.kind {
                TableKind::AppendOnly => (true, None),
                TableKind::Changelog { primary_key } => (false, Some(primary_key.clone())),
            };
            let node = planner.graph.add(Node {
                kind: NodeKind::Table(index),
                inputs: vec![],
                schema: table.schema(),
                view: table.name.clone(),
                append_only,
                unique_key,
            });
            planner.add_collection(&table.name, node, false);
            if !table.stored {
                planner.collections.pop();
            }
            let itself = BTreeSet::from([table.name.clone()]);
            planner.base_tables.insert(table.name.clone(), itself);
            let print = prints::hash(&format!("{table:?}"));
            planner.view_prints.insert(table.name.clone(), print);
        }
        planner
    }

    fn add_collection(&mut self, name: &str, node: usize, is_view: bool) {
        let planned = &self.graph.nodes[node];
        self.collections.push(Collection {
            name: name.to_owned(),
            schema: planned.schema.clone(),
            is_view,
            append_only: planned.append_only,
            unique_key: planned.unique_key.clone(),
        });
        let schema = planned.schema.clone();
        self.collection_nodes.insert(name.to_owned(), node);
        self.register(name, schema);
    }

    fn register(&mut self, name: &str, schema: SchemaRef) {
        let table = Arc::new(EmptyTable::new(schema));
        // A second table of one name is reported where names are collected.
        let name = datafusion::common::TableReference::bare(name);
        let _ = self.context.register_table(name, table);
        self.state = self.context.state();
    }

    pub(crate) fn parse(&mut self, views: &[ViewDefinition]) -> Vec<Option<ParsedView>> {
        let mut names: BTreeSet<String> = self.collection_nodes.keys().cloned().collect();
        names.insert(EVALUATION_ERRORS.to_owned());
        names.insert(UNIQ_IDS.to_owned());
        let mut parsed = Vec::with_capacity(views.len());
        for view in views {
            match parse_view(view, &self.state) {
                Ok(found) => {
                    if !names.insert(found.name.clone()) {
                        let message = format!("there is already a table or view `{}`", found.name);
                        self.error(view, found.name_location, message, "choose another name");
                    }
                    parsed.push(Some(found));
                }
                Err(errors) => {
                    self.errors.extend(errors);
                    parsed.push(None);
                }
            }
        }
        parsed
    }

    fn error(
        &mut self,
        view: &ViewDefinition,
        location: (usize, usize),
        message: String,
        help: impl Into<String>,
    ) {
        self.errors.push(PlanError {
            file: view.file.clone(),
            line: location.0.max(1),
            column: location.1.max(1),
            message,
            help: help.into(),
        });
    }

    /// Views in an order in which each comes after those that it reads. Views
    /// that are not parsed or in a cycle, and what reads one, are left out.
    pub(crate) fn order(
        &mut self,
        views: &[ViewDefinition],
        parsed: &[Option<ParsedView>],
    ) -> Vec<UsableView> {
        let by_name: BTreeMap<&str, usize> = views
            .iter()
            .enumerate()
            .map(|(index, view)| (view.name.as_str(), index))
            .collect();
        let mut inputs: Vec<Vec<usize>> = parsed
            .iter()
            .map(|view| {
                let names = view.as_ref().map(|view| self.references(view));
                names
                    .iter()
                    .flatten()
                    .filter_map(|name| by_name.get(name.as_str()).copied())
                    .collect()
            })
            .collect();
        let ViewOrder { order, cycles } = order_views(&inputs);
        let mut broken: BTreeSet<usize> = (0..views.len())
            .filter(|&index| parsed[index].is_none())
            .collect();
        for cycle in cycles {
            let names: Vec<&str> = cycle
                .iter()
                .map(|&index| views[index].name.as_str())
                .collect();
            let message = format!("the views form a cycle: {}", names.join(" → "));
            let location = parsed[cycle[0]]
                .as_ref()
                .map_or((1, 1), |view| view.name_location);
            self.error(
                &views[cycle[0]],
                location,
                message,
                "let one of them read a table instead",
            );
            broken.extend(cycle);
        }
        let mut usable = Vec::new();
        for index in order {
            if inputs[index].iter().any(|input| broken.contains(input)) {
                broken.insert(index);
            }
            if !broken.contains(&index) {
                let inputs = std::mem::take(&mut inputs[index]);
                usable.push(UsableView { index, inputs });
            }
        }
        usable
    }

    /// Names of what a view reads.
    pub(crate) fn references(&self, view: &ParsedView) -> Vec<String> {
        let statement =
            DataFusionStatement::Statement(Box::new(Statement::Query(view.query.clone())));
        let references = self.state.resolve_table_references(&statement);
        references
            .unwrap_or_default()
            .into_iter()
            .map(|reference| reference.table().to_owned())
            .collect()
    }

    pub(crate) fn plan_view(&mut self, definition: &ViewDefinition, view: &ParsedView) {
        let query_views: BTreeSet<&str> = self
            .query_views
            .iter()
            .map(|(name, _)| name.as_str())
            .collect();
        let references = self.references(view);
        if view.is_materialized
            && let Some(name) = references
                .iter()
                .find(|name| query_views.contains(name.as_str()))
        {
            let message = format!("a materialized view cannot read the plain view `{name}`");
            let help = "make that one a CREATE MATERIALIZED VIEW";
            self.error(definition, view.name_location, message, help);
            return;
        }
        let plan = match self.logical_plan(view) {
            Ok(plan) => plan,
            Err(error) => return self.planning_error(definition, view, &error),
        };
        let mut inputs = references.clone();
        inputs.sort();
        inputs.dedup();
        let origins = column_origins(&plan);
        // The rules may give columns other types than they were written with.
        let shape = |schema: SchemaRef| ViewShape {
            inputs,
            schema,
            origins,
            is_materialized: view.is_materialized,
        };
        if !view.is_materialized {
            let unstored = |name: &&String| {
                let tables = self.tables.iter();
                let mut tables = tables.filter(|table| table.name == **name);
                tables.any(|table| !table.stored)
            };
            if let Some(name) = references.iter().find(unstored) {
                let message = format!("a plain view cannot read `{name}`, which is not stored");
                let help = "make it a CREATE MATERIALIZED VIEW, or leave `stored = false` out";
                self.error(definition, view.name_location, message, help);
                return;
            }
            if let Some(function) = find_window(&plan) {
                let message = format!("`{function}` in a plain view");
                let help = "make it a CREATE MATERIALIZED VIEW: windows are kept current, not computed when asked";
                self.error(definition, view.name_location, message, help);
                return;
            }
            let analyzed = match self.analyze(plan) {
                Ok(analyzed) => analyzed,
                Err(error) => return self.planning_error(definition, view, &error),
            };
            let schema = analyzed.schema().inner().clone();
            if let Err(error) = self.plain_views.add(&view.name, analyzed) {
                return self.planning_error(definition, view, &error);
            }
            self.shapes.insert(view.name.clone(), shape(schema.clone()));
            self.register(&view.name, schema);
            self.query_views
                .push((view.name.clone(), text_of(&*view.query)));
            return;
        }
        let optimized = match optimize(plan.clone(), &self.state) {
            Ok(optimized) => optimized,
            Err(error) => return self.planning_error(definition, view, &error),
        };
        if let Err(duplicate) = check_column_names(&plan) {
            let help = "give the columns different names: expression AS name";
            self.error(definition, view.name_location, duplicate, help);
            return;
        }
        let first_node = self.graph.nodes.len();
        let mut lowering = Lowering {
            graph: &mut self.graph,
            collections: &self.collection_nodes,
            view: view.name.clone(),
        };
        let lowered = lowering.lower(&optimized).and_then(|node| {
            if view.emit_location.is_some() {
                return lowering.emit_on_close(node, &self.tables);
            }
            Ok(node)
        });
        let lowered = lowered.and_then(|node| {
            let nodes = &self.graph.nodes;
            check_view(plan.schema().inner(), &nodes[node])?;
            check_operators(&nodes[first_node..])?;
            Ok(node)
        });
        match lowered {
            Ok(node) => {
                let node = self.with_output_names(node, &plan);
                let schema = self.graph.nodes[node].schema.clone();
                self.shapes.insert(view.name.clone(), shape(schema));
                let tables = references
                    .iter()
                    .filter_map(|name| self.base_tables.get(name))
                    .flatten()
                    .cloned()
                    .collect();
                self.base_tables.insert(view.name.clone(), tables);
                let inputs = references
                    .iter()
                    .map(|name| (name, self.view_prints.get(name)));
                let inputs: BTreeMap<&String, Option<&u64>> = inputs.collect();
                let emits = view.emit_location.is_some();
                let identity = format!("{} {emits} {inputs:?}", text_of(&*view.query));
                let print = prints::hash(&identity);
                self.view_prints.insert(view.name.clone(), print);
                self.add_collection(&view.name, node, true);
            }
            Err(Refusal { message, help }) => {
                let location = match view.emit_location {
                    Some(location) if message.starts_with("EMIT") => location,
                    _ => locate_name(&message, &definition.sql).unwrap_or(view.name_location),
                };
                self.error(definition, location, message, help);
            }
        }
    }

    /// A view that passes another collection on as it is gets a node of its
    /// own, and every view has the column names of its SELECT.
    fn with_output_names(&mut self, node: usize, plan: &LogicalPlan) -> usize {
        let fields: Vec<_> = plan
            .schema()
            .fields()
            .iter()
            .zip(self.graph.nodes[node].schema.fields())
            .map(|(named, planned)| planned.as_ref().clone().with_name(named.name()))
            .collect();
        let schema = Arc::new(arrow::datatypes::Schema::new(fields));
        let is_collection = self.collection_nodes.values().any(|&other| other == node);
        if !is_collection {
            self.graph.nodes[node].schema = schema;
            return node;
        }
        let passed = self.graph.nodes[node].clone();
        self.graph.add(Node {
            kind: NodeKind::Union,
            inputs: vec![node],
            schema,
            ..passed
        })
    }

    fn logical_plan(&self, view: &ParsedView) -> Result<LogicalPlan, DataFusionError> {
        let statement =
            DataFusionStatement::Statement(Box::new(Statement::Query(view.query.clone())));
        futures::executor::block_on(self.state.statement_to_plan(statement))
    }

    /// A plan that only runs when someone asks, with the types that its columns will
    /// have.
    fn analyze(&self, plan: LogicalPlan) -> Result<LogicalPlan, DataFusionError> {
        let options = self.state.config_options();
        let analyzer = self.state.analyzer();
        analyzer.execute_and_check(plan, options, |_, _| {})
    }

    fn planning_error(
        &mut self,
        definition: &ViewDefinition,
        view: &ParsedView,
        error: &DataFusionError,
    ) {
        let root = error.find_root();
        let diagnostic = error.diagnostic().or_else(|| root.diagnostic());
        let text = root.strip_backtrace();
        let message = text.lines().next().unwrap_or_default();
        let message = message
            .trim_start_matches("Schema error: ")
            .trim_start_matches("Error during planning: ")
            .to_owned();
        let location = diagnostic
            .and_then(|found| found.span)
            .map(|span| (span.start.line as usize, span.start.column as usize))
            .or_else(|| locate_name(&message, &definition.sql))
            .unwrap_or(view.name_location);
        let helps: Vec<String> = diagnostic
            .iter()
            .flat_map(|found| &found.helps)
            .map(|help| help.message.clone())
            .collect();
        let help = if helps.is_empty() && message.contains("not found") {
            let known: Vec<&str> = self.collection_nodes.keys().map(String::as_str).collect();
            format!("known tables and views: {}", known.join(", "))
        } else {
            helps.join("; ")
        };
        self.error(definition, location, message, help);
    }

    pub(crate) fn finish(mut self, views: &[ViewDefinition]) -> Program {
        self.collections.push(Collection {
            name: EVALUATION_ERRORS.to_owned(),
            schema: evaluation_errors::schema(),
            is_view: true,
            append_only: false,
            unique_key: None,
        });
        let has_domains = !self.graph.id_domains().is_empty();
        if has_domains {
            self.collections.push(Collection {
                name: UNIQ_IDS.to_owned(),
                schema: id_domains::schema(),
                is_view: true,
                append_only: true,
                unique_key: Some(vec![0, 1]),
            });
        }
        self.warnings.extend(cost_warnings(&self.graph));
        let is_stored = |name: &String| self.collections.iter().any(|found| found.name == *name);
        let nodes = self.collection_nodes.iter();
        let stored_nodes = nodes
            .filter(|(name, _)| is_stored(name))
            .map(|(name, &node)| (name.clone(), node))
            .collect();
        let mut identity = format!("{PLANNER_VERSION}\n{:?}\n", self.tables);
        for view in views {
            identity.push_str(&view.sql);
            identity.push('\0');
        }
        let (dictionary, ids_max) = (
            self.functions.user_dictionary(),
            self.functions.uniq_ids_max(),
        );
        if !dictionary.is_empty() {
            identity.push_str(&format!("words {dictionary}\0"));
        }
        if has_domains {
            identity.push_str(&format!("ids {ids_max}\0"));
        }
        let bounds = bounds_of_graph(&self.graph, &self.tables);
        let state_limits = state_limits(&self.graph, &bounds);
        let arrangement_limits = arrangement_limits(&self.graph, &bounds);
        Program {
            prints: Prints::of(
                &self.graph,
                &self.tables,
                &self.view_prints,
                &state_limits,
                &arrangement_limits,
            ),
            fed: BTreeMap::new(),
            state_limits,
            arrangement_limits,
            tables: self.tables,
            graph: self.graph,
            collection_nodes: stored_nodes,
            base_tables: self.base_tables,
            collections: self.collections,
            query_views: self.query_views,
            shapes: self.shapes,
            warnings: self.warnings,
            functions: self.functions,
            fingerprint: stable_hash(identity.as_bytes()),
        }
    }
}

/// DataFusion with the optimizer rules whose results the engine can run.
fn session_state(tables: &[TableDefinition], functions: &Functions) -> SessionState {
    let mut config = SessionConfig::new();
    let options = config.options_mut();
    // Money written as 0.1 must be exact.
    options.sql_parser.parse_float_as_decimal = true;
    options.sql_parser.map_string_types_to_utf8view = false;
    options.sql_parser.collect_spans = true;
    // `to_timestamp(…)` and `TIMESTAMPTZ '…'` are moments, as those of tables are.
    options.execution.time_zone = Some("UTC".to_owned());
    options.optimizer.skip_failed_rules = false;
    // Scalar subqueries become joins, which the engine keeps current.
    options
        .optimizer
        .enable_physical_uncorrelated_scalar_subquery = false;
    let mut state = SessionStateBuilder::new()
        .with_config(config)
        .with_expr_planners(vec![
            Arc::new(TextsInOperators),
            Arc::new(FloatsInOperators),
            Arc::new(IntervalProducts),
        ])
        .with_default_features()
        .with_analyzer_rules(analyzer_rules(DatesAsMoments::OfModels))
        .with_optimizer_rules(subquery_rules())
        .with_relation_planners(vec![
            Arc::new(WindowPlanner),
            Arc::new(TemporalPlanner::new(tables)),
        ])
        .build();
    // A session takes every function.
    let _ = functions.register_for_views(&mut state);
    state
}

fn check_column_names(plan: &LogicalPlan) -> Result<(), String> {
    if plan.schema().fields().is_empty() {
        return Err("the view has no columns".to_owned());
    }
    let mut names = BTreeSet::new();
    for field in plan.schema().fields() {
        if !names.insert(field.name()) {
            return Err(format!("two columns are named `{}`", field.name()));
        }
    }
    Ok(())
}

/// Looks for the name that a message quotes in the text, as a whole word.
fn locate_name(message: &str, sql: &str) -> Option<(usize, usize)> {
    let quoted = message.split(['\'', '"', '`']).nth(1)?;
    let name = quoted.rsplit('.').next()?.to_lowercase();
    let is_word = |character: char| character.is_alphanumeric() || character == '_';
    for (line_number, line) in sql.lines().enumerate() {
        let code = line.split("--").next().unwrap_or_default().to_lowercase();
        for (position, _) in code.match_indices(&name) {
            let before = code[..position].chars().next_back();
            let after = code[position + name.len()..].chars().next();
            if !before.is_some_and(is_word) && !after.is_some_and(is_word) {
                let column = code[..position].chars().count() + 1;
                return Some((line_number + 1, column));
            }
        }
    }
    None
}
