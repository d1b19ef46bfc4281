//! What `sluice check` says of query forms whose cost can follow the size of
//! the state instead of the size of the changes.

use std::collections::BTreeSet;

use crate::graph::{Graph, NodeKind};

/// One sentence for each such form of a view.
pub(crate) fn cost_warnings(graph: &Graph) -> Vec<String> {
    let mut warnings: Vec<String> = of_global_arrangements(graph).into_iter().collect();
    for node in &graph.nodes {
        let NodeKind::Aggregate { calls, .. } = &node.kind else {
            continue;
        };
        for function in calls.iter().filter_map(|call| call.spec.function.as_ref()) {
            warnings.push(format!(
                "`{}`: `{}` keeps all rows of a group and reads them again whenever the group changes",
                node.view,
                function.function.fun().name()
            ));
        }
    }
    warnings
}

fn of_global_arrangements(graph: &Graph) -> BTreeSet<String> {
    let is_global = |number: usize| graph.arrangements[number].key_columns.is_empty();
    let mut warnings = BTreeSet::new();
    for node in &graph.nodes {
        match &node.kind {
            NodeKind::Window(window) if is_global(window.arrangement) => {
                warnings.insert(format!(
                    "`{}` has a window function without PARTITION BY: every change computes it again over all rows",
                    node.view
                ));
            }
            // It asks whether the other side has a row at all, and changes
            // with the first and the last.
            NodeKind::OuterJoin {
                output,
                residual: None,
                ..
            } if !output.pairs => {}
            NodeKind::InnerJoin { left, right, .. } | NodeKind::OuterJoin { left, right, .. } => {
                for side in [*left, *right].into_iter().filter(|&side| is_global(side)) {
                    let view = &graph.nodes[graph.arrangements[side].node].view;
                    warnings.insert(format!(
                        "`{view}` is joined without an equality: every change of one side meets every row of the other"
                    ));
                }
            }
            _ => {}
        }
    }
    warnings
}
