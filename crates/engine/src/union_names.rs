//! Inputs of a UNION that may take its place, because the others are empty.
//!
//! The planner takes the tables' names off the columns of the inputs in their schemas
//! alone. A rule that computes such a schema anew finds the names there again, so that
//! an input that has become the whole would change the columns' names.

use std::sync::Arc;

use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{DFSchema, TableReference};
use datafusion::error::Result;
use datafusion::logical_expr::{Expr, LogicalPlan, Projection};
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
        let mut has_empty = false;
        for input in &union.inputs {
            has_empty |= input.exists(|part| Ok(is_empty(part)))?;
        }
        if !has_empty {
            return Ok(Transformed::no(LogicalPlan::Union(union)));
        }
        let mut is_changed = false;
        for input in &mut union.inputs {
            if let LogicalPlan::Projection(projection) = Arc::make_mut(input) {
                is_changed |= name_as_in_schema(projection);
            } else if names(input.schema()).ne(names(&union.schema)) {
                *input = Arc::new(named_as(input, &union.schema)?);
                is_changed = true;
            }
        }
        Ok(Transformed::new_transformed(
            LogicalPlan::Union(union),
            is_changed,
        ))
    }
}

/// A part that has no row, by its form. What stands on it may have none either: whether it
/// does, the rule that takes such inputs away finds out in the same pass.
fn is_empty(plan: &LogicalPlan) -> bool {
    matches!(plan, LogicalPlan::EmptyRelation(empty) if !empty.produce_one_row)
}

/// Lets expressions give the names that the schema has. Whether any gave others.
fn name_as_in_schema(projection: &mut Projection) -> bool {
    let mut is_changed = false;
    let fields = projection.schema.iter();
    for (expression, (table, field)) in projection.expr.iter_mut().zip(fields) {
        let (of_expression, name) = expression.qualified_name();
        if of_expression.as_ref() != table || name != *field.name() {
            let unnamed = std::mem::take(expression);
            *expression = unnamed.alias_qualified(table.cloned(), field.name());
            is_changed = true;
        }
    }
    is_changed
}

/// The names of columns, with those of their tables.
fn names(schema: &DFSchema) -> impl Iterator<Item = (Option<&TableReference>, &String)> {
    schema.iter().map(|(table, field)| (table, field.name()))
}

/// The same rows under these names.
fn named_as(input: &Arc<LogicalPlan>, wanted: &DFSchema) -> Result<LogicalPlan> {
    let columns = input.schema().columns().into_iter();
    let named = columns.zip(wanted.iter()).map(|(column, (table, field))| {
        Expr::Column(column).alias_qualified(table.cloned(), field.name())
    });
    let projection = Projection::try_new(named.collect(), input.clone())?;
    Ok(LogicalPlan::Projection(projection))
}
