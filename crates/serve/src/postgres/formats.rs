//! Settings that say how values are written as text, as the library reads them.

/// Their names. They are kept under them.
pub(super) const FORMATS: [&str; 4] = [
    "bytea_output",
    "datestyle",
    "extra_float_digits",
    "intervalstyle",
];
const BYTEA_OUTPUTS: [&str; 2] = ["hex", "escape"];
const INTERVAL_STYLES: [&str; 4] = ["postgres", "postgres_verbose", "sql_standard", "iso_8601"];
/// The style of dates, and the order of day, month and year in some of them.
const DATE_STYLE: (&str, &str) = ("ISO", "YMD");

/// The value of a setting; `None` where it has no such one. `now` is the one that it
/// has.
pub(super) fn format_value(name: &str, value: &str, now: Option<&str>) -> Option<String> {
    let one_of = |known: &[&str]| {
        let value = value.trim().to_lowercase();
        known.contains(&value.as_str()).then_some(value)
    };
    match name {
        "bytea_output" => one_of(&BYTEA_OUTPUTS),
        "intervalstyle" => one_of(&INTERVAL_STYLES),
        "extra_float_digits" => {
            let digits: i8 = value.trim().parse().ok()?;
            (-15..=3).contains(&digits).then(|| digits.to_string())
        }
        "datestyle" => date_style(value, now),
        _ => Some(value.to_owned()),
    }
}

/// What is not said stays, but Germans write the day first.
fn date_style(value: &str, now: Option<&str>) -> Option<String> {
    let now = now.and_then(|now| now.split_once(", "));
    let (mut style, mut order) = now.unwrap_or(DATE_STYLE);
    let mut has_order = false;
    let words = value.split([',', ' ']).filter(|word| !word.is_empty());
    for word in words {
        match word.to_lowercase().as_str() {
            "iso" => style = "ISO",
            "sql" => style = "SQL",
            "postgres" | "postgresql" => style = "Postgres",
            "german" => {
                style = "German";
                order = if has_order { order } else { "DMY" };
            }
            "ymd" => (order, has_order) = ("YMD", true),
            "dmy" | "euro" | "european" => (order, has_order) = ("DMY", true),
            "mdy" | "us" | "noneuro" | "noneuropean" => (order, has_order) = ("MDY", true),
            _ => return None,
        }
    }
    Some(format!("{style}, {order}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_those_of_postgresql() {
        for (name, value, now, expected) in [
            ("datestyle", "ISO", None, Some("ISO, YMD")),
            ("datestyle", "iso,mdy", None, Some("ISO, MDY")),
            ("datestyle", "SQL, DMY", None, Some("SQL, DMY")),
            ("datestyle", "German", None, Some("German, DMY")),
            ("datestyle", "dmy", Some("SQL, MDY"), Some("SQL, DMY")),
            (
                "datestyle",
                "postgres",
                Some("SQL, MDY"),
                Some("Postgres, MDY"),
            ),
            ("datestyle", "soon", None, None),
            ("intervalstyle", "ISO_8601", None, Some("iso_8601")),
            ("intervalstyle", "long", None, None),
            ("bytea_output", "escape", None, Some("escape")),
            ("bytea_output", "base64", None, None),
            ("extra_float_digits", "-15", None, Some("-15")),
            ("extra_float_digits", "4", None, None),
            ("extra_float_digits", "many", None, None),
            ("application_name", "Any, 1", None, Some("Any, 1")),
        ] {
            let found = format_value(name, value, now);
            assert_eq!(found.as_deref(), expected, "{name} {value}");
        }
    }
}
