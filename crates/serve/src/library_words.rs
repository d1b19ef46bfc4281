//! What the library says of a statement, in words about the statement: without the parts
//! of the library that found it, and with what to write instead.

use crate::missing_functions::{said_of_json, said_of_missing};

/// What the library asks of whoever meets a fault of its own; most of these are none.
const REPORT: &str = "\nThis issue was likely caused by a bug in DataFusion's code. Please help us to resolve this by filing a bug report in our issue tracker: https://github.com/apache/datafusion/issues";

/// Kinds of problems, before what they are.
const KINDS: [&str; 2] = [
    "Error during planning: ",
    "This feature is not implemented: ",
];

const UNPLANNED: &str = "Physical plan does not support logical expression ";
const NO_MATCH: &str = "No function matches the given name and argument types ";

const ROW_OUTSIDE: &str = "a column of the row outside";

/// Forms of which no answer can be computed where they stand: how the library's own words
/// for them begin, and what they are.
const FORMS: [(&str, &str); 9] = [
    ("Aggregate", "an aggregate"),
    ("Exists", "EXISTS"),
    ("GroupingSet", "a set of GROUP BY"),
    ("InSubquery", "IN with a subquery"),
    ("OuterReferenceColumn", ROW_OUTSIDE),
    ("ScalarSubquery", "a subquery"),
    ("SetComparison", "ANY or ALL of a subquery"),
    ("Unnest", "unnest"),
    ("Window", "a window function"),
];

/// What to write where the arguments of these fit no form of them.
const CALLS: [(&str, &str); 3] = [
    (
        "date_trunc",
        "It takes a unit and a time; for the days of another zone write date_trunc('day', t AT TIME ZONE 'Europe/London')",
    ),
    (
        "substr",
        "It takes places; for a pattern write (regexp_match(text, pattern))[1], or regexp_replace(text, pattern, new)",
    ),
    (
        "to_char",
        "It takes a date, a time or an interval; for a number write round(x, 2)::text, and lpad(…, 10) for its width",
    ),
];

/// Other words of the library, and what is said in their place.
const SAID: [(&str, &str); 6] = [
    (
        "Unnest should be rewritten to LogicalPlan::Unnest before type coercion",
        "unnest inside a condition or another call is not supported: write SELECT … FROM (SELECT unnest(list) AS x FROM t) AS s",
    ),
    (
        "FETCH clause is not supported yet",
        "FETCH FIRST n ROWS ONLY is not supported: write LIMIT n",
    ),
    (
        "ANY in LIKE expression",
        "LIKE ANY is not supported: write x LIKE a OR x LIKE b, or a regular expression, as in x ~ 'a|b'",
    ),
    (
        "UNNEST with ordinality is not supported yet",
        "WITH ORDINALITY is not supported: write SELECT i, list[i] FROM generate_series(1, n) AS g(i)",
    ),
    (
        "Binary operator 'AtArrow' is not supported in the physical expr",
        "`@>` is of lists alone: write strpos(text, part) > 0 for texts",
    ),
    (
        "Binary operator 'ArrowAt' is not supported in the physical expr",
        "`<@` is of lists alone: write strpos(text, part) > 0 for texts",
    ),
];

/// What an error of the library says, in such words; other texts are given as they are.
pub fn plain_words(problem: &str) -> String {
    let told = problem.replace(REPORT, "");
    let kind = KINDS.iter().find(|kind| told.starts_with(**kind));
    let kind = kind.copied().unwrap_or_default();
    let inner = &told[kind.len()..];
    let said = said_of_missing(inner)
        .or_else(|| said_of_call(inner))
        .or_else(|| said_of_form(inner))
        .or_else(|| said_of_table(inner))
        .or_else(|| said_of_json(inner).map(str::to_owned))
        .or_else(|| said_otherwise(inner));
    match said {
        Some(said) => format!("{kind}{said}"),
        None => told,
    }
}

/// Of a function whose arguments fit no form of it.
fn said_of_call(problem: &str) -> Option<String> {
    let name = between(
        problem,
        "Function '",
        "' failed to match any signature, errors: ",
    )
    .or_else(|| between(problem, " to satisfy a call to '", "' function: "))?;
    let help = CALLS.iter().find(|(known, _)| *known == name);
    let given = problem.find(NO_MATCH).map(|place| &problem[place..]);
    Some(match (given, help) {
        (Some(given), Some((_, help))) => {
            let given = given.split(". You might need").next().unwrap_or(given);
            format!("{given}. {help}")
        }
        (Some(given), None) => given.to_owned(),
        (None, Some((_, help))) => format!("no form of `{name}` takes these arguments. {help}"),
        (None, None) => format!("no form of `{name}` takes these arguments"),
    })
}

/// Of an expression that has no value of its own where it stands.
fn said_of_form(problem: &str) -> Option<String> {
    let expression = problem.strip_prefix(UNPLANNED)?;
    let form = FORMS.iter().find(|(form, _)| expression.starts_with(form));
    let form = form.map_or("an expression of this form", |(_, said)| *said);
    let help = match form {
        ROW_OUTSIDE => {
            "join instead of naming it, and take lists apart in the SELECT list of a subquery, as in FROM (SELECT t.*, unnest(t.list) AS x FROM t) AS s"
        }
        _ => {
            "compute it in a subquery in FROM, as in SELECT x + 1 FROM (SELECT … AS x FROM t) AS s"
        }
    };
    Some(format!("{form} is not supported here: {help}"))
}

/// Of a table that is not there.
fn said_of_table(problem: &str) -> Option<String> {
    let path = problem
        .strip_prefix("table '")?
        .strip_suffix("' not found")?;
    let mut parts: Vec<&str> = path.split('.').collect();
    // The library's own names of where the warehouse's tables are.
    if let [_, "public", _] = parts.as_slice() {
        parts.drain(..2);
    }
    Some(format!("there is no table or view `{}`", parts.join(".")))
}

fn said_otherwise(problem: &str) -> Option<String> {
    let said = SAID.iter().find(|(known, _)| problem == *known);
    said.map(|(_, said)| (*said).to_owned())
}

/// What stands between the first of two marks and the next of the other.
fn between<'a>(text: &'a str, before: &str, behind: &str) -> Option<&'a str> {
    let (_, rest) = text.split_once(before)?;
    let (found, _) = rest.split_once(behind)?;
    (!found.contains('\'')).then_some(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_to_write_is_told_of_calls_that_fit_no_form() {
        let told = plain_words(&format!(
            "Error during planning: Internal error: Function 'date_trunc' failed to match any signature, errors: Error during planning: Function 'date_trunc' expects 2 arguments but received 3.{REPORT}. No function matches the given name and argument types 'date_trunc(Utf8, Date32, Utf8)'. You might need to add explicit type casts.\n\tCandidate functions:\n\tdate_trunc(String, Timestamp)"
        ));
        let expected = "Error during planning: No function matches the given name and argument types 'date_trunc(Utf8, Date32, Utf8)'. It takes a unit and a time; for the days of another zone write date_trunc('day', t AT TIME ZONE 'Europe/London')";
        assert_eq!(told, expected);
        // Models are told the first line.
        let told = plain_words(
            "Internal error: Function 'substr' failed to match any signature, errors: Error during planning: Function 'substr' requires Int64, but received String (DataType: Utf8).",
        );
        let expected = "no form of `substr` takes these arguments. It takes places; for a pattern write (regexp_match(text, pattern))[1], or regexp_replace(text, pattern, new)";
        assert_eq!(told, expected);
        let told = plain_words(
            "Error during planning: Failed to coerce arguments to satisfy a call to 'date_bin' function: coercion from Int64 to the signature OneOf(Exact(Interval)) failed. No function matches the given name and argument types 'date_bin(Int64)'. You might need to add explicit type casts.\n\tCandidate functions:\n\tdate_bin(Interval)",
        );
        let expected = "Error during planning: No function matches the given name and argument types 'date_bin(Int64)'. You might need to add explicit type casts.\n\tCandidate functions:\n\tdate_bin(Interval)";
        assert_eq!(told, expected);
    }

    #[test]
    fn forms_that_are_not_computed_are_named() {
        for (form, expected) in [
            (
                "Exists(Exists { subquery: …",
                "EXISTS is not supported here",
            ),
            (
                "WindowFunction(WindowFunction { …",
                "a window function is not",
            ),
            (
                "OuterReferenceColumn(Field { …",
                "a column of the row outside",
            ),
            ("Wildcard", "an expression of this form"),
        ] {
            let told = plain_words(&format!(
                "This feature is not implemented: {UNPLANNED}{form}"
            ));
            let expected = format!("This feature is not implemented: {expected}");
            assert!(told.starts_with(&expected), "{told}");
            assert!(told.contains(" FROM (SELECT "), "{told}");
        }
    }

    #[test]
    fn tables_are_called_as_they_are_written() {
        for (path, written) in [
            ("sluice.public.sales", "sales"),
            ("datafusion.public.Größe", "Größe"),
            ("sluice.archive.sales", "sluice.archive.sales"),
        ] {
            let told = plain_words(&format!("Error during planning: table '{path}' not found"));
            let expected = format!("Error during planning: there is no table or view `{written}`");
            assert_eq!(told, expected);
        }
        let function = "table function 'f' not found";
        assert_eq!(plain_words(function), function);
    }

    #[test]
    fn nobody_is_asked_to_report_a_bug() {
        let told = plain_words(&format!("Internal error: no schema.{REPORT}"));
        assert_eq!(told, "Internal error: no schema.");
        for plain in ["Divide by zero error", "Error during planning: a = b", ""] {
            assert_eq!(plain_words(plain), plain);
        }
        let told = plain_words("This feature is not implemented: Unsupported SQL type JSON");
        assert!(told.contains("no JSON type in queries"), "{told}");
    }
}
