//! Requests and messages with random damage, over HTTP and over the
//! PostgreSQL wire: the next client is answered as if nothing had been.
//!
//! The decoder of the PostgreSQL wire is not ours and panics on some messages;
//! that ends the connection, and must end nothing else.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]
#![allow(clippy::disallowed_methods, reason = "a watch has a thread of its own")]

#[path = "../../core/tests/support/fuzz_rounds.rs"]
mod fuzz_rounds;
#[path = "../../core/tests/support/mutator.rs"]
mod mutator;

mod common;

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};

use common::client::{connect, rows};
use common::{Options, Server};
use fuzz_rounds::rounds;
use mutator::{Mutator, Watch};
use serde_json::json;

/// Panics in the tasks of the HTTP server, which keeps them to itself.
static HTTP_PANICS: AtomicU64 = AtomicU64::new(0);

fn count_panics() {
    let shown = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        let place = panic.location().map_or("", |place| place.file());
        // Where the decoder of the wire panics.
        if !place.contains("bytes-") && !place.contains("pgwire") {
            HTTP_PANICS.fetch_add(1, Ordering::SeqCst);
        }
        shown(panic);
    }));
}

/// Sends bytes, and gives all that comes back.
fn talk(address: SocketAddr, bytes: &[u8]) -> Vec<u8> {
    let mut stream = connect(address);
    // The server may close before it has read everything.
    let _ = stream.write_all(bytes);
    let _ = stream.shutdown(Shutdown::Write);
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    answer
}

fn shop() -> Server {
    shop_with(Options::default())
}

fn shop_with(options: Options) -> Server {
    let server = Server::start_with(options);
    let order = |id: i64| ((id, format!("buyer {id}"), id * 100), 1);
    server.shop.apply_orders(&[order(1), order(2), order(3)]);
    server
}

const REQUESTS: [&str; 6] = [
    "GET /api/v1/tables HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
    "GET /api/v1/lookup/orders?id=2 HTTP/1.1\r\nHost: a\r\nConnection: close\r\nAccept: text/csv\r\n\r\n",
    "GET /api/v1/live/orders?from=now&limit=1 HTTP/1.0\r\nHost: a\r\nLast-Event-ID: 3\r\n\r\n",
    "GET /index.html?a=%41%zz HTTP/1.1\r\nHost: a\r\nConnection: close\r\nAccept-Encoding: gzip\r\nIf-None-Match: \"a\"\r\n\r\n",
    "GET /metrics HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
    "POST /api/v1/sql HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: 60\r\n\r\n{\"sql\":\"SELECT id, buyer FROM orders WHERE amount > 1.5 \"   }",
];

fn message(kind: u8, body: &[u8]) -> Vec<u8> {
    let mut bytes = vec![kind];
    bytes.extend_from_slice(&(body.len() as u32 + 4).to_be_bytes());
    bytes.extend_from_slice(body);
    bytes
}

fn startup() -> Vec<u8> {
    let body = b"\0\x03\0\0user\0u\0database\0sluice\0\0";
    let mut bytes = (body.len() as u32 + 4).to_be_bytes().to_vec();
    bytes.extend_from_slice(body);
    bytes
}

/// What a client of the wire says, in the simple and in the extended way.
fn conversations() -> [Vec<u8>; 2] {
    let query = message(b'Q', b"SELECT id, buyer, amount FROM orders ORDER BY id\0");
    let end = message(b'X', b"");
    let parse = message(
        b'P',
        b"s\0SELECT buyer FROM orders WHERE id = $1\0\0\x01\0\0\0\x14",
    );
    let bind = message(b'B', b"p\0s\0\0\x01\0\0\0\x01\0\0\0\x012\0\x01\0\0");
    let describe = message(b'D', b"Pp\0");
    let execute = message(b'E', b"p\0\0\0\0\0");
    let sync = message(b'S', b"");
    [
        [startup(), query, end.clone()].concat(),
        [startup(), parse, bind, describe, execute, sync, end].concat(),
    ]
}

#[test]
fn whatever_clients_of_http_say_the_next_one_is_answered() {
    count_panics();
    let server = shop();
    let watch = Watch::new("requests");
    for round in rounds(1_500) {
        let mut random = Mutator::new(round);
        let request = REQUESTS[random.below(REQUESTS.len())];
        let mut bytes = request.as_bytes().to_vec();
        random.mutate(&mut bytes);
        talk(server.address, &bytes);
        watch.tick();
        assert_eq!(HTTP_PANICS.load(Ordering::SeqCst), 0, "round {round}");
    }
    let counted = rows(server.address, "SELECT count(*) AS n FROM orders");
    assert_eq!(counted, json!([[3]]));
}

#[test]
fn whatever_clients_of_the_wire_say_the_next_one_is_answered() {
    // A connection that is never given back would be missed soon.
    let mut options = Options::default();
    options.query.connections_max = 4;
    let server = shop_with(options);
    let conversations = conversations();
    let check = || {
        for conversation in &conversations {
            let answer = talk(server.postgres, conversation);
            let has = |text: &[u8]| answer.windows(text.len()).any(|window| window == text);
            assert!(has(b"buyer 2"), "{:?}", String::from_utf8_lossy(&answer));
        }
    };
    check();
    // As many rows as can be said.
    for rows in [i32::MAX, i32::MIN, -1] {
        let [_, extended] = &conversations;
        let mut bytes = extended.clone();
        let execute = bytes.windows(3).rposition(|window| window == b"\np\0");
        let at = execute.unwrap() + 3;
        bytes[at..at + 4].copy_from_slice(&rows.to_be_bytes());
        let answer = talk(server.postgres, &bytes);
        assert!(answer.windows(7).any(|window| window == b"buyer 2"));
    }
    let statements = [
        "BEGIN",
        "DECLARE c CURSOR FOR SELECT id FROM orders",
        "FETCH 4000000000 FROM c",
        "FETCH FORWARD 2147483647 FROM c",
    ];
    let mut bytes = startup();
    for statement in statements {
        bytes.extend(message(b'Q', format!("{statement}\0").as_bytes()));
    }
    let answer = String::from_utf8_lossy(&talk(server.postgres, &bytes)).into_owned();
    assert!(answer.contains("FETCH takes 0 to 1048576 rows"), "{answer}");
    let watch = Watch::new("messages");
    for round in rounds(1_500) {
        let mut random = Mutator::new(round);
        let mut bytes = conversations[random.below(2)].clone();
        random.mutate(&mut bytes);
        talk(server.postgres, &bytes);
        watch.tick();
    }
    check();
}
