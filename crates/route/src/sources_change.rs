//! From one set of definitions to another: which tables have other rows.

use std::collections::{BTreeMap, BTreeSet};

use crate::Sources;
use crate::definition::Table;
use crate::source_text::TableHistory;

/// See the module.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SourcesChange {
    /// Tables that were not there.
    pub new: BTreeSet<String>,
    /// Tables whose rules have changed.
    pub changed: BTreeSet<String>,
    /// Tables that are there no more, with their topics.
    pub gone: BTreeMap<String, String>,
    /// Those of `new` and `changed` whose rows begin with the change: `history =
    /// "none"`, which they did not have before.
    pub beginning: BTreeSet<String>,
    /// Topics that keep their tables, but make something else of records
    /// without a table.
    pub other_unplaced: BTreeSet<String>,
}

impl SourcesChange {
    /// The change from `old` to `new`.
    pub fn new(old: &Sources, new: &Sources) -> Self {
        let by_name = |sources: &'_ Sources| -> BTreeMap<String, (u64, TableHistory, String)> {
            let tables = sources.tables.iter();
            let entry = |table: &Table| {
                let name = table.definition.name.clone();
                (name, (table.print, table.history, table.topic.clone()))
            };
            tables.map(entry).collect()
        };
        let (old_tables, new_tables) = (by_name(old), by_name(new));
        let mut change = Self::default();
        for (name, (print, history, _)) in &new_tables {
            let before = old_tables.get(name);
            match before {
                Some((known, _, _)) if known == print => continue,
                Some(_) => change.changed.insert(name.clone()),
                None => change.new.insert(name.clone()),
            };
            let began_before = before.is_some_and(|(_, before, _)| *before == TableHistory::None);
            if *history == TableHistory::None && !began_before {
                change.beginning.insert(name.clone());
            }
        }
        for (name, (_, _, topic)) in old_tables {
            if !new_tables.contains_key(&name) {
                change.gone.insert(name, topic);
            }
        }
        let dropped = old
            .unplaced_dropped
            .symmetric_difference(&new.unplaced_dropped);
        change.other_unplaced = dropped.cloned().collect();
        change
    }

    /// New and changed tables.
    pub fn computed(&self) -> BTreeSet<String> {
        self.new.union(&self.changed).cloned().collect()
    }

    /// Whether no table has other rows.
    pub fn is_empty(&self) -> bool {
        self.new.is_empty()
            && self.changed.is_empty()
            && self.gone.is_empty()
            && self.other_unplaced.is_empty()
    }
}
