//! Settings of `warehouse.toml` and where they are put: `${name}` in the
//! project's files.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// One setting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting {
    /// Its text.
    pub value: String,
    /// The folder that a relative path in it starts from: the project's for a
    /// value of warehouse.toml, the current one for a value of `--set`.
    pub base: PathBuf,
}

/// Settings by name.
pub type Settings = BTreeMap<String, Setting>;

/// How a value is written at its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Quoting {
    /// Inside a basic TOML string.
    Toml,
    /// As it is.
    Sql,
    /// Like `Toml`, but the settings that begin a path stay as they are: where
    /// files lie does not change what their rows mean.
    TomlWithoutPaths,
}

/// A `${name}` that names nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnknownSetting {
    /// The name.
    pub name: String,
    /// Line, from 1.
    pub line: usize,
    /// Column, from 1.
    pub column: usize,
}

/// Puts the settings into `text`. A value that begins the text of a `path` key
/// becomes absolute.
///
/// # Errors
/// The first `${name}` that is no setting.
pub fn substitute(
    text: &str,
    settings: &Settings,
    quoting: Quoting,
) -> Result<String, UnknownSetting> {
    let mut result = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find("${") {
        let Some(length) = rest[start + 2..].find('}') else {
            break;
        };
        let name = &rest[start + 2..start + 2 + length];
        result.push_str(&rest[..start]);
        let Some(setting) = settings.get(name) else {
            let before = &text[..text.len() - rest.len() + start];
            let line_start = before.rfind('\n').map_or(0, |position| position + 1);
            return Err(UnknownSetting {
                name: name.to_owned(),
                line: before.matches('\n').count() + 1,
                column: before[line_start..].chars().count() + 1,
            });
        };
        let value = match quoting {
            Quoting::Toml if begins_a_path(&result) => absolute(&setting.base, &setting.value),
            Quoting::TomlWithoutPaths if begins_a_path(&result) => format!("${{{name}}}"),
            _ => setting.value.clone(),
        };
        match quoting {
            Quoting::Toml | Quoting::TomlWithoutPaths => {
                result.push_str(&value.replace('\\', "\\\\").replace('"', "\\\""))
            }
            Quoting::Sql => result.push_str(&value),
        }
        rest = &rest[start + 3 + length..];
    }
    result.push_str(rest);
    Ok(result)
}

/// `value` as a path seen from `base`.
pub fn absolute(base: &Path, value: &str) -> String {
    base.join(value).display().to_string()
}

/// True if the text ends in `path = "`.
fn begins_a_path(text: &str) -> bool {
    let line = text.rsplit('\n').next().unwrap_or_default();
    let Some(key) = line.trim_end().strip_suffix('"') else {
        return false;
    };
    let Some(key) = key.trim_end().strip_suffix('=') else {
        return false;
    };
    let key = key.trim_end();
    key.strip_suffix("path")
        .is_some_and(|before| before.is_empty() || before.ends_with([' ', '{', ',', '\t']))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(name: &str, value: &str) -> Settings {
        let setting = Setting {
            value: value.into(),
            base: PathBuf::from("/here"),
        };
        BTreeMap::from([(name.to_owned(), setting)])
    }

    #[test]
    fn a_setting_at_the_start_of_a_path_becomes_absolute() {
        let text = "kind = \"file\"\npath = \"${input}/*.csv\"\n";
        let result = substitute(text, &settings("input", "data"), Quoting::Toml).unwrap();
        assert_eq!(result, "kind = \"file\"\npath = \"/here/data/*.csv\"\n");
        let result = substitute(text, &settings("input", "/abs"), Quoting::Toml).unwrap();
        assert!(result.contains("\"/abs/*.csv\""));
    }

    #[test]
    fn other_values_are_put_as_they_are_and_quotes_are_escaped() {
        let result = substitute("a = \"${x}\"", &settings("x", "q\"\\"), Quoting::Toml).unwrap();
        assert_eq!(result, "a = \"q\\\"\\\\\"");
        let result = substitute("> ${x}", &settings("x", "10"), Quoting::Sql).unwrap();
        assert_eq!(result, "> 10");
    }

    #[test]
    fn an_unknown_setting_is_reported_with_its_place() {
        let error = substitute("a\n  ${nope}", &settings("x", "1"), Quoting::Toml).unwrap_err();
        assert_eq!((error.line, error.column), (2, 3));
        assert_eq!(error.name, "nope");
    }
}
