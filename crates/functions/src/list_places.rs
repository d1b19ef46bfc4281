//! `list[place]` is NULL for places below 1, as in PostgreSQL; DataFusion counts
//! those below 0 from the end.

use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::Transformed;
use datafusion::common::{DFSchema, Result, ScalarValue};
use datafusion::logical_expr::{Expr, LogicalPlan, lit, when};
use datafusion::optimizer::AnalyzerRule;

use crate::rewriting::rewritten;

/// The rewriting as a rule of a session; it comes before types are matched.
#[derive(Debug)]
pub(crate) struct ListPlaces;

impl AnalyzerRule for ListPlaces {
    fn name(&self) -> &str {
        "list_places"
    }

    fn analyze(&self, plan: LogicalPlan, _: &ConfigOptions) -> Result<LogicalPlan> {
        rewritten(plan, &from_one)
    }
}

fn from_one(expression: Expr, _: &DFSchema) -> Result<Transformed<Expr>> {
    let place = match &expression {
        Expr::ScalarFunction(call) if call.name() == "array_element" => call.args.get(1),
        _ => None,
    };
    match place {
        Some(place) if !is_from_one(place) => {
            let is_place = place.clone().gt_eq(lit(1_i64));
            when(is_place, expression).end().map(Transformed::yes)
        }
        _ => Ok(Transformed::no(expression)),
    }
}

/// Whether it is written as a number from 1 on.
fn is_from_one(place: &Expr) -> bool {
    match place {
        Expr::Literal(ScalarValue::Int64(Some(place)), _) => *place >= 1,
        Expr::Literal(ScalarValue::Int32(Some(place)), _) => *place >= 1,
        Expr::Literal(ScalarValue::UInt64(Some(place)), _) => *place >= 1,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use datafusion::functions_nested::expr_fn::array_element;
    use datafusion::logical_expr::col;

    use super::*;

    #[test]
    fn only_places_from_one_on_have_an_element() {
        let schema = DFSchema::empty();
        for (place, is_changed) in [
            (lit(1_i64), false),
            (lit(0_i64), true),
            (lit(-1_i64), true),
            (col("n"), true),
        ] {
            let element = array_element(col("l"), place.clone());
            let found = from_one(element.clone(), &schema).unwrap();
            assert_eq!(found.transformed, is_changed, "{place}");
            let expected = match is_changed {
                true => when(place.gt_eq(lit(1_i64)), element).end().unwrap(),
                false => element,
            };
            assert_eq!(found.data, expected);
        }
    }
}
