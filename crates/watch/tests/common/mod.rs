//! A small mail server, and a warehouse that answers what a test says.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use parking_lot::Mutex;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use sluice_watch::{Answer, Ask, Value};
use tempfile::TempDir;

/// A certificate for `localhost` and its key, made anew for each run.
fn certificates() -> &'static Path {
    static FOLDER: OnceLock<TempDir> = OnceLock::new();
    let folder = FOLDER.get_or_init(|| {
        let folder = tempfile::tempdir().unwrap();
        let mut command = Command::new("openssl");
        command.args(["req", "-x509", "-newkey", "ec", "-nodes", "-days", "2"]);
        command.args(["-pkeyopt", "ec_paramgen_curve:prime256v1"]);
        command.args(["-subj", "/CN=localhost", "-keyout", "key.pem"]);
        command.args([
            "-addext",
            "subjectAltName=DNS:localhost",
            "-out",
            "certificate.pem",
        ]);
        command.args(["-addext", "basicConstraints=critical,CA:FALSE"]);
        let made = command.current_dir(folder.path()).output();
        let made = made.unwrap_or_else(|error| {
            panic!("openssl is needed, scripts/install-test-tools installs it: {error}")
        });
        assert!(
            made.status.success(),
            "{}",
            String::from_utf8_lossy(&made.stderr)
        );
        folder
    });
    folder.path()
}

pub fn certificate() -> PathBuf {
    certificates().join("certificate.pem")
}

fn tls() -> Arc<ServerConfig> {
    let key = certificates().join("key.pem");
    let certificate = CertificateDer::from_pem_file(certificate()).unwrap();
    let key = PrivateKeyDer::from_pem_file(key).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .unwrap();
    Arc::new(config)
}

/// A mail as it came.
#[derive(Debug, Clone)]
pub struct Received {
    pub to: Vec<String>,
    pub was_encrypted: bool,
    pub login: Option<String>,
    pub content: String,
}

impl Received {
    pub fn header(&self, name: &str) -> String {
        let prefix = format!("{name}: ");
        let line = self.content.lines().find(|line| line.starts_with(&prefix));
        line.unwrap()[prefix.len()..].to_owned()
    }

    /// The text of a mail of one part.
    pub fn text(&self) -> String {
        let (_, body) = self.content.split_once("\r\n\r\n").unwrap();
        text_of(body)
    }
}

/// Text in base64.
pub fn text_of(body: &str) -> String {
    let symbols: Vec<u8> = body
        .bytes()
        .filter(|byte| !byte.is_ascii_whitespace())
        .collect();
    String::from_utf8(decode(&symbols)).unwrap()
}

fn decode(symbols: &[u8]) -> Vec<u8> {
    let value = |symbol: u8| match symbol {
        b'A'..=b'Z' => symbol - b'A',
        b'a'..=b'z' => symbol - b'a' + 26,
        b'0'..=b'9' => symbol - b'0' + 52,
        b'+' => 62,
        _ => 63,
    };
    let mut bytes = Vec::new();
    for chunk in symbols.chunks(4) {
        let known: Vec<u8> = chunk
            .iter()
            .filter(|s| **s != b'=')
            .map(|s| value(*s))
            .collect();
        let bits = known
            .iter()
            .fold(0_u32, |bits, v| bits << 6 | u32::from(*v));
        let bits = bits << (6 * (4 - known.len()));
        bytes.extend_from_slice(&bits.to_be_bytes()[1..known.len()]);
    }
    bytes
}

/// A mail server that does STARTTLS, unless it is told not to, and AUTH PLAIN.
#[derive(Clone)]
pub struct MailBox {
    pub address: SocketAddr,
    pub mails: Arc<Mutex<Vec<Received>>>,
    /// It closes connections before it greets.
    pub is_down: Arc<AtomicBool>,
    /// It knows no STARTTLS.
    pub is_clear: Arc<AtomicBool>,
    /// It refuses this recipient.
    pub refused: Arc<Mutex<String>>,
}

impl MailBox {
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mail_box = Self {
            address: listener.local_addr().unwrap(),
            mails: Arc::default(),
            is_down: Arc::default(),
            is_clear: Arc::default(),
            refused: Arc::default(),
        };
        let serving = mail_box.clone();
        std::thread::Builder::new()
            .spawn(move || {
                for stream in listener.incoming() {
                    if !serving.is_down.load(Ordering::SeqCst) {
                        // A client that breaks off is its own concern.
                        let _ = serving.talk(stream.unwrap());
                    }
                }
            })
            .unwrap();
        mail_box
    }

    pub fn subjects(&self) -> Vec<String> {
        let mails = self.mails.lock();
        mails.iter().map(|mail| mail.header("Subject")).collect()
    }

    fn talk(&self, stream: TcpStream) -> std::io::Result<()> {
        let mut plain = stream.try_clone()?;
        plain.write_all(b"220 test\r\n")?;
        let mut reader = BufReader::new(stream);
        loop {
            let line = line(&mut reader)?;
            match line.split(' ').next().unwrap() {
                "EHLO" => plain.write_all(b"250-test\r\n250-STARTTLS\r\n250 8BITMIME\r\n")?,
                "STARTTLS" if self.is_clear.load(Ordering::SeqCst) => {
                    plain.write_all(b"502 not here\r\n")?;
                }
                "STARTTLS" => {
                    plain.write_all(b"220 go\r\n")?;
                    break;
                }
                // Nothing is taken in the clear.
                _ => plain.write_all(b"530 STARTTLS first\r\n")?,
            }
        }
        let connection = ServerConnection::new(tls()).unwrap();
        self.talk_encrypted(BufReader::new(StreamOwned::new(connection, plain)))
    }

    fn talk_encrypted<S: Read + Write>(&self, mut reader: BufReader<S>) -> std::io::Result<()> {
        let mut received = Received {
            to: Vec::new(),
            was_encrypted: true,
            login: None,
            content: String::new(),
        };
        loop {
            let line = line(&mut reader)?;
            let answer = match line.split([' ', ':']).next().unwrap() {
                "EHLO" => "250-test\r\n250 AUTH PLAIN LOGIN",
                "AUTH" => {
                    let secret = decode(line.rsplit(' ').next().unwrap().as_bytes());
                    received.login = Some(String::from_utf8(secret).unwrap());
                    "235 welcome"
                }
                "MAIL" => "250 ok",
                "RCPT" if line.contains(&format!("<{}>", self.refused.lock())) => "550 unknown",
                "RCPT" => {
                    received
                        .to
                        .push(line["RCPT TO:<".len()..line.len() - 1].to_owned());
                    "250 ok"
                }
                "DATA" => {
                    reader.get_mut().write_all(b"354 go on\r\n")?;
                    loop {
                        let mut text = String::new();
                        reader.read_line(&mut text)?;
                        if text == ".\r\n" {
                            break;
                        }
                        received
                            .content
                            .push_str(text.strip_prefix('.').unwrap_or(&text));
                    }
                    self.mails.lock().push(received.clone());
                    "250 taken"
                }
                "QUIT" => {
                    reader.get_mut().write_all(b"221 bye\r\n")?;
                    return reader.get_mut().flush();
                }
                _ => "500 what",
            };
            reader
                .get_mut()
                .write_all(format!("{answer}\r\n").as_bytes())?;
            reader.get_mut().flush()?;
        }
    }
}

fn line(reader: &mut impl BufRead) -> std::io::Result<String> {
    let mut line = String::new();
    if reader.read_line(&mut line)? == 0 {
        return Err(std::io::ErrorKind::UnexpectedEof.into());
    }
    Ok(line.trim_end().to_owned())
}

/// Answers by the text of the query.
#[derive(Default)]
pub struct Told(Mutex<BTreeMap<String, Result<Answer, String>>>);

impl Told {
    /// `query` has these rows from now on; numbers are values, `@` begins a time
    /// in seconds.
    pub fn rows(&self, query: &str, columns: &str, rows: &[&str]) {
        let value = |text: &str| match (text.strip_prefix('@'), text.parse::<f64>()) {
            (Some(seconds), _) => Value::Time(seconds.parse::<i64>().unwrap() * 1_000_000),
            (None, Ok(number)) => Value::Number(number),
            (None, Err(_)) if text.is_empty() => Value::Null,
            (None, Err(_)) => Value::Text(text.to_owned()),
        };
        let answer = Answer {
            columns: columns.split(',').map(str::to_owned).collect(),
            rows: rows
                .iter()
                .map(|row| row.split(',').map(value).collect())
                .collect(),
        };
        self.0.lock().insert(query.to_owned(), Ok(answer));
    }

    pub fn fails(&self, query: &str, problem: &str) {
        self.0
            .lock()
            .insert(query.to_owned(), Err(problem.to_owned()));
    }
}

impl Ask for Told {
    fn ask(&self, sql: &str, _rows_max: usize) -> Result<Answer, String> {
        let known = self.0.lock();
        known.get(sql).unwrap_or_else(|| panic!("{sql}")).clone()
    }
}
