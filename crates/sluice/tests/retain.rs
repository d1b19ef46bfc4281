//! Old rows leave a table, views keep what they counted, and a replay agrees.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod common;

use std::fmt::Write;

use common::{ask, replay_command, run_command, succeed, write_files};

const SOURCES: &str = r#"
[topic.visits]
[topic.visits.capture]
kind = "file"
path = "*.ndjson"
format = "ndjson"

[table.visit]
topic = "visits"
event_time = "at"
max_ahead = "1 hour"
retain = "3 days"
columns = [
  { name = "number", from = "/n", type = "int64" },
  { name = "at", from = "/at", type = "timestamp" },
]
"#;

const VIEW: &str = "CREATE MATERIALIZED VIEW visits_a_day AS
SELECT CAST(at AS DATE) AS day, count(*) AS visits FROM visit GROUP BY CAST(at AS DATE)";

/// Ten visits on each day of March.
fn visits(days: std::ops::RangeInclusive<u32>) -> String {
    let mut lines = String::new();
    for day in days {
        for hour in 0..10 {
            let number = day * 10 + hour;
            writeln!(
                lines,
                r#"{{"n":{number},"at":"2026-03-{day:02}T0{hour}:30:00Z"}}"#
            )
            .unwrap();
        }
    }
    lines
}

#[test]
fn a_table_keeps_its_days_and_a_view_keeps_what_it_counted() {
    let folder = tempfile::tempdir().unwrap();
    let project = folder.path().join("project");
    let state = folder.path().join("state");
    let write = |file: &str, text: &str| write_files(&project, &[(file, text)]);
    write("warehouse.toml", "name = \"visits\"\n");
    write("sources/visits.toml", SOURCES);
    write("models/visits_a_day.sql", VIEW);
    write("a.ndjson", &visits(1..=10));
    let run = || succeed(run_command(&project, &state).arg("--until-idle"));
    let first_and_count = || ask(&state, "SELECT min(number), count(*) FROM visit");
    let replay = || succeed(&mut replay_command(&project, &state));
    run();
    // The 10th and three days before it.
    assert_eq!(first_and_count(), ["70,40"]);
    replay();
    write("b.ndjson", &visits(11..=20));
    run();
    assert_eq!(first_and_count(), ["170,40"]);
    let counted = "SELECT count(*), sum(visits) FROM visits_a_day";
    assert_eq!(ask(&state, counted), ["20,200"]);
    replay();
    // A change of it is a change of definitions.
    let sources = SOURCES.replace("3 days", "5 days");
    write("sources/visits.toml", &sources);
    run();
    assert_eq!(first_and_count(), ["150,60"]);
    assert_eq!(ask(&state, counted), ["20,200"]);
    replay();
}
