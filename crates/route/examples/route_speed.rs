//! How long routing takes: CPU time a record, without log, engine and store.
//!
//! ```text
//! route_speed SOURCES.toml TOPIC RECORDS [ROUNDS]
//! ```
//!
//! `RECORDS` is a file of one record a line. Each round routes all of them anew,
//! in epochs of 50,000, on one thread; its time is that of the process.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "an example fails by panicking"
)]

use std::sync::Arc;

use bytes::Bytes;
use sluice_core::{LogRecord, PartitionId, Record, RecordKind};
use sluice_route::{Router, SourceFile, parse_sources};

const EPOCH_RECORDS: usize = 50_000;

/// Nanoseconds of CPU that this process has had (proc(5), schedstat).
fn cpu_ns() -> u64 {
    let text = std::fs::read_to_string("/proc/self/schedstat").unwrap();
    text.split(' ').next().unwrap().parse().unwrap()
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [path, topic, records, rest @ ..] = &arguments[..] else {
        panic!("usage: route_speed SOURCES.toml TOPIC RECORDS [ROUNDS]");
    };
    let rounds: usize = rest.first().map_or(5, |text| text.parse().unwrap());
    let text = std::fs::read_to_string(path).unwrap();
    let text = text.replace("${log}", "source");
    let file = SourceFile {
        path: path.clone(),
        text,
    };
    let sources = Arc::new(parse_sources(&[file]).unwrap());
    let id = PartitionId {
        topic: topic.clone(),
        partition: 0,
    };
    let all = Bytes::from(std::fs::read(records).unwrap());
    let mut start = 0;
    let mut records = Vec::new();
    for end in all.iter().enumerate().filter(|(_, byte)| **byte == b'\n') {
        records.push(LogRecord {
            offset: records.len() as u64,
            record: Record {
                kind: RecordKind::Data,
                payload: all.slice(start..end.0),
                capture_time_us: 1_790_000_000_000_000,
                position: Bytes::new(),
                transaction: None,
            },
        });
        start = end.0 + 1;
    }
    for _ in 0..rounds {
        let mut router = Router::new(sources.clone());
        let (mut rows, mut letters) = (0, 0);
        let before = cpu_ns();
        for epoch in records.chunks(EPOCH_RECORDS) {
            let routed = router.route(&id, epoch);
            rows += routed
                .changes
                .iter()
                .map(|table| table.rows.num_rows())
                .sum::<usize>();
            letters += routed.dead_letters.len();
        }
        let each = (cpu_ns() - before) as f64 / records.len() as f64;
        println!("{each:.0} ns a record: {rows} rows, {letters} dead letters");
    }
}
