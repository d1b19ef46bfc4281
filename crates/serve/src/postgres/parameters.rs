//! Parameters of prepared statements: where they stand, of which types they are, and
//! values in their places.
//!
//! A parameter is of the type that the client says, as in PostgreSQL, and a value
//! answers as one that is written there would; DataFusion would guess the type from
//! what stands beside it, and make the value one of that. Places are filled in the
//! parsed statement: no value ever becomes part of a text.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    Array, ArrayElemTypeDef, BinaryOperator, DataType, Expr, Ident, LimitClause, Query, Select,
    SelectItem, Statement, Value, ValueWithSpan, Visitor, VisitorMut,
};
use datafusion_postgres::pgwire::api::Type;
use datafusion_postgres::pgwire::error::PgWireResult;
use sluice_syntax::{Part, cast_to};

use super::codes::{error, too_complex};
use super::parameter_types::{array_of, element_of, null_of, sql_type};

/// Parameters of a statement, as many as a message can give values for.
const PARAMETERS_MAX: usize = 65_535;

/// Values that stand in several places may have so many bytes there, but for the first
/// place of each.
const REPEATED_BYTES_MAX: usize = 16 << 20;

/// What stands in the place of a parameter.
#[derive(Debug, Clone)]
pub(super) enum Bound {
    One(Box<Expr>),
    /// Values of one type, in an array; `None` for no array.
    List(Option<Vec<Expr>>, DataType),
}

impl Bound {
    /// What stands there while no value is known.
    ///
    /// # Errors
    /// When there are no values of the type.
    fn unknown(data_type: &Type) -> PgWireResult<Self> {
        Ok(match element_of(data_type) {
            Some(element) => {
                let element = sql_type(element)?;
                Self::List(Some(vec![null_of(element.clone())]), element)
            }
            None => Self::One(Box::new(null_of(sql_type(data_type)?))),
        })
    }

    /// Bytes of its text.
    fn bytes(&self) -> usize {
        let bytes_of = |value: &Expr| value.to_string().len();
        match self {
            Self::One(value) => bytes_of(value),
            Self::List(values, _) => values.iter().flatten().map(bytes_of).sum(),
        }
    }

    fn into_expression(self) -> Expr {
        match self {
            Self::One(value) => *value,
            Self::List(Some(elem), _) if !elem.is_empty() => {
                Expr::Array(Array { elem, named: true })
            }
            Self::List(elem, element) => {
                let is_null = elem.is_none();
                let array = ArrayElemTypeDef::SquareBracket(Box::new(element), None);
                let data_type = DataType::Array(array);
                match is_null {
                    true => null_of(data_type),
                    false => cast_to(
                        Expr::Array(Array {
                            elem: Vec::new(),
                            named: true,
                        }),
                        data_type,
                    ),
                }
            }
        }
    }
}

/// The number of a parameter: 1 for `$1`.
fn number_of(expression: &Expr) -> Option<usize> {
    match expression {
        Expr::Nested(inner) => number_of(inner),
        Expr::Value(ValueWithSpan {
            value: Value::Placeholder(name),
            ..
        }) => name.strip_prefix('$')?.parse().ok(),
        _ => None,
    }
}

/// The number of a parameter that is an array, and the type that its elements are
/// cast to.
fn array_number_of(expression: &Expr) -> Option<(usize, Option<&DataType>)> {
    match expression {
        Expr::Nested(inner) => array_number_of(inner),
        Expr::Cast {
            expr,
            data_type: DataType::Array(ArrayElemTypeDef::SquareBracket(element, _)),
            ..
        } => Some((number_of(expr)?, Some(element.as_ref()))),
        _ => Some((number_of(expression)?, None)),
    }
}

/// A comparison with an array that says whether a value is in it, or is not.
fn membership(comparison: &Expr) -> Option<(&Expr, &Expr, bool)> {
    match comparison {
        Expr::AnyOp {
            left,
            compare_op: BinaryOperator::Eq,
            right,
            ..
        } => Some((left.as_ref(), right.as_ref(), false)),
        Expr::AllOp {
            left,
            compare_op: BinaryOperator::NotEq,
            right,
        } => Some((left.as_ref(), right.as_ref(), true)),
        _ => None,
    }
}

/// The parameters of a statement.
#[derive(Debug, Default)]
pub(super) struct Parameters {
    numbers: BTreeSet<usize>,
    /// Types that are known, from the client or from the place itself.
    types: BTreeMap<usize, Type>,
    /// Those that are compared with as arrays.
    arrays: BTreeSet<usize>,
    /// Those that are added to something, or taken from it.
    summands: BTreeSet<usize>,
}

impl Parameters {
    /// Finds them. `told` are the types that the client says.
    ///
    /// # Errors
    /// When one has no number that there is.
    pub(super) fn of(statement: &Statement, told: &[u32]) -> PgWireResult<Self> {
        let mut parameters = Self::default();
        let _ = statement.read(&mut parameters);
        let numbers = &parameters.numbers;
        let wrong = numbers
            .iter()
            .find(|number| !(1..=PARAMETERS_MAX).contains(*number));
        if let Some(number) = wrong {
            // 42P02: undefined_parameter.
            return Err(error("42P02", format!("there is no parameter ${number}")));
        }
        for (place, told) in told.iter().enumerate().take(PARAMETERS_MAX) {
            let told = Type::from_oid(*told).filter(|told| *told != Type::UNKNOWN);
            parameters.numbers.insert(place + 1);
            if let Some(told) = told {
                parameters.types.insert(place + 1, told);
            }
        }
        Ok(parameters)
    }

    /// Whether there is none.
    pub(super) fn is_empty(&self) -> bool {
        self.numbers.is_empty()
    }

    /// The statement with nulls of their types in place of those whose types are
    /// known; what it says then of the others tells their types.
    ///
    /// # Errors
    /// When there are no values of a type.
    pub(super) fn described(&self, statement: &Statement) -> PgWireResult<Statement> {
        let known = self.types.iter();
        let known = known.map(|(number, data_type)| Ok((*number, Bound::unknown(data_type)?)));
        let known = known.collect::<PgWireResult<BTreeMap<usize, Bound>>>()?;
        let mut statement = statement.clone();
        let mut filler = Filler {
            values: &known,
            is_described: true,
            sizes: BTreeMap::new(),
            repeated_bytes: 0,
        };
        let _ = statement.rewrite(&mut filler);
        Ok(statement)
    }

    /// Takes those that are added to something, of which nothing else is known, for
    /// intervals, as PostgreSQL does beside times. Whether there are any.
    pub(super) fn add_intervals(&mut self) -> bool {
        let is_open = |number: &&usize| !self.types.contains_key(*number);
        let open: Vec<usize> = self.summands.iter().filter(is_open).copied().collect();
        let has_any = !open.is_empty();
        self.types
            .extend(open.into_iter().map(|number| (number, Type::INTERVAL)));
        has_any
    }

    /// The types of all, with those that were found out: number and type.
    pub(super) fn all_types(
        mut self,
        found: impl IntoIterator<Item = (usize, Type)>,
    ) -> Vec<Option<Type>> {
        for (number, found) in found {
            let found = match self.arrays.contains(&number) {
                true => array_of(&found).unwrap_or(Type::TEXT_ARRAY),
                false => found,
            };
            if found != Type::UNKNOWN {
                self.types.entry(number).or_insert(found);
            }
        }
        let last = self.numbers.last().copied().unwrap_or(0);
        let types = (1..=last).map(|number| self.types.remove(&number).unwrap_or(Type::TEXT));
        types.map(Some).collect()
    }
}

impl Visitor for Parameters {
    type Break = ();

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
        let (limit, offset) = match &query.limit_clause {
            Some(LimitClause::LimitOffset { limit, offset, .. }) => {
                (limit.as_ref(), offset.as_ref().map(|offset| &offset.value))
            }
            Some(LimitClause::OffsetCommaLimit { offset, limit }) => (Some(limit), Some(offset)),
            None => (None, None),
        };
        let fetch = query
            .fetch
            .as_ref()
            .and_then(|fetch| fetch.quantity.as_ref());
        let counts = [limit, offset, fetch].into_iter().flatten();
        for number in counts.filter_map(number_of) {
            self.types.insert(number, Type::INT8);
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expression: &Expr) -> ControlFlow<()> {
        match expression {
            Expr::Value(_) => self.numbers.extend(number_of(expression)),
            Expr::AtTimeZone { time_zone, .. } => {
                if let Some(number) = number_of(time_zone) {
                    self.types.insert(number, Type::TEXT);
                }
            }
            Expr::BinaryOp {
                left,
                op: BinaryOperator::Plus | BinaryOperator::Minus,
                right,
            } => {
                let sides = [left, right].into_iter();
                self.summands
                    .extend(sides.filter_map(|side| number_of(side)));
            }
            other => {
                let among = membership(other).and_then(|(_, among, _)| array_number_of(among));
                self.arrays.extend(among.map(|(number, _)| number));
            }
        }
        ControlFlow::Continue(())
    }
}

/// Puts values in the places of parameters. Columns of the answer keep their names.
///
/// # Errors
/// When long values stand in too many places.
pub(super) fn fill(statement: &mut Statement, values: &BTreeMap<usize, Bound>) -> PgWireResult<()> {
    let mut filler = Filler {
        values,
        is_described: false,
        sizes: BTreeMap::new(),
        repeated_bytes: 0,
    };
    match statement.rewrite(&mut filler) {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(()) => Err(too_complex(format!(
            "the values of parameters that stand in several places have more than {REPEATED_BYTES_MAX} bytes there: use shorter values, or write each once, as in FROM (SELECT $1::text AS v)"
        ))),
    }
}

struct Filler<'a> {
    values: &'a BTreeMap<usize, Bound>,
    is_described: bool,
    /// The bytes of those that have a place.
    sizes: BTreeMap<usize, usize>,
    /// What all of them have in their second place and those behind it.
    repeated_bytes: usize,
}

impl<'a> Filler<'a> {
    /// The value of a parameter that stands somewhere. Breaks where there are too many.
    fn value_of(&mut self, number: usize) -> ControlFlow<(), Option<&'a Bound>> {
        let values = self.values;
        let Some(value) = values.get(&number) else {
            return ControlFlow::Continue(None);
        };
        match self.sizes.entry(number) {
            Entry::Vacant(first) => {
                first.insert(value.bytes());
            }
            Entry::Occupied(size) => {
                self.repeated_bytes = self.repeated_bytes.saturating_add(*size.get());
            }
        }
        match self.repeated_bytes > REPEATED_BYTES_MAX {
            true => ControlFlow::Break(()),
            false => ControlFlow::Continue(Some(value)),
        }
    }

    /// A comparison with an array that is a parameter as one with its values, by which
    /// it is unknown where it should be.
    fn listed(&self, comparison: &Expr) -> Option<Expr> {
        let (value, among, negated) = membership(comparison)?;
        let (number, element) = array_number_of(among)?;
        let of_element = |value: Expr| match element {
            Some(element) => cast_to(value, element.clone()),
            None => value,
        };
        let list = match self.values.get(&number) {
            Some(Bound::List(Some(list), _)) => list.clone(),
            Some(Bound::List(None, _)) => return Some(null_of(DataType::Boolean)),
            Some(Bound::One(_)) => return None,
            // Of which the value tells the type.
            None => vec![Expr::value(Value::Placeholder(format!("${number}")))],
        };
        if list.is_empty() {
            return Some(Expr::value(Value::Boolean(negated)));
        }
        Some(Expr::Nested(Box::new(Expr::InList {
            expr: Box::new(value.clone()),
            list: list.into_iter().map(of_element).collect(),
            negated,
        })))
    }
}

impl VisitorMut for Filler<'_> {
    type Break = ();

    fn pre_visit_select(&mut self, select: &mut Select) -> ControlFlow<()> {
        for item in &mut select.projection {
            let SelectItem::UnnamedExpr(expr) = item else {
                continue;
            };
            if expr.has_expression(&mut |part| number_of(part).is_some()) {
                let name = expr.to_string().replace('"', "");
                *item = SelectItem::ExprWithAlias {
                    expr: expr.clone(),
                    alias: Ident::with_quote('"', name),
                };
            }
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expression: &mut Expr) -> ControlFlow<()> {
        let among = membership(expression).and_then(|(_, among, _)| array_number_of(among));
        if let Some(number) = among.map(|(number, _)| number) {
            self.value_of(number)?;
        }
        if let Some(listed) = self.listed(expression) {
            *expression = listed;
        }
        // Some zone must be named; the type is the same in all.
        if self.is_described
            && let Expr::AtTimeZone { time_zone, .. } = expression
            && number_of(time_zone).is_some()
        {
            **time_zone = Expr::value(Value::SingleQuotedString("UTC".to_owned()));
        }
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, expression: &mut Expr) -> ControlFlow<()> {
        if matches!(expression, Expr::Value(_))
            && let Some(number) = number_of(expression)
            && let Some(value) = self.value_of(number)?
        {
            *expression = value.clone().into_expression();
        }
        ControlFlow::Continue(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
    use datafusion::sql::sqlparser::parser::Parser;

    fn parsed(sql: &str) -> Statement {
        Parser::parse_sql(&PostgreSqlDialect {}, sql)
            .unwrap()
            .remove(0)
    }

    fn described(sql: &str, told: &[Type]) -> String {
        let statement = parsed(sql);
        let told: Vec<u32> = told.iter().map(Type::oid).collect();
        let parameters = Parameters::of(&statement, &told).unwrap();
        parameters.described(&statement).unwrap().to_string()
    }

    #[test]
    fn parameters_are_of_the_types_that_are_told() {
        for (sql, told, expected) in [
            (
                "SELECT a FROM t WHERE b > $1 AND c = $2",
                vec![Type::TIMESTAMPTZ],
                "SELECT a FROM t WHERE b > CAST(NULL AS TIMESTAMPTZ(6)) AND c = $2",
            ),
            (
                "SELECT $1 + a, $2::text FROM t LIMIT $3",
                vec![Type::INTERVAL, Type::UNKNOWN],
                "SELECT CAST(NULL AS INTERVAL) + a AS \"$1 + a\", $2::TEXT AS \"$2::TEXT\" FROM t LIMIT CAST(NULL AS BIGINT)",
            ),
            (
                "SELECT a FROM t WHERE d = ANY($1) AND NOT e <> ALL($2::INT[])",
                vec![Type::DATE_ARRAY],
                "SELECT a FROM t WHERE (d IN (CAST(NULL AS DATE))) AND NOT (e NOT IN (CAST($2 AS INT)))",
            ),
            (
                "SELECT a FROM t WHERE d > ANY($1)",
                vec![Type::DATE_ARRAY],
                "SELECT a FROM t WHERE d > ANY(ARRAY[CAST(NULL AS DATE)])",
            ),
            (
                "SELECT a AT TIME ZONE $1 AS b FROM t",
                vec![],
                "SELECT a AT TIME ZONE 'UTC' AS b FROM t",
            ),
        ] {
            assert_eq!(described(sql, &told), expected);
        }
    }

    #[test]
    fn other_types_are_found_where_parameters_stand() {
        let statement = parsed("SELECT a FROM t WHERE b = ANY($1) AND c + $3 > d LIMIT $4");
        let mut parameters = Parameters::of(&statement, &[0, Type::BOOL.oid()]).unwrap();
        assert!(parameters.add_intervals());
        assert!(!parameters.add_intervals());
        let types = parameters.all_types([(1, Type::DATE)]);
        let expected = [Type::DATE_ARRAY, Type::BOOL, Type::INTERVAL, Type::INT8];
        assert_eq!(types, expected.map(Some));
        let untold = Parameters::of(&parsed("SELECT $2"), &[]).unwrap();
        let types = untold.all_types([(2, Type::UNKNOWN)]);
        assert_eq!(types, [Some(Type::TEXT), Some(Type::TEXT)]);
        assert!(Parameters::of(&parsed("SELECT $0"), &[]).is_err());
        assert!(Parameters::of(&parsed("SELECT $70000"), &[]).is_err());
    }

    #[test]
    fn values_stand_where_parameters_stood() {
        let number = |number: &str| Expr::value(Value::Number(number.to_owned(), false));
        let values = BTreeMap::from([
            (1, Bound::One(Box::new(number("5")))),
            (
                2,
                Bound::List(Some(vec![number("1"), number("2")]), DataType::Date),
            ),
            (3, Bound::List(Some(Vec::new()), DataType::Date)),
            (4, Bound::List(None, DataType::Date)),
        ]);
        for (sql, expected) in [
            ("SELECT $1, a FROM t", "SELECT 5 AS \"$1\", a FROM t"),
            ("SELECT a = ANY($2) AS b", "SELECT (a IN (1, 2)) AS b"),
            (
                "SELECT a <> ALL(($2)::INT[]) AS b",
                "SELECT (a NOT IN (CAST(1 AS INT), CAST(2 AS INT))) AS b",
            ),
            ("SELECT a = ANY($3) AS b", "SELECT false AS b"),
            ("SELECT a <> ALL($3) AS b", "SELECT true AS b"),
            (
                "SELECT a = ANY($4) AS b",
                "SELECT CAST(NULL AS BOOLEAN) AS b",
            ),
            ("SELECT $2 AS b", "SELECT ARRAY[1, 2] AS b"),
            ("SELECT $3 AS b", "SELECT CAST(ARRAY[] AS DATE[]) AS b"),
            ("SELECT $4 AS b", "SELECT CAST(NULL AS DATE[]) AS b"),
            ("SELECT $5 AS b", "SELECT $5 AS b"),
        ] {
            let mut statement = parsed(sql);
            fill(&mut statement, &values).unwrap();
            assert_eq!(statement.to_string(), expected, "{sql}");
        }
    }

    #[test]
    fn long_values_do_not_stand_everywhere() {
        // With its quotes.
        let text = |bytes: usize| Expr::value(Value::SingleQuotedString("x".repeat(bytes - 2)));
        let list = vec![text(REPEATED_BYTES_MAX / 4); 2];
        let values = BTreeMap::from([
            (1, Bound::One(Box::new(text(REPEATED_BYTES_MAX / 4)))),
            (2, Bound::List(Some(list), DataType::Text)),
        ]);
        for (sql, fits) in [
            ("SELECT f($1, $1, $1, $1, $1)", true),
            ("SELECT f($1, $1, $1, $1, $1, $1)", false),
            ("SELECT a = ANY($2), b = ANY($2), c = ANY($2)", true),
            (
                "SELECT a = ANY($2), b = ANY($2), c = ANY($2), d = ANY($2)",
                false,
            ),
        ] {
            let filled = fill(&mut parsed(sql), &values);
            assert_eq!(filled.is_ok(), fits, "{sql}");
        }
    }
}
