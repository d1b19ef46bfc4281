//! Tables and views of the catalog that the library has not, or not in
//! PostgreSQL's form, as queries of its tables.

use std::fmt::Write;

use super::super::setting_values::defaults;
use super::activity::ACTIVITY;

/// The views that are queries: name and text.
const QUERIES: [(&str, &str); 11] = [
    (
        "pg_views",
        "SELECT n.nspname AS schemaname, c.relname AS viewname, pg_get_userbyid(c.relowner) AS viewowner, pg_get_viewdef(c.oid) AS definition FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind = 'v'",
    ),
    (
        "pg_user",
        "SELECT rolname AS usename, oid AS usesysid, rolcreatedb AS usecreatedb, rolsuper AS usesuper, rolreplication AS userepl, rolbypassrls AS usebypassrls, '********' AS passwd, rolvaliduntil AS valuntil, rolconfig AS useconfig FROM pg_catalog.pg_roles WHERE rolcanlogin",
    ),
    (
        "pg_stat_user_tables",
        "SELECT c.oid AS relid, n.nspname AS schemaname, c.relname AS relname, CAST(NULL AS BIGINT) AS seq_scan, CAST(NULL AS BIGINT) AS seq_tup_read, CAST(NULL AS BIGINT) AS idx_scan, CAST(NULL AS BIGINT) AS idx_tup_fetch, CAST(NULL AS BIGINT) AS n_tup_ins, CAST(NULL AS BIGINT) AS n_tup_upd, CAST(NULL AS BIGINT) AS n_tup_del, CAST(NULL AS BIGINT) AS n_tup_hot_upd, CAST(NULLIF(c.reltuples, -1) AS BIGINT) AS n_live_tup, CAST(NULL AS BIGINT) AS n_dead_tup, CAST(NULL AS BIGINT) AS n_mod_since_analyze, CAST(NULL AS TIMESTAMP) AS last_vacuum, CAST(NULL AS TIMESTAMP) AS last_autovacuum, CAST(NULL AS TIMESTAMP) AS last_analyze, CAST(NULL AS TIMESTAMP) AS last_autoanalyze, CAST(NULL AS BIGINT) AS vacuum_count, CAST(NULL AS BIGINT) AS autovacuum_count, CAST(NULL AS BIGINT) AS analyze_count, CAST(NULL AS BIGINT) AS autoanalyze_count FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind = 'r' AND n.nspname = 'public'",
    ),
    (
        "information_schema.tables",
        "SELECT current_database() AS table_catalog, n.nspname AS table_schema, c.relname AS table_name, CASE c.relkind WHEN 'v' THEN 'VIEW' ELSE 'BASE TABLE' END AS table_type, CAST(NULL AS VARCHAR) AS self_referencing_column_name, CAST(NULL AS VARCHAR) AS reference_generation, CAST(NULL AS VARCHAR) AS user_defined_type_catalog, CAST(NULL AS VARCHAR) AS user_defined_type_schema, CAST(NULL AS VARCHAR) AS user_defined_type_name, 'NO' AS is_insertable_into, 'NO' AS is_typed, CAST(NULL AS VARCHAR) AS commit_action FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace",
    ),
    (
        "information_schema.columns",
        "SELECT current_database() AS table_catalog, n.nspname AS table_schema, c.relname AS table_name, a.attname AS column_name, CAST(a.attnum AS INT) AS ordinal_position, CAST(NULL AS VARCHAR) AS column_default, CASE WHEN a.attnotnull THEN 'NO' ELSE 'YES' END AS is_nullable, CASE WHEN t.typcategory = 'A' THEN 'ARRAY' ELSE format_type(a.atttypid, CAST(-1 AS INT)) END AS data_type, CAST(NULL AS INT) AS character_maximum_length, CAST(NULL AS INT) AS character_octet_length, CASE WHEN t.typname = 'numeric' AND a.atttypmod >= 4 THEN CAST((a.atttypmod - 4) / 65536 AS INT) WHEN t.typname = 'int2' THEN 16 WHEN t.typname = 'int4' THEN 32 WHEN t.typname = 'int8' THEN 64 WHEN t.typname = 'float4' THEN 24 WHEN t.typname = 'float8' THEN 53 END AS numeric_precision, CASE WHEN t.typname IN ('int2', 'int4', 'int8', 'float4', 'float8') THEN 2 WHEN t.typname = 'numeric' THEN 10 END AS numeric_precision_radix, CASE WHEN t.typname = 'numeric' AND a.atttypmod >= 4 THEN CAST((a.atttypmod - 4) % 65536 AS INT) WHEN t.typname IN ('int2', 'int4', 'int8') THEN 0 END AS numeric_scale, CASE WHEN t.typname IN ('time', 'timestamp', 'timestamptz') THEN 6 WHEN t.typname = 'date' THEN 0 END AS datetime_precision, CAST(NULL AS VARCHAR) AS interval_type, CAST(NULL AS INT) AS interval_precision, CAST(NULL AS VARCHAR) AS character_set_catalog, CAST(NULL AS VARCHAR) AS character_set_schema, CAST(NULL AS VARCHAR) AS character_set_name, CAST(NULL AS VARCHAR) AS collation_catalog, CAST(NULL AS VARCHAR) AS collation_schema, CAST(NULL AS VARCHAR) AS collation_name, CAST(NULL AS VARCHAR) AS domain_catalog, CAST(NULL AS VARCHAR) AS domain_schema, CAST(NULL AS VARCHAR) AS domain_name, current_database() AS udt_catalog, 'pg_catalog' AS udt_schema, t.typname AS udt_name, CAST(NULL AS VARCHAR) AS scope_catalog, CAST(NULL AS VARCHAR) AS scope_schema, CAST(NULL AS VARCHAR) AS scope_name, CAST(NULL AS INT) AS maximum_cardinality, CAST(a.attnum AS VARCHAR) AS dtd_identifier, 'NO' AS is_self_referencing, 'NO' AS is_identity, CAST(NULL AS VARCHAR) AS identity_generation, CAST(NULL AS VARCHAR) AS identity_start, CAST(NULL AS VARCHAR) AS identity_increment, CAST(NULL AS VARCHAR) AS identity_maximum, CAST(NULL AS VARCHAR) AS identity_minimum, 'NO' AS identity_cycle, 'NEVER' AS is_generated, CAST(NULL AS VARCHAR) AS generation_expression, 'NO' AS is_updatable FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_class c ON c.oid = a.attrelid JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace JOIN pg_catalog.pg_type t ON t.oid = a.atttypid WHERE a.attnum > 0",
    ),
    (
        "information_schema.views",
        "SELECT current_database() AS table_catalog, n.nspname AS table_schema, c.relname AS table_name, pg_get_viewdef(c.oid) AS view_definition, 'NONE' AS check_option, 'NO' AS is_updatable, 'NO' AS is_insertable_into, 'NO' AS is_trigger_updatable, 'NO' AS is_trigger_deletable, 'NO' AS is_trigger_insertable_into FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind = 'v'",
    ),
    (
        "information_schema.schemata",
        "SELECT current_database() AS catalog_name, n.nspname AS schema_name, pg_get_userbyid(n.nspowner) AS schema_owner, CAST(NULL AS VARCHAR) AS default_character_set_catalog, CAST(NULL AS VARCHAR) AS default_character_set_schema, CAST(NULL AS VARCHAR) AS default_character_set_name, CAST(NULL AS VARCHAR) AS sql_path FROM pg_catalog.pg_namespace n",
    ),
    (
        "information_schema.table_privileges",
        "SELECT pg_get_userbyid(c.relowner) AS grantor, session_user() AS grantee, current_database() AS table_catalog, n.nspname AS table_schema, c.relname AS table_name, 'SELECT' AS privilege_type, 'NO' AS is_grantable, 'YES' AS with_hierarchy FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace",
    ),
    (
        "information_schema.role_table_grants",
        "SELECT pg_get_userbyid(c.relowner) AS grantor, session_user() AS grantee, current_database() AS table_catalog, n.nspname AS table_schema, c.relname AS table_name, 'SELECT' AS privilege_type, 'NO' AS is_grantable, 'YES' AS with_hierarchy FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace",
    ),
    (
        "information_schema.information_schema_catalog_name",
        "SELECT current_database() AS catalog_name",
    ),
    (
        "information_schema.enabled_roles",
        "SELECT session_user() AS role_name",
    ),
];

/// Tables that have no rows: name and columns, those with a type in capitals of
/// that type, the others texts.
const EMPTY: [(&str, &str); 16] = [
    ("pg_parameter_acl", "oid INT, parname, paracl TEXTS"),
    (
        "pg_transform",
        "oid INT, trftype INT, trflang INT, trffromsql INT, trftosql INT",
    ),
    (
        "pg_indexes",
        "schemaname, tablename, indexname, tablespace, indexdef",
    ),
    (
        "pg_policies",
        "schemaname, tablename, policyname, permissive, roles TEXTS, cmd, qual, with_check",
    ),
    ("pg_rules", "schemaname, tablename, rulename, definition"),
    (
        "pg_sequences",
        "schemaname, sequencename, sequenceowner, data_type, start_value BIGINT, min_value BIGINT, max_value BIGINT, increment_by BIGINT, cycle BOOLEAN, cache_size BIGINT, last_value BIGINT",
    ),
    (
        "pg_locks",
        "locktype, database INT, relation INT, page INT, tuple INT, virtualxid, transactionid, classid INT, objid INT, objsubid INT, virtualtransaction, pid INT, mode, granted BOOLEAN, fastpath BOOLEAN, waitstart TIMESTAMP",
    ),
    (
        "pg_available_extensions",
        "name, default_version, installed_version, comment",
    ),
    (
        "pg_prepared_xacts",
        "transaction, gid, prepared TIMESTAMP, owner, database",
    ),
    (
        "information_schema.table_constraints",
        "constraint_catalog, constraint_schema, constraint_name, table_catalog, table_schema, table_name, constraint_type, is_deferrable, initially_deferred, enforced, nulls_distinct",
    ),
    (
        "information_schema.key_column_usage",
        "constraint_catalog, constraint_schema, constraint_name, table_catalog, table_schema, table_name, column_name, ordinal_position INT, position_in_unique_constraint INT",
    ),
    (
        "information_schema.constraint_column_usage",
        "table_catalog, table_schema, table_name, column_name, constraint_catalog, constraint_schema, constraint_name",
    ),
    (
        "information_schema.referential_constraints",
        "constraint_catalog, constraint_schema, constraint_name, unique_constraint_catalog, unique_constraint_schema, unique_constraint_name, match_option, update_rule, delete_rule",
    ),
    (
        "information_schema.check_constraints",
        "constraint_catalog, constraint_schema, constraint_name, check_clause",
    ),
    (
        "information_schema.triggers",
        "trigger_catalog, trigger_schema, trigger_name, event_manipulation, event_object_catalog, event_object_schema, event_object_table, action_order INT, action_condition, action_statement, action_orientation, action_timing",
    ),
    (
        "information_schema.sequences",
        "sequence_catalog, sequence_schema, sequence_name, data_type, numeric_precision INT, numeric_precision_radix INT, numeric_scale INT, start_value, minimum_value, maximum_value, increment, cycle_option",
    ),
];

const SETTINGS: &str = "pg_settings";

/// Whether a table of the catalog is one of these.
pub(super) fn is_own(name: &str) -> bool {
    name == SETTINGS
        || name == ACTIVITY
        || QUERIES.iter().any(|(known, _)| *known == name)
        || EMPTY.iter().any(|(known, _)| *known == name)
}

/// The query of a view; `None` where there is no such one.
pub(super) fn query_of(name: &str) -> Option<String> {
    if name == SETTINGS {
        return Some(settings());
    }
    if let Some((_, query)) = QUERIES.iter().find(|(known, _)| *known == name) {
        return Some((*query).to_owned());
    }
    let (_, columns) = EMPTY.iter().find(|(known, _)| *known == name)?;
    let columns = columns.split(", ").map(|column| {
        let (name, data_type) = column.split_once(' ').unwrap_or((column, "VARCHAR"));
        match data_type {
            "TEXTS" => format!("no_texts() AS \"{name}\""),
            data_type => format!("CAST(NULL AS {data_type}) AS \"{name}\""),
        }
    });
    let columns: Vec<String> = columns.collect();
    Some(format!("SELECT {} WHERE false", columns.join(", ")))
}

/// What settings are where nobody has set them.
fn settings() -> String {
    let mut rows = String::new();
    for (name, value) in defaults() {
        let value = value.replace('\'', "''");
        let separator = if rows.is_empty() { "" } else { ", " };
        // A text that cannot be written to does not exist.
        let _ = write!(rows, "{separator}('{name}', '{value}')");
    }
    format!(
        "SELECT name, setting, CAST(NULL AS VARCHAR) AS unit, '' AS category, '' AS short_desc, CAST(NULL AS VARCHAR) AS extra_desc, 'user' AS context, 'string' AS vartype, 'default' AS source, CAST(NULL AS VARCHAR) AS min_val, CAST(NULL AS VARCHAR) AS max_val, no_texts() AS enumvals, setting AS boot_val, setting AS reset_val, CAST(NULL AS VARCHAR) AS sourcefile, CAST(NULL AS INT) AS sourceline, false AS pending_restart FROM (VALUES {rows}) AS known(name, setting)"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_view_has_a_query() {
        let names = QUERIES.iter().chain(&EMPTY).map(|(name, _)| *name);
        for name in names.chain([SETTINGS]) {
            let query = query_of(name).unwrap();
            assert!(is_own(name) && query.starts_with("SELECT "), "{query}");
        }
        assert!(query_of("item").is_none());
    }
}
