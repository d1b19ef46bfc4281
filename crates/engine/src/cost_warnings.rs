//! What `sluice check` says of query forms whose cost can follow the size of
//! the state instead of the size of the changes.

use std::collections::BTreeSet;

use crate::graph::{Graph, NodeKind};
use crate::window::{Follow, WindowCall};

/// Which window functions cost what their change costs.
const FOLLOWING: &str = "row_number, rank, dense_rank, lag, lead and ema follow their changes, and so do count, sum, avg, min, max, bool_and, bool_or, first_value and last_value with ORDER BY over ROWS with a number of rows on both sides, or over UNBOUNDED PRECEDING to CURRENT ROW";

/// One sentence for each such form of a view.
pub(crate) fn cost_warnings(graph: &Graph) -> Vec<String> {
    let mut warnings: Vec<String> = of_global_arrangements(graph).into_iter().collect();
    warnings.extend(of_windows(graph));
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

fn of_windows(graph: &Graph) -> BTreeSet<String> {
    let mut warnings = BTreeSet::new();
    for node in &graph.nodes {
        let NodeKind::Window(window) = &node.kind else {
            continue;
        };
        let view = &node.view;
        let is_global = graph.arrangements[window.arrangement]
            .key_columns
            .is_empty();
        let (of_what, at_most) = match is_global {
            true => ("a window function without PARTITION BY", "all rows"),
            false => ("a window function", "the rows of its partition"),
        };
        let whole = window.calls.iter().find(|call| call.follow.is_none());
        if let Some(call) = whole {
            warnings.insert(format!(
                "`{view}` has {of_what}, `{}`, of which every change computes {at_most} again, with all others of the same PARTITION BY and ORDER BY: {FOLLOWING}",
                call.function
            ));
            continue;
        }
        let is_running = |call: &&WindowCall| matches!(call.follow, Some(Follow::Running(_)));
        if let Some(call) = window.calls.iter().find(is_running).filter(|_| is_global) {
            warnings.insert(format!(
                "`{view}` has {of_what}, `{}`, of which a change computes all rows behind it in the order again: rows should come at its end, as by time; else give it a PARTITION BY",
                call.function
            ));
        }
    }
    warnings
}
