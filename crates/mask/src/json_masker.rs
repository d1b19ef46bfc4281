//! Masks the JSON records of one topic.

use std::borrow::Cow;
use std::collections::BTreeMap;

use crate::action::Action;
use crate::edit::{Editor, IdField, Persons, Rule};
use crate::error::{KeyStoreError, Malformed};
use crate::key_store::KeyStore;
use crate::rule_masks::MASKED;
use crate::rules::TopicRules;
use crate::scan::{Fate, Found, Kind, Visitor, scan, text_of};
use crate::tree::{NodeId, Tree};

/// Where change messages hold rows: Maxwell and Canal, Debezium without and with
/// a schema. A row of the first may be an array of rows.
pub const ROWS: [&str; 6] = [
    "/data",
    "/old",
    "/before",
    "/after",
    "/payload/before",
    "/payload/after",
];
/// Where they name the table, and its database.
const TABLE_NAMES: [&str; 3] = ["/table", "/source/table", "/payload/source/table"];
const DATABASE_NAMES: [&str; 3] = ["/database", "/source/db", "/payload/source/db"];
/// Where they may repeat the statement, which may be about other tables than
/// the one named, as an UPDATE of several tables is: it is left out wherever a
/// table of the topic has masks.
const STATEMENTS: [&str; 4] = ["/sql", "/query", "/source/query", "/payload/source/query"];
/// Where they may repeat the key of a row with masks: it is left out.
const KEYS: [&str; 1] = ["/primary_key"];

/// Numbers of rules while a record is looked through.
const FIND_TABLE: u32 = 0;
const FIND_DATABASE: u32 = 1;
const FIND_ID: u32 = 2;

/// Rules with their places.
#[derive(Debug)]
struct Placed {
    tree: Tree,
    rules: Vec<Rule>,
    /// A member that each record gets, behind a comma.
    mark: Vec<u8>,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct JsonMasker {
    /// For records of tables without rules.
    fields: Placed,
    tables: BTreeMap<String, Placed>,
    /// Finds table and persons; `None` if nothing has to be found.
    finds: Option<Tree>,
    /// What each rule from [`FIND_ID`] on finds.
    ids: Vec<IdField>,
}

/// The part of a message that is none: a field of the record.
const RECORD: u32 = ROWS.len() as u32;

/// Numbers the fields that name persons.
#[derive(Default)]
struct Ids {
    names: Vec<String>,
    found: Vec<IdField>,
}

impl Ids {
    fn number(&mut self, name: &str) -> u32 {
        let known = self.names.iter().position(|known| known == name);
        let number = known.unwrap_or_else(|| {
            self.names.push(name.to_owned());
            self.names.len() - 1
        });
        number as u32
    }

    /// The number of the rule that finds `field`.
    fn rule(&mut self, field: IdField) -> u32 {
        self.found.push(field);
        FIND_ID + self.found.len() as u32 - 1
    }
}

impl JsonMasker {
    pub(crate) fn new(rules: &TopicRules) -> Self {
        let mut finds = Tree::new();
        let mut ids = Ids::default();
        let fields = placed(rules, None, &mut finds, &mut ids);
        let mut tables = BTreeMap::new();
        for (table, columns) in &rules.tables {
            let placed = placed(rules, Some(columns), &mut finds, &mut ids);
            tables.insert(table.to_ascii_lowercase(), placed);
        }
        if !tables.is_empty() {
            for (pointers, rule) in [(TABLE_NAMES, FIND_TABLE), (DATABASE_NAMES, FIND_DATABASE)] {
                for pointer in pointers {
                    set_rule(&mut finds, Tree::ROOT, pointer, rule);
                }
            }
        }
        let must_find = !tables.is_empty() || !ids.found.is_empty();
        Self {
            fields,
            tables,
            finds: must_find.then_some(finds),
            ids: ids.found,
        }
    }

    /// Records of these tables get a member each, behind a comma, which says what was
    /// done to them; what they said of it themselves goes.
    pub(crate) fn with_marks(mut self, marks: BTreeMap<String, Vec<u8>>) -> Self {
        for (table, mark) in marks {
            let Some(placed) = self.tables.get_mut(&table) else {
                continue;
            };
            placed.rules.push(Rule {
                action: Action::Drop,
                person: None,
            });
            let rule = placed.rules.len() as u32 - 1;
            set_rule(&mut placed.tree, Tree::ROOT, &format!("/{MASKED}"), rule);
            placed.mark = mark;
        }
        self
    }

    /// Whether a record that is in the log would get the mark that it has.
    pub(crate) fn has_mark(&self, text: &str) -> bool {
        let mut finder = Finder::new(text, &self.ids);
        if let Some(finds) = &self.finds
            && scan(text, finds, &mut finder).is_err()
        {
            return false;
        }
        let Ok(placed) = self.placed_for(&finder) else {
            return false;
        };
        let object = text.trim_end().strip_suffix('}');
        placed.mark.is_empty()
            || object.is_some_and(|object| object.as_bytes().ends_with(&placed.mark))
    }

    /// The masked text; `None` if it is as before.
    pub(crate) fn mask(
        &self,
        keys: &KeyStore,
        text: &str,
    ) -> Result<Result<Option<Vec<u8>>, Malformed>, KeyStoreError> {
        let start = text.len() - text.trim_start_matches([' ', '\t', '\r', '\n']).len();
        if text.as_bytes().get(start) != Some(&b'{') {
            let reason = "not_an_object";
            return Ok(Err(Malformed {
                reason,
                position: start,
            }));
        }
        let mut finder = Finder::new(text, &self.ids);
        if let Some(finds) = &self.finds
            && let Err(malformed) = scan(text, finds, &mut finder)
        {
            return Ok(Err(malformed));
        }
        let placed = match self.placed_for(&finder) {
            Ok(placed) => placed,
            Err(reason) => {
                return Ok(Err(Malformed {
                    reason,
                    position: 0,
                }));
            }
        };
        if placed.rules.is_empty() {
            return Ok(Ok(None));
        }
        let mut editor = Editor::new(text, keys, &placed.rules, &finder.persons);
        match scan(text, &placed.tree, &mut editor) {
            Ok(_) => Ok(Ok(marked(text, editor.finish()?, &placed.mark))),
            Err(malformed) => Ok(Err(malformed)),
        }
    }

    fn placed_for(&self, finder: &Finder<'_>) -> Result<&Placed, &'static str> {
        if self.tables.is_empty() {
            return Ok(&self.fields);
        }
        let table = only(&finder.tables, "no_table_name", "two_table_names")?;
        let database = match finder.databases.is_empty() {
            true => None,
            false => Some(only(
                &finder.databases,
                "no_database_name",
                "two_database_names",
            )?),
        };
        let whole = database.map(|database| format!("{database}.{table}"));
        let of_database = whole.and_then(|whole| self.tables.get(&whole));
        let of_table = of_database.or_else(|| self.tables.get(table));
        Ok(of_table
            .or_else(|| self.tables.get("*"))
            .unwrap_or(&self.fields))
    }
}

/// An object with one more member.
fn marked(text: &str, edited: Option<Vec<u8>>, mark: &[u8]) -> Option<Vec<u8>> {
    if mark.is_empty() {
        return edited;
    }
    let mut object = edited.unwrap_or_else(|| text.as_bytes().to_vec());
    let end = object.iter().rposition(|&byte| byte == b'}')?;
    object.splice(end..end, mark.iter().copied());
    Some(object)
}

/// The one text of several.
fn only<'a>(
    names: &'a [String],
    none: &'static str,
    two: &'static str,
) -> Result<&'a str, &'static str> {
    let (first, others) = names.split_first().ok_or(none)?;
    match others.iter().all(|other| other == first) {
        true => Ok(first),
        false => Err(two),
    }
}

fn set_rule(tree: &mut Tree, from: NodeId, pointer: &str, rule: u32) {
    for node in tree.pointer(from, pointer) {
        tree.set_rule(node, rule);
    }
}

/// Puts the rules of a topic, and of one of its tables, in their places.
fn placed(
    rules: &TopicRules,
    columns: Option<&Vec<(String, Action)>>,
    finds: &mut Tree,
    ids: &mut Ids,
) -> Placed {
    let mut placed = Placed {
        tree: Tree::new(),
        rules: Vec::new(),
        mark: Vec::new(),
    };
    for (pointer, action) in &rules.fields {
        let person = match action {
            Action::Encrypt(field) => {
                let id = IdField {
                    field: ids.number(&field.field),
                    part: RECORD,
                };
                let rule = ids.rule(id);
                set_rule(finds, Tree::ROOT, &field.field, rule);
                Some(id)
            }
            _ => None,
        };
        let action = action.clone();
        placed.rules.push(Rule { action, person });
        set_rule(
            &mut placed.tree,
            Tree::ROOT,
            pointer,
            placed.rules.len() as u32 - 1,
        );
    }
    let statements: &[&str] = match rules.tables.is_empty() {
        true => &[],
        false => &STATEMENTS,
    };
    let keys: &[&str] = match columns {
        None => &[],
        Some(_) => &KEYS,
    };
    for pointer in statements.iter().chain(keys) {
        placed.rules.push(Rule {
            action: Action::Drop,
            person: None,
        });
        set_rule(
            &mut placed.tree,
            Tree::ROOT,
            pointer,
            placed.rules.len() as u32 - 1,
        );
    }
    let Some(columns) = columns else {
        return placed;
    };
    for (part, pointer) in (0..).zip(ROWS) {
        for rows in placed.tree.pointer(Tree::ROOT, pointer) {
            placed.tree.elements_are_rows(rows);
            for (column, action) in columns {
                let person = match action {
                    Action::Encrypt(field) => {
                        let id = IdField {
                            field: ids.number(&field.field),
                            part,
                        };
                        for rows in finds.pointer(Tree::ROOT, pointer) {
                            finds.elements_are_rows(rows);
                            let node = finds.member(rows, &field.field);
                            if finds.node(node).rule.is_none() {
                                let rule = ids.rule(id);
                                finds.set_rule(node, rule);
                            }
                        }
                        Some(id)
                    }
                    _ => None,
                };
                let node = match column.as_str() {
                    "*" => placed.tree.others(rows),
                    column => placed.tree.member(rows, column),
                };
                let action = action.clone();
                placed.rules.push(Rule { action, person });
                placed.tree.set_rule(node, placed.rules.len() as u32 - 1);
            }
        }
    }
    placed
}

/// Finds names and ids.
struct Finder<'a> {
    text: &'a str,
    ids: &'a [IdField],
    tables: Vec<String>,
    databases: Vec<String>,
    persons: Persons<'a>,
}

impl<'a> Finder<'a> {
    fn new(text: &'a str, ids: &'a [IdField]) -> Self {
        Self {
            text,
            ids,
            tables: Vec::new(),
            databases: Vec::new(),
            persons: Persons::default(),
        }
    }
}

impl Visitor for Finder<'_> {
    fn value(&mut self, rule: u32, found: &Found) -> Fate {
        let is_text = found.kind == Kind::String;
        let text: Cow<'_, str> = text_of(self.text, found);
        match rule {
            FIND_TABLE if is_text => self.tables.push(text.to_ascii_lowercase()),
            FIND_DATABASE if is_text => self.databases.push(text.to_ascii_lowercase()),
            FIND_TABLE | FIND_DATABASE => {}
            _ => {
                let id = self.ids[(rule - FIND_ID) as usize];
                if is_text || found.kind == Kind::Number {
                    self.persons.push(id, found.row, text);
                }
            }
        }
        Fate::Stays
    }

    fn unexpected(&mut self, _: &Found) {}
    fn cut(&mut self, _: std::ops::Range<usize>) {}
    fn empty(&mut self, _: &Found) {}
}
