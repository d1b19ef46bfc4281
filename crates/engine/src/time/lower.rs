//! From plan nodes of time to nodes of the graph.

use std::collections::BTreeSet;
use std::sync::Arc;

use datafusion::logical_expr::LogicalPlan;
use datafusion::logical_expr::logical_plan::Extension;
use sluice_core::TableDefinition;

use super::bounds::bounds_of_graph;
use super::node::TimeNode;
use super::plan_temporal::{JoinPositions, TemporalJoin, TemporalKind};
use super::window_table::{WindowKind, WindowTable};
use crate::graph::{ArrangementSpec, Node, NodeKind};
use crate::lower::{Lowering, Refusal};

impl Lowering<'_> {
    /// A node that the planner does not know by itself.
    pub(crate) fn extension(&mut self, extension: &Extension) -> Result<usize, Refusal> {
        if let Some(window) = extension.node.as_any().downcast_ref::<WindowTable>() {
            return self.time_window(window);
        }
        if let Some(join) = extension.node.as_any().downcast_ref::<TemporalJoin>() {
            return self.temporal_join(join);
        }
        Err(Refusal {
            message: format!("`{}` in a materialized view", extension.node.name()),
            help: String::new(),
        })
    }

    /// `node` with its rows held back until their windows are closed.
    pub(crate) fn emit_on_close(
        &mut self,
        node: usize,
        tables: &[TableDefinition],
    ) -> Result<usize, Refusal> {
        let bounds = bounds_of_graph(self.graph, tables);
        let Some(bound) = bounds[node].iter().find(|bound| bound.is_window_end) else {
            return Err(self.never_closes(node));
        };
        let found = &self.graph.nodes[node];
        let (schema, unique_key) = (found.schema.clone(), found.unique_key.clone());
        Ok(self.graph.add(Node {
            kind: NodeKind::Time(TimeNode::WindowClose {
                bound: bound.clone(),
            }),
            inputs: vec![node],
            schema,
            view: self.view.clone(),
            append_only: true,
            unique_key,
        }))
    }

    fn never_closes(&self, node: usize) -> Refusal {
        let mut behind = vec![node];
        let mut has_window = false;
        let mut changelogs = BTreeSet::new();
        while let Some(number) = behind.pop() {
            let found = &self.graph.nodes[number];
            has_window |= matches!(found.kind, NodeKind::Time(_));
            if matches!(found.kind, NodeKind::Table(_)) && !found.append_only {
                changelogs.insert(found.view.as_str());
            }
            behind.extend(&found.inputs);
        }
        if !has_window {
            return Refusal {
                message: "EMIT ON WINDOW CLOSE of a view without windows".into(),
                help: "read tumble(…), hop(…) or session(…) and keep window_end among the columns"
                    .into(),
            };
        }
        let changelogs: Vec<&str> = changelogs.into_iter().collect();
        let message = match changelogs[..] {
            [] => "EMIT ON WINDOW CLOSE, but no window_end among the columns is one that the watermark closes".into(),
            _ => format!(
                "EMIT ON WINDOW CLOSE of windows that can change at any time, because of `{}`",
                changelogs.join("`, `")
            ),
        };
        Refusal {
            message,
            help: "window_end must be among the columns, of rows that come from logs with event_time; changelog tables and joins that do not equate windows correct rows of any age".into(),
        }
    }

    fn temporal_join(&mut self, join: &TemporalJoin) -> Result<usize, Refusal> {
        let left = self.lower(&join.left)?;
        let right = match &join.kind {
            TemporalKind::Lookup => self.lower(&join.right)?,
            TemporalKind::AsOf { table } => self.lower_history(table, &join.right)?,
        };
        let JoinPositions {
            left_keys,
            right_keys,
            times,
        } = join.positions()?;
        let left_is_append_only = self.graph.nodes[left].append_only;
        let (node, append_only) = match times {
            Some(times) => {
                let keys = (left_keys, right_keys);
                let is_left = join.is_left;
                (
                    TimeNode::AsOf {
                        is_left,
                        keys,
                        times,
                    },
                    false,
                )
            }
            None if left_is_append_only => {
                let right = self.graph.arrange(ArrangementSpec {
                    node: right,
                    key_columns: right_keys,
                    nulls_match: false,
                });
                let lookup = TimeNode::Lookup {
                    is_left: join.is_left,
                    left_keys,
                    right,
                };
                (lookup, true)
            }
            None => {
                return Err(Refusal {
                    message: "LOOKUP from rows that can change".into(),
                    help: "what was looked up is not corrected later, so the left side must only be added to: read a log, or use an ordinary join or FOR SYSTEM_TIME AS OF".into(),
                });
            }
        };
        let fields = [left, right].map(|side| self.graph.nodes[side].schema.fields().to_vec());
        Ok(self.graph.add(Node {
            kind: NodeKind::Time(node),
            inputs: vec![left, right],
            schema: Arc::new(arrow::datatypes::Schema::new(fields.concat())),
            view: self.view.clone(),
            append_only,
            unique_key: None,
        }))
    }

    /// `plan`, which reads `table`, over all versions that its rows ever had. A
    /// log is its own history.
    fn lower_history(&mut self, table: &str, plan: &LogicalPlan) -> Result<usize, Refusal> {
        let Some(&node) = self.collections.get(table) else {
            return self.lower(plan);
        };
        let found = self.graph.nodes[node].clone();
        let NodeKind::Table(number) = found.kind else {
            return self.lower(plan);
        };
        if found.append_only {
            return self.lower(plan);
        }
        let is_same = |other: &Node| matches!(other.kind, NodeKind::Time(TimeNode::History { table }) if table == number);
        let history = match self.graph.nodes.iter().position(is_same) {
            Some(history) => history,
            None => self.graph.add(Node {
                kind: NodeKind::Time(TimeNode::History { table: number }),
                inputs: vec![],
                unique_key: None,
                ..found
            }),
        };
        let mut collections = self.collections.clone();
        collections.insert(table.to_owned(), history);
        let mut over_history = Lowering {
            graph: &mut *self.graph,
            collections: &collections,
            view: self.view.clone(),
        };
        over_history.lower(plan)
    }

    fn time_window(&mut self, window: &WindowTable) -> Result<usize, Refusal> {
        let input = self.lower(&window.input)?;
        let keys = window.positions(&window.keys)?;
        let time = window.positions(std::slice::from_ref(&window.time))?[0];
        let input_is_append_only = self.graph.nodes[input].append_only;
        let (node, append_only) = match window.kind {
            WindowKind::Hop { slide_us, size_us } => (
                TimeNode::Hop {
                    time,
                    slide_us,
                    size_us,
                    piece_us: 1,
                },
                input_is_append_only,
            ),
            // A session that grows takes its rows to another window.
            WindowKind::Session { gap_us } => (TimeNode::Session { time, keys, gap_us }, false),
        };
        // A tumbling window keeps what identifies a row; so does a session.
        let is_one_to_one = match window.kind {
            WindowKind::Hop { slide_us, size_us } => slide_us == size_us,
            WindowKind::Session { .. } => true,
        };
        let unique_key = self.graph.nodes[input].unique_key.clone();
        Ok(self.graph.add(Node {
            kind: NodeKind::Time(node),
            inputs: vec![input],
            schema: Arc::clone(window_schema(window)),
            view: self.view.clone(),
            append_only,
            unique_key: unique_key.filter(|_| is_one_to_one),
        }))
    }
}

fn window_schema(window: &WindowTable) -> &Arc<arrow::datatypes::Schema> {
    use datafusion::logical_expr::UserDefinedLogicalNodeCore;
    window.schema().inner()
}
