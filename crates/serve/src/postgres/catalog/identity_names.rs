//! Identities in statements: named where they are cast to a type of identities,
//! and those of the tables themselves.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    DataType, Expr, Ident, Select, SelectItem, TableFactor, Value, VisitorMut,
};
use sluice_syntax::Part;

use super::exprs::{arguments, call, called, name_of, text, value};
use super::names::{last, plain};
use super::subqueries::parsed;

const FORMAT_TYPE: &str = "format_type";
const TO_REGCLASS: &str = "to_regclass";

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

/// Identities by name, and names by identity: `'item'::regclass`,
/// `to_regtype('int8')`, and an identity cast to text.
pub(super) fn name_identity(expr: &mut Expr) {
    match expr {
        Expr::Function(function) if last(&function.name) == "to_regtype" => {
            let Some(wanted) = arguments(function).next() else {
                return;
            };
            let sql = format!(
                "(SELECT max(known.oid) FROM pg_catalog.pg_type AS known WHERE known.typname = {wanted})"
            );
            if let Some(found) = parsed(&sql) {
                *expr = found;
            }
        }
        Expr::Cast {
            expr: inner,
            data_type,
            ..
        } if namer(data_type) == Some("regclass_name") => {
            if let Expr::Value(found) = &**inner
                && let Value::SingleQuotedString(name) = &found.value
                && name.parse::<u32>().is_err()
            {
                *expr = call(TO_REGCLASS, vec![text(name)]);
            }
        }
        // Functions are known by their names.
        Expr::Cast {
            expr: inner,
            data_type,
            ..
        } if is_function(data_type) => {
            if let Expr::Value(found) = &**inner
                && let Value::SingleQuotedString(name) = &found.value
            {
                let name = name.rsplit('.').next().unwrap_or(name);
                *expr = text(name);
            }
        }
        Expr::Cast {
            expr: inner,
            data_type,
            ..
        } if is_text(data_type) => {
            if called(inner).as_deref() == Some(TO_REGCLASS) {
                *expr = call("regclass_name", vec![(**inner).clone()]);
            } else if let Some(name) = identity(inner) {
                *expr = name;
            }
        }
        _ => {}
    }
}

fn is_function(data_type: &DataType) -> bool {
    matches!(
        &*data_type.to_string().to_lowercase(),
        "regproc" | "pg_catalog.regproc" | "regprocedure" | "pg_catalog.regprocedure"
    )
}

fn is_text(data_type: &DataType) -> bool {
    matches!(
        &*data_type.to_string().to_lowercase(),
        "text" | "pg_catalog.text" | "varchar" | "character varying" | "name"
    )
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
    let _ = select.rewrite(&mut TableIdentities { tables, only });
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
            *expr = call(TO_REGCLASS, vec![text(table)]);
        }
        ControlFlow::Continue(())
    }
}
