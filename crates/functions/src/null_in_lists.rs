//! `x IN (a, NULL)` written as `x IN (a) OR NULL`, and `x NOT IN (a, NULL)` as
//! `x NOT IN (a) AND NULL`, which SQL says is the same.
//!
//! The planner makes one list of two over the same column by their common
//! values, as if NULL were a value: `x IN (1, NULL) AND x IN (2, NULL)` would be
//! `x IN (NULL)`, and `x IN (1, NULL) AND x IN (2)` false instead of unknown.
//! It tells values by how they are written, so that `x IN (y)` and `x IN (z)` would
//! have none in common: what is no literal leaves the list too, as `x = y`.

use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::Transformed;
use datafusion::common::{DFSchema, Result};
use datafusion::logical_expr::expr::InList;
use datafusion::logical_expr::expr_rewriter::FunctionRewrite;
use datafusion::logical_expr::{Cast, Expr, lit};
use datafusion::scalar::ScalarValue;

/// See the module. It comes before all that the planner does to expressions.
#[derive(Debug)]
pub(crate) struct NullInLists;

impl FunctionRewrite for NullInLists {
    fn name(&self) -> &str {
        "null_in_lists"
    }

    fn rewrite(
        &self,
        expr: Expr,
        _schema: &DFSchema,
        _config: &ConfigOptions,
    ) -> Result<Transformed<Expr>> {
        let inside = match expr {
            Expr::InList(inside) if !inside.list.iter().all(is_plain) => inside,
            other => return Ok(Transformed::no(other)),
        };
        let InList {
            expr: value,
            list,
            negated,
        } = inside;
        let value = *value;
        let (list, others): (Vec<Expr>, Vec<Expr>) = list.into_iter().partition(is_plain);
        let (nulls, others): (Vec<Expr>, Vec<Expr>) = others.into_iter().partition(is_null);
        let mut terms = Vec::new();
        if !list.is_empty() {
            terms.push(value.clone().in_list(list, negated));
        }
        terms.extend(others.into_iter().map(|other| match negated {
            true => value.clone().not_eq(other),
            false => value.clone().eq(other),
        }));
        if !nulls.is_empty() {
            terms.push(lit(ScalarValue::Boolean(None)));
        }
        let together = match negated {
            true => Expr::and,
            false => Expr::or,
        };
        Ok(match terms.into_iter().reduce(together) {
            Some(terms) => Transformed::yes(terms),
            None => Transformed::yes(lit(negated)),
        })
    }
}

/// A literal that is not NULL.
fn is_plain(expr: &Expr) -> bool {
    match expr {
        Expr::Literal(value, _) => !value.is_null(),
        Expr::Cast(Cast { expr, .. }) => is_plain(expr),
        _ => false,
    }
}

fn is_null(expr: &Expr) -> bool {
    match expr {
        Expr::Literal(value, _) => value.is_null(),
        Expr::Cast(Cast { expr, .. }) => is_null(expr),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use datafusion::arrow::datatypes::DataType;
    use datafusion::logical_expr::{cast, col};

    use super::*;

    #[test]
    fn nulls_leave_the_list() {
        let null = || lit(ScalarValue::Null);
        let rewritten = |list: Vec<Expr>, negated: bool| {
            let expr = col("x").in_list(list, negated);
            let (schema, config) = (DFSchema::empty(), ConfigOptions::default());
            let rewritten = NullInLists.rewrite(expr, &schema, &config).unwrap();
            rewritten.data.to_string()
        };
        let typed_null = cast(null(), DataType::Int64);
        let wanted = [
            (
                rewritten(vec![lit(1), null()], false),
                "x IN ([Int32(1)]) OR Boolean(NULL)",
            ),
            (
                rewritten(vec![typed_null, lit(1)], true),
                "x NOT IN ([Int32(1)]) AND Boolean(NULL)",
            ),
            (rewritten(vec![null(), null()], false), "Boolean(NULL)"),
            (
                rewritten(vec![lit(1), col("y")], false),
                "x IN ([Int32(1)]) OR x = y",
            ),
            (
                rewritten(vec![col("y"), lit(1), null()], true),
                "x NOT IN ([Int32(1)]) AND x != y AND Boolean(NULL)",
            ),
            (
                rewritten(vec![lit(1), lit(2)], false),
                "x IN ([Int32(1), Int32(2)])",
            ),
        ];
        for (found, wanted) in wanted {
            assert_eq!(found, wanted);
        }
    }
}
