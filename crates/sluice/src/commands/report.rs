//! `sluice report`: a report as it would be mailed, in a file.

use std::io::Write;
use std::path::Path;

use chrono::{DateTime, Days, NaiveDate};
use sluice_core::{Clock, Disk, OpenMode, RealDisk, SystemClock};
use sluice_watch::{Answer, Ask};

use crate::failure::{Doing, Failure};
use crate::project::Project;
use crate::sql::Connection;
use crate::watching::{answer_of, load_reports};

/// What the person asked for.
#[derive(Debug)]
pub struct ReportOptions<'a> {
    /// The project's folder.
    pub folder: &'a Path,
    /// The report; without one the project's only one.
    pub name: Option<&'a str>,
    /// The day; yesterday without one.
    pub day: Option<&'a str>,
    /// The state's folder, where it is not the project's.
    pub state: Option<&'a Path>,
    /// Where the HTML goes; without it the text is printed.
    pub out: Option<&'a Path>,
}

struct OfConnection<'a>(&'a Connection);

// A connection is used by one thread here.
impl Ask for OfConnection<'_> {
    fn ask(&self, sql: &str, rows_max: usize) -> Result<Answer, String> {
        let result = self.0.query(sql).map_err(|error| error.to_string())?;
        answer_of(&result, rows_max)
    }
}

/// Writes the report.
///
/// # Errors
/// When there is no such report, or a query fails.
pub fn run(options: &ReportOptions<'_>) -> Result<(), Failure> {
    let project = Project::load(options.folder, &[])?;
    let reports = load_reports(&project)?;
    let found = match options.name {
        Some(name) => reports.iter().find(|report| report.name == name),
        None => reports.first().filter(|_| reports.len() == 1),
    };
    let Some(report) = found else {
        let names: Vec<&str> = reports.iter().map(|report| &*report.name).collect();
        return Err(Failure::Definitions(format!(
            "name one of the project's reports: {}",
            names.join(", ")
        )));
    };
    let zone = project.config.time_zone.get_ref();
    let zone: chrono_tz::Tz = zone.parse().unwrap_or(chrono_tz::UTC);
    let now_us = SystemClock.now_us();
    let day = match options.day {
        Some(text) => text.parse::<NaiveDate>().map_err(|_| {
            Failure::Definitions(format!("`{text}` is no day; write one such as 2024-11-10"))
        })?,
        None => {
            let now = DateTime::from_timestamp_micros(now_us).unwrap_or_default();
            now.with_timezone(&zone).date_naive() - Days::new(1)
        }
    };
    let connection = Connection::open(&project.state_folder(options.state))?;
    let owner = project.config.owner.clone().unwrap_or_default();
    let name = &project.config.name;
    let mail = report
        .mail(&OfConnection(&connection), name, &owner, day, now_us, zone)
        .map_err(Failure::Failed)?;
    match options.out {
        Some(path) => {
            let what = format!("writing {}", path.display());
            let mut file = RealDisk.open(path, OpenMode::Create).doing(&what)?;
            let html = mail.html.unwrap_or_default();
            file.append(html.as_bytes()).doing(&what)
        }
        // Whoever closed the pipe has seen enough.
        None => {
            let _ = write!(std::io::stdout(), "{}", mail.text);
            Ok(())
        }
    }
}
