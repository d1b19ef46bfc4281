//! `x IN (SELECT c …)` with SQL's three truth values, by EXISTS alone.
//!
//! The planner makes joins of both, but below OR, NOT or CASE it takes IN for
//! two-valued, and for NOT IN it has a join of its own that not all rewritings
//! respect. With s the subquery's rows:
//!
//! | expression | becomes |
//! |---|---|
//! | `x IN s`, a condition of its own | unchanged: a semi join |
//! | `x NOT IN s`, a condition of its own | no s.c = x, no s.c is null, and x is not null or s is empty |
//! | either, inside another expression | true if some s.c = x, null if some s.c is null or x is null and s not empty, else false |
//!
//! Parts whose operands cannot be null are left out. In the SELECT list, where the
//! planner knows no EXISTS, that in turn becomes a count. What stands inside an
//! aggregate, a window function or ORDER BY is computed in a SELECT list of its own below
//! (`tests_below.rs`).
//!
//! `x > ALL (SELECT c …)` is false if x > c is false for some row, null if it is null for
//! some, else true; `x > ANY …` is true if it is true for some row, null if it is null for
//! some, else false.
//!
//! Those of one row by their form are no subqueries any more: `one_row_subqueries.rs`.
//!
//! Whether any s.c is null, or s has any row, is one answer for all x; but its join
//! has no key, and a query would hold every x against every row of s. There the
//! first row of s is enough. A view keeps count of all rows that there are, for the
//! first one may go.

use std::sync::Arc;

use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{Column, DFSchema, ExprSchema, Result, plan_err};
use datafusion::functions_aggregate::count::count_all;
use datafusion::logical_expr::expr::{Exists, InSubquery, SetComparison, SetQuantifier};
use datafusion::logical_expr::utils::{conjunction, split_conjunction_owned};
use datafusion::logical_expr::{
    Expr, ExprSchemable, Filter, LogicalPlan, LogicalPlanBuilder, Projection, Subquery,
    binary_expr, lit, when,
};
use datafusion::optimizer::AnalyzerRule;
use datafusion::scalar::ScalarValue;

use crate::one_row_subqueries::rewrite_one_row_subqueries;
use crate::repeats::{check_plan, check_value};
use crate::tests_below::tests_below;

/// The name of a subquery's column.
const ITEM: &str = "__in_item";

/// The rewriting as a rule of a session that answers queries.
#[derive(Debug)]
pub(crate) struct InSubqueries;

impl AnalyzerRule for InSubqueries {
    fn analyze(&self, plan: LogicalPlan, _: &ConfigOptions) -> Result<LogicalPlan> {
        rewrite(plan, Rows::First)
    }

    fn name(&self) -> &str {
        "in_subqueries"
    }
}

/// What is asked for of subqueries that say the same of every row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rows {
    First,
    All,
}

/// Rewrites all conditions of a view's plan, subqueries included.
///
/// # Errors
/// When a condition does not fit the columns that it names.
pub fn rewrite_in_subqueries(plan: LogicalPlan) -> Result<LogicalPlan> {
    rewrite(plan, Rows::All)
}

fn rewrite(plan: LogicalPlan, rows: Rows) -> Result<LogicalPlan> {
    let plan = rewrite_one_row_subqueries(plan)?;
    let rewritten = plan.transform_up_with_subqueries(|plan| {
        let filter = match plan {
            LogicalPlan::Filter(filter) => filter,
            LogicalPlan::Projection(projection) => return rewrite_projection(projection, rows),
            other => return tests_below(other, |below| rewrite_projection(below, rows)),
        };
        let schema = filter.input.schema().clone();
        let conditions: Vec<Expr> = split_conjunction_owned(filter.predicate.clone())
            .into_iter()
            .map(|condition| rewrite_condition(condition, &schema, rows))
            .collect::<Result<_>>()?;
        let predicate = conjunction(conditions).unwrap_or_else(|| lit(true));
        let filter = Filter::try_new(predicate, filter.input)?;
        Ok(Transformed::yes(LogicalPlan::Filter(filter)))
    })?;
    Ok(rewritten.data)
}

/// In the SELECT list the planner makes joins of scalar subqueries only, so that
/// EXISTS becomes a count greater than 0.
fn rewrite_projection(projection: Projection, rows: Rows) -> Result<Transformed<LogicalPlan>> {
    let schema = projection.input.schema().clone();
    let mut expressions = Vec::with_capacity(projection.expr.len());
    for expression in projection.expr {
        let name = expression.qualified_name();
        let rewritten = rewrite_inside(expression, &schema, rows)?;
        let counted = rewritten.transform_up(|expression| match expression {
            Expr::Exists(exists) => Ok(Transformed::yes(count_is_not_zero(exists)?)),
            other => Ok(Transformed::no(other)),
        })?;
        expressions.push(if counted.transformed {
            counted.data.alias_qualified(name.0, name.1)
        } else {
            counted.data
        });
    }
    let rewritten = Projection::try_new(expressions, projection.input)?;
    Ok(Transformed::yes(LogicalPlan::Projection(rewritten)))
}

fn count_is_not_zero(exists: Exists) -> Result<Expr> {
    let plan = exists.subquery.subquery.as_ref().clone();
    let no_keys: Vec<Expr> = Vec::new();
    let counted = LogicalPlanBuilder::from(plan)
        .aggregate(no_keys, vec![count_all()])?
        .build()?;
    let count = Expr::ScalarSubquery(Subquery {
        subquery: Arc::new(counted),
        ..exists.subquery
    });
    Ok(if exists.negated {
        count.eq(lit(0_i64))
    } else {
        count.gt(lit(0_i64))
    })
}

/// A condition of its own, for which null is as good as false.
fn rewrite_condition(condition: Expr, schema: &DFSchema, rows: Rows) -> Result<Expr> {
    match condition {
        Expr::Not(inner) => match *inner {
            Expr::InSubquery(mut inside) => {
                inside.negated = !inside.negated;
                rewrite_condition(Expr::InSubquery(inside), schema, rows)
            }
            other => rewrite_inside(Expr::Not(Box::new(other)), schema, rows),
        },
        Expr::InSubquery(inside) if !inside.negated => Ok(Expr::InSubquery(inside)),
        Expr::InSubquery(inside) => {
            let Some(parts) = Parts::of(&inside, schema, rows)? else {
                return Ok(Expr::InSubquery(inside));
            };
            let mut result = Expr::Not(Box::new(parts.equal));
            if let Some(null_item) = parts.null_item {
                result = result.and(Expr::Not(Box::new(null_item)));
            }
            if let Some((is_null, any)) = parts.null_value {
                let known = Expr::Not(Box::new(is_null));
                result = result.and(known.or(Expr::Not(Box::new(any))));
            }
            Ok(result)
        }
        other => rewrite_inside(other, schema, rows),
    }
}

/// Every IN, ALL and ANY inside an expression, where null is not false.
fn rewrite_inside(expression: Expr, schema: &DFSchema, rows: Rows) -> Result<Expr> {
    let rewritten = expression.transform_up(|expression| {
        let inside = match expression {
            Expr::InSubquery(inside) => inside,
            Expr::SetComparison(comparison) => {
                return Ok(match compare(&comparison, schema)? {
                    Some(result) => Transformed::yes(result),
                    None => Transformed::no(Expr::SetComparison(comparison)),
                });
            }
            other => return Ok(Transformed::no(other)),
        };
        let Some(parts) = Parts::of(&inside, schema, rows)? else {
            return Ok(Transformed::no(Expr::InSubquery(inside)));
        };
        let null_item = parts.null_item;
        let null_value = parts.null_value.map(|(is_null, any)| is_null.and(any));
        let unknown = match (null_item, null_value) {
            (Some(item), Some(value)) => Some(item.or(value)),
            (item, value) => item.or(value),
        };
        let truth = match unknown {
            None => parts.equal,
            Some(unknown) => when(parts.equal, lit(true))
                .when(unknown, Expr::Literal(ScalarValue::Boolean(None), None))
                .otherwise(lit(false))?,
        };
        let result = if inside.negated {
            Expr::Not(Box::new(truth))
        } else {
            truth
        };
        Ok(Transformed::yes(result))
    })?;
    Ok(rewritten.data)
}

/// What decides `x IN (SELECT c …)`.
struct Parts {
    /// Whether some c = x.
    equal: Expr,
    /// Whether some c is null, if it can be.
    null_item: Option<Expr>,
    /// Whether x is null and whether there is any row, if x can be null.
    null_value: Option<(Expr, Expr)>,
}

impl Parts {
    /// `None` for an x that itself reads an outer query.
    fn of(inside: &InSubquery, schema: &DFSchema, rows: Rows) -> Result<Option<Self>> {
        let value = &*inside.expr;
        if value.contains_outer() {
            return Ok(None);
        }
        let plan = &inside.subquery.subquery;
        check_plan(plan)?;
        check_value(value)?;
        let plan = &apart(plan, value)?;
        let item = Expr::Column(Column::from(plan.schema().qualified_field(0)));
        let outer = to_outer(value.clone(), schema)?;
        let exists = |condition| exists(plan, &inside.subquery, condition, rows);
        let equal = exists(Some(item.clone().eq(outer)))?;
        let null_item = if item.nullable(plan.schema())? {
            Some(exists(Some(item.is_null()))?)
        } else {
            None
        };
        let null_value = if value.nullable(schema)? {
            Some((value.clone().is_null(), exists(None)?))
        } else {
            None
        };
        Ok(Some(Self {
            equal,
            null_item,
            null_value,
        }))
    }
}

/// The subquery, with a name of its own for its column if it reads under the same name
/// what the outer query reads: a column of the outer query that is compared with its own
/// would be taken for that. (Of an alias for all of its rows the planner would forget
/// columns that it moves out of a correlated subquery.)
fn apart(plan: &Arc<LogicalPlan>, value: &Expr) -> Result<Arc<LogicalPlan>> {
    let mut shared = None;
    plan.apply_with_subqueries(|node| {
        let has = |column: &&&Column| node.schema().has_column(column);
        shared = value
            .column_refs()
            .iter()
            .find(has)
            .map(|&column| column.clone());
        Ok(match shared {
            Some(_) => TreeNodeRecursion::Stop,
            None => TreeNodeRecursion::Continue,
        })
    })?;
    let Some(shared) = shared else {
        return Ok(plan.clone());
    };
    if !plan.all_out_ref_exprs().is_empty() {
        return plan_err!(
            "`{shared}` stands before a subquery and inside it, for rows of another kind: give the table in the subquery a name of its own, as in `FROM orders AS other`"
        );
    }
    let column = Expr::Column(Column::from(plan.schema().qualified_field(0)));
    let builder = LogicalPlanBuilder::from(plan.as_ref().clone());
    Ok(Arc::new(builder.project([column.alias(ITEM)])?.build()?))
}

/// `x > ALL (SELECT c …)` and `x > ANY (SELECT c …)`. `None` for an x that itself reads
/// an outer query.
fn compare(comparison: &SetComparison, schema: &DFSchema) -> Result<Option<Expr>> {
    let SetComparison {
        expr: value,
        subquery,
        op,
        quantifier,
    } = comparison;
    if value.contains_outer() {
        return Ok(None);
    }
    check_plan(&subquery.subquery)?;
    check_value(value)?;
    let plan = apart(&subquery.subquery, value)?;
    let item = Expr::Column(Column::from(plan.schema().qualified_field(0)));
    let compared = binary_expr(to_outer(value.as_ref().clone(), schema)?, *op, item);
    let (decides, otherwise) = match quantifier {
        SetQuantifier::All => (compared.clone().is_false(), true),
        SetQuantifier::Any => (compared.clone().is_true(), false),
    };
    let decided = exists(&plan, subquery, Some(decides), Rows::All)?;
    let unknown = exists(&plan, subquery, Some(compared.is_null()), Rows::All)?;
    let result = when(decided, lit(!otherwise))
        .when(unknown, Expr::Literal(ScalarValue::Boolean(None), None))
        .otherwise(lit(otherwise))?;
    Ok(Some(result))
}

/// EXISTS of the rows of `plan`, a form of `subquery`, for which a condition is true.
fn exists(
    plan: &LogicalPlan,
    subquery: &Subquery,
    condition: Option<Expr>,
    rows: Rows,
) -> Result<Expr> {
    let mut builder = LogicalPlanBuilder::from(plan.clone());
    if let Some(condition) = condition {
        builder = builder.filter(condition)?;
    }
    let outer_ref_columns = builder.plan().all_out_ref_exprs();
    if rows == Rows::First && outer_ref_columns.is_empty() {
        builder = builder.limit(0, Some(1))?;
    }
    Ok(Expr::Exists(Exists {
        subquery: Subquery {
            subquery: Arc::new(builder.build()?),
            outer_ref_columns,
            spans: subquery.spans.clone(),
        },
        negated: false,
    }))
}

/// The expression as the subquery sees it: columns become outer references.
fn to_outer(value: Expr, schema: &DFSchema) -> Result<Expr> {
    let moved = value.transform_up(|expression| {
        let Expr::Column(column) = expression else {
            return Ok(Transformed::no(expression));
        };
        let field = schema.field_from_column(&column)?.clone();
        Ok(Transformed::yes(Expr::OuterReferenceColumn(field, column)))
    })?;
    Ok(moved.data)
}
