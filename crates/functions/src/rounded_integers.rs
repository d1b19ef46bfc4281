//! Casts of floats and decimals to integers give the nearest one, as in PostgreSQL:
//! `(0.29::float8 * 100)::int` is 29. DataFusion cuts what is behind the point.
//!
//! A half of a float goes to the even integer, one of a decimal away from zero.

use std::sync::Arc;

use arrow::datatypes::FieldRef;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::Transformed;
use datafusion::common::{DFSchema, Result};
use datafusion::logical_expr::expr::{Cast, TryCast};
use datafusion::logical_expr::{Expr, ExprSchemable, LogicalPlan, ScalarUDF};
use datafusion::optimizer::AnalyzerRule;

use crate::postgres_answers::round;
use crate::rewriting::rewritten;

/// Functions that leave nothing behind the point.
const ROUNDING: [&str; 4] = ["round", "trunc", "ceil", "floor"];

/// The rewriting as a rule of a session; it comes before types are matched.
#[derive(Debug)]
pub(crate) struct RoundedIntegers {
    round: Arc<ScalarUDF>,
}

impl RoundedIntegers {
    pub(crate) fn new() -> Self {
        Self { round: round() }
    }

    fn rewrite(&self, expression: Expr, schema: &DFSchema) -> Transformed<Expr> {
        match expression {
            Expr::Cast(Cast { expr, field }) if is_cut(&expr, &field, schema) => {
                let expr = Box::new(self.round.call(vec![*expr]));
                Transformed::yes(Expr::Cast(Cast { expr, field }))
            }
            Expr::TryCast(TryCast { expr, field }) if is_cut(&expr, &field, schema) => {
                let expr = Box::new(self.round.call(vec![*expr]));
                Transformed::yes(Expr::TryCast(TryCast { expr, field }))
            }
            other => Transformed::no(other),
        }
    }
}

impl AnalyzerRule for RoundedIntegers {
    fn name(&self) -> &str {
        "rounded_integers"
    }

    fn analyze(&self, plan: LogicalPlan, _: &ConfigOptions) -> Result<LogicalPlan> {
        rewritten(plan, &|expression: Expr, schema: &DFSchema| {
            Ok(self.rewrite(expression, schema))
        })
    }
}

/// Whether the cast would cut something.
fn is_cut(number: &Expr, wanted: &FieldRef, schema: &DFSchema) -> bool {
    if !wanted.data_type().is_integer() || is_whole(number) {
        return false;
    }
    let found = number.get_type(schema);
    found.is_ok_and(|found| found.is_floating() || found.is_decimal())
}

/// Whether it was rounded already, also by this rule.
fn is_whole(number: &Expr) -> bool {
    match number {
        Expr::ScalarFunction(call) => call.args.len() == 1 && ROUNDING.contains(&call.name()),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use arrow::datatypes::{DataType, Field, Schema};
    use datafusion::common::ToDFSchema;
    use datafusion::logical_expr::{cast, col, try_cast};

    use super::*;

    #[test]
    fn what_has_a_point_is_rounded() {
        let fields = vec![
            Field::new("f", DataType::Float64, true),
            Field::new("d", DataType::Decimal128(18, 2), true),
            Field::new("n", DataType::Int64, true),
        ];
        let schema = Schema::new(fields).to_dfschema().unwrap();
        let rule = RoundedIntegers::new();
        let rounded = |name: &str| round().call(vec![col(name)]);
        for (expression, expected) in [
            (
                cast(col("f"), DataType::Int32),
                Some(cast(rounded("f"), DataType::Int32)),
            ),
            (
                try_cast(col("d"), DataType::Int64),
                Some(try_cast(rounded("d"), DataType::Int64)),
            ),
            (cast(rounded("f"), DataType::Int32), None),
            (cast(col("n"), DataType::Int32), None),
            (cast(col("f"), DataType::Float32), None),
        ] {
            let found = rule.rewrite(expression.clone(), &schema);
            assert_eq!(found.transformed, expected.is_some(), "{expression}");
            assert_eq!(found.data, expected.unwrap_or(expression));
        }
    }
}
