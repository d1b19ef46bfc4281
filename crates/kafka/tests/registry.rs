//! Values in Avro and by JSON Schema, from a real broker. The registry is a
//! small server of the test's own that speaks the two endpoints which Sluice
//! asks: the real one is not among Maven Central's artefacts in a form that
//! can be started.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a test fails by panicking, waits, and serves"
)]

mod common;

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write as _};
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use common::Broker;
use serde_json::{Value, json};
use sluice_core::{RecordKind, SystemClock, undecoded};
use sluice_kafka::options::{
    Include, KafkaOptions, KeyFormat, RegistryOptions, Secret, Start, Tls, ValueFormat,
};
use sluice_kafka::position::KafkaPosition;
use sluice_kafka::source::KafkaSource;
use sluice_kafka::topics::TopicFilter;

/// A registry of these answers, by path.
struct Registry {
    port: u16,
    asked: Arc<AtomicUsize>,
    is_down: Arc<AtomicBool>,
}

impl Registry {
    fn start(answers: BTreeMap<String, Value>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let registry = Self {
            port: listener.local_addr().unwrap().port(),
            asked: Arc::default(),
            is_down: Arc::default(),
        };
        let (asked, is_down) = (registry.asked.clone(), registry.is_down.clone());
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let Ok(mut stream) = stream else { return };
                let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
                let Some(Ok(first)) = lines.next() else {
                    continue;
                };
                let headers: Vec<String> = lines
                    .map_while(Result::ok)
                    .take_while(|line| !line.is_empty())
                    .collect();
                asked.fetch_add(1, Ordering::Relaxed);
                let path = first.split(' ').nth(1).unwrap();
                // user:secret
                let is_known = (headers.iter()).any(|it| it.ends_with("Basic dXNlcjpzZWNyZXQ="));
                let (status, body) = match (is_known, answers.get(path)) {
                    _ if is_down.load(Ordering::Relaxed) => ("503 Busy", "busy".to_owned()),
                    (false, _) => ("401 Unauthorized", "{\"error_code\":401}".to_owned()),
                    (true, Some(answer)) => ("200 OK", answer.to_string()),
                    (true, None) => ("404 Not Found", "{\"error_code\":40403}".to_owned()),
                };
                let _ = write!(
                    stream,
                    "HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
                    body.len()
                );
            }
        });
        registry
    }
}

fn options(broker: &Broker, registry: &Registry, format: ValueFormat) -> KafkaOptions {
    KafkaOptions {
        name: "shop".into(),
        servers: vec![broker.address()],
        topics: TopicFilter::new(&["orders".into()]).unwrap(),
        partitions: Vec::new(),
        group: None,
        is_group_assigned: false,
        start: Start::Earliest,
        accepts_gaps: false,
        own_log: false,
        include: Include {
            key: true,
            ..Include::default()
        },
        format,
        key_format: KeyFormat::Avro,
        registry: Some(RegistryOptions {
            url: format!("http://127.0.0.1:{}/", registry.port),
            user: Some(("user".into(), Secret("secret".into()))),
        }),
        discovery_us: 1_000_000,
        sasl: None,
        tls: Tls::Off,
        identity: None,
        properties: Vec::new(),
    }
}

/// Reads until there are so many records.
#[track_caller]
fn read(source: &mut KafkaSource, count: usize) -> Vec<Vec<u8>> {
    let mut payloads = Vec::new();
    let start = Instant::now();
    while payloads.len() < count {
        let batch = source.poll().unwrap();
        let records = batch.records.into_iter();
        let data = records.filter(|record| record.kind == RecordKind::Data);
        payloads.extend(data.map(|record| record.payload.to_vec()));
        let trouble = source.trouble();
        assert!(start.elapsed() < Duration::from_secs(60), "{trouble:?}");
    }
    payloads
}

fn framed(number: u32, value: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0];
    bytes.extend(number.to_be_bytes());
    bytes.extend(value);
    bytes
}

fn send(broker: &Broker, key: &[u8], value: &[u8]) {
    use rdkafka::producer::{BaseRecord, Producer as _};
    let producer = broker.producer(&[]);
    let record = BaseRecord::to("orders")
        .partition(0)
        .key(key)
        .payload(value);
    assert!(producer.send(record).is_ok());
    producer.flush(common::ANSWER).unwrap();
}

#[test]
fn avro_and_json_by_a_registry() {
    let Some(broker) = Broker::start() else {
        return;
    };
    broker.make_topic("orders", 1);
    let money = json!({"type": "record", "name": "shop.Money", "fields": [
        {"name": "amount", "type": {"type": "bytes", "logicalType": "decimal", "precision": 10, "scale": 2}}]});
    let order = json!({"type": "record", "name": "shop.Order", "fields": [
        {"name": "id", "type": "long"}, {"name": "total", "type": ["null", "shop.Money"]}]});
    let answers = BTreeMap::from([
        ("/schemas/ids/1".to_owned(), json!({"schema": "\"string\""})),
        (
            "/schemas/ids/2".to_owned(),
            json!({"schema": order.to_string(), "references": [
                {"name": "shop.Money", "subject": "shop/money", "version": 3}]}),
        ),
        (
            "/subjects/shop%2Fmoney/versions/3".to_owned(),
            json!({"schema": money.to_string()}),
        ),
        (
            "/schemas/ids/4".to_owned(),
            json!({"schema": "{}", "schemaType": "JSON"}),
        ),
        (
            "/schemas/ids/5".to_owned(),
            json!({"schema": "syntax", "schemaType": "PROTOBUF"}),
        ),
        ("/schemas/ids/6".to_owned(), json!({"schema": "{"})),
    ]);
    let registry = Registry::start(answers);
    let key = framed(1, b"\x04k1");
    let good = framed(2, b"\x0e\x02\x04\x04\xd2");
    for value in [
        &good[..],
        &good,
        b"{\"id\":7}",
        &framed(9, b""),
        &framed(5, b""),
        &framed(6, b""),
        &framed(4, b"{}"),
        &framed(2, b"\x0e\x08"),
        &framed(2, b"\x0e\x00"),
    ] {
        send(&broker, &key, value);
    }
    // A registry that does not answer makes nothing of a record: it waits.
    registry.is_down.store(true, Ordering::Relaxed);
    let of_avro = options(&broker, &registry, ValueFormat::Avro);
    let clock = Arc::new(SystemClock);
    let mut source = KafkaSource::new(of_avro, clock.clone(), KafkaPosition::default());
    let start = Instant::now();
    while source.trouble().is_none() {
        let batch = source.poll().unwrap();
        let mut records = batch.records.iter();
        assert!(records.all(|record| record.kind == RecordKind::Position));
        assert!(start.elapsed() < Duration::from_secs(60));
    }
    let trouble = source.trouble().unwrap();
    assert!(trouble.contains("503"), "{trouble}");
    assert!(!format!("{source:?}{trouble}").contains("secret"));
    registry.is_down.store(false, Ordering::Relaxed);
    let payloads = read(&mut source, 9);
    let order = r#"{"id":7,"total":{"amount":12.34},"_kafka":{"key":"k1","tombstone":false}}"#;
    assert_eq!(String::from_utf8_lossy(&payloads[0]), order);
    assert_eq!(payloads[0], payloads[1]);
    let reasons = [
        "does not begin with a zero byte",
        "has no schema 9",
        "one of PROTOBUF",
        "schema 6: it is no Avro schema",
        "schema 4 is one of JSON",
        "byte 2: a union has no branch 4",
    ];
    for (payload, reason) in payloads[2..8].iter().zip(reasons) {
        let (found, bytes) = undecoded(payload).unwrap();
        assert!(found.contains(reason), "{found}");
        assert!(bytes == b"{\"id\":7}" || bytes[0] == 0);
        assert!(serde_json::from_slice::<Value>(payload).is_err());
    }
    let last = r#"{"id":7,"total":null,"_kafka":{"key":"k1","tombstone":false}}"#;
    assert_eq!(String::from_utf8_lossy(&payloads[8]), last);

    // What is known is not asked for again.
    let asked = registry.asked.load(Ordering::Relaxed);
    send(&broker, &key, &good);
    assert_eq!(String::from_utf8_lossy(&read(&mut source, 1)[0]), order);
    assert_eq!(registry.asked.load(Ordering::Relaxed), asked);

    let of_json = options(&broker, &registry, ValueFormat::JsonSchema);
    let mut source = KafkaSource::new(of_json, clock, KafkaPosition::default());
    let payloads = read(&mut source, 10);
    let wanted = r#"{"_kafka":{"key":"k1","tombstone":false}}"#;
    assert_eq!(String::from_utf8_lossy(&payloads[6]), wanted);
    let (reason, _) = undecoded(&payloads[0]).unwrap();
    assert!(reason.contains("one of Avro"), "{reason}");
}
