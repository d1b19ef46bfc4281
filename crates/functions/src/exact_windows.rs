//! Windows answer by the rows of their frame alone: `sum` and `avg` of doubles are
//! exact before they are rounded once, `bool_and` and `bool_or` count, and functions
//! from which nothing can be taken back are computed from the frame's rows.
//!
//! DataFusion takes what leaves a frame from a sum that is rounded already, so that a
//! residue stays, and behind an infinity or a NaN nothing but NaN comes; most of its
//! other aggregates it refuses over frames that move. In queries a rule puts the
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
use crate::frame_rows::OverFrames;
use crate::window_truth::WindowTruth;

/// From these DataFusion takes back what leaves a frame, and they are exact for what
/// is not a double.
const TAKE_BACK: [&str; 5] = ["count", "sum", "avg", "min", "max"];

/// The function that takes the place of the one that a window calls, if another one
/// does. `argument_types` are those after coercion.
pub fn function_of_window(
    call: &WindowFunction,
    argument_types: &[DataType],
) -> Option<AggregateUDF> {
    let WindowFunctionDefinition::AggregateUDF(called) = &call.fun else {
        return None;
    };
    let name = called.name();
    if !call.params.distinct {
        match (name, argument_types) {
            ("sum" | "avg", [DataType::Float64]) => {
                return Some(ExactWindowSum::new(name == "avg").into());
            }
            ("bool_and" | "bool_or", [DataType::Boolean]) => {
                return Some(WindowTruth::new(name == "bool_and").into());
            }
            _ if TAKE_BACK.contains(&name) => return None,
            _ => {}
        }
    }
    let moves = !call.params.window_frame.is_ever_expanding();
    moves.then(|| OverFrames::new(called.clone()).into())
}

/// See the module. It comes when types are matched.
#[derive(Debug)]
pub(crate) struct ExactWindows;

fn with_own_function(part: Expr, schema: &DFSchema) -> Result<Transformed<Expr>> {
    let Expr::WindowFunction(mut call) = part else {
        return Ok(Transformed::no(part));
    };
    let arguments = call.params.args.iter();
    let types: Vec<DataType> = arguments
        .map(|argument| argument.get_type(schema))
        .collect::<Result<_>>()?;
    let Some(function) = function_of_window(&call, &types) else {
        return Ok(Transformed::no(Expr::WindowFunction(call)));
    };
    call.fun = WindowFunctionDefinition::AggregateUDF(Arc::new(function));
    Ok(Transformed::yes(Expr::WindowFunction(call)))
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
            node.map_expressions(|call| call.transform_up(|part| with_own_function(part, &schema)))
        })
        .data()
    }
}

#[cfg(test)]
mod tests {
    use datafusion::common::ScalarValue;
    use datafusion::functions_aggregate::average::avg_udaf;
    use datafusion::functions_aggregate::bit_and_or_xor::bit_and_udaf;
    use datafusion::functions_aggregate::bool_and_or::{bool_and_udaf, bool_or_udaf};
    use datafusion::functions_aggregate::min_max::min_udaf;
    use datafusion::functions_aggregate::sum::sum_udaf;
    use datafusion::logical_expr::{
        LogicalPlanBuilder, WindowFrame, WindowFrameBound, WindowFrameUnits, col, lit,
    };

    use super::*;

    /// The function that a window calls behind the rule.
    fn called(
        function: Arc<AggregateUDF>,
        argument: &str,
        frame: WindowFrame,
        is_distinct: bool,
    ) -> Arc<AggregateUDF> {
        let row = vec![lit(1.5), lit(true), lit(1_i64)];
        let rows = LogicalPlanBuilder::values(vec![row]).unwrap();
        let mut call = WindowFunction::new(function, vec![col(argument)]);
        call.params.distinct = is_distinct;
        call.params.window_frame = frame;
        let call = Expr::from(call).alias("x");
        let plan = rows.window(vec![call]).unwrap().build().unwrap();
        let plan = ExactWindows.analyze(plan, &ConfigOptions::default());
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

    fn whole() -> WindowFrame {
        WindowFrame::new(None)
    }

    fn moving() -> WindowFrame {
        let start = WindowFrameBound::Preceding(ScalarValue::UInt64(Some(2)));
        WindowFrame::new_bounds(WindowFrameUnits::Rows, start, WindowFrameBound::CurrentRow)
    }

    #[test]
    fn windows_call_functions_that_take_back_exactly() {
        for (function, argument, expected) in [
            (sum_udaf(), "column1", ExactWindowSum::new(false).into()),
            (avg_udaf(), "column1", ExactWindowSum::new(true).into()),
            (bool_and_udaf(), "column2", WindowTruth::new(true).into()),
            (bool_or_udaf(), "column2", WindowTruth::new(false).into()),
        ] {
            let expected: AggregateUDF = expected;
            assert_eq!(expected.name(), function.name());
            for frame in [whole(), moving()] {
                let found = called(function.clone(), argument, frame, false);
                assert_eq!(*found, expected);
            }
        }
    }

    #[test]
    fn what_cannot_take_back_keeps_the_rows_of_frames_that_move() {
        for (function, is_distinct) in [(bit_and_udaf(), false), (sum_udaf(), true)] {
            let expected = AggregateUDF::from(OverFrames::new(function.clone()));
            let found = called(function.clone(), "column3", moving(), is_distinct);
            assert_eq!(*found, expected);
            let found = called(function.clone(), "column3", whole(), is_distinct);
            assert_eq!(found, function);
        }
    }

    #[test]
    fn the_rest_stays() {
        for function in [sum_udaf(), avg_udaf(), min_udaf()] {
            let found = called(function.clone(), "column3", moving(), false);
            assert_eq!(found, function);
        }
    }
}
