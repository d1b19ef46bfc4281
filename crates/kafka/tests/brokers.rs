//! The source against a real broker: what is committed and nothing else, new
//! partitions and topics, groups, offsets that are gone.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a test fails by panicking, and waits"
)]

mod common;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use common::{ANSWER, Broker, end_transaction, queue};
use rdkafka::producer::Producer as _;
use sluice_core::{Record, RecordKind, SystemClock};
use sluice_kafka::error::KafkaSourceError;
use sluice_kafka::options::{Include, KafkaOptions, KeyFormat, Start, Tls, ValueFormat};
use sluice_kafka::position::KafkaPosition;
use sluice_kafka::source::KafkaSource;
use sluice_kafka::topics::TopicFilter;

const ALL: Include = Include {
    key: true,
    headers: true,
    topic: true,
    partition: true,
    offset: true,
    timestamp: false,
};

fn options(broker: &Broker, topics: &[&str]) -> KafkaOptions {
    let topics: Vec<String> = topics.iter().map(|&topic| topic.to_owned()).collect();
    KafkaOptions {
        name: "shop".into(),
        servers: vec![broker.address()],
        topics: TopicFilter::new(&topics).unwrap(),
        partitions: Vec::new(),
        group: None,
        is_group_assigned: false,
        start: Start::Earliest,
        accepts_gaps: false,
        own_log: false,
        include: Include::default(),
        format: ValueFormat::Json,
        key_format: KeyFormat::Text,
        registry: None,
        discovery_us: 300_000,
        sasl: None,
        tls: Tls::Off,
        identity: None,
        properties: Vec::new(),
    }
}

/// A source with what it gave.
struct Reader {
    source: KafkaSource,
    position: KafkaPosition,
    payloads: Vec<String>,
    warnings: Vec<String>,
}

impl Reader {
    fn new(options: KafkaOptions, position: KafkaPosition) -> Self {
        Self {
            source: KafkaSource::new(options, Arc::new(SystemClock), position.clone()),
            position,
            payloads: Vec::new(),
            warnings: Vec::new(),
        }
    }

    fn take(&mut self, records: &[Record]) {
        for record in records {
            self.position.apply(&record.position).unwrap();
            if record.kind == RecordKind::Data {
                let payload = String::from_utf8_lossy(&record.payload);
                self.payloads.push(payload.into_owned());
            }
        }
    }

    /// Reads until `is_done`; panics after a minute.
    #[track_caller]
    fn until(&mut self, is_done: impl Fn(&Self, bool) -> bool) {
        let start = Instant::now();
        loop {
            let batch = self.source.poll().unwrap();
            self.take(&batch.records);
            self.warnings.extend(batch.warnings);
            if is_done(self, batch.at_end) {
                return;
            }
            let trouble = self.source.trouble();
            let (payloads, warnings) = (&self.payloads, &self.warnings);
            assert!(
                start.elapsed() < Duration::from_secs(60),
                "{trouble:?} {warnings:?} {payloads:?}"
            );
        }
    }

    #[track_caller]
    fn read_all(&mut self) {
        self.until(|_, at_end| at_end);
    }

    fn sorted(&self) -> Vec<String> {
        let mut payloads = self.payloads.clone();
        payloads.sort();
        payloads
    }

    fn error(mut self) -> KafkaSourceError {
        for _ in 0..2_000 {
            match self.source.poll() {
                Ok(batch) => self.take(&batch.records),
                Err(error) => return error,
            }
        }
        panic!("there was no error");
    }
}

#[test]
fn committed_transactions_headers_keys_and_tombstones() {
    let Some(broker) = Broker::start() else {
        return;
    };
    broker.make_topic("orders", 2);
    let producer = broker.producer(&[("transactional.id", "till")]);
    producer.init_transactions(ANSWER).unwrap();
    let mut wanted = Vec::new();
    for round in 0..6 {
        producer.begin_transaction().unwrap();
        for number in 0..20 {
            let value = format!("{{\"n\":{}}}", round * 20 + number);
            queue(
                &producer,
                "orders",
                number % 2,
                None,
                Some(value.as_bytes()),
                &[],
            );
            if round % 2 == 0 {
                wanted.push(value);
            }
        }
        end_transaction(&producer, round % 2 == 0);
    }
    let mut reader = Reader::new(options(&broker, &["orders"]), KafkaPosition::default());
    reader.read_all();
    wanted.sort();
    assert_eq!(
        reader.sorted(),
        wanted,
        "what was committed, and nothing else"
    );

    // A transaction that is open is not read, nor what stands behind it.
    let before = reader.payloads.len();
    producer.begin_transaction().unwrap();
    queue(&producer, "orders", 0, None, Some(b"{\"open\":1}"), &[]);
    producer.flush(ANSWER).unwrap();
    broker.send("orders", 1, None, Some(b"{\"other\":1}"));
    reader.until(|reader, at_end| at_end && reader.payloads.len() > before);
    assert_eq!(&reader.payloads[before..], ["{\"other\":1}"]);
    producer.commit_transaction(ANSWER).unwrap();
    reader.until(|reader, at_end| at_end && reader.payloads.len() > before + 1);

    // From the positions of the records themselves, nothing comes again.
    broker.send("orders", 0, Some("k"), None);
    let position = reader.position.clone();
    let mut with_all = options(&broker, &["orders"]);
    with_all.include = ALL;
    let mut again = Reader::new(with_all, position);
    let producer = broker.producer(&[]);
    let headers = [("source", "app"), ("source", "web")];
    queue(
        &producer,
        "orders",
        1,
        Some("7"),
        Some(b"{\"n\":1}"),
        &headers,
    );
    producer.flush(ANSWER).unwrap();
    again.until(|reader, at_end| at_end && reader.payloads.len() >= 2);
    let mut payloads = again.sorted();
    let offset_of = |payload: &str| -> i64 {
        let read: serde_json::Value = serde_json::from_str(payload).unwrap();
        read["_kafka"]["offset"].as_i64().unwrap()
    };
    let offsets: Vec<i64> = payloads.iter().map(|it| offset_of(it)).collect();
    for (payload, offset) in payloads.iter_mut().zip(offsets) {
        *payload = payload.replace(&format!("\"offset\":{offset}"), "\"offset\":N");
    }
    assert_eq!(
        payloads,
        [
            r#"{"_kafka":{"topic":"orders","partition":0,"offset":N,"key":"k","headers":{},"tombstone":true}}"#,
            r#"{"n":1,"_kafka":{"topic":"orders","partition":1,"offset":N,"key":"7","headers":{"source":"web"},"tombstone":false}}"#,
        ]
    );
    assert_eq!(again.source.unread(), 0);

    // Where marks of transactions are all that was not read, nothing is
    // missing when they are deleted.
    let producer = broker.producer(&[("transactional.id", "till")]);
    producer.init_transactions(ANSWER).unwrap();
    producer.begin_transaction().unwrap();
    for partition in 0..2 {
        queue(
            &producer,
            "orders",
            partition,
            None,
            Some(b"{\"never\":1}"),
            &[],
        );
    }
    end_transaction(&producer, false);
    let before = again.position.clone();
    let has_moved = |reader: &Reader, partition| {
        reader.position.next_of("orders", partition) > before.next_of("orders", partition)
    };
    again.until(|reader, at_end| at_end && has_moved(reader, 0) && has_moved(reader, 1));
    for partition in 0..2 {
        broker.delete_records("orders", partition, -1);
    }
    let position = again.position.clone();
    let mut last = Reader::new(options(&broker, &["orders"]), position);
    last.read_all();
    assert!(last.payloads.is_empty(), "{:?}", last.payloads);
}

#[test]
fn new_partitions_and_topics_of_a_pattern_are_read_from_their_first_record() {
    let Some(broker) = Broker::start() else {
        return;
    };
    broker.make_topic("app-a", 1);
    broker.make_topic("other", 1);
    broker.send("app-a", 0, None, Some(b"\"old\""));
    broker.send("other", 0, None, Some(b"\"not wanted\""));
    let mut from_now = options(&broker, &["^app-.*", "named"]);
    from_now.start = Start::Latest;
    let mut reader = Reader::new(from_now.clone(), KafkaPosition::default());
    reader.read_all();
    assert!(reader.payloads.is_empty(), "{:?}", reader.payloads);
    assert!(reader.warnings[0].contains("no topic `named` yet"));

    broker.send("app-a", 0, None, Some(b"\"new\""));
    broker.add_partitions("app-a", 3);
    broker.send("app-a", 2, None, Some(b"\"in a new partition\""));
    broker.make_topic("app-b", 1);
    broker.send("app-b", 0, None, Some(b"\"in a new topic\""));
    broker.make_topic("named", 1);
    broker.send("named", 0, None, Some(b"\"in a named one\""));
    reader.until(|reader, at_end| at_end && reader.payloads.len() >= 4);
    let wanted = [
        "\"in a named one\"",
        "\"in a new partition\"",
        "\"in a new topic\"",
        "\"new\"",
    ];
    assert_eq!(reader.sorted(), wanted);

    // What comes while nobody reads is read later, in new partitions too.
    let position = reader.position.clone();
    drop(reader);
    broker.add_partitions("app-b", 2);
    broker.send("app-b", 1, None, Some(b"\"while away\""));
    let mut again = Reader::new(from_now, position);
    again.until(|reader, at_end| at_end && !reader.payloads.is_empty());
    assert_eq!(again.payloads, ["\"while away\""]);

    let mut of_one = options(&broker, &["app-a"]);
    of_one.partitions = vec![2];
    let mut reader = Reader::new(of_one, KafkaPosition::default());
    reader.read_all();
    assert_eq!(reader.payloads, ["\"in a new partition\""]);
}

#[test]
fn offsets_that_are_gone_are_an_error_and_never_a_gap() {
    let Some(broker) = Broker::start() else {
        return;
    };
    broker.make_topic("orders", 1);
    for number in 0..10 {
        broker.send("orders", 0, None, Some(number.to_string().as_bytes()));
    }
    let mut reader = Reader::new(options(&broker, &["orders"]), KafkaPosition::default());
    reader.read_all();
    let mut position = reader.position.clone();
    position
        .apply(b"\x83\x01\0\0\0\0\0\0\0\0\0\0\0\x04orders")
        .unwrap();
    broker.delete_records("orders", 0, 7);
    let error = Reader::new(options(&broker, &["orders"]), position.clone())
        .error()
        .to_string();
    for part in [
        "partition 0 of topic `orders`",
        "offset 4",
        "earliest there is 7",
        "3 records",
        "help:",
    ] {
        assert!(error.contains(part), "{error}");
    }
    let mut accepting = options(&broker, &["orders"]);
    accepting.accepts_gaps = true;
    let mut behind = Reader::new(accepting, position.clone());
    behind.until(|reader, at_end| at_end && reader.payloads.len() == 3);
    assert_eq!(behind.payloads, ["7", "8", "9"]);
    assert!(
        behind.warnings[0].contains("3 records"),
        "{:?}",
        behind.warnings
    );

    // A cluster that is another one is no place to go on.
    position.cluster = "another".into();
    let error = Reader::new(options(&broker, &["orders"]), position).error();
    assert!(error.to_string().contains("of cluster another"), "{error}");
}

#[test]
fn a_group_shares_partitions_and_own_positions_stay() {
    let Some(broker) = Broker::start() else {
        return;
    };
    broker.make_topic("orders", 4);
    let in_group = || {
        let mut options = options(&broker, &["orders"]);
        options.group = Some("warehouse".into());
        options.is_group_assigned = true;
        options
    };
    let send = |numbers: std::ops::Range<i32>| {
        let producer = broker.producer(&[]);
        for number in numbers {
            let value = number.to_string();
            queue(
                &producer,
                "orders",
                number % 4,
                None,
                Some(value.as_bytes()),
                &[],
            );
        }
        producer.flush(ANSWER).unwrap();
    };
    send(0..100);
    let mut first = Reader::new(in_group(), KafkaPosition::default());
    first.until(|reader, at_end| at_end && reader.payloads.len() == 100);

    // A second one takes half of the partitions over.
    let mut second = Reader::new(in_group(), KafkaPosition::default());
    let start = Instant::now();
    let mut next = 100;
    while second.payloads.len() < 20 {
        assert!(
            start.elapsed() < Duration::from_secs(90),
            "no partition came"
        );
        send(next..next + 20);
        next += 20;
        for reader in [&mut first, &mut second] {
            for _ in 0..5 {
                let batch = reader.source.poll().unwrap();
                reader.take(&batch.records);
            }
        }
    }
    // It leaves; the first one has everything again, where it stood itself.
    let mut counts: BTreeMap<String, u32> = BTreeMap::new();
    for payload in &second.payloads {
        *counts.entry(payload.clone()).or_default() += 1;
    }
    assert!(counts.values().all(|&count| count == 1), "{counts:?}");
    drop(second);
    let wanted = usize::try_from(next).unwrap();
    first.until(|reader, at_end| at_end && reader.payloads.len() >= wanted);
    let mut numbers: Vec<i32> = first
        .payloads
        .iter()
        .map(|it| it.parse().unwrap())
        .collect();
    numbers.sort();
    assert!(numbers.into_iter().eq(0..next), "each row once");
}
