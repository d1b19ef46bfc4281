//! Messages to the person, or to the machine that collects them.

use std::io::{IsTerminal, Write};

use sluice_core::{Clock, SystemClock};

/// How messages are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    /// Human on a terminal, JSON otherwise.
    Auto,
    /// One plain line a message.
    Human,
    /// One JSON object a line.
    Json,
}

/// Writes messages to standard error, so that answers alone are on standard
/// output.
#[derive(Debug, Clone, Copy)]
pub struct Reporter {
    is_json: bool,
    is_silent: bool,
}

impl Reporter {
    /// A reporter of the chosen format.
    pub fn new(format: LogFormat) -> Self {
        let is_json = match format {
            LogFormat::Auto => !std::io::stderr().is_terminal(),
            LogFormat::Human => false,
            LogFormat::Json => true,
        };
        Self {
            is_json,
            is_silent: false,
        }
    }

    /// A reporter that says nothing.
    #[cfg(test)]
    pub fn silent() -> Self {
        Self {
            is_json: false,
            is_silent: true,
        }
    }

    /// Something that a person wants to know.
    pub fn info(&self, message: &str) {
        self.write("info", message);
    }

    /// Something that a person should look at.
    pub fn warn(&self, message: &str) {
        self.write("warn", message);
    }

    /// The reason why the command ends.
    pub fn error(&self, message: &str) {
        self.write("error", message);
    }

    /// How far something long is. On a terminal a bar in one line, nothing
    /// elsewhere.
    pub fn progress(&self, fraction: f64, message: &str) {
        if self.is_json || !std::io::stderr().is_terminal() {
            return;
        }
        const WIDTH: usize = 30;
        let filled = (fraction.clamp(0.0, 1.0) * WIDTH as f64) as usize;
        let bar = format!("{}{}", "█".repeat(filled), "░".repeat(WIDTH - filled));
        let mut output = std::io::stderr().lock();
        let _ = write!(output, "\r{bar} {:3.0} % {message}\x1b[K", fraction * 100.0);
        let _ = output.flush();
    }

    /// Removes the bar.
    pub fn end_progress(&self) {
        if !self.is_json && std::io::stderr().is_terminal() {
            let _ = write!(std::io::stderr().lock(), "\r\x1b[K");
        }
    }

    fn write(&self, level: &str, message: &str) {
        if self.is_silent {
            return;
        }
        // A closed standard error must not stop the warehouse.
        let mut output = std::io::stderr().lock();
        if self.is_json {
            let line = serde_json::json!({
                "time": timestamp(SystemClock.now_us()),
                "level": level,
                "message": message,
            });
            let _ = writeln!(output, "{line}");
        } else if level == "info" {
            let _ = writeln!(output, "{message}");
        } else {
            let _ = writeln!(output, "{level}: {message}");
        }
    }
}

/// RFC 3339 in UTC.
pub fn timestamp(time_us: i64) -> String {
    match arrow::temporal_conversions::timestamp_us_to_datetime(time_us) {
        Some(time) => format!("{time:?}Z"),
        None => time_us.to_string(),
    }
}

/// A count as people read it: `370,931`.
pub fn with_commas(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_grouped_by_three() {
        assert_eq!(with_commas(7), "7");
        assert_eq!(with_commas(370_931), "370,931");
        assert_eq!(with_commas(1_000_000), "1,000,000");
    }

    #[test]
    fn times_are_rfc_3339() {
        assert_eq!(timestamp(0), "1970-01-01T00:00:00Z");
    }
}
