//! Users, roles and personal columns through the real program, with psql and
//! over HTTP; cancel and statement_timeout.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::expect_used,
    clippy::disallowed_methods,
    clippy::print_stderr,
    reason = "a test fails by panicking, waits, and says loudly what it skips"
)]

mod common;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use common::{
    Running, ask_until, fail, request, run_command, sluice, succeed, write_files, write_models,
};
use serde_json::Value;

const PATIENCE: Duration = Duration::from_secs(60);

const CONFIG: &str = r#"name = "shop"
[users.board]
role = "reader"
secret = "env:SLUICE_TEST_READER"
[users.li]
role = "analyst"
secret = "env:SLUICE_TEST_ANALYST"
[users.boss]
role = "admin"
secret = "env:SLUICE_TEST_ADMIN"
[sugar]
token = "env:SLUICE_TEST_READER"
[[personal]]
table = "person"
columns = ["phone"]
[[personal]]
table = "copies"
columns = ["digits"]
role = "reader"
"#;
const MODELS: &str = "CREATE VIEW phones AS SELECT phone FROM person;
CREATE MATERIALIZED VIEW copies AS SELECT id, upper(concat('+', p)) AS number, length(p) AS digits FROM (SELECT id, phone AS p FROM person) AS inner_person;
CREATE MATERIALIZED VIEW copies_of_copies AS SELECT number AS n, count(*) AS people FROM copies GROUP BY number;
CREATE MATERIALIZED VIEW counted AS SELECT count(phone) AS phones FROM person;
CREATE VIEW ids AS SELECT id FROM person;
";
const PANEL: &str =
    "subject = \"people\"\ntitle = { en = \"People\", zh = \"People\" }\nchart = \"table\"\n";
const SOURCE: &str = r#"
[topic.orders.capture]
kind = "http"
[topic.keyed.capture]
kind = "http"
write_key = "env:SLUICE_TEST_READER"
[topic.people.capture]
kind = "file"
path = "people.ndjson"
format = "ndjson"
[table.person]
topic = "people"
primary_key = ["id"]
columns = [
  { name = "id", from = "/id", type = "int64" },
  { name = "phone", from = "/phone", type = "string" },
]
"#;

fn project(folder: &Path, config: &str) -> PathBuf {
    let project = folder.join("shop");
    write_files(
        &project,
        &[
            ("warehouse.toml", config),
            ("sources/people.toml", SOURCE),
            (
                "panels/phones.toml",
                &format!("{PANEL}query = \"SELECT phone FROM person\"\n"),
            ),
            (
                "panels/ids.toml",
                &format!("{PANEL}query = \"SELECT id FROM person\"\n"),
            ),
            ("people.ndjson", "{\"id\":1,\"phone\":\"555\"}\n"),
        ],
    );
    write_models(&project, MODELS);
    project
}

fn run(project: &Path, state: &Path) -> Running {
    let mut command = run_command(project, state);
    for (name, value) in [("READER", "r"), ("ANALYST", "a"), ("ADMIN", "b")] {
        command.env(format!("SLUICE_TEST_{name}"), format!("secret-{value}"));
    }
    let running = Running::of(&mut command, state);
    ask_until(state, "SELECT id FROM person", &["1"]);
    running
}

/// Status and body.
fn http(
    running: &Running,
    path: &str,
    authorization: Option<&str>,
    sql: Option<&str>,
) -> (u16, String) {
    let url = format!("{}{path}", running.http);
    let method = if sql.is_some() { "POST" } else { "GET" };
    let body = sql.map(|sql| ("text/plain", sql));
    request(method, &url, authorization, body)
}

/// `psql`, or nothing where it is not here.
fn psql(running: &Running, user: &str, password: &str, sql: &str) -> Option<(bool, String)> {
    let port = running.port.to_string();
    let mut command = Command::new("psql");
    command.args(["-X", "-A", "-t", "-h", "127.0.0.1", "-p", &port]);
    command.args(["-U", user, "-d", "sluice"]);
    command
        .env("PGPASSWORD", password)
        .env("PGCONNECT_TIMEOUT", "10");
    command.args([
        "-v",
        "VERBOSITY=verbose",
        "-v",
        "ON_ERROR_STOP=1",
        "-c",
        sql,
    ]);
    let Ok(output) = command.stdin(Stdio::null()).output() else {
        eprintln!("SKIPPED: psql is not here; scripts/install-test-tools installs it");
        return None;
    };
    let text = [output.stdout, output.stderr].concat();
    Some((output.status.success(), String::from_utf8(text).unwrap()))
}

/// The answer of a prepared statement, as drivers ask: rows, or the error.
fn prepared(running: &Running, user: &str, password: &str, sql: &str) -> String {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let mut config = tokio_postgres::Config::new();
    config.host("127.0.0.1").port(running.port).user(user);
    config.password(password).dbname("sluice");
    runtime.block_on(async {
        let (client, connection) = config.connect(tokio_postgres::NoTls).await.unwrap();
        let connection = tokio::spawn(connection);
        let answer = client.query(sql, &[]).await;
        drop(client);
        let _ = connection.await;
        match answer {
            Ok(rows) => rows.iter().map(|row| row.get::<_, String>(0)).collect(),
            Err(error) => format!("{error:?}"),
        }
    })
}

#[test]
fn users_may_do_what_their_role_may() {
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("state");
    let project = project(folder.path(), CONFIG);
    let mut check = sluice();
    succeed(check.arg("check").arg(&project));
    for (right, wrong, problem) in [
        ("table = \"person\"", "table = \"persons\"", "`persons`"),
        ("\"phone\"]", "\"fone\"]", "`fone`"),
        ("[users.li]", "[users.sluice]", "`sluice` cannot be"),
    ] {
        let config = CONFIG.replace(right, wrong);
        let wrong = tempfile::tempdir().unwrap();
        let wrong = self::project(wrong.path(), &config);
        let error = fail(sluice().arg("check").arg(&wrong), 2);
        assert!(error.contains(problem), "{error}");
    }
    let running = run(&project, &state);

    let bearer = |secret: &str| format!("Bearer {secret}");
    let status =
        |path: &str, authorization: Option<&str>| http(&running, path, authorization, None).0;
    assert_eq!(status("/healthz", None), 200);
    assert_eq!(status("/api/v1/info", None), 401);
    assert_eq!(status("/api/v1/info", Some(&bearer("wrong"))), 401);
    assert_eq!(status("/api/v1/info", Some(&bearer("secret-r"))), 200);
    // li:secret-a
    assert_eq!(status("/api/v1/info", Some("Basic bGk6c2VjcmV0LWE=")), 200);
    assert_eq!(status("/metrics", Some(&bearer("secret-r"))), 200);
    let asked =
        |secret: &str, sql: &str| http(&running, "/api/v1/sql", Some(&bearer(secret)), Some(sql));
    // The page shows each role what it may do, and says what role the rest needs.
    for (secret, role) in [
        ("secret-r", "reader"),
        ("secret-a", "analyst"),
        ("secret-b", "admin"),
    ] {
        let (_, body) = http(&running, "/api/v1/info", Some(&bearer(secret)), None);
        let told: Value = serde_json::from_str(&body).unwrap();
        assert_eq!(told["role"], role, "{body}");
        assert_eq!(told["sample_shop"], false, "{body}");
    }
    let (status_of_reader, body) = asked("secret-r", "SELECT id FROM person");
    let told: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(status_of_reader, 403, "{body}");
    assert_eq!(told["role_needed"], "analyst", "{body}");
    assert_eq!(asked("secret-a", "SELECT id FROM person").0, 200);
    for sql in [
        "SELECT * FROM person",
        "SELECT id FROM person WHERE phone = '555'",
        "SELECT count(*) FROM (SELECT DISTINCT phone FROM person) AS p",
        "EXPLAIN SELECT phone FROM person",
        "EXPLAIN ANALYZE SELECT phone FROM person",
        "SELECT * FROM phones",
        "SELECT id FROM person WHERE (SELECT max(phone) FROM person) > '5'",
        "WITH RECURSIVE r AS (SELECT phone FROM person UNION ALL SELECT phone FROM r WHERE false) SELECT * FROM r",
        "SELECT row_number() OVER (ORDER BY phone) FROM person",
    ] {
        let (status, body) = asked("secret-a", sql);
        assert_eq!(status, 403, "{sql}: {body}");
        assert!(body.contains("person.phone"), "{sql}: {body}");
    }
    // Views hand rules on, but for what has one of its own.
    for (sql, column) in [
        ("SELECT * FROM copies", "copies.number"),
        (
            "SELECT id FROM copies WHERE number LIKE '+%'",
            "copies.number",
        ),
        ("SELECT n FROM copies_of_copies", "copies_of_copies.n"),
    ] {
        let (status, body) = asked("secret-a", sql);
        assert_eq!(status, 403, "{sql}: {body}");
        assert!(body.contains(column), "{sql}: {body}");
    }
    for sql in [
        "SELECT id, digits FROM copies",
        "SELECT people FROM copies_of_copies",
        "SELECT phones FROM counted",
    ] {
        assert_eq!(asked("secret-a", sql).0, 200, "{sql}");
    }
    assert_eq!(
        status("/api/v1/live/copies", Some(&bearer("secret-r"))),
        403
    );
    assert!(
        asked("secret-b", "SELECT phone FROM person")
            .1
            .contains("555")
    );
    assert_eq!(
        status("/api/v1/tables/person/1", Some(&bearer("secret-r"))),
        403
    );
    assert_eq!(
        status("/api/v1/tables/person/1", Some(&bearer("secret-b"))),
        200
    );
    assert_eq!(
        status("/api/v1/live/person", Some(&bearer("secret-r"))),
        403
    );
    for sql in [
        "SELECT payload FROM sluice_dead_letters",
        "SELECT * FROM sluice_evaluation_errors",
    ] {
        assert!(
            asked("secret-a", sql).1.contains("for the role admin"),
            "{sql}"
        );
    }
    let copy = asked("secret-b", "COPY person TO 'people.csv'");
    assert_eq!(copy.0, 403, "{copy:?}");

    let reader = bearer("secret-r");
    assert_eq!(status("/api/v1/panels/ids", Some(&reader)), 200);
    for path in ["/api/v1/panels/phones", "/api/v1/panels/phones.xlsx"] {
        assert_eq!(status(path, Some(&reader)), 403, "{path}");
        assert_eq!(status(path, None), 401, "{path}");
        assert_eq!(status(path, Some(&bearer("secret-b"))), 200, "{path}");
    }
    let sugar = |panel: &str| {
        let url = format!("{}/api/v1/sugar/{panel}", running.http);
        let request = ureq::post(&url).header("Sugar-Token", "secret-r");
        let mut answer = request
            .config()
            .http_status_as_error(false)
            .build()
            .send("{}")
            .unwrap();
        answer.body_mut().read_to_string().unwrap()
    };
    assert!(sugar("ids").contains("\"status\":0"), "{}", sugar("ids"));
    assert!(
        sugar("phones").contains("person.phone"),
        "{}",
        sugar("phones")
    );
    // What is sent without a key is for who may change something.
    let sent = |topic: &str, secret: Option<&str>| {
        let authorization = secret.map(bearer);
        let path = format!("/collect/{topic}");
        http(
            &running,
            &path,
            authorization.as_deref(),
            Some("{\"id\":1}"),
        )
        .0
    };
    assert_eq!(sent("orders", None), 401);
    assert_eq!(sent("orders", Some("secret-r")), 403);
    assert_eq!(sent("orders", Some("secret-a")), 403);
    assert_eq!(sent("orders", Some("secret-b")), 200);
    assert_eq!(sent("keyed", None), 401);
    assert_eq!(sent("keyed", Some("secret-b")), 401);
    // The write key of this topic.
    assert_eq!(sent("keyed", Some("secret-r")), 200);
    let silence = "/api/v1/alarms/silences";
    for (secret, expected) in [("secret-r", 403), ("secret-a", 403), ("secret-b", 415)] {
        let given = http(&running, silence, Some(&bearer(secret)), Some("{}")).0;
        assert_eq!(given, expected, "{secret}");
    }

    let Some((is_good, text)) = psql(&running, "li", "secret-a", "SELECT id FROM person") else {
        return;
    };
    assert!(is_good && text.trim() == "1", "{text}");
    let refused = |user: &str, password: &str, sql: &str, expected: &str| {
        let (is_good, text) = psql(&running, user, password, sql).unwrap();
        assert!(!is_good && text.contains(expected), "{user}: {text}");
    };
    // Before a connection stands, psql shows no codes.
    let failed = |user: &str| format!("password authentication failed for user \"{user}\"");
    refused("li", "wrong", "SELECT 1", &failed("li"));
    refused("nobody", "secret-a", "SELECT 1", &failed("nobody"));
    refused("li", "secret-a", "SELECT phone FROM person", "person.phone");
    refused("board", "secret-r", "SELECT 1", "42501");
    // What a client sets holds for its connection alone.
    for sql in [
        "SET datafusion.execution.time_zone = 'Asia/Tokyo'",
        "SET ROLE boss",
        "SET SESSION AUTHORIZATION boss",
    ] {
        refused("li", "secret-a", sql, "42501");
    }
    for sql in [
        "SET LOCAL TIME ZONE 'Asia/Tokyo'",
        "SET timezone = 'Asia/Tokyo'",
        "SET SESSION timezone TO 'Asia/Tokyo'",
        "RESET ALL",
    ] {
        let (is_good, text) = psql(&running, "li", "secret-a", sql).unwrap();
        assert!(is_good, "{sql}: {text}");
    }
    for sql in [
        "SET datafusion.execution.time_zone = 'Asia/Tokyo'",
        "SET timezone = 'Asia/Tokyo'",
        "RESET datafusion.execution.time_zone",
    ] {
        assert_eq!(asked("secret-b", sql).0, 403, "{sql}");
    }
    let zone = asked(
        "secret-b",
        "SELECT value FROM information_schema.df_settings WHERE name = 'datafusion.execution.time_zone'",
    );
    assert!(!zone.1.contains("Tokyo"), "{zone:?}");
    for sql in [
        "SELECT * FROM phones",
        "EXPLAIN ANALYZE SELECT phone FROM person",
        "COPY person TO STDOUT",
        "COPY person (phone) TO STDOUT WITH (FORMAT csv)",
        "COPY (SELECT phone FROM person) TO STDOUT",
        "BEGIN; DECLARE c CURSOR FOR SELECT phone FROM person; FETCH ALL FROM c",
        "TABLE person",
        "PREPARE p AS SELECT phone FROM person; EXECUTE p",
        "SET ROLE boss; SELECT phone FROM person",
        "SET SESSION AUTHORIZATION boss; SELECT phone FROM person",
    ] {
        let (is_good, text) = psql(&running, "li", "secret-a", sql).unwrap();
        assert!(!is_good && !text.contains("555"), "{sql}: {text}");
    }
    let phones = "SELECT phone FROM person";
    let text = prepared(&running, "li", "secret-a", phones);
    assert!(text.contains("person.phone"), "{text}");
    assert_eq!(prepared(&running, "boss", "secret-b", phones), "555");
    // The log is written behind the answers.
    std::thread::sleep(Duration::from_secs(1));
    let log = std::fs::read_to_string(state.join("audit/audit.jsonl")).unwrap();
    let entries: Vec<Value> = log
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let has = |user: &str, via: &str, statement: &str, outcome: &str| {
        entries.iter().any(|entry| {
            entry["user"] == user
                && entry["via"] == via
                && entry["statement"].as_str().unwrap_or_default() == statement
                && entry["outcome"] == outcome
                && entry["from"].as_str().unwrap().starts_with("127.0.0.1:")
        })
    };
    let asked_for = "SELECT id FROM person WHERE phone = ?";
    assert!(has("li", "http", asked_for, "403"), "{log}");
    assert!(
        has("li", "postgres", "SELECT id FROM person", "ok"),
        "{log}"
    );
    assert!(has("li", "postgres", phones, "42501"), "{log}");
    assert!(has("boss", "postgres", phones, "ok"), "{log}");
    assert!(has("nobody", "postgres", "", "28P01"), "{log}");
    // Not the whole text: a time may have these digits.
    let tells = |entry: &Value| {
        let text = entry["statement"].to_string() + &entry["action"].to_string();
        text.contains("555") || text.contains("secret-")
    };
    assert!(!entries.iter().any(tells), "{log}");
    let boss = entries.iter().find(|entry| {
        entry["user"] == "boss" && entry["via"] == "postgres" && entry["statement"] == phones
    });
    assert_eq!(boss.unwrap()["rows"], 1, "{log}");
    // The program's own commands need no secret, which only the owner may read.
    use std::os::unix::fs::PermissionsExt;
    let mode = std::fs::metadata(state.join("address.json"))
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn addresses_of_other_machines_need_users_and_a_word_about_encryption() {
    let folder = tempfile::tempdir().unwrap();
    let open = project(
        folder.path(),
        "name = \"shop\"\nlisten.http = \"0.0.0.0:0\"\n",
    );
    let check = |project: &Path| fail(sluice().arg("check").arg(project), 2);
    assert!(check(&open).contains("everybody there could read everything"));
    let with_users = format!("listen.http = \"0.0.0.0:0\"\n{CONFIG}");
    let plain = project(folder.path(), &with_users);
    assert!(check(&plain).contains("not encrypted"));
    for waived in [
        format!("listen.insecure = true\n{with_users}"),
        "name = \"shop\"\nlisten.insecure = true\nlisten.http = \"0.0.0.0:0\"\n".to_owned(),
        format!("listen.tls = {{ certificate = \"c.pem\", key = \"k.pem\" }}\n{with_users}"),
    ] {
        let waived = project(folder.path(), &waived);
        succeed(sluice().arg("check").arg(&waived));
    }
    let written = CONFIG.replace("env:SLUICE_TEST_READER", "hunter2");
    let error = check(&project(folder.path(), &written));
    assert!(
        error.contains("stands in the file itself") && !error.contains("hunter2"),
        "{error}"
    );
}

/// Makes a certificate for `localhost` that signs itself.
fn certificate(folder: &Path, name: &str) {
    let path = |end: &str| folder.join(format!("{name}.{end}"));
    let made = Command::new("openssl")
        .args([
            "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2",
        ])
        .args(["-subj", "/CN=localhost"])
        .args(["-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"])
        .arg("-keyout")
        .arg(path("key"))
        .arg("-out")
        .arg(path("pem"))
        .output();
    let made = made.expect("the openssl command");
    assert!(made.status.success(), "{made:?}");
}

#[test]
fn what_goes_to_other_machines_is_encrypted() {
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("state");
    let listen = "listen = { http = \"0.0.0.0:0\", postgres = \"0.0.0.0:0\", tls = { certificate = \"own.pem\", key = \"own.key\" } }\n";
    let project = project(folder.path(), &format!("{listen}{CONFIG}"));
    // Without the files it does not start, and says what is missing.
    let mut command = run_command(&project, &state);
    for name in ["READER", "ANALYST", "ADMIN"] {
        command.env(format!("SLUICE_TEST_{name}"), format!("secret-{name}"));
    }
    let error = fail(&mut command, 2);
    assert!(error.contains("own.pem"), "{error}");
    certificate(&project, "own");
    let running = run(&project, &state);

    let postgres = running.port;
    let http = running.http.rsplit(':').next().unwrap();
    let connection = |mode: &str, root: &str| {
        let root = project.join(root);
        format!(
            "host=localhost hostaddr=127.0.0.1 port={postgres} user=li dbname=sluice sslmode={mode} sslrootcert={}",
            root.display()
        )
    };
    let ask = |connection: &str| {
        let output = Command::new("psql")
            .args([
                "-X",
                "-A",
                "-t",
                "-c",
                "\\conninfo",
                "-c",
                "SELECT id FROM person",
            ])
            .arg(connection)
            .env("PGPASSWORD", "secret-a")
            .env("PGCONNECT_TIMEOUT", "10")
            .stdin(Stdio::null())
            .output();
        let output = output.ok()?;
        let text = [output.stdout, output.stderr].concat();
        Some((output.status.success(), String::from_utf8(text).unwrap()))
    };
    let Some((is_good, text)) = ask(&connection("verify-full", "own.pem")) else {
        eprintln!("SKIPPED: psql is not here; scripts/install-test-tools installs it");
        return;
    };
    assert!(is_good && text.contains("TLSv1.3"), "{text}");
    // Whoever answers with another certificate is not believed.
    certificate(&project, "other");
    let (is_good, text) = ask(&connection("verify-full", "other.pem")).unwrap();
    assert!(!is_good && text.contains("certificate"), "{text}");

    let curl = |root: &str, url: &str| {
        let output = Command::new("curl")
            .args([
                "-sS",
                "--max-time",
                "10",
                "-o",
                "/dev/null",
                "-w",
                "%{http_code}",
            ])
            .args(["-H", "Authorization: Bearer secret-r", "--cacert"])
            .arg(project.join(root))
            .arg(url)
            .output();
        let output = output.expect("the curl command");
        (
            String::from_utf8(output.stdout).unwrap(),
            output.status.code().unwrap(),
        )
    };
    let info = format!("https://localhost:{http}/api/v1/info");
    assert_eq!(curl("own.pem", &info), ("200".to_owned(), 0));
    // 60: the certificate cannot be believed.
    assert_eq!(curl("other.pem", &info).1, 60);
    // On this machine the clear is fine: nothing goes over a network.
    let clear = format!("http://127.0.0.1:{http}/api/v1/info");
    assert_eq!(curl("own.pem", &clear), ("200".to_owned(), 0));

    // Bytes that are sent in the clear behind the wish to encrypt are not taken
    // for encrypted ones.
    use std::io::{Read, Write};
    let mut socket = std::net::TcpStream::connect(format!("127.0.0.1:{postgres}")).unwrap();
    let timeout = Some(Duration::from_secs(20));
    socket.set_read_timeout(timeout).unwrap();
    let mut bytes = [8_i32.to_be_bytes(), 80_877_103_i32.to_be_bytes()].concat();
    bytes.extend(b"\0\0\0\x13\0\x03\0\0user\0li\0\0\0");
    socket.write_all(&bytes).unwrap();
    let mut answer = Vec::new();
    let _ = socket.read_to_end(&mut answer);
    assert_eq!(answer.first(), Some(&b'S'));
    // At most an alert (RFC 8446, section 6), nothing of the protocol.
    assert!(
        answer.len() < 20 && !answer[1..].contains(&b'R'),
        "{answer:?}"
    );

    // A renewed certificate is used without a new start.
    for end in ["pem", "key"] {
        let from = project.join(format!("other.{end}"));
        std::fs::copy(from, project.join(format!("own.{end}"))).unwrap();
    }
    let start = Instant::now();
    while curl("other.pem", &info).1 != 0 {
        assert!(
            start.elapsed() < PATIENCE,
            "the new certificate is not used"
        );
        std::thread::sleep(Duration::from_millis(500));
    }
    let (is_good, text) = ask(&connection("verify-full", "other.pem")).unwrap();
    assert!(is_good, "{text}");
}

const SLOW: &str = "SELECT count(*) FROM generate_series(1, 100000) AS a(x), generate_series(1, 1000000) AS b(y) WHERE (x * y) % 7 = 1";

#[test]
fn a_query_ends_when_its_client_wants_it_to() {
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("state");
    let project = project(folder.path(), "name = \"shop\"\n");
    let running = run(&project, &state);
    let start = Instant::now();
    let sql = format!("SET statement_timeout = '500ms'; {SLOW}");
    let Some((is_good, text)) = psql(&running, "li", "", &sql) else {
        return;
    };
    assert!(!is_good && text.contains("57014"), "{text}");
    assert!(start.elapsed() < PATIENCE, "{:?}", start.elapsed());

    let port = running.port.to_string();
    let mut command = Command::new("psql");
    command.args(["-X", "-h", "127.0.0.1", "-p", &port]);
    command.args(["-U", "li", "-d", "sluice"]);
    command.args(["-v", "VERBOSITY=verbose", "-c", SLOW]);
    let child = command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    let child = child.spawn().unwrap();
    std::thread::sleep(Duration::from_secs(2));
    let start = Instant::now();
    // As Ctrl-C does: psql sends a cancel request.
    let process = child.id().to_string();
    succeed(Command::new("kill").args(["-INT", &process]));
    let output = child.wait_with_output().unwrap();
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(
        text.contains("57014") && text.contains("user request"),
        "{text}"
    );
    assert!(start.elapsed() < PATIENCE, "{:?}", start.elapsed());
}
