//! Audits as numbers: how many rows each view has that must be empty.

use std::time::Duration;

use sluice_serve::Metrics;
use sluice_watch::{Ask, Value};

/// Soon after a start, not at once: much else happens then.
const FIRST_AFTER: Duration = Duration::from_secs(60);
/// Audits of one warehouse.
const AUDITS_MAX: usize = 1_000;
const NAMES: &str = "SELECT table_name FROM information_schema.tables WHERE table_schema = 'public' AND starts_with(table_name, 'audit_') ORDER BY table_name";

/// Counts the audits now and then.
#[derive(Debug)]
pub(super) struct Audits {
    interval: Duration,
    /// Until the next time.
    wait: Duration,
}

impl Audits {
    pub(super) fn new(interval: Duration) -> Self {
        Self {
            interval,
            wait: interval.min(FIRST_AFTER),
        }
    }

    /// Counts all of them if it is time for that after another turn. Returns which
    /// are violated or cannot be asked, in words.
    pub(super) fn turn(
        &mut self,
        turn: Duration,
        ask: &impl Ask,
        metrics: &Metrics,
    ) -> Vec<String> {
        self.wait = self.wait.saturating_sub(turn);
        if !self.wait.is_zero() {
            return Vec::new();
        }
        self.wait = self.interval;
        count(ask, metrics)
    }
}

fn count(ask: &impl Ask, metrics: &Metrics) -> Vec<String> {
    let names = match ask.ask(NAMES, AUDITS_MAX) {
        Ok(answer) => answer.rows.into_iter().flatten(),
        Err(problem) => return vec![format!("the audits cannot be listed: {problem}")],
    };
    let mut problems = Vec::new();
    for name in names {
        let Value::Text(name) = name else {
            continue;
        };
        let quoted = name.replace('"', "\"\"");
        let sql = format!("SELECT count(*) AS violations FROM \"{quoted}\"");
        let found = match ask.ask(&sql, 1) {
            Ok(answer) => answer.rows.into_iter().flatten().next(),
            Err(problem) => {
                problems.push(format!("{name} cannot be asked: {problem}"));
                continue;
            }
        };
        let Some(Value::Number(rows)) = found else {
            continue;
        };
        let help = "Rows of a view that must be empty, when it was last asked.";
        metrics
            .gauge_of("sluice_audit_rows", help, &[("audit", &name)])
            .set(rows as u64);
        if rows > 0.0 {
            problems.push(format!(
                "{name} is not empty\n  help: `sluice check DIR --audit` shows its rows"
            ));
        }
    }
    problems
}

#[cfg(test)]
mod tests {
    use super::*;
    use sluice_watch::Answer;

    /// Three audits: one is empty, one has two rows, one cannot be asked.
    struct Shop;

    impl Ask for Shop {
        fn ask(&self, sql: &str, _rows_max: usize) -> Result<Answer, String> {
            let answer = |values: Vec<Value>| {
                let rows = values.into_iter().map(|value| vec![value]).collect();
                Ok(Answer {
                    columns: vec!["value".into()],
                    rows,
                })
            };
            if sql.contains("information_schema") {
                let names = ["audit_empty", "audit_full", "audit_slow"];
                return answer(names.map(|name| Value::Text(name.into())).to_vec());
            }
            match sql {
                _ if sql.contains("audit_empty") => answer(vec![Value::Number(0.0)]),
                _ if sql.contains("audit_full") => answer(vec![Value::Number(2.0)]),
                _ => Err("it takes too long".into()),
            }
        }
    }

    #[test]
    fn audits_are_counted_when_it_is_time() {
        let metrics = Metrics::default();
        let turn = Duration::from_millis(250);
        let mut audits = Audits::new(Duration::from_secs(1));
        for _ in 0..3 {
            assert!(audits.turn(turn, &Shop, &metrics).is_empty());
        }
        assert!(metrics.samples().is_empty());
        let problems = audits.turn(turn, &Shop, &metrics);
        assert_eq!(problems.len(), 2);
        assert!(problems[0].starts_with("audit_full is not empty"));
        assert_eq!(problems[1], "audit_slow cannot be asked: it takes too long");
        let samples = metrics.samples().into_iter();
        let samples: Vec<(String, f64)> = samples.map(|it| (it.labels, it.value)).collect();
        assert_eq!(
            samples,
            [
                ("audit=\"audit_empty\"".to_owned(), 0.0),
                ("audit=\"audit_full\"".to_owned(), 2.0),
            ]
        );
        assert!(audits.turn(turn, &Shop, &metrics).is_empty());
    }

    #[test]
    fn the_first_time_is_a_minute_after_the_start_at_the_latest() {
        let mut audits = Audits::new(Duration::from_secs(3_600));
        let second = Duration::from_secs(1);
        let metrics = Metrics::default();
        let turns = (1..=60).filter(|_| !audits.turn(second, &Shop, &metrics).is_empty());
        assert_eq!(turns.collect::<Vec<_>>(), [60]);
    }
}
