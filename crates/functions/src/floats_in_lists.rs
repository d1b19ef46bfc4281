//! Decimals beside lists of floats, or of other decimals, where the values of lists are
//! compared: `array_has(list, 0.5)`, `0.5 = ANY (list)`, `list @> ARRAY[0.5]`.
//!
//! Beside floats they become floats (`floats_beside_decimals.rs`), but DataFusion asks
//! for the type of an answer before, and finds none that list and decimal have in
//! common.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::{DFSchema, Result};
use datafusion::logical_expr::binary::type_union_resolution;
use datafusion::logical_expr::planner::{ExprPlanner, PlannerResult, RawBinaryExpr};
use datafusion::logical_expr::simplify::{ExprSimplifyResult, SimplifyContext};
use datafusion::logical_expr::type_coercion::functions::fields_with_udf;
use datafusion::logical_expr::{
    ColumnarValue, Documentation, Expr, ExprSchemable, ReturnFieldArgs, ScalarFunctionArgs,
    ScalarUDF, ScalarUDFImpl, Signature,
};
use datafusion::sql::sqlparser::ast::BinaryOperator;

use crate::floats_beside_decimals::FloatsBesideDecimals;
use crate::values_that_meet::{Meeting, Together};

const COMPARING: [&str; 5] = [
    "array_has",
    "array_has_all",
    "array_has_any",
    "array_position",
    "array_positions",
];

/// The functions that take decimals beside lists of floats, out of those that `known`
/// finds by name.
pub(crate) fn floats_in_lists(known: impl Fn(&str) -> Option<Arc<ScalarUDF>>) -> Vec<ScalarUDF> {
    let functions = COMPARING.into_iter().filter_map(|name| {
        let inner = known(name)?;
        let signature = Signature::user_defined(inner.signature().volatility);
        Some(ScalarUDF::from(FloatsInLists { inner, signature }))
    });
    functions.collect()
}

/// The types that values have where they meet.
fn with_one_type(types: &[DataType]) -> Vec<DataType> {
    let wanted = FloatsBesideDecimals.wanted(types, Together::Unified);
    let types = types.iter().zip(wanted);
    let types = types.map(|(found, wanted)| wanted.unwrap_or_else(|| found.clone()));
    let mut types: Vec<DataType> = types.collect();
    if let [DataType::List(field), value, ..] = &mut types[..]
        && let Some(number) = number_of_both(field.data_type(), value)
    {
        *field = Arc::new(field.as_ref().clone().with_data_type(number.clone()));
        *value = number;
    }
    types
}

/// The type of numbers of which one is a decimal; `None` where they have one already.
fn number_of_both(first: &DataType, second: &DataType) -> Option<DataType> {
    let are_numbers = first.is_numeric() && second.is_numeric();
    let is_decimal = first.is_decimal() || second.is_decimal();
    if first == second || !are_numbers || !is_decimal {
        return None;
    }
    type_union_resolution(&[first.clone(), second.clone()])
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct FloatsInLists {
    /// DataFusion's function.
    inner: Arc<ScalarUDF>,
    signature: Signature,
}

impl ScalarUDFImpl for FloatsInLists {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn aliases(&self) -> &[String] {
        self.inner.aliases()
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        self.inner.return_type(types)
    }

    fn return_field_from_args(&self, arguments: ReturnFieldArgs) -> Result<FieldRef> {
        self.inner.return_field_from_args(arguments)
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        let types = with_one_type(types).into_iter();
        let fields = types.map(|found| Arc::new(Field::new("value", found, true)));
        let fields: Vec<FieldRef> = fields.collect();
        let fields = fields_with_udf(&fields, self.inner.as_ref())?;
        let types = fields.iter().map(|field| field.data_type().clone());
        Ok(types.collect())
    }

    fn is_strict(&self) -> bool {
        self.inner.is_strict()
    }

    fn documentation(&self) -> Option<&Documentation> {
        self.inner.documentation()
    }

    fn simplify(
        &self,
        arguments: Vec<Expr>,
        context: &SimplifyContext,
    ) -> Result<ExprSimplifyResult> {
        self.inner.simplify(arguments, context)
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        self.inner.invoke_with_args(arguments)
    }
}

/// Gives one type to the sides of `list @> list`, `list <@ list` and `x = ANY (list)`,
/// which DataFusion plans with functions of its own. It comes before DataFusion's
/// planners.
#[derive(Debug)]
pub struct FloatsInOperators;

impl ExprPlanner for FloatsInOperators {
    fn plan_binary_op(
        &self,
        mut operation: RawBinaryExpr,
        schema: &DFSchema,
    ) -> Result<PlannerResult<RawBinaryExpr>> {
        let sides = [&mut operation.left, &mut operation.right];
        match operation.op {
            BinaryOperator::AtArrow | BinaryOperator::ArrowAt => get_one_type(sides, schema),
            // `= ANY` stands beside the question whether the list has NULL.
            _ => {
                for side in sides {
                    if let Some(compared) = compared_by_any(side) {
                        get_one_type(compared, schema);
                    }
                }
            }
        }
        Ok(PlannerResult::Original(operation))
    }
}

/// The list and the value of `value = ANY (list)`.
fn compared_by_any(side: &mut Expr) -> Option<[&mut Expr; 2]> {
    let Expr::ScalarFunction(call) = side else {
        return None;
    };
    if call.name() != "array_has" {
        return None;
    }
    match &mut call.args[..] {
        [list, value] => Some([list, value]),
        _ => None,
    }
}

fn get_one_type(compared: [&mut Expr; 2], schema: &DFSchema) {
    let [left, right] = compared;
    // What has no type is an error where it is planned.
    let (Ok(left_type), Ok(right_type)) = (left.get_type(schema), right.get_type(schema)) else {
        return;
    };
    let types = [left_type, right_type];
    let wanted = with_one_type(&types);
    for ((side, found), wanted) in [left, right].into_iter().zip(&types).zip(&wanted) {
        if found != wanted {
            *side = FloatsBesideDecimals.as_type(std::mem::take(side), wanted);
        }
    }
}

#[cfg(test)]
mod tests {
    use datafusion::functions_nested::array_has::array_has_udf;

    use super::*;

    #[test]
    fn decimals_are_compared_with_the_floats_of_a_list() {
        let functions = floats_in_lists(|name| (name == "array_has").then(array_has_udf));
        assert_eq!(functions.len(), 1);
        let function = functions.first().unwrap();
        let list = |of: DataType| DataType::new_list(of, true);
        let decimal = || DataType::Decimal128(1, 1);
        for (given, wanted) in [
            ([list(DataType::Float64), decimal()], DataType::Float64),
            ([list(decimal()), DataType::Float64], DataType::Float64),
            ([list(DataType::Float32), decimal()], DataType::Float32),
            (
                [list(DataType::Float64), DataType::Int64],
                DataType::Float64,
            ),
            ([list(DataType::Int64), DataType::Int64], DataType::Int64),
            ([list(decimal()), decimal()], decimal()),
            (
                [list(DataType::Decimal128(10, 2)), decimal()],
                DataType::Decimal128(10, 2),
            ),
        ] {
            let found = function.coerce_types(&given).unwrap();
            assert_eq!(found, [list(wanted.clone()), wanted], "{given:?}");
        }
        assert!(function.coerce_types(&[DataType::Float64]).is_err());
    }
}
