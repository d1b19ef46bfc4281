//! What decides a percentile is a constant, and from 0 to 1.
//!
//! The library finds out when it computes, and takes whatever memory is asked for
//! with the number of centroids.

use std::sync::Arc;

use arrow::array::{RecordBatch, RecordBatchOptions};
use arrow::datatypes::{DataType, Schema};
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::common::{DFSchema, Result, plan_err};
use datafusion::execution::context::ExecutionProps;
use datafusion::logical_expr::{Expr, LogicalPlan, WindowFunctionDefinition};
use datafusion::optimizer::AnalyzerRule;
use datafusion::physical_expr::create_physical_expr;
use datafusion::scalar::ScalarValue;

/// More centroids than this are hardly more exact; the default is 100.
const CENTROIDS_MAX: i64 = 100_000;

/// Functions, and which of their arguments are the percentile and the number of
/// centroids.
const FUNCTIONS: [(&str, usize, usize); 3] = [
    ("percentile_cont", 1, usize::MAX),
    ("approx_percentile_cont", 1, 2),
    ("approx_percentile_cont_with_weight", 2, 3),
];

/// See the module.
#[derive(Debug)]
pub(crate) struct Percentiles;

impl AnalyzerRule for Percentiles {
    fn name(&self) -> &str {
        "percentiles"
    }

    fn analyze(&self, plan: LogicalPlan, _: &ConfigOptions) -> Result<LogicalPlan> {
        plan.apply_with_subqueries(|node| {
            node.apply_expressions(|expr| {
                expr.apply(|part| {
                    check(part)?;
                    Ok(TreeNodeRecursion::Continue)
                })
            })
        })?;
        Ok(plan)
    }
}

fn check(expr: &Expr) -> Result<()> {
    let (name, arguments) = match expr {
        Expr::AggregateFunction(call) => (call.func.name(), &call.params.args),
        Expr::WindowFunction(call) => match &call.fun {
            WindowFunctionDefinition::AggregateUDF(function) => {
                (function.name(), &call.params.args)
            }
            WindowFunctionDefinition::WindowUDF(_) => return Ok(()),
        },
        _ => return Ok(()),
    };
    let Some((_, percentile, centroids)) = FUNCTIONS.iter().find(|(found, ..)| *found == name)
    else {
        return Ok(());
    };
    if let Some(percentile) = arguments.get(*percentile) {
        check_percentile(name, percentile)?;
    }
    if let Some(centroids) = arguments.get(*centroids) {
        check_centroids(name, centroids)?;
    }
    Ok(())
}

fn check_percentile(name: &str, percentile: &Expr) -> Result<()> {
    const ADVICE: &str = "write a number from 0 to 1, such as 0.95";
    let value = match constant(percentile)? {
        Constant::Unbound => return Ok(()),
        Constant::Of(value) => value.cast_to(&DataType::Float64)?,
        Constant::No => {
            return plan_err!("the percentile of `{name}` is no constant: {ADVICE}");
        }
    };
    match value {
        ScalarValue::Float64(Some(value)) if (0.0..=1.0).contains(&value) => Ok(()),
        ScalarValue::Float64(Some(value)) => {
            plan_err!("the percentile of `{name}` is {value}: {ADVICE}")
        }
        _ => plan_err!("the percentile of `{name}` is NULL: {ADVICE}"),
    }
}

fn check_centroids(name: &str, centroids: &Expr) -> Result<()> {
    let value = match constant(centroids)? {
        Constant::Unbound => return Ok(()),
        Constant::Of(value) => value.cast_to(&DataType::Int64)?,
        Constant::No => ScalarValue::Null,
    };
    match value {
        ScalarValue::Int64(Some(1..=CENTROIDS_MAX)) => Ok(()),
        _ => plan_err!(
            "the centroids of `{name}` are no constant from 1 to {CENTROIDS_MAX}: leave them out, or write 100"
        ),
    }
}

/// What an argument is known to be while planning.
enum Constant {
    Of(ScalarValue),
    /// A parameter whose value comes later.
    Unbound,
    No,
}

fn constant(expr: &Expr) -> Result<Constant> {
    if let Expr::Literal(value, _) = expr {
        return Ok(Constant::Of(value.clone()));
    }
    if expr.exists(|part| Ok(matches!(part, Expr::Placeholder(_))))? {
        return Ok(Constant::Unbound);
    }
    let compiled = create_physical_expr(
        expr,
        &DFSchema::empty(),
        &ExecutionProps::new(),
        &Default::default(),
    );
    let Ok(compiled) = compiled else {
        return Ok(Constant::No);
    };
    let options = RecordBatchOptions::new().with_row_count(Some(1));
    let nothing = Arc::new(Schema::empty());
    let row = RecordBatch::try_new_with_options(nothing, vec![], &options)?;
    let value = compiled.evaluate(&row)?.into_array(1)?;
    Ok(Constant::Of(ScalarValue::try_from_array(&value, 0)?))
}

#[cfg(test)]
mod tests {
    use datafusion::functions_aggregate::expr_fn::approx_percentile_cont_with_weight;
    use datafusion::functions_aggregate::percentile_cont::percentile_cont;
    use datafusion::logical_expr::{Expr, cast, col, lit};

    use super::*;

    fn error_of(percentile: Expr, centroids: Option<Expr>) -> String {
        let order = col("x").sort(true, false);
        let exact = check(&percentile_cont(order.clone(), percentile.clone()));
        let approximate =
            approx_percentile_cont_with_weight(order, col("w"), percentile, centroids.clone());
        let approximate = check(&approximate);
        let is_of_both = centroids.is_none();
        assert!(!is_of_both || exact.is_ok() == approximate.is_ok());
        match approximate {
            Ok(()) => String::new(),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn a_percentile_is_a_constant_from_0_to_1() {
        assert_eq!(error_of(lit(0.95), None), "");
        let half = || cast(lit(1), DataType::Float64) / lit(2.0);
        assert_eq!(error_of(half(), Some(lit(100))), "");
        assert!(error_of(lit(95.0), None).contains("is 95: write a number from 0 to 1"));
        assert!(error_of(lit(-0.1), None).contains("is -0.1"));
        assert!(error_of(col("p"), None).contains("is no constant"));
        let null = lit(ScalarValue::Float64(None));
        assert!(error_of(null, None).contains("is NULL"));
        let enormous = lit(1_000_000_000_000_i64);
        assert!(error_of(half(), Some(enormous)).contains("from 1 to 100000"));
    }
}
