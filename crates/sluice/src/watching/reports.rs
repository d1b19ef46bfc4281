//! The reports of a project: read from `reports/*.toml`, and checked.

use chrono::NaiveDate;
use sluice_serve::QueryEngine;
use sluice_watch::{Report, parse_report, sql_of_day};

use super::alerts::read_each;
use crate::failure::Failure;
use crate::project::Project;

/// Reads the reports of a project.
///
/// # Errors
/// Everything that is wrong with them, with file, line and column.
pub fn load_reports(project: &Project) -> Result<Vec<Report>, Failure> {
    read_each(project, "reports", parse_report)
}

/// What is wrong with the queries of reports.
pub(super) fn problems(
    engine: &QueryEngine,
    runtime: &tokio::runtime::Runtime,
    reports: &[Report],
) -> Vec<String> {
    let mut problems = Vec::new();
    for report in reports {
        let figures = report.figures.iter().map(|part| (&part.sql, part.line, 1));
        let charts = report.charts.iter().map(|part| (&part.sql, part.line, 2));
        for (sql, line, columns_min) in figures.chain(charts) {
            // Any day: queries are only planned.
            let sql = sql_of_day(sql, NaiveDate::default());
            let problem = match runtime.block_on(engine.columns(&sql)) {
                Ok(columns) if columns.len() < columns_min => {
                    "a chart has two columns, a label and a number".to_owned()
                }
                Ok(_) => continue,
                Err(error) => error.to_string(),
            };
            problems.push(format!("{}:{line}:1: {problem}", report.file));
        }
    }
    problems
}
