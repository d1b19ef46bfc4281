//! Numbers about the program itself, in the text format of Prometheus
//! (<https://prometheus.io/docs/instrumenting/exposition_formats/>).

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;

/// What a number does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Counter,
    Gauge,
}

#[derive(Debug)]
struct Family {
    help: &'static str,
    kind: Kind,
    /// By labels, as they are written: `{view="totals"}`, or nothing.
    values: BTreeMap<String, Arc<AtomicU64>>,
}

/// A registry of numbers. Names follow the convention of Prometheus: a prefix
/// `sluice_`, the unit last, `_total` for counters.
#[derive(Debug, Default)]
pub struct Metrics {
    families: Mutex<BTreeMap<&'static str, Family>>,
}

/// One number. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Metric(Arc<AtomicU64>);

impl Metric {
    /// Adds to it.
    pub fn add(&self, amount: u64) {
        self.0.fetch_add(amount, Ordering::Relaxed);
    }

    /// Sets it.
    pub fn set(&self, value: u64) {
        self.0.store(value, Ordering::Relaxed);
    }

    /// Its value.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl Metrics {
    /// A number that only grows.
    pub fn counter(&self, name: &'static str, help: &'static str) -> Metric {
        self.metric(name, help, Kind::Counter, &[])
    }

    /// A number that goes up and down.
    pub fn gauge(&self, name: &'static str, help: &'static str) -> Metric {
        self.metric(name, help, Kind::Gauge, &[])
    }

    /// A growing number with labels.
    pub fn counter_of(
        &self,
        name: &'static str,
        help: &'static str,
        labels: &[(&str, &str)],
    ) -> Metric {
        self.metric(name, help, Kind::Counter, labels)
    }

    /// A number with labels that goes up and down.
    pub fn gauge_of(
        &self,
        name: &'static str,
        help: &'static str,
        labels: &[(&str, &str)],
    ) -> Metric {
        self.metric(name, help, Kind::Gauge, labels)
    }

    fn metric(
        &self,
        name: &'static str,
        help: &'static str,
        kind: Kind,
        labels: &[(&str, &str)],
    ) -> Metric {
        let mut families = self.families.lock();
        let family = families.entry(name).or_insert_with(|| Family {
            help,
            kind,
            values: BTreeMap::new(),
        });
        let value = family.values.entry(label_text(labels)).or_default();
        Metric(value.clone())
    }

    /// All numbers.
    pub fn render(&self) -> String {
        let mut text = String::new();
        for (name, family) in &*self.families.lock() {
            let kind = match family.kind {
                Kind::Counter => "counter",
                Kind::Gauge => "gauge",
            };
            // Writing to a string does not fail.
            let _ = writeln!(text, "# HELP {name} {}\n# TYPE {name} {kind}", family.help);
            for (labels, value) in &family.values {
                let value = value.load(Ordering::Relaxed);
                let _ = writeln!(text, "{name}{labels} {value}");
            }
        }
        text
    }
}

fn label_text(labels: &[(&str, &str)]) -> String {
    if labels.is_empty() {
        return String::new();
    }
    let labels: Vec<String> = labels
        .iter()
        .map(|(name, value)| {
            let value = value
                .replace('\\', "\\\\")
                .replace('"', "\\\"")
                .replace('\n', "\\n");
            format!("{name}=\"{value}\"")
        })
        .collect();
    format!("{{{}}}", labels.join(","))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_rendered_by_family() {
        let metrics = Metrics::default();
        metrics.counter("sluice_epochs_total", "Epochs.").add(3);
        metrics
            .gauge_of("sluice_rows", "Rows.", &[("view", "a\"b")])
            .set(2);
        metrics
            .gauge_of("sluice_rows", "Rows.", &[("view", "c")])
            .set(5);
        assert_eq!(metrics.counter("sluice_epochs_total", "").get(), 3);
        assert_eq!(
            metrics.render(),
            "# HELP sluice_epochs_total Epochs.\n# TYPE sluice_epochs_total counter\nsluice_epochs_total 3\n\
             # HELP sluice_rows Rows.\n# TYPE sluice_rows gauge\nsluice_rows{view=\"a\\\"b\"} 2\nsluice_rows{view=\"c\"} 5\n"
        );
    }
}
