//! A message about alarms as text.

use crate::answer::time_text;
use crate::duration::duration_text;
use crate::instance::Instance;
use crate::receiver::Notification;

/// What it is about, in one line.
pub(crate) fn subject(notification: &Notification) -> String {
    let Notification {
        firing,
        resolved,
        severity,
        title,
        warehouse,
        ..
    } = notification;
    let state = match (firing.len(), resolved.len()) {
        (0, _) => "resolved".to_owned(),
        (_, _) => severity.to_string(),
    };
    let count = match firing.len().max(resolved.len()) {
        0 | 1 => String::new(),
        count => format!(" ({count})"),
    };
    format!("[{warehouse}] {state}: {title}{count}")
}

/// Instances that are named in a message; of more, only the number is.
const NAMED_MAX: usize = 50;

/// The whole message.
pub(crate) fn body(notification: &Notification) -> String {
    let mut text = String::new();
    let lists = [
        ("FIRING", &notification.firing),
        ("RESOLVED", &notification.resolved),
    ];
    for (heading, instances) in lists {
        if instances.is_empty() {
            continue;
        }
        text.push_str(heading);
        text.push_str("\n\n");
        for instance in instances.iter().take(NAMED_MAX) {
            describe(instance, notification, &mut text);
        }
        if instances.len() > NAMED_MAX {
            text.push_str(&format!("and {} more\n\n", instances.len() - NAMED_MAX));
        }
    }
    text.push_str(&format!(
        "-- \nWarehouse {}, alarm {}, severity {}, owner {}\n",
        notification.warehouse, notification.alarm, notification.severity, notification.owner
    ));
    if let Some(link) = &notification.link {
        text.push_str(&format!("{link}\n"));
    }
    text
}

fn describe(instance: &Instance, notification: &Notification, text: &mut String) {
    let time = |time_us| time_text(time_us, notification.zone);
    let labels = instance.label_text();
    if !labels.is_empty() {
        text.push_str(&format!("{labels}\n"));
    }
    text.push_str(&format!("  {}\n", instance.message));
    text.push_str(&format!("  since {}", time(instance.since_us)));
    match instance.resolved_us {
        Some(resolved_us) => text.push_str(&format!(
            ", resolved {} after {}\n\n",
            time(resolved_us),
            duration_text(resolved_us - instance.since_us)
        )),
        None => text.push_str(&format!(
            " ({})\n\n",
            duration_text(notification.time_us - instance.since_us)
        )),
    }
}
