//! How evaluations change what is known of instances.

use std::collections::BTreeMap;

use crate::alert::{Alert, Severity};
use crate::condition::Verdict;
use crate::evaluation::{CUT, Evaluation, message};
use crate::instance::{Instance, Phase};
use crate::receiver::Receiver;
use crate::state::State;
use crate::watcher::WatchOptions;

/// An alarm that cannot be evaluated for so long is an alarm itself.
const EVALUATION_FOR_US: i64 = 300_000_000;
/// Its name.
pub(crate) const EVALUATION_FAILED: &str = "alarm_cannot_be_evaluated";
/// How long resolved instances are shown.
const HISTORY_US: i64 = 3_600_000_000;
/// Instances that are remembered at most; the oldest resolved ones go first.
const REMEMBERED_MAX: usize = 20_000;

/// Takes what an evaluation found; true if a phase changed.
pub(crate) fn take(
    state: &mut State,
    options: &WatchOptions,
    alert: &Alert,
    evaluation: Evaluation,
    now_us: i64,
) -> bool {
    let Evaluation { found, is_cut } = evaluation;
    let mut has_changed = false;
    let mut seen = Vec::with_capacity(found.len());
    for found in found {
        let key = key(&alert.name, &found.labels);
        if found.verdict == Verdict::Unknown {
            seen.push(key);
            continue;
        }
        if found.verdict == Verdict::NotMet {
            continue;
        }
        seen.push(key.clone());
        let owner = found.owner.as_ref().or(alert.owner.as_ref());
        let owner = owner.unwrap_or(&options.owner).clone();
        let group: Vec<&str> = alert
            .group_by
            .iter()
            .filter_map(|label| found.labels.get(label).map(String::as_str))
            .collect();
        let is_new = !state.instances.contains_key(&key);
        let instance = state
            .instances
            .entry(key)
            .or_insert_with(|| Instance::begun(&alert.name, found.labels.clone(), now_us));
        instance.title = alert.title.clone();
        instance.severity = alert.severity;
        instance.group = group.join(", ");
        instance.value = found.value.text();
        instance.before = found.before.map(crate::answer::number_text);
        instance.message = message(alert, &found, &owner, instance.since_us, options.zone);
        if is_cut {
            instance.message.push_str(&format!(" ({CUT})"));
        }
        instance.owner = owner;
        has_changed |= instance.is_wrong(now_us, alert.for_us) || is_new;
    }
    state.instances.retain(|key, instance| {
        if instance.alarm != alert.name || seen.contains(key) {
            return true;
        }
        has_changed |= instance.is_right(now_us, alert.resolve_after_us);
        let is_over = instance.phase == Phase::Pending;
        has_changed |= is_over;
        !is_over
    });
    has_changed
}

/// An alarm that cannot be evaluated is an alarm; true if a phase changed.
pub(crate) fn note_error(
    state: &mut State,
    options: &WatchOptions,
    alert: &Alert,
    error: Option<&str>,
    now_us: i64,
) -> bool {
    let labels = BTreeMap::from([("alarm".to_owned(), alert.name.clone())]);
    let key = key(EVALUATION_FAILED, &labels);
    let Some(error) = error else {
        let Some(instance) = state.instances.get_mut(&key) else {
            return false;
        };
        if instance.phase == Phase::Pending {
            state.instances.remove(&key);
            return true;
        }
        return instance.is_right(now_us, 0);
    };
    let owner = alert.owner.as_ref().unwrap_or(&options.owner).clone();
    let is_new = !state.instances.contains_key(&key);
    let instance = state
        .instances
        .entry(key)
        .or_insert_with(|| Instance::begun(EVALUATION_FAILED, labels, now_us));
    instance.title = format!("The alarm `{}` cannot be evaluated", alert.name);
    instance.severity = Severity::Warning;
    instance.group = alert.name.clone();
    instance.owner = owner;
    instance.message = error.to_owned();
    instance.is_wrong(now_us, EVALUATION_FOR_US) || is_new
}

fn key(alarm: &str, labels: &BTreeMap<String, String>) -> String {
    let mut key = alarm.to_owned();
    for (name, value) in labels {
        // Neither can be in a name.
        key.push_str(&format!("\u{1f}{name}\u{1e}{value}"));
    }
    key
}

/// Resolves what fires of alarms that are no more defined, and forgets what is
/// pending of them.
pub(crate) fn end_undefined(state: &mut State, alerts: &[Alert], now_us: i64) {
    let is_defined = |alarm: &str| alerts.iter().any(|alert| alert.name == alarm);
    for instance in state.instances.values_mut() {
        if instance.alarm != EVALUATION_FAILED && !is_defined(&instance.alarm) {
            instance.is_right(now_us, 0);
        }
    }
    state
        .instances
        .retain(|_, found| found.phase != Phase::Pending || is_defined(&found.alarm));
}

/// Forgets what is over and was told; true if something was forgotten.
pub(crate) fn forget(state: &mut State, receivers: &[Box<dyn Receiver>], now_us: i64) -> bool {
    let count = state.instances.len();
    state.instances.retain(|_, instance| {
        let Some(resolved_us) = instance.resolved_us else {
            return true;
        };
        let is_told = receivers.iter().all(|receiver| {
            let told = instance.told.get(receiver.name());
            told.is_some_and(|told| told.phase == Phase::Resolved)
        });
        !is_told || now_us.saturating_sub(resolved_us) < HISTORY_US
    });
    let excess = state.instances.len().saturating_sub(REMEMBERED_MAX);
    if excess > 0 {
        let mut resolved: Vec<(i64, String)> = state
            .instances
            .iter()
            .filter_map(|(key, instance)| Some((instance.resolved_us?, key.clone())))
            .collect();
        resolved.sort();
        for (_, key) in resolved.into_iter().take(excess) {
            state.instances.remove(&key);
        }
    }
    state.instances.len() != count
}
