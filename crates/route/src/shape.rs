//! The shapes that a topic's records have had: a tree of what stands between
//! their values.
//!
//! Most records of a topic have the same keys in the same order as one before
//! them. From a record that the parser took apart, the text between its values
//! is learned; where a later record has the same text, all that is left to find
//! is where its values end. A record that fits no shape, or is no JSON, goes to
//! the parser, which alone decides what is an error. So what was learned
//! changes nothing but the time that records take.

use std::collections::BTreeSet;

use crate::json::{Json, Kind};
use crate::skip_value::{is_plain, scan};
use crate::slots::{Node, SlotPlan, Value};

/// Places where shapes may part, for one topic; then no more are learned.
const NODES_MAX: usize = 4_096;
/// Ways on from one place.
const EDGES_MAX: usize = 16;
/// Where one of these limits was met, so many records of no known shape pass
/// before all shapes are forgotten and learning begins again.
const PAUSE_RECORDS: u32 = 100_000;
/// Objects that hold places may nest so deeply in a shape, and so deeply again
/// the values that are jumped over: together less than the parser allows.
pub(crate) const DEPTH_MAX: usize = 32;

/// The beginning or end of an object that is a place itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Mark {
    slot: usize,
    /// In the text of its edge.
    at: usize,
    is_end: bool,
}

/// A value between two texts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Hole {
    slot: Option<usize>,
    /// Whether a pointer goes on inside; then the value must be a scalar.
    goes_inside: bool,
}

/// A text that may follow, and the value behind it.
#[derive(Debug)]
struct Edge {
    text: Vec<u8>,
    /// The first 16 bytes of the text, the others 0, and which ones count.
    head: u128,
    head_mask: u128,
    marks: Vec<Mark>,
    /// `None` at the end of the record.
    hole: Option<Hole>,
    target: usize,
}

/// Step of one shape; see [`Edge`].
struct Step {
    text: Vec<u8>,
    marks: Vec<Mark>,
    hole: Option<Hole>,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Shapes {
    /// The ways on from each place; the first one is the start.
    nodes: Vec<Vec<Edge>>,
    /// Records that are still to pass before anything is learned again.
    pause: u32,
}

impl Default for Shapes {
    fn default() -> Self {
        Self {
            nodes: vec![Vec::new()],
            pause: 0,
        }
    }
}

impl Edge {
    fn fits(&self, bytes: &[u8], at: usize) -> bool {
        let Some(rest) = bytes.get(at..) else {
            return false;
        };
        let Some(head) = rest.first_chunk::<16>() else {
            return rest.starts_with(&self.text);
        };
        u128::from_le_bytes(*head) & self.head_mask == self.head
            && (self.text.len() <= 16 || rest.starts_with(&self.text))
    }
}

impl Shapes {
    /// Finds the places of a record that has a known shape. False if it has
    /// none: then `values` mean nothing.
    pub(crate) fn find(&self, text: &str, slots: usize, values: &mut Vec<Option<Value>>) -> bool {
        values.clear();
        values.resize(slots, None);
        let bytes = text.as_bytes();
        if u32::try_from(bytes.len()).is_err() {
            return false;
        }
        match is_plain(bytes) {
            true => self.walk::<true>(bytes, values),
            false => self.walk::<false>(bytes, values),
        }
        .is_some()
    }

    fn walk<const PLAIN: bool>(&self, bytes: &[u8], values: &mut [Option<Value>]) -> Option<()> {
        let mut node = 0;
        let mut at = 0;
        loop {
            let edge = self.nodes[node].iter().find(|edge| edge.fits(bytes, at))?;
            for mark in &edge.marks {
                let place = (at + mark.at) as u32;
                let value = values.get_mut(mark.slot)?;
                match (mark.is_end, value) {
                    (true, Some(value)) => value.end = place,
                    (_, value) => {
                        let (start, end) = (place, place);
                        let kind = Kind::Object;
                        *value = Some(Value { kind, start, end });
                    }
                }
            }
            at += edge.text.len();
            let Some(hole) = edge.hole else {
                return (at == bytes.len()).then_some(());
            };
            let (value, behind) = scan::<PLAIN>(bytes, at, hole.goes_inside)?;
            if let Some(slot) = hole.slot {
                *values.get_mut(slot)? = Some(value);
            }
            at = behind;
            node = edge.target;
        }
    }

    /// Learns the shape of a parsed record.
    pub(crate) fn learn(&mut self, plan: &SlotPlan, text: &str, record: Json<'_>) {
        if self.pause > 0 {
            self.pause -= 1;
            if self.pause > 0 {
                return;
            }
            *self = Self::default();
        }
        let mut learning = Learning {
            plan,
            text,
            steps: Vec::new(),
            marks: Vec::new(),
            from: 0,
        };
        if learning.value(record, plan.root(), 0).is_some() {
            learning.step(text.len(), text.len(), None);
            self.add(learning.steps);
        }
    }

    fn add(&mut self, steps: Vec<Step>) {
        let mut node = 0;
        for step in steps {
            let known = self.nodes[node].iter().find(|edge| {
                edge.text == step.text && edge.marks == step.marks && edge.hole == step.hole
            });
            if let Some(known) = known {
                node = known.target;
                continue;
            }
            if self.nodes[node].len() >= EDGES_MAX || self.nodes.len() >= NODES_MAX {
                self.pause = PAUSE_RECORDS;
                return;
            }
            let target = self.nodes.len();
            self.nodes.push(Vec::new());
            let mut head = [0; 16];
            let mut head_mask = [0; 16];
            for (index, &byte) in step.text.iter().take(16).enumerate() {
                head[index] = byte;
                head_mask[index] = 0xff;
            }
            let edges = &mut self.nodes[node];
            // The longer one of two texts that begin alike is tried first.
            let behind = edges
                .iter()
                .position(|edge| step.text.starts_with(&edge.text))
                .unwrap_or(edges.len());
            let edge = Edge {
                head: u128::from_le_bytes(head),
                head_mask: u128::from_le_bytes(head_mask),
                text: step.text,
                marks: step.marks,
                hole: step.hole,
                target,
            };
            edges.insert(behind, edge);
            node = target;
        }
    }
}

/// A shape that is being learned.
struct Learning<'a> {
    plan: &'a SlotPlan,
    text: &'a str,
    steps: Vec<Step>,
    /// Marks of the next step.
    marks: Vec<Mark>,
    /// Where the last value ended.
    from: usize,
}

impl Learning<'_> {
    /// `None` if records like this one cannot be learned.
    fn value(&mut self, value: Json<'_>, node: Option<&Node>, depth: usize) -> Option<()> {
        let (start, end) = value.place();
        let (start, end) = match value.kind() {
            // Places of strings leave out the quotes.
            Kind::Plain | Kind::Escaped => (start as usize - 1, end as usize + 1),
            _ => (start as usize, end as usize),
        };
        let slot = node.and_then(|node| node.slot);
        let goes_inside = node.is_some_and(Node::goes_inside);
        match (value.kind(), node) {
            (Kind::Object, Some(node)) if goes_inside => {
                self.object(value, node, (start, end), depth)
            }
            // Elements have no keys to go by.
            (Kind::Array, _) if goes_inside => None,
            _ => {
                self.step(start, end, Some(Hole { slot, goes_inside }));
                Some(())
            }
        }
    }

    fn object(
        &mut self,
        object: Json<'_>,
        node: &Node,
        (start, end): (usize, usize),
        depth: usize,
    ) -> Option<()> {
        if depth >= DEPTH_MAX {
            return None;
        }
        self.mark(node.slot, start, false);
        let mut keys = BTreeSet::new();
        for (key, value) in object.members() {
            let key = key.string();
            let child = self.plan.child(node, &key);
            // The last one of equal keys would count.
            if !keys.insert(key) {
                return None;
            }
            self.value(value, child, depth + 1)?;
        }
        self.mark(node.slot, end, true);
        Some(())
    }

    fn mark(&mut self, slot: Option<usize>, place: usize, is_end: bool) {
        let at = place - self.from;
        self.marks
            .extend(slot.map(|slot| Mark { slot, at, is_end }));
    }

    fn step(&mut self, start: usize, end: usize, hole: Option<Hole>) {
        self.steps.push(Step {
            text: self.text.as_bytes()[self.from..start].to_vec(),
            marks: std::mem::take(&mut self.marks),
            hole,
        });
        self.from = end;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::JsonParser;

    struct Random(u64);

    impl Random {
        fn below(&mut self, limit: usize) -> usize {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            (self.0 % limit as u64) as usize
        }

        fn one_of<'a>(&mut self, choices: &[&'a str]) -> &'a str {
            choices[self.below(choices.len())]
        }
    }

    const POINTERS: [&str; 13] = [
        "/id",
        "/name",
        "/page",
        "/page/id",
        "/page/deep/er",
        "/list",
        "/list/1",
        "/a~1b",
        "/a~0b",
        "/",
        "/é",
        "",
        "no pointer",
    ];

    const SCALARS: [&str; 34] = [
        "0",
        "-0",
        "7",
        "01",
        "-",
        "+1",
        "1.",
        "1.50",
        ".5",
        "1e5",
        "1E-3",
        "1e",
        "123456789012345678",
        "9223372036854775807",
        "9223372036854775808",
        "true",
        "false",
        "null",
        "nul",
        "\"\"",
        "\"plain text of some length\"",
        "\"é日本\"",
        "\"\\n\\\"q\\\"\"",
        "\"\\u00e9\"",
        "\"\\ud83d\\ude00\"",
        "\"\\ud83d\"",
        "\"\\ude00\"",
        "\"\\x\"",
        "\"\\\\\"",
        "\"a\tb\"",
        "\"{\"",
        "\"]\"",
        "\"open",
        "NaN",
    ];

    const SOUND: [&str; 6] = [
        "12",
        "\"text\"",
        "null",
        "\"\\u00e9\"",
        "-1.5e3",
        "\"é日本 and more than eight\"",
    ];

    /// A value that is mostly, but not always, JSON.
    fn value(random: &mut Random, depth: usize) -> String {
        match random.below(if depth > 3 { 7 } else { 10 }) {
            // Only one in many is no JSON.
            0..=3 if random.below(40) == 0 => random.one_of(&SCALARS).to_owned(),
            0..=3 => random.one_of(&SOUND).to_owned(),
            4..=6 => "7".to_owned(),
            7 => {
                let inside: Vec<String> = (0..random.below(4))
                    .map(|_| value(random, depth + 1))
                    .collect();
                format!("[{}]", inside.join(random.one_of(&[",", ", ", ","])))
            }
            _ => object(random, depth + 1),
        }
    }

    fn object(random: &mut Random, depth: usize) -> String {
        let keys = [
            "id", "name", "page", "list", "deep", "er", "a/b", "a~b", "", "é", "\\u0069d", "other",
        ];
        // Mostly the keys in one order, so that shapes come again.
        let mut members = Vec::new();
        for key in keys {
            if random.below(3) == 0 {
                continue;
            }
            members.push(format!("\"{key}\":{}", value(random, depth)));
        }
        if random.below(20) == 0 && members.len() > 1 {
            let twice = members[random.below(members.len())].clone();
            members.push(twice);
        }
        if random.below(20) == 0 && members.len() > 1 {
            let (one, other) = (random.below(members.len()), random.below(members.len()));
            members.swap(one, other);
        }
        let comma = random.one_of(&[",", ",", ",", ", ", ",\n "]);
        format!("{{{}}}", members.join(comma))
    }

    /// The same record with other values in it, or a damaged one.
    fn relative(random: &mut Random, text: &str) -> String {
        let mut characters: Vec<char> = text.chars().collect();
        match random.below(6) {
            0 => {
                characters.truncate(random.below(characters.len() + 1));
            }
            1 => characters.extend(random.one_of(&[" ", "}", "x", "\n"]).chars()),
            2 | 3 => {
                if !characters.is_empty() {
                    let at = random.below(characters.len());
                    let other = ['"', '\\', '{', '}', ',', ':', '9', ' ', '\u{1}', 'é', 'a'];
                    characters[at] = other[random.below(other.len())];
                }
            }
            _ => {
                // Another value for a number.
                let with = random.one_of(&SCALARS[..]);
                return text.replacen('7', with, 1 + random.below(2));
            }
        }
        characters.into_iter().collect()
    }

    /// Whatever was learned, a record that fits a shape is JSON, and its places
    /// are those that the parser finds.
    #[test]
    fn what_fits_a_shape_is_what_the_parser_finds() {
        let mut plan = SlotPlan::default();
        for pointer in POINTERS {
            plan.number(pointer);
        }
        let mut no_root = SlotPlan::default();
        for pointer in &POINTERS[..5] {
            no_root.number(pointer);
        }
        let mut random = Random(0x9e37_79b9_7f4a_7c15);
        let mut parser = JsonParser::default();
        let (mut hits, mut refused, mut parsed_count) = (0, 0, 0);
        for plan in [&plan, &no_root] {
            let mut shapes = Shapes::default();
            let (mut found, mut expected) = (Vec::new(), Vec::new());
            for round in 0..12_000 {
                // What was learned is forgotten now and then: it is limited.
                if round % 400 == 0 {
                    shapes = Shapes::default();
                }
                let text = object(&mut random, 0);
                let mut family = vec![text.clone(), text.clone()];
                for _ in 0..3 {
                    family.push(relative(&mut random, &text));
                }
                for text in family {
                    let fits = shapes.find(&text, plan.names().len(), &mut found);
                    match parser.parse(&text) {
                        Ok(parsed) => {
                            parsed_count += 1;
                            plan.fill(parsed, &mut expected);
                            if fits {
                                hits += 1;
                                assert_eq!(found, expected, "{text}");
                            }
                            shapes.learn(plan, &text, parsed);
                        }
                        Err(error) => {
                            refused += 1;
                            assert!(!fits, "{text}: {error}");
                        }
                    }
                }
            }
        }
        assert!(hits > 10_000, "{hits} of {parsed_count}");
        assert!(refused > 10_000, "{refused}");
    }

    #[test]
    fn learning_is_limited_and_begins_again() {
        let mut plan = SlotPlan::default();
        plan.number("/id");
        let mut shapes = Shapes::default();
        let mut parser = JsonParser::default();
        let mut values = Vec::new();
        let mut learn = |shapes: &mut Shapes, text: &str| {
            shapes.learn(&plan, text, parser.parse(text).unwrap());
        };
        let other = r#"{"id":1,"new":2}"#;
        for number in 0..1_000 {
            learn(&mut shapes, &format!("{{\"key{number}\":1}}"));
        }
        learn(&mut shapes, other);
        assert!(shapes.nodes.len() <= 2 * EDGES_MAX + 1);
        assert!(shapes.find(r#"{"key3":7}"#, 1, &mut values));
        assert!(!shapes.find(other, 1, &mut values));
        for _ in 0..PAUSE_RECORDS {
            learn(&mut shapes, other);
        }
        assert!(shapes.find(other, 1, &mut values));
    }

    #[test]
    fn several_shapes_of_a_topic_are_known_at_once() {
        let mut plan = SlotPlan::default();
        for pointer in ["/id", "/page", "/page/name"] {
            plan.number(pointer);
        }
        let mut shapes = Shapes::default();
        let mut parser = JsonParser::default();
        let mut values = Vec::new();
        let records = [
            r#"{"id":1,"page":{"name":"home","n":1},"other":[1,{"a":[]}]}"#,
            r#"{"id":1,"page":null}"#,
            r#"{"id":"x"}"#,
            r#"{"id": 1, "page": {}}"#,
        ];
        for record in records {
            assert!(!shapes.find(record, 3, &mut values), "{record}");
            shapes.learn(&plan, record, parser.parse(record).unwrap());
        }
        for record in records {
            assert!(shapes.find(record, 3, &mut values), "{record}");
        }
        for record in [
            r#"{"id":-1.5e3,"page":{"name":"ü","n":{}},"other":null}"#,
            r#"{"id":null,"page":"none"}"#,
            r#"{"id":"\u00e9\n"}"#,
        ] {
            assert!(shapes.find(record, 3, &mut values), "{record}");
        }
        for record in [
            r#"{"id":1,"page":{"name":"home","n":1},"other":[1,{"a":[}]}"#,
            r#"{"id":01}"#,
            r#"{"id":1}}"#,
            r#"{"id":"\ud800"}"#,
        ] {
            assert!(!shapes.find(record, 3, &mut values), "{record}");
        }
    }
}
