//! A cast with a name of its own: `as_cast(cast)` is the cast. DataFusion calls a cast as
//! what it casts, and takes `count(DISTINCT t)` and `count(DISTINCT t::date)` for one.

use arrow::datatypes::DataType;
use datafusion::common::{Result, exec_err};
use datafusion::logical_expr::{
    ColumnarValue, Expr, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility,
};

/// What it is called.
pub const AS_CAST: &str = "as_cast";

/// See the module.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) struct AsCast {
    signature: Signature,
}

impl AsCast {
    pub(crate) fn new() -> Self {
        Self {
            signature: Signature::any(1, Volatility::Immutable),
        }
    }
}

impl ScalarUDFImpl for AsCast {
    fn name(&self) -> &str {
        AS_CAST
    }

    fn schema_name(&self, arguments: &[Expr]) -> Result<String> {
        // A cast says what it casts to where it is shown, and not where it is named.
        let arguments: Vec<String> = arguments.iter().map(ToString::to_string).collect();
        Ok(arguments.join(", "))
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, arguments: &[DataType]) -> Result<DataType> {
        match arguments.first() {
            Some(of_cast) => Ok(of_cast.clone()),
            None => exec_err!("`as_cast` has no argument"),
        }
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        match arguments.args.into_iter().next() {
            Some(cast) => Ok(cast),
            None => exec_err!("`as_cast` has no argument"),
        }
    }
}
