//! Silences of a watcher.

use crate::error::WatchError;
use crate::instance::Instance;
use crate::silence::Silence;
use crate::transitions::EVALUATION_FAILED;
use crate::watcher::Watcher;

impl Watcher {
    /// Whether a silence covers it now.
    pub fn is_silenced(&self, instance: &Instance) -> bool {
        let now_us = self.clock.now_us();
        let state = self.state.lock();
        let mut silences = state.silences.iter();
        silences.any(|silence| silence.covers(instance, now_us))
    }

    /// Silences that are not over.
    pub fn silences(&self) -> Vec<Silence> {
        let now_us = self.clock.now_us();
        let state = self.state.lock();
        let silences = state.silences.iter();
        silences
            .filter(|silence| silence.until_us > now_us)
            .cloned()
            .collect()
    }

    /// Adds a silence; its number and times are given here.
    ///
    /// # Errors
    /// When it covers nothing, or cannot be kept.
    pub fn silence(&self, wanted: Silence, length_us: i64) -> Result<Silence, WatchError> {
        let alerts = self.alerts.read().clone();
        if let Some(name) = &wanted.alarm
            && name != EVALUATION_FAILED
            && !alerts.iter().any(|alert| alert.name == *name)
        {
            let known: Vec<&str> = alerts.iter().map(|alert| &*alert.name).collect();
            return Err(WatchError::Silence(format!(
                "there is no alarm `{name}`; known: {}",
                known.join(", ")
            )));
        }
        if wanted.alarm.is_none() && wanted.labels.is_empty() {
            let problem = "a silence names an alarm, labels, or both";
            return Err(WatchError::Silence(problem.to_owned()));
        }
        if length_us <= 0 {
            let problem = "a silence has a length, such as \"2 hours\"";
            return Err(WatchError::Silence(problem.to_owned()));
        }
        let now_us = self.clock.now_us();
        let mut state = self.state.lock();
        state.silences.retain(|known| known.until_us > now_us);
        state.last_silence += 1;
        let silence = Silence {
            id: state.last_silence,
            from_us: now_us,
            until_us: now_us.saturating_add(length_us),
            ..wanted
        };
        state.silences.push(silence.clone());
        self.file.write(&state)?;
        Ok(silence)
    }

    /// Ends a silence.
    ///
    /// # Errors
    /// When there is none of this number, or the change cannot be kept.
    pub fn end_silence(&self, id: u64) -> Result<(), WatchError> {
        let mut state = self.state.lock();
        let count = state.silences.len();
        state.silences.retain(|silence| silence.id != id);
        if state.silences.len() == count {
            return Err(WatchError::Silence(format!("there is no silence {id}")));
        }
        Ok(self.file.write(&state)?)
    }
}
