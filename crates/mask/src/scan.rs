//! Walks through a JSON document without making a tree of it.
//!
//! The walk is as strict as RFC 8259: what passes here has the same structure
//! for every strict parser that comes later, so that no field can be one thing
//! here and another there.

use std::borrow::Cow;
use std::ops::Range;

use memchr::memchr2;

use crate::error::Malformed;
use crate::tree::{NodeId, Tree};

/// Deeper nesting is refused.
pub(crate) const DEPTH_MAX: u32 = 120;

/// What a value is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    String,
    Number,
    Boolean,
    Null,
    Container,
}

/// A value in the text.
#[derive(Debug, Clone)]
pub(crate) struct Found {
    pub(crate) kind: Kind,
    /// Where it stands.
    pub(crate) span: Range<usize>,
    /// Index of its row, where rows are elements of an array.
    pub(crate) row: u32,
}

/// What becomes of a member or element.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    Stays,
    /// Only of a value with a rule.
    Goes,
}

/// Who is told of the values that rules are about.
pub(crate) trait Visitor {
    /// A value with a rule.
    fn value(&mut self, rule: u32, found: &Found) -> Fate;
    /// A value that is no object or array where rules are about what is in it.
    fn unexpected(&mut self, found: &Found);
    /// A member goes: with the comma before it, which begins at `from`, or if
    /// `from` is its own beginning with the comma behind it.
    fn cut(&mut self, part: Range<usize>);
    /// An element of an array, or the document, would go.
    fn empty(&mut self, found: &Found);
}

/// See the module.
pub(crate) struct Scan<'a, V> {
    text: &'a [u8],
    at: usize,
    tree: &'a Tree,
    visitor: &'a mut V,
    row: u32,
}

/// Walks through `text`, which is UTF-8.
pub(crate) fn scan<V: Visitor>(
    text: &str,
    tree: &Tree,
    visitor: &mut V,
) -> Result<Kind, Malformed> {
    let mut scan = Scan {
        text: text.as_bytes(),
        at: 0,
        tree,
        visitor,
        row: 0,
    };
    scan.space();
    let (found, fate) = scan.value(Some(Tree::ROOT), 0)?;
    if fate == Fate::Goes {
        scan.visitor.empty(&found);
    }
    scan.space();
    match scan.at == text.len() {
        true => Ok(found.kind),
        false => Err(scan.wrong()),
    }
}

impl<V: Visitor> Scan<'_, V> {
    fn wrong(&self) -> Malformed {
        Malformed {
            reason: "not_json",
            position: self.at,
        }
    }

    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    fn space(&mut self) {
        while let Some(b' ' | b'\n' | b'\r' | b'\t') = self.peek() {
            self.at += 1;
        }
    }

    fn expect(&mut self, wanted: &[u8]) -> Result<(), Malformed> {
        match self.text[self.at..].starts_with(wanted) {
            true => {
                self.at += wanted.len();
                Ok(())
            }
            false => Err(self.wrong()),
        }
    }

    fn value(&mut self, node: Option<NodeId>, depth: u32) -> Result<(Found, Fate), Malformed> {
        let start = self.at;
        let rule = node.and_then(|node| self.tree.node(node).rule);
        // What is in a value with a rule shares its fate.
        let inside = if rule.is_some() { None } else { node };
        let kind = match self.peek().ok_or(self.wrong())? {
            b'{' => self.object(inside, depth + 1)?,
            b'[' => self.array(inside, depth + 1)?,
            b'"' => {
                self.string()?;
                Kind::String
            }
            b't' => {
                self.expect(b"true")?;
                Kind::Boolean
            }
            b'f' => {
                self.expect(b"false")?;
                Kind::Boolean
            }
            b'n' => {
                self.expect(b"null")?;
                Kind::Null
            }
            _ => self.number()?,
        };
        let found = Found {
            kind,
            span: start..self.at,
            row: self.row,
        };
        let fate = match rule {
            Some(rule) => self.visitor.value(rule, &found),
            None => {
                if node.is_some() && !matches!(kind, Kind::Container | Kind::Null) {
                    self.visitor.unexpected(&found);
                }
                Fate::Stays
            }
        };
        Ok((found, fate))
    }

    fn deeper(&self, depth: u32) -> Result<(), Malformed> {
        if depth <= DEPTH_MAX {
            return Ok(());
        }
        Err(Malformed {
            reason: "too_deep",
            position: self.at,
        })
    }

    fn object(&mut self, node: Option<NodeId>, depth: u32) -> Result<Kind, Malformed> {
        self.deeper(depth)?;
        self.at += 1;
        self.space();
        if self.peek() == Some(b'}') {
            self.at += 1;
            return Ok(Kind::Container);
        }
        // Where the comma before the member stands, if a member stays before it.
        let mut comma = None;
        let mut has_kept = false;
        loop {
            let start = self.at;
            if self.peek() != Some(b'"') {
                return Err(self.wrong());
            }
            let name = self.string()?;
            let member = match node {
                Some(node) => {
                    let raw = &self.text[name.start + 1..name.end - 1];
                    let name = unescaped(raw);
                    let name = name.ok_or(self.wrong())?;
                    self.tree.find_member(node, &name)
                }
                None => None,
            };
            self.space();
            self.expect(b":")?;
            self.space();
            let (_, fate) = self.value(member, depth)?;
            let end = self.at;
            self.space();
            let next = self.peek();
            match (fate, comma) {
                (Fate::Stays, _) => has_kept = true,
                (Fate::Goes, Some(comma)) => self.visitor.cut(comma..end),
                (Fate::Goes, None) if next == Some(b',') => {
                    self.visitor.cut(start..self.at + 1);
                }
                (Fate::Goes, None) => self.visitor.cut(start..end),
            }
            match next {
                Some(b',') => {
                    comma = has_kept.then_some(self.at);
                    self.at += 1;
                    self.space();
                }
                Some(b'}') => {
                    self.at += 1;
                    return Ok(Kind::Container);
                }
                _ => return Err(self.wrong()),
            }
        }
    }

    fn array(&mut self, node: Option<NodeId>, depth: u32) -> Result<Kind, Malformed> {
        self.deeper(depth)?;
        self.at += 1;
        self.space();
        if self.peek() == Some(b']') {
            self.at += 1;
            return Ok(Kind::Container);
        }
        let has_rows = node.is_some_and(|node| self.tree.node(node).has_rows);
        let outer_row = self.row;
        let mut index = 0;
        loop {
            if has_rows {
                self.row = index as u32;
            }
            let element = node.map(|node| self.tree.find_element(node, index));
            let (found, fate) = self.value(element, depth)?;
            if fate == Fate::Goes {
                self.visitor.empty(&found);
            }
            index += 1;
            self.space();
            match self.peek() {
                Some(b',') => {
                    self.at += 1;
                    self.space();
                }
                Some(b']') => {
                    self.at += 1;
                    self.row = outer_row;
                    return Ok(Kind::Container);
                }
                _ => return Err(self.wrong()),
            }
        }
    }

    /// Passes over a string, and says where it stands.
    fn string(&mut self) -> Result<Range<usize>, Malformed> {
        let start = self.at;
        self.at += 1;
        loop {
            let rest = &self.text[self.at..];
            let Some(length) = memchr2(b'"', b'\\', rest) else {
                return Err(self.wrong());
            };
            if let Some(control) = rest[..length].iter().position(|&byte| byte < 0x20) {
                self.at += control;
                return Err(self.wrong());
            }
            self.at += length;
            if self.text[self.at] == b'"' {
                self.at += 1;
                return Ok(start..self.at);
            }
            self.escape()?;
        }
    }

    fn escape(&mut self) -> Result<(), Malformed> {
        match self.text.get(self.at + 1) {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => {
                self.at += 2;
                Ok(())
            }
            Some(b'u') => {
                let unit = self.unit().ok_or(self.wrong())?;
                self.at += 6;
                match unit {
                    0xdc00..=0xdfff => Err(self.wrong()),
                    0xd800..=0xdbff => {
                        let low = self.unit().ok_or(self.wrong())?;
                        let is_low = self.text[self.at..].starts_with(b"\\u")
                            && (0xdc00..=0xdfff).contains(&low);
                        self.at += 6;
                        is_low.then_some(()).ok_or(self.wrong())
                    }
                    _ => Ok(()),
                }
            }
            _ => Err(self.wrong()),
        }
    }

    /// The number of the escape `\uXXXX` here.
    fn unit(&self) -> Option<u32> {
        hexadecimal(self.text.get(self.at + 2..self.at + 6)?)
    }

    fn digits(&mut self) -> Result<(), Malformed> {
        let rest = &self.text[self.at..];
        let count = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        self.at += count;
        if count == 0 {
            Err(self.wrong())
        } else {
            Ok(())
        }
    }

    fn number(&mut self) -> Result<Kind, Malformed> {
        if self.peek() == Some(b'-') {
            self.at += 1;
        }
        match self.peek() {
            Some(b'0') => self.at += 1,
            _ => self.digits()?,
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.digits()?;
        }
        if let Some(b'e' | b'E') = self.peek() {
            self.at += 1;
            if let Some(b'+' | b'-') = self.peek() {
                self.at += 1;
            }
            self.digits()?;
        }
        Ok(Kind::Number)
    }
}

fn hexadecimal(digits: &[u8]) -> Option<u32> {
    digits.iter().try_fold(0, |number, &digit| {
        Some(number << 4 | char::from(digit).to_digit(16)?)
    })
}

/// The text of a string without its quotes, which [`scan`] has passed.
pub(crate) fn unescaped(raw: &[u8]) -> Option<Cow<'_, [u8]>> {
    let Some(first) = memchr::memchr(b'\\', raw) else {
        return Some(Cow::Borrowed(raw));
    };
    let mut text = raw[..first].to_vec();
    let mut at = first;
    while at < raw.len() {
        if raw[at] != b'\\' {
            text.push(raw[at]);
            at += 1;
            continue;
        }
        let simple = match raw.get(at + 1)? {
            b'b' => 8,
            b'f' => 12,
            b'n' => b'\n',
            b'r' => b'\r',
            b't' => b'\t',
            b'u' => {
                let mut unit = hexadecimal(raw.get(at + 2..at + 6)?)?;
                at += 6;
                if (0xd800..0xdc00).contains(&unit) {
                    let low = hexadecimal(raw.get(at + 2..at + 6)?)?;
                    unit = 0x10000 + ((unit - 0xd800) << 10) + low.checked_sub(0xdc00)?;
                    at += 6;
                }
                let mut bytes = [0; 4];
                let character = char::from_u32(unit)?;
                text.extend_from_slice(character.encode_utf8(&mut bytes).as_bytes());
                continue;
            }
            other => *other,
        };
        text.push(simple);
        at += 2;
    }
    Some(Cow::Owned(text))
}

/// The text of a value: of a string what it says, of anything else its JSON.
pub(crate) fn text_of<'a>(text: &'a str, found: &Found) -> Cow<'a, str> {
    let raw = &text[found.span.clone()];
    if found.kind != Kind::String {
        return Cow::Borrowed(raw);
    }
    let inside = &raw[1..raw.len() - 1];
    match unescaped(inside.as_bytes()) {
        Some(Cow::Owned(bytes)) => match String::from_utf8(bytes) {
            Ok(text) => Cow::Owned(text),
            Err(error) => Cow::Owned(String::from_utf8_lossy(error.as_bytes()).into_owned()),
        },
        _ => Cow::Borrowed(inside),
    }
}

/// Appends `value` as a JSON string.
pub(crate) fn write_string(value: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    for &byte in value.as_bytes() {
        match byte {
            b'"' | b'\\' => out.extend_from_slice(&[b'\\', byte]),
            0..0x20 => out.extend_from_slice(format!("\\u{byte:04x}").as_bytes()),
            _ => out.push(byte),
        }
    }
    out.push(b'"');
}
