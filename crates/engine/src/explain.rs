//! What EXPLAIN of a view tells: its operators, what they hold, and what they
//! have done since the start.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;

use datafusion::physical_expr::PhysicalExpr;

use crate::graph::NodeKind;

/// One operator of the running views.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OperatorReport {
    /// Its number; its inputs have lesser ones.
    pub number: usize,
    /// The view (or table) that asked for it first; others may read it, too.
    pub view: String,
    /// The tables and views whose rows it gives out; none for most.
    pub collections: Vec<String>,
    /// What it is, such as `aggregate` or `join`.
    pub kind: &'static str,
    /// Its condition, keys or calls, for people.
    pub detail: String,
    /// The operators whose changes it takes.
    pub inputs: Vec<usize>,
    /// Whether it only ever adds rows.
    pub append_only: bool,
    /// Rows, groups or values that it keeps.
    pub state_rows: u64,
    /// About how many bytes they take in memory.
    pub state_bytes: u64,
    /// Rows of its output that are kept for joins, in all indexes.
    pub index_rows: u64,
    /// About how many bytes they take in memory.
    pub index_bytes: u64,
    /// Rows of its state that it has read again since the start; window functions
    /// count them.
    pub rows_evaluated: u64,
    /// What it has done since the start.
    pub work: OperatorWork,
}

/// What an operator has done since the program started.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct OperatorWork {
    /// Changes that came in.
    pub rows_in: u64,
    /// Changes that went out.
    pub rows_out: u64,
    /// Time that it took, in microseconds, with that of the indexes of its
    /// output; 0 where the engine has no clock.
    pub busy_us: u64,
}

impl OperatorReport {
    fn line(&self) -> String {
        let mut line = format!("{} #{}", self.kind, self.number);
        if !self.detail.is_empty() {
            let _ = write!(line, ": {}", self.detail);
        }
        let work = self.work;
        let _ = write!(
            line,
            " (rows in {}, out {}, {:.1} ms",
            work.rows_in,
            work.rows_out,
            work.busy_us as f64 / 1e3
        );
        for (what, rows, bytes) in [
            ("keeps", self.state_rows, self.state_bytes),
            ("indexed for joins", self.index_rows, self.index_bytes),
        ] {
            if rows > 0 {
                let _ = write!(line, ", {what} {rows} rows of {bytes} bytes");
            }
        }
        if self.rows_evaluated > 0 {
            let _ = write!(line, ", evaluated {} rows", self.rows_evaluated);
        }
        if self.append_only {
            line.push_str(", only adds");
        }
        line.push(')');
        line
    }
}

/// The operators of a view as an indented tree, the last one first. Tables and
/// other views that it reads are one line each; an operator that is read twice
/// is shown in full the first time. `None` if there is no such view or table.
pub fn explain(operators: &[OperatorReport], view: &str) -> Option<Vec<String>> {
    let by_number: BTreeMap<usize, &OperatorReport> = operators
        .iter()
        .map(|found| (found.number, found))
        .collect();
    let gives_view = |found: &&OperatorReport| found.collections.iter().any(|name| name == view);
    let last = operators.iter().find(gives_view)?;
    let mut lines = Vec::new();
    let mut shown = Vec::new();
    // Depths are on a stack of its own: a view may have thousands of operators.
    let mut waiting = vec![(last.number, 0_usize)];
    while let Some((number, depth)) = waiting.pop() {
        let Some(operator) = by_number.get(&number) else {
            continue;
        };
        let indent = "  ".repeat(depth);
        match operator.collections.first() {
            Some(name) if depth > 0 => {
                lines.push(format!("{indent}{name} (rows {})", operator.work.rows_out));
                continue;
            }
            _ if shown.contains(&number) => {
                lines.push(format!("{indent}{} #{number}, as above", operator.kind));
                continue;
            }
            _ => lines.push(format!("{indent}{}", operator.line())),
        }
        shown.push(number);
        let inputs = operator.inputs.iter().rev();
        waiting.extend(inputs.map(|&input| (input, depth + 1)));
    }
    Some(lines)
}

/// What an operator is, and with which expressions.
pub(crate) fn describe(kind: &NodeKind) -> (&'static str, String) {
    let optional = |condition: &Option<Arc<dyn PhysicalExpr>>| match condition {
        Some(condition) => format!("and {condition}"),
        None => String::new(),
    };
    match kind {
        NodeKind::Table(_) => ("table", String::new()),
        NodeKind::Constant(rows) => ("values", format!("{} rows", rows.num_rows())),
        NodeKind::Filter(predicate) => ("filter", predicate.to_string()),
        NodeKind::Project(expressions) => ("project", list(expressions)),
        NodeKind::Union => ("union", String::new()),
        NodeKind::UniqIds { value, domain } => ("ids", format!("of {value} in `{domain}`")),
        NodeKind::Unnest(spec) => ("unnest", format!("columns {:?}", spec.columns())),
        NodeKind::Aggregate { group_by, calls } => {
            let calls: Vec<String> = calls.iter().map(|call| call.describe()).collect();
            let by = match group_by.is_empty() {
                true => String::new(),
                false => format!(" by {}", list(group_by)),
            };
            ("aggregate", format!("{}{by}", calls.join(", ")))
        }
        NodeKind::Time(node) => (node.label(), String::new()),
        NodeKind::InnerJoin { residual, .. } => ("join", optional(residual)),
        NodeKind::OuterJoin {
            output, residual, ..
        } => (output.label(), optional(residual)),
        NodeKind::Window(spec) => {
            let calls = spec.calls.iter();
            let names: Vec<String> = calls
                .map(|call| call.expression.name().to_owned())
                .collect();
            ("window functions", names.join(", "))
        }
        NodeKind::TopK(spec) => {
            let kept = match spec.append_only {
                true => ", keeps no others",
                false => "",
            };
            let (first, last) = (spec.first, spec.last);
            ("top", format!("rows {first} to {last} of each{kept}"))
        }
    }
}

fn list(expressions: &[Arc<dyn PhysicalExpr>]) -> String {
    let texts: Vec<String> = expressions.iter().map(ToString::to_string).collect();
    texts.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_view_is_a_tree_down_to_the_collections_that_it_reads() {
        let operator = |number, kind, inputs: &[usize], collection: Option<&str>| OperatorReport {
            number,
            kind,
            inputs: inputs.to_vec(),
            collections: collection.map(str::to_owned).into_iter().collect(),
            ..OperatorReport::default()
        };
        let operators = [
            operator(0, "table", &[], Some("orders")),
            operator(1, "filter", &[0], None),
            operator(2, "join", &[1, 1], Some("v")),
            operator(3, "project", &[2], Some("w")),
        ];
        assert_eq!(
            explain(&operators, "v").unwrap_or_default(),
            [
                "join #2 (rows in 0, out 0, 0.0 ms)",
                "  filter #1 (rows in 0, out 0, 0.0 ms)",
                "    orders (rows 0)",
                "  filter #1, as above",
            ]
        );
        let lines = explain(&operators, "w").unwrap_or_default();
        assert_eq!(lines.last().map(String::as_str), Some("  v (rows 0)"));
        assert_eq!(explain(&operators, "x"), None);
    }
}
