//! What is personal gets in by every way, well formed and not, and is then
//! looked for in every byte on disk and on the wire.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod common;
#[path = "common/files_below.rs"]
mod files_below;
#[path = "common/found_below.rs"]
mod found_below;
#[path = "common/found_nowhere.rs"]
mod found_nowhere;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::time::Duration;

use common::{Running, ask, ask_until, fail, run_command, sluice, succeed};
use found_below::found_below;
use found_nowhere::stop_and_find_nowhere;

const WAREHOUSE: &str = r#"name = "masked"
[limits]
record_bytes_max = 4000
checkpoint_interval_ms = 300
"#;

/// A table of a database, a log, CSV and JSON files, and an address.
const SOURCES: &str = r#"
[topic.changes.capture]
kind = "http"
transactions = "maxwell"

[topic.changes.mask.tables.member]
passwd = "drop"
name = { tokenise = "name" }
phone = { tokenise = "phone" }
email = { tokenise = "email" }
card = { tokenise = "card" }
nick = { truncate = 1 }
born = { generalise = "year" }
login = "hash"
address = { encrypt = { person = "user", id = "id" } }

[table.member]
topic = "changes"
row = "/data"
before = "/old"
primary_key = ["id"]
when = [{ field = "/table", equals = "member" }]
change_kind = { field = "/type", insert = ["insert"], update = ["update"], delete = ["delete"] }
columns = [
  { name = "id", from = "./id", type = "int64" },
  { name = "passwd", from = "./passwd", type = "string", missing = "null" },
  { name = "name", from = "./name", type = "string", missing = "null" },
  { name = "phone", from = "./phone", type = "int64", missing = "null" },
  { name = "email", from = "./email", type = "string", missing = "null" },
  { name = "card", from = "./card", type = "string", missing = "null" },
  { name = "nick", from = "./nick", type = "string", missing = "null" },
  { name = "born", from = "./born", type = "date", missing = "null" },
  { name = "login", from = "./login", type = "string", missing = "null" },
  { name = "address", from = "./address", type = "string", missing = "null" },
]

[topic.visits.capture]
kind = "http"
[topic.visits.mask.fields]
"/who/phone" = { tokenise = "phone" }
"/contacts/*/email" = { tokenise = "email" }
"/note" = { encrypt = { person = "user", id = "/who/uid" } }

[table.visit]
topic = "visits"
columns = [
  { name = "phone", from = "/who/phone", type = "string" },
  { name = "note", from = "/note", type = "string" },
]
[table.contact]
topic = "visits"
explode = "/contacts"
columns = [{ name = "email", from = "./email", type = "string" }]

[topic.lines.capture]
kind = "file"
path = "input/*.csv"
format = "csv"
[topic.lines.mask.fields]
phone = { tokenise = "phone" }
note = { encrypt = { person = "user", id = "uid" } }
[table.line]
topic = "lines"
columns = [
  { name = "uid", from = "uid", type = "int64" },
  { name = "phone", from = "phone", type = "string" },
  { name = "note", from = "note", type = "string" },
]

[topic.objects.capture]
kind = "file"
path = "input/*.ndjson"
format = "ndjson"
[topic.objects.mask.fields]
"/phone" = { tokenise = "phone" }
[table.object]
topic = "objects"
columns = [{ name = "phone", from = "/phone", type = "string" }]

[topic.answers.capture]
kind = "poll"
url = "http://POLLED/answers"
interval = "1 hour"
[topic.answers.mask.fields]
"/phone" = { tokenise = "phone" }
[table.answer]
topic = "answers"
columns = [{ name = "phone", from = "/phone", type = "string" }]
"#;

/// Its division and its cast fail for every row, so that values come near
/// evaluation errors.
const MODEL: &str = "CREATE MATERIALIZED VIEW odd AS\nSELECT phone, 1 / (id - id) AS never, CAST(name AS BIGINT) AS number, CAST(login AS BIGINT) AS other FROM member\n";

/// What must be nowhere. All else in the test's input is without them.
const MARKS: [&str; 14] = [
    "139555011",
    "ZQPASS",
    "Zqname",
    "zqmail",
    "ZQMAIL",
    "zqdomain",
    "411155500011",
    "Nzqnick",
    "1985-06-17",
    "zqlogin",
    "Zqstreet",
    "Zqnote",
    "张三丰无忌",
    "13-955-5011",
];

#[expect(clippy::disallowed_methods, reason = "a test makes its own input")]
fn write(path: &Path, content: &[u8]) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, content).unwrap();
}

fn member(id: u32, phone: &str) -> String {
    format!(
        r#"{{"id":{id},"passwd":"ZQPASS{id}","name":"张三丰无忌","phone":{phone},"email":"zqmail{id}@zqdomain.org","card":"4111555000111234","nick":"Nzqnick","born":"1985-06-17","login":"zqlogin{id}","address":"Zqstreet {id}"}}"#
    )
}

fn change(id: u32, xid: u32, phone: &str, old: &str) -> String {
    let row = member(id, phone);
    format!(
        r#"{{"database":"shop","table":"member","type":"update","xid":{xid},"commit":true,"data":{row},"old":{old},"sql":"UPDATE member SET login='zqlogin'"}}"#
    )
}

/// Answers one array to every request.
fn polled() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::Builder::new()
        .spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let _ = stream.read(&mut [0; 4096]);
                let body =
                    r#"[{"phone":"13955501101"},"13955501102",{"phone":{"n":"13955501103"}}]"#;
                let _ = write!(
                    stream,
                    "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
                    body.len()
                );
            }
        })
        .unwrap();
    address
}

fn project(folder: &Path) -> PathBuf {
    let project = folder.join("project");
    write(&project.join("warehouse.toml"), WAREHOUSE.as_bytes());
    let sources = SOURCES.replace("POLLED", &polled().to_string());
    write(&project.join("sources/all.toml"), sources.as_bytes());
    write(&project.join("models/odd.sql"), MODEL.as_bytes());
    let good = "uid,phone,note\n1,13955501101,Zqnote a\n2,13955501102,\"Zqnote, b\"\n";
    let bad = "3,13955501103\n4,13955501104,Zqnote,more\nx,13955501105,Zqnote\n5,\"13955501106\"7,Zqnote\n";
    write(
        &project.join("input/a.csv"),
        format!("{good}{bad}").as_bytes(),
    );
    // Without its header.
    write(
        &project.join("input/b.csv"),
        b"13955501107,Zqnote,9\n13955501108,Zqnote,9\n",
    );
    let long = format!(
        "{{\"phone\":\"13955501109\",\"x\":\"{}\"}}\n",
        "z".repeat(3_960)
    );
    let lines = format!(
        "{{\"phone\":\"13955501101\"}}\n{{\"phone\":\"13955501102\n\"13955501103\"\n[\"13955501104\"]\n{long}"
    );
    let mut lines = lines.into_bytes();
    lines.extend_from_slice(b"{\"phone\":\"13955501105\xff\"}\n");
    write(&project.join("input/c.ndjson"), &lines);
    project
}

/// Sends a request, and gives all that comes back within the time.
fn http(address: &str, request: &str, time: Duration) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(time)).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = Vec::new();
    let mut buffer = [0; 65_536];
    while let Ok(count) = stream.read(&mut buffer) {
        if count == 0 {
            break;
        }
        answer.extend_from_slice(&buffer[..count]);
    }
    String::from_utf8_lossy(&answer).into_owned()
}

fn get(address: &str, path: &str, time: Duration) -> String {
    let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    http(address, &request, time)
}

fn post(address: &str, path: &str, body: &str) -> String {
    let request = format!(
        "POST {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    http(address, &request, Duration::from_secs(20))
}

#[test]
fn what_is_personal_is_nowhere_in_clear() {
    let folder = tempfile::tempdir().unwrap();
    let project = project(folder.path());
    let state = folder.path().join("state");
    let running = Running::start(&project, &state, &[]);
    let address = running.http.strip_prefix("http://").unwrap().to_owned();

    let live_address = address.clone();
    let live = std::thread::Builder::new()
        .spawn(move || {
            let path = "/api/v1/live/member,visit,contact";
            get(&live_address, path, Duration::from_secs(4))
        })
        .unwrap();
    std::thread::sleep(Duration::from_millis(500));
    let mut wire = String::new();
    let good = [
        change(1, 1, "13955501101", "null"),
        change(2, 2, "\"13955501102\"", r#"{"phone":"13955501109"}"#),
        change(
            3,
            3,
            "13955501101",
            r#"{"ph\u006fne":13955501109,"email":"ZQMAIL@zqdomain.org"}"#,
        ),
    ];
    wire += &post(&address, "/collect/changes", &good.join("\n"));
    // Wrong types, and what is no change.
    let odd = [
        change(4, 4, "{\"n\":\"13955501104\"}", "null"),
        change(5, 5, "[\"13955501105\"]", "\"13955501105\""),
        change(6, 6, "\"13955501106 ext\"", "[]"),
        change(7, 7, "true", "null").replace("1985-06-17", "17.06.1985 1985-06-17"),
        change(8, 8, "13955501108", "null").replace("\"id\":8", "\"id\":\"eight\""),
        change(9, 9, "13955501109", "null").replace("\"table\":\"member\",", ""),
        change(9, 9, "13955501109", "null").replace("\"table\"", "\"table\":\"x\",\"table\""),
        change(9, 9, "13955501109", "null")
            .trim_end_matches('}')
            .to_owned(),
        "\"13955501109\"".to_owned(),
        "13955501109".to_owned(),
    ];
    wire += &post(&address, "/collect/changes", &odd.join("\n"));
    let visits = [
        r#"{"who":{"phone":"13955501101","uid":1},"contacts":[{"email":"zqmail1@zqdomain.org"},{"email":7}],"note":"Zqnote"}"#,
        r#"{"who":"13955501102","contacts":"zqmail@zqdomain.org","note":{"a":"Zqnote"}}"#,
        r#"{"who":{"phone":"13955501103"},"contacts":[["zqmail@zqdomain.org"]],"note":["Zqnote"]}"#,
        r#"{"who":{"phone":"13955501104""#,
    ];
    wire += &post(&address, "/collect/visits", &visits.join("\n"));
    // Refused as a whole.
    wire += &post(
        &address,
        "/collect/visits",
        &format!("{{\"note\":\"Zqnote{}\"}}", "x".repeat(5_000)),
    );
    wire += &post(&address, "/collect/visits", r#"[{"note":"Zqnote"}"#);
    wire += &post(&address, "/collect/nothing", r#"{"note":"Zqnote"}"#);

    ask_until(&state, "SELECT count(*) FROM line", &["2"]);
    ask_until(&state, "SELECT count(*) FROM member WHERE id <= 3", &["3"]);
    ask_until(&state, "SELECT count(*) > 0 FROM visit", &["true"]);
    ask_until(&state, "SELECT count(*) > 0 FROM answer", &["true"]);
    // Equal values have equal tokens by every way in.
    let phones = "SELECT count(DISTINCT phone) FROM (SELECT CAST(phone AS VARCHAR) AS phone FROM member WHERE id IN (1, 3) UNION ALL SELECT phone FROM line WHERE uid = 1)";
    assert_eq!(ask(&state, phones), ["1"]);
    assert_eq!(
        ask(
            &state,
            "SELECT count(*) FROM line l JOIN object o ON o.phone = l.phone JOIN answer a ON a.phone = l.phone JOIN visit v ON v.phone = l.phone"
        ),
        ["1"]
    );
    let row = "SELECT passwd IS NULL, nick, born, length(login), email LIKE '%.example', address LIKE 'enc1.%', length(CAST(phone AS VARCHAR)) FROM member WHERE id = 1";
    assert_eq!(ask(&state, row), ["true,N,1985-01-01,64,true,true,11"]);
    let sealed = "SELECT count(*) > 8 FROM sluice_dead_letters WHERE reason = 'sealed'";
    ask_until(&state, sealed, &["true"]);
    ask_until(
        &state,
        "SELECT count(*) > 0 FROM sluice_evaluation_errors",
        &["true"],
    );

    for table in [
        "member",
        "visit",
        "contact",
        "line",
        "object",
        "answer",
        "odd",
        "sluice_dead_letters",
        "sluice_evaluation_errors",
    ] {
        let rows = ask(&state, &format!("SELECT * FROM {table}"));
        assert!(!rows.is_empty() || table == "odd", "{table}");
        wire += &rows.join("\n");
        wire += &post(&address, "/api/v1/sql", &format!("SELECT * FROM {table}"));
    }
    for path in [
        "/",
        "/metrics",
        "/api/v1/catalog",
        "/api/v1/info",
        "/api/v1/tables/member/1",
        "/healthz",
    ] {
        wire += &get(&address, path, Duration::from_secs(20));
    }
    let wrong = "SELECT CAST(login AS BIGINT), CAST(name AS DATE) FROM member";
    wire += &post(&address, "/api/v1/sql", wrong);
    let live = live.join().unwrap();
    assert!(live.contains("enc1."), "{live}");
    wire += &live;
    std::thread::sleep(Duration::from_millis(700));
    stop_and_find_nowhere(running, &state, &wire, &MARKS);
    // The search finds what is there.
    let found = found_below(&project, &MARKS);
    assert!(found.len() > 4, "{found:?}");
    let secret = state.join("keys/master.secret");
    let mode =
        std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(secret).unwrap().permissions());
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn wrong_masks_are_told_with_their_place() {
    let cases = [
        ("phone = \"hide\"", "`hide` is no way to mask"),
        (
            "phone = { tokenise = \"iban\" }",
            "no tokens of the form `iban`",
        ),
        (
            "phone = { encrypt = \"id\" }",
            "`{ encrypt = \"id\" }` is no way to mask",
        ),
        (
            "phone = { encrypt = { person = \"user\" } }",
            "encrypted under whose key?",
        ),
        ("phone = { truncate = -1 }", "cannot be cut to -1"),
    ];
    for (rule, message) in cases {
        let folder = tempfile::tempdir().unwrap();
        let text = format!(
            "[topic.a.mask.tables.b]\n{rule}\n[table.t]\ntopic = \"a\"\ncolumns = [{{ name = \"x\", from = \"/x\", type = \"string\" }}]\n"
        );
        write(&folder.path().join("warehouse.toml"), b"name = \"wrong\"\n");
        write(&folder.path().join("sources/s.toml"), text.as_bytes());
        let error = fail(sluice().arg("check").arg(folder.path()), 2);
        assert!(
            error.contains("s.toml:2:9:") && error.contains(message),
            "{error}"
        );
    }
    let own_log = "[topic.a.capture]\nkind = \"file\"\npath = \"x/*.ndjson\"\nformat = \"ndjson\"\nlog = \"source\"\n[topic.a.mask.fields]\n\"/x\" = \"hash\"\n";
    let folder = tempfile::tempdir().unwrap();
    write(&folder.path().join("warehouse.toml"), b"name = \"wrong\"\n");
    write(&folder.path().join("sources/s.toml"), own_log.as_bytes());
    let error = fail(sluice().arg("check").arg(folder.path()), 2);
    assert!(error.contains("their own log"), "{error}");
    let missing = "name = \"wrong\"\n[masking]\nsecret = \"env:SLUICE_TEST_NO_SUCH_SECRET\"\n";
    write(&folder.path().join("warehouse.toml"), missing.as_bytes());
    write(
        &folder.path().join("sources/s.toml"),
        own_log.replace("log = \"source\"\n", "").as_bytes(),
    );
    std::fs::create_dir_all(folder.path().join("x")).unwrap();
    succeed(sluice().arg("check").arg(folder.path()));
    let state = folder.path().join("state");
    let error = fail(&mut run_command(folder.path(), &state), 2);
    assert!(error.contains("SLUICE_TEST_NO_SUCH_SECRET"), "{error}");
}

#[test]
fn a_mask_that_comes_after_records_is_warned_of() {
    let folder = tempfile::tempdir().unwrap();
    let project = folder.path().join("project");
    let source = "[topic.people.capture]\nkind = \"file\"\npath = \"*.ndjson\"\nformat = \"ndjson\"\n[table.person]\ntopic = \"people\"\ncolumns = [{ name = \"phone\", from = \"/phone\", type = \"string\" }, { name = \"town\", from = \"/town\", type = \"string\" }]\n";
    let define = |masks: &str| {
        let text = format!("{source}[topic.people.mask.fields]\n{masks}");
        write(&project.join("sources/people.toml"), text.as_bytes());
    };
    write(&project.join("warehouse.toml"), b"name = \"people\"\n");
    write(
        &project.join("a.ndjson"),
        b"{\"phone\":\"13900001111\",\"town\":\"Wuhan\"}\n",
    );
    let state = project.join("data");
    let said = |command: &mut std::process::Command| {
        let output = common::output(command);
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.success(), "{said}");
        said
    };
    let run = |state: &Path| said(run_command(&project, state).arg("--until-idle"));
    let check = || said(sluice().arg("check").arg(&project));
    define("\"/town\" = \"hash\"\n");
    let first = run(&state);
    assert!(!first.contains("in clear"), "{first}");
    let elsewhere = folder.path().join("elsewhere");
    run(&elsewhere);
    define("\"/town\" = \"hash\"\n\"/phone\" = \"hash\"\n");
    let checked = check();
    assert!(
        checked.contains("topic `people`: the mask of /phone comes after its first records"),
        "{checked}"
    );
    // At each start, for the records stay.
    for _ in 0..2 {
        let later = run(&state);
        assert!(
            later.contains("topic `people`: the mask of /phone came after its first records"),
            "{later}"
        );
    }
    let checked = check();
    assert!(!checked.contains("in clear"), "{checked}");
    // A state that is not where the project says.
    let mut command = sluice();
    command.arg("check").arg(&project);
    let checked = said(command.arg("--state").arg(&elsewhere));
    let wanted = format!(
        "the mask of /phone comes after its first records: those that {} holds",
        elsewhere.display()
    );
    assert!(checked.contains(&wanted), "{checked}");
    // A new state has everything masked.
    let new = run(&folder.path().join("new"));
    assert!(!new.contains("in clear"), "{new}");
}
