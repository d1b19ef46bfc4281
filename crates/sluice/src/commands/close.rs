//! `sluice close`: freezes what was reported of a day or a month.
//!
//! The figures go into the log like every other record, with their values: they
//! stay what they were when views are computed anew, and later corrections show
//! beside them.

use std::path::Path;
use std::time::Duration;

use arrow::util::display::array_value_to_string;
use serde_json::json;
use sluice_core::{Clock, SystemClock};
use sluice_serve::QueryResult;

use crate::address;
use crate::failure::{Doing, Failure};
use crate::report::Reporter;
use crate::sql::Connection;

/// The view of figures by day: `day`, `metric`, `value`.
const FIGURES: &str = "ads_report_figure";
/// The view of those that are closed.
const CLOSED: &str = "ads_period_closed";
/// Where they are sent.
const TOPIC: &str = "period_close";
const REQUEST_TIME_MAX: Duration = Duration::from_secs(30);
/// So long the closed figures may take to be in the view.
const WAIT_STEPS: u32 = 600;
const WAIT_STEP: Duration = Duration::from_millis(50);

/// Closes `period`, a day (`2024-11-10`) or a month (`2024-11`), of the running
/// warehouse whose state is in `state`. With `again` a new version of days that
/// are closed is made.
///
/// # Errors
/// When the period is none or is closed already, or the warehouse does not run.
pub fn run(state: &Path, period: &str, again: bool, reporter: Reporter) -> Result<(), Failure> {
    let days = days_of(period)?;
    let connection = Connection::open(state)?;
    if !connection.is_running() {
        return Err(Failure::Failed(
            "a period is closed in a running warehouse\n  help: start it with `sluice run`".into(),
        ));
    }
    let closed = rows(&connection.query(&format!(
        "SELECT count(DISTINCT day), coalesce(max(version), 0) FROM {CLOSED} WHERE {days}"
    ))?)?;
    let number = |place: usize| -> i64 {
        let cell = closed.first().and_then(|row| row.get(place));
        cell.and_then(|cell| cell.parse().ok()).unwrap_or(0)
    };
    let (closed_days, version) = (number(0), number(1));
    if closed_days > 0 && !again {
        return Err(Failure::Failed(format!(
            "{closed_days} days of {period} are closed already, in version {version}\n  help: {CLOSED} has their figures, ads_period_adjustment what changed since; `--again` makes a new version"
        )));
    }
    let answer = connection.query(&format!(
        "SELECT CAST(day AS VARCHAR) AS the_day, metric, CAST(value AS VARCHAR) AS the_value FROM {FIGURES} WHERE {days} ORDER BY day, metric"
    ))?;
    let figures = rows(&answer)?;
    if figures.is_empty() {
        return Err(Failure::Failed(format!(
            "there is nothing to close: {FIGURES} has no figures of {period}"
        )));
    }
    let closed_at = SystemClock.now_us() / 1_000;
    let mut body = String::new();
    for figure in &figures {
        let [day, metric, value] = &figure[..] else {
            continue;
        };
        let record = json!({
            "day": day, "metric": metric, "value": value, "version": version + 1,
            "closed_at": closed_at, "epoch": answer.pinned.epoch,
        });
        body.push_str(&record.to_string());
        body.push('\n');
    }
    send(state, &body)?;
    let arrived = format!(
        "SELECT count(*) FROM {CLOSED} WHERE {days} AND version = {}",
        version + 1
    );
    for _ in 0..WAIT_STEPS {
        let there = rows(&connection.query(&arrived)?)?;
        if there.first().and_then(|row| row.first()) == Some(&figures.len().to_string()) {
            reporter.info(&format!(
                "closed {period} in version {}: {} figures, see {CLOSED}",
                version + 1,
                figures.len()
            ));
            return Ok(());
        }
        std::thread::sleep(WAIT_STEP);
    }
    Err(Failure::Failed(format!(
        "the figures of {period} were accepted, but are not in {CLOSED} yet"
    )))
}

/// A condition on the column `day`.
fn days_of(period: &str) -> Result<String, Failure> {
    let parts: Vec<&str> = period.split('-').collect();
    let are_numbers = parts.iter().all(|part| part.parse::<u32>().is_ok());
    let lengths: Vec<usize> = parts.iter().map(|part| part.len()).collect();
    match &lengths[..] {
        [4, 2, 2] if are_numbers => Ok(format!("day = DATE '{period}'")),
        [4, 2] if are_numbers => Ok(format!(
            "day >= DATE '{period}-01' AND day < DATE '{period}-01' + INTERVAL '1 month'"
        )),
        _ => Err(Failure::Definitions(format!(
            "`{period}` is no period\n  help: write a day such as 2024-11-10, or a month such as 2024-11"
        ))),
    }
}

fn rows(answer: &QueryResult) -> Result<Vec<Vec<String>>, Failure> {
    let mut rows = Vec::new();
    for batch in &answer.batches {
        for row in 0..batch.num_rows() {
            let cells = batch.columns().iter();
            let cells = cells.map(|column| array_value_to_string(column, row));
            rows.push(
                cells
                    .collect::<Result<_, _>>()
                    .doing("reading the answer")?,
            );
        }
    }
    Ok(rows)
}

fn send(state: &Path, body: &str) -> Result<(), Failure> {
    let address = address::find(state)?;
    let url = format!("http://{}/collect/{TOPIC}", address.http);
    let mut request = ureq::post(&url).header("Content-Type", "application/x-ndjson");
    if let Some(secret) = &address.secret {
        request = request.header("Authorization", format!("Bearer {secret}"));
    }
    let request = request
        .config()
        .timeout_global(Some(REQUEST_TIME_MAX))
        .build();
    request
        .send(body)
        .doing(&format!("sending figures to {url}"))?;
    Ok(())
}
