//! Order that a plan needs and cannot show is made by a sort.
//!
//! DataFusion drops a sort where it sees that rows come in order already, and checks the
//! finished plan once more. Between the two, what it knows of an order can be lost: a
//! column that a filter makes constant is constant no longer behind a projection, or in
//! one branch of a UNION only. Such a plan is right and would be refused, and whether
//! it is seen depends on the values asked for. A sort too many costs time; a refused
//! question has no answer.

use std::sync::Arc;

use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::error::Result;
use datafusion::physical_expr::{LexOrdering, OrderingRequirements};
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_optimizer::optimizer::PhysicalOptimizer;
use datafusion::physical_plan::sorts::sort::SortExec;
use datafusion::physical_plan::{
    ExecutionPlan, ExecutionPlanProperties, replace_children_if_necessary,
};

/// The rule of the library that refuses plans.
const LAST_CHECK: &str = "SanityCheckPlan";

/// The library's rules, with [`ProvenOrder`] before its last check.
pub(crate) fn rules_with_proven_order() -> Vec<Arc<dyn PhysicalOptimizerRule + Send + Sync>> {
    let mut rules = PhysicalOptimizer::new().rules;
    let check = rules.iter().position(|rule| rule.name() == LAST_CHECK);
    let place = check.unwrap_or(rules.len());
    rules.insert(place, Arc::new(ProvenOrder));
    rules
}

/// See the module.
#[derive(Debug)]
struct ProvenOrder;

impl PhysicalOptimizerRule for ProvenOrder {
    fn optimize(
        &self,
        plan: Arc<dyn ExecutionPlan>,
        _: &ConfigOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        plan.transform_up(with_sorted_inputs).data()
    }

    fn name(&self) -> &str {
        "proven_order"
    }

    fn schema_check(&self) -> bool {
        true
    }
}

fn with_sorted_inputs(node: Arc<dyn ExecutionPlan>) -> Result<Transformed<Arc<dyn ExecutionPlan>>> {
    let requirements = node.required_input_ordering();
    let mut any_is_new = false;
    let mut inputs = Vec::with_capacity(requirements.len());
    for (input, requirement) in node.children().into_iter().zip(requirements) {
        let missing = match requirement {
            Some(requirement) => missing_order(input, requirement)?,
            None => None,
        };
        any_is_new |= missing.is_some();
        inputs.push(match missing {
            Some(order) => sorted(input, order),
            None => input.clone(),
        });
    }
    if !any_is_new {
        return Ok(Transformed::no(node));
    }
    Ok(Transformed::yes(replace_children_if_necessary(
        node, inputs,
    )?))
}

/// The order that is asked of an input whose rows are not known to have it.
fn missing_order(
    input: &Arc<dyn ExecutionPlan>,
    requirement: OrderingRequirements,
) -> Result<Option<LexOrdering>> {
    let requirement = requirement.into_single();
    let properties = input.equivalence_properties();
    if properties.ordering_satisfy_requirement(requirement.clone())? {
        return Ok(None);
    }
    Ok(Some(LexOrdering::from(requirement)))
}

/// Each partition by itself: whoever asks for an order asks it of each one.
fn sorted(input: &Arc<dyn ExecutionPlan>, order: LexOrdering) -> Arc<dyn ExecutionPlan> {
    Arc::new(SortExec::new(order, input.clone()).with_preserve_partitioning(true))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_library_checks_after_this_rule() {
        let rules = rules_with_proven_order();
        let names: Vec<&str> = rules.iter().map(|rule| rule.name()).collect();
        let own = names.iter().position(|name| *name == "proven_order");
        let check = names.iter().position(|name| *name == LAST_CHECK);
        assert!(own.is_some() && own < check, "{names:?}");
    }
}
