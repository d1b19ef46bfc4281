//! Clients that are slow, silent, greedy or broken cost nobody but themselves.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod common;

use std::io::{BufReader, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use common::client::{Events, connect, get, read_answer, request, rows, sql};
use common::{Options, Order, Server};
use serde_json::json;

fn impatient() -> Options {
    let mut options = Options::default();
    options.connections.quiet_time_max = Duration::from_millis(300);
    options.connections.request_time_max = Duration::from_millis(600);
    options
}

/// Whether the server ends the connection, without or after an answer.
fn ends(mut stream: TcpStream) -> bool {
    let mut rest = Vec::new();
    stream.read_to_end(&mut rest).is_ok()
}

#[test]
fn half_a_request_and_then_silence() {
    let server = Server::start_with(impatient());
    let silent = connect(server.address);
    let mut half = connect(server.address);
    half.write_all(b"GET /healthz HTTP/1.1\r\nHost: sh")
        .unwrap();
    assert!(ends(silent));
    assert!(ends(half));
}

#[test]
fn a_head_of_one_byte_now_and_then() {
    let server = Server::start_with(impatient());
    let mut dripping = connect(server.address);
    let mut is_cut_off = false;
    for byte in b"GET /healthz HTTP/1.1\r\nX: aaaaaaaaaaaaaaaaaaaaaaaaaaaaa".iter() {
        if dripping.write_all(&[*byte]).is_err() {
            is_cut_off = true;
            break;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    assert!(is_cut_off || ends(dripping));
}

#[test]
fn a_body_that_never_comes() {
    let server = Server::start_with(impatient());
    let mut stream = connect(server.address);
    let head = "POST /api/v1/sql HTTP/1.1\r\nHost: shop\r\nContent-Length: 100\r\n\r\nSELECT";
    stream.write_all(head.as_bytes()).unwrap();
    let answer = read_answer(&mut BufReader::new(stream), true);
    assert_eq!(answer.status, 408);
    assert!(answer.problem().contains("0.6 s"));
}

#[test]
fn a_huge_body_is_refused_before_it_is_read() {
    let server = Server::start();
    let mut stream = connect(server.address);
    let head = "POST /api/v1/sql HTTP/1.1\r\nHost: shop\r\nContent-Length: 100000000000\r\n\r\n";
    stream.write_all(head.as_bytes()).unwrap();
    let answer = read_answer(&mut BufReader::new(stream), true);
    assert_eq!(answer.status, 413);
    let body = vec![b' '; 8 << 20];
    assert_eq!(
        request(server.address, "POST", "/api/v1/sql", &[], &body).status,
        413
    );
}

#[test]
fn what_is_no_http() {
    let server = Server::start();
    for bytes in [
        &b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"[..],
        b"\0\0\0\0\0\0\0\0\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"HELO shop\r\n\r\n",
    ] {
        let mut stream = connect(server.address);
        stream.write_all(bytes).unwrap();
        stream.shutdown(std::net::Shutdown::Write).unwrap();
        assert!(ends(stream));
    }
    let long = format!("GET /{} HTTP/1.1\r\n\r\n", "x".repeat(1 << 20));
    let mut stream = connect(server.address);
    let _ = stream.write_all(long.as_bytes());
    drop(stream);
    for path in ["/api/v1/tables/orders/%ff%fe", "/api/v1/live/%ff", "/%ff"] {
        let status = get(server.address, path).status;
        assert!((400..500).contains(&status), "{path}: {status}");
    }
    assert_eq!(get(server.address, "/healthz").status, 200);
}

#[test]
fn clients_who_leave_free_their_places() {
    let mut options = Options::default();
    options.connections.connections_max = 3;
    options.http.queries_max = 1;
    let server = Server::start_with(options);
    let endless = "SELECT count(*) FROM generate_series(1, 100000000000) AS a(x) WHERE x % 7 = 9";
    for _ in 0..4 {
        let mut stream = connect(server.address);
        let head = format!(
            "POST /api/v1/sql HTTP/1.1\r\nHost: shop\r\nContent-Length: {}\r\n\r\n{endless}",
            endless.len()
        );
        stream.write_all(head.as_bytes()).unwrap();
        std::thread::sleep(Duration::from_millis(50));
        drop(stream);
    }
    assert_eq!(rows(server.address, "SELECT 1"), json!([[1]]));
}

#[test]
fn a_reader_who_takes_nothing_is_cut_off() {
    let server = Server::start_with(impatient());
    let slow = Events::open(server.address, "orders").unwrap();
    let text = "x".repeat(1_000);
    let version = |epoch: i64| (0..500).map(move |id| (id, epoch));
    for epoch in 1..=60 {
        let old = version(epoch - 1).map(|(id, cents)| ((id, text.clone(), cents), -1));
        let new = version(epoch).map(|(id, cents)| ((id, text.clone(), cents), 1));
        let changes: Vec<(Order, i64)> = match epoch {
            1 => new.collect(),
            _ => old.chain(new).collect(),
        };
        server.shop.apply_orders(&changes);
    }
    for attempt in 0.. {
        // A watcher who is gone is noticed when the next change comes.
        server
            .shop
            .apply_orders(&[((1_000 + attempt, text.clone(), 0), 1)]);
        let numbers = get(server.address, "/metrics");
        if numbers.text().contains("sluice_live_watchers 0\n") {
            break;
        }
        assert!(attempt < 500, "the connection stays open");
        std::thread::sleep(Duration::from_millis(20));
    }
    drop(slow);
}

#[test]
fn queries_have_a_time_limit_on_every_protocol() {
    let mut options = Options::default();
    options.query.time_ms_max = 300;
    let server = Server::start_with(options);
    let endless = "SELECT count(*) FROM generate_series(1, 100000000000) AS a(x) WHERE x % 7 = 9";
    let answer = sql(server.address, "json", endless);
    assert_eq!(answer.status, 504);
    assert!(answer.problem().contains("after 300 ms"));
    let error = postgres_error(&server, endless);
    assert!(error.contains("after 300 ms"), "{error}");
}

#[test]
fn queries_have_a_memory_limit_on_every_protocol() {
    let mut options = Options::default();
    options.query.memory_bytes_max = 8 << 20;
    let server = Server::start_with(options);
    // The one side of a join is held in memory; groups could move to disk.
    let greedy = "SELECT count(*) FROM generate_series(1, 3000000) AS a(x) JOIN generate_series(1, 3000000) AS b(y) ON x = y";
    let answer = sql(server.address, "json", greedy);
    assert_eq!(answer.status, 507, "{}", answer.text());
    assert!(answer.problem().contains("query_memory_bytes_max"));
    let error = postgres_error(&server, greedy);
    assert!(error.contains("8388608 bytes"), "{error}");
    // An answer counts too.
    let long = "SELECT * FROM generate_series(1, 3000000)";
    assert_eq!(sql(server.address, "arrow", long).status, 507);
    // What a query took is given back.
    let small = "SELECT count(*) FROM generate_series(1, 3000000)";
    assert_eq!(rows(server.address, small), json!([[3_000_000]]));
}

#[test]
fn an_answer_has_as_many_columns_as_in_postgresql() {
    let server = Server::start();
    let columns = |count: usize| {
        let columns: Vec<String> = (0..count).map(|n| format!("{n} AS c{n}")).collect();
        columns.join(", ")
    };
    for sql in [
        format!("SELECT {}", columns(1_665)),
        format!("SELECT * FROM (SELECT {}) AS t", columns(1_665)),
    ] {
        let error = postgres_error(&server, &sql);
        assert!(error.contains("54011"), "{error}");
    }
    let error = postgres_error(&server, &format!("SELECT {}", columns(1_664)));
    assert!(error.is_empty(), "{error}");
}

/// The error that a statement gets over the PostgreSQL wire.
fn postgres_error(server: &Server, statement: &str) -> String {
    let mut stream = connect(server.postgres);
    let parameters = b"\0\x03\0\0user\0shop\0database\0public\0\0";
    let length = (parameters.len() + 4) as u32;
    stream.write_all(&length.to_be_bytes()).unwrap();
    stream.write_all(parameters).unwrap();
    let mut was_asked = false;
    let mut error = String::new();
    loop {
        let mut head = [0; 5];
        stream.read_exact(&mut head).unwrap();
        let length = u32::from_be_bytes(head[1..].try_into().unwrap()) as usize;
        let mut body = vec![0; length - 4];
        stream.read_exact(&mut body).unwrap();
        match head[0] {
            b'E' => error = String::from_utf8_lossy(&body).into_owned(),
            b'Z' if was_asked => return error,
            b'Z' => {
                was_asked = true;
                stream.write_all(b"Q").unwrap();
                let length = (statement.len() + 5) as u32;
                stream.write_all(&length.to_be_bytes()).unwrap();
                stream.write_all(statement.as_bytes()).unwrap();
                stream.write_all(b"\0").unwrap();
            }
            _ => {}
        }
    }
}
