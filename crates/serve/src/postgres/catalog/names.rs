//! What is known of the catalog's tables by their names.

use datafusion::sql::sqlparser::ast::{Ident, ObjectName, ObjectNamePart};

/// Tables that never have a row: there are no constraints, indexes, policies,
/// triggers and so on here. The library has some rows of PostgreSQL's own
/// catalog in a few of them, which speak of tables that are not here.
pub(super) const EMPTY: [&str; 46] = [
    "pg_attrdef",
    "pg_auth_members",
    "pg_constraint",
    "pg_db_role_setting",
    "pg_default_acl",
    "pg_enum",
    "pg_event_trigger",
    "pg_extension",
    "pg_foreign_data_wrapper",
    "pg_foreign_server",
    "pg_foreign_table",
    "pg_index",
    "pg_inherits",
    "pg_largeobject",
    "pg_largeobject_metadata",
    "pg_partitioned_table",
    "pg_policy",
    "pg_publication",
    "pg_publication_namespace",
    "pg_publication_rel",
    "pg_replication_origin",
    "pg_replication_slots",
    "pg_rewrite",
    "pg_seclabel",
    "pg_sequence",
    "pg_shseclabel",
    "pg_statistic",
    "pg_statistic_ext",
    "pg_statistic_ext_data",
    "pg_subscription",
    "pg_subscription_rel",
    "pg_trigger",
    "pg_user_mapping",
    "pg_parameter_acl",
    "pg_transform",
    "pg_indexes",
    "pg_policies",
    "pg_rules",
    "pg_sequences",
    "table_constraints",
    "key_column_usage",
    "constraint_column_usage",
    "referential_constraints",
    "check_constraints",
    "triggers",
    "sequences",
];

/// Columns that never have a value: nobody grants anything with GRANT here, and
/// nothing has options.
pub(super) const VALUELESS: [&str; 24] = [
    "attacl",
    "attfdwoptions",
    "attoptions",
    "datacl",
    "defaclacl",
    "evttags",
    "fdwacl",
    "fdwoptions",
    "ftoptions",
    "lanacl",
    "lomacl",
    "nspacl",
    "paracl",
    "proacl",
    "proconfig",
    "reloptions",
    "rolconfig",
    "setconfig",
    "spcacl",
    "spcoptions",
    "srvacl",
    "srvoptions",
    "typacl",
    "umoptions",
];

/// Before the names of the views of `information_schema`, which stand in
/// `pg_catalog`: DataFusion has its own of that name.
pub(super) const INFORMATION: &str = "information_schema.";

/// A column that has no value here, or would be in a table without rows.
pub(super) fn is_valueless(column: &str) -> bool {
    VALUELESS
        .iter()
        .any(|known| column.eq_ignore_ascii_case(known))
}

/// Whether a table of the catalog never has a row.
pub(super) fn is_empty_table(name: &ObjectName) -> bool {
    let parts: Vec<String> = parts(name);
    let (schema, table) = match &parts[..] {
        [table] => (None, table),
        [schema, table] => (Some(&**schema), table),
        [_, schema, table] => (Some(&**schema), table),
        _ => return false,
    };
    let table = table.strip_prefix(INFORMATION).unwrap_or(table);
    let is_known = EMPTY.contains(&table);
    match schema {
        // Somebody's own table may be called `triggers`.
        None => is_known && table.starts_with("pg_"),
        Some(schema) => is_known && (schema == "pg_catalog" || schema == "information_schema"),
    }
}

/// Whether a table is one of the catalog's, which are named with their schema
/// where their own name does not tell.
pub(super) fn is_of_catalog(name: &ObjectName) -> bool {
    match &parts(name)[..] {
        [table] => table.starts_with("pg_"),
        [.., schema, _] => schema == "pg_catalog" || schema == "information_schema",
        [] => false,
    }
}

/// The parts of a name, in lower case where they are not quoted.
pub(super) fn parts(name: &ObjectName) -> Vec<String> {
    let parts = name.0.iter().map(|part| match part {
        ObjectNamePart::Identifier(ident) => plain(ident),
        ObjectNamePart::Function(function) => function.name.value.to_lowercase(),
    });
    parts.collect()
}

/// A name, in lower case where it is not quoted.
pub(super) fn plain(ident: &Ident) -> String {
    match ident.quote_style {
        Some(_) => ident.value.clone(),
        None => ident.value.to_lowercase(),
    }
}

/// The last part of a name, in lower case.
pub(super) fn last(name: &ObjectName) -> String {
    parts(name).pop().unwrap_or_default().to_lowercase()
}
