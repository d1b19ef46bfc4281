//! When an instance of an alarm is wrong.

use crate::answer::{Value, number_text};
use crate::duration::duration_text;

/// See the module.
#[derive(Debug, Clone, PartialEq)]
pub enum Condition {
    /// The value is above or below a bound.
    Bounds {
        /// Wrong above it.
        above: Option<f64>,
        /// Wrong below it.
        below: Option<f64>,
    },
    /// The value of a span of time changed against the same span earlier.
    Change {
        /// Wrong where it fell by this share or more.
        fell_by: Option<f64>,
        /// Wrong where it rose by this share or more.
        rose_by: Option<f64>,
        /// The value before must be at least this to be compared.
        before_min: f64,
        /// Length of the span, which ends now.
        window_us: i64,
        /// How much earlier the other span is.
        shift_us: i64,
    },
    /// The query has no rows.
    NoRows,
    /// The query has a row.
    AnyRow,
    /// The value is a time, and further back than this, or there is none.
    OlderThan {
        /// The span.
        age_us: i64,
    },
}

/// What a condition says of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It is wrong.
    Met,
    /// It is right.
    NotMet,
    /// The value is not known: what was, stays.
    Unknown,
}

impl Verdict {
    fn of(is_met: bool) -> Self {
        match is_met {
            true => Self::Met,
            false => Self::NotMet,
        }
    }
}

impl Condition {
    /// Judges the value of one row, and the one before where values are
    /// compared.
    ///
    /// # Errors
    /// When the value has a type that cannot be judged, in words.
    pub(crate) fn judge(
        &self,
        value: &Value,
        before: Option<f64>,
        now_us: i64,
    ) -> Result<Verdict, String> {
        match (self, value) {
            (Self::NoRows, _) => Ok(Verdict::NotMet),
            (Self::AnyRow, _) => Ok(Verdict::Met),
            (Self::OlderThan { .. }, Value::Null) => Ok(Verdict::Met),
            (Self::OlderThan { age_us }, Value::Time(time_us)) => {
                Ok(Verdict::of(now_us.saturating_sub(*time_us) > *age_us))
            }
            (Self::OlderThan { .. }, other) => Err(format!("`{}` is no time", other.text())),
            (_, Value::Null) => Ok(Verdict::Unknown),
            (Self::Bounds { above, below }, Value::Number(number)) => {
                let is_above = above.is_some_and(|bound| *number > bound);
                let is_below = below.is_some_and(|bound| *number < bound);
                Ok(Verdict::of(is_above || is_below))
            }
            (
                Self::Change {
                    fell_by,
                    rose_by,
                    before_min,
                    ..
                },
                Value::Number(number),
            ) => {
                let Some(before) = before.filter(|before| before >= before_min) else {
                    return Ok(Verdict::NotMet);
                };
                let has_fallen = fell_by.is_some_and(|share| *number <= before * (1.0 - share));
                let has_risen = rose_by.is_some_and(|share| *number >= before * (1.0 + share));
                Ok(Verdict::of(has_fallen || has_risen))
            }
            (_, other) => Err(format!("`{}` is no number", other.text())),
        }
    }

    /// What is wrong when it is met, in words.
    pub(crate) fn words(&self) -> String {
        match self {
            Self::Bounds { above, below } => {
                let above = above.map(|bound| format!("above {}", number_text(bound)));
                let below = below.map(|bound| format!("below {}", number_text(bound)));
                let words: Vec<String> = [above, below].into_iter().flatten().collect();
                words.join(" or ")
            }
            Self::Change {
                fell_by,
                rose_by,
                window_us,
                shift_us,
                ..
            } => {
                let fell = fell_by.map(|share| format!("fell by {} %", number_text(share * 100.0)));
                let rose = rose_by.map(|share| format!("rose by {} %", number_text(share * 100.0)));
                let words: Vec<String> = [fell, rose].into_iter().flatten().collect();
                format!(
                    "{} against the same {} {} earlier",
                    words.join(" or "),
                    duration_text(*window_us),
                    duration_text(*shift_us)
                )
            }
            Self::NoRows => "no rows".to_owned(),
            Self::AnyRow => "any row".to_owned(),
            Self::OlderThan { age_us } => format!("older than {}", duration_text(*age_us)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(condition: &Condition, value: Value, before: Option<f64>) -> Verdict {
        condition.judge(&value, before, 10_000_000).unwrap()
    }

    #[test]
    fn bounds_are_exclusive_and_null_is_unknown() {
        let bounds = Condition::Bounds {
            above: Some(10.0),
            below: Some(2.0),
        };
        let verdicts = [1.0, 2.0, 10.0, 11.0].map(|n| judged(&bounds, Value::Number(n), None));
        assert_eq!(
            verdicts,
            [Verdict::Met, Verdict::NotMet, Verdict::NotMet, Verdict::Met]
        );
        assert_eq!(judged(&bounds, Value::Null, None), Verdict::Unknown);
        assert!(bounds.judge(&Value::Text("x".into()), None, 0).is_err());
    }

    #[test]
    fn a_change_is_judged_only_against_enough() {
        let change = Condition::Change {
            fell_by: Some(0.4),
            rose_by: None,
            before_min: 100.0,
            window_us: 3_600_000_000,
            shift_us: 86_400_000_000,
        };
        assert_eq!(
            judged(&change, Value::Number(60.0), Some(100.0)),
            Verdict::Met
        );
        assert_eq!(
            judged(&change, Value::Number(61.0), Some(100.0)),
            Verdict::NotMet
        );
        assert_eq!(
            judged(&change, Value::Number(0.0), Some(99.0)),
            Verdict::NotMet
        );
        assert_eq!(
            judged(&change, Value::Number(500.0), Some(100.0)),
            Verdict::NotMet
        );
        assert_eq!(judged(&change, Value::Number(0.0), None), Verdict::NotMet);
        assert_eq!(
            change.words(),
            "fell by 40 % against the same 1 h 1 d earlier"
        );
    }

    #[test]
    fn times_are_judged_by_their_age() {
        let older = Condition::OlderThan { age_us: 4_000_000 };
        assert_eq!(judged(&older, Value::Time(5_999_999), None), Verdict::Met);
        assert_eq!(
            judged(&older, Value::Time(6_000_000), None),
            Verdict::NotMet
        );
        assert_eq!(judged(&older, Value::Null, None), Verdict::Met);
    }
}
