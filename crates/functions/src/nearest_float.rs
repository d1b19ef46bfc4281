//! Casts of decimals to floats that give the nearest float, as PostgreSQL's do.
//!
//! Arrow divides a decimal's digits by a power of ten, both as floats, which is exact
//! while these are: with more than 15 digits it may give the float beside. Those are
//! read from their text.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray};
use arrow::datatypes::{
    ArrowNativeType, DataType, Decimal32Type, Decimal64Type, Decimal128Type, Decimal256Type,
    DecimalType, Field, FieldRef, Float32Type, Float64Type,
};
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::Transformed;
use datafusion::common::{DFSchema, Result, internal_err};
use datafusion::logical_expr::expr::{Cast, ScalarFunction, TryCast};
use datafusion::logical_expr::{
    ColumnarValue, Expr, ExprSchemable, LogicalPlan, ReturnFieldArgs, ScalarFunctionArgs,
    ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};
use datafusion::optimizer::AnalyzerRule;
use datafusion::scalar::ScalarValue;

use crate::by_array::by_array;
use crate::rewriting::rewritten;

/// The names of the functions that the casts become.
pub(crate) const NEAREST_DOUBLE: &str = "nearest_double";
pub(crate) const NEAREST_REAL: &str = "nearest_real";

/// Whether a function is one of those.
pub(crate) fn is_nearest_float(name: &str) -> bool {
    [NEAREST_DOUBLE, NEAREST_REAL].contains(&name)
}

/// Integers up to this are floats.
const DOUBLE_INTEGER_MAX: u64 = 1 << 53;
/// Powers of ten up to this exponent are floats.
const DOUBLE_EXPONENT_MAX: i8 = 22;

/// Writes the casts as functions where arrow's are not exact. It comes when types are
/// matched.
#[derive(Debug)]
pub(crate) struct NearestFloats {
    double: Arc<ScalarUDF>,
    real: Arc<ScalarUDF>,
}

impl NearestFloats {
    pub(crate) fn new() -> Self {
        let function = |name: &'static str, float: DataType| {
            Arc::new(ScalarUDF::from(NearestFloat {
                name,
                float,
                signature: Signature::any(1, Volatility::Immutable),
            }))
        };
        Self {
            double: function(NEAREST_DOUBLE, DataType::Float64),
            real: function(NEAREST_REAL, DataType::Float32),
        }
    }

    fn rewrite(&self, expression: Expr, schema: &DFSchema) -> Transformed<Expr> {
        let (decimal, float) = match &expression {
            Expr::Cast(Cast { expr, field }) | Expr::TryCast(TryCast { expr, field }) => {
                (&**expr, field.data_type())
            }
            _ => return Transformed::no(expression),
        };
        let from = decimal.get_type(schema);
        if !from.is_ok_and(|from| !is_exact_by_division(&from, float)) {
            return Transformed::no(expression);
        }
        if let Expr::Literal(literal, _) = decimal
            && let Some(nearest) = nearest_literal(literal, float)
        {
            return Transformed::yes(Expr::Literal(nearest, None));
        }
        let function = match float {
            DataType::Float32 => self.real.clone(),
            _ => self.double.clone(),
        };
        let nearest = ScalarFunction::new_udf(function, vec![decimal.clone()]);
        Transformed::yes(Expr::ScalarFunction(nearest))
    }
}

impl AnalyzerRule for NearestFloats {
    fn name(&self) -> &str {
        "nearest_floats"
    }

    fn analyze(&self, plan: LogicalPlan, _config: &ConfigOptions) -> Result<LogicalPlan> {
        rewritten(plan, &|expression: Expr, schema: &DFSchema| {
            Ok(self.rewrite(expression, schema))
        })
    }
}

/// Whether arrow's cast gives the nearest float to all values of a type; other types
/// than decimals are not looked at.
fn is_exact_by_division(from: &DataType, float: &DataType) -> bool {
    let (precision, scale) = match from {
        DataType::Decimal32(precision, scale)
        | DataType::Decimal64(precision, scale)
        | DataType::Decimal128(precision, scale)
        | DataType::Decimal256(precision, scale) => (*precision, *scale),
        _ => return true,
    };
    match float {
        DataType::Float64 => precision <= 15 && (0..=DOUBLE_EXPONENT_MAX).contains(&scale),
        // The integers up to 2^24 and the powers up to 10^10 are REALs, and a quotient
        // of two that is rounded to a DOUBLE first is the same.
        DataType::Float32 => precision <= 7 && (0..=10).contains(&scale),
        _ => true,
    }
}

/// The literal of a float that is nearest to that of a decimal; `None` for other
/// literals, and for other types.
pub(crate) fn nearest_literal(decimal: &ScalarValue, float: &DataType) -> Option<ScalarValue> {
    let is_float = matches!(float, DataType::Float64 | DataType::Float32);
    if !is_float || !decimal.data_type().is_decimal() {
        return None;
    }
    let floats = nearest(&decimal.to_array().ok()?, float).ok()?;
    ScalarValue::try_from_array(&floats, 0).ok()
}

/// The floats that are nearest to decimals.
///
/// # Errors
/// When they are no decimals.
pub(crate) fn nearest(decimals: &ArrayRef, float: &DataType) -> Result<ArrayRef> {
    Ok(match decimals.data_type() {
        DataType::Decimal32(_, scale) => nearest_of::<Decimal32Type>(decimals, *scale, float),
        DataType::Decimal64(_, scale) => nearest_of::<Decimal64Type>(decimals, *scale, float),
        DataType::Decimal128(_, scale) => nearest_of::<Decimal128Type>(decimals, *scale, float),
        DataType::Decimal256(_, scale) => nearest_of::<Decimal256Type>(decimals, *scale, float),
        other => return internal_err!("`{NEAREST_DOUBLE}` of {other}"),
    })
}

fn nearest_of<D: DecimalType>(decimals: &ArrayRef, scale: i8, float: &DataType) -> ArrayRef {
    let decimals = decimals.as_primitive::<D>();
    // Sums may have more digits than their type says, which arrow's own text lacks.
    let text = |decimal: D::Native| format!("{decimal:?}e{}", -i32::from(scale));
    if *float == DataType::Float32 {
        let nearest = |decimal| text(decimal).parse().unwrap_or(f32::NAN);
        return Arc::new(decimals.unary::<_, Float32Type>(nearest));
    }
    let is_exact_power = (0..=DOUBLE_EXPONENT_MAX).contains(&scale);
    let power = 10_f64.powi(i32::from(scale));
    let nearest = |decimal: D::Native| match decimal.to_i64() {
        Some(digits) if is_exact_power && digits.unsigned_abs() <= DOUBLE_INTEGER_MAX => {
            digits as f64 / power
        }
        _ => text(decimal).parse().unwrap_or(f64::NAN),
    };
    Arc::new(decimals.unary::<_, Float64Type>(nearest))
}

/// `nearest_double(decimal)` and `nearest_real(decimal)`.
#[derive(Debug, PartialEq, Eq, Hash)]
struct NearestFloat {
    name: &'static str,
    float: DataType,
    signature: Signature,
}

impl ScalarUDFImpl for NearestFloat {
    fn name(&self) -> &str {
        self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arguments: &[DataType]) -> Result<DataType> {
        Ok(self.float.clone())
    }

    fn return_field_from_args(&self, arguments: ReturnFieldArgs) -> Result<FieldRef> {
        let is_nullable = arguments.arg_fields.iter().any(|field| field.is_nullable());
        Ok(Arc::new(Field::new(
            self.name,
            self.float.clone(),
            is_nullable,
        )))
    }

    fn is_strict(&self) -> bool {
        true
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        match arguments.args.first() {
            Some(decimals) => by_array(decimals, &|decimals| nearest(decimals, &self.float)),
            None => internal_err!("`{}` has no argument", self.name),
        }
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::{Array, Decimal128Array};

    use super::*;

    #[test]
    fn a_decimal_becomes_the_nearest_float() {
        let digits = [
            "30000000000000004",
            "12345678901234567",
            "-99999999999999999",
            "900719925474099",
            "3",
            "0",
        ];
        for (precision, scale) in [(17, 17), (18, 2), (38, 30), (20, -3)] {
            let values = digits.map(|digits| Some(digits.parse::<i128>().unwrap()));
            let decimals: Decimal128Array = values.into_iter().chain([None]).collect();
            let decimals = decimals.with_precision_and_scale(precision, scale).unwrap();
            let decimals: ArrayRef = Arc::new(decimals);
            let exponent = -i32::from(scale);
            let doubles = nearest(&decimals, &DataType::Float64).unwrap();
            let doubles = doubles.as_primitive::<Float64Type>();
            let reals = nearest(&decimals, &DataType::Float32).unwrap();
            let reals = reals.as_primitive::<Float32Type>();
            for (row, digits) in digits.iter().enumerate() {
                let text = format!("{digits}e{exponent}");
                assert_eq!(doubles.value(row), text.parse::<f64>().unwrap(), "{text}");
                assert_eq!(reals.value(row), text.parse::<f32>().unwrap(), "{text}");
            }
            assert!(doubles.is_null(digits.len()) && reals.is_null(digits.len()));
        }
    }

    #[test]
    fn literals_and_short_decimals_are_exact() {
        let decimal = ScalarValue::Decimal128(Some(3), 1, 1);
        assert_eq!(
            nearest_literal(&decimal, &DataType::Float64),
            Some(ScalarValue::Float64(Some(0.3)))
        );
        assert_eq!(
            nearest_literal(&ScalarValue::Decimal128(None, 1, 1), &DataType::Float32),
            Some(ScalarValue::Float32(None))
        );
        assert_eq!(
            nearest_literal(&ScalarValue::Int64(Some(3)), &DataType::Float64),
            None
        );
        let double = DataType::Float64;
        assert!(is_exact_by_division(&DataType::Decimal128(15, 2), &double));
        assert!(!is_exact_by_division(&DataType::Decimal128(16, 2), &double));
        assert!(!is_exact_by_division(&DataType::Decimal128(3, -2), &double));
        assert!(is_exact_by_division(&DataType::Int64, &double));
    }
}
