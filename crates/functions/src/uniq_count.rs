//! `uniq_count(state)`: how many values a state has.

use std::sync::Arc;

use arrow::array::{AsArray, Int64Array};
use arrow::datatypes::DataType;
use datafusion::error::Result;
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility,
};

use crate::UniqSet;
use crate::uniq_merge::external;

/// See the module. No state (NULL) has no values: 0.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) struct UniqCount {
    signature: Signature,
}

impl UniqCount {
    pub(crate) fn new() -> Self {
        Self {
            signature: Signature::exact(vec![DataType::Binary], Volatility::Immutable),
        }
    }
}

impl ScalarUDFImpl for UniqCount {
    fn name(&self) -> &str {
        "uniq_count"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arguments: &[DataType]) -> Result<DataType> {
        Ok(DataType::Int64)
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let states = ColumnarValue::values_to_arrays(&arguments.args)?;
        let mut counts = Vec::new();
        for states in &states {
            for state in states.as_binary::<i32>() {
                counts.push(match state {
                    Some(state) => UniqSet::decode(state).map_err(external)?.count() as i64,
                    None => 0,
                });
            }
        }
        Ok(ColumnarValue::Array(Arc::new(Int64Array::from(counts))))
    }
}
