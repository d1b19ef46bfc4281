//! Inputs of a UNION that may take its place, because the others are empty.
//!
//! The planner takes the tables' names off the columns of the inputs in their schemas
//! alone. A rule that computes such a schema anew finds the names there again, so that
//! an input that has become the whole would change the columns' names.

use std::sync::Arc;

use datafusion::common::tree_node::Transformed;
use datafusion::error::Result;
use datafusion::logical_expr::LogicalPlan;
use datafusion::optimizer::optimizer::ApplyOrder;
use datafusion::optimizer::{OptimizerConfig, OptimizerRule};

/// Lets these inputs say what their schemas say.
#[derive(Debug, Default)]
pub(crate) struct NamedUnionInputs;

impl OptimizerRule for NamedUnionInputs {
    fn name(&self) -> &str {
        "named_union_inputs"
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
        let LogicalPlan::Union(mut union) = plan else {
            return Ok(Transformed::no(plan));
        };
        if !union.inputs.iter().any(|input| is_empty(input)) {
            return Ok(Transformed::no(LogicalPlan::Union(union)));
        }
        let mut is_changed = false;
        for input in &mut union.inputs {
            let LogicalPlan::Projection(projection) = Arc::make_mut(input) else {
                continue;
            };
            let fields = projection.schema.iter();
            for (expression, (table, field)) in projection.expr.iter_mut().zip(fields) {
                let (of_expression, name) = expression.qualified_name();
                if of_expression.as_ref() != table || name != *field.name() {
                    let unnamed = std::mem::take(expression);
                    *expression = unnamed.alias_qualified(table.cloned(), field.name());
                    is_changed = true;
                }
            }
        }
        Ok(Transformed::new_transformed(
            LogicalPlan::Union(union),
            is_changed,
        ))
    }
}

/// Whether the plan has no row, by its form.
fn is_empty(plan: &LogicalPlan) -> bool {
    match plan {
        LogicalPlan::EmptyRelation(empty) => !empty.produce_one_row,
        LogicalPlan::Projection(projection) => is_empty(&projection.input),
        LogicalPlan::Filter(filter) => is_empty(&filter.input),
        LogicalPlan::SubqueryAlias(alias) => is_empty(&alias.input),
        _ => false,
    }
}
