//! The shop's changes come through a broker of Kafka, where a reader of the server's log
//! brings them as Maxwell does; the broker ends in the middle.

use rdkafka::producer::{BaseProducer, Producer as _};
use serde_json::Value;
use sluice_core::RecordKind;
use sluice_mysql::position::DatabasePosition;
use sluice_mysql::server::ServerSource;

use crate::asker::COPIED_LAST;
use crate::brokers::{ANSWER, Broker, queue};
use crate::common::{ask, succeed};
use crate::database::Database;
use crate::mysql::is_copied;
use crate::tables::assert_same;
use crate::traffic::{MOVING, Traffic};
use crate::world::{World, wait};
use crate::{MODELS, PROJECT, sources};

const TOPIC: &str = "shop-changes";
const PARTITIONS: i32 = 3;
/// The row of [`COPIED_LAST`] that is written when all else is.
const LAST_ID: i64 = 2;

/// Sends all changes up to the last row; how many there were.
fn send_changes(mut source: ServerSource, producer: &BaseProducer) -> usize {
    let mut position = DatabasePosition::default();
    let (mut sent, mut is_last) = (0, false);
    while !is_last || !is_copied(&position) {
        for record in source.poll().unwrap().records {
            if !record.position.is_empty() {
                position.apply(&record.position).unwrap();
            }
            if record.kind != RecordKind::Data {
                continue;
            }
            let message: Value = serde_json::from_slice(&record.payload).unwrap();
            let table = message["table"].as_str().unwrap();
            is_last |= table == COPIED_LAST && message["data"]["id"] == LAST_ID;
            // Changes of a table share a partition, which keeps their order.
            let partition = i32::try_from(table.len()).unwrap() % PARTITIONS;
            let payload = Some(&record.payload[..]);
            queue(producer, TOPIC, partition, Some(table), payload, &[]);
            sent += 1;
        }
    }
    producer.flush(ANSWER).unwrap();
    sent
}

pub fn through_kafka(database: Database, mut broker: Broker) {
    let Database::MySql(server) = &database else {
        panic!("Maxwell reads MariaDB and MySQL");
    };
    broker.make_topic(TOPIC, PARTITIONS);
    let (traffic, tables) = Traffic::start(&database);
    let source = server.source(DatabasePosition::default());
    // What is sent again while the broker is away is there once, in its order.
    let producer = broker.producer(&[("enable.idempotence", "true")]);
    let sender = std::thread::spawn(move || send_changes(source, &producer));
    let world = World::with(PROJECT);
    let capture = format!(
        "kind = \"kafka\"\nbootstrap_servers = [\"{}\"]\ntopics = [\"{TOPIC}\"]",
        broker.address()
    );
    let topic = "[topic.shop]\nmessages = \"maxwell\"\n";
    world.sources("shop", &sources(topic, &capture, &tables, false));
    for (name, query) in MODELS {
        let model = format!("CREATE MATERIALIZED VIEW {name} AS {query}");
        world.model(name, &model);
    }
    let running = world.start();
    let state = world.state();
    let orders = "SELECT count(*) > 0 FROM order_info";
    wait("orders", || world.says(orders, "true"));
    broker.go_away_for_a_moment();
    let before = ask(&state, MOVING);
    wait("changes go on to come", || ask(&state, MOVING) != before);

    let written = traffic.end();
    assert!(written > 100, "{written} transactions were written");
    database.ask(&format!("INSERT INTO {COPIED_LAST} VALUES ({LAST_ID})"));
    let sent = sender.join().unwrap();
    let rows = tables
        .iter()
        .map(|table| assert_same(&database, &state, table));
    let rows: usize = rows.sum();
    assert!(rows > 1_000, "the shop wrote {rows} rows");
    assert!(sent > rows, "{sent} changes of {rows} rows");
    assert_eq!(ask(&state, "SELECT * FROM money"), ["20,20000"]);
    let letters = "SELECT count(*) FROM sluice_dead_letters";
    assert_eq!(ask(&state, letters), ["0"]);
    assert!(running.stop().success());
    succeed(&mut world.replay());
    eprintln!("{sent} changes of {rows} rows");
}
