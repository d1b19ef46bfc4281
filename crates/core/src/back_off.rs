//! Trying a server again after failures: later each time, and said once.

/// Until the first try after a failure; doubled with each further one.
const WAIT_US_MIN: i64 = 500_000;
/// It is never longer than this.
const WAIT_US_MAX: i64 = 60_000_000;

/// See the module.
#[derive(Debug, Default)]
pub struct BackOff {
    failures: u32,
    /// `None` as long as nothing is wrong.
    next_us: Option<i64>,
    trouble: Option<String>,
}

impl BackOff {
    /// Whether it may be tried now.
    pub fn is_due(&self, now_us: i64) -> bool {
        self.next_us.is_none_or(|next_us| {
            // No wait is that long: the clock was set back.
            let clock_went_back = now_us < next_us.saturating_sub(WAIT_US_MAX);
            now_us >= next_us || clock_went_back
        })
    }

    /// What went wrong, until something goes right.
    pub fn trouble(&self) -> Option<&str> {
        self.trouble.as_deref()
    }

    /// Notes that it went right. What there is to say of it, if anything.
    pub fn succeed(&mut self) -> Option<&'static str> {
        self.failures = 0;
        self.next_us = None;
        let had_trouble = self.trouble.take().is_some();
        had_trouble.then_some("the server answers again")
    }

    /// Notes what went wrong. What there is to say of it, unless that was said.
    pub fn fail(&mut self, now_us: i64, problem: String) -> Option<String> {
        let wait_us = WAIT_US_MIN << self.failures.min(16);
        self.failures = self.failures.saturating_add(1);
        self.next_us = Some(now_us.saturating_add(wait_us.min(WAIT_US_MAX)));
        if self.trouble.as_ref() == Some(&problem) {
            return None;
        }
        let said = format!("{problem}; trying again");
        self.trouble = Some(problem);
        Some(said)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_until_something_goes_right() {
        let mut back_off = BackOff::default();
        assert!(back_off.is_due(i64::MIN));
        assert_eq!(back_off.succeed(), None);
        let mut now_us = 0;
        let mut waits_s = Vec::new();
        for _ in 0..9 {
            back_off.fail(now_us, "refused".to_owned());
            let before_us = now_us;
            while !back_off.is_due(now_us) {
                now_us += 500_000;
            }
            waits_s.push((now_us - before_us) as f64 / 1e6);
        }
        assert_eq!(waits_s, [0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0]);
        assert_eq!(back_off.trouble(), Some("refused"));
        assert_eq!(back_off.fail(now_us, "refused".to_owned()), None);
        let said = back_off.fail(now_us, "no such host".to_owned());
        assert_eq!(said.as_deref(), Some("no such host; trying again"));
        assert_eq!(back_off.succeed(), Some("the server answers again"));
        assert_eq!(back_off.trouble(), None);
        back_off.fail(now_us, "refused".to_owned());
        assert!(back_off.is_due(now_us + 500_000));
    }

    #[test]
    fn a_clock_that_goes_back_does_not_keep_it_waiting() {
        let hour_us = 3_600_000_000;
        let mut back_off = BackOff::default();
        back_off.fail(hour_us, "refused".to_owned());
        assert!(!back_off.is_due(hour_us - 1_000));
        assert!(back_off.is_due(0));
        back_off.succeed();
        assert!(back_off.is_due(hour_us - 1_000));
    }
}
