//! Where transactions begin and end over the PostgreSQL wire, also within one text.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod common;

use std::io::{Read, Write};
use std::net::TcpStream;

use common::Server;
use common::client::connect;

/// What a text was answered with.
#[derive(Debug, PartialEq)]
struct Told {
    /// Tags of statements, and codes of errors.
    words: Vec<String>,
    /// `I`: no transaction, `T`: in one, `E`: in one that has failed.
    state: char,
}

fn told(words: &[&str], state: char) -> Told {
    let words = words.iter().map(|word| (*word).to_owned()).collect();
    Told { words, state }
}

struct Client(TcpStream);

impl Client {
    fn sign_in(server: &Server) -> Self {
        let mut stream = connect(server.postgres);
        let parameters = b"\0\x03\0\0user\0shop\0database\0public\0\0";
        let length = (parameters.len() + 4) as u32;
        stream.write_all(&length.to_be_bytes()).unwrap();
        stream.write_all(parameters).unwrap();
        let mut client = Self(stream);
        client.told();
        client
    }

    fn ask(&mut self, text: &str) -> Told {
        let length = (text.len() + 5) as u32;
        self.0.write_all(b"Q").unwrap();
        self.0.write_all(&length.to_be_bytes()).unwrap();
        self.0.write_all(text.as_bytes()).unwrap();
        self.0.write_all(b"\0").unwrap();
        self.told()
    }

    fn told(&mut self) -> Told {
        let mut words = Vec::new();
        loop {
            let mut head = [0; 5];
            self.0.read_exact(&mut head).unwrap();
            let length = u32::from_be_bytes(head[1..].try_into().unwrap()) as usize;
            let mut body = vec![0; length - 4];
            self.0.read_exact(&mut body).unwrap();
            let fields: Vec<String> = body
                .split(|byte| *byte == 0)
                .map(|field| String::from_utf8_lossy(field).into_owned())
                .collect();
            match head[0] {
                b'C' => words.push(fields[0].clone()),
                b'E' => {
                    let code = fields.iter().find_map(|field| field.strip_prefix('C'));
                    words.push(code.unwrap().to_owned());
                }
                b'Z' => {
                    let state = char::from(body[0]);
                    return Told { words, state };
                }
                _ => {}
            }
        }
    }
}

#[test]
fn a_transaction_ends_within_a_text() {
    let server = Server::start();
    let mut client = Client::sign_in(&server);
    // What fails behind it fails alone.
    let found = client.ask("BEGIN; SELECT 1; COMMIT; SELECT nope");
    assert_eq!((found.words.len(), found.state), (1, 'I'), "{found:?}");
    assert_eq!(client.ask("SELECT 1"), told(&["SELECT 1"], 'I'));
    // Another one begins behind it.
    assert_eq!(
        client.ask("BEGIN; SELECT 1; COMMIT; BEGIN"),
        told(&["BEGIN", "SELECT 1", "COMMIT", "BEGIN"], 'T')
    );
    assert_eq!(client.ask("SAVEPOINT a"), told(&["SAVEPOINT"], 'T'));
    // One that has failed is over too.
    assert_eq!(client.ask("SELECT nope").state, 'E');
    assert_eq!(client.ask("SELECT 1").state, 'E');
    assert_eq!(
        client.ask("ROLLBACK; SELECT 1"),
        told(&["ROLLBACK", "SELECT 1"], 'I')
    );
    client.ask("BEGIN; SELECT nope");
    assert_eq!(
        client.ask("COMMIT; SELECT 1"),
        told(&["ROLLBACK", "SELECT 1"], 'I')
    );
    // Outside of one there is nothing to end, nor to go back to.
    assert_eq!(client.ask("COMMIT"), told(&["COMMIT"], 'I'));
    assert_eq!(
        client.ask("BEGIN; COMMIT; SAVEPOINT a"),
        told(&["25P01"], 'I')
    );
}
