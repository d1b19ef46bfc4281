//! Rules of diversion: rows of a table in the shop's own database, which come
//! among thousands of changes a second, make, change and stop tables of the
//! warehouse.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a test fails by panicking, and waits"
)]

mod common;
#[path = "common/shop_changes.rs"]
mod shop_changes;
#[path = "common/world.rs"]
mod world;

use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use common::{Running, request, succeed};
use parking_lot::Mutex;
use serde_json::{Value, json};
use shop_changes::{change_message, open_changes};
use world::{World, wait};

const SOURCES: &str = r#"
[topic.shop]
unplaced = "drop"
[topic.shop.capture]
kind = "file"
path = "changes.ndjson"
format = "ndjson"
transactions = "maxwell"

[diversion]
topic = "shop"
table = "warehouse_rule"
"#;

/// The shop: its changes are lines of a file.
struct Shop {
    file: Mutex<File>,
    changes: AtomicU64,
}

impl Shop {
    fn open(project: &Path) -> Self {
        Self {
            file: Mutex::new(open_changes(project)),
            changes: AtomicU64::new(0),
        }
    }

    /// One transaction of `count` changes, which `make` makes of their numbers;
    /// the number of the first.
    fn change(&self, count: u64, make: impl Fn(u64) -> (&'static str, &'static str, Value)) -> u64 {
        let mut file = self.file.lock();
        let first = self.changes.fetch_add(count, Ordering::AcqRel);
        let changes: Vec<_> = (first..first + count).map(make).collect();
        let mut lines = String::new();
        for (place, (table, kind, data)) in changes.iter().enumerate() {
            let is_last = place + 1 == changes.len();
            let change = change_message(table, kind, data, (first, place), is_last);
            lines.push_str(&format!("{change}\n"));
        }
        file.write_all(lines.as_bytes()).unwrap();
        first
    }

    /// Orders, each with the number of its change as its id.
    fn orders(&self, count: u64) {
        self.change(count, |id| {
            let status = ["new", "paid"][(id % 2) as usize];
            (
                "orders",
                "insert",
                json!({ "id": id, "status": status, "total": "1.50" }),
            )
        });
    }

    fn rule(&self, kind: &'static str, rule: Value) -> u64 {
        self.change(1, |_| ("warehouse_rule", kind, rule.clone()))
    }
}

/// Far more than the second that is promised: how long it takes is a matter of
/// benchmarks, and machines that test do other things beside it.
const RULE_TIME_MAX: Duration = Duration::from_secs(10);

/// Whether `/metrics` counts so many refused rules.
fn counts_refused(running: &Running, count: u32) -> bool {
    let url = format!("{}/metrics", running.http);
    let (status, metrics) = request("GET", &url, None, None);
    assert_eq!(status, 200, "{metrics}");
    let line = format!("sluice_diversion_refused {count}");
    metrics.lines().any(|found| found == line)
}

fn new_world() -> World {
    let world = World::with("name = \"diverted\"\n[limits]\ncheckpoint_interval_ms = 200\n");
    world.sources("shop", SOURCES);
    world
}

#[test]
fn rules_that_come_among_changes_make_change_and_stop_tables() {
    let world = new_world();
    let shop = Arc::new(Shop::open(&world.project()));
    shop.orders(2_000);
    let running = world.start();
    wait("the rules' table", || {
        world.says("SELECT count(*) FROM sluice_diversion_rules", "0")
    });

    // Thousands of changes a second, until the end.
    let is_over = Arc::new(AtomicBool::new(false));
    let (of_thread, until) = (shop.clone(), is_over.clone());
    let busy = std::thread::spawn(move || {
        while !until.load(Ordering::Acquire) {
            of_thread.orders(25);
            std::thread::sleep(Duration::from_millis(5));
        }
    });
    std::thread::sleep(Duration::from_millis(300));
    let columns = "id int64, status string, total decimal(10,2)";
    let all = json!({ "sink_table": "every_order", "source_table": "orders",
        "sink_columns": columns, "sink_key": "id", "snapshot": 1 });
    let paid = json!({ "sink_table": "paid_order", "source_table": "orders",
        "operation_types": "insert", "sink_columns": columns, "filter": "status = paid",
        "snapshot": 0 });
    shop.rule("insert", all);
    let begun = Instant::now();
    let came = shop.rule("insert", paid);
    wait("the first row of a new table", || {
        world.says("SELECT count(*) > 0 FROM paid_order", "true")
    });
    let took = begun.elapsed();
    eprintln!(
        "from a rule's commit to the first row of its table: {} ms",
        took.as_millis()
    );
    assert!(took < RULE_TIME_MAX, "{took:?}");
    assert!(counts_refused(&running, 0));

    // Wrong rules are refused, with the reason; what is in force stays.
    shop.rule(
        "insert",
        json!({ "sink_table": "wrong", "source_table": "orders", "sink_columns": "id number" }),
    );
    shop.rule(
        "update",
        json!({ "sink_table": "every_order", "source_table": "orders",
            "sink_columns": columns, "sink_key": "number" }),
    );
    let states = "SELECT rule || ' ' || state FROM sluice_diversion ORDER BY rule";
    let wanted = [
        "every_order refused",
        "paid_order in force",
        "wrong refused",
    ];
    wait("the refusals", || {
        world.is_answered(states) == Some(wanted.map(str::to_owned).to_vec())
    });
    for (rule, reason) in [
        ("wrong", "`number` is no type"),
        ("every_order", "there is no column `number`"),
    ] {
        let is_said =
            format!("SELECT reason LIKE '%{reason}%' FROM sluice_diversion WHERE rule = '{rule}'");
        assert!(world.says(&is_said, "true"), "{rule}");
    }
    wait("the metric", || counts_refused(&running, 2));
    std::thread::sleep(Duration::from_millis(300));
    is_over.store(true, Ordering::Release);
    busy.join().unwrap();

    // Every row there is, and every row that came after the rule.
    let rules = 4;
    let orders = shop.changes.load(Ordering::Acquire) - rules;
    wait("all orders", || {
        world.says("SELECT count(*) FROM every_order", &orders.to_string())
    });
    let file = std::fs::read_to_string(world.project().join("changes.ndjson")).unwrap();
    let changes = file
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap());
    let ids: Vec<u64> = changes
        .filter(|change| change["table"] == "orders" && change["data"]["status"] == "paid")
        .map(|change| change["data"]["id"].as_u64().unwrap())
        .filter(|id| *id > came)
        .collect();
    let missing = format!("SELECT count(*) FROM paid_order WHERE id > {came}");
    wait("paid orders", || {
        world.says(&missing, &ids.len().to_string())
    });
    let before = "SELECT count(*) FROM paid_order WHERE id < 2000";
    assert!(world.says(before, "0"), "it has what came long before");

    // After a kill it is the same; then a rule changes, and one is deleted.
    let said = running.kill();
    assert!(!said.contains("computing everything again"), "{said}");
    let running = world.start();
    wait("paid orders", || {
        world.says(&missing, &ids.len().to_string())
    });
    shop.rule(
        "update",
        json!({ "sink_table": "every_order", "source_table": "orders",
            "sink_columns": "id int64, state string from status", "sink_key": "id" }),
    );
    shop.rule("delete", json!({ "sink_table": "paid_order" }));
    wait("the new column", || {
        world.is_answered("SELECT count(state) FROM every_order") == Some(vec![orders.to_string()])
    });
    wait("the table is gone", || {
        world
            .is_answered("SELECT count(*) FROM paid_order")
            .is_none()
    });
    wait("the metric", || counts_refused(&running, 1));
    running.kill();
    succeed(&mut world.until_idle());
    succeed(&mut world.replay());
}
