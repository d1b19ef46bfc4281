//! Asking a warehouse: running over the PostgreSQL wire with our own client
//! and with psql, and stopped.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod common;

use std::io::Write;
use std::process::{Command, Stdio};

use common::{Running, ask, ask_until, example, fail, run_command, sluice, succeed};

fn sample_rows() -> String {
    let mut rows = 0;
    for entry in std::fs::read_dir(example().join("sample")).unwrap() {
        let text = std::fs::read_to_string(entry.unwrap().path()).unwrap();
        rows += text.lines().count() - 1;
    }
    rows.to_string()
}

#[test]
fn a_running_warehouse_answers_psql_and_our_own_client() {
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("state");
    let running = Running::start(&example(), &state, &[]);
    let rows = sample_rows();
    ask_until(&state, "SELECT rows FROM totals", &[&rows]);

    // A query view, types, all formats.
    let mut command = sluice();
    command
        .arg("sql")
        .arg("--state")
        .arg(&state)
        .args(["--format", "json"]);
    let json = succeed(
        command.arg("SELECT rows, true AS yes, 'a\"b' AS text, NULL AS nothing FROM totals"),
    );
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    let row = &json[0];
    assert_eq!(row["rows"].to_string(), rows);
    assert_eq!(row["text"], "a\"b");
    let mut command = sluice();
    command
        .arg("sql")
        .arg("--state")
        .arg(&state)
        .arg("SELECT month FROM revenue_by_month ORDER BY month");
    let table = succeed(&mut command);
    assert!(
        table.contains("month") && table.contains("2010-12"),
        "{table}"
    );
    assert!(!ask(&state, "SELECT * FROM top_products").is_empty());

    // Errors say what is wrong, and writing is refused.
    let mut command = sluice();
    command
        .arg("sql")
        .arg("--state")
        .arg(&state)
        .arg("SELECT nope FROM totals");
    let error = fail(&mut command, 1);
    assert!(error.contains("nope"), "{error}");
    let mut command = sluice();
    command
        .arg("sql")
        .arg("--state")
        .arg(&state)
        .arg("DELETE FROM invoice_line");
    fail(&mut command, 1);

    // A script on standard input.
    let mut child = sluice()
        .arg("sql")
        .arg("--state")
        .arg(&state)
        .args(["--format", "csv"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let script = b"SELECT 1 AS one; -- first\nSELECT 'x;y' AS two;\n";
    child.stdin.take().unwrap().write_all(script).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(
        String::from_utf8(output.stdout).unwrap().replace('"', ""),
        "one\n1\ntwo\nx;y\n"
    );

    psql(&running, &rows);

    // EXPLAIN of a view tells its operators, over both of psql's protocols.
    let plan = ask(&state, "EXPLAIN revenue_by_month").join("\n");
    assert!(
        plan.contains("aggregate #") && plan.contains("sum(amount"),
        "{plan}"
    );
    assert!(plan.contains("    dwd_invoice_line (rows "), "{plan}");
    let text = std::fs::read_to_string(state.join("address.json")).unwrap();
    let address: serde_json::Value = serde_json::from_str(&text).unwrap();
    let url = format!("http://{}/api/v1/sql", address["http"].as_str().unwrap());
    let mut answer = ureq::post(url).send("EXPLAIN revenue_by_month").unwrap();
    let over_http = answer.body_mut().read_to_string().unwrap();
    assert!(over_http.contains("aggregate #"), "{over_http}");
    ask_until(
        &state,
        "SELECT sum(rows_out) FROM sluice_operators WHERE gives = 'invoice_line'",
        &[&rows],
    );
    let mut command = sluice();
    command.arg("sql").arg("--state").arg(&state);
    let error = fail(command.arg("EXPLAIN nothing_there"), 1);
    assert!(error.contains("nothing_there"), "{error}");

    // Only one process may hold the state.
    let error = fail(&mut run_command(&example(), &state), 3);
    assert!(error.contains("in use"), "{error}");
    let mut command = sluice();
    let status = succeed(command.arg("status").arg("--state").arg(&state));
    assert!(
        status.contains("running") && status.contains("invoice_line"),
        "{status}"
    );

    assert!(running.stop().success());
    assert_eq!(ask(&state, "SELECT rows FROM totals"), [rows]);
    assert!(!ask(&state, "SELECT * FROM top_products").is_empty());
    let mut command = sluice();
    let status = succeed(command.arg("status").arg("--state").arg(&state));
    assert!(status.contains("stopped"), "{status}");
}

fn psql(running: &Running, rows: &str) {
    if Command::new("psql").arg("--version").output().is_err() {
        eprintln!("SKIPPED: psql is not installed; scripts/install-test-tools installs it");
        return;
    }
    let psql = |sql: &str| -> String {
        let output = Command::new("psql")
            .args([
                "-X",
                "-A",
                "-t",
                "-h",
                "127.0.0.1",
                "-U",
                "sluice",
                "-d",
                "sluice",
            ])
            .args(["-p", &running.port.to_string(), "-c", sql])
            .output()
            .unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{sql}: {errors}");
        String::from_utf8(output.stdout).unwrap()
    };
    assert_eq!(psql("SELECT rows FROM totals").trim(), rows);
    let tables = psql("\\d");
    assert!(
        tables.contains("invoice_line") && tables.contains("totals"),
        "{tables}"
    );
    let columns = psql("\\d totals");
    assert!(columns.contains("clean_revenue"), "{columns}");
}

#[test]
fn a_stopped_warehouse_answers_from_its_state() {
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("state");
    let mut command = sluice();
    command
        .arg("sql")
        .arg("--state")
        .arg(&state)
        .arg("SELECT 1");
    let error = fail(&mut command, 2);
    assert!(error.contains("no warehouse state"), "{error}");
    let summary = succeed(run_command(&example(), &state).arg("--until-idle"));
    assert!(summary.contains("invoice_line"), "{summary}");
    assert_eq!(ask(&state, "SELECT rows FROM totals"), [sample_rows()]);
    let mut command = sluice();
    command.arg("sql").arg(example()).arg("--state").arg(&state);
    let table = succeed(command.arg("SELECT count(*) AS countries FROM revenue_by_country"));
    assert!(table.contains("countries"), "{table}");
    let mut command = sluice();
    command.arg("sql").arg("--state").arg(&state);
    let said = fail(command.arg("EXPLAIN revenue_by_month"), 1);
    assert!(said.contains("start it with `sluice run`"), "{said}");
}

#[test]
fn a_new_project_runs_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = sluice();
    command.current_dir(folder.path());
    succeed(command.args(["init", "my-shop"]));
    let mut command = sluice();
    command.current_dir(folder.path());
    fail(command.args(["init", "my-shop"]), 2);
    let project = folder.path().join("my-shop");
    assert!(project.join("alerts/source_stopped.toml").is_file());
    succeed(sluice().arg("check").arg(&project));
    let mut command = sluice();
    command.current_dir(folder.path());
    succeed(command.args([
        "run",
        "my-shop",
        "--until-idle",
        "--set",
        "listen.postgres=127.0.0.1:0",
        "--set",
        "listen.http=127.0.0.1:0",
    ]));
    let days = ask(
        &project.join("data"),
        "SELECT * FROM revenue_by_day ORDER BY day",
    );
    assert_eq!(days.len(), 2, "{days:?}");
    assert!(
        days[0].starts_with("2025-03-01") && days[0].contains("26.70"),
        "{days:?}"
    );
}
