//! Dates and times without a zone as the moments at which they are in a zone, as
//! PostgreSQL finds them: where the clocks show a time twice, the second time, and
//! where they leave it out, as far behind the gap as it is in it. Arrow's casts
//! have no answer for either.

use std::sync::Arc;

use arrow::array::timezone::Tz;
use arrow::array::{ArrayRef, AsArray};
use arrow::compute::{CastOptions, cast, cast_with_options};
use arrow::datatypes::{DataType, Field, FieldRef, Int64Type, TimeUnit};
use chrono::{DateTime, FixedOffset, MappedLocalTime, NaiveDateTime, Offset, TimeDelta, TimeZone};
use datafusion::common::utils::take_function_args;
use datafusion::common::{exec_datafusion_err, internal_err};
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::{
    ColumnarValue, Expr, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
    Volatility,
};

use crate::by_array::by_array;

/// So long before a time that the clocks leave out, taken for one of UTC, they have
/// not moved yet, wherever they are.
const BEFORE_GAP: TimeDelta = TimeDelta::days(1);

/// How far a zone is ahead of UTC when its clocks show a time; see the module.
pub fn offset_at(local: &NaiveDateTime, zone: &Tz) -> FixedOffset {
    match zone.offset_from_local_datetime(local) {
        MappedLocalTime::Single(offset) => offset.fix(),
        MappedLocalTime::Ambiguous(one, other) => {
            let (one, other) = (one.fix(), other.fix());
            // The less a zone is ahead, the later it shows a time.
            match one.local_minus_utc() < other.local_minus_utc() {
                true => one,
                false => other,
            }
        }
        MappedLocalTime::None => {
            let before = local.checked_sub_signed(BEFORE_GAP).unwrap_or(*local);
            zone.offset_from_utc_datetime(&before).fix()
        }
    }
}

/// A date, or a time without a zone, as a moment of this type.
pub(crate) fn moment_of_local(local: Expr, wanted: DataType) -> Expr {
    let signature = Signature::any(1, Volatility::Immutable);
    let function = Arc::new(ScalarUDF::from(MomentOfLocal { wanted, signature }));
    Expr::ScalarFunction(ScalarFunction::new_udf(function, vec![local]))
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct MomentOfLocal {
    wanted: DataType,
    signature: Signature,
}

impl ScalarUDFImpl for MomentOfLocal {
    fn name(&self) -> &str {
        "moment_of_local"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _types: &[DataType]) -> Result<DataType> {
        Ok(self.wanted.clone())
    }

    fn return_field_from_args(&self, arguments: ReturnFieldArgs) -> Result<FieldRef> {
        let mut fields = arguments.arg_fields.iter();
        let is_nullable = fields.any(|field| field.is_nullable());
        let field = Field::new(self.name(), self.wanted.clone(), is_nullable);
        Ok(Arc::new(field))
    }

    /// As the cast that it is.
    fn display_name(&self, arguments: &[Expr]) -> Result<String> {
        let [local] = take_function_args(self.name(), arguments)?;
        Ok(format!("CAST({local} AS {})", self.wanted))
    }

    /// Other than that of a cast not the name of what is cast: both may be columns
    /// of the input of a join, and DataFusion gives only casts another name there.
    fn schema_name(&self, arguments: &[Expr]) -> Result<String> {
        let [local] = take_function_args(self.name(), arguments)?;
        Ok(format!("CAST({} AS {})", local.schema_name(), self.wanted))
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [local] = take_function_args(self.name(), arguments.args)?;
        by_array(&local, &|locals| moments(locals, &self.wanted))
    }
}

/// Dates, or times without a zone, as moments of this type.
///
/// # Errors
/// When it is no type of moments, or has no room for one of them.
pub(crate) fn moments(locals: &ArrayRef, wanted: &DataType) -> Result<ArrayRef> {
    let DataType::Timestamp(unit, Some(zone)) = wanted else {
        return internal_err!("{wanted} is no type of moments");
    };
    let zone: Tz = zone.parse()?;
    let per_s = per_second(*unit);
    let options = CastOptions {
        safe: false,
        ..CastOptions::default()
    };
    let locals = cast_with_options(locals, &DataType::Timestamp(*unit, None), &options)?;
    let locals = cast(&locals, &DataType::Int64)?;
    let locals = locals.as_primitive::<Int64Type>();
    let moments = locals.try_unary::<_, Int64Type, DataFusionError>(|local| {
        let seconds = DateTime::from_timestamp(local.div_euclid(per_s), 0);
        let moment = seconds.and_then(|seconds| {
            let offset = offset_at(&seconds.naive_utc(), &zone);
            local.checked_sub(i64::from(offset.local_minus_utc()) * per_s)
        });
        moment.ok_or_else(|| exec_datafusion_err!("a time is beyond the calendar"))
    })?;
    Ok(cast(&moments, wanted)?)
}

fn per_second(unit: TimeUnit) -> i64 {
    match unit {
        TimeUnit::Second => 1,
        TimeUnit::Millisecond => 1_000,
        TimeUnit::Microsecond => 1_000_000,
        TimeUnit::Nanosecond => 1_000_000_000,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::{Date32Array, TimestampSecondArray};
    use arrow::util::display::array_value_to_string;

    fn found(local: &str, zone: &str) -> String {
        let time: NaiveDateTime = local.parse().unwrap();
        let times = TimestampSecondArray::from(vec![time.and_utc().timestamp()]);
        let times: ArrayRef = Arc::new(times);
        let wanted = DataType::Timestamp(TimeUnit::Microsecond, Some(zone.into()));
        array_value_to_string(&moments(&times, &wanted).unwrap(), 0).unwrap()
    }

    #[test]
    fn times_are_found_as_in_postgresql() {
        for (local, zone, expected) in [
            (
                "2026-11-21T08:10:00",
                "Asia/Shanghai",
                "2026-11-21T08:10:00+08:00",
            ),
            ("2026-11-21T08:10:00", "-03:30", "2026-11-21T08:10:00-03:30"),
            // An hour is left out.
            (
                "2026-03-08T02:30:00",
                "America/New_York",
                "2026-03-08T03:30:00-04:00",
            ),
            (
                "2018-11-04T00:00:00",
                "America/Sao_Paulo",
                "2018-11-04T01:00:00-02:00",
            ),
            // An hour is there twice.
            (
                "2026-11-01T01:30:00",
                "America/New_York",
                "2026-11-01T01:30:00-05:00",
            ),
            (
                "2026-11-01T00:00:00",
                "America/Havana",
                "2026-11-01T00:00:00-05:00",
            ),
            // A day is left out.
            (
                "2011-12-30T12:00:00",
                "Pacific/Apia",
                "2011-12-31T12:00:00+14:00",
            ),
            // Before 1970.
            (
                "1969-12-31T23:59:59",
                "Asia/Tokyo",
                "1969-12-31T23:59:59+09:00",
            ),
        ] {
            assert_eq!(found(local, zone), expected, "{local} {zone}");
        }
    }

    #[test]
    fn what_does_not_fit_is_an_error() {
        let dates: ArrayRef = Arc::new(Date32Array::from(vec![Some(2_932_896), None]));
        let type_in = |unit| DataType::Timestamp(unit, Some("Asia/Tokyo".into()));
        let found = moments(&dates, &type_in(TimeUnit::Microsecond)).unwrap();
        let text = array_value_to_string(&found, 0).unwrap();
        assert_eq!(text, "9999-12-31T00:00:00+09:00");
        assert!(found.is_null(1));
        assert!(moments(&dates, &type_in(TimeUnit::Nanosecond)).is_err());
    }
}
