//! The places in a topic's records that definitions speak of, by number.
//!
//! A definition names a CSV column or a JSON pointer. The names of one topic
//! are numbered once, so that a record is taken apart once for all its tables,
//! and a cell is found without looking for its name again.

use std::borrow::Cow;
use std::collections::BTreeMap;

use hashbrown::HashMap;
use serde::Deserialize;

use crate::json::{Json, Kind, text_of};

/// A place that a definition names.
#[derive(Debug, Clone, Deserialize)]
#[serde(from = "String")]
pub(crate) struct Field {
    /// CSV column, or JSON pointer; `./` starts from the row or element.
    pub(crate) name: String,
    /// Its number in the topic; `None` if only elements have it.
    pub(crate) slot: Option<usize>,
}

impl From<String> for Field {
    fn from(name: String) -> Self {
        Self { name, slot: None }
    }
}

/// A value in the text of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Value {
    pub(crate) kind: Kind,
    /// Strings: without their quotes.
    pub(crate) start: u32,
    pub(crate) end: u32,
}

/// A record taken apart: the value of each place, where there is one.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Slots<'a> {
    pub(crate) text: &'a str,
    pub(crate) values: &'a [Option<Value>],
}

impl<'a> Slots<'a> {
    pub(crate) fn get(&self, field: &Field) -> Option<Value> {
        self.values.get(field.slot?).copied().flatten()
    }

    /// The value as it is written; a string without its quotes.
    pub(crate) fn raw(&self, value: Value) -> &'a str {
        let range = value.start as usize..value.end as usize;
        self.text.get(range).unwrap_or_default()
    }

    /// The text of an array or object, to be parsed.
    pub(crate) fn inner(&self, field: &Field) -> Option<&'a str> {
        let value = self.get(field)?;
        matches!(value.kind, Kind::Array | Kind::Object).then(|| self.raw(value))
    }

    /// See [`text_of`].
    pub(crate) fn text(&self, field: &Field) -> Option<Cow<'a, str>> {
        let value = self.get(field)?;
        text_of(value.kind, self.raw(value))
    }
}

/// The numbered places of one topic.
#[derive(Debug, Default)]
pub(crate) struct SlotPlan {
    names: Vec<String>,
    numbers: BTreeMap<String, usize>,
    /// The pointers as a tree; its root is the record.
    nodes: Vec<Node>,
}

/// A part of pointers.
#[derive(Debug, Default)]
pub(crate) struct Node {
    pub(crate) slot: Option<usize>,
    children: HashMap<String, usize>,
}

impl Node {
    /// Whether a pointer goes through the value here into its inside.
    pub(crate) fn goes_inside(&self) -> bool {
        !self.children.is_empty()
    }
}

impl SlotPlan {
    /// The number of a CSV column or JSON pointer.
    pub(crate) fn number(&mut self, name: &str) -> usize {
        if let Some(&number) = self.numbers.get(name) {
            return number;
        }
        let number = self.names.len();
        self.names.push(name.to_owned());
        self.numbers.insert(name.to_owned(), number);
        self.add_pointer(name, number);
        number
    }

    fn add_pointer(&mut self, name: &str, slot: usize) {
        if self.nodes.is_empty() {
            self.nodes.push(Node::default());
        }
        let mut node = 0;
        if !name.is_empty() {
            // A CSV column, or a pointer that finds nothing.
            let Some(parts) = name.strip_prefix('/') else {
                return;
            };
            for part in parts.split('/') {
                let part = part.replace("~1", "/").replace("~0", "~");
                let fresh = self.nodes.len();
                let child = *self.nodes[node].children.entry(part).or_insert(fresh);
                if child == fresh {
                    self.nodes.push(Node::default());
                }
                node = child;
            }
        }
        self.nodes[node].slot = Some(slot);
    }

    /// The names in the order of their numbers.
    pub(crate) fn names(&self) -> &[String] {
        &self.names
    }

    pub(crate) fn root(&self) -> Option<&Node> {
        self.nodes.first()
    }

    pub(crate) fn child(&self, node: &Node, key: &str) -> Option<&Node> {
        self.nodes.get(*node.children.get(key)?)
    }

    /// Finds all places in a parsed record.
    pub(crate) fn fill(&self, record: Json<'_>, values: &mut Vec<Option<Value>>) {
        values.clear();
        values.resize(self.names.len(), None);
        if let Some(root) = self.root() {
            self.fill_inside(root, record, values);
        }
    }

    /// Finds the places at and below `node`, whose value `json` is: one walk over
    /// the keys of an object, in whatever order they are.
    fn fill_inside(&self, node: &Node, json: Json<'_>, values: &mut [Option<Value>]) {
        if let Some(slot) = node.slot {
            let (start, end) = json.place();
            let kind = json.kind();
            values[slot] = Some(Value { kind, start, end });
        }
        if !node.goes_inside() {
            return;
        }
        for (key, value) in json.members() {
            let Some(child) = self.child(node, &key.string()) else {
                continue;
            };
            // Of equal keys the last one counts.
            self.forget_inside(child, values);
            self.fill_inside(child, value, values);
        }
        if json.is_array() {
            for (part, &child) in &node.children {
                let element = part.parse().ok().and_then(|at| json.elements().nth(at));
                if let Some(element) = element {
                    self.fill_inside(&self.nodes[child], element, values);
                }
            }
        }
    }

    fn forget_inside(&self, node: &Node, values: &mut [Option<Value>]) {
        if let Some(slot) = node.slot {
            values[slot] = None;
        }
        for &child in node.children.values() {
            self.forget_inside(&self.nodes[child], values);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::JsonParser;

    #[test]
    fn one_walk_finds_what_each_pointer_does() {
        let names = [
            "",
            "/a",
            "/a/b",
            "/a/b/c",
            "/list/1/x",
            "/list/0",
            "/list/+1",
            "/a~1b",
            "/m~0n",
            "/",
            "/a/1",
            "/é",
            "column",
            "/a/b/c/d",
        ];
        let mut plan = SlotPlan::default();
        for name in names {
            plan.number(name);
        }
        let (mut parser, mut values) = (JsonParser::default(), Vec::new());
        for text in [
            r#"{"a":{"b":{"c":1}},"list":[{"x":1},{"x":[2]}],"a/b":3,"m~n":4,"":5}"#,
            r#"{"a":{"b":{"c":1}},"a":{"b":2}}"#,
            r#"{"a":{"b":2},"a":{"b":{"c":null}},"\u00e9":"e","é":"f"}"#,
            r#"{"a":[0,{"b":1}],"list":{"1":{"x":7},"0":8}}"#,
            r#"{"a":{"b":{"c":{"d":1}}},"a":1}"#,
            r#"[{"a":1}]"#,
            r#""a""#,
            "{}",
        ] {
            let record = parser.parse(text).unwrap();
            plan.fill(record, &mut values);
            let expected: Vec<Option<Value>> = names
                .iter()
                .map(|name| {
                    let found = record.pointer(name)?;
                    let (start, end) = found.place();
                    let kind = found.kind();
                    Some(Value { kind, start, end })
                })
                .collect();
            assert_eq!(values, expected, "{text}");
        }
    }
}
