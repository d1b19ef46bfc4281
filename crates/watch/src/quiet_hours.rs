//! Hours of the business day in which only what is critical is told.

use chrono::{DateTime, Timelike};
use chrono_tz::Tz;

/// `22:00-07:00`, which may pass midnight.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QuietHours {
    from_minute: u32,
    until_minute: u32,
}

impl QuietHours {
    /// Reads `22:00-07:00`; `None` if it is no such text.
    pub fn parse(text: &str) -> Option<Self> {
        let (from, until) = text.split_once('-')?;
        Some(Self {
            from_minute: minute_of_day(from)?,
            until_minute: minute_of_day(until)?,
        })
    }

    /// Whether a moment lies within them.
    pub fn contains(&self, time_us: i64, zone: Tz) -> bool {
        let Some(time) = DateTime::from_timestamp_micros(time_us) else {
            return false;
        };
        let local = time.with_timezone(&zone);
        let minute = local.hour() * 60 + local.minute();
        match self.from_minute <= self.until_minute {
            true => (self.from_minute..self.until_minute).contains(&minute),
            false => minute >= self.from_minute || minute < self.until_minute,
        }
    }
}

fn minute_of_day(text: &str) -> Option<u32> {
    let (hour, minute) = text.trim().split_once(':')?;
    let (hour, minute): (u32, u32) = (hour.parse().ok()?, minute.parse().ok()?);
    let is_time = hour < 24 && minute < 60 || hour == 24 && minute == 0;
    is_time.then_some((hour * 60 + minute) % 1440)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR_US: i64 = 3_600_000_000;

    #[test]
    fn the_night_passes_midnight_in_the_business_time_zone() {
        let night = QuietHours::parse("22:00-07:30").unwrap();
        let zone: Tz = "Asia/Shanghai".parse().unwrap();
        // 1970-01-01T14:00Z is 22:00 in Shanghai.
        assert!(!night.contains(14 * HOUR_US - 1, zone));
        assert!(night.contains(14 * HOUR_US, zone));
        assert!(night.contains(23 * HOUR_US, zone));
        assert!(!night.contains(23 * HOUR_US + HOUR_US / 2, zone));
        assert!(QuietHours::parse("25:00-07:00").is_none());
        assert!(QuietHours::parse("22-7").is_none());
    }
}
