//! Spans of time in files and commands: `5 minutes`, `2h`.

const UNITS: [(&[&str], i64); 5] = [
    (&["d", "day", "days"], 86_400_000_000),
    (&["h", "hour", "hours"], 3_600_000_000),
    (&["m", "min", "minute", "minutes"], 60_000_000),
    (&["s", "second", "seconds"], 1_000_000),
    (&["ms"], 1_000),
];

/// Microseconds of a span such as `5 minutes`; `None` if it is none.
pub fn parse_duration_us(text: &str) -> Option<i64> {
    let text = text.trim();
    let digits = text.find(|character: char| !character.is_ascii_digit())?;
    let number: i64 = text[..digits].parse().ok()?;
    let word = text[digits..].trim();
    let unit = UNITS.iter().find(|(words, _)| words.contains(&word));
    number.checked_mul(unit?.1)
}

/// A span as people say it: its largest unit and the next one.
pub fn duration_text(span_us: i64) -> String {
    let mut left_us = span_us.max(0);
    let mut parts = Vec::new();
    for (words, unit_us) in UNITS {
        let count = left_us / unit_us;
        left_us %= unit_us;
        if count > 0 {
            parts.push(format!("{count} {}", words[0]));
        } else if !parts.is_empty() {
            break;
        }
        if parts.len() == 2 {
            break;
        }
    }
    match parts.is_empty() {
        true => "0 s".to_owned(),
        false => parts.join(" "),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_read_and_written() {
        assert_eq!(parse_duration_us("5 minutes"), Some(300_000_000));
        assert_eq!(parse_duration_us("2h"), Some(7_200_000_000));
        assert_eq!(parse_duration_us("5"), None);
        assert_eq!(parse_duration_us("minutes"), None);
        assert_eq!(duration_text(3_723_000_000), "1 h 2 m");
        assert_eq!(duration_text(90_000_000), "1 m 30 s");
        assert_eq!(duration_text(10), "0 s");
    }
}
