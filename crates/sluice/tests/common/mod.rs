//! What the tests of the real program share.

#![allow(dead_code, reason = "each test file uses a part of it")]
#![allow(
    clippy::disallowed_methods,
    reason = "tests write projects, and read beside what they do"
)]

#[path = "../../../mysql/tests/common/public_data.rs"]
pub mod public_data;

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, Command, ExitStatus, Output, Stdio};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use parking_lot::Mutex;

/// The repository.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../..")
        .canonicalize()
        .unwrap()
}

/// The example project.
pub fn example() -> PathBuf {
    root().join("examples/online-retail")
}

/// The program, without messages in JSON.
pub fn sluice() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sluice"));
    command.args(["--log-format", "human"]);
    command
}

/// Runs to the end.
pub fn output(command: &mut Command) -> Output {
    command.stdin(Stdio::null()).output().unwrap()
}

/// Runs to the end, which must be a good one. Returns standard output.
#[track_caller]
pub fn succeed(command: &mut Command) -> String {
    let output = output(command);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?} failed: {errors}");
    String::from_utf8(output.stdout).unwrap()
}

/// Runs to the end, which must be an error with this exit code. Returns
/// standard error.
#[track_caller]
pub fn fail(command: &mut Command, exit_code: i32) -> String {
    let output = output(command);
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(
        output.status.code(),
        Some(exit_code),
        "{command:?}: {errors}"
    );
    assert!(!errors.contains("panicked"), "{errors}");
    errors
}

/// `sluice run` of a project on a free port.
pub fn run_command(project: &Path, state: &Path) -> Command {
    let mut command = sluice();
    command.arg("run").arg(project).arg("--state").arg(state);
    command.args(["--set", "listen.postgres=127.0.0.1:0"]);
    command.args(["--set", "listen.http=127.0.0.1:0"]);
    command
}

/// `sluice replay`: computes everything again from the log, which must give the
/// stored rows.
pub fn replay_command(project: &Path, state: &Path) -> Command {
    let mut command = sluice();
    command.arg("replay").arg(project).arg("--state").arg(state);
    command
}

/// The answer of a statement as CSV lines without the header.
#[track_caller]
pub fn ask(state: &Path, sql: &str) -> Vec<String> {
    let mut command = sluice();
    command
        .arg("sql")
        .arg("--state")
        .arg(state)
        .args(["--format", "csv", sql]);
    let text = succeed(&mut command);
    text.lines().skip(1).map(str::to_owned).collect()
}

/// A number without the zeros that say nothing: `6.500` is `6.5`.
pub fn plain(number: &str) -> String {
    if !number.contains('.') {
        return number.to_owned();
    }
    number
        .trim_end_matches('0')
        .trim_end_matches('.')
        .to_owned()
}

/// Writes files of a project, each with its path there.
pub fn write_files(project: &Path, files: &[(&str, &str)]) {
    for (file, text) in files {
        let path = project.join(file);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
}

/// Writes models, each of which ends a line with `;`, into a file of its name each.
pub fn write_models(project: &Path, models: &str) {
    // A file holds one model.
    for model in models.split_terminator(";\n") {
        let begin = model.split(" AS ").next().unwrap();
        let name = begin.split(' ').next_back().unwrap();
        let file = format!("models/{name}.sql");
        write_files(project, &[(file.as_str(), format!("{model}\n").as_str())]);
    }
}

/// Status and body of an HTTP request. Its own body has a content type and a text.
pub fn request(
    method: &str,
    url: &str,
    authorization: Option<&str>,
    body: Option<(&str, &str)>,
) -> (u16, String) {
    let config = ureq::Agent::config_builder()
        .timeout_global(Some(Duration::from_secs(60)))
        .http_status_as_error(false)
        .build();
    let agent: ureq::Agent = config.into();
    let mut request = ureq::http::Request::builder().method(method).uri(url);
    if let Some(authorization) = authorization {
        request = request.header("Authorization", authorization);
    }
    let answer = match body {
        Some((content_type, text)) => {
            let request = request.header("Content-Type", content_type);
            agent.run(request.body(text).unwrap())
        }
        None => agent.run(request.body(()).unwrap()),
    };
    let mut answer = answer.unwrap();
    let bytes = answer.body_mut().read_to_vec().unwrap();
    let text = String::from_utf8_lossy(&bytes).into_owned();
    (answer.status().as_u16(), text)
}

/// A warehouse that runs, and is killed at the end of the test.
pub struct Running {
    pub child: Child,
    pub port: u16,
    /// `http://` and where it answers.
    pub http: String,
    said: Arc<Mutex<String>>,
    listening: Option<JoinHandle<()>>,
}

impl Running {
    /// Starts it and waits until it answers.
    pub fn start(project: &Path, state: &Path, more: &[&str]) -> Self {
        Self::of(run_command(project, state).args(more), state)
    }

    /// Starts it by this command, and waits until it answers.
    pub fn of(command: &mut Command, state: &Path) -> Self {
        // One that was killed left its address.
        let _ = std::fs::remove_file(state.join("address.json"));
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let said = Arc::new(Mutex::new(String::new()));
        let listening = listen(child.stderr.take().unwrap(), said.clone());
        let mut running = Self {
            child,
            port: 0,
            http: String::new(),
            said,
            listening: Some(listening),
        };
        // One that was killed may have much to compute again.
        for _ in 0..6_000 {
            if let Ok(text) = std::fs::read_to_string(state.join("address.json")) {
                let address: serde_json::Value = serde_json::from_str(&text).unwrap();
                let postgres = address["postgres"].as_str().unwrap();
                running.port = postgres.rsplit(':').next().unwrap().parse().unwrap();
                running.http = format!("http://{}", address["http"].as_str().unwrap());
                return running;
            }
            if let Some(status) = running.child.try_wait().unwrap() {
                let errors = running.said_to_its_end();
                panic!("the warehouse ended with {status}: {errors}");
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        panic!("the warehouse did not start within five minutes");
    }

    /// What it has said so far.
    pub fn said(&self) -> String {
        self.said.lock().clone()
    }

    /// What it said, once it has ended.
    fn said_to_its_end(&mut self) -> String {
        self.listening.take().unwrap().join().unwrap();
        self.said()
    }

    /// Ends it at once; what it said.
    pub fn kill(mut self) -> String {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        let said = self.said_to_its_end();
        assert!(!said.contains("panicked"), "{said}");
        said
    }

    /// Ends it as Ctrl-C does, and waits.
    pub fn stop(self) -> ExitStatus {
        self.stop_and_tell().0
    }

    /// Ends it as Ctrl-C does, and waits; what it said, too.
    pub fn stop_and_tell(mut self) -> (ExitStatus, String) {
        let pid = self.child.id().to_string();
        Command::new("kill").args(["-INT", &pid]).status().unwrap();
        let status = self.child.wait().unwrap();
        (status, self.said_to_its_end())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let ended = self.child.try_wait();
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            // One that ended by itself tells why.
            let said = self.said();
            eprintln!("a warehouse, ended: {ended:?}, said:\n{said}");
        }
    }
}

/// Collects what a process says. Nobody else reads it, and a pipe that is full
/// stops who writes into it.
fn listen(errors: ChildStderr, said: Arc<Mutex<String>>) -> JoinHandle<()> {
    let mut errors = BufReader::new(errors);
    std::thread::spawn(move || {
        let mut line = Vec::new();
        while errors
            .read_until(b'\n', &mut line)
            .is_ok_and(|read| read > 0)
        {
            said.lock().push_str(&String::from_utf8_lossy(&line));
            line.clear();
        }
    })
}

/// Asks until the answer is the one that is expected, for at most 20 seconds.
#[track_caller]
pub fn ask_until(state: &Path, sql: &str, expected: &[&str]) {
    ask_times(200, state, sql, expected);
}

/// Asks like `ask_until`, but for at most two minutes: after many kills, or while
/// brokers start, there is much to read and to compute again.
#[track_caller]
pub fn ask_long_until(state: &Path, sql: &str, expected: &[&str]) {
    ask_times(1_200, state, sql, expected);
}

/// Asks ten times a second until the answer is the one that is expected.
#[track_caller]
fn ask_times(times: usize, state: &Path, sql: &str, expected: &[&str]) {
    let mut answer = Vec::new();
    for _ in 0..times {
        answer = ask(state, sql);
        if answer == expected {
            return;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    panic!("{sql}: {answer:?}, expected {expected:?}");
}

/// Every row of every table and view of a stopped warehouse, sorted. What
/// depends on where epochs were cut or in what order topics came is left out:
/// the epoch of dead letters, ids of unique values, and states made of them
/// (their counts are columns of their own).
pub fn all_rows(state: &Path) -> BTreeMap<String, Vec<String>> {
    let names = ask(
        state,
        "SELECT table_name FROM information_schema.tables WHERE table_schema = 'public' AND table_type <> 'VIEW' ORDER BY table_name",
    );
    let mut rows = BTreeMap::new();
    for name in names {
        let columns = match name.as_str() {
            "sluice_dead_letters" => {
                "topic, record_offset, table_name, column_name, reason, detail, payload".to_owned()
            }
            "sluice_uniq_ids" => "domain, value".to_owned(),
            _ => ask(
                state,
                &format!("SELECT column_name FROM information_schema.columns WHERE table_name = '{name}' AND data_type <> 'Binary' ORDER BY ordinal_position"),
            )
            .join(", "),
        };
        let mut of_table = ask(state, &format!("SELECT {columns} FROM {name}"));
        of_table.sort();
        rows.insert(name, of_table);
    }
    rows
}
