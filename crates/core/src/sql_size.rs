//! How deep a statement may nest: planning follows operators by recursion, and
//! must never run out of stack.

/// Operators, joins and set operations that one statement may have. Lists
/// (`IN (…)`, `VALUES`) do not count.
pub const SQL_OPERATORS_MAX: usize = 1_000;

/// Stack of the threads that plan statements; enough for a statement with
/// [`SQL_OPERATORS_MAX`] operators, many times over.
pub const PLANNING_STACK_BYTES: usize = 64 << 20;

const WORDS: [&str; 12] = [
    "and",
    "between",
    "case",
    "except",
    "ilike",
    "intersect",
    "is",
    "join",
    "like",
    "not",
    "or",
    "union",
];

/// What is wrong with a statement's size, if anything.
pub fn too_many_operators(sql: &str) -> Option<String> {
    let count = operators(sql);
    (count > SQL_OPERATORS_MAX).then(|| {
        format!(
            "the statement has {count} operators, more than {SQL_OPERATORS_MAX}: put values into a list (x IN (…), VALUES), or divide it"
        )
    })
}

fn operators(sql: &str) -> usize {
    let bytes = sql.as_bytes();
    let mut count = 0;
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        let rest = &bytes[at..];
        at += match byte {
            b'\'' | b'"' | b'`' => 1 + until(&rest[1..], |found| found[0] == byte) + 1,
            b'-' if rest.starts_with(b"--") => until(rest, |found| found[0] == b'\n'),
            b'/' if rest.starts_with(b"/*") => until(rest, |found| found.starts_with(b"*/")) + 2,
            _ if byte.is_ascii_alphabetic() || byte == b'_' => {
                let is_end = |found: &[u8]| !(found[0].is_ascii_alphanumeric() || found[0] == b'_');
                let length = until(rest, is_end);
                let word = rest[..length].to_ascii_lowercase();
                count += usize::from(WORDS.iter().any(|known| known.as_bytes() == word));
                length
            }
            _ if is_operator(byte) => {
                count += 1;
                until(rest, |found| !is_operator(found[0])).max(1)
            }
            _ => 1,
        };
    }
    count
}

/// Bytes before the first place at which `is_end` holds.
fn until(bytes: &[u8], is_end: impl Fn(&[u8]) -> bool) -> usize {
    (0..bytes.len())
        .find(|&at| is_end(&bytes[at..]))
        .unwrap_or(bytes.len())
}

fn is_operator(byte: u8) -> bool {
    b"+-*/%|&^=<>~!#@:".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operators_outside_of_text_count() {
        assert_eq!(operators("SELECT a + b * c, d::int FROM t WHERE x >= 1"), 4);
        assert_eq!(
            operators("SELECT 'a + b -- c' /* and */ -- or\n, \"x-y\""),
            0
        );
        assert_eq!(operators("SELECT 'it''s' FROM a JOIN b USING (id)"), 1);
        assert_eq!(operators("x OR NOT y AND z IS NULL UNION 1"), 5);
        assert_eq!(operators("SELECT 'never ends"), 0);
        let many = format!("SELECT 1{}", "+1".repeat(SQL_OPERATORS_MAX + 1));
        assert!(too_many_operators(&many).is_some());
        let list = format!("SELECT x IN (1{})", ", 1".repeat(100_000));
        assert_eq!(too_many_operators(&list), None);
    }
}
