//! Kafka's topics as their own log: killed again and again, with brokers that go
//! away, the warehouse ends with what a run has that copied the records and was
//! never disturbed; and records that are gone are an error that names them.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a test fails by panicking, waits, and writes its project"
)]

#[path = "../../kafka/tests/common/mod.rs"]
mod brokers;
mod common;
#[path = "common/files_below.rs"]
mod files_below;
#[path = "common/found_below.rs"]
mod found_below;
#[path = "common/kafka_shop.rs"]
mod kafka_shop;
#[path = "common/log_bytes.rs"]
mod log_bytes;
#[path = "common/world.rs"]
mod world;

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use brokers::{ANSWER, Broker, end_transaction, queue};
use common::{
    all_rows, ask, ask_long_until, ask_until, fail, output, request, run_command, succeed,
};
use found_below::{found_below, found_in};
use kafka_shop::{EVERYTHING, define, new_world, tables};
use log_bytes::log_bytes;
use rdkafka::producer::Producer as _;
use world::{World, wait};

/// What these tests read of an order.
const NOTE: &str = r#"
  { name = "note", from = "/note", type = "string" },
  { name = "lies_at", from = "/_kafka/offset", type = "int64" },
"#;

const VIEW: &str = "CREATE MATERIALIZED VIEW orders_of_place AS
SELECT place, count(*) AS orders, sum(id) AS ids FROM orders GROUP BY place";

const OWN: &str = "log = \"source\"";

/// All topics of the shop, which are kept as `log` says.
fn all_kept(log: &str) -> String {
    format!("{EVERYTHING}{log}\n")
}

/// A warehouse over them, with its view.
fn keeping(broker: &Broker, log: &str, checkpoint_interval_ms: u32) -> World {
    let tables = tables(NOTE);
    let world = new_world(broker, checkpoint_interval_ms, &all_kept(log), &tables);
    world.model("orders_of_place", VIEW);
    world
}

/// Defines the warehouse again, with other columns or kept in another way.
fn redefine(world: &World, broker: &Broker, log: &str, columns: &str) {
    define(world, broker, &all_kept(log), &tables(columns));
}

/// Another definition of orders: everything is read again.
fn trimmed() -> String {
    let note = "from = \"/note\", type = \"string\"";
    assert!(NOTE.contains(note));
    NOTE.replace(note, &format!("{note}, trim = true"))
}

/// Starts it with what it says in a file, and does not wait for an answer.
fn start_saying(world: &World, said: &Path) -> Child {
    let said = std::fs::File::create(said).unwrap();
    // One that was killed left its address.
    let _ = std::fs::remove_file(world.state().join("address.json"));
    run_command(&world.project(), &world.state())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(said)
        .spawn()
        .unwrap()
}

fn order(id: i64) -> String {
    let note = "a note that makes the record longer than its place ".repeat(4);
    format!("{{\"id\":{id},\"note\":\"{note}{id}\"}}")
}

/// Sends orders without transactions.
fn send_orders(broker: &Broker, ids: std::ops::Range<i64>, partitions: i64) {
    let producer = broker.producer(&[]);
    for id in ids {
        let partition = (id % partitions) as i32;
        let value = order(id);
        queue(
            &producer,
            "orders",
            partition,
            None,
            Some(value.as_bytes()),
            &[],
        );
    }
    producer.flush(ANSWER).unwrap();
}

#[test]
fn kills_and_lost_brokers_end_as_an_undisturbed_run_that_copies() {
    let Some(mut broker) = Broker::start() else {
        return;
    };
    let keeps = [("retention.ms", "-1")];
    broker.make_topic_with("orders", 3, &keeps);
    broker.make_topic_with("app-customer", 1, &keeps);
    let own = keeping(&broker, OWN, 40);
    let mut running = own.start();
    let mut id: i64 = 0;
    for round in 0..9_u64 {
        let producer = broker.producer(&[("transactional.id", "shop")]);
        producer.init_transactions(ANSWER).unwrap();
        for transaction in 0..6 {
            producer.begin_transaction().unwrap();
            let is_kept = transaction % 3 != 2;
            for number in 0..400 {
                let value = order(if is_kept { id } else { -1 });
                let headers = [("source", "till")];
                // Long runs of a partition, and short ones.
                let partition = match transaction {
                    0 => number % 3,
                    _ => number / 150,
                };
                let value = Some(value.as_bytes());
                queue(&producer, "orders", partition, None, value, &headers);
                id += i64::from(is_kept);
            }
            let key = (round * 6 + transaction).to_string();
            let name = format!("{{\"name\":\"round {round}\"}}");
            for value in [Some(name.as_bytes()), None] {
                let is_left = value.is_some() || transaction % 2 == 0;
                if is_left {
                    queue(&producer, "app-customer", 0, Some(&key), value, &[]);
                }
            }
            end_transaction(&producer, is_kept);
            if (round * 5 + transaction) % 4 == 0 {
                std::thread::sleep(Duration::from_millis(round * 37 % 290));
                running.kill();
                running = own.start();
            }
        }
        drop(producer);
        broker.send("app-customer", 0, Some("1"), Some(b"{\"name\":"));
        if round == 4 {
            broker.go_away_for_a_moment();
        }
    }
    let count = "SELECT count(*) FROM orders";
    ask_long_until(&own.state(), count, &[&id.to_string()]);
    let letters = "SELECT count(*) FROM sluice_dead_letters";
    ask_long_until(&own.state(), letters, &["9"]);
    assert!(running.stop().success());

    let copying = keeping(&broker, "", 40);
    succeed(&mut copying.until_idle());
    let same = |when: &str| {
        let (expected, found) = (all_rows(&copying.state()), all_rows(&own.state()));
        assert!(expected["customer"].len() >= 9);
        for name in ["orders", "customer", "orders_of_place"] {
            assert!(found[name] == expected[name], "{when}: {name} differs");
        }
    };
    same("after the kills");
    let (own_bytes, copied_bytes) = (log_bytes(&own.state()), log_bytes(&copying.state()));
    assert!(own_bytes * 3 < copied_bytes, "{own_bytes} {copied_bytes}");
    // Everything comes back from the brokers alone.
    succeed(&mut own.replay());

    // A change of a table reads all again, and the records may be copied from
    // now on, and lie in Kafka again later.
    for (round, log) in ["", OWN, ""].into_iter().enumerate() {
        send_orders(&broker, id..id + 50, 3);
        id += 50;
        let columns = match round % 2 {
            0 => trimmed(),
            _ => NOTE.to_owned(),
        };
        redefine(&own, &broker, log, &columns);
        let said = output(&mut own.until_idle());
        let said = String::from_utf8_lossy(&said.stderr).into_owned();
        assert!(!said.contains("refused"), "{said}");
        succeed(&mut copying.until_idle());
        same(&format!("after change {round}"));
        succeed(&mut own.replay());
    }
}

#[test]
fn records_that_brokers_deleted_or_changed_are_named() {
    let Some(broker) = Broker::start() else {
        return;
    };
    broker.make_topic("orders", 1);
    let own = keeping(&broker, OWN, 40);
    send_orders(&broker, 0..60, 1);
    // Brokers remove old records of it by default, and the person is told so.
    let said = output(&mut own.until_idle());
    let said = String::from_utf8_lossy(&said.stderr).into_owned();
    assert!(said.contains("`orders` is its own log"), "{said}");
    assert!(said.contains("retention.ms"), "{said}");
    assert_eq!(ask(&own.state(), "SELECT count(*) FROM orders"), ["60"]);
    succeed(&mut own.replay());

    broker.delete_records("orders", 0, 10);
    let gone = [
        "offsets 0 to",
        "partition 0 of Kafka's topic `orders`",
        "earliest offset there is 10",
        "help:",
    ];
    let errors = fail(&mut own.replay(), 1);
    for part in gone {
        assert!(errors.contains(part), "{errors}");
    }
    redefine(&own, &broker, OWN, &trimmed());
    let refused = output(&mut own.until_idle());
    let errors = String::from_utf8_lossy(&refused.stderr);
    for part in gone
        .into_iter()
        .chain(["the change of the project is refused"])
    {
        assert!(errors.contains(part), "{errors}");
    }
    // What was computed before stays, and goes on.
    redefine(&own, &broker, OWN, NOTE);
    send_orders(&broker, 60..70, 1);
    succeed(&mut own.until_idle());
    assert_eq!(ask(&own.state(), "SELECT count(*) FROM orders"), ["70"]);

    // The same number of records, but others.
    broker.delete_topic("orders");
    let errors = fail(&mut own.replay(), 1);
    for part in ["topic `orders`", "there is no such topic", "help:"] {
        assert!(errors.contains(part), "{errors}");
    }
    std::thread::sleep(Duration::from_secs(1));
    broker.make_topic("orders", 1);
    send_orders(&broker, 1_000..1_070, 1);
    let errors = fail(&mut own.replay(), 1);
    for part in [
        "partition 0 of Kafka's topic `orders`",
        "no longer what was read",
        "help:",
    ] {
        assert!(errors.contains(part), "{errors}");
    }
}

#[test]
fn a_compacted_topic_is_refused_at_once() {
    let Some(broker) = Broker::start() else {
        return;
    };
    broker.make_topic_with("orders", 1, &[("cleanup.policy", "compact,delete")]);
    let own = keeping(&broker, OWN, 40);
    let errors = fail(&mut own.until_idle(), 1);
    for part in ["`orders`", "cleanup.policy=compact", "help:"] {
        assert!(errors.contains(part), "{errors}");
    }
    redefine(&own, &broker, "", NOTE);
    succeed(&mut own.until_idle());
}

#[test]
fn a_start_waits_for_brokers_and_says_so() {
    let Some(mut broker) = Broker::start() else {
        return;
    };
    broker.make_topic("orders", 2);
    // No checkpoint but the first: a start reads what was recorded.
    let own = keeping(&broker, OWN, 600_000);
    let running = own.start();
    send_orders(&broker, 0..3_000, 2);
    ask_long_until(&own.state(), "SELECT count(*) FROM orders", &["3000"]);
    running.kill();
    broker.kill();

    let said = own.folder().join("said");
    let is_waiting = || {
        let said = std::fs::read_to_string(&said).unwrap();
        said.contains("waiting for offsets 0 to") && said.contains("trying again")
    };
    let mut child = start_saying(&own, &said);
    wait("a word of waiting", is_waiting);
    let pid = child.id().to_string();
    Command::new("kill").args(["-INT", &pid]).status().unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(130));
    let text = std::fs::read_to_string(&said).unwrap();
    assert!(text.contains("stopped while waiting for offsets"), "{text}");

    let mut child = start_saying(&own, &said);
    wait("a word of waiting", is_waiting);
    broker.start_again();
    wait("an address", || own.state().join("address.json").exists());
    let text = std::fs::read_to_string(&said).unwrap();
    assert!(text.contains("can be read again"), "{text}");
    send_orders(&broker, 3_000..3_010, 2);
    ask_long_until(&own.state(), "SELECT count(*) FROM orders", &["3010"]);
    let distinct = "SELECT count(DISTINCT id), min(id), max(id) FROM orders";
    assert_eq!(ask(&own.state(), distinct), ["3010,0,3009"]);
    child.kill().unwrap();
    child.wait().unwrap();
}

/// A topic beside the one in Kafka.
const CLICKS: &str = r#"
[topic.clicks.capture]
kind = "http"

[table.click]
topic = "clicks"
columns = [{ name = "id", from = "/id", type = "int64" }]
"#;

#[test]
fn a_change_that_waits_for_brokers_can_be_taken_back() {
    let Some(mut broker) = Broker::start() else {
        return;
    };
    broker.make_topic("orders", 2);
    let own = keeping(&broker, OWN, 40);
    own.sources("clicks", CLICKS);
    send_orders(&broker, 0..3_000, 2);
    succeed(&mut own.until_idle());
    broker.kill();

    // A new process has no record in memory, and needs none.
    let running = own.start();
    let click = |id: u32| {
        let url = format!("{}/collect/clicks", running.http);
        let event = format!("{{\"id\":{id}}}\n");
        let body = Some(("application/json", event.as_str()));
        let (status, text) = request("POST", &url, None, body);
        assert_eq!(status, 200, "{text}");
        let count = "SELECT count(*) FROM click";
        ask_until(&own.state(), count, &[&id.to_string()]);
    };
    let is_changing = || {
        let address = std::fs::read_to_string(own.state().join("address.json")).unwrap();
        address.contains("the definitions are changing")
    };
    redefine(&own, &broker, OWN, &trimmed());
    wait("a change that waits", || {
        is_changing() && running.said().contains("waiting for offsets 0 to")
    });
    click(1);
    redefine(&own, &broker, OWN, NOTE);
    wait("the end of the change", || !is_changing());
    click(2);

    broker.start_again();
    send_orders(&broker, 3_000..3_010, 2);
    let orders = "SELECT count(*), count(DISTINCT id), max(id) FROM orders";
    ask_long_until(&own.state(), orders, &["3010,3010,3009"]);
    click(3);
    assert!(running.stop().success());
    succeed(&mut own.replay());
}

/// Rules of diversion and rows of a shop that come as Kafka's records, kept as `log`
/// says.
fn rule_and_rows(broker: &Broker, topic: &str, log: &str) -> World {
    broker.make_topic(topic, 1);
    let world = World::with("name = \"ruled\"\n[limits]\ncheckpoint_interval_ms = 200\n");
    let address = broker.address();
    world.sources(
        "shop",
        &format!(
            "[topic.shop]\nunplaced = \"drop\"\n[topic.shop.capture]\nkind = \"kafka\"\nbootstrap_servers = [\"{address}\"]\ntopics = [\"{topic}\"]\nlog = \"{log}\"\n[diversion]\ntopic = \"shop\"\ntable = \"warehouse_rule\"\n"
        ),
    );
    let send = |text: &str| broker.send(topic, 0, None, Some(text.as_bytes()));
    let rule = |sink: &str, columns: &str, masking: &str| {
        send(&format!(
            r#"{{"database":"shop","table":"warehouse_rule","type":"insert","data":{{"sink_table":"{sink}","source_table":"users","sink_columns":"{columns}","sink_key":"id","masking":"{masking}"}}}}"#
        ));
    };
    rule(
        "member",
        "id int64, phone string, note string",
        "phone hash, note drop",
    );
    rule("town", "id int64, town string", "");
    for id in 0..20 {
        send(&format!(
            r#"{{"database":"shop","table":"users","type":"insert","data":{{"id":{id},"phone":"tel-secret-{id}","note":"note-secret-{id}","town":"Wuhan"}}}}"#
        ));
    }
    world
}

/// What the rules of such a shop leave of what is personal: nothing, whether Kafka
/// keeps the records or the warehouse does.
#[test]
fn what_rules_mask_is_nowhere_whoever_keeps_the_records() {
    const SECRETS: [&str; 2] = ["tel-secret", "note-secret"];
    let Some(broker) = Broker::start() else {
        return;
    };
    for log in ["copy", "source"] {
        let world = rule_and_rows(&broker, &format!("changes-{log}"), log);
        let running = world.start();
        wait("the towns", || {
            world.says("SELECT count(*) FROM town", "20")
        });
        let member = "SELECT count(*) FROM member WHERE note IS NULL AND length(phone) = 64";
        match log {
            "copy" => wait("the members", || world.says(member, "20")),
            // What lies in Kafka in clear cannot be masked on its way into the log.
            _ => {
                let reason = "SELECT reason LIKE 'masking: %its own log%' FROM sluice_diversion WHERE rule = 'member'";
                wait("the refusal", || world.says(reason, "true"));
                assert_eq!(world.is_answered(member), None);
            }
        }
        let tables = ["member", "town", "sluice_dead_letters", "sluice_diversion"];
        let answers = tables.map(|table| world.is_answered(&format!("SELECT * FROM {table}")));
        let answers: String = answers.into_iter().flatten().flatten().collect();
        // Until a checkpoint has all of it; once as a kill leaves it, and once as a
        // stop does.
        std::thread::sleep(Duration::from_millis(700));
        let mut found = found_below(&world.state(), &SECRETS);
        let (status, said) = running.stop_and_tell();
        assert!(status.success(), "{said}");
        found.extend(found_below(&world.state(), &SECRETS));
        found.extend(found_in("the wire", answers.as_bytes(), &SECRETS));
        found.extend(found_in("stderr", said.as_bytes(), &SECRETS));
        assert!(found.is_empty(), "{found:#?}");
        succeed(&mut world.replay());
    }
}
