//! Changes that say a part of a row, put into the whole row. Values stay as
//! they are written: numbers keep all their digits.

/// The members of a JSON object, each key with its quotes; nothing of what is
/// no object.
fn members(object: &[u8]) -> Vec<(&[u8], &[u8])> {
    let mut found = Vec::new();
    let mut rest = object.strip_prefix(b"{").unwrap_or_default();
    while let Some(key_bytes) = value_bytes(rest) {
        let (key, after) = rest.split_at(key_bytes);
        let after = after.strip_prefix(b":").unwrap_or_default();
        let Some(bytes) = value_bytes(after) else {
            break;
        };
        found.push((key, &after[..bytes]));
        let Some(next) = after[bytes..].strip_prefix(b",") else {
            break;
        };
        rest = next;
    }
    found
}

/// Bytes of the JSON value at the beginning of a text without blanks.
fn value_bytes(text: &[u8]) -> Option<usize> {
    let (mut depth, mut in_string, mut is_escaped) = (0_usize, false, false);
    for (index, &byte) in text.iter().enumerate() {
        if in_string {
            match byte {
                _ if is_escaped => is_escaped = false,
                b'\\' => is_escaped = true,
                b'"' => in_string = false,
                _ => {}
            }
            if !in_string && depth == 0 {
                return Some(index + 1);
            }
            continue;
        }
        match byte {
            b'"' => in_string = true,
            b'{' | b'[' => depth += 1,
            b'}' | b']' if depth == 0 => return (index > 0).then_some(index),
            b'}' | b']' => {
                depth -= 1;
                if depth == 0 {
                    return Some(index + 1);
                }
            }
            b',' | b':' if depth == 0 => return (index > 0).then_some(index),
            _ => {}
        }
    }
    None
}

/// The member of an object.
fn member<'a>(object: &'a [u8], key: &[u8]) -> Option<&'a [u8]> {
    let found = members(object).into_iter().find(|(name, _)| *name == key);
    found.map(|(_, value)| value)
}

/// A row with what the message of a change says of it.
pub(super) fn changed_row(row: &[u8], message: &[u8]) -> Vec<u8> {
    let data = member(message, b"\"data\"")
        .map(members)
        .unwrap_or_default();
    let mut out = vec![b'{'];
    for (key, value) in members(row) {
        if out.len() > 1 {
            out.push(b',');
        }
        let new = data.iter().find(|(name, _)| *name == key);
        out.extend_from_slice(key);
        out.push(b':');
        out.extend_from_slice(new.map_or(value, |(_, new)| new));
    }
    out.push(b'}');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_replaces_and_the_rest_stays_to_the_digit() {
        let row = br#"{"id":1,"a\",":"x{\"","d":1.10000000000000000001,"j":{"k":[1,{}]},"n":null}"#;
        let message = br#"{"table":"t","data":{"id":1,"n":{"x":"}"},"other":2},"unchanged":["d"]}"#;
        assert_eq!(
            changed_row(row, message),
            br#"{"id":1,"a\",":"x{\"","d":1.10000000000000000001,"j":{"k":[1,{}]},"n":{"x":"}"}}"#
        );
        assert_eq!(members(b"{}"), []);
        assert_eq!(members(b"[1,2]"), []);
        assert_eq!(members(b"{\"a\":1"), []);
    }
}
