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

use std::sync::Arc;

use arrow::array::{Array, AsArray, UInt32Array};
use arrow::compute::{cast, concat, take};
use arrow::datatypes::{
    DataType, Date32Type, Date64Type, FieldRef, Int64Type, IntervalMonthDayNano,
    IntervalMonthDayNanoType, TimeUnit,
};
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::Transformed;
use datafusion::common::{DFSchema, Result, exec_err, plan_err};
use datafusion::logical_expr::expr_rewriter::FunctionRewrite;
use datafusion::logical_expr::simplify::{ExprSimplifyResult, SimplifyContext};
use datafusion::logical_expr::{
    ColumnarValue, Documentation, Expr, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF,
    ScalarUDFImpl, Signature,
};
use datafusion::scalar::ScalarValue;

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

/// So many pairs of characters may be compared for a row, which is two texts of 362:
/// 8192 rows are then some seconds of work.
const CHARACTER_PAIRS_MAX: u64 = 1 << 17;

/// So many pairs of values may be compared for a row, which is two lists of 1024.
const VALUE_PAIRS_MAX: u64 = 1 << 20;

/// What an element of a list takes beside its value, about.
const ELEMENT_BYTES: u64 = 8;

/// A value of a type of fixed width takes at most so many bytes.
const FIXED_BYTES_MAX: u64 = 32;

/// What decides how long a result is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Growth {
    /// A text, so many times.
    Repeat,
    /// A text filled up to so many characters.
    Pad,
    /// A text of which parts are replaced by longer ones.
    Replace,
    /// A text of which the parts that a pattern describes are replaced.
    ReplacePattern,
    /// The values of a list with a text between them.
    Join,
    /// A value, so many times in a list.
    RepeatInList,
    /// A list filled up to so many values.
    Resize,
    /// A list of all values from one to another.
    Range,
    /// A short result for which all characters of a text are compared with all of
    /// another.
    PairsOfCharacters,
    /// The same with the values of two lists.
    PairsOfValues,
}

impl Growth {
    fn makes_list(self) -> bool {
        matches!(self, Self::RepeatInList | Self::Resize | Self::Range)
    }

    /// How many pairs may be compared for one row, where a function compares pairs.
    fn pairs_max(self) -> Option<u64> {
        match self {
            Self::PairsOfCharacters => Some(CHARACTER_PAIRS_MAX),
            Self::PairsOfValues => Some(VALUE_PAIRS_MAX),
            _ => None,
        }
    }
}

const FUNCTIONS: [(&str, Growth); 13] = [
    ("repeat", Growth::Repeat),
    ("lpad", Growth::Pad),
    ("rpad", Growth::Pad),
    ("replace", Growth::Replace),
    ("regexp_replace", Growth::ReplacePattern),
    ("array_to_string", Growth::Join),
    ("array_repeat", Growth::RepeatInList),
    ("array_resize", Growth::Resize),
    ("range", Growth::Range),
    ("generate_series", Growth::Range),
    ("levenshtein", Growth::PairsOfCharacters),
    ("array_has_all", Growth::PairsOfValues),
    ("array_has_any", Growth::PairsOfValues),
];

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
            let bytes = self.bytes(arguments, row)?;
            // What is there may be as long again.
            let bytes_max = self.bytes_max().max(self.given_bytes(arguments, row));
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

    /// How long the text is that is changed, where a function changes one.
    fn given_bytes(&self, arguments: &[ColumnarValue], row: usize) -> u64 {
        match self.growth {
            Growth::Replace | Growth::ReplacePattern => text(arguments.first(), row).len() as u64,
            Growth::Join => arguments.first().map_or(0, |list| list_bytes(list, row).0),
            _ => 0,
        }
    }

    /// What one row's result takes at most, or how many pairs are compared for it; 0
    /// where an argument is missing.
    fn bytes(&self, arguments: &[ColumnarValue], row: usize) -> Result<u64> {
        let number = |argument: Option<&ColumnarValue>| {
            let number = argument.and_then(|argument| integer(argument, row));
            number.map_or(0, |number| u64::try_from(number).unwrap_or(0))
        };
        let (first, second, third) = (arguments.first(), arguments.get(1), arguments.get(2));
        let (first_text, third_text) = (text(first, row), text(third, row));
        Ok(match self.growth {
            Growth::Repeat => (first_text.len() as u64).saturating_mul(number(second)),
            Growth::Pad => {
                let length = number(second);
                // Memory is taken before anyone looks at the texts.
                let width = match first_text.is_ascii() && third_text.is_ascii() {
                    true => 1,
                    false => 4,
                };
                length.saturating_mul(width)
            }
            Growth::Replace => replaced_bytes(first_text, text(second, row), third_text),
            Growth::ReplacePattern => {
                let flags = text(arguments.get(3), row);
                pattern_replaced_bytes(first_text, third_text, flags.contains('g'))
            }
            Growth::Join => {
                let (bytes, values) = first.map_or((0, 0), |list| list_bytes(list, row));
                // A text for each NULL is the longest third argument.
                let between = text(second, row).len() + third_text.len();
                bytes.saturating_add(values.saturating_mul(between as u64))
            }
            Growth::RepeatInList => {
                let one = first.map_or(0, |value| value_bytes(value, row));
                number(second).saturating_mul(one.saturating_add(ELEMENT_BYTES))
            }
            Growth::Resize => {
                let one = third.map_or(FIXED_BYTES_MAX, |value| value_bytes(value, row));
                number(second).saturating_mul(one.saturating_add(ELEMENT_BYTES))
            }
            Growth::Range => range_length(arguments, row)?.saturating_mul(ELEMENT_BYTES),
            Growth::PairsOfCharacters => pairs_of_characters(first_text, text(second, row)),
            Growth::PairsOfValues => {
                let length = |list: Option<&ColumnarValue>| {
                    list.map_or(0, |list| list_length(list, row) as u64)
                };
                length(first).saturating_mul(length(second))
            }
        })
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
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn aliases(&self) -> &[String] {
        self.inner.aliases()
    }

    fn signature(&self) -> &Signature {
        self.inner.signature()
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        self.inner.coerce_types(types)
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        self.inner.return_type(types)
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
            let bytes = self.bytes(&least, 0)?;
            let bytes_max = match (is_constant, self.growth.makes_list()) {
                _ if self.growth.pairs_max().is_some() => self.bytes_max(),
                (false, _) => self.bytes_max(),
                (true, false) => SHARE_BYTES.max(self.given_bytes(&least, 0)),
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

fn integer(value: &ColumnarValue, row: usize) -> Option<i64> {
    match value {
        ColumnarValue::Scalar(ScalarValue::Int64(number)) => *number,
        ColumnarValue::Array(array) => {
            let numbers = array.as_primitive_opt::<Int64Type>()?;
            numbers.is_valid(row).then(|| numbers.value(row))
        }
        ColumnarValue::Scalar(_) => None,
    }
}

/// A row's text; an empty one where there is none.
fn text(value: Option<&ColumnarValue>, row: usize) -> &str {
    let array = match value {
        None => return "",
        Some(ColumnarValue::Scalar(value)) => {
            return value.try_as_str().flatten().unwrap_or_default();
        }
        Some(ColumnarValue::Array(array)) => array,
    };
    if array.is_null(row) {
        return "";
    }
    match array.data_type() {
        DataType::Utf8 => array.as_string::<i32>().value(row),
        DataType::LargeUtf8 => array.as_string::<i64>().value(row),
        DataType::Utf8View => array.as_string_view().value(row),
        _ => "",
    }
}

fn value_bytes(value: &ColumnarValue, row: usize) -> u64 {
    if let Some(width) = value.data_type().primitive_width() {
        return width as u64;
    }
    let (array, row) = match value {
        ColumnarValue::Scalar(value) => match value.to_array() {
            Ok(array) => (array, 0),
            Err(_) => return value.size() as u64,
        },
        ColumnarValue::Array(array) => (array.clone(), row),
    };
    // A part of a list still counts the values of all.
    let of_row = take(&array, &UInt32Array::from(vec![row as u32]), None);
    let of_row = of_row.unwrap_or(array).to_data();
    match of_row.get_slice_memory_size() {
        Ok(bytes) => bytes as u64,
        Err(_) => of_row.get_array_memory_size() as u64,
    }
}

/// At most: whatever the pattern, its places do not overlap, so that the parts of the
/// text that a replacement repeats (`\\1`) are no longer than the text, each.
fn pattern_replaced_bytes(text: &str, to: &str, everywhere: bool) -> u64 {
    let places = match everywhere {
        true => text.len() as u64 + 1,
        false => 1,
    };
    let repeated = to.matches(['\\', '$']).count() as u64;
    let kept = (text.len() as u64).saturating_mul(repeated + 1);
    kept.saturating_add(places.saturating_mul(to.len() as u64))
}

/// How many characters of one text are compared with each of another.
fn pairs_of_characters(first: &str, second: &str) -> u64 {
    let pairs = |first: usize, second: usize| (first as u64).saturating_mul(second as u64);
    match pairs(first.len(), second.len()) {
        // Characters are no more than bytes, and need not be counted.
        few if few <= CHARACTER_PAIRS_MAX => few,
        _ => pairs(first.chars().count(), second.chars().count()),
    }
}

/// How many values a row's list has.
fn list_length(list: &ColumnarValue, row: usize) -> usize {
    let (array, row) = match list {
        ColumnarValue::Array(array) => (array, row),
        ColumnarValue::Scalar(ScalarValue::List(list)) => return list.value_length(0) as usize,
        ColumnarValue::Scalar(ScalarValue::LargeList(list)) => {
            return list.value_length(0) as usize;
        }
        ColumnarValue::Scalar(ScalarValue::FixedSizeList(list)) => {
            return list.value_length() as usize;
        }
        ColumnarValue::Scalar(_) => return 0,
    };
    match array.data_type() {
        DataType::List(_) => array.as_list::<i32>().value_length(row) as usize,
        DataType::LargeList(_) => array.as_list::<i64>().value_length(row) as usize,
        DataType::FixedSizeList(_, length) => *length as usize,
        _ => 0,
    }
}

/// How long the values of a list are together, and how many there are.
fn list_bytes(list: &ColumnarValue, row: usize) -> (u64, u64) {
    let (array, row) = match list {
        ColumnarValue::Scalar(value) => match value.to_array() {
            Ok(array) => (array, 0),
            Err(_) => return (value.size() as u64, 0),
        },
        ColumnarValue::Array(array) => (array.clone(), row),
    };
    if array.is_null(row) {
        return (0, 0);
    }
    let values = match array.data_type() {
        DataType::List(_) => array.as_list::<i32>().value(row),
        DataType::LargeList(_) => array.as_list::<i64>().value(row),
        DataType::FixedSizeList(_, _) => array.as_fixed_size_list().value(row),
        _ => return (0, 0),
    };
    let data = values.to_data();
    let bytes = match data.get_slice_memory_size() {
        Ok(bytes) => bytes,
        Err(_) => data.get_array_memory_size(),
    };
    // Numbers are longer as text.
    let width = match values.data_type().primitive_width() {
        Some(_) => FIXED_BYTES_MAX * 2,
        None => 0,
    };
    let count = values.len() as u64;
    (bytes as u64 + count * width, count)
}

/// At most as many bytes as `from` has places in `text`; they are only looked for
/// where it matters.
fn replaced_bytes(text: &str, from: &str, to: &str) -> u64 {
    if from.is_empty() {
        // Nothing is replaced.
        return text.len() as u64;
    }
    let longer = to.len().saturating_sub(from.len()) as u64;
    let bytes = |places: usize| (places as u64).saturating_mul(longer) + text.len() as u64;
    match bytes(text.len() / from.len()) {
        few if few <= SHARE_BYTES => few,
        _ => bytes(text.matches(from).count()),
    }
}

/// At most as many values as a range has.
fn range_length(arguments: &[ColumnarValue], row: usize) -> Result<u64> {
    let [first, rest @ ..] = arguments else {
        return Ok(0);
    };
    let step = rest.get(1);
    if let Some(step) = step.and_then(|step| interval(step, row)) {
        let (Some(start), Some(stop)) = (
            moment(first, row),
            rest.first().and_then(|stop| moment(stop, row)),
        ) else {
            return Ok(0);
        };
        return intervals_between(start, stop, step);
    }
    let Some(number) = integer(first, row) else {
        return Ok(0);
    };
    let (start, stop) = match rest.first() {
        None => (0, number),
        Some(stop) => match integer(stop, row) {
            Some(stop) => (number, stop),
            None => return Ok(0),
        },
    };
    let step = match step {
        None => 1,
        Some(step) => integer(step, row).unwrap_or(0),
    };
    // A step of 0 is refused by the function itself.
    let is_towards = (step > 0 && start <= stop) || (step < 0 && start >= stop);
    if !is_towards {
        return Ok(0);
    }
    Ok((start.abs_diff(stop) / step.unsigned_abs()).saturating_add(1))
}

fn interval(value: &ColumnarValue, row: usize) -> Option<IntervalMonthDayNano> {
    match value {
        ColumnarValue::Scalar(ScalarValue::IntervalMonthDayNano(step)) => *step,
        ColumnarValue::Array(array) => {
            let steps = array.as_primitive_opt::<IntervalMonthDayNanoType>()?;
            steps.is_valid(row).then(|| steps.value(row))
        }
        ColumnarValue::Scalar(_) => None,
    }
}

/// A date or timestamp in nanoseconds.
fn moment(value: &ColumnarValue, row: usize) -> Option<i128> {
    let array = match value {
        ColumnarValue::Scalar(value) => value.to_array().ok()?,
        ColumnarValue::Array(array) => array.slice(row, 1),
    };
    if array.is_null(0) {
        return None;
    }
    if let Some(days) = array.as_primitive_opt::<Date32Type>() {
        return Some(i128::from(days.value(0)) * DAY_NS);
    }
    if let Some(milliseconds) = array.as_primitive_opt::<Date64Type>() {
        return Some(i128::from(milliseconds.value(0)) * 1_000_000);
    }
    let DataType::Timestamp(unit, _) = array.data_type() else {
        return None;
    };
    let scale = match unit {
        TimeUnit::Second => 1_000_000_000,
        TimeUnit::Millisecond => 1_000_000,
        TimeUnit::Microsecond => 1_000,
        TimeUnit::Nanosecond => 1,
    };
    let plain = DataType::Timestamp(*unit, None);
    let ticks = cast(&array, &plain).ok()?;
    let ticks = cast(&ticks, &DataType::Int64).ok()?;
    let ticks = ticks.as_primitive_opt::<Int64Type>()?;
    Some(i128::from(ticks.value(0)) * scale)
}

const DAY_NS: i128 = 86_400 * 1_000_000_000;

/// No month has fewer days.
const MONTH_DAYS_MIN: i128 = 28;

/// The day on which clocks go forward has fewer hours than the others.
const DAY_HOURS_MIN: i128 = 22;

/// How often a step fits between two moments. Parts of a step that go against each
/// other are refused: a month less 31 days gets nowhere in February.
fn intervals_between(start: i128, stop: i128, step: IntervalMonthDayNano) -> Result<u64> {
    let (months, days) = (i128::from(step.months), i128::from(step.days));
    let parts = [months, days, i128::from(step.nanoseconds)];
    if parts.iter().any(|part| *part > 0) && parts.iter().any(|part| *part < 0) {
        return exec_err!("the step of a range goes forward and back: give its parts one sign");
    }
    let days = months * MONTH_DAYS_MIN + days;
    let length = days * (DAY_NS / 24 * DAY_HOURS_MIN) + i128::from(step.nanoseconds);
    let distance = stop - start;
    if length == 0 || (distance != 0 && (length > 0) != (distance > 0)) {
        return Ok(0);
    }
    let count = distance.unsigned_abs() / length.unsigned_abs();
    Ok(u64::try_from(count).unwrap_or(u64::MAX).saturating_add(1))
}

#[cfg(test)]
mod tests;
