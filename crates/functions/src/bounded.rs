//! Functions whose result is as long as a number among their arguments, or as the
//! product of their lengths, with a limit to that length; and functions whose work
//! is such a product, with a limit to it.
//!
//! `lpad(name, n)` with an enormous n out of a row would ask for more memory than
//! there is, which ends the process: no one can catch that. So each of these
//! functions stands behind one that first adds up what it would make, and refuses
//! what is too long. In a view that is an evaluation error of its row. Nor can
//! anyone interrupt a function: while `levenshtein` compares two books, nothing else
//! is answered.

mod arguments;
mod growth;
mod pairs;
mod range;

use std::sync::Arc;

use arrow::array::{Array, AsArray};
use arrow::compute::concat;
use arrow::datatypes::{DataType, FieldRef, Int64Type};
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::Transformed;
use datafusion::common::{DFSchema, Result, exec_err, plan_err};
use datafusion::logical_expr::expr_rewriter::FunctionRewrite;
use datafusion::logical_expr::simplify::{ExprSimplifyResult, SimplifyContext};
use datafusion::logical_expr::{
    ColumnarValue, Documentation, Expr, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF,
    ScalarUDFImpl,
};
use datafusion::scalar::ScalarValue;

use self::growth::{FUNCTIONS, Growth};
use crate::wrapped::asks_wrapped;

/// What the values are made for, which decides how long they may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Purpose {
    /// All rows of an epoch, 65,536 of them, have to fit into memory at once, and
    /// their texts into one column, which ends at 2 GiB.
    Views,
    /// Rows go through a query 8192 at a time, and an answer has an end of its own.
    Queries,
}

impl Purpose {
    /// One text may have so many bytes.
    fn text_bytes_max(self) -> u64 {
        match self {
            Self::Views => 32_000,
            Self::Queries => 1 << 20,
        }
    }

    /// One list may have so many bytes. In views these are the hours of nearly two
    /// years, in queries the seconds of three weeks.
    fn list_bytes_max(self) -> u64 {
        match self {
            Self::Views => 128 << 10,
            Self::Queries => 16 << 20,
        }
    }
}

/// The values of the rows that are computed together may have so many bytes. A
/// view then takes fewer rows at a time.
const BATCH_BYTES_MAX: u64 = 128 << 20;
/// What each of 8192 rows may have of it: less needs no exact count. A text out of
/// constants alone, which is copied for each row, may have no more.
const SHARE_BYTES: u64 = BATCH_BYTES_MAX / 8192;
/// The same for lists, which are rather taken apart than copied.
const CONSTANT_LIST_BYTES_MAX: u64 = 128 << 10;

/// The functions behind their limits, out of those that `known` finds by name.
pub(crate) fn bounded(
    purpose: Purpose,
    known: impl Fn(&str) -> Option<Arc<ScalarUDF>>,
) -> Vec<Arc<ScalarUDF>> {
    let functions = FUNCTIONS.into_iter().filter_map(|(name, growth)| {
        let inner = known(name)?;
        Some(Arc::new(ScalarUDF::from(Bounded {
            inner,
            growth,
            purpose,
        })))
    });
    functions.collect()
}

/// Puts those functions behind their limits that the planner knows by itself, because
/// they stand for an operator: `list @> list` is `array_has_all`.
#[derive(Debug)]
pub(crate) struct BoundedOperators(pub(crate) Vec<Arc<ScalarUDF>>);

impl FunctionRewrite for BoundedOperators {
    fn name(&self) -> &str {
        "bounded_operators"
    }

    fn rewrite(
        &self,
        expr: Expr,
        _schema: &DFSchema,
        _config: &ConfigOptions,
    ) -> Result<Transformed<Expr>> {
        let Expr::ScalarFunction(mut call) = expr else {
            return Ok(Transformed::no(expr));
        };
        if call.func.inner().is::<Bounded>() {
            return Ok(Transformed::no(Expr::ScalarFunction(call)));
        }
        let bounded = self.0.iter().find(|known| known.name() == call.name());
        let is_changed = bounded.is_some();
        if let Some(bounded) = bounded {
            call.func = bounded.clone();
        }
        Ok(Transformed::new_transformed(
            Expr::ScalarFunction(call),
            is_changed,
        ))
    }
}

/// A function behind its limit.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Bounded {
    inner: Arc<ScalarUDF>,
    growth: Growth,
    purpose: Purpose,
}

impl Bounded {
    /// How many bytes a value may have, or pairs may be compared for it.
    fn bytes_max(&self) -> u64 {
        match (self.growth.pairs_max(), self.growth.makes_list()) {
            (Some(pairs_max), _) => pairs_max,
            (None, true) => self.purpose.list_bytes_max(),
            (None, false) => self.purpose.text_bytes_max(),
        }
    }

    /// What is wrong with a value of so many bytes, or pairs, if anything is.
    fn longer_than(&self, bytes: u64, bytes_max: u64) -> Option<String> {
        if self.growth.pairs_max().is_some() {
            return (bytes > bytes_max).then(|| {
                format!(
                    "`{}` would compare {bytes} pairs, each character or value with each, and {bytes_max} are the most: compare shorter ones, as in left(name, 300)",
                    self.name()
                )
            });
        }
        let kind = match self.growth.makes_list() {
            true => "list",
            false => "text",
        };
        (bytes > bytes_max).then(|| {
            format!(
                "`{}` would make a {kind} of {bytes} bytes, and {bytes_max} are the most: bound what decides its length, as in least(n, 1000)",
                self.name()
            )
        })
    }

    /// Refuses a value that would be too long, and says for which rows the values
    /// may be made together: how many they are, one number after the other.
    fn parts(&self, arguments: &[ColumnarValue], rows: usize) -> Result<Vec<usize>> {
        let (mut parts, mut length, mut total) = (Vec::new(), 0, 0_u64);
        let compares_pairs = self.growth.pairs_max().is_some();
        // Constants are computed even for no row.
        for row in 0..rows.max(1) {
            let has_row = |argument: &ColumnarValue| match argument {
                ColumnarValue::Array(array) => row < array.len(),
                ColumnarValue::Scalar(_) => true,
            };
            if !arguments.iter().all(has_row) {
                break;
            }
            let bytes = self.growth.bytes(arguments, row)?;
            // What is there may be as long again.
            let given_bytes = self.growth.given_bytes(arguments, row);
            let bytes_max = self.bytes_max().max(given_bytes);
            if let Some(problem) = self.longer_than(bytes, bytes_max) {
                return exec_err!("{problem}");
            }
            let is_full = !compares_pairs && total.saturating_add(bytes) > BATCH_BYTES_MAX;
            if length > 0 && is_full {
                parts.push(length);
                (length, total) = (0, 0);
            }
            total = total.saturating_add(bytes);
            length += 1;
        }
        parts.push(length);
        Ok(parts)
    }

    fn too_much(&self, bytes: usize, rows: usize) -> Result<ColumnarValue> {
        exec_err!(
            "`{}` would make more than {bytes} bytes for {rows} rows at once, and {BATCH_BYTES_MAX} are the most: make shorter values, or of fewer rows",
            self.name()
        )
    }

    /// Makes the values of some rows after the others, because all of them could be
    /// too much. That they are is only known once they are made.
    fn in_parts(&self, arguments: &ScalarFunctionArgs, parts: &[usize]) -> Result<ColumnarValue> {
        let rows = arguments.number_rows;
        let has_rows = |argument: &ColumnarValue| matches!(argument, ColumnarValue::Array(_));
        if !arguments.args.iter().any(has_rows) {
            return self.too_much(BATCH_BYTES_MAX as usize, rows);
        }
        let (mut start, mut made, mut bytes) = (0, Vec::with_capacity(parts.len()), 0);
        for &length in parts {
            let of_part = |argument: &ColumnarValue| match argument {
                ColumnarValue::Array(array) => ColumnarValue::Array(array.slice(start, length)),
                ColumnarValue::Scalar(value) => ColumnarValue::Scalar(value.clone()),
            };
            let part = ScalarFunctionArgs {
                args: arguments.args.iter().map(of_part).collect(),
                arg_fields: arguments.arg_fields.clone(),
                number_rows: length,
                return_field: arguments.return_field.clone(),
                config_options: arguments.config_options.clone(),
            };
            let values = self.inner.invoke_with_args(part)?.into_array(length)?;
            bytes += values.get_array_memory_size();
            if bytes as u64 > BATCH_BYTES_MAX {
                return self.too_much(bytes, rows);
            }
            made.push(values);
            start += length;
        }
        let made: Vec<&dyn Array> = made.iter().map(AsRef::as_ref).collect();
        Ok(ColumnarValue::Array(concat(&made)?))
    }

    /// Negative lengths as 0, for which the library would ask for all memory.
    fn without_negative(&self, arguments: Vec<ColumnarValue>) -> Vec<ColumnarValue> {
        if self.growth != Growth::Pad {
            return arguments;
        }
        let at_least_zero = |argument: ColumnarValue| match argument {
            ColumnarValue::Scalar(ScalarValue::Int64(Some(number))) => {
                ColumnarValue::Scalar(ScalarValue::Int64(Some(number.max(0))))
            }
            ColumnarValue::Array(array) if *array.data_type() == DataType::Int64 => {
                let numbers = array.as_primitive::<Int64Type>();
                let numbers = numbers.unary::<_, Int64Type>(|number| number.max(0));
                ColumnarValue::Array(Arc::new(numbers))
            }
            other => other,
        };
        arguments.into_iter().map(at_least_zero).collect()
    }
}

impl ScalarUDFImpl for Bounded {
    asks_wrapped!(inner);

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        self.inner.coerce_types(types)
    }

    fn return_field_from_args(&self, arguments: ReturnFieldArgs) -> Result<FieldRef> {
        self.inner.return_field_from_args(arguments)
    }

    fn is_strict(&self) -> bool {
        self.inner.is_strict()
    }

    fn documentation(&self) -> Option<&Documentation> {
        self.inner.documentation()
    }

    /// Refuses while planning what is too long whatever a row says.
    fn simplify(&self, arguments: Vec<Expr>, _: &SimplifyContext) -> Result<ExprSimplifyResult> {
        let constant = |expr: &Expr| match expr {
            Expr::Literal(value, _) => Some(ColumnarValue::Scalar(value.clone())),
            _ => None,
        };
        let constants: Vec<Option<ColumnarValue>> = arguments.iter().map(constant).collect();
        let numbers_known = match self.growth {
            Growth::Range
            | Growth::Replace
            | Growth::ReplacePattern
            | Growth::Join
            | Growth::PairsOfCharacters
            | Growth::PairsOfValues => constants.iter().all(Option::is_some),
            _ => constants.get(1).is_some_and(Option::is_some),
        };
        let is_constant = constants.iter().all(Option::is_some);
        if numbers_known {
            // One byte for what a row says.
            let of_rows = ColumnarValue::Scalar(ScalarValue::from("x"));
            let least: Vec<ColumnarValue> = constants
                .into_iter()
                .map(|constant| constant.unwrap_or_else(|| of_rows.clone()))
                .collect();
            let bytes = self.growth.bytes(&least, 0)?;
            let bytes_max = match (is_constant, self.growth.makes_list()) {
                _ if self.growth.pairs_max().is_some() => self.bytes_max(),
                (false, _) => self.bytes_max(),
                (true, false) => SHARE_BYTES.max(self.growth.given_bytes(&least, 0)),
                (true, true) => CONSTANT_LIST_BYTES_MAX,
            };
            if let Some(problem) = self.longer_than(bytes, bytes_max) {
                return plan_err!("{problem}");
            }
        }
        Ok(ExprSimplifyResult::Original(arguments))
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let parts = self.parts(&arguments.args, arguments.number_rows)?;
        let args = self.without_negative(arguments.args);
        let arguments = ScalarFunctionArgs { args, ..arguments };
        match parts.len() {
            1 => self.inner.invoke_with_args(arguments),
            _ => self.in_parts(&arguments, &parts),
        }
    }
}

#[cfg(test)]
mod tests;
