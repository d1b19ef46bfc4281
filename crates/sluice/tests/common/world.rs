//! A project and its state in a folder of their own, of which a test changes the
//! files while the warehouse works.

#![allow(dead_code, reason = "each test file uses a part of it")]

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use crate::common::{Running, output, replay_command, run_command, sluice};

/// See the module.
pub struct World {
    folder: tempfile::TempDir,
}

impl World {
    /// With this `warehouse.toml`, and nothing else.
    pub fn with(warehouse: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let world = Self { folder };
        write(&world.project().join("warehouse.toml"), warehouse);
        world
    }

    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub fn project(&self) -> PathBuf {
        self.folder().join("project")
    }

    pub fn state(&self) -> PathBuf {
        self.folder().join("state")
    }

    pub fn sources(&self, name: &str, text: &str) {
        write(&self.project().join(format!("sources/{name}.toml")), text);
    }

    pub fn model(&self, name: &str, sql: &str) {
        write(&self.project().join(format!("models/{name}.sql")), sql);
    }

    pub fn start(&self) -> Running {
        Running::start(&self.project(), &self.state(), &[])
    }

    /// The command that reads and computes all that is there, and ends.
    pub fn until_idle(&self) -> Command {
        let mut command = run_command(&self.project(), &self.state());
        command.arg("--until-idle");
        command
    }

    /// The command that looks whether the log gives what is stored.
    pub fn replay(&self) -> Command {
        replay_command(&self.project(), &self.state())
    }

    /// The answer without the header; `None` where it is an error.
    pub fn is_answered(&self, sql: &str) -> Option<Vec<String>> {
        let mut command = sluice();
        command.arg("sql").arg("--state").arg(self.state());
        let output = output(command.args(["--format", "csv", sql]));
        let text = String::from_utf8(output.stdout).unwrap();
        let lines = text.lines().skip(1).map(str::to_owned).collect();
        output.status.success().then_some(lines)
    }

    /// Whether the answer is this one row.
    pub fn says(&self, sql: &str, answer: &str) -> bool {
        self.is_answered(sql) == Some(vec![answer.to_owned()])
    }
}

/// Writes a file of a project that is watched.
pub fn write(path: &Path, text: &str) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    // In one step: the watch must not read half a file.
    let beside = path.with_extension("beside");
    std::fs::write(&beside, text).unwrap();
    std::fs::rename(&beside, path).unwrap();
}

/// Waits for at most two minutes.
#[track_caller]
pub fn wait(what: &str, mut is_so: impl FnMut() -> bool) {
    let start = Instant::now();
    while !is_so() {
        assert!(start.elapsed() < Duration::from_secs(120), "never: {what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}
