//! Rewrites the expressions of a plan, each with the columns that it reads.

use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{DFSchema, JoinConstraint, Result};
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::utils::merge_schema;
use datafusion::logical_expr::{Expr, Join, LogicalPlan, Union};

/// What becomes of one expression, whose parts were rewritten before it.
pub type Rewriting<'a> = dyn Fn(Expr, &DFSchema) -> Result<Transformed<Expr>> + 'a;

/// What becomes of one part of a plan, whose expressions and inputs were rewritten
/// before it.
pub type PartRewriting<'a> = dyn Fn(LogicalPlan) -> Result<Transformed<LogicalPlan>> + 'a;

/// The plan with all its expressions rewritten, subqueries included; its columns
/// keep their names.
///
/// # Errors
/// Those of the rewriting.
pub fn rewritten(plan: LogicalPlan, rewriting: &Rewriting<'_>) -> Result<LogicalPlan> {
    rewritten_with_parts(plan, rewriting, &|part| Ok(Transformed::no(part)))
}

/// The same, and what has its values in more than one expression too, such as a
/// union.
///
/// # Errors
/// Those of the rewritings.
pub fn rewritten_with_parts(
    plan: LogicalPlan,
    rewriting: &Rewriting<'_>,
    part_rewriting: &PartRewriting<'_>,
) -> Result<LogicalPlan> {
    // Whatever reads a column whose type has changed has another type too.
    let mut is_changed = false;
    let plan = plan.transform_up_with_subqueries(|plan| {
        let mut schema = merge_schema(&plan.inputs());
        if let LogicalPlan::TableScan(scan) = &plan {
            let columns = scan.source.schema();
            schema = DFSchema::try_from_qualified_schema(scan.table_name.clone(), &columns)?;
        }
        let names = NamePreserver::new(&plan);
        let of_one = |expression: Expr| -> Result<Transformed<Expr>> {
            let name = names.save(&expression);
            let rewritten = expression.transform_up(|inner| rewriting(inner, &schema))?;
            Ok(rewritten.update_data(|expression| name.restore(expression)))
        };
        let rewritten = plan.map_expressions(|expression| match expression {
            // Columns have the names of what is inside.
            Expr::GroupingSet(_) => expression.map_children(of_one),
            other => of_one(other),
        })?;
        let rewritten = rewritten.transform_data(part_rewriting)?;
        is_changed |= rewritten.transformed;
        match is_changed {
            true => with_own_types(rewritten.data).map(Transformed::yes),
            false => Ok(rewritten),
        }
    })?;
    Ok(plan.data)
}

/// A part of a plan with the types that its columns have now.
fn with_own_types(plan: LogicalPlan) -> Result<LogicalPlan> {
    match plan {
        // Of which DataFusion would keep the types that it had.
        LogicalPlan::Union(union) if !has_types_of_first(&union) => {
            Union::try_new_with_loose_types(union.inputs).map(LogicalPlan::Union)
        }
        // DataFusion looks for columns, or casts of them, in what USING names; those
        // that it stands for are found by now.
        LogicalPlan::Join(mut join) if !joins_columns(&join) => {
            join.join_constraint = JoinConstraint::On;
            LogicalPlan::Join(join).recompute_schema()
        }
        other => other.recompute_schema(),
    }
}

fn joins_columns(join: &Join) -> bool {
    let is_column = |value: &Expr| value.get_as_join_column().is_some();
    let mut pairs = join.on.iter();
    pairs.all(|(left, right)| is_column(left) && is_column(right))
}

fn has_types_of_first(union: &Union) -> bool {
    let Some(first) = union.inputs.first() else {
        return true;
    };
    let types = union.schema.fields().iter();
    let mut types = types.zip(first.schema().fields().iter());
    types.all(|(own, first)| own.data_type() == first.data_type())
}
