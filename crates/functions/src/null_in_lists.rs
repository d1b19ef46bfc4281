//! `x IN (a, NULL)` written as `x IN (a) OR NULL`, and `x NOT IN (a, NULL)` as
//! `x NOT IN (a) AND NULL`, which SQL says is the same.
//!
//! The planner makes one list of two over the same column by their common
//! values, as if NULL were a value: `x IN (1, NULL) AND x IN (2, NULL)` would be
//! `x IN (NULL)`, and `x IN (1, NULL) AND x IN (2)` false instead of unknown.
//! It tells values by how they are written, so that `x IN (y)` and `x IN (z)` would
//! have none in common: what is no literal leaves the list too, as `x = y`. Where that
//! would be long, because `x` is more than a column or the list is long, the list stays
//! and its value gets a number instead (`lists_apart.rs`), by which it meets no other.

use std::hash::{DefaultHasher, Hash, Hasher};

use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::Transformed;
use datafusion::common::{DFSchema, Result};
use datafusion::logical_expr::expr::InList;
use datafusion::logical_expr::expr_rewriter::FunctionRewrite;
use datafusion::logical_expr::{Cast, Expr, lit};
use datafusion::scalar::ScalarValue;

use crate::lists_apart::{apart, is_apart};

/// So many values that are no literals leave a list.
const OTHERS_MAX: usize = 8;

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
        if is_apart(&inside.expr) {
            return Ok(Transformed::no(Expr::InList(inside)));
        }
        if is_long(&inside) {
            let number = number_of(&inside);
            let value = apart(*inside.expr, number);
            return Ok(Transformed::yes(value.in_list(inside.list, inside.negated)));
        }
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

/// Whether its value would have to be written often, or be written again and again in
/// lists that stand in each other.
fn is_long(inside: &InList) -> bool {
    let is_other = |item: &&Expr| !is_plain(item) && !is_null(item);
    let others = inside.list.iter().filter(is_other).count();
    let is_short = others <= OTHERS_MAX && is_leaf(&inside.expr);
    others > 0 && inside.list.len() > 1 && !is_short
}

fn is_leaf(value: &Expr) -> bool {
    match value {
        Expr::Column(_) | Expr::OuterReferenceColumn(..) | Expr::Literal(..) => true,
        Expr::Cast(Cast { expr, .. }) => is_leaf(expr),
        _ => false,
    }
}

/// Another one for each list, by which lists that are the same have the same.
fn number_of(inside: &InList) -> i64 {
    let mut hasher = DefaultHasher::new();
    inside.list.hash(&mut hasher);
    i64::from_ne_bytes(hasher.finish().to_ne_bytes())
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

    #[test]
    fn a_value_of_a_long_list_is_written_once() {
        let (schema, config) = (DFSchema::empty(), ConfigOptions::default());
        let rewritten = |expr: Expr| NullInLists.rewrite(expr, &schema, &config).unwrap();
        let mut expr = col("x");
        for _ in 0..20 {
            expr = rewritten(expr.in_list(vec![col("y"), col("z")], false)).data;
        }
        // The first is short: x = y OR x = z.
        let text = expr.to_string();
        assert_eq!(text.matches("apart(").count(), 19);
        assert_eq!(text.matches("IN ([y, z])").count(), 19);
        assert!(!rewritten(expr).transformed);
        let of_list = |length: usize| rewritten(col("x").in_list(vec![col("y"); length], true));
        assert_eq!(of_list(8).data.to_string().matches("x != y").count(), 8);
        let long = of_list(9).data.to_string();
        assert!(long.starts_with("apart(x, Int64("), "{long}");
        assert_ne!(long, of_list(10).data.to_string());
    }
}
