//! Records that are tried again: they give their rows once, whatever comes first
//! and whatever is changed later.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod common;

use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::Bytes;
use common::{partition, record_at, sources_of};
use sluice_core::{LogRecord, RecordKind, Retry};
use sluice_route::{Routed, Router, Sources};

const SECOND_US: i64 = 1_000_000;

const EVENTS: &str = r#"
[topic.events]

[table.visit]
topic = "events"
event_time = "at"
lateness = "1 hour"
max_ahead = "AHEAD"
columns = [
  { name = "id", from = "/id", type = "int64" },
  { name = "at", from = "/at", type = "timestamp", unit = "s" },
]

[table.other]
topic = "events"
columns = [{ name = "id", from = "/id", type = "int64" }]

[table.item]
topic = "events"
explode = "/items"
columns = [{ name = "number", from = "./n", type = "int64" }]

[table.step]
topic = "events"
explode = "/steps"
event_time = "at"
lateness = "1 hour"
columns = [{ name = "at", from = "./at", type = "timestamp", unit = "s" }]

[table.goods]
topic = "events"
when = [{ field = "/goods", exists = true }]
primary_key = ["id"]
columns = [
  { name = "id", from = "/goods", type = "int64" },
  { name = "at", from = "/at", type = "timestamp", unit = "s" },
]
"#;

fn sources(max_ahead: &str) -> Arc<Sources> {
    sources_of(&EVENTS.replace("AHEAD", max_ahead))
}

/// A record that is captured at its offset in seconds, times ten.
fn record(offset: u64, kind: RecordKind, payload: impl Into<Bytes>) -> LogRecord {
    record_at(offset as i64 * 10 * SECOND_US, offset, kind, payload)
}

fn data(offset: u64, text: &str) -> LogRecord {
    record(offset, RecordKind::Data, text.to_owned())
}

fn again(offset: u64, original: &LogRecord, tables: &[&str]) -> LogRecord {
    let retry = Retry {
        offset: original.offset,
        capture_time_us: original.record.capture_time_us,
        was_sealed: false,
        tables: tables.iter().map(|&table| table.to_owned()).collect(),
        payload: original.record.payload.clone(),
        header: None,
    };
    record(offset, RecordKind::Retry, retry.encode())
}

fn rows(routed: &[Routed], table: &str) -> usize {
    let changes = routed.iter().flat_map(|routed| &routed.changes);
    let of_table = changes.filter(|changes| changes.table == table);
    of_table.map(|changes| changes.rows.num_rows()).sum()
}

fn outcome(router: &Router, offset: u64, table: &str) -> Option<String> {
    let tried = router.tried().into_iter();
    let mut tried = tried.filter(|(_, known, name, _)| *known == offset && name == table);
    tried.next().map(|(_, _, _, tried)| tried.outcome)
}

/// A visit of 25 s, captured at 10 s: 15 s ahead.
fn ahead() -> LogRecord {
    data(1, r#"{"id":1,"at":25,"items":[{"n":1},{"n":2}]}"#)
}

#[test]
fn a_record_that_is_tried_often_gives_its_row_once() {
    let mut router = Router::new(sources("5 s"));
    let id = partition("events");
    let first = router.route(&id, &[ahead()]);
    assert_eq!(first.dead_letters.len(), 1);
    assert_eq!(first.dead_letters[0].reason, "ahead");
    // At 15 s ahead still; from 20 s on not.
    let mut early = again(2, &ahead(), &["visit"]);
    early.record.capture_time_us = 15 * SECOND_US;
    let early = router.route(&id, &[early]);
    assert_eq!(outcome(&router, 1, "visit").as_deref(), Some("ahead"));
    let later = router.route(
        &id,
        &[
            data(3, r#"{"id":3,"at":30}"#),
            again(4, &ahead(), &["visit"]),
            again(5, &ahead(), &["visit", ""]),
            data(6, r#"{"id":6,"at":30}"#),
        ],
    );
    assert_eq!(outcome(&router, 1, "visit").as_deref(), Some("rows"));
    // What the other tables made of it in the first place stays.
    assert_eq!(outcome(&router, 1, "other").as_deref(), Some("was_there"));
    let all = [first, early, later];
    assert_eq!(rows(&all, "visit"), 3);
    assert_eq!(rows(&all, "other"), 3);
    assert_eq!(rows(&all, "item"), 2);
    // Trying again makes no more letters.
    assert!(all[1..].iter().all(|routed| routed.dead_letters.is_empty()));
    let saved = router.checkpoint();
    let mut restored = Router::restore(sources("5 s"), &saved.changed).unwrap();
    assert_eq!(outcome(&restored, 1, "visit").as_deref(), Some("rows"));
    let once_more = restored.route(&id, &[again(7, &ahead(), &["visit"])]);
    assert_eq!(rows(&[once_more], "visit"), 0);
}

#[test]
fn under_definitions_that_take_the_record_trying_it_again_adds_nothing() {
    let id = partition("events");
    let records = [
        ahead(),
        again(4, &ahead(), &["visit"]),
        again(5, &ahead(), &["visit"]),
    ];
    let mut mended = Router::new(sources("1 hour"));
    let all = [mended.route(&id, &records)];
    assert_eq!(rows(&all, "visit"), 1);
    assert_eq!(outcome(&mended, 1, "visit").as_deref(), Some("was_there"));
    // As when a running warehouse goes over to them, and back.
    let mut router = Router::new(sources("5 s"));
    router.route(&id, &records);
    let computed = BTreeSet::from(["visit".to_owned()]);
    let starts = sluice_route::Starts::new();
    router.change(sources("1 hour"), starts.clone(), Some(mended), &computed);
    let more = router.route(&id, &[again(6, &ahead(), &["visit"])]);
    assert_eq!(rows(&[more], "visit"), 0);
    let mut back = Router::new(sources("5 s"));
    let all = [back.route(&id, &records)];
    assert_eq!(rows(&all, "visit"), 1);
    assert_eq!(outcome(&back, 1, "visit").as_deref(), Some("rows"));
}

#[test]
fn a_record_from_before_a_table_began_is_given_to_it_by_name() {
    let id = partition("events");
    let early = data(1, r#"{"id":1,"at":5}"#);
    let start = sluice_core::EpochCut {
        epoch: 1,
        end_offsets: [(id.clone(), 2)].into(),
    };
    let starts = sluice_route::Starts::from([("other".to_owned(), start)]);
    let mut router = Router::new(sources("5 s")).with_starts(starts);
    let first = router.route(&id, std::slice::from_ref(&early));
    assert_eq!(rows(&[first], "other"), 0);
    let all = [router.route(
        &id,
        &[
            again(2, &early, &["visit"]),
            again(3, &early, &["other"]),
            again(4, &early, &["other"]),
        ],
    )];
    assert_eq!(rows(&all, "other"), 1);
    assert_eq!(rows(&all, "visit"), 0);
}

#[test]
fn a_record_of_which_a_part_became_rows_is_not_doubled() {
    let id = partition("events");
    let partly = data(1, r#"{"id":1,"at":5,"items":[{"n":1},{"n":"x"}]}"#);
    let mut router = Router::new(sources("5 s"));
    let first = router.route(&id, std::slice::from_ref(&partly));
    assert_eq!(rows(std::slice::from_ref(&first), "item"), 1);
    assert_eq!(first.dead_letters.len(), 1);
    let all = [router.route(&id, &[again(2, &partly, &["item"])])];
    assert_eq!(rows(&all, "item"), 0);
    assert_eq!(outcome(&router, 1, "item").as_deref(), Some("part"));
}

#[test]
fn what_is_wrong_in_the_record_stays_wrong() {
    let id = partition("events");
    let broken = data(1, r#"{"id":"x","at":5,"goods":7}"#);
    let mut router = Router::new(sources("5 s"));
    let first = router.route(&id, std::slice::from_ref(&broken));
    assert_eq!(first.dead_letters.len(), 2);
    let all = [router.route(&id, &[again(2, &broken, &["visit", "other", "goods"])])];
    assert_eq!(outcome(&router, 1, "visit").as_deref(), Some("wrong_type"));
    assert_eq!(outcome(&router, 1, "goods").as_deref(), Some("was_there"));
    assert_eq!(rows(&all, "goods") + rows(&all, "visit"), 0);
    // One that names itself, and one of another version, are nothing.
    let itself = again(1, &data(1, "{}"), &[""]);
    let strange = record(3, RecordKind::Retry, Bytes::from_static(b"\xff"));
    let none = router.route(&id, &[itself, strange]);
    assert!(none.changes.is_empty() && none.dead_letters.is_empty());
}

#[test]
fn a_sealed_record_of_which_a_part_is_given_is_settled() {
    let id = partition("events");
    let mut router = Router::new(sources("1 hour"));
    let first = data(1, r#"{"id":1,"at":10,"steps":[{"at":10000}]}"#);
    let sealed = data(2, r#"{"steps":[{"at":9999},{"at":10}]}"#);
    let retry = |offset| {
        let retry = Retry {
            offset: 2,
            capture_time_us: sealed.record.capture_time_us,
            was_sealed: true,
            tables: vec![String::new()],
            payload: sealed.record.payload.clone(),
            header: None,
        };
        record(offset, RecordKind::Retry, retry.encode())
    };
    router.route(&id, std::slice::from_ref(&first));
    let given = router.route(&id, &[retry(3)]);
    assert_eq!(rows(&[given], "step"), 1);
    assert_eq!(outcome(&router, 2, "step").as_deref(), Some("part"));
    assert_eq!(outcome(&router, 2, "").as_deref(), Some("part"));
    let again = router.route(&id, &[retry(4)]);
    assert_eq!(rows(&[again], "step"), 0);
    assert_eq!(outcome(&router, 2, "").as_deref(), Some("part"));
}

const LINES: &str = r#"
[topic.events.capture]
kind = "file"
path = "*.csv"
format = "csv"

[table.visit]
topic = "events"
event_time = "at"
lateness = "1 hour"
max_ahead = "5 s"
columns = [
  { name = "id", from = "id", type = "int64" },
  { name = "at", from = "at", type = "timestamp", unit = "s" },
]
"#;

#[test]
fn a_csv_line_is_tried_again_with_the_header_of_its_file() {
    let mut router = Router::new(sources_of(LINES));
    let id = partition("events");
    let header = |offset, text: &'static str| {
        record(
            offset,
            RecordKind::CsvHeader,
            Bytes::from_static(text.as_bytes()),
        )
    };
    // 15 s ahead; the file behind it has its columns in another order.
    let ahead = data(1, "25,1,x");
    let first = router.route(
        &id,
        &[
            header(0, "at,id,note"),
            ahead.clone(),
            header(2, "id,at"),
            data(3, "3,30"),
        ],
    );
    assert_eq!(first.dead_letters.len(), 1);
    let with_header = |offset| {
        let mut again = again(offset, &ahead, &["visit"]);
        let mut retry = Retry::decode(&again.record.payload).unwrap();
        retry.header = Some(Bytes::from_static(b"at,id,note"));
        again.record.payload = retry.encode();
        again
    };
    let without = router.route(&id, &[again(4, &ahead, &["visit"])]);
    assert_eq!(outcome(&router, 1, "visit").as_deref(), Some("csv_line"));
    let later = router.route(&id, &[with_header(5), with_header(6), data(7, "7,70")]);
    assert_eq!(outcome(&router, 1, "visit").as_deref(), Some("rows"));
    assert!(later.dead_letters.is_empty(), "{:?}", later.dead_letters);
    // The file that is being read keeps its own header.
    assert_eq!(rows(&[first, without, later], "visit"), 3);
}
