//! A table that is not stored: its views are current, it cannot be asked for,
//! and a replay agrees.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod common;

use common::{ask, fail, run_command, sluice, succeed, write_files};

const SOURCES: &str = r#"
[topic.visits]
[topic.visits.capture]
kind = "file"
path = "*.ndjson"
format = "ndjson"

[table.visit]
topic = "visits"
stored = false
columns = [
  { name = "place", from = "/place", type = "string" },
  { name = "pieces", from = "/n", type = "int64" },
]
"#;

const VIEW: &str = "CREATE MATERIALIZED VIEW place_visits AS
SELECT place, count(*) AS visits, sum(pieces) AS pieces FROM visit GROUP BY place";

#[test]
fn rows_of_an_unstored_table_reach_its_views_and_stay_nowhere_else() {
    let folder = tempfile::tempdir().unwrap();
    let project = folder.path().join("project");
    let state = folder.path().join("state");
    let write = |file: &str, text: &str| write_files(&project, &[(file, text)]);
    write("warehouse.toml", "name = \"visits\"\n");
    write("sources/visits.toml", SOURCES);
    write("models/place_visits.sql", VIEW);
    let lines = "{\"place\":\"a\",\"n\":1}\n{\"place\":\"b\",\"n\":2}\n";
    write("a.ndjson", lines);
    let run = || succeed(run_command(&project, &state).arg("--until-idle"));
    run();
    // From a checkpoint on.
    write("b.ndjson", lines);
    run();
    let answer = || ask(&state, "SELECT * FROM place_visits ORDER BY place");
    assert_eq!(answer(), ["a,2,2", "b,2,4"]);
    let command = |name: &str| {
        let mut command = sluice();
        command.arg(name);
        command
    };
    let errors = fail(
        command("sql")
            .arg("--state")
            .arg(&state)
            .arg("SELECT * FROM visit"),
        1,
    );
    assert!(errors.contains("visit"), "{errors}");
    succeed(command("replay").arg(&project).arg("--state").arg(&state));

    let plain = "models/asked.sql";
    write(plain, "CREATE VIEW asked AS SELECT place FROM visit");
    let errors = fail(command("check").arg(&project), 2);
    assert!(errors.contains("`visit`, which is not stored"), "{errors}");
    std::fs::remove_file(project.join(plain)).unwrap();

    // Stored from now on: everything is computed again, with its rows.
    let stored = SOURCES.replace("stored = false\n", "");
    write("sources/visits.toml", &stored);
    run();
    assert_eq!(answer(), ["a,2,2", "b,2,4"]);
    assert_eq!(ask(&state, "SELECT count(*) FROM visit"), ["4"]);
}
