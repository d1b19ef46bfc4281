//! How long records are looked for that seem gone, and how often. Brokers that
//! come up again do not know all of theirs at once.
//!
//! Time is counted in what was waited, not by the machine's clock: one that is
//! set must neither end the patience nor make it longer.

use std::time::Duration;

/// Records may seem gone for so long.
const GONE_TIME_MAX: Duration = Duration::from_secs(30);
const BACK_OFF_MIN: Duration = Duration::from_millis(250);
const BACK_OFF_MAX: Duration = Duration::from_secs(5);

/// See the module.
#[derive(Debug)]
pub(crate) struct Patience {
    back_off: Duration,
    /// Waited since records began to seem gone, with no other answer since.
    gone: Duration,
}

impl Patience {
    pub(crate) fn new() -> Self {
        Self {
            back_off: BACK_OFF_MIN,
            gone: Duration::ZERO,
        }
    }

    /// Nobody answered, or something else was wrong: whether records are gone is
    /// as open as at the beginning. Says how long to wait.
    pub(crate) fn after_trouble(&mut self) -> Duration {
        self.gone = Duration::ZERO;
        self.next_wait()
    }

    /// They seem gone. Says how long to wait; `None` when it was long enough.
    pub(crate) fn after_gone(&mut self) -> Option<Duration> {
        if self.gone > GONE_TIME_MAX {
            return None;
        }
        let time = self.next_wait();
        self.gone += time;
        Some(time)
    }

    fn next_wait(&mut self) -> Duration {
        let time = self.back_off;
        self.back_off = BACK_OFF_MAX.min(time * 2);
        time
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_seems_gone_is_looked_for_half_a_minute() {
        let mut patience = Patience::new();
        let mut waited = Duration::ZERO;
        while let Some(time) = patience.after_gone() {
            assert!(time <= BACK_OFF_MAX);
            waited += time;
        }
        assert!(waited > GONE_TIME_MAX && waited <= GONE_TIME_MAX + BACK_OFF_MAX);
    }

    #[test]
    fn an_outage_between_two_looks_begins_it_anew() {
        let mut patience = Patience::new();
        while patience.gone <= GONE_TIME_MAX {
            assert!(patience.after_gone().is_some());
        }
        for _ in 0..1_000 {
            assert_eq!(patience.after_trouble().max(BACK_OFF_MAX), BACK_OFF_MAX);
        }
        // A broker that has just come up and does not know all of it yet.
        assert_eq!(patience.after_gone(), Some(BACK_OFF_MAX));
        assert!(patience.after_gone().is_some());
    }
}
