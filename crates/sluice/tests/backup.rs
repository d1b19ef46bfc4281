//! Backups of a warehouse that runs: each holds everything that was
//! acknowledged before it began, and gives a warehouse that goes on.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod common;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use common::{Running, ask, ask_until, fail, replay_command, run_command, sluice, succeed};

const SOURCES: &str = r#"
[topic.clicks]
[topic.clicks.capture]
kind = "http"

[table.click]
topic = "clicks"
columns = [
  { name = "number", from = "/number", type = "int64" },
  { name = "place", from = "/place", type = "int64" },
]
"#;

const PLACES: &str = "CREATE MATERIALIZED VIEW places AS
SELECT place, count(*) AS clicks, sum(number) AS numbers FROM click GROUP BY place";

const QUICK: [&str; 4] = [
    "--set",
    "limits.checkpoint_interval_ms=50",
    "--set",
    "limits.epoch_records_max=1000",
];

fn write(path: &Path, text: &str) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    #[expect(clippy::disallowed_methods, reason = "a test writes its project")]
    std::fs::write(path, text).unwrap();
}

fn project(folder: &Path) -> PathBuf {
    let project = folder.join("project");
    write(&project.join("warehouse.toml"), "name = \"clicks\"\n");
    write(&project.join("sources/clicks.toml"), SOURCES);
    write(&project.join("models/places.sql"), PLACES);
    project
}

/// Sends `count` numbers from `first` on, 50 a request.
fn send(address: &str, first: u64, count: u64) {
    let lines = (first..first + count).map(|number| {
        let place = number % 7;
        format!("{{\"number\":{number},\"place\":{place}}}\n")
    });
    let url = format!("http://{address}/collect/clicks");
    ureq::post(url).send(lines.collect::<String>()).unwrap();
}

fn address(state: &Path) -> String {
    let text = std::fs::read_to_string(state.join("address.json")).unwrap();
    let address: serde_json::Value = serde_json::from_str(&text).unwrap();
    address["http"].as_str().unwrap().to_owned()
}

fn backup(state: &Path, to: &Path) -> Command {
    let mut command = sluice();
    command.arg("backup").arg("--state").arg(state);
    command.arg("--to").arg(to);
    command
}

fn restore(backup: &Path, state: &Path) -> Command {
    let mut command = sluice();
    command.arg("restore").arg(backup);
    command.arg("--state").arg(state);
    command
}

/// Waits until a file is there, for at most 20 seconds.
#[track_caller]
fn wait_for(file: &Path) {
    for _ in 0..200 {
        if file.exists() {
            return;
        }
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
    panic!("{} did not come", file.display());
}

/// The folders of backups, oldest first.
fn folders(backups: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(backups).unwrap();
    let paths = entries.map(|entry| entry.unwrap().path());
    let mut paths: Vec<PathBuf> = paths.filter(|path| path.is_dir()).collect();
    paths.sort();
    paths
}

#[test]
fn a_backup_of_a_busy_warehouse_holds_all_that_was_acknowledged() {
    let folder = tempfile::tempdir().unwrap();
    let project = project(folder.path());
    let (state, backups) = (folder.path().join("state"), folder.path().join("backups"));
    let running = Running::start(&project, &state, &QUICK);
    let (acknowledged, is_over) = (
        Arc::new(AtomicU64::new(0)),
        Arc::new(AtomicBool::new(false)),
    );
    let client = {
        let (acknowledged, is_over) = (acknowledged.clone(), is_over.clone());
        let address = address(&state);
        #[expect(clippy::disallowed_methods, reason = "a client beside the test")]
        std::thread::spawn(move || {
            while !is_over.load(Ordering::Acquire) {
                let first = acknowledged.load(Ordering::Acquire);
                send(&address, first, 50);
                acknowledged.store(first + 50, Ordering::Release);
            }
        })
    };
    // A backup without a checkpoint can be started, and not be asked before.
    wait_for(&state.join("store/MANIFEST"));
    let mut known_before = Vec::new();
    for _ in 0..4 {
        std::thread::sleep(std::time::Duration::from_millis(400));
        known_before.push(acknowledged.load(Ordering::Acquire));
        succeed(&mut backup(&state, &backups));
    }
    is_over.store(true, Ordering::Release);
    client.join().unwrap();
    assert!(running.stop().success());
    let sent = acknowledged.load(Ordering::Acquire);

    let made = folders(&backups);
    assert_eq!(made.len(), 4);
    for (number, (made, known)) in made.iter().zip(known_before).enumerate() {
        let again = folder.path().join(format!("again-{number}"));
        succeed(&mut restore(made, &again));
        // It is a state before it ran.
        let count: u64 = ask(&again, "SELECT count(*) FROM click")[0]
            .parse()
            .unwrap();
        assert!(count <= sent);
        let running = Running::start(&project, &again, &[]);
        let ends = [format!("{known}"), format!("{sent}")];
        let counts = ask(&again, "SELECT count(*), max(number) + 1 FROM click");
        let count: u64 = counts[0].split(',').next().unwrap().parse().unwrap();
        assert!((known..=sent).contains(&count), "{count} of {ends:?}");
        // All from the first one on, none twice.
        assert_eq!(counts, [format!("{count},{count}")]);
        let of_views = "SELECT sum(clicks), sum(numbers) FROM places";
        let expected = format!("{count},{}", count * (count - 1) / 2);
        assert_eq!(ask(&again, of_views), [expected]);
        // It goes on.
        send(&address(&again), count, 50);
        ask_until(
            &again,
            "SELECT sum(clicks) FROM places",
            &[&(count + 50).to_string()],
        );
        assert!(running.stop().success());
        succeed(&mut replay_command(&project, &again));
    }
}

#[test]
fn what_is_there_is_not_copied_again_and_older_backups_go() {
    let folder = tempfile::tempdir().unwrap();
    let project = project(folder.path());
    let (state, backups) = (folder.path().join("state"), folder.path().join("backups"));
    let running = Running::start(&project, &state, &[]);
    for number in 0..20 {
        send(&address(&state), number * 5_000, 5_000);
    }
    ask_until(&state, "SELECT sum(clicks) FROM places", &["100000"]);
    assert!(running.stop().success());
    succeed(&mut backup(&state, &backups));
    succeed(&mut backup(&state, &backups));
    let [first, second] = folders(&backups).try_into().unwrap();
    use std::os::unix::fs::MetadataExt;
    let inode = |backup: &Path, name: &Path| backup.join(name).metadata().unwrap().ino();
    let segments = std::fs::read_dir(first.join("log/topics/clicks/00000")).unwrap();
    let segment = segments.map(|entry| entry.unwrap().path()).min().unwrap();
    let segment = segment.strip_prefix(&first).unwrap();
    assert_eq!(inode(&first, segment), inode(&second, segment));

    // A backup that was interrupted is none, and goes with the next.
    let unfinished = backups.join("2026-01-01T00-00-00Z.unfinished");
    write(&unfinished.join("store/MANIFEST"), "");
    let refused = fail(&mut restore(&unfinished, &folder.path().join("x")), 2);
    assert!(refused.contains("is no backup"), "{refused}");
    succeed(backup(&state, &backups).args(["--keep", "2"]));
    assert!(!unfinished.exists() && !first.exists());
    assert_eq!(folders(&backups).len(), 2);

    // The newest one of a folder.
    let again = folder.path().join("again");
    let restored = restore(&backups, &again).output().unwrap();
    let said = String::from_utf8_lossy(&restored.stderr);
    assert!(restored.status.success(), "{said}");
    assert!(said.contains("add --quiet"), "{said}");
    succeed(run_command(&project, &again).arg("--until-idle"));
    assert_eq!(ask(&again, "SELECT sum(clicks) FROM places"), ["100000"]);
    let refused = fail(&mut restore(&backups, &again), 2);
    assert!(refused.contains("is not empty"), "{refused}");

    // Damage is found before there is a state.
    let damaged = second.join(segment);
    let mut bytes = std::fs::read(&damaged).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::remove_file(&damaged).unwrap();
    #[expect(clippy::disallowed_methods, reason = "a test damages a file")]
    std::fs::write(&damaged, &bytes).unwrap();
    let broken = folder.path().join("broken");
    let refused = fail(&mut restore(&second, &broken), 1);
    assert!(refused.contains("the file is damaged"), "{refused}");
    assert!(!broken.exists());
}

#[test]
fn there_must_be_a_warehouse() {
    let folder = tempfile::tempdir().unwrap();
    let nothing = folder.path().join("nothing");
    let refused = fail(&mut backup(&nothing, &folder.path().join("b")), 2);
    assert!(refused.contains("no warehouse state"), "{refused}");
}
