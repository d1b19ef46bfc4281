//! `x IN (a, NULL)` written as `x IN (a) OR NULL`, and `x NOT IN (a, NULL)` as
//! `x NOT IN (a) AND NULL`, which SQL says is the same.
//!
//! The planner makes one list of two over the same column by their common
//! values, as if NULL were a value: `x IN (1, NULL) AND x IN (2, NULL)` would be
//! `x IN (NULL)`, and `x IN (1, NULL) AND x IN (2)` false instead of unknown.

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
        let mut inside = match expr {
            Expr::InList(inside) if inside.list.iter().any(is_null) => inside,
            other => return Ok(Transformed::no(other)),
        };
        let unknown = lit(ScalarValue::Boolean(None));
        inside.list.retain(|item| !is_null(item));
        Ok(Transformed::yes(match inside {
            InList { list, .. } if list.is_empty() => unknown,
            InList { negated: true, .. } => Expr::InList(inside).and(unknown),
            InList { negated: false, .. } => Expr::InList(inside).or(unknown),
        }))
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
                "x IN ([Int32(1), y])",
            ),
        ];
        for (found, wanted) in wanted {
            assert_eq!(found, wanted);
        }
    }
}
