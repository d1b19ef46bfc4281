//! A scalar subquery that has no row is NULL, also where its column never is.
//!
//! The planner asks the column alone: `coalesce((SELECT 1 WHERE false), 5)` becomes the
//! subquery, and `(SELECT 1 WHERE false) IS NULL` false. Such subqueries stand in a
//! function here, of which it knows no more than that it may be NULL.

use std::sync::Arc;

use arrow::datatypes::DataType;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::Transformed;
use datafusion::common::{Result, internal_err};
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::{
    ColumnarValue, Expr, LogicalPlan, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
    Subquery, Volatility,
};
use datafusion::optimizer::AnalyzerRule;

use crate::one_row_subqueries::has_rows;
use crate::rewriting::rewritten;

/// The function's name.
pub(crate) const MAY_BE_NULL: &str = "may_be_null";

/// See the module.
#[derive(Debug)]
pub(crate) struct MissingRows {
    may_be_null: Arc<ScalarUDF>,
}

impl MissingRows {
    pub(crate) fn new() -> Self {
        let signature = Signature::any(1, Volatility::Immutable);
        Self {
            may_be_null: Arc::new(ScalarUDF::from(MayBeNull { signature })),
        }
    }

    fn rewrite(&self, expression: Expr) -> Transformed<Expr> {
        match expression {
            Expr::ScalarSubquery(subquery) if may_lack_a_row(&subquery) => {
                let row = vec![Expr::ScalarSubquery(subquery)];
                let call = ScalarFunction::new_udf(self.may_be_null.clone(), row);
                Transformed::yes(Expr::ScalarFunction(call))
            }
            // The plan of a view was rewritten before.
            Expr::ScalarFunction(mut call) if is_ours(&call) => match call.args.pop() {
                Some(Expr::ScalarFunction(inner)) if is_ours(&inner) => {
                    Transformed::yes(Expr::ScalarFunction(inner))
                }
                argument => {
                    call.args.extend(argument);
                    Transformed::no(Expr::ScalarFunction(call))
                }
            },
            other => Transformed::no(other),
        }
    }
}

impl AnalyzerRule for MissingRows {
    fn name(&self) -> &str {
        "missing_rows"
    }

    fn analyze(&self, plan: LogicalPlan, _: &ConfigOptions) -> Result<LogicalPlan> {
        rewritten(plan, &|expression, _| Ok(self.rewrite(expression)))
    }
}

/// Whether it may be NULL though its column says that it is not.
fn may_lack_a_row(subquery: &Subquery) -> bool {
    let plan = &subquery.subquery;
    let column = plan.schema().fields().first();
    column.is_some_and(|column| !column.is_nullable()) && has_rows(plan) != Some(true)
}

fn is_ours(call: &ScalarFunction) -> bool {
    call.name() == MAY_BE_NULL
}

/// Its argument as it is.
#[derive(Debug, PartialEq, Eq, Hash)]
struct MayBeNull {
    signature: Signature,
}

impl ScalarUDFImpl for MayBeNull {
    fn name(&self) -> &str {
        MAY_BE_NULL
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        match types {
            [of_argument] => Ok(of_argument.clone()),
            _ => internal_err!("`{MAY_BE_NULL}` has one argument"),
        }
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        match arguments.args.into_iter().next() {
            Some(argument) => Ok(argument),
            None => internal_err!("`{MAY_BE_NULL}` has no argument"),
        }
    }
}

#[cfg(test)]
mod tests {
    use datafusion::logical_expr::{LogicalPlanBuilder, lit, scalar_subquery};

    use super::*;

    /// A subquery of one row, of which a condition may leave none.
    fn subquery(has_condition: bool) -> Expr {
        let mut row = LogicalPlanBuilder::empty(true);
        if has_condition {
            row = row.filter(lit(false)).unwrap();
        }
        let row = row.project(vec![lit(1_i64)]).unwrap();
        scalar_subquery(Arc::new(row.build().unwrap()))
    }

    #[test]
    fn only_what_may_lack_a_row_may_be_null() {
        let rule = MissingRows::new();
        let found = rule.rewrite(subquery(false));
        assert!(!found.transformed, "{}", found.data);
        let found = rule.rewrite(subquery(true));
        let expected = rule.may_be_null.call(vec![subquery(true)]);
        assert!(found.transformed);
        assert_eq!(found.data, expected);
        // Once more: the subquery inside first, and then what is around it.
        assert!(!rule.rewrite(expected.clone()).transformed);
        let twice = rule.may_be_null.call(vec![expected.clone()]);
        assert_eq!(rule.rewrite(twice).data, expected);
    }
}
