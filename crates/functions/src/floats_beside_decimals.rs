//! Decimals that meet floats are floats: DataFusion would make decimals of both where
//! they are compared, with 15 digits behind the point, by which `f = 0.3` holds for
//! 0.30000000000000004, 1e-20 is 0.0, and 1e15 and NaN are errors.
//!
//! A decimal that is compared with a float, or computed with it, is a DOUBLE, as to
//! PostgreSQL; one that is an answer beside REALs alone is a REAL. Integers beside REALs
//! are DOUBLEs there too: as a REAL, 16777217 would be 16777216.

use std::sync::Arc;

use arrow::datatypes::{DataType, FieldRef};
use datafusion::common::config::ConfigOptions;
use datafusion::common::{DFSchema, Result};
use datafusion::logical_expr::{Expr, LogicalPlan, cast};
use datafusion::optimizer::AnalyzerRule;

use crate::nearest_float::nearest_literal;
use crate::rewriting::rewritten_with_parts;
use crate::values_that_meet::{Meeting, Together, part_with_wanted_types, with_wanted_types};

/// See the module. It comes before types are matched.
#[derive(Debug)]
pub(crate) struct FloatsBesideDecimals;

impl AnalyzerRule for FloatsBesideDecimals {
    fn name(&self) -> &str {
        "floats_beside_decimals"
    }

    fn analyze(&self, plan: LogicalPlan, _config: &ConfigOptions) -> Result<LogicalPlan> {
        rewritten_with_parts(
            plan,
            &|expression: Expr, schema: &DFSchema| with_wanted_types(self, expression, schema),
            &|part: LogicalPlan| part_with_wanted_types(self, part),
        )
    }
}

impl Meeting for FloatsBesideDecimals {
    fn wanted(&self, types: &[DataType], together: Together) -> Vec<Option<DataType>> {
        let has = |float: DataType| types.iter().any(|found| *innermost(found) == float);
        let (has_double, has_real) = (has(DataType::Float64), has(DataType::Float32));
        let float = match together {
            _ if has_double => DataType::Float64,
            _ if !has_real => return vec![None; types.len()],
            Together::Compared => DataType::Float64,
            Together::Unified => DataType::Float32,
        };
        let with_integers = has_real && together == Together::Compared;
        let types = types.iter();
        types
            .map(|found| with_floats(found, &float, with_integers))
            .collect()
    }

    fn as_type(&self, value: Expr, wanted: &DataType) -> Expr {
        let literal = match &value {
            Expr::Literal(decimal, _) => nearest_literal(decimal, wanted),
            _ => None,
        };
        match literal {
            Some(float) => Expr::Literal(float, None),
            None => cast(value, wanted.clone()),
        }
    }

    fn is_made(&self, found: &DataType) -> bool {
        found.is_decimal()
    }
}

/// The type of the values in lists, and in those that are in lists.
pub(crate) fn innermost(data_type: &DataType) -> &DataType {
    match data_type {
        DataType::List(field) | DataType::LargeList(field) | DataType::FixedSizeList(field, _) => {
            innermost(field.data_type())
        }
        other => other,
    }
}

/// The type with floats for decimals, and for integers if these are meant too; `None`
/// where it has neither.
fn with_floats(data_type: &DataType, float: &DataType, with_integers: bool) -> Option<DataType> {
    let of_values = |field: &FieldRef| -> Option<FieldRef> {
        let of_values = with_floats(field.data_type(), float, with_integers)?;
        Some(Arc::new(field.as_ref().clone().with_data_type(of_values)))
    };
    Some(match data_type {
        decimal if decimal.is_decimal() => float.clone(),
        integer if with_integers && integer.is_integer() => float.clone(),
        DataType::List(field) => DataType::List(of_values(field)?),
        DataType::LargeList(field) => DataType::LargeList(of_values(field)?),
        DataType::FixedSizeList(field, length) => {
            DataType::FixedSizeList(of_values(field)?, *length)
        }
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use arrow::datatypes::{Field, Schema};
    use datafusion::common::ToDFSchema;
    use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
    use datafusion::functions::expr_fn::{coalesce, nullif};
    use datafusion::logical_expr::{col, lit, when};
    use datafusion::scalar::ScalarValue;

    use super::*;
    use crate::null_if_equal::is_null_if_equal;

    fn rewritten(expr: Expr) -> Expr {
        let field = |name: &str, data_type| Field::new(name, data_type, true);
        let fields = vec![
            field("f", DataType::Float64),
            field("r", DataType::Float32),
            field("d", DataType::Decimal128(18, 2)),
            field("n", DataType::Int64),
        ];
        let schema = Schema::new(fields).to_dfschema().unwrap();
        let rewrite = |part| with_wanted_types(&FloatsBesideDecimals, part, &schema);
        expr.transform_up(rewrite).unwrap().data
    }

    fn decimal(digits: i128, scale: i8) -> Expr {
        lit(ScalarValue::Decimal128(Some(digits), 18, scale))
    }

    #[test]
    fn decimals_are_doubles_where_they_meet_floats() {
        for (expr, wanted) in [
            (col("f").eq(decimal(3, 1)), "f = Float64(0.3)"),
            (decimal(3, 1).lt(col("r")), "Float64(0.3) < r"),
            (col("f") + col("d"), "f + CAST(d AS Float64)"),
            (col("n").eq(col("r")), "CAST(n AS Float64) = r"),
            (col("r") * col("n"), "r * CAST(n AS Float64)"),
            (
                col("r").in_list(vec![col("n"), decimal(5, 1)], true),
                "r NOT IN ([CAST(n AS Float64), Float64(0.5)])",
            ),
            (
                col("d").between(lit(0), col("f")),
                "CAST(d AS Float64) BETWEEN Int32(0) AND f",
            ),
            (
                col("f").in_list(vec![decimal(5, 1), lit(1.5)], false),
                "f IN ([Float64(0.5), Float64(1.5)])",
            ),
            (
                coalesce(vec![col("f"), decimal(0, 1)]),
                "coalesce(f, Float64(0))",
            ),
            (
                coalesce(vec![col("r"), decimal(0, 1)]),
                "coalesce(r, Float32(0))",
            ),
            (nullif(col("f"), decimal(5, 1)), "nullif(f, Float64(0.5))"),
            (nullif(col("r"), col("d")), "nullif(r, CAST(d AS Float64))"),
        ] {
            assert_eq!(rewritten(expr.clone()).to_string(), wanted, "{expr}");
        }
        let chosen = when(col("n").gt(lit(1)), col("f")).otherwise(decimal(0, 1));
        let chosen = rewritten(chosen.unwrap()).to_string();
        assert!(chosen.contains("ELSE Float64(0) END"));
    }

    #[test]
    fn a_value_is_written_once_however_deep_the_calls_are() {
        let mut expr = col("d");
        for _ in 0..20 {
            expr = nullif(expr, col("f"));
        }
        let mut calls = 0;
        let ours = rewritten(expr).apply(|part| {
            if let Expr::ScalarFunction(call) = part {
                assert!(is_null_if_equal(&call.func));
                calls += 1;
            }
            Ok(TreeNodeRecursion::Continue)
        });
        assert!(ours.is_ok());
        assert_eq!(calls, 20);
    }

    #[test]
    fn the_rest_stays() {
        for expr in [
            col("d").eq(decimal(3, 1)),
            col("d").lt(col("n")),
            col("f").lt(col("n")),
            coalesce(vec![col("f"), col("n")]),
            coalesce(vec![col("r"), col("n")]),
            nullif(col("d"), col("n")),
        ] {
            assert_eq!(rewritten(expr.clone()), expr);
        }
    }
}
