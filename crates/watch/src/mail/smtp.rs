//! A mail server is spoken to: SMTP (RFC 5321), STARTTLS (RFC 3207), AUTH
//! PLAIN and LOGIN (RFC 4954).

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::Duration;

use rustls::{ClientConnection, StreamOwned};

use super::{MailServer, MailTls, other_encryption};
use crate::base64::encode;
use crate::receiver::SendError;
use crate::tls::encrypted;

const CONNECT_TIME: Duration = Duration::from_secs(10);
const ANSWER_TIME: Duration = Duration::from_secs(30);
/// Bytes of one line of an answer, and lines of one answer.
const LINE_BYTES_MAX: u64 = 4096;
const LINES_MAX: usize = 100;

enum Stream {
    Plain(TcpStream),
    Encrypted(Box<StreamOwned<ClientConnection, TcpStream>>),
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        match self {
            Self::Plain(stream) => stream.read(buffer),
            Self::Encrypted(stream) => stream.read(buffer),
        }
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        match self {
            Self::Plain(stream) => stream.write(bytes),
            Self::Encrypted(stream) => stream.write(bytes),
        }
    }

    fn flush(&mut self) -> std::io::Result<()> {
        match self {
            Self::Plain(stream) => stream.flush(),
            Self::Encrypted(stream) => stream.flush(),
        }
    }
}

struct Reply {
    code: u16,
    lines: Vec<String>,
}

impl Reply {
    fn text(&self) -> String {
        format!("{} {}", self.code, self.lines.join(" "))
    }
}

/// A connection that is signed in.
pub(super) struct Session {
    reader: BufReader<Stream>,
    place: String,
}

impl Session {
    /// Connects, encrypts and signs in.
    ///
    /// # Errors
    /// What is wrong, in words.
    pub(super) fn open(server: &MailServer, from: &str) -> Result<Self, String> {
        let place = format!("{}:{}", server.host, server.port);
        let at_place = |problem: String| format!("mail server {place}: {problem}");
        let stream =
            connect(&server.host, server.port).map_err(|error| at_place(error.to_string()))?;
        let certificates = server.certificates.as_deref();
        let encrypt = |stream| {
            let stream = encrypted(stream, &server.host, certificates)?;
            Ok::<_, String>(Stream::Encrypted(Box::new(stream)))
        };
        let first = match server.tls {
            MailTls::Implicit => encrypt(stream).map_err(at_place)?,
            MailTls::StartTls | MailTls::Off => Stream::Plain(stream),
        };
        let mut session = Self {
            reader: BufReader::new(first),
            place: place.clone(),
        };
        session.expect_greeting(server.tls)?;
        let name = from
            .rsplit_once('@')
            .map_or("localhost", |(_, domain)| domain);
        let mut abilities = session.greet(name)?;
        if server.tls == MailTls::StartTls {
            session.begin_encryption()?;
            // Whatever was sent after the answer in the clear is not trusted.
            if !session.reader.buffer().is_empty() {
                return Err(at_place("it speaks before encryption begins".to_owned()));
            }
            let Stream::Plain(stream) = session.reader.into_inner() else {
                return Err(at_place("it is encrypted already".to_owned()));
            };
            session = Self {
                reader: BufReader::new(encrypt(stream).map_err(at_place)?),
                place: place.clone(),
            };
            abilities = session.greet(name)?;
        }
        if let Some((user, password)) = &server.login {
            if server.tls == MailTls::Off {
                return Err(at_place(other_encryption::FOR_PASSWORD.to_owned()));
            }
            session.sign_in(&abilities, user, password)?;
        }
        Ok(session)
    }

    /// Waits for the server's greeting. One that does not come may mean another
    /// encryption than the one that is set.
    fn expect_greeting(&mut self, tls: MailTls) -> Result<(), String> {
        match self.read_reply() {
            Ok(reply) if reply.code == 220 => Ok(()),
            Ok(reply) => Err(self.problem(&reply.text())),
            Err(error) => Err(match other_encryption::meant_by(tls, &error) {
                Some(advice) => self.problem(&format!("{error}; {advice}")),
                None => self.problem(&error),
            }),
        }
    }

    fn begin_encryption(&mut self) -> Result<(), String> {
        self.say("STARTTLS")?;
        let reply = self.reply()?;
        if reply.code == 220 {
            return Ok(());
        }
        let advice = other_encryption::WITHOUT_STARTTLS;
        Err(self.problem(&format!("{}; {advice}", reply.text())))
    }

    fn greet(&mut self, name: &str) -> Result<Vec<String>, String> {
        Ok(self.command(&format!("EHLO {name}"), 250)?.lines)
    }

    fn sign_in(&mut self, abilities: &[String], user: &str, password: &str) -> Result<(), String> {
        let ways = abilities.iter().find_map(|line| line.strip_prefix("AUTH "));
        let has = |way: &str| ways.is_some_and(|ways| ways.split(' ').any(|word| word == way));
        // What is sent here is a secret, and never part of a message.
        if has("PLAIN") {
            let secret = encode(format!("\0{user}\0{password}").as_bytes());
            self.say(&format!("AUTH PLAIN {secret}"))?;
            return self.expect(235).map(|_| ());
        }
        if has("LOGIN") {
            self.command("AUTH LOGIN", 334)?;
            self.say(&encode(user.as_bytes()))?;
            self.expect(334)?;
            self.say(&encode(password.as_bytes()))?;
            return self.expect(235).map(|_| ());
        }
        Err(self.problem(&"it offers neither AUTH PLAIN nor LOGIN"))
    }

    /// Sends one mail.
    ///
    /// # Errors
    /// When the server does not take it.
    pub(super) fn send(
        &mut self,
        from: &str,
        to: &[String],
        content: &str,
    ) -> Result<(), SendError> {
        self.step(&format!("MAIL FROM:<{from}>"), 250)?;
        for address in to {
            self.step(&format!("RCPT TO:<{address}>"), 250)?;
        }
        self.step("DATA", 354)?;
        let mut body = String::with_capacity(content.len() + 64);
        for line in content.split_inclusive("\r\n") {
            if line.starts_with('.') {
                body.push('.');
            }
            body.push_str(line);
        }
        body.push('.');
        self.step(&body, 250)
    }

    fn step(&mut self, text: &str, code: u16) -> Result<(), SendError> {
        self.say(text).map_err(SendError::Unreachable)?;
        let reply = self.reply().map_err(SendError::Unreachable)?;
        if reply.code / 100 == code / 100 {
            return Ok(());
        }
        let is_plain = matches!(self.reader.get_ref(), Stream::Plain(_));
        let problem = match is_plain && other_encryption::is_demanded(reply.code, &reply.text()) {
            true => {
                let advice = other_encryption::DEMANDED;
                self.problem(&format!("{}; {advice}", reply.text()))
            }
            false => self.problem(&reply.text()),
        };
        // 421: the server is going away.
        match reply.code {
            421 => Err(SendError::Unreachable(problem)),
            _ => Err(SendError::Refused(problem)),
        }
    }

    /// Says goodbye; what was taken is taken.
    pub(super) fn quit(mut self) {
        let _ = self.command("QUIT", 221);
    }

    fn command(&mut self, text: &str, code: u16) -> Result<Reply, String> {
        self.say(text)?;
        self.expect(code)
    }

    fn say(&mut self, text: &str) -> Result<(), String> {
        let stream = self.reader.get_mut();
        stream
            .write_all(format!("{text}\r\n").as_bytes())
            .and_then(|()| stream.flush())
            .map_err(|error| self.problem(&error))
    }

    /// What is wrong, and where.
    fn problem(&self, what: &dyn std::fmt::Display) -> String {
        format!("mail server {}: {what}", self.place)
    }

    fn expect(&mut self, code: u16) -> Result<Reply, String> {
        let reply = self.reply()?;
        match reply.code == code {
            true => Ok(reply),
            false => Err(self.problem(&reply.text())),
        }
    }

    fn reply(&mut self) -> Result<Reply, String> {
        let reply = self.read_reply();
        reply.map_err(|error| self.problem(&error))
    }

    fn read_reply(&mut self) -> std::io::Result<Reply> {
        let mut lines = Vec::new();
        while lines.len() < LINES_MAX {
            let mut bytes = Vec::new();
            (&mut self.reader)
                .take(LINE_BYTES_MAX)
                .read_until(b'\n', &mut bytes)?;
            let line = String::from_utf8_lossy(&bytes);
            let line = line.trim_end();
            let code = line.get(..3).and_then(|code| code.parse().ok());
            let Some(code) = code else {
                return Err(std::io::Error::other(match line {
                    "" => "it closed the connection".to_owned(),
                    line => format!("`{line}` is no answer"),
                }));
            };
            lines.push(line.get(4..).unwrap_or_default().to_owned());
            if line.as_bytes().get(3) != Some(&b'-') {
                return Ok(Reply { code, lines });
            }
        }
        Err(std::io::Error::other("its answer has no end"))
    }
}

fn connect(host: &str, port: u16) -> std::io::Result<TcpStream> {
    let mut problem = std::io::Error::other("the name has no address");
    for address in (host, port).to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, CONNECT_TIME) {
            Ok(stream) => {
                stream.set_read_timeout(Some(ANSWER_TIME))?;
                stream.set_write_timeout(Some(ANSWER_TIME))?;
                return Ok(stream);
            }
            Err(error) => problem = error,
        }
    }
    Err(problem)
}
