//! The rules of one topic.

use std::collections::BTreeMap;

use crate::action::Action;

/// What a topic's records are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RecordForm {
    /// One JSON object each.
    Json,
    /// Lines of CSV, behind a header.
    Csv {
        /// The separator.
        delimiter: u8,
    },
}

/// What is done to the records of a topic before they are written anywhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicRules {
    /// What its records are.
    pub form: RecordForm,
    /// By JSON pointer, in which `*` is every member or element, or by CSV
    /// column.
    pub fields: Vec<(String, Action)>,
    /// Of change messages: by table (`table` or `database.table`; `*` for every
    /// other one), then by column (`*` for every other one).
    pub tables: BTreeMap<String, Vec<(String, Action)>>,
}

impl TopicRules {
    /// True if nothing is to be done.
    pub fn is_empty(&self) -> bool {
        self.fields.is_empty() && self.tables.is_empty()
    }
}
