//! Identities in statements: named where they are cast to a type of identities,
//! and those of the tables themselves.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    DataType, Expr, Ident, Select, SelectItem, TableFactor, Value, VisitMut, VisitorMut,
};

use super::exprs::{call, name_of, text, value};
use super::names::{last, plain};

const FORMAT_TYPE: &str = "format_type";

/// The function that names what an identity stands for, by the type to which it
/// is cast.
fn namer(data_type: &DataType) -> Option<&'static str> {
    let name = data_type.to_string().to_lowercase();
    match name.strip_prefix("pg_catalog.").unwrap_or(&name) {
        "regclass" => Some("regclass_name"),
        "regtype" => Some(FORMAT_TYPE),
        "regnamespace" => Some("regnamespace_name"),
        "regrole" => Some("regrole_name"),
        _ => None,
    }
}

/// The name of an identity that is not written down, where it is cast to a type
/// of identities.
pub(super) fn identity(expr: &Expr) -> Option<Expr> {
    let Expr::Cast {
        expr: inner,
        data_type,
        ..
    } = expr
    else {
        return None;
    };
    let is_written = match &**inner {
        Expr::Value(found) => !matches!(&found.value, Value::Number(..)),
        _ => false,
    };
    let namer = namer(data_type).filter(|_| !is_written)?;
    let mut arguments = vec![(**inner).clone()];
    if namer == FORMAT_TYPE {
        // No length, no precision.
        arguments.push(value(Value::Number("-1".to_owned(), false)));
    }
    Some(call(namer, arguments))
}

/// An identity cast to text is a name.
pub(super) fn name_identity(expr: &mut Expr) {
    if let Expr::Cast {
        expr: inner,
        data_type,
        ..
    } = expr
        && matches!(
            &*data_type.to_string().to_lowercase(),
            "text" | "pg_catalog.text" | "varchar" | "character varying" | "name"
        )
        && let Some(name) = identity(inner)
    {
        *expr = name;
    }
}

/// `tableoid`: the identity of the table in which a row is.
pub(super) fn find_table_identities(select: &mut Select) {
    let mut tables = BTreeMap::new();
    let joined = select.from.iter().flat_map(|tables| {
        let joins = tables.joins.iter().map(|join| &join.relation);
        std::iter::once(&tables.relation).chain(joins)
    });
    for factor in joined {
        if let TableFactor::Table {
            name,
            alias,
            args: None,
            ..
        } = factor
        {
            let known = alias
                .as_ref()
                .map_or_else(|| last(name), |alias| plain(&alias.name));
            tables.insert(known, name.to_string());
        }
    }
    let only = match tables.len() {
        1 => tables.values().next().cloned(),
        _ => None,
    };
    let _ = VisitMut::visit(select, &mut TableIdentities { tables, only });
}

struct TableIdentities {
    tables: BTreeMap<String, String>,
    only: Option<String>,
}

impl VisitorMut for TableIdentities {
    type Break = ();

    fn pre_visit_select(&mut self, select: &mut Select) -> ControlFlow<()> {
        for item in &mut select.projection {
            if let SelectItem::UnnamedExpr(expr) = item
                && name_of(expr) == "tableoid"
            {
                *item = SelectItem::ExprWithAlias {
                    expr: expr.clone(),
                    alias: Ident::new("tableoid"),
                };
            }
        }
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        let table = match expr {
            Expr::CompoundIdentifier(parts) => match &parts[..] {
                [table, column] if plain(column) == "tableoid" => self.tables.get(&plain(table)),
                _ => None,
            },
            Expr::Identifier(column) if plain(column) == "tableoid" => self.only.as_ref(),
            _ => None,
        };
        if let Some(table) = table {
            *expr = call("to_regclass", vec![text(table)]);
        }
        ControlFlow::Continue(())
    }
}
