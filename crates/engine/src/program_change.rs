//! From one program to another: what stays, and what must be computed anew.
//!
//! The new part is computed by an engine of its own, beside the one at work:
//! from the rows of the tables and views that stay, or, where the order in which
//! rows came matters, from the changes of tables since the beginning. When it
//! has come as far, [`crate::Engine::change`] joins the two between epochs.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::graph::{ArrangementSpec, Node, NodeKind};
use crate::place::Placed;
use crate::prints::{NOTHING, arrangements_of};
use crate::program::Program;
use crate::time::node::TimeNode;

/// What the new part of a program is computed from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PartInput {
    /// The rows of these collections, which stay: each view follows from what
    /// they hold.
    Collections(BTreeSet<String>),
    /// All changes of these tables, in order.
    Tables(BTreeSet<String>),
}

/// See the module.
#[derive(Debug, Clone)]
pub struct ProgramChange {
    program: Arc<Program>,
    /// Places whose state comes from the new part.
    pub(crate) new_nodes: BTreeSet<usize>,
    pub(crate) new_arrangements: BTreeSet<usize>,
    new_views: BTreeSet<String>,
    gone_views: BTreeSet<String>,
    /// The collection of each place, under the old program.
    old_collections: BTreeMap<usize, String>,
    /// Tables that are new, have other rows, or are gone.
    pub(crate) other_tables: BTreeSet<String>,
    id_domains_change: bool,
}

impl ProgramChange {
    /// The change from `old` to `new`, whose tables give the same rows where they
    /// are defined alike.
    pub fn new(old: &Program, new: &Program) -> Self {
        Self::of_tables(old, new, &BTreeSet::new())
    }

    /// The same; the tables in `other_rows` have other rows, also where they are
    /// defined alike.
    pub fn of_tables(old: &Program, new: &Program, other_rows: &BTreeSet<String>) -> Self {
        let Placed {
            program,
            new_nodes,
            new_arrangements,
        } = new.placed_after(&old.prints, other_rows);
        let names = |program: &Program| -> BTreeSet<String> {
            let tables = program.tables.iter();
            tables.map(|table| table.name.clone()).collect()
        };
        let mut other_tables: BTreeSet<String> = &names(old) - &names(&program);
        for &node in &new_nodes {
            let table = program.table_of(&program.graph.nodes[node].kind);
            other_tables.extend(table.cloned());
        }
        let is_kept = |name: &String, node: &usize| {
            !new_nodes.contains(node) && old.collection_nodes.get(name) == Some(node)
        };
        let collections = program.collection_nodes.iter();
        let new_views: BTreeSet<String> = collections
            .filter(|(name, node)| !is_kept(name, node))
            .map(|(name, _)| name.clone())
            .collect();
        let gone = old.collection_nodes.keys().filter(|name| {
            new_views.contains(*name) || !program.collection_nodes.contains_key(*name)
        });
        let gone_views = gone.cloned().collect();
        let old_nodes = old.collection_nodes.iter();
        Self {
            old_collections: old_nodes
                .map(|(name, &node)| (node, name.clone()))
                .collect(),
            id_domains_change: old.graph.id_domains() != program.graph.id_domains(),
            program: Arc::new(program),
            other_tables,
            new_nodes,
            new_arrangements,
            new_views,
            gone_views,
        }
    }

    /// Whether ids of unique values would have to be given by the new part:
    /// those that it gives alone are not those of the part that stays, so that
    /// everything must be computed anew.
    pub fn touches_unique_ids(&self) -> bool {
        let nodes = &self.program.graph.nodes;
        let gives_ids = |&place: &usize| matches!(nodes[place].kind, NodeKind::UniqIds { .. });
        self.new_nodes.iter().any(gives_ids) || self.id_domains_change
    }

    /// The new program.
    pub fn program(&self) -> &Arc<Program> {
        &self.program
    }

    /// Tables and materialized views that are new or have another content than
    /// before.
    pub fn new_views(&self) -> &BTreeSet<String> {
        &self.new_views
    }

    /// Tables and materialized views whose old content goes, those that change
    /// among them.
    pub fn gone_views(&self) -> &BTreeSet<String> {
        &self.gone_views
    }

    /// True when no state has to be computed.
    pub fn is_only_dropping(&self) -> bool {
        self.new_views.is_empty() && self.new_nodes.is_empty() && self.new_arrangements.is_empty()
    }

    /// What the new part can be computed from. `is_whole` tells whether all rows
    /// that a table ever had and did not lose by a change are stored;
    /// `is_given` whether the rows of a new table come in another way, or it has
    /// none yet.
    pub fn input(
        &self,
        is_whole: impl Fn(&str) -> bool,
        is_given: impl Fn(&str) -> bool,
    ) -> PartInput {
        let (needed, fed) = self.needed(|place| self.old_collections.contains_key(&place));
        let nodes = &self.program.graph.nodes;
        let is_read = |place: &usize| {
            let table = self.program.table_of(&nodes[*place].kind);
            table.is_some_and(|table| !is_given(table))
        };
        let depends_on_order = |place: &usize| {
            !fed.contains(place)
                && (is_read(place)
                    || matches!(
                        &nodes[*place].kind,
                        NodeKind::Time(
                            TimeNode::Session { .. }
                                | TimeNode::History { .. }
                                | TimeNode::AsOf { .. }
                                | TimeNode::Lookup { .. }
                                | TimeNode::WindowClose { .. }
                        )
                    ))
        };
        let collections: BTreeSet<String> = fed
            .iter()
            .map(|place| self.old_collections[place].clone())
            .collect();
        let are_whole = collections.iter().all(|name| is_whole(name));
        if are_whole && !needed.iter().any(depends_on_order) {
            return PartInput::Collections(collections);
        }
        let (needed, _) = self.needed(|_| false);
        let tables = needed
            .iter()
            .filter_map(|&place| self.program.table_of(&nodes[place].kind));
        PartInput::Tables(tables.cloned().collect())
    }

    /// The program that computes the new part alone.
    pub fn part(&self, input: &PartInput) -> Arc<Program> {
        let (needed, fed) = match input {
            PartInput::Collections(_) => {
                self.needed(|place| self.old_collections.contains_key(&place))
            }
            PartInput::Tables(_) => self.needed(|_| false),
        };
        let mut part = (*self.program).clone();
        let mut used_arrangements: BTreeSet<usize> = self.new_arrangements.clone();
        for place in 0..part.graph.nodes.len() {
            if !needed.contains(&place) {
                part.graph.nodes[place] = Node::unused();
                part.state_limits[place] = None;
                part.prints.nodes[place] = NOTHING;
            } else if !fed.contains(&place) {
                used_arrangements.extend(arrangements_of(&part.graph.nodes[place].kind));
            }
        }
        for place in 0..part.graph.arrangements.len() {
            if !used_arrangements.contains(&place) {
                part.graph.arrangements[place] = ArrangementSpec::unused();
                part.arrangement_limits[place] = None;
            }
        }
        let names = fed.into_iter();
        part.fed = names
            .map(|place| (place, self.old_collections[&place].clone()))
            .collect();
        part.collection_nodes
            .retain(|name, _| self.new_views.contains(name));
        Arc::new(part)
    }

    /// The places that the new part needs, and those among them at which it is
    /// fed.
    fn needed(&self, may_feed: impl Fn(usize) -> bool) -> (BTreeSet<usize>, BTreeSet<usize>) {
        let graph = &self.program.graph;
        let mut waiting: Vec<usize> = self.new_nodes.iter().copied().collect();
        let indexes = self.new_arrangements.iter();
        waiting.extend(indexes.map(|&it| graph.arrangements[it].node));
        let views = self.new_views.iter();
        waiting.extend(views.filter_map(|name| self.program.collection_nodes.get(name)));
        let mut needed = BTreeSet::new();
        let mut fed = BTreeSet::new();
        while let Some(place) = waiting.pop() {
            if !needed.insert(place) {
                continue;
            }
            if !self.new_nodes.contains(&place) && may_feed(place) {
                fed.insert(place);
                continue;
            }
            let node = &graph.nodes[place];
            waiting.extend(node.inputs.iter().copied());
            let indexes = arrangements_of(&node.kind);
            waiting.extend(indexes.map(|it| graph.arrangements[it].node));
        }
        (needed, fed)
    }
}
