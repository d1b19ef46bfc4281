//! Functions that rewritten statements call.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, ListArray};
use arrow::datatypes::DataType;
use datafusion::common::ScalarValue;
use datafusion::error::Result;
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};
use datafusion::prelude::SessionContext;

use super::arrays::list;
use super::exprs::{LIST_OR_EMPTY, NO_TEXTS, ONE_VALUE};

/// Registers the functions.
pub(super) fn register(context: &SessionContext) {
    for name in [ONE_VALUE, LIST_OR_EMPTY] {
        context.register_udf(ScalarUDF::new_from_impl(Same {
            name,
            signature: Signature::any(1, Volatility::Stable),
        }));
    }
    context.register_udf(ScalarUDF::new_from_impl(NoTexts {
        signature: Signature::nullary(Volatility::Immutable),
    }));
}

/// A function that gives its argument, or an empty list for no list.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Same {
    name: &'static str,
    signature: Signature,
}

impl ScalarUDFImpl for Same {
    fn name(&self) -> &str {
        self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        Ok(types.first().cloned().unwrap_or(DataType::Null))
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let rows = arguments.number_rows;
        let Some(value) = arguments.args.into_iter().next() else {
            return Ok(ColumnarValue::Scalar(ScalarValue::Null));
        };
        if self.name != LIST_OR_EMPTY {
            return Ok(value);
        }
        match value {
            ColumnarValue::Scalar(value) => {
                let lists = without_nulls(&value.to_array()?)?;
                let value = ScalarValue::try_from_array(&lists, 0)?;
                Ok(ColumnarValue::Scalar(value))
            }
            ColumnarValue::Array(lists) => {
                debug_assert_eq!(lists.len(), rows);
                Ok(ColumnarValue::Array(without_nulls(&lists)?))
            }
        }
    }
}

fn without_nulls(values: &ArrayRef) -> Result<ArrayRef> {
    let Some(lists) = values.as_list_opt::<i32>() else {
        return Ok(values.clone());
    };
    let is_hollow = (0..lists.len()).all(|row| lists.is_valid(row) || lists.value_length(row) == 0);
    let DataType::List(field) = lists.data_type() else {
        return Ok(values.clone());
    };
    if !is_hollow {
        return Ok(values.clone());
    }
    let (offsets, elements) = (lists.offsets().clone(), lists.values().clone());
    Ok(Arc::new(ListArray::try_new(
        field.clone(),
        offsets,
        elements,
        None,
    )?))
}

/// A function that gives an empty list of texts.
#[derive(Debug, PartialEq, Eq, Hash)]
struct NoTexts {
    signature: Signature,
}

impl ScalarUDFImpl for NoTexts {
    fn name(&self) -> &str {
        NO_TEXTS
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(list(DataType::Utf8))
    }

    fn invoke_with_args(&self, _: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let none = ScalarValue::new_list_nullable(&[], &DataType::Utf8);
        Ok(ColumnarValue::Scalar(ScalarValue::List(none)))
    }
}
