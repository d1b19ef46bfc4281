//! How deep a statement may nest: planning follows operators by recursion, and
//! must never run out of stack. And how many calls may stand inside others: each is
//! looked at again for most of those around it, and planning cannot be interrupted.

/// Operators, joins and set operations that one statement may have. Lists
/// (`IN (…)`, `VALUES`) do not count.
pub const SQL_OPERATORS_MAX: usize = 1_000;

/// Calls inside at least two others that one statement may have.
pub const SQL_INNER_CALLS_MAX: usize = 1_000;

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

/// Words before brackets that are no names of functions.
const NO_FUNCTIONS: [&str; 34] = [
    "all",
    "and",
    "any",
    "array",
    "as",
    "between",
    "by",
    "case",
    "distinct",
    "else",
    "except",
    "exists",
    "filter",
    "from",
    "having",
    "ilike",
    "in",
    "intersect",
    "is",
    "join",
    "lateral",
    "like",
    "not",
    "on",
    "or",
    "over",
    "select",
    "sets",
    "some",
    "then",
    "union",
    "values",
    "when",
    "where",
];

/// What is wrong with a statement's size, if anything.
pub fn too_many_operators(sql: &str) -> Option<String> {
    let Size {
        operators,
        inner_calls,
    } = size_of(sql);
    if operators > SQL_OPERATORS_MAX {
        return Some(format!(
            "the statement has {operators} operators, more than {SQL_OPERATORS_MAX}: put values into a list (x IN (…), VALUES), or divide it"
        ));
    }
    (inner_calls > SQL_INNER_CALLS_MAX).then(|| {
        format!(
            "the statement has {inner_calls} calls of functions inside at least two others, more than {SQL_INNER_CALLS_MAX}: compute what is inside in a subquery, or divide it"
        )
    })
}

#[derive(Debug, Default, PartialEq, Eq)]
struct Size {
    operators: usize,
    inner_calls: usize,
}

fn size_of(sql: &str) -> Size {
    let bytes = sql.as_bytes();
    let mut size = Size::default();
    // Of each open bracket, whether it is of a call.
    let mut brackets = Vec::new();
    let (mut calls, mut is_behind_name) = (0, false);
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        let rest = &bytes[at..];
        let was_behind_name = is_behind_name;
        is_behind_name = byte == b'"';
        at += match byte {
            b'\'' | b'"' | b'`' => 1 + until(&rest[1..], |found| found[0] == byte) + 1,
            b'-' if rest.starts_with(b"--") => until(rest, |found| found[0] == b'\n'),
            b'/' if rest.starts_with(b"/*") => until(rest, |found| found.starts_with(b"*/")) + 2,
            b'(' => {
                brackets.push(was_behind_name);
                calls += usize::from(was_behind_name);
                size.inner_calls += usize::from(was_behind_name && calls > 2);
                1
            }
            b')' => {
                calls -= usize::from(brackets.pop() == Some(true));
                1
            }
            _ if byte.is_ascii_alphabetic() || byte == b'_' => {
                let is_end = |found: &[u8]| !(found[0].is_ascii_alphanumeric() || found[0] == b'_');
                let length = until(rest, is_end);
                let word = rest[..length].to_ascii_lowercase();
                let is_in = |words: &[&str]| words.iter().any(|known| known.as_bytes() == word);
                size.operators += usize::from(is_in(&WORDS));
                is_behind_name = !is_in(&NO_FUNCTIONS);
                length
            }
            _ if is_operator(byte) => {
                size.operators += 1;
                until(rest, |found| !is_operator(found[0])).max(1)
            }
            _ => {
                is_behind_name = was_behind_name && byte.is_ascii_whitespace();
                1
            }
        };
    }
    size
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

    fn operators(sql: &str) -> usize {
        size_of(sql).operators
    }

    #[test]
    fn calls_inside_two_others_count() {
        for (sql, expected) in [
            ("SELECT f(g(h(1)), h(2)), f (\"g\" ( h(x) )), (((f(1))))", 2),
            ("SELECT x IN (f(g(1)), f(g(h(1)))), y = ANY (f(g(1)))", 1),
            ("VALUES (f(g(1))), (f(g(1)))", 0),
            ("SELECT f(1)) + g(h(1)) OVER (ORDER BY f(g(1)))", 0),
            ("SELECT 'f(g(h(1)))' -- f(g(h(1)))", 0),
            ("SELECT f((SELECT g(x) FROM t WHERE h(x) > 0))", 0),
            ("SELECT f(g((SELECT h(x) FROM t)))", 1),
        ] {
            assert_eq!(size_of(sql).inner_calls, expected, "{sql}");
        }
        let mut nested = "x".to_owned();
        for _ in 0..9 {
            nested = format!("coalesce({nested}, {nested})");
        }
        // All but the three outer ones of 511, and of 1023.
        assert_eq!(size_of(&nested).inner_calls, 508);
        assert_eq!(too_many_operators(&nested), None);
        let problem = too_many_operators(&format!("nullif({nested}, {nested})"));
        assert!(problem.is_some_and(|problem| problem.contains("has 1020 calls")));
        let calls = vec!["coalesce(round(x), 0)"; 5_000].join(", ");
        assert_eq!(too_many_operators(&calls), None);
    }

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
