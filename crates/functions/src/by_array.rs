//! Functions of one argument, which are the same for a column and for one value.

use arrow::array::ArrayRef;
use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::ColumnarValue;

/// What a function of columns makes of a column, or of one value.
///
/// # Errors
/// Those of the function.
pub(crate) fn by_array(
    value: &ColumnarValue,
    function: &dyn Fn(&ArrayRef) -> Result<ArrayRef>,
) -> Result<ColumnarValue> {
    match value {
        ColumnarValue::Array(values) => function(values).map(ColumnarValue::Array),
        ColumnarValue::Scalar(value) => {
            let found = function(&value.to_array()?)?;
            let found = ScalarValue::try_from_array(&found, 0)?;
            Ok(ColumnarValue::Scalar(found))
        }
    }
}
