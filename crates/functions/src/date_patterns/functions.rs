//! `to_char`, `to_timestamp` and `to_date` with patterns of both kinds: one that
//! has a `%` is of strftime, and DataFusion's own functions know it. Patterns of
//! both kinds are short, and so is what is written by them.

use std::sync::Arc;

use arrow::array::timezone::Tz;
use arrow::array::{Array, ArrayRef, AsArray, StringArray, TimestampMicrosecondArray};
use arrow::compute::{CastOptions, cast, cast_with_options};
use arrow::datatypes::{DataType, Field, FieldRef, TimeUnit, TimestampMicrosecondType};
use arrow::temporal_conversions::{as_datetime, as_datetime_with_timezone};
use chrono::{NaiveDateTime, Offset, TimeZone};
use chrono_tz::OffsetName;
use datafusion::common::config::ConfigOptions;
use datafusion::common::{ScalarValue, exec_datafusion_err, exec_err};
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::{FunctionRegistry, SessionState};
use datafusion::logical_expr::{
    ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl,
};

use super::parse::parse;
use super::read::Reader;
use super::write::{LocalTime, OFFSET_WIDTH, write, write_offset};
use crate::local_moments::offset_at;
use crate::wrapped::asks_wrapped;

/// Characters of a pattern.
const PATTERN_LENGTH_MAX: usize = 1_000;

/// Puts these functions before DataFusion's, which they call.
///
/// # Errors
/// When the session takes no functions.
pub(crate) fn register(session: &mut SessionState) -> Result<()> {
    for (name, does) in [
        ("to_char", Does::Write),
        ("to_timestamp", Does::Read),
        ("to_timestamp_seconds", Does::Read),
        ("to_timestamp_millis", Does::Read),
        ("to_timestamp_micros", Does::Read),
        ("to_timestamp_nanos", Does::Read),
        ("to_date", Does::Read),
    ] {
        let inner = session.udf(name)?;
        let function = WithPatterns { inner, does };
        session.register_udf(Arc::new(ScalarUDF::from(function)))?;
    }
    Ok(())
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Does {
    Write,
    Read,
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct WithPatterns {
    /// DataFusion's function.
    inner: Arc<ScalarUDF>,
    does: Does,
}

impl ScalarUDFImpl for WithPatterns {
    asks_wrapped!(inner);

    /// A pattern that no text is read by is wrong whatever the rows are.
    fn return_field_from_args(&self, arguments: ReturnFieldArgs) -> Result<FieldRef> {
        if let (Does::Read, [_, Some(pattern)]) = (self.does, arguments.scalar_arguments)
            && let Some(Some(pattern)) = pattern.try_as_str()
            && !pattern.contains('%')
        {
            check_length(pattern)?;
            let reader = Reader::new(&parse(pattern), pattern);
            reader.map_err(|problem| DataFusionError::Plan(problem.message().into_owned()))?;
        }
        let fields = arguments.arg_fields.iter();
        let types: Vec<DataType> = fields.map(|field| field.data_type().clone()).collect();
        let data_type = self.return_type(&types)?;
        Ok(Arc::new(Field::new(self.name(), data_type, true)))
    }

    fn with_updated_config(&self, config: &ConfigOptions) -> Option<ScalarUDF> {
        let inner = self.inner.inner().with_updated_config(config)?;
        Some(ScalarUDF::from(Self {
            inner: Arc::new(inner),
            does: self.does,
        }))
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        if let Some(moments) = counted_moments(self.name(), &arguments)? {
            return Ok(moments);
        }
        let Some(patterns) = own_patterns(&arguments, self.does)? else {
            return self.inner.invoke_with_args(arguments);
        };
        let is_scalar = matches!(
            arguments.args.as_slice(),
            [ColumnarValue::Scalar(_), ColumnarValue::Scalar(_)]
        );
        let rows = if is_scalar { 1 } else { arguments.number_rows };
        let values = arguments.args.first();
        let values = values.map(|values| values.to_array(rows)).transpose()?;
        let Some(values) = values else {
            return self.inner.invoke_with_args(arguments);
        };
        let answers = match (self.does, &patterns) {
            (Does::Read, Patterns::One(pattern)) => {
                read(&values, pattern, arguments.return_field.data_type())?
            }
            _ => written(&values, &patterns, rows)?,
        };
        Ok(match is_scalar {
            true => ColumnarValue::Scalar(ScalarValue::try_from_array(&answers, 0)?),
            false => ColumnarValue::Array(answers),
        })
    }
}

/// The moments of integers, which count from 1970 in UTC, whatever zone they are read
/// in. DataFusion would take them for local times.
fn counted_moments(name: &str, arguments: &ScalarFunctionArgs) -> Result<Option<ColumnarValue>> {
    let unit = match name {
        "to_timestamp" | "to_timestamp_seconds" => TimeUnit::Second,
        "to_timestamp_millis" => TimeUnit::Millisecond,
        "to_timestamp_micros" => TimeUnit::Microsecond,
        "to_timestamp_nanos" => TimeUnit::Nanosecond,
        _ => return Ok(None),
    };
    let wanted = arguments.return_field.data_type();
    let DataType::Timestamp(_, zone @ Some(_)) = wanted else {
        return Ok(None);
    };
    let [count] = arguments.args.as_slice() else {
        return Ok(None);
    };
    if !count.data_type().is_integer() {
        return Ok(None);
    }
    let counted = DataType::Timestamp(unit, zone.clone());
    let moments = count.cast_to(&DataType::Int64, None)?;
    let moments = moments.cast_to(&counted, None)?;
    Ok(Some(moments.cast_to(wanted, None)?))
}

/// Patterns of PostgreSQL.
enum Patterns {
    One(String),
    OfRows(StringArray),
}

/// The patterns of a call; `None` leaves it to DataFusion.
fn own_patterns(arguments: &ScalarFunctionArgs, does: Does) -> Result<Option<Patterns>> {
    let [value, pattern] = arguments.args.as_slice() else {
        return Ok(None);
    };
    let data_type = value.data_type();
    let fits = match does {
        Does::Write => matches!(
            data_type,
            DataType::Date32 | DataType::Date64 | DataType::Timestamp(_, _)
        ),
        Does::Read => is_text(&data_type),
    };
    if !fits || !is_text(&pattern.data_type()) {
        return Ok(None);
    }
    Ok(match pattern {
        ColumnarValue::Scalar(pattern) => {
            let pattern = pattern.try_as_str().flatten();
            check_length(pattern.unwrap_or_default())?;
            pattern
                .filter(|pattern| !pattern.contains('%'))
                .map(|pattern| Patterns::One(pattern.to_owned()))
        }
        ColumnarValue::Array(patterns) => {
            let patterns = cast(patterns, &DataType::Utf8)?;
            let patterns = patterns.as_string::<i32>();
            let mut is_other = does == Does::Read;
            for pattern in patterns.iter().flatten() {
                check_length(pattern)?;
                is_other |= pattern.contains('%');
            }
            (!is_other).then(|| Patterns::OfRows(patterns.clone()))
        }
    })
}

fn check_length(pattern: &str) -> Result<()> {
    match pattern.chars().nth(PATTERN_LENGTH_MAX) {
        Some(_) => exec_err!("a pattern of dates has at most {PATTERN_LENGTH_MAX} characters"),
        None => Ok(()),
    }
}

fn is_text(data_type: &DataType) -> bool {
    matches!(
        data_type,
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View
    )
}

fn written(values: &ArrayRef, patterns: &Patterns, rows: usize) -> Result<ArrayRef> {
    let zone = match values.data_type() {
        DataType::Timestamp(_, zone) => zone.clone(),
        _ => None,
    };
    let in_us = DataType::Timestamp(TimeUnit::Microsecond, zone.clone());
    let times = cast(values, &in_us)?;
    let times = times.as_primitive::<TimestampMicrosecondType>();
    let zone = zone.as_deref().map(Zone::new).transpose()?;
    let one = match patterns {
        Patterns::One(pattern) => Some(parse(pattern)),
        Patterns::OfRows(_) => None,
    };
    let mut text = String::new();
    let texts = (0..rows).map(|row| {
        if times.is_null(row) {
            return None;
        }
        let local = local_time(times.value(row), zone.as_ref())?;
        text.clear();
        match (&one, patterns) {
            (Some(parts), _) => write(parts, &local, &mut text),
            (None, Patterns::OfRows(patterns)) if patterns.is_valid(row) => {
                write(&parse(patterns.value(row)), &local, &mut text);
            }
            (None, _) => return None,
        }
        Some(text.clone())
    });
    Ok(Arc::new(texts.collect::<StringArray>()))
}

/// The zone of moments.
struct Zone {
    zone: Tz,
    /// One that has names.
    place: Option<chrono_tz::Tz>,
}

impl Zone {
    fn new(name: &str) -> Result<Self> {
        Ok(Self {
            zone: name.parse()?,
            place: name.parse().ok(),
        })
    }
}

/// `None` for what is beyond the calendar.
fn local_time(time_us: i64, zone: Option<&Zone>) -> Option<LocalTime> {
    let utc = as_datetime::<TimestampMicrosecondType>(time_us)?;
    let Some(Zone { zone, place }) = zone else {
        return Some(LocalTime {
            time: utc,
            offset_s: None,
            zone: String::new(),
        });
    };
    let local = as_datetime_with_timezone::<TimestampMicrosecondType>(time_us, *zone)?;
    let name = place.and_then(|place| {
        let offset = place.offset_from_utc_datetime(&utc);
        offset.abbreviation().map(str::to_owned)
    });
    let offset_s = local.offset().fix().local_minus_utc();
    let zone = name.unwrap_or_else(|| {
        let mut text = String::new();
        write_offset(offset_s, OFFSET_WIDTH, &mut text);
        text
    });
    Some(LocalTime {
        time: local.naive_local(),
        offset_s: Some(offset_s),
        zone,
    })
}

fn read(values: &ArrayRef, pattern: &str, wanted: &DataType) -> Result<ArrayRef> {
    let reader = Reader::new(&parse(pattern), pattern)?;
    let texts = cast(values, &DataType::Utf8)?;
    let texts = texts.as_string::<i32>();
    // A date is the one that is written, wherever that is.
    let as_written = *wanted == DataType::Date32;
    let is_utc = reader.has_offset && !as_written;
    let (unit, zone) = match wanted {
        DataType::Timestamp(unit, zone) => (Some(*unit), zone.clone()),
        _ => (None, None),
    };
    let zone: Option<Tz> = zone.as_deref().map(str::parse).transpose()?;
    let times = texts.iter().map(|text| {
        let Some(text) = text else {
            return Ok(None);
        };
        let time = reader.read(text, as_written)?;
        let time = match &zone {
            Some(zone) if !is_utc => time.checked_sub_offset(offset_at(&time, zone)),
            _ => Some(time),
        };
        let time = time.filter(|time| fits(time, unit));
        let time = time.ok_or_else(|| {
            exec_datafusion_err!("`{text}` is out of range: times are of 1677-09-22 to 2262-04-11")
        })?;
        Ok(Some(time.and_utc().timestamp_micros()))
    });
    let times: Vec<Option<i64>> = times.collect::<Result<_>>()?;
    let times = TimestampMicrosecondArray::from(times);
    let times = times.with_timezone_opt(zone.map(|_| "+00:00"));
    let options = CastOptions {
        safe: false,
        ..CastOptions::default()
    };
    Ok(cast_with_options(&times, wanted, &options)?)
}

/// Whether there is such a time in that unit. Dates are of all times that there are.
fn fits(time: &NaiveDateTime, unit: Option<TimeUnit>) -> bool {
    unit != Some(TimeUnit::Nanosecond) || time.and_utc().timestamp_nanos_opt().is_some()
}
