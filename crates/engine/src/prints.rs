//! Which parts of two programs do the same, so that state can go from one to
//! the other.
//!
//! A print is a hash of everything that the content of a node or arrangement
//! follows from: the planner, the text of its view, and the prints of what it
//! reads. Equal prints mean equal state after equal input; a change of a view
//! changes its own prints and those of all that reads it, and no others.

use std::collections::BTreeMap;

use arrow::datatypes::DataType;
use datafusion::DATAFUSION_VERSION;
use sluice_core::{CodecError, Reader, TableDefinition, Writer, stable_hash};

use crate::explain::describe;
use crate::graph::{Graph, Node, NodeKind, UNUSED};
use crate::lower::passed_columns;
use crate::program::PLANNER_VERSION;
use crate::time::bounds::StateLimit;
use crate::time::node::TimeNode;

/// Stands at a place that nothing has.
pub(crate) const NOTHING: u64 = 0;

/// The prints of a program's nodes and arrangements, by place.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Prints {
    pub(crate) nodes: Vec<u64>,
    pub(crate) arrangements: Vec<u64>,
}

impl Prints {
    /// Of a graph without unused places.
    pub(crate) fn of(
        graph: &Graph,
        tables: &[TableDefinition],
        view_prints: &BTreeMap<String, u64>,
        state_limits: &[Option<StateLimit>],
        arrangement_limits: &[Option<StateLimit>],
    ) -> Self {
        let mut prints = Self {
            nodes: Vec::with_capacity(graph.nodes.len()),
            arrangements: vec![NOTHING; graph.arrangements.len()],
        };
        let mut ordinals: BTreeMap<&str, usize> = BTreeMap::new();
        for (number, node) in graph.nodes.iter().enumerate() {
            let identity = match &node.kind {
                NodeKind::Table(table) => format!("{:?}", tables[*table]),
                NodeKind::Time(TimeNode::History { table }) => {
                    format!("history of {:?}", tables[*table])
                }
                NodeKind::Project(expressions) if is_selection(node) => {
                    let fields = node.schema.fields().iter();
                    let names: Vec<&String> = fields.map(|field| field.name()).collect();
                    format!("columns {:?} as {names:?}", passed_columns(expressions))
                }
                _ => {
                    let ordinal = ordinals.entry(&node.view).or_default();
                    *ordinal += 1;
                    let view = view_prints.get(&node.view);
                    let (label, _) = describe(&node.kind);
                    format!("{view:?} {} {ordinal} {label}", node.view)
                }
            };
            let inputs: Vec<u64> = node.inputs.iter().map(|&it| prints.nodes[it]).collect();
            let indexes: Vec<u64> = arrangements_of(&node.kind)
                .map(|it| prints.arrangements[it])
                .collect();
            let fields = node.schema.fields().iter();
            let types: Vec<&DataType> = fields.map(|field| field.data_type()).collect();
            let limit = &state_limits[number];
            prints.nodes.push(hash(&format!(
                "{PLANNER_VERSION} {DATAFUSION_VERSION} {identity} {inputs:?} {indexes:?} {types:?} {limit:?}"
            )));
            let of_node = graph.arrangements.iter().enumerate();
            for (index, spec) in of_node.filter(|(_, spec)| spec.node == number) {
                let limit = &arrangement_limits[index];
                prints.arrangements[index] = hash(&format!(
                    "{} {:?} {} {limit:?}",
                    prints.nodes[number], spec.key_columns, spec.nulls_match
                ));
            }
        }
        prints
    }

    pub(crate) fn save(&self, writer: &mut Writer) {
        for prints in [&self.nodes, &self.arrangements] {
            writer.u32(prints.len() as u32);
            for &print in prints {
                writer.u64(print);
            }
        }
    }

    pub(crate) fn load(reader: &mut Reader<'_>) -> Result<Self, CodecError> {
        let mut read = || -> Result<Vec<u64>, CodecError> {
            let count = reader.u32()?;
            (0..count).map(|_| reader.u64()).collect()
        };
        Ok(Self {
            nodes: read()?,
            arrangements: read()?,
        })
    }
}

/// The arrangements that a node reads.
pub(crate) fn arrangements_of(kind: &NodeKind) -> impl Iterator<Item = usize> {
    let found = match kind {
        NodeKind::InnerJoin { left, right, .. } | NodeKind::OuterJoin { left, right, .. } => {
            [*left, *right]
        }
        NodeKind::Window(window) => [window.arrangement, UNUSED],
        NodeKind::Time(TimeNode::Lookup { right, .. }) => [*right, UNUSED],
        _ => [UNUSED, UNUSED],
    };
    found.into_iter().filter(|&number| number != UNUSED)
}

/// Whether views share the node: it belongs to none of them.
pub(crate) fn is_shared(node: &Node) -> bool {
    matches!(
        node.kind,
        NodeKind::Table(_) | NodeKind::Time(TimeNode::History { .. })
    ) || is_selection(node)
}

/// Whether it only chooses columns: `Lowering::select_columns` makes such a node
/// for all views together.
fn is_selection(node: &Node) -> bool {
    matches!(&node.kind, NodeKind::Project(expressions) if passed_columns(expressions).is_some())
}

/// A hash that is never [`NOTHING`].
pub(crate) fn hash(identity: &str) -> u64 {
    stable_hash(identity.as_bytes()).max(1)
}
