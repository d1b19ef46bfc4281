//! What clients, files and saved positions may hold after damage: an error, or
//! records; never the end of the process.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]
#![allow(
    clippy::disallowed_methods,
    reason = "a test starts its own threads and writes its own files"
)]

#[path = "../../core/tests/support/fuzz_rounds.rs"]
mod fuzz_rounds;
#[path = "../../core/tests/support/mutator.rs"]
mod mutator;

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use fuzz_rounds::rounds;
use mutator::{Mutator, Watch};
use sluice_capture::{
    CollectedTopic, Collector, CollectorLimits, FileFormat, FileSource, FileSourceOptions,
    SourcePosition, Submissions,
};
use sluice_core::{ManualClock, Record};

fn options(folder: &std::path::Path, format: FileFormat) -> FileSourceOptions {
    let path = folder.join("*.log").display().to_string();
    FileSourceOptions {
        follow: false,
        ..FileSourceOptions::new("t".into(), path, format)
    }
}

/// All records that there are; the source must come to an end.
fn read_to_end(options: FileSourceOptions, positions: SourcePosition) -> Vec<Record> {
    let clock = Arc::new(ManualClock::new(1));
    let mut source = FileSource::open(options, clock, positions.into_files()).unwrap();
    let mut records = Vec::new();
    for _ in 0..100 {
        let batch = source.poll().unwrap();
        records.extend(batch.records);
        if batch.at_end {
            return records;
        }
    }
    panic!("the source has no end");
}

#[test]
fn damaged_positions_are_refused_or_read_on_from_somewhere() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["a.log", "b.log"] {
        let lines: Vec<String> = (0..40)
            .map(|number| format!("{{\"n\":{number}}}"))
            .collect();
        std::fs::write(folder.path().join(name), lines.join("\n")).unwrap();
    }
    let options = || options(folder.path(), FileFormat::Ndjson);
    let records = read_to_end(options(), SourcePosition::Start);
    assert_eq!(records.len(), 80);
    let watch = Watch::new("positions");
    let (mut refused, mut taken) = (0, 0);
    for round in rounds(6_000) {
        let mut random = Mutator::new(round);
        let mut position = SourcePosition::Start;
        for record in &records[..1 + random.below(80)] {
            position.observe(record).unwrap();
        }
        let mut damaged = records[random.below(80)].clone();
        let mut bytes = damaged.position.to_vec();
        random.mutate(&mut bytes);
        damaged.position = bytes.into();
        let mut observed = position.clone();
        match observed.observe(&damaged) {
            Ok(()) => taken += 1,
            Err(error) => {
                refused += 1;
                assert!(error.to_string().contains("position"), "{error}");
            }
        }
        let mut saved = serde_json::to_vec(&position).unwrap();
        random.mutate(&mut saved);
        if let Ok(loaded) = serde_json::from_slice(&saved) {
            observed = loaded;
        }
        // What is read on from there are lines of the files.
        for record in read_to_end(options(), observed) {
            assert!(record.payload.len() < 10);
        }
        watch.tick();
    }
    assert!(refused > 1_000 && taken > 100, "{refused} {taken}");
}

#[test]
fn damaged_files_are_read_to_their_end() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.log");
    let watch = Watch::new("files");
    for round in rounds(4_000) {
        let mut random = Mutator::new(round);
        let mut text = b"id,text\r\n1,\"a \"\"b\"\",\nc\"\n2,d\n\n3,\xc3\xa9\n".to_vec();
        random.mutate(&mut text);
        std::fs::write(&path, &text).unwrap();
        let format = match random.below(2) {
            0 => FileFormat::Ndjson,
            _ => FileFormat::Csv {
                delimiter: b',',
                has_header: random.below(2) == 0,
            },
        };
        let records = read_to_end(options(folder.path(), format), SourcePosition::Start);
        let bytes: usize = records.iter().map(|record| record.payload.len()).sum();
        // A line whose quotes are not closed gets a byte that shows it.
        assert!(bytes <= text.len() + records.len());
        watch.tick();
    }
}

/// Sends bytes; gives the status of the answer, if there is one. A client that
/// `is_gone` waits for none.
fn send(address: SocketAddr, bytes: &[u8], is_gone: bool) -> Option<u16> {
    let mut stream = TcpStream::connect(address).unwrap();
    let time = Some(Duration::from_secs(30));
    stream.set_read_timeout(time).unwrap();
    // The server may close before it has read everything.
    let _ = stream.write_all(bytes);
    if is_gone {
        let _ = stream.shutdown(Shutdown::Write);
    }
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    let text = String::from_utf8_lossy(&answer);
    text.split(' ').nth(1)?.parse().ok()
}

fn request(encoding: &str, body: &[u8]) -> Vec<u8> {
    let mut bytes = format!(
        "POST /collect/open?key=a%20b HTTP/1.1\r\nhost: a\r\nconnection: close\r\n{encoding}content-length: {}\r\n\r\n",
        body.len()
    )
    .into_bytes();
    bytes.extend_from_slice(body);
    bytes
}

#[test]
fn the_collector_outlives_whatever_clients_send() {
    let submissions = Arc::new(Submissions::new(1 << 20));
    let topic = CollectedTopic {
        origins: vec!["*".into()],
        maxwell_transactions: true,
        ..CollectedTopic::default()
    };
    let limits = CollectorLimits {
        request_bytes_max: 4_000,
        record_bytes_max: 1_000,
        body_time_max: Duration::from_millis(200),
        ..CollectorLimits::default()
    };
    let topics = BTreeMap::from([("open".to_owned(), topic)]);
    let clock = Arc::new(ManualClock::new(1));
    let collector = Arc::new(Collector::new(topics, limits, submissions.clone(), clock));
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0");
    let listener = runtime.block_on(listener).unwrap();
    let address = listener.local_addr().unwrap();
    let router = collector.router();
    runtime.spawn(async move { axum::serve(listener, router).await });

    let text = br#"[{"xid":7,"commit":true,"data":{"a":"\"]"}},{"b":[1,2]},{"c":null}]"#;
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(text).unwrap();
    let gzip = gzip.finish().unwrap();
    let zstd = zstd::encode_all(&text[..], 3).unwrap();
    let lines = b"{\"a\":1}\n{\"b\":2}\n".to_vec();
    let bodies = [
        ("", text.to_vec()),
        ("", lines),
        ("content-encoding: gzip\r\n", gzip),
        ("content-encoding: zstd\r\n", zstd),
    ];
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(Ordering::SeqCst) {
                for submission in submissions.take_all(Duration::from_millis(5)) {
                    let _ = submission.done.send(Ok(()));
                }
            }
        });
        let watch = Watch::new("requests");
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            let (mut accepted, mut refused) = (0, 0);
            for round in rounds(3_000) {
                let mut random = Mutator::new(round);
                let (encoding, body) = &bodies[random.below(bodies.len())];
                let mut body = body.clone();
                // A head may say anything of what follows it, so that the
                // server would wait for more.
                let is_gone = random.below(4) == 0;
                let bytes = if is_gone {
                    let mut bytes = request(encoding, &body);
                    random.mutate(&mut bytes);
                    bytes
                } else {
                    random.mutate(&mut body);
                    request(encoding, &body)
                };
                match send(address, &bytes, is_gone) {
                    Some(200) => accepted += 1,
                    Some(status) => {
                        assert!((400..500).contains(&status), "{status}");
                        refused += 1;
                    }
                    None => {}
                }
                watch.tick();
            }
            assert_eq!(send(address, &request("", b"{\"a\":1}"), false), Some(200));
            assert!(accepted > 300 && refused > 300, "{accepted} {refused}");
        }));
        stop.store(true, Ordering::SeqCst);
        if let Err(problem) = outcome {
            std::panic::resume_unwind(problem);
        }
    });
}
