//! Plain views are computed when someone asks: the plan of one stands wherever another
//! names it. Views that name the one before them twice double it each time, so that
//! their plans are put together with the models, and one of too much is refused there.

use std::collections::BTreeMap;

use datafusion::common::Result;
use datafusion::common::tree_node::Transformed;
use datafusion::logical_expr::{LogicalPlan, LogicalPlanBuilder};
use sluice_functions::check_planned_parts;

/// The plans of plain views, by name, each with those of the views that it reads.
#[derive(Debug, Default)]
pub(crate) struct PlainViews(BTreeMap<String, LogicalPlan>);

impl PlainViews {
    /// Remembers the plan of a view, in whose order they come.
    ///
    /// # Errors
    /// When it would be too much, with those of the views that it reads.
    pub(crate) fn add(&mut self, name: &str, plan: LogicalPlan) -> Result<()> {
        let whole = self.put_in(plan)?;
        check_planned_parts(&whole)?;
        self.0.insert(name.to_owned(), whole);
        Ok(())
    }

    /// A plan with those of the views that it reads in their places.
    fn put_in(&self, plan: LogicalPlan) -> Result<LogicalPlan> {
        let whole = plan.transform_up_with_subqueries(|node| {
            let LogicalPlan::TableScan(scan) = &node else {
                return Ok(Transformed::no(node));
            };
            let Some(view) = self.0.get(scan.table_name.table()) else {
                return Ok(Transformed::no(node));
            };
            let named = LogicalPlanBuilder::from(view.clone()).alias(scan.table_name.clone())?;
            named.build().map(Transformed::yes)
        })?;
        Ok(whole.data)
    }
}
