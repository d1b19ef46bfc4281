//! The poll source against a real server.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]
#![allow(clippy::disallowed_methods, reason = "a test starts its own threads")]

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use sluice_capture::{PollCursor, PollSource, PollSourceOptions, SourcePosition};
use sluice_core::{ManualClock, Record};

/// Answers each request with the next of `answers` (status and body); gives
/// the address and the requests' first lines.
fn server(answers: Vec<(&'static str, String)>) -> (String, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/items", listener.local_addr().unwrap());
    let asked = Arc::new(Mutex::new(Vec::new()));
    let seen = asked.clone();
    std::thread::spawn(move || {
        for (status, body) in answers {
            let (stream, _) = listener.accept().unwrap();
            let mut reader = BufReader::new(stream.try_clone().unwrap());
            let mut first = String::new();
            reader.read_line(&mut first).unwrap();
            let mut has_token = false;
            loop {
                let mut line = String::new();
                reader.read_line(&mut line).unwrap();
                has_token |= line.to_lowercase().starts_with("x-token: t");
                if line.trim().is_empty() {
                    break;
                }
            }
            assert!(has_token);
            seen.lock().unwrap().push(first.trim().to_owned());
            let length = body.len();
            let answer = format!(
                "HTTP/1.1 {status}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}"
            );
            (&stream).write_all(answer.as_bytes()).unwrap();
        }
    });
    (url, asked)
}

fn options(url: String, of_answer: bool) -> PollSourceOptions {
    let (field, items) = match of_answer {
        true => ("/next", "/items"),
        false => ("/id", ""),
    };
    PollSourceOptions {
        name: "rates".into(),
        url,
        interval: Duration::from_secs(10),
        items: items.into(),
        cursor: Some(PollCursor {
            parameter: "after".into(),
            field: field.into(),
            start: Some("0".into()),
            of_answer,
        }),
        headers: vec![("x-token".into(), "t".into())],
        time_max: Duration::from_secs(5),
        answer_bytes_max: 1_000,
    }
}

fn payloads(records: &[Record]) -> Vec<String> {
    let texts = records
        .iter()
        .map(|record| String::from_utf8_lossy(&record.payload).into_owned());
    texts.collect()
}

#[test]
fn pages_follow_each_other_and_a_restart_goes_on_after_the_last_durable_item() {
    let ok = "200 OK";
    let (url, asked) = server(vec![
        (ok, r#"[{"id":1},{"id":2}]"#.into()),
        (ok, r#"[{"id":3}]"#.into()),
        (ok, "[]".into()),
        (ok, r#"[{"id":3},{"id":4}]"#.into()),
    ]);
    let clock = Arc::new(ManualClock::new(0));
    let mut source = PollSource::new(options(url.clone(), false), clock.clone(), None);
    let mut records = Vec::new();
    for expected in [2, 1, 0] {
        let batch = source.poll();
        assert_eq!(batch.records.len(), expected);
        assert_eq!(batch.at_end, expected == 0);
        assert!(batch.warnings.is_empty());
        records.extend(batch.records);
    }
    assert!(
        source.poll().at_end,
        "nothing is asked before the interval is over"
    );
    assert_eq!(
        payloads(&records),
        [r#"{"id":1}"#, r#"{"id":2}"#, r#"{"id":3}"#]
    );
    assert_eq!(asked.lock().unwrap().len(), 3);

    // The third item did not become durable.
    let mut position = SourcePosition::default();
    for record in &records[..2] {
        position.observe(record).unwrap();
    }
    let json = serde_json::to_string(&position).unwrap();
    let position: SourcePosition = serde_json::from_str(&json).unwrap();
    let mut source = PollSource::new(options(url, false), clock, position.into_cursor());
    assert_eq!(
        payloads(&source.poll().records),
        [r#"{"id":3}"#, r#"{"id":4}"#]
    );
    let asked = asked.lock().unwrap();
    let cursors: Vec<&str> = asked
        .iter()
        .map(|line| line.split(['=', ' ']).nth(2).unwrap())
        .collect();
    assert_eq!(cursors, ["0", "2", "3", "2"]);
}

#[test]
fn a_token_of_the_answer_belongs_behind_its_last_item() {
    let (url, asked) = server(vec![
        ("200 OK", r#"{"items":[1,2],"next":"t2"}"#.into()),
        ("200 OK", r#"{"items":[],"next":"t2"}"#.into()),
    ]);
    let clock = Arc::new(ManualClock::new(0));
    let mut source = PollSource::new(options(url, true), clock, None);
    let records = source.poll().records;
    let mut position = SourcePosition::default();
    position.observe(&records[0]).unwrap();
    assert_eq!(position.clone().into_cursor(), Some("0".into()));
    position.observe(&records[1]).unwrap();
    assert_eq!(position.into_cursor(), Some("t2".into()));
    assert!(source.poll().at_end);
    assert!(asked.lock().unwrap()[1].contains("after=t2"));
}

#[test]
fn troubles_are_told_once_and_waits_grow() {
    let (url, asked) = server(vec![
        ("500 Oops", String::new()),
        ("500 Oops", String::new()),
        ("429 Slow", String::new()),
        ("200 OK", "nonsense".into()),
        ("200 OK", r#"{"items":[]}"#.into()),
        ("200 OK", r#"[{"no":1}]"#.into()),
        ("200 OK", format!("[\"{}\"]", "x".repeat(2_000))),
        ("200 OK", r#"[{"id":9}]"#.into()),
        ("200 OK", r#"[{"id":9}]"#.into()),
    ]);
    let clock = Arc::new(ManualClock::new(0));
    let mut source = PollSource::new(options(url, false), clock.clone(), None);
    let mut warnings = Vec::new();
    let mut second = 0;
    while asked.lock().unwrap().len() < 8 {
        second += 1;
        clock.set_us(second * 1_000_000);
        let batch = source.poll();
        warnings.extend(batch.warnings);
    }
    let expected = [
        "500",
        "429",
        "no JSON",
        "no array",
        "item 1 of the answer has no /id",
        "breaks off",
        "answers again",
    ];
    assert_eq!(warnings.len(), expected.len(), "{warnings:?}");
    for (warning, expected) in warnings.iter().zip(expected) {
        assert!(warning.contains(expected), "{warning} has no {expected}");
    }
    assert!(second > 60, "waits grew: {second} s");
    clock.set_us((second + 1) * 1_000_000);
    assert!(
        source.poll().records.is_empty(),
        "an address that repeats itself gives nothing new"
    );
}
