//! Dead letters of a running warehouse: listed, and tried again, through the
//! real program, with a kill in between.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a test fails by panicking, and waits"
)]

mod common;
#[path = "common/files_below.rs"]
mod files_below;
#[path = "common/found_below.rs"]
mod found_below;

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use common::{
    Running, ask, ask_until, fail, replay_command, request, sluice, succeed, write_files,
};
use found_below::found_below;
use serde_json::{Value, json};

/// Visits, which are refused where their time is ahead.
const VISIT: &str = r#"
[table.visit]
topic = "events"
event_time = "at"
lateness = "1 day"
max_ahead = "4 s"
columns = [
  { name = "id", from = "/id", type = "int64" },
  { name = "at", from = "/at", type = "timestamp", unit = "s" },
]
"#;
const OTHER: &str = r#"
[table.other]
topic = "events"
columns = [{ name = "id", from = "/id", type = "int64" }]
"#;
const MODEL: &str =
    "CREATE MATERIALIZED VIEW visits AS SELECT count(*) AS visits, sum(id) AS ids FROM visit\n";

/// Visits and the other table, from events that are posted.
fn sources_of_events() -> String {
    format!("[topic.events.capture]\nkind = \"http\"\n{VISIT}{OTHER}")
}

fn project(folder: &Path, sources: &str) -> PathBuf {
    let project = folder.join("shop");
    write_files(
        &project,
        &[
            (
                "warehouse.toml",
                "name = \"shop\"\n[limits]\ncheckpoint_interval_ms = 200\n",
            ),
            ("sources/events.toml", sources),
            ("models/visits.sql", MODEL),
        ],
    );
    project
}

/// Status and body.
fn post(running: &Running, path: &str, content_type: &str, body: &str) -> (u16, Value) {
    let url = format!("{}{path}", running.http);
    let (status, text) = request("POST", &url, None, Some((content_type, body)));
    let value = serde_json::from_str(&text).unwrap_or(Value::Null);
    (status, value)
}

fn dead_letters(state: &Path, more: &[&str]) -> String {
    let mut command = sluice();
    command.arg("dead-letters").arg("--state").arg(state);
    succeed(command.args(more))
}

fn now_s() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.unwrap().as_secs()
}

const TRIED: &str =
    "SELECT table_name, outcome, is_settled FROM sluice_tried_letters ORDER BY table_name";

#[test]
fn a_letter_that_is_tried_again_gives_its_row_once() {
    let folder = tempfile::tempdir().unwrap();
    let project = project(folder.path(), &sources_of_events());
    let state = folder.path().join("state");
    let running = Running::start(&project, &state, &[]);
    let at = now_s() + 9;
    let events = format!(
        "{{\"id\":1,\"at\":{at}}}\n{{\"id\":2,\"at\":{}}}\n{{\"id\":\"x\"}}\n",
        now_s()
    );
    let (status, _) = post(&running, "/collect/events", "application/json", &events);
    assert_eq!(status, 200);
    ask_until(
        &state,
        "SELECT table_name, reason FROM sluice_dead_letters ORDER BY 1, 2",
        &["other,wrong_type", "visit,ahead", "visit,wrong_type"],
    );
    let listed = dead_letters(&state, &[]);
    assert!(
        listed.contains("ahead") && listed.contains("wrong_type"),
        "{listed}"
    );

    // Too early.
    let said = dead_letters(
        &state,
        &["--replay", "--table", "visit", "--reason", "ahead"],
    );
    assert!(said.starts_with("1 records"), "{said}");
    ask_until(&state, TRIED, &["visit,ahead,false"]);
    assert_eq!(ask(&state, "SELECT * FROM visits"), ["1,2"]);

    // In time: twice at once, as by two clicks.
    std::thread::sleep(Duration::from_secs(at.saturating_sub(now_s() + 2)));
    let body = json!({ "topic": "events", "reason": "ahead" }).to_string();
    let path = "/api/v1/dead-letters/replay";
    let json_type = "application/json";
    let (first, told) = post(&running, path, json_type, &body);
    assert_eq!((first, &told["records"]), (200, &json!(1)), "{told}");
    assert_eq!(told["next"], Value::Null, "{told}");
    post(&running, path, json_type, &body);
    ask_until(&state, TRIED, &["visit,rows,true"]);
    ask_until(&state, "SELECT * FROM visits", &["2,3"]);

    // Killed; what was tried is known, and nothing is left to try.
    drop(running);
    let running = Running::start(&project, &state, &[]);
    ask_until(&state, "SELECT * FROM visits", &["2,3"]);
    ask_until(&state, TRIED, &["visit,rows,true"]);
    assert_eq!(ask(&state, "SELECT count(*) FROM other"), ["2"]);
    let (_, told) = post(&running, path, json_type, &body);
    assert_eq!(told["records"], json!(0));
    let listed = dead_letters(&state, &["--reason", "ahead"]);
    assert!(listed.contains("1 settled since"), "{listed}");

    // The definition is mended too: the row is there once all the same.
    let mended = sources_of_events().replace("\"4 s\"", "\"1 day\"");
    std::fs::write(project.join("sources/events.toml"), mended).unwrap();
    ask_until(
        &state,
        "SELECT count(*) FROM sluice_dead_letters WHERE reason = 'ahead'",
        &["0"],
    );
    ask_until(&state, "SELECT * FROM visits", &["2,3"]);
    assert_eq!(
        ask(&state, "SELECT count(*) FROM visit WHERE id = 1"),
        ["1"]
    );
    assert!(running.stop().success());

    // From the start of the log the same comes out.
    succeed(&mut replay_command(&project, &state));
}

/// The same visits from lines of CSV files.
fn sources_of_lines() -> String {
    let capture =
        "[topic.events.capture]\nkind = \"file\"\npath = \"input/*.csv\"\nformat = \"csv\"\n";
    format!("{capture}{}", VISIT.replace("from = \"/", "from = \""))
}

#[test]
fn a_csv_line_is_tried_again_by_the_header_of_its_file() {
    let folder = tempfile::tempdir().unwrap();
    let project = project(folder.path(), &sources_of_lines());
    let state = folder.path().join("state");
    std::fs::create_dir_all(project.join("input")).unwrap();
    let running = Running::start(&project, &state, &[]);
    let (now, at) = (now_s(), now_s() + 15);
    // More lines than are looked at in one step, and a file with another header.
    let mut lines = "at,note,id\n".to_owned();
    for id in 100..12_100 {
        lines.push_str(&format!("{now},\"a, b\",{id}\n"));
    }
    lines.push_str(&format!("{at},,1\n{now},,2\n{at},,3\n"));
    write_files(
        &project,
        &[
            ("input/a.csv", &lines),
            ("input/b.csv", &format!("id,at\n4,{at}\nx,{now}\n")),
        ],
    );
    let ahead = "SELECT count(*) FROM sluice_dead_letters WHERE reason = 'ahead'";
    ask_until(&state, ahead, &["3"]);
    std::thread::sleep(Duration::from_secs(at.saturating_sub(now_s() + 2)));
    let said = dead_letters(&state, &["--replay", "--table", "visit"]);
    assert!(said.starts_with("4 records"), "{said}");
    let tried = "SELECT outcome, count(*) FROM sluice_tried_letters GROUP BY outcome ORDER BY 1";
    ask_until(&state, tried, &["rows,3", "wrong_type,1"]);
    let small = "SELECT id FROM visit WHERE id < 100 ORDER BY id";
    ask_until(&state, small, &["1", "2", "3", "4"]);
    assert!(running.stop().success());
    succeed(&mut replay_command(&project, &state));
}

#[test]
fn letters_are_chosen_and_requests_are_judged() {
    let folder = tempfile::tempdir().unwrap();
    let project = project(folder.path(), &sources_of_events());
    let state = folder.path().join("state");
    let mut command = sluice();
    command.arg("dead-letters").arg("--state").arg(&state);
    fail(&mut command, 2);
    let running = Running::start(&project, &state, &[]);
    let events = "{\"id\":\"a\",\"at\":1}\n{\"id\":\"b\",\"at\":1}\n";
    post(&running, "/collect/events", "application/json", events);
    ask_until(&state, "SELECT count(*) FROM sluice_dead_letters", &["4"]);
    let path = "/api/v1/dead-letters/replay";
    // A page of another origin can send text, but no JSON.
    let (status, _) = post(&running, path, "text/plain", "{\"topic\":\"events\"}");
    assert_eq!(status, 415);
    for body in [
        "{}",
        "[]",
        "{\"offset\":1}",
        "{\"topic\":\"events\",\"limit\":0}",
        "{\"topic\":\"events\",\"limit\":100000}",
        "{\"topic\":\"events\",\"what\":1}",
    ] {
        let (status, told) = post(&running, path, "application/json", body);
        assert_eq!(status, 400, "{body}: {told}");
    }
    // What is chosen is a value, and no part of the statement.
    let body = json!({ "topic": "x' OR '1'='1" }).to_string();
    let (status, told) = post(&running, path, "application/json", &body);
    assert_eq!((status, &told["records"]), (200, &json!(0)), "{told}");
    let body = json!({ "topic": "events", "offset": 1 }).to_string();
    let (_, told) = post(&running, path, "application/json", &body);
    assert_eq!(told["records"], json!(1));
    ask_until(
        &state,
        "SELECT record_offset, table_name, outcome FROM sluice_tried_letters ORDER BY table_name",
        &["1,other,wrong_type", "1,visit,wrong_type"],
    );
    // All of them, one by one, whatever was tried before or comes in meanwhile.
    let (mut after, mut walked) = (Value::Null, Vec::new());
    loop {
        let body = json!({ "topic": "events", "limit": 1, "after": after }).to_string();
        let (status, told) = post(&running, path, "application/json", &body);
        assert_eq!(status, 200, "{told}");
        after = told["next"].clone();
        if after.is_null() {
            break;
        }
        walked.push(format!("{},{}", after["offset"], after["table"]));
        if walked.len() == 1 {
            let event = "{\"id\":\"c\",\"at\":1}\n";
            post(&running, "/collect/events", "application/json", event);
            ask_until(
                &state,
                "SELECT count(*) > 5 FROM sluice_dead_letters",
                &["true"],
            );
        }
    }
    let expected = ["1,\"other\"", "1,\"visit\"", "0,\"other\"", "0,\"visit\""];
    assert_eq!(walked, expected);
    let list = format!("{}/api/v1/dead-letters?topic=events&limit=1", running.http);
    let (_, text) = request("GET", &list, None, None);
    let listed: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(listed["letters"]["rows"].as_array().unwrap().len(), 1);
    assert_eq!(listed["groups"]["rows"].as_array().unwrap().len(), 2);
    let wrong = format!("{}/api/v1/dead-letters?tpoic=events", running.http);
    assert_eq!(request("GET", &wrong, None, None).0, 400);
}

/// Visits of somebody with a telephone number.
const CALLED: &str = r#"
[topic.events.capture]
kind = "http"

[table.visit]
topic = "events"
columns = [
  { name = "id", from = "/id", type = "int64" },
  { name = "phone", from = "/phone", type = "string" },
]
"#;

#[test]
fn a_letter_from_before_a_mask_is_not_written_once_more() {
    let folder = tempfile::tempdir().unwrap();
    let project = project(folder.path(), CALLED);
    let state = folder.path().join("state");
    let event = format!("{{\"id\":\"x\",\"phone\":\"{PHONE}\"}}\n");
    let letters = "SELECT count(*) FROM sluice_dead_letters";
    let running = Running::start(&project, &state, &[]);
    post(&running, "/collect/events", "application/json", &event);
    ask_until(&state, letters, &["1"]);
    assert!(running.stop().success());

    let masked = format!("{CALLED}[topic.events.mask.fields]\n\"/phone\" = \"hash\"\n");
    std::fs::write(project.join("sources/events.toml"), masked).unwrap();
    let running = Running::start(&project, &state, &[]);
    post(&running, "/collect/events", "application/json", &event);
    ask_until(&state, letters, &["2"]);
    let said = dead_letters(&state, &["--replay", "--reason", "wrong_type"]);
    assert!(said.starts_with("1 records"), "{said}");
    let refused =
        "1 not tried: it came before the mask of /phone, and would be written once more in clear";
    assert!(said.contains(refused), "{said}");
    let tried = "SELECT record_offset, table_name, outcome FROM sluice_tried_letters";
    ask_until(&state, tried, &["1,visit,wrong_type"]);
    assert!(running.stop().success());
}

const SEALED: &str = r#"
[topic.events.capture]
kind = "http"
[topic.events.mask.RULES

[table.visit]
topic = "events"
row = "/data"
columns = [
  { name = "id", from = "./id", type = "int64" },
  { name = "phone", from = "./phone", type = "string" },
]
"#;
/// What must not be written in clear.
const PHONE: &str = "13955501199";

#[test]
fn a_sealed_record_is_masked_by_the_rules_of_today() {
    let folder = tempfile::tempdir().unwrap();
    // A record that names no table may hold anything.
    let by_table = SEALED.replace("RULES", "tables.visit]\nphone = { tokenise = \"phone\" }");
    let project = project(folder.path(), &by_table);
    let model =
        "CREATE MATERIALIZED VIEW visits AS SELECT count(*) AS visits, sum(id) AS ids FROM visit\n";
    std::fs::write(project.join("models/visits.sql"), model).unwrap();
    let state = folder.path().join("state");
    let running = Running::start(&project, &state, &[]);
    let event = format!("{{\"data\":{{\"id\":7,\"phone\":\"{PHONE}\"}}}}\n");
    post(&running, "/collect/events", "application/json", &event);
    ask_until(
        &state,
        "SELECT reason FROM sluice_dead_letters",
        &["sealed"],
    );
    let said = dead_letters(&state, &["--replay", "--reason", "sealed"]);
    assert!(said.contains("1 not tried: it is sealed"), "{said}");
    // The next answer goes on behind what was refused.
    let path = "/api/v1/dead-letters/replay";
    let body = json!({ "reason": "sealed", "limit": 1 }).to_string();
    let (_, told) = post(&running, path, "application/json", &body);
    assert_eq!(told["is_all"], json!(false), "{told}");
    let body = json!({ "reason": "sealed", "limit": 1, "after": told["next"] }).to_string();
    let (_, told) = post(&running, path, "application/json", &body);
    assert_eq!(told["is_all"], json!(true), "{told}");
    assert_eq!(told["refused"], json!([]), "{told}");
    assert!(running.stop().success());

    let by_field = SEALED.replace(
        "RULES",
        "fields]\n\"/data/phone\" = { tokenise = \"phone\" }",
    );
    std::fs::write(project.join("sources/events.toml"), by_field).unwrap();
    let running = Running::start(&project, &state, &[]);
    let said = dead_letters(&state, &["--replay", "--reason", "sealed"]);
    assert!(said.starts_with("1 records"), "{said}");
    ask_until(&state, "SELECT * FROM visits", &["1,7"]);
    let phones = ask(&state, "SELECT phone FROM visit");
    assert!(phones.len() == 1 && phones[0] != PHONE, "{phones:?}");
    dead_letters(&state, &["--replay", "--reason", "sealed"]);
    ask_until(&state, TRIED, &[",rows,true", "visit,rows,true"]);
    assert_eq!(ask(&state, "SELECT * FROM visits"), ["1,7"]);
    assert!(running.stop().success());
    let found = found_below(&state, &[PHONE]);
    assert!(found.is_empty(), "{found:?}");
}
