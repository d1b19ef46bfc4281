//! Files that are their own log: killed again and again, the warehouse ends
//! with what a run has that copied the files and was never disturbed; and a
//! file that was changed behind its back is an error that names it.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a test fails by panicking, waits, and writes its project"
)]

mod common;
#[path = "common/files_below.rs"]
mod files_below;
#[path = "common/log_bytes.rs"]
mod log_bytes;

use std::fmt::Write;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use common::{
    Running, all_rows, ask, ask_until, fail, output, replay_command, run_command, succeed,
};
use log_bytes::log_bytes;

const SOURCES: &str = r#"
[topic.visits]
[topic.visits.capture]
kind = "file"
path = "../input/*.ndjson"
format = "ndjson"
LOG

[topic.places]
[topic.places.capture]
kind = "file"
path = "../input/*.csv"
format = "csv"
LOG

[table.visit]
topic = "visits"
columns = [
  { name = "number", from = "/n", type = "int64" },
  { name = "place", from = "/place", type = "int64" },
]

[table.place]
topic = "places"
primary_key = ["id"]
columns = [
  { name = "id", from = "id", type = "int64" },
  { name = "name", from = "name", type = "string" },
]
"#;

const VIEW: &str = "CREATE MATERIALIZED VIEW visits_of_place AS
SELECT name, count(*) AS visits, sum(number) AS numbers
FROM visit JOIN place ON place = id GROUP BY name";

/// Visits as lines of JSON, some of them blank or broken.
fn visits(numbers: std::ops::Range<u32>) -> String {
    let mut lines = String::new();
    for number in numbers {
        match number % 97 {
            13 => writeln!(lines),
            14 => writeln!(lines, "{{\"n\":{number},"),
            15 => write!(lines, "{{\"n\":{number},\"place\":2}}\r\n"),
            _ => writeln!(lines, r#"{{"n":{number},"place":{}}}"#, number % 50),
        }
        .unwrap();
    }
    lines
}

/// Places as CSV with a byte-order mark, quoted line breaks and quotes.
fn places(numbers: std::ops::Range<u32>) -> String {
    let mut lines = String::from("\u{feff}id,name\n");
    for number in numbers {
        let name = match number % 5 {
            0 => "\"a\nline\"".to_owned(),
            1 => "\"a \"\"quote\"\"\"".to_owned(),
            _ => format!("name {}", number % 7),
        };
        writeln!(lines, "{},{name}", number % 60).unwrap();
    }
    lines
}

struct Warehouse {
    folder: tempfile::TempDir,
}

impl Warehouse {
    fn new(log: &str) -> Self {
        let warehouse = Self {
            folder: tempfile::tempdir().unwrap(),
        };
        let limits = "[limits]\nepoch_records_max = 777\ncheckpoint_interval_ms = 40\n";
        warehouse.write(
            "project/warehouse.toml",
            &format!("name = \"own_log\"\n{limits}"),
        );
        warehouse.write("project/sources/all.toml", &SOURCES.replace("LOG", log));
        warehouse.write("project/models/visits_of_place.sql", VIEW);
        warehouse.write("input/a.ndjson", &visits(0..60_000));
        warehouse.write("input/b.ndjson", &visits(60_000..120_000));
        warehouse.write("input/a.csv", &places(0..2_000));
        warehouse.write("input/b.csv", &places(2_000..3_000));
        warehouse
    }

    fn own() -> Self {
        Self::new("log = \"source\"")
    }

    fn path(&self, path: &str) -> PathBuf {
        self.folder.path().join(path)
    }

    fn write(&self, path: &str, text: &str) {
        let path = self.path(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    /// Defines topics and tables anew while the project is watched.
    fn redefine(&self, text: &str) {
        // In one step: the watch must not read half a file.
        self.write("project/sources/all.beside", text);
        let beside = self.path("project/sources/all.beside");
        std::fs::rename(beside, self.path("project/sources/all.toml")).unwrap();
    }

    fn append(&self, path: &str, text: &str) {
        // As a writer does, not as an editor: the file stays the same one.
        use std::io::Write;
        let mut file = std::fs::OpenOptions::new()
            .append(true)
            .open(self.path(path))
            .unwrap();
        file.write_all(text.as_bytes()).unwrap();
    }

    fn state(&self) -> PathBuf {
        self.path("state")
    }

    fn run(&self) -> std::process::Command {
        let mut command = run_command(&self.path("project"), &self.state());
        command.arg("--until-idle");
        command
    }

    /// Starts it and kills it after a while; false if it was done before.
    fn run_and_kill(&self, after: Duration) -> bool {
        let mut child = self
            .run()
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        std::thread::sleep(after);
        if let Some(status) = child.try_wait().unwrap() {
            assert!(status.success(), "{status}");
            return false;
        }
        child.kill().unwrap();
        child.wait().unwrap();
        true
    }
}

#[test]
fn kills_and_growing_and_renamed_files_end_as_an_undisturbed_run_that_copies() {
    let copying = Warehouse::new("");
    let own = Warehouse::own();
    let mut kills = 0;
    for round in 0..14_u64 {
        let moment = Duration::from_millis(40 + round * 37 % 400);
        kills += u32::from(own.run_and_kill(moment));
        if round == 5 {
            own.append("input/b.ndjson", &visits(120_000..180_000));
        }
        if round == 8 {
            std::fs::rename(own.path("input/a.ndjson"), own.path("input/a.old")).unwrap();
        }
    }
    assert!(kills >= 3, "killed {kills} times");
    succeed(&mut own.run());
    copying.append("input/b.ndjson", &visits(120_000..180_000));
    succeed(&mut copying.run());

    let expected = all_rows(&copying.state());
    let found = all_rows(&own.state());
    assert!(expected["visits_of_place"].len() >= 9);
    assert!(expected["sluice_dead_letters"].len() >= 1_800);
    for (name, rows) in &expected {
        assert!(found[name] == *rows, "{name} differs");
    }
    let (own_bytes, copied_bytes) = (log_bytes(&own.state()), log_bytes(&copying.state()));
    assert!(own_bytes * 10 < copied_bytes, "{own_bytes} {copied_bytes}");

    // Everything comes back from the files alone.
    succeed(&mut replay_command(&own.path("project"), &own.state()));

    // A project may take its files back into the log at any time.
    own.write("project/sources/all.toml", &SOURCES.replace("LOG", ""));
    own.append("input/b.ndjson", "{\"n\":1000000,\"place\":3}\n");
    succeed(&mut own.run());
    let count = "SELECT count(*) - (SELECT count(*) FROM visit WHERE number < 1000000) FROM visit";
    assert_eq!(ask(&own.state(), count), ["1"]);
}

#[test]
fn a_file_that_was_changed_or_cut_short_is_named() {
    for is_cut in [false, true] {
        let own = Warehouse::own();
        succeed(&mut own.run());
        let before = std::fs::read(own.path("input/a.ndjson")).unwrap();
        let mut bytes = before.clone();
        match is_cut {
            true => bytes.truncate(1_000),
            false => bytes[700_000] ^= 1,
        }
        std::fs::write(own.path("input/a.ndjson"), &bytes).unwrap();
        // Another definition of tables: everything is read again.
        let sources = std::fs::read_to_string(own.path("project/sources/all.toml")).unwrap();
        let place = "from = \"/place\", type = \"int64\"";
        assert!(sources.contains(place));
        let changed = sources.replace(place, &format!("{place}, trim = true"));
        own.write("project/sources/all.toml", &changed);
        let refused = output(&mut own.run());
        let errors = String::from_utf8_lossy(&refused.stderr);
        // A shorter file is found when it is opened, another content when it is
        // read again.
        let said = match is_cut {
            true => "it was cut short or replaced",
            false => "the change of the project is refused",
        };
        assert!(errors.contains(said), "{errors}");
        assert!(errors.contains("a.ndjson"), "{errors}");
        assert!(errors.contains("its own log"), "{errors}");
        std::fs::write(own.path("input/a.ndjson"), &before).unwrap();
        let taken = output(&mut own.run());
        let errors = String::from_utf8_lossy(&taken.stderr);
        assert!(
            taken.status.success() && !errors.contains("refused"),
            "{errors}"
        );
    }
}

#[test]
fn a_file_that_is_replaced_while_it_is_followed_is_named() {
    let own = Warehouse::own();
    succeed(&mut own.run());
    own.write("input/a.ndjson", "{\"n\":1,\"place\":3}\n");
    let errors = fail(&mut own.run(), 1);
    assert!(errors.contains("a.ndjson"), "{errors}");
    assert!(errors.contains("holds other content"), "{errors}");
}

#[test]
fn a_change_that_fails_leaves_the_log_where_it_lies() {
    let own = Warehouse::own();
    succeed(&mut own.run());
    let state = own.state();
    let count = "SELECT count(*) FROM visit";
    let visits: u64 = ask(&state, count)[0].parse().unwrap();
    let running = Running::start(&own.path("project"), &state, &[]);
    // Its files are not in that folder, and the new table needs what they hold.
    own.write("elsewhere/other.ndjson", "");
    let sources = std::fs::read_to_string(own.path("project/sources/all.toml")).unwrap();
    let (path, place) = ("../input/*.ndjson", "from = \"/place\", type = \"int64\"");
    assert!(sources.contains(path) && sources.contains(place));
    let moved = sources.replace(path, "../elsewhere/*.ndjson");
    own.redefine(&moved.replace(place, &format!("{place}, trim = true")));
    let mut said = String::new();
    for _ in 0..600 {
        said = running.said();
        if said.contains("the change of the project is refused") {
            break;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    assert!(said.contains("is refused"), "{said}");
    // Capture goes on in the old folder, and there the log is read.
    own.append("input/b.ndjson", "{\"n\":1000000,\"place\":3}\n");
    ask_until(&state, count, &[&(visits + 1).to_string()]);
    own.redefine(&sources);
    own.append("input/b.ndjson", "{\"n\":1000001,\"place\":3}\n");
    ask_until(&state, count, &[&(visits + 2).to_string()]);
    assert!(running.stop().success());
    succeed(&mut replay_command(&own.path("project"), &state));
}
