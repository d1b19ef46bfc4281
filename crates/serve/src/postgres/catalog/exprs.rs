//! Expressions of SQL: what they are, and how some are made.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    AccessExpr, BinaryOperator, CastKind, DataType, Expr, Function, FunctionArg, FunctionArgExpr,
    FunctionArgumentList, FunctionArguments, Ident, ObjectName, Query, SelectItem, SetExpr,
    UnaryOperator, Value, ValueWithSpan, Visitor,
};
use sluice_syntax::Part;

use super::names::{last, plain};

/// Functions that make one row of many.
const AGGREGATES: [&str; 15] = [
    "array_agg",
    "avg",
    "bit_and",
    "bit_or",
    "bool_and",
    "bool_or",
    "count",
    "every",
    "json_agg",
    "json_object_agg",
    "jsonb_agg",
    "max",
    "min",
    "string_agg",
    "sum",
];
/// Functions that make several rows of one, or several columns.
const SEVERAL: [&str; 7] = [
    "_pg_expandarray",
    "aclexplode",
    "generate_subscripts",
    "json_build_object",
    "pg_get_publication_tables",
    "pg_options_to_table",
    "unnest",
];

/// The function that gives its argument: the library takes a bare subquery of
/// the answer for one that it cannot answer.
pub(super) const ONE_VALUE: &str = "one_value";
/// The function that gives an empty list for no list.
pub(super) const LIST_OR_EMPTY: &str = "list_or_empty";
/// The function that gives an empty list of texts.
pub(super) const NO_TEXTS: &str = "no_texts";
/// Functions that stand for their argument, and leave it its name.
const STANDS_FOR: [&str; 4] = [
    ONE_VALUE,
    "regclass_name",
    "regnamespace_name",
    "regrole_name",
];

/// Whether an expression has another name than PostgreSQL gives it.
pub(super) fn is_renamed(expr: &Expr) -> bool {
    called(expr).is_some_and(|name| {
        STANDS_FOR.contains(&&*name) || name == LIST_OR_EMPTY || name == NO_TEXTS
    })
}

/// A call of a function.
pub(super) fn call(name: &str, arguments: Vec<Expr>) -> Expr {
    let arguments = arguments
        .into_iter()
        .map(|argument| FunctionArg::Unnamed(FunctionArgExpr::Expr(argument)));
    Expr::Function(Function {
        name: ObjectName::from(vec![Ident::new(name)]),
        uses_odbc_syntax: false,
        parameters: FunctionArguments::None,
        args: FunctionArguments::List(FunctionArgumentList {
            duplicate_treatment: None,
            args: arguments.collect(),
            clauses: Vec::new(),
        }),
        filter: None,
        null_treatment: None,
        over: None,
        within_group: Vec::new(),
    })
}

pub(super) fn value(value: Value) -> Expr {
    Expr::Value(ValueWithSpan::from(value))
}

pub(super) fn text(text: &str) -> Expr {
    value(Value::SingleQuotedString(text.to_owned()))
}

pub(super) fn boolean(is_true: bool) -> Expr {
    value(Value::Boolean(is_true))
}

pub(super) fn both(left: Expr, right: Expr) -> Expr {
    Expr::BinaryOp {
        left: Box::new(left),
        op: BinaryOperator::And,
        right: Box::new(right),
    }
}

/// A condition, in parentheses where it is more than one value.
pub(super) fn nested(expr: Expr) -> Expr {
    match expr {
        Expr::Value(_) | Expr::Nested(_) | Expr::Function(_) => expr,
        other => Expr::Nested(Box::new(other)),
    }
}

/// The parts of a condition that must all be true.
pub(super) fn conjuncts(condition: Expr) -> Vec<Expr> {
    match condition {
        Expr::BinaryOp {
            left,
            op: BinaryOperator::And,
            right,
        } => {
            let mut parts = conjuncts(*left);
            parts.extend(conjuncts(*right));
            parts
        }
        Expr::Nested(inner)
            if matches!(
                *inner,
                Expr::BinaryOp {
                    op: BinaryOperator::And,
                    ..
                }
            ) =>
        {
            conjuncts(*inner)
        }
        other => vec![other],
    }
}

/// Whether a condition can never be true, by its looks.
pub(super) fn is_never(condition: &Expr) -> bool {
    match condition {
        Expr::Value(found) => found.value == Value::Boolean(false),
        Expr::Nested(inner) => is_never(inner),
        Expr::BinaryOp {
            left,
            op: BinaryOperator::And,
            right,
        } => is_never(left) || is_never(right),
        _ => false,
    }
}

/// The name of a function that is called.
pub(super) fn called(expr: &Expr) -> Option<String> {
    match expr {
        Expr::Function(function) => Some(last(&function.name)),
        _ => None,
    }
}

/// Whether it makes one row of many; subqueries have rows of their own.
pub(super) fn is_aggregate(expr: &Expr) -> bool {
    match expr {
        Expr::Subquery(_) | Expr::Exists { .. } | Expr::InSubquery { .. } => false,
        Expr::Function(function) => {
            let is_own = AGGREGATES.contains(&&*last(&function.name)) && function.over.is_none();
            is_own || arguments(function).any(is_aggregate)
        }
        Expr::Nested(inner)
        | Expr::Cast { expr: inner, .. }
        | Expr::UnaryOp { expr: inner, .. } => is_aggregate(inner),
        Expr::BinaryOp { left, right, .. } => is_aggregate(left) || is_aggregate(right),
        Expr::IsNull(inner) | Expr::IsNotNull(inner) => is_aggregate(inner),
        Expr::CompoundFieldAccess { root, .. } => is_aggregate(root),
        Expr::Case {
            conditions,
            else_result,
            ..
        } => {
            conditions
                .iter()
                .any(|when| is_aggregate(&when.condition) || is_aggregate(&when.result))
                || else_result.as_deref().is_some_and(is_aggregate)
        }
        _ => false,
    }
}

/// The arguments of a function.
pub(super) fn arguments(function: &Function) -> impl Iterator<Item = &Expr> {
    let list = match &function.args {
        FunctionArguments::List(list) => &list.args[..],
        _ => &[],
    };
    list.iter().filter_map(|argument| match argument {
        FunctionArg::Unnamed(FunctionArgExpr::Expr(expr))
        | FunctionArg::Named {
            arg: FunctionArgExpr::Expr(expr),
            ..
        } => Some(expr),
        _ => None,
    })
}

/// Whether DataFusion may fail to plan it, though there is no row to compute it
/// for.
pub(super) fn is_hard(expr: &Expr) -> bool {
    expr.has_expression(&mut |part| {
        matches!(
            part,
            Expr::CompoundFieldAccess { .. }
                | Expr::Subquery(_)
                | Expr::InSubquery { .. }
                | Expr::Exists { .. }
                | Expr::AnyOp { .. }
                | Expr::AllOp { .. }
        ) || called(part).is_some_and(|name| SEVERAL.contains(&&*name) || name == "array")
    })
}

/// The name that PostgreSQL gives to a column of the answer.
pub(super) fn name_of(expr: &Expr) -> String {
    let unknown = || "?column?".to_owned();
    match expr {
        Expr::Identifier(ident) => plain(ident),
        Expr::CompoundIdentifier(parts) => parts.last().map_or_else(unknown, plain),
        Expr::Function(function) => match &*last(&function.name) {
            LIST_OR_EMPTY | NO_TEXTS => "array".to_owned(),
            name if STANDS_FOR.contains(&name) => {
                arguments(function).next().map_or_else(unknown, name_of)
            }
            name => name.to_owned(),
        },
        Expr::Nested(inner) => name_of(inner),
        Expr::Cast {
            expr, data_type, ..
        } => match &**expr {
            Expr::Value(_) => {
                let name = data_type.to_string().to_lowercase();
                name.rsplit('.').next().unwrap_or_default().to_owned()
            }
            other => name_of(other),
        },
        Expr::Case { .. } => "case".to_owned(),
        Expr::Exists { .. } => "exists".to_owned(),
        Expr::Subquery(query) => only_item(query).map_or_else(unknown, |item| match item {
            SelectItem::ExprWithAlias { alias, .. } => plain(alias),
            SelectItem::UnnamedExpr(expr) => name_of(expr),
            _ => unknown(),
        }),
        Expr::CompoundFieldAccess { root, access_chain } => match access_chain.last() {
            Some(AccessExpr::Dot(field)) => name_of(field),
            _ => name_of(root),
        },
        _ => unknown(),
    }
}

/// The only column of a query that is one SELECT.
pub(super) fn only_item(query: &Query) -> Option<&SelectItem> {
    match &*query.body {
        SetExpr::Select(select) => match &select.projection[..] {
            [item] => Some(item),
            _ => None,
        },
        SetExpr::Query(query) => only_item(query),
        _ => None,
    }
}

/// No value, of the type that the expression would have as far as its looks tell.
pub(super) fn null_like(expr: &Expr) -> Expr {
    Expr::Cast {
        kind: CastKind::Cast,
        expr: Box::new(value(Value::Null)),
        data_type: type_of(expr),
        array: false,
        format: None,
    }
}

fn type_of(expr: &Expr) -> DataType {
    use BinaryOperator as Op;
    match expr {
        Expr::Cast { data_type, .. } => match data_type.to_string().to_lowercase() {
            name if name.contains("int") || name.starts_with("reg") => DataType::BigInt(None),
            name if name.contains("oid") => DataType::BigInt(None),
            name if name.contains("bool") => DataType::Boolean,
            _ => DataType::Text,
        },
        Expr::Nested(inner) => type_of(inner),
        Expr::IsNull(_)
        | Expr::IsNotNull(_)
        | Expr::InList { .. }
        | Expr::InSubquery { .. }
        | Expr::Exists { .. }
        | Expr::AnyOp { .. }
        | Expr::AllOp { .. }
        | Expr::UnaryOp {
            op: UnaryOperator::Not,
            ..
        } => DataType::Boolean,
        Expr::BinaryOp { op, .. } => match op {
            Op::And | Op::Or | Op::Eq | Op::NotEq | Op::Lt | Op::LtEq | Op::Gt | Op::GtEq => {
                DataType::Boolean
            }
            Op::Plus | Op::Minus | Op::Multiply | Op::BitwiseAnd => DataType::BigInt(None),
            _ => DataType::Text,
        },
        Expr::CompoundFieldAccess { .. } => DataType::BigInt(None),
        Expr::Function(function) => match &*last(&function.name) {
            "unnest" | "generate_subscripts" | "array_length" | "array_position" | "count" => {
                DataType::BigInt(None)
            }
            _ => DataType::Text,
        },
        Expr::Case { conditions, .. } => conditions
            .first()
            .map_or(DataType::Text, |when| type_of(&when.result)),
        Expr::Subquery(query) => match only_item(query) {
            Some(SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. }) => {
                type_of(expr)
            }
            _ => DataType::Text,
        },
        _ => DataType::Text,
    }
}

struct Placeholders<'a>(&'a mut Vec<String>);

impl Visitor for Placeholders<'_> {
    type Break = ();

    fn pre_visit_value(&mut self, value: &ValueWithSpan) -> ControlFlow<()> {
        if let Value::Placeholder(name) = &value.value
            && !self.0.contains(name)
        {
            self.0.push(name.clone());
        }
        ControlFlow::Continue(())
    }
}

/// Adds the parameters (`$1`) of what is given.
pub(super) fn add_placeholders(whole: &impl Part, names: &mut Vec<String>) {
    let _ = whole.read(&mut Placeholders(names));
}

/// A condition that is true, false or unknown, and mentions the parameters.
pub(super) fn mention(names: &[String]) -> Option<Expr> {
    let mentions = names
        .iter()
        .map(|name| Expr::IsNull(Box::new(value(Value::Placeholder(name.clone())))));
    mentions.reduce(both)
}
