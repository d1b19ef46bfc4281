//! The SQL text of a query.
//!
//! Every node names its columns `c0`, `c1`, … and becomes one SELECT around
//! those of its inputs, so that the text is long but never ambiguous.

use crate::query::{
    Arithmetic, Call, Comparison, Dialect, Expr, FIRST_DAY, FIRST_MOMENT, Function, JoinKind,
    Query, SubqueryTest, TimeUnit, View, WindowKind,
};
use crate::query_sql_forms::{grouping_text, uses_using};
use crate::value::{Type, Value};

impl View {
    /// The definition.
    pub fn sql(&self) -> String {
        let query = self.query.sql(Dialect::Engine);
        let emit = match self.emit {
            Some(_) => " EMIT ON WINDOW CLOSE",
            None => "",
        };
        format!("CREATE MATERIALIZED VIEW {} AS {query}{emit}", self.name)
    }
}

impl Expr {
    /// SQL text; `column` names the columns.
    pub fn sql(&self, dialect: Dialect, column: &dyn Fn(usize) -> String) -> String {
        let text = |expression: &Expr| expression.sql(dialect, column);
        match self {
            Self::Column(index, _) => column(*index),
            Self::Literal(value, data_type) => literal(value, *data_type, dialect),
            Self::Arithmetic(operator, left, right) => {
                let sign = match operator {
                    Arithmetic::Add => "+",
                    Arithmetic::Subtract => "-",
                    Arithmetic::Multiply => "*",
                    Arithmetic::Divide => "/",
                    Arithmetic::Modulo => "%",
                };
                format!("({} {sign} {})", text(left), text(right))
            }
            Self::Compare(comparison, left, right) => {
                let sign = match comparison {
                    Comparison::Equal => "=",
                    Comparison::NotEqual => "<>",
                    Comparison::Less => "<",
                    Comparison::LessOrEqual => "<=",
                    Comparison::Greater => ">",
                    Comparison::GreaterOrEqual => ">=",
                };
                format!("({} {sign} {})", text(left), text(right))
            }
            Self::And(left, right) => format!("({} AND {})", text(left), text(right)),
            Self::Or(left, right) => format!("({} OR {})", text(left), text(right)),
            Self::Not(input) => format!("(NOT {})", text(input)),
            Self::IsNull(input, false) => format!("({} IS NULL)", text(input)),
            Self::IsNull(input, true) => format!("({} IS NOT NULL)", text(input)),
            Self::In(input, list, negated) => {
                let list: Vec<String> = list.iter().map(text).collect();
                let not = if *negated { "NOT " } else { "" };
                format!("({} {not}IN ({}))", text(input), list.join(", "))
            }
            Self::Case(condition, then, otherwise) => format!(
                "CASE WHEN {} THEN {} ELSE {} END",
                text(condition),
                text(then),
                text(otherwise)
            ),
            Self::Coalesce(first, second) => {
                format!("coalesce({}, {})", text(first), text(second))
            }
            Self::Concat(left, right) => format!("({} || {})", text(left), text(right)),
            Self::Upper(input) => format!("upper({})", text(input)),
            Self::Truncate(unit, input) if dialect == Dialect::Sqlite => {
                let input = text(input);
                format!("({input} - {input} % {})", unit.length())
            }
            Self::Truncate(unit, input) => {
                let unit = match unit {
                    TimeUnit::Second => "second",
                    TimeUnit::Minute => "minute",
                    TimeUnit::Hour => "hour",
                    TimeUnit::Day => "day",
                };
                format!("date_trunc('{unit}', {})", text(input))
            }
            Self::Later(input, seconds) if dialect == Dialect::Sqlite => {
                format!("({} + ({}))", text(input), seconds * 1_000_000)
            }
            Self::Later(input, seconds) => {
                let sign = if *seconds < 0 { "-" } else { "+" };
                let length = seconds.unsigned_abs();
                format!("({} {sign} INTERVAL '{length} seconds')", text(input))
            }
        }
    }
}

impl Call {
    pub(crate) fn sql(&self, dialect: Dialect, column: &dyn Fn(usize) -> String) -> String {
        let name = match self.function {
            Function::Count => "count",
            Function::Sum => "sum",
            Function::Average => "avg",
            Function::Min => "min",
            Function::Max => "max",
            Function::BoolAnd => "bool_and",
            Function::BoolOr => "bool_or",
            Function::BitAnd => "bit_and",
            Function::BitOr => "bit_or",
            Function::BitXor => "bit_xor",
            Function::First => "first_value",
            Function::Last => "last_value",
            Function::StringAgg => "string_agg",
            Function::Median => "median",
        };
        let separator = match self.function {
            Function::StringAgg => ", '|'",
            _ => "",
        };
        let order = match &self.order {
            Some(order) => format!(
                " ORDER BY {}{} NULLS {}",
                order.key.sql(dialect, column),
                if order.descending { " DESC" } else { "" },
                if order.nulls_first { "FIRST" } else { "LAST" }
            ),
            None => String::new(),
        };
        let distinct = if self.distinct { "DISTINCT " } else { "" };
        let argument = match &self.argument {
            Some(argument) => argument.sql(dialect, column),
            None => "*".to_owned(),
        };
        let filter = match &self.filter {
            Some(filter) => format!(" FILTER (WHERE {})", filter.sql(dialect, column)),
            None => String::new(),
        };
        let call = format!("{name}({distinct}{argument}{separator}{order}){filter}");
        match self.function {
            Function::StringAgg => format!("CAST({call} AS VARCHAR)"),
            _ => call,
        }
    }
}

impl Query {
    /// The SELECT.
    pub fn sql(&self, dialect: Dialect) -> String {
        let of_input = |index: usize| format!("a.c{index}");
        match self {
            Self::Scan { name, types } => {
                let columns: Vec<String> = (0..types.len()).map(|i| format!("c{i}")).collect();
                format!("SELECT {} FROM {name}", columns.join(", "))
            }
            Self::Filter { input, predicate } => format!(
                "{} WHERE {}",
                select("", &all_columns(input, "a", 0), input, dialect),
                predicate.sql(dialect, &of_input)
            ),
            Self::Project { input, columns } => {
                let texts = columns.iter().map(|column| column.sql(dialect, &of_input));
                select("", &numbered(texts), input, dialect)
            }
            Self::Join {
                kind,
                left,
                right,
                keys,
                condition,
            } => {
                let left_width = left.types().len();
                let of_both = |index: usize| match index.checked_sub(left_width) {
                    Some(index) => format!("r.c{index}"),
                    None => format!("l.c{index}"),
                };
                let mut columns = all_columns(left, "l", 0);
                columns.extend(all_columns(right, "r", left_width));
                let word = match kind {
                    JoinKind::Inner => "JOIN",
                    JoinKind::Left => "LEFT JOIN",
                    JoinKind::Right => "RIGHT JOIN",
                    JoinKind::Full => "FULL JOIN",
                };
                let sides = format!(
                    "SELECT {} FROM ({}) AS l {word} ({}) AS r",
                    columns.join(", "),
                    left.sql(dialect),
                    right.sql(dialect)
                );
                if uses_using(*kind, keys, condition.as_ref()) {
                    let names: Vec<String> =
                        keys.iter().map(|(key, _)| format!("c{key}")).collect();
                    return format!("{sides} USING ({})", names.join(", "));
                }
                let mut terms: Vec<String> = keys
                    .iter()
                    .map(|(left, right)| format!("l.c{left} = r.c{right}"))
                    .collect();
                terms.extend(condition.iter().map(|term| term.sql(dialect, &of_both)));
                format!("{sides} ON {}", terms.join(" AND "))
            }
            Self::GroupBy {
                input,
                keys,
                sets,
                calls,
            } => {
                let keys: Vec<String> =
                    keys.iter().map(|key| key.sql(dialect, &of_input)).collect();
                let calls = calls.iter().map(|call| call.sql(dialect, &of_input));
                let marked = if sets.is_empty() { &[][..] } else { &keys };
                let marks = marked.iter();
                let marks = marks.map(|key| format!("CAST(grouping({key}) AS BIGINT)"));
                let columns = numbered(keys.iter().cloned().chain(calls).chain(marks));
                let selected = select("", &columns, input, dialect);
                if !sets.is_empty() {
                    return format!("{selected} GROUP BY {}", grouping_text(sets, &keys));
                }
                if keys.is_empty() {
                    return selected;
                }
                format!("{selected} GROUP BY {}", keys.join(", "))
            }
            Self::Distinct { input } => {
                select("DISTINCT ", &all_columns(input, "a", 0), input, dialect)
            }
            Self::With { input, predicate } => {
                let columns = all_columns(input, "a", 0).join(", ");
                format!(
                    "WITH n AS ({}) SELECT {columns} FROM n AS a UNION ALL SELECT {columns} FROM n AS a WHERE {}",
                    input.sql(dialect),
                    predicate.sql(dialect, &of_input)
                )
            }
            Self::Unnest { input, columns } => {
                let mut selected = all_columns(input, "a", 0);
                let list: Vec<String> = columns.iter().map(|&column| of_input(column)).collect();
                let list = list.join(", ");
                selected.push(format!("unnest(make_array({list})) AS c{}", selected.len()));
                select("", &selected, input, dialect)
            }
            Self::TimeWindow { input, time, kind } => {
                let width = input.types().len();
                let mut columns = all_columns(input, "a", 0);
                columns.push(format!("a.window_start AS c{width}"));
                columns.push(format!("a.window_end AS c{}", width + 1));
                let relation = match input.as_ref() {
                    Self::Scan { name, .. } => name.clone(),
                    other => format!("({})", other.sql(dialect)),
                };
                let length = |seconds: &i64| format!("INTERVAL '{seconds} seconds'");
                let call = match kind {
                    WindowKind::Tumble { size } => {
                        format!("tumble({relation}, c{time}, {})", length(size))
                    }
                    WindowKind::Hop { slide, size } => {
                        let (slide, size) = (length(slide), length(size));
                        format!("hop({relation}, c{time}, {slide}, {size})")
                    }
                    WindowKind::Session { gap, keys } => {
                        let keys: String = keys.iter().map(|key| format!("c{key}, ")).collect();
                        format!("session({relation}, {keys}c{time}, {})", length(gap))
                    }
                };
                format!("SELECT {} FROM {call} AS a", columns.join(", "))
            }
            Self::SelectScalar {
                input,
                other,
                call,
                correlation,
            } => {
                let terms = correlation.iter();
                let terms = terms.map(|(left, right)| format!("b.c{right} = a.c{left}"));
                let terms: Vec<String> = terms.collect();
                let filter = match terms.is_empty() {
                    true => String::new(),
                    false => format!(" WHERE {}", terms.join(" AND ")),
                };
                let mut columns = all_columns(input, "a", 0);
                columns.push(format!(
                    "(SELECT {} FROM ({}) AS b{filter}) AS c{}",
                    call.sql(dialect, &|index| format!("b.c{index}")),
                    other.sql(dialect),
                    columns.len()
                ));
                select("", &columns, input, dialect)
            }
            Self::WhereSubquery {
                selects,
                input,
                other,
                test,
                negated,
                or,
                not,
            } => {
                let width = input.types().len();
                let of_both = |index: usize| match index.checked_sub(width) {
                    Some(index) => format!("b.c{index}"),
                    None => format!("a.c{index}"),
                };
                let rows = other.sql(dialect);
                let other = format!("({rows}) AS b");
                let equal = |(left, right): &(usize, usize)| format!("b.c{right} = a.c{left}");
                let filter = |terms: Vec<String>| match terms.is_empty() {
                    true => String::new(),
                    false => format!(" WHERE {}", terms.join(" AND ")),
                };
                let negation = if *negated { "NOT " } else { "" };
                let test = match test {
                    // The name of the outer query's rows is free inside.
                    SubqueryTest::In {
                        pair,
                        correlation: None,
                    } => format!(
                        "a.c{} {negation}IN (SELECT a.c{} FROM ({rows}) AS a)",
                        pair.0, pair.1
                    ),
                    SubqueryTest::In { pair, correlation } => format!(
                        "a.c{} {negation}IN (SELECT b.c{} FROM {other}{})",
                        pair.0,
                        pair.1,
                        filter(correlation.iter().map(equal).collect())
                    ),
                    SubqueryTest::Exists { keys, condition } => {
                        let mut terms: Vec<String> = keys.iter().map(equal).collect();
                        terms.extend(condition.iter().map(|term| term.sql(dialect, &of_both)));
                        format!("{negation}EXISTS (SELECT 1 FROM {other}{})", filter(terms))
                    }
                };
                let whole = match or {
                    Some(or) => format!("({test} OR {})", or.sql(dialect, &of_input)),
                    None => test,
                };
                let not = if *not { "NOT " } else { "" };
                if *selects {
                    let mut columns = all_columns(input, "a", 0);
                    columns.push(format!("{not}({whole}) AS c{}", columns.len()));
                    return select("", &columns, input, dialect);
                }
                format!(
                    "{} WHERE {not}({whole})",
                    select("", &all_columns(input, "a", 0), input, dialect)
                )
            }
            Self::SetOperation {
                is_except,
                left,
                right,
            } => {
                let left = select("", &all_columns(left, "a", 0), left, dialect);
                let right = select("", &all_columns(right, "a", 0), right, dialect);
                let word = if *is_except { "EXCEPT" } else { "INTERSECT" };
                format!("{left} {word} {right}")
            }
            Self::UnionAll { left, right } => {
                let left = select("", &all_columns(left, "a", 0), left, dialect);
                let right = select("", &all_columns(right, "a", 0), right, dialect);
                format!("{left} UNION ALL {right}")
            }
            Self::Window { input, calls } => {
                let width = input.types().len();
                let mut columns = all_columns(input, "a", 0);
                for (number, call) in calls.iter().enumerate() {
                    let text = call.sql(dialect, &of_input);
                    columns.push(format!("{text} AS c{}", width + number));
                }
                select("", &columns, input, dialect)
            }
            Self::Top { input, top } => top.sql(&input.sql(dialect), input.types().len(), dialect),
        }
    }
}

fn literal(value: &Value, data_type: Type, dialect: Dialect) -> String {
    if dialect == Dialect::Sqlite {
        return match value {
            Value::Null => "NULL".to_owned(),
            Value::Bool(value) => i64::from(*value).to_string(),
            Value::Int(value) | Value::Timestamp(value) => format!("({value})"),
            Value::Date(value) => format!("({value})"),
            Value::Text(value) => format!("'{}'", value.replace('\'', "''")),
            Value::Float(value) => format!("({:?})", value.number()),
            Value::Decimal(_) => "'not in this dialect'".to_owned(),
        };
    }
    match (value, data_type) {
        (Value::Null, Type::Timestamp) => "arrow_cast(NULL, 'Timestamp(Microsecond, None)')".into(),
        (Value::Null, _) => format!("CAST(NULL AS {})", type_name(data_type)),
        (Value::Bool(value), _) => value.to_string().to_uppercase(),
        (Value::Int(value), _) => format!("({value})"),
        (Value::Decimal(units), Type::Decimal(_, scale)) => {
            let one = 10_u128.pow(scale.unsigned_abs().into());
            let sign = if *units < 0 { "-" } else { "" };
            let units = units.unsigned_abs();
            let width = usize::from(scale.unsigned_abs());
            let digits = format!("{}{}.{:0width$}", sign, units / one, units % one);
            format!("CAST({digits} AS {})", type_name(data_type))
        }
        (Value::Text(value), _) => format!("'{}'", value.replace('\'', "''")),
        (Value::Date(value), _) => {
            format!("CAST('2024-01-{:02}' AS DATE)", value - FIRST_DAY + 1)
        }
        (Value::Timestamp(value), _) => {
            let second = (value - FIRST_MOMENT) / 1_000_000;
            format!("arrow_cast('2024-01-01T00:00:{second:02}', 'Timestamp(Microsecond, None)')")
        }
        (Value::Float(value), _) => format!("CAST('{:?}' AS DOUBLE)", value.number()),
        (Value::Decimal(_), _) => "'no literal'".to_owned(),
    }
}

fn type_name(data_type: Type) -> String {
    match data_type {
        Type::Bool => "BOOLEAN".into(),
        Type::Int => "BIGINT".into(),
        Type::Decimal(precision, scale) => format!("DECIMAL({precision}, {scale})"),
        Type::Text => "VARCHAR".into(),
        Type::Date => "DATE".into(),
        Type::Timestamp => "TIMESTAMP".into(),
        Type::Float => "DOUBLE".into(),
    }
}

fn select(distinct: &str, columns: &[String], input: &Query, dialect: Dialect) -> String {
    let columns = columns.join(", ");
    format!(
        "SELECT {distinct}{columns} FROM ({}) AS a",
        input.sql(dialect)
    )
}

fn numbered(texts: impl Iterator<Item = String>) -> Vec<String> {
    let named = |(index, text)| format!("{text} AS c{index}");
    texts.enumerate().map(named).collect()
}

fn all_columns(input: &Query, alias: &str, first: usize) -> Vec<String> {
    (0..input.types().len())
        .map(|index| format!("{alias}.c{index} AS c{}", first + index))
        .collect()
}
