//! `date_part(unit, value)`, which is also `extract(unit FROM value)`, as PostgreSQL
//! has it. DataFusion's function of this name cuts seconds, counts a year of an
//! interval as 360 days, gives the hours of a whole difference of moments, and says
//! what it does not know only when there is a value.
//!
//! | unit | of moments and days | of intervals and differences |
//! |---|---|---|
//! | second, millisecond | with the part behind the point | likewise, within the minute |
//! | epoch | DataFusion's | a year has 365.25 days, a month 30, a day 24 hours |
//! | decade, century, millennium | by the year | by its years, cut |
//! | year, quarter, month, day, hour, minute, microsecond | DataFusion's | those of `1 year 2 months 3 days 04:05:06`; a difference has days and times |
//! | week, dow, doy and their like, nanosecond | DataFusion's | refused |

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Float64Array, Int32Array};
use arrow::datatypes::{DataType, Field, FieldRef, Float64Type, Int32Type};
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::Transformed;
use datafusion::common::{ScalarValue, exec_err, plan_err};
use datafusion::error::Result;
use datafusion::functions::datetime::date_part;
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::preimage::PreimageResult;
use datafusion::logical_expr::simplify::SimplifyContext;
use datafusion::logical_expr::{
    ColumnarValue, Documentation, Expr, LogicalPlan, ReturnFieldArgs, ScalarFunctionArgs,
    ScalarUDF, ScalarUDFImpl,
};
use datafusion::optimizer::AnalyzerRule;

use crate::by_array::by_array;
use crate::rewriting::rewritten;
use crate::spans::{HOUR_US, MINUTE_US, Span, spans};
use crate::wrapped::asks_wrapped;

/// `extract`, for which the planner takes DataFusion's function, by ours. It comes
/// before types are matched.
#[derive(Debug)]
pub(crate) struct Extracts {
    ours: Arc<ScalarUDF>,
}

impl Extracts {
    pub(crate) fn new() -> Self {
        Self {
            ours: Arc::new(ScalarUDF::from(DatePart::new())),
        }
    }
}

impl AnalyzerRule for Extracts {
    fn name(&self) -> &str {
        "extracts"
    }

    fn analyze(&self, plan: LogicalPlan, _: &ConfigOptions) -> Result<LogicalPlan> {
        rewritten(plan, &|expression, _| match expression {
            Expr::ScalarFunction(call)
                if call.name() == self.ours.name() && call.func != self.ours =>
            {
                let call = ScalarFunction::new_udf(self.ours.clone(), call.args);
                Ok(Transformed::yes(Expr::ScalarFunction(call)))
            }
            other => Ok(Transformed::no(other)),
        })
    }
}

/// See the module.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) struct DatePart {
    general: Arc<ScalarUDF>,
}

impl DatePart {
    pub(crate) fn new() -> Self {
        Self {
            general: date_part(),
        }
    }

    /// DataFusion's answer for another unit.
    fn general_of(&self, unit: &str, mut arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        if let Some(argument) = arguments.args.first_mut() {
            *argument = ColumnarValue::Scalar(ScalarValue::from(unit));
        }
        self.general.inner().invoke_with_args(arguments)
    }
}

impl ScalarUDFImpl for DatePart {
    asks_wrapped!(general);

    fn return_field_from_args(&self, arguments: ReturnFieldArgs) -> Result<FieldRef> {
        let unit = arguments.scalar_arguments.first().copied().flatten();
        let unit = unit.and_then(|unit| unit.try_as_str().flatten());
        let (Some(name), Some(value)) = (unit, arguments.arg_fields.get(1)) else {
            return self.general.inner().return_field_from_args(arguments);
        };
        let Some(unit) = Unit::of(name) else {
            return plan_err!(
                "extract and date_part do not know the unit {name}: take microsecond, millisecond, second, minute, hour, day, week, month, quarter, year, decade, century, millennium, epoch, dow, isodow, doy or isoyear"
            );
        };
        if !unit.is_of(value.data_type()) {
            return plan_err!(
                "{} has no {name} that extract could give",
                value.data_type()
            );
        }
        let data_type = match unit {
            Unit::Second | Unit::Millisecond | Unit::Epoch => DataType::Float64,
            Unit::Nanosecond => DataType::Int64,
            _ => DataType::Int32,
        };
        let field = Field::new(self.name(), data_type, value.is_nullable());
        Ok(Arc::new(field))
    }

    /// Which moments have a year: those are looked for instead.
    fn preimage(
        &self,
        arguments: &[Expr],
        value: &Expr,
        context: &SimplifyContext,
    ) -> Result<PreimageResult> {
        self.general.inner().preimage(arguments, value, context)
    }

    fn documentation(&self) -> Option<&Documentation> {
        self.general.inner().documentation()
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let unit = match arguments.args.first() {
            Some(ColumnarValue::Scalar(unit)) => unit.try_as_str().flatten().and_then(Unit::of),
            _ => None,
        };
        let (Some(unit), Some(value)) = (unit, arguments.args.get(1)) else {
            return self.general.inner().invoke_with_args(arguments);
        };
        if is_span(&value.data_type()) {
            let parts = |values: &ArrayRef| of_spans(unit, values);
            return by_array(value, &parts);
        }
        match unit {
            Unit::Second => {
                let microseconds = self.general_of("microsecond", arguments)?;
                by_array(&microseconds, &|values| Ok(divided(values, 1e6)))
            }
            Unit::Millisecond => {
                let microseconds = self.general_of("microsecond", arguments)?;
                by_array(&microseconds, &|values| Ok(divided(values, 1e3)))
            }
            Unit::Decade | Unit::Century | Unit::Millennium => {
                let years = self.general_of("year", arguments)?;
                by_array(&years, &|values| Ok(of_years(unit, values)))
            }
            _ => self.general.inner().invoke_with_args(arguments),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Unit {
    Nanosecond,
    Microsecond,
    Millisecond,
    Second,
    Minute,
    Hour,
    Day,
    Month,
    Quarter,
    Year,
    Decade,
    Century,
    Millennium,
    Epoch,
    /// Those of the calendar of weeks, and days of the year.
    OfWeeks,
}

impl Unit {
    /// By PostgreSQL's names, and DataFusion's.
    fn of(name: &str) -> Option<Self> {
        let name = name.trim_matches(['\'', '"']).to_lowercase();
        Some(match name.as_str() {
            "nanosecond" | "nanoseconds" => Self::Nanosecond,
            "us" | "usec" | "usecs" | "usecond" | "useconds" | "microsecond" | "microseconds" => {
                Self::Microsecond
            }
            "ms" | "msec" | "msecs" | "msecond" | "mseconds" | "millisecond" | "milliseconds" => {
                Self::Millisecond
            }
            "s" | "sec" | "secs" | "second" | "seconds" => Self::Second,
            "m" | "min" | "mins" | "minute" | "minutes" => Self::Minute,
            "h" | "hr" | "hrs" | "hour" | "hours" => Self::Hour,
            "d" | "day" | "days" => Self::Day,
            "mon" | "mons" | "month" | "months" => Self::Month,
            "qtr" | "quarter" => Self::Quarter,
            "y" | "yr" | "yrs" | "year" | "years" => Self::Year,
            "dec" | "decs" | "decade" | "decades" => Self::Decade,
            "c" | "cent" | "cents" | "century" | "centuries" => Self::Century,
            "mil" | "mils" | "millennium" | "millennia" => Self::Millennium,
            "epoch" => Self::Epoch,
            "w" | "week" | "weeks" | "isoyear" | "doy" | "dow" | "isodow" => Self::OfWeeks,
            _ => return None,
        })
    }

    fn is_of(self, data_type: &DataType) -> bool {
        match data_type {
            DataType::Time32(_) | DataType::Time64(_) => matches!(
                self,
                Self::Nanosecond
                    | Self::Microsecond
                    | Self::Millisecond
                    | Self::Second
                    | Self::Minute
                    | Self::Hour
                    | Self::Epoch
            ),
            span if is_span(span) => !matches!(self, Self::Nanosecond | Self::OfWeeks),
            _ => true,
        }
    }
}

fn is_span(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Interval(_) | DataType::Duration(_))
}

fn divided(values: &ArrayRef, by: f64) -> ArrayRef {
    let values = values.as_primitive::<Int32Type>();
    let parts: Float64Array = values.unary::<_, Float64Type>(|value| f64::from(value) / by);
    Arc::new(parts)
}

/// Of calendar years, where 0 is the year before the first.
///
/// Source: PostgreSQL's documentation, "EXTRACT, date_part": the first century
/// begins with the year 1, and there is none of number 0; a decade is the year
/// divided by 10.
fn of_years(unit: Unit, years: &ArrayRef) -> ArrayRef {
    let counted = |year: i32, length: i32| match year > 0 {
        true => (year - 1).div_euclid(length) + 1,
        false => -((-year).div_euclid(length) + 1),
    };
    let years = years.as_primitive::<Int32Type>();
    let numbers: Int32Array = years.unary::<_, Int32Type>(|year| match unit {
        Unit::Century => counted(year, 100),
        Unit::Millennium => counted(year, 1_000),
        _ => year.div_euclid(10),
    });
    Arc::new(numbers)
}

/// A unit that is a whole number.
fn whole(span: Span, unit: Unit) -> i64 {
    match unit {
        Unit::Microsecond => span.microseconds % MINUTE_US,
        Unit::Minute => span.microseconds / MINUTE_US % 60,
        Unit::Hour => span.microseconds / HOUR_US,
        Unit::Day => span.days,
        Unit::Month => span.months % 12,
        Unit::Quarter => span.months % 12 / 3 + 1,
        Unit::Decade => span.months / 120,
        Unit::Century => span.months / 1_200,
        Unit::Millennium => span.months / 12_000,
        _ => span.months / 12,
    }
}

fn of_spans(unit: Unit, values: &ArrayRef) -> Result<ArrayRef> {
    let spans = spans(values)?;
    let within_minute = |by: f64| {
        let parts = spans.iter().map(|span| {
            let span = span.as_ref()?;
            Some((span.microseconds % MINUTE_US) as f64 / by)
        });
        let parts: Float64Array = parts.collect();
        Arc::new(parts) as ArrayRef
    };
    match unit {
        Unit::Second => return Ok(within_minute(1e6)),
        Unit::Millisecond => return Ok(within_minute(1e3)),
        Unit::Epoch => {
            let seconds: Float64Array = spans
                .iter()
                .map(|span| Some(span.as_ref()?.epoch()))
                .collect();
            return Ok(Arc::new(seconds));
        }
        _ => {}
    }
    let mut parts = Int32Array::builder(spans.len());
    for span in spans {
        let Some(span) = span else {
            parts.append_null();
            continue;
        };
        match i32::try_from(whole(span, unit)) {
            Ok(part) => parts.append_value(part),
            Err(_) => return exec_err!("an interval is too long to extract its {unit:?}"),
        }
    }
    Ok(Arc::new(parts.finish()))
}

#[cfg(test)]
mod tests {
    use arrow::array::Array;
    use arrow::datatypes::IntervalMonthDayNano;

    use super::*;

    fn field(data_type: DataType) -> FieldRef {
        Arc::new(Field::new("c", data_type, true))
    }

    fn part(unit: &str, value: &ScalarValue) -> Result<ScalarValue> {
        let function = DatePart::new();
        let name = ScalarValue::from(unit);
        let arg_fields = vec![field(DataType::Utf8), field(value.data_type())];
        let return_field = function.return_field_from_args(ReturnFieldArgs {
            arg_fields: &arg_fields,
            scalar_arguments: &[Some(&name), Some(value)],
        })?;
        let wanted = return_field.data_type().clone();
        let arguments = ScalarFunctionArgs {
            args: vec![
                ColumnarValue::Scalar(name),
                ColumnarValue::Array(value.to_array()?),
            ],
            arg_fields,
            number_rows: 1,
            return_field,
            config_options: Arc::new(ConfigOptions::default()),
        };
        let found = function.invoke_with_args(arguments)?.into_array(1)?;
        assert_eq!(found.data_type(), &wanted, "{unit}");
        ScalarValue::try_from_array(&found, 0)
    }

    /// 2001-02-16 20:38:40.123456, as PostgreSQL's documentation has it, in
    /// microseconds more.
    fn moment(zone: Option<&str>) -> ScalarValue {
        let moment_us = 982_355_920_123_456;
        ScalarValue::TimestampMicrosecond(Some(moment_us), zone.map(Arc::from))
    }

    #[test]
    fn parts_of_moments_are_postgresql_s() {
        for (unit, expected) in [
            ("second", ScalarValue::from(40.123_456)),
            ("MILLISECONDS", ScalarValue::from(40_123.456)),
            ("microseconds", ScalarValue::from(40_123_456)),
            ("epoch", ScalarValue::from(982_355_920.123_456)),
            ("hour", ScalarValue::from(20)),
            ("decade", ScalarValue::from(200)),
            ("century", ScalarValue::from(21)),
            ("millennium", ScalarValue::from(3)),
            ("year", ScalarValue::from(2001)),
            ("dow", ScalarValue::from(5)),
            ("doy", ScalarValue::from(47)),
        ] {
            assert_eq!(part(unit, &moment(None)).unwrap(), expected, "{unit}");
        }
        // Half an hour beside UTC.
        let zoned = moment(Some("+05:30"));
        assert_eq!(part("minute", &zoned).unwrap(), ScalarValue::from(8));
        assert_eq!(
            part("second", &zoned).unwrap(),
            ScalarValue::from(40.123_456)
        );
        let nothing = ScalarValue::TimestampMicrosecond(None, None);
        let nulls = part("second", &nothing).unwrap();
        assert_eq!(nulls, ScalarValue::Float64(None));
    }

    #[test]
    fn centuries_begin_with_their_first_year() {
        let years: ArrayRef = Arc::new(Int32Array::from(vec![
            2000, 2001, 1900, 1, 0, -99, -100, -999, -1000,
        ]));
        for (unit, expected) in [
            (Unit::Century, [20, 21, 19, 1, -1, -1, -2, -10, -11]),
            (Unit::Millennium, [2, 3, 2, 1, -1, -1, -1, -1, -2]),
            (Unit::Decade, [200, 200, 190, 0, 0, -10, -10, -100, -100]),
        ] {
            let found = of_years(unit, &years);
            let found = found.as_primitive::<Int32Type>();
            assert_eq!(found.values().to_vec(), expected, "{unit:?}");
        }
    }

    #[test]
    fn parts_of_intervals_are_postgresql_s() {
        // 1 year 2 months 40 days 25:01:02.5
        let interval = ScalarValue::IntervalMonthDayNano(Some(IntervalMonthDayNano::new(
            14,
            40,
            90_062_500_000_000,
        )));
        for (unit, expected) in [
            ("year", ScalarValue::from(1)),
            ("month", ScalarValue::from(2)),
            ("quarter", ScalarValue::from(1)),
            ("day", ScalarValue::from(40)),
            ("hour", ScalarValue::from(25)),
            ("minute", ScalarValue::from(1)),
            ("second", ScalarValue::from(2.5)),
            ("millisecond", ScalarValue::from(2_500.0)),
            ("microsecond", ScalarValue::from(2_500_000)),
            // 31557600 + 2 * 2592000 + 40 * 86400 + 90062.5
            ("epoch", ScalarValue::from(40_287_662.5)),
        ] {
            assert_eq!(part(unit, &interval).unwrap(), expected, "{unit}");
        }
        // -(1 day 02:03:04.25)
        let difference = ScalarValue::DurationMicrosecond(Some(-93_784_250_000));
        for (unit, expected) in [
            ("day", ScalarValue::from(-1)),
            ("hour", ScalarValue::from(-2)),
            ("minute", ScalarValue::from(-3)),
            ("second", ScalarValue::from(-4.25)),
            ("month", ScalarValue::from(0)),
            ("epoch", ScalarValue::from(-93_784.25)),
        ] {
            assert_eq!(part(unit, &difference).unwrap(), expected, "{unit}");
        }
    }

    #[test]
    fn what_there_is_not_is_refused_before_there_is_a_value() {
        let interval = ScalarValue::IntervalYearMonth(Some(1));
        let time = ScalarValue::Time64Microsecond(Some(1));
        for (unit, value) in [
            ("julian", &moment(None)),
            ("timezone", &moment(None)),
            ("week", &interval),
            ("dow", &interval),
            ("day", &time),
        ] {
            let problem = part(unit, value).unwrap_err().to_string();
            assert!(problem.contains("extract"), "{unit}: {problem}");
        }
    }
}
