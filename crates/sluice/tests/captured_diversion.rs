//! Rules of diversion in a real server, which come while thousands of changes a
//! second flow: their tables have what the server has.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a test fails by panicking, and waits"
)]

mod common;
#[path = "../../mysql/tests/common/mod.rs"]
mod mysql;
#[path = "common/world.rs"]
mod world;

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use common::{Running, ask, request, sluice, succeed};
use sluice_mysql::net::connection::Connection;
use world::{World, wait};

const RULES_TABLE: &str = "CREATE TABLE shop.warehouse_rule (
  sink_table VARCHAR(64) PRIMARY KEY, source_database VARCHAR(64), source_table VARCHAR(64),
  operation_types VARCHAR(64), sink_columns TEXT, sink_key VARCHAR(255), filter TEXT,
  masking TEXT, snapshot TINYINT)";

/// A project that reads the server's database `shop`, and its rules.
fn new_world(server: &mysql::Server) -> World {
    let world = World::with("name = \"diverted\"\n[limits]\ncheckpoint_interval_ms = 500\n");
    let sources = format!(
        "[topic.shop]\nunplaced = \"drop\"\n[topic.shop.capture]\nkind = \"mysql\"\nhost = \"127.0.0.1\"\nport = {}\nuser = \"root\"\ntables = [\"shop.*\"]\n[diversion]\ntopic = \"shop\"\ntable = \"warehouse_rule\"\n",
        server.address.port
    );
    world.sources("shop", &sources);
    world
}

/// Changes a second at most, and how many of them are one transaction.
const CHANGES_PER_SECOND: u64 = 5_000;
const CHANGES_OF_TRANSACTION: u64 = 100;
const WRITING: Duration = Duration::from_secs(20);

/// What is inserted as a rule: table, source, whether with what is there.
const RULES: [(&str, &str, u8); 3] = [
    ("every_order", "orders", 1),
    ("later_payment", "payments", 0),
    ("every_parcel", "parcels", 1),
];

/// A rule that was committed.
struct Inserted {
    at: Instant,
    /// The newest transaction before it.
    after: u64,
}

/// Writes transactions over the three tables, at most so many changes a second.
struct Writer {
    client: Connection,
    transactions: u64,
    changes: u64,
}

impl Writer {
    fn query(&mut self, sql: &str) {
        let result = self.client.query(sql);
        result.unwrap_or_else(|error| panic!("{sql}: {error}"));
    }

    /// Of each table 25 new rows, 6 that change and 2 that go; the last change
    /// makes it a hundred.
    fn transaction(&mut self) {
        self.transactions += 1;
        let number = self.transactions;
        self.query("BEGIN");
        for table in ["orders", "payments", "parcels"] {
            let first = number * 25;
            let rows: Vec<String> = (first..first + 25)
                .map(|id| format!("({id}, 'new', {}.{:02}, {number})", id % 1_000, id % 100))
                .collect();
            self.query(&format!("INSERT INTO {table} VALUES {}", rows.join(",")));
            // Rows of every age.
            let old = 25 + (number * 7_919) % first.max(26);
            self.query(&format!(
                "UPDATE {table} SET status = 'paid', changed = {number} WHERE id >= {old} ORDER BY id LIMIT 6"
            ));
            let gone = 25 + (number * 104_729) % first.max(26);
            self.query(&format!(
                "DELETE FROM {table} WHERE id >= {gone} ORDER BY id LIMIT 2"
            ));
        }
        self.query(&format!("INSERT INTO beside VALUES ({number})"));
        self.query("COMMIT");
        self.changes += CHANGES_OF_TRANSACTION;
    }

    fn insert_rule(&mut self, (sink, source, snapshot): (&str, &str, u8)) -> Inserted {
        self.query(&format!(
            "INSERT INTO warehouse_rule (sink_table, source_table, sink_columns, sink_key, snapshot) VALUES ('{sink}', '{source}', 'id int64, status string, total decimal(10,2), changed int64', 'id', {snapshot})"
        ));
        Inserted {
            at: Instant::now(),
            after: self.transactions,
        }
    }
}

/// Rows as both sides write them.
fn of_server(server: &mysql::Server, table: &str, condition: &str) -> Vec<String> {
    let sql = format!(
        "SELECT id, status, total, changed FROM shop.{table} WHERE {condition} ORDER BY id"
    );
    let rows = server.connect().query(&sql).unwrap();
    let texts = rows.into_iter().map(|row| {
        let values = row
            .into_iter()
            .map(|value| String::from_utf8(value.unwrap()).unwrap());
        values.collect::<Vec<_>>().join(",")
    });
    texts.collect()
}

fn of_warehouse(world: &World, table: &str, condition: &str) -> Vec<String> {
    let sql =
        format!("SELECT id, status, total, changed FROM {table} WHERE {condition} ORDER BY id");
    ask(&world.state(), &sql)
}

/// Waits for the first row of a table; the time since the rule was committed.
fn first_row(running: &Running, table: &str, inserted: &Inserted) -> Duration {
    let url = format!("{}/api/v1/sql", running.http);
    let sql = format!("SELECT 'has rows' AS state FROM {table} LIMIT 1");
    loop {
        let (status, body) = request("POST", &url, None, Some(("text/plain", &sql)));
        if status == 200 && body.contains("has rows") {
            return inserted.at.elapsed();
        }
        // Of the machine's speed nothing is demanded but that it comes at all.
        let waited = inserted.at.elapsed();
        assert!(waited < Duration::from_secs(180), "{table}: {body}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn rules_that_come_among_thousands_of_changes_a_second_have_every_row() {
    let Some(server) = mysql::Server::start() else {
        return;
    };
    server.run(&["CREATE DATABASE shop CHARACTER SET utf8mb4", RULES_TABLE]);
    for table in ["orders", "payments", "parcels"] {
        server.run(&[&format!(
            "CREATE TABLE shop.{table} (id BIGINT PRIMARY KEY, status VARCHAR(20) NOT NULL, total DECIMAL(10,2) NOT NULL, changed BIGINT NOT NULL)"
        )]);
    }
    server.run(&["CREATE TABLE shop.beside (id BIGINT PRIMARY KEY)"]);
    let mut client = server.connect();
    client.query("USE shop").unwrap();
    let mut writer = Writer {
        client,
        transactions: 0,
        changes: 0,
    };
    // Rows that the first copy brings.
    (0..20).for_each(|_| writer.transaction());
    let copied = writer.changes;

    let world = new_world(&server);
    let running = world.start();
    wait("the rules' table", || {
        world.says("SELECT count(*) FROM sluice_diversion_rules", "0")
    });
    let (inserted, hears) = std::sync::mpsc::channel();
    let stops = AtomicBool::new(false);
    let (rate, marks) = std::thread::scope(|scope| {
        let writing = scope.spawn(|| {
            let start = Instant::now();
            let mut to_insert = RULES.iter();
            let mut next_rule = Duration::from_secs(4);
            while start.elapsed() < WRITING && !stops.load(Ordering::Acquire) {
                let due = start.elapsed().as_micros() as u64 * CHANGES_PER_SECOND / 1_000_000;
                if writer.changes - copied >= due {
                    std::thread::sleep(Duration::from_millis(1));
                    continue;
                }
                writer.transaction();
                if start.elapsed() >= next_rule
                    && let Some(rule) = to_insert.next()
                {
                    next_rule += Duration::from_secs(4);
                    inserted.send((rule.0, writer.insert_rule(*rule))).unwrap();
                }
            }
            drop(inserted);
            (writer.changes - copied) as f64 / start.elapsed().as_secs_f64()
        });
        // A failure here must not leave the writer at work.
        struct Stops<'a>(&'a AtomicBool);
        impl Drop for Stops<'_> {
            fn drop(&mut self) {
                self.0.store(true, Ordering::Release);
            }
        }
        let stops_at_the_end = Stops(&stops);
        let mut marks = Vec::new();
        for (table, rule) in hears {
            let took = first_row(&running, table, &rule);
            eprintln!(
                "{table}: the first row {} ms after COMMIT",
                took.as_millis()
            );
            marks.push((table, rule.after));
        }
        let rate = writing.join().unwrap();
        drop(stops_at_the_end);
        (rate, marks)
    });
    eprintln!("{rate:.0} changes a second were written");
    assert_eq!(marks.len(), RULES.len(), "the writer inserts every rule");

    for ((table, source, snapshot), (_, after)) in RULES.iter().zip(&marks) {
        let condition = match snapshot {
            1 => "id > 0".to_owned(),
            _ => format!("changed > {after}"),
        };
        let wanted = of_server(&server, source, &condition);
        assert!(!wanted.is_empty(), "nothing came after {table}");
        let start = Instant::now();
        let mut found = of_warehouse(&world, table, &condition);
        while found != wanted && start.elapsed() < Duration::from_secs(300) {
            std::thread::sleep(Duration::from_millis(200));
            found = of_warehouse(&world, table, &condition);
        }
        for (found, wanted) in found.iter().zip(&wanted) {
            assert_eq!(found, wanted, "{table}");
        }
        assert_eq!(found.len(), wanted.len(), "{table}");
        eprintln!("{table}: {} rows", found.len());
    }
    // What was copied long before a rule without a snapshot is not there.
    let early = ask(
        &world.state(),
        "SELECT count(*) FROM later_payment WHERE changed <= 20",
    );
    assert_eq!(early, ["0"]);
    assert!(running.stop().success());
    let mut replay = sluice();
    let replay = replay.arg("replay").arg(world.project());
    succeed(replay.arg("--state").arg(world.state()));
}

/// Looks for what must not be there in every byte below a folder; the number of
/// bytes.
fn look_below(folder: &std::path::Path, secrets: &[&str], found: &mut Vec<String>) -> usize {
    let mut bytes_in_all = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            bytes_in_all += look_below(&path, secrets, found);
            continue;
        }
        // A file may be merged away at this moment.
        let Ok(bytes) = std::fs::read(&path) else {
            continue;
        };
        bytes_in_all += bytes.len();
        for secret in secrets {
            let secret = secret.as_bytes();
            if bytes.windows(secret.len()).any(|window| window == secret) {
                let secret = String::from_utf8_lossy(secret);
                found.push(format!("{secret} in {}", path.display()));
            }
        }
    }
    bytes_in_all
}

/// A person of the shop, and what of it must be nowhere.
fn person(table: &str, id: u64) -> (String, Vec<String>) {
    let secrets = vec![
        format!("Hidden{id:04}name"),
        format!("1391111{id:04}"),
        format!("hidden{id:04}@secret.example"),
        format!("Hidden{id:04}street"),
        format!("Hidden{id:04}note"),
        format!("Hidden{id:04}passwd"),
    ];
    let [name, phone, email, address, note, passwd] = secrets.as_slice() else {
        panic!("six of them");
    };
    let sql = format!(
        "INSERT INTO shop.{table} VALUES ({id}, '{name}', '{phone}', '{email}', '{address}', '{note}', '{passwd}', '1987-05-23', 'city{id}')"
    );
    (sql, secrets)
}

const PERSON_COLUMNS: &str = "id int64, name string, phone string, email string, address string, note string, born date, city string";
const PERSON_MASKING: &str = "name tokenise(name), phone tokenise(phone), email hash, address encrypt(user, id), note truncate(3), born generalise(year), passwd drop, city keep";

fn rule(sink: &str, source: &str, masking: &str, more: &str) -> String {
    let more = match more {
        "" => PERSON_COLUMNS,
        more => more,
    };
    format!(
        "INSERT INTO shop.warehouse_rule (sink_table, source_table, sink_columns, sink_key, masking, snapshot) VALUES ('{sink}', '{source}', '{more}', 'id', '{masking}', 1)"
    )
}

#[test]
fn what_a_rule_masks_is_nowhere_in_clear() {
    let Some(server) = mysql::Server::start() else {
        return;
    };
    server.run(&["CREATE DATABASE shop CHARACTER SET utf8mb4", RULES_TABLE]);
    for table in ["guests", "users"] {
        server.run(&[&format!(
            "CREATE TABLE shop.{table} (id BIGINT PRIMARY KEY, name VARCHAR(40), phone VARCHAR(20), email VARCHAR(60), address VARCHAR(60), note VARCHAR(60), passwd VARCHAR(60), born DATE, city VARCHAR(20))"
        )]);
    }
    let mut secrets = Vec::new();
    let mut add = |table: &str, ids: std::ops::Range<u64>| {
        for id in ids {
            let (sql, of_person) = person(table, id);
            server.run(&[&sql]);
            secrets.extend(of_person);
        }
    };
    // Rows and a rule that are there before the first copy; `guests` is copied
    // before `warehouse_rule` by its name.
    add("guests", 1..20);
    server.run(&[&rule("guest", "guests", PERSON_MASKING, "")]);
    let world = new_world(&server);
    let running = world.start();
    let masked = |table: &str, count: u64| {
        let whole = format!("SELECT count(*) FROM {table}");
        wait(&format!("{count} rows of {table}"), || {
            world.says(&whole, &count.to_string())
        });
        let wrong = format!(
            "SELECT count(*) FROM {table} WHERE name LIKE 'Hidden%name' OR name IS NULL OR phone NOT LIKE '1__________' OR length(email) <> 64 OR address NOT LIKE 'enc1.%' OR note <> 'Hid' OR born <> DATE '1987-01-01' OR city <> 'city' || CAST(id AS VARCHAR)"
        );
        assert_eq!(ask(&world.state(), &wrong), ["0"], "{table}");
    };
    masked("guest", 19);

    // A rule and, directly behind it, what it masks.
    server.run(&[&rule("customer", "users", PERSON_MASKING, "")]);
    add("users", 100..140);
    server.run(&["UPDATE shop.users SET city = CONCAT('city', id) WHERE id < 120"]);
    masked("customer", 40);

    // The catalogue, its table, its pages, and what is asked from outside know
    // the new table, with what its columns are.
    let said = "SELECT meaning FROM sluice_columns WHERE table_name = 'customer' AND column_name = 'phone'";
    wait("the meaning", || {
        world.says(said, "\"`phone` of `users`, masked: tokenise(phone)\"")
            || world.says(said, "`phone` of `users`, masked: tokenise(phone)")
    });
    for place in ["/api/v1/models", "/docs/ods"] {
        let (status, page) = request("GET", &format!("{}{place}", running.http), None, None);
        assert_eq!(status, 200, "{place}");
        for part in [
            "customer",
            "Rows of the shop's table `users`",
            "warehouse_rule",
        ] {
            assert!(page.contains(part), "{part} is not in {place}");
        }
    }
    world.model("cities", "CREATE MATERIALIZED VIEW cities AS SELECT city, count(*) AS customers FROM customer GROUP BY city");
    let mut check = sluice();
    check
        .arg("check")
        .arg(world.project())
        .arg("--state")
        .arg(world.state());
    let checked = common::output(&mut check);
    let text = String::from_utf8_lossy(&checked.stderr).into_owned();
    assert!(checked.status.success(), "{text}");
    assert!(
        text.contains("`customer` makes a table: id, name, phone"),
        "{text}"
    );
    let written = world.folder().join("docs");
    let mut docs = sluice();
    docs.arg("docs")
        .arg(world.project())
        .arg("--state")
        .arg(world.state());
    succeed(docs.arg("--out").arg(&written));
    let page = std::fs::read_to_string(written.join("ods.md")).unwrap();
    for part in [
        "## customer",
        "`email` of `users`, masked: hash",
        "customer --> cities",
    ] {
        assert!(page.contains(part), "{part}: {page}");
    }

    // What cannot be is refused, with the reason; what holds stays.
    server.run(&[
        &rule("wrong", "users", "phone shuffle", ""),
        &rule("other", "users", "phone hash", "id int64, phone string"),
        &rule("number", "users", "phone hash", "id int64, phone int64"),
        "UPDATE shop.warehouse_rule SET masking = 'name hash it' WHERE sink_table = 'customer'",
    ]);
    let reasons =
        "SELECT rule || ': ' || reason FROM sluice_diversion WHERE state = 'refused' ORDER BY rule";
    wait("the refusals", || {
        world
            .is_answered(reasons)
            .is_some_and(|found| found.len() == 4)
    });
    let reasons = ask(&world.state(), reasons).join("\n");
    for reason in [
        "customer: masking: `name hash it`",
        "number: masking: what hash makes is no int64",
        "other: masking: the rule `customer` masks `phone` of `users` otherwise",
        "wrong: masking: `phone shuffle`: `shuffle` is no way to mask",
    ] {
        assert!(reasons.contains(reason), "{reason} is not in\n{reasons}");
    }
    add("users", 140..150);
    masked("customer", 50);

    // After a kill what holds still holds, though the row is wrong.
    running.kill();
    let running = world.start();
    add("users", 150..155);
    masked("customer", 55);
    // And with a rule that came while nobody read.
    running.kill();
    server
        .run(&["DELETE FROM shop.warehouse_rule WHERE sink_table IN ('wrong', 'other', 'number')"]);
    server.run(&[&format!(
        "UPDATE shop.warehouse_rule SET masking = '{PERSON_MASKING}' WHERE sink_table = 'customer'"
    )]);
    add("users", 155..160);
    add("guests", 20..30);
    let running = world.start();
    masked("customer", 60);
    masked("guest", 29);

    // Another masking begins a table of its own: of what says that it is so.
    let without_notes = PERSON_MASKING.replace("note truncate(3)", "note drop");
    server.run(&[&format!(
        "UPDATE shop.warehouse_rule SET masking = '{without_notes}' WHERE sink_table = 'guest'"
    )]);
    add("guests", 30..35);
    wait("guests without notes", || {
        world.says("SELECT count(*) FROM guest WHERE note IS NULL", "5")
    });

    let mut found = Vec::new();
    let parts = ["Hidden0", "hidden0", "@secret.example", "1391111"];
    let bytes = look_below(&world.state(), &parts, &mut found);
    assert!(bytes > 100_000, "{bytes} bytes were looked at");
    assert!(found.is_empty(), "{}", found.join("\n"));
    let (status, said) = running.stop_and_tell();
    assert!(status.success(), "{said}");
    assert!(
        secrets.iter().all(|secret| !said.contains(secret)),
        "{said}"
    );
    // The files of tables are compressed: they are asked.
    let rows = ask(&world.state(), "SELECT * FROM customer").join("\n");
    assert!(secrets.iter().all(|secret| !rows.contains(secret)));
    let mut replay = sluice();
    let replay = replay.arg("replay").arg(world.project());
    succeed(replay.arg("--state").arg(world.state()));
}
