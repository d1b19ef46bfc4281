//! How many statements are asked, how long they take and how many fail, whichever
//! door they come by.

use std::time::Duration;

use crate::metrics::{Histogram, Metric, Metrics};

/// The statements that come by one door.
#[derive(Debug, Clone)]
pub(crate) struct StatementTimes {
    times: Histogram,
    failures: Metric,
}

impl StatementTimes {
    /// Of the door `via`: `http` or `postgres`.
    pub(crate) fn new(metrics: &Metrics, via: &str) -> Self {
        let labels = [("via", via)];
        Self {
            times: metrics.histogram_of(
                "sluice_statement_duration_seconds",
                "Time until a statement was answered or failed.",
                &labels,
            ),
            failures: metrics.counter_of(
                "sluice_statements_failed_total",
                "Statements that were refused or failed.",
                &labels,
            ),
        }
    }

    /// Counts a statement that took so long.
    pub(crate) fn count(&self, took: Duration, is_answered: bool) {
        self.times.observe_us(took.as_micros() as u64);
        if !is_answered {
            self.failures.add(1);
        }
    }
}
