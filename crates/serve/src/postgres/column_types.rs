//! The types of columns as clients are told of them, those that the library does not
//! know among them.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema};
use datafusion_postgres::arrow_pg::datatypes::{field_into_pg_type, into_pg_type};
use datafusion_postgres::pgwire::api::Type;
use datafusion_postgres::pgwire::api::portal::Format;
use datafusion_postgres::pgwire::api::results::{FieldFormat, FieldInfo};
use datafusion_postgres::pgwire::error::PgWireResult;
use datafusion_postgres::pgwire::types::format::FormatOptions;

use super::codes::error;
use super::lists::{is_list, leaf_of};
use super::parameter_types::array_of;

/// What PostgreSQL adds to digits and scale of a decimal.
const MODIFIER_OFFSET: i32 = 4;

/// Whether the library writes values of a type otherwise than PostgreSQL, or not at
/// all: `value_texts.rs` and `value_bytes.rs` do then.
pub(super) fn is_own(data_type: &DataType) -> bool {
    match data_type {
        DataType::Float16
        | DataType::Decimal32(_, _)
        | DataType::Decimal64(_, _)
        | DataType::Decimal128(_, _)
        | DataType::Decimal256(_, _)
        | DataType::FixedSizeBinary(_)
        | DataType::Interval(_)
        | DataType::Duration(_)
        | DataType::Struct(_)
        | DataType::Map(_, _)
        | DataType::Dictionary(_, _) => true,
        other => is_list(other),
    }
}

/// The type of PostgreSQL for values of a type; `None` where it has none. Maps are
/// JSON, lists of lists arrays of several dimensions.
pub(super) fn type_of_values(data_type: &DataType) -> Option<Type> {
    Some(match data_type {
        DataType::Float16 => Type::FLOAT4,
        DataType::Decimal32(_, _)
        | DataType::Decimal64(_, _)
        | DataType::Decimal128(_, _)
        | DataType::Decimal256(_, _) => Type::NUMERIC,
        DataType::FixedSizeBinary(_) => Type::BYTEA,
        DataType::Dictionary(_, values) => return type_of_values(values),
        DataType::Struct(fields) => {
            for field in fields {
                type_of_values(field.data_type())?;
            }
            Type::RECORD
        }
        DataType::Map(entries, _) => {
            type_of_values(entries.data_type())?;
            Type::JSON
        }
        list if is_list(list) => match type_of_values(leaf_of(list))? {
            Type::UNKNOWN => Type::TEXT_ARRAY,
            Type::RECORD => Type::RECORD_ARRAY,
            element => array_of(&element)?,
        },
        other => into_pg_type(other).ok()?,
    })
}

/// The bytes of each value of a type, or that they are not always as many.
fn size_of(data_type: &Type) -> i16 {
    match *data_type {
        Type::BOOL | Type::CHAR => 1,
        Type::INT2 => 2,
        Type::INT4 | Type::FLOAT4 | Type::DATE | Type::OID => 4,
        Type::INT8 | Type::FLOAT8 | Type::TIME | Type::TIMESTAMP | Type::TIMESTAMPTZ => 8,
        Type::INTERVAL => 16,
        _ => -1,
    }
}

/// Digits and scale of decimals in one number; -1 for other types.
fn modifier_of(data_type: &DataType) -> i32 {
    match data_type {
        DataType::Decimal32(digits, scale)
        | DataType::Decimal64(digits, scale)
        | DataType::Decimal128(digits, scale)
        | DataType::Decimal256(digits, scale)
            if *scale >= 0 =>
        {
            ((i32::from(*digits) << 16) | i32::from(*scale)) + MODIFIER_OFFSET
        }
        _ => -1,
    }
}

/// The format of a column: text where a client has named too few.
fn format_of(format: &Format, column: usize) -> FieldFormat {
    match format {
        Format::Individual(codes) => {
            let code = codes.get(column).copied();
            code.map_or(FieldFormat::Text, FieldFormat::from)
        }
        one_for_all => one_for_all.format_for(column),
    }
}

fn field_of(
    field: &Arc<Field>,
    format: FieldFormat,
    options: Option<&Arc<FormatOptions>>,
) -> PgWireResult<FieldInfo> {
    let data_type = field.data_type();
    let known = match is_own(data_type) {
        true => type_of_values(data_type),
        false => field_into_pg_type(field).ok(),
    };
    let Some(known) = known else {
        let name = field.name();
        // 0A000: feature_not_supported.
        let problem = format!(
            "column \"{name}\" is of the type {data_type}, which PostgreSQL does not have: cast it to text"
        );
        return Err(error("0A000", problem));
    };
    let size = size_of(&known);
    let info = FieldInfo::new(field.name().clone(), None, None, known, format)
        .with_type_size(size)
        .with_type_modifier(modifier_of(data_type));
    Ok(match options {
        Some(options) => info.with_format_options(options.clone()),
        None => info,
    })
}

/// The columns of an answer as a client is told of them.
///
/// # Errors
/// When one has a type that PostgreSQL has nothing for.
pub(super) fn fields_of(
    schema: &Schema,
    format: &Format,
    options: Option<Arc<FormatOptions>>,
) -> PgWireResult<Vec<FieldInfo>> {
    let fields = schema.fields().iter().enumerate();
    let fields = fields.map(|(place, field)| {
        let format = format_of(format, place);
        field_of(field, format, options.as_ref())
    });
    fields.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::datatypes::{Fields, UnionFields, UnionMode};

    fn list_of(data_type: DataType) -> DataType {
        DataType::List(Arc::new(Field::new("item", data_type, true)))
    }

    #[test]
    fn all_types_are_known_but_those_that_postgresql_lacks() {
        let union = DataType::Union(UnionFields::empty(), UnionMode::Dense);
        let field = Arc::new(Field::new("a", union.clone(), true));
        let record = DataType::Struct(Fields::from(vec![Field::new("a", DataType::Int8, true)]));
        let code = |values| DataType::Dictionary(Box::new(DataType::Int8), Box::new(values));
        for (data_type, expected) in [
            (DataType::Float16, Some(Type::FLOAT4)),
            (DataType::Decimal256(76, 10), Some(Type::NUMERIC)),
            (
                list_of(DataType::Decimal64(18, 2)),
                Some(Type::NUMERIC_ARRAY),
            ),
            (list_of(list_of(DataType::Int32)), Some(Type::INT4_ARRAY)),
            (list_of(DataType::Null), Some(Type::TEXT_ARRAY)),
            (list_of(record.clone()), Some(Type::RECORD_ARRAY)),
            (record, Some(Type::RECORD)),
            (code(DataType::Utf8), Some(Type::TEXT)),
            (list_of(code(DataType::Date32)), Some(Type::DATE_ARRAY)),
            (union.clone(), None),
            (list_of(union), None),
            (DataType::Struct(Fields::from(vec![field])), None),
        ] {
            assert_eq!(type_of_values(&data_type), expected, "{data_type}");
        }
    }

    #[test]
    fn clients_are_told_sizes_and_digits() {
        let schema = Schema::new(vec![
            Field::new("price", DataType::Decimal128(18, 2), true),
            Field::new("id", DataType::Int64, true),
            Field::new("name", DataType::Utf8, true),
        ]);
        // One format too few.
        let fields = fields_of(&schema, &Format::Individual(vec![1, 1]), None).unwrap();
        let found: Vec<_> = fields
            .iter()
            .map(|field| {
                (
                    field.type_size(),
                    field.type_modifier(),
                    field.format().value(),
                )
            })
            .collect();
        assert_eq!(found, [(-1, (18 << 16) + 6, 1), (8, -1, 1), (-1, -1, 0)]);
    }
}
