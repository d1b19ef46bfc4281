//! Masks that come and go with rules in the stream itself: behind the record
//! that brings a rule every record is masked as it says, and says so.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::action::Action;
use crate::json_masker::JsonMasker;
use crate::rules::{RecordForm, TopicRules};
use crate::scan::write_string;

/// Member of a masked record that says what was done to which columns.
pub const MASKED: &str = "masked";

/// What a rule does to a column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ColumnMask {
    /// The column; `*` for every one that is not named.
    pub column: String,
    /// What is done.
    pub action: Action,
    /// The same in words, for the record to say.
    pub words: String,
}

impl ColumnMask {
    /// The member of [`MASKED`] that says it.
    pub fn mark(&self) -> String {
        match self.column.as_str() {
            "*" => "_others".to_owned(),
            column => column.to_ascii_lowercase(),
        }
    }
}

/// What a rule does to the records of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableMask {
    /// `table` or `database.table`.
    pub table: String,
    /// Its columns.
    pub columns: Vec<ColumnMask>,
}

/// What a record says of rules.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MaskChange {
    /// A rule masks this from here on.
    Set(String, TableMask),
    /// A rule masks nothing any more.
    Unset(String),
    /// There are no rules any more.
    Clear,
}

/// Understands the records that bring rules.
pub trait MaskingRules: std::fmt::Debug + Send + Sync {
    /// What a record says; nothing, if it is about something else.
    fn changes(&self, payload: &[u8]) -> Vec<MaskChange>;
}

/// See the module.
#[derive(Debug)]
pub(crate) struct RuleMasks {
    pub(crate) topic: String,
    /// What the topic itself masks.
    own: TopicRules,
    reader: Box<dyn MaskingRules>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// In the order in which they came.
    rules: Vec<(String, TableMask)>,
    /// Rules that mask nothing, with the reason.
    refused: BTreeMap<String, String>,
    masker: Option<Arc<JsonMasker>>,
}

impl RuleMasks {
    pub(crate) fn new(
        topic: &str,
        own: Option<&TopicRules>,
        reader: Box<dyn MaskingRules>,
    ) -> Self {
        let none = TopicRules {
            form: RecordForm::Json,
            fields: Vec::new(),
            tables: BTreeMap::new(),
        };
        let mut own = own.cloned().unwrap_or(none);
        let tables = std::mem::take(&mut own.tables).into_iter();
        own.tables = tables
            .map(|(table, columns)| (table.to_ascii_lowercase(), columns))
            .collect();
        let masks = Self {
            topic: topic.to_owned(),
            own,
            reader,
            state: Mutex::default(),
        };
        masks.set(Vec::new());
        masks
    }

    /// These rules hold, in this order, and no others.
    pub(crate) fn set(&self, rules: Vec<(String, TableMask)>) {
        let mut state = self.state.lock();
        state.rules = rules;
        self.renew(&mut state);
    }

    /// Takes note of what a record says of rules.
    pub(crate) fn observe(&self, payload: &[u8]) {
        let changes = self.reader.changes(payload);
        if changes.is_empty() {
            return;
        }
        let mut state = self.state.lock();
        for change in changes {
            match change {
                MaskChange::Clear => state.rules.clear(),
                MaskChange::Unset(name) => state.rules.retain(|(known, _)| *known != name),
                MaskChange::Set(name, mask) => {
                    let known = state.rules.iter_mut().find(|(known, _)| *known == name);
                    match known {
                        Some(known) => known.1 = mask,
                        None => state.rules.push((name, mask)),
                    }
                }
            }
        }
        self.renew(&mut state);
    }

    /// What masks the next record, if anything does.
    pub(crate) fn masker(&self) -> Option<Arc<JsonMasker>> {
        self.state.lock().masker.clone()
    }

    /// The rules whose masks are not in force, with the reason.
    pub(crate) fn refused(&self) -> BTreeMap<String, String> {
        self.state.lock().refused.clone()
    }

    fn renew(&self, state: &mut State) {
        let mut taken: Vec<(&str, String, &TableMask)> = Vec::new();
        let mut refused = BTreeMap::new();
        for (name, mask) in &state.rules {
            let table = mask.table.to_ascii_lowercase();
            match self.refusal(&table, mask, &taken) {
                Some(reason) => {
                    refused.insert(name.clone(), reason);
                }
                None => taken.push((name, table, mask)),
            }
        }
        let mut rules = self.own.clone();
        let mut marks = BTreeMap::new();
        let own_tables = self.own.tables.keys().filter(|table| *table != "*");
        let of_rules = taken.iter().map(|(_, table, _)| table);
        for table in own_tables.chain(of_rules) {
            let mut columns = self.own_columns(table).to_vec();
            let mut said: BTreeMap<String, &str> = BTreeMap::new();
            let here = |(_, of, _): &&(&str, String, &TableMask)| of == table || of == plain(table);
            for (_, _, mask) in taken.iter().filter(here) {
                for column in &mask.columns {
                    if said.insert(column.mark(), &column.words).is_none() {
                        columns.push((column.column.clone(), column.action.clone()));
                    }
                }
            }
            rules.tables.insert(table.clone(), columns);
            if !said.is_empty() {
                marks.insert(table.clone(), member(&said));
            }
        }
        let masker = (!rules.is_empty()).then(|| JsonMasker::new(&rules).with_marks(marks));
        state.refused = refused;
        state.masker = masker.map(Arc::new);
    }

    /// What the topic itself does to the columns of a table.
    fn own_columns(&self, table: &str) -> &[(String, Action)] {
        let tables = &self.own.tables;
        let found = tables.get(table).or_else(|| tables.get(plain(table)));
        found.or_else(|| tables.get("*")).map_or(&[], Vec::as_slice)
    }

    /// Why a rule masks nothing, beside those that came before it.
    fn refusal(
        &self,
        table: &str,
        mask: &TableMask,
        before: &[(&str, String, &TableMask)],
    ) -> Option<String> {
        let of_others = self.own.tables.keys().filter(|own| overlap(own, table));
        let own = of_others
            .flat_map(|own| self.own_columns(own))
            .chain(self.own_columns(table));
        for (column, _) in own {
            let is_here = |it: &&ColumnMask| {
                column == "*" || it.column == "*" || it.column.eq_ignore_ascii_case(column)
            };
            if let Some(here) = mask.columns.iter().find(is_here) {
                return Some(format!(
                    "masking: what becomes of `{}` of `{table}` is said by the `mask` of the topic; leave it out of the rule",
                    here.column
                ));
            }
        }
        for (other, of, others) in before {
            if !overlap(of, table) {
                continue;
            }
            let marks = |mask: &TableMask| -> BTreeMap<String, String> {
                let columns = mask.columns.iter();
                columns.map(|it| (it.mark(), it.words.clone())).collect()
            };
            let (mine, theirs) = (marks(mask), marks(others));
            let has_others = mask
                .columns
                .iter()
                .chain(&others.columns)
                .any(|it| it.column == "*");
            if has_others && mine != theirs {
                return Some(format!(
                    "masking: the rule `{other}` masks `{table}` too, and one of both says `*`: let them say the same"
                ));
            }
            let otherwise = mine
                .iter()
                .find(|(column, words)| theirs.get(*column).is_some_and(|known| known != *words));
            if let Some((column, _)) = otherwise {
                return Some(format!(
                    "masking: the rule `{other}` masks `{column}` of `{table}` otherwise: let them say the same"
                ));
            }
        }
        None
    }
}

/// The member that says what was done to which columns, behind a comma.
fn member(said: &BTreeMap<String, &str>) -> Vec<u8> {
    let mut member = b",".to_vec();
    write_string(MASKED, &mut member);
    member.push(b':');
    for (place, (column, words)) in said.iter().enumerate() {
        member.push(if place == 0 { b'{' } else { b',' });
        write_string(column, &mut member);
        member.push(b':');
        write_string(words, &mut member);
    }
    member.push(b'}');
    member
}

/// A table without its database.
fn plain(table: &str) -> &str {
    table.rsplit_once('.').map_or(table, |(_, table)| table)
}

/// Whether a record can be of both.
fn overlap(one: &str, other: &str) -> bool {
    one == other || plain(one) == other || one == plain(other)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Rules come in other ways here.
    #[derive(Debug)]
    struct NoReader;

    impl MaskingRules for NoReader {
        fn changes(&self, _: &[u8]) -> Vec<MaskChange> {
            Vec::new()
        }
    }

    fn rule(name: &str, table: &str, columns: &[(&str, Action, &str)]) -> (String, TableMask) {
        let columns = columns.iter().map(|(column, action, words)| ColumnMask {
            column: (*column).to_owned(),
            action: action.clone(),
            words: (*words).to_owned(),
        });
        let mask = TableMask {
            table: table.to_owned(),
            columns: columns.collect(),
        };
        (name.to_owned(), mask)
    }

    #[test]
    fn what_comes_first_holds_and_what_contradicts_it_is_refused() {
        let own = TopicRules {
            form: RecordForm::Json,
            fields: Vec::new(),
            tables: BTreeMap::from([
                (
                    "Users".to_owned(),
                    vec![("passwd".to_owned(), Action::Drop)],
                ),
                ("cards".to_owned(), vec![("*".to_owned(), Action::Drop)]),
            ]),
        };
        let masks = RuleMasks::new("shop", Some(&own), Box::new(NoReader));
        let (hash, drop) = ((Action::Hash, "hash"), (Action::Drop, "drop"));
        masks.set(vec![
            rule("first", "shop.users", &[("phone", hash.0.clone(), hash.1)]),
            rule("same", "users", &[("Phone", hash.0.clone(), hash.1)]),
            rule("other", "users", &[("phone", drop.0.clone(), drop.1)]),
            rule("own", "users", &[("PASSWD", hash.0.clone(), hash.1)]),
            rule("all", "users", &[("*", drop.0.clone(), drop.1)]),
            rule("card", "cards", &[("number", Action::Keep, "keep")]),
            rule("beside", "goods", &[("*", drop.0.clone(), drop.1)]),
        ]);
        let refused = masks.refused();
        let names: Vec<&str> = refused.keys().map(String::as_str).collect();
        assert_eq!(names, ["all", "card", "other", "own"]);
        assert!(refused["other"].contains("the rule `first` masks `phone`"));
        assert!(refused["own"].contains("`mask` of the topic"));
        assert!(masks.masker().is_some());
        // Without the first the other one holds.
        masks.set(vec![rule("other", "users", &[("phone", drop.0, drop.1)])]);
        assert!(masks.refused().is_empty());
    }

    #[test]
    fn without_rules_nothing_is_looked_at() {
        let masks = RuleMasks::new("shop", None, Box::new(NoReader));
        assert!(masks.masker().is_none());
    }
}
