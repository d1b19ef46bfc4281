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
    /// What is kept divided by it is what is shown.
    scale: f64,
    /// By labels, as they are written: `view="totals"`, or nothing.
    values: BTreeMap<String, Arc<AtomicU64>>,
}

/// A registry of numbers. Names follow the convention of Prometheus: a prefix
/// `sluice_`, the unit last, `_total` for counters.
#[derive(Debug, Default)]
pub struct Metrics {
    families: Mutex<BTreeMap<&'static str, Family>>,
    histograms: Mutex<BTreeMap<&'static str, HistogramFamily>>,
}

/// One number with its name.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    /// Its name.
    pub name: String,
    /// Its labels as they are written: `view="totals"`, or nothing.
    pub labels: String,
    /// The number.
    pub value: f64,
}

/// Upper bounds of the classes of a [`Histogram`].
const BOUNDS_US: [u64; 14] = [
    250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000,
    5_000_000, 30_000_000,
];

#[derive(Debug)]
struct HistogramFamily {
    help: &'static str,
    values: BTreeMap<String, Histogram>,
}

#[derive(Debug, Default)]
struct Classes {
    /// The last one has no upper bound.
    counts: [AtomicU64; BOUNDS_US.len() + 1],
    sum_us: AtomicU64,
}

/// How long things took, in classes. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Histogram(Arc<Classes>);

impl Histogram {
    /// Counts one that took `time_us`.
    pub fn observe_us(&self, time_us: u64) {
        let class = BOUNDS_US.partition_point(|&bound| bound < time_us);
        self.0.counts[class].fetch_add(1, Ordering::Relaxed);
        self.0.sum_us.fetch_add(time_us, Ordering::Relaxed);
    }

    fn render(&self, name: &str, labels: &str, text: &mut String) {
        let separator = if labels.is_empty() { "" } else { "," };
        let mut count = 0;
        for (class, value) in self.0.counts.iter().enumerate() {
            count += value.load(Ordering::Relaxed);
            let bound = match BOUNDS_US.get(class) {
                Some(&bound) => (bound as f64 / 1e6).to_string(),
                None => "+Inf".to_owned(),
            };
            let _ = writeln!(
                text,
                "{name}_bucket{{{labels}{separator}le=\"{bound}\"}} {count}"
            );
        }
        let labels = braces(labels);
        let sum = self.0.sum_us.load(Ordering::Relaxed) as f64 / 1e6;
        let _ = writeln!(
            text,
            "{name}_sum{labels} {sum}\n{name}_count{labels} {count}"
        );
    }
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

    /// A span with labels, kept in microseconds and shown in seconds; the name
    /// ends in `_seconds`.
    pub fn seconds_of(
        &self,
        name: &'static str,
        help: &'static str,
        labels: &[(&str, &str)],
    ) -> Metric {
        self.scaled(name, help, Kind::Gauge, 1e6, labels)
    }

    /// A growing span, kept in microseconds and shown in seconds; the name ends
    /// in `_seconds_total`.
    pub fn seconds_total(&self, name: &'static str, help: &'static str) -> Metric {
        self.scaled(name, help, Kind::Counter, 1e6, &[])
    }

    /// All numbers but those of histograms.
    pub fn samples(&self) -> Vec<Sample> {
        let mut samples = Vec::new();
        for (name, family) in &*self.families.lock() {
            for (labels, value) in &family.values {
                samples.push(Sample {
                    name: (*name).to_owned(),
                    labels: labels.clone(),
                    value: value.load(Ordering::Relaxed) as f64 / family.scale,
                });
            }
        }
        samples
    }

    /// Times with labels; the name ends in `_seconds`.
    pub fn histogram_of(
        &self,
        name: &'static str,
        help: &'static str,
        labels: &[(&str, &str)],
    ) -> Histogram {
        let mut families = self.histograms.lock();
        let family = families.entry(name).or_insert_with(|| HistogramFamily {
            help,
            values: BTreeMap::new(),
        });
        let value = family.values.entry(label_text(labels)).or_default();
        value.clone()
    }

    fn metric(
        &self,
        name: &'static str,
        help: &'static str,
        kind: Kind,
        labels: &[(&str, &str)],
    ) -> Metric {
        self.scaled(name, help, kind, 1.0, labels)
    }

    fn scaled(
        &self,
        name: &'static str,
        help: &'static str,
        kind: Kind,
        scale: f64,
        labels: &[(&str, &str)],
    ) -> Metric {
        let mut families = self.families.lock();
        let family = families.entry(name).or_insert_with(|| Family {
            help,
            kind,
            scale,
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
                let labels = braces(labels);
                let _ = match family.scale == 1.0 {
                    true => writeln!(text, "{name}{labels} {value}"),
                    false => writeln!(text, "{name}{labels} {}", value as f64 / family.scale),
                };
            }
        }
        for (name, family) in &*self.histograms.lock() {
            let help = family.help;
            let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} histogram");
            for (labels, value) in &family.values {
                value.render(name, labels, &mut text);
            }
        }
        text
    }
}

fn label_text(labels: &[(&str, &str)]) -> String {
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
    labels.join(",")
}

fn braces(labels: &str) -> String {
    match labels.is_empty() {
        true => String::new(),
        false => format!("{{{labels}}}"),
    }
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

    #[test]
    fn times_are_counted_in_classes() {
        let metrics = Metrics::default();
        let times = metrics.histogram_of("wait_seconds", "Waits.", &[("step", "cut")]);
        for time_us in [250, 251, 40_000_000] {
            times.observe_us(time_us);
        }
        let text = metrics.render();
        for line in [
            "# TYPE wait_seconds histogram",
            "wait_seconds_bucket{step=\"cut\",le=\"0.00025\"} 1",
            "wait_seconds_bucket{step=\"cut\",le=\"0.0005\"} 2",
            "wait_seconds_bucket{step=\"cut\",le=\"30\"} 2",
            "wait_seconds_bucket{step=\"cut\",le=\"+Inf\"} 3",
            "wait_seconds_sum{step=\"cut\"} 40.000501",
            "wait_seconds_count{step=\"cut\"} 3",
        ] {
            assert!(text.lines().any(|found| found == line), "{line}: {text}");
        }
    }
}
