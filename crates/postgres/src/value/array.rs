//! Arrays: `{1,NULL,"a b"}`, of several dimensions `{{1,2},{3,4}}`, and with
//! other bounds than from 1 `[0:1]={1,2}`.

use super::form::ValueForm;

/// The server has at most six dimensions.
const DIMENSIONS_MAX: usize = 6;

/// Appends an array as JSON; false if it is none.
pub(super) fn write_array(
    out: &mut Vec<u8>,
    text: &[u8],
    element: &ValueForm,
    delimiter: u8,
) -> bool {
    // Bounds are not kept: a list of JSON has none.
    let text = match text.first() {
        Some(b'[') => match text.iter().position(|&byte| byte == b'=') {
            Some(end) => &text[end + 1..],
            None => return false,
        },
        _ => text,
    };
    let mut array = ArrayText {
        rest: text,
        element,
        delimiter,
    };
    array.list(out, 1).is_some() && array.rest.is_empty()
}

struct ArrayText<'a> {
    rest: &'a [u8],
    element: &'a ValueForm,
    delimiter: u8,
}

impl ArrayText<'_> {
    fn next(&mut self) -> Option<u8> {
        let (&first, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(first)
    }

    /// A list with its braces; nothing if there is none.
    fn list(&mut self, out: &mut Vec<u8>, depth: usize) -> Option<()> {
        if self.next()? != b'{' || depth > DIMENSIONS_MAX {
            return None;
        }
        out.push(b'[');
        if self.rest.first() == Some(&b'}') {
            self.next()?;
            out.push(b']');
            return Some(());
        }
        loop {
            match self.rest.first()? {
                b'{' => self.list(out, depth + 1)?,
                b'"' => {
                    self.next()?;
                    let text = self.quoted()?;
                    self.element.write(out, &text);
                }
                _ => match self.plain()?.as_slice() {
                    b"NULL" => out.extend_from_slice(b"null"),
                    text => self.element.write(out, text),
                },
            }
            match self.next()? {
                b'}' => {
                    out.push(b']');
                    return Some(());
                }
                sign if sign == self.delimiter => out.push(b','),
                _ => return None,
            }
        }
    }

    fn quoted(&mut self) -> Option<Vec<u8>> {
        let mut text = Vec::new();
        loop {
            match self.next()? {
                b'"' => return Some(text),
                b'\\' => text.push(self.next()?),
                other => text.push(other),
            }
        }
    }

    /// An element without quotes, which has no sign in it that would need them.
    fn plain(&mut self) -> Option<Vec<u8>> {
        let is_end = |&byte: &u8| byte == b'}' || byte == self.delimiter;
        let length = self.rest.iter().position(is_end)?;
        let (text, rest) = self.rest.split_at(length);
        self.rest = rest;
        (!text.is_empty()).then(|| text.to_vec())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(element: ValueForm, text: &str) -> String {
        let mut out = Vec::new();
        ValueForm::Array(Box::new(element), b',').write(&mut out, text.as_bytes());
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn arrays_become_lists() {
        for (element, text, json) in [
            (ValueForm::Number, "{}", "[]"),
            (ValueForm::Number, "{1,NULL,-3}", "[1,null,-3]"),
            (ValueForm::Number, "{{1,2},{3,4}}", "[[1,2],[3,4]]"),
            (ValueForm::Number, "[0:1]={1,2}", "[1,2]"),
            (
                ValueForm::Text,
                r#"{a,"b,}\"\\",NULL,"NULL",""}"#,
                r#"["a","b,}\"\\",null,"NULL",""]"#,
            ),
            (ValueForm::Bytes, r#"{"\\x666f6f"}"#, r#"["Zm9v"]"#),
            (ValueForm::Json, r#"{"{\"a\": 1}"}"#, r#"[{"a": 1}]"#),
        ] {
            assert_eq!(written(element, text), json, "{text}");
        }
    }

    #[test]
    fn what_is_no_array_stays_text() {
        for bad in [
            "",
            "{",
            "{1",
            "{1,",
            "{1,}",
            "1",
            "{1}}",
            "{\"a}",
            "[0:1]",
            "{{{{{{{1}}}}}}}",
        ] {
            let json = written(ValueForm::Number, bad);
            assert!(json.starts_with('"'), "{bad}: {json}");
        }
    }
}
