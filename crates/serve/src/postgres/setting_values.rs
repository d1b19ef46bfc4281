//! The settings that a connection may have, and the values that they take.

use datafusion_postgres::pgwire::api::ClientInfo;
use datafusion_postgres::pgwire::error::{PgWireError, PgWireResult};

use super::codes::error;
use super::formats::{FORMATS, format_value};
use super::isolation::{DEFAULT_LEVEL, Isolation, LEVEL};
use super::sign_in::SERVER_VERSION;
use super::time_zones;

/// Characters of a setting's value.
const VALUE_LENGTH_MAX: usize = 1_000;
/// A connection's settings stand among what else is known of it, under names
/// that begin so.
const PREFIX: &str = "setting.";

/// How long a statement may take.
pub(super) const TIMEOUT: &str = "statement_timeout";
pub(super) const TIME_ZONE: &str = "timezone";

/// What SHOW says where a client has set nothing; those that are `true` are told
/// to the client when they change, as PostgreSQL does.
pub(super) const DEFAULTS: [(&str, &str, bool); 35] = [
    ("application_name", "", true),
    ("bytea_output", "hex", false),
    ("client_encoding", "UTF8", true),
    ("client_min_messages", "notice", false),
    ("datestyle", "ISO, YMD", true),
    ("default_transaction_deferrable", "off", false),
    (DEFAULT_LEVEL, "read committed", false),
    ("default_transaction_read_only", "on", false),
    ("escape_string_warning", "on", false),
    ("extra_float_digits", "1", false),
    ("idle_in_transaction_session_timeout", "0", false),
    ("in_hot_standby", "off", false),
    ("integer_datetimes", "on", false),
    ("intervalstyle", "postgres", true),
    ("is_superuser", "off", false),
    ("jit", "off", false),
    ("lc_collate", "C", false),
    ("lc_ctype", "C", false),
    ("lc_messages", "C", false),
    ("lc_monetary", "C", false),
    ("lc_numeric", "C", false),
    ("lc_time", "C", false),
    ("lock_timeout", "0", false),
    ("max_identifier_length", "63", false),
    ("max_index_keys", "32", false),
    ("max_prepared_transactions", "0", false),
    ("row_security", "on", false),
    ("search_path", "public", false),
    ("server_encoding", "UTF8", false),
    ("server_version_num", "160006", false),
    ("standard_conforming_strings", "on", false),
    ("transaction_deferrable", "off", false),
    (LEVEL, "read committed", false),
    ("transaction_read_only", "on", false),
    ("wal_level", "replica", false),
];

/// `statement_timeout` as the guard reads it: milliseconds, 0 for none.
pub(super) fn statement_timeout_ms<C: ClientInfo + ?Sized>(client: &C) -> u64 {
    let text = client.metadata().get(&key_of(TIMEOUT));
    text.and_then(|text| text.parse().ok()).unwrap_or(0)
}

/// All settings where nobody has set them.
pub(super) fn defaults() -> impl Iterator<Item = (&'static str, &'static str)> {
    let known = DEFAULTS.iter().map(|(name, value, _)| (*name, *value));
    known.chain([("server_version", SERVER_VERSION), (TIMEOUT, "0")])
}

/// What a setting is where nobody has set it; `None` where there is no such one.
pub(super) fn default_of(name: &str) -> Option<String> {
    let found = defaults().find(|(known, _)| *known == name);
    found.map(|(_, value)| value.to_owned())
}

/// Whether a client is told when a setting changes.
pub(super) fn is_told(name: &str) -> bool {
    let known = DEFAULTS.iter().find(|(known, _, _)| *known == name);
    known.is_some_and(|(_, _, is_told)| *is_told)
}

/// What PostgreSQL calls a setting whose name is in lower case.
pub(super) fn told_name(name: &str) -> &str {
    match name {
        "datestyle" => "DateStyle",
        "intervalstyle" => "IntervalStyle",
        TIME_ZONE => "TimeZone",
        other => other,
    }
}

/// What SHOW says of a setting with this value.
pub(super) fn shown_value(name: &str, value: &str) -> String {
    match name {
        TIMEOUT => format!("{value}ms"),
        _ => value.to_owned(),
    }
}

/// There is no setting of that name.
pub(super) fn unrecognized(name: &str) -> PgWireError {
    // 42704: undefined_object.
    let problem = format!("unrecognized configuration parameter \"{name}\"");
    error("42704", problem)
}

/// Refuses the names of what no client sets.
///
/// # Errors
/// When it is one of them.
pub(super) fn check_name(name: &str) -> PgWireResult<()> {
    if name.starts_with("datafusion.") {
        // 42501: insufficient_privilege.
        let problem = format!("`{name}` holds for everybody, and no client sets it");
        return Err(error("42501", problem));
    }
    Ok(())
}

/// Where a setting is kept.
pub(super) fn key_of(name: &str) -> String {
    match FORMATS.contains(&name) {
        true => name.to_owned(),
        false => format!("{PREFIX}{name}"),
    }
}

/// The name of the setting that is kept under that key; `None` where none is.
pub(super) fn name_of(key: &str) -> Option<&str> {
    match FORMATS.contains(&key) {
        true => Some(key),
        false => key.strip_prefix(PREFIX),
    }
}

/// Whether a setting is kept under that name.
pub(super) fn is_setting(key: &str) -> bool {
    name_of(key).is_some()
}

/// The value of a setting in the form in which it is kept. `now` is the one that it
/// has.
///
/// # Errors
/// When it is no value of that setting.
pub(super) fn checked(name: &str, value: String, now: Option<&str>) -> PgWireResult<String> {
    if value.len() > VALUE_LENGTH_MAX {
        // 22023: invalid_parameter_value.
        let problem = format!("a setting has at most {VALUE_LENGTH_MAX} characters");
        return Err(error("22023", problem));
    }
    let wrong = |help: &str| {
        let name = told_name(name);
        let problem = format!("invalid value for parameter \"{name}\": \"{value}\"{help}");
        error("22023", problem)
    };
    match name {
        TIME_ZONE => time_zones::known(&value).ok_or_else(|| wrong("")),
        TIMEOUT => {
            let help = "; write milliseconds, or '30s', '5min'";
            let timeout_ms = milliseconds(&value).ok_or_else(|| wrong(help))?;
            Ok(timeout_ms.to_string())
        }
        DEFAULT_LEVEL | LEVEL => {
            let level = Isolation::named(&value).ok_or_else(|| wrong(""))?;
            Ok(level.name().to_owned())
        }
        "client_encoding" if !is_utf8(&value) => {
            let problem = format!("\"{value}\" is not answered; use UTF8");
            Err(error("22023", problem))
        }
        _ => format_value(name, &value, now).ok_or_else(|| wrong("")),
    }
}

pub(super) fn is_utf8(name: &str) -> bool {
    ["utf8", "utf-8", "unicode"]
        .iter()
        .any(|known| name.eq_ignore_ascii_case(known))
}

/// Milliseconds of PostgreSQL's text of a time: a number of milliseconds, or one
/// with a unit.
fn milliseconds(text: &str) -> Option<u64> {
    let text = text.trim();
    let digits = text.trim_end_matches(|letter: char| letter.is_ascii_alphabetic());
    let count: u64 = digits.trim().parse().ok()?;
    let unit_us: u64 = match text.get(digits.len()..)? {
        "us" => 1,
        "" | "ms" => 1_000,
        "s" => 1_000_000,
        "min" => 60_000_000,
        "h" => 3_600_000_000,
        "d" => 86_400_000_000,
        _ => return None,
    };
    let whole_us = count.checked_mul(unit_us)?;
    Some(whole_us.div_ceil(1_000))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read() {
        for (text, expected) in [
            ("500", Some(500)),
            ("500ms", Some(500)),
            ("1500us", Some(2)),
            ("30s", Some(30_000)),
            ("5min", Some(300_000)),
            ("2 h", Some(7_200_000)),
            ("0", Some(0)),
            ("-1", None),
            ("soon", None),
            ("", None),
            ("99999999999999999999d", None),
            ("999999999999999d", None),
        ] {
            assert_eq!(milliseconds(text), expected, "{text}");
        }
    }

    #[test]
    fn values_are_checked() {
        for (name, value, expected) in [
            (TIMEOUT, "2s", Some("2000")),
            (TIMEOUT, "soon", None),
            (LEVEL, "Serializable", Some("serializable")),
            (DEFAULT_LEVEL, "none", None),
            ("client_encoding", "UTF-8", Some("UTF-8")),
            ("client_encoding", "LATIN1", None),
            (TIME_ZONE, "asia/tokyo", Some("Asia/Tokyo")),
            (TIME_ZONE, "Mars/Base", None),
            ("anything", "x", Some("x")),
        ] {
            let found = checked(name, value.to_owned(), None).ok();
            assert_eq!(found.as_deref(), expected, "{name} {value}");
        }
    }
}
