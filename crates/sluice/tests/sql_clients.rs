//! The clients that people use, against the real program: psql, psycopg, JDBC,
//! pgbench, and what Grafana and Metabase ask when they connect.
//! `scripts/install-test-tools` installs them; what is missing is skipped loudly.

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

use common::{output, succeed};
use shop::{check, clients, psql, scripts, skipped, start, with_psql};

const SLOW: &str = "SELECT count(*) FROM generate_series(1, 100000) AS a(x), generate_series(1, 1000000) AS b(y) WHERE (x * y) % 7 = 1";

/// Statements of one connection, and what their answers contain.
const IN_ANOTHER_ZONE: [(&[&str], &[&str]); 2] = [
    (
        &[
            "SET TIME ZONE 'asia/kolkata'",
            "SHOW TimeZone",
            "SELECT sold_at, sold_at::date AS day, date_trunc('day', sold_at) AS midnight FROM item WHERE id = 1",
        ],
        &[
            "Asia/Kolkata",
            "2026-11-01 05:30:00+05:30",
            "2026-11-01 00:00:00+05:30",
        ],
    ),
    (
        &[
            "SET timezone = 'America/New_York'",
            "SELECT sold_at::date AS day FROM item WHERE sold_at = '2026-10-31 20:00:00' AND id = 1",
            "COPY (SELECT sold_at FROM item WHERE id = 1) TO STDOUT",
            "RESET timezone",
            "SHOW timezone",
        ],
        &["2026-10-31", "2026-10-31 20:00:00-04", "UTC"],
    ),
];

#[test]
fn psql_finds_its_way() {
    let asked: &[(&str, &[&str])] = &[
        ("\\d", &["item", "by_day", "new_items"]),
        ("\\dt", &["item"]),
        ("\\dv", &["new_items"]),
        ("\\dm", &[]),
        ("\\di", &[]),
        ("\\ds", &[]),
        (
            "\\d item",
            &[
                "id",
                "bigint",
                "numeric",
                "date",
                "boolean",
                "double precision",
            ],
        ),
        ("\\dn", &["public"]),
        ("\\l", &["sluice"]),
        ("\\conninfo", &["127.0.0.1"]),
        ("\\encoding", &["UTF8"]),
        // What the tab key asks.
        (
            "SELECT c.relname, NULL::pg_catalog.text FROM pg_catalog.pg_class c WHERE c.relkind IN ('r', 'S', 'v', 'm', 'f', 'p') AND (c.relname) LIKE 'it%' AND pg_catalog.pg_table_is_visible(c.oid) AND c.relnamespace <> (SELECT oid FROM pg_catalog.pg_namespace WHERE nspname = 'pg_catalog') UNION ALL SELECT NULL::pg_catalog.text, n.nspname FROM pg_catalog.pg_namespace n WHERE n.nspname LIKE 'it%' AND n.nspname NOT LIKE E'pg\\\\_%' LIMIT 1000",
            &["item"],
        ),
        (
            "SELECT a.attname FROM pg_catalog.pg_attribute a, pg_catalog.pg_class c WHERE c.oid = a.attrelid AND a.attnum > 0 AND NOT a.attisdropped AND (a.attname) LIKE 'pri%' AND c.relname = 'item' AND pg_catalog.pg_table_is_visible(c.oid) LIMIT 1000",
            &["price"],
        ),
        ("SELECT current_database()", &["sluice"]),
        ("SELECT current_schema", &["public"]),
        ("SELECT current_schema()", &["public"]),
        ("SELECT version()", &["PostgreSQL 16"]),
        ("SELECT current_user", &["li"]),
        ("SELECT session_user", &["li"]),
        (
            "SELECT pg_catalog.current_setting('server_version_num')",
            &["160006"],
        ),
        ("SELECT pg_backend_pid()", &["1 row"]),
        ("SELECT current_schemas(false)", &["public"]),
        ("SELECT has_table_privilege('item', 'SELECT')", &["t"]),
        ("SELECT pg_get_userbyid(10)", &["1 row"]),
        (
            "SELECT col_description('item'::regclass, 2)",
            &["Name on the label"],
        ),
        (
            "SELECT obj_description('by_day'::regclass, 'pg_class')",
            &["What was sold on it"],
        ),
        ("SHOW server_version", &["16.6"]),
        ("SHOW TIME ZONE", &["UTC"]),
        ("SHOW search_path", &["public"]),
        ("SHOW transaction_read_only", &["on"]),
        ("SELECT count(*) FROM pg_catalog.pg_settings", &["1 row"]),
        (
            "SELECT table_name FROM information_schema.tables WHERE table_schema = 'public'",
            &["by_day"],
        ),
        (
            "SELECT column_name, data_type FROM information_schema.columns WHERE table_name = 'item'",
            &["price"],
        ),
        (
            "COPY (SELECT id, name FROM item WHERE id < 3 ORDER BY id) TO STDOUT WITH (FORMAT csv, HEADER)",
            &["id,name\n1,name 1\n2,\n"],
        ),
        (
            "COPY (SELECT id, name FROM item WHERE id < 3 ORDER BY id) TO STDOUT",
            &["1\tname 1\n2\t\\N\n"],
        ),
        ("COPY item (id) TO STDOUT", &["\n1000\n"]),
        (
            "\\copy (SELECT id FROM item WHERE id = 7) TO STDOUT CSV",
            &["7\n"],
        ),
        (
            "BEGIN; DECLARE c CURSOR FOR SELECT id FROM item ORDER BY id; FETCH 2 FROM c; FETCH NEXT FROM c; CLOSE c; COMMIT",
            &["3"],
        ),
        ("EXPLAIN by_day", &["plan"]),
        (
            "SELECT sold_at FROM item WHERE id = 1",
            &[" 2026-11-01 00:00:00+00\n"],
        ),
        (
            "SELECT to_char(sold_at, 'DD.MM.YYYY HH24:MI') AS text FROM item WHERE id = 1",
            &["01.11.2026 00:00"],
        ),
        (
            "SELECT CAST('inf' AS DOUBLE) AS a, CAST('-inf' AS DOUBLE) AS b, CAST('nan' AS DOUBLE) AS c",
            &["Infinity", "-Infinity", "NaN"],
        ),
    ];
    with_psql(|running| {
        check(running, asked.iter().copied());
        let by_parts = ["\\set FETCH_COUNT 100", "SELECT id FROM item ORDER BY id"];
        let (is_good, text) = psql(running, &by_parts).unwrap();
        assert!(is_good && text.contains("1000"), "FETCH_COUNT: {text}");
        for (statements, wanted) in IN_ANOTHER_ZONE {
            let (is_good, text) = psql(running, statements).unwrap();
            let has_all = wanted.iter().all(|wanted| text.contains(wanted));
            assert!(is_good && has_all, "{statements:?}: {text}");
        }
        let (is_good, text) = psql(running, &["COPY item TO '/tmp/out'"]).unwrap();
        assert!(
            !is_good && text.contains("refused"),
            "COPY to a file: {text}"
        );
        for (wrong, said) in [
            (
                "SELECT sum(x) FROM (VALUES (9223372036854775807), (1)) AS v(x)",
                "out of range",
            ),
            ("SET timezone = 'Mars/Base'", "invalid value for parameter"),
        ] {
            let (is_good, text) = psql(running, &[wrong]).unwrap();
            assert!(!is_good && text.contains(said), "{wrong}: {text}");
        }
    });
}

#[test]
fn psycopg_asks() {
    let folder = tempfile::tempdir().unwrap();
    let running = start(folder.path());
    let python = clients().join("venv/bin/python");
    if !python.exists() {
        return skipped("psycopg");
    }
    let place = format!("li@127.0.0.1:{}/sluice", running.port);
    let mut command = Command::new(&python);
    command.arg(scripts().join("psycopg_client.py"));
    let text = succeed(command.arg(format!("postgresql://{place}")));
    assert_eq!(text, "done\n");
}

#[test]
fn jdbc_asks() {
    let folder = tempfile::tempdir().unwrap();
    let running = start(folder.path());
    let driver = std::fs::read_dir(clients()).into_iter().flatten().flatten();
    let mut drivers = driver.map(|entry| entry.path());
    let driver = drivers.find(|path| path.extension().is_some_and(|end| end == "jar"));
    let Some(driver) = driver.filter(|_| Command::new("java").arg("-version").output().is_ok())
    else {
        return skipped("the JDBC driver, or Java,");
    };
    let mut command = Command::new("java");
    command
        .arg("-cp")
        .arg(driver)
        .arg(scripts().join("Jdbc.java"));
    let port = running.port;
    command.arg(format!("jdbc:postgresql://127.0.0.1:{port}/sluice?user=li"));
    assert_eq!(succeed(command.arg(SLOW)), "done\n");
}

#[test]
fn pgbench_asks_in_each_of_its_ways() {
    let folder = tempfile::tempdir().unwrap();
    let running = start(folder.path());
    let script = folder.path().join("read.sql");
    let text = "\\set id random(1, 1000)\nSELECT name, price FROM item WHERE id = :id;\nSELECT count(*) FROM item WHERE price > :id;\n";
    std::fs::write(&script, text).unwrap();
    let port = running.port.to_string();
    for way in ["simple", "extended", "prepared"] {
        let mut command = Command::new("pgbench");
        command.args(["-n", "-M", way, "-c", "4", "-j", "2", "-t", "50"]);
        command.args(["-h", "127.0.0.1", "-p", &port, "-U", "li", "-f"]);
        command.arg(&script).arg("sluice");
        if Command::new("pgbench").arg("--version").output().is_err() {
            return skipped("pgbench");
        }
        let found = output(&mut command);
        let text = String::from_utf8_lossy(&found.stdout).into_owned();
        let errors = String::from_utf8_lossy(&found.stderr).into_owned();
        assert!(found.status.success(), "{way}: {errors}");
        assert!(text.contains("200/200"), "{way}: {text}{errors}");
        assert!(text.contains("failed transactions: 0 "), "{way}: {text}");
    }
}

/// What the tools ask when a person connects them, as their sources have it.
#[test]
fn grafana_and_metabase_connect() {
    let asked: &[(&str, &[&str])] = &[
        // Grafana: the version, the columns, a curve.
        (
            "SELECT current_setting('server_version_num')::int/100",
            &["1600"],
        ),
        (
            "SELECT quote_ident(column_name) AS \"column\", data_type AS \"type\" FROM information_schema.columns WHERE quote_ident(table_name) = 'item'",
            &["price"],
        ),
        (
            "SELECT floor(extract(epoch from sold_at)/60)*60 AS \"time\", sum(price) AS \"value\" FROM item WHERE sold_at BETWEEN '2026-10-31T00:00:00Z' AND '2026-11-02T00:00:00Z' GROUP BY 1 ORDER BY 1",
            &["1793491200"],
        ),
        // Metabase: sessions, schemas, tables, privileges.
        ("SET SESSION TIMEZONE TO 'UTC'", &["SET"]),
        ("SELECT CURRENT_TIMESTAMP", &["1 row"]),
        (
            "SELECT nspname AS \"TABLE_SCHEM\" FROM pg_catalog.pg_namespace WHERE nspname <> 'pg_toast' AND (nspname !~ '^pg_temp_' OR nspname = 'public') ORDER BY nspname",
            &["public"],
        ),
        (
            "SELECT n.nspname AS \"schema\", c.relname AS \"name\", CASE c.relkind WHEN 'r' THEN 'TABLE' WHEN 'p' THEN 'PARTITIONED TABLE' WHEN 'v' THEN 'VIEW' WHEN 'f' THEN 'FOREIGN TABLE' WHEN 'm' THEN 'MATERIALIZED VIEW' ELSE NULL END AS \"type\", d.description AS \"description\" FROM pg_catalog.pg_class AS c INNER JOIN pg_catalog.pg_namespace AS n ON c.relnamespace = n.oid LEFT JOIN pg_catalog.pg_description AS d ON c.oid = d.objoid AND d.objsubid = 0 AND d.classoid = 'pg_class'::regclass WHERE c.relnamespace = n.oid AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' AND c.relkind IN ('r', 'p', 'v', 'f', 'm') ORDER BY \"schema\", \"name\"",
            &["item"],
        ),
        (
            "SELECT CAST(\"public\".\"item\".\"sold_at\" AS date) AS \"sold_at\", COUNT(*) AS \"count\" FROM \"public\".\"item\" GROUP BY CAST(\"public\".\"item\".\"sold_at\" AS date) ORDER BY CAST(\"public\".\"item\".\"sold_at\" AS date) ASC",
            &["1000"],
        ),
        (
            "SELECT \"public\".\"item\".\"id\" AS \"id\", \"public\".\"item\".\"name\" AS \"name\" FROM \"public\".\"item\" LIMIT 2000",
            &["name 1"],
        ),
        (
            "SELECT SUBSTRING(\"public\".\"item\".\"name\", 1, 1234) AS \"substring1\" FROM \"public\".\"item\" LIMIT 10",
            &["name"],
        ),
    ];
    with_psql(|running| check(running, asked.iter().copied()));
}
