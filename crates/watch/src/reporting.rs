//! Sends each report once a day.

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::{DateTime, Days};
use parking_lot::Mutex;
use sluice_core::Clock;

use crate::answer::Ask;
use crate::mail::MailServer;
use crate::report::Report;
use crate::watcher::{WatchOptions, Watcher};

/// Waiting time after a report that could not be sent.
const RETRY_US: i64 = 60_000_000;

/// The reports of a warehouse.
#[derive(Debug)]
pub struct Reporting {
    options: WatchOptions,
    reports: Vec<Report>,
    server: MailServer,
    clock: Arc<dyn Clock>,
    next_us: Mutex<BTreeMap<String, i64>>,
}

impl Reporting {
    /// Sends `reports` through `server`.
    pub fn new(
        options: WatchOptions,
        reports: Vec<Report>,
        server: MailServer,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self {
            options,
            reports,
            server,
            clock,
            next_us: Mutex::default(),
        }
    }

    /// Sends the reports whose time of today has come, of yesterday's numbers;
    /// `watcher` remembers which were sent. Returns what went wrong, in words.
    pub fn send(&self, watcher: &Watcher, ask: &dyn Ask) -> Vec<String> {
        let now_us = self.clock.now_us();
        let now = DateTime::from_timestamp_micros(now_us).unwrap_or_default();
        let local = now.with_timezone(&self.options.zone).naive_local();
        let today = local.date().to_string();
        let mut problems = Vec::new();
        for report in &self.reports {
            let what = format!("report {}", report.name);
            let is_waiting = self.next_us.lock().get(&report.name).copied();
            let is_waiting = is_waiting.is_some_and(|next_us| now_us < next_us);
            let is_sent = watcher.day_done(&what).as_ref() == Some(&today);
            if local.time() < report.at || is_sent || is_waiting {
                continue;
            }
            let WatchOptions {
                warehouse,
                owner,
                zone,
                ..
            } = &self.options;
            let day = local.date() - Days::new(1);
            let sent = report
                .mail(ask, warehouse, owner, day, now_us, *zone)
                .and_then(|mail| self.server.send(&mail).map_err(|error| error.to_string()))
                .and_then(|()| {
                    watcher
                        .note_day(&what, &today)
                        .map_err(|error| error.to_string())
                });
            if let Err(problem) = sent {
                problems.push(format!("the {what}: {problem}; trying again"));
                let next_us = now_us.saturating_add(RETRY_US);
                self.next_us.lock().insert(report.name.clone(), next_us);
            }
        }
        problems
    }
}
