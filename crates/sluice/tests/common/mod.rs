//! What the tests of the real program share.

#![allow(dead_code, reason = "each test file uses a part of it")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

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

/// A folder of public data, or a loud word that the test is skipped.
pub fn public_data(folder: &str) -> Option<PathBuf> {
    let root_of_data = match std::env::var_os("SLUICE_DATA") {
        Some(chosen) => PathBuf::from(chosen),
        None => root().join("../shared/data"),
    };
    let path = root_of_data.join(folder);
    if path.is_dir() {
        return Some(path.canonicalize().unwrap());
    }
    eprintln!(
        "SKIPPED: {} is not there; set SLUICE_DATA to the folder of public data to run this test",
        path.display()
    );
    None
}

/// A warehouse that runs, and is killed at the end of the test.
pub struct Running {
    pub child: Child,
    pub port: u16,
}

impl Running {
    /// Starts it and waits until it answers.
    pub fn start(project: &Path, state: &Path, more: &[&str]) -> Self {
        // One that was killed left its address.
        let _ = std::fs::remove_file(state.join("address.json"));
        let mut command = run_command(project, state);
        let child = command
            .args(more)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut running = Self { child, port: 0 };
        // One that was killed may have much to compute again.
        for _ in 0..6_000 {
            if let Ok(text) = std::fs::read_to_string(state.join("address.json")) {
                let address: serde_json::Value = serde_json::from_str(&text).unwrap();
                let postgres = address["postgres"].as_str().unwrap();
                running.port = postgres.rsplit(':').next().unwrap().parse().unwrap();
                return running;
            }
            if let Some(status) = running.child.try_wait().unwrap() {
                let mut errors = String::new();
                use std::io::Read;
                running
                    .child
                    .stderr
                    .take()
                    .unwrap()
                    .read_to_string(&mut errors)
                    .unwrap();
                panic!("the warehouse ended with {status}: {errors}");
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        panic!("the warehouse did not start within five minutes");
    }

    /// Ends it as Ctrl-C does, and waits.
    pub fn stop(mut self) -> std::process::ExitStatus {
        let pid = self.child.id().to_string();
        Command::new("kill").args(["-INT", &pid]).status().unwrap();
        self.child.wait().unwrap()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Asks until the answer is the one that is expected, for at most 20 seconds.
#[track_caller]
pub fn ask_until(state: &Path, sql: &str, expected: &[&str]) {
    let mut answer = Vec::new();
    for _ in 0..200 {
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
