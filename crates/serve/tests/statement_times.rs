//! Statements are counted and timed in `/metrics`, by the door that they come by.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod common;

use common::client::{get, sql};
use common::wire::WireClient;
use common::{COUNT_PANEL, Options, Server};

/// Takes longer than any limit.
const ENDLESS: &str =
    "SELECT count(*) FROM generate_series(1, 100000000000) AS a(x) WHERE x % 7 = 9";

#[track_caller]
fn check_numbers(server: &Server, expected: &[&str]) {
    let answer = get(server.address, "/metrics");
    for line in expected {
        let mut lines = answer.text().lines();
        assert!(
            lines.any(|found| found == *line),
            "{line}: {}",
            answer.text()
        );
    }
}

#[test]
fn statements_are_counted_by_their_door() {
    let server = Server::start_with(Options::with_panels(&[("count", COUNT_PANEL)]));
    // The door of the wire is open when it lets somebody in.
    let mut client = WireClient::sign_in(&server);
    let nothing = [
        "# TYPE sluice_statement_duration_seconds histogram",
        "sluice_statement_duration_seconds_count{via=\"http\"} 0",
        "sluice_statement_duration_seconds_count{via=\"postgres\"} 0",
        "# TYPE sluice_statements_failed_total counter",
        "sluice_statements_failed_total{via=\"http\"} 0",
        "sluice_statements_failed_total{via=\"postgres\"} 0",
    ];
    check_numbers(&server, &nothing);

    let address = server.address;
    assert_eq!(sql(address, "json", "SELECT 1 AS one").status, 200);
    assert_eq!(sql(address, "json", "SELECT no_such_column").status, 400);
    // The second time it is given what was computed for the first.
    for _ in 0..2 {
        assert_eq!(get(address, "/api/v1/panels/count").status, 200);
    }
    let over_http = [
        "sluice_statement_duration_seconds_count{via=\"http\"} 3",
        "sluice_statements_failed_total{via=\"http\"} 1",
    ];
    check_numbers(&server, &over_http);

    assert_eq!(client.ask("SELECT 1").words, ["SELECT 1"]);
    assert_eq!(client.ask("SELECT no_such_column").words, ["42703"]);
    assert_eq!(client.prepared("SELECT 2").1, ["2"]);
    // It fails when it is prepared, and is not run.
    assert_eq!(client.prepared("SELECT no_such_column").0.words, ["42703"]);
    let over_the_wire = [
        "sluice_statement_duration_seconds_count{via=\"postgres\"} 4",
        "sluice_statements_failed_total{via=\"postgres\"} 2",
    ];
    check_numbers(&server, &over_the_wire);
    check_numbers(&server, &over_http);
}

#[test]
fn statements_that_take_long_are_in_their_class() {
    let mut options = Options::default();
    options.query.time_ms_max = 300;
    let server = Server::start_with(options);
    assert_eq!(sql(server.address, "json", ENDLESS).status, 504);
    let mut client = WireClient::sign_in(&server);
    client.refused(ENDLESS);
    client.prepared(ENDLESS);
    check_numbers(
        &server,
        &[
            "sluice_statement_duration_seconds_bucket{via=\"http\",le=\"0.25\"} 0",
            "sluice_statement_duration_seconds_bucket{via=\"http\",le=\"+Inf\"} 1",
            "sluice_statements_failed_total{via=\"http\"} 1",
            "sluice_statement_duration_seconds_bucket{via=\"postgres\",le=\"0.25\"} 0",
            "sluice_statement_duration_seconds_bucket{via=\"postgres\",le=\"+Inf\"} 2",
            "sluice_statements_failed_total{via=\"postgres\"} 2",
        ],
    );
}
