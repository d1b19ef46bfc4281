//! What a CASE leaves out is not computed: `CASE WHEN d <> 0 THEN 1 / d > 2 ELSE false END`.
//!
//! Of a CASE that gives truth values, and of one that gives constants and is compared
//! with another one, DataFusion makes AND and OR, of which it computes both sides. But
//! not of one that compares. So where what is left out may fail,
//! `CASE WHEN a THEN b WHEN c THEN d ELSE e END` becomes
//! `CASE true WHEN a THEN b WHEN c THEN d ELSE e END`.

use arrow::datatypes::DataType;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{DFSchema, Result};
use datafusion::logical_expr::expr::Case;
use datafusion::logical_expr::{Expr, ExprSchemable, LogicalPlan, lit};
use datafusion::optimizer::AnalyzerRule;

use crate::guarded_arguments::cannot_fail;
use crate::rewriting::rewritten;

/// See the module. It comes after the rules that match types.
#[derive(Debug)]
pub(crate) struct GuardedCases;

impl AnalyzerRule for GuardedCases {
    fn name(&self) -> &str {
        "guarded_cases"
    }

    fn analyze(&self, plan: LogicalPlan, _: &ConfigOptions) -> Result<LogicalPlan> {
        rewritten(plan, &guarded)
    }
}

fn guarded(expression: Expr, schema: &DFSchema) -> Result<Transformed<Expr>> {
    let mut case = match expression {
        Expr::Case(case) if case.expr.is_none() => case,
        other => return Ok(Transformed::no(other)),
    };
    let is_taken_apart = gives_truth(&case, schema) || gives_constants(&case);
    if !is_taken_apart || !(may_fail(&case, schema) || repeats_cases(&case)?) {
        return Ok(Transformed::no(Expr::Case(case)));
    }
    case.expr = Some(Box::new(lit(true)));
    Ok(Transformed::yes(Expr::Case(case)))
}

fn gives_truth(case: &Case, schema: &DFSchema) -> bool {
    let mut answers = case.when_then_expr.iter();
    answers.any(|(_, then)| matches!(then.get_type(schema), Ok(DataType::Boolean)))
}

fn gives_constants(case: &Case) -> bool {
    let is_constant = |value: &Expr| matches!(value, Expr::Literal(..));
    let mut answers = case.when_then_expr.iter();
    answers.all(|(_, then)| is_constant(then)) && case.else_expr.as_deref().is_none_or(is_constant)
}

/// Whether something of it may fail that is not computed for all rows: all but the
/// first condition.
fn may_fail(case: &Case, schema: &DFSchema) -> bool {
    let conditions = case.when_then_expr.iter().skip(1).map(|(when, _)| when);
    let answers = case.when_then_expr.iter().map(|(_, then)| then);
    let mut parts = conditions.chain(answers).chain(&case.else_expr);
    parts.any(|part| !cannot_fail(part, schema, &is_joined))
}

/// Whether a CASE stands in one of its conditions.
fn repeats_cases(case: &Case) -> Result<bool> {
    for (when, _) in &case.when_then_expr {
        if when.exists(|part| Ok(matches!(part, Expr::Case(_))))? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Whether it is the planner's to compute, which makes joins of subqueries.
pub(crate) fn is_joined(part: &Expr) -> bool {
    matches!(
        part,
        Expr::Exists(_)
            | Expr::InSubquery(_)
            | Expr::ScalarSubquery(_)
            | Expr::SetComparison(_)
            | Expr::OuterReferenceColumn(..)
    )
}

#[cfg(test)]
mod tests {
    use arrow::datatypes::{Field, Schema};
    use datafusion::logical_expr::{col, when};

    use super::*;

    fn shown(case: Expr) -> String {
        let fields = vec![
            Field::new("d", DataType::Int64, true),
            Field::new("b", DataType::Boolean, true),
        ];
        let schema = DFSchema::try_from(Schema::new(fields)).unwrap();
        let found = guarded(case, &schema).unwrap();
        let again = guarded(found.data.clone(), &schema).unwrap();
        assert!(!again.transformed);
        let text = found.data.to_string();
        assert_eq!(found.transformed, text.starts_with("CASE Boolean(true)"));
        text
    }

    fn quotient_is_large() -> Expr {
        (lit(1_i64) / col("d")).gt(lit(2_i64))
    }

    fn is_zero() -> Expr {
        col("d").eq(lit(0_i64))
    }

    #[test]
    fn what_may_fail_is_behind_a_case_that_compares() {
        let case = when(is_zero(), col("b")).otherwise(quotient_is_large());
        assert_eq!(
            shown(case.unwrap()),
            "CASE Boolean(true) WHEN d = Int64(0) THEN b ELSE Int64(1) / d > Int64(2) END"
        );
        let case = when(is_zero(), lit(false)).when(quotient_is_large(), lit(true));
        assert_eq!(
            shown(case.end().unwrap()),
            "CASE Boolean(true) WHEN d = Int64(0) THEN Boolean(false) WHEN Int64(1) / d > Int64(2) THEN Boolean(true) END"
        );
        let mut case = when(is_zero(), lit("none")).when(quotient_is_large(), lit("large"));
        let text = shown(case.otherwise(lit("small")).unwrap());
        assert!(text.starts_with("CASE Boolean(true) WHEN d = "), "{text}");
    }

    #[test]
    fn conditions_with_a_case_stand_once() {
        let inner = when(is_zero(), col("b")).otherwise(lit(false)).unwrap();
        let outer = when(inner.clone(), lit(true)).otherwise(col("b")).unwrap();
        let text = format!("CASE Boolean(true) WHEN {inner} THEN Boolean(true) ELSE b END");
        assert_eq!(shown(outer), text);
        let case = when(is_zero(), lit("none")).when(inner.is_true(), lit("some"));
        let text = shown(case.end().unwrap());
        assert!(text.starts_with("CASE Boolean(true) WHEN d = "), "{text}");
    }

    #[test]
    fn the_rest_stays() {
        for case in [
            // Its condition is computed for all rows anyway.
            when(quotient_is_large(), lit(true)).otherwise(col("b")),
            when(is_zero(), col("b")).otherwise(col("d").in_list(vec![lit(1_i64)], false)),
            // Of these DataFusion makes no AND and OR.
            when(is_zero(), lit(0_i64)).otherwise(lit(1_i64) / col("d")),
        ] {
            let case = case.unwrap();
            assert_eq!(shown(case.clone()), case.to_string());
        }
    }
}
