//! Casts by which parts of a query differ that DataFusion takes for one.
//!
//! To DataFusion a cast is called as what it casts, and what a query groups by,
//! aggregates and computes over windows must have names of its own: it refuses
//! `SELECT count(DISTINCT t), count(DISTINCT t::date) FROM v` and
//! `SELECT count(*) FROM v GROUP BY t, t::date`. The casts of such parts stand inside
//! `as_cast`, which gives what it is given and is called as all of it.

use std::collections::{BTreeMap, BTreeSet};
use std::mem::replace;
use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    CastKind, Distinct, Expr, GroupByExpr, Ident, OrderByKind, Query, Select, SelectItem, SetExpr,
    Value, Visitor, VisitorMut,
};
use sluice_functions::AS_CAST;
use sluice_syntax::{Order, Part, call, is_aggregate, replace_expressions};

use crate::column_names::Cast;
use crate::positions::key_at;

/// Tells the casts of such parts apart, those of subqueries included. Whether there were
/// any.
pub(crate) fn tell_casts_apart(sql: &mut impl Part) -> bool {
    let mut rewriter = Rewriter { is_changed: false };
    let _ = sql.rewrite(&mut rewriter);
    rewriter.is_changed
}

struct Rewriter {
    is_changed: bool,
}

impl VisitorMut for Rewriter {
    type Break = ();

    // After the queries inside, so that what one becomes is not visited again.
    fn post_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        let mut order = Vec::new();
        if let Some(order_by) = &mut query.order_by
            && let OrderByKind::Expressions(by) = &mut order_by.kind
        {
            order.extend(by.iter_mut().map(|by| &mut by.expr));
        }
        self.is_changed |= match &mut *query.body {
            SetExpr::Select(select) => told_apart(select, &mut order),
            body => told_apart_in(body),
        };
        ControlFlow::Continue(())
    }
}

/// The same in each part of a UNION and the like.
fn told_apart_in(body: &mut SetExpr) -> bool {
    match body {
        SetExpr::Select(select) => told_apart(select, &mut []),
        SetExpr::SetOperation { left, right, .. } => told_apart_in(left) | told_apart_in(right),
        _ => false,
    }
}

fn told_apart(select: &mut Select, order: &mut [&mut Expr]) -> bool {
    let has_casts = order.iter().any(|by| by.has_expression(&mut is_cast))
        || expressions(select)
            .iter()
            .any(|expr| expr.has_expression(&mut is_cast));
    if !has_casts {
        return false;
    }
    let mut parts = Parts::default();
    for by in order.iter() {
        parts.add_calls(by);
    }
    parts.add(select);
    let casts = parts.clashing_casts();
    if casts.is_empty() {
        return false;
    }
    keep_names(select, order, &casts);
    let mut wrapper = Wrapper {
        casts,
        chains: Chains::default(),
    };
    for by in order.iter_mut() {
        let _ = by.rewrite(&mut wrapper);
    }
    for expr in expressions(select) {
        let _ = expr.rewrite(&mut wrapper);
    }
    true
}

/// The expressions of a SELECT that are computed of its rows or groups.
fn expressions(select: &mut Select) -> Vec<&mut Expr> {
    let mut all = Vec::new();
    if let Some(Distinct::On(on)) = &mut select.distinct {
        all.extend(on);
    }
    for item in &mut select.projection {
        if let SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } = item {
            all.push(expr);
        }
    }
    if let GroupByExpr::Expressions(keys, _) = &mut select.group_by {
        all.extend(keys);
    }
    all.extend(select.having.as_mut());
    all.extend(select.qualify.as_mut());
    all
}

/// What must have a name of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Column,
    Call,
    Key,
}

/// The parts of a SELECT by what they are called to DataFusion: of each one as it is
/// written, the casts in it.
#[derive(Default)]
struct Parts(BTreeMap<(Kind, String), BTreeMap<String, Vec<String>>>);

impl Parts {
    fn add(&mut self, select: &mut Select) {
        for item in &select.projection {
            if let SelectItem::UnnamedExpr(expr) = item
                && Cast::of(expr).is_none()
            {
                self.add_part(Kind::Column, expr);
            }
        }
        if let GroupByExpr::Expressions(keys, _) = &select.group_by {
            for key in keys {
                self.add_key(&select.projection, key);
            }
        }
        for expr in expressions(select) {
            self.add_calls(expr);
        }
    }

    /// Aggregates and window functions.
    fn add_calls(&mut self, expr: &Expr) {
        expr.each_expression(&mut |part| {
            let is_window = matches!(part, Expr::Function(call) if call.over.is_some());
            if is_window || is_aggregate(part) {
                self.add_part(Kind::Call, part);
            }
        });
    }

    fn add_key(&mut self, columns: &[SelectItem], key: &Expr) {
        match key {
            Expr::Rollup(sets) | Expr::Cube(sets) | Expr::GroupingSets(sets) => {
                for key in sets.iter().flatten() {
                    self.add_key(columns, key);
                }
            }
            key => self.add_part(Kind::Key, key_at(columns, key).unwrap_or(key)),
        }
    }

    fn add_part(&mut self, kind: Kind, part: &Expr) {
        let mut casts = OuterCasts::default();
        let _ = part.read(&mut casts);
        let same = self.0.entry((kind, without_casts(part))).or_default();
        same.insert(as_written(part), casts.found);
    }

    /// The casts of parts that are called alike.
    fn clashing_casts(self) -> BTreeSet<String> {
        let alike = self.0.into_values().filter(|parts| parts.len() > 1);
        alike.flat_map(BTreeMap::into_values).flatten().collect()
    }
}

/// The same for all that DataFusion calls alike.
fn without_casts(expr: &Expr) -> String {
    text(expr, |part| match part {
        Expr::Cast { expr: inner, .. }
        | Expr::AtTimeZone {
            timestamp: inner, ..
        } => Some((**inner).clone()),
        _ => None,
    })
}

/// The same for what is written in two ways.
fn as_written(expr: &Expr) -> String {
    text(expr, |part| match part {
        Expr::Cast {
            kind: CastKind::DoubleColon,
            expr,
            data_type,
            array,
            format,
        } => Some(Expr::Cast {
            kind: CastKind::Cast,
            expr: expr.clone(),
            data_type: data_type.clone(),
            array: *array,
            format: format.clone(),
        }),
        _ => None,
    })
}

/// The text of an expression, without brackets and names of tables.
fn text(expr: &Expr, replacement: fn(&Expr) -> Option<Expr>) -> String {
    let mut expr = expr.clone();
    replace_expressions(&mut expr, Order::InnerFirst, |part| match part {
        Expr::Nested(inner) => Some((**inner).clone()),
        Expr::CompoundIdentifier(parts) => parts.last().cloned().map(Expr::Identifier),
        part => replacement(part),
    });
    expr.to_string().to_lowercase()
}

fn is_cast(expr: &Expr) -> bool {
    matches!(expr, Expr::Cast { .. } | Expr::AtTimeZone { .. })
}

/// Tells on a walk which casts are not cast again: of those that are, two may mean
/// something together, as in `(t AT TIME ZONE 'UTC')::timestamp`.
#[derive(Default)]
struct Chains {
    /// Of each expression around, whether what stands in it is cast by it.
    casting: Vec<bool>,
}

impl Chains {
    fn is_cast_again(&self) -> bool {
        self.casting.last().copied().unwrap_or_default()
    }

    fn enter(&mut self, expr: &Expr) {
        let is_casting = match expr {
            Expr::Nested(_) => self.is_cast_again(),
            other => is_cast(other),
        };
        self.casting.push(is_casting);
    }

    /// Whether it is a cast that is not cast again.
    fn leave(&mut self, expr: &Expr) -> bool {
        self.casting.pop();
        is_cast(expr) && !self.is_cast_again()
    }
}

/// Finds such casts.
#[derive(Default)]
struct OuterCasts {
    chains: Chains,
    found: Vec<String>,
}

impl Visitor for OuterCasts {
    type Break = ();

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
        self.chains.enter(expr);
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
        if self.chains.leave(expr) {
            self.found.push(as_written(expr));
        }
        ControlFlow::Continue(())
    }
}

/// Puts `as_cast` around some of them.
struct Wrapper {
    casts: BTreeSet<String>,
    chains: Chains,
}

impl VisitorMut for Wrapper {
    type Break = ();

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        self.chains.enter(expr);
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        if self.chains.leave(expr) && self.casts.contains(&as_written(expr)) {
            let cast = replace(expr, Expr::value(Value::Null));
            *expr = call(AS_CAST, vec![cast]);
        }
        ControlFlow::Continue(())
    }
}

/// Lets a column that is one of these casts keep its name, by which the answer is ordered
/// then; unless that could be taken for the column where groups or rows are chosen.
fn keep_names(select: &mut Select, order: &mut [&mut Expr], casts: &BTreeSet<String>) {
    let chooses = select.having.is_some()
        || select.qualify.is_some()
        || matches!(select.distinct, Some(Distinct::On(_)));
    if chooses {
        return;
    }
    for item in &mut select.projection {
        let SelectItem::UnnamedExpr(expr) = item else {
            continue;
        };
        let Some(cast) = Cast::of(expr) else {
            continue;
        };
        let written = as_written(expr);
        if !casts.contains(&written) {
            continue;
        }
        let alias = Ident::with_quote('"', cast.column);
        for by in order.iter_mut() {
            if as_written(by) == written {
                **by = Expr::Identifier(alias.clone());
            }
        }
        let expr = replace(expr, Expr::value(Value::Null));
        *item = SelectItem::ExprWithAlias { expr, alias };
    }
}

#[cfg(test)]
mod tests {
    use crate::mended_sql::mended_text;

    #[test]
    fn casts_of_parts_that_are_called_alike_are_told_apart() {
        for (sql, expected) in [
            (
                "SELECT count(DISTINCT t::date) AS a, count(DISTINCT v.t) AS b FROM v",
                "SELECT count(DISTINCT as_cast(t::DATE)) AS a, count(DISTINCT v.t) AS b FROM v",
            ),
            (
                "SELECT avg(n), avg(n::numeric) FROM v WHERE n::numeric > 1",
                "SELECT avg(n), avg(as_cast(n::NUMERIC)) FROM v WHERE n::NUMERIC > 1",
            ),
            (
                "SELECT sum(x) OVER () AS a, sum(x::numeric) OVER () AS b FROM v",
                "SELECT sum(x) OVER () AS a, sum(as_cast(x::NUMERIC)) OVER () AS b FROM v",
            ),
            (
                "SELECT t::date, count(*) FROM v GROUP BY CAST(t AS DATE), t ORDER BY t::date",
                "SELECT as_cast(t::DATE) AS \"t\", count(*) FROM v GROUP BY as_cast(CAST(t AS DATE)), t ORDER BY \"t\"",
            ),
            (
                "SELECT t::date AS d, t, count(*) FROM v GROUP BY 1, 2",
                "SELECT as_cast(t::DATE) AS d, t, count(*) FROM v GROUP BY 1, 2",
            ),
            (
                "SELECT abs(n), abs(n::int) FROM v",
                "SELECT abs(n), abs(as_cast(n::INT)) FROM v",
            ),
            (
                "SELECT n FROM (SELECT sum(n) AS n FROM v HAVING sum(n) > sum(n::real)) AS w",
                "SELECT n FROM (SELECT sum(n) AS n FROM v HAVING sum(n) > sum(as_cast(n::REAL))) AS w",
            ),
            (
                "SELECT sum(n) AS a, sum(n::real)::int AS b FROM v",
                "SELECT sum(n) AS a, sum(as_cast(n::REAL))::INT AS b FROM v",
            ),
            (
                "SELECT max((t AT TIME ZONE 'UTC')::date) AS a, max(t) AS b FROM v",
                "SELECT max(as_cast((t AT TIME ZONE 'UTC')::DATE)) AS a, max(t) AS b FROM v",
            ),
        ] {
            let told = mended_text(sql).unwrap();
            assert_eq!(told.as_deref(), Some(expected), "{sql}");
        }
        for sql in [
            "SELECT t::date, count(*) FROM v GROUP BY t::date",
            "SELECT sum(x::numeric) AS a, sum(y) AS b, sum(x::numeric) + 1 AS c FROM v",
            "SELECT abs(n) AS a, abs(n::int) AS b FROM v",
        ] {
            assert_eq!(mended_text(sql), Ok(None), "{sql}");
        }
    }
}
