//! Change messages of databases, duplicates and last values.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod common;

use std::collections::BTreeMap;

use arrow::array::RecordBatch;
use arrow::util::display::array_value_to_string;
use common::{partition, record_at, sources_of};
use sluice_core::{ChangeKind, LogRecord, RecordKind, TableChanges};
use sluice_route::{Routed, Router, SourceFile, parse_sources};

const MAXWELL: &str = r#"
[topic.shop]
[topic.shop.capture]
kind = "http"
transactions = "maxwell"

[table.goods]
topic = "shop"
when = [{ field = "/table", equals = "goods" }]
row = "/data"
before = "/old"
version = ["/xid", "/xoffset"]
primary_key = ["id"]
change_kind = { field = "/type", insert = ["insert", "bootstrap-insert"], update = ["update"], delete = ["delete"] }
columns = [
  { name = "id", from = "./id", type = "int64" },
  { name = "price", from = "./price", type = "decimal(16,2)" },
]
"#;

const EVENTS: &str = r#"
[topic.events]

[table.page]
topic = "events"
dedup_key = ["event_id"]
dedup_horizon = "32 s"
event_time = "at"
lateness = "10 s"
columns = [
  { name = "event_id", from = "/id", type = "string" },
  { name = "at", from = "/at", type = "timestamp", unit = "s" },
]

[table.shown]
topic = "events"
when = [{ field = "/shown", exists = true }]
explode = "/shown"
dedup_key = ["event_id"]
columns = [
  { name = "event_id", from = "/id", type = "string" },
  { name = "item", from = "./item", type = "int64" },
]
"#;

const SENSOR: &str = r#"
[topic.stock]

[table.stock]
topic = "stock"
columns = [
  { name = "sku", from = "/sku", type = "int64" },
  { name = "level", from = "/level", type = "int64", missing = "last", wrong = "last", last_by = ["sku"], min = 0 },
]
"#;

fn errors(text: &str) -> String {
    let file = SourceFile {
        path: "a.toml".into(),
        text: text.into(),
    };
    let errors = parse_sources(&[file]).unwrap_err();
    let lines: Vec<String> = errors.iter().map(ToString::to_string).collect();
    lines.join("\n")
}

fn record(offset: u64, second: i64, payload: &str) -> LogRecord {
    record_at(
        second * 1_000_000,
        offset,
        RecordKind::Data,
        payload.to_owned(),
    )
}

fn route(router: &mut Router, topic: &str, lines: &[&str]) -> Routed {
    let numbered = lines.iter().enumerate();
    let records: Vec<LogRecord> = numbered
        .map(|(offset, line)| record(offset as u64, 0, line))
        .collect();
    router.route(&partition(topic), &records)
}

fn text(rows: &RecordBatch) -> Vec<String> {
    let row = |row| {
        let cells = rows.columns().iter();
        let cells: Vec<String> = cells
            .map(|column| array_value_to_string(column, row).unwrap())
            .collect();
        cells.join("|")
    };
    (0..rows.num_rows()).map(row).collect()
}

fn of<'a>(routed: &'a Routed, table: &str) -> &'a TableChanges {
    let found = routed.changes.iter().find(|change| change.table == table);
    found.unwrap_or_else(|| panic!("no changes of {table}: {:?}", routed.dead_letters))
}

fn reasons(routed: &Routed) -> Vec<&'static str> {
    routed.dead_letters.iter().map(|dead| dead.reason).collect()
}

#[test]
fn maxwell_messages_have_kind_version_and_before_image() {
    let mut router = Router::new(sources_of(MAXWELL));
    let routed = route(
        &mut router,
        "shop",
        &[
            r#"{"table":"goods","type":"bootstrap-insert","data":{"id":1,"price":9.90}}"#,
            r#"{"table":"goods","type":"update","xid":7,"xoffset":3,"data":{"id":2,"price":8.00},"old":{"id":1,"price":9.90}}"#,
            r#"{"table":"goods","type":"update","xid":7,"commit":true,"data":{"id":2,"price":7.50},"old":{"price":8.00}}"#,
            r#"{"table":"goods","type":"delete","xid":8,"xoffset":0,"data":{"id":2}}"#,
            r#"{"table":"goods","type":"truncate","xid":8,"data":{"id":2}}"#,
            r#"{"table":"goods","type":"insert","xid":"x","data":{"id":2,"price":1}}"#,
            r#"{"table":"goods","type":"insert","xid":9,"data":[1]}"#,
            r#"{"table":"other","type":"insert","xid":9,"data":{"id":2}}"#,
        ],
    );
    let changes = of(&routed, "goods");
    assert_eq!(
        text(&changes.rows),
        ["1|9.90", "2|8.00", "2|7.50", "2|", "|"]
    );
    use ChangeKind::{Delete, Truncate, Upsert};
    assert_eq!(changes.kinds, [Upsert, Upsert, Upsert, Delete, Truncate]);
    let versions = changes.versions.iter();
    let versions: Vec<_> = versions
        .map(|version| (version.major, version.minor))
        .collect();
    assert_eq!(
        versions,
        [(0, 0), (7, 3), (7, u64::MAX), (8, 0), (8, u64::MAX)]
    );
    assert_eq!(
        changes.key_changes,
        [(1, 0)],
        "only the first update changed the key"
    );
    assert_eq!(text(changes.before_rows.as_ref().unwrap()), ["1|"]);
    assert_eq!(reasons(&routed), ["wrong_version", "no_row", "no_table"]);
}

/// A large value that a change left as it was is not in PostgreSQL's message.
#[test]
fn fields_that_a_change_left_as_they_were_are_named_to_the_engine() {
    let text_of_sources = MAXWELL
        .replace(
            "before = \"/old\"",
            "before = \"/old\"\nunchanged = \"/unchanged\"",
        )
        .replace("type = \"decimal(16,2)\" },", "type = \"decimal(16,2)\" },\n  { name = \"colour\", from = \"./doc/colour\", type = \"string\" },");
    let mut router = Router::new(sources_of(&text_of_sources));
    let routed = route(
        &mut router,
        "shop",
        &[
            r#"{"table":"goods","type":"insert","xid":1,"data":{"id":1,"price":9.90,"doc":{"colour":"red"}}}"#,
            r#"{"table":"goods","type":"update","xid":2,"data":{"id":1,"price":8.00},"old":{},"unchanged":["doc"]}"#,
            r#"{"table":"goods","type":"update","xid":3,"data":{"id":1,"doc":{"colour":"blue"}},"old":{},"unchanged":["price"]}"#,
            r#"{"table":"goods","type":"update","xid":4,"data":{"id":1,"price":7.00},"old":{}}"#,
            r#"{"table":"goods","type":"update","xid":5,"data":{"price":7.00},"old":{},"unchanged":["id"]}"#,
        ],
    );
    let changes = of(&routed, "goods");
    assert_eq!(text(&changes.rows), ["1|9.90|red", "1|8.00|", "1||blue"]);
    assert_eq!(changes.unchanged, [(1, 2), (2, 1)]);
    // Without being named there a field is missing; a key is always wanted.
    assert_eq!(reasons(&routed), ["missing_value", "missing_value"]);
    let without_key = text_of_sources.replace("primary_key = [\"id\"]\n", "");
    assert!(errors(&without_key).contains("`unchanged` needs a primary key"));
}

#[test]
fn debezium_deletes_take_the_row_from_the_before_image() {
    let text_of_sources = MAXWELL
        .replace("\"/data\"", "\"/after\"")
        .replace("\"/old\"", "\"/before\"")
        .replace("[\"/xid\", \"/xoffset\"]", "[\"/source/pos\"]")
        .replace("field = \"/type\"", "field = \"/op\"")
        .replace("\"delete\"]", "\"d\"]")
        .replace("\"update\"]", "\"u\"]")
        .replace("\"/table\"", "\"/source/table\"");
    let mut router = Router::new(sources_of(&text_of_sources));
    let routed = route(
        &mut router,
        "shop",
        &[
            r#"{"op":"u","source":{"table":"goods","pos":4},"before":{"id":1,"price":1.00},"after":{"id":1,"price":2.00}}"#,
            r#"{"op":"d","source":{"table":"goods","pos":5},"before":{"id":1,"price":2.00},"after":null}"#,
        ],
    );
    let changes = of(&routed, "goods");
    assert_eq!(text(&changes.rows), ["1|2.00", "1|2.00"]);
    assert_eq!(changes.kinds, [ChangeKind::Upsert, ChangeKind::Delete]);
    assert!(changes.key_changes.is_empty() && routed.dead_letters.is_empty());
}

#[test]
fn canal_messages_hold_several_rows_with_their_before_images() {
    let text_of_sources = MAXWELL
        .replace("row = \"/data\"", "explode = \"/data\"")
        .replace("[\"/xid\", \"/xoffset\"]", "[\"/es\"]");
    let mut router = Router::new(sources_of(&text_of_sources));
    let routed = route(
        &mut router,
        "shop",
        &[
            r#"{"table":"goods","type":"update","es":5,"data":[{"id":1,"price":"1.10"},{"id":4,"price":"2.20"}],"old":[{"price":"1.00"},{"id":3}]}"#,
        ],
    );
    let changes = of(&routed, "goods");
    assert_eq!(text(&changes.rows), ["1|1.10", "4|2.20"]);
    assert_eq!(changes.key_changes, [(1, 0)]);
    assert_eq!(text(changes.before_rows.as_ref().unwrap()), ["3|"]);
    assert_eq!(changes.versions[1].minor, 1);
}

/// What is known is left out without a word, though it came late; rows of one
/// record are different rows; after a restart everything is still known.
#[test]
fn repeated_events_are_left_out_also_after_a_restart() {
    let sources = sources_of(EVENTS);
    let mut router = Router::new(sources.clone());
    let first = r#"{"id":"a","at":100,"shown":[{"item":1},{"item":1}]}"#;
    let routed = route(
        &mut router,
        "events",
        &[first, r#"{"id":"b","at":150}"#, first],
    );
    assert_eq!(text(&of(&routed, "page").rows).len(), 2);
    assert_eq!(text(&of(&routed, "shown").rows), ["a|1", "a|1"]);
    assert_eq!(routed.duplicates, 3);
    assert!(routed.dead_letters.is_empty(), "{:?}", routed.dead_letters);

    let mut parts: BTreeMap<String, Vec<u8>> = BTreeMap::new();
    let mut save = |router: &mut Router| {
        let checkpoint = router.checkpoint();
        parts.extend(checkpoint.changed.clone());
        parts.retain(|name, _| checkpoint.live.contains(name));
        (checkpoint.changed.len(), parts.clone())
    };
    assert!(save(&mut router).0 > 1);
    assert_eq!(save(&mut router).0, 1, "only what changed is saved again");
    let routed = route(&mut router, "events", &[r#"{"id":"c","at":151}"#]);
    assert_eq!(routed.duplicates, 0);
    let (_, parts) = save(&mut router);
    let mut router = Router::restore(sources, &parts).unwrap();
    let again = [first, r#"{"id":"c","at":151}"#, r#"{"id":"d","at":151}"#];
    let routed = route(&mut router, "events", &again);
    assert_eq!(routed.duplicates, 4);
    assert_eq!(text(&of(&routed, "page").rows).len(), 1);

    // An event that was refused as late may come again: it was never taken.
    let routed = route(&mut router, "events", &[r#"{"id":"e","at":1}"#; 2]);
    assert_eq!(reasons(&routed), ["late", "late"]);
    // Beyond the horizon of capture time nothing is known any more.
    let later = record(9, 100, r#"{"id":"f","at":151}"#);
    router.route(&partition("events"), &[later]);
    let routed = route(&mut router, "events", &[r#"{"id":"c","at":151}"#]);
    assert_eq!(routed.duplicates, 0);
}

#[test]
fn a_missing_value_can_be_the_last_one_of_its_key() {
    let sources = sources_of(SENSOR);
    let mut router = Router::new(sources.clone());
    let lines = [
        r#"{"sku":1}"#,
        r#"{"sku":1,"level":5}"#,
        r#"{"sku":2,"level":8}"#,
        r#"{"sku":1,"level":-3}"#,
    ];
    let routed = route(&mut router, "stock", &lines);
    assert_eq!(text(&of(&routed, "stock").rows), ["1|5", "2|8", "1|5"]);
    assert_eq!(reasons(&routed), ["no_last_value"]);
    let parts = router.checkpoint().changed;
    let mut router = Router::restore(sources, &parts).unwrap();
    let routed = route(&mut router, "stock", &[r#"{"sku":2}"#]);
    assert_eq!(text(&of(&routed, "stock").rows), ["2|8"]);
}

#[test]
fn mistakes_in_the_settings_are_refused_with_their_place() {
    for (from, to, expected) in [
        (
            "primary_key = [\"id\"]\n",
            "",
            "`before` needs a primary key",
        ),
        (
            "version = [\"/xid\", \"/xoffset\"]",
            "version = [\"/a\", \"/b\", \"/c\"]",
            "at most two fields",
        ),
        (
            "row = \"/data\"",
            "row = \"/data\"\nexplode = \"/data\"",
            "both say where",
        ),
        (
            "from = \"./id\"",
            "from = \"/data/id\"",
            "the before-image cannot hold `id`",
        ),
        (
            "before = \"/old\"",
            "dedup_key = [\"id\"]",
            "needs no `dedup_key`",
        ),
        (
            "kind = \"http\"",
            "kind = \"http\"\nwrite_key = \"secret\"",
            "a key is no text",
        ),
        (
            "[topic.shop]\n",
            "[topic.shop]\npartitions = 2\n",
            "has 2 partitions",
        ),
        (
            "name = \"price\"",
            "name = \"price\", missing = \"last\", last_by = [\"prize\"]",
            "no column `prize`",
        ),
        (
            "kind = \"http\"\ntransactions = \"maxwell\"",
            "kind = \"poll\"\nurl = \"example.com\"",
            "is no address",
        ),
    ] {
        assert!(MAXWELL.contains(from), "{from}");
        let found = errors(&MAXWELL.replacen(from, to, 1));
        assert!(found.contains(expected), "{to}: {found}");
        assert!(found.starts_with("a.toml:"), "{found}");
    }
    let no_key = SENSOR.replace(", last_by = [\"sku\"]", "");
    assert!(
        errors(&no_key).contains("of which key"),
        "{}",
        errors(&no_key)
    );
}

#[test]
fn damaged_state_is_refused_never_misread() {
    let sources = sources_of(EVENTS);
    let mut router = Router::new(sources.clone());
    route(&mut router, "events", &[r#"{"id":"a","at":100}"#]);
    let parts = router.checkpoint().changed;
    assert!(Router::restore(sources.clone(), &parts).is_ok());
    for name in parts.keys() {
        let mut damaged = parts.clone();
        let bytes = damaged.get_mut(name).unwrap();
        bytes.pop();
        assert!(
            Router::restore(sources.clone(), &damaged).is_err(),
            "{name:?}"
        );
    }
    let mut unknown = parts.clone();
    unknown.insert("what\nis\n0\nthis\n1".into(), Vec::new());
    assert!(Router::restore(sources, &unknown).is_err());
}

const MESSAGES: &str = r#"
[topic.shop]
messages = "detect"
unplaced = "drop"

[table.goods]
topic = "shop"
when = [{ field = "/table", equals = "goods" }]
row = "/data"
before = "/old"
version = ["/xid", "/xoffset"]
primary_key = ["id"]
change_kind = { field = "/type", insert = ["insert", "bootstrap-insert"], update = ["update"], delete = ["delete"] }
columns = [
  { name = "id", from = "./id", type = "int64" },
  { name = "price", from = "./price", type = "decimal(16,2)" },
]
"#;

#[test]
fn messages_of_all_forms_fill_one_table_with_their_versions() {
    let debezium = |op: &str, file: u64, position: u64, row: &str| {
        let (before, after) = match op {
            "d" => (row, "null"),
            _ => ("null", row),
        };
        format!(
            r#"{{"before":{before},"after":{after},"op":"{op}","source":{{"db":"shop","table":"goods","ts_ms":1,"file":"binlog.{file:06}","pos":{position},"row":0}}}}"#
        )
    };
    let lines = [
        debezium("r", 2, 100, r#"{"id":1,"price":"1.00"}"#),
        format!(r#"{{"schema":{{}},"payload":{}}}"#, debezium("u", 2, 300, r#"{"id":1,"price":"2.00"}"#)),
        debezium("d", 3, 4, r#"{"id":1,"price":"2.00"}"#),
        String::new(),
        r#"{"status":"END","id":"9","event_count":1,"ts_ms":1}"#.to_owned(),
        debezium("c", 3, 9, r#"{"id":1,"price":"4.00"}"#).replace("goods", "others"),
        r#"{"data":[{"id":"5","price":"5.00"},{"id":"6","price":"6.00"}],"database":"shop","es":7,"id":3,"isDdl":false,"old":null,"table":"goods","ts":8,"type":"INSERT"}"#.to_owned(),
        r#"{"database":"shop","table":"goods","type":"insert","xid":8,"xoffset":0,"data":{"id":8,"price":8}}"#.to_owned(),
        "7".to_owned(),
    ];
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    let mut router = Router::new(sources_of(MESSAGES));
    let routed = route(&mut router, "shop", &lines);
    assert_eq!(reasons(&routed), ["no_message"]);
    let goods = of(&routed, "goods");
    let rows = text(&goods.rows);
    assert_eq!(
        rows,
        ["1|1.00", "1|2.00", "1|2.00", "5|5.00", "6|6.00", "8|8.00"]
    );
    assert_eq!(goods.kinds[2], ChangeKind::Delete);
    let versions: Vec<(u64, u64)> = goods
        .versions
        .iter()
        .map(|version| (version.major, version.minor))
        .collect();
    let file = |number: u64, position: u64| (number << 40) | position;
    assert_eq!(
        versions[..3],
        [(file(2, 100), 0), (file(2, 300), 0), (file(3, 4), 0)]
    );
    assert_eq!(versions[3..5], [(7, 3 << 20), (7, (3 << 20) + 1)]);
    let refused = errors(&MESSAGES.replace(
        "messages = \"detect\"",
        "messages = \"detect\"\ncapture = { kind = \"file\", path = \"*.csv\", format = \"csv\" }",
    ));
    assert!(refused.contains("no change messages"), "{refused}");
}
