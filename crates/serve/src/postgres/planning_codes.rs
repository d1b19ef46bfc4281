//! The codes of what is wrong with a statement itself, as PostgreSQL has them. Of names
//! that are not known the library has a type of error; most of the rest is a text to it,
//! so that its words tell it apart.

use datafusion::common::{Column, SchemaError};

const UNDEFINED_TABLE: &str = "42P01";
const UNDEFINED_COLUMN: &str = "42703";
const AMBIGUOUS_COLUMN: &str = "42702";
const DUPLICATE_COLUMN: &str = "42701";
const DUPLICATE_ALIAS: &str = "42712";
const UNDEFINED_FUNCTION: &str = "42883";
const UNDEFINED_OBJECT: &str = "42704";
const UNDEFINED_PARAMETER: &str = "42P02";
const PARAMETER_WITHOUT_TYPE: &str = "42P18";
const OTHER_TYPE: &str = "42804";
const NO_CAST: &str = "42846";
const GROUPING: &str = "42803";
const WINDOWING: &str = "42P20";
const COLUMN_NUMBER: &str = "42P10";
const SYNTAX: &str = "42601";
const LIMIT: &str = "2201W";
const OFFSET: &str = "2201X";
const NOT_SUPPORTED: &str = "0A000";
/// syntax_error_or_access_rule_violation: the class of all these.
const WRONG_STATEMENT: &str = "42000";

/// How texts begin that name nothing before.
const BEGINNINGS: [(&str, &str); 57] = [
    ("Table not found: ", UNDEFINED_TABLE),
    ("Invalid qualifier ", UNDEFINED_TABLE),
    ("Invalid function '", UNDEFINED_FUNCTION),
    ("There is no window function named ", UNDEFINED_FUNCTION),
    ("table function '", UNDEFINED_FUNCTION),
    ("Table function '", UNDEFINED_FUNCTION),
    ("Function '", UNDEFINED_FUNCTION),
    ("The function ", UNDEFINED_FUNCTION),
    (
        "Failed to coerce arguments to satisfy a call to ",
        UNDEFINED_FUNCTION,
    ),
    ("Failed to coerce case (", UNDEFINED_FUNCTION),
    ("Failed to coerce types ", UNDEFINED_FUNCTION),
    (
        "Can not find compatible types to compare ",
        UNDEFINED_FUNCTION,
    ),
    (
        "Cannot infer common argument type for logical boolean operation ",
        OTHER_TYPE,
    ),
    ("Cannot infer common ", UNDEFINED_FUNCTION),
    ("Cannot coerce arithmetic expression ", UNDEFINED_FUNCTION),
    ("Cannot get result type for ", UNDEFINED_FUNCTION),
    ("There isn't a common type to coerce ", UNDEFINED_FUNCTION),
    ("Negation only supports ", UNDEFINED_FUNCTION),
    ("Unary operator 'NOT' ", OTHER_TYPE),
    ("Unary operator ", UNDEFINED_FUNCTION),
    ("operator does not exist: ", UNDEFINED_FUNCTION),
    (
        "Cannot create filter with non-boolean predicate ",
        OTHER_TYPE,
    ),
    ("Failed to coerce then (", OTHER_TYPE),
    ("CASE expression 'then' values ", OTHER_TYPE),
    ("Incompatible inputs for Union: ", OTHER_TYPE),
    ("UNION field ", OTHER_TYPE),
    ("Inconsistent data type across values list ", OTHER_TYPE),
    ("Cannot automatically convert ", OTHER_TYPE),
    ("Unsupported CAST from ", NO_CAST),
    ("HAVING clause references: ", GROUPING),
    ("Aggregate functions are not allowed in ", GROUPING),
    ("Aggregate function calls cannot ", GROUPING),
    ("Window function calls cannot be nested", WINDOWING),
    ("Invalid window frame: ", WINDOWING),
    ("RANGE requires exactly one ORDER BY column", WINDOWING),
    ("GROUPS requires an ORDER BY clause", WINDOWING),
    ("Order by column out of bounds", COLUMN_NUMBER),
    ("Order by index starts at 1", COLUMN_NUMBER),
    ("Cannot find column with position ", COLUMN_NUMBER),
    ("For SELECT DISTINCT, ORDER BY expressions ", COLUMN_NUMBER),
    ("SELECT DISTINCT ON expressions must match ", COLUMN_NUMBER),
    ("Source table contains ", COLUMN_NUMBER),
    ("WITH query name ", DUPLICATE_ALIAS),
    ("Unknown placeholder: ", UNDEFINED_PARAMETER),
    ("Invalid placeholder, ", UNDEFINED_PARAMETER),
    ("No value found for placeholder ", UNDEFINED_PARAMETER),
    ("Placeholder type could not be ", PARAMETER_WITHOUT_TYPE),
    ("Inconsistent data length across values list: ", SYNTAX),
    ("UNION queries have different number of columns", SYNTAX),
    ("INTERSECT/EXCEPT query must have the same number ", SYNTAX),
    ("Non-recursive term and recursive term must ", SYNTAX),
    ("SELECT * with no tables specified ", SYNTAX),
    ("Too many columns! The subquery ", SYNTAX),
    ("write one statement", SYNTAX),
    ("LIMIT must be >= 0", LIMIT),
    ("OFFSET must be >=", OFFSET),
    (
        "FILTER clause can only be used with aggregate window functions",
        NOT_SUPPORTED,
    ),
];

/// What stands behind a name in other texts.
const PARTS: [(&str, &str); 14] = [
    (" must be in GROUP BY or an aggregate function: ", GROUPING),
    (" is defined multiple times!", WINDOWING),
    (" is not defined!", UNDEFINED_OBJECT),
    (" require unique expression names ", DUPLICATE_COLUMN),
    (" does not support zero arguments", UNDEFINED_FUNCTION),
    (" does not support type ", UNDEFINED_FUNCTION),
    (" does not support inputs of type ", UNDEFINED_FUNCTION),
    (" can't cast to ", UNDEFINED_FUNCTION),
    (
        "No function matches the given name and argument types ",
        UNDEFINED_FUNCTION,
    ),
    (" must be boolean type, but got ", OTHER_TYPE),
    (" queries have different number of columns", SYNTAX),
    (" should only return one column", SYNTAX),
    (" is not supported", NOT_SUPPORTED),
    (" are not supported", NOT_SUPPORTED),
];

/// The code of a name that is not known, is of several columns, or given twice.
pub(super) fn code_of_name(problem: &SchemaError) -> &'static str {
    match problem {
        SchemaError::AmbiguousReference { .. } => AMBIGUOUS_COLUMN,
        SchemaError::DuplicateQualifiedField { .. } => DUPLICATE_ALIAS,
        SchemaError::DuplicateUnqualifiedField { .. } => DUPLICATE_COLUMN,
        SchemaError::FieldNotFound {
            field,
            valid_fields,
        } if names_no_table(field, valid_fields) => UNDEFINED_TABLE,
        SchemaError::FieldNotFound { .. } => UNDEFINED_COLUMN,
    }
}

/// Whether it is a column of what the statement does not read.
fn names_no_table(field: &Column, known: &[Column]) -> bool {
    let Some(table) = &field.relation else {
        return false;
    };
    let mut tables = known.iter().filter_map(|column| column.relation.as_ref());
    !tables.any(|known| known.table() == table.table())
}

/// The code of a statement that cannot be planned, by what the library says of it.
pub(super) fn code_of_plan(problem: &str) -> &'static str {
    code_of_words(problem).unwrap_or(WRONG_STATEMENT)
}

/// The same, where it may be something else too: `None` then.
pub(super) fn code_of_words(problem: &str) -> Option<&'static str> {
    if problem.starts_with("table '") && problem.ends_with("' not found") {
        return Some(UNDEFINED_TABLE);
    }
    let mut beginnings = BEGINNINGS.iter();
    let begun = beginnings.find(|(beginning, _)| problem.starts_with(beginning));
    let found = begun.or_else(|| PARTS.iter().find(|(part, _)| problem.contains(part)));
    found.map(|(_, code)| *code)
}

#[cfg(test)]
mod tests {
    use datafusion::common::TableReference;

    use super::*;

    #[test]
    fn columns_of_tables_that_are_not_read_are_told_apart() {
        let column = |table: Option<&str>, name: &str| {
            Column::new(
                table.map(|table| TableReference::bare(table.to_owned())),
                name,
            )
        };
        let known = || vec![column(Some("orders"), "id"), column(None, "n")];
        for (table, code) in [
            (None, "42703"),
            (Some("orders"), "42703"),
            (Some("visits"), "42P01"),
        ] {
            let problem = SchemaError::FieldNotFound {
                field: Box::new(column(table, "x")),
                valid_fields: known(),
            };
            assert_eq!(code_of_name(&problem), code, "{table:?}");
        }
    }

    #[test]
    fn what_a_statement_lacks_is_told_apart() {
        for (problem, code) in [
            ("table 'sluice.public.nothing' not found", "42P01"),
            ("table function 'f' not found", "42883"),
            (
                "Cannot infer common argument type for logical boolean operation Int64 AND Int64",
                "42804",
            ),
            (
                "Cannot infer common argument type for comparison operation Int64 = Boolean",
                "42883",
            ),
            ("The window w is not defined!", "42704"),
            ("The window w is defined multiple times!", "42P20"),
            ("TABLESAMPLE is not supported: leave it out", "0A000"),
            ("something else", "42000"),
        ] {
            assert_eq!(code_of_plan(problem), code, "{problem}");
        }
        assert_eq!(code_of_words("a function failed"), None);
    }
}
