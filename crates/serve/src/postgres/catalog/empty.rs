//! SELECTs that have no rows, because they ask for what is never here: they are
//! made so simple that DataFusion plans them.

use datafusion::sql::sqlparser::ast::helpers::attached_token::AttachedToken;
use datafusion::sql::sqlparser::ast::{
    CaseWhen, Expr, GroupByExpr, Ident, JoinConstraint, JoinOperator, Query, Select, SelectItem,
    SetExpr, SetOperator, TableAlias, TableFactor, TableWithJoins,
};
use sluice_syntax::Part;

use super::exprs::{
    add_placeholders, boolean, both, conjuncts, is_aggregate, is_hard, is_never, mention, name_of,
    nested, null_like,
};
use super::names::{is_empty_table, is_valueless, last, plain};

/// Whether a query has no rows, by its looks.
pub(super) fn is_empty_query(query: &Query) -> bool {
    is_empty_body(&query.body)
}

fn is_empty_body(body: &SetExpr) -> bool {
    match body {
        SetExpr::Select(select) => is_empty_select(select),
        SetExpr::Query(query) => is_empty_query(query),
        SetExpr::SetOperation {
            left, op, right, ..
        } => match op {
            SetOperator::Union => is_empty_body(left) && is_empty_body(right),
            SetOperator::Intersect => is_empty_body(left) || is_empty_body(right),
            _ => is_empty_body(left),
        },
        _ => false,
    }
}

/// Whether a SELECT has no rows, by its looks.
pub(super) fn is_empty_select(select: &Select) -> bool {
    let has_input =
        !select.selection.as_ref().is_some_and(is_never) && !is_empty_from(&select.from);
    !has_input && (is_grouped(select) || !select.projection.iter().any(is_aggregate_item))
}

fn is_grouped(select: &Select) -> bool {
    match &select.group_by {
        GroupByExpr::All(_) => true,
        GroupByExpr::Expressions(expressions, _) => !expressions.is_empty(),
    }
}

fn is_aggregate_item(item: &SelectItem) -> bool {
    match item {
        SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } => {
            is_aggregate(expr)
        }
        _ => false,
    }
}

fn is_empty_from(from: &[TableWithJoins]) -> bool {
    from.iter().any(is_empty_join)
}

fn is_empty_join(tables: &TableWithJoins) -> bool {
    let mut is_empty = is_empty_factor(&tables.relation);
    for join in &tables.joins {
        let is_right_empty = is_empty_factor(&join.relation);
        is_empty = match &join.join_operator {
            JoinOperator::Join(_)
            | JoinOperator::Inner(_)
            | JoinOperator::CrossJoin(_)
            | JoinOperator::Semi(_)
            | JoinOperator::LeftSemi(_)
            | JoinOperator::StraightJoin(_)
            | JoinOperator::CrossApply => is_empty || is_right_empty,
            JoinOperator::Right(_) | JoinOperator::RightOuter(_) => is_right_empty,
            JoinOperator::FullOuter(_) => is_empty && is_right_empty,
            JoinOperator::Left(_) | JoinOperator::LeftOuter(_) | JoinOperator::OuterApply => {
                is_empty
            }
            _ => false,
        };
    }
    is_empty
}

fn is_empty_factor(factor: &TableFactor) -> bool {
    match factor {
        TableFactor::Table {
            name, args: None, ..
        } => is_empty_table(name),
        TableFactor::Table {
            name,
            args: Some(arguments),
            ..
        } => {
            matches!(
                &*last(name),
                "unnest" | "aclexplode" | "pg_options_to_table"
            ) && arguments.args.has_expression(&mut is_valueless_column)
                && !arguments
                    .args
                    .has_expression(&mut |part| matches!(part, Expr::Function(_)))
        }
        TableFactor::UNNEST { array_exprs, .. } => {
            matches!(&array_exprs[..], [array] if is_valueless_column(array))
        }
        TableFactor::Derived { subquery, .. } => is_empty_query(subquery),
        TableFactor::NestedJoin {
            table_with_joins, ..
        } => is_empty_join(table_with_joins),
        _ => false,
    }
}

fn is_valueless_column(expr: &Expr) -> bool {
    match expr {
        Expr::Identifier(name) => is_valueless(&name.value),
        Expr::CompoundIdentifier(parts) => {
            parts.last().is_some_and(|name| is_valueless(&name.value))
        }
        _ => false,
    }
}

/// Makes a SELECT without rows simple: what DataFusion may not plan has no value,
/// and functions in FROM are left out. Its parameters stay.
pub(super) fn simplify(select: &mut Select) {
    let mut gone = Vec::new();
    let mut parameters = Vec::new();
    select
        .from
        .retain_mut(|tables| keep_tables(tables, &mut gone, &mut parameters));
    let is_lost = |expr: &Expr| {
        is_hard(expr)
            || expr.has_expression(&mut |part| match part {
                Expr::Identifier(name) => gone.contains(&plain(name)),
                Expr::CompoundIdentifier(parts) => parts
                    .first()
                    .is_some_and(|name| gone.contains(&plain(name))),
                _ => false,
            })
    };
    for item in &mut select.projection {
        match item {
            SelectItem::UnnamedExpr(expr) if is_lost(expr) => {
                add_placeholders(expr, &mut parameters);
                *item = SelectItem::ExprWithAlias {
                    alias: Ident::with_quote('"', name_of(expr)),
                    expr: null_like(expr),
                };
            }
            SelectItem::ExprWithAlias { expr, .. } if is_lost(expr) => {
                add_placeholders(expr, &mut parameters);
                *expr = null_like(expr);
            }
            _ => {}
        }
    }
    let mut condition = boolean(false);
    for part in select.selection.take().into_iter().flat_map(conjuncts) {
        match is_lost(&part) {
            true => add_placeholders(&part, &mut parameters),
            false if is_never(&part) => {}
            false => condition = both(condition, nested(part)),
        }
    }
    if let Some(mention) = mention(&parameters) {
        condition = both(condition, mention);
    }
    select.selection = Some(condition);
}

/// Whether the tables stay; notes the names of what goes, and its parameters.
fn keep_tables(
    tables: &mut TableWithJoins,
    gone: &mut Vec<String>,
    parameters: &mut Vec<String>,
) -> bool {
    let mut joins = std::mem::take(&mut tables.joins);
    joins.retain_mut(|join| {
        let is_kept = is_plain(&join.relation);
        match is_kept {
            true => simplify_join(&mut join.join_operator, parameters),
            false => add_names(&join.relation, gone),
        }
        is_kept
    });
    if !is_plain(&tables.relation) {
        add_names(&tables.relation, gone);
        let Some(first) = (!joins.is_empty()).then(|| joins.remove(0)) else {
            return false;
        };
        tables.relation = first.relation;
    }
    tables.joins = joins;
    true
}

fn is_plain(factor: &TableFactor) -> bool {
    match factor {
        TableFactor::Table { args, .. } => args.is_none(),
        TableFactor::Derived { lateral, .. } => !lateral,
        TableFactor::NestedJoin { .. } => true,
        _ => false,
    }
}

fn add_names(factor: &TableFactor, gone: &mut Vec<String>) {
    let (alias, name): (&Option<TableAlias>, _) = match factor {
        TableFactor::Table { alias, name, .. } | TableFactor::Function { alias, name, .. } => {
            (alias, Some(last(name)))
        }
        TableFactor::Derived { alias, .. }
        | TableFactor::UNNEST { alias, .. }
        | TableFactor::TableFunction { alias, .. } => (alias, None),
        _ => return,
    };
    gone.extend(name);
    if let Some(alias) = alias {
        gone.push(plain(&alias.name));
        gone.extend(alias.columns.iter().map(|column| plain(&column.name)));
    }
}

fn simplify_join(operator: &mut JoinOperator, parameters: &mut Vec<String>) {
    let constraint = match operator {
        JoinOperator::Join(constraint)
        | JoinOperator::Inner(constraint)
        | JoinOperator::Left(constraint)
        | JoinOperator::LeftOuter(constraint)
        | JoinOperator::Right(constraint)
        | JoinOperator::RightOuter(constraint)
        | JoinOperator::FullOuter(constraint) => constraint,
        _ => return,
    };
    if let JoinConstraint::On(condition) = constraint
        && is_hard(condition)
    {
        add_placeholders(condition, parameters);
        *condition = boolean(true);
    }
}

/// The value of a subquery without rows; `None` for an expression that is no such
/// subquery.
pub(super) fn value_of_nothing(expr: &Expr) -> Option<Expr> {
    let (query, found) = match expr {
        Expr::Exists { subquery, negated }
        | Expr::InSubquery {
            subquery, negated, ..
        } => (subquery, boolean(*negated)),
        Expr::Subquery(query) => (query, null_like(expr)),
        _ => return None,
    };
    if !is_empty_query(query) {
        return None;
    }
    let mut parameters = Vec::new();
    add_placeholders(expr, &mut parameters);
    Some(match mention(&parameters) {
        // A parameter must be there, whatever it is.
        Some(condition) => Expr::Case {
            case_token: AttachedToken::empty(),
            end_token: AttachedToken::empty(),
            operand: None,
            conditions: vec![CaseWhen {
                condition,
                result: found.clone(),
            }],
            else_result: Some(Box::new(found)),
        },
        None => found,
    })
}
