//! A client of the PostgreSQL wire that says exactly what a test wants it to say.

use std::io::{Read, Write};
use std::net::TcpStream;

use super::Server;
use super::client::connect;

/// What a text was answered with.
#[derive(Debug, PartialEq)]
pub struct Told {
    /// Tags of statements, codes of errors, and `…` where a portal has more rows.
    pub words: Vec<String>,
    /// `I`: no transaction, `T`: in one, `E`: in one that has failed.
    pub state: char,
}

pub fn told(words: &[&str], state: char) -> Told {
    let words = words.iter().map(|word| (*word).to_owned()).collect();
    Told { words, state }
}

pub struct WireClient {
    stream: TcpStream,
    /// Of the last error.
    message: String,
}

impl WireClient {
    pub fn sign_in(server: &Server) -> Self {
        Self::sign_in_with(server, "")
    }

    /// With further parameters: names and values, each with a zero behind it.
    pub fn sign_in_with(server: &Server, more: &str) -> Self {
        let mut stream = connect(server.postgres);
        let parameters = format!("\0\x03\0\0user\0shop\0database\0public\0{more}\0");
        let length = (parameters.len() + 4) as u32;
        stream.write_all(&length.to_be_bytes()).unwrap();
        stream.write_all(parameters.as_bytes()).unwrap();
        let mut client = Self {
            stream,
            message: String::new(),
        };
        client.answer_until(b'Z');
        client
    }

    fn send(&mut self, letter: u8, body: &[u8]) {
        let length = (body.len() + 4) as u32;
        let mut message = vec![letter];
        message.extend(length.to_be_bytes());
        message.extend(body);
        self.stream.write_all(&message).unwrap();
    }

    fn send_text(&mut self, text: &str) {
        self.send(b'Q', format!("{text}\0").as_bytes());
    }

    pub fn ask(&mut self, text: &str) -> Told {
        self.send_text(text);
        self.answer_until(b'Z').0
    }

    /// The code and the message of the error that a text is answered with.
    #[track_caller]
    pub fn refused(&mut self, text: &str) -> (String, String) {
        self.message.clear();
        let mut told = self.ask(text);
        assert!(!self.message.is_empty(), "{text}: {told:?}");
        (told.words.pop().unwrap(), self.message.clone())
    }

    /// The rows that a text is answered with, values with commas between them.
    #[track_caller]
    pub fn rows(&mut self, text: &str) -> Vec<String> {
        self.send_text(text);
        let (told, rows) = self.answer_until(b'Z');
        assert!(!rows.is_empty(), "{text}: {told:?}");
        rows
    }

    /// The same of a statement that is prepared, and what it was answered with.
    pub fn prepared(&mut self, statement: &str) -> (Told, Vec<String>) {
        self.pipeline(&[statement])
    }

    /// The same of several before one Sync.
    pub fn pipeline(&mut self, statements: &[&str]) -> (Told, Vec<String>) {
        for statement in statements {
            self.parse("", statement).bind("", "").execute("", 0);
        }
        self.sync()
    }

    pub fn parse(&mut self, name: &str, statement: &str) -> &mut Self {
        self.send(b'P', format!("{name}\0{statement}\0\0\0").as_bytes());
        self
    }

    /// A portal without parameters, whose rows are texts.
    pub fn bind(&mut self, portal: &str, name: &str) -> &mut Self {
        let body = format!("{portal}\0{name}\0\0\0\0\0\0\0");
        self.send(b'B', body.as_bytes());
        self
    }

    /// 0 for all rows.
    pub fn execute(&mut self, portal: &str, rows_max: i32) -> &mut Self {
        let mut body = format!("{portal}\0").into_bytes();
        body.extend(rows_max.to_be_bytes());
        self.send(b'E', &body);
        self
    }

    pub fn sync(&mut self) -> (Told, Vec<String>) {
        self.send(b'S', b"");
        self.answer_until(b'Z')
    }

    /// What one statement is answered with, without a Sync.
    pub fn flush(&mut self) -> (Told, Vec<String>) {
        self.send(b'H', b"");
        self.answer_until(b'C')
    }

    /// What was told up to a message of that letter.
    fn answer_until(&mut self, last: u8) -> (Told, Vec<String>) {
        let (mut words, mut rows) = (Vec::new(), Vec::new());
        loop {
            let mut head = [0; 5];
            self.stream.read_exact(&mut head).unwrap();
            let length = u32::from_be_bytes(head[1..].try_into().unwrap()) as usize;
            let mut body = vec![0; length - 4];
            self.stream.read_exact(&mut body).unwrap();
            let fields: Vec<String> = body
                .split(|byte| *byte == 0)
                .map(|field| String::from_utf8_lossy(field).into_owned())
                .collect();
            match head[0] {
                b'C' => words.push(fields[0].clone()),
                b'D' => rows.push(values(&body[2..])),
                b'E' => {
                    let code = fields.iter().find_map(|field| field.strip_prefix('C'));
                    words.push(code.unwrap().to_owned());
                    let message = fields.iter().find_map(|field| field.strip_prefix('M'));
                    self.message = message.unwrap().to_owned();
                }
                b's' => words.push("…".to_owned()),
                _ => {}
            }
            if head[0] == last {
                let state = if last == b'Z' {
                    char::from(body[0])
                } else {
                    ' '
                };
                return (Told { words, state }, rows);
            }
        }
    }
}

/// The values of a row: each has its length before it, -1 for NULL.
fn values(mut data: &[u8]) -> String {
    let mut values = Vec::new();
    while let Some((length, rest)) = data.split_first_chunk::<4>() {
        let length = i32::from_be_bytes(*length).max(0) as usize;
        let (value, rest) = rest.split_at(length);
        values.push(String::from_utf8_lossy(value).into_owned());
        data = rest;
    }
    values.join(",")
}
