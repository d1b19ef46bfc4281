//! Calls by names that PostgreSQL has and the library has not, in the library's words.
//!
//! | call | becomes |
//! |---|---|
//! | `mod(a, b)` | `(a % b)` |
//! | `ceiling(x)`, `sign(x)` | `ceil(x)`, `signum(x)` |
//! | `every(x)`, `variance(x)` | `bool_and(x)`, `var_samp(x)` |

use datafusion::sql::sqlparser::ast::{
    BinaryOperator, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArgumentList,
    FunctionArguments, Ident, ObjectName,
};

/// The names, by which it is known that a text has no such call.
pub const OTHER_NAMES: [&str; 5] = ["mod", "ceiling", "sign", "every", "variance"];

/// Names that are those of other functions.
const RENAMED: [(&str, &str); 4] = [
    ("ceiling", "ceil"),
    ("sign", "signum"),
    ("every", "bool_and"),
    ("variance", "var_samp"),
];

/// The same in such words; `None` for all other calls.
pub(crate) fn by_known_name(call: &Function) -> Option<Expr> {
    let [name] = &call.name.0[..] else {
        return None;
    };
    let written = name.as_ident()?;
    let name = match written.quote_style {
        Some(_) => written.value.clone(),
        None => written.value.to_lowercase(),
    };
    if name == "mod" {
        return remainder(call);
    }
    let (_, known) = RENAMED.iter().find(|(other, _)| *other == name)?;
    let mut call = call.clone();
    // It stays where it is in the text.
    let ident = Ident::with_span(written.span, *known);
    call.name = ObjectName::from(vec![ident]);
    Some(Expr::Function(call))
}

fn remainder(call: &Function) -> Option<Expr> {
    let FunctionArguments::List(FunctionArgumentList {
        duplicate_treatment: None,
        args,
        clauses,
    }) = &call.args
    else {
        return None;
    };
    let is_plain = clauses.is_empty() && call.filter.is_none() && call.over.is_none();
    let [
        FunctionArg::Unnamed(FunctionArgExpr::Expr(left)),
        FunctionArg::Unnamed(FunctionArgExpr::Expr(right)),
    ] = &args[..]
    else {
        return None;
    };
    let remainder = Expr::BinaryOp {
        left: Box::new(alone(left)),
        op: BinaryOperator::Modulo,
        right: Box::new(alone(right)),
    };
    is_plain.then(|| Expr::Nested(Box::new(remainder)))
}

/// In brackets, unless nothing beside it could be taken for a part of it.
fn alone(operand: &Expr) -> Expr {
    match operand {
        Expr::Identifier(_)
        | Expr::CompoundIdentifier(_)
        | Expr::Function(_)
        | Expr::Nested(_)
        | Expr::Value(_) => operand.clone(),
        other => Expr::Nested(Box::new(other.clone())),
    }
}

#[cfg(test)]
mod tests {
    use datafusion::sql::sqlparser::parser::Parser;

    use crate::{MODELS, QUERIES, bracket_misread};

    #[test]
    fn calls_have_names_that_the_library_knows() {
        for (sql, expected) in [
            (
                "SELECT mod(a, 3), MOD(a - 1, mod(b, -c)) FROM t",
                Some("SELECT (a % 3), ((a - 1) % (b % (-c))) FROM t"),
            ),
            (
                "SELECT sign(a), ceiling(a / 2.5) FROM t WHERE sign(b) > 0",
                Some("SELECT signum(a), ceil(a / 2.5) FROM t WHERE signum(b) > 0"),
            ),
            (
                "SELECT EVERY(a > 1) FILTER (WHERE b), variance(DISTINCT a) OVER (PARTITION BY b) FROM t",
                Some(
                    "SELECT bool_and(a > 1) FILTER (WHERE b), var_samp(DISTINCT a) OVER (PARTITION BY b) FROM t",
                ),
            ),
            ("SELECT mod(a), mod, sign, \"Sign\"(a) FROM t", None),
        ] {
            for dialect in [QUERIES, MODELS] {
                let mut statement = Parser::parse_sql(&dialect, sql).unwrap().remove(0);
                assert_eq!(bracket_misread(&mut statement), expected.is_some());
                assert_eq!(statement.to_string(), expected.unwrap_or(sql));
            }
        }
    }
}
