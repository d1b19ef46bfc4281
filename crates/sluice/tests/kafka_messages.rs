//! What shops have in Kafka: change messages of Maxwell, Debezium and Canal;
//! personal values, which are looked for in every byte on disk; and topics that
//! come while the warehouse runs.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a test fails by panicking, and writes its project"
)]

#[path = "../../kafka/tests/common/mod.rs"]
mod brokers;
mod common;
#[path = "common/files_below.rs"]
mod files_below;
#[path = "common/found_below.rs"]
mod found_below;
#[path = "common/found_nowhere.rs"]
mod found_nowhere;
#[path = "common/goods_messages.rs"]
mod goods_messages;
#[path = "common/world.rs"]
mod world;

use std::time::Duration;

use brokers::{ANSWER, Broker, queue};
use common::{ask, ask_until, request};
use found_nowhere::stop_and_find_nowhere;
use goods_messages::{debezium, goods_table};
use rdkafka::producer::Producer as _;
use world::World;

/// A warehouse with these definitions alone.
fn new_world(sources: &str) -> World {
    let world = World::with("name = \"messages\"\n[limits]\ncheckpoint_interval_ms = 200\n");
    world.sources("all", sources);
    world
}

/// A topic of the warehouse, with a table of what its messages say of goods.
fn goods(broker: &Broker, name: &str, topics: &str, form: &str) -> String {
    let address = broker.address();
    let table = goods_table(&format!("goods_{name}"), name);
    format!(
        r#"
[topic.{name}]
messages = "{form}"
[topic.{name}.capture]
kind = "kafka"
bootstrap_servers = ["{address}"]
topics = ["{topics}"]
{table}"#
    )
}

fn maxwell(kind: &str, xid: u32, row: &str) -> String {
    format!(
        r#"{{"database":"shop","table":"goods","type":"{kind}","ts":7,"xid":{xid},"commit":true,"data":{row}}}"#
    )
}

fn canal(kind: &str, time: u32, rows: &str) -> String {
    format!(
        r#"{{"data":{rows},"database":"shop","es":{time},"id":{time},"isDdl":false,"old":null,"table":"goods","ts":9,"type":"{kind}"}}"#
    )
}

#[test]
fn maxwell_debezium_and_canal_are_read_declared_and_detected() {
    let Some(broker) = Broker::start() else {
        return;
    };
    for topic in ["cdc.maxwell", "cdc.debezium", "cdc.canal"] {
        broker.make_topic(topic, 1);
    }
    let sources = [
        goods(&broker, "maxwell", "cdc.maxwell", "maxwell"),
        goods(&broker, "debezium", "cdc.debezium", "debezium"),
        goods(&broker, "canal", "cdc.canal", "canal"),
        goods(&broker, "all", "^cdc\\\\..*", "detect"),
    ];
    let world = new_world(&sources.concat());
    let running = world.start();
    let of_maxwell = [
        maxwell("insert", 1, r#"{"id":1,"price":1.50}"#),
        maxwell("update", 2, r#"{"id":1,"price":2.50}"#),
        maxwell("insert", 3, r#"{"id":2,"price":9.99}"#),
        maxwell("delete", 4, r#"{"id":2,"price":9.99}"#),
        // A change that comes again moves nothing back.
        maxwell("insert", 1, r#"{"id":1,"price":1.50}"#),
        maxwell("bootstrap-insert", 5, r#"{"id":3,"price":3}"#),
    ];
    let with_schema = debezium("u", 20, r#"{"id":11,"price":"2.50"}"#);
    let of_debezium = [
        debezium("c", 10, r#"{"id":11,"price":"1.50"}"#),
        format!(r#"{{"schema":{{"type":"struct"}},"payload":{with_schema}}}"#),
        debezium("r", 30, r#"{"id":12,"price":"9.99"}"#),
        debezium("d", 40, r#"{"id":12,"price":"9.99"}"#),
        r#"{"ts_ms":1}"#.to_owned(),
        debezium("c", 10, r#"{"id":11,"price":"1.50"}"#),
        debezium("c", 50, r#"{"id":13,"price":"3"}"#),
    ];
    let of_canal = [
        canal(
            "INSERT",
            1,
            r#"[{"id":"21","price":"1.50"},{"id":"22","price":"9.99"}]"#,
        ),
        canal("UPDATE", 2, r#"[{"id":"21","price":"2.50"}]"#),
        canal("DELETE", 3, r#"[{"id":"22","price":"9.99"}]"#),
        canal("ALTER", 4, "null"),
        canal("INSERT", 1, r#"[{"id":"21","price":"1.50"}]"#),
        canal("INSERT", 5, r#"[{"id":"23","price":"3"}]"#),
    ];
    let producer = broker.producer(&[]);
    for (topic, messages) in [
        ("cdc.maxwell", &of_maxwell[..]),
        ("cdc.debezium", &of_debezium[..]),
        ("cdc.canal", &of_canal[..]),
    ] {
        for message in messages {
            queue(&producer, topic, 0, None, Some(message.as_bytes()), &[]);
        }
        queue(&producer, topic, 0, Some("key"), None, &[]);
        queue(&producer, topic, 0, None, Some(b"{\"type\":"), &[]);
    }
    producer.flush(ANSWER).unwrap();
    let state = world.state();
    let letters = "SELECT count(*) FROM sluice_dead_letters WHERE reason = 'not_json'";
    ask_until(&state, letters, &["6"]);
    let mut all = Vec::new();
    for (name, base) in [("maxwell", 0), ("debezium", 10), ("canal", 20)] {
        let rows = format!("SELECT id, price FROM goods_{name} ORDER BY id");
        let wanted = [format!("{},2.50", base + 1), format!("{},3.00", base + 3)];
        assert_eq!(ask(&state, &rows), wanted, "{name}");
        all.extend(wanted);
    }
    let rows = "SELECT id, price FROM goods_all ORDER BY id";
    assert_eq!(ask(&state, rows), all);
    let letters = "SELECT count(*) FROM sluice_dead_letters";
    assert_eq!(ask(&state, letters), ["6"]);
    assert!(running.stop().success());
}

/// What must be nowhere. All else in the test's input is without them.
const MARKS: [&str; 6] = [
    "139555011",
    "zqmail",
    "zqdomain",
    "Zqstreet",
    "Zqnote",
    "13-955-5011",
];

fn masked(broker: &Broker) -> String {
    let address = broker.address();
    format!(
        r#"
[topic.people.capture]
kind = "kafka"
bootstrap_servers = ["{address}"]
topics = ["people"]
include = ["key", "headers"]
[topic.people.mask.fields]
"/phone" = {{ tokenise = "phone" }}
"/contacts/*/email" = {{ tokenise = "email" }}
"/note" = {{ encrypt = {{ person = "user", id = "/uid" }} }}
"/value" = "hash"
"/_kafka/key" = {{ tokenise = "phone" }}
"/_kafka/headers/mail" = "drop"

[table.people]
topic = "people"
primary_key = ["key"]
change_kind = {{ field = "/_kafka/tombstone", insert = ["false"], delete = ["true"] }}
columns = [
  {{ name = "key", from = "/_kafka/key", type = "string" }},
  {{ name = "phone", from = "/phone", type = "string", missing = "null" }},
  {{ name = "note", from = "/note", type = "string", missing = "null" }},
]

[topic.changes]
messages = "detect"
[topic.changes.capture]
kind = "kafka"
bootstrap_servers = ["{address}"]
topics = ["^cdc-.*"]
[topic.changes.mask.tables.goods]
phone = {{ tokenise = "phone" }}
"*" = "drop"
id = "keep"

[table.goods]
topic = "changes"
when = [{{ field = "/table", equals = "goods" }}]
row = "/data"
before = "/old"
primary_key = ["id"]
change_kind = {{ field = "/type", insert = ["insert"], update = ["update"], delete = ["delete"] }}
columns = [
  {{ name = "id", from = "./id", type = "int64" }},
  {{ name = "phone", from = "./phone", type = "string" }},
]
"#
    )
}

#[test]
fn what_is_personal_in_kafka_is_nowhere_on_disk() {
    let Some(broker) = Broker::start() else {
        return;
    };
    for topic in ["people", "cdc-maxwell", "cdc-debezium", "cdc-canal"] {
        broker.make_topic(topic, 1);
    }
    let world = new_world(&masked(&broker));
    let running = world.start();
    let producer = broker.producer(&[]);
    let headers = [("mail", "zqmail@zqdomain.org"), ("from", "till")];
    let person = r#"{"uid":1,"phone":"13955501101","contacts":[{"email":"zqmail@zqdomain.org"}],"note":"Zqnote"}"#;
    let values: [(&str, Option<&[u8]>); 8] = [
        ("13955501101", Some(person.as_bytes())),
        ("13955501102", Some(person.as_bytes())),
        ("13955501102", None),
        ("13955501103", Some(b"{\"phone\":\"13955501103")),
        ("13955501104", Some(b"[\"Zqnote\",\"13955501104\"]")),
        ("13955501105", Some(b"\"13-955-5011 05\"")),
        ("13955501106", Some(b"\xff\xfe{\"phone\":\"13955501106\"}")),
        (
            "13955501107",
            Some(b"{\"phone\":{\"a\":[13955501107]},\"note\":[\"Zqnote\"]}"),
        ),
    ];
    for (key, value) in values {
        queue(&producer, "people", 0, Some(key), value, &headers);
    }
    let row = |id: u32| {
        format!(
            r#"{{"id":{id},"phone":"1395550110{id}","address":"Zqstreet {id}","note":"Zqnote"}}"#
        )
    };
    let sent = [
        ("cdc-maxwell", maxwell("insert", 1, &row(1))),
        (
            "cdc-maxwell",
            maxwell("update", 2, &row(1))
                .replace("\"data\"", "\"old\":{\"address\":\"Zqstreet 0\"},\"data\""),
        ),
        ("cdc-debezium", debezium("c", 1, &row(2))),
        ("cdc-debezium", debezium("c", 2, &row(3))),
        ("cdc-debezium", debezium("d", 3, &row(3))),
        (
            "cdc-canal",
            canal("INSERT", 1, &format!("[{},{}]", row(4), row(5))),
        ),
        ("cdc-canal", canal("DELETE", 2, &format!("[{}]", row(5)))),
        ("cdc-canal", format!("{{\"data\":[{}", row(6))),
    ];
    for (topic, message) in &sent {
        queue(&producer, topic, 0, None, Some(message.as_bytes()), &[]);
    }
    producer.flush(ANSWER).unwrap();
    let state = world.state();
    let ids = "SELECT id FROM goods ORDER BY id";
    ask_until(&state, ids, &["1", "2", "4"]);
    let sealed = "SELECT count(*) >= 3 FROM sluice_dead_letters WHERE reason = 'sealed'";
    ask_until(&state, sealed, &["true"]);
    // Equal values have equal tokens, in keys, records and change messages.
    let joined = "SELECT count(*) FROM people p JOIN goods g ON g.phone = p.phone WHERE p.key = p.phone AND p.note LIKE 'enc1.%' AND g.id = 1";
    ask_until(&state, joined, &["1"]);
    let mut wire = String::new();
    for table in ["people", "goods", "sluice_dead_letters"] {
        wire += &ask(&state, &format!("SELECT * FROM {table}")).join("\n");
    }
    for path in ["/metrics", "/api/v1/catalog", "/api/v1/info"] {
        wire += &request("GET", &format!("{}{path}", running.http), None, None).1;
    }
    std::thread::sleep(Duration::from_millis(500));
    stop_and_find_nowhere(running, &state, &wire, &MARKS);
}

#[test]
fn a_topic_that_comes_while_it_runs_is_read_from_its_beginning() {
    let Some(broker) = Broker::start() else {
        return;
    };
    for log in ["copy", "source"] {
        let prefix = format!("app-{log}");
        let sources = format!(
            r#"
[topic.app.capture]
kind = "kafka"
bootstrap_servers = ["{}"]
topics = ["^{prefix}-[a-z]+"]
include = ["topic"]
start = "latest"
discovery_interval = "200 ms"
log = "{log}"

[table.event]
topic = "app"
columns = [
  {{ name = "n", from = "/n", type = "int64" }},
  {{ name = "topic", from = "/_kafka/topic", type = "string" }},
]
"#,
            broker.address()
        );
        let world = new_world(&sources);
        let send = |topic: &str, numbers: std::ops::Range<u32>| {
            let producer = broker.producer(&[]);
            for number in numbers {
                let value = format!("{{\"n\":{number}}}");
                queue(&producer, topic, 0, None, Some(value.as_bytes()), &[]);
            }
            producer.flush(ANSWER).unwrap();
        };
        let names = [format!("{prefix}-one"), format!("{prefix}-two")];
        let other = format!("{prefix}-3");
        broker.make_topic(&names[0], 1);
        // What is there before the first start is left out by `latest`.
        send(&names[0], 0..5);
        let running = world.start();
        let state = world.state();
        // Only once it has begun are records new.
        std::thread::sleep(Duration::from_secs(3));
        send(&names[0], 5..10);
        let counts = "SELECT topic, count(*), min(n) FROM event GROUP BY topic ORDER BY topic";
        let one = format!("{},5,5", names[0]);
        ask_until(&state, counts, &[&one]);

        broker.make_topic(&names[1], 1);
        broker.make_topic(&other, 1);
        send(&names[1], 100..120);
        send(&other, 0..9);
        let two = format!("{},20,100", names[1]);
        ask_until(&state, counts, &[&one, &two]);
        // SIGKILL.
        running.kill();
        send(&names[1], 120..130);
        let running = world.start();
        let two = format!("{},30,100", names[1]);
        ask_until(&state, counts, &[&one, &two]);
        assert!(running.stop().success());
    }
}
