//! Numbers of the business in `/metrics`: columns of panels that name a metric.
//! Whoever scrapes does not decide how often they are computed, and waits for
//! them only when none were computed lately.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::Arc;
use std::time::Duration;

use arrow::array::{Array, AsArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type};
use tokio::sync::Mutex;

use super::HttpState;
use crate::metrics::{Metric, Metrics};
use crate::panels::{CheckedPanel, PanelAnswer, Part};
use crate::session::as_program;

/// A number is given again for so long.
const FRESH_US: i64 = 1_000_000;
/// And for so long while newer ones are being computed.
const STALE_US: i64 = 5_000_000;
/// All of them together may take so long, or none is told.
const TIME_MAX: Duration = Duration::from_secs(5);

/// What was computed last.
#[derive(Debug, Default)]
struct Kept {
    computed_us: Option<i64>,
    /// Of the panels.
    fingerprint: u64,
    text: String,
}

impl Kept {
    fn is_younger(&self, age_us: i64, now_us: i64, fingerprint: u64) -> bool {
        let is_young = |then| (0..age_us).contains(&(now_us - then));
        self.fingerprint == fingerprint && self.computed_us.is_some_and(is_young)
    }
}

/// See the module.
#[derive(Debug)]
pub(super) struct PanelMetrics {
    kept: parking_lot::Mutex<Kept>,
    /// Held while they are computed, so that they are once for all who ask.
    turn: Arc<Mutex<()>>,
    failures: Metric,
}

impl PanelMetrics {
    pub(super) fn new(metrics: &Metrics) -> Self {
        Self {
            kept: parking_lot::Mutex::default(),
            turn: Arc::default(),
            failures: metrics.counter(
                "sluice_panel_metric_failures_total",
                "Computations of metrics of panels that failed or took too long.",
            ),
        }
    }
}

/// The first row's numbers, by name of the metric.
fn numbers(answer: &PanelAnswer) -> BTreeMap<String, f64> {
    let columns = answer.columns().iter().enumerate();
    let named = columns.filter_map(|(place, column)| Some((place, column.metric.clone()?)));
    let rows = answer.result.batches.iter();
    let Some(first) = rows.into_iter().find(|batch| batch.num_rows() > 0) else {
        return BTreeMap::new();
    };
    let number = |place: usize| {
        let values = cast(first.columns().get(place)?, &DataType::Float64).ok()?;
        let values = values.as_primitive::<Float64Type>();
        values.is_valid(0).then(|| values.value(0))
    };
    let numbers = named.filter_map(|(place, name)| Some((name, number(place)?)));
    numbers.collect()
}

impl HttpState {
    /// The metrics of panels, as `/metrics` shows them.
    pub(super) async fn panel_metrics(self: &Arc<Self>) -> String {
        let panels = self.panels.read().clone();
        let named = panels.with_metrics();
        if named.is_empty() {
            return String::new();
        }
        let fingerprint = panels.fingerprint;
        let kept_for = |age_us: i64| {
            let kept = self.panel_metrics.kept.lock();
            let is_young = kept.is_younger(age_us, self.clock.now_us(), fingerprint);
            is_young.then(|| kept.text.clone())
        };
        if let Some(text) = kept_for(FRESH_US) {
            return text;
        }
        let turn = self.panel_metrics.turn.clone();
        if let Some(text) = kept_for(STALE_US) {
            if let Ok(turn) = turn.try_lock_owned() {
                let state = self.clone();
                tokio::spawn(async move {
                    state.renew_metrics(&named, fingerprint).await;
                    drop(turn);
                });
            }
            return text;
        }
        let _turn = turn.lock_owned().await;
        // Those who had the turn before may have computed them.
        match kept_for(FRESH_US) {
            Some(text) => text,
            None => self.renew_metrics(&named, fingerprint).await,
        }
    }

    async fn renew_metrics(
        self: &Arc<Self>,
        named: &[Arc<CheckedPanel>],
        fingerprint: u64,
    ) -> String {
        let computed = tokio::time::timeout(TIME_MAX, self.computed(named)).await;
        let text = computed.unwrap_or_else(|_| {
            self.panel_metrics.failures.add(1);
            String::new()
        });
        *self.panel_metrics.kept.lock() = Kept {
            computed_us: Some(self.clock.now_us()),
            fingerprint,
            text: text.clone(),
        };
        text
    }

    async fn computed(self: &Arc<Self>, panels: &[Arc<CheckedPanel>]) -> String {
        let mut text = String::new();
        for panel in panels {
            let found = as_program(self.defaults_answer(panel.clone())).await;
            let Some(answer) = found else {
                self.panel_metrics.failures.add(1);
                continue;
            };
            let title = &panel.panel.title.en;
            for (name, value) in numbers(&answer) {
                let column = panel.main.columns.iter();
                let mut column = column.filter(|it| it.metric.as_ref() == Some(&name));
                let of_column = column.next().map_or("", |column| &column.title.en);
                // A help text is one line; `\` begins what Prometheus would read.
                let help = format!("{title}: {of_column}").replace(['\n', '\\'], " ");
                let _ = writeln!(
                    text,
                    "# HELP {name} {help}\n# TYPE {name} gauge\n{name} {value}"
                );
            }
        }
        text
    }

    /// The answer of a panel to who chooses nothing.
    async fn defaults_answer(
        self: &Arc<Self>,
        panel: Arc<CheckedPanel>,
    ) -> Option<Arc<PanelAnswer>> {
        let part = Part::Figures;
        let values = panel.values(part, |_| None, self.today().ok()?).ok()?;
        self.panel_answer(panel, part, values, false).await.ok()
    }
}
