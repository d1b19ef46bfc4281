//! Grouping by text that lies in dictionaries.
//!
//! A column of text with few values is a dictionary in each piece of a collection, and
//! a row has a small number instead of its text. Rows are grouped by these numbers;
//! only a number that was not met before in its piece is looked up by its text. The
//! first stage of `GROUP BY` over a scan is replaced so, where at least one key is a
//! column of text; what it hands on, and the stages behind it, are DataFusion's.

mod aggregation;
mod code_book;
mod groups;
mod plan;

use std::sync::Arc;

use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::error::Result;
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::aggregates::AggregateExec;

use crate::coded_groups::plan::CodedAggregate;

/// See the module.
#[derive(Debug)]
pub struct CodedGroups;

impl PhysicalOptimizerRule for CodedGroups {
    fn optimize(
        &self,
        plan: Arc<dyn ExecutionPlan>,
        _: &ConfigOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let replaced = plan.transform_up(|node| {
            let Some(aggregate) = node.downcast_ref::<AggregateExec>() else {
                return Ok(Transformed::no(node));
            };
            Ok(match CodedAggregate::of(aggregate)? {
                Some(coded) => Transformed::yes(Arc::new(coded)),
                None => Transformed::no(node),
            })
        });
        replaced.data()
    }

    fn name(&self) -> &str {
        "coded_groups"
    }

    fn schema_check(&self) -> bool {
        true
    }
}
