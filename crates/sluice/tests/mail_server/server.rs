//! A mail server that others wrote: aiosmtpd, which `server.py` runs.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::Value;

use crate::certificates::make_certificates;
use crate::common::root;

/// The password of the account `sluice`.
pub const PASSWORD: &str = "Gq7-correct-horse";

/// A server on a free port, which ends with the test.
pub struct Server {
    process: Child,
    folder: tempfile::TempDir,
    pub port: u16,
}

impl Server {
    /// One that takes nothing before STARTTLS and AUTH; `None`, loudly, where this
    /// machine has no aiosmtpd.
    pub fn start() -> Option<Self> {
        Self::with(&[])
    }

    /// One that knows no STARTTLS, and takes everything in clear.
    pub fn start_plain() -> Option<Self> {
        Self::with(&["--plain"])
    }

    fn with(options: &[&str]) -> Option<Self> {
        let Some(python) = python() else {
            eprintln!("SKIPPED: aiosmtpd is not here; scripts/install-test-tools installs it");
            return None;
        };
        let folder = tempfile::tempdir().unwrap();
        make_certificates(folder.path());
        std::fs::write(folder.path().join("password"), PASSWORD).unwrap();
        let errors = folder.path().join("errors");
        let mut process = Command::new(python)
            .arg(root().join("crates/sluice/tests/mail_server/server.py"))
            .arg(folder.path())
            .args(options)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(File::create(&errors).unwrap())
            .spawn()
            .unwrap();
        let mut port = String::new();
        BufReader::new(process.stdout.take().unwrap())
            .read_line(&mut port)
            .unwrap();
        let port: u16 = port.trim().parse().unwrap_or_else(|_| {
            let said = std::fs::read_to_string(&errors).unwrap();
            panic!("the mail server did not start: {said}")
        });
        Some(Self {
            process,
            folder,
            port,
        })
    }

    /// The certificates of the authority `authority`, which vouches for it, or of
    /// `other`, which does not.
    pub fn authority(&self, name: &str) -> PathBuf {
        self.folder.path().join(format!("{name}.pem"))
    }

    /// The account has this password from now on.
    pub fn set_password(&self, password: &str) {
        std::fs::write(self.folder.path().join("password"), password).unwrap();
    }

    /// It answers nobody from now on (`STOP`), or goes on (`CONT`).
    pub fn signal(&self, signal: &str) {
        let mut command = Command::new("kill");
        command.args(["-s", signal, &self.process.id().to_string()]);
        assert!(command.status().unwrap().success());
    }

    /// What was done there, in order.
    pub fn events(&self) -> Vec<Value> {
        let path = self.folder.path().join("events.jsonl");
        let text = std::fs::read_to_string(path).unwrap_or_default();
        // The last line may not be whole yet.
        let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
        let events = whole.lines();
        let events = events.map(|line| serde_json::from_str(line).unwrap());
        events.collect()
    }

    /// The commands of its clients, in order; `+` marks those that were encrypted.
    pub fn commands(&self) -> Vec<String> {
        let name = |event: &Value| {
            let is_encrypted = event["is_encrypted"].as_bool().unwrap();
            let mark = if is_encrypted { "+" } else { "" };
            format!("{mark}{}", event["did"].as_str().unwrap())
        };
        self.events().iter().map(name).collect()
    }

    /// The mails that it has taken, as Python's library reads them.
    pub fn mails(&self) -> Vec<Value> {
        let mails = self.events().into_iter();
        let mails = mails.filter(|event| event["did"] == "DATA");
        mails.map(|mut event| event["mail"].take()).collect()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A Python that has aiosmtpd: the system's packages are not those of every other one.
fn python() -> Option<PathBuf> {
    let home = std::env::var("HOME").unwrap_or_default();
    let own = Path::new(&home).join(".cache/sluice/mail-server/venv/bin/python");
    let mut known = [
        Path::new("python3"),
        Path::new("/usr/bin/python3"),
        own.as_path(),
    ]
    .into_iter();
    let found = known.find(|python| {
        let mut command = Command::new(python);
        let output = command.args(["-c", "import aiosmtpd"]).output();
        output.is_ok_and(|output| output.status.success())
    });
    found.map(Path::to_path_buf)
}
