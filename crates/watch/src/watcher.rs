//! The alarms of a warehouse: evaluates those that are due, delivers what is to
//! be told.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use parking_lot::{Mutex, RwLock};
use sluice_core::{Clock, Disk};

use crate::alert::Alert;
use crate::answer::Ask;
use crate::delivery::{self, Planned};
use crate::error::WatchError;
use crate::evaluation::{CUT, evaluate};
use crate::instance::{Instance, Phase};
use crate::quiet_hours::QuietHours;
use crate::receiver::{Receiver, SendError};
use crate::state::{State, StateFile};
use crate::transitions;

/// Waiting times after failed deliveries.
const BACK_OFF_MIN_US: i64 = 2_000_000;
const BACK_OFF_MAX_US: i64 = 300_000_000;

/// What alarms need to know of the warehouse.
#[derive(Debug, Clone)]
pub struct WatchOptions {
    /// Its name.
    pub warehouse: String,
    /// Where people find the alarms.
    pub link: Option<String>,
    /// The business time zone.
    pub zone: chrono_tz::Tz,
    /// Who is told where nothing else says it.
    pub owner: String,
    /// How long a message waits for others that begin at about the same time.
    pub group_wait_us: i64,
    /// An alarm that goes on is told again so often.
    pub repeat_us: i64,
    /// Hours in which only what is critical is told.
    pub quiet_hours: Option<QuietHours>,
}

/// An alarm, and how its evaluation goes.
#[derive(Debug, Clone)]
pub struct AlarmStatus {
    /// As it is defined.
    pub alert: Alert,
    /// When it was evaluated last, in microseconds since 1970 UTC.
    pub evaluated_us: Option<i64>,
    /// Why it could not be.
    pub error: Option<String>,
}

#[derive(Debug, Default, Clone)]
struct Evaluated {
    at_us: Option<i64>,
    error: Option<String>,
    is_cut: bool,
}

#[derive(Debug, Clone)]
struct Retry {
    failures: u32,
    next_us: i64,
    error: String,
}

/// See the module.
pub struct Watcher {
    options: WatchOptions,
    pub(crate) alerts: RwLock<Arc<Vec<Alert>>>,
    receivers: Vec<Box<dyn Receiver>>,
    pub(crate) file: StateFile,
    pub(crate) state: Mutex<State>,
    evaluated: Mutex<BTreeMap<String, Evaluated>>,
    /// By receiver, and by receiver and group.
    retries: Mutex<BTreeMap<String, Retry>>,
    pub(crate) clock: Arc<dyn Clock>,
}

impl std::fmt::Debug for Watcher {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Watcher")
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}

impl Watcher {
    /// Goes on where the state in `folder` ends.
    ///
    /// # Errors
    /// When that state cannot be read.
    pub fn open(
        options: WatchOptions,
        alerts: Vec<Alert>,
        receivers: Vec<Box<dyn Receiver>>,
        disk: Arc<dyn Disk>,
        folder: &Path,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, WatchError> {
        let file = StateFile::new(disk, folder)?;
        let mut state = file.read()?;
        let now_us = clock.now_us();
        transitions::end_undefined(&mut state, &alerts, now_us);
        Ok(Self {
            options,
            alerts: RwLock::new(Arc::new(alerts)),
            receivers,
            file,
            state: Mutex::new(state),
            evaluated: Mutex::default(),
            retries: Mutex::default(),
            clock,
        })
    }

    /// Goes by these alarms from now on. What fires of alarms that are no more is
    /// resolved, and what is pending of them is forgotten.
    ///
    /// # Errors
    /// When the state could not be kept; in memory it goes on.
    pub fn set_alerts(&self, alerts: Vec<Alert>) -> Result<(), WatchError> {
        if **self.alerts.read() == alerts {
            return Ok(());
        }
        let now_us = self.clock.now_us();
        let mut state = self.state.lock();
        transitions::end_undefined(&mut state, &alerts, now_us);
        let names: Vec<&str> = alerts.iter().map(|alert| &*alert.name).collect();
        // One that has changed is looked at now.
        let old = self.alerts.read().clone();
        let is_same = |name: &str| {
            let of = |alerts: &[Alert]| alerts.iter().find(|alert| alert.name == name).cloned();
            names.contains(&name) && of(&old) == of(&alerts)
        };
        self.evaluated.lock().retain(|name, _| is_same(name));
        *self.alerts.write() = Arc::new(alerts);
        Ok(self.file.write(&state)?)
    }

    /// Evaluates the alarms that are due. Returns how many could not be.
    ///
    /// # Errors
    /// When the state could not be kept; in memory it goes on.
    pub fn evaluate(&self, ask: &dyn Ask) -> Result<usize, WatchError> {
        let alerts = self.alerts.read().clone();
        let mut failed = 0;
        let mut has_changed = false;
        for alert in alerts.iter() {
            let now_us = self.clock.now_us();
            let evaluated = self.evaluated.lock().get(&alert.name).cloned();
            let last_us = evaluated.and_then(|evaluated| evaluated.at_us);
            if last_us.is_some_and(|last_us| now_us < last_us.saturating_add(alert.every_us)) {
                continue;
            }
            let outcome = evaluate(alert, ask, now_us);
            let error = outcome.as_ref().err().cloned();
            let is_cut = outcome.as_ref().is_ok_and(|evaluation| evaluation.is_cut);
            failed += usize::from(error.is_some());
            {
                let mut state = self.state.lock();
                // Its file may have gone, or changed, in the meantime.
                if !self.alerts.read().contains(alert) {
                    continue;
                }
                has_changed |= transitions::note_error(
                    &mut state,
                    &self.options,
                    alert,
                    error.as_deref(),
                    now_us,
                );
                if let Ok(evaluation) = outcome {
                    has_changed |=
                        transitions::take(&mut state, &self.options, alert, evaluation, now_us);
                }
            }
            let evaluated = Evaluated {
                at_us: Some(now_us),
                error,
                is_cut,
            };
            self.evaluated.lock().insert(alert.name.clone(), evaluated);
        }
        let mut state = self.state.lock();
        has_changed |= transitions::forget(&mut state, &self.receivers, self.clock.now_us());
        match has_changed {
            true => Ok(self.file.write(&state)?),
            false => Ok(()),
        }
        .map(|()| failed)
    }

    /// Delivers what is due, one message after the other. Returns what went
    /// wrong, in words.
    ///
    /// # Errors
    /// When the state could not be kept: what was delivered may then be
    /// delivered again after a restart.
    pub fn deliver(&self) -> Result<Vec<String>, WatchError> {
        let alerts = self.alerts.read().clone();
        let quiet_hours = alerts.iter().filter_map(|alert| {
            let quiet = alert.quiet_hours?;
            Some((alert.name.clone(), quiet))
        });
        let quiet_hours: BTreeMap<String, QuietHours> = quiet_hours.collect();
        let mut problems = Vec::new();
        for receiver in &self.receivers {
            let receiver = receiver.as_ref();
            let now_us = self.clock.now_us();
            if !self.may_try(receiver.name(), now_us) {
                continue;
            }
            let planned = {
                let mut state = self.state.lock();
                let (planned, settled) =
                    delivery::plan(&state, receiver, &self.options, &quiet_hours, now_us);
                for key in &settled {
                    if let Some(instance) = state.instances.get_mut(key) {
                        let told = crate::receiver::Told {
                            phase: Phase::Resolved,
                            at_us: now_us,
                        };
                        instance.told.insert(receiver.name().to_owned(), told);
                    }
                }
                if !settled.is_empty() {
                    self.file.write(&state)?;
                }
                planned
            };
            for planned in planned {
                if !self.deliver_one(receiver, &planned, &mut problems)? {
                    break;
                }
            }
        }
        Ok(problems)
    }

    /// False where the receiver cannot be reached.
    fn deliver_one(
        &self,
        receiver: &dyn Receiver,
        planned: &Planned,
        problems: &mut Vec<String>,
    ) -> Result<bool, WatchError> {
        let notification = &planned.notification;
        let of_group = format!(
            "{}\n{}\n{}\n{}",
            receiver.name(),
            notification.owner,
            notification.alarm,
            notification.group
        );
        if !self.may_try(&of_group, self.clock.now_us()) {
            return Ok(true);
        }
        let outcome = receiver.send(notification);
        let now_us = self.clock.now_us();
        match outcome {
            Ok(()) => {
                let mut retries = self.retries.lock();
                retries.remove(&of_group);
                retries.remove(receiver.name());
                drop(retries);
                let mut state = self.state.lock();
                delivery::note(&mut state, receiver.name(), planned, now_us);
                self.file.write(&state)?;
                Ok(true)
            }
            Err(error) => {
                problems.push(format!(
                    "alarm {} to {} by {}: {error}; trying again",
                    notification.alarm,
                    notification.owner,
                    receiver.name()
                ));
                let is_reachable = matches!(error, SendError::Refused(_));
                let whom = match is_reachable {
                    true => of_group,
                    false => receiver.name().to_owned(),
                };
                self.wait_longer(whom, &error, now_us);
                Ok(is_reachable)
            }
        }
    }

    fn may_try(&self, whom: &str, now_us: i64) -> bool {
        let retries = self.retries.lock();
        retries
            .get(whom)
            .is_none_or(|retry| now_us >= retry.next_us)
    }

    fn wait_longer(&self, whom: String, error: &SendError, now_us: i64) {
        let mut retries = self.retries.lock();
        let retry = retries.entry(whom).or_insert(Retry {
            failures: 0,
            next_us: 0,
            error: String::new(),
        });
        let wait_us = BACK_OFF_MIN_US << retry.failures.min(16);
        retry.failures += 1;
        retry.next_us = now_us.saturating_add(wait_us.min(BACK_OFF_MAX_US));
        retry.error = error.to_string();
    }

    /// Receivers and groups that could not be told, with the reason.
    pub fn undelivered(&self) -> Vec<(String, String)> {
        let retries = self.retries.lock();
        let pairs = retries
            .iter()
            .map(|(whom, retry)| (whom.replace('\n', " "), retry.error.clone()));
        pairs.collect()
    }

    /// All instances: firing ones first, the newest first.
    pub fn instances(&self) -> Vec<Instance> {
        let mut instances: Vec<Instance> = self.state.lock().instances.values().cloned().collect();
        let rank = |phase: Phase| match phase {
            Phase::Firing => 0,
            Phase::Pending => 1,
            Phase::Resolved => 2,
        };
        instances.sort_by_key(|instance| {
            let severity = std::cmp::Reverse(instance.severity);
            (rank(instance.phase), severity, -instance.since_us)
        });
        instances
    }

    /// The alarms that are defined.
    pub fn alarms(&self) -> Vec<AlarmStatus> {
        let evaluated = self.evaluated.lock();
        let alerts = self.alerts.read().clone();
        let statuses = alerts.iter().map(|alert| {
            let of_alarm = evaluated.get(&alert.name).cloned().unwrap_or_default();
            AlarmStatus {
                alert: alert.clone(),
                evaluated_us: of_alarm.at_us,
                error: of_alarm.error,
            }
        });
        statuses.collect()
    }

    /// The alarms whose query has more rows than are looked at, in words.
    pub fn cut_answers(&self) -> Vec<String> {
        let evaluated = self.evaluated.lock();
        let cut = evaluated.iter().filter(|(_, evaluated)| evaluated.is_cut);
        let said = cut.map(|(name, _)| {
            format!(
                "alarm {name}: {CUT}\n  help: let the query answer only what is wrong, or group its rows"
            )
        });
        said.collect()
    }

    /// The day on which something that happens once a day was done last.
    pub fn day_done(&self, what: &str) -> Option<String> {
        self.state.lock().days_done.get(what).cloned()
    }

    /// Notes that it was done for `day`.
    ///
    /// # Errors
    /// When it cannot be kept.
    pub fn note_day(&self, what: &str, day: &str) -> Result<(), WatchError> {
        let mut state = self.state.lock();
        state.days_done.insert(what.to_owned(), day.to_owned());
        Ok(self.file.write(&state)?)
    }
}
