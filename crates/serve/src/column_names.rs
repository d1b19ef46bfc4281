//! Names for columns that DataFusion takes for the ones that they are made of.
//!
//! To DataFusion a cast is called as what it casts, and an answer's columns, and
//! what they are ordered by, must have names of their own: it refuses
//! `SELECT t, t AT TIME ZONE 'UTC' FROM v` and `SELECT t::text FROM v ORDER BY t`.
//! Such columns get a name here.

use std::collections::BTreeSet;

use datafusion::sql::sqlparser::ast::{
    Expr, Ident, OrderByKind, Query, SelectItem, SetExpr, Statement,
};

/// Gives those columns of a statement a name. Whether there were any.
pub(crate) fn name_casts(statement: &mut Statement) -> bool {
    let Statement::Query(query) = statement else {
        return false;
    };
    let ordered = ordered_by(query);
    let SetExpr::Select(select) = &mut *query.body else {
        return false;
    };
    let mut taken = ordered;
    for item in &select.projection {
        match item {
            SelectItem::UnnamedExpr(expr) => taken.extend(column_name(expr)),
            SelectItem::ExprWithAlias { alias, .. } => {
                taken.insert(alias.value.clone());
            }
            _ => {}
        }
    }
    let mut is_changed = false;
    for item in &mut select.projection {
        let SelectItem::UnnamedExpr(expr) = item else {
            continue;
        };
        let Some((column, zone)) = cast_column(expr) else {
            continue;
        };
        if taken.insert(column.clone()) {
            continue;
        }
        // As PostgreSQL calls it, or by a number.
        let wanted = if zone {
            "timezone".to_owned()
        } else {
            format!("{column}_2")
        };
        let mut name = wanted.clone();
        let mut number = 2;
        while !taken.insert(name.clone()) {
            number += 1;
            name = format!("{wanted}_{number}");
        }
        *item = SelectItem::ExprWithAlias {
            expr: expr.clone(),
            alias: Ident::with_quote('"', name),
        };
        is_changed = true;
    }
    is_changed
}

/// The name of a plain column.
fn column_name(expr: &Expr) -> Option<String> {
    let ident = match expr {
        Expr::Identifier(ident) => ident,
        Expr::CompoundIdentifier(parts) => parts.last()?,
        Expr::Nested(inner) => return column_name(inner),
        _ => return None,
    };
    Some(match ident.quote_style {
        Some(_) => ident.value.clone(),
        None => ident.value.to_lowercase(),
    })
}

/// The column that a cast casts, and whether it is one to another time zone.
fn cast_column(expr: &Expr) -> Option<(String, bool)> {
    let (inner, zone) = match expr {
        Expr::Cast { expr, .. } => (expr, false),
        Expr::AtTimeZone { timestamp, .. } => (timestamp, true),
        Expr::Nested(inner) => return cast_column(inner),
        _ => return None,
    };
    let column = column_name(inner).or_else(|| Some(cast_column(inner)?.0))?;
    Some((column, zone))
}

/// The columns that an answer is ordered by.
fn ordered_by(query: &Query) -> BTreeSet<String> {
    let Some(OrderByKind::Expressions(order)) = query.order_by.as_ref().map(|order| &order.kind)
    else {
        return BTreeSet::new();
    };
    order
        .iter()
        .filter_map(|by| column_name(&by.expr))
        .collect()
}

#[cfg(test)]
mod tests {
    use crate::mended_sql::mended_text;

    #[test]
    fn casts_that_clash_get_names() {
        for (sql, expected) in [
            (
                "SELECT t, t AT TIME ZONE 'UTC' FROM v",
                "SELECT t, t AT TIME ZONE 'UTC' AS \"timezone\" FROM v",
            ),
            (
                "SELECT t::text FROM v ORDER BY t",
                "SELECT t::TEXT AS \"t_2\" FROM v ORDER BY t",
            ),
            (
                "SELECT CAST(v.t AS DATE), CAST(t AS TEXT), t FROM v",
                "SELECT CAST(v.t AS DATE) AS \"t_2\", CAST(t AS TEXT) AS \"t_2_3\", t FROM v",
            ),
        ] {
            assert_eq!(mended_text(sql).as_deref(), Some(expected), "{sql}");
        }
        for sql in [
            "SELECT t::text FROM v",
            "SELECT t::date, count(*) FROM v GROUP BY 1 ORDER BY 1",
            "SELECT t, t::text AS x FROM v ORDER BY t",
            "SELECT a::text, b::text FROM v ORDER BY c",
            "SHOW time zone",
            "SELECT a:: FROM",
        ] {
            assert_eq!(mended_text(sql), None, "{sql}");
        }
    }
}
