//! DISTINCT ON as what it is, the first row of each key:
//! `row_number() OVER (PARTITION BY keys ORDER BY …) = 1`.
//!
//! DataFusion's own rule takes `first_value` of each column apart, by which the
//! columns of one result can come from different rows where ORDER BY leaves
//! rows equal.

use std::sync::Arc;

use datafusion::common::tree_node::Transformed;
use datafusion::error::Result;
use datafusion::functions_window::expr_fn::row_number;
use datafusion::logical_expr::expr_rewriter::{normalize_cols, normalize_sorts};
use datafusion::logical_expr::logical_plan::DistinctOn;
use datafusion::logical_expr::{
    Distinct, ExprFunctionExt, LogicalPlan, LogicalPlanBuilder, col, lit,
};
use datafusion::optimizer::optimizer::ApplyOrder;
use datafusion::optimizer::{OptimizerConfig, OptimizerRule};

const NUMBER: &str = "distinct_on_number";

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct DistinctOnToRowNumber;

impl OptimizerRule for DistinctOnToRowNumber {
    fn name(&self) -> &str {
        "distinct_on_to_row_number"
    }

    fn apply_order(&self) -> Option<ApplyOrder> {
        Some(ApplyOrder::BottomUp)
    }

    fn supports_rewrite(&self) -> bool {
        true
    }

    fn rewrite(
        &self,
        plan: LogicalPlan,
        _config: &dyn OptimizerConfig,
    ) -> Result<Transformed<LogicalPlan>> {
        match plan {
            LogicalPlan::Distinct(Distinct::On(distinct)) => {
                Ok(Transformed::yes(first_rows(distinct)?))
            }
            other => Ok(Transformed::no(other)),
        }
    }
}

fn first_rows(distinct: DistinctOn) -> Result<LogicalPlan> {
    let DistinctOn {
        on_expr,
        select_expr,
        sort_expr,
        input,
        schema,
    } = distinct;
    let keys = normalize_cols(on_expr, &input)?;
    let order = normalize_sorts(sort_expr.unwrap_or_default(), &input)?;
    let number = row_number().partition_by(keys).order_by(order).build()?;
    let columns = normalize_cols(select_expr, &input)?;
    let named = columns
        .into_iter()
        .zip(schema.iter())
        .map(|(column, (qualifier, field))| {
            column
                .unalias()
                .alias_qualified(qualifier.cloned(), field.name())
        });
    let named: Vec<_> = named.collect();
    LogicalPlanBuilder::from(Arc::unwrap_or_clone(input))
        .window(vec![number.alias(NUMBER)])?
        .filter(col(NUMBER).eq(lit(1_u64)))?
        .project(named)?
        .build()
}
