//! `+`, `-` and `*` of integers, and their negatives, as functions that fail.

use std::sync::{Arc, LazyLock};

use arrow::array::{ArrayRef, Datum};
use arrow::compute::kernels::numeric::{add, mul, neg, sub};
use arrow::datatypes::DataType;
use arrow::error::ArrowError;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::Transformed;
use datafusion::common::utils::take_function_args;
use datafusion::common::{DFSchema, ScalarValue};
use datafusion::error::Result;
use datafusion::logical_expr::expr::{BinaryExpr, ScalarFunction};
use datafusion::logical_expr::{
    ColumnarValue, Expr, ExprSchemable, LogicalPlan, Operator, ScalarFunctionArgs, ScalarUDF,
    ScalarUDFImpl, Signature, Volatility,
};
use datafusion::optimizer::AnalyzerRule;
use sluice_functions::rewritten;

/// The rewriting as a rule of a session; it comes when types are matched.
#[derive(Debug)]
pub(crate) struct CheckedIntegers;

impl AnalyzerRule for CheckedIntegers {
    fn analyze(&self, plan: LogicalPlan, _: &ConfigOptions) -> Result<LogicalPlan> {
        rewritten(plan, &checked)
    }

    fn name(&self) -> &str {
        "checked_integers"
    }
}

/// One of the operators.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Kind {
    Add,
    Subtract,
    Multiply,
}

static FUNCTIONS: LazyLock<[Arc<ScalarUDF>; 3]> = LazyLock::new(|| {
    [Kind::Add, Kind::Subtract, Kind::Multiply].map(|kind| {
        let signature = Signature::any(2, Volatility::Immutable);
        Arc::new(ScalarUDF::from(Checked { kind, signature }))
    })
});

static NEGATIVE: LazyLock<Arc<ScalarUDF>> = LazyLock::new(|| {
    let signature = Signature::any(1, Volatility::Immutable);
    Arc::new(ScalarUDF::from(CheckedNegative { signature }))
});

fn checked(expression: Expr, schema: &DFSchema) -> Result<Transformed<Expr>> {
    let (left, op, right) = match expression {
        Expr::BinaryExpr(BinaryExpr { left, op, right }) => (left, op, right),
        Expr::Negative(value) if matches!(value.get_type(schema), Ok(found) if found.is_integer()) =>
        {
            let call = ScalarFunction::new_udf(NEGATIVE.clone(), vec![*value]);
            return Ok(Transformed::yes(Expr::ScalarFunction(call)));
        }
        other => return Ok(Transformed::no(other)),
    };
    let [add, subtract, multiply] = &*FUNCTIONS;
    let function = match op {
        Operator::Plus => Some(add),
        Operator::Minus => Some(subtract),
        Operator::Multiply => Some(multiply),
        _ => None,
    };
    let data_type = |side: &Expr| side.get_type(schema).ok();
    let integers = |found: &DataType| found.is_integer();
    let fits = |left: &Expr, right: &Expr| {
        let left = data_type(left).filter(integers);
        left.is_some() && left == data_type(right)
    };
    match function {
        Some(function) if fits(&left, &right) => {
            let call = ScalarFunction::new_udf(function.clone(), vec![*left, *right]);
            Ok(Transformed::yes(Expr::ScalarFunction(call)))
        }
        _ => Ok(Transformed::no(Expr::BinaryExpr(BinaryExpr {
            left,
            op,
            right,
        }))),
    }
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Checked {
    kind: Kind,
    signature: Signature,
}

impl Checked {
    fn symbol(&self) -> &'static str {
        match self.kind {
            Kind::Add => "+",
            Kind::Subtract => "-",
            Kind::Multiply => "*",
        }
    }

    fn apply(&self, left: &dyn Datum, right: &dyn Datum) -> Result<ArrayRef, ArrowError> {
        match self.kind {
            Kind::Add => add(left, right),
            Kind::Subtract => sub(left, right),
            Kind::Multiply => mul(left, right),
        }
    }
}

impl ScalarUDFImpl for Checked {
    fn name(&self) -> &str {
        match self.kind {
            Kind::Add => "checked_add",
            Kind::Subtract => "checked_subtract",
            Kind::Multiply => "checked_multiply",
        }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        let [left, _] = take_function_args(self.name(), types)?;
        Ok(left.clone())
    }

    /// As the operator is called, so that columns keep their names.
    fn display_name(&self, arguments: &[Expr]) -> Result<String> {
        let [left, right] = take_function_args(self.name(), arguments)?;
        Ok(format!("{left} {} {right}", self.symbol()))
    }

    fn schema_name(&self, arguments: &[Expr]) -> Result<String> {
        let [left, right] = take_function_args(self.name(), arguments)?;
        let (left, right) = (left.schema_name(), right.schema_name());
        Ok(format!("{left} {} {right}", self.symbol()))
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [left, right] = take_function_args(self.name(), arguments.args)?;
        let answer = match (&left, &right) {
            (ColumnarValue::Array(left), ColumnarValue::Array(right)) => self.apply(left, right)?,
            (ColumnarValue::Array(left), ColumnarValue::Scalar(right)) => {
                self.apply(left, &right.to_scalar()?)?
            }
            (ColumnarValue::Scalar(left), ColumnarValue::Array(right)) => {
                self.apply(&left.to_scalar()?, right)?
            }
            (ColumnarValue::Scalar(left), ColumnarValue::Scalar(right)) => {
                let one = self.apply(&left.to_scalar()?, &right.to_scalar()?)?;
                let one = ScalarValue::try_from_array(&one, 0)?;
                return Ok(ColumnarValue::Scalar(one));
            }
        };
        Ok(ColumnarValue::Array(answer))
    }
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct CheckedNegative {
    signature: Signature,
}

impl ScalarUDFImpl for CheckedNegative {
    fn name(&self) -> &str {
        "checked_negative"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        let [value] = take_function_args(self.name(), types)?;
        Ok(value.clone())
    }

    fn display_name(&self, arguments: &[Expr]) -> Result<String> {
        let [value] = take_function_args(self.name(), arguments)?;
        Ok(format!("(- {value})"))
    }

    fn schema_name(&self, arguments: &[Expr]) -> Result<String> {
        let [value] = take_function_args(self.name(), arguments)?;
        Ok(format!("(- {})", value.schema_name()))
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [value] = take_function_args(self.name(), arguments.args)?;
        Ok(match value {
            ColumnarValue::Array(values) => ColumnarValue::Array(neg(&values)?),
            ColumnarValue::Scalar(value) => ColumnarValue::Scalar(value.arithmetic_negate()?),
        })
    }
}
