//! Exports are brought to tables of a warehouse that captures the same shop, running
//! or stopped: what a table never had comes in, once, and nothing moves backwards.

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
#[path = "common/shop_changes.rs"]
mod shop_changes;
#[path = "common/world.rs"]
mod world;

use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use arrow::array::{
    ArrayRef, Decimal128Array, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray,
};
use common::{ask, fail, sluice, succeed};
use found_below::found_below;
use parking_lot::Mutex;
use parquet::arrow::ArrowWriter;
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
[topic.shop.mask.tables."shop.orders"]
Memo = "hash"

[table.orders]
topic = "shop"
when = [{ field = "/table", equals = "orders" }]
row = "/data"
before = "/old"
primary_key = ["id"]
VERSION
change_kind = { field = "/type", insert = ["insert", "bootstrap-insert"], update = ["update"], delete = ["delete"] }
columns = [
  { name = "id", from = "./id", type = "int64" },
  { name = "status", from = "./status", type = "string" },
  { name = "total", from = "./total", type = "decimal(12,2)" },
  { name = "memo", from = "./memo", type = "string", missing = "null" },
  { name = "ordered_at", from = "./created", type = "timestamp", format = "%Y-%m-%d %H:%M:%S", time_zone = "Asia/Shanghai", missing = "null" },
]

[table.visits]
topic = "shop"
when = [{ field = "/table", equals = "visits" }]
row = "/data"
columns = [{ name = "id", from = "./id", type = "int64" }]
"#;

/// The shop: transactions in a file, which may be written line by line.
struct Shop {
    file: Mutex<File>,
    next: std::sync::atomic::AtomicU64,
}

impl Shop {
    fn open(project: &Path) -> Self {
        Self {
            file: Mutex::new(open_changes(project)),
            // Versions begin with that of a first copy.
            next: 0.into(),
        }
    }

    /// A transaction; between its lines others have time.
    fn write(&self, changes: &[(&str, Value)], pause: Duration) {
        let mut file = self.file.lock();
        let xid = self.next.fetch_add(1, Ordering::AcqRel);
        for (place, (kind, data)) in changes.iter().enumerate() {
            let is_last = place + 1 == changes.len();
            let change = change_message("orders", kind, data, (xid, place), is_last);
            writeln!(file, "{change}").unwrap();
            std::thread::sleep(pause);
        }
    }

    fn change(&self, kind: &str, id: u64, status: &str) {
        self.write(&[(kind, order(id, status))], Duration::ZERO);
    }
}

fn order(id: u64, status: &str) -> Value {
    json!({
        "id": id, "status": status, "total": "5.00", "memo": "plain words",
        "created": "2026-01-01 08:00:00",
    })
}

fn backfill(world: &World, table: &str, path: &Path) -> Command {
    let mut command = sluice();
    command.args(["backfill", table]).arg(path);
    command.arg("--project").arg(world.project());
    command.arg("--state").arg(world.state());
    command
}

fn write_parquet(path: &Path, first: i64, count: i64) {
    let ids = first..first + count;
    let totals = Decimal128Array::from_iter_values(ids.clone().map(|id| i128::from(id) * 101));
    let totals = totals.with_precision_and_scale(12, 2).unwrap();
    let statuses = ids.clone().map(|_| "archived");
    let memos = ids.clone().map(|id| format!("plain words {id}"));
    // Without a zone: that of the source.
    let times = ids.clone().map(|id| id * 1_000_000);
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("id", Arc::new(Int64Array::from_iter_values(ids))),
        ("status", Arc::new(StringArray::from_iter_values(statuses))),
        ("total", Arc::new(totals)),
        ("memo", Arc::new(StringArray::from_iter_values(memos))),
        (
            "created",
            Arc::new(TimestampMicrosecondArray::from_iter_values(times)),
        ),
    ];
    let rows = RecordBatch::try_from_iter(columns).unwrap();
    let file = File::create(path).unwrap();
    let mut writer = ArrowWriter::try_new(file, rows.schema(), None).unwrap();
    writer.write(&rows).unwrap();
    writer.close().unwrap();
}

/// What nobody may read is nowhere on disk.
fn is_masked(world: &World) {
    let found = found_below(&world.state(), &["plain words", "Secret"]);
    assert!(found.is_empty(), "{found:?}");
}

fn new_world(version: &str) -> World {
    let world = World::with("name = \"filled\"\n[limits]\ncheckpoint_interval_ms = 200\n");
    world.sources("shop", &SOURCES.replace("VERSION", version));
    world.model(
        "by_status",
        "CREATE MATERIALIZED VIEW by_status AS SELECT status, count(*) AS orders, sum(total) AS total FROM orders GROUP BY status",
    );
    world
}

fn filled_up_while_changes_flow(version: &str) {
    let world = new_world(version);
    let shop = Arc::new(Shop::open(&world.project()));
    let running = world.start();
    for id in 1..=10 {
        shop.change("insert", id, "new");
    }
    shop.change("update", 3, "paid");
    shop.change("delete", 5, "new");
    wait("the orders", || {
        world.says("SELECT count(*) FROM orders", "9")
    });

    // Exports of before: of orders that changed or went since, and of others.
    let exports = world.folder().join("exports");
    std::fs::create_dir(&exports).unwrap();
    let mut text = "id,status,total,memo,created,more\n".to_owned();
    for id in 1..=20 {
        text.push_str(&format!(
            "{id},old,{id}.25,plain words,2025-06-01 00:00:{id:02},Secret{id}\n"
        ));
    }
    std::fs::write(exports.join("1.csv"), text).unwrap();
    write_parquet(&exports.join("2.parquet"), 1_000, 8_000);

    // Transactions that are open most of the time, and orders that only move.
    let (is_over, of_thread) = (Arc::new(AtomicBool::new(false)), shop.clone());
    let until = is_over.clone();
    let busy = std::thread::spawn(move || {
        let mut round = 0;
        while !until.load(Ordering::Acquire) {
            round += 1;
            let states = [["left", "right"], ["right", "left"]][round % 2];
            let changes = [
                ("update", order(100_000, states[0])),
                ("update", order(100_001, states[1])),
            ];
            of_thread.write(&changes, Duration::from_millis(3));
        }
        round
    });
    let halves = "SELECT count(*) FROM by_status WHERE status IN ('left', 'right') AND orders = 1";
    wait("both halves", || world.says(halves, "2"));
    succeed(&mut backfill(&world, "orders", &exports));
    wait("the archive", || {
        let whole = ask(&world.state(), halves);
        assert_eq!(whole, ["2"], "a reader saw half a transaction");
        world.says(
            "SELECT count(*) FROM orders WHERE status = 'archived'",
            "8000",
        )
    });
    let states = "SELECT id, status, total FROM orders WHERE id <= 20 ORDER BY id";
    let wanted: Vec<String> = (1..=20_u64)
        .filter(|id| *id != 5)
        .map(|id| match id {
            3 => "3,paid,5.00".to_owned(),
            1..=10 => format!("{id},new,5.00"),
            _ => format!("{id},old,{id}.25"),
        })
        .collect();
    assert_eq!(ask(&world.state(), states), wanted);
    // Money, times and masks are those of changes.
    let one = "SELECT total, CAST(ordered_at AS VARCHAR) LIKE '1969-12-31%16:16:40%', length(memo) FROM orders WHERE id = 1000";
    assert_eq!(ask(&world.state(), one), ["1010.00,true,64"]);
    let csv = "SELECT CAST(ordered_at AS VARCHAR) LIKE '2025-05-31%16:00:11%', length(memo) FROM orders WHERE id = 11";
    assert_eq!(ask(&world.state(), csv), ["true,64"]);

    // Later changes of what came in count; bringing it again changes nothing.
    shop.change("update", 11, "returned");
    shop.change("delete", 12, "old");
    let late = "SELECT count(*), max(status) FROM orders WHERE id IN (11, 12)";
    wait("later changes", || world.says(late, "1,returned"));
    succeed(&mut backfill(&world, "orders", &exports));
    // Of two exports the later one counts.
    let newer = world.folder().join("newer.csv");
    let text = "id,status,total\n11,newer,1.00\n13,newer,1.00\n";
    std::fs::write(&newer, text).unwrap();
    succeed(&mut backfill(&world, "orders", &newer));
    shop.change("insert", 50, "new");
    wait("what came behind it", || {
        world.says("SELECT count(*) FROM orders WHERE id = 50", "1")
    });
    assert_eq!(ask(&world.state(), late), ["1,returned"]);
    let of_two = "SELECT status FROM orders WHERE id IN (5, 13)";
    assert_eq!(ask(&world.state(), of_two), ["newer"]);
    is_over.store(true, Ordering::Release);
    assert!(busy.join().unwrap() > 10);
    let letters = "SELECT count(*) FROM sluice_dead_letters";
    assert_eq!(ask(&world.state(), letters), ["0"]);

    // What does not fit is refused before anything is sent.
    let wrong = world.folder().join("wrong.csv");
    std::fs::write(&wrong, "status,total\nold,1\n").unwrap();
    let said = fail(&mut backfill(&world, "orders", &wrong), 1);
    assert!(said.contains("column `id` of table `orders`"), "{said}");
    let said = fail(&mut backfill(&world, "order", &wrong), 1);
    assert!(said.contains("there is no table `order`"), "{said}");

    // A kill, and a replay, give the same; the clear text is nowhere.
    let rows = "SELECT count(*), sum(total), count(memo) FROM orders WHERE id < 100000";
    let known = ask(&world.state(), rows);
    running.kill();
    let running = world.start();
    wait("the same rows", || {
        world.is_answered(rows) == Some(known.clone())
    });
    assert_eq!(ask(&world.state(), late), ["1,returned"]);
    assert!(running.stop().success());
    succeed(&mut world.replay());
    is_masked(&world);
}

#[test]
fn exports_fill_up_a_table_that_goes_by_the_order_of_the_log() {
    filled_up_while_changes_flow("");
}

#[test]
fn exports_fill_up_a_table_that_goes_by_versions() {
    filled_up_while_changes_flow("version = [\"/xid\", \"/xoffset\"]");
}

#[test]
fn exports_are_brought_to_a_stopped_warehouse_and_come_once() {
    let world = new_world("");
    let shop = Shop::open(&world.project());
    shop.change("insert", 1, "new");
    let visits = world.folder().join("visits.csv");
    std::fs::write(&visits, "id\n7\n7\n8\nx\n").unwrap();
    let said = fail(&mut backfill(&world, "visits", &visits), 2);
    assert!(said.contains("there is no warehouse state"), "{said}");
    succeed(&mut world.until_idle());

    let orders = world.folder().join("orders.csv");
    let text = "id,status,total,memo\n1,old,1.00,plain words\n2,old,2.00,plain words\n";
    std::fs::write(&orders, text).unwrap();
    succeed(&mut backfill(&world, "orders", &orders));
    succeed(&mut backfill(&world, "visits", &visits));
    succeed(&mut backfill(&world, "visits", &visits));
    succeed(&mut world.until_idle());
    let rows = "SELECT id, status, length(memo) FROM orders ORDER BY id";
    assert_eq!(ask(&world.state(), rows), ["1,new,64", "2,old,64"]);
    // Twice in the file is twice in the table, brought twice is not.
    let counts = "SELECT id, count(*) FROM visits GROUP BY id ORDER BY id";
    assert_eq!(ask(&world.state(), counts), ["7,2", "8,1"]);
    let letters = "SELECT table_name, column_name, payload FROM sluice_dead_letters";
    assert_eq!(ask(&world.state(), letters).len(), 1);

    // The running one knows what the stopped one took.
    let running = world.start();
    succeed(&mut backfill(&world, "visits", &visits));
    let more = world.folder().join("more.csv");
    std::fs::write(&more, "id\n9\n").unwrap();
    succeed(&mut backfill(&world, "visits", &more));
    wait("the other export", || {
        world.says("SELECT count(*) FROM visits WHERE id = 9", "1")
    });
    assert_eq!(ask(&world.state(), counts), ["7,2", "8,1", "9,1"]);
    assert!(running.stop().success());
    succeed(&mut world.replay());
    is_masked(&world);
}
