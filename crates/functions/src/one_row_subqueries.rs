//! Subqueries of which the form says how many rows they have, whatever the tables
//! hold.
//!
//! An aggregate without GROUP BY has one row, also over nothing. The planner, which
//! makes a join of EXISTS and IN, gives those rows outside that no row inside fits
//! an empty subquery instead; of a scalar subquery it knows better.
//!
//! | expression | becomes |
//! |---|---|
//! | `EXISTS (SELECT count(*) …)`, `EXISTS (VALUES …)` | true |
//! | `EXISTS (… LIMIT 0)`, `x IN (… LIMIT 0)` | false |
//! | `x IN (VALUES (1), (2))` | `x IN (1, 2)`, since the planner reads SELECT only |
//! | `x IN (SELECT max(c) …)` that names rows outside | `x = (SELECT max(c) …)` |
//! | `x > ALL (SELECT max(c) …)` that names rows outside | `x > (SELECT max(c) …)` |
//!
//! ORDER BY, DISTINCT and LIMIT of a correlated subquery go where they decide
//! nothing: over one row, and in EXISTS. The planner loses the one row below them.

use std::sync::Arc;

use datafusion::common::Result;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::Transformed;
use datafusion::logical_expr::expr::{Exists, InList, InSubquery, SetComparison};
use datafusion::logical_expr::{
    Aggregate, Distinct, Expr, FetchType, GroupingSet, Limit, LogicalPlan, Operator, Projection,
    SkipType, Subquery, SubqueryAlias, binary_expr, lit,
};
use datafusion::optimizer::AnalyzerRule;

use crate::correlated_subqueries::names_rows_outside;
use crate::rewriting::rewritten;

/// The rewriting as a rule of a session.
#[derive(Debug)]
pub(crate) struct OneRowSubqueries;

impl AnalyzerRule for OneRowSubqueries {
    fn analyze(&self, plan: LogicalPlan, _: &ConfigOptions) -> Result<LogicalPlan> {
        rewrite_one_row_subqueries(plan)
    }

    fn name(&self) -> &str {
        "one_row_subqueries"
    }
}

/// Rewrites all expressions of a plan, subqueries included.
pub(crate) fn rewrite_one_row_subqueries(plan: LogicalPlan) -> Result<LogicalPlan> {
    rewritten(plan, &|expression, _| match expression {
        Expr::Exists(exists) => rewrite_exists(exists),
        Expr::InSubquery(inside) => rewrite_in(inside),
        Expr::SetComparison(comparison) => rewrite_set_comparison(comparison),
        Expr::ScalarSubquery(subquery)
            if is_ordered(&subquery.subquery) && is_correlated_row(&subquery.subquery) =>
        {
            let row = Expr::ScalarSubquery(without_order(subquery)?);
            Ok(Transformed::yes(row))
        }
        other => Ok(Transformed::no(other)),
    })
}

fn rewrite_exists(exists: Exists) -> Result<Transformed<Expr>> {
    if let Some(is_any) = has_rows(&exists.subquery.subquery) {
        return Ok(Transformed::yes(lit(is_any != exists.negated)));
    }
    let plan = &exists.subquery.subquery;
    if !is_ordered(plan) || !names_rows_outside(plan) {
        return Ok(Transformed::no(Expr::Exists(exists)));
    }
    Ok(Transformed::yes(Expr::Exists(Exists {
        subquery: without_order(exists.subquery)?,
        negated: exists.negated,
    })))
}

fn rewrite_in(inside: InSubquery) -> Result<Transformed<Expr>> {
    if has_rows(&inside.subquery.subquery) == Some(false) {
        return Ok(Transformed::yes(lit(inside.negated)));
    }
    if let LogicalPlan::Values(rows) = &*inside.subquery.subquery
        && rows.schema.fields().len() == 1
    {
        let values = rows.values.concat();
        let list = InList::new(inside.expr, values, inside.negated);
        return Ok(Transformed::yes(Expr::InList(list)));
    }
    if !is_correlated_row(&inside.subquery.subquery) {
        return Ok(Transformed::no(Expr::InSubquery(inside)));
    }
    let operator = match inside.negated {
        true => Operator::NotEq,
        false => Operator::Eq,
    };
    compare(*inside.expr, operator, inside.subquery)
}

fn rewrite_set_comparison(comparison: SetComparison) -> Result<Transformed<Expr>> {
    if !is_correlated_row(&comparison.subquery.subquery) {
        return Ok(Transformed::no(Expr::SetComparison(comparison)));
    }
    compare(*comparison.expr, comparison.op, comparison.subquery)
}

fn compare(value: Expr, operator: Operator, row: Subquery) -> Result<Transformed<Expr>> {
    let row = Expr::ScalarSubquery(without_order(row)?);
    Ok(Transformed::yes(binary_expr(value, operator, row)))
}

/// Whether a plan has rows, as far as its form says.
pub(crate) fn has_rows(plan: &LogicalPlan) -> Option<bool> {
    match plan {
        LogicalPlan::Projection(projection) => has_rows(&projection.input),
        LogicalPlan::SubqueryAlias(alias) => has_rows(&alias.input),
        LogicalPlan::Sort(sort) if sort.fetch.is_none() => has_rows(&sort.input),
        LogicalPlan::Distinct(distinct) => has_rows(distinct.input()),
        LogicalPlan::Aggregate(aggregate) => is_never_empty(&aggregate.group_expr).then_some(true),
        LogicalPlan::Limit(limit) => {
            let takes_none = matches!(limit.get_fetch_type(), Ok(FetchType::Literal(Some(0))));
            let skips = matches!(limit.get_skip_type(), Ok(SkipType::Literal(1..)));
            if takes_none || (skips && one_row(&limit.input).is_some()) {
                return Some(false);
            }
            keeps_first(limit).then(|| has_rows(&limit.input)).flatten()
        }
        LogicalPlan::EmptyRelation(empty) => Some(empty.produce_one_row),
        LogicalPlan::Values(values) => Some(!values.values.is_empty()),
        _ => None,
    }
}

/// Whether these keys make a group of no rows: without any, or in a set without any.
fn is_never_empty(keys: &[Expr]) -> bool {
    match keys {
        [] => true,
        [Expr::GroupingSet(GroupingSet::Rollup(_) | GroupingSet::Cube(_))] => true,
        [Expr::GroupingSet(GroupingSet::GroupingSets(sets))] => sets.iter().any(Vec::is_empty),
        _ => false,
    }
}

/// Whether it is one row that is made of those which rows outside choose.
fn is_correlated_row(plan: &LogicalPlan) -> bool {
    one_row(plan).is_some_and(|aggregate| names_rows_outside(&aggregate.input))
}

/// The aggregate without keys whose row a plan is.
fn one_row(plan: &LogicalPlan) -> Option<&Aggregate> {
    match plan {
        LogicalPlan::Aggregate(aggregate) if aggregate.group_expr.is_empty() => Some(aggregate),
        LogicalPlan::Projection(projection) => one_row(&projection.input),
        LogicalPlan::SubqueryAlias(alias) => one_row(&alias.input),
        LogicalPlan::Sort(sort) if sort.fetch.is_none() => one_row(&sort.input),
        LogicalPlan::Distinct(Distinct::All(input)) => one_row(input),
        LogicalPlan::Limit(limit) if keeps_first(limit) => one_row(&limit.input),
        _ => None,
    }
}

/// Whether the first row stays, and with it whether there is any.
fn keeps_first(limit: &Limit) -> bool {
    matches!(limit.get_skip_type(), Ok(SkipType::Literal(0)))
        && matches!(
            limit.get_fetch_type(),
            Ok(FetchType::Literal(None | Some(1..)))
        )
}

/// Whether [`without_order`] leaves anything out.
fn is_ordered(plan: &LogicalPlan) -> bool {
    match plan {
        LogicalPlan::Limit(limit) => keeps_first(limit),
        LogicalPlan::Sort(sort) => sort.fetch.is_none(),
        LogicalPlan::Distinct(distinct) => matches!(distinct, Distinct::All(_)),
        LogicalPlan::Projection(projection) => is_ordered(&projection.input),
        LogicalPlan::SubqueryAlias(alias) => is_ordered(&alias.input),
        _ => false,
    }
}

/// The subquery without what decides only how many of its rows there are, and in
/// which order.
fn without_order(subquery: Subquery) -> Result<Subquery> {
    let plan = plan_without_order(Arc::unwrap_or_clone(subquery.subquery))?;
    Ok(Subquery {
        subquery: Arc::new(plan),
        ..subquery
    })
}

fn plan_without_order(plan: LogicalPlan) -> Result<LogicalPlan> {
    let inside = |input| plan_without_order(Arc::unwrap_or_clone(input));
    match plan {
        LogicalPlan::Limit(limit) if keeps_first(&limit) => inside(limit.input),
        LogicalPlan::Sort(sort) if sort.fetch.is_none() => inside(sort.input),
        LogicalPlan::Distinct(Distinct::All(input)) => inside(input),
        LogicalPlan::SubqueryAlias(alias) => {
            let input = Arc::new(inside(alias.input)?);
            SubqueryAlias::try_new(input, alias.alias).map(LogicalPlan::SubqueryAlias)
        }
        LogicalPlan::Projection(projection) => {
            let input = Arc::new(inside(projection.input)?);
            Projection::try_new(projection.expr, input).map(LogicalPlan::Projection)
        }
        other => Ok(other),
    }
}
