//! The collector over real sockets.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]
#![allow(clippy::disallowed_methods, reason = "a test starts its own threads")]

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use sluice_capture::{CollectedTopic, Collector, CollectorLimits, Submissions, SubmitError};
use sluice_core::{ManualClock, Record};

/// A server with a log that a test holds in its hands.
struct Server {
    address: SocketAddr,
    submissions: Arc<Submissions>,
    collector: Arc<Collector>,
    _runtime: tokio::runtime::Runtime,
}

fn server(limits: CollectorLimits, waiting_bytes_max: usize) -> Server {
    let submissions = Arc::new(Submissions::new(waiting_bytes_max));
    let open = CollectedTopic {
        origins: vec!["*".into()],
        ..CollectedTopic::default()
    };
    let closed = CollectedTopic {
        write_key: Some("k3y".into()),
        origins: vec!["https://shop.example".into()],
        maxwell_transactions: true,
    };
    let topics = BTreeMap::from([("open".to_owned(), open), ("closed".to_owned(), closed)]);
    let clock = Arc::new(ManualClock::new(77));
    let collector = Collector::new(topics, limits, submissions.clone(), clock);
    let collector = Arc::new(collector);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let listener = runtime
        .block_on(tokio::net::TcpListener::bind("127.0.0.1:0"))
        .unwrap();
    let address = listener.local_addr().unwrap();
    let router = collector.clone().router();
    runtime.spawn(async move { axum::serve(listener, router).await });
    Server {
        address,
        submissions,
        collector,
        _runtime: runtime,
    }
}

/// Sends a request on a connection of its own; gives status, head and body.
fn send(address: SocketAddr, head: &str, body: &[u8]) -> (u16, String, String) {
    let mut stream = TcpStream::connect(address).unwrap();
    stream
        .set_read_timeout(Some(Duration::from_secs(20)))
        .unwrap();
    let length = body.len();
    let request =
        format!("{head}\r\nhost: a\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n");
    stream.write_all(request.as_bytes()).unwrap();
    // The server may answer before it has read everything.
    let _ = stream.write_all(body);
    answer(stream)
}

fn answer(mut stream: TcpStream) -> (u16, String, String) {
    let mut bytes = Vec::new();
    let _ = stream.read_to_end(&mut bytes);
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    (status, head.to_lowercase(), body.to_owned())
}

/// Makes everything durable that comes, until it is told to stop.
fn with_log<T>(server: &Server, work: impl FnOnce() -> T) -> (T, Vec<(String, Record)>) {
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let log = scope.spawn(|| {
            let mut records = Vec::new();
            while !stop.load(Ordering::SeqCst) {
                for submission in server.submissions.take_all(Duration::from_millis(5)) {
                    let topic = &submission.topic;
                    records.extend(
                        submission
                            .records
                            .iter()
                            .map(|record| (topic.clone(), record.clone())),
                    );
                    let _ = submission.done.send(Ok(()));
                }
            }
            records
        });
        let outcome = work();
        stop.store(true, Ordering::SeqCst);
        (outcome, log.join().unwrap())
    })
}

#[test]
fn records_of_every_form_of_body_are_accepted_when_they_are_durable() {
    let server = server(CollectorLimits::default(), 1 << 20);
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(b"[{\"n\":5},{\"n\":6}]").unwrap();
    let packed = gzip.finish().unwrap();
    let zstd = zstd::encode_all(&b"{\"n\":7}"[..], 1).unwrap();
    let (_, records) = with_log(&server, || {
        for (head, body, count) in [
            ("content-type: application/json", &b"{\"n\":1}"[..], 1),
            (
                "content-type: application/json",
                b"[{\"n\":2},{\"n\":3}]",
                2,
            ),
            (
                "content-type: text/plain;charset=UTF-8",
                b"{\"n\":4}\n{broken\n",
                2,
            ),
            ("content-encoding: gzip", &packed, 2),
            ("content-encoding: zstd", &zstd, 1),
        ] {
            let head = format!("POST /collect/open HTTP/1.1\r\n{head}");
            let (status, _, body) = send(server.address, &head, body);
            assert_eq!((status, body), (200, format!("{{\"accepted\":{count}}}\n")));
        }
    });
    let payloads: Vec<String> = records
        .iter()
        .map(|(_, record)| String::from_utf8_lossy(&record.payload).into_owned())
        .collect();
    let mut expected: Vec<String> = (1..=7).map(|n| format!("{{\"n\":{n}}}")).collect();
    expected.insert(4, "{broken".to_owned());
    assert_eq!(payloads, expected);
    assert!(
        records
            .iter()
            .all(|(topic, record)| topic == "open" && record.capture_time_us == 77)
    );
    assert_eq!(server.collector.counts.records.load(Ordering::SeqCst), 8);
}

#[test]
fn nothing_is_acknowledged_before_it_is_durable() {
    let server = server(CollectorLimits::default(), 1 << 20);
    let mut stream = TcpStream::connect(server.address).unwrap();
    let request = "POST /collect/open HTTP/1.1\r\nhost: a\r\nconnection: close\r\ncontent-length: 2\r\n\r\n{}";
    stream.write_all(request.as_bytes()).unwrap();
    let mut taken = Vec::new();
    while taken.is_empty() {
        taken = server.submissions.take_all(Duration::from_millis(50));
    }
    stream
        .set_read_timeout(Some(Duration::from_millis(100)))
        .unwrap();
    assert!(
        stream.read(&mut [0; 10]).is_err(),
        "no answer while the log has not synced"
    );
    let submission = taken.remove(0);
    let error = SubmitError::NotDurable("the disk is full".into());
    submission.done.send(Err(error)).unwrap();
    stream
        .set_read_timeout(Some(Duration::from_secs(20)))
        .unwrap();
    let (status, head, body) = answer(stream);
    assert_eq!(status, 503);
    assert!(head.contains("retry-after: 1") && head.contains("application/problem+json"));
    assert!(body.contains("the disk is full"), "{body}");
}

#[test]
fn a_full_queue_and_too_many_requests_are_told_to_come_again() {
    let limits = CollectorLimits {
        requests_max: 2,
        ..CollectorLimits::default()
    };
    let server = server(limits, 10);
    let post = "POST /collect/open HTTP/1.1";
    std::thread::scope(|scope| {
        let waits = scope.spawn(|| send(server.address, post, b"{\"first\":1}"));
        let mut busy;
        loop {
            // Until the first one waits, this one may be the one that waits.
            std::thread::sleep(Duration::from_millis(100));
            busy = send(server.address, post, b"{\"second\":2}");
            if busy.0 == 503 {
                break;
            }
        }
        assert!(busy.1.contains("retry-after: 1"), "{}", busy.1);
        // A request whose body does not come holds its place.
        let mut half = TcpStream::connect(server.address).unwrap();
        half.write_all(b"POST /collect/open HTTP/1.1\r\nhost: a\r\ncontent-length: 9\r\n\r\n{")
            .unwrap();
        let mut refused = (0, String::new(), String::new());
        // On a busy machine it takes its place late.
        for _ in 0..300 {
            refused = send(server.address, post, b"{}");
            if refused.0 == 429 {
                break;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        assert_eq!(refused.0, 429, "{}", refused.2);
        assert!(refused.1.contains("retry-after: 1"));
        server.submissions.close();
        for submission in server.submissions.take_all(Duration::from_millis(1)) {
            let _ = submission.done.send(Ok(()));
        }
        assert_eq!(waits.join().unwrap().0, 200);
        drop(half);
    });
    let mut status = 429;
    for _ in 0..50 {
        status = send(server.address, post, b"{}").0;
        if status != 429 {
            break;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(status, 503, "a closed queue takes nothing");
}

#[test]
fn wrong_requests_are_refused_with_a_reason() {
    let limits = CollectorLimits {
        request_bytes_max: 100,
        record_bytes_max: 50,
        request_records_max: 3,
        body_time_max: Duration::from_millis(300),
        ..CollectorLimits::default()
    };
    let server = server(limits, 1 << 20);
    let long = format!("{{\"a\":\"{}\"}}", "x".repeat(60));
    let longer = "x".repeat(200);
    let bomb = zstd::encode_all(&vec![b'x'; 1 << 20][..], 1).unwrap();
    for (head, body, status, detail) in [
        (
            "POST /collect/none HTTP/1.1",
            &b"{}"[..],
            404,
            "no collected topic `none`",
        ),
        (
            "POST /collect/open HTTP/1.1",
            b" ",
            400,
            "the body is empty",
        ),
        (
            "POST /collect/open HTTP/1.1",
            b"[1,2",
            400,
            "the array is not closed",
        ),
        (
            "POST /collect/open HTTP/1.1",
            long.as_bytes(),
            413,
            "record 1 has 68 bytes",
        ),
        (
            "POST /collect/open HTTP/1.1",
            longer.as_bytes(),
            413,
            "more than 100 bytes",
        ),
        (
            "POST /collect/open HTTP/1.1",
            b"[1,2,3,4]",
            413,
            "more than 3 records",
        ),
        (
            "POST /collect/open HTTP/1.1\r\ncontent-encoding: br",
            b"x",
            415,
            "use gzip or zstd",
        ),
        (
            "POST /collect/open HTTP/1.1\r\ncontent-encoding: gzip",
            b"x",
            400,
            "cannot be unpacked",
        ),
        (
            "POST /collect/open HTTP/1.1\r\ncontent-encoding: zstd",
            &bomb,
            413,
            "more than 100 bytes",
        ),
        ("POST /collect/closed HTTP/1.1", b"{}", 401, "write key"),
        (
            "POST /collect/closed HTTP/1.1\r\nx-sluice-key: k3z",
            b"{}",
            401,
            "write key",
        ),
        ("GET /collect/open HTTP/1.1", b"", 405, ""),
    ] {
        let (found, _, body) = send(server.address, head, body);
        assert_eq!(found, status, "{head}: {body}");
        assert!(body.contains(detail), "{head}: {body}");
    }
    let mut slow = TcpStream::connect(server.address).unwrap();
    slow.set_read_timeout(Some(Duration::from_secs(20)))
        .unwrap();
    let request =
        "POST /collect/open HTTP/1.1\r\nhost: a\r\nconnection: close\r\ncontent-length: 9\r\n\r\n{";
    slow.write_all(request.as_bytes()).unwrap();
    assert_eq!(
        answer(slow).0,
        408,
        "a body that does not come holds nothing for ever"
    );
}

#[test]
fn keys_and_origins_are_checked() {
    let server = server(CollectorLimits::default(), 1 << 20);
    let (_, records) = with_log(&server, || {
        for head in [
            "POST /collect/closed HTTP/1.1\r\nx-sluice-key: k3y",
            "POST /collect/closed HTTP/1.1\r\nauthorization: Bearer k3y",
            "POST /collect/closed?a=b&key=k3y HTTP/1.1",
        ] {
            let (status, _, body) = send(server.address, head, b"{\"xid\":4,\"commit\":true}");
            assert_eq!(status, 200, "{head}: {body}");
        }
        for (topic, origin, expected) in [
            ("open", "https://any.example", Some("*")),
            (
                "closed",
                "https://shop.example",
                Some("https://shop.example"),
            ),
            ("closed", "https://other.example", None),
        ] {
            let head = format!(
                "OPTIONS /collect/{topic} HTTP/1.1\r\norigin: {origin}\r\naccess-control-request-method: POST"
            );
            let (status, head, _) = send(server.address, &head, b"");
            assert_eq!(status, 204);
            let allowed = head
                .lines()
                .find_map(|line| line.strip_prefix("access-control-allow-origin: "));
            assert_eq!(allowed, expected, "{topic} {origin}");
            assert!(head.contains("access-control-allow-headers: content-type"));
        }
    });
    let mark = records[0].1.transaction.as_ref().unwrap();
    assert!(
        mark.id == "4" && mark.commit,
        "transactions are marked at the door"
    );
}
