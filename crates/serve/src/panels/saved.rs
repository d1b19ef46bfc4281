//! Panels that are made on the page: their files, and who keeps them.

use std::collections::BTreeMap;
use std::fmt::Debug;

use serde::Deserialize;
use toml::{Table, Value};

use super::text::is_name;
use super::{Chart, Format, Role, Words};

/// The first line of such a file, by which it may be replaced and removed on the
/// page again.
pub const SAVED_MARK: &str = "# Saved on the page, which may replace and remove it.";

/// Letters of a name, and of a subject.
const NAME_LENGTH_MAX: usize = 64;
/// Bytes of a title.
const TITLE_BYTES_MAX: usize = 300;
const COLUMNS_MAX: usize = 100;

/// Keeps panels that are made on the page, and tells the running warehouse of
/// them.
pub trait KeepPanels: Debug + Send + Sync {
    /// Keeps the file of a panel. Waits for the disk.
    ///
    /// # Errors
    /// When a file of the name is there that was not made so, there are too many,
    /// or the disk refuses.
    fn keep(&self, name: &str, text: &str) -> Result<(), String>;

    /// Removes the file of a panel that was made so.
    ///
    /// # Errors
    /// When there is no such file, or the disk refuses.
    fn remove(&self, name: &str) -> Result<(), String>;
}

/// What the page says of a column.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct SavedColumn {
    role: Option<Role>,
    format: Option<Format>,
    title: Option<Words>,
}

/// The rows behind a panel as the page sends them.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SavedDetail {
    query: String,
    #[serde(default)]
    limit: Option<u32>,
}

/// A panel as the page sends it.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SavedPanel {
    pub(crate) name: String,
    title: Words,
    subject: String,
    chart: Chart,
    query: String,
    #[serde(default)]
    columns: BTreeMap<String, SavedColumn>,
    #[serde(default)]
    detail: Option<SavedDetail>,
    /// Take the place of the panel of this name, if it was made on the page.
    #[serde(default)]
    pub(crate) replace: bool,
}

fn name_of<T: serde::Serialize>(value: &T) -> Option<Value> {
    Value::try_from(value).ok()
}

impl SavedPanel {
    /// Its statements, for the audit log.
    pub(crate) fn statements(&self) -> String {
        match &self.detail {
            Some(detail) => format!("{};\n{}", self.query, detail.query),
            None => self.query.clone(),
        }
    }

    /// The text of its file.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(crate) fn file(&self) -> Result<String, String> {
        check_name(&self.name)?;
        if !is_name(&self.subject) || self.subject.len() > NAME_LENGTH_MAX {
            return Err("the subject is one word of letters, digits and _".to_owned());
        }
        let titles = self.columns.values().filter_map(|it| it.title.as_ref());
        for title in titles.chain([&self.title]) {
            let is_right = |text: &str| !text.trim().is_empty() && text.len() <= TITLE_BYTES_MAX;
            if !is_right(&title.en) || !is_right(&title.zh) {
                return Err(format!(
                    "a title has words in both languages, of {TITLE_BYTES_MAX} bytes at most"
                ));
            }
        }
        if self.columns.len() > COLUMNS_MAX {
            return Err(format!("at most {COLUMNS_MAX} columns can be named"));
        }
        let mut table = Table::new();
        let mut set = |key: &str, value: Option<Value>| {
            if let Some(value) = value {
                table.insert(key.to_owned(), value);
            }
        };
        set("title", name_of(&self.title));
        set("subject", Some(Value::String(self.subject.clone())));
        set("chart", name_of(&self.chart));
        set("query", Some(Value::String(self.query.clone())));
        if !self.columns.is_empty() {
            let columns = self.columns.iter().map(|(name, said)| {
                let mut column = Table::new();
                column.extend(
                    said.role
                        .as_ref()
                        .and_then(|role| Some(("role".to_owned(), name_of(role)?))),
                );
                column.extend(
                    said.format
                        .as_ref()
                        .and_then(|it| Some(("format".to_owned(), name_of(it)?))),
                );
                column.extend(
                    said.title
                        .as_ref()
                        .and_then(|it| Some(("title".to_owned(), name_of(it)?))),
                );
                (name.clone(), Value::Table(column))
            });
            set("columns", Some(Value::Table(columns.collect())));
        }
        if let Some(said) = &self.detail {
            let query = ("query".to_owned(), Value::String(said.query.clone()));
            let mut detail = Table::from_iter([query]);
            let limit = said.limit.map(|limit| Value::Integer(limit.into()));
            detail.extend(limit.map(|limit| ("limit".to_owned(), limit)));
            set("detail", Some(Value::Table(detail)));
        }
        let text = toml::to_string_pretty(&table);
        let text = text.map_err(|error| format!("the panel has no form of a file: {error}"))?;
        // Settings are put into the whole of a file.
        if text.contains("${") {
            return Err("`${` is for settings, which only files of the project name".to_owned());
        }
        Ok(format!("{SAVED_MARK}\n{text}"))
    }
}

/// Whether a name is one that a panel made on the page can have. It is a part of
/// a path.
///
/// # Errors
/// Why it is not.
pub(crate) fn check_name(name: &str) -> Result<(), String> {
    let is_right = is_name(name)
        && name.len() <= NAME_LENGTH_MAX
        && name.as_bytes().first().is_some_and(u8::is_ascii_lowercase)
        && !name.bytes().any(|byte| byte.is_ascii_uppercase());
    match is_right {
        true => Ok(()),
        false => Err(format!(
            "the name of a panel has small letters, digits and _, begins with a letter, and has {NAME_LENGTH_MAX} at most"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::panels::{PanelDefinitions, PanelFile};

    fn panel(change: impl FnOnce(&mut SavedPanel)) -> Result<String, String> {
        let title = Words {
            en: "A \"title\"".to_owned(),
            zh: "标题".to_owned(),
        };
        let role = SavedColumn {
            role: Some(Role::Value),
            format: Some(Format::Money),
            title: Some(title.clone()),
        };
        let mut panel = SavedPanel {
            name: "by_day".to_owned(),
            title,
            subject: "own".to_owned(),
            chart: Chart::WordCloud,
            query: "SELECT 'it''s \\ \"\"\" ]]' AS \"a.b\",\n 1 AS n".to_owned(),
            columns: BTreeMap::from([("a.b\n".to_owned(), role)]),
            detail: Some(SavedDetail {
                query: "SELECT $n AS n, '\"\"\"' AS text\n".to_owned(),
                limit: Some(20),
            }),
            replace: false,
        };
        change(&mut panel);
        panel.file()
    }

    #[test]
    fn its_file_is_read_back_as_it_was_sent() {
        let text = panel(|_| {}).unwrap();
        assert!(text.starts_with(SAVED_MARK));
        let file = PanelFile {
            path: "panels/by_day.toml".to_owned(),
            text,
        };
        let read = PanelDefinitions::parse(&[file], None).unwrap();
        let read = &read.panels["by_day"];
        assert_eq!(
            read.query,
            "SELECT 'it''s \\ \"\"\" ]]' AS \"a.b\",\n 1 AS n"
        );
        assert_eq!(read.title.en, "A \"title\"");
        assert_eq!(read.chart, Chart::WordCloud);
        assert_eq!(read.columns["a.b\n"].format, Some(Format::Money));
        let detail = read.detail.as_ref().unwrap();
        assert_eq!(detail.query, "SELECT $n AS n, '\"\"\"' AS text\n");
        assert_eq!(detail.limit, 20);
    }

    #[test]
    fn names_that_lead_elsewhere_are_refused() {
        let long = "a".repeat(NAME_LENGTH_MAX + 1);
        for name in [
            "", "../a", "a/b", "a.b", "a\\b", "A", "_a", "1a", "a\0", "ä", &long,
        ] {
            let refused = panel(|panel| panel.name = name.to_owned());
            assert!(refused.is_err(), "{name}");
        }
        assert!(panel(|panel| panel.subject = "two words".to_owned()).is_err());
        assert!(panel(|panel| panel.query = "SELECT ${x}".to_owned()).is_err());
        assert!(panel(|panel| panel.title.zh = " ".to_owned()).is_err());
        assert!(panel(|panel| panel.title.zh = "${x}".to_owned()).is_err());
        let of_setting = SavedDetail {
            query: "SELECT ${x}".to_owned(),
            limit: None,
        };
        assert!(panel(|panel| panel.detail = Some(of_setting)).is_err());
        let column = ("${x}".to_owned(), SavedColumn::default());
        assert!(panel(|panel| panel.columns.extend([column])).is_err());
    }
}
