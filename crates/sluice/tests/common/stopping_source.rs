//! A source that stops when a test wants it to, and the alarm of it that is shipped.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::common::root;

/// An address with orders, which stops to answer when it is told to.
pub fn shop(is_down: Arc<AtomicBool>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/orders", listener.local_addr().unwrap());
    std::thread::Builder::new()
        .spawn(move || {
            for stream in listener.incoming() {
                let mut reader = BufReader::new(stream.unwrap());
                let mut line = String::new();
                while reader.read_line(&mut line).is_ok_and(|read| read > 2) {
                    line.clear();
                }
                let (status, body) = match is_down.load(Ordering::SeqCst) {
                    true => (500, "out of order"),
                    false => (200, "[]"),
                };
                let length = body.len();
                let answer = format!(
                    "HTTP/1.1 {status} x\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
                );
                let _ = reader.get_mut().write_all(answer.as_bytes());
            }
        })
        .unwrap();
    url
}

/// The source `orders` at this address, which somebody owns.
pub fn orders_source(owner: &str, url: &str) -> String {
    format!(
        r#"[topic.orders]
owner = "{owner}"
[topic.orders.capture]
kind = "poll"
url = "{url}"
interval = "200 ms"

[table.orders]
topic = "orders"
columns = [{{ name = "id", from = "/id", type = "int64" }}]
"#
    )
}

/// The shipped alarm of sources that have stopped, evaluated each second, which fires
/// after two.
pub fn quick_alarm() -> String {
    let shipped = root().join("warehouse/alerts/source_stopped.toml");
    let alarm = std::fs::read_to_string(shipped).unwrap();
    let quick = alarm
        .replace("every = \"10 seconds\"", "every = \"1 second\"")
        .replace("for = \"30 seconds\"", "for = \"2 seconds\"");
    assert_ne!(alarm, quick);
    quick
}
