//! The planned program as a graph of operators, before it has any state.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::physical_expr::PhysicalExpr;

use crate::accumulator::AggregateSpec;
use crate::outer_join::JoinOutput;
use crate::time::node::TimeNode;
use crate::top_k::TopKSpec;
use crate::unnest::UnnestSpec;
use crate::window::WindowSpec;

/// In place of a number that nothing has.
pub(crate) const UNUSED: usize = usize::MAX;

/// One aggregate call of a node.
#[derive(Debug, Clone)]
pub(crate) struct AggregateCallSpec {
    pub(crate) spec: AggregateSpec,
    /// The expressions of ORDER BY, then the arguments.
    pub(crate) arguments: Vec<Arc<dyn PhysicalExpr>>,
    pub(crate) filter: Option<Arc<dyn PhysicalExpr>>,
}

impl AggregateCallSpec {
    /// Whether both are the same call. Functions over kept rows are not compared.
    fn does_the_same(&self, other: &Self) -> bool {
        let has_no_function = self.spec.function.is_none() && other.spec.function.is_none();
        has_no_function
            && self.spec.kind == other.spec.kind
            && self.spec.distinct == other.spec.distinct
            && self.spec.input == other.spec.input
            && self.spec.output_type == other.spec.output_type
            && self.spec.input_retracts == other.spec.input_retracts
            && self.spec.skips_nulls == other.spec.skips_nulls
            && self.spec.domain == other.spec.domain
            && self.arguments == other.arguments
            && self.filter == other.filter
    }

    /// The call, for people.
    pub(crate) fn describe(&self) -> String {
        let arguments: Vec<String> = self.arguments.iter().map(ToString::to_string).collect();
        let distinct = if self.spec.distinct { "DISTINCT " } else { "" };
        let filter = match &self.filter {
            Some(filter) => format!(" where {filter}"),
            None => String::new(),
        };
        let name = self.spec.name();
        format!("{name}({distinct}{}){filter}", arguments.join(", "))
    }
}

/// What a node does.
#[derive(Debug, Clone)]
pub(crate) enum NodeKind {
    /// Rows of a table, by position in the program's tables.
    Table(usize),
    /// Rows that are there from the first epoch on.
    Constant(RecordBatch),
    Filter(Arc<dyn PhysicalExpr>),
    Project(Vec<Arc<dyn PhysicalExpr>>),
    Union,
    Unnest(UnnestSpec),
    /// The input with the id of a value in its domain.
    UniqIds {
        value: Arc<dyn PhysicalExpr>,
        domain: Arc<str>,
    },
    Aggregate {
        group_by: Vec<Arc<dyn PhysicalExpr>>,
        calls: Vec<AggregateCallSpec>,
    },
    /// See `time/node.rs`.
    Time(TimeNode),
    /// Arrangements of the two inputs, by number.
    InnerJoin {
        left: usize,
        right: usize,
        residual: Option<Arc<dyn PhysicalExpr>>,
    },
    /// The same, with rows chosen by whether they have a partner.
    OuterJoin {
        output: JoinOutput,
        left: usize,
        right: usize,
        left_types: Vec<DataType>,
        right_types: Vec<DataType>,
        residual: Option<Arc<dyn PhysicalExpr>>,
        pair_schema: SchemaRef,
    },
    Window(WindowSpec),
    TopK(TopKSpec),
}

impl NodeKind {
    /// Whether both make the same of the same input; where that is not known,
    /// false.
    fn does_the_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Filter(this), Self::Filter(other)) => this == other,
            (Self::Project(this), Self::Project(other)) => this == other,
            (Self::Union, Self::Union) => true,
            (
                Self::UniqIds { value, domain },
                Self::UniqIds {
                    value: other_value,
                    domain: other_domain,
                },
            ) => value == other_value && domain == other_domain,
            (
                Self::Aggregate { group_by, calls },
                Self::Aggregate {
                    group_by: other_group_by,
                    calls: other_calls,
                },
            ) => {
                let mut pairs = calls.iter().zip(other_calls);
                group_by == other_group_by
                    && calls.len() == other_calls.len()
                    && pairs.all(|(this, other)| this.does_the_same(other))
            }
            (
                Self::Time(TimeNode::Hop {
                    time,
                    slide_us,
                    size_us,
                    piece_us,
                }),
                Self::Time(TimeNode::Hop {
                    time: other_time,
                    slide_us: other_slide_us,
                    size_us: other_size_us,
                    piece_us: other_piece_us,
                }),
            ) => {
                (time, slide_us, size_us, piece_us)
                    == (other_time, other_slide_us, other_size_us, other_piece_us)
            }
            (
                Self::InnerJoin {
                    left,
                    right,
                    residual,
                },
                Self::InnerJoin {
                    left: other_left,
                    right: other_right,
                    residual: other_residual,
                },
            ) => (left, right, residual) == (other_left, other_right, other_residual),
            (
                Self::OuterJoin {
                    output,
                    left,
                    right,
                    residual,
                    ..
                },
                Self::OuterJoin {
                    output: other_output,
                    left: other_left,
                    right: other_right,
                    residual: other_residual,
                    ..
                },
            ) => {
                (output, left, right, residual)
                    == (other_output, other_left, other_right, other_residual)
            }
            _ => false,
        }
    }
}

/// An operator with its inputs. Inputs always come earlier in the graph.
#[derive(Debug, Clone)]
pub(crate) struct Node {
    pub(crate) kind: NodeKind,
    pub(crate) inputs: Vec<usize>,
    pub(crate) schema: SchemaRef,
    /// The view whose definition asked for it, for error rows.
    pub(crate) view: String,
    /// True if the node never retracts.
    pub(crate) append_only: bool,
    /// Columns that identify a row, where known.
    pub(crate) unique_key: Option<Vec<usize>>,
}

/// A node's output indexed by some of its columns, shared by all who need it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ArrangementSpec {
    pub(crate) node: usize,
    pub(crate) key_columns: Vec<usize>,
    pub(crate) nulls_match: bool,
}

#[derive(Debug, Clone, Default)]
pub(crate) struct Graph {
    pub(crate) nodes: Vec<Node>,
    pub(crate) arrangements: Vec<ArrangementSpec>,
    /// How often each arrangement was asked for.
    pub(crate) arrangement_uses: Vec<usize>,
}

impl Node {
    /// A place in the graph that no operator has: it never gives a row.
    pub(crate) fn unused() -> Self {
        Self {
            kind: NodeKind::Union,
            inputs: Vec::new(),
            schema: Arc::new(Schema::empty()),
            view: String::new(),
            append_only: true,
            unique_key: None,
        }
    }
}

impl ArrangementSpec {
    /// A place that no arrangement has.
    pub(crate) fn unused() -> Self {
        Self {
            node: UNUSED,
            key_columns: Vec::new(),
            nulls_match: false,
        }
    }
}

impl Graph {
    /// The domains of unique values, in the order of their names.
    pub(crate) fn id_domains(&self) -> Vec<Arc<str>> {
        let mut names: Vec<Arc<str>> = Vec::new();
        for node in &self.nodes {
            if let NodeKind::UniqIds { domain, .. } = &node.kind {
                names.push(domain.clone());
            }
        }
        names.sort();
        names.dedup();
        names
    }

    /// The node, or the one of the same view that does the same: what a view says
    /// twice, as `WITH` does where it is read twice, is computed once.
    pub(crate) fn add(&mut self, mut node: Node) -> usize {
        debug_assert!(node.inputs.iter().all(|&input| input < self.nodes.len()));
        // Whether a result can be null is the planner's guess, which the
        // engine must not depend on.
        if !matches!(node.kind, NodeKind::Table(_)) {
            let fields = node.schema.fields().iter();
            let nullable: Vec<Field> = fields
                .map(|field| Field::new(field.name(), field.data_type().clone(), true))
                .collect();
            node.schema = Arc::new(Schema::new(nullable));
        }
        let is_same = |other: &Node| {
            other.view == node.view
                && other.inputs == node.inputs
                && other.schema == node.schema
                && other.append_only == node.append_only
                && other.kind.does_the_same(&node.kind)
        };
        let Some(found) = self.nodes.iter().position(is_same) else {
            self.nodes.push(node);
            return self.nodes.len() - 1;
        };
        // It says of the same rows what identifies them.
        let key = &mut self.nodes[found].unique_key;
        *key = key.take().or(node.unique_key);
        // The node that is not made does not read them.
        if let NodeKind::InnerJoin { left, right, .. } | NodeKind::OuterJoin { left, right, .. } =
            node.kind
        {
            self.arrangement_uses[left] -= 1;
            self.arrangement_uses[right] -= 1;
        }
        found
    }

    /// The arrangement of `node` by `key_columns`, made on first demand.
    pub(crate) fn arrange(&mut self, spec: ArrangementSpec) -> usize {
        if let Some(found) = self.arrangements.iter().position(|other| *other == spec) {
            self.arrangement_uses[found] += 1;
            return found;
        }
        self.arrangement_uses.push(1);
        self.arrangements.push(spec);
        self.arrangements.len() - 1
    }
}
