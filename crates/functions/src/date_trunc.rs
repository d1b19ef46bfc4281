//! `date_trunc(unit, moment)` of moments in a time zone: what DataFusion's function
//! of this name answers, without asking the zone's history, and without text of the
//! offset, for every value.

use std::sync::Arc;

use arrow::array::timezone::Tz;
use arrow::array::{Array, AsArray, TimestampMicrosecondBuilder};
use arrow::datatypes::{DataType, FieldRef, TimeUnit, TimestampMicrosecondType};
use arrow::temporal_conversions::as_datetime_with_timezone;
use chrono::{Datelike, NaiveDate, Offset};
use datafusion::common::{ScalarValue, plan_err};
use datafusion::error::Result;
use datafusion::functions::datetime::date_trunc;
use datafusion::logical_expr::sort_properties::{ExprProperties, SortProperties};
use datafusion::logical_expr::{
    ColumnarValue, Documentation, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl,
};
use hashbrown::HashMap;

use crate::wrapped::asks_wrapped;

const HOUR_US: i64 = 3_600_000_000;
const DAY_US: i64 = 24 * HOUR_US;
/// Days from the first of January of the year 1, which is number 1, to that of 1970.
const DAYS_OF_1970: i32 = 719_163;
/// Moments this far from 1970, or further, are left to DataFusion, whose nanoseconds
/// end soon after; a year less, so that what is truncated is among them too.
const MOMENT_US_MAX: i64 = 9_190_000_000_000_000;
/// What DataFusion's function knows; what it does not know it would refuse only when
/// there is a value.
const UNITS: [&str; 10] = [
    "microsecond",
    "millisecond",
    "second",
    "minute",
    "hour",
    "day",
    "week",
    "month",
    "quarter",
    "year",
];
/// So many days are worth to be known in any case.
const DAYS_MIN: usize = 64;

/// See the module.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) struct DateTrunc {
    general: Arc<ScalarUDF>,
}

impl DateTrunc {
    pub(crate) fn new() -> Self {
        Self {
            general: date_trunc(),
        }
    }

    /// The general function of one value.
    fn of_one(&self, moment: Option<i64>, arguments: &ScalarFunctionArgs) -> Result<Option<i64>> {
        let mut of_one = arguments.clone();
        let zone = match of_one.args.get(1).map(ColumnarValue::data_type) {
            Some(DataType::Timestamp(_, zone)) => zone,
            _ => None,
        };
        of_one.number_rows = 1;
        if let Some(argument) = of_one.args.get_mut(1) {
            *argument = ColumnarValue::Scalar(ScalarValue::TimestampMicrosecond(moment, zone));
        }
        match self.general.inner().invoke_with_args(of_one)? {
            ColumnarValue::Scalar(ScalarValue::TimestampMicrosecond(moment, _)) => Ok(moment),
            other => {
                let array = other.into_array(1)?;
                let moments = array.as_primitive::<TimestampMicrosecondType>();
                Ok(moments.iter().next().flatten())
            }
        }
    }
}

impl ScalarUDFImpl for DateTrunc {
    asks_wrapped!(general);

    fn return_field_from_args(&self, arguments: ReturnFieldArgs) -> Result<FieldRef> {
        let unit = arguments.scalar_arguments.first().copied().flatten();
        let unit = unit.and_then(|unit| unit.try_as_str().flatten());
        if let Some(unit) = unit.filter(|unit| !UNITS.contains(&&*unit.to_lowercase())) {
            let known = UNITS.join(", ");
            return plan_err!("date_trunc does not know the unit {unit}: take one of {known}");
        }
        self.general.inner().return_field_from_args(arguments)
    }

    fn output_ordering(&self, inputs: &[ExprProperties]) -> Result<SortProperties> {
        self.general.inner().output_ordering(inputs)
    }

    fn documentation(&self) -> Option<&Documentation> {
        self.general.inner().documentation()
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [ColumnarValue::Scalar(unit), ColumnarValue::Array(moments)] = &arguments.args[..]
        else {
            return self.general.inner().invoke_with_args(arguments);
        };
        let unit = unit.try_as_str().flatten().and_then(Unit::of);
        let (Some(unit), DataType::Timestamp(TimeUnit::Microsecond, Some(zone_name))) =
            (unit, moments.data_type())
        else {
            return self.general.inner().invoke_with_args(arguments);
        };
        let zone: Tz = zone_name.parse()?;
        let mut offsets = Offsets::new(zone);
        let mut truncated = TimestampMicrosecondBuilder::with_capacity(moments.len())
            .with_timezone(zone_name.clone());
        for moment in moments.as_primitive::<TimestampMicrosecondType>() {
            let by_offset = moment.and_then(|moment| offsets.truncate(unit, moment));
            match (moment, by_offset) {
                (None, _) => truncated.append_null(),
                (_, Some(start)) => truncated.append_value(start),
                (moment, None) => truncated.append_option(self.of_one(moment, &arguments)?),
            }
        }
        Ok(ColumnarValue::Array(Arc::new(truncated.finish())))
    }
}

/// Units that depend on the zone. The others are the same everywhere, and simple.
#[derive(Debug, Clone, Copy)]
enum Unit {
    Hour,
    Day,
    Week,
    Month,
    Quarter,
    Year,
}

impl Unit {
    fn of(name: &str) -> Option<Self> {
        match name.to_lowercase().as_str() {
            "hour" => Some(Self::Hour),
            "day" => Some(Self::Day),
            "week" => Some(Self::Week),
            "month" => Some(Self::Month),
            "quarter" => Some(Self::Quarter),
            "year" => Some(Self::Year),
            _ => None,
        }
    }

    /// Where the unit begins that a local time lies in.
    fn start_of(self, local_us: i64) -> Option<i64> {
        let day = local_us.div_euclid(DAY_US);
        let first_day = match self {
            Self::Hour => return Some(local_us - local_us.rem_euclid(HOUR_US)),
            Self::Day => day,
            // 1970 began on a Thursday.
            Self::Week => day - (day + 3).rem_euclid(7),
            Self::Month | Self::Quarter | Self::Year => {
                let number = i32::try_from(day).ok()?.checked_add(DAYS_OF_1970)?;
                let date = NaiveDate::from_num_days_from_ce_opt(number)?;
                let month = match self {
                    Self::Month => date.month0(),
                    Self::Quarter => date.month0() / 3 * 3,
                    _ => 0,
                };
                let first = date.with_day0(0)?.with_month0(month)?;
                i64::from(first.num_days_from_ce() - DAYS_OF_1970)
            }
        };
        first_day.checked_mul(DAY_US)
    }
}

/// Offsets of a zone, by days of UTC.
struct Offsets {
    zone: Tz,
    /// The offset in microseconds of the whole day; `None` where it changes.
    days: HashMap<i64, Option<i64>>,
    /// The day that was asked for last: rows lie by time, mostly.
    last: Option<(i64, Option<i64>)>,
    /// How often another day than the last one was asked for.
    asked: usize,
}

impl Offsets {
    fn new(zone: Tz) -> Self {
        Self {
            zone,
            days: HashMap::new(),
            last: None,
            asked: 0,
        }
    }

    /// The start of the unit; `None` where offsets do not tell.
    fn truncate(&mut self, unit: Unit, moment_us: i64) -> Option<i64> {
        if moment_us.unsigned_abs() >= MOMENT_US_MAX.unsigned_abs() {
            return None;
        }
        let offset_us = self.at(moment_us)?;
        let start_us = unit.start_of(moment_us + offset_us)? - offset_us;
        // The unit may have begun under another offset.
        (self.at(start_us)? == offset_us).then_some(start_us)
    }

    fn at(&mut self, moment_us: i64) -> Option<i64> {
        let day = moment_us.div_euclid(DAY_US);
        if let Some((last, offset_us)) = self.last
            && last == day
        {
            return offset_us;
        }
        self.asked += 1;
        let zone = self.zone;
        // Days that are met once are dearer to know than the moments on them.
        let is_scattered = self.days.len() > DAYS_MIN && self.days.len() * 8 > self.asked;
        if is_scattered && !self.days.contains_key(&day) {
            return offset_at(moment_us, zone);
        }
        let offset_us = *self.days.entry(day).or_insert_with(|| of_day(day, zone));
        self.last = Some((day, offset_us));
        offset_us
    }
}

fn offset_at(moment_us: i64, zone: Tz) -> Option<i64> {
    let moment = as_datetime_with_timezone::<TimestampMicrosecondType>(moment_us, zone)?;
    Some(i64::from(moment.offset().fix().local_minus_utc()) * 1_000_000)
}

/// The offset of a day of UTC, if all its hours begin with the same one: zones do not
/// change twice within an hour.
fn of_day(day: i64, zone: Tz) -> Option<i64> {
    let at_hour = |hour: i64| {
        let moment_us = day.checked_mul(DAY_US)?.checked_add(hour * HOUR_US)?;
        offset_at(moment_us, zone)
    };
    let first = at_hour(0)?;
    (1..=24)
        .all(|hour| at_hour(hour) == Some(first))
        .then_some(first)
}

#[cfg(test)]
mod tests {
    use arrow::array::{ArrayRef, TimestampMicrosecondArray};
    use arrow::datatypes::Field;
    use datafusion::config::ConfigOptions;

    use super::*;

    fn truncated(
        function: &dyn ScalarUDFImpl,
        unit: &str,
        moments: ColumnarValue,
    ) -> Option<ArrayRef> {
        let data_type = moments.data_type();
        let field = |data_type: DataType| Arc::new(Field::new("c", data_type, true));
        let rows = match &moments {
            ColumnarValue::Array(array) => array.len(),
            ColumnarValue::Scalar(_) => 1,
        };
        let arguments = ScalarFunctionArgs {
            args: vec![ColumnarValue::Scalar(ScalarValue::from(unit)), moments],
            arg_fields: vec![field(DataType::Utf8), field(data_type.clone())],
            number_rows: rows,
            return_field: field(data_type),
            config_options: Arc::new(ConfigOptions::default()),
        };
        let value = function.invoke_with_args(arguments).ok()?;
        value.into_array(rows).ok()
    }

    /// Moments of every kind: by chance, and to the microsecond before and at each
    /// quarter of an hour of days on which zones change.
    fn moments() -> Vec<Option<i64>> {
        let mut moments = vec![None, Some(0), Some(-1), Some(1)];
        let mut chance = 7_u64;
        for _ in 0..3_000 {
            chance = chance
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            let far = (chance >> 1) as i64 % 9_100_000_000_000_000;
            moments.push(Some(if chance & 1 == 0 { far } else { -far }));
        }
        for day in [
            "2024-03-10",
            "2024-03-31",
            "2024-04-07",
            "2024-10-06",
            "2024-10-27",
            "2024-11-03",
            "2018-11-04",
            "2018-02-18",
            "2011-12-30",
            "1940-06-01",
            "1986-05-04",
            "1900-12-31",
        ] {
            let date: NaiveDate = day.parse().unwrap();
            let day = i64::from(date.num_days_from_ce() - DAYS_OF_1970);
            for quarter in -100..200 {
                let moment = day * DAY_US + quarter * HOUR_US / 4;
                moments.extend([Some(moment - 1), Some(moment)]);
            }
        }
        moments
    }

    #[test]
    fn it_answers_what_the_general_function_answers_in_every_zone() {
        let (ours, general) = (DateTrunc::new(), date_trunc());
        let units = [
            "hour",
            "DAY",
            "week",
            "month",
            "quarter",
            "year",
            "minute",
            "microsecond",
        ];
        for zone in [
            "UTC",
            "+05:30",
            "Asia/Shanghai",
            "America/New_York",
            "America/Sao_Paulo",
            "Europe/Lisbon",
            "Australia/Lord_Howe",
            "Asia/Kathmandu",
            "Africa/Monrovia",
            "Pacific/Apia",
        ] {
            let array = TimestampMicrosecondArray::from(moments()).with_timezone(zone);
            for unit in units {
                let moments = || ColumnarValue::Array(Arc::new(array.clone()));
                let expected = truncated(&**general.inner(), unit, moments());
                assert!(expected.is_some(), "{unit} in {zone}");
                assert_eq!(
                    truncated(&ours, unit, moments()),
                    expected,
                    "{unit} in {zone}"
                );
            }
        }
    }

    #[test]
    fn units_that_there_are_not_are_refused_before_there_is_a_value() {
        let moments = DataType::Timestamp(TimeUnit::Microsecond, None);
        let fields: Vec<FieldRef> = [DataType::Utf8, moments]
            .into_iter()
            .map(|data_type| Arc::new(Field::new("c", data_type, true)) as FieldRef)
            .collect();
        let planned = |unit: &str| {
            let unit = ScalarValue::from(unit);
            DateTrunc::new().return_field_from_args(ReturnFieldArgs {
                arg_fields: &fields,
                scalar_arguments: &[Some(&unit), None],
            })
        };
        for unit in ["decade", "century", "milliseconds"] {
            let problem = planned(unit).unwrap_err().to_string();
            assert!(problem.contains("millisecond, second"), "{problem}");
        }
        assert!(planned("QUARTER").is_ok());
    }

    #[test]
    fn what_the_general_function_refuses_is_refused() {
        let (ours, general) = (DateTrunc::new(), date_trunc());
        for moment in [
            i64::MIN,
            i64::MAX,
            9_223_372_036_854_775,
            -9_223_372_036_854_775,
        ] {
            let array = TimestampMicrosecondArray::from(vec![moment]).with_timezone("Asia/Tokyo");
            let moments = || ColumnarValue::Array(Arc::new(array.clone()));
            let expected = truncated(&**general.inner(), "year", moments());
            assert_eq!(truncated(&ours, "year", moments()), expected, "{moment}");
        }
    }

    #[test]
    fn moments_by_the_million_ask_the_zone_once_a_day() {
        let mut offsets = Offsets::new("Asia/Shanghai".parse().unwrap());
        for second in 0..200_000 {
            let moment_us = 1_760_000_000_000_000 + second * 1_000_000;
            let start_us = offsets.truncate(Unit::Day, moment_us).unwrap();
            assert_eq!((start_us + 8 * HOUR_US).rem_euclid(DAY_US), 0);
        }
        assert!(offsets.days.len() <= 5);
    }
}
