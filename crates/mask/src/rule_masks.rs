//! Masks that come and go with rules in the stream itself: behind the record that
//! brings a rule every record of its table is masked as it says, and says so.
//!
//! The masks of the rules in force hold, and beside them those of every rule that
//! came since and was not decided yet. Where two of them do different things to the
//! same column its value is dropped: nobody knows which of them will be in force.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use parking_lot::Mutex;

use crate::action::Action;
use crate::json_masker::{JsonMasker, ROWS};
use crate::rules::{RecordForm, TopicRules};
use crate::scan::write_string;

/// Member of a masked record that says what was done to which columns.
pub const MASKED: &str = "sluice_masked";
/// What it says of a column that was dropped.
pub const DROPPED: &str = "drop";

/// What a rule does to a column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ColumnMask {
    /// The column.
    pub column: String,
    /// What is done.
    pub action: Action,
    /// The same in words, for the record to say.
    pub words: String,
}

/// What a rule does to the records of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableMask {
    /// `table` or `database.table`.
    pub table: String,
    /// Its columns.
    pub columns: Vec<ColumnMask>,
}

impl TableMask {
    /// A column that the topic's own rules speak of, too: those stand.
    pub fn column_of(&self, own: &TopicRules) -> Option<&str> {
        let (own, table) = (in_small_letters(own), lower(&self.table));
        let others = own.tables.keys().filter(|other| overlap(other, &table));
        let tables: Vec<&String> = others.chain([&table]).collect();
        let mut columns = self.columns.iter().map(|mask| mask.column.as_str());
        columns.find(|column| tables.iter().any(|table| is_own(&own, table, column)))
    }

    /// A column to which another rule does something else.
    pub fn otherwise_in(&self, other: &Self) -> Option<&str> {
        if !overlap(&lower(&self.table), &lower(&other.table)) {
            return None;
        }
        let otherwise = |mask: &&ColumnMask| {
            let mut others = other.columns.iter();
            others.any(|it| it.column.eq_ignore_ascii_case(&mask.column) && it.words != mask.words)
        };
        let found = self.columns.iter().find(otherwise);
        found.map(|mask| mask.column.as_str())
    }
}

/// Understands the records that bring rules.
pub trait ReadRules: std::fmt::Debug + Send + Sync {
    /// What the rule masks that a record brings; `None` if it brings none, or one
    /// that masks nothing.
    fn read(&self, payload: &[u8]) -> Option<TableMask>;
}

/// See the module.
#[derive(Debug)]
pub(crate) struct RuleMasks {
    pub(crate) topic: String,
    /// What the topic itself masks.
    own: TopicRules,
    reader: Box<dyn ReadRules>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    in_force: Vec<TableMask>,
    /// Masks that are not decided, with the offsets of their records;
    /// [`NOT_APPENDED`] while these are on their way into the log.
    undecided: Vec<(u64, TableMask)>,
    /// All that holds now.
    rules: Arc<TopicRules>,
    masker: Option<Arc<JsonMasker>>,
}

const NOT_APPENDED: u64 = u64::MAX;

impl RuleMasks {
    pub(crate) fn new(topic: &str, own: Option<&TopicRules>, reader: Box<dyn ReadRules>) -> Self {
        let own = own.map_or_else(
            || TopicRules {
                form: RecordForm::Json,
                fields: Vec::new(),
                tables: BTreeMap::new(),
            },
            in_small_letters,
        );
        let state = State {
            in_force: Vec::new(),
            undecided: Vec::new(),
            rules: Arc::new(own.clone()),
            masker: None,
        };
        let masks = Self {
            topic: topic.to_owned(),
            own,
            reader,
            state: Mutex::new(state),
        };
        masks.set(Vec::new(), 0);
        masks
    }

    /// These masks are in force; rules of records before `decided` are, or were
    /// refused.
    pub(crate) fn set(&self, in_force: Vec<TableMask>, decided: u64) {
        let mut state = self.state.lock();
        state.in_force = in_force;
        state.undecided.retain(|(offset, _)| *offset >= decided);
        self.renew(&mut state);
    }

    /// Takes note of the rule that a record brings, which is in the log at `offset`;
    /// true if it masks something.
    pub(crate) fn read(&self, offset: Option<u64>, payload: &[u8]) -> bool {
        let Some(mask) = self.reader.read(payload) else {
            return false;
        };
        let mut state = self.state.lock();
        state.undecided.push((offset.unwrap_or(NOT_APPENDED), mask));
        self.renew(&mut state);
        true
    }

    /// Records that were read are in the log, the last of them at `offset`.
    pub(crate) fn appended(&self, offset: u64) {
        let mut state = self.state.lock();
        for (known, _) in &mut state.undecided {
            if *known == NOT_APPENDED {
                *known = offset;
            }
        }
    }

    /// What masks the next record, if anything does.
    pub(crate) fn masker(&self) -> Option<Arc<JsonMasker>> {
        self.state.lock().masker.clone()
    }

    /// All that holds now.
    pub(crate) fn rules(&self) -> Arc<TopicRules> {
        self.state.lock().rules.clone()
    }

    fn renew(&self, state: &mut State) {
        let undecided = state.undecided.iter().map(|(_, mask)| mask);
        let masks: Vec<&TableMask> = state.in_force.iter().chain(undecided).collect();
        let mut tables: BTreeSet<String> = self.own.tables.keys().cloned().collect();
        tables.remove("*");
        tables.extend(masks.iter().map(|mask| lower(&mask.table)));
        let mut rules = self.own.clone();
        let mut marks = BTreeMap::new();
        for table in tables {
            let mut said: BTreeMap<String, (Action, &str)> = BTreeMap::new();
            let here = |mask: &&&TableMask| {
                let of = lower(&mask.table);
                of == table || of == plain(&table)
            };
            for mask in masks.iter().filter(here).flat_map(|mask| &mask.columns) {
                if is_own(&self.own, &table, &mask.column) {
                    continue;
                }
                let of_column = said.entry(lower(&mask.column));
                let known = of_column.or_insert((mask.action.clone(), mask.words.as_str()));
                if known.1 != mask.words {
                    *known = (Action::Drop, DROPPED);
                }
            }
            let mut columns = own_columns(&self.own, &table).to_vec();
            let of_rules = said.iter();
            let of_rules = of_rules.map(|(column, (action, _))| (column.clone(), action.clone()));
            columns.extend(of_rules);
            rules.tables.insert(table.clone(), columns);
            if !said.is_empty() {
                marks.insert(table, member(&said));
            }
        }
        let masker = (!rules.is_empty()).then(|| JsonMasker::new(&rules).with_marks(marks));
        state.masker = masker.map(Arc::new);
        state.rules = Arc::new(rules);
    }
}

/// The member that says what was done to which columns, behind a comma.
fn member(said: &BTreeMap<String, (Action, &str)>) -> Vec<u8> {
    let mut member = b",".to_vec();
    write_string(MASKED, &mut member);
    member.push(b':');
    for (place, (column, (_, words))) in said.iter().enumerate() {
        member.push(if place == 0 { b'{' } else { b',' });
        write_string(column, &mut member);
        member.push(b':');
        write_string(words, &mut member);
    }
    member.push(b'}');
    member
}

/// What a topic's own rules do to the columns of a table. All names of tables are in
/// small letters.
fn own_columns<'a>(own: &'a TopicRules, table: &str) -> &'a [(String, Action)] {
    let tables = &own.tables;
    let found = tables.get(table).or_else(|| tables.get(plain(table)));
    found.or_else(|| tables.get("*")).map_or(&[], Vec::as_slice)
}

/// Whether a topic's own rules speak of a column, or of a place in it or around it.
fn is_own(own: &TopicRules, table: &str, column: &str) -> bool {
    let mut columns = own_columns(own, table).iter();
    let agree = |path: &str, row: &str| {
        let place = row.split('/').chain([column]);
        let mut parts = path.split('/').zip(place);
        parts.all(|(wanted, part)| {
            let wanted = wanted.replace("~1", "/").replace("~0", "~");
            wanted == "*" || wanted.eq_ignore_ascii_case(part)
        })
    };
    columns.any(|(name, _)| name == "*" || name.eq_ignore_ascii_case(column))
        || (own.fields.iter()).any(|(path, _)| ROWS.iter().any(|row| agree(path, row)))
}

fn in_small_letters(rules: &TopicRules) -> TopicRules {
    let tables = rules.tables.iter();
    TopicRules {
        tables: tables
            .map(|(table, columns)| (lower(table), columns.clone()))
            .collect(),
        ..rules.clone()
    }
}

fn lower(name: &str) -> String {
    name.to_ascii_lowercase()
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

    /// A record is `table column word`.
    #[derive(Debug)]
    struct Words;

    impl ReadRules for Words {
        fn read(&self, payload: &[u8]) -> Option<TableMask> {
            let text = std::str::from_utf8(payload).unwrap();
            let words: Vec<&str> = text.split(' ').collect();
            Some(mask(words[0], words[1], words[2]))
        }
    }

    fn mask(table: &str, column: &str, words: &str) -> TableMask {
        let action = match words {
            "hash" => Action::Hash,
            "drop" => Action::Drop,
            _ => Action::Truncate(1),
        };
        TableMask {
            table: table.to_owned(),
            columns: vec![ColumnMask {
                column: column.to_owned(),
                action,
                words: words.to_owned(),
            }],
        }
    }

    fn masks(own: Option<&TopicRules>) -> RuleMasks {
        RuleMasks::new("shop", own, Box::new(Words))
    }

    fn said(masks: &RuleMasks, table: &str) -> Vec<(String, Action)> {
        masks.rules().tables.get(table).cloned().unwrap_or_default()
    }

    fn is(column: &str, action: Action) -> Vec<(String, Action)> {
        vec![(column.to_owned(), action)]
    }

    #[test]
    fn without_rules_nothing_is_masked() {
        assert!(masks(None).masker().is_none());
    }

    #[test]
    fn what_is_not_decided_holds_beside_what_is_in_force() {
        let masks = masks(None);
        masks.set(vec![mask("users", "phone", "hash")], 0);
        assert_eq!(said(&masks, "users"), is("phone", Action::Hash));
        // Another one comes for the same column: which will hold, nobody knows.
        masks.read(None, b"Users Phone first");
        assert_eq!(said(&masks, "users"), is("phone", Action::Drop));
        masks.appended(7);
        // What was decided came before it.
        masks.set(vec![mask("users", "phone", "hash")], 7);
        assert_eq!(said(&masks, "users"), is("phone", Action::Drop));
        // It was refused: the old one holds.
        masks.set(vec![mask("users", "phone", "hash")], 8);
        assert_eq!(said(&masks, "users"), is("phone", Action::Hash));
        // It comes into force, and the old one goes.
        masks.read(Some(9), b"users phone first");
        masks.set(vec![mask("users", "phone", "first")], 10);
        assert_eq!(said(&masks, "users"), is("phone", Action::Truncate(1)));
        masks.set(Vec::new(), 10);
        assert!(masks.masker().is_none());
    }

    #[test]
    fn a_rule_for_any_database_holds_in_each() {
        let masks = masks(None);
        masks.set(
            vec![
                mask("shop.users", "name", "drop"),
                mask("users", "phone", "hash"),
            ],
            0,
        );
        let both = [is("name", Action::Drop), is("phone", Action::Hash)].concat();
        assert_eq!(said(&masks, "shop.users"), both);
        assert_eq!(said(&masks, "users"), is("phone", Action::Hash));
    }

    #[test]
    fn what_the_topic_says_itself_stands() {
        let own = TopicRules {
            form: RecordForm::Json,
            fields: vec![("/data/address/street".to_owned(), Action::Drop)],
            tables: BTreeMap::from([("Users".to_owned(), is("passwd", Action::Drop))]),
        };
        let masks = masks(Some(&own));
        let (passwd, address) = (
            mask("shop.users", "PASSWD", "first"),
            mask("goods", "address", "hash"),
        );
        assert_eq!(passwd.column_of(&own), Some("PASSWD"));
        assert_eq!(address.column_of(&own), Some("address"));
        assert_eq!(mask("goods", "passwd", "hash").column_of(&own), None);
        masks.set(vec![passwd, address], 0);
        assert_eq!(said(&masks, "users"), is("passwd", Action::Drop));
        assert_eq!(said(&masks, "shop.users"), is("passwd", Action::Drop));
        assert!(said(&masks, "goods").is_empty());
    }

    #[test]
    fn rules_that_differ_are_found() {
        let here = mask("shop.users", "phone", "hash");
        assert_eq!(
            here.otherwise_in(&mask("users", "Phone", "drop")),
            Some("phone")
        );
        assert_eq!(here.otherwise_in(&mask("users", "phone", "hash")), None);
        assert_eq!(here.otherwise_in(&mask("web.users", "phone", "drop")), None);
        assert_eq!(here.otherwise_in(&mask("users", "name", "drop")), None);
    }
}
