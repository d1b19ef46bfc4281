//! Reads texts into rows of nodes.

use super::text::escape;
use super::{Json, JsonError, Kind, Node};

/// Arrays and objects may nest so deeply.
const DEPTH_MAX: usize = 128;

/// Parses one text after another.
#[derive(Debug, Default)]
pub(crate) struct JsonParser {
    nodes: Vec<Node>,
    /// Arrays and objects that are open.
    open: Vec<u32>,
}

impl JsonParser {
    /// Parses `text`, which must be one value.
    pub(crate) fn parse<'a>(&'a mut self, text: &'a str) -> Result<Json<'a>, JsonError> {
        self.nodes.clear();
        self.open.clear();
        if u32::try_from(text.len()).is_err() {
            return Err(error(0, "more than 4 GiB"));
        }
        let bytes = text.as_bytes();
        let mut at = self.value(bytes, skip_space(bytes, 0))?;
        while let Some(&open) = self.open.last() {
            at = skip_space(bytes, at);
            let is_object = self.nodes[open as usize].kind == Kind::Object;
            let close = if is_object { b'}' } else { b']' };
            let is_empty = self.nodes.len() == open as usize + 1;
            match bytes.get(at) {
                Some(&byte) if byte == close => {
                    at += 1;
                    self.open.pop();
                    let behind = self.nodes.len() as u32;
                    let node = &mut self.nodes[open as usize];
                    node.end = at as u32;
                    node.next = behind;
                    continue;
                }
                Some(b',') if !is_empty => at = skip_space(bytes, at + 1),
                Some(_) if is_empty => {}
                Some(_) => return Err(error(at, "a comma or the end of the list is expected")),
                None => return Err(error(at, "the text ends in the middle of a value")),
            }
            if is_object {
                at = self.key(bytes, at)?;
            }
            at = self.value(bytes, at)?;
        }
        at = skip_space(bytes, at);
        if at < bytes.len() {
            return Err(error(at, "something follows the value"));
        }
        Ok(Json {
            text,
            nodes: &self.nodes,
            number: 0,
        })
    }

    /// Parses a key and its colon.
    fn key(&mut self, bytes: &[u8], at: usize) -> Result<usize, JsonError> {
        if bytes.get(at) != Some(&b'"') {
            return Err(error(at, "a key in quotes is expected"));
        }
        let at = skip_space(bytes, self.string(bytes, at)?);
        if bytes.get(at) != Some(&b':') {
            return Err(error(at, "a colon is expected"));
        }
        Ok(skip_space(bytes, at + 1))
    }

    /// Parses a value; of an array or object only its beginning.
    fn value(&mut self, bytes: &[u8], at: usize) -> Result<usize, JsonError> {
        let Some(&first) = bytes.get(at) else {
            return Err(error(at, "a value is expected"));
        };
        match first {
            b'"' => self.string(bytes, at),
            b'{' | b'[' => {
                if self.open.len() >= DEPTH_MAX {
                    return Err(error(at, "arrays and objects nest too deeply"));
                }
                let kind = match first {
                    b'{' => Kind::Object,
                    _ => Kind::Array,
                };
                self.open.push(self.nodes.len() as u32);
                self.push(kind, at, at + 1);
                Ok(at + 1)
            }
            b't' => self.word(bytes, at, b"true", Kind::Boolean),
            b'f' => self.word(bytes, at, b"false", Kind::Boolean),
            b'n' => self.word(bytes, at, b"null", Kind::Null),
            _ => {
                let end = number_end(bytes, at)?;
                self.push(Kind::Number, at, end);
                Ok(end)
            }
        }
    }

    fn word(
        &mut self,
        bytes: &[u8],
        at: usize,
        word: &[u8],
        kind: Kind,
    ) -> Result<usize, JsonError> {
        if !bytes[at..].starts_with(word) {
            return Err(error(at, "a value is expected"));
        }
        self.push(kind, at, at + word.len());
        Ok(at + word.len())
    }

    /// Parses a string from its opening quote.
    fn string(&mut self, bytes: &[u8], quote: usize) -> Result<usize, JsonError> {
        let start = quote + 1;
        let mut at = start;
        let mut kind = Kind::Plain;
        loop {
            match bytes.get(at) {
                Some(b'"') => {
                    self.push(kind, start, at);
                    return Ok(at + 1);
                }
                Some(b'\\') => {
                    kind = Kind::Escaped;
                    let (_, length) = escape(&bytes[at..]).ok_or(error(at, "a wrong escape"))?;
                    at += length;
                }
                Some(0..=0x1f) => return Err(error(at, "a control character in a string")),
                Some(_) => at += 1,
                None => return Err(error(at, "the text ends in the middle of a string")),
            }
        }
    }

    fn push(&mut self, kind: Kind, start: usize, end: usize) {
        self.nodes.push(Node {
            kind,
            start: start as u32,
            end: end as u32,
            next: self.nodes.len() as u32 + 1,
        });
    }
}

fn error(at: usize, problem: &'static str) -> JsonError {
    JsonError { at, problem }
}

pub(crate) fn skip_space(bytes: &[u8], mut at: usize) -> usize {
    while let Some(b' ' | b'\n' | b'\r' | b'\t') = bytes.get(at) {
        at += 1;
    }
    at
}

pub(crate) fn number_end(bytes: &[u8], start: usize) -> Result<usize, JsonError> {
    let digits = |mut at: usize| {
        let first = at;
        while bytes.get(at).is_some_and(u8::is_ascii_digit) {
            at += 1;
        }
        match at > first {
            true => Ok(at),
            false if first == start => Err(error(at, "a value is expected")),
            false => Err(error(at, "a digit is expected")),
        }
    };
    let mut at = start;
    if bytes.get(at) == Some(&b'-') {
        at += 1;
    }
    let whole = at;
    at = digits(at)?;
    if bytes[whole] == b'0' && at > whole + 1 {
        return Err(error(whole, "a number begins with 0"));
    }
    if bytes.get(at) == Some(&b'.') {
        at = digits(at + 1)?;
    }
    if let Some(b'e' | b'E') = bytes.get(at) {
        at += 1;
        if let Some(b'+' | b'-') = bytes.get(at) {
            at += 1;
        }
        at = digits(at)?;
    }
    Ok(at)
}
