//! Window functions and the first rows in some order, as parts of queries, with
//! their SQL.

use crate::query::{Call, Dialect, Expr, Function};
use crate::value::Type;

/// One term of an ORDER BY.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SortKey {
    /// What is ordered by.
    pub expression: Expr,
    /// DESC.
    pub descending: bool,
    /// NULLS FIRST.
    pub nulls_first: bool,
}

/// What a frame counts in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum FrameUnit {
    Rows,
    Range,
    Groups,
}

/// One end of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Bound {
    UnboundedPreceding,
    Preceding(i64),
    CurrentRow,
    Following(i64),
    UnboundedFollowing,
}

/// Which rows around the current one count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Frame {
    /// ROWS, RANGE or GROUPS. RANGE with a number of rows stands only over one
    /// integer to order by.
    pub unit: FrameUnit,
    /// Where it begins.
    pub start: Bound,
    /// Where it ends.
    pub end: Bound,
}

/// What a window gives for each row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WindowFunction {
    /// `row_number()`.
    RowNumber,
    /// `rank()`.
    Rank,
    /// `dense_rank()`.
    DenseRank,
    /// `percent_rank()`.
    PercentRank,
    /// `cume_dist()`.
    CumeDist,
    /// `ntile(n)`.
    Ntile(i64),
    /// `lag(value, n, otherwise)`; a negative n is `lead(value, −n, otherwise)`.
    Lag(Expr, i64, Option<Expr>),
    /// `first_value(value)`.
    First(Expr),
    /// `last_value(value)`.
    Last(Expr),
    /// `nth_value(value, n)`.
    Nth(Expr, i64),
    /// An aggregate over the frame.
    Aggregate(Call),
}

/// One `function OVER (…)`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WindowCall {
    /// The function.
    pub function: WindowFunction,
    /// PARTITION BY.
    pub partition: Vec<Expr>,
    /// ORDER BY.
    pub order: Vec<SortKey>,
    /// The frame, where one is written.
    pub frame: Option<Frame>,
}

/// How the first rows are asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TopForm {
    /// `ORDER BY … LIMIT … OFFSET …`.
    Limit,
    /// `DISTINCT ON (…) … ORDER BY …`.
    DistinctOn,
    /// A filter on `row_number()`.
    RowNumber,
    /// A filter on `rank()`.
    Rank,
    /// A filter on `dense_rank()`.
    DenseRank,
}

/// The rows of each partition with a number in `first..=last`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Top {
    /// How it is written.
    pub form: TopForm,
    /// PARTITION BY; empty for LIMIT.
    pub partition: Vec<Expr>,
    /// ORDER BY.
    pub order: Vec<SortKey>,
    /// Least number wanted; 1 for DISTINCT ON.
    pub first: i64,
    /// Greatest number wanted; 1 for DISTINCT ON.
    pub last: i64,
    /// Whether the number is a column of the result; not for LIMIT and
    /// DISTINCT ON.
    pub with_number: bool,
}

impl SortKey {
    fn sql(&self, dialect: Dialect, column: &dyn Fn(usize) -> String) -> String {
        let direction = if self.descending { "DESC" } else { "ASC" };
        let nulls = if self.nulls_first { "FIRST" } else { "LAST" };
        let expression = self.expression.sql(dialect, column);
        format!("{expression} {direction} NULLS {nulls}")
    }
}

/// The terms of an ORDER BY as text.
pub fn order_sql(order: &[SortKey], dialect: Dialect, column: &dyn Fn(usize) -> String) -> String {
    let terms: Vec<String> = order.iter().map(|key| key.sql(dialect, column)).collect();
    terms.join(", ")
}

fn over_sql(
    partition: &[Expr],
    order: &[SortKey],
    dialect: Dialect,
    column: &dyn Fn(usize) -> String,
) -> String {
    let mut text = String::new();
    if !partition.is_empty() {
        let keys: Vec<String> = partition
            .iter()
            .map(|key| key.sql(dialect, column))
            .collect();
        text.push_str(&format!("PARTITION BY {} ", keys.join(", ")));
    }
    if !order.is_empty() {
        text.push_str(&format!("ORDER BY {}", order_sql(order, dialect, column)));
    }
    text
}

impl Bound {
    fn sql(self) -> String {
        match self {
            Self::UnboundedPreceding => "UNBOUNDED PRECEDING".into(),
            Self::Preceding(count) => format!("{count} PRECEDING"),
            Self::CurrentRow => "CURRENT ROW".into(),
            Self::Following(count) => format!("{count} FOLLOWING"),
            Self::UnboundedFollowing => "UNBOUNDED FOLLOWING".into(),
        }
    }
}

impl Frame {
    fn sql(self) -> String {
        let unit = match self.unit {
            FrameUnit::Rows => "ROWS",
            FrameUnit::Range => "RANGE",
            FrameUnit::Groups => "GROUPS",
        };
        format!(
            " {unit} BETWEEN {} AND {}",
            self.start.sql(),
            self.end.sql()
        )
    }
}

/// Numbers of rows are unsigned in the engine.
fn as_bigint(text: String, dialect: Dialect) -> String {
    match dialect {
        Dialect::Engine => format!("CAST({text} AS BIGINT)"),
        Dialect::Sqlite => text,
    }
}

impl WindowFunction {
    /// The type of the result.
    pub fn data_type(&self) -> Type {
        match self {
            Self::RowNumber | Self::Rank | Self::DenseRank | Self::Ntile(_) => Type::Int,
            Self::PercentRank | Self::CumeDist => Type::Float,
            Self::Lag(value, ..) | Self::First(value) | Self::Last(value) | Self::Nth(value, _) => {
                value.data_type()
            }
            Self::Aggregate(call) => call.data_type(),
        }
    }

    /// Whether rows that ORDER BY leaves equal always get the same result, if
    /// the frame takes them as one too.
    pub fn is_equal_for_peers(&self) -> bool {
        matches!(
            self,
            Self::Rank | Self::DenseRank | Self::PercentRank | Self::CumeDist | Self::Aggregate(_)
        )
    }

    /// The expressions that the function reads.
    pub fn arguments(&self) -> Vec<&Expr> {
        match self {
            Self::Lag(value, ..) | Self::First(value) | Self::Last(value) | Self::Nth(value, _) => {
                vec![value]
            }
            Self::Aggregate(call) => call.argument.iter().chain(&call.filter).collect(),
            _ => vec![],
        }
    }
}

impl WindowCall {
    /// SQL text; `column` names the columns.
    pub fn sql(&self, dialect: Dialect, column: &dyn Fn(usize) -> String) -> String {
        let text = |expression: &Expr| expression.sql(dialect, column);
        let function = match &self.function {
            WindowFunction::RowNumber => "row_number()".to_owned(),
            WindowFunction::Rank => "rank()".to_owned(),
            WindowFunction::DenseRank => "dense_rank()".to_owned(),
            WindowFunction::PercentRank => "percent_rank()".to_owned(),
            WindowFunction::CumeDist => "cume_dist()".to_owned(),
            WindowFunction::Ntile(count) => format!("ntile({count})"),
            WindowFunction::Lag(value, offset, otherwise) => {
                let name = if *offset < 0 { "lead" } else { "lag" };
                let otherwise = otherwise.iter().map(|value| format!(", {}", text(value)));
                let otherwise: String = otherwise.collect();
                format!("{name}({}, {}{otherwise})", text(value), offset.abs())
            }
            WindowFunction::First(value) => format!("first_value({})", text(value)),
            WindowFunction::Last(value) => format!("last_value({})", text(value)),
            WindowFunction::Nth(value, number) => format!("nth_value({}, {number})", text(value)),
            WindowFunction::Aggregate(call) => call.sql(dialect, column),
        };
        let over = over_sql(&self.partition, &self.order, dialect, column);
        let frame = self.frame.map(Frame::sql).unwrap_or_default();
        let call = format!("{function} OVER ({over}{frame})");
        let is_number = !matches!(&self.function, WindowFunction::Aggregate(call) if call.function != Function::Count)
            && self.function.data_type() == Type::Int
            && self.function.arguments().is_empty();
        if is_number {
            as_bigint(call, dialect)
        } else {
            call
        }
    }
}

impl Top {
    /// `SELECT … FROM (input) AS a`; `width` is the number of input columns.
    pub fn sql(&self, input: &str, width: usize, dialect: Dialect) -> String {
        let of_input = |index: usize| format!("a.c{index}");
        let columns = |alias: &str| {
            let columns = (0..width).map(|index| format!("{alias}.c{index} AS c{index}"));
            columns.collect::<Vec<String>>().join(", ")
        };
        let order = order_sql(&self.order, dialect, &of_input);
        let from = format!("{} FROM ({input}) AS a", columns("a"));
        let name = match self.form {
            TopForm::Limit => {
                let (limit, offset) = (self.last + 1 - self.first, self.first - 1);
                return format!("SELECT {from} ORDER BY {order} LIMIT {limit} OFFSET {offset}");
            }
            TopForm::DistinctOn if dialect == Dialect::Engine => {
                let keys: Vec<String> = self
                    .partition
                    .iter()
                    .map(|key| key.sql(dialect, &of_input))
                    .collect();
                // DataFusion's own DISTINCT ON fails on a term that comes twice.
                let mut terms = keys.clone();
                for key in &self.order {
                    let term = key.expression.sql(dialect, &of_input);
                    if !terms.iter().any(|known| known.starts_with(&term)) {
                        terms.push(key.sql(dialect, &of_input));
                    }
                }
                let (keys, terms) = (keys.join(", "), terms.join(", "));
                return format!("SELECT DISTINCT ON ({keys}) {from} ORDER BY {terms}");
            }
            TopForm::DistinctOn | TopForm::RowNumber => "row_number()",
            TopForm::Rank => "rank()",
            TopForm::DenseRank => "dense_rank()",
        };
        let over = over_sql(&self.partition, &self.order, dialect, &of_input);
        let number = format!("{name} OVER ({over}) AS n");
        let condition = match (self.first, self.last) {
            (1, last) if last % 2 == 0 => format!("b.n <= {last}"),
            (1, last) => format!("{} > b.n", last + 1),
            (first, last) if first == last => format!("b.n = {first}"),
            (first, last) => format!("b.n BETWEEN {first} AND {last}"),
        };
        let given = if self.with_number {
            format!(", {} AS c{width}", as_bigint("b.n".into(), dialect))
        } else {
            String::new()
        };
        let inner = format!("SELECT {}, {number} FROM ({input}) AS a", columns("a"));
        format!(
            "SELECT {}{given} FROM ({inner}) AS b WHERE {condition}",
            columns("b")
        )
    }
}
