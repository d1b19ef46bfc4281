//! Correlated subqueries of which the planner would make a join that has other rows.
//!
//! It takes the conditions that name rows outside, pulls them up over all that the
//! subquery does with the rows that they choose, and joins by them. That is right
//! over what treats each row by itself, and over groups where the conditions say
//! that columns equal values outside: these columns become keys of the groups. Over
//! anything else the subquery would be computed of all rows together, and is refused. So
//! is one inside another subquery that names a row outside both, which the planner
//! looks for in the query around it alone.

use arrow::datatypes::DataType;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::common::{DFSchema, JoinType, NullEquality, Result, plan_err};
use datafusion::logical_expr::expr::{Exists, InSubquery, SetComparison};
use datafusion::logical_expr::utils::{merge_schema, split_conjunction};
use datafusion::logical_expr::{
    Aggregate, BinaryExpr, Distinct, Expr, ExprSchemable, Filter, Join, LogicalPlan, Operator,
    Subquery,
};
use datafusion::optimizer::AnalyzerRule;

/// See the module.
#[derive(Debug)]
pub(crate) struct CorrelatedSubqueries;

impl AnalyzerRule for CorrelatedSubqueries {
    fn name(&self) -> &str {
        "correlated_subqueries"
    }

    fn analyze(&self, plan: LogicalPlan, _: &ConfigOptions) -> Result<LogicalPlan> {
        plan.apply_with_subqueries(|node| {
            for input in node.inputs() {
                if let LogicalPlan::Subquery(lateral) = input {
                    check_inner(&lateral.subquery)?;
                    chosen(&lateral.subquery, Wanted::Rows)?;
                }
            }
            node.apply_expressions(|expression| {
                expression.apply(|part| {
                    if let Some(subquery) = subquery_of(part) {
                        check_inner(&subquery.subquery)?;
                    }
                    match part {
                        Expr::ScalarSubquery(subquery) => {
                            chosen(&subquery.subquery, Wanted::Rows)?;
                        }
                        Expr::Exists(Exists { subquery, .. })
                        | Expr::InSubquery(InSubquery { subquery, .. })
                        | Expr::SetComparison(SetComparison { subquery, .. }) => {
                            let found = chosen(&subquery.subquery, Wanted::Values)?;
                            if found.is_some_and(|rows| rows.are_one_row) {
                                return above_one_row();
                            }
                        }
                        _ => {}
                    }
                    Ok(TreeNodeRecursion::Continue)
                })
            })
        })?;
        Ok(plan)
    }
}

fn subquery_of(expression: &Expr) -> Option<&Subquery> {
    match expression {
        Expr::ScalarSubquery(subquery)
        | Expr::Exists(Exists { subquery, .. })
        | Expr::InSubquery(InSubquery { subquery, .. })
        | Expr::SetComparison(SetComparison { subquery, .. }) => Some(subquery),
        _ => None,
    }
}

/// Refuses subqueries inside this one that name rows which it does not have itself.
fn check_inner(subquery: &LogicalPlan) -> Result<()> {
    subquery.apply(|node| {
        if matches!(node, LogicalPlan::Subquery(_)) {
            return Ok(TreeNodeRecursion::Jump);
        }
        let schema = merge_schema(&node.inputs());
        node.apply_expressions(|expression| {
            expression.apply(|part| {
                if let Some(inner) = subquery_of(part) {
                    check_reach(&inner.subquery, &schema)?;
                }
                Ok(TreeNodeRecursion::Continue)
            })
        })
    })?;
    Ok(())
}

/// Refuses a subquery that names a row which is not there `around` it.
fn check_reach(inner: &LogicalPlan, around: &DFSchema) -> Result<()> {
    inner.apply(|node| {
        // LATERAL, which names the rows beside it.
        if matches!(node, LogicalPlan::Subquery(_)) {
            return Ok(TreeNodeRecursion::Jump);
        }
        node.apply_expressions(|expression| {
            expression.apply(|part| match part {
                Expr::OuterReferenceColumn(_, column) if !around.has_column(column) => plan_err!(
                    "a subquery inside another one names `{column}`, a row outside both, which is not supported: name it in the outer one of them, as in EXISTS (SELECT 1 FROM c JOIN d ON d.id = c.id WHERE d.x = a.x)"
                ),
                _ => Ok(TreeNodeRecursion::Continue),
            })
        })
    })?;
    Ok(())
}

/// Whether the rows of a plan depend on a row outside, in this subquery and not in
/// those inside it.
pub(crate) fn names_rows_outside(plan: &LogicalPlan) -> bool {
    if matches!(plan, LogicalPlan::Subquery(_)) {
        return false;
    }
    plan.contains_outer_reference() || plan.inputs().into_iter().any(names_rows_outside)
}

/// What is asked of a subquery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wanted {
    /// Each row, as often as it is there.
    Rows,
    /// Which values there are: EXISTS and IN.
    Values,
}

/// Rows that a row outside chooses.
#[derive(Debug, Clone, Copy)]
struct Chosen {
    /// Every condition says that a column equals something outside.
    by_columns: bool,
    /// They are one row by now, also where none was chosen.
    are_one_row: bool,
}

/// Whether a plan has rows that a row outside chooses.
fn chosen(plan: &LogicalPlan, wanted: Wanted) -> Result<Option<Chosen>> {
    match plan {
        // LATERAL, which names the rows beside it.
        LogicalPlan::Subquery(_) => return Ok(None),
        LogicalPlan::Filter(filter) => return chosen_by_filter(filter, wanted),
        LogicalPlan::Join(join) => return chosen_by_join(join, wanted),
        _ => {}
    }
    let mut found = None;
    for input in plan.inputs() {
        found = chosen(input, wanted)?.or(found);
    }
    let Some(rows) = found else {
        return Ok(None);
    };
    match plan {
        LogicalPlan::Projection(projection) => {
            let mut values = projection.expr.iter();
            if rows.are_one_row && !values.all(Expr::any_column_refs) {
                return plan_err!(
                    "a constant beside an aggregate without GROUP BY, in a subquery that names a row outside, would be NULL where the aggregate is over nothing: write it outside the subquery"
                );
            }
            Ok(Some(rows))
        }
        LogicalPlan::SubqueryAlias(_) | LogicalPlan::Sort(_) => Ok(Some(rows)),
        LogicalPlan::Unnest(_) if !rows.are_one_row => Ok(Some(rows)),
        LogicalPlan::Distinct(Distinct::All(_)) if !rows.are_one_row => {
            require_columns(rows, wanted == Wanted::Rows)?;
            Ok(Some(rows))
        }
        LogicalPlan::Aggregate(aggregate) if !rows.are_one_row => {
            chosen_groups(aggregate, rows, wanted).map(Some)
        }
        _ if rows.are_one_row => above_one_row(),
        LogicalPlan::Limit(_) | LogicalPlan::Distinct(_) => plan_err!(
            "LIMIT, OFFSET and DISTINCT ON are not supported over rows that a subquery chooses by a row outside: use max or min, or number the rows in a subquery without that condition, row_number() OVER (PARTITION BY the compared column ORDER BY …), and join it"
        ),
        LogicalPlan::Window(_) => plan_err!(
            "window functions are not supported over rows that a subquery chooses by a row outside: compute them in a subquery without that condition, OVER (PARTITION BY the compared column …), and join it"
        ),
        _ => plan_err!(
            "{} is not supported over rows that a subquery chooses by a row outside: write one subquery for each part, or a join",
            plan.display()
        ),
    }
}

fn chosen_by_filter(filter: &Filter, wanted: Wanted) -> Result<Option<Chosen>> {
    let below = chosen(&filter.input, wanted)?;
    if below.is_some_and(|rows| rows.are_one_row) {
        return plan_err!(
            "a condition on an aggregate without GROUP BY (HAVING) is not supported in a subquery that names a row outside: compare outside, as in (SELECT count(*) …) > 1, or write CASE WHEN count(*) > 1 THEN max(x) END"
        );
    }
    let conditions = split_conjunction(&filter.predicate).into_iter();
    let outer: Vec<&Expr> = conditions
        .filter(|condition| condition.contains_outer())
        .collect();
    if outer.is_empty() {
        return Ok(below);
    }
    let schema = filter.input.schema();
    let mut conditions = outer.iter();
    let by_columns = conditions.all(|condition| is_by_column(condition, schema));
    Ok(Some(Chosen {
        by_columns: by_columns && below.is_none_or(|rows| rows.by_columns),
        are_one_row: false,
    }))
}

fn chosen_by_join(join: &Join, wanted: Wanted) -> Result<Option<Chosen>> {
    let left = chosen(&join.left, wanted)?;
    let right = chosen(&join.right, wanted)?;
    let is_set_operation = join.null_equality == NullEquality::NullEqualsNull;
    if is_set_operation && (left.is_some() || right.is_some()) {
        return plan_err!(
            "INTERSECT and EXCEPT are not supported over rows that a subquery chooses by a row outside: write EXISTS or NOT EXISTS for their second part"
        );
    }
    // The sides whose rows are the join's, each by itself.
    let (is_left_kept, is_right_kept) = match join.join_type {
        JoinType::Inner => (true, true),
        JoinType::Left | JoinType::LeftSemi | JoinType::LeftAnti | JoinType::LeftMark => {
            (true, false)
        }
        JoinType::Right | JoinType::RightSemi | JoinType::RightAnti | JoinType::RightMark => {
            (false, true)
        }
        JoinType::Full => (false, false),
    };
    if (left.is_some() && !is_left_kept) || (right.is_some() && !is_right_kept) {
        return plan_err!(
            "a row outside chooses rows of the side of an outer join that may be missing: join the other way around"
        );
    }
    let sides = [left, right];
    let mut sides = sides.into_iter().flatten();
    let Some(first) = sides.next() else {
        return Ok(None);
    };
    let second = sides.next().unwrap_or(first);
    if first.are_one_row || second.are_one_row {
        return above_one_row();
    }
    Ok(Some(Chosen {
        by_columns: first.by_columns && second.by_columns,
        are_one_row: false,
    }))
}

fn chosen_groups(aggregate: &Aggregate, rows: Chosen, wanted: Wanted) -> Result<Chosen> {
    let keys = &aggregate.group_expr;
    if keys.iter().any(|key| matches!(key, Expr::GroupingSet(_))) {
        return plan_err!(
            "GROUPING SETS, ROLLUP and CUBE are not supported over rows that a subquery chooses by a row outside: write one subquery for each set"
        );
    }
    let has_values = !aggregate.aggr_expr.is_empty();
    require_columns(rows, has_values || wanted == Wanted::Rows)?;
    Ok(Chosen {
        are_one_row: keys.is_empty(),
        ..rows
    })
}

fn above_one_row<T>() -> Result<T> {
    plan_err!(
        "an aggregate without GROUP BY, over rows that a subquery chooses by a row outside, is not supported below joins, other aggregates and the like: select it alone, as in (SELECT count(*) FROM c WHERE c.id = a.id), and compute with it outside"
    )
}

/// Groups that are to be those of one row outside have the compared columns as keys.
fn require_columns(rows: Chosen, are_counted: bool) -> Result<()> {
    if rows.by_columns || !are_counted {
        return Ok(());
    }
    plan_err!(
        "a subquery that cannot become a join: aggregates, DISTINCT and EXISTS in the SELECT list need rows that are chosen by columns as they are, as in c.id = a.id, where a subquery names a row outside: compute other expressions and comparisons in a join with GROUP BY"
    )
}

/// Whether it says that a column equals something outside.
fn is_by_column(condition: &Expr, schema: &DFSchema) -> bool {
    let Expr::BinaryExpr(BinaryExpr {
        left,
        op: Operator::Eq,
        right,
    }) = condition
    else {
        return false;
    };
    (is_column(left, schema) && !right.any_column_refs())
        || (is_column(right, schema) && !left.any_column_refs())
}

/// Whether it is a column, in another type perhaps, in which different values still
/// are different.
fn is_column(value: &Expr, schema: &DFSchema) -> bool {
    match value {
        Expr::Column(_) => true,
        Expr::Cast(cast) if matches!(*cast.expr, Expr::Column(_)) => {
            let types = (cast.expr.get_type(schema), value.get_type(schema));
            matches!(types, (Ok(from), Ok(to)) if keeps_apart(&from, &to))
        }
        _ => false,
    }
}

/// Whether different values of a type are different in another one.
fn keeps_apart(from: &DataType, to: &DataType) -> bool {
    use DataType::{
        Date32, Decimal32, Decimal64, Decimal128, Decimal256, Dictionary, Float32, Float64, Int64,
        Timestamp, UInt64,
    };
    match (from, to) {
        _ if from == to => true,
        (Dictionary(_, values), _) => keeps_apart(values, to),
        (_, Float64) => *from == Float32 || (from.is_integer() && !matches!(from, Int64 | UInt64)),
        (
            Decimal32(_, from) | Decimal64(_, from) | Decimal128(_, from) | Decimal256(_, from),
            Decimal32(_, to) | Decimal64(_, to) | Decimal128(_, to) | Decimal256(_, to),
        ) => from <= to,
        (
            _,
            Decimal32(_, scale) | Decimal64(_, scale) | Decimal128(_, scale) | Decimal256(_, scale),
        ) => from.is_integer() && *scale >= 0,
        (Timestamp(from, from_zone), Timestamp(to, to_zone)) => {
            from <= to && from_zone.is_some() == to_zone.is_some()
        }
        (Date32, Timestamp(_, zone)) => zone.is_none(),
        (from, to) if from.is_integer() => to.is_integer() || to.is_string(),
        _ => from.is_string() && to.is_string(),
    }
}
