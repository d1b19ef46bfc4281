//! Lists and rows in order as PostgreSQL has them: value by value, where NULL comes
//! after all others. To DataFusion NULL inside a list is the least.
//!
//! | written | becomes |
//! |---|---|
//! | `l < m`, and `<=`, `>`, `>=` | `is_less(l, m)` and its like |
//! | `l BETWEEN m AND n` | `is_at_least(l, m) AND is_at_most(l, n)` |
//!
//! `=`, `<>`, IN and IS DISTINCT FROM take NULL inside of both for the same, as
//! PostgreSQL does, and so do GROUP BY and DISTINCT. `min`, `max`, `greatest` and
//! `least` of lists are refused, and so is an order with a subquery.

use std::cmp::Ordering;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, BooleanArray, make_comparator};
use arrow::compute::SortOptions;
use arrow::datatypes::DataType;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::Transformed;
use datafusion::common::utils::take_function_args;
use datafusion::common::{DFSchema, Result, ScalarValue, plan_err};
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::{
    ColumnarValue, Expr, ExprSchemable, LogicalPlan, Operator, ScalarFunctionArgs, ScalarUDF,
    ScalarUDFImpl, Signature, Volatility,
};
use datafusion::optimizer::AnalyzerRule;

use crate::rewriting::rewritten;

/// Inside of lists NULL is greater than all values.
const NULL_LAST: SortOptions = SortOptions {
    descending: false,
    nulls_first: false,
};

/// See the module. It comes when types are matched, after the rules that look for
/// comparisons.
#[derive(Debug)]
pub(crate) struct ListOrder;

impl AnalyzerRule for ListOrder {
    fn name(&self) -> &str {
        "list_order"
    }

    fn analyze(&self, plan: LogicalPlan, _: &ConfigOptions) -> Result<LogicalPlan> {
        rewritten(plan, &in_order)
    }
}

fn in_order(expression: Expr, schema: &DFSchema) -> Result<Transformed<Expr>> {
    Ok(match expression {
        Expr::BinaryExpr(binary) => match Place::of(binary.op) {
            Some(place) if has_values(&binary.left, schema) => {
                Transformed::yes(place.call(*binary.left, *binary.right))
            }
            _ => Transformed::no(Expr::BinaryExpr(binary)),
        },
        Expr::Between(between) if has_values(&between.expr, schema) => {
            let is_negated = between.negated;
            let low = Place::AtLeast.call((*between.expr).clone(), *between.low);
            let both = low.and(Place::AtMost.call(*between.expr, *between.high));
            Transformed::yes(match is_negated {
                true => Expr::Not(Box::new(both)),
                false => both,
            })
        }
        other => {
            check(&other, schema)?;
            Transformed::no(other)
        }
    })
}

/// Refuses what would find another order.
fn check(expression: &Expr, schema: &DFSchema) -> Result<()> {
    let (name, values) = match expression {
        Expr::AggregateFunction(call) => (call.func.name(), &call.params.args[..]),
        Expr::WindowFunction(call) => (call.fun.name(), &call.params.args[..]),
        Expr::ScalarFunction(call) => (call.name(), &call.args[..]),
        Expr::SetComparison(compared)
            if Place::of(compared.op).is_some() && has_values(&compared.expr, schema) =>
        {
            return plan_err!(
                "lists and rows are not compared by {} with a subquery: join with it, and compare them there",
                compared.op
            );
        }
        _ => return Ok(()),
    };
    let is_extreme = matches!(name, "min" | "max" | "greatest" | "least");
    if !is_extreme || !values.iter().any(|value| is_list(value, schema)) {
        return Ok(());
    }
    plan_err!(
        "{name} of lists is not supported: compare them, as in CASE WHEN a > b THEN a ELSE b END, or take {name} of a value of each, as in {name}(list[1])"
    )
}

fn has_values(value: &Expr, schema: &DFSchema) -> bool {
    let found = value.get_type(schema);
    is_list(value, schema) || matches!(found, Ok(DataType::Struct(_)))
}

fn is_list(value: &Expr, schema: &DFSchema) -> bool {
    matches!(
        value.get_type(schema),
        Ok(DataType::List(_) | DataType::LargeList(_) | DataType::FixedSizeList(..))
    )
}

/// Where the left side is in the order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Place {
    Less,
    AtMost,
    Greater,
    AtLeast,
}

impl Place {
    fn of(operator: Operator) -> Option<Self> {
        match operator {
            Operator::Lt => Some(Self::Less),
            Operator::LtEq => Some(Self::AtMost),
            Operator::Gt => Some(Self::Greater),
            Operator::GtEq => Some(Self::AtLeast),
            _ => None,
        }
    }

    fn is_that(self, ordering: Ordering) -> bool {
        match self {
            Self::Less => ordering.is_lt(),
            Self::AtMost => ordering.is_le(),
            Self::Greater => ordering.is_gt(),
            Self::AtLeast => ordering.is_ge(),
        }
    }

    fn call(self, left: Expr, right: Expr) -> Expr {
        let function = Arc::new(ScalarUDF::from(InOrder {
            place: self,
            signature: Signature::any(2, Volatility::Immutable),
        }));
        Expr::ScalarFunction(ScalarFunction::new_udf(function, vec![left, right]))
    }
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct InOrder {
    place: Place,
    signature: Signature,
}

impl ScalarUDFImpl for InOrder {
    fn name(&self) -> &str {
        match self.place {
            Place::Less => "is_less",
            Place::AtMost => "is_at_most",
            Place::Greater => "is_greater",
            Place::AtLeast => "is_at_least",
        }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _types: &[DataType]) -> Result<DataType> {
        Ok(DataType::Boolean)
    }

    fn is_strict(&self) -> bool {
        true
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [left, right] = take_function_args(self.name(), &arguments.args)?;
        let (left, right) = (Values::of(left)?, Values::of(right)?);
        let is_constant = left.is_constant && right.is_constant;
        let rows = match is_constant {
            true => 1,
            false => arguments.number_rows,
        };
        let compare = make_comparator(&left.values, &right.values, NULL_LAST)?;
        let places: BooleanArray = (0..rows)
            .map(|row| {
                let (one, other) = (left.index(row), right.index(row));
                let are_known = left.values.is_valid(one) && right.values.is_valid(other);
                are_known.then(|| self.place.is_that(compare(one, other)))
            })
            .collect();
        Ok(match is_constant {
            true => ColumnarValue::Scalar(ScalarValue::try_from_array(&places, 0)?),
            false => ColumnarValue::Array(Arc::new(places)),
        })
    }
}

/// One side of a comparison; a list that is a constant is there once.
struct Values {
    values: ArrayRef,
    is_constant: bool,
}

impl Values {
    fn of(side: &ColumnarValue) -> Result<Self> {
        let is_constant = matches!(side, ColumnarValue::Scalar(_));
        let values = side.to_array(1)?;
        Ok(Self {
            values,
            is_constant,
        })
    }

    fn index(&self, row: usize) -> usize {
        match self.is_constant {
            true => 0,
            false => row,
        }
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::{AsArray, ListArray};
    use arrow::datatypes::{Field, Int64Type, Schema};
    use datafusion::common::ToDFSchema;
    use datafusion::functions::expr_fn::greatest;
    use datafusion::functions_aggregate::expr_fn::max;
    use datafusion::logical_expr::col;

    use super::*;

    type Numbers = Option<Vec<Option<i64>>>;

    fn lists(values: Vec<Numbers>) -> ArrayRef {
        Arc::new(ListArray::from_iter_primitive::<Int64Type, _, _>(values))
    }

    fn found(place: Place, left: ColumnarValue, right: ColumnarValue, rows: usize) -> BooleanArray {
        let Expr::ScalarFunction(call) = place.call(col("l"), col("m")) else {
            panic!("no function");
        };
        let field = |value: &ColumnarValue| Arc::new(Field::new("a", value.data_type(), true));
        let arg_fields = vec![field(&left), field(&right)];
        let answer = call.func.invoke_with_args(ScalarFunctionArgs {
            args: vec![left, right],
            arg_fields,
            number_rows: rows,
            return_field: Arc::new(Field::new("a", DataType::Boolean, true)),
            config_options: Arc::default(),
        });
        let answer = answer.unwrap().into_array(rows).unwrap();
        answer.as_boolean().clone()
    }

    #[test]
    fn null_is_behind_all_values() {
        let pairs: [(Numbers, Numbers, Option<Ordering>); 8] = [
            (
                Some(vec![Some(1), None]),
                Some(vec![Some(1), Some(9)]),
                Some(Ordering::Greater),
            ),
            (
                Some(vec![Some(0), None]),
                Some(vec![Some(1), Some(9)]),
                Some(Ordering::Less),
            ),
            (
                Some(vec![Some(1), None]),
                Some(vec![Some(1), None]),
                Some(Ordering::Equal),
            ),
            (
                Some(vec![Some(1), None]),
                Some(vec![Some(1)]),
                Some(Ordering::Greater),
            ),
            (Some(vec![]), Some(vec![None]), Some(Ordering::Less)),
            (
                Some(vec![None, Some(1)]),
                Some(vec![None, Some(2)]),
                Some(Ordering::Less),
            ),
            (None, Some(vec![None]), None),
            (None, None, None),
        ];
        let left = lists(pairs.iter().map(|pair| pair.0.clone()).collect());
        let right = lists(pairs.iter().map(|pair| pair.1.clone()).collect());
        for place in [Place::Less, Place::AtMost, Place::Greater, Place::AtLeast] {
            let orders = pairs.iter().map(|pair| pair.2);
            let expected = orders.map(|order| order.map(|order| place.is_that(order)));
            let expected: BooleanArray = expected.collect();
            let left = ColumnarValue::Array(left.clone());
            let right = ColumnarValue::Array(right.clone());
            assert_eq!(
                found(place, left, right, pairs.len()),
                expected,
                "{place:?}"
            );
        }
    }

    #[test]
    fn a_constant_is_compared_with_every_row() {
        let column = lists(vec![Some(vec![Some(1)]), None, Some(vec![None])]);
        let constant = |values: Numbers| {
            let values = ScalarValue::try_from_array(&lists(vec![values]), 0);
            ColumnarValue::Scalar(values.unwrap())
        };
        let two = constant(Some(vec![Some(2)]));
        let column = ColumnarValue::Array(column);
        let less = found(Place::Less, column.clone(), two.clone(), 3);
        assert_eq!(
            less,
            BooleanArray::from(vec![Some(true), None, Some(false)])
        );
        let less = found(Place::Less, two.clone(), column.clone(), 3);
        assert_eq!(
            less,
            BooleanArray::from(vec![Some(false), None, Some(true)])
        );
        let unknown = found(Place::Less, column, constant(None), 3);
        assert_eq!(unknown, BooleanArray::from(vec![None; 3]));
        let both = found(Place::AtMost, two.clone(), two, 1);
        assert_eq!(both, BooleanArray::from(vec![true]));
    }

    #[test]
    fn orders_of_lists_become_functions() {
        let list = DataType::new_list(DataType::Int64, true);
        let fields = vec![
            Field::new("l", list.clone(), true),
            Field::new("m", list, true),
            Field::new("n", DataType::Int64, true),
        ];
        let schema = Schema::new(fields).to_dfschema().unwrap();
        let (l, m) = (|| col("l"), || col("m"));
        let between = Place::AtLeast
            .call(l(), m())
            .and(Place::AtMost.call(l(), l()));
        for (expression, expected) in [
            (l().lt(m()), Some(Place::Less.call(l(), m()))),
            (l().gt_eq(m()), Some(Place::AtLeast.call(l(), m()))),
            (l().between(m(), l()), Some(between.clone())),
            (
                l().not_between(m(), l()),
                Some(Expr::Not(Box::new(between))),
            ),
            (l().eq(m()), None),
            (col("n").lt(col("n")), None),
            (max(col("n")), None),
        ] {
            let found = in_order(expression.clone(), &schema).unwrap();
            assert_eq!(found.transformed, expected.is_some(), "{expression}");
            assert_eq!(found.data, expected.unwrap_or(expression));
        }
        for expression in [max(l()), greatest(vec![l(), m()])] {
            let problem = in_order(expression.clone(), &schema).unwrap_err();
            assert!(
                problem.to_string().contains("of lists is not supported"),
                "{expression}"
            );
        }
    }
}
