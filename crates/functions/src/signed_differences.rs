//! Differences of counts may be negative.
//!
//! `row_number()` and its like are unsigned to DataFusion, and so is their difference,
//! which then does not fit where it is negative. To PostgreSQL they are bigints.

use arrow::datatypes::DataType;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::Transformed;
use datafusion::common::{DFSchema, Result};
use datafusion::logical_expr::expr::BinaryExpr;
use datafusion::logical_expr::{Expr, ExprSchemable, LogicalPlan, Operator, cast};
use datafusion::optimizer::AnalyzerRule;

use crate::rewriting::rewritten;

/// The rewriting as a rule of a session; it comes before types are matched.
#[derive(Debug)]
pub(crate) struct SignedDifferences;

impl AnalyzerRule for SignedDifferences {
    fn analyze(&self, plan: LogicalPlan, _: &ConfigOptions) -> Result<LogicalPlan> {
        rewritten(plan, &signed)
    }

    fn name(&self) -> &str {
        "signed_differences"
    }
}

fn signed(expression: Expr, schema: &DFSchema) -> Result<Transformed<Expr>> {
    let Expr::BinaryExpr(BinaryExpr {
        left,
        op: Operator::Minus,
        right,
    }) = expression
    else {
        return Ok(Transformed::no(expression));
    };
    let is_unsigned = |side: &Expr| matches!(side.get_type(schema), Ok(DataType::UInt64));
    let is_changed = is_unsigned(&left) && is_unsigned(&right);
    let (left, right) = match is_changed {
        true => {
            let sides = [left, right].map(|side| Box::new(cast(*side, DataType::Int64)));
            sides.into()
        }
        false => (left, right),
    };
    let difference = Expr::BinaryExpr(BinaryExpr {
        left,
        op: Operator::Minus,
        right,
    });
    Ok(match is_changed {
        true => Transformed::yes(difference),
        false => Transformed::no(difference),
    })
}
