//! Functions of PostgreSQL that clients call when they look around.

use std::sync::Arc;

use arrow::datatypes::DataType;
use datafusion::prelude::SessionContext;

use super::super::functions::{Answer, function};
use super::super::roles::OWNER;
use super::super::sign_in::OpenSessions;
use super::helpers;
use super::identities::Identities;
use crate::tables::{PublicTables, SnapshotSource};

/// Functions that say whether something can be named without its schema: what is
/// in the catalog and in `public` can.
const VISIBLE: [&str; 13] = [
    "pg_collation_is_visible",
    "pg_conversion_is_visible",
    "pg_function_is_visible",
    "pg_opclass_is_visible",
    "pg_operator_is_visible",
    "pg_opfamily_is_visible",
    "pg_statistics_obj_is_visible",
    "pg_table_is_visible",
    "pg_ts_config_is_visible",
    "pg_ts_dict_is_visible",
    "pg_ts_parser_is_visible",
    "pg_ts_template_is_visible",
    "pg_type_is_visible",
];
/// Functions that say whether somebody may do something: what reads is allowed to
/// those who may ask in SQL.
const PRIVILEGES: [&str; 13] = [
    "has_any_column_privilege",
    "has_column_privilege",
    "has_database_privilege",
    "has_foreign_data_wrapper_privilege",
    "has_function_privilege",
    "has_language_privilege",
    "has_parameter_privilege",
    "has_schema_privilege",
    "has_sequence_privilege",
    "has_server_privilege",
    "has_table_privilege",
    "has_tablespace_privilege",
    "has_type_privilege",
];
const READING: [&str; 4] = ["connect", "execute", "select", "usage"];
/// Functions of what is never here, or not known: they have no value.
const NOTHING: [(&str, &[usize]); 22] = [
    ("inet_client_addr", &[0]),
    ("inet_client_port", &[0]),
    ("inet_server_addr", &[0]),
    ("inet_server_port", &[0]),
    ("pg_get_constraintdef", &[1, 2]),
    ("pg_get_function_arg_default", &[2]),
    ("pg_get_function_arguments", &[1]),
    ("pg_get_function_identity_arguments", &[1]),
    ("pg_get_function_result", &[1]),
    ("pg_get_function_sqlbody", &[1]),
    ("pg_get_functiondef", &[1]),
    ("pg_get_indexdef", &[1, 3]),
    ("pg_get_partition_constraintdef", &[1]),
    ("pg_get_ruledef", &[1, 2]),
    ("pg_get_serial_sequence", &[2]),
    ("pg_get_statisticsobjdef", &[1]),
    ("pg_get_statisticsobjdef_columns", &[1]),
    ("pg_get_triggerdef", &[1, 2]),
    ("pg_last_wal_receive_lsn", &[0]),
    ("pg_last_wal_replay_lsn", &[0]),
    ("pg_tablespace_location", &[1]),
    ("pg_tablespace_size", &[1]),
];
/// The number of UTF-8 among PostgreSQL's encodings.
const UTF8: &str = "6";

/// Registers the functions.
pub(in crate::postgres) fn register(
    context: &SessionContext,
    identities: &Identities,
    tables: &Arc<PublicTables>,
    sessions: &Arc<OpenSessions>,
) {
    let add = |name: &'static str, counts: &[usize], data_type, answer: Answer| {
        context.register_udf(function(name, counts, data_type, answer));
    };
    let of_texts: Vec<(&'static str, usize, DataType, Answer)> = vec![
        ("pg_size_pretty", 1, DataType::Utf8, Arc::new(size_pretty)),
        ("quote_literal", 1, DataType::Utf8, Arc::new(quoted)),
        (
            "quote_nullable",
            1,
            DataType::Utf8,
            Arc::new(|values| quoted(values).or_else(|| Some("NULL".to_owned()))),
        ),
        (
            "pg_char_to_encoding",
            1,
            DataType::Int32,
            Arc::new(encoding),
        ),
        (
            "pg_encoding_to_char",
            1,
            DataType::Utf8,
            Arc::new(|values| (first(values)? == UTF8).then(|| "UTF8".to_owned())),
        ),
        (
            "pg_is_other_temp_schema",
            1,
            DataType::Boolean,
            said("false"),
        ),
        ("pg_is_in_recovery", 0, DataType::Boolean, said("false")),
        ("pg_my_temp_schema", 0, DataType::Int32, said("0")),
        ("getdatabaseencoding", 0, DataType::Utf8, said("UTF8")),
        (
            "pg_relation_is_publishable",
            1,
            DataType::Boolean,
            said("false"),
        ),
        ("pg_jit_available", 0, DataType::Boolean, said("false")),
        ("pg_indexes_size", 1, DataType::Int64, said("0")),
        ("regrole_name", 1, DataType::Utf8, said(OWNER)),
    ];
    for (name, count, data_type, answer) in of_texts {
        add(name, &[count], data_type, answer);
    }
    for name in VISIBLE {
        add(name, &[1], DataType::Boolean, said("true"));
    }
    add(
        "format",
        &[1, 2, 3, 4, 5, 6, 7, 8],
        DataType::Utf8,
        Arc::new(formatted),
    );
    for name in PRIVILEGES {
        add(name, &[1, 2, 3, 4], DataType::Boolean, Arc::new(may));
    }
    for (name, counts) in NOTHING {
        add(name, counts, DataType::Utf8, Arc::new(|_| None));
    }
    let open = sessions.clone();
    add(
        "pg_backend_pid",
        &[0],
        DataType::Int32,
        Arc::new(move |_| Some(open.own_pid()?.to_string())),
    );
    let source = tables.source.clone();
    for name in ["txid_current", "pg_current_xact_id"] {
        let source = source.clone();
        let epoch: Answer = Arc::new(move |_| Some(source().epoch().to_string()));
        add(name, &[0], DataType::Int64, epoch);
    }
    let all = source.clone();
    add(
        "pg_database_size",
        &[1],
        DataType::Int64,
        Arc::new(move |_| {
            let collections = all().collections();
            let sizes = collections.iter().map(|known| size(&all, &known.name));
            let sum: Option<u64> = sizes.sum();
            Some(sum?.to_string())
        }),
    );
    for (name, counts) in [
        ("pg_relation_size", &[1, 2][..]),
        ("pg_table_size", &[1]),
        ("pg_total_relation_size", &[1]),
    ] {
        let (source, identities) = (source.clone(), identities.clone());
        let tables = tables.clone();
        let answer: Answer = Arc::new(move |values| {
            let (_, found, table) = identities.find(first(values)?)?;
            if found != "public" {
                return None;
            }
            if tables.query_views.read().contains_key(&table) {
                return Some("0".to_owned());
            }
            source().definition(&table)?;
            Some(size(&source, &table)?.to_string())
        });
        add(name, counts, DataType::Int64, answer);
    }
    let (known, views) = (identities.clone(), tables.clone());
    add(
        "pg_get_viewdef",
        &[1, 2],
        DataType::Utf8,
        Arc::new(move |values| {
            let (_, _, name) = known.find(first(values)?)?;
            let views = views.query_views.read();
            let text = views.get(&name)?.select.trim();
            Some(format!("{};", text.trim_end_matches(';')))
        }),
    );
    let known = identities.clone();
    add(
        "to_regclass",
        &[1],
        DataType::Int32,
        Arc::new(move |values| {
            let (oid, _, _) = known.find(first(values)?)?;
            Some(oid.to_string())
        }),
    );
    let known = identities.clone();
    add(
        "regclass_name",
        &[1],
        DataType::Utf8,
        Arc::new(move |values| {
            let text = first(values)?;
            let Some((_, schema, name)) = known.find(text) else {
                return Some(if text == "0" { "-" } else { text }.to_owned());
            };
            let name = identifier(&name);
            Some(match &*schema {
                "public" | "pg_catalog" => name,
                schema => format!("{}.{name}", identifier(schema)),
            })
        }),
    );
    let known = identities.clone();
    add(
        "regnamespace_name",
        &[1],
        DataType::Utf8,
        Arc::new(move |values| {
            let text = first(values)?;
            let schema = text.parse().ok().and_then(|oid| known.schema(oid));
            Some(schema.map_or_else(|| text.to_owned(), |schema| identifier(&schema)))
        }),
    );
    helpers::register(context);
}

fn first(values: &[Option<String>]) -> Option<&str> {
    values.first()?.as_deref()
}

/// Always the same answer.
fn said(text: &'static str) -> Answer {
    Arc::new(move |_| Some(text.to_owned()))
}

/// Whether one of the privileges that are asked for reads.
fn may(values: &[Option<String>]) -> Option<String> {
    let wanted = values.last()?.as_deref()?.to_lowercase();
    let mut wanted = wanted.split(',').map(str::trim);
    Some(wanted.any(|wanted| READING.contains(&wanted)).to_string())
}

fn encoding(values: &[Option<String>]) -> Option<String> {
    let is_known = super::super::setting_values::is_utf8(first(values)?);
    Some(if is_known { UTF8 } else { "-1" }.to_owned())
}

fn quoted(values: &[Option<String>]) -> Option<String> {
    let text = first(values)?;
    let doubled = text.replace('\'', "''");
    Some(match text.contains('\\') {
        true => format!("E'{}'", doubled.replace('\\', "\\\\")),
        false => format!("'{doubled}'"),
    })
}

/// A name in the form in which it is written in SQL.
fn identifier(name: &str) -> String {
    let is_plain = name.starts_with(|first: char| first.is_ascii_lowercase() || first == '_')
        && name
            .chars()
            .all(|letter| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '_');
    match is_plain {
        true => name.to_owned(),
        false => format!("\"{}\"", name.replace('"', "\"\"")),
    }
}

/// Bytes of a collection; `None` where they cannot be told.
fn size(source: &SnapshotSource, name: &str) -> Option<u64> {
    let pieces = source().pieces(name);
    pieces.iter().map(|piece| piece.bytes().ok()).sum()
}

/// PostgreSQL's `format`, with the places that clients use: `%s`, `%I`, `%L`, `%%`.
fn formatted(values: &[Option<String>]) -> Option<String> {
    let (text, values) = values.split_first()?;
    let mut values = values.iter();
    let mut parts = text.as_ref()?.chars();
    let mut answer = String::new();
    while let Some(next) = parts.next() {
        if next != '%' {
            answer.push(next);
            continue;
        }
        match parts.next()? {
            's' => answer.push_str(values.next()?.as_deref().unwrap_or_default()),
            'I' => answer.push_str(&identifier(values.next()?.as_deref()?)),
            'L' => {
                let value = quoted(&[values.next()?.clone()]);
                answer.push_str(value.as_deref().unwrap_or("NULL"));
            }
            '%' => answer.push('%'),
            // Places by number and widths: no text is better than a wrong one.
            _ => return None,
        }
    }
    Some(answer)
}

/// A number of bytes for people.
///
/// Source: `pg_size_pretty` in PostgreSQL's `dbsize.c`: a unit is used up to
/// 10,240 of it, and rounded half up.
fn size_pretty(values: &[Option<String>]) -> Option<String> {
    const LIMIT: i64 = 10 * 1_024;
    let bytes: i64 = first(values)?.parse().ok()?;
    if bytes.abs() < LIMIT {
        return Some(format!("{bytes} bytes"));
    }
    // Twice the number of the unit, so that a half can be seen.
    let mut doubled = bytes / 512;
    for unit in ["kB", "MB", "GB", "TB"] {
        if doubled.abs() < 2 * LIMIT - 1 {
            return Some(format!("{} {unit}", rounded(doubled)));
        }
        doubled /= 1_024;
    }
    Some(format!("{} PB", rounded(doubled)))
}

fn rounded(doubled: i64) -> i64 {
    (doubled + doubled.signum()) / 2
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_as_postgresql_writes_them() {
        for (bytes, expected) in [
            (0, "0 bytes"),
            (10_239, "10239 bytes"),
            (10_240, "10 kB"),
            (10_752, "11 kB"),
            (10_751, "10 kB"),
            (10_485_247, "10239 kB"),
            (10_485_248, "10 MB"),
            (-10_752, "-11 kB"),
            (1 << 40, "1024 GB"),
            (i64::MAX, "8192 PB"),
        ] {
            let found = size_pretty(&[Some(bytes.to_string())]);
            assert_eq!(found.as_deref(), Some(expected), "{bytes}");
        }
        assert_eq!(size_pretty(&[None]), None);
    }

    #[test]
    fn privileges_are_those_that_read() {
        let may = |wanted: &str| may(&[Some("t".into()), Some(wanted.into())]);
        assert_eq!(may("SELECT").as_deref(), Some("true"));
        assert_eq!(may("INSERT, select").as_deref(), Some("true"));
        assert_eq!(may("INSERT").as_deref(), Some("false"));
    }

    #[test]
    fn texts_and_names_are_quoted() {
        let quoted = |text: &str| quoted(&[Some(text.to_owned())]).unwrap();
        assert_eq!(quoted("it's"), "'it''s'");
        assert_eq!(quoted(r"a\b"), r"E'a\\b'");
        assert_eq!(identifier("item"), "item");
        assert_eq!(identifier("Two \"words\""), "\"Two \"\"words\"\"\"");
    }
}
