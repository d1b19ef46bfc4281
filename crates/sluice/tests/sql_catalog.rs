//! What clients ask to find out what is in a warehouse, against the real program:
//! psql's commands, SQLAlchemy's reflection, and the questions of Grafana,
//! Metabase and DBeaver. `scripts/install-test-tools` installs the clients; what is
//! missing is skipped loudly.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    clippy::print_stderr,
    reason = "a test fails by panicking, waits, and says loudly what it skips"
)]

mod common;
#[path = "sql_clients/shop.rs"]
mod shop;

use std::process::Command;
use std::time::{Duration, Instant};

use common::succeed;
use shop::{check, clients, psql, scripts, skipped, start, with_psql};

/// Compares every row with every other, and finds none.
const NEVER_DONE: &str = "SELECT count(*) FROM generate_series(1, 400000) AS a(x), generate_series(1, 400000) AS b(y) WHERE x * y + x = -7";

/// What psql's commands show, whatever its version.
const COMMANDS: [(&str, &[&str]); 45] = [
    ("\\d", &["item", "by_day", "new_items"]),
    (
        "\\d+",
        &["item", "by_day", "new_items", "What was sold on it"],
    ),
    (
        "\\d item",
        &["numeric(18,2)", "timestamp with time zone", "bigint"],
    ),
    ("\\d+ item", &["numeric(18,2)", "Name on the label"]),
    (
        "\\d+ new_items",
        &["View definition", "SELECT id, name FROM item"],
    ),
    ("\\dt+", &["item"]),
    ("\\dv+", &["new_items", "0 bytes"]),
    ("\\dm+", &[]),
    ("\\di+", &[]),
    ("\\ds+", &[]),
    ("\\dS", &["pg_class"]),
    ("\\df", &["0 rows"]),
    ("\\df+", &["0 rows"]),
    ("\\df abs", &[]),
    ("\\da", &[]),
    ("\\du", &["sluice"]),
    ("\\du+", &["sluice"]),
    ("\\dg", &["sluice"]),
    ("\\dT", &["0 rows"]),
    ("\\dT+", &["0 rows"]),
    ("\\dp", &["item", "sluice=r/sluice"]),
    ("\\z", &["new_items"]),
    ("\\dn+", &["public", "sluice"]),
    ("\\l+", &["sluice", "UTF8"]),
    ("\\dD", &["0 rows"]),
    ("\\do", &["0 rows"]),
    ("\\dC", &["bigint"]),
    (
        "\\sv new_items",
        &["CREATE OR REPLACE VIEW", "SELECT id, name FROM item"],
    ),
    ("\\drds", &[]),
    ("\\dL", &["0 rows"]),
    ("\\dd", &[]),
    ("\\ddp", &["0 rows"]),
    ("\\dconfig", &[]),
    ("\\dconfig+ search_path", &[]),
    ("\\dF", &[]),
    ("\\dFd", &[]),
    ("\\dO", &["0 rows"]),
    ("\\dy", &["0 rows"]),
    ("\\db+", &["pg_default"]),
    ("\\dx", &["0 rows"]),
    ("\\dX", &["0 rows"]),
    ("\\dA", &[]),
    ("\\dRp", &["0 rows"]),
    ("\\dew", &["0 rows"]),
    ("\\dP", &["0 rows"]),
];

#[test]
fn psql_describes_what_is_there() {
    with_psql(|running| check(running, COMMANDS));
}

#[test]
fn sqlalchemy_reflects() {
    let folder = tempfile::tempdir().unwrap();
    let running = start(folder.path());
    let python = clients().join("venv/bin/python");
    let has_library = Command::new(&python)
        .args(["-c", "import sqlalchemy, pandas"])
        .status();
    if !has_library.is_ok_and(|status| status.success()) {
        return skipped("SQLAlchemy, or pandas,");
    }
    let place = format!("postgresql+psycopg://li@127.0.0.1:{}/sluice", running.port);
    let mut command = Command::new(&python);
    command
        .arg(scripts().join("sqlalchemy_client.py"))
        .arg(place);
    assert_eq!(succeed(&mut command), "done\n");
}

#[test]
fn tools_ask_what_is_there() {
    let grafana_schemas = "SELECT CASE WHEN trim(s[i]) = '\"$user\"' THEN user ELSE trim(s[i]) END FROM generate_series(array_lower(string_to_array(current_setting('search_path'),','),1), array_upper(string_to_array(current_setting('search_path'),','),1)) as i, string_to_array(current_setting('search_path'),',') s";
    let tables = format!(
        "SELECT CASE WHEN quote_ident(table_schema) IN ({grafana_schemas}) THEN quote_ident(table_name) ELSE quote_ident(table_schema) || '.' || quote_ident(table_name) END AS \"table\" FROM information_schema.tables WHERE quote_ident(table_schema) NOT IN ('information_schema', 'pg_catalog', '_timescaledb_cache', '_timescaledb_catalog', '_timescaledb_internal', '_timescaledb_config', 'timescaledb_information', 'timescaledb_experimental') ORDER BY CASE WHEN quote_ident(table_schema) IN ({grafana_schemas}) THEN 0 ELSE 1 END, 1"
    );
    let any_tables = tables.replace(" IN (SELECT", " = ANY (SELECT");
    let columns = format!(
        "SELECT quote_ident(column_name) AS \"column\", data_type AS \"type\" FROM information_schema.columns WHERE CASE WHEN array_length(parse_ident('item'),1) = 2 THEN quote_ident(table_schema) = (parse_ident('item'))[1] AND quote_ident(table_name) = (parse_ident('item'))[2] ELSE quote_ident(table_name) = (parse_ident('item'))[1] AND quote_ident(table_schema) IN ({grafana_schemas}) END"
    );
    let plain_columns = format!(
        "SELECT quote_ident(column_name) AS \"column\", data_type AS \"type\" FROM information_schema.columns WHERE CASE WHEN array_length(parse_ident('public.item'),1) = 2 THEN quote_ident(table_schema) = (parse_ident('public.item'))[1] AND quote_ident(table_name) = (parse_ident('public.item'))[2] ELSE quote_ident(table_name) = 'item' AND quote_ident(table_schema) IN ({grafana_schemas}) END"
    );
    let asked: &[(&str, &[&str])] = &[
        // Grafana.
        (&tables, &["\n item", "\n by_day"]),
        (&any_tables, &["\n item", "\n by_day"]),
        (&columns, &["price", "numeric", "timestamp with time zone"]),
        (&plain_columns, &["price", "numeric"]),
        (
            "SELECT schema_name AS \"name\" FROM information_schema.schemata WHERE schema_name NOT IN ('information_schema', 'pg_catalog', 'pg_toast') ORDER BY schema_name",
            &["public"],
        ),
        (
            "SELECT quote_ident(table_name) AS \"table\" FROM information_schema.tables WHERE quote_ident(table_schema) = 'public' ORDER BY 1",
            &["item"],
        ),
        (
            "SELECT extversion FROM pg_extension WHERE extname = 'timescaledb'",
            &["0 rows"],
        ),
        // Metabase.
        (
            "SELECT c.column_name AS name, c.udt_name AS \"database-type\", c.ordinal_position - 1 AS \"database-position\", c.table_schema AS \"table-schema\", c.table_name AS \"table-name\", pk.column_name IS NOT NULL AS \"pk?\" FROM information_schema.columns AS c LEFT JOIN (SELECT tc.table_schema, tc.table_name, kc.column_name FROM information_schema.table_constraints AS tc INNER JOIN information_schema.key_column_usage AS kc ON tc.constraint_name = kc.constraint_name AND tc.table_schema = kc.table_schema AND tc.table_name = kc.table_name WHERE tc.constraint_type = 'PRIMARY KEY') AS pk ON c.table_schema = pk.table_schema AND c.table_name = pk.table_name AND c.column_name = pk.column_name WHERE c.table_schema !~ '^information_schema|catalog_history|pg_' AND c.table_name = 'item' ORDER BY 5, 3",
            &["price", "timestamptz"],
        ),
        (
            "SELECT fk_ns.nspname AS \"fk-table-schema\", fk_table.relname AS \"fk-table-name\" FROM pg_constraint AS c INNER JOIN pg_class AS fk_table ON c.conrelid = fk_table.oid INNER JOIN pg_namespace AS fk_ns ON c.connamespace = fk_ns.oid INNER JOIN pg_attribute AS fk_column ON c.conrelid = fk_column.attrelid WHERE c.contype = 'f' AND fk_column.attnum = ANY (c.conkey)",
            &["0 rows"],
        ),
        // DBeaver.
        (
            "SELECT c.oid, c.*, d.description, pg_catalog.pg_get_expr(c.relpartbound, c.oid) AS partition_expr, pg_catalog.pg_get_partkeydef(c.oid) AS partition_key FROM pg_catalog.pg_class c LEFT OUTER JOIN pg_catalog.pg_description d ON d.objoid = c.oid AND d.objsubid = 0 AND d.classoid = 'pg_class'::regclass WHERE c.relname = 'item' AND c.relkind NOT IN ('i', 'I', 'c')",
            &["item", "1 row"],
        ),
        (
            "SELECT pg_catalog.pg_total_relation_size(c.oid) > 0 AS has_bytes FROM pg_class c WHERE c.relname = 'item'",
            &["\n t"],
        ),
        (
            "SELECT i.*, i.indkey AS keys, c.relname, c.relnamespace, c.relam, c.reltablespace, tc.relname AS tabrelname, dsc.description FROM pg_catalog.pg_index i INNER JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid INNER JOIN pg_catalog.pg_class tc ON tc.oid = i.indrelid LEFT OUTER JOIN pg_catalog.pg_description dsc ON i.indexrelid = dsc.objoid WHERE i.indrelid = 1 ORDER BY tabrelname, c.relname",
            &["0 rows"],
        ),
        // Other versions of psql.
        (
            "SELECT n.nspname AS \"Schema\", c.relname AS \"Name\", CASE WHEN pg_catalog.array_length(c.relacl, 1) = 0 THEN '(none)' ELSE pg_catalog.array_to_string(c.relacl, E'\\n') END AS \"Access privileges\" FROM pg_catalog.pg_class c LEFT JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE c.relname OPERATOR(pg_catalog.~) '^(item)$' COLLATE pg_catalog.default",
            &["sluice=r/sluice"],
        ),
        (
            "SELECT m.rolname AS \"Role name\", r.rolname AS \"Member of\", pg_catalog.concat_ws(', ', CASE WHEN pam.admin_option THEN 'ADMIN' END, CASE WHEN pam.set_option THEN 'SET' END) AS \"Options\", g.rolname AS \"Grantor\" FROM pg_catalog.pg_roles m JOIN pg_catalog.pg_auth_members pam ON (pam.member = m.oid) LEFT JOIN pg_catalog.pg_roles r ON (pam.roleid = r.oid) LEFT JOIN pg_catalog.pg_roles g ON (pam.grantor = g.oid) WHERE m.rolname !~ '^pg_' ORDER BY 1, 2, 4",
            &["0 rows"],
        ),
        (
            "SELECT pubname, NULL, NULL FROM pg_catalog.pg_publication p JOIN pg_catalog.pg_publication_namespace pn ON p.oid = pn.pnpubid JOIN pg_catalog.pg_class pc ON pc.relnamespace = pn.pnnspid WHERE pc.oid = '16387' AND pg_catalog.pg_relation_is_publishable('16387') UNION SELECT pubname, pg_get_expr(pr.prqual, c.oid), (CASE WHEN pr.prattrs IS NOT NULL THEN (SELECT string_agg(attname, ', ') FROM pg_catalog.generate_series(0, pg_catalog.array_upper(pr.prattrs::pg_catalog.int2[], 1)) s, pg_catalog.pg_attribute WHERE attrelid = pr.prrelid AND attnum = prattrs[s]) ELSE NULL END) FROM pg_catalog.pg_publication p JOIN pg_catalog.pg_publication_rel pr ON p.oid = pr.prpubid JOIN pg_catalog.pg_class c ON c.oid = pr.prrelid WHERE pr.prrelid = '16387' ORDER BY 1",
            &["0 rows"],
        ),
        // What dashboards ask of a server.
        (
            "SELECT relname, n_live_tup FROM pg_stat_user_tables WHERE relname = 'item'",
            &["1000"],
        ),
        ("SELECT pg_is_in_recovery()", &["f"]),
        ("SELECT txid_current() >= 0 AS is_number", &["\n t"]),
        (
            "SELECT pid, usename, state FROM pg_stat_activity WHERE pid > 0",
            &["li", "1 row"],
        ),
        ("SHOW TRANSACTION ISOLATION LEVEL", &["read committed"]),
        (
            "SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY",
            &["SET"],
        ),
        ("DISCARD ALL", &["DISCARD ALL"]),
        (
            "SELECT name, setting FROM pg_settings WHERE name = 'server_encoding'",
            &["UTF8"],
        ),
        (
            "SELECT view_definition FROM information_schema.views WHERE table_name = 'new_items'",
            &["SELECT id, name"],
        ),
        ("SELECT 'item'::regclass::oid::regclass AS name", &["item"]),
        ("SELECT has_table_privilege('item', 'INSERT')", &["f"]),
        (
            "SELECT numeric_precision, numeric_scale FROM information_schema.columns WHERE column_name = 'price' AND table_name = 'item'",
            &["18", "2"],
        ),
    ];
    with_psql(|running| check(running, asked.iter().copied()));
}

#[test]
fn a_join_ends_when_its_time_is_over() {
    with_psql(|running| {
        let begin = Instant::now();
        let asked = ["SET statement_timeout = '2s'", NEVER_DONE];
        let (is_good, text) = psql(running, &asked).unwrap();
        let taken = begin.elapsed();
        assert!(!is_good && text.contains("2000"), "{text}");
        // Other tests run beside it: the time itself, and some seconds of patience.
        assert!(taken < Duration::from_secs(6), "{taken:?}");
        // What ran is over too, and leaves the machine to others.
        let begin = Instant::now();
        let (is_good, text) = psql(running, &["SELECT count(*) FROM item"]).unwrap();
        assert!(is_good && text.contains("1000"), "{text}");
        assert!(
            begin.elapsed() < Duration::from_secs(5),
            "{:?}",
            begin.elapsed()
        );
    });
}
