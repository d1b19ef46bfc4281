//! Clients that send everything again until it is acknowledged, to a warehouse
//! that is killed again and again: nothing is lost and nothing counts twice.
//!
//! `SLUICE_RETRIES_RECORDS` and `SLUICE_RETRIES_KILLS` make the test larger.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a test fails by panicking, waits, and starts its own threads"
)]

mod common;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use common::{Running, all_rows, root, run_command, succeed};
use sluice_shop::{Message, Shop, ShopOptions, Topic};

/// A moment in the past, so that no record is ahead of the clock.
const START_US: i64 = 1_760_000_000_000_000;
/// Lines of one request.
const LINES: usize = 300;

fn from_environment(name: &str, default: u64) -> u64 {
    let text = std::env::var(name).unwrap_or_default();
    text.parse().unwrap_or(default)
}

/// About `count` messages of a shop, as the bodies of requests to each topic.
fn bodies(count: u64) -> [(Topic, Vec<String>); 2] {
    let mut options = ShopOptions::new(11, START_US);
    options.messages_per_second = count as f64 / 36_000.0;
    let mut shop = Shop::new(options).unwrap();
    let mut messages = Vec::new();
    let mut now_us = START_US;
    while (messages.len() as u64) < count {
        now_us += 600_000_000;
        shop.advance(now_us, &mut messages);
    }
    [Topic::ShopDb, Topic::AppLog].map(|topic| {
        let of_topic: Vec<&Message> = messages.iter().filter(|it| it.topic == topic).collect();
        let chunks = of_topic.chunks(LINES).map(|chunk| {
            let lines: Vec<&str> = chunk.iter().map(|it| it.payload.as_str()).collect();
            lines.join("\n")
        });
        (topic, chunks.collect())
    })
}

/// Sends the bodies in order, each until it is acknowledged. Returns how many
/// attempts failed.
fn send(topic: Topic, bodies: &[String], port: &AtomicU64) -> u64 {
    let config = ureq::Agent::config_builder().timeout_global(Some(Duration::from_secs(20)));
    let agent = ureq::Agent::from(config.build());
    let mut failed = 0;
    for body in bodies {
        let post = || {
            let port = port.load(Ordering::Acquire);
            let address = format!("http://127.0.0.1:{port}/collect/{}", topic.name());
            agent.post(&address).send(body.as_str())
        };
        while let Err(error) = post() {
            failed += 1;
            assert!(failed < 100_000, "nobody listens any more: {error}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
    failed
}

fn http_port(state: &Path) -> u64 {
    let text = std::fs::read_to_string(state.join("address.json")).unwrap();
    let address: serde_json::Value = serde_json::from_str(&text).unwrap();
    let http = address["http"].as_str().unwrap();
    http.rsplit(':').next().unwrap().parse().unwrap()
}

fn start(state: &Path) -> (Running, u64) {
    // A killed process leaves its address behind.
    let _ = std::fs::remove_file(state.join("address.json"));
    let more = ["--set", "limits.checkpoint_interval_ms=300"];
    let running = Running::start(&root().join("warehouse"), state, &more);
    let port = http_port(state);
    (running, port)
}

/// Ends the warehouse, with every durable record in an epoch.
fn finish(running: Running, state: &Path) {
    assert!(running.stop().success());
    let mut command = run_command(&root().join("warehouse"), state);
    succeed(command.arg("--until-idle"));
}

#[test]
fn retries_and_kills_lose_nothing_and_double_nothing() {
    let bodies = bodies(from_environment("SLUICE_RETRIES_RECORDS", 20_000));
    let kills = from_environment("SLUICE_RETRIES_KILLS", 4);
    let folder = tempfile::tempdir().unwrap();
    let (calm, disturbed) = (folder.path().join("calm"), folder.path().join("disturbed"));

    let (running, port) = start(&calm);
    let port_of_calm = AtomicU64::new(port);
    for (topic, bodies) in &bodies {
        assert_eq!(send(*topic, bodies, &port_of_calm), 0);
    }
    finish(running, &calm);

    let (running, port) = start(&disturbed);
    let shared_port = Arc::new(AtomicU64::new(port));
    let senders = bodies.map(|(topic, bodies)| {
        let port = shared_port.clone();
        std::thread::spawn(move || send(topic, &bodies, &port))
    });
    let mut running = running;
    let mut killed = 0;
    let mut pause_ms = 137;
    while killed < kills && senders.iter().any(|sender| !sender.is_finished()) {
        pause_ms = pause_ms * 7 % 1_009;
        std::thread::sleep(Duration::from_millis(100 + pause_ms));
        running.child.kill().unwrap();
        running.child.wait().unwrap();
        let (restarted, port) = start(&disturbed);
        running = restarted;
        shared_port.store(port, Ordering::Release);
        killed += 1;
    }
    let failed: u64 = senders.map(|sender| sender.join().unwrap()).iter().sum();
    finish(running, &disturbed);
    assert!(killed > 0, "everything was sent before the first kill");
    println!("{killed} kills, {failed} attempts failed");

    let mut expected = all_rows(&calm);
    let mut found = all_rows(&disturbed);
    // A record that cannot be read has no key: sent twice, it is told of twice. A
    // value that comes and goes within an epoch needs no id, and how records fall
    // into epochs is not the same in two runs.
    for rows in [&mut expected, &mut found] {
        rows.remove("sluice_dead_letters");
        rows.remove("sluice_uniq_ids");
    }
    assert_eq!(
        expected.keys().collect::<Vec<_>>(),
        found.keys().collect::<Vec<_>>()
    );
    let rows: usize = expected.values().map(Vec::len).sum();
    assert!(rows > 10_000, "only {rows} rows were compared");
    println!(
        "{rows} rows of {} tables and views compared",
        expected.len()
    );
    for (name, rows) in &expected {
        let other = &found[name];
        let first = rows.iter().zip(other).find(|(left, right)| left != right);
        assert!(
            rows == other,
            "{name}: {} rows without kills, {} with; first difference: {first:?}",
            rows.len(),
            other.len()
        );
    }
}
