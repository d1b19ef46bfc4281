//! Windows answer by the rows of their frame alone: `sum` and `avg` of doubles are
//! exact before they are rounded once, `bool_and` and `bool_or` count.
//!
//! DataFusion takes what leaves a frame from a sum that is rounded already, so that a
//! residue stays, and behind an infinity or a NaN nothing but NaN comes; from its
//! `bool_and` and `bool_or` nothing can be taken. In queries a rule puts the
//! functions of views into windows, also where no row leaves, so that both answer the
//! same. Groups keep DataFusion's functions, which are faster.

use std::sync::Arc;

use arrow::datatypes::DataType;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::common::{DFSchema, Result};
use datafusion::logical_expr::expr::WindowFunction;
use datafusion::logical_expr::{
    AggregateUDF, Expr, ExprSchemable, LogicalPlan, WindowFunctionDefinition,
};
use datafusion::optimizer::AnalyzerRule;

use crate::exact_window_sum::ExactWindowSum;
use crate::window_truth::WindowTruth;

/// See the module. It comes when types are matched.
#[derive(Debug)]
pub(crate) struct ExactWindows {
    /// Each with the type of its argument.
    functions: [(Arc<AggregateUDF>, DataType); 4],
}

impl ExactWindows {
    pub(crate) fn new() -> Self {
        let sum = |is_average| AggregateUDF::from(ExactWindowSum::new(is_average));
        let truth = |is_and| AggregateUDF::from(WindowTruth::new(is_and));
        Self {
            functions: [
                (Arc::new(sum(false)), DataType::Float64),
                (Arc::new(sum(true)), DataType::Float64),
                (Arc::new(truth(true)), DataType::Boolean),
                (Arc::new(truth(false)), DataType::Boolean),
            ],
        }
    }

    fn with_own_function(&self, part: Expr, schema: &DFSchema) -> Transformed<Expr> {
        let Expr::WindowFunction(mut call) = part else {
            return Transformed::no(part);
        };
        let Some(function) = self.function(&call, schema) else {
            return Transformed::no(Expr::WindowFunction(call));
        };
        call.fun = WindowFunctionDefinition::AggregateUDF(function.clone());
        Transformed::yes(Expr::WindowFunction(call))
    }

    /// The function that takes the place of the one that is called.
    fn function(&self, call: &WindowFunction, schema: &DFSchema) -> Option<&Arc<AggregateUDF>> {
        let WindowFunctionDefinition::AggregateUDF(called) = &call.fun else {
            return None;
        };
        let [argument] = call.params.args.as_slice() else {
            return None;
        };
        if call.params.distinct {
            return None;
        }
        let data_type = argument.get_type(schema).ok()?;
        let mut functions = self.functions.iter();
        let found = functions
            .find(|(function, of_type)| function.name() == called.name() && *of_type == data_type);
        found.map(|(function, _)| function)
    }
}

impl AnalyzerRule for ExactWindows {
    fn name(&self) -> &str {
        "exact_windows"
    }

    fn analyze(&self, plan: LogicalPlan, _: &ConfigOptions) -> Result<LogicalPlan> {
        plan.transform_up_with_subqueries(|node| {
            let LogicalPlan::Window(window) = &node else {
                return Ok(Transformed::no(node));
            };
            let schema = window.input.schema().clone();
            node.map_expressions(|call| {
                call.transform_up(|part| Ok(self.with_own_function(part, &schema)))
            })
        })
        .data()
    }
}

#[cfg(test)]
mod tests {
    use datafusion::functions_aggregate::average::avg_udaf;
    use datafusion::functions_aggregate::bool_and_or::{bool_and_udaf, bool_or_udaf};
    use datafusion::functions_aggregate::sum::sum_udaf;
    use datafusion::logical_expr::{LogicalPlanBuilder, col, lit};

    use super::*;

    /// The function that a window calls behind the rule.
    fn called(function: Arc<AggregateUDF>, argument: &str, is_distinct: bool) -> Arc<AggregateUDF> {
        let row = vec![lit(1.5), lit(true), lit(1_i64)];
        let rows = LogicalPlanBuilder::values(vec![row]).unwrap();
        let mut call = WindowFunction::new(function, vec![col(argument)]);
        call.params.distinct = is_distinct;
        let call = Expr::from(call).alias("x");
        let plan = rows.window(vec![call]).unwrap().build().unwrap();
        let plan = ExactWindows::new().analyze(plan, &ConfigOptions::default());
        let LogicalPlan::Window(window) = plan.unwrap() else {
            panic!("no window");
        };
        let Expr::Alias(alias) = &window.window_expr[0] else {
            panic!("no alias");
        };
        let Expr::WindowFunction(call) = &*alias.expr else {
            panic!("no call");
        };
        match &call.fun {
            WindowFunctionDefinition::AggregateUDF(function) => function.clone(),
            other => panic!("{other}"),
        }
    }

    #[test]
    fn windows_call_functions_that_take_back_exactly() {
        for (function, argument, number) in [
            (sum_udaf(), "column1", 0),
            (avg_udaf(), "column1", 1),
            (bool_and_udaf(), "column2", 2),
            (bool_or_udaf(), "column2", 3),
        ] {
            let own = ExactWindows::new();
            let (expected, _) = &own.functions[number];
            assert_eq!(expected.name(), function.name());
            assert_eq!(&called(function, argument, false), expected);
        }
    }

    #[test]
    fn the_rest_stays() {
        for (function, argument, is_distinct) in [
            (sum_udaf(), "column3", false),
            (avg_udaf(), "column3", false),
            (sum_udaf(), "column1", true),
        ] {
            let found = called(function.clone(), argument, is_distinct);
            assert_eq!(found, function, "{argument}");
        }
    }
}
