//! How busy the shop is: by hour, by day of the week, and on days of promotion.

use crate::time::Local;

/// How busy each hour of a day is; the mean is 1.
const HOURS: [f64; 24] = [
    0.55, 0.35, 0.22, 0.16, 0.14, 0.18, 0.35, 0.62, 0.88, 1.08, 1.22, 1.28, 1.35, 1.22, 1.15, 1.15,
    1.18, 1.2, 1.3, 1.55, 1.85, 1.95, 1.55, 1.52,
];

/// How busy each day of a week is, from Monday; the mean is 1.
const DAYS: [f64; 7] = [0.94, 0.93, 0.93, 0.94, 1.0, 1.14, 1.12];

/// How busy it is, the mean of an ordinary week being 1.
pub(crate) fn busyness(local: Local) -> f64 {
    HOURS[local.hour()] * DAYS[local.weekday()] * rush(local)
}

/// Whether it is a day of promotion: the eighth, eighteenth and twenty-eighth of
/// a month, and the eleventh of November.
pub(crate) fn is_promotion(local: Local) -> bool {
    let (_, month, day) = local.date();
    day % 10 == 8 || (month, day) == (11, 11)
}

/// How much busier than usual it is for a promotion: all day, and most in the
/// hours from midnight and from 20:00 on.
fn rush(local: Local) -> f64 {
    match (is_promotion(local), local.hour()) {
        (false, _) => 1.0,
        (true, 0 | 20) => 2.5,
        (true, _) => 1.3,
    }
}
