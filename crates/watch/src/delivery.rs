//! What is to be told to a receiver now. It follows from what instances are and
//! what the receiver was told of them.

use std::collections::BTreeMap;

use sluice_core::stable_hash;

use crate::alert::Severity;
use crate::instance::{Instance, Phase};
use crate::quiet_hours::QuietHours;
use crate::receiver::{Notification, Receiver, Told};
use crate::state::State;
use crate::watcher::WatchOptions;

/// A message, and what is noted once it is delivered.
#[derive(Debug)]
pub(crate) struct Planned {
    pub(crate) notification: Notification,
    /// Keys of the instances that it tells of.
    pub(crate) keys: Vec<String>,
}

/// Messages that are due, by group; and the keys of instances of which nothing
/// will ever be told.
pub(crate) fn plan(
    state: &State,
    receiver: &dyn Receiver,
    options: &WatchOptions,
    quiet_hours: &BTreeMap<String, QuietHours>,
    now_us: i64,
) -> (Vec<Planned>, Vec<String>) {
    let mut groups: BTreeMap<_, Vec<(&String, &Instance)>> = BTreeMap::new();
    let mut settled = Vec::new();
    for (key, instance) in &state.instances {
        let told = instance.told.get(receiver.name());
        let is_silent = state
            .silences
            .iter()
            .any(|silence| silence.covers(instance, now_us));
        match (instance.phase, told.map(|told| told.phase)) {
            (Phase::Resolved, None) if is_silent => settled.push(key.clone()),
            (Phase::Firing, _) if is_silent => {}
            _ => {
                let group = (&*instance.owner, &*instance.alarm, &*instance.group);
                groups.entry(group).or_default().push((key, instance));
            }
        }
    }
    let mut planned = Vec::new();
    for ((_, alarm, _), instances) in groups {
        let quiet = quiet_hours.get(alarm).or(options.quiet_hours.as_ref());
        let is_quiet = quiet.is_some_and(|quiet| quiet.contains(now_us, options.zone));
        let has_heartbeat = receiver.heartbeat_us().is_some();
        let speaks = |instance: &Instance| {
            has_heartbeat || !is_quiet || instance.severity == Severity::Critical
        };
        let news = instances.iter().filter(|(_, instance)| {
            speaks(instance) && is_news(instance, receiver, options, now_us)
        });
        let news: Vec<&(&String, &Instance)> = news.collect();
        let is_due = news
            .iter()
            .any(|(_, instance)| due_us(instance, receiver, options) <= now_us);
        if is_due {
            planned.push(message_of(&news, receiver, options, now_us));
        }
    }
    (planned, settled)
}

/// Whether the receiver does not know what it should know of it by now.
fn is_news(
    instance: &Instance,
    receiver: &dyn Receiver,
    options: &WatchOptions,
    now_us: i64,
) -> bool {
    match (instance.phase, instance.told.get(receiver.name())) {
        (Phase::Pending, _) => false,
        (_, None) => true,
        (phase, Some(told)) if told.phase != phase => true,
        (Phase::Firing, Some(_)) => due_us(instance, receiver, options) <= now_us,
        (_, Some(_)) => false,
    }
}

/// When it is to be told. What begins at about the same time shares a message.
fn due_us(instance: &Instance, receiver: &dyn Receiver, options: &WatchOptions) -> i64 {
    let wait_us = match receiver.heartbeat_us() {
        Some(_) => 0,
        None => options.group_wait_us,
    };
    let repeat_us = receiver.heartbeat_us().unwrap_or(options.repeat_us);
    match (instance.phase, instance.told.get(receiver.name())) {
        (Phase::Firing, Some(told)) if told.phase == Phase::Firing => {
            told.at_us.saturating_add(repeat_us)
        }
        (Phase::Resolved, _) => instance.resolved_us.unwrap_or(0).saturating_add(wait_us),
        _ => instance.fired_us.unwrap_or(0).saturating_add(wait_us),
    }
}

fn message_of(
    news: &[&(&String, &Instance)],
    receiver: &dyn Receiver,
    options: &WatchOptions,
    now_us: i64,
) -> Planned {
    let of_phase = |phase| {
        let instances = news.iter().filter(move |(_, found)| found.phase == phase);
        instances
            .map(|(_, found)| (*found).clone())
            .collect::<Vec<_>>()
    };
    let firing = of_phase(Phase::Firing);
    let resolved = of_phase(Phase::Resolved);
    let first = news.first().map(|(_, found)| (*found).clone());
    let (alarm, title, owner, group) = first
        .map(|found| (found.alarm, found.title, found.owner, found.group))
        .unwrap_or_default();
    // What was told before is part of the identity, so that a repeated message
    // is another one.
    let mut identity = format!("{}\n{}\n{owner}\n", options.warehouse, receiver.name());
    for (key, found) in news {
        let before = found.told.get(receiver.name()).map(|told| told.at_us);
        identity.push_str(&format!(
            "{key}\n{}\n{:?}\n{before:?}\n",
            found.phase.name(),
            found.fired_us
        ));
    }
    let severity = news.iter().map(|(_, found)| found.severity).max();
    Planned {
        notification: Notification {
            id: format!("{:016x}", stable_hash(identity.as_bytes())),
            warehouse: options.warehouse.clone(),
            link: options.link.clone(),
            alarm,
            title,
            severity: severity.unwrap_or_default(),
            owner,
            group,
            firing,
            resolved,
            zone: options.zone,
            time_us: now_us,
        },
        keys: news.iter().map(|(key, _)| (*key).clone()).collect(),
    }
}

/// Notes that a message was delivered. An instance that has changed meanwhile
/// is told of again.
pub(crate) fn note(state: &mut State, receiver: &str, planned: &Planned, now_us: i64) {
    let told_of = |instance: &Instance| {
        let mut told = planned
            .notification
            .firing
            .iter()
            .chain(&planned.notification.resolved);
        told.any(|told| told.phase == instance.phase && told.fired_us == instance.fired_us)
    };
    for key in &planned.keys {
        let Some(instance) = state.instances.get_mut(key) else {
            continue;
        };
        let phase = match told_of(instance) {
            true => instance.phase,
            // It was firing when the message left, and is resolved now.
            false if instance.phase == Phase::Resolved => Phase::Firing,
            false => continue,
        };
        let told = Told {
            phase,
            at_us: now_us,
        };
        instance.told.insert(receiver.to_owned(), told);
    }
}
