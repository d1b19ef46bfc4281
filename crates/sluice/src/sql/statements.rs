//! Splits a script into statements.

/// The statements of a script. Semicolons in strings, quoted names and
/// comments end nothing. Also tells whether the last one was ended by a
/// semicolon.
pub fn split_statements(script: &str) -> (Vec<String>, bool) {
    let mut statements = Vec::new();
    let mut start = 0;
    let mut has_code = false;
    let bytes = script.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        match bytes[at] {
            quote @ (b'\'' | b'"') => {
                has_code = true;
                at = skip_until(bytes, at + 1, &[quote]);
            }
            b'-' if bytes.get(at + 1) == Some(&b'-') => at = skip_until(bytes, at, b"\n"),
            b'/' if bytes.get(at + 1) == Some(&b'*') => at = skip_until(bytes, at + 2, b"*/"),
            b'$' if dollar_tag(script, at).is_some() => {
                has_code = true;
                let tag = dollar_tag(script, at).unwrap_or_default();
                at = skip_until(bytes, at + tag.len(), tag.as_bytes());
            }
            b';' => {
                if has_code {
                    statements.push(script[start..at].trim().to_owned());
                }
                start = at + 1;
                has_code = false;
                at += 1;
            }
            byte => {
                has_code |= !byte.is_ascii_whitespace();
                at += 1;
            }
        }
    }
    if has_code {
        statements.push(script[start..].trim().to_owned());
    }
    (statements, !has_code)
}

/// The position after the next `end`, or the end of the text.
fn skip_until(bytes: &[u8], from: usize, end: &[u8]) -> usize {
    let rest = bytes.get(from..).unwrap_or_default();
    rest.windows(end.len())
        .position(|window| window == end)
        .map_or(bytes.len(), |position| from + position + end.len())
}

/// `$$` or `$name$` at this place.
fn dollar_tag(script: &str, at: usize) -> Option<&str> {
    let rest = &script[at..];
    let length = rest[1..].find('$')?;
    let name = &rest[1..1 + length];
    let is_name = name
        .chars()
        .all(|letter| letter.is_alphanumeric() || letter == '_')
        && !name.starts_with(|letter: char| letter.is_ascii_digit());
    is_name.then(|| &rest[..length + 2])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn semicolons_in_text_and_comments_end_nothing() {
        let script =
            "SELECT ';' AS \"a;b\"; -- one; two\n/* ; */ SELECT $$;$$;\n\n; SELECT 3 -- end;";
        let (statements, is_ended) = split_statements(script);
        assert_eq!(statements.len(), 3);
        assert_eq!(statements[0], "SELECT ';' AS \"a;b\"");
        assert!(statements[1].ends_with("SELECT $$;$$"));
        assert!(statements[2].starts_with("SELECT 3"));
        assert!(!is_ended);
        assert_eq!(split_statements(" -- nothing\n"), (vec![], true));
        assert_eq!(split_statements("SELECT 'open; ").0.len(), 1);
    }
}
