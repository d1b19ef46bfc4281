//! Kafka as a source of the real program: killed again and again while records
//! come, with brokers that go away and partitions that are added, every
//! committed record is there exactly once.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a test fails by panicking, waits, and writes its project"
)]

#[path = "../../kafka/tests/common/mod.rs"]
mod brokers;
mod common;
#[path = "common/goods_messages.rs"]
mod goods_messages;
#[path = "common/kafka_shop.rs"]
mod kafka_shop;
#[path = "common/world.rs"]
mod world;

use std::time::Duration;

use brokers::{ANSWER, Broker, end_transaction, queue};
use common::{Running, ask, ask_long_until, ask_until, fail, sluice};
use goods_messages::{debezium, goods_table};
use kafka_shop::{EVERYTHING, new_world, tables};
use rdkafka::producer::Producer as _;
use world::{World, wait};

/// What these tests read of an order.
const TOTAL: &str = r#"{ name = "total", from = "/total", type = "decimal(10,2)" },"#;

#[test]
fn every_record_is_there_once_whatever_is_killed() {
    let Some(mut broker) = Broker::start() else {
        return;
    };
    broker.make_topic("orders", 2);
    broker.make_topic("app-customer", 1);
    let world = new_world(&broker, 40, EVERYTHING, &tables(TOTAL));
    let mut id: i64 = 0;
    let mut partitions = 2;
    let mut running = world.start();
    // Kills at other moments in every round, the same in every run.
    for round in 0..12_u64 {
        let producer = broker.producer(&[("transactional.id", "shop")]);
        producer.init_transactions(ANSWER).unwrap();
        for transaction in 0..8 {
            producer.begin_transaction().unwrap();
            let is_kept = transaction % 3 != 2;
            for number in 0..250 {
                let given = if is_kept { id } else { -1 };
                let value = format!("{{\"id\":{given},\"total\":{number}.25}}");
                let partition = number % partitions;
                let headers = [("source", "till")];
                let value = Some(value.as_bytes());
                queue(&producer, "orders", partition, None, value, &headers);
                id += i64::from(is_kept);
            }
            let key = (round % 5).to_string();
            let name = format!("{{\"name\":\"round {round}\"}}");
            let value = (transaction % 2 == 0).then_some(name.as_bytes());
            queue(&producer, "app-customer", 0, Some(&key), value, &[]);
            end_transaction(&producer, is_kept);
            if (round * 7 + transaction) % 5 == 0 {
                std::thread::sleep(Duration::from_millis(round * 37 % 290));
                // SIGKILL.
                drop(running);
                running = world.start();
            }
        }
        drop(producer);
        if round == 4 {
            broker.go_away_for_a_moment();
        }
        if round == 7 {
            broker.add_partitions("orders", 3);
            partitions = 3;
        }
    }
    let state = world.state();
    ask_long_until(&state, "SELECT count(*) FROM orders", &[&id.to_string()]);
    let distinct = "SELECT count(DISTINCT id), min(id), max(id) FROM orders";
    assert_eq!(ask(&state, distinct), [format!("{id},0,{}", id - 1)]);
    let places = "SELECT count(DISTINCT place), count(DISTINCT source), sum(CASE WHEN sent IS NULL THEN 1 ELSE 0 END) FROM orders";
    assert_eq!(ask(&state, places), ["3,1,0"]);
    // The last kept change of a key is a name or a tombstone: transaction 7.
    let customers = "SELECT count(*) FROM customer";
    assert_eq!(ask(&state, customers), ["0"]);
    broker.send("app-customer", 0, Some("9"), Some(b"{\"name\":\"Li\"}"));
    ask_until(&state, "SELECT id, name FROM customer", &["9,Li"]);
    let letters = "SELECT count(*) FROM sluice_dead_letters";
    assert_eq!(ask(&state, letters), ["0"]);
}

#[test]
fn a_quiet_copy_takes_no_partition_from_the_group() {
    let Some(broker) = Broker::start() else {
        return;
    };
    broker.make_topic("orders", 2);
    let capture = format!("{EVERYTHING}group = \"shop\"\nassignment = \"group\"\n");
    let world = new_world(&broker, 40, &capture, &tables(TOTAL));
    let running = world.start();
    let send = |numbers: std::ops::Range<i32>| {
        let producer = broker.producer(&[]);
        for number in numbers {
            let value = format!("{{\"id\":{number},\"total\":1}}");
            let value = Some(value.as_bytes());
            queue(&producer, "orders", number % 2, None, value, &[]);
        }
        producer.flush(ANSWER).unwrap();
    };
    send(0..50);
    let orders = "SELECT count(*), count(DISTINCT id) FROM orders";
    ask_long_until(&world.state(), orders, &["50,50"]);
    let copied = world.folder().join("copy");
    let copy = Running::start(&world.project(), &copied, &["--quiet"]);
    ask_long_until(&copied, orders, &["50,50"]);
    // Each reads both partitions, at the same time.
    send(50..100);
    ask_long_until(&copied, orders, &["100,100"]);
    ask_long_until(&world.state(), orders, &["100,100"]);
    for warehouse in [running, copy] {
        let (status, said) = warehouse.stop_and_tell();
        assert!(status.success(), "{said}");
        assert!(!said.contains("the group took"), "{said}");
    }
}

#[test]
fn behind_a_gap_nothing_is_read_and_words_say_where() {
    let Some(broker) = Broker::start() else {
        return;
    };
    broker.make_topic("orders", 1);
    let world = new_world(&broker, 40, EVERYTHING, &tables(TOTAL));
    let send = |numbers: std::ops::Range<i32>| {
        let producer = broker.producer(&[]);
        for number in numbers {
            let value = format!("{{\"id\":{number},\"total\":1}}");
            queue(&producer, "orders", 0, None, Some(value.as_bytes()), &[]);
        }
        producer.flush(ANSWER).unwrap();
    };
    send(0..50);
    let running = world.start();
    ask_long_until(&world.state(), "SELECT count(*) FROM orders", &["50"]);
    running.stop();
    send(50..80);
    broker.delete_records("orders", 0, 60);
    let parts = [
        "partition 0 of topic `orders`",
        "offset 50",
        "earliest there is 60",
        "help:",
    ];
    let running = world.start();
    let error = "SELECT error FROM sluice_sources WHERE state = 'failing'";
    wait("the refusal", || {
        let error = world.is_answered(error).unwrap_or_default().join("\n");
        parts.iter().all(|part| error.contains(part))
    });
    assert!(world.says("SELECT count(*) FROM orders", "50"));
    running.kill();
    // Whoever wants everything to be read is told that it is not.
    let errors = fail(&mut world.until_idle(), 1);
    for part in parts {
        assert!(errors.contains(part), "{errors}");
    }
}

#[test]
fn debezium_in_kafka_and_what_is_no_json() {
    let Some(broker) = Broker::start() else {
        return;
    };
    broker.make_topic("db.shop.goods", 1);
    let table = goods_table("goods", "shop");
    let tables = format!("\n[topic.shop]\nmessages = \"debezium\"\n{table}");
    let world = new_world(&broker, 40, "topics = [\"^db\\\\..*\"]\n", &tables);
    let running = world.start();
    let change = |op: &str, position: u32, row: &str| {
        let message = debezium(op, position, row);
        broker.send(
            "db.shop.goods",
            0,
            Some("{\"id\":1}"),
            Some(message.as_bytes()),
        );
    };
    change("c", 10, r#"{"id":1,"price":"1.50"}"#);
    change("u", 20, r#"{"id":1,"price":"2.50"}"#);
    change("c", 30, r#"{"id":2,"price":"9.99"}"#);
    change("d", 40, r#"{"id":2,"price":"9.99"}"#);
    broker.send("db.shop.goods", 0, Some("{\"id\":2}"), None);
    broker.send("db.shop.goods", 0, None, Some(b"{\"op\":"));
    broker.send("db.shop.goods", 0, None, Some(&[0xff, 0xfe, b'{']));
    // A change that comes again moves nothing back.
    change("c", 10, r#"{"id":1,"price":"1.50"}"#);
    change("c", 50, r#"{"id":3,"price":"3"}"#);
    let state = world.state();
    let goods = "SELECT id, price FROM goods ORDER BY id";
    ask_until(&state, goods, &["1,2.50", "3,3.00"]);
    let letters = "SELECT reason FROM sluice_dead_letters ORDER BY record_offset";
    assert_eq!(ask(&state, letters), ["not_json", "bad_utf8"]);
    assert!(running.stop().success());
}

#[test]
fn definitions_that_cannot_be_right_are_refused() {
    let world = World::with("name = \"kafka\"\n");
    let tables = tables(TOTAL);
    for (capture, part) in [
        (
            "bootstrap_servers = []\ntopics = [\"a\"]",
            "names no broker",
        ),
        (
            "bootstrap_servers = [\"a:1\"]\ntopics = [\"a\"]\nsasl = \"PLAIN\"\nuser = \"u\"\npassword = \"hunter2\"",
            "no text of a definition",
        ),
        (
            "bootstrap_servers = [\"a:1\"]\ntopics = [\"a\"]\nlog = \"source\"\n[topic.shop.mask.fields]\n\"/x\" = \"hash\"",
            "cannot be masked before it is there",
        ),
    ] {
        let text = format!("[topic.shop.capture]\nkind = \"kafka\"\n{capture}\n{tables}");
        world.sources("shop", &text);
        let mut command = sluice();
        command.arg("check").arg(world.project());
        let output = common::output(&mut command);
        let said = String::from_utf8_lossy(&output.stderr).into_owned()
            + &String::from_utf8_lossy(&output.stdout);
        assert!(!output.status.success() && said.contains(part), "{said}");
        assert!(!said.contains("hunter2"), "{said}");
    }
}
