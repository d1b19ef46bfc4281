//! Gives the nodes and arrangements of a program the places that the same ones
//! have in another: state is found by its place, in memory and on disk.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::graph::{ArrangementSpec, Graph, Node, NodeKind, UNUSED};
use crate::prints::{NOTHING, Prints, arrangements_of, is_shared};
use crate::program::Program;
use crate::time::node::TimeNode;

/// Where each node and arrangement goes; `None`: it is new.
struct Kept {
    nodes: Vec<Option<usize>>,
    arrangements: Vec<Option<usize>>,
}

/// A placed program, and which of its places are new.
pub(crate) struct Placed {
    pub(crate) program: Program,
    pub(crate) new_nodes: BTreeSet<usize>,
    pub(crate) new_arrangements: BTreeSet<usize>,
}

impl Program {
    /// The program with everything that `old` has too at the place where `old`
    /// has it. A view of which anything is new is new as a whole, and the tables
    /// in `other_rows` are new whatever they look like.
    pub(crate) fn placed_after(&self, old: &Prints, other_rows: &BTreeSet<String>) -> Placed {
        let kept = Kept::find(self, old, other_rows);
        let nodes = self.node_places(&kept, old);
        let arrangements = arrangement_places(&kept, old);
        let place_of = |number: usize| match number {
            UNUSED => UNUSED,
            number => nodes[number],
        };
        let width = |places: &[usize], old: &[u64]| {
            let last = places.iter().max().map_or(0, |last| last + 1);
            last.max(old.len())
        };
        let node_count = width(&nodes, &old.nodes);
        let arrangement_count = width(&arrangements, &old.arrangements);
        let mut placed = self.clone();
        placed.graph = Graph {
            nodes: vec![Node::unused(); node_count],
            arrangements: vec![ArrangementSpec::unused(); arrangement_count],
            arrangement_uses: vec![0; arrangement_count],
        };
        placed.prints = Prints {
            nodes: vec![NOTHING; node_count],
            arrangements: vec![NOTHING; arrangement_count],
        };
        placed.state_limits = vec![None; node_count];
        placed.arrangement_limits = vec![None; arrangement_count];
        for (number, node) in self.graph.nodes.iter().enumerate() {
            let place = nodes[number];
            let mut moved = node.clone();
            for input in &mut moved.inputs {
                *input = nodes[*input];
            }
            place_arrangements(&mut moved.kind, &arrangements);
            placed.graph.nodes[place] = moved;
            placed.prints.nodes[place] = self.prints.nodes[number];
            placed.state_limits[place] = self.state_limits[number].clone();
        }
        for (number, spec) in self.graph.arrangements.iter().enumerate() {
            let place = arrangements[number];
            placed.graph.arrangements[place] = ArrangementSpec {
                node: place_of(spec.node),
                ..spec.clone()
            };
            placed.graph.arrangement_uses[place] = self.graph.arrangement_uses[number];
            placed.prints.arrangements[place] = self.prints.arrangements[number];
            placed.arrangement_limits[place] = self.arrangement_limits[number].clone();
        }
        for node in placed.collection_nodes.values_mut() {
            *node = nodes[*node];
        }
        let new_places = |kept: &[Option<usize>], places: &[usize]| {
            let new = kept.iter().zip(places).filter(|(kept, _)| kept.is_none());
            new.map(|(_, &place)| place).collect()
        };
        Placed {
            new_nodes: new_places(&kept.nodes, &nodes),
            new_arrangements: new_places(&kept.arrangements, &arrangements),
            program: placed,
        }
    }

    /// Inputs come before those that read them, also where a new node takes a
    /// place that is free.
    fn node_places(&self, kept: &Kept, old: &Prints) -> Vec<usize> {
        let taken: BTreeSet<usize> = kept.nodes.iter().flatten().copied().collect();
        let mut free: BTreeSet<usize> = (0..old.nodes.len())
            .filter(|place| !taken.contains(place))
            .collect();
        let mut end = old.nodes.len();
        let mut places: Vec<usize> = Vec::with_capacity(kept.nodes.len());
        for (node, kept) in self.graph.nodes.iter().zip(&kept.nodes) {
            if let Some(place) = kept {
                places.push(*place);
                continue;
            }
            let inputs = node.inputs.iter().map(|&input| places[input] + 1);
            let indexes = arrangements_of(&node.kind);
            let indexed = indexes.map(|it| places[self.graph.arrangements[it].node] + 1);
            let first = inputs.chain(indexed).max().unwrap_or(0);
            let place = free.range(first..).next().copied().unwrap_or(end);
            free.remove(&place);
            end = end.max(place + 1);
            places.push(place);
        }
        places
    }
}

impl Kept {
    fn find(program: &Program, old: &Prints, other_rows: &BTreeSet<String>) -> Self {
        let matched = |new: &[u64], old: &[u64]| -> Vec<Option<usize>> {
            let mut places: BTreeMap<u64, VecDeque<usize>> = BTreeMap::new();
            for (place, &print) in old.iter().enumerate() {
                if print != NOTHING {
                    places.entry(print).or_default().push_back(place);
                }
            }
            new.iter()
                .map(|print| places.get_mut(print)?.pop_front())
                .collect()
        };
        let graph = &program.graph;
        let mut kept = Self {
            nodes: matched(&program.prints.nodes, &old.nodes),
            arrangements: matched(&program.prints.arrangements, &old.arrangements),
        };
        for (node, kept) in graph.nodes.iter().zip(&mut kept.nodes) {
            let is_other = program.table_of(&node.kind);
            if is_other.is_some_and(|table| other_rows.contains(table)) {
                *kept = None;
            }
        }
        // Until nothing changes: what loses a part of what it stands on is new.
        loop {
            let mut is_settled = true;
            let new_views: BTreeSet<&str> = (graph.nodes.iter().zip(&kept.nodes))
                .filter(|(node, kept)| kept.is_none() && !is_shared(node))
                .map(|(node, _)| node.view.as_str())
                .collect();
            for (number, node) in graph.nodes.iter().enumerate() {
                let is_kept = |&input: &usize| kept.nodes[input].is_some();
                let stands = node.inputs.iter().all(is_kept)
                    && arrangements_of(&node.kind).all(|it| kept.arrangements[it].is_some())
                    && (is_shared(node) || !new_views.contains(node.view.as_str()));
                if !stands && kept.nodes[number].take().is_some() {
                    is_settled = false;
                }
            }
            for (number, spec) in graph.arrangements.iter().enumerate() {
                let stands = kept.nodes[spec.node].is_some();
                if !stands && kept.arrangements[number].take().is_some() {
                    is_settled = false;
                }
            }
            if is_settled {
                return kept;
            }
        }
    }
}

fn arrangement_places(kept: &Kept, old: &Prints) -> Vec<usize> {
    let taken: BTreeSet<usize> = kept.arrangements.iter().flatten().copied().collect();
    let mut free = (0..).filter(|place| !taken.contains(place) || *place >= old.arrangements.len());
    let places = kept.arrangements.iter();
    places
        .map(|kept| kept.or_else(|| free.next()).unwrap_or(UNUSED))
        .collect()
}

fn place_arrangements(kind: &mut NodeKind, places: &[usize]) {
    match kind {
        NodeKind::InnerJoin { left, right, .. } | NodeKind::OuterJoin { left, right, .. } => {
            *left = places[*left];
            *right = places[*right];
        }
        NodeKind::Window(window) => window.arrangement = places[window.arrangement],
        NodeKind::Time(TimeNode::Lookup { right, .. }) => *right = places[*right],
        _ => {}
    }
}
