//! Panels that a client saves: what is refused before they are kept, and where.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a test fails by panicking, waits, and asks from threads of its own"
)]

mod common;

use std::net::SocketAddr;
use std::sync::{Arc, mpsc};
use std::time::Duration;

use common::client::{Answer, request};
use common::{COUNT_PANEL, Options, Server};
use serde_json::json;
use sluice_serve::KeepPanels;

/// What is not there by then waits for something.
const PATIENCE: Duration = Duration::from_millis(300);

/// Nothing of these tests comes so far.
#[derive(Debug)]
struct NoKeeper;

impl KeepPanels for NoKeeper {
    fn keep(&self, name: &str, _text: &str) -> Result<(), String> {
        Err(format!("`{name}` is kept"))
    }

    fn remove(&self, name: &str) -> Result<(), String> {
        Err(format!("`{name}` is removed"))
    }
}

/// Saves a panel whose query is wrong.
fn save(address: SocketAddr, name: &str) -> Answer {
    let panel = json!({
        "name": name,
        "title": { "en": "x", "zh": "x" },
        "subject": "x",
        "chart": "table",
        "query": "SELECT nothing FROM orders",
    });
    let head = [("Content-Type", "application/json")];
    let body = panel.to_string();
    request(address, "POST", "/api/v1/panels", &head, body.as_bytes())
}

#[test]
fn a_name_that_is_taken_is_refused_before_anything_is_planned() {
    let server = Server::start_with(Options::with_panels(&[("count", COUNT_PANEL)]));
    server.state.set_panel_keeper(Arc::new(NoKeeper));
    assert_eq!(save(server.address, "count").status, 409);
    assert_eq!(save(server.address, "other").status, 400);
}

#[test]
fn a_panel_is_planned_on_the_threads_for_answers() {
    let threads = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap();
    let mut options = Options::default();
    options.query.threads = Some(threads.handle().clone());
    let server = Server::start_with(options);
    server.state.set_panel_keeper(Arc::new(NoKeeper));
    // The only one of them is busy.
    let (done, busy) = mpsc::channel::<()>();
    threads.spawn(async move {
        let _ = busy.recv();
    });
    let address = server.address;
    let asked = std::thread::spawn(move || save(address, "mine"));
    std::thread::sleep(PATIENCE);
    assert!(!asked.is_finished());
    done.send(()).unwrap();
    assert_eq!(asked.join().unwrap().status, 400);
}
