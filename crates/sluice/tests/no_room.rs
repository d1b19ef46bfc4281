//! State that has room neither in memory nor on disk: sources and clients
//! wait, what is there stays whole and can be asked for, and a start with more
//! room goes on. A disk that is full: the same, and it goes on by itself.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a test fails by panicking, waits, and writes its project"
)]

mod common;
#[path = "../../mysql/tests/common/mod.rs"]
mod mysql;
#[path = "../../postgres/tests/common/mod.rs"]
mod postgres;
#[path = "common/world.rs"]
mod world;

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use common::{Running, ask, run_command, succeed, write_files};
use world::{World, wait};

const RECORDS: usize = 400_000;

const SOURCES: &str = r#"
[topic.visits]
[topic.visits.capture]
kind = "file"
path = "*.ndjson"
format = "ndjson"

[topic.clicks]
[topic.clicks.capture]
kind = "http"

[table.visit]
topic = "visits"
columns = [
  { name = "device", from = "/device", type = "string" },
  { name = "place", from = "/place", type = "int64" },
]

[table.click]
topic = "clicks"
columns = [{ name = "device", from = "/device", type = "string" }]
"#;

const PLACES: &str = "CREATE MATERIALIZED VIEW places AS
SELECT place, count(*) AS visits, count(DISTINCT device) AS devices FROM visit GROUP BY place";
const DEVICES: &str = "CREATE MATERIALIZED VIEW devices AS
SELECT device, count(*) AS visits FROM visit GROUP BY device";

fn records() -> String {
    let mut text = String::new();
    for number in 0..RECORDS {
        let device = format!("device-{number:08}-of-a-long-name");
        let place = number % 50_000;
        writeln!(text, "{{\"device\":\"{device}\",\"place\":{place}}}").unwrap();
    }
    text
}

fn click(http: &str) -> Result<u16, ureq::Error> {
    let agent = ureq::Agent::config_builder()
        .timeout_global(Some(Duration::from_secs(5)))
        .http_status_as_error(false)
        .build()
        .new_agent();
    let url = format!("{http}/collect/clicks");
    let answer = agent.post(url).send("{\"device\":\"d\"}")?;
    Ok(answer.status().as_u16())
}

fn metric(http: &str, name: &str) -> f64 {
    let metrics = ureq::get(format!("{http}/metrics")).call().unwrap();
    let metrics = metrics.into_body().read_to_string().unwrap();
    let mut lines = metrics.lines();
    let value = lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    value.unwrap().parse().unwrap()
}

const WHOLE: &str = "SELECT (SELECT count(*) FROM visit) AS rows,
    (SELECT sum(visits) FROM places) AS by_place,
    (SELECT sum(devices) FROM places) AS devices,
    (SELECT count(*) FROM devices) AS by_device";

fn counts(state: &Path) -> Vec<usize> {
    let answer = ask(state, WHOLE);
    let numbers = answer[0].split(',').map(|number| number.parse().unwrap());
    numbers.collect()
}

#[test]
fn without_room_everything_waits_and_nothing_is_lost() {
    let folder = tempfile::tempdir().unwrap();
    let project = folder.path().join("project");
    let state = folder.path().join("state");
    write_files(
        &project,
        &[
            ("warehouse.toml", "name = \"visits\"\n"),
            ("sources/visits.toml", SOURCES),
            ("models/places.sql", PLACES),
            ("models/devices.sql", DEVICES),
            ("visits.ndjson", &records()),
        ],
    );

    let limits = [
        "--set",
        "limits.state_memory_bytes_max=8000000",
        "--set",
        "limits.state_disk_bytes_max=8000000",
        "--set",
        "limits.epoch_records_max=5000",
    ];
    let running = Running::start(&project, &state, &limits);
    // At most two minutes.
    let is_said = (0..2_400).any(|_| {
        std::thread::sleep(Duration::from_millis(50));
        running.said().contains("the state has reached its limits")
    });
    assert!(is_said, "it never said that there is no room");

    // Whole epochs, and no further ones.
    let stopped = counts(&state);
    assert!(stopped[0] < RECORDS, "there was room for everything");
    assert!(
        stopped.iter().all(|count| *count == stopped[0]),
        "{stopped:?}"
    );
    assert_eq!(click(&running.http).unwrap(), 503);
    assert!(metric(&running.http, "sluice_state_over_bytes") > 0.0);
    assert_eq!(counts(&state), stopped);
    assert!(running.stop().success());

    succeed(run_command(&project, &state).arg("--until-idle"));
    assert_eq!(counts(&state), [RECORDS; 4]);
    assert_eq!(ask(&state, "SELECT count(*) FROM click"), ["0"]);
}

/// A small disk of its own.
struct SmallDisk(PathBuf);

impl SmallDisk {
    /// `None` with a loud word where a test may mount none.
    fn mount(folder: PathBuf, size: &str) -> Option<Self> {
        std::fs::create_dir_all(&folder).unwrap();
        let mut command = Command::new("mount");
        command.args(["-t", "tmpfs", "-o", &format!("size={size}"), "sluice"]);
        if command.arg(&folder).status().is_ok_and(|it| it.success()) {
            return Some(Self(folder));
        }
        eprintln!("SKIPPED: a small disk cannot be mounted; run this test as the administrator");
        None
    }

    fn resize(&self, size: &str) {
        let mut command = Command::new("mount");
        command.args(["-o", &format!("remount,size={size}")]);
        assert!(command.arg(&self.0).status().unwrap().success());
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

/// Rows of the shop; their notes, which hardly compress, are larger than the small
/// disk.
const VISITS: u64 = 60_000;

/// Rows that come twice are seen: the table has no key.
const CAPTURED: &str = r#"
[table.visit]
topic = "shop"
when = [{ field = "/table", equals = "visit" }]
row = "/data"
columns = [{ name = "id", from = "./id", type = "int64" }]
"#;

/// A thousand letters that look random (xorshift64).
fn note(id: u64) -> String {
    let mut state = (id + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mut letter = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        char::from(b'0' + (state >> 20) as u8 % 75)
    };
    (0..1_000)
        .map(|_| letter())
        .filter(|&it| it != '\\' && it != '\'')
        .collect()
}

fn insert_visits(run: &dyn Fn(&str), ids: std::ops::Range<u64>) {
    for first in ids.clone().step_by(500) {
        let rows = first..(first + 500).min(ids.end);
        let rows: Vec<String> = rows.map(|id| format!("({id}, '{}')", note(id))).collect();
        run(&format!("INSERT INTO visit VALUES {}", rows.join(", ")));
    }
}

/// `cut` cuts the connection over which the server's log is read.
fn a_full_disk_holds_capture(capture: &str, run: &dyn Fn(&str), cut: &dyn Fn()) {
    let world = World::with("name = \"full\"\n[limits]\ncheckpoint_interval_ms = 500\n");
    let Some(disk) = SmallDisk::mount(world.state(), "24m") else {
        return;
    };
    world.sources(
        "shop",
        &format!(
            "[topic.shop]\nunplaced = \"drop\"\n[topic.shop.capture]\n{capture}\n{CAPTURED}\n[topic.clicks.capture]\nkind = \"http\"\n[table.click]\ntopic = \"clicks\"\ncolumns = [{{ name = \"device\", from = \"/device\", type = \"string\" }}]\n"
        ),
    );
    run("CREATE TABLE visit (id BIGINT PRIMARY KEY, note TEXT)");
    insert_visits(run, 0..1);
    let running = world.start();
    wait("the first copy", || {
        world.says("SELECT count(*) FROM visit", "1")
    });

    insert_visits(run, 1..VISITS);
    wait("a full disk", || {
        running.said().contains("there is no room on the disk")
    });
    let is_refused = || click(&running.http).is_ok_and(|status| status == 503);
    wait("a client is told to come again", is_refused);
    assert!(metric(&running.http, "sluice_disk_waits") > 0.0);
    let stopped =
        "SELECT count(*) > 0 AND count(*) < 60000 AND count(*) = count(DISTINCT id) FROM visit";
    assert!(world.says(stopped, "true"), "readers go on");
    cut();
    std::thread::sleep(Duration::from_secs(1));
    wait("it still waits", is_refused);

    disk.resize("800m");
    let all = "SELECT count(*), count(DISTINCT id), sum(id) FROM visit";
    let sum = VISITS * (VISITS - 1) / 2;
    let wanted = format!("{VISITS},{VISITS},{sum}");
    wait("all rows", || world.says(all, &wanted));
    let said = "there is room on the disk again";
    wait(said, || running.said().contains(said));
    assert_eq!(metric(&running.http, "sluice_disk_waits"), 0.0);
    wait("a client is heard again", || {
        click(&running.http).is_ok_and(|status| status == 200)
    });
    assert!(running.stop().success());
    succeed(&mut world.replay());
    let running = world.start();
    insert_visits(run, VISITS..VISITS + 1);
    let more = format!("{0},{0},{1}", VISITS + 1, sum + VISITS);
    wait("the row behind them", || world.says(all, &more));
    assert!(running.stop().success());
}

#[test]
fn a_full_disk_holds_mariadb() {
    let more = ["--server-id=1"];
    let Some(server) = mysql::Server::start_as(mysql::Kind::MariaDb, &more) else {
        return;
    };
    server.run(&["CREATE DATABASE shop CHARACTER SET utf8mb4"]);
    let capture = format!(
        "kind = \"mysql\"\nhost = \"127.0.0.1\"\nport = {}\nuser = \"root\"\ntables = [\"shop.*\"]\n",
        server.address.port
    );
    let cut = || {
        for row in server.connect().query("SHOW PROCESSLIST").unwrap() {
            let text = |place: usize| String::from_utf8(row[place].clone().unwrap()).unwrap();
            if text(4).starts_with("Binlog Dump") {
                server.run(&[&format!("KILL {}", text(0))]);
            }
        }
    };
    let run = |sql: &str| server.run(&["USE shop", sql]);
    a_full_disk_holds_capture(&capture, &run, &cut);
}

#[test]
fn a_full_disk_holds_postgresql() {
    let Some(server) = postgres::Server::start(&[]) else {
        return;
    };
    let capture = format!(
        "kind = \"postgres\"\nhost = \"127.0.0.1\"\nport = {}\ndatabase = \"shop\"\nuser = \"admin\"\npublications = [\"sluice\"]\n",
        server.address.port
    );
    let run = |sql: &str| {
        server.run(sql);
    };
    let cut = || run("SELECT pg_terminate_backend(pid) FROM pg_stat_replication");
    a_full_disk_holds_capture(&capture, &run, &cut);
}
