//! Queries as trees.

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
    /// A time and so many seconds, which may be less than 0.
    Later(Box<Expr>, i64),
    /// `date_trunc` of a time.
    Truncate(TimeUnit, Box<Expr>),
}

/// What `date_trunc` cuts to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum TimeUnit {
    Second,
    Minute,
    Hour,
    Day,
}

impl TimeUnit {
    /// The length in microseconds.
    pub fn length(self) -> i64 {
        match self {
            Self::Second => 1_000_000,
            Self::Minute => 60_000_000,
            Self::Hour => 3_600_000_000,
            Self::Day => 86_400_000_000,
        }
    }
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
    /// `WITH n AS (input)`, read twice: its rows, and once more those that the
    /// predicate chooses.
    With {
        /// What is named.
        input: Box<Query>,
        /// Which rows are there once more.
        predicate: Expr,
    },
    /// `unnest` of a list made of some columns: a row for each of them, with its
    /// value behind the others.
    Unnest {
        /// Whose rows are repeated.
        input: Box<Query>,
        /// The columns of the list, of one type and at least one.
        columns: Vec<usize>,
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
            Self::Later(..) | Self::Truncate(..) => Type::Timestamp,
        }
    }
}

/// First day that the generator uses: 2024-01-01. Literals stay in its month.
pub const FIRST_DAY: i32 = 19_723;
/// First moment that the generator uses. Literals stay in its minute.
pub const FIRST_MOMENT: i64 = FIRST_DAY as i64 * 86_400_000_000;

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
}

/// The inputs of a query that is lent, as references of the same kind.
macro_rules! inputs_of {
    ($query:expr) => {
        match $query {
            Query::Scan { .. } => vec![],
            Query::Filter { input, .. }
            | Query::Project { input, .. }
            | Query::GroupBy { input, .. }
            | Query::Distinct { input }
            | Query::With { input, .. }
            | Query::Unnest { input, .. }
            | Query::Window { input, .. }
            | Query::TimeWindow { input, .. }
            | Query::Top { input, .. } => vec![input],
            Query::Join { left, right, .. }
            | Query::UnionAll { left, right }
            | Query::SetOperation { left, right, .. } => vec![left, right],
            Query::WhereSubquery { input, other, .. }
            | Query::SelectScalar { input, other, .. } => vec![input, other],
        }
    };
}

impl Query {
    /// The types of the columns.
    pub fn types(&self) -> Vec<Type> {
        match self {
            Self::Scan { types, .. } => types.clone(),
            Self::Filter { input, .. } | Self::Distinct { input } | Self::With { input, .. } => {
                input.types()
            }
            Self::Unnest { input, columns } => {
                let mut types = input.types();
                types.extend(columns.first().map(|&column| types[column]));
                types
            }
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
        inputs_of!(self)
    }

    /// The same, to change them.
    pub fn inputs_mut(&mut self) -> Vec<&mut Query> {
        inputs_of!(self)
    }

    /// Whether the query reads the table or view `wanted`.
    pub fn reads(&self, wanted: &str) -> bool {
        match self {
            Self::Scan { name, .. } => name == wanted,
            _ => self.inputs().iter().any(|input| input.reads(wanted)),
        }
    }
}
