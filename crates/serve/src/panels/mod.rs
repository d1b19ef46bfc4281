//! Panels: questions with a name, a chart and typed parameters, defined in files
//! `panels/*.toml` of a project. The page, the data API and Sugar BI all answer
//! from them.

mod answer;
mod check;
mod definition;
mod detail_rows;
#[cfg(test)]
pub(crate) mod one_panel;
mod parameter;
mod saved;
mod sugar;
mod text;
mod values;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub(crate) use answer::{PanelAnswer, Part};
pub use check::Panels;
pub(crate) use check::{CheckedColumn, CheckedPanel};
pub use definition::{Chart, Column, Detail, Format, Panel, Role};
pub(crate) use parameter::text_of_value;
pub use parameter::{Parameter, ParameterType};
pub use saved::{KeepPanels, SAVED_MARK};
pub(crate) use saved::{SavedPanel, check_name};
pub(crate) use sugar::sugar_data;
pub use text::{PanelDefinitions, PanelFile};
pub(crate) use values::PanelValues;

/// The same words in the languages of the page.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Words {
    /// English.
    pub en: String,
    /// Chinese.
    pub zh: String,
}

impl Words {
    /// The words in a language; English where it is not known.
    pub fn of(&self, language: &str) -> &str {
        match language.starts_with("zh") {
            true => &self.zh,
            false => &self.en,
        }
    }

    /// The same text in every language.
    pub(crate) fn plain(text: &str) -> Self {
        Self {
            en: text.to_owned(),
            zh: text.to_owned(),
        }
    }
}

/// Something is wrong with a panel.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{file}:{line}:{column}: {message}{}", help_line(.help))]
pub struct PanelError {
    /// The file.
    pub file: String,
    /// Line, from 1.
    pub line: usize,
    /// Column, from 1.
    pub column: usize,
    /// What is wrong.
    pub message: String,
    /// What to do; may be empty.
    pub help: String,
}

fn help_line(help: &str) -> String {
    match help.is_empty() {
        true => String::new(),
        false => format!("\n  help: {help}"),
    }
}

impl PanelError {
    fn at(file: &str, text: &str, offset: usize, message: String, help: &str) -> Self {
        let before = text.get(..offset).unwrap_or(text);
        let line_start = before.rfind('\n').map_or(0, |position| position + 1);
        Self {
            file: file.to_owned(),
            line: before.matches('\n').count() + 1,
            column: before[line_start..].chars().count() + 1,
            message,
            help: help.to_owned(),
        }
    }
}

/// Panels by name.
type ByName<T> = BTreeMap<String, T>;
