//! The real program tells the owner of a source that has stopped, and of its
//! recovery, through a mail server of the tests' own; silences and the API. A mail
//! server that others wrote is in `mail_server.rs`.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a test fails by panicking, and waits"
)]

mod common;
#[allow(dead_code, reason = "this test uses a part of it")]
#[path = "../../watch/tests/common/mod.rs"]
mod mail;
#[path = "common/stopping_source.rs"]
mod stopping_source;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use common::{Running, ask, ask_until, fail, root, run_command, sluice, succeed, write_files};
use mail::{MailBox, certificate};
use stopping_source::{orders_source, quick_alarm, shop};

/// Longer than anything here may take.
const PATIENCE: Duration = Duration::from_secs(60);

fn project(folder: &Path, url: &str, mail_box: &MailBox) -> PathBuf {
    let project = folder.join("shop");
    let config = format!(
        r#"name = "shop"
owner = "data"

[owners]
data = "data@shop.example"
orders-team = "li@shop.example"

[mail]
server = "localhost"
port = {}
certificates = "{}"
from = "Sluice <sluice@shop.example>"
user = "sluice"
password = "env:SLUICE_TEST_MAIL_PASSWORD"

[alarms]
group_wait = "1 second"
"#,
        mail_box.address.port(),
        certificate().display()
    );
    write_files(
        &project,
        &[
            ("warehouse.toml", &config),
            ("sources/orders.toml", &orders_source("orders-team", url)),
            ("alerts/source_stopped.toml", &quick_alarm()),
        ],
    );
    project
}

fn run(project: &Path, state: &Path) -> Running {
    let mut command = run_command(project, state);
    command.env("SLUICE_TEST_MAIL_PASSWORD", "secret");
    let running = Running::of(&mut command, state);
    wait_for("the alarms to answer", || {
        let mut command = sluice();
        command.args(["alarms", "list", "--state"]).arg(state);
        command.output().unwrap().status.success()
    });
    running
}

#[track_caller]
fn wait_for(what: &str, mut is_done: impl FnMut() -> bool) {
    let start = Instant::now();
    while !is_done() {
        assert!(start.elapsed() < PATIENCE, "waiting for {what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn alarms(state: &Path, words: &[&str]) -> String {
    let mut command = sluice();
    command.arg("alarms").args(words).arg("--state").arg(state);
    succeed(&mut command)
}

#[test]
fn the_owner_of_a_stopped_source_is_told_in_time_and_of_its_recovery() {
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("state");
    let is_down = Arc::new(AtomicBool::new(false));
    let url = shop(is_down.clone());
    let mail_box = MailBox::start();
    let project = project(folder.path(), &url, &mail_box);
    let mut check = sluice();
    succeed(check.arg("check").arg(&project));

    let running = run(&project, &state);
    assert!(alarms(&state, &["list"]).starts_with("nothing is wrong: 1 alarms watch"));
    wait_for("the source to run", || {
        ask(&state, "SELECT state FROM sluice_sources") == ["running"]
    });
    is_down.store(true, Ordering::SeqCst);
    let stopped = Instant::now();
    wait_for("a mail", || !mail_box.mails.lock().is_empty());
    // An evaluation each second, two seconds pending, one for others to begin
    // too; the rest is for a machine that is busy.
    let elapsed = stopped.elapsed();
    assert!(elapsed > Duration::from_secs(2), "{elapsed:?}");
    assert!(elapsed < Duration::from_secs(15), "{elapsed:?}");
    {
        let mails = mail_box.mails.lock();
        assert_eq!(mails[0].to, ["li@shop.example"]);
        assert_eq!(
            mails[0].header("Subject"),
            "[shop] critical: A source has stopped"
        );
        assert_eq!(mails[0].login.as_deref(), Some("\0sluice\0secret"));
        let text = mails[0].text();
        assert!(text.contains("orders cannot be read"), "{text}");
    }
    let rows = ask(
        &state,
        "SELECT alarm, state, owner, labels, delivered IS NOT NULL FROM sluice_alarms",
    );
    assert_eq!(
        rows,
        ["source_stopped,firing,orders-team,source=orders,true"]
    );
    let listed = alarms(&state, &["list"]);
    assert!(
        listed.starts_with("firing    critical  source_stopped"),
        "{listed}"
    );
    drop(running);

    // Killed while it fires: the next process goes on and tells nothing twice.
    let running = run(&project, &state);
    wait_for("the source to fail again", || {
        ask(&state, "SELECT state FROM sluice_sources") == ["failing"]
    });
    std::thread::sleep(Duration::from_secs(4));
    assert_eq!(mail_box.mails.lock().len(), 1, "{:?}", mail_box.subjects());
    is_down.store(false, Ordering::SeqCst);
    wait_for("a mail of the recovery", || {
        mail_box.mails.lock().len() == 2
    });
    let subject = mail_box.mails.lock()[1].header("Subject");
    assert_eq!(subject, "[shop] resolved: A source has stopped");

    // What is silenced is not told.
    let silence = [
        "silence",
        "source_stopped",
        "--for",
        "2 hours",
        "--label",
        "source=orders",
    ];
    assert!(alarms(&state, &silence).starts_with("silence 1 until 20"));
    is_down.store(true, Ordering::SeqCst);
    wait_for("the silenced alarm", || {
        alarms(&state, &["list"]).contains("owner orders-team, silenced)")
    });
    std::thread::sleep(Duration::from_secs(3));
    assert_eq!(mail_box.mails.lock().len(), 2);
    assert_eq!(alarms(&state, &["unsilence", "1"]), "silence 1 is over\n");
    wait_for("a mail of what was silenced", || {
        mail_box.mails.lock().len() == 3
    });
    let mut unknown = sluice();
    unknown.args(["alarms", "silence", "nope", "--for", "1 hour", "--state"]);
    let error = fail(unknown.arg(&state), 1);
    assert!(
        error.contains("there is no alarm `nope`; known: source_stopped"),
        "{error}"
    );
    drop(running);
}

/// The source `orders` of files in a folder, which somebody owns.
const ARRIVING: &str = r#"[topic.orders]
owner = "orders-team"
[topic.orders.capture]
kind = "file"
path = "arriving/*.ndjson"
format = "ndjson"

[table.orders]
topic = "orders"
columns = [{ name = "id", from = "/id", type = "int64" }]
"#;

#[test]
fn the_owner_of_files_whose_folder_vanishes_is_told_and_of_its_return() {
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("state");
    let mail_box = MailBox::start();
    let project = project(folder.path(), "", &mail_box);
    write_files(
        &project,
        &[
            ("sources/orders.toml", ARRIVING),
            ("arriving/a.ndjson", "{\"id\":1}\n"),
        ],
    );
    let running = run(&project, &state);
    ask_until(&state, "SELECT count(*) FROM orders", &["1"]);
    let is = "SELECT state, error IS NULL, failing_since IS NULL FROM sluice_sources";
    ask_until(&state, is, &["running,true,true"]);

    let (arriving, away) = (project.join("arriving"), project.join("away"));
    std::fs::rename(&arriving, &away).unwrap();
    ask_until(&state, is, &["failing,false,false"]);
    let error = &ask(&state, "SELECT error FROM sluice_sources")[0];
    assert!(error.contains("/arriving: cannot be read: "), "{error}");
    let up = "SELECT value > 0 FROM sluice_metrics WHERE name = 'sluice_source_up'";
    ask_until(&state, up, &["false"]);
    wait_for("a mail", || !mail_box.mails.lock().is_empty());
    let first = mail_box.mails.lock()[0].clone();
    assert_eq!(first.to, ["li@shop.example"]);
    assert!(first.text().contains("/arriving: cannot be read: "));

    write_files(&away, &[("b.ndjson", "{\"id\":2}\n")]);
    std::fs::rename(&away, &arriving).unwrap();
    ask_until(&state, "SELECT count(*) FROM orders", &["2"]);
    ask_until(&state, is, &["running,true,true"]);
    ask_until(&state, up, &["true"]);
    wait_for("a mail of the return", || mail_box.mails.lock().len() == 2);
    let subject = mail_box.mails.lock()[1].header("Subject");
    assert_eq!(subject, "[shop] resolved: A source has stopped");
    drop(running);
}

#[test]
fn files_of_alarms_take_effect_while_the_warehouse_runs() {
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("state");
    let mail_box = MailBox::start();
    let url = shop(Arc::new(AtomicBool::new(false)));
    let project = project(folder.path(), &url, &mail_box);
    let running = run(&project, &state);
    let file = "alerts/always.toml";
    let write = |text: &str| write_files(&project, &[(file, text)]);
    let always = |title: &str| {
        format!(
            "title = \"{title}\"\nsql = \"SELECT 5 AS value\"\nevery = \"1 second\"\nwhen = {{ above = 1 }}\n"
        )
    };
    write(&always("Five"));
    wait_for("the new alarm to fire", || {
        alarms(&state, &["list"]).starts_with("firing    warning   always")
    });
    // One that is wrong changes nothing, and it is said why.
    write("sql = \"SELECT nothing AS value\"\nwhen = { above = 1 }\n");
    wait_for("the refusal", || {
        let mut command = sluice();
        let status = command
            .arg("status")
            .arg("--state")
            .arg(&state)
            .output()
            .unwrap();
        String::from_utf8_lossy(&status.stdout).contains("alerts/always.toml:1:1: ")
    });
    assert!(alarms(&state, &["list"]).starts_with("firing    warning   always"));
    write(&always("Five again"));
    wait_for("the other title", || {
        alarms(&state, &["list", "--json"]).contains("Five again")
    });
    std::fs::remove_file(project.join(file)).unwrap();
    wait_for("the end of the alarm", || {
        let listed = alarms(&state, &["list"]);
        listed.starts_with("resolved  warning   always") || listed.starts_with("nothing is wrong")
    });
    drop(running);
}

#[test]
fn a_quiet_warehouse_shows_its_alarms_and_tells_nobody() {
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("state");
    let mail_box = MailBox::start();
    let url = shop(Arc::new(AtomicBool::new(false)));
    let project = project(folder.path(), &url, &mail_box);
    let always = "title = \"Five\"\nsql = \"SELECT 5 AS value\"\nevery = \"1 second\"\nwhen = { above = 1 }\n";
    write_files(&project, &[("alerts/always.toml", always)]);
    // It needs no password of the mail server either.
    let running = Running::of(run_command(&project, &state).arg("--quiet"), &state);
    wait_for("the alarm to fire", || {
        let mut command = sluice();
        command.args(["alarms", "list", "--state"]).arg(&state);
        let listed = command.output().unwrap().stdout;
        String::from_utf8_lossy(&listed).starts_with("firing    warning   always")
    });
    // Much longer than a mail takes.
    std::thread::sleep(Duration::from_secs(4));
    assert_eq!(mail_box.mails.lock().len(), 0, "{:?}", mail_box.subjects());
    drop(running);
    // Nobody was told, so that they are by one that is not quiet.
    let running = run(&project, &state);
    wait_for("a mail", || !mail_box.mails.lock().is_empty());
    drop(running);
}

#[test]
fn check_names_what_is_wrong_with_alarms() {
    let folder = tempfile::tempdir().unwrap();
    let mail_box = MailBox::start();
    let project = project(folder.path(), "http://127.0.0.1:1/", &mail_box);
    let check = |expected: &str| {
        let mut command = sluice();
        let error = fail(command.arg("check").arg(&project), 2);
        assert!(error.contains(expected), "{error}");
    };
    let write = |text: &str| write_files(&project, &[("alerts/a.toml", text)]);
    write("sql = \"SELECT ordres FROM orders\"\nwhen = { above = 1 }\n");
    check("alerts/a.toml:1:1: ");
    write("sql = \"SELECT id FROM orders\"\nwhen = { above = 1 }\n");
    check(
        "alerts/a.toml:1:1: the query has no column `value`, which is judged; its columns are id",
    );
    write("sql = \"SELECT id AS value FROM orders\"\nowner = \"nobody\"\nwhen = { above = 1 }\n");
    check("alerts/a.toml: `nobody` is no mail address");
    write("sql = \"DROP TABLE orders\"\nwhen = { any_row = true }\n");
    check("is refused");
}

#[test]
fn the_alarms_that_are_shipped_are_right() {
    let mut command = sluice();
    let output = command
        .arg("check")
        .arg(root().join("warehouse"))
        .output()
        .unwrap();
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{text}");
    assert!(text.contains("12 alarms"), "{text}");
}
