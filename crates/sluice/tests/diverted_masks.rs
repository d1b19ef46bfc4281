//! Rules of diversion that mask: what stands behind a rule in the stream, or is copied
//! when it is there already, is nowhere in clear; and a rule that is refused changes
//! nothing.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a test fails by panicking, and waits"
)]

mod common;
#[path = "common/files_below.rs"]
mod files_below;
#[path = "common/found_below.rs"]
mod found_below;
#[path = "common/found_nowhere.rs"]
mod found_nowhere;
#[path = "../../mysql/tests/common/mod.rs"]
mod mysql;
#[path = "../../postgres/tests/common/mod.rs"]
mod postgres;
#[path = "common/shop_changes.rs"]
mod shop_changes;
#[path = "common/world.rs"]
mod world;

use std::fs::File;
use std::io::Write as _;
use std::ops::Range;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use common::{sluice, succeed};
use files_below::{content_of, each_file_below};
use found_below::found_below;
use found_nowhere::stop_and_find_nowhere;
use serde_json::{Value, json};
use shop_changes::{change_message, open_changes};
use world::{World, wait};

const SECRETS: [&str; 2] = ["tel-secret", "note-secret"];

fn new_world(capture: &str) -> World {
    let world = World::with("name = \"diverted\"\n[limits]\ncheckpoint_interval_ms = 200\n");
    world.sources(
        "shop",
        &format!(
            "[topic.shop]\nunplaced = \"drop\"\n[topic.shop.capture]\n{capture}\n[diversion]\ntopic = \"shop\"\ntable = \"warehouse_rule\"\n"
        ),
    );
    world
}

const FILE: &str = "kind = \"file\"\npath = \"changes.ndjson\"\nformat = \"ndjson\"\n";

/// The shop: its changes are lines of a file.
struct Shop {
    file: File,
    changes: u64,
}

impl Shop {
    fn open(project: &Path) -> Self {
        Self {
            file: open_changes(project),
            changes: 0,
        }
    }

    fn change(&mut self, table: &str, kind: &str, data: &Value) {
        self.changes += 1;
        let change = change_message(table, kind, data, (self.changes, 0), true);
        self.file
            .write_all(format!("{change}\n").as_bytes())
            .unwrap();
    }

    fn rule(&mut self, kind: &str, rule: &Value) {
        self.change("warehouse_rule", kind, rule);
    }

    fn users(&mut self, ids: Range<u64>) {
        for id in ids {
            let row = json!({
                "id": id, "phone": format!("tel-secret-{id}"),
                "note": format!("note-secret-{id}"), "town": "Wuhan",
            });
            self.change("users", "insert", &row);
        }
    }
}

/// The rule for members, with this mask.
fn member(masking: &str) -> Value {
    json!({
        "sink_table": "member", "source_database": "shop", "source_table": "users",
        "sink_columns": "id int64, phone string, note string", "sink_key": "id",
        "masking": masking,
    })
}

#[track_caller]
fn wait_for(world: &World, sql: &str, answer: &str) {
    wait(&format!("{sql}: {answer}"), || world.says(sql, answer));
}

/// All that clients are given of the tables.
fn wire(world: &World) -> String {
    let tables = ["member", "sluice_dead_letters", "sluice_diversion"];
    let rows = tables.map(|table| world.is_answered(&format!("SELECT * FROM {table}")));
    rows.into_iter().flatten().flatten().collect()
}

#[test]
fn what_stands_behind_a_rule_is_nowhere_in_clear() {
    let world = new_world(&format!("{FILE}transactions = \"maxwell\"\n"));
    let mut shop = Shop::open(&world.project());
    let running = world.start();
    wait_for(&world, "SELECT count(*) FROM sluice_diversion_rules", "0");
    shop.rule("insert", &member("Phone hash, note drop"));
    shop.users(0..50);
    let masked =
        "SELECT count(*) FROM member WHERE note IS NULL AND (phone IS NULL OR length(phone) = 64)";
    wait_for(&world, masked, "50");

    // What is refused changes neither the table nor what is masked.
    let mut wrong = member("town drop");
    wrong["sink_key"] = json!("number");
    shop.rule("update", &wrong);
    shop.users(50..100);
    let states = "SELECT state FROM sluice_diversion WHERE rule = 'member'";
    wait_for(&world, states, "refused");
    shop.users(100..150);
    wait_for(&world, masked, "150");
    let other = json!({
        "sink_table": "other", "source_table": "users", "sink_columns": "id int64, phone string",
        "masking": "phone truncate(3)",
    });
    shop.rule("insert", &other);
    let reason = "SELECT reason LIKE '%the rule `member` masks `phone` of `users` otherwise%' FROM sluice_diversion WHERE rule = 'other'";
    wait_for(&world, reason, "true");
    let mut answers = wire(&world);

    // A rule changes while nobody reads, and holds for what stands behind it.
    running.kill();
    shop.rule("update", &member("phone truncate(1), note drop, town drop"));
    shop.users(150..200);
    let running = world.start();
    wait_for(&world, "SELECT count(*) FROM member", "50");
    wait_for(&world, states, "in force");
    shop.users(200..250);
    let changed =
        "SELECT count(*) FROM member WHERE note IS NULL AND (phone IS NULL OR phone = 't')";
    wait_for(&world, changed, "100");
    answers += &wire(&world);
    shop.rule("delete", &json!({ "sink_table": "member" }));
    wait("the table is gone", || {
        world.is_answered("SELECT count(*) FROM member").is_none()
    });
    std::thread::sleep(Duration::from_millis(700));
    stop_and_find_nowhere(running, &world.state(), &answers, &SECRETS);
    succeed(&mut world.until_idle());
    succeed(&mut world.replay());
}

#[test]
fn what_is_its_own_log_masks_nothing() {
    let world = new_world(&format!("{FILE}log = \"source\"\n"));
    let mut shop = Shop::open(&world.project());
    let running = world.start();
    shop.rule("insert", &member("phone hash"));
    let mut plain = member("");
    plain["sink_table"] = json!("town");
    plain["sink_columns"] = json!("id int64, town string");
    shop.rule("insert", &plain);
    shop.users(0..10);
    wait_for(&world, "SELECT count(*) FROM town", "10");
    let reason =
        "SELECT reason LIKE 'masking: %its own log%' FROM sluice_diversion WHERE rule = 'member'";
    wait_for(&world, reason, "true");
    assert_eq!(world.is_answered("SELECT * FROM member"), None);
    assert!(running.stop().success());
}

/// How often a text stands in the log of a state.
fn times_in_log(state: &Path, text: &str) -> usize {
    let mut times = 0;
    each_file_below(&state.join("log/topics"), &mut |path: &Path| {
        let content = content_of(path);
        let parts = content.windows(text.len());
        times += parts.filter(|part| *part == text.as_bytes()).count();
    });
    times
}

/// What is said of trying the letters of a table again.
fn tried_again(world: &World, table: &str) -> String {
    let mut command = sluice();
    command
        .arg("dead-letters")
        .arg("--state")
        .arg(world.state());
    succeed(command.args(["--replay", "--table", table]))
}

#[test]
fn a_letter_from_before_a_stronger_mask_is_not_tried_again() {
    let world = new_world(&format!("{FILE}transactions = \"maxwell\"\n"));
    // A table of the project itself, whose letters stay whatever rules say.
    let people = "[table.people]\ntopic = \"shop\"\nwhen = [{ field = \"/table\", equals = \"users\" }]\nrow = \"/data\"\ncolumns = [{ name = \"id\", from = \"./id\", type = \"int64\" }]\n";
    world.sources("people", people);
    let mut shop = Shop::open(&world.project());
    let running = world.start();
    let wrong = |phone: &str, note: &str| json!({ "id": "x", "phone": phone, "note": note });
    let letters = "SELECT count(*) FROM sluice_dead_letters WHERE table_name = 'people'";
    let states = "SELECT state FROM sluice_diversion WHERE rule = 'member'";

    // In clear, as no rule speaks of it yet.
    shop.change("users", "insert", &wrong("tel-open", "note-open"));
    wait_for(&world, letters, "1");
    let said = tried_again(&world, "people");
    assert!(said.starts_with("1 records"), "{said}");
    let tried = "SELECT count(*) FROM sluice_tried_letters";
    wait_for(&world, tried, "1");
    assert_eq!(times_in_log(&world.state(), "tel-open"), 2);

    // The first mask, and a letter that was refused under it.
    shop.rule("insert", &member("phone truncate(3), note drop"));
    wait_for(&world, states, "in force");
    let weak = wrong("tel-secret-weak", "note-secret-weak");
    shop.change("users", "insert", &weak);
    wait_for(&world, letters, "2");
    let said = tried_again(&world, "people");
    assert!(said.starts_with("1 records"), "{said}");
    let why = "1 not tried: it came before a rule of diversion that masks its table";
    assert!(said.contains(why), "{said}");

    // The stronger one: neither is tried.
    shop.rule("update", &member("phone drop, note drop"));
    shop.users(1..2);
    let dropped = "SELECT count(*) FROM member WHERE phone IS NULL AND note IS NULL";
    wait_for(&world, dropped, "1");
    wait_for(&world, states, "in force");
    let before = times_in_log(&world.state(), "\"x\"");
    let said = tried_again(&world, "people");
    assert!(said.starts_with("0 records"), "{said}");
    let why = "2 not tried: it came before a rule of diversion that masks its table";
    assert!(said.contains(why), "{said}");
    shop.users(2..3);
    wait_for(&world, "SELECT count(*) FROM people", "2");
    assert_eq!(times_in_log(&world.state(), "\"x\""), before);
    assert_eq!(times_in_log(&world.state(), "tel-open"), 2);
    let answers = wire(&world);
    stop_and_find_nowhere(running, &world.state(), &answers, &SECRETS);
}

#[test]
fn exports_are_masked_as_changes_are() {
    let world = new_world(&format!("{FILE}transactions = \"maxwell\"\n"));
    let mut shop = Shop::open(&world.project());
    let running = world.start();
    shop.rule("insert", &member("Phone hash, note drop"));
    shop.users(0..10);
    wait_for(&world, "SELECT count(*) FROM member", "10");

    // Rows that changes brought already, and others with the same values.
    let export = |name: &str, ids: Range<u64>, more: u64| {
        let path = world.folder().join(name);
        let mut text = "id,phone,note,town\n".to_owned();
        for id in ids {
            let row = format!("{},tel-secret-{id},note-secret-{id},Wuhan\n", id + more);
            text.push_str(&row);
        }
        std::fs::write(&path, text).unwrap();
        let mut command = sluice();
        command.args(["backfill", "member"]).arg(path);
        command.arg("--project").arg(world.project());
        command.arg("--state").arg(world.state());
        succeed(&mut command);
    };
    export("same.csv", 0..10, 0);
    export("more.csv", 0..10, 100);
    let masked = "SELECT count(*) FROM member WHERE note IS NULL AND length(phone) = 64";
    wait_for(&world, masked, "20");
    let pairs = "SELECT count(*) FROM member a JOIN member b ON b.id = a.id + 100 AND b.phone = a.phone WHERE a.id < 10";
    assert!(world.says(pairs, "10"));
    let different = "SELECT count(DISTINCT phone) FROM member";
    assert!(world.says(different, "10"));
    let answers = wire(&world);
    std::thread::sleep(Duration::from_millis(700));
    stop_and_find_nowhere(running, &world.state(), &answers, &SECRETS);

    // The same of a warehouse that is stopped.
    export("late.csv", 0..10, 200);
    succeed(&mut world.until_idle());
    assert!(world.says(masked, "30"));
    assert!(world.says(different, "10"));
    let found = found_below(&world.state(), &SECRETS);
    assert!(found.is_empty(), "{found:#?}");
    succeed(&mut world.replay());
}

/// A note that a server stores beside its row.
fn long_note(id: u64) -> String {
    let mut state = id + 1;
    let letters = (0..8_000).map(|_| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        char::from(b'a' + ((state >> 33) % 26) as u8)
    });
    letters.collect()
}

fn insert_users(run: &dyn Fn(&str), ids: Range<u64>) {
    let row = |id: u64| {
        let more = match id < 20 {
            true => long_note(id),
            false => String::new(),
        };
        format!("({id}, 'tel-secret-{id}', 'note-secret-{id}{more}', 'Wuhan')")
    };
    let rows: Vec<String> = ids.map(row).collect();
    for part in rows.chunks(500) {
        run(&format!("INSERT INTO users VALUES {}", part.join(", ")));
    }
}

/// Says at its end, also that of a test that fails, that it is over.
struct Over<'a>(&'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Release);
    }
}

/// A rule that is there from the start masks the first copy, whose tables change at the
/// same time, in a warehouse that is killed.
fn a_first_copy_is_masked(capture: &str, run: &(dyn Fn(&str) + Sync)) {
    run(
        "CREATE TABLE users (id BIGINT PRIMARY KEY, phone VARCHAR(64), note TEXT, town VARCHAR(64))",
    );
    run(
        "CREATE TABLE warehouse_rule (sink_table VARCHAR(64) PRIMARY KEY, source_database VARCHAR(64), source_table VARCHAR(64), operation_types VARCHAR(64), sink_columns TEXT, sink_key VARCHAR(255), filter TEXT, masking TEXT, snapshot SMALLINT)",
    );
    insert_users(run, 0..3_000);
    run(
        "INSERT INTO warehouse_rule (sink_table, source_database, source_table, sink_columns, sink_key, masking) VALUES ('member', 'shop', 'users', 'id int64, phone string, note string', 'id', 'phone hash, note drop')",
    );
    let world = new_world(capture);
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for count in 0_u64.. {
                if is_over.load(Ordering::Acquire) {
                    break;
                }
                let id = count * 7 % 3_000;
                run(&format!(
                    "UPDATE users SET phone = 'tel-secret-new-{count}' WHERE id = {id}"
                ));
                std::thread::sleep(Duration::from_millis(2));
            }
        });
        let over = Over(&is_over);
        let running = world.start();
        wait("the table", || {
            world.is_answered("SELECT count(*) FROM member").is_some()
        });
        running.kill();
        let running = world.start();
        std::thread::sleep(Duration::from_millis(300));
        running.kill();
        let running = world.start();
        let masked = "SELECT count(*) FROM member WHERE length(phone) = 64 AND note IS NULL";
        wait_for(&world, masked, "3000");
        let mut answers = wire(&world);

        // Of the row of the rule a server may say no more than what changed.
        run(
            "UPDATE warehouse_rule SET masking = 'phone drop, note drop' WHERE sink_table = 'member'",
        );
        insert_users(run, 10_000..10_100);
        let dropped =
            "SELECT count(*) FROM member WHERE id >= 10000 AND phone IS NULL AND note IS NULL";
        wait_for(&world, dropped, "100");
        let states = "SELECT state FROM sluice_diversion";
        wait_for(&world, states, "in force");
        wait_for(
            &world,
            "SELECT count(*) FROM member WHERE phone IS NOT NULL",
            "0",
        );
        drop(over);
        answers += &wire(&world);
        std::thread::sleep(Duration::from_millis(700));
        stop_and_find_nowhere(running, &world.state(), &answers, &SECRETS);
    });
}

#[test]
fn mariadb_s_first_copy_is_masked() {
    let more = ["--server-id=1", "--binlog-row-image=MINIMAL"];
    let Some(server) = mysql::Server::start_as(mysql::Kind::MariaDb, &more) else {
        return;
    };
    server.run(&["CREATE DATABASE shop CHARACTER SET utf8mb4"]);
    let capture = format!(
        "kind = \"mysql\"\nhost = \"127.0.0.1\"\nport = {}\nuser = \"root\"\ntables = [\"shop.*\"]\n",
        server.address.port
    );
    a_first_copy_is_masked(&capture, &|sql| server.run(&["USE shop", sql]));
}

#[test]
fn postgresql_s_first_copy_is_masked() {
    let Some(server) = postgres::Server::start(&[]) else {
        return;
    };
    let capture = format!(
        "kind = \"postgres\"\nhost = \"127.0.0.1\"\nport = {}\ndatabase = \"shop\"\nuser = \"admin\"\npublications = [\"sluice\"]\n",
        server.address.port
    );
    a_first_copy_is_masked(&capture, &|sql| {
        server.run(sql);
    });
}
