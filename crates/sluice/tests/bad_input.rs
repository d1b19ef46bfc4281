//! Bad input of every kind gets a clear error or a dead letter, and costs
//! nothing but itself.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod common;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use common::{Running, ask, ask_until, fail, output, replay_command, run_command, sluice, succeed};

const WAREHOUSE: &str = "name = \"bad\"\n\n[settings]\ninput = \"input\"\n";

const CSV_SOURCE: &str = r#"
[topic.orders]
partitions = 1
[topic.orders.capture]
kind = "file"
path = "${input}/*.csv"
format = "csv"

[table.order_line]
topic = "orders"
[[table.order_line.columns]]
name = "order_id"
from = "order_id"
type = "int64"
[[table.order_line.columns]]
name = "price"
from = "price"
type = "decimal(18,2)"
[[table.order_line.columns]]
name = "sku"
from = "sku"
type = "string"
"#;

const JSON_SOURCE: &str = r#"
[topic.clicks]
partitions = 1
[topic.clicks.capture]
kind = "file"
path = "${input}/*.ndjson"
format = "ndjson"

[table.click]
topic = "clicks"
[[table.click.columns]]
name = "id"
from = "/id"
type = "int64"
[[table.click.columns]]
name = "page"
from = "/page"
type = "string"
missing = "null"
"#;

const MODEL: &str = "CREATE MATERIALIZED VIEW revenue AS\nSELECT sum(price) AS revenue, count(*) AS lines\nFROM order_line\n";

/// A project folder with these files.
fn project(folder: &Path, files: &[(&str, &[u8])]) -> PathBuf {
    let project = folder.join("project");
    for (path, content) in files {
        let path = project.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        write(&path, content);
    }
    project
}

#[expect(clippy::disallowed_methods, reason = "a test makes its own input")]
fn write(path: &Path, content: &[u8]) {
    std::fs::write(path, content).unwrap();
}

fn append(path: &Path, content: &[u8]) {
    let mut file = std::fs::OpenOptions::new().append(true).open(path).unwrap();
    file.write_all(content).unwrap();
}

fn csv_project(folder: &Path, input: &[u8]) -> PathBuf {
    project(
        folder,
        &[
            ("warehouse.toml", WAREHOUSE.as_bytes()),
            ("sources/orders.toml", CSV_SOURCE.as_bytes()),
            ("models/revenue.sql", MODEL.as_bytes()),
            ("input/1.csv", input),
        ],
    )
}

fn load(project: &Path, state: &Path) -> String {
    succeed(run_command(project, state).arg("--until-idle"))
}

/// The one file below `folder` whose name ends so.
fn find_file(folder: &Path, ending: &str) -> PathBuf {
    let mut folders = vec![folder.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.to_string_lossy().ends_with(ending) {
                return path;
            }
        }
    }
    panic!("no file ends in {ending}");
}

#[test]
fn wrong_types_and_invalid_utf8_in_csv_become_dead_letters() {
    let folder = tempfile::tempdir().unwrap();
    let input =
        b"order_id,price,sku\n1,2.50,a\nx,2.50,b\n2,2.505,c\n3,1.00\n4,1.00,\xff\xfe\n5,1.50,e\n";
    let project = csv_project(folder.path(), input);
    let state = folder.path().join("state");
    let summary = load(&project, &state);
    assert!(summary.contains("sluice_dead_letters"), "{summary}");
    assert_eq!(
        ask(&state, "SELECT lines, revenue FROM revenue"),
        ["2,4.00"]
    );
    let letters = ask(
        &state,
        "SELECT record_offset, table_name, column_name, reason FROM sluice_dead_letters ORDER BY record_offset",
    );
    assert_eq!(letters.len(), 4, "{letters:?}");
    assert_eq!(letters[0], "2,order_line,order_id,wrong_type");
    assert_eq!(letters[1], "3,order_line,price,wrong_type");
    assert!(letters[2].ends_with("wrong_column_count"), "{letters:?}");
    assert!(letters[3].ends_with("bad_utf8"), "{letters:?}");
}

#[test]
fn broken_json_becomes_a_dead_letter() {
    let folder = tempfile::tempdir().unwrap();
    let input = b"{\"id\": 1, \"page\": \"home\"}\n{\"id\": 2, \n{\"id\": \"x\"}\n{\"page\": \"cart\"}\n{\"id\": 5}\n";
    let project = project(
        folder.path(),
        &[
            ("warehouse.toml", WAREHOUSE.as_bytes()),
            ("sources/clicks.toml", JSON_SOURCE.as_bytes()),
            ("input/1.ndjson", input),
        ],
    );
    let state = folder.path().join("state");
    load(&project, &state);
    assert_eq!(ask(&state, "SELECT id FROM click ORDER BY id"), ["1", "5"]);
    let reasons = ask(
        &state,
        "SELECT reason FROM sluice_dead_letters ORDER BY record_offset",
    );
    assert_eq!(reasons, ["not_json", "wrong_type", "missing_value"]);
}

#[test]
fn a_csv_with_another_header_is_told_apart() {
    let folder = tempfile::tempdir().unwrap();
    let project = csv_project(folder.path(), b"order_id,price,sku\n1,2.50,a\n");
    write(
        &project.join("input/2.csv"),
        b"order,price,article\n2,1.00,b\n3,1.00,c\n",
    );
    // Other order of the same columns: that is what headers are for.
    write(
        &project.join("input/3.csv"),
        b"sku,order_id,price\nd,4,0.25\n",
    );
    let state = folder.path().join("state");
    load(&project, &state);
    assert_eq!(
        ask(&state, "SELECT lines, revenue FROM revenue"),
        ["2,2.75"]
    );
    let letters = ask(
        &state,
        "SELECT reason, detail FROM sluice_dead_letters ORDER BY record_offset, detail",
    );
    // The header is told once, with each column that it lacks; then each line.
    assert_eq!(letters.len(), 4, "{letters:?}");
    assert!(letters[0].starts_with("bad_header") && letters[0].contains("order_id"));
    assert!(letters[1].starts_with("bad_header") && letters[1].contains("sku"));
    assert!(letters[2].starts_with("missing_value") && letters[3].starts_with("missing_value"));
}

#[test]
fn a_mended_definition_takes_dead_letters_back() {
    let folder = tempfile::tempdir().unwrap();
    let project = csv_project(folder.path(), b"order_id,price,sku\n1,2.50,a\nx9,1.00,b\n");
    let state = folder.path().join("state");
    load(&project, &state);
    assert_eq!(
        ask(&state, "SELECT count(*) FROM sluice_dead_letters"),
        ["1"]
    );
    let mended = CSV_SOURCE.replacen("int64", "string", 1);
    write(&project.join("sources/orders.toml"), mended.as_bytes());
    let mut command = run_command(&project, &state);
    let output = common::output(command.arg("--until-idle"));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{said}");
    assert!(said.contains("definitions have changed"), "{said}");
    assert_eq!(
        ask(&state, "SELECT count(*) FROM sluice_dead_letters"),
        ["0"]
    );
    assert_eq!(
        ask(&state, "SELECT lines, revenue FROM revenue"),
        ["2,3.50"]
    );
}

#[test]
fn a_model_with_a_typo_is_refused_with_file_line_and_column() {
    let folder = tempfile::tempdir().unwrap();
    let project = csv_project(folder.path(), b"order_id,price,sku\n");
    let model = project.join("models/revenue.sql");
    for (text, place, words) in [
        (
            "CREATE MATERIALIZED VIEW revenue AS\nSELECT sum(prize) AS revenue\nFROM order_line\n",
            "revenue.sql:2:12:",
            "prize",
        ),
        (
            "CREATE MATERIALIZED VIEW revenue AS\nSELECT 1 AS one\nFROM  order_lines\n",
            "revenue.sql:3:7:",
            "order_lines",
        ),
        (
            "CREATE MATERIALIZED VIEW revenue AS\nSELECT datediff(price, price) AS days\nFROM order_line\n",
            "revenue.sql:2:8:",
            "Invalid function 'datediff'. Write b::date - a::date for days",
        ),
        (
            "CREATE MATERIALIZED VIEW revenue AS\nSELECT substring(sku FROM '[0-9]+') AS digits\nFROM order_line\n",
            "revenue.sql:1:",
            "write (regexp_match(text, pattern))[1]",
        ),
        (
            "CREATE MATERIALIZED VIEW revenue AS\nSELEC 1\n",
            "revenue.sql:2:",
            "SELEC",
        ),
    ] {
        write(&model, text.as_bytes());
        let error = fail(sluice().arg("check").arg(&project), 2);
        assert!(error.contains(place), "{place}: {error}");
        assert!(error.contains(words), "{words}: {error}");
    }
    write(&model, MODEL.as_bytes());
    succeed(sluice().arg("check").arg(&project));
}

#[test]
fn wrong_project_files_are_refused_with_file_line_and_column() {
    let folder = tempfile::tempdir().unwrap();
    let project = csv_project(folder.path(), b"order_id,price,sku\n");
    let config = project.join("warehouse.toml");
    let source = project.join("sources/orders.toml");
    for (file, text, place) in [
        (
            &config,
            WAREHOUSE.replace("name =", "nam ="),
            "warehouse.toml:1:1:",
        ),
        (
            &config,
            WAREHOUSE.replace("\n[", "\ntime_zone = \"Londn\"\n["),
            "warehouse.toml:3:13:",
        ),
        (
            &config,
            WAREHOUSE.replace("input =", "inputs ="),
            "orders.toml:6:9:",
        ),
        (
            &source,
            CSV_SOURCE.replacen("int64", "int65", 1),
            "orders.toml:14:8:",
        ),
        (
            &source,
            CSV_SOURCE.replacen("from", "form", 1),
            "orders.toml:13:",
        ),
        (
            &source,
            CSV_SOURCE.replacen("\"csv\"", "\"ndjson\"", 1),
            "orders.toml:13:8: `from = \"order_id\"`: a JSON pointer begins with `/`: `/order_id`",
        ),
    ] {
        write(&config, WAREHOUSE.as_bytes());
        write(&source, CSV_SOURCE.as_bytes());
        write(file, text.as_bytes());
        let error = fail(sluice().arg("check").arg(&project), 2);
        assert!(error.contains(place), "{place}: {error}");
    }
    let error = fail(sluice().arg("check").arg(folder.path()), 2);
    assert!(
        error.contains("warehouse.toml") && error.contains("sluice init"),
        "{error}"
    );
    write(&config, WAREHOUSE.as_bytes());
    write(&source, CSV_SOURCE.as_bytes());
    let error = fail(
        sluice()
            .arg("check")
            .arg(&project)
            .args(["--set", "inptu=x"]),
        2,
    );
    assert!(
        error.contains("inptu") && error.contains("input"),
        "{error}"
    );
}

#[test]
fn secrets_of_sources_that_are_not_set_are_told_before_anything_runs() {
    let folder = tempfile::tempdir().unwrap();
    let project = csv_project(folder.path(), b"order_id,price,sku\n1,1.00,a\n");
    // Nobody listens there.
    let database =
        "host = \"127.0.0.1\"\nport = 1\nuser = \"sluice\"\npassword = \"env:SLUICE_TEST_NO_";
    let sources = format!(
        "[topic.a_shop.capture]\nkind = \"mysql\"\n{database}MYSQL\"\ntables = [\"shop.*\"]\n\n[topic.b_shop.capture]\nkind = \"postgres\"\n{database}POSTGRES\"\ndatabase = \"shop\"\npublications = [\"shop\"]\n"
    );
    write(&project.join("sources/shop.toml"), sources.as_bytes());
    let missing = |name: &str| {
        format!("the environment variable SLUICE_TEST_NO_{name}, which a source names, is not set")
    };
    // It may run elsewhere.
    let checked = output(sluice().arg("check").arg(&project));
    let said = String::from_utf8(checked.stderr).unwrap();
    assert!(checked.status.success(), "{said}");
    for name in ["MYSQL", "POSTGRES"] {
        assert!(said.contains(&missing(name)), "{said}");
    }

    let state = folder.path().join("state");
    let run = || run_command(&project, &state);
    let error = fail(&mut run(), 2);
    assert!(error.contains(&missing("MYSQL")), "{error}");
    assert!(error.contains("export SLUICE_TEST_NO_MYSQL="), "{error}");
    assert!(!error.contains("running at epoch"), "{error}");
    let error = fail(run().env("SLUICE_TEST_NO_MYSQL", "x"), 2);
    assert!(error.contains(&missing("POSTGRES")), "{error}");
    assert!(!error.contains("running at epoch"), "{error}");
}

#[test]
fn secrets_of_users_and_alarms_that_are_not_there_are_warned_of() {
    let folder = tempfile::tempdir().unwrap();
    let project = csv_project(folder.path(), b"order_id,price,sku\n1,1.00,a\n");
    let settings = project.join("warehouse.toml");
    let secrets = "\n[users.li]\nrole = \"reader\"\nsecret = \"env:SLUICE_TEST_NO_LI\"\n\n[mail]\nserver = \"127.0.0.1\"\nfrom = \"sluice@example.com\"\nuser = \"sluice\"\npassword = \"file:no-password\"\n\n[alarms.webhook.chat]\nurl = \"env:SLUICE_TEST_NO_CHAT\"\n";
    let text = format!("owner = \"shop@example.com\"\n{WAREHOUSE}{secrets}");
    write(&settings, text.as_bytes());
    let checked = output(sluice().arg("check").arg(&project));
    let said = String::from_utf8(checked.stderr).unwrap();
    assert!(checked.status.success(), "{said}");
    for problem in [
        "[users.li] of warehouse.toml: the environment variable SLUICE_TEST_NO_LI,",
        "`password` of [mail] of warehouse.toml: ",
        "[alarms.webhook.chat] of warehouse.toml: the environment variable SLUICE_TEST_NO_CHAT,",
    ] {
        assert!(said.contains(problem), "{said}");
    }

    let text = text.replace("file:no-password", "written here");
    write(&settings, text.as_bytes());
    let error = fail(sluice().arg("check").arg(&project), 2);
    assert!(
        error.contains("`password` of [mail] of warehouse.toml: a secret stands"),
        "{error}"
    );
}

#[test]
fn a_folder_that_cannot_be_written_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let project = csv_project(folder.path(), b"order_id,price,sku\n1,1.00,a\n");
    let blocked = folder.path().join("file");
    write(&blocked, b"");
    let state = blocked.join("state");
    let error = fail(run_command(&project, &state).arg("--until-idle"), 1);
    assert!(
        error.contains("file/state") && error.contains("help:"),
        "{error}"
    );
    // /proc cannot be written even by root.
    if Path::new("/proc/version").exists() {
        let error = fail(
            run_command(&project, Path::new("/proc/sluice")).arg("--until-idle"),
            1,
        );
        assert!(error.contains("/proc/sluice"), "{error}");
    }
}

#[test]
fn a_damaged_segment_is_reported_with_file_and_byte() {
    let folder = tempfile::tempdir().unwrap();
    let mut input = b"order_id,price,sku\n".to_vec();
    for number in 0..1000 {
        input.extend(format!("{number},1.00,a\n").bytes());
    }
    let project = csv_project(folder.path(), &input);
    let state = folder.path().join("state");
    load(&project, &state);
    // A second block behind the first makes the damage no torn tail.
    write(
        &project.join("input/2.csv"),
        b"order_id,price,sku\n1,1.00,b\n",
    );
    load(&project, &state);
    let segment = find_file(&state.join("log/topics"), ".seg");
    let mut bytes = std::fs::read(&segment).unwrap();
    // In the first block, behind the headers.
    bytes[200] ^= 0x20;
    write(&segment, &bytes);
    // Whatever reads the damaged place says so: opening the log, or replaying.
    let error = fail(&mut replay_command(&project, &state), 1);
    assert!(error.contains(".seg") && error.contains("byte"), "{error}");
}

#[test]
fn a_checkpoint_of_another_version_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let project = csv_project(folder.path(), b"order_id,price,sku\n1,1.00,a\n");
    let state = folder.path().join("state");
    load(&project, &state);
    let store = state.join("store");
    let manifest = std::fs::read_dir(&store)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .find(|path| path.to_string_lossy().to_lowercase().contains("manifest"))
        .unwrap();
    let intact = std::fs::read(&manifest).unwrap();
    // Framed files: eight bytes of magic, then the version.
    let mut bytes = intact.clone();
    bytes[8] = 99;
    write(&manifest, &bytes);
    let error = fail(run_command(&project, &state).arg("--until-idle"), 1);
    assert!(error.contains("99") && error.contains("version"), "{error}");
    let mut bytes = intact.clone();
    let last = bytes.len() - 10;
    bytes[last] ^= 1;
    write(&manifest, &bytes);
    let error = fail(run_command(&project, &state).arg("--until-idle"), 1);
    assert!(error.to_lowercase().contains("manifest"), "{error}");
    write(&manifest, &intact);
    load(&project, &state);
    assert_eq!(ask(&state, "SELECT lines FROM revenue"), ["1"]);
}

#[test]
fn a_taken_port_is_said_with_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let project = csv_project(folder.path(), b"order_id,price,sku\n1,1.00,a\n");
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let mut command = sluice();
    command
        .arg("run")
        .arg(&project)
        .arg("--state")
        .arg(folder.path().join("state"));
    command.args([
        "--until-idle",
        "--set",
        &format!("listen.postgres={address}"),
    ]);
    let error = fail(&mut command, 1);
    assert!(
        error.contains(&address.to_string()) && error.contains("help:"),
        "{error}"
    );
}

#[test]
fn a_full_disk_stops_the_load_and_loses_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let small = folder.path().join("small");
    std::fs::create_dir(&small).unwrap();
    let mounted = Command::new("mount")
        .args(["-t", "tmpfs", "-o", "size=1m", "tmpfs"])
        .arg(&small)
        .output();
    if !mounted.is_ok_and(|output| output.status.success()) {
        eprintln!("SKIPPED: a small disk cannot be mounted here (needs root)");
        return;
    }
    let mut input = b"order_id,price,sku\n".to_vec();
    for number in 0..60_000 {
        input.extend(format!("{number},1.00,article-{number}\n").bytes());
    }
    let project = csv_project(folder.path(), &input);
    let state = small.join("state");
    let mut command = run_command(&project, &state);
    let full = common::output(command.arg("--until-idle"));
    let error = String::from_utf8_lossy(&full.stderr).into_owned();
    let grown = Command::new("mount")
        .args(["-o", "remount,size=200m"])
        .arg(&small)
        .status();
    let resumed = common::output(run_command(&project, &state).arg("--until-idle"));
    let resumed_error = String::from_utf8_lossy(&resumed.stderr).into_owned();
    let lines = resumed
        .status
        .success()
        .then(|| ask(&state, "SELECT lines FROM revenue"));
    let _ = Command::new("umount").arg(&small).status();
    assert_eq!(full.status.code(), Some(1), "{error}");
    assert!(error.contains("free some space"), "{error}");
    assert!(grown.unwrap().success());
    assert_eq!(lines, Some(vec!["60000".to_owned()]), "{resumed_error}");
}

#[test]
fn lines_that_are_appended_later_come_in_and_a_clean_stop_keeps_them() {
    let folder = tempfile::tempdir().unwrap();
    let project = csv_project(folder.path(), b"order_id,price,sku\n1,1.00,a\n");
    let source = CSV_SOURCE.replace("format = \"csv\"", "format = \"csv\"\nfollow = true");
    write(&project.join("sources/orders.toml"), source.as_bytes());
    let state = folder.path().join("state");
    let running = Running::start(&project, &state, &[]);
    ask_until(&state, "SELECT lines FROM revenue", &["1"]);
    append(&project.join("input/1.csv"), b"2,2.00,b\n3,0.5");
    ask_until(&state, "SELECT lines, revenue FROM revenue", &["2,3.00"]);
    append(&project.join("input/1.csv"), b"0,c\n");
    write(
        &project.join("input/2.csv"),
        b"order_id,price,sku\n4,4.00,d\n",
    );
    ask_until(&state, "SELECT lines, revenue FROM revenue", &["4,7.50"]);
    assert!(running.stop().success());
    assert_eq!(
        ask(&state, "SELECT lines, revenue FROM revenue"),
        ["4,7.50"]
    );
}
