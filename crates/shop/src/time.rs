//! Local time of the shop.

/// Microseconds of a day.
pub(crate) const DAY_US: i64 = 86_400_000_000;

/// A moment in the shop's time zone, which knows no summer time.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Local {
    pub(crate) day: i64,
    pub(crate) second: i64,
}

impl Local {
    pub(crate) fn of(time_us: i64, offset_minutes: i32) -> Self {
        let local_us = time_us + i64::from(offset_minutes) * 60_000_000;
        Self {
            day: local_us.div_euclid(DAY_US),
            second: local_us.rem_euclid(DAY_US) / 1_000_000,
        }
    }

    /// Year, month and day.
    pub(crate) fn date(self) -> (i64, i64, i64) {
        civil(self.day)
    }

    pub(crate) fn minute(self) -> u32 {
        (self.second / 60) as u32
    }

    pub(crate) fn hour(self) -> usize {
        (self.second / 3_600) as usize
    }

    /// 0 for Monday.
    pub(crate) fn weekday(self) -> usize {
        // 1970 began on a Thursday.
        (self.day + 3).rem_euclid(7) as usize
    }

    /// `2026-11-20 10:11:12`.
    pub(crate) fn text(self) -> String {
        let (year, month, day) = civil(self.day);
        let Self { second, .. } = self;
        format!(
            "{year:04}-{month:02}-{day:02} {:02}:{:02}:{:02}",
            second / 3_600,
            second / 60 % 60,
            second % 60
        )
    }
}

/// Year, month and day of a day number, by H. Hinnant, "chrono-compatible
/// low-level date algorithms".
fn civil(day: i64) -> (i64, i64, i64) {
    let shifted = day + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 {
        shifted_month + 3
    } else {
        shifted_month - 9
    };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_have_their_local_text() {
        let text = |time_us| Local::of(time_us, 480).text();
        assert_eq!(text(0), "1970-01-01 08:00:00");
        assert_eq!(text(1_709_164_799_999_999), "2024-02-29 07:59:59");
        assert_eq!(text(-DAY_US / 3 - 1), "1969-12-31 23:59:59");
        assert_eq!(text(1_798_732_800_000_000), "2027-01-01 00:00:00");
        assert_eq!(Local::of(1_798_732_800_000_000, 480).minute(), 0);
        // A Friday.
        assert_eq!(Local::of(1_798_732_800_000_000, 480).weekday(), 4);
    }
}
