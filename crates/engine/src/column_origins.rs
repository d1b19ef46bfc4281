//! From which columns of tables and views a view's columns take their values.
//!
//! Rather too many than too few: what is not known comes from everything. Counts
//! alone come from nothing, since they show no value.

use std::collections::BTreeSet;

use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::common::{Column, DFSchema};
use datafusion::logical_expr::{Distinct, Expr, LogicalPlan};

/// Table and column.
pub type Origins = BTreeSet<(String, String)>;

/// Aggregates that tell how many values there are, and not which.
const COUNTS: [&str; 3] = ["count", "approx_distinct", "uniq_count"];

/// The origins of each column of a plan.
pub(crate) fn column_origins(plan: &LogicalPlan) -> Vec<Origins> {
    let width = plan.schema().fields().len();
    match plan {
        LogicalPlan::TableScan(scan) => {
            let table = scan.table_name.table();
            let fields = scan.projected_schema.fields().iter();
            fields
                .map(|field| Origins::from([(table.to_owned(), field.name().clone())]))
                .collect()
        }
        LogicalPlan::Projection(projection) => {
            let input = Input::of(&projection.input);
            projection.expr.iter().map(|it| input.of_expr(it)).collect()
        }
        LogicalPlan::Aggregate(aggregate) => {
            let input = Input::of(&aggregate.input);
            let groups = aggregate.group_expr.iter().chain(&aggregate.aggr_expr);
            let found: Vec<Origins> = groups.map(|it| input.of_expr(it)).collect();
            exact(found, width, &input)
        }
        LogicalPlan::Window(window) => {
            let input = Input::of(&window.input);
            let mut found = input.origins.clone();
            found.extend(window.window_expr.iter().map(|it| input.of_expr(it)));
            exact(found, width, &input)
        }
        LogicalPlan::Join(join) => {
            let mut found = column_origins(&join.left);
            found.extend(column_origins(&join.right));
            match found.len() == width {
                true => found,
                false => everything(plan),
            }
        }
        LogicalPlan::Union(union) => {
            let mut found = vec![Origins::new(); width];
            for input in &union.inputs {
                for (all, one) in found.iter_mut().zip(column_origins(input)) {
                    all.extend(one);
                }
            }
            found
        }
        LogicalPlan::Filter(_)
        | LogicalPlan::Sort(_)
        | LogicalPlan::Limit(_)
        | LogicalPlan::SubqueryAlias(_)
        | LogicalPlan::Distinct(Distinct::All(_))
        | LogicalPlan::Repartition(_) => match plan.inputs()[..] {
            [input] if input.schema().fields().len() == width => column_origins(input),
            _ => everything(plan),
        },
        _ => everything(plan),
    }
}

/// `found`, if it is as wide as it should be.
fn exact(found: Vec<Origins>, width: usize, input: &Input) -> Vec<Origins> {
    match found.len() == width {
        true => found,
        false => vec![input.all(); width],
    }
}

/// Every column from all that is read.
fn everything(plan: &LogicalPlan) -> Vec<Origins> {
    let mut all = Origins::new();
    for input in plan.inputs() {
        for one in column_origins(input) {
            all.extend(one);
        }
    }
    vec![all; plan.schema().fields().len()]
}

struct Input<'a> {
    schema: &'a DFSchema,
    origins: Vec<Origins>,
}

impl<'a> Input<'a> {
    fn of(plan: &'a LogicalPlan) -> Self {
        Self {
            schema: plan.schema(),
            origins: column_origins(plan),
        }
    }

    fn all(&self) -> Origins {
        self.origins.iter().flatten().cloned().collect()
    }

    fn of_column(&self, column: &Column) -> Origins {
        match self.schema.maybe_index_of_column(column) {
            Some(place) => self.origins.get(place).cloned().unwrap_or_default(),
            None => self.all(),
        }
    }

    fn of_expr(&self, expression: &Expr) -> Origins {
        let mut found = Origins::new();
        // Walking cannot fail: nothing in it does.
        let _ = expression.apply(|part| {
            match part {
                Expr::Column(column) => found.extend(self.of_column(column)),
                Expr::AggregateFunction(call) if COUNTS.contains(&call.func.name()) => {
                    return Ok(TreeNodeRecursion::Jump);
                }
                Expr::ScalarSubquery(subquery) => {
                    for one in column_origins(&subquery.subquery) {
                        found.extend(one);
                    }
                }
                _ => {}
            }
            Ok(TreeNodeRecursion::Continue)
        });
        found
    }
}
