//! Rewrites a JSON document in place: what no rule is about keeps its bytes.

use std::borrow::Cow;
use std::ops::Range;

use crate::action::Action;
use crate::apply::{Masked, hashed, masked};
use crate::error::KeyStoreError;
use crate::key_store::KeyStore;
use crate::scan::{Fate, Found, Kind, Visitor, text_of, write_string};

/// Which field names a person: a field of the definitions, and the part of a
/// message (row, before-image) that it stands in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct IdField {
    pub(crate) field: u32,
    pub(crate) part: u32,
}

/// Ids of persons that a record names.
#[derive(Debug, Default)]
pub(crate) struct Persons<'a> {
    /// Field, row, id.
    found: Vec<(IdField, u32, Cow<'a, str>)>,
}

impl<'a> Persons<'a> {
    pub(crate) fn push(&mut self, field: IdField, row: u32, id: Cow<'a, str>) {
        self.found.push((field, row, id));
    }

    /// The id in a field of a row. A before-image that does not repeat it is of
    /// the same person as the row.
    fn get(&self, field: IdField, row: u32) -> Option<&str> {
        // Of equal names in an object the last one counts.
        let mut known = self.found.iter().rev().filter(|(_, of, _)| *of == row);
        let here = known.clone().find(|(known, _, _)| *known == field);
        let found = here.or_else(|| known.find(|(known, _, _)| known.field == field.field));
        found.map(|(_, _, id)| id.as_ref())
    }
}

/// A rule about a value, with the field that names its person.
#[derive(Debug, Clone)]
pub(crate) struct Rule {
    pub(crate) action: Action,
    pub(crate) person: Option<IdField>,
}

/// See the module.
pub(crate) struct Editor<'a> {
    text: &'a str,
    keys: &'a KeyStore,
    rules: &'a [Rule],
    persons: &'a Persons<'a>,
    out: Vec<u8>,
    /// So much of the text is in `out`, or was left out.
    done: usize,
    failure: Option<KeyStoreError>,
}

impl<'a> Editor<'a> {
    pub(crate) fn new(
        text: &'a str,
        keys: &'a KeyStore,
        rules: &'a [Rule],
        persons: &'a Persons<'a>,
    ) -> Self {
        Self {
            text,
            keys,
            rules,
            persons,
            out: Vec::new(),
            done: 0,
            failure: None,
        }
    }

    /// The new text; `None` if it is as before.
    pub(crate) fn finish(mut self) -> Result<Option<Vec<u8>>, KeyStoreError> {
        if let Some(failure) = self.failure {
            return Err(failure);
        }
        if self.done == 0 {
            return Ok(None);
        }
        self.out
            .extend_from_slice(&self.text.as_bytes()[self.done..]);
        Ok(Some(self.out))
    }

    /// Takes what stands before `position` as it is.
    fn copy_to(&mut self, position: usize) {
        if self.done == 0 {
            self.out.reserve(self.text.len() + 64);
        }
        self.out
            .extend_from_slice(&self.text.as_bytes()[self.done..position]);
    }

    fn replace(&mut self, found: &Found, value: &str) {
        self.copy_to(found.span.start);
        // A number stays one, so that a column of numbers can hold its token.
        let is_number = found.kind == Kind::Number
            && value.len() < 19
            && !value.starts_with('0')
            && value.bytes().all(|byte| byte.is_ascii_digit());
        match is_number {
            true => self.out.extend_from_slice(value.as_bytes()),
            false => write_string(value, &mut self.out),
        }
        self.done = found.span.end;
    }
}

impl Visitor for Editor<'_> {
    fn value(&mut self, rule: u32, found: &Found) -> Fate {
        let rule = &self.rules[rule as usize];
        if rule.action == Action::Drop {
            return Fate::Goes;
        }
        if rule.action == Action::Keep || found.kind == Kind::Null || self.failure.is_some() {
            return Fate::Stays;
        }
        let text = text_of(self.text, found);
        let person = rule
            .person
            .and_then(|field| self.persons.get(field, found.row));
        // Of an object or an array nothing but a whole makes sense.
        let is_whole = matches!(rule.action, Action::Hash | Action::Encrypt(_));
        let is_scalar = matches!(found.kind, Kind::String | Kind::Number);
        if !is_whole && !is_scalar {
            let hashed = hashed(self.keys, &text);
            self.replace(found, &hashed);
            return Fate::Stays;
        }
        match masked(self.keys, &rule.action, &text, person) {
            Ok(Masked::Text(value)) => self.replace(found, &value),
            Ok(Masked::Same | Masked::Gone) => {}
            Err(failure) => self.failure = Some(failure),
        }
        Fate::Stays
    }

    fn unexpected(&mut self, found: &Found) {
        let text = text_of(self.text, found);
        if !text.is_empty() {
            self.replace(found, &hashed(self.keys, &text));
        }
    }

    fn cut(&mut self, part: Range<usize>) {
        // What was replaced inside the part is gone with it: a value with a
        // rule has no other inside.
        self.copy_to(part.start.max(self.done));
        self.done = part.end;
    }

    fn empty(&mut self, found: &Found) {
        self.copy_to(found.span.start);
        self.out.extend_from_slice(b"null");
        self.done = found.span.end;
    }
}
