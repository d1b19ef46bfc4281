//! Values of parameters, in both formats, as they are written in SQL.

use arrow::array::timezone::Tz;
use chrono::{DateTime, NaiveDate, NaiveDateTime, NaiveTime};
use datafusion::sql::sqlparser::ast::{DataType, Expr, UnaryOperator, Value};
use datafusion_postgres::pgwire::api::Type;
use datafusion_postgres::pgwire::error::{PgWireError, PgWireResult};
use sluice_functions::{interval_of_text, offset_at};
use sluice_syntax::{fitted, text_as};

use super::codes::error;
use super::parameter_texts::{elements_of_binary, elements_of_text, numeric_of_binary};
use super::parameter_types::{element_of, null_of, sql_type};
use super::parameters::Bound;

/// Values of one array.
const ARRAY_VALUES_MAX: usize = 32_768;
/// From 1970 to 2000, when PostgreSQL's time begins.
const EPOCH_SECONDS: i64 = 946_684_800;
const SECONDS_A_DAY: i64 = 86_400;
const MICROSECONDS_A_SECOND: i64 = 1_000_000;

/// The value of a parameter of a type, `None` for NULL. Moments that are written
/// without an offset are those of the zone.
///
/// # Errors
/// When it is none of the type.
pub(super) fn bound(
    value: Option<&[u8]>,
    is_binary: bool,
    data_type: &Type,
    zone: &Tz,
) -> PgWireResult<Bound> {
    let Some(element) = element_of(data_type) else {
        let value = one(value, is_binary, data_type, zone)?;
        return Ok(Bound::One(Box::new(value)));
    };
    let Some(bytes) = value else {
        return Ok(Bound::List(None, sql_type(element)?));
    };
    let list: Vec<Expr> = match is_binary {
        true => {
            let elements = elements_of_binary(bytes).ok_or_else(|| wrong_binary(data_type))?;
            check_count(elements.len())?;
            let elements = elements.into_iter();
            let elements = elements.map(|value| one(value, true, element, zone));
            elements.collect::<PgWireResult<_>>()?
        }
        false => {
            let text = text_of(bytes)?;
            let elements = elements_of_text(text).ok_or_else(|| wrong_text(text, data_type))?;
            check_count(elements.len())?;
            let elements = elements.iter().map(|value| {
                let value = value.as_ref().map(String::as_bytes);
                one(value, false, element, zone)
            });
            elements.collect::<PgWireResult<_>>()?
        }
    };
    Ok(Bound::List(Some(list), sql_type(element)?))
}

fn check_count(count: usize) -> PgWireResult<()> {
    if count <= ARRAY_VALUES_MAX {
        return Ok(());
    }
    // 54000: program_limit_exceeded.
    let problem =
        format!("an array has {count} values, more than {ARRAY_VALUES_MAX}: give them in turns");
    Err(error("54000", problem))
}

fn one(value: Option<&[u8]>, is_binary: bool, data_type: &Type, zone: &Tz) -> PgWireResult<Expr> {
    match (value, is_binary) {
        (None, _) => Ok(null_of(sql_type(data_type)?)),
        (Some(bytes), true) => of_binary(bytes, data_type),
        (Some(bytes), false) => of_text(text_of(bytes)?, data_type, zone),
    }
}

fn text_of(bytes: &[u8]) -> PgWireResult<&str> {
    std::str::from_utf8(bytes).map_err(|_| {
        // 22021: character_not_in_repertoire.
        error("22021", "a parameter is no text in UTF-8".to_owned())
    })
}

fn wrong_text(text: &str, data_type: &Type) -> PgWireError {
    // 22P02: invalid_text_representation.
    let name = data_type.name();
    error(
        "22P02",
        format!("invalid input syntax for type {name}: \"{text}\""),
    )
}

fn wrong_binary(data_type: &Type) -> PgWireError {
    // 22P03: invalid_binary_representation.
    let problem = format!(
        "a parameter is no binary value of the type {}",
        data_type.name()
    );
    error("22P03", problem)
}

fn out_of_range(data_type: &Type) -> PgWireError {
    // 22003: numeric_value_out_of_range.
    let problem = format!(
        "a parameter is out of range for the type {}",
        data_type.name()
    );
    error("22003", problem)
}

fn literal(text: &str) -> Expr {
    Expr::value(Value::SingleQuotedString(text.to_owned()))
}

fn integer(number: i64) -> Expr {
    text_as(number.to_string(), DataType::BigInt(None))
}

/// A number as a decimal that has all of its digits, or else as a float.
fn numeric(text: &str, data_type: &Type) -> PgWireResult<Expr> {
    let lower = text.trim().to_ascii_lowercase();
    if let "nan" | "inf" | "infinity" | "-inf" | "-infinity" | "+infinity" = lower.as_str() {
        return Ok(text_as(lower, DataType::DoublePrecision));
    }
    let (is_negative, number) = match lower.strip_prefix('-') {
        Some(number) => (true, number),
        None => (false, lower.strip_prefix('+').unwrap_or(&lower)),
    };
    let (mantissa, exponent) = match number.split_once('e') {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (number, None),
    };
    let digits = mantissa.replacen('.', "", 1);
    let is_number = !digits.is_empty() && digits.bytes().all(|digit| digit.is_ascii_digit());
    if !is_number || exponent.is_some_and(|exponent| exponent.parse::<i32>().is_err()) {
        return Err(wrong_text(text, data_type));
    }
    let positive = match exponent {
        Some(_) => fitted(number).ok_or_else(|| out_of_range(data_type))?,
        None => {
            // It is no integer, though it may look like one.
            let point = if mantissa.contains('.') { "" } else { "." };
            Expr::value(Value::Number(format!("{mantissa}{point}"), false))
        }
    };
    Ok(match is_negative {
        true => Expr::Nested(Box::new(Expr::UnaryOp {
            op: UnaryOperator::Minus,
            expr: Box::new(positive),
        })),
        false => positive,
    })
}

fn of_text(text: &str, data_type: &Type, zone: &Tz) -> PgWireResult<Expr> {
    let wrong = || wrong_text(text, data_type);
    let typed = |text: String| -> PgWireResult<Expr> { Ok(text_as(text, sql_type(data_type)?)) };
    match *data_type {
        Type::BOOL => match text.trim().to_ascii_lowercase().as_str() {
            "t" | "true" | "y" | "yes" | "on" | "1" => Ok(Expr::value(Value::Boolean(true))),
            "f" | "false" | "n" | "no" | "off" | "0" => Ok(Expr::value(Value::Boolean(false))),
            _ => Err(wrong()),
        },
        Type::INT2 | Type::INT4 | Type::INT8 | Type::OID => {
            let number: i64 = text.trim().parse().map_err(|_| wrong())?;
            Ok(integer(number))
        }
        Type::FLOAT4 | Type::FLOAT8 => {
            let number: f64 = text.trim().parse().map_err(|_| wrong())?;
            let is_said = text.to_ascii_lowercase().contains("inf");
            match number.is_infinite() && !is_said {
                true => Err(out_of_range(data_type)),
                false => typed(text.trim().to_owned()),
            }
        }
        Type::NUMERIC => numeric(text, data_type),
        Type::BYTEA => {
            let hex = text.strip_prefix("\\x").ok_or_else(wrong)?;
            let is_hex =
                hex.len().is_multiple_of(2) && hex.bytes().all(|digit| digit.is_ascii_hexdigit());
            match is_hex {
                true => Ok(Expr::value(Value::HexStringLiteral(hex.to_owned()))),
                false => Err(wrong()),
            }
        }
        Type::TIMESTAMP => {
            let time = local_time(text.trim()).ok_or_else(wrong)?;
            typed(time.to_string())
        }
        Type::TIMESTAMPTZ => match local_time(text.trim()) {
            Some(local) => typed(format!("{local}{}", offset_at(&local, zone))),
            None => typed(text.to_owned()),
        },
        Type::DATE | Type::TIME => typed(text.trim().to_owned()),
        Type::INTERVAL => match interval_of_text(text) {
            Some(_) => typed(text.to_owned()),
            None => Err(wrong()),
        },
        _ => {
            // The other types that there are values of are texts.
            sql_type(data_type)?;
            Ok(literal(text))
        }
    }
}

fn of_binary(bytes: &[u8], data_type: &Type) -> PgWireResult<Expr> {
    let wrong = || wrong_binary(data_type);
    let typed = |text: String| -> PgWireResult<Expr> { Ok(text_as(text, sql_type(data_type)?)) };
    match *data_type {
        Type::BOOL => match bytes {
            [byte] => Ok(Expr::value(Value::Boolean(*byte != 0))),
            _ => Err(wrong()),
        },
        Type::INT2 => Ok(integer(i16::from_be_bytes(fixed(bytes, data_type)?).into())),
        Type::INT4 => Ok(integer(i32::from_be_bytes(fixed(bytes, data_type)?).into())),
        Type::INT8 => Ok(integer(i64::from_be_bytes(fixed(bytes, data_type)?))),
        Type::OID => Ok(integer(u32::from_be_bytes(fixed(bytes, data_type)?).into())),
        Type::FLOAT4 => typed(format!(
            "{:e}",
            f32::from_be_bytes(fixed(bytes, data_type)?)
        )),
        Type::FLOAT8 => typed(format!(
            "{:e}",
            f64::from_be_bytes(fixed(bytes, data_type)?)
        )),
        Type::NUMERIC => {
            let text = numeric_of_binary(bytes).ok_or_else(wrong)?;
            numeric(&text, data_type)
        }
        Type::BYTEA => {
            let hex: Vec<String> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
            Ok(Expr::value(Value::HexStringLiteral(hex.concat())))
        }
        Type::DATE => {
            let days = i32::from_be_bytes(fixed(bytes, data_type)?);
            let seconds = i64::from(days) * SECONDS_A_DAY + EPOCH_SECONDS;
            let day =
                DateTime::from_timestamp(seconds, 0).ok_or_else(|| out_of_range(data_type))?;
            typed(day.date_naive().to_string())
        }
        Type::TIMESTAMP | Type::TIMESTAMPTZ => {
            let since = i64::from_be_bytes(fixed(bytes, data_type)?);
            let since = since.checked_add(EPOCH_SECONDS * MICROSECONDS_A_SECOND);
            let time = since.and_then(DateTime::from_timestamp_micros);
            let time = time.ok_or_else(|| out_of_range(data_type))?.naive_utc();
            let offset = match *data_type {
                Type::TIMESTAMPTZ => "+00:00",
                _ => "",
            };
            typed(format!("{time}{offset}"))
        }
        Type::TIME => {
            let since = i64::from_be_bytes(fixed(bytes, data_type)?);
            let seconds = u32::try_from(since.div_euclid(MICROSECONDS_A_SECOND)).ok();
            let nanoseconds = u32::try_from(since.rem_euclid(MICROSECONDS_A_SECOND) * 1_000).ok();
            let time = seconds.zip(nanoseconds).and_then(|(seconds, nanoseconds)| {
                NaiveTime::from_num_seconds_from_midnight_opt(seconds, nanoseconds)
            });
            typed(time.ok_or_else(|| out_of_range(data_type))?.to_string())
        }
        Type::INTERVAL => {
            let parts: [u8; 16] = fixed(bytes, data_type)?;
            let (microseconds, rest) = parts.split_at(8);
            let (days, months) = rest.split_at(4);
            let microseconds = i64::from_be_bytes(fixed(microseconds, data_type)?);
            let days = i32::from_be_bytes(fixed(days, data_type)?);
            let months = i32::from_be_bytes(fixed(months, data_type)?);
            typed(format!(
                "{months} months {days} days {microseconds} microseconds"
            ))
        }
        Type::UUID => {
            let number = u128::from_be_bytes(fixed(bytes, data_type)?);
            let hex = format!("{number:032x}");
            let places = [0..8, 8..12, 12..16, 16..20, 20..32];
            let parts = places.map(|place| hex.get(place).unwrap_or_default());
            Ok(literal(&parts.join("-")))
        }
        // Behind the number of its version.
        Type::JSONB => match bytes {
            [1, text @ ..] => Ok(literal(text_of(text)?)),
            _ => Err(wrong()),
        },
        _ => {
            sql_type(data_type)?;
            Ok(literal(text_of(bytes)?))
        }
    }
}

fn fixed<const N: usize>(bytes: &[u8], data_type: &Type) -> PgWireResult<[u8; N]> {
    bytes.try_into().map_err(|_| wrong_binary(data_type))
}

/// A time that is written without an offset.
fn local_time(text: &str) -> Option<NaiveDateTime> {
    const PATTERNS: [&str; 4] = [
        "%Y-%m-%d %H:%M:%S%.f",
        "%Y-%m-%dT%H:%M:%S%.f",
        "%Y-%m-%d %H:%M",
        "%Y-%m-%dT%H:%M",
    ];
    let mut patterns = PATTERNS.iter();
    let time = patterns.find_map(|pattern| NaiveDateTime::parse_from_str(text, pattern).ok());
    let midnight = || {
        let date = NaiveDate::parse_from_str(text, "%Y-%m-%d").ok()?;
        date.and_hms_opt(0, 0, 0)
    };
    time.or_else(midnight)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(value: &[u8], is_binary: bool, data_type: &Type) -> Result<String, PgWireError> {
        let zone: Tz = "Asia/Shanghai".parse().unwrap();
        bound(Some(value), is_binary, data_type, &zone).map(|bound| match bound {
            Bound::One(value) => value.to_string(),
            Bound::List(list, element) => {
                let list: Vec<String> = list.unwrap().iter().map(Expr::to_string).collect();
                format!("{element}[{}]", list.join(", "))
            }
        })
    }

    #[test]
    fn texts_are_values() {
        for (text, data_type, expected) in [
            ("t", Type::BOOL, "true"),
            (" OFF ", Type::BOOL, "false"),
            ("-7", Type::INT2, "CAST('-7' AS BIGINT)"),
            ("1.5", Type::FLOAT4, "CAST('1.5' AS REAL)"),
            (
                "-Infinity",
                Type::FLOAT8,
                "CAST('-Infinity' AS DOUBLE PRECISION)",
            ),
            ("10.504", Type::NUMERIC, "10.504"),
            ("-5", Type::NUMERIC, "(-5.)"),
            ("1E+3", Type::NUMERIC, "1000."),
            ("1e300", Type::NUMERIC, "CAST('1e300' AS DOUBLE PRECISION)"),
            ("NaN", Type::NUMERIC, "CAST('nan' AS DOUBLE PRECISION)"),
            ("名", Type::TEXT, "'名'"),
            ("\\x6162", Type::BYTEA, "X'6162'"),
            ("2026-11-22", Type::DATE, "CAST('2026-11-22' AS DATE)"),
            (
                "2026-11-22 01:30",
                Type::TIMESTAMP,
                "CAST('2026-11-22 01:30:00' AS TIMESTAMP(6))",
            ),
            (
                "2026-11-22",
                Type::TIMESTAMPTZ,
                "CAST('2026-11-22 00:00:00+08:00' AS TIMESTAMPTZ(6))",
            ),
            (
                "2026-11-22 01:30:00.25+00",
                Type::TIMESTAMPTZ,
                "CAST('2026-11-22 01:30:00.25+00' AS TIMESTAMPTZ(6))",
            ),
            (
                "-1 day 23:59:00.5",
                Type::INTERVAL,
                "CAST('-1 day 23:59:00.5' AS INTERVAL)",
            ),
            ("5", Type::INTERVAL, "CAST('5' AS INTERVAL)"),
            (
                "{2026-11-22,NULL}",
                Type::DATE_ARRAY,
                "DATE[CAST('2026-11-22' AS DATE), CAST(NULL AS DATE)]",
            ),
            ("{}", Type::INT4_ARRAY, "BIGINT[]"),
        ] {
            let found = written(text.as_bytes(), false, &data_type);
            assert_eq!(found.unwrap(), expected, "{text} {data_type}");
        }
        for (text, data_type) in [
            ("maybe", Type::BOOL),
            ("3.5", Type::INT8),
            ("1e400", Type::FLOAT8),
            ("1e400", Type::NUMERIC),
            ("1.2.3", Type::NUMERIC),
            ("", Type::NUMERIC),
            ("0x10", Type::NUMERIC),
            ("6162", Type::BYTEA),
            ("now", Type::TIMESTAMP),
            ("soon", Type::INTERVAL),
            ("{1,2", Type::INT4_ARRAY),
            ("<1>", Type::XML),
        ] {
            assert!(
                written(text.as_bytes(), false, &data_type).is_err(),
                "{text}"
            );
        }
    }

    #[test]
    fn binary_values_are_values() {
        let interval = [
            7_200_000_001_i64.to_be_bytes().as_slice(),
            &(-3_i32).to_be_bytes(),
            &2_i32.to_be_bytes(),
        ]
        .concat();
        // One dimension, no flags, int4, two elements from 1 on: 5 and NULL.
        let array = [1, 0, 23, 2, 1, 4, 5, -1].map(i32::to_be_bytes).concat();
        for (bytes, data_type, expected) in [
            (vec![1], Type::BOOL, "true"),
            (
                (-7_i16).to_be_bytes().to_vec(),
                Type::INT2,
                "CAST('-7' AS BIGINT)",
            ),
            (
                7_i64.to_be_bytes().to_vec(),
                Type::INT8,
                "CAST('7' AS BIGINT)",
            ),
            (
                1e300_f64.to_be_bytes().to_vec(),
                Type::FLOAT8,
                "CAST('1e300' AS DOUBLE PRECISION)",
            ),
            (vec![b'a', 0xff], Type::BYTEA, "X'61ff'"),
            // 2026-11-22 is day 9822 from 2000-01-01.
            (
                9_822_i32.to_be_bytes().to_vec(),
                Type::DATE,
                "CAST('2026-11-22' AS DATE)",
            ),
            (
                (9_822_i64 * 86_400_000_000 + 1_500_000)
                    .to_be_bytes()
                    .to_vec(),
                Type::TIMESTAMP,
                "CAST('2026-11-22 00:00:01.500' AS TIMESTAMP(6))",
            ),
            (
                (-1_i64).to_be_bytes().to_vec(),
                Type::TIMESTAMPTZ,
                "CAST('1999-12-31 23:59:59.999999+00:00' AS TIMESTAMPTZ(6))",
            ),
            (
                3_600_000_000_i64.to_be_bytes().to_vec(),
                Type::TIME,
                "CAST('01:00:00' AS TIME)",
            ),
            (
                interval,
                Type::INTERVAL,
                "CAST('2 months -3 days 7200000001 microseconds' AS INTERVAL)",
            ),
            (
                (0..16).collect(),
                Type::UUID,
                "'00010203-0405-0607-0809-0a0b0c0d0e0f'",
            ),
            (b"\x01{}".to_vec(), Type::JSONB, "'{}'"),
            (
                array,
                Type::INT4_ARRAY,
                "BIGINT[CAST('5' AS BIGINT), CAST(NULL AS BIGINT)]",
            ),
        ] {
            let found = written(&bytes, true, &data_type);
            assert_eq!(found.unwrap(), expected, "{data_type}");
        }
        for (bytes, data_type) in [
            (vec![0], Type::INT4),
            (i64::MAX.to_be_bytes().to_vec(), Type::TIMESTAMPTZ),
            (i64::MIN.to_be_bytes().to_vec(), Type::TIMESTAMP),
            (i32::MAX.to_be_bytes().to_vec(), Type::DATE),
            (vec![0xff], Type::TEXT),
            (vec![0; 3], Type::INT4_ARRAY),
        ] {
            assert!(written(&bytes, true, &data_type).is_err(), "{data_type}");
        }
    }

    #[test]
    fn local_times_have_no_offset() {
        for (text, time) in [
            ("2026-11-22", "2026-11-22 00:00:00"),
            ("2026-11-22 01:30", "2026-11-22 01:30:00"),
            ("2026-11-22T01:30:00.25", "2026-11-22 01:30:00.250"),
        ] {
            assert_eq!(local_time(text).unwrap().to_string(), time);
        }
        for other in ["2026-11-22 01:30:00+08", "2026-11-22 01:30:00Z", "now", ""] {
            assert_eq!(local_time(other), None, "{other}");
        }
    }
}
