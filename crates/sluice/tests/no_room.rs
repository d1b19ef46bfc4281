//! State that has room neither in memory nor on disk: sources and clients
//! wait, what is there stays whole and can be asked for, and a start with more
//! room goes on.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod common;

use std::fmt::Write;
use std::path::Path;
use std::time::Duration;

use common::{Running, ask, run_command, succeed};

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

fn write(path: &Path, text: &str) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    #[expect(clippy::disallowed_methods, reason = "a test writes its project")]
    std::fs::write(path, text).unwrap();
}

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
    write(&project.join("warehouse.toml"), "name = \"visits\"\n");
    write(&project.join("sources/visits.toml"), SOURCES);
    write(&project.join("models/places.sql"), PLACES);
    write(&project.join("models/devices.sql"), DEVICES);
    write(&project.join("visits.ndjson"), &records());

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
    let metrics = ureq::get(format!("{}/metrics", running.http))
        .call()
        .unwrap();
    let metrics = metrics.into_body().read_to_string().unwrap();
    let over = metrics
        .lines()
        .find_map(|line| line.strip_prefix("sluice_state_over_bytes "))
        .unwrap();
    assert!(over.parse::<f64>().unwrap() > 0.0, "{over}");
    assert_eq!(counts(&state), stopped);
    assert!(running.stop().success());

    succeed(run_command(&project, &state).arg("--until-idle"));
    assert_eq!(counts(&state), [RECORDS; 4]);
    assert_eq!(ask(&state, "SELECT count(*) FROM click"), ["0"]);
}
