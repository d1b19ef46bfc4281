//! The types of parameters, as PostgreSQL and as SQL calls them.

use datafusion::sql::sqlparser::ast::{DataType, ExactNumberInfo, Expr, TimezoneInfo, Value};
use datafusion_postgres::pgwire::api::Type;
use datafusion_postgres::pgwire::error::PgWireResult;
use sluice_syntax::cast_to;

use super::codes::error;

/// Digits of a second's fraction, as PostgreSQL keeps them.
const SECOND_DIGITS: u64 = 6;
/// Digits of a decimal of which no value is known, and those behind the point.
const DIGITS: (u64, i64) = (10, 2);

/// Arrays and their elements.
static ARRAYS: [(Type, Type); 21] = [
    (Type::BOOL_ARRAY, Type::BOOL),
    (Type::INT2_ARRAY, Type::INT2),
    (Type::INT4_ARRAY, Type::INT4),
    (Type::INT8_ARRAY, Type::INT8),
    (Type::OID_ARRAY, Type::OID),
    (Type::FLOAT4_ARRAY, Type::FLOAT4),
    (Type::FLOAT8_ARRAY, Type::FLOAT8),
    (Type::NUMERIC_ARRAY, Type::NUMERIC),
    (Type::TEXT_ARRAY, Type::TEXT),
    (Type::VARCHAR_ARRAY, Type::VARCHAR),
    (Type::BPCHAR_ARRAY, Type::BPCHAR),
    (Type::NAME_ARRAY, Type::NAME),
    (Type::UUID_ARRAY, Type::UUID),
    (Type::JSON_ARRAY, Type::JSON),
    (Type::JSONB_ARRAY, Type::JSONB),
    (Type::BYTEA_ARRAY, Type::BYTEA),
    (Type::DATE_ARRAY, Type::DATE),
    (Type::TIMESTAMP_ARRAY, Type::TIMESTAMP),
    (Type::TIMESTAMPTZ_ARRAY, Type::TIMESTAMPTZ),
    (Type::TIME_ARRAY, Type::TIME),
    (Type::INTERVAL_ARRAY, Type::INTERVAL),
];

/// The type of an array's elements.
pub(super) fn element_of(array: &Type) -> Option<&'static Type> {
    let found = ARRAYS.iter().find(|(known, _)| known == array);
    found.map(|(_, element)| element)
}

/// The type of arrays of a type.
pub(super) fn array_of(element: &Type) -> Option<Type> {
    let found = ARRAYS.iter().find(|(_, known)| known == element);
    found.map(|(array, _)| array.clone())
}

/// The type in the words of SQL that values of a type get.
///
/// # Errors
/// When there are none.
pub(super) fn sql_type(data_type: &Type) -> PgWireResult<DataType> {
    Ok(match *data_type {
        Type::BOOL => DataType::Boolean,
        Type::INT2 | Type::INT4 | Type::INT8 | Type::OID => DataType::BigInt(None),
        Type::FLOAT4 => DataType::Real,
        Type::FLOAT8 => DataType::DoublePrecision,
        Type::NUMERIC => {
            let (precision, scale) = DIGITS;
            DataType::Decimal(ExactNumberInfo::PrecisionAndScale(precision, scale))
        }
        Type::TEXT
        | Type::VARCHAR
        | Type::BPCHAR
        | Type::NAME
        | Type::CHAR
        | Type::UNKNOWN
        | Type::UUID
        | Type::JSON
        | Type::JSONB => DataType::Text,
        Type::BYTEA => DataType::Bytea,
        Type::DATE => DataType::Date,
        Type::TIMESTAMP => DataType::Timestamp(Some(SECOND_DIGITS), TimezoneInfo::None),
        Type::TIMESTAMPTZ => DataType::Timestamp(Some(SECOND_DIGITS), TimezoneInfo::Tz),
        Type::TIME => DataType::Time(None, TimezoneInfo::None),
        Type::INTERVAL => DataType::Interval {
            fields: None,
            precision: None,
        },
        _ => {
            // 0A000: feature_not_supported.
            let problem = format!(
                "parameters of the type {} are not taken: give it as text, and cast it",
                data_type.name()
            );
            return Err(error("0A000", problem));
        }
    })
}

/// `CAST(NULL AS type)`
pub(super) fn null_of(data_type: DataType) -> Expr {
    cast_to(Expr::value(Value::Null), data_type)
}
