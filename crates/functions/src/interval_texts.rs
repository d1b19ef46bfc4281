//! Casts of texts to intervals, and intervals that are written down, read as PostgreSQL
//! reads them: arrow takes a number without a unit for months, and knows no clock times.
//!
//! | text | interval |
//! |---|---|
//! | `5.5`, `1 day 5` | a number at the end is of seconds |
//! | `1 day 02:03:04.5`, `-02:03` | hours, minutes and seconds |
//! | `1 02:03:04` | a number before a clock time is of days |
//! | `1-2`, `-1-2 3 04:05` | years and months |

use std::borrow::Cow;
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, IntervalMonthDayNanoArray};
use arrow::compute::cast;
use arrow::compute::kernels::cast_utils::{
    IntervalParseConfig, IntervalUnit as TextUnit, parse_interval_month_day_nano,
    parse_interval_month_day_nano_config,
};
use arrow::datatypes::{DataType, FieldRef, IntervalMonthDayNano, IntervalUnit};
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::Transformed;
use datafusion::common::{DFSchema, Result, exec_err, internal_err, plan_err};
use datafusion::logical_expr::expr::{Cast, TryCast};
use datafusion::logical_expr::{
    ColumnarValue, Expr, ExprSchemable, LogicalPlan, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl,
    Signature, Volatility,
};
use datafusion::optimizer::AnalyzerRule;
use datafusion::scalar::ScalarValue;

use crate::by_array::by_array;
use crate::floats_beside_decimals::innermost;
use crate::rewriting::rewritten;

const MONTHS_A_YEAR: u32 = 12;
const MICROSECONDS_DIGITS: usize = 6;
const MICROSECONDS_A_SECOND: i64 = 1_000_000;
const INTERVAL: DataType = DataType::Interval(IntervalUnit::MonthDayNano);

/// The interval that a text says, if it says one.
pub fn interval_of_text(text: &str) -> Option<IntervalMonthDayNano> {
    parse_interval_month_day_nano(&words_of(text)?).ok()
}

/// The text of an interval that is written down as one that the planner reads like a
/// cast; `None` where it does so already, and where the text says no interval, about
/// which it has an error.
pub(crate) fn text_for_planner(text: &str) -> Option<String> {
    let interval = interval_of_text(text)?;
    let config = IntervalParseConfig::new(TextUnit::Second);
    let found = parse_interval_month_day_nano_config(text, config);
    if found.is_ok_and(|found| found == interval) {
        return None;
    }
    let IntervalMonthDayNano {
        months,
        days,
        nanoseconds,
    } = interval;
    Some(format!(
        "{months} months {days} days {nanoseconds} nanoseconds"
    ))
}

/// The interval in words that arrow reads.
fn words_of(text: &str) -> Option<String> {
    let tokens = text.split(|letter: char| letter.is_whitespace() || letter == ',');
    let mut tokens = tokens.filter(|token| !token.is_empty()).peekable();
    let mut words: Vec<Cow<'_, str>> = Vec::new();
    let mut clock: Option<String> = None;
    while let Some(token) = tokens.next() {
        if token.contains(':') {
            let microseconds = clock_microseconds(token)?;
            if clock.is_some() {
                return None;
            }
            clock = Some(format!("{microseconds} microseconds"));
            continue;
        }
        if let Some(months) = months_of(token) {
            words.push(format!("{months} months").into());
            continue;
        }
        words.push(token.strip_prefix('+').unwrap_or(token).into());
        if is_number(token) {
            match tokens.peek() {
                None => words.push("seconds".into()),
                Some(next) if next.contains(':') => words.push("days".into()),
                // Which is its unit.
                Some(_) => {}
            }
        }
    }
    words.extend(clock.map(Cow::Owned));
    Some(words.join(" "))
}

fn is_number(token: &str) -> bool {
    let mut letters = token.bytes();
    letters.all(|letter| letter.is_ascii_digit() || matches!(letter, b'.' | b'-' | b'+'))
}

/// The sign of a token, and what follows it.
fn signed(token: &str) -> (i64, &str) {
    match token.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, token.strip_prefix('+').unwrap_or(token)),
    }
}

/// A number without a sign.
fn plain_number(digits: &str) -> Option<u32> {
    let is_plain = digits.bytes().all(|digit| digit.is_ascii_digit());
    digits.parse().ok().filter(|_| is_plain)
}

/// The months of `-1-2`, which are years and months.
fn months_of(token: &str) -> Option<i64> {
    let (sign, digits) = signed(token);
    let (years, months) = digits.split_once('-')?;
    let (years, months) = (plain_number(years)?, plain_number(months)?);
    if months >= MONTHS_A_YEAR {
        return None;
    }
    Some(sign * (i64::from(years) * i64::from(MONTHS_A_YEAR) + i64::from(months)))
}

/// `-02:03:04.5`, or without seconds.
fn clock_microseconds(clock: &str) -> Option<i64> {
    let (sign, digits) = signed(clock);
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let mut parts = whole.split(':').map(plain_number);
    let (hours, minutes) = (parts.next()??, parts.next()??);
    let seconds = match parts.next() {
        Some(seconds) => seconds?,
        // A fraction would be of minutes.
        None if fraction.is_empty() => 0,
        None => return None,
    };
    let is_digits = fraction.bytes().all(|digit| digit.is_ascii_digit());
    let is_too_long = fraction.len() > MICROSECONDS_DIGITS;
    if parts.next().is_some() || minutes > 59 || seconds > 60 || !is_digits || is_too_long {
        return None;
    }
    let fraction: i64 = format!("{fraction:0<MICROSECONDS_DIGITS$}").parse().ok()?;
    let seconds = (i64::from(hours) * 60 + i64::from(minutes)) * 60 + i64::from(seconds);
    let microseconds = seconds.checked_mul(MICROSECONDS_A_SECOND)?;
    Some(sign * microseconds.checked_add(fraction)?)
}

/// Writes the casts as what they give. It comes when types are matched, which casts
/// texts too.
#[derive(Debug)]
pub(crate) struct IntervalTexts {
    strict: Arc<ScalarUDF>,
    tried: Arc<ScalarUDF>,
}

impl IntervalTexts {
    pub(crate) fn new() -> Self {
        let function = |is_tried: bool| {
            Arc::new(ScalarUDF::from(IntervalOfText {
                is_tried,
                signature: Signature::any(1, Volatility::Immutable),
            }))
        };
        Self {
            strict: function(false),
            tried: function(true),
        }
    }

    fn rewrite(&self, expression: Expr, schema: &DFSchema) -> Result<Transformed<Expr>> {
        match expression {
            Expr::Cast(Cast { expr, field }) if reads_text(&expr, &field, schema)? => {
                if let Some(text) = literal_text(&expr) {
                    let interval = text.map(required).transpose()?;
                    return Ok(Transformed::yes(literal(interval)));
                }
                Ok(Transformed::yes(self.strict.call(vec![*expr])))
            }
            Expr::TryCast(TryCast { expr, field }) if reads_text(&expr, &field, schema)? => {
                Ok(Transformed::yes(self.tried.call(vec![*expr])))
            }
            other => Ok(Transformed::no(other)),
        }
    }
}

impl AnalyzerRule for IntervalTexts {
    fn name(&self) -> &str {
        "interval_texts"
    }

    fn analyze(&self, plan: LogicalPlan, _: &ConfigOptions) -> Result<LogicalPlan> {
        rewritten(plan, &|expression: Expr, schema: &DFSchema| {
            self.rewrite(expression, schema)
        })
    }
}

/// Whether the cast is one of a text to an interval.
fn reads_text(value: &Expr, wanted: &FieldRef, schema: &DFSchema) -> Result<bool> {
    let wanted = wanted.data_type();
    if !matches!(innermost(wanted), DataType::Interval(_)) {
        return Ok(false);
    }
    let Ok(found) = value.get_type(schema) else {
        return Ok(false);
    };
    if !is_text(innermost(&found)) {
        return Ok(false);
    }
    if *wanted != INTERVAL {
        return plan_err!(
            "a list of texts is not cast to intervals as a whole: cast its values, as in ARRAY['5 seconds'::interval]"
        );
    }
    Ok(true)
}

/// Whether values of the type are texts.
pub(crate) fn is_text(data_type: &DataType) -> bool {
    match data_type {
        DataType::Dictionary(_, values) => is_text(values),
        other => other.is_string(),
    }
}

/// The text that an expression is written as, which may be NULL.
fn literal_text(expression: &Expr) -> Option<Option<&str>> {
    match expression {
        Expr::Literal(value, _) => value.try_as_str(),
        _ => None,
    }
}

fn literal(interval: Option<IntervalMonthDayNano>) -> Expr {
    Expr::Literal(ScalarValue::IntervalMonthDayNano(interval), None)
}

fn required(text: &str) -> Result<IntervalMonthDayNano> {
    match interval_of_text(text) {
        Some(interval) => Ok(interval),
        None => exec_err!(
            "\"{text}\" is no interval: write numbers with their units, as in '1 day 2.5 hours', or a time, as in '1 day 02:30:00'"
        ),
    }
}

/// The function that a cast becomes where the text is not known.
#[derive(Debug, PartialEq, Eq, Hash)]
struct IntervalOfText {
    /// What is no interval is NULL.
    is_tried: bool,
    signature: Signature,
}

impl IntervalOfText {
    fn read(&self, texts: &ArrayRef) -> Result<ArrayRef> {
        let texts = cast(texts, &DataType::Utf8)?;
        let texts = texts.as_string::<i32>().iter();
        let intervals: IntervalMonthDayNanoArray = match self.is_tried {
            true => texts.map(|text| interval_of_text(text?)).collect(),
            false => texts
                .map(|text| text.map(required).transpose())
                .collect::<Result<_>>()?,
        };
        Ok(Arc::new(intervals))
    }
}

impl ScalarUDFImpl for IntervalOfText {
    fn name(&self) -> &str {
        match self.is_tried {
            true => "try_interval_of_text",
            false => "interval_of_text",
        }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arguments: &[DataType]) -> Result<DataType> {
        Ok(INTERVAL)
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        match arguments.args.first() {
            Some(texts) => by_array(texts, &|texts: &ArrayRef| self.read(texts)),
            None => internal_err!("`{}` has no argument", self.name()),
        }
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::{Array, StringArray};
    use arrow::datatypes::{Field, Schema};
    use datafusion::common::ToDFSchema;
    use datafusion::logical_expr::{cast, col, lit, try_cast};

    use super::*;

    const SECOND: i64 = 1_000_000_000;

    #[test]
    fn texts_are_read_as_by_postgresql() {
        let clock = (2 * 3600 + 3 * 60 + 4) * SECOND;
        for (text, expected) in [
            ("5", Some((0, 0, 5 * SECOND))),
            ("-5", Some((0, 0, -5 * SECOND))),
            ("+5.5", Some((0, 0, 5 * SECOND + SECOND / 2))),
            ("5 days", Some((0, 5, 0))),
            ("1 day 5", Some((0, 1, 5 * SECOND))),
            ("1 02:03:04", Some((0, 1, clock))),
            ("1 day 02:03:04", Some((0, 1, clock))),
            ("-1 day, -02:03:04.5", Some((0, -1, -clock - SECOND / 2))),
            ("02:03", Some((0, 0, clock - 4 * SECOND))),
            ("1 year 2 mons", Some((14, 0, 0))),
            (
                "+1 day +7200 second +5 microsecond",
                Some((0, 1, 7200 * SECOND + 5_000)),
            ),
            (" 3days ", Some((0, 3, 0))),
            ("1-2", Some((14, 0, 0))),
            ("-1-2 3 02:03:04", Some((-14, 3, clock))),
            ("+0-11", Some((11, 0, 0))),
            ("1-12", None),
            ("1-2-3", None),
            ("1-2 3 months", None),
            ("5-", None),
            ("5 10 days", None),
            ("1:2:3:4", None),
            ("02:03.5", None),
            ("02:60", None),
            ("02:03:04 02:03", None),
            ("4294967295:00:00", None),
            ("1:xx", None),
            ("1:+2", None),
            ("5 0 microseconds", None),
            ("-", None),
            ("day", None),
            ("soon", None),
            ("", None),
        ] {
            let expected =
                expected.map(|(months, days, ns)| IntervalMonthDayNano::new(months, days, ns));
            assert_eq!(interval_of_text(text), expected, "{text}");
        }
    }

    #[test]
    fn a_literal_is_read_like_a_cast() {
        for (text, expected) in [
            (
                "1 day 04:05:06",
                Some("0 months 1 days 14706000000000 nanoseconds"),
            ),
            (
                "1 2:03:04",
                Some("0 months 1 days 7384000000000 nanoseconds"),
            ),
            ("04:05", Some("0 months 0 days 14700000000000 nanoseconds")),
            ("-1-2", Some("-14 months 0 days 0 nanoseconds")),
            (
                "1 day, 2 hours",
                Some("0 months 1 days 7200000000000 nanoseconds"),
            ),
            ("5", None),
            ("1h 30m", None),
            ("1 year 2 mons -3 days", None),
            ("soon", None),
        ] {
            let found = text_for_planner(text);
            assert_eq!(found.as_deref(), expected, "{text}");
            let config = IntervalParseConfig::new(TextUnit::Second);
            let read = |text: &str| parse_interval_month_day_nano_config(text, config.clone());
            let read = read(found.as_deref().unwrap_or(text)).ok();
            assert_eq!(read, interval_of_text(text), "{text}");
        }
    }

    #[test]
    fn casts_become_what_they_give() {
        let schema = Schema::new(vec![
            Field::new("s", DataType::Utf8, true),
            Field::new("n", INTERVAL, true),
        ]);
        let schema = schema.to_dfschema().unwrap();
        let rule = IntervalTexts::new();
        let five = IntervalMonthDayNano::new(0, 0, 5 * SECOND);
        for (expression, expected) in [
            (cast(lit("5"), INTERVAL), Some(literal(Some(five)))),
            (
                cast(lit(ScalarValue::Utf8(None)), INTERVAL),
                Some(literal(None)),
            ),
            (
                cast(col("s"), INTERVAL),
                Some(rule.strict.call(vec![col("s")])),
            ),
            (
                try_cast(lit("soon"), INTERVAL),
                Some(rule.tried.call(vec![lit("soon")])),
            ),
            (cast(col("n"), INTERVAL), None),
            (cast(col("n"), DataType::Utf8), None),
        ] {
            let found = rule.rewrite(expression.clone(), &schema).unwrap();
            assert_eq!(found.transformed, expected.is_some(), "{expression}");
            assert_eq!(found.data, expected.unwrap_or(expression));
        }
        let wrong = rule.rewrite(cast(lit("soon"), INTERVAL), &schema);
        assert!(wrong.unwrap_err().to_string().contains("is no interval"));
        let list = |of: DataType| DataType::new_list(of, true);
        let texts = cast(lit("{5}"), list(DataType::Utf8));
        let wrong = rule.rewrite(cast(texts, list(INTERVAL)), &schema);
        assert!(wrong.unwrap_err().to_string().contains("cast its values"));
    }

    #[test]
    fn columns_are_read_value_by_value() {
        let function = |is_tried: bool| IntervalOfText {
            is_tried,
            signature: Signature::any(1, Volatility::Immutable),
        };
        let texts =
            |texts: &[Option<&str>]| Arc::new(StringArray::from(texts.to_vec())) as ArrayRef;
        let strict = function(false);
        let found = strict.read(&texts(&[Some("5"), None])).unwrap();
        let five = IntervalMonthDayNano::new(0, 0, 5 * SECOND);
        let expected: IntervalMonthDayNanoArray = [Some(five), None].into_iter().collect();
        assert_eq!(found.as_ref(), &expected as &dyn Array);
        assert!(strict.read(&texts(&[Some("5"), Some("soon")])).is_err());
        let found = function(true).read(&texts(&[Some("soon"), None])).unwrap();
        assert_eq!(found.null_count(), 2);
    }
}
