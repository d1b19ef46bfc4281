//! Records with random damage: each becomes rows or a dead letter, and costs
//! only itself.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]
#![allow(clippy::disallowed_methods, reason = "a watch has a thread of its own")]

mod common;
#[path = "../../core/tests/support/fuzz_rounds.rs"]
mod fuzz_rounds;
#[path = "../../core/tests/support/mutator.rs"]
mod mutator;

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, RecordBatch};
use arrow::datatypes::Int64Type;
use arrow::util::display::array_value_to_string;
use common::{partition, record_at, sources_of};
use fuzz_rounds::rounds;
use mutator::{Mutator, Watch};
use sluice_core::{DeadLetter, LogRecord, RecordKind};
use sluice_route::{Routed, Router, Sources};

const SOURCES: &str = r#"
[topic.events]
[table.event]
topic = "events"
event_time = "at"
lateness = "1 day"
max_ahead = "1 hour"
retain = "9 days"
dedup_key = ["id"]
columns = [
  { name = "id", from = "/id", type = "int64" },
  { name = "at", from = "/at", type = "timestamp", unit = "ms" },
  { name = "local", from = "/local", type = "timestamp", format = "%Y-%m-%d %H:%M:%S", time_zone = "Europe/London", wrong = "null", missing = "null" },
  { name = "day", from = "/day", type = "date", wrong = "null", missing = "null" },
  { name = "price", from = "/price", type = "decimal(12,2)", missing = "null", wrong = "null" },
  { name = "share", from = "/a~1b/0/c", type = "float64", missing = "null", wrong = "null", min = 0, max = 10 },
  { name = "flag", from = "/flag", type = "boolean", missing = { constant = "false" }, wrong = { constant = "false" } },
  { name = "small", from = "/small", type = "int32", missing = "last", wrong = "last", last_by = ["flag"] },
  { name = "text", from = "/text", type = "string", missing = "null" },
]
[table.shown]
topic = "events"
when = [{ field = "/shown", exists = true }]
explode = "/shown"
columns = [
  { name = "id", from = "/id", type = "int64" },
  { name = "item", from = "./item", type = "string" },
]

[topic.shop]
[topic.shop.capture]
kind = "http"
transactions = "maxwell"
[table.goods]
topic = "shop"
row = "/data"
before = "/old"
version = ["/xid", "/xoffset"]
primary_key = ["id"]
change_kind = { field = "/type", insert = ["insert"], update = ["update"], delete = ["delete"] }
columns = [
  { name = "id", from = "./id", type = "int64" },
  { name = "price", from = "./price", type = "decimal(16,2)" },
]

[topic.feed]
messages = "detect"
[table.fed]
topic = "feed"
row = "/data"
before = "/old"
primary_key = ["id"]
change_kind = { field = "/type", insert = ["insert", "bootstrap-insert"], update = ["update"], delete = ["delete"] }
columns = [
  { name = "id", from = "./id", type = "int64" },
  { name = "price", from = "./price", type = "decimal(16,2)" },
]

[topic.lines]
[topic.lines.capture]
kind = "file"
path = "*.csv"
format = "csv"
[table.line]
topic = "lines"
columns = [
  { name = "id", from = "id", type = "int64" },
  { name = "text", from = "text", type = "string" },
  { name = "price", from = "price", type = "decimal(9,3)", wrong = "null" },
]
"#;

const EVENT: &str = r#"{"id":3,"at":86400000,"local":"2026-03-29 01:30:00","day":"2026-02-28","price":"12.34","a/b":[{"c":1.5e0}],"flag":true,"small":-7,"text":"a\u00e9\ud83d\ude00\"\\","shown":[{"item":"x"},{"item":"y"}]}"#;
const CHANGE: &str = r#"{"database":"shop","table":"goods","type":"update","xid":8,"xoffset":1,"commit":true,"data":{"id":3,"price":"7.50"},"old":{"id":2,"price":7}}"#;
const DEBEZIUM: &str = r#"{"after":{"id":3,"price":"7.50","text":"a\u00e9\"\\"},"before":null,"op":"c","source":{"db":"shop","table":"goods","ts_ms":5,"file":"bin.000007","pos":154,"row":1}}"#;
const CANAL: &str = r#"{"data":[{"id":"3","price":"7.50"}],"database":"shop","es":7,"id":9,"isDdl":false,"old":null,"table":"goods","ts":8,"type":"INSERT"}"#;
const LINE: &str = "3,\"a \"\"text\"\", long\",12.345";

fn record(offset: u64, kind: RecordKind, payload: &[u8]) -> LogRecord {
    record_at(86_400_000_000, offset, kind, payload.to_owned())
}

fn ids(routed: &Routed, table: &str) -> Vec<i64> {
    let changes = routed.changes.iter().filter(|change| change.table == table);
    let ids = |change: &sluice_core::TableChanges| {
        assert_eq!(change.kinds.len(), change.rows.num_rows());
        change
            .rows
            .column(0)
            .as_primitive::<Int64Type>()
            .values()
            .to_vec()
    };
    changes.flat_map(ids).collect()
}

#[test]
fn a_damaged_record_costs_only_itself() {
    let sources = sources_of(SOURCES);
    let watch = Watch::new("records");
    let (mut tried, mut rows, mut letters) = (0, 0, 0);
    for round in rounds(60_000) {
        let mut random = Mutator::new(round);
        let (topic, table, good) = [
            ("events", "event", EVENT),
            ("shop", "goods", CHANGE),
            ("lines", "line", LINE),
            ("feed", "fed", DEBEZIUM),
            ("feed", "fed", CANAL),
        ][random.below(5)];
        let mut damaged = good.as_bytes().to_vec();
        random.mutate(&mut damaged);
        let mut records = Vec::new();
        if topic == "lines" {
            records.push(record(0, RecordKind::CsvHeader, b"id,text,price"));
        }
        let first = records.len() as u64;
        records.push(record(first, RecordKind::Data, good.as_bytes()));
        records.push(record(first + 1, RecordKind::Data, &damaged));
        let other = good.replacen('3', "4", 1);
        records.push(record(first + 2, RecordKind::Data, other.as_bytes()));
        let id = partition(topic);
        let routed = Router::new(sources.clone()).route(&id, &records);
        watch.tick();
        let found = ids(&routed, table);
        assert_eq!(found.first(), Some(&3), "{routed:?}");
        // An event with the number 4 before it makes it a repeated one.
        let is_repeated = topic == "events" && found[1..].contains(&4);
        assert!(found.last() == Some(&4) || is_repeated, "{routed:?}");
        for letter in &routed.dead_letters {
            assert_eq!(letter.offset, first + 1, "{letter:?}");
        }
        tried += 1;
        rows += usize::from(found.len() == 3);
        letters += routed.dead_letters.len();
    }
    assert!(rows > tried / 50 && letters > tried / 4, "{rows} {letters}");
}

/// Change messages in a topic of several kinds, each about other rows.
const MESSAGES: [&str; 8] = [
    r#"{"database":"shop","table":"goods","type":"insert","xid":8,"xoffset":0,"data":{"id":11,"price":"7.50"}}"#,
    r#"{"database":"shop","table":"goods","type":"update","xid":8,"xoffset":1,"commit":true,"data":{"id":12,"price":"7.50"},"old":{"id":13,"price":"7"}}"#,
    r#"{"database":"shop","table":"goods","type":"delete","xid":9,"commit":true,"data":{"id":14,"price":"7.50"}}"#,
    r#"{"schema":{"type":"struct","optional":false},"payload":{"before":null,"after":{"id":15,"price":"0.01"},"op":"c","source":{"connector":"mysql","db":"shop","table":"goods","ts_ms":5,"file":"bin.000007","pos":154,"row":1}}}"#,
    r#"{"before":{"id":16,"price":"1"},"after":{"id":17,"price":"2"},"op":"u","source":{"connector":"postgresql","db":"shop","schema":"public","table":"goods","ts_ms":5,"lsn":24023128}}"#,
    r#"{"before":{"id":18,"price":"1"},"after":null,"op":"d","source":{"connector":"postgresql","db":"shop","schema":"public","table":"goods","ts_ms":5,"lsn":24023129}}"#,
    r#"{"data":[{"id":"19","price":"7.50"},{"id":"20","price":"2.25"},{"id":"21","price":"1"}],"database":"shop","es":7,"id":9,"isDdl":false,"old":null,"table":"goods","ts":8,"type":"INSERT"}"#,
    r#"{"data":[{"id":"22","price":"7.50"}],"database":"shop","es":7,"id":10,"isDdl":false,"old":[{"price":"7"}],"table":"goods","ts":8,"type":"UPDATE"}"#,
];

/// All that a table gets, a line a change.
fn lines(routed: &Routed, table: &str) -> Vec<String> {
    let row = |batch: &RecordBatch, row: usize| -> Vec<String> {
        let columns = batch.columns().iter();
        let text = |column: &ArrayRef| array_value_to_string(column, row).unwrap();
        columns.map(text).collect()
    };
    let mut lines = Vec::new();
    for changes in routed.changes.iter().filter(|it| it.table == table) {
        for (number, kind) in changes.kinds.iter().enumerate() {
            let values = row(&changes.rows, number);
            let version = changes.versions[number];
            let old = changes.key_changes.iter().find(|it| it.0 == number);
            let old = old.zip(changes.before_rows.as_ref());
            let old = old.map(|((_, place), rows)| row(rows, *place));
            let unchanged = changes.unchanged.iter().filter(|it| it.0 == number);
            let unchanged: Vec<usize> = unchanged.map(|it| it.1).collect();
            lines.push(format!(
                "{kind:?} {values:?} {version:?} {old:?} {unchanged:?}"
            ));
        }
    }
    lines
}

/// Routes two messages and `damaged` between them. Those must come out as they do
/// without it; how many lines it has itself, and its letters.
#[track_caller]
fn between(
    sources: &Arc<Sources>,
    (first, last): (&str, &str),
    damaged: &[u8],
) -> (usize, Vec<DeadLetter>) {
    let route = |payloads: &[(u64, &[u8])]| {
        let records: Vec<LogRecord> = payloads
            .iter()
            .map(|(offset, payload)| record(*offset, RecordKind::Data, payload))
            .collect();
        Router::new(sources.clone()).route(&partition("feed"), &records)
    };
    let (first, last) = (first.as_bytes(), last.as_bytes());
    let alone = lines(&route(&[(0, first)]), "fed");
    let both = lines(&route(&[(0, first), (2, last)]), "fed");
    let routed = route(&[(0, first), (1, damaged), (2, last)]);
    let found = lines(&routed, "fed");
    let behind = &both[alone.len()..];
    assert!(!alone.is_empty() && !behind.is_empty());
    assert!(found.starts_with(&alone) && found.ends_with(behind));
    assert!(found.len() >= both.len(), "{found:?}");
    for letter in &routed.dead_letters {
        let place = (letter.topic.as_str(), letter.partition, letter.offset);
        assert_eq!(place, ("feed", 0, 1), "{letter:?}");
        assert_eq!(letter.payload, String::from_utf8_lossy(damaged));
        assert!(!letter.reason.is_empty() && !letter.detail.is_empty());
    }
    (found.len() - both.len(), routed.dead_letters)
}

#[test]
fn a_damaged_message_leaves_those_beside_it_as_they_were() {
    let sources = sources_of(SOURCES);
    let watch = Watch::new("messages");
    let (mut tried, mut rows, mut letters) = (0, 0, 0);
    for round in rounds(20_000) {
        let mut random = Mutator::new(round);
        let beside = (
            MESSAGES[random.below(MESSAGES.len())],
            MESSAGES[random.below(MESSAGES.len())],
        );
        let mut damaged = MESSAGES[random.below(MESSAGES.len())].as_bytes().to_vec();
        random.mutate(&mut damaged);
        let (count, refused) = between(&sources, beside, &damaged);
        watch.tick();
        tried += 1;
        rows += usize::from(count > 0);
        letters += usize::from(!refused.is_empty());
    }
    assert!(rows > tried / 50 && letters > tried / 4, "{rows} {letters}");
}

#[test]
fn a_message_that_is_cut_off_becomes_one_letter() {
    let sources = sources_of(SOURCES);
    for message in MESSAGES {
        for length in 1..message.len() {
            let damaged = &message.as_bytes()[..length];
            let beside = (MESSAGES[0], MESSAGES[6]);
            let (count, letters) = between(&sources, beside, damaged);
            let reasons: Vec<&str> = letters.iter().map(|letter| letter.reason).collect();
            assert_eq!(
                (count, reasons),
                (0, vec!["not_json"]),
                "{length} of {message}"
            );
        }
    }
}

/// A wrong value costs its row, and a wrong row its message.
#[test]
fn a_damaged_row_of_a_message_costs_as_little_as_can_be() {
    let sources = sources_of(SOURCES);
    let beside = (MESSAGES[0], MESSAGES[1]);
    let canal = MESSAGES[6];
    for (from, to, rows, reasons) in [
        ("\"20\"", "\"2o\"", 2, vec!["wrong_type"]),
        ("\"INSERT\"", "\"INSERU\"", 0, vec!["no_message"]),
        (
            "{\"id\":\"20\",\"price\":\"2.25\"}",
            "20",
            0,
            vec!["no_message"],
        ),
        ("\"7.50\"", "\"8.50\"", 3, vec![]),
    ] {
        let damaged = canal.replacen(from, to, 1);
        assert_ne!(damaged, canal);
        let (count, letters) = between(&sources, beside, damaged.as_bytes());
        let found: Vec<&str> = letters.iter().map(|letter| letter.reason).collect();
        assert_eq!((count, found), (rows, reasons), "{damaged}");
    }
}

/// A header may make all lines wrong that follow it, and no more.
#[test]
fn a_damaged_header_spoils_its_own_file_alone() {
    let sources = sources_of(SOURCES);
    let watch = Watch::new("headers");
    for round in rounds(20_000) {
        let mut random = Mutator::new(round);
        let mut header = b"id,text,price".to_vec();
        random.mutate(&mut header);
        let records = [
            record(0, RecordKind::CsvHeader, &header),
            record(1, RecordKind::Data, LINE.as_bytes()),
            record(2, RecordKind::CsvHeader, b"id,text,price"),
            record(3, RecordKind::Data, LINE.as_bytes()),
        ];
        let id = partition("lines");
        let routed = Router::new(sources.clone()).route(&id, &records);
        watch.tick();
        assert_eq!(ids(&routed, "line").last(), Some(&3));
        assert!(routed.dead_letters.iter().all(|letter| letter.offset < 2));
    }
}

/// Objects in objects, deeper than any stack.
#[test]
fn nesting_has_a_limit() {
    for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
        for depth in [100, 200_000] {
            let nested = format!("{}1{}", open.repeat(depth), close.repeat(depth));
            for payload in [
                nested.clone(),
                open.repeat(depth),
                EVENT.replace("\"x\"", &nested),
                EVENT.replace("true", &nested),
            ] {
                let records = [
                    record(0, RecordKind::Data, payload.as_bytes()),
                    record(1, RecordKind::Data, EVENT.as_bytes()),
                ];
                let id = partition("events");
                let routed = Router::new(sources_of(SOURCES)).route(&id, &records);
                assert!(!ids(&routed, "event").is_empty(), "{routed:?}");
            }
        }
    }
}
