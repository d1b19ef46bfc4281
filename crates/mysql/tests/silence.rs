//! A connection that goes silent without an end, as behind a firewall that forgets it:
//! the server's heartbeats do not come any more, which is noticed, and reading goes on
//! over a new connection.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a test fails by panicking, and starts its own threads"
)]

mod common;

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use common::{Server, Tables, drain};
use sluice_core::{Clock, SystemClock};
use sluice_mysql::position::DatabasePosition;
use sluice_mysql::server::ServerSource;

/// A clock on which silence is sooner too long, and heartbeats are not.
#[derive(Debug)]
struct FastClock {
    start_us: i64,
}

const FASTER: i64 = 5;

impl Clock for FastClock {
    fn now_us(&self) -> i64 {
        self.start_us + (SystemClock.now_us() - self.start_us) * FASTER
    }
}

/// Stands between a reader and its server.
struct Proxy {
    port: u16,
    /// Connections that were made.
    made: Arc<AtomicUsize>,
    /// The number of the one over which nothing comes any more; the first is 1.
    silent: Arc<AtomicUsize>,
}

impl Proxy {
    fn start(server: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let proxy = Self {
            port: listener.local_addr().unwrap().port(),
            made: Arc::default(),
            silent: Arc::default(),
        };
        let (made, silent) = (proxy.made.clone(), proxy.silent.clone());
        std::thread::spawn(move || {
            for client in listener.incoming() {
                let client = client.unwrap();
                let server = TcpStream::connect(("127.0.0.1", server)).unwrap();
                let number = made.fetch_add(1, Ordering::SeqCst) + 1;
                for (from, to) in [(&client, &server), (&server, &client)] {
                    let (from, to) = (from.try_clone().unwrap(), to.try_clone().unwrap());
                    let silent = silent.clone();
                    std::thread::spawn(move || forward(from, to, number, &silent));
                }
            }
        });
        proxy
    }
}

/// Hands on what comes, as long as the connection is not silent.
fn forward(mut from: TcpStream, mut to: TcpStream, number: usize, silent: &AtomicUsize) {
    let mut bytes = [0; 65_536];
    while let Ok(read @ 1..) = from.read(&mut bytes) {
        let is_silent = silent.load(Ordering::SeqCst) == number;
        if !is_silent && to.write_all(&bytes[..read]).is_err() {
            break;
        }
    }
    let _ = to.shutdown(Shutdown::Both);
}

#[test]
fn a_connection_that_goes_silent_is_noticed_and_made_anew() {
    let Some(server) = Server::start() else {
        return;
    };
    server.run(&[
        "CREATE DATABASE shop",
        "CREATE TABLE shop.t (id INT PRIMARY KEY)",
        "INSERT INTO shop.t VALUES (1)",
    ]);
    let proxy = Proxy::start(server.address.port);
    let mut options = server.options();
    options.addresses[0].port = proxy.port;
    let clock = FastClock {
        start_us: SystemClock.now_us(),
    };
    let mut source = ServerSource::new(options, Arc::new(clock), DatabasePosition::default());
    let mut tables = Tables::default();
    drain(&mut source, &mut tables);
    // Heartbeats keep a quiet connection, for longer than silence may last.
    let quiet = Instant::now();
    while quiet.elapsed() < Duration::from_secs(8) {
        let batch = source.poll().unwrap();
        tables.warnings.extend(batch.warnings);
        tables.take(batch.records);
    }
    assert!(tables.warnings.is_empty(), "{:?}", tables.warnings);
    // One for questions, and then the one of the log.
    assert_eq!(proxy.made.load(Ordering::SeqCst), 2);

    proxy.silent.store(2, Ordering::SeqCst);
    server.run(&["INSERT INTO shop.t VALUES (2)"]);
    let key = ("t".to_owned(), "2".to_owned());
    let silent = Instant::now();
    while !tables.rows.contains_key(&key) {
        let batch = source.poll().unwrap();
        tables.warnings.extend(batch.warnings);
        tables.take(batch.records);
        let waited = silent.elapsed();
        assert!(waited < Duration::from_secs(60), "{:?}", tables.warnings);
        std::thread::sleep(Duration::from_millis(5));
    }
    // Thirty seconds of the faster clock since the last heartbeat, which may have come
    // two seconds before.
    let waited = silent.elapsed();
    assert!(waited >= Duration::from_millis(3_500), "{waited:?}");
    let said = tables.warnings.join("\n");
    let noticed = format!(
        "test: 127.0.0.1:{}: the server sends no heartbeat; trying again",
        proxy.port
    );
    assert!(said.contains(&noticed), "{said}");
    assert!(said.contains("the server answers again"), "{said}");
    assert_eq!(proxy.made.load(Ordering::SeqCst), 4);
    // It was there once, and nothing was read twice.
    drain(&mut source, &mut tables);
    assert_eq!(tables.times[&key], 1);
}
