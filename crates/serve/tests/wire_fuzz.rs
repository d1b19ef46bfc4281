//! PostgreSQL's protocol from clients that speak nonsense: random bytes, and
//! conversations of good clients with damage. Nobody else may notice.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod common;
#[path = "../../core/tests/support/fuzz_rounds.rs"]
mod fuzz_rounds;

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

use common::Server;
use fuzz_rounds::rounds;

/// Memory that nonsense may cost, in bytes.
const MEMORY_MAX: usize = 256 << 20;
const PATIENCE: Duration = Duration::from_secs(60);

/// Numbers that look random (xorshift64*).
struct Dice(u64);

impl Dice {
    fn roll(&mut self, below: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let high = self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33;
        (high as usize) % below.max(1)
    }

    fn byte(&mut self) -> u8 {
        self.roll(256) as u8
    }
}

fn startup() -> Vec<u8> {
    let body = b"\0\x03\0\0user\0li\0database\0sluice\0\0";
    let mut message = (body.len() as i32 + 4).to_be_bytes().to_vec();
    message.extend_from_slice(body);
    message
}

fn message(letter: u8, body: &[u8]) -> Vec<u8> {
    let mut message = vec![letter];
    message.extend((body.len() as i32 + 4).to_be_bytes());
    message.extend_from_slice(body);
    message
}

/// What good clients say, a message each.
fn conversation(kind: usize) -> Vec<Vec<u8>> {
    let sync = message(b'S', b"");
    let bound = |portal: &str, statement: &str, value: &[u8], format: u8| {
        let mut body = format!("{portal}\0{statement}\0").into_bytes();
        body.extend([0, 1, 0, format, 0, 1]);
        body.extend((value.len() as i32).to_be_bytes());
        body.extend_from_slice(value);
        body.extend([0, 1, 0, format]);
        message(b'B', &body)
    };
    let mut all = vec![startup()];
    all.extend(match kind % 5 {
        0 => vec![message(
            b'Q',
            b"SELECT id, status FROM orders; SELECT 1 + 1\0",
        )],
        1 => vec![
            message(
                b'P',
                b"s\0SELECT id, status FROM orders WHERE id = $1\0\0\x01\0\0\0\x14",
            ),
            message(b'D', b"Ss\0"),
            bound("p", "s", &1_i64.to_be_bytes(), 1),
            message(b'D', b"Pp\0"),
            message(b'E', b"p\0\0\0\0\x01"),
            message(b'E', b"p\0\0\0\0\0"),
            message(b'C', b"Pp\0"),
            sync,
        ],
        2 => vec![
            message(b'Q', b"BEGIN\0"),
            message(b'Q', b"DECLARE c CURSOR FOR SELECT id FROM orders\0"),
            message(b'Q', b"FETCH 2 FROM c\0"),
            message(b'Q', b"CLOSE c\0"),
            message(b'Q', b"ROLLBACK\0"),
        ],
        3 => vec![
            message(
                b'Q',
                b"COPY (SELECT id FROM orders) TO STDOUT WITH (FORMAT csv, HEADER)\0",
            ),
            message(b'Q', b"SET statement_timeout = '5s'\0"),
            message(b'Q', b"SHOW statement_timeout\0"),
            message(b'Q', b"EXPLAIN SELECT * FROM orders\0"),
        ],
        _ => vec![
            message(b'P', b"\0SELECT $1 || 'x'\0\0\0"),
            bound("", "", b"text", 0),
            message(b'E', b"\0\0\0\0\0"),
            sync,
            message(b'p', b"secret\0"),
            message(b'd', b"1\t2\n"),
            message(b'c', b""),
            message(b'f', b"why\0"),
            message(b'H', b""),
        ],
    });
    all.push(message(b'X', b""));
    all
}

/// A good conversation with some damage.
fn damaged(dice: &mut Dice) -> Vec<u8> {
    let mut messages = conversation(dice.roll(5));
    for _ in 0..=dice.roll(3) {
        let place = dice.roll(messages.len());
        match dice.roll(6) {
            0 => {
                let copied = messages[place].clone();
                messages.insert(dice.roll(messages.len()), copied);
            }
            1 => {
                messages.remove(place);
            }
            2 => {
                let other = dice.roll(messages.len());
                messages.swap(place, other);
            }
            3 => {
                // Another length than it has.
                let length: i32 = match dice.roll(5) {
                    0 => -1,
                    1 => i32::MAX,
                    2 => i32::MIN,
                    3 => 4,
                    _ => dice.roll(1 << 21) as i32,
                };
                let message = &mut messages[place];
                if message.len() >= 5 {
                    message[1..5].copy_from_slice(&length.to_be_bytes());
                }
            }
            4 => {
                let message = &mut messages[place];
                for _ in 0..dice.roll(8).min(message.len()) {
                    let at = dice.roll(message.len());
                    message[at] = dice.byte();
                }
            }
            _ => {
                let message = &mut messages[place];
                message.truncate(dice.roll(message.len()));
            }
        }
        if messages.is_empty() {
            break;
        }
    }
    messages.concat()
}

/// Says it, stops speaking, and reads what comes until the end.
fn say(address: SocketAddr, bytes: &[u8]) {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.set_write_timeout(Some(PATIENCE)).unwrap();
    // The server may have hung up on the first half.
    let _ = stream.write_all(bytes);
    let _ = stream.shutdown(Shutdown::Write);
    let mut answer = [0; 4096];
    loop {
        match stream.read(&mut answer) {
            Ok(0) => break,
            Ok(_) => {}
            Err(error) => {
                let is_timeout = matches!(
                    error.kind(),
                    std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut
                );
                assert!(!is_timeout, "the server neither answers nor hangs up");
                break;
            }
        }
    }
}

/// Somebody who asks properly, on a connection that stays open.
struct Good(TcpStream);

impl Good {
    fn new(address: SocketAddr) -> Self {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.write_all(&startup()).unwrap();
        let mut good = Self(stream);
        good.until_ready();
        good
    }

    /// Letters and bodies of the messages until the server waits.
    fn until_ready(&mut self) -> Vec<(u8, Vec<u8>)> {
        let mut messages = Vec::new();
        loop {
            let mut head = [0; 5];
            self.0.read_exact(&mut head).unwrap();
            let length = i32::from_be_bytes([head[1], head[2], head[3], head[4]]);
            let mut body = vec![0; length as usize - 4];
            self.0.read_exact(&mut body).unwrap();
            messages.push((head[0], body));
            if head[0] == b'Z' {
                return messages;
            }
        }
    }

    fn asks(&mut self) {
        self.0
            .write_all(&message(b'Q', b"SELECT 40 + 2\0"))
            .unwrap();
        let rows = self.until_ready();
        let row = rows.iter().find(|(letter, _)| *letter == b'D');
        assert!(
            row.is_some_and(|(_, body)| body.ends_with(b"42")),
            "{rows:?}"
        );
    }
}

/// Memory of this process, the server's too, in bytes.
fn memory() -> usize {
    let text = std::fs::read_to_string("/proc/self/statm").unwrap();
    let pages: usize = text.split(' ').nth(1).unwrap().parse().unwrap();
    pages * 4096
}

#[test]
fn nonsense_harms_nobody() {
    let server = Server::start();
    let mut good = Good::new(server.postgres);
    good.asks();
    let begin = memory();
    for round in rounds(600) {
        let mut dice = Dice(round.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
        let bytes = match round % 3 {
            0 => {
                let count = dice.roll(300);
                let random = (0..count).map(|_| dice.byte()).collect();
                // Half of them have a proper beginning.
                match dice.roll(2) {
                    0 => random,
                    _ => [startup(), random].concat(),
                }
            }
            _ => damaged(&mut dice),
        };
        say(server.postgres, &bytes);
        if round % 50 == 0 {
            good.asks();
            Good::new(server.postgres).asks();
        }
    }
    good.asks();
    let grown = memory().saturating_sub(begin);
    assert!(grown < MEMORY_MAX, "it grew by {grown} bytes");
}

#[test]
fn a_length_takes_no_memory() {
    let server = Server::start();
    let mut good = Good::new(server.postgres);
    let begin = memory();
    let mut open = Vec::new();
    for _ in 0..50 {
        // A gigabyte is promised, and some of it sent.
        let mut stream = TcpStream::connect(server.postgres).unwrap();
        stream.write_all(&startup()).unwrap();
        let mut first = [0; 1];
        stream.read_exact(&mut first).unwrap();
        let mut bytes = vec![b'Q'];
        bytes.extend((1_i32 << 30).to_be_bytes());
        bytes.resize(1 << 20, b' ');
        let _ = stream.write_all(&bytes);
        open.push(stream);
    }
    good.asks();
    let grown = memory().saturating_sub(begin);
    assert!(grown < MEMORY_MAX, "it grew by {grown} bytes");
    for mut stream in open {
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut rest = Vec::new();
        let _ = stream.read_to_end(&mut rest);
        let is_told = rest.windows(5).any(|part| part == b"54000");
        // What was sent after the head may have reset the connection.
        assert!(is_told || !rest.ends_with(b"I"), "nobody is told");
    }
}

#[test]
fn a_connection_keeps_so_much_and_no_more() {
    let server = Server::start();
    let mut good = Good::new(server.postgres);
    let mut is_refused = false;
    for number in 0..1_100 {
        let text = format!("s{number}\0SELECT {number}\0\0\0");
        good.0.write_all(&message(b'P', text.as_bytes())).unwrap();
        good.0.write_all(&message(b'S', b"")).unwrap();
        let answer = good.until_ready();
        is_refused = answer
            .iter()
            .any(|(letter, body)| *letter == b'E' && body.windows(5).any(|part| part == b"53000"));
        if is_refused {
            assert!(number >= 999, "{number}");
            break;
        }
    }
    assert!(is_refused, "1,100 statements are kept");
    let mut is_refused = false;
    for number in 0..30 {
        let text = format!("DECLARE c{number} CURSOR FOR SELECT id FROM orders\0");
        good.0.write_all(&message(b'Q', text.as_bytes())).unwrap();
        let answer = good.until_ready();
        is_refused |= answer.iter().any(|(letter, _)| *letter == b'E');
    }
    assert!(is_refused, "30 cursors are kept");
    good.asks();
}
