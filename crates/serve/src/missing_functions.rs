//! Functions of PostgreSQL, MySQL and others that are not here, and what is written in
//! their place.

use datafusion::common::utils::datafusion_strsim::levenshtein;

/// How the library begins what it says of a function that it does not know.
const UNKNOWN: &str = "Invalid function '";
/// How it goes on with a name that is somewhat like it.
const GUESS: &str = "Did you mean '";

const NO_JSON: &str = "There is no JSON type in queries: take fields as columns in the definition of the source (`from = \"/data/price\"`); over HTTP every answer is JSON";
const DAY_OF_TIME: &str = "Write extract(day FROM t), and so with year, month, week, hour, minute";
const DAYS_APART: &str =
    "Write b::date - a::date for days, extract(epoch FROM b - a) for seconds between two times";
const LATER: &str = "Write t + INTERVAL '1 day', or t - INTERVAL '2 hours'";
const NOW: &str = "Write now()";
const PLACE: &str = "Write strpos(text, part)";
const IN_PARTS: &str = "Write unnest(string_to_array(text, ',')), in the SELECT list";
const JOINED: &str = "Write string_agg(name, ',')";
const CHOICE: &str = "Write CASE WHEN condition THEN a ELSE b END";
const READ_TIME: &str =
    "Write to_date(text, 'YYYY-MM-DD'), or to_timestamp(text, 'YYYY-MM-DD HH24:MI:SS'), of a text";

/// Names in the order of the alphabet.
const MISSING: [(&str, &str); 54] = [
    ("adddate", LATER),
    (
        "age",
        "Write b - a for the time between two times, extract(year FROM b) - extract(year FROM a) for years",
    ),
    (
        "array",
        "Write (SELECT array_agg(x) FROM t) for ARRAY(SELECT x FROM t)",
    ),
    ("array_to_json", NO_JSON),
    ("charindex", PLACE),
    ("clock_timestamp", NOW),
    ("curdate", "Write current_date"),
    ("curtime", "Write current_time"),
    ("date", "Write t::date"),
    ("date_add", LATER),
    ("date_diff", DAYS_APART),
    ("date_sub", LATER),
    ("dateadd", LATER),
    ("datediff", DAYS_APART),
    ("day", DAY_OF_TIME),
    ("dayofweek", "Write extract(dow FROM t): 0 is Sunday"),
    ("div", "Write a / b of integers, trunc(a / b) of others"),
    ("format", "Write a || b, or concat(a, b)"),
    ("gen_random_uuid", "Write uuid()"),
    ("getdate", NOW),
    ("group_concat", JOINED),
    ("hour", DAY_OF_TIME),
    ("if", CHOICE),
    ("iif", CHOICE),
    ("isnull", "Write x IS NULL, or coalesce(x, y)"),
    ("len", "Write length(text)"),
    ("listagg", JOINED),
    ("locate", PLACE),
    ("make_interval", "Write n * INTERVAL '1 day'"),
    ("make_timestamp", READ_TIME),
    ("make_timestamptz", READ_TIME),
    ("minute", DAY_OF_TIME),
    (
        "mode",
        "Count each value and take the first: SELECT x FROM t GROUP BY x ORDER BY count(*) DESC, x LIMIT 1",
    ),
    ("month", DAY_OF_TIME),
    (
        "percentile_disc",
        "Write percentile_cont(0.5) WITHIN GROUP (ORDER BY x), which may lie between two values",
    ),
    ("quarter", DAY_OF_TIME),
    (
        "regexp_matches",
        "Write regexp_match(text, pattern) for the first match",
    ),
    ("regexp_split_to_array", "Write string_to_array(text, ',')"),
    ("regexp_split_to_table", IN_PARTS),
    ("regexp_substr", "Write (regexp_match(text, pattern))[1]"),
    ("row_to_json", NO_JSON),
    ("statement_timestamp", NOW),
    ("str_to_date", READ_TIME),
    ("string_to_table", IN_PARTS),
    ("subdate", LATER),
    ("sysdate", NOW),
    ("timestampdiff", DAYS_APART),
    ("timezone", "Write t AT TIME ZONE 'Europe/London'"),
    ("to_json", NO_JSON),
    ("to_jsonb", NO_JSON),
    ("to_number", "Write text::numeric(18, 2)"),
    ("transaction_timestamp", NOW),
    ("unix_timestamp", "Write extract(epoch FROM t)"),
    ("year", DAY_OF_TIME),
];

/// What is said of such a function, or of one that nobody knows; `None` for texts about
/// something else. What the library guesses stays where it is nearly the same name.
pub(crate) fn said_of_missing(problem: &str) -> Option<String> {
    let behind = problem.strip_prefix(UNKNOWN)?;
    let (name, rest) = behind.split_once('\'')?;
    let known = instead_of(name);
    if let Some(instead) = known {
        return Some(format!("{UNKNOWN}{name}'. {instead}"));
    }
    let (_, guess) = rest.split_once(GUESS)?;
    let (guess, _) = guess.split_once('\'')?;
    Some(match is_nearly(name, guess) {
        true => format!("{UNKNOWN}{name}'. {GUESS}{guess}'?"),
        false => format!("{UNKNOWN}{name}'"),
    })
}

fn instead_of(name: &str) -> Option<&'static str> {
    let name = name.to_lowercase();
    let mut missing = MISSING.iter();
    let found = missing.find(|(known, _)| *known == name);
    let is_of_json = name.starts_with("json_") || name.starts_with("jsonb_");
    found
        .map(|(_, instead)| *instead)
        .or_else(|| is_of_json.then_some(NO_JSON))
}

/// Whether at most one letter of three is another one.
fn is_nearly(name: &str, guess: &str) -> bool {
    levenshtein(name, guess) * 3 <= name.len().max(guess.len())
}

/// What is said of the operators and types of JSON; `None` for texts about something
/// else.
pub(crate) fn said_of_json(problem: &str) -> Option<&'static str> {
    let operator = problem
        .strip_prefix("Operator ")
        .and_then(|rest| rest.strip_suffix(" is not yet supported"));
    let data_type = problem.strip_prefix("Unsupported SQL type ");
    let is_operator =
        operator.is_some_and(|operator| ["->", "->>", "#>", "#>>", "#-"].contains(&operator));
    let is_type = data_type.is_some_and(|found| found.to_lowercase().starts_with("json"));
    (is_operator || is_type).then_some(NO_JSON)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_in_order() {
        assert!(MISSING.is_sorted_by(|(one, _), (next, _)| one < next));
    }

    #[test]
    fn what_to_write_is_told_of_functions_that_are_missing() {
        for (problem, expected) in [
            (
                "Invalid function 'curdate'.\nDid you mean 'to_date'?",
                "Invalid function 'curdate'. Write current_date",
            ),
            // Models are told the first line.
            (
                "Invalid function 'DATEDIFF'.",
                "Invalid function 'DATEDIFF'. Write b::date - a::date for days, extract(epoch FROM b - a) for seconds between two times",
            ),
            (
                "Invalid function 'lengt'.\nDid you mean 'length'?",
                "Invalid function 'lengt'. Did you mean 'length'?",
            ),
            (
                "Invalid function 'nothing'.\nDid you mean 'cot'?",
                "Invalid function 'nothing'",
            ),
        ] {
            assert_eq!(said_of_missing(problem).as_deref(), Some(expected));
        }
        for name in ["jsonb_build_object", "json_agg", "row_to_json"] {
            let said = said_of_missing(&format!("Invalid function '{name}'.")).unwrap();
            assert!(said.contains("There is no JSON type"), "{said}");
        }
        assert_eq!(said_of_missing("Invalid function 'nothing'."), None);
        assert_eq!(said_of_missing("There is no window function named x"), None);
    }

    #[test]
    fn json_is_told_of() {
        for problem in [
            "Operator ->> is not yet supported",
            "Unsupported SQL type JSONB",
            "Unsupported SQL type jsonpath",
        ] {
            assert_eq!(said_of_json(problem), Some(NO_JSON), "{problem}");
        }
        for problem in [
            "Operator && is not yet supported",
            "Unsupported SQL type XML",
        ] {
            assert_eq!(said_of_json(problem), None, "{problem}");
        }
    }
}
