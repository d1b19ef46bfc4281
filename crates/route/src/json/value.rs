//! A value in a parsed text, and what is in it.

use std::borrow::Cow;

use super::text::{text_of, without_escapes};
use super::{Kind, Node};

/// See the module.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Json<'a> {
    pub(super) text: &'a str,
    pub(super) nodes: &'a [Node],
    pub(super) number: u32,
}

impl<'a> Json<'a> {
    fn node(&self) -> Node {
        self.nodes[self.number as usize]
    }

    fn at(&self, number: u32) -> Self {
        Self { number, ..*self }
    }

    fn raw(&self) -> &'a str {
        let node = self.node();
        &self.text[node.start as usize..node.end as usize]
    }

    pub(crate) fn kind(&self) -> Kind {
        self.node().kind
    }

    /// Where the value stands in the text; a string without its quotes.
    pub(crate) fn place(&self) -> (u32, u32) {
        let node = self.node();
        (node.start, node.end)
    }

    pub(crate) fn is_object(&self) -> bool {
        self.node().kind == Kind::Object
    }

    /// The keys and values of an object, in order; none of anything else.
    pub(crate) fn members(&self) -> impl Iterator<Item = (Json<'a>, Json<'a>)> + use<'a> {
        let json = *self;
        let node = json.node();
        let end = if json.is_object() { node.next } else { 0 };
        let mut number = json.number + 1;
        std::iter::from_fn(move || {
            if number >= end {
                return None;
            }
            let (key, value) = (json.at(number), json.at(number + 1));
            number = value.node().next;
            Some((key, value))
        })
    }

    pub(crate) fn is_array(&self) -> bool {
        self.node().kind == Kind::Array
    }

    /// The elements of an array; none of anything else.
    pub(crate) fn elements(&self) -> impl Iterator<Item = Json<'a>> + use<'a> {
        let json = *self;
        let node = json.node();
        let end = if json.is_array() { node.next } else { 0 };
        let mut number = json.number + 1;
        std::iter::from_fn(move || {
            if number >= end {
                return None;
            }
            let element = json.at(number);
            number = element.node().next;
            Some(element)
        })
    }

    /// The value of a key of an object.
    fn get(&self, key: &str) -> Option<Self> {
        let node = self.node();
        let mut number = self.number + 1;
        let mut found = None;
        while node.kind == Kind::Object && number < node.next {
            let name = self.at(number);
            let is_it = match name.node().kind {
                Kind::Plain => name.raw() == key,
                _ => name.string() == key,
            };
            if is_it {
                found = Some(self.at(number + 1));
            }
            number = self.nodes[number as usize + 1].next;
        }
        found
    }

    /// The value at a JSON pointer (RFC 6901); the empty one is the value
    /// itself.
    pub(crate) fn pointer(&self, pointer: &str) -> Option<Self> {
        let mut json = *self;
        if pointer.is_empty() {
            return Some(json);
        }
        for part in pointer.strip_prefix('/')?.split('/') {
            json = if json.is_array() {
                json.elements().nth(part.parse().ok()?)?
            } else if part.contains('~') {
                json.get(&part.replace("~1", "/").replace("~0", "~"))?
            } else {
                json.get(part)?
            };
        }
        Some(json)
    }

    pub(crate) fn string(&self) -> Cow<'a, str> {
        match self.node().kind {
            Kind::Escaped => Cow::Owned(without_escapes(self.raw())),
            _ => Cow::Borrowed(self.raw()),
        }
    }

    /// The value as the text has it, a string with its quotes.
    pub(crate) fn written(&self) -> Cow<'a, str> {
        match self.node().kind {
            Kind::Plain | Kind::Escaped => Cow::Owned(format!("\"{}\"", self.raw())),
            _ => Cow::Borrowed(self.raw()),
        }
    }

    /// See [`text_of`].
    pub(crate) fn as_text(&self) -> Option<Cow<'a, str>> {
        text_of(self.kind(), self.raw())
    }
}
