//! Functions whose result is as long as a number among their arguments, or their
//! product, with a limit to that length.
//!
//! `lpad(name, n)` with an enormous n out of a row would ask for more memory than
//! there is, which ends the process: no one can catch that. So each of these
//! functions stands behind one that first adds up what it would make, and refuses
//! what is too long. In a view that is an evaluation error of its row.

use std::sync::Arc;

use arrow::array::{Array, AsArray, UInt32Array};
use arrow::compute::{cast, take};
use arrow::datatypes::{
    DataType, Date32Type, Date64Type, FieldRef, Int64Type, IntervalMonthDayNano,
    IntervalMonthDayNanoType, TimeUnit,
};
use datafusion::common::{Result, exec_err, plan_err};
use datafusion::logical_expr::simplify::{ExprSimplifyResult, SimplifyContext};
use datafusion::logical_expr::{
    ColumnarValue, Documentation, Expr, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF,
    ScalarUDFImpl, Signature,
};
use datafusion::scalar::ScalarValue;

/// One text may have so many bytes: more than people read, and few enough that
/// the texts of many rows fit into memory.
const TEXT_BYTES_MAX: u64 = 1 << 20;

/// One list may have so many bytes: the numbers up to two million, or the seconds
/// of three weeks.
const LIST_BYTES_MAX: u64 = 16 << 20;

/// The values of the rows that are computed together may have so many bytes. A
/// view then takes fewer rows at a time.
const BATCH_BYTES_MAX: u64 = 128 << 20;
/// What each of 8192 rows may have of it: less needs no exact count.
const SHARE_BYTES: u64 = BATCH_BYTES_MAX / 8192;

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
    /// A value, so many times in a list.
    RepeatInList,
    /// A list filled up to so many values.
    Resize,
    /// A list of all values from one to another.
    Range,
}

impl Growth {
    /// What a value is, and how many bytes it may have.
    fn limit(self) -> (&'static str, u64) {
        match self {
            Self::Repeat | Self::Pad | Self::Replace => ("text", TEXT_BYTES_MAX),
            Self::RepeatInList | Self::Resize | Self::Range => ("list", LIST_BYTES_MAX),
        }
    }
}

const FUNCTIONS: [(&str, Growth); 8] = [
    ("repeat", Growth::Repeat),
    ("lpad", Growth::Pad),
    ("rpad", Growth::Pad),
    ("replace", Growth::Replace),
    ("array_repeat", Growth::RepeatInList),
    ("array_resize", Growth::Resize),
    ("range", Growth::Range),
    ("generate_series", Growth::Range),
];

/// The functions behind their limits, out of those that `known` finds by name.
pub(crate) fn bounded(known: impl Fn(&str) -> Option<Arc<ScalarUDF>>) -> Vec<ScalarUDF> {
    let functions = FUNCTIONS.into_iter().filter_map(|(name, growth)| {
        let inner = known(name)?;
        Some(ScalarUDF::from(Bounded { inner, growth }))
    });
    functions.collect()
}

/// A function behind its limit.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Bounded {
    inner: Arc<ScalarUDF>,
    growth: Growth,
}

impl Bounded {
    /// What is wrong with a value of so many bytes, if anything is.
    fn too_long(&self, bytes: u64) -> Option<String> {
        let (kind, bytes_max) = self.growth.limit();
        (bytes > bytes_max).then(|| {
            format!(
                "`{}` would make a {kind} of {bytes} bytes, and {bytes_max} are the most: bound what decides its length, as in least(n, 1000)",
                self.name()
            )
        })
    }

    /// Refuses what would be too long.
    fn check(&self, arguments: &[ColumnarValue], rows: usize) -> Result<()> {
        let mut total = 0_u64;
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
            if let Some(problem) = self.too_long(bytes) {
                return exec_err!("{problem}");
            }
            total += bytes;
        }
        if total > BATCH_BYTES_MAX {
            return exec_err!(
                "`{}` would make {total} bytes for {rows} rows at once, and {BATCH_BYTES_MAX} are the most: make shorter values, or of fewer rows",
                self.name()
            );
        }
        Ok(())
    }

    /// What one row's result takes at most; 0 where an argument is missing.
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
            Growth::RepeatInList => {
                let one = first.map_or(0, |value| value_bytes(value, row));
                number(second).saturating_mul(one.saturating_add(ELEMENT_BYTES))
            }
            Growth::Resize => {
                let one = third.map_or(FIXED_BYTES_MAX, |value| value_bytes(value, row));
                number(second).saturating_mul(one.saturating_add(ELEMENT_BYTES))
            }
            Growth::Range => range_length(arguments, row)?.saturating_mul(ELEMENT_BYTES),
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
            Growth::Range | Growth::Replace => constants.iter().all(Option::is_some),
            _ => constants.get(1).is_some_and(Option::is_some),
        };
        if numbers_known {
            // One byte for what a row says.
            let of_rows = ColumnarValue::Scalar(ScalarValue::from("x"));
            let least: Vec<ColumnarValue> = constants
                .into_iter()
                .map(|constant| constant.unwrap_or_else(|| of_rows.clone()))
                .collect();
            let bytes = self.bytes(&least, 0)?;
            if let Some(problem) = self.too_long(bytes) {
                return plan_err!("{problem}");
            }
        }
        Ok(ExprSimplifyResult::Original(arguments))
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        self.check(&arguments.args, arguments.number_rows)?;
        let args = self.without_negative(arguments.args);
        self.inner
            .invoke_with_args(ScalarFunctionArgs { args, ..arguments })
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

/// At most as many bytes as `from` has places in `text`; they are only looked for
/// where it matters.
fn replaced_bytes(text: &str, from: &str, to: &str) -> u64 {
    let bytes = |places: usize| {
        let added = (places as u64).saturating_mul(to.len() as u64);
        added.saturating_add(text.len() as u64)
    };
    let places_max = match from.len() {
        0 => text.len() + 1,
        length => text.len() / length,
    };
    match bytes(places_max) {
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
