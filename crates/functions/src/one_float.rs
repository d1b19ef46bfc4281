//! Floats inside expressions are compared as SQL has it: one zero, one NaN, which
//! equals itself and is the greatest number.
//!
//! Columns hold no others (`canonical.rs`), but arithmetic gives them: on most
//! processors 0.0/0.0 is the negative NaN, and 0.0 * -1 is -0.0, which arrow
//! compares by their bits. So what a float is computed by is brought into the one
//! form where it is compared, or leaves an operator. Expressions without floats
//! stay as they are, and so do columns and what is cast from other numbers.

use std::sync::Arc;

use arrow::datatypes::{DataType, FieldRef};
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::common::{DFSchema, Result, internal_err};
use datafusion::logical_expr::expr::{BinaryExpr, Case, Cast, ScalarFunction, TryCast};
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::utils::merge_schema;
use datafusion::logical_expr::{
    ColumnarValue, Expr, ExprSchemable, LogicalPlan, Operator, ReturnFieldArgs, ScalarFunctionArgs,
    ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};
use datafusion::optimizer::AnalyzerRule;
use datafusion::scalar::ScalarValue;

use crate::by_array::by_array;
use crate::canonical::{canonical, holds_floats};
use crate::nearest_float::is_nearest_float;

/// Functions that compare their arguments; all over lists are taken to.
const COMPARING: [&str; 3] = ["nullif", "greatest", "least"];

/// See the module.
#[derive(Debug)]
pub(crate) struct OneFloat {
    canonical: Arc<ScalarUDF>,
}

impl OneFloat {
    pub(crate) fn new() -> Self {
        let signature = Signature::any(1, Volatility::Immutable);
        Self {
            canonical: Arc::new(ScalarUDF::from(Canonical { signature })),
        }
    }

    /// Everything below `expr` that is compared there, and `expr` itself.
    fn rewrite(&self, expr: Expr, schema: &DFSchema) -> Result<Transformed<Expr>> {
        expr.transform_up(|part| {
            if compares(&part, schema) {
                part.map_children(|operand| self.wrap(operand, schema))
            } else {
                Ok(Transformed::no(part))
            }
        })?
        .transform_data(|expr| match expr {
            Expr::Alias(_) => expr.map_children(|inside| self.wrap(inside, schema)),
            other => self.wrap(other, schema),
        })
    }

    fn wrap(&self, expr: Expr, schema: &DFSchema) -> Result<Transformed<Expr>> {
        if !self.may_be_other(&expr, schema) {
            return Ok(Transformed::no(expr));
        }
        let function = ScalarFunction::new_udf(self.canonical.clone(), vec![expr]);
        Ok(Transformed::yes(Expr::ScalarFunction(function)))
    }

    /// Whether an expression may give a zero or a NaN of another form.
    fn may_be_other(&self, expr: &Expr, schema: &DFSchema) -> bool {
        let type_of = |expr: &Expr| expr.get_type(schema).unwrap_or(DataType::Null);
        match expr {
            Expr::Literal(value, _) => is_other(value),
            Expr::BinaryExpr(_) | Expr::Negative(_) | Expr::Case(_) => holds_floats(&type_of(expr)),
            Expr::Cast(Cast { expr: inside, .. }) | Expr::TryCast(TryCast { expr: inside, .. }) => {
                let from = type_of(inside);
                let gives_other = match holds_floats(&from) {
                    true => self.may_be_other(inside, schema),
                    false => !from.is_numeric(),
                };
                gives_other && holds_floats(&type_of(expr))
            }
            Expr::ScalarFunction(call) if call.func == self.canonical => false,
            // Decimals have one zero, and no NaN.
            Expr::ScalarFunction(call) if is_nearest_float(call.name()) => false,
            Expr::ScalarFunction(_) => holds_floats(&type_of(expr)),
            _ => false,
        }
    }
}

impl AnalyzerRule for OneFloat {
    fn name(&self) -> &str {
        "one_float"
    }

    fn analyze(&self, plan: LogicalPlan, _config: &ConfigOptions) -> Result<LogicalPlan> {
        let rewritten = plan.transform_up_with_subqueries(|node| {
            let has_values = matches!(
                node,
                LogicalPlan::Projection(_)
                    | LogicalPlan::Filter(_)
                    | LogicalPlan::Aggregate(_)
                    | LogicalPlan::Window(_)
                    | LogicalPlan::Sort(_)
                    | LogicalPlan::Join(_)
                    | LogicalPlan::Values(_)
            );
            if !has_values {
                return Ok(Transformed::no(node));
            }
            let schema = merge_schema(&node.inputs());
            let names = NamePreserver::new(&node);
            let rewritten = node.map_expressions(|expr| {
                // The names of its columns come from inside.
                if matches!(expr, Expr::GroupingSet(_)) {
                    return Ok(Transformed::no(expr));
                }
                let name = names.save(&expr);
                let rewritten = self.rewrite(expr, &schema)?;
                Ok(match rewritten.transformed {
                    true => rewritten.update_data(|expr| name.restore(expr)),
                    false => rewritten,
                })
            })?;
            match rewritten.transformed {
                true => rewritten.map_data(LogicalPlan::recompute_schema),
                false => Ok(rewritten),
            }
        });
        rewritten.data()
    }
}

/// Whether an operator compares two values.
pub fn is_comparison(operator: Operator) -> bool {
    matches!(
        operator,
        Operator::Eq
            | Operator::NotEq
            | Operator::Lt
            | Operator::LtEq
            | Operator::Gt
            | Operator::GtEq
            | Operator::IsDistinctFrom
            | Operator::IsNotDistinctFrom
    )
}

/// Whether the result depends on how its operands compare, or are written.
fn compares(expr: &Expr, schema: &DFSchema) -> bool {
    match expr {
        Expr::BinaryExpr(BinaryExpr { op, .. }) => is_comparison(*op),
        Expr::Between(_)
        | Expr::InList(_)
        | Expr::AggregateFunction(_)
        | Expr::WindowFunction(_) => true,
        Expr::Case(Case { expr: base, .. }) => base.is_some(),
        Expr::Cast(_) | Expr::TryCast(_) => {
            let given = expr.get_type(schema);
            given.is_ok_and(|given| given.is_string())
        }
        Expr::ScalarFunction(call) => {
            let name = call.name();
            COMPARING.contains(&name) || name.starts_with("array_")
        }
        _ => false,
    }
}

fn is_other(value: &ScalarValue) -> bool {
    match value {
        ScalarValue::Float64(Some(float)) => float.is_nan() || float.to_bits() == 1 << 63,
        ScalarValue::Float32(Some(float)) => float.is_nan() || float.to_bits() == 1 << 31,
        ScalarValue::Float64(None) | ScalarValue::Float32(None) => false,
        value => holds_floats(&value.data_type()),
    }
}

/// `canonical(value)`: the value in the one form.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Canonical {
    signature: Signature,
}

impl ScalarUDFImpl for Canonical {
    fn name(&self) -> &str {
        "canonical"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, arguments: &[DataType]) -> Result<DataType> {
        match arguments {
            [of_value] => Ok(of_value.clone()),
            _ => internal_err!("`canonical` has one argument"),
        }
    }

    fn return_field_from_args(&self, arguments: ReturnFieldArgs) -> Result<FieldRef> {
        match arguments.arg_fields {
            [of_value] => Ok(of_value.clone()),
            _ => internal_err!("`canonical` has one argument"),
        }
    }

    fn is_strict(&self) -> bool {
        true
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        match arguments.args.first() {
            Some(values) => by_array(values, &|values| Ok(canonical(values)?)),
            None => internal_err!("`canonical` has no argument"),
        }
    }
}

#[cfg(test)]
mod tests {
    use datafusion::common::ToDFSchema;
    use datafusion::logical_expr::{cast, col, lit, when};

    use super::*;

    fn rewritten(expr: Expr) -> String {
        let field = |name: &str, data_type| arrow::datatypes::Field::new(name, data_type, true);
        let fields = vec![field("f", DataType::Float64), field("n", DataType::Int64)];
        let schema = arrow::datatypes::Schema::new(fields).to_dfschema().unwrap();
        let rewritten = OneFloat::new().rewrite(expr, &schema).unwrap();
        rewritten.data.to_string()
    }

    #[test]
    fn what_is_computed_is_brought_into_one_form_where_it_is_compared() {
        let ratio = || col("f") / col("f");
        assert_eq!(
            rewritten(ratio().gt(lit(1.0))),
            "canonical(f / f) > Float64(1)"
        );
        assert_eq!(
            rewritten(col("f").eq(lit(-0.0))),
            "f = canonical(Float64(-0))"
        );
        assert_eq!(
            rewritten(ratio().in_list(vec![lit(1.0), col("f") * lit(2.0)], false)),
            "canonical(f / f) IN ([Float64(1), canonical(f * Float64(2))])"
        );
        assert_eq!(
            rewritten(cast(ratio(), DataType::Utf8)),
            "CAST(canonical(f / f) AS Utf8)"
        );
        assert_eq!(
            rewritten(datafusion::functions::expr_fn::nullif(ratio(), lit(1.0))),
            "canonical(nullif(canonical(f / f), Float64(1)))"
        );
        let chosen = when(ratio().lt(lit(1.0)), lit(1))
            .otherwise(lit(2))
            .unwrap();
        assert!(rewritten(chosen).contains("WHEN canonical(f / f) < "));
        assert_eq!(rewritten(ratio().alias("x")), "canonical(f / f) AS x");
    }

    #[test]
    fn the_rest_stays() {
        for expr in [
            col("f"),
            col("f").gt(lit(1.5)),
            (col("n") + lit(1)).gt(col("n")),
            cast(col("n"), DataType::Float64).gt(col("f")),
            (col("n") + lit(1)).in_list(vec![lit(1), lit(2)], true),
        ] {
            assert_eq!(rewritten(expr.clone()), expr.to_string());
        }
    }
}
