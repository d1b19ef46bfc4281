//! What a client says of its settings when it connects: as parameters, or among its
//! `options`, such as `-c statement_timeout=5s --search-path=public`. RESET goes back to
//! it. What is no value of a setting is as if nothing was said.

use std::collections::{BTreeMap, HashMap};

use datafusion_postgres::pgwire::api::ClientInfo;

use super::setting_values::{TIME_ZONE, checked, default_of, is_setting, key_of};
use super::time_zones;

/// What was said stands under its key with this before it too, for RESET.
const FIRST: &str = "first.";
/// The name of the parameter with further ones.
const OPTIONS: &str = "options";

/// Names, in lower case, and values; what a parameter says comes after what the options
/// say, and holds.
fn said<'a>(parameters: impl Iterator<Item = (&'a String, &'a String)>) -> Vec<(String, String)> {
    let mut said = Vec::new();
    let mut named = Vec::new();
    for (name, value) in parameters {
        match name.as_str() {
            OPTIONS => said.extend(options(value)),
            name => named.push((name.to_lowercase(), value.clone())),
        }
    }
    said.extend(named);
    said
}

/// The settings among the words of a command line: `-c name=value`, `-cname=value`,
/// `--name=value`. A backslash takes the letter behind it as it is.
fn options(text: &str) -> Vec<(String, String)> {
    let mut words = vec![String::new()];
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        let word = match letter {
            '\\' => letters.next(),
            letter if letter.is_whitespace() => {
                words.push(String::new());
                None
            }
            letter => Some(letter),
        };
        if let (Some(letter), Some(last)) = (word, words.last_mut()) {
            last.push(letter);
        }
    }
    let settings = words.iter().filter_map(|word| {
        let setting = word.trim_start_matches("--").trim_start_matches("-c");
        let (name, value) = setting.split_once('=')?;
        Some((name.to_lowercase().replace('-', "_"), value.to_owned()))
    });
    settings.collect()
}

/// The time zone that a client names when it connects. One that is not known is as
/// none.
pub(super) fn startup_time_zone<'a>(
    parameters: impl Iterator<Item = (&'a String, &'a String)>,
) -> Option<String> {
    let said = said(parameters).into_iter().rev();
    let mut zones = said.filter(|(name, _)| name == TIME_ZONE);
    zones.find_map(|(_, value)| time_zones::known(&value))
}

/// The settings that a client names when it connects, by name.
pub(super) fn startup_settings(parameters: &HashMap<String, String>) -> BTreeMap<String, String> {
    let mut settings = BTreeMap::new();
    for (name, value) in said(parameters.iter()) {
        // Others say who it is, or nothing that is known; the name of the program stands
        // where it said it, and the encoding is always the same.
        let is_known = default_of(&name).is_some()
            && !["application_name", "client_encoding"].contains(&name.as_str());
        if let Ok(value) = checked(&name, value, None)
            && is_known
        {
            settings.insert(name, value);
        }
    }
    settings
}

/// Notes what a client says of its settings when it connects.
pub(super) fn note_startup<C: ClientInfo>(client: &mut C) {
    let settings = startup_settings(client.metadata());
    let known = client.metadata_mut();
    known.retain(|key, _| !is_setting(key) && !key.starts_with(FIRST));
    for (name, value) in settings {
        let key = key_of(&name);
        known.insert(format!("{FIRST}{key}"), value.clone());
        known.insert(key, value);
    }
}

/// The settings of a client when it connected, by the names under which they are kept.
pub(super) fn first_settings<C: ClientInfo + ?Sized>(client: &C) -> BTreeMap<String, String> {
    let known = client.metadata().iter();
    let first = known.filter_map(|(key, value)| {
        let key = key.strip_prefix(FIRST)?;
        Some((key.to_owned(), value.clone()))
    });
    first.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parameters(pairs: &[(&str, &str)]) -> HashMap<String, String> {
        let pairs = pairs.iter();
        pairs
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect()
    }

    #[test]
    fn options_are_words_of_a_command_line() {
        for (text, expected) in [
            ("", vec![]),
            (
                "-c a=1 -cb=2  --statement-timeout=3s",
                vec![("a", "1"), ("b", "2"), ("statement_timeout", "3s")],
            ),
            (
                r"-c DateStyle=SQL,\ DMY -c path=a\\b",
                vec![("datestyle", "SQL, DMY"), ("path", r"a\b")],
            ),
            ("-c x", vec![]),
        ] {
            let found = options(text);
            let found: Vec<_> = found
                .iter()
                .map(|(name, value)| (name.as_str(), value.as_str()))
                .collect();
            assert_eq!(found, expected, "{text}");
        }
    }

    #[test]
    fn settings_are_those_that_are_known() {
        let said = parameters(&[
            ("user", "li"),
            ("application_name", "psql"),
            ("client_encoding", "LATIN1"),
            ("DateStyle", "German"),
            ("IntervalStyle", "soon"),
            (
                "options",
                "-c statement_timeout=5s -c datestyle=SQL -c timezone=Asia/Tokyo",
            ),
        ]);
        let expected = [("datestyle", "German, DMY"), ("statement_timeout", "5000")];
        let expected = expected.map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(startup_settings(&said), BTreeMap::from(expected));
        assert_eq!(
            startup_time_zone(said.iter()).as_deref(),
            Some("Asia/Tokyo")
        );
        let said = parameters(&[("TimeZone", "UTC"), ("options", "-c timezone=Asia/Tokyo")]);
        assert_eq!(startup_time_zone(said.iter()).as_deref(), Some("UTC"));
    }
}
