//! Clients that say exactly what a test wants them to say.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use serde_json::Value;

/// Longer than anything in a test may take.
const PATIENCE: Duration = Duration::from_secs(30);

pub fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.set_write_timeout(Some(PATIENCE)).unwrap();
    stream
}

#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str())
    }

    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    /// The detail of a problem, after the rest of it was checked.
    pub fn problem(&self) -> String {
        assert_eq!(
            self.header("content-type"),
            Some("application/problem+json")
        );
        let problem = self.json();
        assert_eq!(problem["status"], self.status);
        assert_eq!(problem["type"], "about:blank");
        assert!(problem["title"].is_string());
        problem["detail"].as_str().unwrap().to_owned()
    }
}

fn read_head(reader: &mut impl BufRead) -> Answer {
    let mut line = String::new();
    reader.read_line(&mut line).unwrap();
    let status = line.split(' ').nth(1).unwrap().parse().unwrap();
    let mut headers = Vec::new();
    loop {
        line.clear();
        reader.read_line(&mut line).unwrap();
        let Some((name, value)) = line.trim_end().split_once(": ") else {
            break;
        };
        headers.push((name.to_ascii_lowercase(), value.to_owned()));
    }
    Answer {
        status,
        headers,
        body: Vec::new(),
    }
}

fn read_chunk(reader: &mut impl BufRead) -> Vec<u8> {
    let mut line = String::new();
    reader.read_line(&mut line).unwrap();
    let Ok(length) = usize::from_str_radix(line.trim_end(), 16) else {
        return Vec::new();
    };
    let mut chunk = vec![0; length + 2];
    reader.read_exact(&mut chunk).unwrap();
    chunk.truncate(length);
    chunk
}

pub fn read_answer(reader: &mut impl BufRead, has_body: bool) -> Answer {
    let mut answer = read_head(reader);
    let length = answer.header("content-length");
    let length: Option<usize> = length.map(|length| length.parse().unwrap());
    if !has_body || answer.status == 304 {
        return answer;
    }
    match length {
        Some(length) => {
            answer.body = vec![0; length];
            reader.read_exact(&mut answer.body).unwrap();
        }
        None => loop {
            let chunk = read_chunk(reader);
            if chunk.is_empty() {
                break;
            }
            answer.body.extend(chunk);
        },
    }
    answer
}

pub fn request(
    address: SocketAddr,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> Answer {
    let mut stream = connect(address);
    let mut head = format!("{method} {path} HTTP/1.1\r\nHost: shop\r\nConnection: close\r\n");
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head.push_str(&format!("Content-Length: {}\r\n\r\n", body.len()));
    stream.write_all(head.as_bytes()).unwrap();
    // A server that refuses a body may close before all of it is sent.
    let _ = stream.write_all(body);
    read_answer(&mut BufReader::new(stream), method != "HEAD")
}

pub fn get(address: SocketAddr, path: &str) -> Answer {
    request(address, "GET", path, &[], b"")
}

/// Asks with a statement as plain text.
pub fn sql(address: SocketAddr, format: &str, statement: &str) -> Answer {
    let path = format!("/api/v1/sql?format={format}");
    let plain = [("Content-Type", "text/plain")];
    request(address, "POST", &path, &plain, statement.as_bytes())
}

/// The rows of a statement that must succeed.
pub fn rows(address: SocketAddr, statement: &str) -> Value {
    let answer = sql(address, "json", statement);
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()["rows"].take()
}

pub fn encode(text: &str) -> String {
    let bytes = text.bytes().map(|byte| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' => (byte as char).to_string(),
        _ => format!("%{byte:02X}"),
    });
    bytes.collect()
}

#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    pub kind: String,
    pub id: Option<u64>,
    pub data: Value,
}

/// A client of `/api/v1/live`.
pub struct Events {
    reader: BufReader<TcpStream>,
    text: String,
    /// Comments seen.
    pub comments: usize,
}

impl Events {
    pub fn open(address: SocketAddr, path: &str) -> Result<Self, Answer> {
        let mut stream = connect(address);
        let head = format!("GET /api/v1/live/{path} HTTP/1.1\r\nHost: shop\r\n\r\n");
        stream.write_all(head.as_bytes()).unwrap();
        let mut reader = BufReader::new(stream);
        let mut answer = read_head(&mut reader);
        if answer.status != 200 {
            let length = answer.header("content-length").unwrap().parse().unwrap();
            answer.body = vec![0; length];
            reader.read_exact(&mut answer.body).unwrap();
            return Err(answer);
        }
        assert_eq!(answer.header("content-type"), Some("text/event-stream"));
        Ok(Self {
            reader,
            text: String::new(),
            comments: 0,
        })
    }

    pub fn next(&mut self) -> Event {
        loop {
            if let Some(end) = self.text.find("\n\n") {
                let block: String = self.text.drain(..end + 2).collect();
                if let Some(event) = self.parse(&block) {
                    return event;
                }
                continue;
            }
            let chunk = read_chunk(&mut self.reader);
            assert!(!chunk.is_empty(), "the stream ended");
            self.text.push_str(std::str::from_utf8(&chunk).unwrap());
        }
    }

    fn parse(&mut self, block: &str) -> Option<Event> {
        let mut event = Event {
            kind: String::new(),
            id: None,
            data: Value::Null,
        };
        for line in block.lines().filter(|line| !line.is_empty()) {
            match line.split_once(": ") {
                Some(("event", kind)) => event.kind = kind.to_owned(),
                Some(("id", id)) => event.id = Some(id.parse().unwrap()),
                Some(("data", data)) => event.data = serde_json::from_str(data).unwrap(),
                _ if line.starts_with(':') => self.comments += 1,
                _ => panic!("unexpected line {line:?}"),
            }
        }
        (!event.kind.is_empty()).then_some(event)
    }
}
