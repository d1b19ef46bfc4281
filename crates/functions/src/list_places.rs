//! Places in lists as PostgreSQL counts them: DataFusion counts those below 0 from the
//! end.
//!
//! | written | where a place is below 1 |
//! |---|---|
//! | `list[place]` | NULL |
//! | `list[low:high]` | from the first value on by `low`, an empty list by `high` |
//!
//! And a slice without a bound, `list[:high]`, `list[low:]` or `list[:]`, which the
//! planner refuses, has that of the list.

use std::ops::ControlFlow;
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray};
use arrow::datatypes::{DataType, FieldRef, Int64Type};
use datafusion::common::Result;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::Transformed;
use datafusion::functions_nested::extract::{array_element_udf, array_slice_udf};
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::{
    ColumnarValue, Documentation, Expr, LogicalPlan, ReturnFieldArgs, ScalarFunctionArgs,
    ScalarUDF, ScalarUDFImpl,
};
use datafusion::optimizer::AnalyzerRule;
use datafusion::sql::sqlparser::ast::{AccessExpr, Expr as SqlExpr, Subscript, Value, VisitorMut};
use sluice_syntax::Part;

use crate::by_array::by_array;
use crate::rewriting::rewritten;
use crate::wrapped::asks_wrapped;

/// The first place of a list, and the last one that a list has room for.
const BOUNDS: [&str; 2] = ["1", "2147483647"];

/// Gives slices the bounds that are left out, those in subqueries included. Whether
/// there were any.
pub fn bound_slices(sql: &mut impl Part) -> bool {
    let mut bounds = Bounds { is_changed: false };
    let _ = sql.rewrite(&mut bounds);
    bounds.is_changed
}

struct Bounds {
    is_changed: bool,
}

impl VisitorMut for Bounds {
    type Break = ();

    fn pre_visit_expr(&mut self, expression: &mut SqlExpr) -> ControlFlow<()> {
        let SqlExpr::CompoundFieldAccess { access_chain, .. } = expression else {
            return ControlFlow::Continue(());
        };
        for access in access_chain {
            if let AccessExpr::Subscript(Subscript::Slice {
                lower_bound,
                upper_bound,
                ..
            }) = access
            {
                for (bound, place) in [lower_bound, upper_bound].into_iter().zip(BOUNDS) {
                    self.is_changed |= bound.is_none();
                    bound.get_or_insert_with(|| {
                        SqlExpr::value(Value::Number(place.to_owned(), false))
                    });
                }
            }
        }
        ControlFlow::Continue(())
    }
}

/// Puts our functions in the place of DataFusion's, which its planner takes for the
/// operators. It comes before types are matched.
#[derive(Debug)]
pub(crate) struct ListPlaces {
    functions: [Arc<ScalarUDF>; 2],
}

impl ListPlaces {
    pub(crate) fn new() -> Self {
        let function = |inner: Arc<ScalarUDF>, least: &'static [i64]| {
            Arc::new(ScalarUDF::from(FromOne { inner, least }))
        };
        // At place 0 is nothing, and up to it neither.
        Self {
            functions: [
                function(array_element_udf(), &[0]),
                function(array_slice_udf(), &[1, 0]),
            ],
        }
    }

    fn counted_from_one(&self, expression: Expr) -> Transformed<Expr> {
        let Expr::ScalarFunction(mut call) = expression else {
            return Transformed::no(expression);
        };
        let mut functions = self.functions.iter();
        let function = functions.find(|function| function.name() == call.name());
        match function {
            Some(function) if *function != call.func => {
                call = ScalarFunction::new_udf(function.clone(), call.args);
                Transformed::yes(Expr::ScalarFunction(call))
            }
            _ => Transformed::no(Expr::ScalarFunction(call)),
        }
    }
}

impl AnalyzerRule for ListPlaces {
    fn name(&self) -> &str {
        "list_places"
    }

    fn analyze(&self, plan: LogicalPlan, _: &ConfigOptions) -> Result<LogicalPlan> {
        rewritten(plan, &|expression, _| Ok(self.counted_from_one(expression)))
    }
}

/// A function of a list and places in it.
#[derive(Debug, PartialEq, Eq, Hash)]
struct FromOne {
    /// DataFusion's function.
    inner: Arc<ScalarUDF>,
    /// What each place is at least.
    least: &'static [i64],
}

impl ScalarUDFImpl for FromOne {
    asks_wrapped!(inner);

    fn schema_name(&self, arguments: &[Expr]) -> Result<String> {
        self.inner.schema_name(arguments)
    }

    fn return_field_from_args(&self, arguments: ReturnFieldArgs) -> Result<FieldRef> {
        self.inner.return_field_from_args(arguments)
    }

    fn documentation(&self) -> Option<&Documentation> {
        self.inner.documentation()
    }

    fn invoke_with_args(&self, mut arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let places = arguments.args.iter_mut().skip(1);
        for (place, least) in places.zip(self.least) {
            *place = by_array(place, &|places| Ok(at_least(places, *least)))?;
        }
        self.inner.invoke_with_args(arguments)
    }
}

fn at_least(places: &ArrayRef, least: i64) -> ArrayRef {
    if *places.data_type() != DataType::Int64 {
        return places.clone();
    }
    let places = places.as_primitive::<Int64Type>();
    Arc::new(places.unary::<_, Int64Type>(|place| place.max(least)))
}

#[cfg(test)]
mod tests {
    use arrow::array::{Array, Int64Array, ListArray};
    use arrow::datatypes::Field;
    use datafusion::functions_nested::expr_fn::array_element;
    use datafusion::logical_expr::{col, lit};
    use datafusion::scalar::ScalarValue;
    use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
    use datafusion::sql::sqlparser::parser::Parser;

    use super::*;

    /// Of the list 1, 2, 3 in every row.
    fn found(inner: Arc<ScalarUDF>, places: Vec<ColumnarValue>, rows: usize) -> ArrayRef {
        let lists = vec![Some(vec![Some(1), Some(2), Some(3)]); rows];
        let lists = ListArray::from_iter_primitive::<Int64Type, _, _>(lists);
        let mut args = vec![ColumnarValue::Array(Arc::new(lists))];
        args.extend(places);
        let call = inner.call(vec![col("l"); args.len()]);
        let Expr::ScalarFunction(call) = ListPlaces::new().counted_from_one(call).data else {
            panic!("no function");
        };
        let field = |value: &ColumnarValue| Arc::new(Field::new("a", value.data_type(), true));
        let arg_fields: Vec<FieldRef> = args.iter().map(field).collect();
        let scalar_arguments = vec![None; args.len()];
        let return_field = call.func.return_field_from_args(ReturnFieldArgs {
            arg_fields: &arg_fields,
            scalar_arguments: &scalar_arguments,
        });
        let values = call.func.invoke_with_args(ScalarFunctionArgs {
            args,
            arg_fields,
            number_rows: rows,
            return_field: return_field.unwrap(),
            config_options: Arc::default(),
        });
        values.unwrap().into_array(rows).unwrap()
    }

    fn column(places: Vec<Option<i64>>) -> ColumnarValue {
        ColumnarValue::Array(Arc::new(Int64Array::from(places)))
    }

    #[test]
    fn slices_get_the_bounds_of_the_list() {
        for (sql, expected) in [
            ("l[:2]", Some("l[1:2]")),
            ("l[n:]", Some("l[n:2147483647]")),
            ("(ARRAY[1, 2])[:]", Some("(ARRAY[1, 2])[1:2147483647]")),
            ("l[m[:2][1]:3]", Some("l[m[1:2][1]:3]")),
            ("l[1:2][1]", None),
            ("l[n]", None),
        ] {
            let parser = Parser::new(&PostgreSqlDialect {}).try_with_sql(sql);
            let mut parsed = parser.unwrap().parse_expr().unwrap();
            assert_eq!(bound_slices(&mut parsed), expected.is_some(), "{sql}");
            assert_eq!(parsed.to_string(), expected.unwrap_or(sql));
        }
    }

    #[test]
    fn only_places_from_one_on_have_an_element() {
        let places = [Some(1), Some(3), Some(4), Some(0), Some(-1), None];
        let elements = found(array_element_udf(), vec![column(places.to_vec())], 6);
        let expected = Int64Array::from(vec![Some(1), Some(3), None, None, None, None]);
        assert_eq!(elements.as_primitive::<Int64Type>(), &expected);
    }

    #[test]
    fn slices_are_those_of_postgresql() {
        let slices = [
            (Some(2), Some(3), Some(vec![2, 3])),
            (Some(-1), Some(2), Some(vec![1, 2])),
            (Some(0), Some(9), Some(vec![1, 2, 3])),
            (Some(0), Some(-1), Some(vec![])),
            (Some(-3), Some(-1), Some(vec![])),
            (Some(1), Some(0), Some(vec![])),
            (Some(-2), Some(-2), Some(vec![])),
            (Some(3), Some(2), Some(vec![])),
            (Some(4), Some(5), Some(vec![])),
            (None, Some(2), None),
        ];
        let low = column(slices.iter().map(|(low, _, _)| *low).collect());
        let high = column(slices.iter().map(|(_, high, _)| *high).collect());
        // As the planner writes it, which has no slices without it.
        let step = ColumnarValue::Scalar(ScalarValue::Int64(Some(1)));
        let lists = found(array_slice_udf(), vec![low, high, step], slices.len());
        let lists = lists.as_list::<i32>();
        for (row, (low, high, expected)) in slices.into_iter().enumerate() {
            let values = lists.is_valid(row).then(|| lists.value(row));
            let values = values.map(|values| values.as_primitive::<Int64Type>().values().to_vec());
            assert_eq!(values, expected, "{low:?}:{high:?}");
        }
    }

    #[test]
    fn a_place_is_written_once_however_often_the_rule_runs() {
        let rule = ListPlaces::new();
        let once = rule.counted_from_one(array_element(col("l"), col("n")));
        assert!(once.transformed);
        assert_eq!(once.data.schema_name().to_string(), "l[n]");
        let twice = rule.counted_from_one(once.data.clone());
        assert!(!twice.transformed);
        assert_eq!(twice.data, once.data);
        let other = rule.counted_from_one(lit(1));
        assert!(!other.transformed);
    }
}
