//! Rows of exports in the log: each comes once, to its own table alone, and masks are
//! told of its columns as they are at the door.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod common;

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::array::AsArray;
use arrow::datatypes::{DataType, Field, Int64Type, Schema, TimestampMicrosecondType};
use bytes::Bytes;
use common::{partition, record_at, sources_of};
use sluice_core::{BackfilledRow, ChangeKind, LogRecord, RecordKind};
use sluice_mask::{Action, Format, PersonField};
use sluice_route::{Routed, Router};

const SHOP: &str = r#"
[topic.shop]
unplaced = "drop"

[table.orders]
topic = "shop"
when = [{ field = "/database", equals = "shop" }, { field = "/table", equals = "orders" }]
row = "/data"
before = "/old"
unchanged = "/unchanged"
primary_key = ["id"]
version = ["/xid", "/xoffset"]
change_kind = { field = "/type", insert = ["insert"], update = ["update"], delete = ["delete"] }
columns = [
  { name = "id", from = "./id", type = "int64" },
  { name = "at", from = "./created", type = "timestamp", format = "%Y-%m-%d %H:%M:%S", time_zone = "Asia/Shanghai", missing = "null" },
]

[table.order_log]
topic = "shop"
when = [{ field = "/table", equals = "orders" }]
row = "/data"
columns = [{ name = "id", from = "./id", type = "int64" }]
"#;

fn row(offset: u64, table: &str, (export, number): (u64, u64), row: &'static str) -> LogRecord {
    let row = BackfilledRow {
        table: table.to_owned(),
        export,
        number,
        row: Bytes::from_static(row.as_bytes()),
    };
    record_at(1, offset, RecordKind::Backfill, row.encode())
}

fn change(offset: u64, text: &'static str) -> LogRecord {
    record_at(1, offset, RecordKind::Data, text)
}

/// Table, kind and id of each change.
fn changes(routed: &Routed) -> Vec<(String, ChangeKind, i64)> {
    let changes = routed.changes.iter().flat_map(|changes| {
        let ids = changes.rows.column(0).as_primitive::<Int64Type>();
        let kinds = changes.kinds.iter().zip(ids.values());
        kinds.map(|(&kind, &id)| (changes.table.clone(), kind, id))
    });
    changes.collect()
}

fn of_orders(ids: &[i64]) -> Vec<(String, ChangeKind, i64)> {
    let row = |&id: &i64| ("orders".to_owned(), ChangeKind::Backfill, id);
    ids.iter().map(row).collect()
}

#[test]
fn a_row_comes_once_to_its_own_table() {
    let sources = sources_of(SHOP);
    let mut router = Router::new(sources.clone());
    let id = partition("shop");
    let records = [
        row(
            0,
            "orders",
            (7, 0),
            r#"{"id":"1","at":"2026-01-01 08:00:00"}"#,
        ),
        row(
            1,
            "orders",
            (7, 1),
            r#"{"id":2,"at":"2026-01-01T00:00:00Z"}"#,
        ),
        change(
            2,
            r#"{"database":"shop","table":"orders","type":"insert","xid":0,"xoffset":0,"data":{"id":3}}"#,
        ),
        row(3, "orders", (7, 3), r#"{"id":"x"}"#),
        row(4, "orders", (7, 3), r#"{"id":5}"#),
        row(5, "gone", (7, 0), r#"{"id":5}"#),
        row(6, "orders", (7, 4), r#"{"id":6}"#),
    ];
    let routed = router.route(&id, &records);
    let mut wanted = of_orders(&[1, 2]);
    wanted.push(("orders".to_owned(), ChangeKind::Upsert, 3));
    wanted.push(("order_log".to_owned(), ChangeKind::Insert, 3));
    wanted.extend(of_orders(&[6]));
    let mut found = changes(&routed);
    // Tables of one record are in the order of their names.
    found[2..4].sort_by(|one, other| other.0.cmp(&one.0));
    assert_eq!(found, wanted);
    // Without a zone it is a time of the topic's, as databases export them.
    let times = routed.changes[0].rows.column(1);
    let times = times.as_primitive::<TimestampMicrosecondType>();
    assert_eq!(times.values().to_vec(), [1_767_225_600_000_000; 2]);
    // The letter shows the row, and is one of the table.
    let letters = &routed.dead_letters;
    assert_eq!(letters.len(), 1);
    assert_eq!(
        (letters[0].offset, letters[0].table.as_str()),
        (3, "orders")
    );
    assert_eq!(letters[0].payload, r#"{"id":"x"}"#);

    // What came is remembered, also over a restart; another export is another one.
    let saved = router.checkpoint();
    let mut router = Router::restore(sources, &saved.changed).unwrap();
    let again = [
        row(7, "orders", (7, 0), r#"{"id":1}"#),
        row(8, "orders", (7, 4), r#"{"id":6}"#),
        row(9, "orders", (7, 5), r#"{"id":8}"#),
        row(10, "orders", (8, 0), r#"{"id":1}"#),
        row(11, "order_log", (7, 0), r#"{"id":1}"#),
        row(12, "order_log", (7, 0), r#"{"id":1}"#),
    ];
    let mut wanted = of_orders(&[8, 1]);
    wanted.push(("order_log".to_owned(), ChangeKind::Insert, 1));
    assert_eq!(changes(&router.route(&id, &again)), wanted);
}

#[test]
fn a_table_that_is_computed_anew_takes_what_the_log_holds() {
    let (before, after) = (
        sources_of(SHOP),
        sources_of(&SHOP.replace("./created", "./made")),
    );
    let id = partition("shop");
    let records = [row(0, "orders", (7, 0), r#"{"id":1}"#)];
    let mut router = Router::new(before);
    assert_eq!(changes(&router.route(&id, &records)), of_orders(&[1]));
    let mut part = Router::new(after.clone());
    assert_eq!(changes(&part.route(&id, &records)), of_orders(&[1]));
    let computed = BTreeSet::from(["orders".to_owned()]);
    router.change(after, Default::default(), Some(part), &computed);
    let again = [row(1, "orders", (7, 0), r#"{"id":1}"#)];
    assert!(changes(&router.route(&id, &again)).is_empty());
}

fn schema(names: &[&str]) -> Schema {
    let field = |name: &&str| Field::new(*name, DataType::Utf8, true);
    Schema::new(names.iter().map(field).collect::<Vec<_>>())
}

const MASKED: &str = r#"
[topic.shop]
unplaced = "drop"
[topic.shop.mask.tables."shop.users"]
Phone = { tokenise = "phone" }
address = "drop"
[topic.shop.mask.tables.users]
phone = "keep"
name = "hash"
[topic.shop.mask.tables."*"]
"*" = "hash"
id = "keep"
[topic.shop.mask.fields]
"/data/note" = { encrypt = { person = "user", id = "/data/id" } }

[table.users]
topic = "shop"
when = [DATABASE{ field = "/table", equals = "users" }]
row = "/data"
primary_key = ["id"]
columns = [
  { name = "id", from = "./id", type = "int64" },
  { name = "tel", from = "./phone", type = "string", missing = "null" },
  { name = "name", from = "./name", type = "string", missing = "null" },
  { name = "city", from = "./address/city", type = "string", missing = "null" },
  { name = "note", from = "./note", type = "string", missing = "null" },
]

[table.others]
topic = "shop"
when = [{ field = "/table", equals = "others" }]
row = "/data"
columns = [
  { name = "id", from = "./id", type = "int64" },
  { name = "phone", from = "./phone", type = "string" },
]
"#;

fn names(list: &[&str]) -> BTreeSet<String> {
    list.iter().map(|&name| name.to_owned()).collect()
}

fn rules(text: &str, table: &str) -> Vec<(String, Action)> {
    let sources = sources_of(text);
    let columns = match table {
        "users" => names(&["id", "tel", "name", "city", "note"]),
        _ => names(&["id", "phone"]),
    };
    let rules_of = |topic: &str| sources.masks().get(topic).cloned().map(Arc::new);
    let rules = sources.backfill_rules(table, &columns, rules_of).unwrap();
    assert_eq!((rules.topic, rules.masks.tables.len()), ("shop", 0));
    rules.masks.fields
}

#[test]
fn what_is_masked_in_records_is_masked_in_rows() {
    let note = Action::Encrypt(PersonField {
        kind: "user".into(),
        field: "/id".into(),
    });
    let phone = Action::Tokenise(Format::Phone);
    let field = |name: &str, action: &Action| (format!("/{name}"), action.clone());
    // `database.table` comes before `table`, and a part of a column shares its fate.
    let of_shop = MASKED.replace("DATABASE", r#"{ field = "/database", equals = "shop" }, "#);
    assert_eq!(
        rules(&of_shop, "users"),
        [
            field("city", &Action::Drop),
            field("note", &note),
            field("tel", &phone),
        ]
    );
    // Another database has the rules of the table alone.
    let of_crm = MASKED.replace("DATABASE", r#"{ field = "/database", equals = "crm" }, "#);
    assert_eq!(
        rules(&of_crm, "users"),
        [
            field("name", &Action::Hash),
            field("note", &note),
            field("tel", &Action::Keep),
        ]
    );
    // Where the database is not said, both may be meant.
    let of_any = MASKED.replace("DATABASE", "");
    assert_eq!(
        rules(&of_any, "users"),
        [
            field("city", &Action::Drop),
            field("name", &Action::Hash),
            field("note", &note),
            field("tel", &phone),
        ]
    );
    assert_eq!(
        rules(&of_any, "others"),
        [field("id", &Action::Keep), field("phone", &Action::Hash)]
    );
}

#[test]
fn what_a_table_cannot_take_is_refused() {
    let refused = |text: &str, table: &str, columns: &[&str]| {
        let sources = sources_of(text);
        let rules_of = |topic: &str| sources.masks().get(topic).cloned().map(Arc::new);
        let planned = sources.backfill(table, &schema(columns), rules_of);
        planned.unwrap_err().to_string()
    };
    assert!(refused(SHOP, "order", &["id"]).contains("there is no table `order`"));
    assert!(refused(SHOP, "orders", &["at"]).contains("column `id` of table `orders`"));
    let masked = MASKED.replace("DATABASE", "");
    let inside = masked.replace("\"/data/note\"", "\"/data/note/text\"");
    assert!(refused(&inside, "users", &["id", "note"]).contains("`/data/note/text`"));
    let person = masked.replace("id = \"/data/id\"", "id = \"/data/owner\"");
    assert!(refused(&person, "users", &["id", "note"]).contains("whose id `owner`"));
    let late = SHOP.replace(
        "[table.order_log]",
        "[table.order_log]\nevent_time = \"at\"\nlateness = \"1 hour\"",
    );
    let late = late.replace(
        "columns = [{ name = \"id\", from = \"./id\", type = \"int64\" }]",
        "columns = [{ name = \"id\", from = \"./id\", type = \"int64\" }, { name = \"at\", from = \"./at\", type = \"timestamp\" }]",
    );
    assert!(refused(&late, "order_log", &["id", "at"]).contains("`lateness`"));

    let sources = sources_of(SHOP);
    let planned = sources.backfill("orders", &schema(&["more", "created", "id"]), |_| None);
    let planned = planned.unwrap();
    let pair = |one: &str, other: &str| (one.to_owned(), other.to_owned());
    assert_eq!(planned.columns, [pair("id", "id"), pair("created", "at")]);
    assert!(planned.has_key);
    let other = sources.backfill_rules("orders", &names(&["id", "more"]), |_| None);
    assert!(other.unwrap_err().to_string().contains("`more`"));
}
