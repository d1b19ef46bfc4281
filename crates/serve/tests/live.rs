//! Live changes: a snapshot and the deltas after it are always what is there,
//! whatever the writer, the reader and the network do.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod common;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use common::client::{Event, Events, encode, get, rows};
use common::{Options, Order, Server, order_delta, stock_delta};
use serde_json::{Value, json};
use sluice_core::Random;
use sluice_serve::QueryOptions;

/// What a client knows of one view, from events alone.
#[derive(Debug, Default)]
struct Known {
    epoch: u64,
    rows: BTreeMap<String, i64>,
}

impl Known {
    fn add(&mut self, row: &Value, weight: i64) {
        let row = row.to_string();
        let count = self.rows.entry(row.clone()).or_default();
        *count += weight;
        assert!(*count >= 0, "{row} was removed but never there");
        if *count == 0 {
            self.rows.remove(&row);
        }
    }
}

#[derive(Debug, Default)]
struct Client {
    views: BTreeMap<String, Known>,
    resets: usize,
    snapshots: usize,
}

impl Client {
    /// Takes one event; its epoch.
    fn take(&mut self, event: &Event) -> u64 {
        if event.kind == "reset" {
            self.resets += 1;
            self.views.clear();
            return 0;
        }
        let view = event.data["view"].as_str().unwrap();
        let epoch = event.data["epoch"].as_u64().unwrap();
        assert_eq!(event.id, Some(epoch));
        match event.kind.as_str() {
            "snapshot" => {
                self.snapshots += 1;
                let mut known = Known {
                    epoch,
                    ..Known::default()
                };
                for row in event.data["rows"].as_array().unwrap() {
                    known.add(row, 1);
                }
                let before = self.views.insert(view.to_owned(), known);
                assert!(before.is_none(), "a second snapshot of {view}");
            }
            "delta" => {
                let known = self.views.get_mut(view).unwrap();
                assert!(epoch > known.epoch, "{view}: {epoch} after {}", known.epoch);
                known.epoch = epoch;
                for change in event.data["changes"].as_array().unwrap() {
                    known.add(&change[1], change[0].as_i64().unwrap());
                }
            }
            other => panic!("unexpected event {other}: {}", event.data),
        }
        epoch
    }

    fn follow(&mut self, events: &mut Events, view: &str, last_epoch: u64) {
        let is_there = |client: &Self| {
            let known = client.views.get(view);
            known.is_some_and(|known| known.epoch >= last_epoch)
        };
        while !is_there(self) {
            self.take(&events.next());
        }
    }
}

fn counted(rows: &Value) -> BTreeMap<String, i64> {
    let mut counts = BTreeMap::new();
    for row in rows.as_array().unwrap() {
        *counts.entry(row.to_string()).or_default() += 1;
    }
    counts
}

/// Random inserts, updates and removals of few keys, so that many meet.
fn random_changes(
    random: &mut Random,
    orders: &mut BTreeMap<i64, Order>,
    count: u64,
) -> Vec<(Order, i64)> {
    let mut changes = Vec::new();
    let mut touched = Vec::new();
    for _ in 0..=random.below(count) {
        let id = random.below(300) as i64;
        if touched.contains(&id) {
            continue;
        }
        touched.push(id);
        if let Some(old) = orders.remove(&id) {
            changes.push((old, -1));
        }
        if random.below(4) > 0 {
            let buyer = ["", "ann", "b\"ob", "çelik"][random.below(4) as usize];
            let order = (id, buyer.to_owned(), random.below(200_000) as i64);
            orders.insert(id, order.clone());
            changes.push((order, 1));
        }
    }
    changes
}

#[test]
fn snapshot_and_deltas_always_line_up() {
    for seed in [3, 17, 4_242] {
        let server = Server::start();
        let address = server.address;
        let condition = "amount > 500 AND buyer IS NOT NULL";
        let filtered = format!("orders?filter.orders={}", encode(condition));
        let is_done = AtomicBool::new(false);
        let epochs = 600;
        std::thread::scope(|scope| {
            let shop = server.shop.clone();
            let is_done = &is_done;
            scope.spawn(move || {
                let mut random = Random(seed);
                let mut orders = BTreeMap::new();
                for epoch in 1..=epochs {
                    let mut deltas = BTreeMap::new();
                    let changes = random_changes(&mut random, &mut orders, 20);
                    // The last epoch changes everything, so that all see it.
                    if epoch == epochs || (!changes.is_empty() && random.below(3) > 0) {
                        let mut changes = order_delta(&changes);
                        if epoch == epochs {
                            let last = ((1_000, "last".to_owned(), 100_000), 1);
                            let all = [changes.clone(), order_delta(&[last])];
                            changes = sluice_core::Delta::concat(&changes.schema(), &all).unwrap();
                        }
                        deltas.insert("orders".to_owned(), changes);
                    } else {
                        for (order, weight) in changes {
                            match weight {
                                1 => orders.remove(&order.0),
                                _ => orders.insert(order.0, order),
                            };
                        }
                    }
                    if epoch == epochs || random.below(2) == 0 {
                        let visit = ("x", random.below(3) as i32, 1);
                        deltas.insert("visits".to_owned(), stock_delta(&[visit, visit]));
                    }
                    shop.apply(deltas);
                    if random.below(8) == 0 {
                        std::thread::sleep(Duration::from_millis(random.below(4)));
                    }
                }
                is_done.store(true, Ordering::Release);
            });
            for number in 0..6 {
                let filtered = &filtered;
                scope.spawn(move || {
                    let mut random = Random(seed * 100 + number + 1);
                    std::thread::sleep(Duration::from_millis(random.below(300)));
                    let path = if number == 0 {
                        filtered
                    } else {
                        "visits,orders"
                    };
                    let mut events = Events::open(address, path).unwrap();
                    let mut client = Client::default();
                    client.follow(&mut events, "orders", epochs);
                    if number == 0 {
                        let statement = format!("SELECT * FROM orders WHERE {condition}");
                        let expected = counted(&rows(address, &statement));
                        assert_eq!(client.views["orders"].rows, expected);
                        return;
                    }
                    client.follow(&mut events, "visits", epochs);
                    for (view, known) in &client.views {
                        let expected = rows(address, &format!("SELECT * FROM {view}"));
                        assert_eq!(known.rows, counted(&expected), "{view}, seed {seed}");
                    }
                    assert_eq!(client.snapshots, 2 * (1 + client.resets));
                });
            }
        });
        assert!(is_done.load(Ordering::Acquire));
    }
}

#[test]
fn who_is_too_slow_begins_again() {
    let server = Server::start();
    let mut slow = Events::open(server.address, "orders").unwrap();
    let mut other = Events::open(server.address, "visits").unwrap();
    let row = |id: i64, version: i64| (id, "x".repeat(200), version);
    let count = 400;
    let epochs = 700;
    for epoch in 1..=epochs {
        let old = (0..count).map(|id| (row(id, epoch - 1), -1));
        let new = (0..count).map(|id| (row(id, epoch), 1));
        let changes: Vec<(Order, i64)> = match epoch {
            1 => new.collect(),
            _ => old.chain(new).collect(),
        };
        server.shop.apply_orders(&changes);
    }
    // Others are not held up.
    let epoch = server.shop.apply(BTreeMap::from([(
        "visits".to_owned(),
        stock_delta(&[("x", 1, 1)]),
    )]));
    let mut client = Client::default();
    client.follow(&mut other, "visits", epoch);
    // It finds its way back although its connection is broken off in between.
    let mut client = Client::default();
    client.follow(&mut slow, "orders", epochs as u64);
    assert!(client.resets > 0, "the client was not slow enough");
    let expected = rows(server.address, "SELECT * FROM orders");
    assert_eq!(client.views["orders"].rows, counted(&expected));
    // And goes on.
    let epoch = server.shop.apply_orders(&[(row(0, epochs), -1)]);
    client.follow(&mut slow, "orders", epoch);
    assert_eq!(client.views["orders"].rows.len() as i64, count - 1);
}

#[test]
fn a_client_chooses_what_it_gets() {
    let server = Server::start();
    let address = server.address;
    server
        .shop
        .apply_orders(&[((1, "ann".to_owned(), 5), 1), ((2, String::new(), 500), 1)]);
    let path = format!(
        "orders,visits?filter.orders={}&snapshot.visits=none",
        encode("amount >= 1")
    );
    let mut events = Events::open(address, &path).unwrap();
    let first = events.next();
    assert_eq!((first.kind.as_str(), first.id), ("snapshot", Some(1)));
    assert_eq!(
        first.data["columns"][0],
        json!({"name": "id", "type": "Int64"})
    );
    assert_eq!(first.data["rows"].as_array().unwrap().len(), 1);
    let columns_only = events.next();
    assert_eq!(
        (columns_only.kind.as_str(), columns_only.id),
        ("snapshot", Some(1))
    );
    assert_eq!(columns_only.data["view"], "visits");
    assert_eq!(columns_only.data["rows"], json!([]));
    // Nothing of this passes the filter.
    server.shop.apply_orders(&[((1, "ann".to_owned(), 5), -1)]);
    server.shop.apply(BTreeMap::from([
        ("visits".to_owned(), stock_delta(&[("x", 0, 3)])),
        (
            "orders".to_owned(),
            order_delta(&[
                ((2, String::new(), 500), -1),
                ((2, String::new(), 90), 1),
                ((9, "zoe".to_owned(), 100), 1),
            ]),
        ),
    ]));
    let delta = events.next();
    assert_eq!((delta.kind.as_str(), delta.id), ("delta", Some(3)));
    assert_eq!(delta.data["view"], "orders");
    let changes = delta.data["changes"].as_array().unwrap();
    let short: Vec<(i64, &str)> = changes
        .iter()
        .map(|change| {
            let amount = change[1][2].as_str().unwrap();
            (change[0].as_i64().unwrap(), amount)
        })
        .collect();
    assert_eq!(short, [(-1, "5.00"), (1, "1.00")]);
    let visit = events.next();
    assert_eq!(
        visit.data,
        json!({"view": "visits", "epoch": 3, "changes": [[1, ["x", "1970-01-01", 3]]]})
    );
}

/// Order 600 is of 18:00 in Shanghai, order 1000 of the next day.
#[test]
fn a_filter_means_what_it_means_in_a_query() {
    let query = QueryOptions {
        time_zone: "Asia/Shanghai".to_owned(),
        ..QueryOptions::default()
    };
    let server = Server::start_with(Options {
        query,
        ..Options::default()
    });
    let order = |id: i64| ((id, "a".to_owned(), 100), 1);
    server.shop.apply_orders(&[order(600), order(1_000)]);
    for (filter, wanted) in [
        ("at::date = '1970-01-02'", 1_000),
        ("at >= TIMESTAMP '1970-01-02 00:40:00'", 1_000),
        ("at < DATE '1970-01-02'", 600),
        ("extract(hour FROM at) = 18", 600),
        (
            "at AT TIME ZONE 'Asia/Shanghai' AT TIME ZONE 'UTC' = TIMESTAMPTZ '1970-01-01 18:00:00Z'",
            600,
        ),
        ("'1970-01-02 00:40:00' AT TIME ZONE 'UTC' = at", 1_000),
        ("(id, buyer) = (600, 'a')", 600),
        ("NOT id = ANY (ARRAY[600])", 1_000),
        (
            "CASE WHEN id = 600 THEN false ELSE 1 / (id - 600) = 0 END",
            1_000,
        ),
    ] {
        let path = format!("orders?filter.orders={}", encode(filter));
        let mut events = Events::open(server.address, &path).unwrap();
        let snapshot = events.next();
        let rows = snapshot.data["rows"].as_array().unwrap();
        let ids: Vec<&Value> = rows.iter().map(|row| &row[0]).collect();
        assert_eq!(ids, [&json!(wanted)], "{filter}");
        let asked = rows_of_query(&server, filter);
        assert_eq!(snapshot.data["rows"], asked, "{filter}");
    }
    // Changes are chosen as the snapshot is.
    let path = format!("orders?filter.orders={}", encode("at::date = '1970-01-02'"));
    let mut events = Events::open(server.address, &path).unwrap();
    events.next();
    server.shop.apply_orders(&[order(601), order(1_001)]);
    let changes = events.next().data["changes"].clone();
    assert_eq!(changes.as_array().unwrap().len(), 1);
    assert_eq!(changes[0][1][0], json!(1_001));
}

fn rows_of_query(server: &Server, condition: &str) -> Value {
    let sql = format!("SELECT * FROM orders WHERE {condition}");
    rows(server.address, &sql)
}

#[test]
fn wrong_wishes_are_explained() {
    let mut options = Options::default();
    options.http.watchers_max = 2;
    options.http.watched_views_max = 3;
    let server = Server::start_with(options);
    let address = server.address;
    for (path, status, part) in [
        ("nowhere", 404, "nowhere"),
        ("big_orders", 404, "big_orders"),
        (",", 400, "name 1 to 3 views"),
        ("orders,visits,stock,other_orders", 400, "name 1 to 3 views"),
        ("orders?filter.orders=amount", 400, "not a condition"),
        ("orders?filter.orders=nothing%20%3E%201", 400, "nothing"),
        ("orders?filter.orders=%3B%20DROP", 400, "filter.orders"),
        ("orders?filter.orders=max(id)%20%3E%201", 400, "of one row"),
        ("orders?filter.orders=at%20%3C%20now()", 400, "no now()"),
        (
            "orders?filter.orders=id%20IN%20(SELECT%201)",
            400,
            "of one row",
        ),
        ("orders?filter.visits=true", 400, "filter.visits"),
        ("orders?snapshot.orders=half", 400, "all or none"),
        ("orders?other=1", 400, "other"),
    ] {
        let answer = Events::open(address, path).err().unwrap();
        assert_eq!(answer.status, status, "{path}: {}", answer.text());
        assert!(answer.problem().contains(part), "{path}: {}", answer.text());
    }
    let first = Events::open(address, "orders").unwrap();
    let _second = Events::open(address, "orders").unwrap();
    let refused = Events::open(address, "orders").err().unwrap();
    assert_eq!(refused.status, 503);
    assert_eq!(refused.header("retry-after"), Some("1"));
    // A place is free again when a client leaves.
    drop(first);
    for attempt in 0.. {
        if Events::open(address, "orders").is_ok() {
            break;
        }
        assert!(attempt < 500, "the place of a client who left is not free");
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn quiet_connections_show_that_they_live() {
    let mut options = Options::default();
    options.http.heartbeat_time = Duration::from_millis(20);
    let server = Server::start_with(options);
    let mut events = Events::open(server.address, "orders").unwrap();
    events.next();
    std::thread::sleep(Duration::from_millis(300));
    server.shop.apply_orders(&[((1, "ann".to_owned(), 5), 1)]);
    assert_eq!(events.next().kind, "delta");
    assert!(events.comments >= 2, "{} comments", events.comments);
    assert!(
        get(server.address, "/metrics")
            .text()
            .contains("sluice_live_watchers 1\n")
    );
}
