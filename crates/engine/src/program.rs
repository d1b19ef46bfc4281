//! All views of a warehouse, checked and planned together.

use std::collections::{BTreeMap, BTreeSet};

use arrow::datatypes::SchemaRef;
use sluice_core::TableDefinition;
use sluice_functions::Functions;

use crate::PlanError;
use crate::column_origins::Origins;
use crate::graph::{Graph, NodeKind};
use crate::prints::Prints;
use crate::program_planner::{Planner, UsableView};
use crate::time::bounds::StateLimit;
use crate::time::node::TimeNode;

/// Changes whenever a node of an equal print would hold another state, so that a
/// checkpoint of an older planner is never misread. A graph that is merely cut in
/// another way has other prints.
pub(crate) const PLANNER_VERSION: u32 = 5;

/// The SQL text of one model file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ViewDefinition {
    /// Name of the view, which is the file's name.
    pub name: String,
    /// File, for messages.
    pub file: String,
    /// `CREATE MATERIALIZED VIEW name AS SELECT …`, or `CREATE VIEW` for a
    /// query view.
    pub sql: String,
}

/// A table or view as readers see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Collection {
    /// Name in SQL.
    pub name: String,
    /// Its columns.
    pub schema: SchemaRef,
    /// False for tables.
    pub is_view: bool,
    /// True if rows are only ever added.
    pub append_only: bool,
    /// Columns that identify a row, where known.
    pub unique_key: Option<Vec<usize>>,
}

/// What a view is made of, for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ViewShape {
    /// Tables and views that it names.
    pub inputs: Vec<String>,
    /// Its columns.
    pub schema: SchemaRef,
    /// From which columns each of them takes its values.
    pub origins: Vec<Origins>,
    /// False for a query view.
    pub is_materialized: bool,
}

/// A planned warehouse: what [`crate::Engine`] runs.
#[derive(Debug, Clone)]
pub struct Program {
    pub(crate) tables: Vec<TableDefinition>,
    pub(crate) graph: Graph,
    /// What each node's state can be rid of.
    pub(crate) state_limits: Vec<Option<StateLimit>>,
    /// The same for each arrangement.
    pub(crate) arrangement_limits: Vec<Option<StateLimit>>,
    /// Node of each collection, by name.
    pub(crate) collection_nodes: BTreeMap<String, usize>,
    /// The tables that each collection is made from.
    pub(crate) base_tables: BTreeMap<String, BTreeSet<String>>,
    /// What each place of the graph does, to compare with other programs.
    pub(crate) prints: Prints,
    /// Nodes that get their rows from outside: those of this collection.
    pub(crate) fed: BTreeMap<usize, String>,
    pub(crate) collections: Vec<Collection>,
    pub(crate) query_views: Vec<(String, String)>,
    pub(crate) shapes: BTreeMap<String, ViewShape>,
    pub(crate) warnings: Vec<String>,
    pub(crate) functions: Functions,
    pub(crate) fingerprint: u64,
}

impl Program {
    /// Checks and plans `views` over `tables`. All errors of all views come at
    /// once, except that a view on a view in error is not looked at.
    ///
    /// # Errors
    /// Every unknown name, cycle, unsupported construct and type error, with
    /// file, line, column and what to write instead.
    pub fn plan(
        tables: &[TableDefinition],
        views: &[ViewDefinition],
    ) -> Result<Self, Vec<PlanError>> {
        Self::plan_with(tables, views, &Functions::default())
    }

    /// The same with the functions of a warehouse.
    ///
    /// # Errors
    /// See [`Program::plan`].
    pub fn plan_with(
        tables: &[TableDefinition],
        views: &[ViewDefinition],
        functions: &Functions,
    ) -> Result<Self, Vec<PlanError>> {
        let mut planner = Planner::new(tables, functions);
        let parsed = planner.parse(views);
        // What reads a wrong view would only hide what is wrong with it.
        let mut wrong: BTreeSet<usize> = BTreeSet::new();
        for UsableView { index, inputs } in planner.order(views, &parsed) {
            let Some(view) = &parsed[index] else {
                continue;
            };
            let before = planner.errors.len();
            let reads_wrong = inputs.iter().any(|input| wrong.contains(input));
            if !reads_wrong {
                planner.plan_view(&views[index], view);
            }
            if reads_wrong || planner.errors.len() > before {
                wrong.insert(index);
            }
        }
        if planner.errors.is_empty() {
            return Ok(planner.finish(views));
        }
        planner.errors.sort_by(|first, second| {
            (&first.file, first.line, first.column).cmp(&(&second.file, second.line, second.column))
        });
        Err(planner.errors)
    }

    /// The table whose rows a node takes in.
    pub(crate) fn table_of(&self, kind: &NodeKind) -> Option<&String> {
        match kind {
            NodeKind::Table(table) | NodeKind::Time(TimeNode::History { table }) => {
                self.tables.get(*table).map(|table| &table.name)
            }
            _ => None,
        }
    }

    /// Tables, materialized views and the evaluation-error collection, in the
    /// order in which they are computed.
    pub fn collections(&self) -> &[Collection] {
        &self.collections
    }

    /// Plain views: name and SELECT text.
    pub fn query_views(&self) -> &[(String, String)] {
        &self.query_views
    }

    /// What each view is made of, by name.
    pub fn shapes(&self) -> &BTreeMap<String, ViewShape> {
        &self.shapes
    }

    /// The functions that it was planned with.
    pub fn functions(&self) -> &Functions {
        &self.functions
    }

    /// Identifies the definitions; a checkpoint fits only the same one.
    pub fn fingerprint(&self) -> u64 {
        self.fingerprint
    }

    /// Query forms whose cost can follow the size of the state instead of the
    /// size of the changes.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }
}
