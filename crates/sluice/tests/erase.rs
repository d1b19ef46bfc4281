//! A person is erased, from a warehouse that is stopped and from one that runs,
//! and does not come back.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod common;

use std::io::Write;
use std::path::{Path, PathBuf};

use common::{Running, ask, ask_until, fail, replay_command, run_command, sluice, succeed};

const SOURCES: &str = r#"
[topic.changes.capture]
kind = "file"
path = "input/changes*.ndjson"
format = "ndjson"
[topic.changes.mask.tables.member]
address = { encrypt = { person = "user", id = "id" } }
[topic.visits.capture]
kind = "file"
path = "input/visits*.ndjson"
format = "ndjson"

[table.member]
topic = "changes"
person = { kind = "user", column = "id" }
row = "/data"
primary_key = ["id"]
change_kind = { field = "/type", insert = ["insert"], update = ["update"], delete = ["delete"] }
columns = [
  { name = "id", from = "./id", type = "int64" },
  { name = "level", from = "./level", type = "int64" },
  { name = "address", from = "./address", type = "string" },
]
[table.visit]
topic = "visits"
person = { kind = "user", column = "uid" }
columns = [
  { name = "uid", from = "/uid", type = "string", missing = "null" },
  { name = "page", from = "/page", type = "string" },
]
"#;

const MODEL: &str = "CREATE MATERIALIZED VIEW pages AS\nSELECT page, count(*) AS visits, count(DISTINCT uid) AS persons, max(uid) AS last FROM visit GROUP BY page\n";
const LEVELS: &str = "CREATE MATERIALIZED VIEW levels AS\nSELECT sum(m.level) AS level, count(*) AS visits FROM visit v JOIN member m ON CAST(v.uid AS BIGINT) = m.id\n";

fn append(path: &Path, text: &str) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    let mut options = std::fs::OpenOptions::new();
    let mut file = options.append(true).create(true).open(path).unwrap();
    file.write_all(text.as_bytes()).unwrap();
}

fn member(id: u32, kind: &str) -> String {
    format!(
        "{{\"table\":\"member\",\"type\":\"{kind}\",\"data\":{{\"id\":{id},\"level\":{},\"address\":\"street {id}\"}}}}\n",
        10_u32.pow(id)
    )
}

fn visit(uid: u32, page: &str) -> String {
    format!("{{\"uid\":\"{uid}\",\"page\":\"{page}\"}}\n")
}

fn project(folder: &Path) -> PathBuf {
    let project = folder.join("project");
    append(&project.join("warehouse.toml"), "name = \"erase\"\n");
    append(&project.join("sources/all.toml"), SOURCES);
    append(&project.join("models/pages.sql"), MODEL);
    append(&project.join("models/levels.sql"), LEVELS);
    for id in 1..=4 {
        append(&project.join("input/changes.ndjson"), &member(id, "insert"));
        append(&project.join("input/visits.ndjson"), &visit(id, "home"));
        append(&project.join("input/visits.ndjson"), &visit(id, "cart"));
    }
    append(
        &project.join("input/visits.ndjson"),
        "{\"page\":\"home\"}\n",
    );
    append(&project.join("input/changes.ndjson"), &member(2, "update"));
    project
}

const ALL: &str = "SELECT (SELECT count(*) FROM member) AS a, (SELECT count(*) FROM visit) AS b, (SELECT level FROM levels) AS c, (SELECT visits FROM pages WHERE page = 'home') AS d, (SELECT max(last) FROM pages) AS e";

#[test]
fn a_person_is_erased_and_does_not_come_back() {
    let folder = tempfile::tempdir().unwrap();
    let project = project(folder.path());
    let state = folder.path().join("state");
    let load = || succeed(run_command(&project, &state).arg("--until-idle"));
    load();
    assert_eq!(ask(&state, ALL), ["4,9,22220,5,4"]);
    let erase = |person: &str| {
        let mut command = sluice();
        command
            .arg("erase")
            .arg(&project)
            .arg("--state")
            .arg(&state);
        command.args(["--person", person]);
        command
    };
    let error = fail(&mut erase("nobody:1"), 2);
    assert!(error.contains("known: user"), "{error}");
    fail(&mut erase("42"), 2);

    // Stopped.
    let keys = std::fs::read(state.join("keys/persons.keys")).unwrap();
    succeed(&mut erase("user:4"));
    assert_eq!(ask(&state, ALL), ["3,7,2220,4,3"]);
    let fewer = std::fs::read(state.join("keys/persons.keys")).unwrap();
    assert!(fewer.len() <= keys.len() && fewer != keys);
    load();
    assert_eq!(ask(&state, ALL), ["3,7,2220,4,3"]);
    succeed(&mut replay_command(&project, &state));

    // Running.
    let running = Running::start(&project, &state, &[]);
    succeed(&mut erase("user:2"));
    ask_until(&state, ALL, &["2,5,2020,3,3"]);
    // Who comes back is somebody new.
    append(&project.join("input/visits.ndjson"), &visit(2, "home"));
    append(&project.join("input/changes.ndjson"), &member(2, "insert"));
    ask_until(&state, ALL, &["3,6,2120,4,3"]);
    assert!(running.stop().success());
    // Not even when everything is computed from the log again.
    append(&project.join("models/levels.sql"), "\n-- changed\n");
    append(&project.join("sources/all.toml"), "\n# changed\n");
    load();
    assert_eq!(ask(&state, ALL), ["3,6,2120,4,3"]);
}
