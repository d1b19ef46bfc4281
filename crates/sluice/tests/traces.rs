//! Traces: what a collector of OpenTelemetry gets from the real program, what it
//! must never get, and that nothing waits for one that is away.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a test fails by panicking, waits, and starts its own threads"
)]

mod common;

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use common::{Running, ask_until, fail, request, sluice, write_files};
use parking_lot::Mutex;
use serde_json::Value;

/// Longer than anything here may take.
const PATIENCE: Duration = Duration::from_secs(60);
const SOURCE: &str = r#"
[topic.orders.capture]
kind = "http"
[table.orders]
topic = "orders"
columns = [
  { name = "id", from = "/id", type = "int64" },
  { name = "phone", from = "/phone", type = "string" },
]
"#;
const VIEW: &str =
    "CREATE MATERIALIZED VIEW phones AS SELECT phone, count(*) AS n FROM orders GROUP BY phone";

/// A collector that keeps what it gets.
#[derive(Clone)]
struct Collector {
    endpoint: String,
    /// Heads and bodies of requests.
    requests: Arc<Mutex<Vec<(String, String)>>>,
}

impl Collector {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let collector = Self {
            endpoint: format!("http://{}", listener.local_addr().unwrap()),
            requests: Arc::default(),
        };
        let requests = collector.requests.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let taken = take(&mut stream.unwrap());
                requests.lock().push(taken);
            }
        });
        collector
    }

    /// All spans so far.
    fn spans(&self) -> Vec<Value> {
        let mut spans = Vec::new();
        for (_, body) in &*self.requests.lock() {
            let body: Value = serde_json::from_str(body).unwrap();
            let found = &body["resourceSpans"][0]["scopeSpans"][0]["spans"];
            spans.extend(found.as_array().unwrap().iter().cloned());
        }
        spans
    }

    /// The first span that is wanted, once it has come.
    #[track_caller]
    fn wait_for(&self, what: &str, is_wanted: impl Fn(&Value) -> bool) -> Value {
        let start = Instant::now();
        loop {
            let spans = self.spans();
            if let Some(found) = spans.iter().find(|span| is_wanted(span)) {
                return found.clone();
            }
            assert!(start.elapsed() < PATIENCE, "waiting for {what}: {spans:?}");
            std::thread::sleep(Duration::from_millis(100));
        }
    }
}

/// Reads a request and says that it is taken.
fn take(stream: &mut TcpStream) -> (String, String) {
    let mut bytes = Vec::new();
    let mut part = [0; 4096];
    loop {
        let count = stream.read(&mut part).unwrap();
        assert!(count > 0, "the request ended early");
        bytes.extend_from_slice(&part[..count]);
        let text = String::from_utf8_lossy(&bytes);
        let Some((head, body)) = text.split_once("\r\n\r\n") else {
            continue;
        };
        let head = head.to_ascii_lowercase();
        let mut lengths = head
            .lines()
            .filter_map(|line| line.strip_prefix("content-length: "));
        let length: usize = lengths.next().unwrap().parse().unwrap();
        if body.len() >= length {
            let answer = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}";
            stream.write_all(answer.as_bytes()).unwrap();
            return (head, body.to_owned());
        }
    }
}

/// An attribute as its text, whatever its type.
fn attribute(span: &Value, key: &str) -> Option<String> {
    let attributes = span["attributes"].as_array().unwrap();
    let found = attributes
        .iter()
        .find(|attribute| attribute["key"] == key)?;
    let value = found["value"].as_object().unwrap().values().next().unwrap();
    Some(value.as_str().unwrap().to_owned())
}

fn project(folder: &Path, endpoint: &str, more: &str) -> PathBuf {
    let project = folder.join("shop");
    let config = format!(
        "name = \"shop\"\n[limits]\ncheckpoint_interval_ms = 200\n[traces]\nendpoint = \"{endpoint}\"\n{more}"
    );
    write_files(
        &project,
        &[
            ("warehouse.toml", &config),
            ("token", "Bearer t0ken\n"),
            ("sources/orders.toml", SOURCE),
            ("models/phones.sql", VIEW),
        ],
    );
    project
}

/// Sends an order, which must be taken.
#[track_caller]
fn order(running: &Running, id: u32) {
    let body = format!("{{\"id\":{id},\"phone\":\"zhang{id}\"}}");
    let url = format!("{}/collect/orders", running.http);
    let (status, text) = request("POST", &url, None, Some(("application/json", &body)));
    assert!((200..300).contains(&status), "{status} {text}");
}

/// Asks over the PostgreSQL wire; the code of the error if there is one.
fn ask_wire(running: &Running, sql: &str) -> Option<String> {
    let mut config = tokio_postgres::Config::new();
    config.host("127.0.0.1").port(running.port);
    config.user("li").dbname("sluice");
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let (client, connection) = config.connect(tokio_postgres::NoTls).await.unwrap();
        let connection = tokio::spawn(connection);
        let answer = client.simple_query(sql).await;
        drop(client);
        let _ = connection.await;
        let error = answer.err()?;
        Some(error.code().unwrap().code().to_owned())
    })
}

/// A number of `/metrics`.
fn metric(running: &Running, name: &str) -> u64 {
    let (_, text) = request("GET", &format!("{}/metrics", running.http), None, None);
    let mut values = text
        .lines()
        .filter_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    values.next().unwrap().parse().unwrap()
}

#[test]
fn epochs_requests_and_statements_are_told_without_what_is_personal() {
    let folder = tempfile::tempdir().unwrap();
    let collector = Collector::start();
    let more = "headers.Authorization = \"file:token\"\n";
    let project = project(folder.path(), &collector.endpoint, more);
    let state = folder.path().join("state");
    let running = Running::start(&project, &state, &[]);
    order(&running, 1);
    ask_until(&state, "SELECT count(*) FROM phones", &["1"]);

    let epoch = collector.wait_for("an epoch", |span| {
        span["name"] == "epoch" && attribute(span, "sluice.records").as_deref() == Some("1")
    });
    assert_eq!(epoch["kind"], 1);
    assert_eq!(epoch.get("parentSpanId"), None);
    let number: u64 = attribute(&epoch, "sluice.epoch").unwrap().parse().unwrap();
    assert!(number > 0);
    // One row of the table, one of the view.
    assert_eq!(attribute(&epoch, "sluice.rows_changed").unwrap(), "2");
    let nanoseconds = |span: &Value, key: &str| span[key].as_str().unwrap().parse::<u64>().unwrap();
    let (start, end) = ("startTimeUnixNano", "endTimeUnixNano");
    for step in ["cut", "route", "engine", "store", "checkpoint write"] {
        let found = collector.wait_for(step, |span| {
            span["name"] == step && span["traceId"] == epoch["traceId"]
        });
        assert_eq!(found["parentSpanId"], epoch["spanId"], "{step}");
        assert!(nanoseconds(&found, start) >= nanoseconds(&epoch, start));
        if step != "checkpoint write" {
            assert!(nanoseconds(&found, end) <= nanoseconds(&epoch, end));
        }
    }

    let url = format!("{}/api/v1/panels/zhang1?phone=zhang2", running.http);
    let parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let config = ureq::Agent::config_builder().http_status_as_error(false);
    let agent: ureq::Agent = config.build().into();
    let answer = agent
        .get(&url)
        .header("traceparent", parent)
        .call()
        .unwrap();
    let found = collector.wait_for("the request", |span| {
        span["traceId"] == "0af7651916cd43dd8448eb211c80319c"
    });
    assert_eq!(found["parentSpanId"], "b7ad6b7169203331");
    assert_eq!(found["name"], "GET /api/v1/panels/{name}");
    assert_eq!(found["kind"], 2);
    assert_eq!(attribute(&found, "http.request.method").unwrap(), "GET");
    assert_eq!(
        attribute(&found, "http.route").unwrap(),
        "/api/v1/panels/{name}"
    );
    let status = attribute(&found, "http.response.status_code").unwrap();
    assert_eq!(status, answer.status().as_u16().to_string());

    let sql = "SELECT phone FROM orders WHERE phone <> 'zhang3'";
    assert_eq!(ask_wire(&running, sql), None);
    let sql = "-- zhang4\nVALUES (zhang5)";
    let code = ask_wire(&running, sql).unwrap();
    let found = collector.wait_for("the statement that fails", |span| span["name"] == "VALUES");
    assert_eq!(attribute(&found, "db.operation.name").unwrap(), "VALUES");
    assert_eq!(attribute(&found, "db.response.status_code"), Some(code));
    assert_eq!(found["status"]["code"], 2);
    assert_eq!(found["kind"], 2);
    let sql = "SELECT id FROM orders WHERE phone = 'zhang1'";
    assert_eq!(ask_wire(&running, sql), None);
    let found = collector.wait_for("the statement", |span| {
        span["name"] == "SELECT" && span.get("status").is_none()
    });
    assert!(attribute(&found, "db.response.returned_rows").is_some());
    assert_eq!(attribute(&found, "db.response.status_code"), None);

    let sent = metric(&running, "sluice_trace_spans_sent_total");
    assert!(sent > 0);
    assert_eq!(metric(&running, "sluice_trace_spans_dropped_total"), 0);
    // What waits is sent at the end: the request for the numbers among them.
    let (status, said) = running.stop_and_tell();
    assert!(status.success(), "{said}");
    collector.wait_for("the last request", |span| span["name"] == "GET /metrics");
    for (head, body) in &*collector.requests.lock() {
        assert!(head.starts_with("post /v1/traces http/1.1"), "{head}");
        assert!(head.contains("authorization: bearer t0ken"), "{head}");
        assert!(head.contains("content-type: application/json"), "{head}");
        for secret in ["zhang", "t0ken"] {
            assert!(!body.contains(secret), "{secret}: {body}");
        }
    }
}

/// Epochs, the number of lost spans and the end, where the collector is no use.
#[track_caller]
fn goes_on_without(endpoint: &str) {
    let folder = tempfile::tempdir().unwrap();
    let project = project(folder.path(), endpoint, "");
    let state = folder.path().join("state");
    let running = Running::start(&project, &state, &[]);
    let start = Instant::now();
    let mut orders = 0;
    while metric(&running, "sluice_trace_spans_dropped_total") == 0 {
        assert!(start.elapsed() < PATIENCE, "no span was given up");
        orders += 1;
        order(&running, orders);
        let all = orders.to_string();
        ask_until(&state, "SELECT count(*) FROM phones", &[all.as_str()]);
        std::thread::sleep(Duration::from_millis(500));
    }
    assert_eq!(metric(&running, "sluice_trace_spans_sent_total"), 0);
    let begin = Instant::now();
    let (status, said) = running.stop_and_tell();
    assert!(status.success(), "{said}");
    // A checkpoint, open connections, and two seconds for traces.
    assert!(begin.elapsed() < Duration::from_secs(20), "{said}");
    assert_eq!(said.matches("traces cannot be sent").count(), 1, "{said}");
}

#[test]
fn a_collector_that_is_away_stops_nothing() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    goes_on_without(&endpoint);
}

#[test]
fn a_collector_that_never_answers_stops_nothing() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    goes_on_without(&endpoint);
}

#[test]
fn mistakes_are_found_before_anything_begins() {
    let folder = tempfile::tempdir().unwrap();
    let project = project(folder.path(), "127.0.0.1:4318", "");
    let said = fail(sluice().arg("check").arg(&project), 2);
    assert!(
        said.contains("warehouse.toml:5:12: `endpoint` of [traces]"),
        "{said}"
    );
    assert!(said.contains("http://127.0.0.1:4318"), "{said}");
}
