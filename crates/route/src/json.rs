//! JSON as a row of nodes over its text.
//!
//! Nothing is copied: a node says where its value stands. So numbers keep their
//! digits (money is never a float on the way in), and the buffer of nodes
//! serves one record after another. The grammar is RFC 8259; of equal keys the
//! last one counts.

use std::borrow::Cow;

/// Arrays and objects may nest so deeply.
const DEPTH_MAX: usize = 128;

/// The text is no JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{problem} at byte {at}")]
pub(crate) struct JsonError {
    at: usize,
    problem: &'static str,
}

/// What a value is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Null,
    Boolean,
    Number,
    /// Without escapes: the text is the value.
    Plain,
    /// With escapes.
    Escaped,
    Array,
    Object,
}

/// A value, or a key, which the value follows.
#[derive(Debug, Clone, Copy)]
struct Node {
    kind: Kind,
    /// Strings: without their quotes.
    start: u32,
    end: u32,
    /// Number of the node behind this one and all that is in it.
    next: u32,
}

/// Parses one text after another.
#[derive(Debug, Default)]
pub(crate) struct JsonParser {
    nodes: Vec<Node>,
    /// Arrays and objects that are open.
    open: Vec<u32>,
}

/// A value in a parsed text.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Json<'a> {
    text: &'a str,
    nodes: &'a [Node],
    number: u32,
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

/// The character of the escape at the start of `bytes`, and its length.
pub(crate) fn escape(bytes: &[u8]) -> Option<(char, usize)> {
    let simple = match bytes.get(1)? {
        b'"' => '"',
        b'\\' => '\\',
        b'/' => '/',
        b'b' => '\u{8}',
        b'f' => '\u{c}',
        b'n' => '\n',
        b'r' => '\r',
        b't' => '\t',
        b'u' => {
            let high = hex(bytes.get(2..6)?)?;
            // The low half of a pair alone is no character.
            if !(0xd800..0xdc00).contains(&high) {
                return Some((char::from_u32(high)?, 6));
            }
            let low = bytes.get(6..8).filter(|next| *next == b"\\u");
            let low = low.and_then(|_| hex(bytes.get(8..12)?))?;
            if !(0xdc00..0xe000).contains(&low) {
                return None;
            }
            let code = 0x1_0000 + ((high - 0xd800) << 10) + (low - 0xdc00);
            return Some((char::from_u32(code)?, 12));
        }
        _ => return None,
    };
    Some((simple, 2))
}

fn hex(digits: &[u8]) -> Option<u32> {
    let mut value = 0;
    for &digit in digits {
        value = value * 16 + char::from(digit).to_digit(16)?;
    }
    Some(value)
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

/// A string's value, a number without exponent, and everything else as its
/// text; `None` for null. `raw` is the value as it is written, a string without
/// its quotes.
pub(crate) fn text_of(kind: Kind, raw: &str) -> Option<Cow<'_, str>> {
    match kind {
        Kind::Null => None,
        Kind::Escaped => Some(Cow::Owned(without_escapes(raw))),
        Kind::Number => Some(without_exponent(raw)),
        Kind::Plain | Kind::Boolean | Kind::Array | Kind::Object => Some(Cow::Borrowed(raw)),
    }
}

fn without_escapes(raw: &str) -> String {
    let mut text = String::with_capacity(raw.len());
    let mut rest = raw;
    while let Some(at) = rest.find('\\') {
        text.push_str(&rest[..at]);
        // Parsing has checked every escape.
        let (character, length) = escape(&rest.as_bytes()[at..]).unwrap_or(('\u{fffd}', 1));
        text.push(character);
        rest = &rest[at + length..];
    }
    text.push_str(rest);
    text
}

/// A number with its digits written out, exactly. Exponents that no column
/// could hold are left as they are.
fn without_exponent(text: &str) -> Cow<'_, str> {
    const EXPONENT_MAX: i32 = 400;
    let Some(at) = text.bytes().position(|byte| matches!(byte, b'e' | b'E')) else {
        return Cow::Borrowed(text);
    };
    let (mantissa, exponent) = (&text[..at], &text[at + 1..]);
    let Ok(exponent) = exponent.parse::<i32>() else {
        return Cow::Borrowed(text);
    };
    if exponent.abs() > EXPONENT_MAX {
        return Cow::Borrowed(text);
    }
    let (sign, digits) = match mantissa.strip_prefix('-') {
        Some(digits) => ("-", digits),
        None => ("", mantissa),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let all = format!("{whole}{fraction}");
    let point = whole.len() as i32 + exponent;
    let text = match usize::try_from(point) {
        Ok(point) if point >= all.len() => format!("{all}{}", "0".repeat(point - all.len())),
        Ok(point) if point > 0 => format!("{}.{}", &all[..point], &all[point..]),
        _ => format!("0.{}{all}", "0".repeat(point.unsigned_abs() as usize)),
    };
    let whole_length = text.find('.').unwrap_or(text.len());
    let leading_zeros = text[..whole_length - 1]
        .bytes()
        .take_while(|&byte| byte == b'0')
        .count();
    Cow::Owned(format!("{sign}{}", &text[leading_zeros..]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    fn text_at(text: &str, pointer: &str) -> Option<String> {
        let mut parser = JsonParser::default();
        let json = parser.parse(text).unwrap();
        json.pointer(pointer)?.as_text().map(Cow::into_owned)
    }

    #[test]
    fn values_are_found_and_keep_their_digits() {
        let text = r#" {"a":[1,{"b":"x\ny\ud83d\ude00"},[]],"m":12345678901234567.10,"a/b":{"~":true},"n":null,"e":{}} "#;
        assert_eq!(text_at(text, "/m").unwrap(), "12345678901234567.10");
        assert_eq!(text_at(text, "/a/1/b").unwrap(), "x\ny😀");
        assert_eq!(text_at(text, "/a/0").unwrap(), "1");
        assert_eq!(text_at(text, "/a~1b/~0").unwrap(), "true");
        assert_eq!(
            text_at(text, "/a/1").unwrap(),
            r#"{"b":"x\ny\ud83d\ude00"}"#
        );
        for missing in ["/n", "/a/3", "/a/x", "/m/0", "/b", "/e/a", "m"] {
            assert_eq!(text_at(text, missing), None, "{missing}");
        }
        assert_eq!(text_at(r#"{"a":1,"\u0061":2}"#, "/a").unwrap(), "2");
        let mut parser = JsonParser::default();
        let array = parser.parse("[[1,2],3,{}]").unwrap();
        let elements: Vec<_> = array
            .elements()
            .filter_map(|value| value.as_text())
            .collect();
        assert_eq!(elements, ["[1,2]", "3", "{}"]);
    }

    #[test]
    fn exponents_are_written_out_exactly() {
        for (text, expected) in [
            ("1e3", "1000"),
            ("-1.25E+1", "-12.5"),
            ("1.5e-3", "0.0015"),
            ("0e5", "0"),
            ("0.01e2", "1"),
            ("12.50e0", "12.50"),
            ("1e999", "1e999"),
        ] {
            assert_eq!(text_at(text, "").unwrap(), expected, "{text}");
        }
    }

    #[test]
    fn depth_is_limited() {
        let deep = format!("{}{}", "[".repeat(128), "]".repeat(128));
        assert!(JsonParser::default().parse(&deep).is_ok());
        let deeper = format!("[{deep}]");
        let error = JsonParser::default().parse(&deeper).unwrap_err();
        assert_eq!(
            error.to_string(),
            "arrays and objects nest too deeply at byte 128"
        );
    }

    /// Everything that serde_json says of a text must be what is said here:
    /// random texts, and mutations of valid ones.
    #[test]
    fn agrees_with_serde_json_on_random_texts() {
        let mut random = 0x9e37_79b9_7f4a_7c15_u64;
        let mut next = |limit: usize| {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            (random % limit as u64) as usize
        };
        let pieces = [
            "{",
            "}",
            "[",
            "]",
            ",",
            ":",
            "\"a\"",
            "\"b\\n\"",
            "\"\\u00e9\"",
            "\"\\ud83d\\ude00\"",
            "\"\\ud83d\"",
            "1",
            "-0",
            "01",
            "2.50",
            "1e2",
            "-",
            ".",
            "true",
            "false",
            "null",
            " ",
            "\n",
            "\"",
            "\\",
            "é",
            "\u{1}",
            "nul",
            "{\"a\":1}",
            "[1,2]",
            "{\"k\":[{\"a\":\"x\"}]}",
        ];
        let mut parser = JsonParser::default();
        let mut valid = 0;
        for _ in 0..200_000 {
            let text: String = (0..next(9)).map(|_| pieces[next(pieces.len())]).collect();
            let expected = serde_json::from_str::<Value>(&text);
            let found = parser.parse(&text);
            // No float holds it, which does not concern us.
            if expected
                .as_ref()
                .is_err_and(|error| error.to_string().contains("out of range"))
            {
                continue;
            }
            assert_eq!(
                found.is_ok(),
                expected.is_ok(),
                "{text:?}: {found:?} {expected:?}"
            );
            let (Ok(found), Ok(expected)) = (found, expected) else {
                continue;
            };
            valid += 1;
            for pointer in ["", "/a", "/k/0/a", "/0", "/1", "/b\n"] {
                let one = found.pointer(pointer);
                let other = expected.pointer(pointer);
                assert_eq!(one.is_some(), other.is_some(), "{text:?} {pointer}");
                if let (Some(one), Some(Value::String(other))) = (one, other) {
                    assert_eq!(one.as_text().unwrap(), other.as_str(), "{text:?} {pointer}");
                }
            }
        }
        assert!(valid > 10_000, "{valid}");
    }
}
