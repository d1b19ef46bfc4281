//! Rows that the ORDER BY of a window leaves equal follow each other by their other
//! columns, as in views: from the left to the right, the smallest value first and NULL
//! before all.
//!
//! Without that they come as pieces of the store and threads happen to give them, and
//! `row_number`, `lag` or `first_value` tell something else each time. Only the order in
//! which rows reach the window is finer. Its ORDER BY stays as it is written, so that
//! what it leaves equal stays equal to `rank` and to frames of RANGE and GROUPS. Windows
//! without ORDER BY, and those whose answer no tie changes, get their rows as before.
//!
//! While the library decides where to sort, [`OrderedTies`] stands below such a window
//! and asks for the finer order; afterwards it goes. So the sort that is needed anyway
//! compares more columns, and only where those before them are equal.

use std::fmt;
use std::sync::Arc;

use arrow::compute::SortOptions;
use arrow::datatypes::{DataType, Schema};
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode, TreeNodeRecursion};
use datafusion::common::{Statistics, internal_err};
use datafusion::error::Result;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::WindowFrameUnits;
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_expr::window::{
    PlainAggregateWindowExpr, SlidingAggregateWindowExpr, StandardWindowExpr, WindowExpr,
};
use datafusion::physical_expr::{
    LexRequirement, OrderingRequirements, PhysicalExpr, PhysicalSortRequirement,
};
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::execution_plan::CardinalityEffect;
use datafusion::physical_plan::statistics::{ChildStats, StatisticsArgs};
use datafusion::physical_plan::windows::{BoundedWindowAggExec, WindowAggExec, WindowUDFExpr};
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, Distribution, ExecutionPlan, InputDistributionRequirements,
    PlanProperties, replace_children_if_necessary,
};

/// The rule of the library that puts sorts into a plan.
const SORTING: &str = "EnsureRequirements";
/// Window functions to which rows are equal that ORDER BY leaves equal.
const OF_PEERS: [&str; 4] = ["rank", "dense_rank", "percent_rank", "cume_dist"];
/// Aggregates that the rows of a frame decide, in whatever order they come.
const OF_ROWS: [&str; 7] = ["count", "sum", "avg", "min", "max", "bool_and", "bool_or"];
/// What the optimizer computes once for several expressions begins so. It follows from
/// the other columns, and stands behind them in views.
const COMMON_EXPRESSION: &str = "__common_expr";

/// Rules of physical plans.
type PhysicalRules = Vec<Arc<dyn PhysicalOptimizerRule + Send + Sync>>;

/// The same rules, with those of this module before and behind the one that sorts.
pub(crate) fn with_ties_as_in_views(mut rules: PhysicalRules) -> PhysicalRules {
    let Some(place) = rules.iter().position(|rule| rule.name() == SORTING) else {
        return rules;
    };
    let asking = PlanRule {
        name: "ask_for_ordered_ties",
        change: ask_for_order,
    };
    let forgetting = PlanRule {
        name: "forget_ordered_ties",
        change: forget_question,
    };
    rules.insert(place + 1, Arc::new(forgetting));
    rules.insert(place, Arc::new(asking));
    rules
}

type Changed = Result<Transformed<Arc<dyn ExecutionPlan>>>;

/// A change of each node of a plan, whose inputs were changed before it.
#[derive(Debug)]
struct PlanRule {
    name: &'static str,
    change: fn(Arc<dyn ExecutionPlan>) -> Changed,
}

impl PhysicalOptimizerRule for PlanRule {
    fn optimize(
        &self,
        plan: Arc<dyn ExecutionPlan>,
        _: &ConfigOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        plan.transform_up(self.change).data()
    }

    fn name(&self) -> &str {
        self.name
    }

    fn schema_check(&self) -> bool {
        true
    }
}

fn ask_for_order(node: Arc<dyn ExecutionPlan>) -> Changed {
    let Some(calls) = window_calls(&node) else {
        return Ok(Transformed::no(node));
    };
    if !calls.iter().any(|call| ties_change(call.as_ref())) {
        return Ok(Transformed::no(node));
    }
    let mut orders = node.required_input_ordering();
    let mut distributions = node.input_distribution_requirements().into_per_child();
    let children: Vec<Arc<dyn ExecutionPlan>> = node.children().into_iter().cloned().collect();
    let (Some(Some(order)), Some(distribution), [input]) =
        (orders.pop(), distributions.pop(), children.as_slice())
    else {
        return Ok(Transformed::no(node));
    };
    let order = order.into_single().into_iter();
    // Of a column that is there twice it takes the first.
    let Some(order) = LexRequirement::new(order.chain(by_columns(&input.schema()))) else {
        return Ok(Transformed::no(node));
    };
    let question = OrderedTies {
        input: input.clone(),
        order,
        distribution,
    };
    replace_children_if_necessary(node, vec![Arc::new(question)]).map(Transformed::yes)
}

fn forget_question(node: Arc<dyn ExecutionPlan>) -> Changed {
    Ok(match node.downcast_ref::<OrderedTies>() {
        Some(question) => Transformed::yes(question.input.clone()),
        None => Transformed::no(node),
    })
}

/// What a node computes, if it computes window functions.
fn window_calls(node: &Arc<dyn ExecutionPlan>) -> Option<&[Arc<dyn WindowExpr>]> {
    match node.downcast_ref::<BoundedWindowAggExec>() {
        Some(window) => Some(window.window_expr()),
        None => Some(node.downcast_ref::<WindowAggExec>()?.window_expr()),
    }
}

/// Whether the answer depends on how rows follow each other that ORDER BY leaves equal.
fn ties_change(call: &dyn WindowExpr) -> bool {
    if call.order_by().is_empty() {
        return false;
    }
    let known = call.as_any();
    if let Some(call) = known.downcast_ref::<StandardWindowExpr>() {
        let function = call.get_standard_func_expr().as_any();
        let function = function.downcast_ref::<WindowUDFExpr>();
        return function.is_none_or(|function| !OF_PEERS.contains(&function.fun().name()));
    }
    let aggregate = match known.downcast_ref::<PlainAggregateWindowExpr>() {
        Some(call) => Some(call.get_aggregate_expr()),
        None => {
            let call = known.downcast_ref::<SlidingAggregateWindowExpr>();
            call.map(SlidingAggregateWindowExpr::get_aggregate_expr)
        }
    };
    let frame = call.get_window_frame();
    let is_whole = frame.start_bound.is_unbounded() && frame.end_bound.is_unbounded();
    let parts_peers = frame.units == WindowFrameUnits::Rows && !is_whole;
    parts_peers || aggregate.is_none_or(|call| !OF_ROWS.contains(&call.fun().name()))
}

/// The order of the columns, as those of a view compare.
fn by_columns(schema: &Schema) -> Vec<PhysicalSortRequirement> {
    let fields = schema.fields().iter().enumerate();
    let values = fields.filter(|(_, field)| *field.data_type() != DataType::Null);
    let (common, own): (Vec<_>, Vec<_>) =
        values.partition(|(_, field)| field.name().starts_with(COMMON_EXPRESSION));
    let columns = own.into_iter().chain(common);
    let requirements = columns.map(|(place, field)| {
        let column: Arc<dyn PhysicalExpr> = Arc::new(Column::new(field.name(), place));
        let ascending = SortOptions {
            descending: false,
            nulls_first: true,
        };
        PhysicalSortRequirement::new(column, Some(ascending))
    });
    requirements.collect()
}

/// Gives the rows of its input, and asks for them in an order and dealt out as a window
/// wants them.
#[derive(Debug)]
struct OrderedTies {
    input: Arc<dyn ExecutionPlan>,
    order: LexRequirement,
    distribution: Distribution,
}

impl DisplayAs for OrderedTies {
    fn fmt_as(&self, _: DisplayFormatType, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("OrderedTies")
    }
}

impl ExecutionPlan for OrderedTies {
    fn name(&self) -> &str {
        "OrderedTies"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        self.input.properties()
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.input]
    }

    fn input_distribution_requirements(&self) -> InputDistributionRequirements {
        InputDistributionRequirements::new(vec![self.distribution.clone()])
    }

    fn required_input_ordering(&self) -> Vec<Option<OrderingRequirements>> {
        vec![Some(OrderingRequirements::new(self.order.clone()))]
    }

    fn maintains_input_order(&self) -> Vec<bool> {
        vec![true]
    }

    fn apply_expressions(
        &self,
        _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn with_new_children(
        self: Arc<Self>,
        mut children: Vec<Arc<dyn ExecutionPlan>>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(Arc::new(Self {
            input: children.pop().unwrap_or_else(|| self.input.clone()),
            order: self.order.clone(),
            distribution: self.distribution.clone(),
        }))
    }

    fn execute(
        &self,
        partition: usize,
        context: Arc<TaskContext>,
    ) -> Result<SendableRecordBatchStream> {
        self.input.execute(partition, context)
    }

    fn child_stats_requests(&self, partition: Option<usize>) -> Vec<ChildStats> {
        vec![ChildStats::At(partition)]
    }

    fn statistics_from_inputs(
        &self,
        inputs: &[Arc<Statistics>],
        _: &StatisticsArgs,
    ) -> Result<Arc<Statistics>> {
        match inputs {
            [of_input] => Ok(of_input.clone()),
            _ => internal_err!("`{}` has one input", self.name()),
        }
    }

    fn cardinality_effect(&self) -> CardinalityEffect {
        CardinalityEffect::Equal
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::{ArrayRef, Int64Array, RecordBatch};
    use datafusion::execution::SessionStateBuilder;
    use datafusion::physical_optimizer::optimizer::PhysicalOptimizer;
    use datafusion::physical_plan::displayable;
    use datafusion::prelude::{SessionConfig, SessionContext};

    use super::*;

    /// The sorts of a query's plan, each with the columns that it compares.
    async fn sorts(select: &str) -> Vec<String> {
        let rules = with_ties_as_in_views(PhysicalOptimizer::new().rules);
        let state = SessionStateBuilder::new()
            .with_config(SessionConfig::new().with_target_partitions(3))
            .with_default_features()
            .with_physical_optimizer_rules(rules)
            .build();
        let context = SessionContext::new_with_state(state);
        let numbers: ArrayRef = Arc::new(Int64Array::from(vec![1, 2]));
        let rows = ["a", "b", "c"].map(|name| (name, numbers.clone()));
        let rows = RecordBatch::try_from_iter(rows).unwrap();
        context.register_batch("r", rows).unwrap();
        let plan = context.sql(&format!("{select} FROM r")).await.unwrap();
        let plan = plan.create_physical_plan().await.unwrap();
        let text = displayable(plan.as_ref()).indent(false).to_string();
        assert!(!text.contains("OrderedTies"), "{text}");
        let lines = text.lines().filter(|line| line.contains("SortExec: "));
        let orders = lines.filter_map(|line| line.split(['[', ']']).nth(1));
        orders.map(str::to_owned).collect()
    }

    #[tokio::test]
    async fn a_sort_for_a_window_compares_all_its_columns() {
        for call in [
            "row_number() OVER (ORDER BY b)",
            "ntile(2) OVER (ORDER BY b)",
            "lag(c) OVER (ORDER BY b)",
            "last_value(c) OVER (ORDER BY b)",
            "sum(c) OVER (ORDER BY b ROWS 2 PRECEDING)",
            "array_agg(c) OVER (ORDER BY b)",
            "array_agg(c) OVER (ORDER BY b ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING)",
        ] {
            let found = sorts(&format!("SELECT a, c, {call} AS x")).await;
            let expected = ["b@1 ASC NULLS LAST, a@0 ASC, c@2 ASC"];
            assert_eq!(found, expected, "{call}");
        }
        let found = sorts("SELECT a, c, row_number() OVER (PARTITION BY c ORDER BY b DESC)").await;
        assert_eq!(found, ["c@2 ASC NULLS LAST, b@1 DESC, a@0 ASC"]);
    }

    #[tokio::test]
    async fn other_windows_sort_as_before() {
        for call in [
            "rank() OVER (ORDER BY b)",
            "dense_rank() OVER (ORDER BY b)",
            "percent_rank() OVER (ORDER BY b)",
            "sum(c) OVER (ORDER BY b)",
            "count(*) OVER (ORDER BY b RANGE 2 PRECEDING)",
            "max(c) OVER (ORDER BY b GROUPS 2 PRECEDING)",
            "min(c) OVER (ORDER BY b ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING)",
        ] {
            let found = sorts(&format!("SELECT a, c, {call} AS x")).await;
            assert_eq!(found, ["b@1 ASC NULLS LAST"], "{call}");
        }
        let found = sorts("SELECT a, row_number() OVER () AS x").await;
        assert!(found.is_empty(), "{found:?}");
    }

    #[test]
    fn nothing_is_asked_where_nothing_sorts() {
        assert!(with_ties_as_in_views(Vec::new()).is_empty());
        let rules = with_ties_as_in_views(PhysicalOptimizer::new().rules);
        assert_eq!(rules.len(), PhysicalOptimizer::new().rules.len() + 2);
    }
}
