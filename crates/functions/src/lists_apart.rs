//! Keeps lists over one value apart where it matters that a condition is unknown.
//!
//! The planner makes one list of two by their common values, as if the value were
//! never NULL: `x IN (1, 2) AND x IN (3, 4)` becomes false, and
//! `x NOT IN (1) OR x NOT IN (2)` true, where SQL says that both are unknown if
//! `x` is NULL. A filter keeps the same rows for false and unknown, so that its
//! lists may be merged as long as nothing is negated; everywhere else each list
//! gets its value under another number, by which the planner does not take them
//! for lists over the same.

use std::sync::Arc;

use arrow::datatypes::DataType;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::common::{Result, exec_err};
use datafusion::logical_expr::expr::{InList, ScalarFunction};
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::{
    BinaryExpr, ColumnarValue, Expr, LogicalPlan, Operator, ScalarFunctionArgs, ScalarUDF,
    ScalarUDFImpl, Signature, Volatility, lit,
};
use datafusion::optimizer::AnalyzerRule;

/// See the module.
#[derive(Debug)]
pub(crate) struct ListsApart {
    apart: Arc<ScalarUDF>,
}

impl ListsApart {
    pub(crate) fn new() -> Self {
        Self {
            apart: apart_function(),
        }
    }

    /// `is_kept_if_true` is whether false and unknown are the same to the one who
    /// asks.
    fn rewrite(&self, expr: Expr, is_kept_if_true: bool) -> Result<Transformed<Expr>> {
        let is_condition = matches!(&expr, Expr::Not(_)) || is_and_or(&expr);
        if !is_condition {
            return expr.map_children(|child| self.rewrite(child, false));
        }
        let mut repeated = Vec::new();
        if !(is_kept_if_true && is_monotone(&expr)) {
            count_lists(&expr, &mut repeated);
            repeated.retain(Lists::may_be_merged);
        }
        let repeated: Vec<Expr> = repeated.iter().map(|lists| lists.over.clone()).collect();
        let mut number = 0;
        map_terms(expr, &mut |term| {
            let term = term.map_children(|child| self.rewrite(child, false))?;
            term.transform_data(|term| {
                if !list_of(&term).is_some_and(|value| repeated.contains(value)) {
                    return Ok(Transformed::no(term));
                }
                number += 1;
                Ok(Transformed::yes(self.set_apart(term, number)))
            })
        })
    }

    fn set_apart(&self, term: Expr, number: i64) -> Expr {
        let numbered = |value: Box<Expr>| {
            let arguments = vec![*value, lit(number)];
            let function = ScalarFunction::new_udf(self.apart.clone(), arguments);
            Box::new(Expr::ScalarFunction(function))
        };
        match term {
            Expr::InList(list) => Expr::InList(InList {
                expr: numbered(list.expr),
                ..list
            }),
            Expr::BinaryExpr(equality) => {
                let (left, right) = match *equality.left {
                    Expr::Column(_) => (numbered(equality.left), equality.right),
                    _ => (equality.left, numbered(equality.right)),
                };
                Expr::BinaryExpr(BinaryExpr::new(left, Operator::Eq, right))
            }
            other => other,
        }
    }
}

impl AnalyzerRule for ListsApart {
    fn name(&self) -> &str {
        "lists_apart"
    }

    fn analyze(&self, plan: LogicalPlan, _config: &ConfigOptions) -> Result<LogicalPlan> {
        let rewritten = plan.transform_up_with_subqueries(|node| {
            let is_filter = matches!(node, LogicalPlan::Filter(_));
            let names = NamePreserver::new(&node);
            node.map_expressions(|expr| {
                let name = names.save(&expr);
                let rewritten = self.rewrite(expr, is_filter)?;
                Ok(rewritten.update_data(|expr| name.restore(expr)))
            })
        });
        rewritten.data()
    }
}

fn is_and_or(expr: &Expr) -> bool {
    matches!(
        expr,
        Expr::BinaryExpr(BinaryExpr {
            op: Operator::And | Operator::Or,
            ..
        })
    )
}

/// Whether a false instead of an unknown term only ever gives a false instead of an
/// unknown condition, and no term may become true.
fn is_monotone(expr: &Expr) -> bool {
    match expr {
        Expr::Not(_) => false,
        Expr::BinaryExpr(BinaryExpr { left, op, right }) => match op {
            Operator::And => is_monotone(left) && is_monotone(right),
            Operator::Or => {
                let has_negated = |side: &Expr| side.exists(|term| Ok(is_negated_list(term)));
                is_monotone(left)
                    && is_monotone(right)
                    && !has_negated(left).unwrap_or(true)
                    && !has_negated(right).unwrap_or(true)
            }
            _ => true,
        },
        _ => true,
    }
}

fn is_negated_list(expr: &Expr) -> bool {
    matches!(expr, Expr::InList(InList { negated: true, .. }))
}

/// The value that a term looks for in a list, or the column that it compares with a
/// literal, which is a list of one.
fn list_of(term: &Expr) -> Option<&Expr> {
    match term {
        Expr::InList(list) => Some(&list.expr),
        Expr::BinaryExpr(BinaryExpr { left, op, right }) if *op == Operator::Eq => {
            match (left.as_ref(), right.as_ref()) {
                (Expr::Column(_), Expr::Literal(..)) => Some(left),
                (Expr::Literal(..), Expr::Column(_)) => Some(right),
                _ => None,
            }
        }
        _ => None,
    }
}

/// Lists over one value in one condition.
#[derive(Debug)]
struct Lists<'a> {
    over: &'a Expr,
    lists: usize,
    equalities: usize,
}

impl Lists<'_> {
    /// Equalities become lists two at a time.
    fn may_be_merged(&self) -> bool {
        (self.lists > 0 && self.lists + self.equalities > 1) || self.equalities > 2
    }
}

fn count_lists<'a>(expr: &'a Expr, lists: &mut Vec<Lists<'a>>) {
    match expr {
        Expr::Not(inside) => count_lists(inside, lists),
        Expr::BinaryExpr(BinaryExpr { left, right, .. }) if is_and_or(expr) => {
            count_lists(left, lists);
            count_lists(right, lists);
        }
        term => {
            let Some(value) = list_of(term) else { return };
            let (of_list, of_equality) = match term {
                Expr::InList(_) => (1, 0),
                _ => (0, 1),
            };
            match lists.iter_mut().find(|found| found.over == value) {
                Some(found) => {
                    found.lists += of_list;
                    found.equalities += of_equality;
                }
                None => lists.push(Lists {
                    over: value,
                    lists: of_list,
                    equalities: of_equality,
                }),
            }
        }
    }
}

/// Changes what AND, OR and NOT stand over.
fn map_terms<F>(expr: Expr, change: &mut F) -> Result<Transformed<Expr>>
where
    F: FnMut(Expr) -> Result<Transformed<Expr>>,
{
    match expr {
        Expr::Not(_) => expr.map_children(|child| map_terms(child, change)),
        _ if is_and_or(&expr) => expr.map_children(|child| map_terms(child, change)),
        term => change(term),
    }
}

fn apart_function() -> Arc<ScalarUDF> {
    let signature = Signature::any(2, Volatility::Immutable);
    Arc::new(ScalarUDF::from(Apart { signature }))
}

/// A value under a number.
pub(crate) fn apart(value: Expr, number: i64) -> Expr {
    apart_function().call(vec![value, lit(number)])
}

/// Whether it is one.
pub(crate) fn is_apart(value: &Expr) -> bool {
    matches!(value, Expr::ScalarFunction(call) if call.func.inner().is::<Apart>())
}

/// `apart(value, number)`: the value.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Apart {
    signature: Signature,
}

impl ScalarUDFImpl for Apart {
    fn name(&self) -> &str {
        "apart"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, arguments: &[DataType]) -> Result<DataType> {
        match arguments.first() {
            Some(of_value) => Ok(of_value.clone()),
            None => exec_err!("`apart` has no argument"),
        }
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        match arguments.args.into_iter().next() {
            Some(value) => Ok(value),
            None => exec_err!("`apart` has no argument"),
        }
    }
}

#[cfg(test)]
mod tests {
    use datafusion::logical_expr::{col, not};

    use super::*;

    fn rewritten(expr: Expr, is_filter: bool) -> String {
        let rewritten = ListsApart::new().rewrite(expr, is_filter).unwrap();
        rewritten.data.to_string()
    }

    fn list(values: [i32; 2], negated: bool) -> Expr {
        col("x").in_list(values.map(lit).to_vec(), negated)
    }

    #[test]
    fn a_filter_leaves_lists_that_are_not_negated() {
        let both = || list([1, 2], false).and(list([3, 4], false));
        let plain = both().to_string();
        assert_eq!(rewritten(both(), true), plain);
        let apart = "apart(x, Int64(1)) IN ([Int32(1), Int32(2)]) AND apart(x, Int64(2)) IN ([Int32(3), Int32(4)])";
        assert_eq!(rewritten(both(), false), apart);
        assert_eq!(rewritten(not(both()), true), format!("NOT {apart}"));
        assert_eq!(
            rewritten(both().is_null(), true),
            format!("{apart} IS NULL")
        );
    }

    #[test]
    fn lists_below_or_are_apart_if_negated() {
        let either = list([1, 2], true).or(list([3, 4], true));
        assert!(rewritten(either, true).starts_with("apart(x, Int64(1)) NOT IN"));
        let either = list([1, 2], false).or(list([3, 4], false));
        assert_eq!(rewritten(either.clone(), true), either.to_string());
    }

    #[test]
    fn equalities_are_apart_where_they_may_become_lists() {
        let equal = |value: i32| col("x").eq(lit(value));
        let pair = equal(1).or(equal(2));
        assert_eq!(rewritten(pair.clone(), false), pair.to_string());
        let pairs = pair.clone().and(equal(3).or(equal(4)));
        assert!(rewritten(pairs, false).contains("apart(x, Int64(4)) = Int32(4)"));
        let of_two = pair.and(col("y").eq(lit(3)).or(col("y").eq(lit(4))));
        assert_eq!(rewritten(of_two.clone(), false), of_two.to_string());
    }
}
