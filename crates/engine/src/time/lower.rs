//! From plan nodes of time to nodes of the graph.

use std::sync::Arc;

use datafusion::logical_expr::logical_plan::Extension;

use super::node::TimeNode;
use super::window_table::{WindowKind, WindowTable};
use crate::graph::{Node, NodeKind};
use crate::lower::{Lowering, Refusal};

impl Lowering<'_> {
    /// A node that the planner does not know by itself.
    pub(crate) fn extension(&mut self, extension: &Extension) -> Result<usize, Refusal> {
        if let Some(window) = extension.node.as_any().downcast_ref::<WindowTable>() {
            return self.window(window);
        }
        Err(Refusal {
            message: format!("`{}` in a materialized view", extension.node.name()),
            help: String::new(),
        })
    }

    fn window(&mut self, window: &WindowTable) -> Result<usize, Refusal> {
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
