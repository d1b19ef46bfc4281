//! Queries as trees, and their SQL text.
//!
//! Every node names its columns `c0`, `c1`, … and becomes one SELECT around
//! those of its inputs, so that the text is long but never ambiguous.

use crate::value::{Type, Value};
use crate::window::{Top, WindowCall};

/// Whose SQL is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// The incremental engine and DataFusion.
    Engine,
    /// SQLite, which keeps dates and truth values as integers.
    Sqlite,
}

/// `+ - * / %`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arithmetic {
    /// Sum.
    Add,
    /// Difference.
    Subtract,
    /// Product.
    Multiply,
    /// Quotient, of integers only.
    Divide,
    /// Rest, of integers only.
    Modulo,
}

/// A comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Comparison {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

/// A scalar expression over the columns of one row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Expr {
    /// A column by position, with its type.
    Column(usize, Type),
    /// A constant.
    Literal(Value, Type),
    /// Arithmetic of two integers or two decimals.
    Arithmetic(Arithmetic, Box<Expr>, Box<Expr>),
    /// A comparison of two values of one type.
    Compare(Comparison, Box<Expr>, Box<Expr>),
    /// AND.
    And(Box<Expr>, Box<Expr>),
    /// OR.
    Or(Box<Expr>, Box<Expr>),
    /// NOT.
    Not(Box<Expr>),
    /// IS NULL; IS NOT NULL when the flag is set.
    IsNull(Box<Expr>, bool),
    /// IN a list of constants; NOT IN when the flag is set.
    In(Box<Expr>, Vec<Expr>, bool),
    /// CASE WHEN … THEN … ELSE … END.
    Case(Box<Expr>, Box<Expr>, Box<Expr>),
    /// COALESCE of two values.
    Coalesce(Box<Expr>, Box<Expr>),
    /// `||`.
    Concat(Box<Expr>, Box<Expr>),
    /// `upper`.
    Upper(Box<Expr>),
}

/// An aggregate function.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Function {
    Count,
    Sum,
    Average,
    Min,
    Max,
    BoolAnd,
    BoolOr,
    BitAnd,
    BitOr,
    BitXor,
    /// The first value by the order, null or not. Equal rows of the order go by
    /// the value, nulls first.
    First,
    /// The last value.
    Last,
    /// The texts in their order, with `|` between them.
    StringAgg,
    /// The middle value; of an even number the mean of the middle two.
    Median,
}

/// An ORDER BY inside an aggregate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    /// By what.
    pub key: Expr,
    /// Greatest first.
    pub descending: bool,
    /// Whether nulls come first.
    pub nulls_first: bool,
}

/// One aggregate of a GROUP BY.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// What is computed.
    pub function: Function,
    /// Of what; `None` for `count(*)`.
    pub argument: Option<Expr>,
    /// Whether equal values count once.
    pub distinct: bool,
    /// ORDER BY.
    pub order: Option<Order>,
    /// The FILTER clause.
    pub filter: Option<Expr>,
}

/// Which rows without a partner a join keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum JoinKind {
    Inner,
    Left,
    Right,
    Full,
}

/// A question about a row that another query answers. Pairs of columns are
/// (of the row, of the other query).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SubqueryTest {
    /// `column IN (SELECT column …)`, of the rows in which a second pair of
    /// columns is equal, if there is one.
    In {
        /// The columns compared.
        pair: (usize, usize),
        /// The correlation.
        correlation: Option<(usize, usize)>,
    },
    /// `EXISTS (SELECT …)` of the rows in which the columns are equal.
    Exists {
        /// The columns that must be equal.
        keys: Vec<(usize, usize)>,
        /// What must hold besides, over the columns of both.
        condition: Option<Expr>,
    },
}

/// How rows are put into windows of time. Lengths are in seconds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WindowKind {
    /// `tumble`.
    Tumble {
        /// Length of a window.
        size: i64,
    },
    /// `hop`.
    Hop {
        /// Distance between the beginnings of two windows.
        slide: i64,
        /// Length of a window.
        size: i64,
    },
    /// `session`.
    Session {
        /// Rows at least so far apart are in different sessions.
        gap: i64,
        /// Columns that keep sessions apart.
        keys: Vec<usize>,
    },
}

/// A query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Query {
    /// All rows of a table or view.
    Scan {
        /// Its name.
        name: String,
        /// Its column types.
        types: Vec<Type>,
    },
    /// WHERE.
    Filter {
        /// What is filtered.
        input: Box<Query>,
        /// The condition.
        predicate: Expr,
    },
    /// Expressions over each row.
    Project {
        /// Where the rows come from.
        input: Box<Query>,
        /// The new columns.
        columns: Vec<Expr>,
    },
    /// A join.
    Join {
        /// Its kind.
        kind: JoinKind,
        /// First side.
        left: Box<Query>,
        /// Second side.
        right: Box<Query>,
        /// Pairs of columns (left, right) that must be equal.
        keys: Vec<(usize, usize)>,
        /// What must hold besides, over the columns of both sides.
        condition: Option<Expr>,
    },
    /// GROUP BY; without keys one row for everything.
    GroupBy {
        /// What is grouped.
        input: Box<Query>,
        /// Grouping expressions.
        keys: Vec<Expr>,
        /// GROUPING SETS, by position in `keys`; none for a plain GROUP BY.
        /// With them `grouping(key)` of each key follows the aggregates.
        sets: Vec<Vec<usize>>,
        /// The aggregates.
        calls: Vec<Call>,
    },
    /// SELECT DISTINCT.
    Distinct {
        /// What is made distinct.
        input: Box<Query>,
    },
    /// The rows with `window_start` and `window_end` behind their columns.
    TimeWindow {
        /// What is put into windows.
        input: Box<Query>,
        /// The time column.
        time: usize,
        /// The windows.
        kind: WindowKind,
    },
    /// WHERE \[NOT\] (test \[OR predicate\]), or that condition as a column.
    WhereSubquery {
        /// Whether it is a column behind the others, and chooses no rows.
        selects: bool,
        /// Whose rows are chosen.
        input: Box<Query>,
        /// What the test asks.
        other: Box<Query>,
        /// The test.
        test: SubqueryTest,
        /// NOT IN, NOT EXISTS.
        negated: bool,
        /// What will do in its place.
        or: Option<Expr>,
        /// NOT before the whole.
        not: bool,
    },
    /// An aggregate of another query's rows as a column behind the others.
    SelectScalar {
        /// Whose rows are given.
        input: Box<Query>,
        /// What is aggregated.
        other: Box<Query>,
        /// The aggregate over `other`.
        call: Call,
        /// Pairs of columns (of the row, of `other`) that must be equal.
        correlation: Vec<(usize, usize)>,
    },
    /// INTERSECT, or EXCEPT, of two queries with the same types.
    SetOperation {
        /// EXCEPT.
        is_except: bool,
        /// First.
        left: Box<Query>,
        /// Second.
        right: Box<Query>,
    },
    /// UNION ALL of two queries with the same types.
    UnionAll {
        /// First.
        left: Box<Query>,
        /// Second.
        right: Box<Query>,
    },
    /// Window functions: all columns, and one more for each call.
    Window {
        /// Over what.
        input: Box<Query>,
        /// The calls.
        calls: Vec<WindowCall>,
    },
    /// The first rows in some order.
    Top {
        /// Of what.
        input: Box<Query>,
        /// Which.
        top: Top,
    },
}

/// A named query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct View {
    /// Name in SQL.
    pub name: String,
    /// The query.
    pub query: Query,
    /// Whether rows may fail. Such a view is a single operator over a table, so
    /// that no optimizer can decide which rows are looked at.
    pub may_fail: bool,
    /// EMIT ON WINDOW CLOSE: the column that holds the window's end.
    pub emit: Option<usize>,
}

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
    /// The type of the result.
    pub fn data_type(&self) -> Type {
        match self {
            Self::Column(_, data_type) | Self::Literal(_, data_type) => *data_type,
            Self::Arithmetic(operator, left, right) => {
                match (operator, left.data_type(), right.data_type()) {
                    (Arithmetic::Multiply, Type::Decimal(p1, s1), Type::Decimal(p2, s2)) => {
                        Type::Decimal(p1 + p2 + 1, s1 + s2)
                    }
                    (_, Type::Decimal(p1, s1), Type::Decimal(p2, s2)) => {
                        let whole = (p1 as i8 - s1).max(p2 as i8 - s2);
                        let scale = s1.max(s2);
                        Type::Decimal((whole + scale + 1) as u8, scale)
                    }
                    (_, other, _) => other,
                }
            }
            Self::Compare(..)
            | Self::And(..)
            | Self::Or(..)
            | Self::Not(..)
            | Self::IsNull(..)
            | Self::In(..) => Type::Bool,
            Self::Case(_, value, _) | Self::Coalesce(value, _) => value.data_type(),
            Self::Concat(..) | Self::Upper(_) => Type::Text,
        }
    }

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
        }
    }
}

/// First day that the generator uses: 2024-01-01. Literals stay in its month.
pub const FIRST_DAY: i32 = 19_723;
/// First moment that the generator uses. Literals stay in its minute.
pub const FIRST_MOMENT: i64 = FIRST_DAY as i64 * 86_400_000_000;

fn literal(value: &Value, data_type: Type, dialect: Dialect) -> String {
    if dialect == Dialect::Sqlite {
        return match value {
            Value::Null => "NULL".to_owned(),
            Value::Bool(value) => i64::from(*value).to_string(),
            Value::Int(value) | Value::Timestamp(value) => format!("({value})"),
            Value::Date(value) => format!("({value})"),
            Value::Text(value) => format!("'{}'", value.replace('\'', "''")),
            Value::Decimal(_) | Value::Float(_) => "'not in this dialect'".to_owned(),
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
        (Value::Decimal(_) | Value::Float(_), _) => "'no literal'".to_owned(),
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

impl Call {
    /// The type of the result.
    pub fn data_type(&self) -> Type {
        let argument = self.argument.as_ref().map(Expr::data_type);
        match (self.function, argument) {
            (Function::Count, _) | (_, None) => Type::Int,
            (Function::Sum, Some(Type::Decimal(precision, scale))) => {
                Type::Decimal((precision + 10).min(38), scale)
            }
            (Function::Average, Some(Type::Decimal(precision, scale))) => {
                Type::Decimal((precision + 4).min(38), scale + 4)
            }
            (Function::Average, _) | (Function::Median, Some(Type::Int)) => Type::Float,
            (_, Some(other)) => other,
        }
    }

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
    /// The types of the columns.
    pub fn types(&self) -> Vec<Type> {
        match self {
            Self::Scan { types, .. } => types.clone(),
            Self::Filter { input, .. } | Self::Distinct { input } => input.types(),
            Self::WhereSubquery { input, selects, .. } => {
                let mut types = input.types();
                types.extend(selects.then_some(Type::Bool));
                types
            }
            Self::SelectScalar { input, call, .. } => {
                let mut types = input.types();
                types.push(call.data_type());
                types
            }
            Self::Project { columns, .. } => columns.iter().map(Expr::data_type).collect(),
            Self::Join { left, right, .. } => [left.types(), right.types()].concat(),
            Self::GroupBy {
                keys, sets, calls, ..
            } => {
                let marks = if sets.is_empty() { 0 } else { keys.len() };
                let keys = keys.iter().map(Expr::data_type);
                let calls = calls.iter().map(Call::data_type);
                let marks = std::iter::repeat_n(Type::Int, marks);
                keys.chain(calls).chain(marks).collect()
            }
            Self::UnionAll { left, .. } | Self::SetOperation { left, .. } => left.types(),
            Self::TimeWindow { input, .. } => {
                [input.types(), vec![Type::Timestamp, Type::Timestamp]].concat()
            }
            Self::Window { input, calls } => {
                let results = calls.iter().map(|call| call.function.data_type());
                input.types().into_iter().chain(results).collect()
            }
            Self::Top { input, top } => {
                let number = top.with_number.then_some(Type::Int);
                input.types().into_iter().chain(number).collect()
            }
        }
    }

    /// The queries that this one is made from.
    pub fn inputs(&self) -> Vec<&Query> {
        match self {
            Self::Scan { .. } => vec![],
            Self::Filter { input, .. }
            | Self::Project { input, .. }
            | Self::GroupBy { input, .. }
            | Self::Distinct { input }
            | Self::Window { input, .. }
            | Self::TimeWindow { input, .. }
            | Self::Top { input, .. } => vec![input],
            Self::Join { left, right, .. }
            | Self::UnionAll { left, right }
            | Self::SetOperation { left, right, .. } => vec![left, right],
            Self::WhereSubquery { input, other, .. } | Self::SelectScalar { input, other, .. } => {
                vec![input, other]
            }
        }
    }

    /// The same, to change them.
    pub fn inputs_mut(&mut self) -> Vec<&mut Query> {
        match self {
            Self::Scan { .. } => vec![],
            Self::Filter { input, .. }
            | Self::Project { input, .. }
            | Self::GroupBy { input, .. }
            | Self::Distinct { input }
            | Self::Window { input, .. }
            | Self::TimeWindow { input, .. }
            | Self::Top { input, .. } => vec![input],
            Self::Join { left, right, .. }
            | Self::UnionAll { left, right }
            | Self::SetOperation { left, right, .. } => vec![left, right],
            Self::WhereSubquery { input, other, .. } | Self::SelectScalar { input, other, .. } => {
                vec![input, other]
            }
        }
    }

    /// Whether the query reads the table or view `wanted`.
    pub fn reads(&self, wanted: &str) -> bool {
        match self {
            Self::Scan { name, .. } => name == wanted,
            _ => self.inputs().iter().any(|input| input.reads(wanted)),
        }
    }

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
                let mut terms: Vec<String> = keys
                    .iter()
                    .map(|(left, right)| format!("l.c{left} = r.c{right}"))
                    .collect();
                terms.extend(condition.iter().map(|term| term.sql(dialect, &of_both)));
                format!(
                    "SELECT {} FROM ({}) AS l {word} ({}) AS r ON {}",
                    columns.join(", "),
                    left.sql(dialect),
                    right.sql(dialect),
                    terms.join(" AND ")
                )
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
                    let set = |set: &Vec<usize>| {
                        let names: Vec<&str> = set.iter().map(|&key| keys[key].as_str()).collect();
                        format!("({})", names.join(", "))
                    };
                    let sets: Vec<String> = sets.iter().map(set).collect();
                    return format!("{selected} GROUP BY GROUPING SETS ({})", sets.join(", "));
                }
                if keys.is_empty() {
                    return selected;
                }
                format!("{selected} GROUP BY {}", keys.join(", "))
            }
            Self::Distinct { input } => {
                select("DISTINCT ", &all_columns(input, "a", 0), input, dialect)
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
                let other = format!("({}) AS b", other.sql(dialect));
                let equal = |(left, right): &(usize, usize)| format!("b.c{right} = a.c{left}");
                let filter = |terms: Vec<String>| match terms.is_empty() {
                    true => String::new(),
                    false => format!(" WHERE {}", terms.join(" AND ")),
                };
                let negation = if *negated { "NOT " } else { "" };
                let test = match test {
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
