//! ORDER BY with an expression of a name that both the answer and its tables have: it is
//! refused where it is left open which column is meant.
//!
//! Inside an expression a name is a column of the tables to SQL, and to the planner one
//! of the answer. Where the tables have it for sure it was written otherwise
//! ([`sluice_syntax::order_by_inputs`]).

use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{Column, Result, plan_err};
use datafusion::logical_expr::{Expr, LogicalPlan};
use datafusion::optimizer::AnalyzerRule;

use crate::PLANNER_FUNCTIONS;

/// See the module. It comes before rules that compute something of a name alone.
#[derive(Debug)]
pub(crate) struct OrderByNames;

impl AnalyzerRule for OrderByNames {
    fn name(&self) -> &str {
        "order_by_names"
    }

    fn analyze(&self, plan: LogicalPlan, _: &ConfigOptions) -> Result<LogicalPlan> {
        plan.apply_with_subqueries(|node| {
            check_order(node)?;
            Ok(TreeNodeRecursion::Continue)
        })?;
        Ok(plan)
    }
}

fn check_order(node: &LogicalPlan) -> Result<()> {
    let LogicalPlan::Sort(sort) = node else {
        return Ok(());
    };
    let LogicalPlan::Projection(answer) = sort.input.as_ref() else {
        return Ok(());
    };
    let keys = sort.expr.iter().map(|key| &key.expr);
    let computed = keys.filter(|key| !stands_alone(key));
    let read: Vec<&Column> = computed.flat_map(|key| key.column_refs()).collect();
    let tables = answer.input.schema();
    for value in &answer.expr {
        let Expr::Alias(alias) = value else {
            continue;
        };
        let name = &alias.name;
        let is_same = matches!(&*alias.expr, Expr::Column(column) if column.name == *name);
        let is_read = |column: &&Column| column.relation.is_none() && column.name == *name;
        if !is_same && tables.has_column_with_unqualified_name(name) && read.iter().any(is_read) {
            return plan_err!(
                "ORDER BY with an expression of `{name}`, a column of the answer and another one of its tables: give the answer's another name"
            );
        }
    }
    Ok(())
}

/// Whether it is a column, whatever a plan that was analyzed before computes of it.
fn stands_alone(key: &Expr) -> bool {
    match key {
        Expr::Column(_) => true,
        Expr::ScalarFunction(call) if PLANNER_FUNCTIONS.contains(&call.name()) => {
            call.args.first().is_some_and(stands_alone)
        }
        _ => false,
    }
}
