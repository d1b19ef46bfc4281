//! `ORDER BY y OFFSET n` without LIMIT in a subquery skips the first rows by `y`.
//!
//! Where `y` is no column of the answer, a projection stands between the sort and the
//! limit, behind which DataFusion sees no order any more: it takes the sort for one
//! that decides nothing and leaves it out. With a LIMIT it keeps the sort, which then
//! knows how many rows are wanted. So what only skips rows goes below projections,
//! which give the same for the rows that are left.

use std::sync::Arc;

use datafusion::common::Result;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TransformedResult};
use datafusion::logical_expr::{Expr, Limit, LogicalPlan};
use datafusion::optimizer::AnalyzerRule;

/// See the module.
#[derive(Debug)]
pub(crate) struct SkippedRows;

impl AnalyzerRule for SkippedRows {
    fn name(&self) -> &str {
        "skipped_rows"
    }

    fn analyze(&self, plan: LogicalPlan, _: &ConfigOptions) -> Result<LogicalPlan> {
        plan.transform_down_with_subqueries(|node| {
            Ok(match node {
                LogicalPlan::Limit(limit) if only_skips(&limit) => below_projection(limit),
                other => Transformed::no(other),
            })
        })
        .data()
    }
}

fn only_skips(limit: &Limit) -> bool {
    limit.skip.is_some() && limit.fetch.as_deref().is_none_or(is_null)
}

/// Whether it is written as NULL, which is no limit.
fn is_null(fetch: &Expr) -> bool {
    match fetch {
        Expr::Literal(rows, _) => rows.is_null(),
        Expr::Cast(cast) => is_null(&cast.expr),
        _ => false,
    }
}

/// One projection after the other, since the plan is looked at from above.
fn below_projection(mut limit: Limit) -> Transformed<LogicalPlan> {
    let LogicalPlan::Projection(projection) = &*limit.input else {
        return Transformed::no(LogicalPlan::Limit(limit));
    };
    let mut projection = projection.clone();
    limit.input = projection.input;
    projection.input = Arc::new(LogicalPlan::Limit(limit));
    Transformed::yes(LogicalPlan::Projection(projection))
}

#[cfg(test)]
mod tests {
    use datafusion::logical_expr::{LogicalPlanBuilder, col, lit};

    use super::*;

    fn shown(skip: usize, fetch: Option<usize>) -> String {
        let rows = LogicalPlanBuilder::values(vec![vec![lit(1), lit(2)]]).unwrap();
        let sorted = rows.sort(vec![col("column2").sort(true, false)]).unwrap();
        let twice = sorted
            .project(vec![col("column1"), col("column2")])
            .unwrap();
        let chosen = twice.project(vec![col("column1")]).unwrap();
        let limited = chosen.limit(skip, fetch).unwrap().build().unwrap();
        let found = SkippedRows.analyze(limited, &ConfigOptions::default());
        let text = found.unwrap().display_indent().to_string();
        let parts = text.lines().map(|line| line.trim_start().split(':').next());
        let parts: Vec<&str> = parts.map(Option::unwrap).collect();
        parts.join(" ")
    }

    #[test]
    fn what_only_skips_rows_stands_on_their_order() {
        assert_eq!(shown(1, None), "Projection Projection Limit Sort Values");
        assert_eq!(shown(1, Some(2)), "Limit Projection Projection Sort Values");
    }
}
