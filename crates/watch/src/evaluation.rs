//! One evaluation of one alarm: its query is asked, its instances judged.

use std::collections::BTreeMap;

use crate::alert::Alert;
use crate::answer::{Answer, Ask, Value, time_text};
use crate::condition::{Condition, Verdict};

/// Instances of one alarm at most; more rows are left out.
pub(crate) const INSTANCES_MAX: usize = 1_000;
/// What is said of an answer with more rows.
pub(crate) const CUT: &str = "the query has more than 1,000 rows, of which 1,000 are looked at";

/// What an evaluation says.
#[derive(Debug)]
pub(crate) struct Evaluation {
    pub(crate) found: Vec<Found>,
    /// Rows were left out.
    pub(crate) is_cut: bool,
}

/// What an evaluation says of one instance.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) labels: BTreeMap<String, String>,
    pub(crate) owner: Option<String>,
    pub(crate) verdict: Verdict,
    pub(crate) value: Value,
    pub(crate) before: Option<f64>,
    /// The row, by column.
    pub(crate) row: BTreeMap<String, Value>,
}

/// Asks and judges at `now_us`.
///
/// # Errors
/// Why it cannot be evaluated, in words.
pub(crate) fn evaluate(alert: &Alert, ask: &dyn Ask, now_us: i64) -> Result<Evaluation, String> {
    let (answer, mut is_cut) = answer_of(ask, &alert.sql_until(now_us))?;
    if let Some(problem) = alert.problem(&answer.columns) {
        return Err(problem);
    }
    if alert.condition == Condition::NoRows {
        let verdict = match answer.rows.is_empty() {
            true => Verdict::Met,
            false => Verdict::NotMet,
        };
        let found = vec![Found {
            labels: BTreeMap::new(),
            owner: None,
            verdict,
            value: Value::Null,
            before: None,
            row: BTreeMap::new(),
        }];
        // How many rows there are does not matter.
        let is_cut = false;
        return Ok(Evaluation { found, is_cut });
    }
    let mut rows = by_labels(alert, &answer)?;
    let mut before = BTreeMap::new();
    if let Condition::Change { shift_us, .. } = alert.condition {
        let sql = alert.sql_until(now_us.saturating_sub(shift_us));
        let is_whole = !is_cut;
        let (answer, is_earlier_cut) = answer_of(ask, &sql)?;
        is_cut |= is_earlier_cut;
        for (labels, row) in by_labels(alert, &answer)? {
            if let Some(Value::Number(number)) = row.get(&alert.value) {
                before.insert(labels.clone(), *number);
                // What is no more there has become nothing, unless it was left out.
                if is_whole {
                    rows.entry(labels).or_insert_with(|| {
                        let mut row = row;
                        row.insert(alert.value.clone(), Value::Number(0.0));
                        row
                    });
                }
            }
        }
    }
    let mut found = Vec::with_capacity(rows.len());
    for (labels, row) in rows {
        let value = row.get(&alert.value).cloned().unwrap_or(Value::Null);
        let earlier = before.get(&labels).copied();
        let verdict = alert.condition.judge(&value, earlier, now_us)?;
        let owner = row.get("owner").map(Value::text);
        let owner = owner.filter(|owner| !owner.is_empty());
        found.push(Found {
            labels,
            owner,
            verdict,
            value,
            before: earlier,
            row,
        });
    }
    Ok(Evaluation { found, is_cut })
}

/// The rows that are looked at, and whether there are more.
fn answer_of(ask: &dyn Ask, sql: &str) -> Result<(Answer, bool), String> {
    let mut answer = ask.ask(sql, INSTANCES_MAX + 1)?;
    let is_cut = answer.rows.len() > INSTANCES_MAX;
    answer.rows.truncate(INSTANCES_MAX);
    Ok((answer, is_cut))
}

type Rows = BTreeMap<BTreeMap<String, String>, BTreeMap<String, Value>>;

fn by_labels(alert: &Alert, answer: &Answer) -> Result<Rows, String> {
    let mut rows = Rows::new();
    for row in &answer.rows {
        let row: BTreeMap<String, Value> = answer
            .columns
            .iter()
            .cloned()
            .zip(row.iter().cloned())
            .collect();
        let labels = alert.labels.iter().map(|label| {
            let value = row.get(label).map(Value::text).unwrap_or_default();
            (label.clone(), value)
        });
        let labels: BTreeMap<String, String> = labels.collect();
        if rows.insert(labels.clone(), row).is_some() {
            let words: Vec<String> = labels.iter().map(|(n, v)| format!("{n}={v}")).collect();
            return Err(format!(
                "two rows of the query have the same labels ({}): name more columns in `labels`, or group the rows",
                words.join(", ")
            ));
        }
    }
    Ok(rows)
}

/// What is said of an instance.
pub(crate) fn message(
    alert: &Alert,
    found: &Found,
    owner: &str,
    since_us: i64,
    zone: chrono_tz::Tz,
) -> String {
    let text = |value: &Value| match value {
        Value::Time(time_us) => time_text(*time_us, zone),
        other => other.text(),
    };
    let before = found.before.map(Value::Number);
    let before = before.map(|before| text(&before));
    let Some(template) = &alert.message else {
        let value = match found.value {
            Value::Null => String::new(),
            ref value => format!("{}: ", text(value)),
        };
        let before = before.map(|before| format!(" (before: {before})"));
        return format!(
            "{value}{}{}",
            alert.condition.words(),
            before.unwrap_or_default()
        );
    };
    template.fill(|place| match (place, found.row.get(place)) {
        (_, Some(value)) => text(value),
        ("value", None) => text(&found.value),
        ("before", None) => before.clone().unwrap_or_default(),
        ("alarm", None) => alert.name.clone(),
        ("severity", None) => alert.severity.to_string(),
        ("owner", None) => owner.to_owned(),
        ("since", None) => time_text(since_us, zone),
        (_, None) => String::new(),
    })
}
