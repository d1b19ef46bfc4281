//! Masks the CSV lines of one topic.

use std::borrow::Cow;
use std::ops::Range;

use crate::action::Action;
use crate::apply::{Masked, masked};
use crate::error::{KeyStoreError, Malformed};
use crate::key_store::KeyStore;

/// See the module.
#[derive(Debug)]
pub(crate) struct CsvMasker {
    delimiter: u8,
    rules: Vec<(String, Action)>,
    /// `None` before a header that has all columns with rules.
    header: Option<Header>,
}

#[derive(Debug)]
struct Header {
    width: usize,
    /// By column: its rule, and the column that names its person.
    rules: Vec<Option<(usize, Option<usize>)>>,
}

/// Where a field stands, and its text.
struct Field<'a> {
    span: Range<usize>,
    text: Cow<'a, str>,
}

/// The fields of a line. Stricter than what reads the lines later: a line that
/// could be read in two ways is malformed.
fn fields(line: &str, delimiter: u8) -> Result<Vec<Field<'_>>, Malformed> {
    let bytes = line.as_bytes();
    let wrong = |position| Malformed {
        reason: "bad_csv",
        position,
    };
    if line.starts_with('\u{feff}') {
        return Err(wrong(0));
    }
    let mut fields = Vec::new();
    let mut at = 0;
    loop {
        let start = at;
        let text = if bytes.get(at) == Some(&b'"') {
            let mut text = String::new();
            at += 1;
            loop {
                let end = memchr::memchr(b'"', &bytes[at..]).ok_or(wrong(start))?;
                text.push_str(&line[at..at + end]);
                at += end + 1;
                if bytes.get(at) != Some(&b'"') {
                    break;
                }
                text.push('"');
                at += 1;
            }
            Cow::Owned(text)
        } else {
            let rest = &bytes[at..];
            let ends = |&byte: &u8| byte == delimiter || byte == b'\r' || byte == b'\n';
            at += rest.iter().position(ends).unwrap_or(rest.len());
            Cow::Borrowed(&line[start..at])
        };
        let span = start..at;
        fields.push(Field { span, text });
        match bytes.get(at) {
            None => return Ok(fields),
            Some(&byte) if byte == delimiter => at += 1,
            Some(_) => return Err(wrong(at)),
        }
    }
}

/// `text` as a field of CSV.
fn write_field(text: &str, delimiter: u8, out: &mut Vec<u8>) {
    let is_special = |byte: u8| byte == delimiter || matches!(byte, b'"' | b'\r' | b'\n');
    if !text.bytes().any(is_special) {
        return out.extend_from_slice(text.as_bytes());
    }
    out.push(b'"');
    out.extend_from_slice(text.replace('"', "\"\"").as_bytes());
    out.push(b'"');
}

impl CsvMasker {
    pub(crate) fn new(delimiter: u8, rules: Vec<(String, Action)>) -> Self {
        Self {
            delimiter,
            rules,
            header: None,
        }
    }

    /// Learns the header of the lines that follow. A header without a column
    /// that has a rule may be a line of data: it and its lines are malformed.
    pub(crate) fn header(&mut self, line: &str) -> Result<(), Malformed> {
        self.header = None;
        let fields = fields(line, self.delimiter)?;
        let is_named = |field: &Field<'_>, name: &str| field.text.trim().eq_ignore_ascii_case(name);
        let mut rules = vec![None; fields.len()];
        for (number, (name, action)) in self.rules.iter().enumerate() {
            let person = match action {
                Action::Encrypt(person) => {
                    let column = fields
                        .iter()
                        .rposition(|field| is_named(field, &person.field));
                    Some(column.ok_or(missing())?)
                }
                _ => None,
            };
            let mut is_there = false;
            for (rule, field) in rules.iter_mut().zip(&fields) {
                if is_named(field, name) {
                    *rule = Some((number, person));
                    is_there = true;
                }
            }
            if !is_there {
                return Err(missing());
            }
        }
        let width = fields.len();
        self.header = Some(Header { width, rules });
        Ok(())
    }

    /// The masked line; `None` if it is as before.
    pub(crate) fn line(
        &self,
        keys: &KeyStore,
        line: &str,
    ) -> Result<Result<Option<Vec<u8>>, Malformed>, KeyStoreError> {
        let Some(header) = &self.header else {
            return Ok(Err(missing()));
        };
        let fields = match fields(line, self.delimiter) {
            Ok(fields) if fields.len() == header.width => fields,
            Ok(_) => {
                let reason = "wrong_column_count";
                return Ok(Err(Malformed {
                    reason,
                    position: 0,
                }));
            }
            Err(malformed) => return Ok(Err(malformed)),
        };
        let mut out: Vec<u8> = Vec::new();
        let mut done = 0;
        for (field, rule) in fields.iter().zip(&header.rules) {
            let Some((rule, person)) = rule else { continue };
            let person = person.map(|column| fields[column].text.as_ref());
            let action = &self.rules[*rule].1;
            let text = match masked(keys, action, &field.text, person)? {
                Masked::Same => continue,
                Masked::Gone => Cow::Borrowed(""),
                Masked::Text(text) => text,
            };
            out.extend_from_slice(&line.as_bytes()[done..field.span.start]);
            write_field(&text, self.delimiter, &mut out);
            done = field.span.end;
        }
        if done == 0 {
            return Ok(Ok(None));
        }
        out.extend_from_slice(&line.as_bytes()[done..]);
        Ok(Ok(Some(out)))
    }
}

fn missing() -> Malformed {
    let reason = "masked_column_missing";
    Malformed {
        reason,
        position: 0,
    }
}
