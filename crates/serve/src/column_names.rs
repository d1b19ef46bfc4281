//! Names for columns that DataFusion takes for the ones that they are made of.
//!
//! To DataFusion a cast is called as what it casts, and an answer's columns, and
//! what they are ordered by, must have names of their own: it refuses
//! `SELECT t, t AT TIME ZONE 'UTC' FROM v` and `SELECT t::text FROM v ORDER BY t`.
//! Such columns get a name here: the one that PostgreSQL gives them, unless that
//! is taken.

use std::collections::{BTreeMap, BTreeSet};

use datafusion::sql::sqlparser::ast::{
    CopySource, Expr, Ident, OrderByKind, Query, SelectItem, SetExpr, Statement,
};

/// Gives those columns of a statement, or of the query that it explains, copies,
/// or opens, a name. Whether there were any.
pub(crate) fn name_casts(statement: &mut Statement) -> bool {
    let queries = queries_of(statement);
    queries
        .into_iter()
        .fold(false, |changed, query| name_casts_of(query) | changed)
}

/// The queries whose answers a statement gives, explains, copies or opens.
pub(crate) fn queries_of(statement: &mut Statement) -> Vec<&mut Query> {
    match statement {
        Statement::Query(query) => vec![query],
        Statement::Explain { statement, .. } => queries_of(statement),
        Statement::Copy {
            source: CopySource::Query(query),
            ..
        } => vec![query],
        Statement::Declare { stmts } => stmts
            .iter_mut()
            .filter_map(|declared| declared.for_query.as_deref_mut())
            .collect(),
        _ => Vec::new(),
    }
}

fn name_casts_of(query: &mut Query) -> bool {
    let ordered = Ordered::by(query);
    let SetExpr::Select(select) = &mut *query.body else {
        return false;
    };
    let mut taken = ordered.columns;
    // It may stand for any column, of any table.
    let mut has_wildcard = false;
    for item in &select.projection {
        match item {
            SelectItem::UnnamedExpr(expr) => taken.extend(column_name(expr)),
            SelectItem::ExprWithAlias { alias, .. } => {
                taken.insert(alias.value.clone());
            }
            SelectItem::Wildcard(_) | SelectItem::QualifiedWildcard(..) => has_wildcard = true,
            SelectItem::ExprWithAliases { .. } => {}
        }
    }
    let mut numbers = BTreeMap::new();
    let mut is_changed = false;
    for item in &mut select.projection {
        let SelectItem::UnnamedExpr(expr) = item else {
            continue;
        };
        let Some(cast) = Cast::of(expr) else {
            continue;
        };
        let is_taken = has_wildcard || taken.contains(&cast.column);
        let name = match (is_taken, ordered.names.contains(&cast.column)) {
            (false, false) => {
                taken.insert(cast.column);
                continue;
            }
            // The order is that of the answer's column, which has the name of
            // what it casts.
            (false, true) if !cast.has_zone => cast.column,
            _ => cast.other_name(&taken, &mut numbers),
        };
        taken.insert(name.clone());
        *item = SelectItem::ExprWithAlias {
            expr: expr.clone(),
            alias: Ident::with_quote('"', name),
        };
        is_changed = true;
    }
    is_changed
}

pub(crate) fn plain(ident: &Ident) -> String {
    match ident.quote_style {
        Some(_) => ident.value.clone(),
        None => ident.value.to_lowercase(),
    }
}

/// A plain column, and whether its table is said.
fn column(expr: &Expr) -> Option<(bool, &Ident)> {
    match expr {
        Expr::Identifier(ident) => Some((false, ident)),
        Expr::CompoundIdentifier(parts) => parts.last().map(|ident| (true, ident)),
        Expr::Nested(inner) => column(inner),
        _ => None,
    }
}

/// The name of a plain column.
pub(crate) fn column_name(expr: &Expr) -> Option<String> {
    column(expr).map(|(_, ident)| plain(ident))
}

/// What a cast casts.
pub(crate) struct Cast {
    pub(crate) column: String,
    /// Whether it is one to another time zone, or made of such a one.
    has_zone: bool,
}

impl Cast {
    pub(crate) fn of(expr: &Expr) -> Option<Self> {
        let (inner, has_zone) = match expr {
            Expr::Cast { expr, .. } => (expr, false),
            Expr::AtTimeZone { timestamp, .. } => (timestamp, true),
            Expr::Nested(inner) => return Self::of(inner),
            _ => return None,
        };
        let mut cast = match column(inner) {
            Some((_, column)) => Self {
                column: plain(column),
                has_zone: false,
            },
            None => Self::of(inner)?,
        };
        cast.has_zone |= has_zone;
        Some(cast)
    }

    /// As PostgreSQL calls it.
    pub(crate) fn name(self) -> String {
        match self.has_zone {
            true => "timezone".to_owned(),
            false => self.column,
        }
    }

    /// As PostgreSQL calls it, or by a number: `numbers` has the last one of each
    /// name, before which all are taken.
    fn other_name(
        &self,
        taken: &BTreeSet<String>,
        numbers: &mut BTreeMap<String, usize>,
    ) -> String {
        let wanted = match self.has_zone {
            true => "timezone".to_owned(),
            false => format!("{}_2", self.column),
        };
        free_name(wanted, 2, taken, numbers)
    }
}

/// The name that is wanted, or it with the next number that is free: `numbers` has the
/// last one of each name, before which all are taken; the first is behind `number`.
pub(crate) fn free_name(
    wanted: String,
    number: usize,
    taken: &BTreeSet<String>,
    numbers: &mut BTreeMap<String, usize>,
) -> String {
    if !taken.contains(&wanted) {
        return wanted;
    }
    let number = numbers.entry(wanted.clone()).or_insert(number);
    loop {
        *number += 1;
        let name = format!("{wanted}_{number}");
        if !taken.contains(&name) {
            return name;
        }
    }
}

/// What an answer is ordered by.
#[derive(Default)]
struct Ordered {
    /// Names, which are those of the answer's columns where it has such ones.
    names: BTreeSet<String>,
    /// Columns of tables that are named too.
    columns: BTreeSet<String>,
}

impl Ordered {
    fn by(query: &Query) -> Self {
        let mut ordered = Self::default();
        let Some(OrderByKind::Expressions(order)) =
            query.order_by.as_ref().map(|order| &order.kind)
        else {
            return ordered;
        };
        for by in order {
            match column(&by.expr) {
                Some((true, ident)) => ordered.columns.insert(plain(ident)),
                Some((false, ident)) => ordered.names.insert(plain(ident)),
                None => false,
            };
        }
        ordered
    }
}

#[cfg(test)]
mod tests {
    use crate::mended_sql::mended_text;

    #[test]
    fn many_names_take_no_longer_than_few() {
        let sql = format!("SELECT t{} FROM v", ", CAST(t AS TEXT)".repeat(20_000));
        let named = mended_text(&sql).unwrap().unwrap();
        let first = "SELECT t, CAST(t AS TEXT) AS \"t_2\", CAST(t AS TEXT) AS \"t_2_3\", ";
        assert!(named.starts_with(first), "{named:.100}");
        assert!(named.ends_with(" AS \"t_2_20001\" FROM v"), "{named:.100}");
    }

    #[test]
    fn casts_that_clash_get_names() {
        for (sql, expected) in [
            (
                "SELECT t, t AT TIME ZONE 'UTC' FROM v",
                "SELECT t, t AT TIME ZONE 'UTC' AS \"timezone\" FROM v",
            ),
            (
                "SELECT t::text FROM v ORDER BY t",
                "SELECT t::TEXT AS \"t\" FROM v ORDER BY t",
            ),
            (
                "SELECT t::text FROM v ORDER BY v.t",
                "SELECT t::TEXT AS \"t_2\" FROM v ORDER BY v.t",
            ),
            (
                "SELECT t, t::text FROM v ORDER BY t",
                "SELECT t, t::TEXT AS \"t_2\" FROM v ORDER BY t",
            ),
            (
                "SELECT (t AT TIME ZONE 'UTC')::date FROM v ORDER BY t",
                "SELECT (t AT TIME ZONE 'UTC')::DATE AS \"timezone\" FROM v ORDER BY t",
            ),
            (
                "SELECT *, t::date FROM v",
                "SELECT *, t::DATE AS \"t_2\" FROM v",
            ),
            (
                "SELECT v.*, w.t::date FROM v, w",
                "SELECT v.*, w.t::DATE AS \"t_2\" FROM v, w",
            ),
            (
                "EXPLAIN SELECT t, t::text FROM v",
                "EXPLAIN SELECT t, t::TEXT AS \"t_2\" FROM v",
            ),
            (
                "COPY (SELECT t, t::text FROM v) TO STDOUT (FORMAT CSV, HEADER)",
                "COPY (SELECT t, t::TEXT AS \"t_2\" FROM v) TO STDOUT (FORMAT CSV, HEADER)",
            ),
            (
                "DECLARE c NO SCROLL CURSOR WITHOUT HOLD FOR SELECT t, t::text FROM v",
                "DECLARE c NO SCROLL CURSOR WITHOUT HOLD FOR SELECT t, t::TEXT AS \"t_2\" FROM v",
            ),
            (
                "SELECT CAST(v.t AS DATE), CAST(t AS TEXT), t FROM v",
                "SELECT CAST(v.t AS DATE) AS \"t_2\", CAST(t AS TEXT) AS \"t_2_3\", t FROM v",
            ),
        ] {
            let named = mended_text(sql).unwrap();
            assert_eq!(named.as_deref(), Some(expected), "{sql}");
        }
        for sql in [
            "SELECT t::text FROM v",
            "SELECT t::date, count(*) FROM v GROUP BY 1 ORDER BY 1",
            "SELECT t, t::text AS x FROM v ORDER BY t",
            "SELECT a::text, b::text FROM v ORDER BY c",
            "SHOW time zone",
            "SELECT a:: FROM",
        ] {
            assert_eq!(mended_text(sql), Ok(None), "{sql}");
        }
    }
}
