//! From a query as written to a plan that the engine can run: first the
//! subqueries become joins, then conditions move to where they belong.

use std::sync::Arc;

use datafusion::common::Result;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::execution::SessionState;
use datafusion::logical_expr::logical_plan::Limit;
use datafusion::logical_expr::{Expr, LogicalPlan};
use datafusion::optimizer::common_subexpr_eliminate::CommonSubexprEliminate;
use datafusion::optimizer::decorrelate_lateral_join::DecorrelateLateralJoin;
use datafusion::optimizer::decorrelate_predicate_subquery::DecorrelatePredicateSubquery;
use datafusion::optimizer::eliminate_cross_join::EliminateCrossJoin;
use datafusion::optimizer::eliminate_filter::EliminateFilter;
use datafusion::optimizer::eliminate_outer_join::EliminateOuterJoin;
use datafusion::optimizer::extract_equijoin_predicate::ExtractEquijoinPredicate;
use datafusion::optimizer::optimize_projections::OptimizeProjections;
use datafusion::optimizer::propagate_empty_relation::PropagateEmptyRelation;
use datafusion::optimizer::push_down_filter::PushDownFilter;
use datafusion::optimizer::replace_distinct_aggregate::ReplaceDistinctWithAggregate;
use datafusion::optimizer::scalar_subquery_to_join::ScalarSubqueryToJoin;
use datafusion::optimizer::simplify_expressions::SimplifyExpressions;
use datafusion::optimizer::{Optimizer, OptimizerRule};
use sluice_functions::rewrite_in_subqueries;

use crate::distinct_on::DistinctOnToRowNumber;
use crate::false_joins::EmptyFalseJoins;
use crate::scalar_subquery::require_one_row;
use crate::union_names::NamedUnionInputs;

type Rules = Vec<Arc<dyn OptimizerRule + Send + Sync>>;

/// The rules that make joins of subqueries. A session state for [`optimize`]
/// has these.
pub(crate) fn subquery_rules() -> Rules {
    vec![
        Arc::new(SimplifyExpressions::new()),
        Arc::new(DistinctOnToRowNumber),
        Arc::new(ReplaceDistinctWithAggregate::new()),
        Arc::new(DecorrelatePredicateSubquery::new()),
        Arc::new(ScalarSubqueryToJoin::new()),
        Arc::new(DecorrelateLateralJoin::new()),
    ]
}

fn join_rules() -> Rules {
    vec![
        Arc::new(SimplifyExpressions::new()),
        Arc::new(ExtractEquijoinPredicate::new()),
        Arc::new(EliminateFilter::new()),
        Arc::new(EliminateCrossJoin::new()),
        Arc::new(EliminateOuterJoin::new()),
        // What the joins' conditions became must not be pushed down as constants.
        Arc::new(EliminateFilter::new()),
        Arc::new(EmptyFalseJoins),
        Arc::new(NamedUnionInputs),
        // A side that a setting switches off costs no state.
        Arc::new(PropagateEmptyRelation::new()),
        Arc::new(PushDownFilter::new()),
        Arc::new(CommonSubexprEliminate::new()),
        Arc::new(OptimizeProjections::new()),
    ]
}

/// The plan that the engine runs.
pub(crate) fn optimize(plan: LogicalPlan, state: &SessionState) -> Result<LogicalPlan> {
    require_one_row(&plan)?;
    let plan = rewrite_in_subqueries(plan)?;
    let plan = state.optimize(&plan)?;
    let plan = guard_empty_groupings(plan)?;
    Optimizer::with_rules(join_rules()).optimize(plan, state, |_, _| {})
}

/// An aggregate over everything has a row also when its input has none, so that
/// no condition may move below it; the planner moves those that read no column,
/// or a column of a grouping set. A limit that limits nothing stops it.
fn guard_empty_groupings(plan: LogicalPlan) -> Result<LogicalPlan> {
    let guarded = plan.transform_up(|plan| {
        let has_empty_grouping = match &plan {
            LogicalPlan::Aggregate(aggregate) => {
                let keys = &aggregate.group_expr;
                keys.is_empty() || matches!(keys[..], [Expr::GroupingSet(_)])
            }
            _ => false,
        };
        if !has_empty_grouping {
            return Ok(Transformed::no(plan));
        }
        Ok(Transformed::yes(LogicalPlan::Limit(Limit {
            skip: None,
            fetch: None,
            input: Arc::new(plan),
        })))
    })?;
    Ok(guarded.data)
}
